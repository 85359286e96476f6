"""An interrupt at every instant: K3 and the runtime's finalizers, struck at each bytecode instruction of a run.

`instants` counts the instructions that nbagent executes and strikes at one of them, `ground` is the smallest kernel
that owns a SIGINT and a shell stream, `scenarios` are the runs, `injection` makes one run with one plan of strikes and
says what is wrong afterwards, `sampling` chooses plans. `tests/benchmarks/interrupts.py` sweeps all of them.
"""

"""The runtime's promises in random orders: a state machine that drives streams, and what must hold after each step.

`loop` is an event loop whose clock and whose rest the machine controls; `puppet` the model and the tools that do as
they are told; `ledger` checks every event as it comes; `world` is all of them together; `test_machine` the rules.
"""

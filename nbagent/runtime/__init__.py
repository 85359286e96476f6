"""The stream runtime: lifecycle, bridge, turn loop, tool calls, observers.

    runtime    Runtime: starts streams, takes answers      ── the public face
    stream     Stream: the consumer's handle
    run        one stream's producer: lifetime and finalizer
    ├── lifetime    where a stream begins and ends to live
    ├── cleanup     what takes time after that, bounded
    ├── nesting     a run in another: how deep, and what the parent is told
    ├── loop        one turn: prompt, model, tools
    │   ├── toolbox     the run's tools, by name
    │   │   └── delegation  those that give work to other agents, and the streams that they start
    │   ├── modelcall   one call of the model; failing: what a model raises
    │   ├── compaction  keeps the conversation within the model's context
    │   ├── repetition  the same call over and over
    │   ├── structured  the answer of an agent with an output type
    │   └── hooking     the agent's hooks, called and told of
    ├── calls       the tool calls of a run
    │   ├── approval    whether one may be made: rules, hooks, the user
    │   └── output      a running tool's output, from any thread
    ├── questions   what the run asks; answers: what counts as an answer
    ├── bridge      live streams and pending questions
    ├── crossing    other threads on their way to the loop
    ├── inbox       what the user says while it runs
    ├── outlet      where events go: to its own consumer, or through the parent
    ├── channel     producer to consumer, bounded
    ├── observers   the fan-out
    ├── turn        the history, valid at every instant
    ├── life        Life, Home: the run as its parts see it, the runtime as a run does; nested: a child's handle
    └── registry    the list of live runs of the process
    live       live_runs: that list, as streams
    asking     nbagent.ask, ask_sync, cancelled
    sync       nbagent.run_sync

It works without IPython, ipykernel or ipywidgets installed.
"""

from __future__ import annotations

from nbagent.runtime.live import live_runs
from nbagent.runtime.runtime import Runtime
from nbagent.runtime.stream import Stream

__all__ = ["Runtime", "Stream", "live_runs"]

"""How an agent gives work to others: the tools that a run gets for what its agent declares, and what they start.

`offering` says which tools a run gets; `transfer`, `handoff`, `background_tools` and `skill` make them, each by
`generated` and `arguments`; `child` plays a nested stream to its end, and `background` keeps those that outlive their
parent. Used by `toolbox`; a run and the runtime are known to it by the Protocols of `life`. (`life` names `background`,
so nothing is imported here.)

It guarantees (P7): what is started is a stream with a parent, pinned to its agent; nothing delegates in circles; a
nested stream's end, whatever it is, is the result of the call that started it.
"""

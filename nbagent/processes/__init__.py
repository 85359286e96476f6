"""Commands that end with us: nothing that nbagent starts outlives the call that it was started for, nor the kernel.

    process   one run of a command, on a thread: fed, heard, and ended with its process group
    watch     a script between the kernel and a command, which ends the command's whole offspring

MCP servers run below `watch`, command hooks by `process`, and the `shell` tool by both. Below: the standard library.
"""

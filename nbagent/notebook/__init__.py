"""What a run in a notebook's cell is composed of.

    parsing, prompt, names   what the words of a line say, and stand for in the caller's frame
    plan                     the two together, checked before anything begins
    sessions, runtimes       which conversation, and which warm runtime
    cellrun                  the run from its first step to its last, in the foreground or in the background
    showing                  one run shown in one cell: stream, output, questions
    output, displaying       the live transcript or growing text, and the document that the cell keeps
    questions                forms, prompts on stdin, or declined: by attendance, the one rule for who can answer; stdin
    answering                what waits for an answer, for %agent_pending and %agent_answer
    runs                     the list that %agent_list, %agent_stop and %agent_show read
    workspace, extension     all state of one loaded extension, and what is put on the shell; warming imports beforehand
    completion, echo, questionmark, ground   what of IPython is completed, echoed and read; the place where cells run

Above `kernel` and `widgets`, which it joins to the runtime; below `magics`, which parse and call. Nothing is public.
"""

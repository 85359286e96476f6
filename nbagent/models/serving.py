"""Serves one model file on loopback until its parent is gone: ``serving.py FILE CONTEXT``

Run as a script by the interpreter, with the standard library and xllamacpp. The first line on stdin is the key that
callers must show; the line ``listening URL`` on stdout says where it serves. It ends when stdin does (the kernel closed
it, or is dead, by whatever means) or when it has another parent, in case some other process holds stdin open.
"""

from __future__ import annotations

import os
import select
import sys

POLL = 1.0
"""Seconds between two looks at the parent."""
PING = 10
"""Seconds after which a server that reads a long prompt says that it lives."""


def main(file: str, context: int) -> None:
    """Serve, and return when nobody wants it any more."""
    import xllamacpp  # pyright: ignore[reportMissingImports]

    parent = os.getppid()
    key = sys.stdin.readline().strip()
    params = xllamacpp.CommonParams()  # pyright: ignore
    params.model.path = file  # pyright: ignore[reportUnknownMemberType]
    params.model_alias = {os.path.basename(file)}
    params.n_ctx = context
    params.n_parallel = 1
    params.cpuparams.n_threads = max(1, (os.cpu_count() or 2) - 1)  # pyright: ignore
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.endpoint_slots = True
    params.sse_ping_interval = PING
    params.warmup = False
    params.ui = False
    server = xllamacpp.Server(params)  # pyright: ignore
    print(f"listening {server.listening_address}", flush=True)  # pyright: ignore[reportUnknownMemberType]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # its log of requests: nobody reads it
    while os.getppid() == parent:
        if select.select([0], [], [], POLL)[0] and not os.read(0, 4096):
            break


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
    os._exit(0)  # the server's threads wait for nothing that is still to come

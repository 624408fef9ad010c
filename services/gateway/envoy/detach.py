"""Runs a command as nobody's child: `python detach.py COMMAND...` prints the new process's id and ends.

Envoy asks the kernel to end it together with its parent. It is therefore started only once it has been
handed over to init, and so outlives a gateway that is killed. A script by itself, so that it starts fast.
"""

import os
import sys
import time


def main() -> None:
    """Forks; the child waits until it has no parent of ours any more, and then becomes the command."""
    parent = os.getpid()
    child = os.fork()
    if child:
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.0005)
    os.dup2(2, 1)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606


if __name__ == "__main__":
    main()

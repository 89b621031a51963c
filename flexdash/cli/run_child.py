"""Turns itself into another program that ends when its parent does; run by path, so that it starts at once.

usage: python run_child.py PARENT_PID SIGNAL_NUMBER PROGRAM [ARGUMENT …]

Even when the supervisor is killed with SIGKILL and can clean up nothing, the kernel then sends SIGNAL_NUMBER to
what it started. Where the kernel cannot do that (it is Linux's prctl), the program runs without.
"""

import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, number, *program = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != int(parent):  # it died before the kernel was asked
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606 - the supervisor's own list of programs


if __name__ == "__main__":
    main()

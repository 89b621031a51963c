"""Ends a process when its parent ends, even by SIGKILL, when nobody is left to clean up: the kernel sees to it.

Also a program, run by its path so that it starts at once, which turns itself into another one that ends like that:
python parent_death.py PARENT_PID SIGNAL_NUMBER PROGRAM [ARGUMENT …]
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent_pid: int, number: int = signal.SIGKILL) -> None:
    """Let the kernel send `number` to this process when its parent `parent_pid` ends; at once if it has ended.

    It is Linux's prctl; elsewhere nothing happens, and a parent that was killed leaves its children behind.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent_pid:  # it ended before the kernel was asked
        os.kill(os.getpid(), number)


def _become(parent: str, number: str, *program: str) -> None:
    end_with_parent(int(parent), int(number))
    os.execvp(program[0], program)  # noqa: S606 - our own list of programs


if __name__ == "__main__":
    _become(*sys.argv[1:])

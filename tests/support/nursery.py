"""Processes of FlexDash within a moment: forked from one that has imported everything.

Starting Python and importing FlexDash takes seconds of a processor; dozens of tests need a real worker beside them.
The nursery is a process that has done the importing and nothing else: no app, no connection, no thread. What is
forked from it reads its own environment and makes its own app, as a program that was started by a command does.
tests/cli/test_run.py starts the real commands.

`python -m tests.support.nursery` is the nursery; the test process starts it at first use and asks it over a socket.
"""

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import IO

from sqlalchemy.orm import configure_mappers

from config import PROJECT_DIR
from flexdash import blueprints
from flexdash.parent_death import end_with_parent

_IMPORTED = ("flexdash.cli.worker", "flexdash.cli.scheduler")
_LONGEST_REQUEST = 1 << 20


class Child:
    """A process forked by the nursery, to be used as a `subprocess.Popen` is."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = ended

    def poll(self) -> int | None:
        """Return the exit code, None while it lives."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended; raise subprocess.TimeoutExpired if it has not after `timeout`."""
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], timeout)[0]:
            told = os.read(self._ended, 64)
            self.returncode = int(told) if told else -signal.SIGKILL  # the nursery was killed, and all with it
            os.close(self._ended)
        return self.returncode


def fork(
    module: str,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    output: IO[bytes] | None = None,
    *,
    umask: int | None = None,
) -> Child:
    """Return a process, leader of its own session, that runs `python -m MODULE ARGUMENTS` under `environ`.

    What it says goes to `output`, by default where ours goes. It is killed when this process ends. Files are made
    under `umask`, by default that of the nursery.
    """
    asking = _nursery()
    ended, tells = os.pipe()
    says = [output.fileno()] * 2 if output else [1, 2]
    wanted = {"module": module, "arguments": list(arguments), "environ": dict(environ), "umask": umask}
    request = json.dumps(wanted).encode()
    try:
        socket.send_fds(asking, [request], [tells, *says])
    finally:
        os.close(tells)
    return Child(int(asking.recv(64)), ended)


@cache
def _nursery() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            cwd=PROJECT_DIR,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(asked: socket.socket) -> dict | None:
    """Fork what is asked for until nobody asks any more; in the forked process, return the request."""
    tells: dict[int, int] = {}
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    while True:
        ready = select.select([asked, wake_read], [], [])[0]
        if wake_read in ready:
            os.read(wake_read, 4096)
            _tell_of_the_dead(tells)
        if asked not in ready:
            continue
        request, fds, _, _ = socket.recv_fds(asked, _LONGEST_REQUEST, 3)
        if not request:
            return None
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for fd in (asked.detach(), wake_read, wake_write, *tells.values(), fds[0]):
                os.close(fd)
            _take_over(fds[1], fds[2])
            return json.loads(request)
        tells[pid] = fds[0]
        for fd in fds[1:]:
            os.close(fd)
        asked.send(str(pid).encode())


def _tell_of_the_dead(tells: dict[int, int]) -> None:
    while tells:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        fd = tells.pop(pid)
        os.write(fd, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(fd)


def _take_over(stdout: int, stderr: int) -> None:
    """Turn the fork into what a process started by a command is: a session of its own, default signals, its output."""
    os.setsid()
    end_with_parent(os.getppid())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)


def main() -> None:
    """Import, then fork whatever is asked for; each fork goes on from here as the program it was asked to be."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    end_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the test process's, which ends us
    for name in _IMPORTED:
        import_module(name)
    for area in iter_modules(blueprints.__path__, "flexdash.blueprints."):
        import_module(area.name)  # which an app does as it is made
    configure_mappers()
    gc.freeze()  # what was imported is never looked through again
    request = _serve(asked)
    if request is None:
        return
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    if request["umask"] is not None:
        os.umask(request["umask"])
    sys.argv[1:] = request["arguments"]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

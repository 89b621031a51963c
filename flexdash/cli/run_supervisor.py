"""Runs programs side by side: starts them, prints their lines under their names, and stops them without leftovers."""

import ctypes
import math
import os
import queue
import shlex
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from honcho.colour import get_colours
from honcho.printer import Message, Printer
from honcho.process import Process

from config import PROJECT_DIR

_PR_SET_CHILD_SUBREAPER = 36
_LINES_KEPT = 20
_MESSAGES_AT_ONCE = 500
_LAUNCHER = PROJECT_DIR / "flexdash" / "parent_death.py"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Ctrl-C ends everything within 10 seconds: a job at hand gets the first of these, then it is resumed at the next start.
_SECONDS_TO_FINISH = 4.0
_SECONDS_TO_BREAK_OFF = 2.0
_SECONDS_BETWEEN_SIGNALS = 1.0
_SECONDS_BETWEEN_LOOKS = 0.25  # each costs the web server a page, while it has to start


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


class PartEnded(Exception):
    """A part ended that should have gone on. Holds its name, its exit code and its last lines."""

    def __init__(self, name: str, returncode: int, last_lines: list[str]):
        self.name, self.returncode, self.last_lines = name, returncode, last_lines
        super().__init__(f"{name} ended by itself")


@dataclass(frozen=True)
class Part:
    """A program to run: its command, environment and folder, and the signal it gets should the supervisor be killed.

    The lines of a quiet one are kept and only shown when it ends by itself.
    """

    name: str
    command: list[str]
    env: Mapping[str, str]
    cwd: Path
    dies_with: signal.Signals = signal.SIGTERM
    is_quiet: bool = False


@dataclass
class _State:
    is_quiet: bool
    pid: int | None = None
    returncode: int | None = None
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))


class Supervisor:
    """Starts parts, watches them and stops them. One per process: it takes over the stop signals.

    Each part runs in a session of its own, so a terminal's Ctrl-C reaches only the supervisor, which then stops the
    parts in order. Honcho's Process reads a part's lines and its Printer writes them; its Manager is not used, for
    it starts and stops everything at once, while Redis must come first and go last.
    """

    def __init__(self, names: Iterable[str], printer: Printer | None = None) -> None:
        # Not a SimpleQueue: Python's may wait past its time-out, for ever, when a signal comes just as that ends.
        self._events: queue.Queue = queue.Queue()
        self._parts: dict[str, _State] = {}
        self._printer = printer or Printer(
            sys.stdout, time_format=""
        )  # the parts put the time on their lines themselves
        self._printer.width = max(map(len, names))
        self._colours = get_colours()
        self._n_stop_signals = 0
        self._stop_noted_at = -math.inf
        for number in _STOP_SIGNALS:
            signal.signal(number, self._note_stop)
        _adopt_orphans()

    def start(self, part: Part) -> None:
        """Start `part`; raise PartEnded when the system cannot."""
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(part.dies_with))]
        process = Process(
            f"exec {shlex.join([*launcher, *part.command])}",
            name=part.name,
            colour=next(self._colours),
            env=dict(part.env),
            cwd=part.cwd,
        )
        # The kernel counts the thread that started a child as its parent: this one lives as long as the child.
        thread = threading.Thread(target=process.run, args=(self._events,), name=part.name, daemon=True)
        state = self._parts[part.name] = _State(part.is_quiet)
        thread.start()
        while state.pid is None:
            if not thread.is_alive():
                raise PartEnded(part.name, os.EX_OSERR, [])
            self._handle_events(0.05)

    def wait_until(
        self, is_done: Callable[[], bool], *, timeout: float | None = None, every: float = _SECONDS_BETWEEN_LOOKS
    ) -> bool:
        """Print what the parts say until `is_done()`; return False when `timeout` seconds pass first.

        It is asked every `every` seconds, however much the parts have to say meanwhile. Raises PartEnded when a part
        ends meanwhile and StopRequested when somebody asks to stop.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        ask_at = 0.0
        while True:
            self._handle_events(0.1)
            if self._n_stop_signals:
                raise StopRequested
            for name, state in self._parts.items():
                if state.returncode is not None:
                    self._handle_events(0.2)  # what it said last may still be on its way
                    raise PartEnded(name, state.returncode, list(state.last_lines))
            if time.monotonic() >= ask_at:
                if is_done():
                    return True
                ask_at = time.monotonic() + every
            if deadline is not None and time.monotonic() > deadline:
                return False

    def stop(self, *, last: str) -> None:
        """Stop all parts, the one named `last` after the others. Afterwards no process started here is left.

        A second stop signal meanwhile kills what still runs.
        """
        signals_before = self._n_stop_signals
        others = [name for name in self._parts if name != last]
        self._stop_parts(others, signals_before)
        self._stop_parts([name for name in self._parts if name == last], signals_before)
        _kill(psutil.Process().children(recursive=True))
        self._handle_events(0)

    def _stop_parts(self, names: list[str], signals_before: int) -> None:
        def has_stopped() -> bool:
            return self._n_stop_signals > signals_before or all(self._has_ended(name) for name in names)

        # Asked twice, an RQ worker breaks its job off; the others have ended by then or do not mind.
        for patience in (_SECONDS_TO_FINISH, _SECONDS_TO_BREAK_OFF):
            for name in names:
                self._signal(name, signal.SIGTERM)
            deadline = time.monotonic() + patience
            while not has_stopped() and time.monotonic() < deadline:
                self._handle_events(0.05)
            if has_stopped():
                break
        for name in names:
            if not self._has_ended(name) and self._parts[name].pid is not None:
                with suppress(psutil.NoSuchProcess):
                    process = psutil.Process(self._parts[name].pid)
                    _kill([*process.children(recursive=True), process])

    def _has_ended(self, name: str) -> bool:
        return self._parts[name].returncode is not None

    def _signal(self, name: str, number: signal.Signals) -> None:
        state = self._parts[name]
        if state.pid is not None and state.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(state.pid, number)

    def _handle_events(self, timeout: float) -> None:
        """Take in what the parts reported; wait up to `timeout` seconds for the first.

        Some at a time: a part that talks without end must not keep Ctrl-C from being heard.
        """
        with suppress(queue.Empty):
            self._handle(self._events.get(timeout=timeout) if timeout else self._events.get_nowait())
            for _ in range(_MESSAGES_AT_ONCE):
                self._handle(self._events.get_nowait())
        self._notice_exits()

    def _handle(self, message: Message) -> None:
        state = self._parts[message.name]
        if message.type == "start":
            state.pid = message.data["pid"]
        elif message.type == "stop":
            state.returncode = message.data["returncode"]
        else:
            state.last_lines.append(message.data.decode("utf-8", "replace").rstrip())
            if not state.is_quiet:
                self._print(message)

    def _notice_exits(self) -> None:
        """Note the parts that have ended; a child of theirs may go on holding the pipe that their thread reads."""
        for state in self._parts.values():
            if state.pid is None or state.returncode is not None:
                continue
            with suppress(ChildProcessError):  # its thread was quicker, and reports it
                exited = os.waitid(os.P_PID, state.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if exited is not None:
                    status = exited.si_status
                    state.returncode = status if exited.si_code == os.CLD_EXITED else -status

    def _print(self, message: Message) -> None:
        try:
            self._printer.write(message)
        except OSError:  # nobody reads any more: the terminal is closed, or the program behind the pipe has ended
            silence_output()
            self._note_stop()

    def _note_stop(self, *_signal: object) -> None:
        # `kill` on a whole process group can reach us twice, once through make: that is one wish to stop.
        if time.monotonic() - self._stop_noted_at > _SECONDS_BETWEEN_SIGNALS:
            self._n_stop_signals += 1
            self._stop_noted_at = time.monotonic()


def silence_output() -> None:
    """Let what is printed from now on, and what waits to be printed, go nowhere instead of failing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _adopt_orphans() -> None:
    """Let processes whose parent is gone become children of this one, so that none escapes the stop (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill(processes: list[psutil.Process]) -> None:
    """Kill `processes` and wait until they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + 2
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

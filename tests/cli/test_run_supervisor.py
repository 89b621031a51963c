"""The supervisor with real processes: whatever happens, nothing it started is left behind."""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from config import PROJECT_DIR
from flexdash.cli import run_supervisor
from tests.support import nursery
from tests.support.servers import wait_for

PROGRAM = "tests.cli.supervised"
MARK = "FLEXDASH_TEST_MARK"
FOREVER = "while :; do sleep 0.1; done"


class Supervised:
    """A supervisor in a process of its own, as `make run` has it, with its output in a file.

    It is forked with everything imported, for that takes a second; what it supervises are real commands.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._mark = uuid.uuid4().hex
        self.process = None

    def start(
        self,
        *,
        patience: dict[str, float] | None = None,
        looks_for: float | None = None,
        signals_every: float | None = None,
        **parts: str,
    ) -> None:
        spans = {f"_SECONDS_{name}": str(seconds) for name, seconds in (patience or {}).items()}
        if signals_every is not None:
            spans["SIGNALS_EVERY"] = str(signals_every)
        if looks_for is not None:
            spans["LOOKS_FOR"] = str(looks_for)
        with (self._folder / "output").open("wb") as output:
            arguments = [f"{name}={command}" for name, command in parts.items()]
            environ = {**os.environ, MARK: self._mark, **spans}
            self.process = nursery.fork(PROGRAM, arguments, environ, output)

    @property
    def output(self) -> str:
        return (self._folder / "output").read_text()

    def wait_for_line(self, text: str) -> None:
        wait_for(lambda: text in self.output, f"“{text}” in: {self.output}")

    def all_processes(self) -> list[psutil.Process]:
        """Every living process that was started under this supervisor, wherever it hangs in the tree."""
        found = []
        leader = self.process.pid if self.process else None
        for process in psutil.process_iter():
            try:
                is_ours = process.pid == leader or process.environ().get(MARK) == self._mark
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def assert_nothing_is_left(self) -> None:
        wait_for(lambda: not self.all_processes(), "every process to be gone", timeout=20)


@pytest.fixture
def supervised(tmp_path):
    started = Supervised(tmp_path)
    yield started
    for process in started.all_processes():
        with suppress(psutil.NoSuchProcess):  # one ends with the one before
            process.kill()
    if started.process is not None:
        started.process.wait()


def test_each_line_is_printed_under_the_name_of_its_part(supervised):
    supervised.start(web=f"echo hello from the web; {FOREVER}", worker=f"echo error >&2; {FOREVER}")
    supervised.wait_for_line("| hello from the web")
    supervised.wait_for_line("| error")
    lines = supervised.output.splitlines()
    assert any(line.endswith("web    | hello from the web") for line in lines)
    assert any(line.endswith("worker | error") for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_signal_stops_all_and_ends_calmly(supervised, number):
    supervised.start(one=FOREVER, last=FOREVER)
    supervised.wait_for_line("all started")
    os.killpg(supervised.process.pid, number)
    assert supervised.process.wait(timeout=30) == 0
    assert supervised.output.endswith("stopped as asked\n")
    assert "Traceback" not in supervised.output
    supervised.assert_nothing_is_left()


def test_parts_that_talk_without_end_do_not_make_it_look_without_a_pause(supervised):
    """Each look of `make run` costs the web server a page, just while it has to start."""
    supervised.start(looks_for=0.5, talker="while :; do echo and another thing; done")
    supervised.wait_for_line("times")
    [n_looks] = re.findall(r"looked (\d+) times", supervised.output)
    assert 1 <= int(n_looks) <= 3


def test_signals_that_come_all_the_time_do_not_keep_it_waiting_on_quiet_parts(supervised):
    supervised.start(last="sleep 600", looks_for=3, signals_every=0.0003)
    supervised.wait_for_line("looked ")
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.process.wait(timeout=15) == 0
    supervised.assert_nothing_is_left()


def test_the_last_part_is_stopped_after_the_others(supervised):
    say_when_told = "trap 'echo goodbye from {0}; exit 0' TERM; echo {0} is up; while :; do sleep 0.05; done"
    supervised.start(last=say_when_told.format("last"), one=say_when_told.format("one"))
    supervised.wait_for_line("| last is up")
    supervised.wait_for_line("| one is up")
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.process.wait(timeout=30) == 0
    assert supervised.output.index("goodbye from one") < supervised.output.index("goodbye from last")


def test_what_will_not_stop_gets_less_than_ten_seconds():
    assert run_supervisor._SECONDS_TO_FINISH + run_supervisor._SECONDS_TO_BREAK_OFF < 8


def test_a_part_that_will_not_stop_is_killed_with_all_it_started(supervised):
    stubborn = "trap '' TERM INT; (trap '' TERM; setsid sh -c 'while :; do sleep 0.1; done') & echo up; wait; sleep 99"
    supervised.start(patience={"TO_FINISH": 0.4, "TO_BREAK_OFF": 0.2}, stubborn=stubborn, last=FOREVER)
    supervised.wait_for_line("| up")
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.process.wait(timeout=30) == 0
    supervised.assert_nothing_is_left()


def test_asking_a_second_time_kills_at_once(supervised):
    patience = {"TO_FINISH": 600, "TO_BREAK_OFF": 600, "BETWEEN_SIGNALS": 0.2}
    supervised.start(patience=patience, stubborn=f"trap '' TERM INT; echo up; {FOREVER}", last=FOREVER)
    supervised.wait_for_line("| up")
    supervised.process.send_signal(signal.SIGINT)
    time.sleep(0.5)  # two signals close together count as one: make passes a copy on
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.process.wait(timeout=30) == 0
    supervised.assert_nothing_is_left()


def test_when_one_part_dies_the_others_are_stopped_and_its_last_lines_are_told(supervised):
    supervised.start(last=FOREVER, web="echo no such table; exit 3", worker=FOREVER)
    assert supervised.process.wait(timeout=30) == 1
    assert "web ended with 3: ['no such table']" in supervised.output
    supervised.assert_nothing_is_left()


def test_an_orphan_of_a_dead_part_does_not_stay_behind(supervised):
    supervised.start(
        web="setsid sh -c 'echo orphan is up; while :; do sleep 0.1; done' & sleep 1; exit 1", last=FOREVER
    )
    supervised.wait_for_line("| orphan is up")
    assert supervised.process.wait(timeout=30) == 1
    supervised.assert_nothing_is_left()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_kill_minus_nine_of_the_supervisor_leaves_nothing(supervised):
    supervised.start(one="exec sleep 600", last="exec sleep 600")
    supervised.wait_for_line("all started")
    wait_for(lambda: len(supervised.all_processes()) == 3, "the supervisor and its two parts, and nothing else")
    supervised.process.kill()
    supervised.process.wait()
    supervised.assert_nothing_is_left()


def test_a_reader_that_goes_away_stops_all(tmp_path, supervised):
    read_end, write_end = os.pipe()
    supervised.process = subprocess.Popen(
        [sys.executable, "-m", PROGRAM, "web=while :; do echo tick; sleep 0.05; done", f"last={FOREVER}"],
        stdout=write_end,
        stderr=subprocess.DEVNULL,
        env={**os.environ, MARK: supervised._mark},
        cwd=PROJECT_DIR,
        start_new_session=True,
    )
    os.close(write_end)
    with open(read_end) as reader:
        assert any("all started" in line for line in reader)  # what the program prints itself is not meant here
    assert supervised.process.wait(timeout=30) == 0
    supervised.assert_nothing_is_left()

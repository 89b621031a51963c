"""The fault suite: a figure per row of the fault table, printed at the end of `make faults`."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.models import Store
from flexdash.services import amazon_access
from tests.support.fault_rows import ROWS, lines
from tests.support.pulls import make_pulled_store

_FIGURE = "figure "


@pytest.fixture
def figure(record_property) -> Callable[[str, str], None]:
    """Keeps what was measured for a row of the fault table: `figure(key, "50 kills: 0 lost")`."""

    def keep(key: str, measured: str) -> None:
        assert key in ROWS, f"no such row: {key}"
        record_property(_FIGURE + key, measured)

    return keep


@pytest.fixture
def scaled() -> Callable[[int], int]:
    """Gives how often to do something: the number of the fault table, times FAULTS_SCALE (1 unless set)."""
    scale = float(os.environ.get("FAULTS_SCALE", "1"))
    return lambda number: max(1, round(number * scale))


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    """A store of the sandbox's Indian seller with Order Sync on and one of its two locations mapped."""
    sandbox.control.plans({"*": None})
    return make_pulled_store(sandbox)


@pytest.fixture
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the client of this process start at a pace that holds nothing up."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=1000))


def pytest_terminal_summary(terminalreporter, config) -> None:
    """Print the fault table, when the long suite was asked for."""
    if config.getoption("markexpr") != "faults":
        return
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    measured: dict[str, list[str]] = {}
    for report in reports:
        for name, value in report.user_properties:
            if name.startswith(_FIGURE):
                measured.setdefault(name.removeprefix(_FIGURE), []).append(value)
    outcomes = {report.nodeid: report.outcome for report in reports if report.when == "call" or report.failed}
    terminalreporter.section("faults: expected, and measured in this run")
    for line in lines(measured, outcomes):
        terminalreporter.write_line(line)

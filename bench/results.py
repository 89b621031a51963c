"""A figure, how it is printed, and the file the figures are kept in."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).parent / "results.md"
HEADING = ("what", "database", "measured", "wanted", "beside it", "ratio")
KEPT_HEADING = ("bench", *HEADING, "measured on")


@dataclass(frozen=True)
class Figure:
    """One line of the table. `peer` is the peer's own figure in the same run, `ratio` ours against it."""

    what: str
    database: str
    measured: str
    wanted: str = "–"
    peer: str = "–"
    ratio: str = "–"

    def cells(self) -> tuple[str, ...]:
        """Return the cells in the order of HEADING."""
        return (self.what, self.database, self.measured, self.wanted, self.peer, self.ratio)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table with columns of even width."""
    return _table([HEADING, *(figure.cells() for figure in figures)])


def keep(bench: str, figures: Sequence[Figure], benches: Sequence[str]) -> None:
    """Write what `bench` has measured into bench/results.md, in place of what is there of it on the same databases.

    All other rows stay as they are, each with the day it was measured on; those of no bench in `benches`, which is
    the order of the table, go.
    """
    databases, today = {figure.database for figure in figures}, f"{datetime.now(UTC):%Y-%m-%d}"
    others = [row for row in _kept() if row[0] != bench or row[2] not in databases]
    rows = [*others, *((bench, *figure.cells(), today) for figure in figures)]
    rows = sorted((row for row in rows if row[0] in benches), key=lambda row: benches.index(row[0]))
    RESULTS.write_text(
        "# Figures\n\n"
        f"Measured by `make bench` on a machine with {os.cpu_count()} cores, lately with Python "
        f"{platform.python_version()} and SQLAlchemy {version('sqlalchemy')}. Not all in one run: each row says on "
        "which day it was measured, by what FlexDash was then; what stands beside it in the row is of the same "
        "run. Absolute times are that machine's on that day; the ratios travel.\n\n"
        f"{_table([KEPT_HEADING, *rows])}\n"
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _kept() -> list[tuple[str, ...]]:
    """Return the rows that bench/results.md has."""
    if not RESULTS.exists():
        return []
    lines = [line for line in RESULTS.read_text().splitlines() if line.startswith("| ")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    return [row for row in rows if len(row) == len(KEPT_HEADING) and row != KEPT_HEADING]

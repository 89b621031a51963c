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
    rows = [HEADING, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADING))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def keep(figures: Sequence[Figure]) -> None:
    """Write the table to bench/results.md, with what it was measured on."""
    RESULTS.write_text(
        "# Figures\n\n"
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `make bench`, in one run, with Python "
        f"{platform.python_version()}, SQLAlchemy {version('sqlalchemy')} and {os.cpu_count()} cores. Absolute times "
        "are this machine's; the ratios travel.\n\n"
        f"{table(figures)}\n"
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

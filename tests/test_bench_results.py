"""What `make bench` keeps: rows measured anew in place of the old ones, all others with the day they are from."""

from pathlib import Path

import pytest
import time_machine

from bench import results
from bench.results import Figure


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "results.md"
    monkeypatch.setattr(results, "RESULTS", file)
    return file


def keep_on(day: str, bench: str, *figures: Figure, benches: tuple[str, ...] = ("pull", "pages")) -> None:
    with time_machine.travel(f"{day}T12:00:00+00:00", tick=False):
        results.keep(bench, figures, benches)


def rows(file: Path) -> list[tuple[str, ...]]:
    lines = [line for line in file.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [(row[0], row[1], row[2], row[3], row[-1]) for row in cells[1:]]


def test_what_was_measured_anew_takes_the_place_of_the_old_and_the_rest_keeps_its_day(kept: Path) -> None:
    keep_on("2026-11-20", "pages", Figure("home", "SQLite", "9 ms"), Figure("gone", "SQLite", "1 ms"))
    keep_on("2026-11-21", "pages", Figure("home", "PostgreSQL", "8 ms"))
    keep_on("2026-11-22", "pull", Figure("pull", "SQLite", "5 s"))
    keep_on("2026-11-23", "pages", Figure("home", "SQLite", "7 ms"))
    assert rows(kept) == [
        ("pull", "pull", "SQLite", "5 s", "2026-11-22"),
        ("pages", "home", "PostgreSQL", "8 ms", "2026-11-21"),
        ("pages", "home", "SQLite", "7 ms", "2026-11-23"),
    ]
    assert "each row says on which day" in kept.read_text()


def test_rows_of_a_bench_that_there_is_no_more_go(kept: Path) -> None:
    keep_on("2026-11-20", "pull", Figure("pull", "SQLite", "5 s"))
    keep_on("2026-11-21", "pages", Figure("home", "SQLite", "9 ms"), benches=("pages",))
    assert [row[0] for row in rows(kept)] == ["pages"]

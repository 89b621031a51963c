"""The geometry of the charts: what `components/charts.html` draws, on a grid that fits a phone and a page alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 40, 356, 10, 142
_STEPS = (1, 2, 4, 6, 10)  # times a power of ten: halves of all but the first are whole


class Bar(NamedTuple):
    """A piece of a column."""

    kind: str
    x: float
    y: float
    width: float
    height: float


class Mark(NamedTuple):
    """A word at a place."""

    at: float
    words: str


@dataclass(frozen=True)
class Series:
    """One kind of thing counted. `kind` gives colour and pattern: main, good, partial, failed or skipped.

    A value that reaches `most` is said to be that "or more". `urls`, where given, lead from each number to its list.
    """

    name: str
    kind: str
    values: Sequence[float]
    most: int | None = None
    urls: Sequence[str | None] = ()

    def words(self, index: int) -> str:
        """Return a value as the table has it."""
        value = self.values[index]
        return f"{value:,}{' or more' if self.most is not None and value >= self.most else ''}"

    def url(self, index: int) -> str | None:
        """Return where a value's number leads; nowhere from 0."""
        return self.urls[index] if self.urls and self.values[index] else None


@dataclass(frozen=True)
class Chart:
    """Columns (stacked where there are several series) or a line over `labels`; `ticks` are the few seen below them.

    `says` is the chart in a sentence: it stands above it and is read out with it.
    """

    id: str
    title: str
    says: str
    heading: str  # of the labels' column
    labels: Sequence[str]
    ticks: Sequence[str]
    series: Sequence[Series]
    unit: str = ""

    @property
    def has_values(self) -> bool:
        """Whether there is anything to draw."""
        return any(any(series.values) for series in self.series)

    @cached_property
    def ceiling(self) -> int:
        """The value at the top: round, and not below any column."""
        highest = max((sum(values) for values in zip(*(s.values for s in self.series), strict=True)), default=0)
        power = 1
        while True:
            for step in _STEPS:
                if step * power >= highest:
                    return step * power
            power *= 10

    @property
    def grid(self) -> list[Mark]:
        """The lines across, each with its number."""
        numbers = (0, self.ceiling // 2, self.ceiling) if self.ceiling > 1 else (0, 1)
        return [Mark(self._y(number), f"{number:,}") for number in numbers]

    @property
    def tick_marks(self) -> list[Mark]:
        """The words below the columns."""
        return [Mark(round(self._middle(n), 1), words) for n, words in enumerate(self.ticks) if words]

    @property
    def bars(self) -> list[Bar]:
        """The pieces of the columns, from the ground up."""
        width = round(self._step * 0.72, 1)
        bars = []
        for n in range(len(self.labels)):
            below = 0.0
            for series in self.series:
                value = series.values[n]
                if value:
                    top, ground = self._y(below + value), self._y(below)
                    # A single failed run among thousands is to be seen.
                    height = max(1.5, round(ground - top, 1))
                    x = round(self._middle(n) - width / 2, 1)
                    bars.append(Bar(series.kind, x, round(ground - height, 1), width, height))
                below += value
        return bars

    @property
    def points(self) -> list[tuple[float, float]]:
        """The points of the line through the first series."""
        return [(round(self._middle(n), 1), self._y(value)) for n, value in enumerate(self.series[0].values)]

    @property
    def _step(self) -> float:
        return (RIGHT - LEFT) / max(1, len(self.labels))

    def _middle(self, n: int) -> float:
        return LEFT + self._step * (n + 0.5)

    def _y(self, value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * value / self.ceiling, 1)

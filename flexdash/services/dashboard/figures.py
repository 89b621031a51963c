"""Counts by hour and by day for the charts: each from an index, and no further than a chart needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, bindparam, func, literal_column, select, union_all

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ApiCall, CallOutcome, Order, RunState, SyncRun
from flexdash.models.types import UtcDateTime
from flexdash.services.dashboard.scope import Scope

N_HOURS = 24
N_DAYS = 7
# Beyond these "or more" is enough, and the page costs the same however much came in.
MOST_ORDERS = 2_000  # in an hour
MOST_CALLS = 5_000  # in an hour
MOST_RUNS = 10_000  # in a day, of each outcome

# Amazon's allowance is no failure: a throttled call is one that is sent again a little later.
FAILED_CALLS = (CallOutcome.REFUSED, CallOutcome.FAULT, CallOutcome.NO_ANSWER)


@dataclass(frozen=True)
class Hour:
    """One hour, from `starts_at` in the viewer's zone. Counts end at MOST_ORDERS and MOST_CALLS."""

    starts_at: datetime
    n_orders: int
    n_calls: int
    n_throttled: int  # of the calls, those that Amazon answered with 429
    n_failed: int  # of the calls, those that it refused, had a fault with, or never answered

    @property
    def n_answered(self) -> int:
        """Calls that went well."""
        return max(0, self.n_calls - self.n_throttled - self.n_failed)


@dataclass(frozen=True)
class Day:
    """The ended runs of one day in the viewer's zone; each count ends at MOST_RUNS. Skipped turns are no runs."""

    day: date
    n_good: int
    n_partial: int
    n_failed: int
    n_skipped: int = 0

    @property
    def n_runs(self) -> int:
        """All finished runs of the day."""
        return self.n_good + self.n_partial + self.n_failed

    @property
    def n_bad(self) -> int:
        """Runs that did not go well."""
        return self.n_partial + self.n_failed


def last_hours(scope: Scope, zone: tzinfo) -> list[Hour]:
    """Return the last 24 hours as `zone` has them, the present one last: orders that came in, and calls to Amazon."""
    now = clock.now()
    here = now.astimezone(zone)
    present = now - timedelta(minutes=here.minute, seconds=here.second, microseconds=here.microsecond)
    edges = [present + timedelta(hours=n) for n in range(1 - N_HOURS, 2)]
    found = _counted(edges, _of_hours(scope, MOST_ORDERS, MOST_CALLS))
    return [Hour(edge.astimezone(zone), *numbers) for edge, numbers in zip(edges, found, strict=False)]


def last_days(scope: Scope, zone: tzinfo) -> list[Day]:
    """Return the last seven days in `zone`, today last, each with its ended runs."""
    today = clock.now().astimezone(zone).date()
    days = [today + timedelta(days=n) for n in range(1 - N_DAYS, 2)]
    # Through UTC: where a night has a change of the clock, the day still starts at its own midnight.
    edges = [datetime.combine(day, time.min, zone).astimezone(UTC) for day in days]
    found = _counted(edges, _of_days(scope, MOST_RUNS))
    return [Day(day, *numbers) for day, numbers in zip(days, found, strict=False)]


# The two statements are put together once for a scope and not for each page, which takes longer than the counting.


@lru_cache(maxsize=64)
def _of_hours(scope: Scope, most_orders: int, most_calls: int) -> Select[Any]:
    spans = _spans(N_HOURS)
    own = scope.workspace_id  # the index of orders leads with the workspace, of a store's figures too
    is_throttled = ApiCall.outcome == CallOutcome.THROTTLED
    is_failed = ApiCall.outcome.in_(FAILED_CALLS)
    return select(
        spans.c.starts_at,
        _count(spans, Order.imported_at, [Order.workspace_id == own, *scope.of(Order)], most_orders),
        _count(spans, ApiCall.started_at, scope.of(ApiCall), most_calls),
        _count(spans, ApiCall.started_at, [*scope.of(ApiCall), is_throttled], most_calls),
        _count(spans, ApiCall.started_at, [*scope.of(ApiCall), is_failed], most_calls),
    )


@lru_cache(maxsize=64)
def _of_days(scope: Scope, most_runs: int) -> Select[Any]:
    spans = _spans(N_DAYS)
    outcomes = (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.SKIPPED)
    counts = [
        _count(spans, SyncRun.finished_at, [*scope.of(SyncRun), SyncRun.state == outcome], most_runs)
        for outcome in outcomes
    ]
    return select(spans.c.starts_at, *counts)


def _spans(n_spans: int) -> CTE:
    """Return the spans between `n_spans` + 1 edges, which are parameters, as a table of two columns.

    Not as VALUES: SQLAlchemy puts a statement that has such into SQL anew each time.
    """
    edges = [bindparam(f"edge_{n}", type_=UtcDateTime) for n in range(n_spans + 1)]
    rows = [select(edges[n].label("starts_at"), edges[n + 1].label("ends_at")) for n in range(n_spans)]
    return union_all(*rows).cte("spans")


def _count(spans: CTE, moment: Any, conditions: Sequence[Any], most: int) -> ColumnElement[int]:
    """Return the SQL for how many rows have their `moment` in a span, counting no further than `most`."""
    found = (
        select(literal_column("1"))
        .select_from(moment.class_)
        .where(*conditions, moment >= spans.c.starts_at, moment < spans.c.ends_at)
        .limit(most)
        .correlate(spans)
        .subquery()
    )
    return select(func.count()).select_from(found).correlate(spans).scalar_subquery()


def _counted(edges: Sequence[datetime], statement: Select[Any]) -> list[tuple[int, ...]]:
    """Return the counts of each span between `edges`, the earliest first."""
    moments = {f"edge_{n}": edge for n, edge in enumerate(edges)}
    rows = db.session.execute(statement, moments)
    return [tuple(row[1:]) for row in sorted(rows, key=lambda row: row[0])]

"""The charts of the dashboard and of a store's overview, from the figures that the services count."""

from collections.abc import Sequence
from datetime import datetime

from flask import url_for

from flexdash.models import RunState
from flexdash.services.dashboard.figures import MOST_CALLS, MOST_ORDERS, MOST_RUNS, Day, Hour
from flexdash.services.dashboard.push_lag import Wait
from flexdash.templating.charts import Chart, Series
from flexdash.templating.filters import count, viewer_zone, zone_name


def orders_per_hour(hours: Sequence[Hour]) -> Chart:
    """Return the chart of the orders that came in."""
    numbers = [hour.n_orders for hour in hours]
    total, most = sum(numbers), max(numbers)
    says = "No order came in over the last 24 hours."
    if total:
        more = "At least " if most >= MOST_ORDERS else ""
        busiest = _hour_words(hours[numbers.index(most)].starts_at)
        says = f"{more}{count(total, 'order')} came in over the last 24 hours, most of them ({most:,}) from {busiest}."
    return Chart(
        id="chart-orders",
        title="Orders per hour",
        says=says,
        heading=_hour_heading(hours),
        labels=_hour_labels(hours),
        ticks=_hour_ticks(hours),
        series=[Series("Orders", "main", numbers, MOST_ORDERS)],
    )


def calls_per_hour(hours: Sequence[Hour]) -> Chart:
    """Return the chart of the calls to Amazon, those that it throttled and those that failed apart."""
    total = sum(hour.n_calls for hour in hours)
    throttled, failed = sum(hour.n_throttled for hour in hours), sum(hour.n_failed for hour in hours)
    says = "FlexDash did not call Amazon in the last 24 hours."
    if total:
        more = "At least " if any(hour.n_calls >= MOST_CALLS for hour in hours) else ""
        refused = f"{count(throttled, 'was', 'were')} throttled (answered 429)" if throttled else "none was throttled"
        lost = f"{failed:,} failed" if failed else "none failed"
        says = f"{more}{count(total, 'call')} to Amazon in the last 24 hours; {lost}, {refused}."
    return Chart(
        id="chart-calls",
        title="Calls to Amazon per hour",
        says=says,
        heading=_hour_heading(hours),
        labels=_hour_labels(hours),
        ticks=_hour_ticks(hours),
        series=[
            Series("Answered", "good", [hour.n_answered for hour in hours], MOST_CALLS),
            Series("Throttled", "partial", [hour.n_throttled for hour in hours], MOST_CALLS),
            Series("Failed", "failed", [hour.n_failed for hour in hours], MOST_CALLS),
        ],
    )


def runs_per_day(days: Sequence[Day], store_id: int | None = None) -> Chart:
    """Return the chart of the ended runs by outcome, each number leading to its runs; of one store, or of all."""
    total, bad = sum(day.n_runs for day in days), sum(day.n_bad for day in days)
    skipped = sum(day.n_skipped for day in days)
    says = "No sync has run in the last seven days"
    if total:
        more = "At least " if any(day.n_good >= MOST_RUNS for day in days) else ""
        well = f"{count(bad, 'run')} did not go through whole" if bad else "all went well"
        says = f"{more}{count(total, 'sync run')} in the last seven days; {well}"
    if skipped:
        more = "at least " if any(day.n_skipped >= MOST_RUNS for day in days) else ""
        says += f"; {more}{count(skipped, 'turn was', 'turns were')} skipped"

    def series(name: str, kind: str, state: RunState, numbers: list[int]) -> Series:
        urls = [_runs_url(day, state, store_id) if n else None for day, n in zip(days, numbers, strict=True)]
        return Series(name, kind, numbers, MOST_RUNS, urls)

    return Chart(
        id="chart-runs",
        title="Sync runs per day",
        says=f"{says}.",
        heading="Day",
        labels=[*(f"{day.day:%a} {day.day.day} {day.day:%b}" for day in days[:-1]), "Today"],
        ticks=[f"{day.day:%a}" for day in days],
        series=[
            series("Healthy", "good", RunState.SUCCEEDED, [day.n_good for day in days]),
            series("Partial", "partial", RunState.PARTIAL, [day.n_partial for day in days]),
            series("Failed", "failed", RunState.FAILED, [day.n_failed for day in days]),
            series("Skipped", "skipped", RunState.SKIPPED, [day.n_skipped for day in days]),
        ],
    )


def push_lag_of_store(waits: Sequence[Wait]) -> Chart:
    """Return the chart of how long a changed quantity of one store waited at most, push by push."""
    minutes = [wait.minutes for wait in waits]
    says = "There were not two pushes of stock yet, so there is nothing to tell."
    if waits:
        says = (
            f"A quantity that changed before the last push waited {count(minutes[-1], 'minute')} at most until Amazon "
            f"took it; {count(max(minutes), 'minute')} in the worst of these pushes."
        )
    ends = [wait.ended_at.astimezone(viewer_zone()) for wait in waits]
    return Chart(
        id="chart-lag",
        title="Push lag: the longest wait of a changed quantity, in minutes",
        says=says,
        heading=f"Push that ended ({zone_name(ends[-1])})" if ends else "Push that ended",
        labels=[f"{end:%a} {end:%H:%M}" for end in ends],
        ticks=[f"{end:%H:%M}" if n % 6 == 0 else "" for n, end in enumerate(ends)],
        series=[
            Series("Longest wait, minutes", "main", minutes, urls=[_run_url(wait) for wait in waits]),
        ],
    )


def push_lag_by_store(ages: Sequence[tuple[str, int]]) -> Chart:
    """Return the chart of how many stores had their last good push how long ago."""
    total, late, n_none_yet = sum(n for _, n in ages), sum(n for _, n in ages[2:-1]), ages[-1][1]
    says = "No store has Inventory Sync on."
    if total:
        none_yet = f", and {n_none_yet:,} had none yet" if n_none_yet else ""
        says = (
            f"Of {count(total, 'store')} with Inventory Sync on, {late:,} had no good push for more than 2 hours"
            f"{none_yet}. "
            "A quantity that changed since a store's last good push has not reached Amazon yet."
        )
    return Chart(
        id="chart-lag",
        title="Push lag: stores by the time since their last good push",
        says=says,
        heading="Last good push",
        labels=[words for words, _ in ages],
        ticks=["1 h", "2 h", "6 h", "24 h", "longer", "none yet"],
        series=[Series("Stores", "main", [n for _, n in ages])],
    )


def _hour_words(starts_at: datetime) -> str:
    end = (starts_at.hour + 1) % 24
    return f"{starts_at:%H:%M} to {end:02}:{starts_at:%M} on {starts_at:%A}"


def _hour_heading(hours: Sequence[Hour]) -> str:
    return f"Hour from ({zone_name(hours[-1].starts_at)})"


def _hour_labels(hours: Sequence[Hour]) -> list[str]:
    return [f"{hour.starts_at:%a} {hour.starts_at:%H:%M}" for hour in hours]


def _hour_ticks(hours: Sequence[Hour]) -> list[str]:
    return [f"{hour.starts_at:%H:%M}" if hour.starts_at.hour % 6 == 0 else "" for hour in hours]


def _runs_url(day: Day, state: RunState, store_id: int | None) -> str:
    narrowed = {"state": state.value, "from": day.day.isoformat(), "to": day.day.isoformat()}
    return url_for("sync.index", **(narrowed if store_id is None else narrowed | {"store": store_id}))


def _run_url(wait: Wait) -> str:
    return url_for("sync.detail", run_id=wait.run_id)

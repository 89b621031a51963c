"""What the overview of a store tells: its set-up, its last seven days, and what waits for a person."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo

from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    HoldReason,
    Hub,
    HubMapping,
    Order,
    OrderHold,
    OrderState,
    QuarantinedShipment,
    RunState,
    Store,
    StoreStatus,
    SyncRun,
)

N_DAYS = 7
# More runs than any store has in seven days at one a minute; bounds what is read of a long history.
_MAX_RUNS = N_DAYS * 24 * 60


@dataclass(frozen=True)
class SetUp:
    """The checklist: what has been done of what a store needs before orders come in."""

    is_connected: bool
    is_hub_mapped: bool
    is_order_sync_on: bool

    @property
    def is_complete(self) -> bool:
        """Whether orders come in by themselves now."""
        return self.is_connected and self.is_hub_mapped and self.is_order_sync_on


@dataclass(frozen=True)
class Day:
    """The finished runs of one day in the viewer's zone. `n_bad` counts failed runs and partial ones."""

    day: date
    n_good: int
    n_partial: int
    n_failed: int

    @property
    def n_runs(self) -> int:
        """All finished runs of the day."""
        return self.n_good + self.n_partial + self.n_failed

    @property
    def n_bad(self) -> int:
        """Runs that did not go well."""
        return self.n_partial + self.n_failed


@dataclass(frozen=True)
class Waiting:
    """What needs a person."""

    held: dict[HoldReason, int]  # orders On Hold per reason; one order can have several
    unmapped_ids: tuple[tuple[str, int], ...]  # Seller Flex Hub IDs no hub has, with the orders that wait for each
    n_quarantined: int

    def __bool__(self) -> bool:
        return bool(self.held or self.n_quarantined)


def set_up(store: Store) -> SetUp:
    """Return how far the store's set-up is."""
    mapped = db.session.scalar(
        select(HubMapping.id)
        .join(Hub, Hub.id == HubMapping.hub_id)
        .where(HubMapping.store_id == store.id, HubMapping.is_active, Hub.is_active)
        .limit(1)
    )
    is_connected = store.status in (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)
    return SetUp(is_connected, mapped is not None, store.is_order_sync_on)


def waiting(store: Store) -> Waiting:
    """Return what of this store waits for a person."""
    on_hold = (Order.store_id == store.id, Order.state == OrderState.ON_HOLD)
    by_reason = (
        select(OrderHold.reason, func.count().label("n_orders"))
        .join(Order, Order.id == OrderHold.order_id)
        .where(*on_hold)
        .group_by(OrderHold.reason)
        .order_by(OrderHold.reason)
    )
    unmapped = (
        select(Order.seller_flex_hub_id, func.count().label("n_orders"))
        .join(OrderHold, OrderHold.order_id == Order.id)
        .where(*on_hold, OrderHold.reason == HoldReason.NO_HUB_MAPPED)
        .group_by(Order.seller_flex_hub_id)
        .order_by(func.count().desc(), Order.seller_flex_hub_id)
    )
    n_quarantined = db.session.scalar(
        select(func.count()).where(QuarantinedShipment.store_id == store.id, QuarantinedShipment.resolved_at.is_(None))
    )
    return Waiting(
        held={row.reason: row.n_orders for row in db.session.execute(by_reason)},
        unmapped_ids=tuple((row.seller_flex_hub_id, row.n_orders) for row in db.session.execute(unmapped)),
        n_quarantined=n_quarantined or 0,
    )


def last_days(store: Store, zone: tzinfo) -> list[Day]:
    """Return the last seven days in `zone`, today last, each with its finished runs."""
    today = clock.now().astimezone(zone).date()
    first = today - timedelta(days=N_DAYS - 1)
    newest = (
        select(SyncRun.state, SyncRun.finished_at)
        .where(SyncRun.store_id == store.id)
        .order_by(SyncRun.id.desc())
        .limit(_MAX_RUNS)
        .subquery()
    )
    since = clock.now() - timedelta(days=N_DAYS + 1)
    counts: Counter[tuple[date, RunState]] = Counter()
    for state, finished_at in db.session.execute(
        select(newest.c.state, newest.c.finished_at).where(newest.c.finished_at >= since)
    ):
        counts[finished_at.astimezone(zone).date(), state] += 1
    days = (first + timedelta(days=n) for n in range(N_DAYS))
    return [
        Day(
            day,
            counts[day, RunState.SUCCEEDED],
            counts[day, RunState.PARTIAL],
            counts[day, RunState.FAILED],
        )
        for day in days
    ]

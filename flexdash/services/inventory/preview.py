"""What a push now would change on Amazon, counted and line by line. Nothing is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select

from flexdash.database import joining_whole_tables
from flexdash.extensions import db
from flexdash.models import HubMapping, Store, Sync, SyncRun
from flexdash.services import runs_of_sync
from flexdash.services.inventory import brake, drift
from flexdash.services.inventory.drift import Filters, Found
from flexdash.services.inventory.left_out import left_out
from flexdash.services.inventory.places import Location
from flexdash.services.inventory.plan import StoreFacts
from flexdash.services.inventory.quantities import is_unknown, lines, shown, wanted

MOST_COUNTED = 100_000  # lines; a larger catalog is counted that far, and the page says so


class Change(StrEnum):
    """What a push would do to a quantity on Amazon."""

    ZERO = "zero"
    LOWER = "lower"
    RAISE = "raise"
    UNKNOWN = "unknown"  # what Amazon shows is not known
    NONE = "none"


@dataclass(frozen=True)
class Preview:
    """The counts of what a push would change, and what it would leave out and why (values of SyncRunItem)."""

    counts: dict[Change, int]
    n_shown: int  # quantities that Amazon shows with stock
    is_counted_whole: bool
    n_unknown_to_zero: int  # of those not known, the ones that would go to zero
    would_wait: bool  # so many zeros that the push would wait for a person
    left_out: Sequence[dict[str, Any]]

    @property
    def n_lines(self) -> int:
        """How many SKUs at locations were looked at."""
        return sum(self.counts.values())

    @property
    def n_to_zero(self) -> int:
        """How many quantities would go to zero that Amazon shows with stock, or may show with it."""
        return self.counts[Change.ZERO] + self.n_unknown_to_zero

    @property
    def n_may_show(self) -> int:
        """How many quantities Amazon shows with stock, or may show with it."""
        return self.n_shown + self.counts[Change.UNKNOWN]


def of(store: Store, locations: Sequence[Location]) -> Preview:
    """Return what a push of the store to its active `locations` would do now."""
    counts, n_shown, n_unknown_to_zero = dict.fromkeys(Change, 0), 0, 0
    percent, would_wait = store.zero_brake_percent, False
    if locations:
        with joining_whole_tables():
            of_locations = db.session.execute(_counting(store, locations)).all()
        for *found, n_shown_there, n_unknown_there in of_locations:
            n_shown += n_shown_there
            n_unknown_to_zero += n_unknown_there
            would_wait |= brake.are_too_many(n_unknown_there, sum(found), percent)
            for change, n in zip(Change, found, strict=True):
                counts[change] += n
    return Preview(
        counts=counts,
        n_shown=n_shown,
        is_counted_whole=sum(counts.values()) < MOST_COUNTED,
        n_unknown_to_zero=n_unknown_to_zero,
        would_wait=would_wait or brake.are_too_many(counts[Change.ZERO], n_shown, percent),
        left_out=left_out(StoreFacts.of(store), list(locations)),
    )


def found(store: Store, locations: Sequence[Location], change: Change | None, filters: Filters) -> Found:
    """Return the lines that a push would change, or those of one kind of change; there is a location."""
    condition = _conditions(store.stock_buffer)[change] if change else ~_conditions(store.stock_buffer)[Change.NONE]
    return drift.matching(store, locations, condition, filters)


def last_fetch(store: Store) -> SyncRun | None:
    """Return the newest run that asked Amazon for its stock, None when there was none."""
    query = select(SyncRun).where(runs_of_sync.of(store.id, Sync.INVENTORY_FETCH))
    return db.session.scalars(query.order_by(*runs_of_sync.newest_first()).limit(1)).one_or_none()


def _counting(store: Store, locations: Sequence[Location]) -> Any:
    """Return a SELECT with a row for each location: how many of each kind, and the two counts of `Preview`."""
    looked_at = (
        lines(
            [
                HubMapping.id.label("mapping_id"),
                wanted(store.stock_buffer).label("ours"),
                shown().label("theirs"),
                is_unknown().label("is_unknown"),
            ],
            store_id=store.id,
            seller_id=store.seller_id,
            mapping_ids=[location.mapping_id for location in locations],
        )
        .limit(MOST_COUNTED)
        .subquery()
    )
    ours, theirs = looked_at.c.ours, looked_at.c.theirs
    kinds = _kinds(ours, theirs)
    counted = [*(kinds[change] for change in Change), theirs > 0, and_(looked_at.c.is_unknown, ours == 0)]
    sums = [func.sum(case((condition, 1), else_=0)) for condition in counted]
    return select(*sums).group_by(looked_at.c.mapping_id)


def _conditions(stock_buffer: int) -> dict[Change, ColumnElement[bool]]:
    return _kinds(wanted(stock_buffer), shown())


def _kinds(ours: ColumnElement[int], theirs: ColumnElement[int]) -> dict[Change, ColumnElement[bool]]:
    return {
        Change.ZERO: and_(ours == 0, func.coalesce(theirs, 0) > 0),
        Change.LOWER: and_(ours > 0, ours < func.coalesce(theirs, 0)),
        Change.RAISE: and_(theirs.is_not(None), ours > func.coalesce(theirs, 0)),
        Change.UNKNOWN: theirs.is_(None),
        Change.NONE: and_(theirs.is_not(None), ours == func.coalesce(theirs, 0)),
    }

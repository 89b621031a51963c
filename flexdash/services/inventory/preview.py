"""What a push now would change on Amazon, counted and line by line. Nothing is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select

from flexdash.database import joining_whole_tables
from flexdash.extensions import db
from flexdash.models import Store, Sync, SyncRun
from flexdash.services.inventory import drift
from flexdash.services.inventory.brake import LEAST
from flexdash.services.inventory.drift import Filters, Found
from flexdash.services.inventory.left_out import left_out
from flexdash.services.inventory.places import Location
from flexdash.services.inventory.plan import StoreFacts
from flexdash.services.inventory.quantities import lines, shown, wanted

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
    would_wait: bool  # so many zeros that the push would wait for a person
    left_out: Sequence[dict[str, Any]]

    @property
    def n_lines(self) -> int:
        """How many SKUs at locations were looked at."""
        return sum(self.counts.values())


def of(store: Store, locations: Sequence[Location]) -> Preview:
    """Return what a push of the store to its active `locations` would do now."""
    counts, n_shown = dict.fromkeys(Change, 0), 0
    if locations:
        with joining_whole_tables():
            *found, n_shown = db.session.execute(_counting(store, locations)).one()
        counts = dict(zip(Change, (n or 0 for n in found), strict=True))
    n_zero, n_shown = counts[Change.ZERO], n_shown or 0
    return Preview(
        counts=counts,
        n_shown=n_shown,
        is_counted_whole=sum(counts.values()) < MOST_COUNTED,
        would_wait=n_zero >= LEAST and n_zero * 100 > store.zero_brake_percent * n_shown,
        left_out=left_out(StoreFacts.of(store), list(locations)),
    )


def found(store: Store, locations: Sequence[Location], change: Change | None, filters: Filters) -> Found:
    """Return the lines that a push would change, or those of one kind of change; there is a location."""
    condition = _conditions(store.stock_buffer)[change] if change else ~_conditions(store.stock_buffer)[Change.NONE]
    return drift.matching(store, locations, condition, filters)


def last_fetch(store: Store) -> SyncRun | None:
    """Return the newest run that asked Amazon for its stock, None when there was none."""
    query = select(SyncRun).where(SyncRun.store_id == store.id, SyncRun.sync == Sync.INVENTORY_FETCH)
    return db.session.scalars(query.order_by(SyncRun.id.desc()).limit(1)).one_or_none()


def _counting(store: Store, locations: Sequence[Location]) -> Any:
    looked_at = (
        lines(
            [wanted(store.stock_buffer).label("ours"), shown().label("theirs")],
            store_id=store.id,
            seller_id=store.seller_id,
            mapping_ids=[location.mapping_id for location in locations],
        )
        .limit(MOST_COUNTED)
        .subquery()
    )
    ours, theirs = looked_at.c.ours, looked_at.c.theirs
    kinds = _kinds(ours, theirs)
    sums = [func.sum(case((kinds[change], 1), else_=0)) for change in Change]
    return select(*sums, func.sum(case((theirs > 0, 1), else_=0)))


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

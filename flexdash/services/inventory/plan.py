"""What a push has to send, and what it leaves out and why. Nothing is sent from here."""

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select

from flexdash import clock
from flexdash.database import joining_whole_tables, release_connection
from flexdash.extensions import db, settings
from flexdash.models import (
    HubMapping,
    ItemOutcome,
    Listing,
    PublishedStock,
    PushState,
    Store,
    Sync,
    SyncRun,
    SyncRunItem,
    SyncState,
)
from flexdash.services.inventory.places import Location, active_locations
from flexdash.services.inventory.quantities import is_unknown, lines, shown, wanted

_ROWS_AT_A_TIME = 2_000


@dataclass(frozen=True)
class StoreFacts:
    """What a push has to know of its store while no database connection is held."""

    store_id: int
    workspace_id: int
    seller_id: int
    name: str
    marketplace_id: str
    stock_buffer: int
    zero_brake_percent: int

    @classmethod
    def of(cls, store: Store) -> "StoreFacts":
        """Return the facts of `store` as they are now."""
        return cls(
            store_id=store.id,
            workspace_id=store.workspace_id,
            seller_id=store.seller_id,
            name=store.name,
            marketplace_id=store.marketplace_id,
            stock_buffer=store.stock_buffer,
            zero_brake_percent=store.zero_brake_percent,
        )


@dataclass
class Plan:
    """The lines to be sent, a line being a SKU at a location; zeros first, then the lowest quantities.

    Kept as six bytes per line: a push of a million lines holds what a push of a thousand does. What a line's quantity
    is will be read when it is sent.
    """

    store: StoreFacts
    locations: list[Location]
    is_full: bool
    started_at: datetime  # of the run's first attempt
    retry_of_id: int | None = None  # the run whose refused lines this one sends, and no others
    n_listings: int = 0  # SKUs of the catalog
    n_lines: int = 0  # catalog SKUs times locations; of a retry, what there is to send
    n_zeros: int = 0  # of those to be sent
    n_shown_to_zero: int = 0  # of the zeros, those that Amazon shows with stock
    n_unknown: int = 0  # lines to be sent of which nobody knows what Amazon shows
    unknown_to_zero: Counter[int] = field(default_factory=Counter)  # of them the zeros, by the location's index
    listing_ids: array = field(default_factory=lambda: array("i"))
    location_indexes: array = field(default_factory=lambda: array("H"))

    @property
    def n_due(self) -> int:
        """How many lines are to be sent."""
        return len(self.listing_ids)

    @property
    def n_to_zero(self) -> int:
        """How many lines would go to zero that Amazon shows with stock, or may show with it."""
        return self.n_shown_to_zero + self.unknown_to_zero.total()

    def portions(self, size: int) -> Iterator[list[tuple[Location, list[int]]]]:
        """Yield the lines in their order, `size` at a time, each portion as listing ids by location."""
        for start in range(0, self.n_due, size):
            pairs = zip(
                self.location_indexes[start : start + size], self.listing_ids[start : start + size], strict=True
            )
            by_location = sorted(pairs)  # within a portion the order is made anew when the quantities are known
            yield [
                (self.locations[index], [listing_id for _, listing_id in group])
                for index, group in groupby(by_location, key=lambda pair: pair[0])
            ]


def make_plan(run_id: int) -> Plan:
    """Return what the push with this run id has to send now. Reads only, and gives the connection back.

    Due is what differs from the last quantity Amazon accepted, what it refused or never answered, and what a person
    asked for; in a full push also what was not accepted since the run began. What Amazon has already refused in this
    run is left for the next one.
    """
    run = db.session.get_one(SyncRun, run_id, populate_existing=True)
    store = StoreFacts.of(run.store)
    plan = Plan(
        store=store,
        locations=active_locations(store.store_id),
        is_full=run.retry_of_id is None and (run.is_full or is_full_due(store.store_id)),
        started_at=run.started_at or clock.now(),
        retry_of_id=run.retry_of_id,
    )
    if plan.locations:
        _read_lines(plan)
    release_connection()
    return plan


def is_full_due(store_id: int) -> bool:
    """Say whether everything of the store has to be sent again, changed or not."""
    last_full_at = db.session.scalar(
        select(SyncState.last_full_at).where(SyncState.store_id == store_id, SyncState.sync == Sync.INVENTORY_PUSH)
    )
    return last_full_at is None or last_full_at < clock.now() - timedelta(hours=settings.inventory_full_push_hours)


def is_due(stock_buffer: int) -> ColumnElement[bool]:
    """Return the SQL condition on `quantities.lines` for what an hourly push sends."""
    return or_(
        PublishedStock.quantity.is_(None),  # never accepted, or no row at all
        PublishedStock.quantity != wanted(stock_buffer),
        PublishedStock.state != PushState.ACCEPTED,
        PublishedStock.must_push,
    )


def n_shown_with_stock(plan: Plan) -> int:
    """Return how many lines of the catalog Amazon shows with stock now, as far as FlexDash knows."""
    query = _of_plan(plan, [func.count()]).where(shown() > 0)
    with joining_whole_tables():
        return db.session.scalar(query) or 0


def _read_lines(plan: Plan) -> None:
    quantity, at_amazon = wanted(plan.store.stock_buffer).label("quantity"), shown().label("shown")
    n_listings = db.session.scalar(select(func.count()).where(Listing.store_id == plan.store.store_id)) or 0
    plan.n_listings, plan.n_lines = n_listings, n_listings * len(plan.locations)
    condition = is_due(plan.store.stock_buffer)
    if plan.is_full:
        condition = or_(condition, PublishedStock.accepted_at < plan.started_at)
    if plan.retry_of_id is not None:
        condition = and_(condition, was_refused_by(plan.retry_of_id))
    refused_now = and_(PublishedStock.state == PushState.REFUSED, PublishedStock.sent_at >= plan.started_at)
    is_unchanged = case((PublishedStock.quantity == quantity, 1), else_=0)
    query = (
        _of_plan(plan, [Listing.id, HubMapping.id, quantity, at_amazon, is_unknown()])
        .where(condition, or_(PublishedStock.id.is_(None), ~func.coalesce(refused_now, False)))
        .order_by(quantity, is_unchanged, Listing.sku_code, HubMapping.id)
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )
    index_of = {location.mapping_id: index for index, location in enumerate(plan.locations)}
    with joining_whole_tables():
        for listing_id, mapping_id, n_units, n_shown, is_not_known in db.session.execute(query):
            index = index_of[mapping_id]
            plan.listing_ids.append(listing_id)
            plan.location_indexes.append(index)
            plan.n_unknown += bool(is_not_known)
            if n_units == 0:
                plan.n_zeros += 1
                plan.n_shown_to_zero += bool(n_shown)
                if is_not_known:
                    plan.unknown_to_zero[index] += 1
    if plan.retry_of_id is not None:
        plan.n_lines = plan.n_due


def was_refused_by(run_id: int) -> ColumnElement[bool]:
    """Return the SQL condition on lines that the run with this id got refused, or got no answer for."""
    item = SyncRunItem
    return (
        select(item.id)
        .where(
            item.run_id == run_id,
            item.outcome == ItemOutcome.REFUSED,
            item.sku_code == Listing.sku_code,
            item.seller_flex_hub_id == HubMapping.seller_flex_hub_id,
        )
        .exists()
    )


def _of_plan(plan: Plan, columns: list[Any]) -> Any:
    return lines(
        columns,
        store_id=plan.store.store_id,
        seller_id=plan.store.seller_id,
        mapping_ids=[location.mapping_id for location in plan.locations],
    )

"""Ours beside Amazon's: every catalog SKU at every active location, narrowed to where they differ."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, and_, or_, select, text
from sqlalchemy.orm import InstrumentedAttribute

from flexdash.database import begins_with
from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, Listing, PublishedStock, StockLevel, Store, Sync, SyncState
from flexdash.services import store_contents
from flexdash.services.inventory import left_behind
from flexdash.services.inventory.places import Location
from flexdash.services.inventory.quantities import is_unknown, lines, shown, wanted
from flexdash.services.inventory.remedies import remedy_of

# Where no index knows which lines fit, a page looks at so many SKUs and offers to look further.
WINDOW = 5_000
COUNTED_AT_MOST = 1_000
COUNTED_LINES = 1_000  # of those that no index knows: it takes a few milliseconds of each look at the tab
_IS_REFUSED = text("published_stock.state = 'refused'")  # in the words of the partial index


class Only(StrEnum):
    """What the list can be narrowed to."""

    DIFFERS = "differs"  # ours is not what Amazon was told last, or not what it said last
    OVERSELL = "oversell"  # Amazon shows more than there is
    REFUSED = "refused"
    NEVER_SENT = "never_sent"
    NO_LISTING = "no_listing"  # stock that the store's catalog does not have
    DELISTED = "delisted"  # taken out of the catalog while Amazon showed stock
    LEFT_BEHIND = "left_behind"  # sold by Amazon at a location that it is told nothing of any more


@dataclass(frozen=True)
class Filters:
    """What a person asked for; "" and None mean not at all. `start` is the SKU at which the window begins.

    `is_backwards`: the window goes from there towards the first SKU, and the page shows the last ones first.
    """

    only: Only | None = None
    text: str = ""  # the beginning of a SKU code
    mapping_id: int | None = None
    start: str = ""
    is_backwards: bool = False


@dataclass(frozen=True)
class Found:
    """A SELECT of lines, unpaged, and the columns to page it by, from the first SKU on.

    `looked_until` is the SKU at which the window ends, where there are more beyond it; "" when all was looked at.
    """

    lines: Select[Any]
    columns: Sequence[tuple[InstrumentedAttribute[Any], str]]
    looked_until: str = ""


@dataclass(frozen=True)
class Oversold:
    """How many lines of the first `n_skus` Amazon shows more of than there is; `is_all`: the store has no others."""

    n: int
    n_skus: int
    is_all: bool


@dataclass(frozen=True)
class DriftLine:
    """One SKU at one location. `listing` is None for stock that the catalog does not have."""

    sku_code: str
    listing: Listing | None
    hub_name: str
    seller_flex_hub_id: str
    mapping_id: int | None  # None: the location is not an active one of the store any more
    level: StockLevel | None
    ours: int  # what Amazon should show
    told: PublishedStock | None

    @property
    def theirs(self) -> int | None:
        """What Amazon shows as far as FlexDash knows, as `quantities.shown` says it; None: not known."""
        told = self.told
        if told is None:
            return None
        if told.fetched_at is not None and (told.accepted_at is None or told.fetched_at > told.accepted_at):
            return told.amazon_sellable if told.amazon_sellable is not None else told.quantity
        return told.quantity

    @property
    def is_told(self) -> bool:
        """Whether Amazon accepted exactly ours last."""
        return self.told is not None and self.told.quantity == self.ours

    @property
    def is_different_at_amazon(self) -> bool:
        """Whether Amazon, as it said itself, shows something else."""
        return self.told is not None and self.told.amazon_sellable not in (None, self.ours)

    @property
    def is_oversold(self) -> bool:
        """Whether Amazon shows more than there is."""
        return self.theirs is not None and self.theirs > self.ours

    @property
    def remedy(self) -> str:
        """What to do about Amazon's error, "" when there is none."""
        return remedy_of(self.told.error_code) if self.told is not None else ""


def found(store: Store, locations: Sequence[Location], filters: Filters) -> Found:
    """Return the lines of the store that the filters leave. `locations` are its active ones, and there is one.

    Only.LEFT_BEHIND needs none, and is narrowed to none: it is about the others.
    """
    if filters.only is Only.LEFT_BEHIND:
        condition = left_behind.is_left_behind(store.id)
        return _told_in_window(store, locations, condition, replace(filters, mapping_id=None))
    if filters.mapping_id is not None:
        locations = [one for one in locations if one.mapping_id == filters.mapping_id] or locations
    if filters.only is Only.REFUSED:
        return _told(store, locations, _IS_REFUSED, filters)
    if filters.only is Only.DELISTED:
        return _told_in_window(store, locations, and_(Listing.id.is_(None), PublishedStock.quantity > 0), filters)
    if filters.only is Only.NO_LISTING:
        return _without_listing(store, locations, filters)
    return matching(store, locations, _condition(filters.only, store.stock_buffer), filters)


def matching(
    store: Store, locations: Sequence[Location], condition: ColumnElement[bool] | None, filters: Filters
) -> Found:
    """Return the lines for which `condition` on `quantities.lines` holds; no index knows which those are.

    None lets all through. Of the filters, the text and the start of the window count.
    """
    columns = [(Listing.sku_code, "asc"), (HubMapping.id, "asc")]
    query = lines(
        [Listing, HubMapping, Hub.name, StockLevel, PublishedStock],
        store_id=store.id,
        seller_id=store.seller_id,
        mapping_ids=[location.mapping_id for location in locations],
    ).outerjoin(Hub, Hub.id == HubMapping.hub_id)
    if filters.text:
        query = query.where(begins_with(Listing.sku_code, filters.text))
    if condition is None:
        return Found(query, columns)
    until = _end_of_window(Listing.sku_code, Listing.store_id == store.id, filters)
    return Found(_within(query.where(condition), Listing.sku_code, filters, until), columns, until)


def of_listing(store: Store, locations: Sequence[Location], listing: Listing) -> list[DriftLine]:
    """Return one listing at each of `locations`, in the order of their mappings."""
    if not locations:
        return []
    query = matching(store, locations, None, Filters()).lines.where(Listing.id == listing.id)
    return [line_of(store, row) for row in db.session.execute(query.order_by(HubMapping.id))]


def to_zero(store: Store, locations: Sequence[Location], filters: Filters) -> Found:
    """Return the lines that a push now would set to zero and that Amazon shows with stock, or may show with it."""
    is_zero = wanted(store.stock_buffer) == 0
    return matching(store, locations, and_(is_zero, or_(shown() > 0, is_unknown())), filters)


def line_of(store: Store, row: Any) -> DriftLine:
    """Return one row of `found`'s lines as the page shows it."""
    known = row._mapping
    level, told = known[StockLevel], known.get(PublishedStock)
    listing, mapping = known.get(Listing), known.get(HubMapping)
    sku_code = next(one.sku_code for one in (listing, level, told) if one is not None)
    return DriftLine(
        sku_code=sku_code,
        listing=listing,
        hub_name=known[Hub.name] or "",
        seller_flex_hub_id=mapping.seller_flex_hub_id if mapping else told.seller_flex_hub_id if told else "",
        mapping_id=mapping.id if mapping else None,
        level=level,
        ours=max(0, (level.available if level else 0) - store.stock_buffer),
        told=told,
    )


def n_refused(store: Store) -> int:
    """Return how many lines Amazon refused, counted no further than one beyond COUNTED_AT_MOST."""
    some = (
        select(PublishedStock.id).where(PublishedStock.store_id == store.id, _IS_REFUSED).limit(COUNTED_AT_MOST + 1)
    ).subquery()
    return db.session.scalar(select(db.func.count()).select_from(some)) or 0


def oversold(store: Store, locations: Sequence[Location]) -> Oversold:
    """Count the lines of which Amazon shows more than there is, as `found` does with Only.OVERSELL.

    Counted are the first COUNTED_LINES of them or so. `locations` are the store's active ones, and there is one.
    """
    n_skus = max(1, COUNTED_LINES // len(locations))
    of_store = select(Listing.sku_code).where(Listing.store_id == store.id)
    until = db.session.scalar(of_store.order_by(Listing.sku_code).offset(n_skus).limit(1))
    is_listed = of_store.where(Listing.sku_code == PublishedStock.sku_code).correlate(PublishedStock).scalar_subquery()
    # From what Amazon was told, by the index of the SKUs: from the listings PostgreSQL would join whole tables.
    query = (
        select(db.func.count())
        .select_from(PublishedStock)
        .join(HubMapping, _is_at_one_of(locations))
        .outerjoin(StockLevel, _is_stock_of(store))
        .where(PublishedStock.store_id == store.id, _is_oversold(store.stock_buffer), is_listed.is_not(None))
    )
    if until is not None:
        query = query.where(PublishedStock.sku_code < until)
    return Oversold(db.session.scalar(query) or 0, n_skus, is_all=until is None)


def last_full_at(store: Store) -> datetime | None:
    """Return when everything was last pushed."""
    return db.session.scalar(
        select(SyncState.last_full_at).where(SyncState.store_id == store.id, SyncState.sync == Sync.INVENTORY_PUSH)
    )


def has_catalog(store: Store) -> bool:
    """Say whether the store's catalog has anything."""
    return not store_contents.is_catalog_empty(store)


def differs(stock_buffer: int) -> ColumnElement[bool]:
    """Return the condition on `quantities.lines` that ours is not what Amazon was told, or said, last."""
    ours = wanted(stock_buffer)
    return or_(
        PublishedStock.quantity.is_(None), PublishedStock.quantity != ours, PublishedStock.amazon_sellable != ours
    )


def _is_oversold(stock_buffer: int) -> ColumnElement[bool]:
    return shown() > wanted(stock_buffer)


def _condition(only: Only | None, stock_buffer: int) -> ColumnElement[bool] | None:
    match only:
        case Only.DIFFERS:
            return differs(stock_buffer)
        case Only.OVERSELL:
            return _is_oversold(stock_buffer)
        case Only.NEVER_SENT:
            return PublishedStock.sent_at.is_(None)
        case _:
            return None


def _is_at_one_of(locations: Sequence[Location]) -> ColumnElement[bool]:
    return and_(
        HubMapping.store_id == PublishedStock.store_id,
        HubMapping.seller_flex_hub_id == PublishedStock.seller_flex_hub_id,
        HubMapping.id.in_([location.mapping_id for location in locations]),
    )


def _is_stock_of(store: Store) -> ColumnElement[bool]:
    return and_(
        StockLevel.hub_id == HubMapping.hub_id,
        StockLevel.seller_id == store.seller_id,
        StockLevel.sku_code == PublishedStock.sku_code,
    )


def _told(
    store: Store, locations: Sequence[Location], condition: ColumnElement[bool] | TextClause, filters: Filters
) -> Found:
    """Return the lines that Amazon was told of, whether the catalog has them or not, for which `condition` holds."""
    query = (
        select(PublishedStock, Listing, HubMapping, Hub.name, StockLevel)
        .outerjoin(
            Listing, and_(Listing.store_id == PublishedStock.store_id, Listing.sku_code == PublishedStock.sku_code)
        )
        .outerjoin(HubMapping, _is_at_one_of(locations))
        .outerjoin(Hub, Hub.id == HubMapping.hub_id)
        .outerjoin(StockLevel, _is_stock_of(store))
        .where(PublishedStock.store_id == store.id, condition)
    )
    if filters.mapping_id is not None:
        query = query.where(PublishedStock.seller_flex_hub_id.in_([one.seller_flex_hub_id for one in locations]))
    if filters.text:
        query = query.where(begins_with(PublishedStock.sku_code, filters.text))
    return Found(query, [(PublishedStock.sku_code, "asc"), (PublishedStock.id, "asc")])


def _told_in_window(
    store: Store, locations: Sequence[Location], condition: ColumnElement[bool], filters: Filters
) -> Found:
    """Return the lines of `_told` where no index knows for which `condition` holds."""
    until = _end_of_window(PublishedStock.sku_code, PublishedStock.store_id == store.id, filters)
    found = _told(store, locations, condition, filters)
    return Found(_within(found.lines, PublishedStock.sku_code, filters, until), found.columns, until)


def _without_listing(store: Store, locations: Sequence[Location], filters: Filters) -> Found:
    is_listed = select(Listing.id).where(Listing.store_id == store.id, Listing.sku_code == StockLevel.sku_code)
    of_seller = StockLevel.seller_id == store.seller_id
    query = (
        select(StockLevel, Hub.name)
        .outerjoin(Hub, Hub.id == StockLevel.hub_id)
        .where(
            of_seller,
            StockLevel.hub_id.in_([location.hub_id for location in locations]),
            is_listed.correlate(StockLevel).scalar_subquery().is_(None),
        )
    )
    if filters.text:
        query = query.where(begins_with(StockLevel.sku_code, filters.text))
    until = _end_of_window(StockLevel.sku_code, of_seller, filters)
    columns = [(StockLevel.sku_code, "asc"), (StockLevel.id, "asc")]
    return Found(_within(query, StockLevel.sku_code, filters, until), columns, until)


def _end_of_window(code: InstrumentedAttribute[str], condition: ColumnElement[bool], filters: Filters) -> str:
    """Return the SKU that lies WINDOW of them beyond the start, "" when there are fewer."""
    query = _from_start(select(code).where(condition), code, filters)
    if filters.text:
        query = query.where(begins_with(code, filters.text))
    order = code.desc() if filters.is_backwards else code
    return db.session.scalar(query.order_by(order).offset(WINDOW).limit(1)) or ""


def _within(query: Select[Any], code: InstrumentedAttribute[str], filters: Filters, until: str) -> Select[Any]:
    query = _from_start(query, code, filters)
    if not until:
        return query
    return query.where(code > until if filters.is_backwards else code < until)


def _from_start(query: Select[Any], code: InstrumentedAttribute[str], filters: Filters) -> Select[Any]:
    if not filters.start:
        return query
    return query.where(code <= filters.start if filters.is_backwards else code >= filters.start)

"""Reading stock: the list with its filters, what Amazon was told of it, one level with its ledger, and the export."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, text, tuple_
from sqlalchemy.orm import joinedload

from flexdash.database import begins_with, release_connection
from flexdash.extensions import db
from flexdash.models import (
    HubMapping,
    Listing,
    Order,
    OrderStock,
    PublishedStock,
    Sku,
    StockCause,
    StockLevel,
    StockMovement,
    Store,
    StoreStatus,
)
from flexdash.models.stock import IS_NONE_LEFT
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible

WITH_PLACES = (joinedload(StockLevel.hub), joinedload(StockLevel.seller))  # what a page shows of each level
LIVE = (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)
EXPORT_HEADINGS = ("seller", "hub_code", "sku_code", "name", "on_hand", "reserved", "available", "on_amazon")
ROWS_AT_A_TIME = 1_000
MAX_ORDERS = 50
_RESERVATIONS_READ = 500  # the newest of a level: enough to show the newest that are still reserved


class Only(StrEnum):
    """What the list can be narrowed to."""

    NONE_LEFT = "none_left"
    NOT_LISTED = "not_listed"  # in no catalog of a connected store of the seller


@dataclass(frozen=True)
class Filters:
    """What a person asked for; "" and None mean not at all."""

    seller_id: int | None = None
    hub_id: int | None = None
    text: str = ""  # the beginning of a SKU code
    only: Only | None = None


@dataclass(frozen=True)
class Told:
    """What one store of the seller has about a level: whether it lists the SKU, and what passed with Amazon."""

    store_id: int
    store_name: str
    seller_flex_hub_id: str
    is_listed: bool
    published: PublishedStock | None  # None: Amazon was told nothing and asked nothing


@dataclass(frozen=True)
class Known:
    """What is known of a level besides its numbers."""

    name: str  # "" where nobody has named it
    is_listed: bool  # in a connected store of its seller
    told: tuple[Told, ...]  # one for each connected store in which the hub has a Seller Flex Hub ID


@dataclass(frozen=True)
class Reserving:
    """An order that has some of a level reserved."""

    order: Order
    n_units: int


def is_not_listed() -> ColumnElement[bool]:
    """Return the condition that no connected store of the level's seller lists its SKU."""
    in_store = select(Listing.id).where(Listing.store_id == Store.id, Listing.sku_code == StockLevel.sku_code).limit(1)
    in_any = (
        select(func.max(in_store.correlate(Store, StockLevel).scalar_subquery()))
        .where(Store.seller_id == StockLevel.seller_id, Store.status.in_(LIVE))
        .correlate(StockLevel)
    )
    # Neither NOT EXISTS nor a join: PostgreSQL would read all listings for that. This is asked level by level, up to a
    # page full, and store by store, so that each answer is one look into an index.
    return in_any.scalar_subquery().is_(None)


def of_workspace(actor: Actor, filters: Filters) -> Select[tuple[StockLevel]]:
    """Return the SELECT of the levels that `actor` may see, unordered and unpaged.

    It is narrowed by every filter but NOT_LISTED, for which no index can be: `is_not_listed`, `paging.sifted_page`.
    """
    query = access.visible(actor, StockLevel)
    if filters.seller_id is not None:
        query = query.where(StockLevel.seller_id == filters.seller_id)
    if filters.hub_id is not None:
        query = query.where(StockLevel.hub_id == filters.hub_id)
    if filters.only is Only.NONE_LEFT:
        query = query.where(text(IS_NONE_LEFT))  # in the words of the partial indexes
    if sought := filters.text.strip():
        query = query.where(begins_with(StockLevel.sku_code, _as_kept(query, sought)))
    return query


def get(actor: Actor, level_id: int) -> StockLevel:
    """Return one level with its hub and seller, read fresh; raise NotVisible."""
    query = access.visible(actor, StockLevel).where(StockLevel.id == level_id)
    query = query.options(*WITH_PLACES)
    level = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if level is None:
        raise NotVisible("stock")
    return level


def known(levels: Sequence[StockLevel]) -> dict[int, Known]:
    """Return what is known of each of `levels` besides its numbers, by the level's id. Takes four queries."""
    if not levels:
        return {}
    seller_ids, codes = {level.seller_id for level in levels}, {level.sku_code for level in levels}
    stores = _stores(seller_ids, {level.hub_id for level in levels})
    listings = _listings(seller_ids, codes)
    names = _names(seller_ids, codes)
    published = _published(seller_ids, codes)
    found = {}
    for level in levels:
        own = [store for store in stores if store.seller_id == level.seller_id]
        listed = [name for store in own if (name := listings.get((store.store_id, level.sku_code))) is not None]
        name = listed[0] if listed else names.get((level.seller_id, level.sku_code), "")
        told = tuple(
            Told(
                store.store_id,
                store.name,
                location,
                (store.store_id, level.sku_code) in listings,
                published.get((store.store_id, location, level.sku_code)),
            )
            for store in own
            if (location := store.locations.get(level.hub_id))
        )
        found[level.id] = Known("" if name == level.sku_code else name, bool(listed), told)
    return found


def ledger(level: StockLevel) -> Select[tuple[StockMovement]]:
    """Return the SELECT of the level's ledger rows, unordered and unpaged."""
    return select(StockMovement).where(StockMovement.stock_level_id == level.id)


def reserving(level: StockLevel) -> list[Reserving]:
    """Return the orders that have some of the level reserved, the newest first and at most MAX_ORDERS.

    They are found in the newest part of the ledger: a level with very many reservations may have older ones besides.
    """
    if not level.reserved:
        return []
    newest = (
        select(StockMovement.order_id, StockMovement.reserved_change)
        .where(StockMovement.stock_level_id == level.id, StockMovement.cause == StockCause.RESERVATION)
        .order_by(StockMovement.id.desc())
        .limit(_RESERVATIONS_READ)
        .subquery()
    )
    query = (
        select(Order, newest.c.reserved_change)
        .join(newest, newest.c.order_id == Order.id)
        .where(Order.stock == OrderStock.RESERVED, Order.hub_id == level.hub_id)
        .options(joinedload(Order.store))
        .order_by(Order.id.desc())
        .limit(MAX_ORDERS)
    )
    found: dict[int, Reserving] = {}
    for order, n_units in db.session.execute(query):
        found.setdefault(order.id, Reserving(order, n_units))  # once, though it came back to this hub
    return list(found.values())


def at_hub(seller_id: int, hub_id: int | None, sku_codes: Iterable[str]) -> dict[str, StockLevel]:
    """Return the levels of these SKUs in one hub, by SKU code."""
    if hub_id is None:
        return {}
    query = select(StockLevel).where(
        StockLevel.hub_id == hub_id, StockLevel.seller_id == seller_id, StockLevel.sku_code.in_(set(sku_codes))
    )
    return {level.sku_code: level for level in db.session.scalars(query)}


def export_rows(actor: Actor, filters: Filters) -> Iterator[tuple[Any, ...]]:
    """Yield the levels that `filters` let through, by SKU, under EXPORT_HEADINGS; a thousand at a time.

    The database connection is given back between the portions: a slow download holds nothing.
    """
    query = of_workspace(actor, filters)
    if filters.only is Only.NOT_LISTED:
        query = query.where(is_not_listed())
    query = query.options(*WITH_PLACES).order_by(StockLevel.sku_code, StockLevel.id).limit(ROWS_AT_A_TIME)
    portion = query
    while True:
        levels = db.session.scalars(portion).all()
        about = known(levels)
        cells = [_cells(level, about[level.id]) for level in levels]
        last = (levels[-1].sku_code, levels[-1].id) if levels else ("", 0)
        release_connection()
        yield from cells
        if len(cells) < ROWS_AT_A_TIME:
            return
        bound = tuple_(literal(last[0]), literal(last[1]))
        portion = query.where(tuple_(StockLevel.sku_code, StockLevel.id) > bound)


@dataclass
class _Store:
    store_id: int
    name: str
    seller_id: int
    locations: dict[int, str]  # Seller Flex Hub ID by hub


def _stores(seller_ids: set[int], hub_ids: set[int]) -> list[_Store]:
    """Return the connected stores of the sellers, by name, with the ids that these hubs have there."""
    query = (
        select(Store.id, Store.name, Store.seller_id, HubMapping.hub_id, HubMapping.seller_flex_hub_id)
        .outerjoin(HubMapping, and_(HubMapping.store_id == Store.id, HubMapping.hub_id.in_(hub_ids)))
        .where(Store.seller_id.in_(seller_ids), Store.status.in_(LIVE))
        .order_by(Store.name, Store.id)
    )
    found: dict[int, _Store] = {}
    for store_id, name, seller_id, hub_id, location in db.session.execute(query):
        store = found.setdefault(store_id, _Store(store_id, name, seller_id, {}))
        if hub_id is not None:
            store.locations[hub_id] = location
    return list(found.values())


def _listings(seller_ids: set[int], codes: set[str]) -> dict[tuple[int, str], str]:
    query = (
        select(Listing.store_id, Listing.sku_code, Listing.name)
        .join(Store, Store.id == Listing.store_id)
        .where(Store.seller_id.in_(seller_ids), Store.status.in_(LIVE), Listing.sku_code.in_(codes))
    )
    return {(store_id, code): name for store_id, code, name in db.session.execute(query)}


def _names(seller_ids: set[int], codes: set[str]) -> dict[tuple[int, str], str]:
    query = select(Sku.seller_id, Sku.sku_code, Sku.name).where(Sku.seller_id.in_(seller_ids), Sku.sku_code.in_(codes))
    return {(seller_id, code): name for seller_id, code, name in db.session.execute(query)}


def _published(seller_ids: set[int], codes: set[str]) -> dict[tuple[int, str, str], PublishedStock]:
    query = (
        select(PublishedStock)
        .join(Store, Store.id == PublishedStock.store_id)
        .where(Store.seller_id.in_(seller_ids), Store.status.in_(LIVE), PublishedStock.sku_code.in_(codes))
    )
    rows = db.session.scalars(query)
    return {(row.store_id, row.seller_flex_hub_id, row.sku_code): row for row in rows}


def _cells(level: StockLevel, about: Known) -> tuple[Any, ...]:
    on_amazon = "yes" if about.is_listed else "no listing"
    numbers = (level.on_hand, level.reserved, level.available)
    return (level.seller.name, level.hub.code, level.sku_code, about.name, *numbers, on_amazon)


def _as_kept(query: Select[tuple[StockLevel]], sought: str) -> str:
    """Return `sought` in the letters that a SKU code begins with: as typed, else all capital, else all small."""
    for written in dict.fromkeys((sought, sought.upper(), sought.lower())):
        one = query.with_only_columns(StockLevel.id).where(begins_with(StockLevel.sku_code, written)).limit(1)
        if db.session.scalar(one) is not None:
            return written
    return sought

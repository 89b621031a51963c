"""The evidence pack of one SKU: in one store, or in every store that sells it from a hub's stock."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import undefer

from flexdash.extensions import db
from flexdash.models import (
    ApiCall,
    Listing,
    Order,
    OrderLine,
    PublishedStock,
    StockLevel,
    StockMovement,
    Store,
    SyncRun,
)
from flexdash.services import access, listing_queries, run_sheets, stock_queries
from flexdash.services.actors import Actor
from flexdash.services.evidence import pack as packs
from flexdash.services.evidence.pack import MOST_ROWS, Contents, Pack
from flexdash.services.order_numbers import number_of
from flexdash.services.run_sheets import Kept

MOST_SHEETS = 3_000  # of each store's newest: a month of hourly pushes of what changed, or a dozen full ones
MOST_ORDERS = 200
MOST_STORES = 10


def listing_pack(actor: Actor, store_id: int, listing_id: int) -> Pack:
    """Return everything that is kept of a listing's SKU in its store; raise NotVisible."""
    store = access.get(actor, Store, store_id)
    sku_code = listing_queries.get(actor, store_id, listing_id).sku_code
    return _pack(actor, sku_code, store.seller_id, [store])


def stock_pack(actor: Actor, level_id: int) -> Pack:
    """Return everything that is kept of a stock level's SKU in the stores of its seller; raise NotVisible."""
    level = stock_queries.get(actor, level_id)
    stores = access.visible(actor, Store).where(Store.seller_id == level.seller_id, Store.connected_at.is_not(None))
    found = db.session.scalars(stores.order_by(Store.id).limit(MOST_STORES)).all()
    return _pack(actor, level.sku_code, level.seller_id, found)


def _pack(actor: Actor, sku_code: str, seller_id: int, stores: Sequence[Store]) -> Pack:
    store_ids = [store.id for store in stores]
    lines = [line for store in stores for line in packs.store_lines(store)]
    outcomes: list[Kept] = []
    for store_id in store_ids:
        outcomes += run_sheets.search_store(store_id, [sku_code], MOST_ROWS + 1, MOST_SHEETS // len(store_ids))
    outcomes.sort(key=lambda kept: kept.at, reverse=True)
    contents = Contents()
    contents.table("timeline.csv", _LEDGER_HEADINGS, _ledger(actor, sku_code, seller_id))
    calls = _calls(actor, sku_code, store_ids, {kept.item.request_id for kept in outcomes[:500]} - {""})
    contents.table("calls.csv", packs.CALL_HEADINGS, [packs.call_row(call) for call in calls])
    run_ids = {call.run_id for call in calls} | {kept.run_id for kept in outcomes[:MOST_ROWS]}
    runs = access.visible(actor, SyncRun).where(SyncRun.id.in_(run_ids - {None})).order_by(SyncRun.id.desc())
    contents.table("runs.csv", packs.RUN_HEADINGS, [packs.run_row(run) for run in db.session.scalars(runs)])
    contents.table("outcomes.csv", packs.OUTCOME_HEADINGS, [packs.outcome_row(kept) for kept in outcomes])
    contents.table("orders.csv", _ORDER_HEADINGS, _orders(actor, sku_code, store_ids))
    contents.facts("state.json", _state(actor, sku_code, seller_id, store_ids))
    return contents.finish(actor, f"Evidence for SKU {sku_code}", lines, f"sku-{sku_code}")


_LEDGER_HEADINGS = (
    "at",
    "hub",
    "cause",
    "on_hand_change",
    "reserved_change",
    "on_hand_after",
    "reserved_after",
    "who",
    "order",
    "note",
)
_ORDER_HEADINGS = (
    "order",
    "state",
    "amazon_order_id",
    "amazon_shipment_id",
    "units",
    "placed_at",
    "seller_flex_hub_id",
)


def _levels(actor: Actor, sku_code: str, seller_id: int) -> Sequence[StockLevel]:
    own = access.visible(actor, StockLevel).where(StockLevel.seller_id == seller_id, StockLevel.sku_code == sku_code)
    return db.session.scalars(own.order_by(StockLevel.id)).all()


def _ledger(actor: Actor, sku_code: str, seller_id: int) -> list[list[Any]]:
    hubs = {level.id: level.hub.name for level in _levels(actor, sku_code, seller_id)}
    query = select(StockMovement).where(StockMovement.stock_level_id.in_(hubs)).order_by(StockMovement.id.desc())
    return [
        [
            row.occurred_at,
            hubs[row.stock_level_id],
            row.cause.value,
            row.on_hand_change,
            row.reserved_change,
            row.on_hand_after,
            row.reserved_after,
            row.actor_name,
            number_of(row.order_id) if row.order_id else "",
            row.note,
        ]
        for row in db.session.scalars(query.limit(MOST_ROWS + 1))
    ]


def _calls(actor: Actor, sku_code: str, store_ids: list[int], request_ids: set[str]) -> Sequence[ApiCall]:
    # The second condition of the second way is always true; with it the partial index serves.
    went_along = ApiCall.amazon_request_id.in_(request_ids) & (ApiCall.amazon_request_id != "")
    about = or_(ApiCall.sku_code == sku_code, went_along)
    query = access.visible(actor, ApiCall).where(ApiCall.store_id.in_(store_ids), about)
    query = query.options(undefer(ApiCall.sent), undefer(ApiCall.answered))
    return db.session.scalars(query.order_by(ApiCall.id.desc()).limit(MOST_ROWS + 1)).all()


def _orders(actor: Actor, sku_code: str, store_ids: list[int]) -> list[list[Any]]:
    query = (
        access.visible(actor, Order)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(OrderLine.sku_code == sku_code, Order.store_id.in_(store_ids))
        .add_columns(OrderLine.n_units)
        .order_by(OrderLine.order_id.desc())
        .limit(MOST_ORDERS)
    )
    return [
        [
            number_of(order.id),
            order.state.value,
            order.amazon_order_id,
            order.amazon_shipment_id,
            n_units,
            order.placed_at,
            order.seller_flex_hub_id,
        ]
        for order, n_units in db.session.execute(query)
    ]


def _state(actor: Actor, sku_code: str, seller_id: int, store_ids: list[int]) -> dict[str, Any]:
    listings = access.visible(actor, Listing).where(Listing.store_id.in_(store_ids), Listing.sku_code == sku_code)
    told = access.visible(actor, PublishedStock).where(
        PublishedStock.store_id.in_(store_ids), PublishedStock.sku_code == sku_code
    )
    return {
        "sku": sku_code,
        "stock": [
            {"hub": level.hub.name, "on_hand": level.on_hand, "reserved": level.reserved, "available": level.available}
            for level in _levels(actor, sku_code, seller_id)
        ],
        "listings": [
            {
                "store_id": one.store_id,
                "asin": one.asin,
                "name": one.name,
                "mrp": one.mrp,
                "price": one.price,
                "price_state": one.price_state.value,
                "price_changed_at": one.price_changed_at,
                "price_sent_at": one.price_sent_at,
                "price_applied_at": one.price_applied_at,
                "price_message": one.price_message,
            }
            for one in db.session.scalars(listings.order_by(Listing.id))
        ],
        "told_to_amazon": [
            {
                "store_id": one.store_id,
                "seller_flex_hub_id": one.seller_flex_hub_id,
                "accepted_quantity": one.quantity,
                "accepted_at": one.accepted_at,
                "sent_quantity": one.sent_quantity,
                "sent_at": one.sent_at,
                "state": one.state.value if one.state else None,
                "sequence_number": one.sequence_number,
                "error_code": one.error_code,
                "error_message": one.error_message,
                "amazon_sellable": one.amazon_sellable,
                "amazon_reserved": one.amazon_reserved,
                "amazon_asked_at": one.fetched_at,
            }
            for one in db.session.scalars(told.order_by(PublishedStock.id))
        ],
    }

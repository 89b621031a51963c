"""The evidence pack of an order that is not here, or whose shipment waits in quarantine: all that is kept of its id."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Order, QuarantinedShipment, Store, StoreStatus, Sync, SyncRun, SyncState
from flexdash.services import access, run_sheets
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import pasted as pasting
from flexdash.services.errors import FieldRefused
from flexdash.services.evidence import of_order
from flexdash.services.evidence import pack as packs
from flexdash.services.evidence.pack import MOST_ROWS, Contents, Pack
from flexdash.services.order_numbers import number_of
from flexdash.services.order_pages import QUARANTINE_ID_LENGTH, UNREADABLE

_IS_UNREADABLE = re.compile(f"{UNREADABLE}[0-9a-f]{{64}}")  # the SHA-256 of a payload
MOST_STORES = 20
MOST_SHEETS = 6_000  # of the newest of all stores together
_QUARANTINE_HEADINGS = (
    "amazon_shipment_id",
    "store",
    "in_words",
    "first_seen_at",
    "last_tried_at",
    "times_seen",
    "resolved_at",
    "sync_run",
)


def pack(actor: Actor, text: str, store_id: int | None = None) -> Pack:
    """Return everything that is kept of an id of Amazon's, in one store or in all that `actor` may see.

    Where it is the id of one order that is here, that order's pack. Raises FieldRefused for `q` when `text` is no such
    id, and NotVisible for the store.
    """
    amazon_id = text if _IS_UNREADABLE.fullmatch(text) else _id_in(actor, text)
    if isinstance(amazon_id, int):
        return of_order.pack(actor, amazon_id)
    stores = _stores(actor, store_id)
    store_ids = [store.id for store in stores]
    outcomes = _outcomes(store_ids, [amazon_id])
    # An order's id is no name that calls and quarantine know: what runs did with it names its shipments.
    shipment_ids = {amazon_id[:QUARANTINE_ID_LENGTH]} | {kept.item.name for kept in outcomes if kept.item.name}
    waiting = _quarantined(actor, store_ids, shipment_ids)
    calls = of_order.calls_about(store_ids, shipment_ids, outcomes)
    run_ids = {call.run_id for call in calls} | {kept.run_id for kept in outcomes} | {row.run_id for row in waiting}
    runs = access.visible(actor, SyncRun).where(SyncRun.id.in_(run_ids - {None})).order_by(SyncRun.id.desc())
    contents = Contents(_buyer_mask(actor, store_ids, shipment_ids))
    contents.table("quarantine.csv", _QUARANTINE_HEADINGS, [_quarantine_row(row) for row in waiting])
    contents.table("calls.csv", packs.CALL_HEADINGS, [packs.call_row(call) for call in calls])
    found = db.session.scalars(runs.limit(MOST_ROWS + 1)).all()
    contents.table("runs.csv", packs.RUN_HEADINGS, [packs.run_row(run) for run in found])
    contents.table("outcomes.csv", packs.OUTCOME_HEADINGS, [packs.outcome_row(kept) for kept in outcomes])
    contents.facts("state.json", {"asked_for": amazon_id, "is_here": False, "stores": _states(stores)})
    return contents.finish(
        actor,
        f"Evidence for {amazon_id}, which is no order in FlexDash",
        [line for store in stores for line in packs.store_lines(store)],
        f"not-here-{amazon_id}",
    )


def order_named(actor: Actor, text: str) -> int | None:
    """Return our id of the one order that `text` names and `actor` may see; None when it names none, or several."""
    try:
        orders = pasting.orders_here(actor, pasting.read(text))
    except FieldRefused:
        return None
    return orders[0].id if len(orders) == 1 else None


def _buyer_mask(actor: Actor, store_ids: Sequence[int], shipment_ids: Collection[str]) -> Callable[[str], str]:
    """Return what takes out the buyers of the orders here whose calls the pack may have."""
    here = access.visible(actor, Order).where(
        Order.store_id.in_(store_ids), Order.amazon_shipment_id.in_(sorted(shipment_ids))
    )
    masks = [of_order.buyer_mask(order) for order in db.session.scalars(here)]

    def mask(text: str) -> str:
        for one in masks:
            text = one(text)
        return text

    return mask


def _id_in(actor: Actor, text: str) -> str | int:
    """Return Amazon's id in `text`, or our own of the one order that it names."""
    pasted = pasting.read(text)
    orders = pasting.orders_here(actor, pasted)
    if len(orders) == 1:
        return orders[0].id
    if orders:
        names = ", ".join(f"{number_of(order.id)} ({order.amazon_shipment_id})" for order in orders[:5])
        raise FieldRefused(
            "q", f"These orders of FlexDash have it: {names}. Each has an evidence pack on its own page."
        )
    if pasted.problem or not pasted.amazon_id:
        raise FieldRefused("q", pasted.problem or "You have no order with this number. Paste Amazon's id of it.")
    return pasted.amazon_id


def _stores(actor: Actor, store_id: int | None) -> Sequence[Store]:
    if store_id is not None:
        return [access.get(actor, Store, store_id)]
    ever_connected = access.visible(actor, Store).where(Store.status != StoreStatus.DRAFT)
    return db.session.scalars(ever_connected.order_by(Store.id).limit(MOST_STORES)).all()


def _outcomes(store_ids: Sequence[int], names: Sequence[str]) -> list[run_sheets.Kept]:
    found = [
        kept
        for store_id in store_ids
        for kept in run_sheets.search_store(store_id, names, MOST_ROWS + 1, MOST_SHEETS // len(store_ids))
    ]
    return sorted(found, key=lambda kept: kept.at, reverse=True)


def _quarantined(actor: Actor, store_ids: Sequence[int], shipment_ids: set[str]) -> Sequence[QuarantinedShipment]:
    row = QuarantinedShipment
    query = access.visible(actor, row).where(row.store_id.in_(store_ids), row.amazon_shipment_id.in_(shipment_ids))
    return db.session.scalars(query.order_by(row.id.desc()).limit(MOST_ROWS + 1)).all()


def _quarantine_row(row: QuarantinedShipment) -> list[Any]:
    moments = [row.first_seen_at, row.last_seen_at, row.n_times_seen, row.resolved_at]
    return [row.amazon_shipment_id, row.store.name, row.error_sentence, *moments, row.run_id]


def _states(stores: Sequence[Store]) -> list[dict[str, Any]]:
    """Return of each store what decides whether an order comes in."""
    pulls = select(SyncState).where(
        SyncState.store_id.in_([store.id for store in stores]), SyncState.sync == Sync.ORDER_PULL
    )
    state_of = {state.store_id: state for state in db.session.scalars(pulls)}
    return [
        {
            "store": store.name,
            "connection": store.status.value,
            "is_order_sync_on": store.is_order_sync_on,
            "last_good_run_at": state.last_success_at if (state := state_of.get(store.id)) else None,
            "read_up_to": state.watermark if state else None,
        }
        for store in stores
    ]

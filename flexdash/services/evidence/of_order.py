"""The evidence pack of one order."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import undefer

from flexdash.extensions import db, vault
from flexdash.models import (
    AmazonReturn,
    ApiCall,
    ItemFate,
    Order,
    OrderConflict,
    OrderDocument,
    OrderEvent,
    OrderPackage,
    OrderStep,
    SyncRun,
)
from flexdash.services import access, orders, run_sheets
from flexdash.services.actors import Actor
from flexdash.services.buyer_words import BuyerMask, mask_of
from flexdash.services.errors import ServiceError
from flexdash.services.evidence import pack as packs
from flexdash.services.evidence.pack import MOST_ROWS, Contents, Pack
from flexdash.services.order_numbers import number_of
from flexdash.services.run_sheets import Kept
from flexdash.vault import UnreadableSecret

MOST_RUNS = 200  # the first that its timeline names
MOST_BROUGHT = 500
MOST_SHEETS = 3_000  # of the store's newest, looked through for what runs did with the order
# Who looked at the buyer is a matter of the house, and no evidence.
_NOT_TOLD = ("revealed",)


def pack(actor: Actor, order_id: int) -> Pack:
    """Return everything that is kept of one order but its buyer; raise NotVisible."""
    order = orders.load(actor, order_id)
    contents = Contents(buyer_mask(order))
    events = [event for event in order.events if event.kind not in _NOT_TOLD]
    outcomes = _outcomes(order, events)
    calls = calls_about([order.store_id], [order.amazon_shipment_id], outcomes)
    contents.table(
        "timeline.csv",
        ("at", "kind", "what", "who", "sync_run"),
        [_event_row(event) for event in reversed(events)],
    )
    contents.table("calls.csv", packs.CALL_HEADINGS, [packs.call_row(call) for call in calls])
    run_ids = {event.run_id for event in events} | {call.run_id for call in calls} | {kept.run_id for kept in outcomes}
    contents.table("runs.csv", packs.RUN_HEADINGS, [packs.run_row(run) for run in _runs(actor, run_ids)])
    contents.table("outcomes.csv", packs.OUTCOME_HEADINGS, [packs.outcome_row(kept) for kept in outcomes])
    steps = db.session.scalars(select(OrderStep).where(OrderStep.order_id == order.id).order_by(OrderStep.id)).all()
    contents.table(
        "steps.csv",
        ("step", "state", "attempts", "made_at", "done_at", "error_code", "in_words"),
        [
            [s.kind.value, s.state.value, s.n_attempts, s.made_at, s.done_at, s.error_code, s.error_sentence]
            for s in reversed(steps)
        ],
    )
    contents.facts("state.json", _state(order))
    number = number_of(order.id)
    subject = f"Evidence for order {number}: Amazon's order {order.amazon_order_id or 'id not known'}, shipment "
    return contents.finish(
        actor,
        subject + order.amazon_shipment_id,
        packs.store_lines(order.store),
        f"{number}-{order.amazon_order_id or order.amazon_shipment_id}",
    )


def buyer_mask(order: Order) -> BuyerMask:
    """Return what takes the buyer out of every text of the pack."""
    try:
        return mask_of(order.buyer_encrypted, vault)
    except UnreadableSecret:
        raise ServiceError(
            "No evidence pack was made: the key that opens this order's buyer data is missing from ENCRYPTION_KEYS, "
            "and without it nobody can make sure that the pack has none of it. Tell whoever runs FlexDash to put it "
            "back."
        ) from None


def _outcomes(order: Order, events: Sequence[OrderEvent]) -> list[Kept]:
    """Return what runs did with the order, the newest first: those its timeline names, and the store's newest."""
    names = [order.amazon_shipment_id]
    named = {event.run_id for event in events if event.run_id is not None}
    found = run_sheets.search_runs(sorted(named)[:MOST_RUNS], names, MOST_ROWS + 1)
    newest = run_sheets.search_store(order.store_id, names, MOST_ROWS + 1, MOST_SHEETS)
    found += [kept for kept in newest if kept.run_id not in named]
    return sorted(found, key=lambda kept: kept.at, reverse=True)


def calls_about(store_ids: Sequence[int], shipment_ids: Collection[str], outcomes: Sequence[Kept]) -> Sequence[ApiCall]:
    """Return the calls about these shipments alone, and those of lists that brought them or brought their news."""
    # What a list repeats, each half hour, is no news of it.
    brought = [kept.item.request_id for kept in outcomes if kept.item.fate is not ItemFate.UNCHANGED]
    # The second condition of the second way is always true; with it the partial index serves.
    came_with = ApiCall.amazon_request_id.in_(dict.fromkeys(brought[:MOST_BROUGHT])) & (ApiCall.amazon_request_id != "")
    about = or_(ApiCall.amazon_shipment_id.in_(shipment_ids), came_with)
    query = select(ApiCall).where(about, ApiCall.store_id.in_(store_ids))
    query = query.options(undefer(ApiCall.sent), undefer(ApiCall.answered))
    return db.session.scalars(query.order_by(ApiCall.id.desc()).limit(MOST_ROWS + 1)).all()


def _runs(actor: Actor, run_ids: set[int | None]) -> Sequence[SyncRun]:
    query = access.visible(actor, SyncRun).where(SyncRun.id.in_(run_ids - {None}))
    return db.session.scalars(query.order_by(SyncRun.id.desc()).limit(MOST_ROWS + 1)).all()


def _event_row(event: OrderEvent) -> list[Any]:
    return [event.occurred_at, event.kind, event.sentence, event.actor_name, event.run_id]


def _state(order: Order) -> dict[str, Any]:
    of_order = lambda model: select(model).where(model.order_id == order.id).order_by(model.id)  # noqa: E731
    packages = db.session.scalars(of_order(OrderPackage)).all()
    documents = db.session.scalars(of_order(OrderDocument)).all()
    conflicts = db.session.scalars(of_order(OrderConflict)).all()
    returns = db.session.scalars(of_order(AmazonReturn)).all()
    return {
        "number": number_of(order.id),
        "state": order.state.value,
        "amazon_order_id": order.amazon_order_id,
        "amazon_shipment_id": order.amazon_shipment_id,
        "amazon_status": order.amazon_status,
        "amazon_sub_status": order.amazon_sub_status,
        "seller_flex_hub_id": order.seller_flex_hub_id,
        "hub": order.hub.name if order.hub else None,
        "stock": order.stock.value,
        "acknowledgement": order.acknowledgement.value,
        "acknowledgement_message": order.acknowledgement_message,
        "cancellation": order.cancellation.value,
        "cancellation_message": order.cancellation_message,
        "cancelled_by": order.cancelled_by,
        "times": {
            name: getattr(order, name)
            for name in (
                "placed_at",
                "amazon_created_at",
                "amazon_updated_at",
                "imported_at",
                "acknowledged_at",
                "ship_by_at",
                "picked_at",
                "packed_at",
                "ready_at",
                "shipped_at",
                "delivered_at",
                "cancelled_at",
            )
        },
        "total": order.total,
        "currency": order.currency,
        "lines": [
            {
                "amazon_line_id": line.amazon_line_id,
                "sku": line.sku_code,
                "units": line.n_units,
                "item_total": line.item_total,
                "tax_total": line.tax_total,
                "total": line.total,
                "currency": line.currency,
            }
            for line in order.lines
        ],
        "holds": [{"reason": one.reason.value, "detail": one.detail, "since": one.created_at} for one in order.holds],
        "packages": [
            {
                "package_id": package.package_id,
                "is_at_amazon": package.is_at_amazon,
                "carrier": package.carrier_name,
                "tracking_number": package.tracking_number,
            }
            for package in packages
        ],
        "documents": [
            {"kind": document.kind.value, "package_id": document.package_id, "bytes": document.n_bytes}
            | {"made_at": document.made_at}
            for document in documents
        ],
        "conflicts": [
            {"sentence": one.sentence, "made_at": one.made_at, "closed_at": one.closed_at, "note": one.note}
            for one in conflicts
        ],
        "returns": [
            {"amazon_return_id": one.amazon_return_id, "amazon_status": one.amazon_status, "sku": one.sku_code}
            for one in returns
        ],
    }

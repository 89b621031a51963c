"""Amazon's news about an order that is already here: applied forward only, never back.

What the news does to the order's state is for the state machine to say (`order_states`); what does not fit any more
becomes a conflict that a person sees and closes.
"""

from typing import Any

from sqlalchemy import delete, insert, update

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db, vault
from flexdash.models import (
    Acknowledgement,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderHold,
    OrderState,
    OrderStep,
    StepKind,
    StepState,
)
from flexdash.services.buyer_words import hides_everything, mask_of
from flexdash.services.order_rows import from_amazon, hold_rows
from flexdash.services.order_states import AMAZONS, Event, Kind, outcome
from flexdash.services.order_stock import StockDesk
from flexdash.services.order_work import invoices, transitions
from flexdash.services.routing import Route
from flexdash.vault import UnreadableSecret

_EVENTS = {state: event for event, state in AMAZONS.items()}
_OUR_OWN_STEPS = (Event.AMAZON_PICKED, Event.AMAZON_PACKED)


def is_news(order: Order, shipment: Shipment) -> bool:
    """Say whether `shipment` tells something that `order` does not know yet.

    A page older than the last one is no news, nor is a later time of change alone: our own acknowledgement moves it.
    """
    if is_older(shipment, order):
        return False
    said = from_amazon(shipment)
    return any(getattr(order, column) != value for column, value in said.items() if column != "amazon_updated_at")


def is_older(shipment: Shipment, order: Order) -> bool:
    """Say whether `shipment` was read before what `order` already knows."""
    return bool(order.amazon_updated_at and shipment.updated_at and shipment.updated_at < order.amazon_updated_at)


def apply(order: Order, shipment: Shipment, *, run_id: int | None, desk: StockDesk) -> None:
    """Bring `order` up to what Amazon says, inside the caller's transaction, with a timeline entry for each effect.

    What it does to stock is handed to `desk`, which the caller lets settle and write once all orders are through. Where
    Amazon has moved it to stays as it was: only Order Sync, which routes it there too, takes that.
    """
    news = _News(order, run_id)
    old_status = order.amazon_status
    for column, value in from_amazon(shipment).items():
        if column != "seller_flex_hub_id":
            setattr(order, column, value)
    order.changed_at = clock.now()

    entry = statuses.lookup(shipment.status)
    if entry.order_state == OrderState.CANCELLED:
        _cancel(order, shipment, news, desk)
        return
    _settle_acknowledgement(order, entry, news)
    _move_forward(order, shipment, entry, news, desk)
    invoices.follow_amazon(order, run_id=run_id)
    if entry is statuses.UNKNOWN and old_status != shipment.status:
        news.say("changed", f"Amazon's status is now {shipment.status}, which FlexDash does not know.")


def apply_new_route(order: Order, route: Route, *, run_id: int | None) -> None:
    """Send `order` where Amazon has moved it: a New Order there, its stock reserved, or On Hold with the reasons."""
    order.hub_id = route.hub_id
    order.state = OrderState.ON_HOLD if route.holds else OrderState.NEW
    if order.acknowledgement in (Acknowledgement.NOT_YET, Acknowledgement.PENDING):
        order.acknowledgement = Acknowledgement.NOT_YET if route.holds else Acknowledgement.PENDING
    _drop_holds(order)
    if route.holds:
        db.session.execute(insert(OrderHold), hold_rows(route, order.id, order.workspace_id))
        where = f"On Hold: {' '.join(hold.detail for hold in route.holds)}"
    else:
        where = f"routed to {route.hub_name}, its stock reserved there."
    _News(order, run_id).say("changed", f"Amazon moved it to the location {order.seller_flex_hub_id}; {where}")


class _News:
    """Writes the timeline entries of one change."""

    def __init__(self, order: Order, run_id: int | None) -> None:
        self.run_id = run_id
        self._facts: dict[str, Any] = {
            "order_id": order.id,
            "run_id": run_id,
            "actor_name": "Amazon",
        }

    def say(self, kind: str, sentence: str) -> None:
        db.session.add(OrderEvent(kind=kind, sentence=sentence[:500], **self._facts))


def _cancel(order: Order, shipment: Shipment, news: _News, desk: StockDesk) -> None:
    cancellation = shipment.cancellation
    kind = (cancellation.kind if cancellation else "")[:40]
    was_asked_for = order.cancellation in _ASKED_FOR
    by_us = order.cancellation is OrderCancellation.CANCELLING and kind in ("", "SELLER_REJECTED")
    if order.state is not OrderState.CANCELLED:
        order.cancelled_by = kind
        reason = (cancellation.reason if cancellation else None) or shipment.reason or ""
        order.cancellation_reason = _without_buyer(order, reason)[:300]
        order.cancelled_at = (cancellation.at if cancellation else None) or shipment.updated_at or clock.now()
        was_worked = order.picked_at is not None
        had_stock = order.stock
        who = CANCELLED_BY.get(order.cancelled_by, "on Amazon")
        because = f": {order.cancellation_reason}" if order.cancellation_reason else ""
        event = Event.AMAZON_CANCELLED
        mover = asked_by(order) if by_us else "Amazon"
        found = transitions.take(order, event, desk=desk, actor_name=mover, run_id=news.run_id)
        if found.kind is Kind.MOVE:
            released = " Its stock was released." if order.stock is not had_stock else ""
            stop = " It was being worked: stop, and put the goods back." if was_worked and not by_us else ""
            news.say("cancelled", f"Cancelled {who}{because}.{released}{stop}")
    elif was_asked_for:
        news.say("cancelled", "Amazon has it as Cancelled too.")
    if was_asked_for:
        order.cancellation, order.cancellation_message = OrderCancellation.DONE, ""
        db.session.execute(
            update(OrderStep)
            .where(OrderStep.order_id == order.id, OrderStep.kind == StepKind.CANCEL)
            .values(state=StepState.DONE, done_at=clock.now(), not_before=None, error_code="", error_sentence=""),
            execution_options={"synchronize_session": "fetch"},
        )


def _without_buyer(order: Order, words: str) -> str:
    """Return what Amazon said of `order` as it may be kept: without its buyer, or nothing once nobody knows that."""
    if not words or order.buyer_deleted_at is not None:
        return hides_everything(words)
    try:
        return mask_of(order.buyer_encrypted, vault)(words)
    except UnreadableSecret:
        return hides_everything(words)


_ASKED_FOR = (OrderCancellation.CANCELLING, OrderCancellation.NOT_SENT, OrderCancellation.REFUSED)


def asked_by(order: Order) -> str:
    """Return who asked for the order's cancellation."""
    query = db.select(OrderStep.asked_by_name).where(OrderStep.order_id == order.id, OrderStep.kind == StepKind.CANCEL)
    return db.session.scalar(query) or "FlexDash"


CANCELLED_BY = {
    "SELLER_REJECTED": "by the seller",
    "MARKETPLACE_CANCELLED": "by the buyer or the marketplace",
    "SYSTEM_CANCELLED": "by Amazon's system",
}


def _settle_acknowledgement(order: Order, entry: statuses.StatusEntry, news: _News) -> None:
    """Amazon has it confirmed or further: nothing is left to acknowledge."""
    if (
        order.acknowledgement not in transitions.WAITING_ACKNOWLEDGEMENTS
        or entry.rank < statuses.lookup("CONFIRMED").rank
    ):
        return
    if order.acknowledgement is Acknowledgement.PENDING and entry.status == "CONFIRMED":
        # Our CONFIRM whose answer was lost, or somebody's in Amazon's own tool: Amazon does not say which.
        order.acknowledgement, order.acknowledged_at = Acknowledgement.DONE, clock.now()
    else:
        order.acknowledgement = Acknowledgement.NOT_NEEDED
    order.acknowledgement_message = ""
    news.say("acknowledged", f"Amazon has this order as {entry.label} ({entry.status}).")


def _move_forward(order: Order, shipment: Shipment, entry: statuses.StatusEntry, news: _News, desk: StockDesk) -> None:
    event = _EVENTS.get(OrderState(entry.order_state)) if entry.order_state else None
    if event is None or outcome(order.state, event).kind is Kind.NOTHING:
        return
    if event in _OUR_OWN_STEPS and transitions.has_steps(order):
        return  # the echo of what FlexDash did there: how far the hub is, the hub says
    before = order.state
    found = transitions.take(order, event, desk=desk, actor_name="Amazon", at=shipment.updated_at, run_id=news.run_id)
    if found.kind is Kind.MOVE:
        news.say("changed", f"Amazon moved it on to {entry.label} ({entry.status}): {before} became {order.state}.")


def _drop_holds(order: Order) -> None:
    db.session.execute(delete(OrderHold).where(OrderHold.order_id == order.id))

"""Amazon's news about an order that is already here: applied forward only, never back."""

from typing import Any

from sqlalchemy import delete

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db
from flexdash.models import Acknowledgement, Order, OrderEvent, OrderHold, OrderState
from flexdash.services.order_rows import from_amazon

# The way of an order. Amazon's news moves it to the right; On Hold and New Order are left as routing decided.
WAY = (
    OrderState.ON_HOLD,
    OrderState.NEW,
    OrderState.PICKED,
    OrderState.PACKED,
    OrderState.READY_TO_SHIP,
    OrderState.SHIPPED,
    OrderState.DELIVERED,
)
_WAITING = (Acknowledgement.NOT_YET, Acknowledgement.PENDING, Acknowledgement.REFUSED)


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


def apply(order: Order, shipment: Shipment, *, run_id: int | None) -> None:
    """Bring `order` up to what Amazon says, inside the caller's transaction, with a timeline entry for each effect."""
    news = _News(order, run_id)
    old_status = order.amazon_status
    for column, value in from_amazon(shipment).items():
        setattr(order, column, value)
    order.changed_at = clock.now()

    entry = statuses.lookup(shipment.status)
    if entry.order_state == OrderState.CANCELLED:
        _cancel(order, shipment, news)
    else:
        _settle_acknowledgement(order, entry, news)
        _move_forward(order, entry, news)
        if entry is statuses.UNKNOWN and old_status != shipment.status:
            news.say("changed", f"Amazon's status is now {shipment.status}, which FlexDash does not know.")


class _News:
    """Writes the timeline entries of one change."""

    def __init__(self, order: Order, run_id: int | None) -> None:
        self._facts: dict[str, Any] = {
            "order_id": order.id,
            "run_id": run_id,
            "actor_name": "Amazon",
        }

    def say(self, kind: str, sentence: str) -> None:
        db.session.add(OrderEvent(kind=kind, sentence=sentence[:500], **self._facts))


def _cancel(order: Order, shipment: Shipment, news: _News) -> None:
    if order.state is OrderState.CANCELLED or order.has_conflict:
        return
    cancellation = shipment.cancellation
    order.cancelled_by = (cancellation.kind if cancellation else "")[:40]
    order.cancellation_reason = ((cancellation.reason if cancellation else None) or shipment.reason or "")[:300]
    order.cancelled_at = (cancellation.at if cancellation else None) or shipment.updated_at or clock.now()
    who = CANCELLED_BY.get(order.cancelled_by, "on Amazon")
    because = f": {order.cancellation_reason}" if order.cancellation_reason else ""
    if order.acknowledgement in _WAITING:
        order.acknowledgement = Acknowledgement.NOT_NEEDED
    if order.state in (OrderState.SHIPPED, OrderState.DELIVERED):
        order.has_conflict = True
        news.say(
            "conflict", f"Cancelled {who}{because}, but the order was already {order.state}. A person must decide."
        )
        return
    order.state = OrderState.CANCELLED
    _drop_holds(order)
    news.say("cancelled", f"Cancelled {who}{because}.")


CANCELLED_BY = {
    "SELLER_REJECTED": "by the seller",
    "MARKETPLACE_CANCELLED": "by the buyer or the marketplace",
    "SYSTEM_CANCELLED": "by Amazon's system",
}


def _settle_acknowledgement(order: Order, entry: statuses.StatusEntry, news: _News) -> None:
    """Amazon has it confirmed or further: nothing is left to acknowledge."""
    if order.acknowledgement not in _WAITING or entry.rank < statuses.lookup("CONFIRMED").rank:
        return
    if order.acknowledgement is Acknowledgement.PENDING and entry.status == "CONFIRMED":
        # Our CONFIRM whose answer was lost, or somebody's in Amazon's own tool: Amazon does not say which.
        order.acknowledgement, order.acknowledged_at = Acknowledgement.DONE, clock.now()
    else:
        order.acknowledgement = Acknowledgement.NOT_NEEDED
    order.acknowledgement_message = ""
    news.say("acknowledged", f"Amazon has this order as {entry.label} ({entry.status}).")


def _move_forward(order: Order, entry: statuses.StatusEntry, news: _News) -> None:
    if entry.order_state is None or order.state not in WAY:
        return
    target = OrderState(entry.order_state)
    if target is OrderState.NEW or WAY.index(target) <= WAY.index(order.state):
        return
    news.say("changed", f"Amazon moved it on to {entry.label} ({entry.status}): {order.state} became {target}.")
    order.state = target
    _drop_holds(order)


def _drop_holds(order: Order) -> None:
    db.session.execute(delete(OrderHold).where(OrderHold.order_id == order.id))

"""What people do to one order on its way through the hub: pick, pack, make ready, ship, deliver."""

from flexdash.database import transaction
from flexdash.models import Order, OrderCancellation, OrderEvent, OrderState, StepKind, StepState
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import NotAllowed, ServiceError
from flexdash.services.order_states import BEING_CANCELLED, Event, Kind, outcome
from flexdash.services.order_stock import StockDesk
from flexdash.services.order_work import at_amazon, packing, step_rows, transitions

_SAID = {
    Event.PICK: "{} picked it.",
    Event.PACK: "{} packed it.",
    Event.MAKE_READY: "{} made it ready to ship.",
    Event.SHIP: "{} shipped it; Amazon is told.",
    Event.DELIVER: "{} marked it as delivered.",
}


class MoveRefused(ServiceError):
    """The order's state, or what it waits for, does not let this be done; nothing was changed."""


class CancelledMeanwhile(MoveRefused):
    """Amazon had cancelled the order: it is Cancelled here now, too."""


class MovedMeanwhile(MoveRefused):
    """Amazon has moved the order to another location, where Order Sync has not routed it yet."""


def move(actor: Actor, order_id: int, event: Event) -> Order:
    """Do one of a person's steps with the order and return it; one that was done already changes nothing.

    Row, stock, timeline and what is to be done at Amazon are written in one transaction; the caller then starts the
    steps (`steps.request`). Picking asks Amazon first: use `pick`. Raises NotVisible, NotAllowed and MoveRefused.
    """
    if event not in _SAID:
        raise ValueError(f"{event} is no step of a person's on the way")
    check_may_work(actor)
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        found = outcome(order.state, event)
        if found.kind is Kind.REFUSE:
            raise MoveRefused(found.sentence)
        if found.kind is Kind.NOTHING:
            return order
        _refuse_what_waits(order, event)
        desk = StockDesk(workspace_id=order.workspace_id, seller_id=order.store.seller_id)
        transitions.take(order, event, desk=desk, actor_name=actor.name)
        if event is Event.PICK:
            packing.make_default(order)
            step_rows.make(order, transitions.SHIPMENT_STEPS, asked_by=actor.name)
        elif event is Event.SHIP:
            step_rows.make(order, (StepKind.SHIP,), asked_by=actor.name)
        desk.settle()
        sentence = _SAID[event].format(actor.name)
        session.add(OrderEvent(order_id=order.id, kind="moved", sentence=sentence, actor_name=actor.name))
        session.flush()
        desk.write()
        return order


def pick(actor: Actor, order_id: int, *, without_asking: bool = False) -> Order:
    """Pick the order, once Amazon has been asked whether it still wants it; return the order.

    `without_asking` leaves that out, for when Amazon does not answer. Raises what `move` raises, CancelledMeanwhile
    and MovedMeanwhile when that happened to the order at Amazon, and AmazonNotAsked when Amazon could not be asked.
    """
    check_may_work(actor)
    order = access.get(actor, Order, order_id)
    if not without_asking and outcome(order.state, Event.PICK).kind is Kind.MOVE:
        location_id = at_amazon.ask_and_apply(order)
        order = access.get(actor, Order, order_id)
        if order.state is OrderState.CANCELLED:
            raise CancelledMeanwhile(
                "Amazon was asked first, and there the order is cancelled. Now it is here, too: do not pick it."
            )
        if location_id != order.seller_flex_hub_id:
            raise MovedMeanwhile(
                f"Amazon was asked first, and has moved the order to the location {location_id}: do not pick it here. "
                "The next run of Order Sync routes it there."
            )
    return move(actor, order_id, Event.PICK)


def check_may_work(actor: Actor) -> None:
    """Raise NotAllowed for a role that does not work orders."""
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include working orders. Ask a merchant or an admin.")


def _refuse_what_waits(order: Order, event: Event) -> None:
    if event is Event.DELIVER:
        return
    if order.cancellation is OrderCancellation.CANCELLING:
        raise MoveRefused(BEING_CANCELLED)
    if event is not Event.SHIP:
        return
    for step in step_rows.of_order(order):
        is_open = step.kind in transitions.SHIPMENT_STEPS and step.state in (StepState.WAITING, StepState.FAILED)
        if is_open and not step.detail.get("is_reprint"):  # what is made again is here already
            raise MoveRefused(
                "This order has no label of Amazon's yet, so no carrier would take it. See what is missing under "
                f"Shipment, beginning with “{step.kind.words}”."
            )

"""What an event does to an order's row once the state machine has spoken: state, times, stock, steps, conflicts.

Used inside a write transaction in which the order is locked, by people's actions and by Amazon's news alike.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select, update

from flexdash import clock, metrics
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    Order,
    OrderHold,
    OrderState,
    OrderStep,
    OrderStock,
    StepKind,
    StepState,
)
from flexdash.services.order_states import HAS_LEFT, Event, Kind, Outcome, outcome
from flexdash.services.order_stock import StockDesk
from flexdash.services.order_work import conflicts
from flexdash.services.routing import Route

WAITING_ACKNOWLEDGEMENTS = (Acknowledgement.NOT_YET, Acknowledgement.PENDING, Acknowledgement.REFUSED)
# What is done at Amazon between Picked and the hand-over, in this order.
SHIPMENT_STEPS = (StepKind.PACKAGES, StepKind.SHIPPING_OPTION, StepKind.INVOICE, StepKind.LABELS)
_TIMES = {
    OrderState.PICKED: "picked_at",
    OrderState.PACKED: "packed_at",
    OrderState.READY_TO_SHIP: "ready_at",
    OrderState.SHIPPED: "shipped_at",
    OrderState.DELIVERED: "delivered_at",
}


def take(
    order: Order,
    event: Event,
    *,
    desk: StockDesk,
    actor_name: str,
    at: datetime | None = None,
    run_id: int | None = None,
) -> Outcome:
    """Ask the state machine what `event` does to the locked `order`, do it, and return its answer.

    A refusal changes nothing; a conflict is kept for a person. What happens to stock is handed to `desk`, which the
    caller lets settle and write. `at` is when it happened, where that is known; the timeline is the caller's.
    """
    found = outcome(order.state, event)
    if found.kind is Kind.CONFLICT:
        conflicts.note(order, event, found.sentence, run_id=run_id)
    if found.kind is not Kind.MOVE:
        return found
    was_held = order.state is OrderState.ON_HOLD
    order.state, order.moved_by, order.changed_at = found.to, actor_name[:100], clock.now()
    if column := _TIMES.get(found.to):
        setattr(order, column, at or clock.now())
    if was_held or found.to is OrderState.CANCELLED:
        db.session.execute(delete(OrderHold).where(OrderHold.order_id == order.id))
    _move_stock(order, event, desk)
    if found.to is OrderState.CANCELLED:
        metrics.count("orders_cancelled", by="amazon" if event.is_amazons else "person")
        if order.acknowledgement in WAITING_ACKNOWLEDGEMENTS:
            order.acknowledgement = Acknowledgement.NOT_NEEDED
        end_steps(order, (*SHIPMENT_STEPS, StepKind.SHIP))
    elif found.to in HAS_LEFT and event.is_amazons:
        end_steps(order, (*SHIPMENT_STEPS, StepKind.SHIP))
    return found


def has_steps(order: Order) -> bool:
    """Say whether the order is worked here: FlexDash does, or did, its shipment steps at Amazon."""
    query = select(OrderStep.id).where(OrderStep.order_id == order.id, OrderStep.kind.in_(SHIPMENT_STEPS))
    return db.session.scalars(query.limit(1)).first() is not None


def end_steps(order: Order, kinds: Collection[StepKind]) -> None:
    """Let go of what is still to do of these kinds: nobody needs it any more."""
    order.is_invoice_waiting = False
    db.session.execute(
        update(OrderStep)
        .where(
            OrderStep.order_id == order.id,
            OrderStep.kind.in_(kinds),
            OrderStep.state.in_((StepState.WAITING, StepState.FAILED)),
        )
        .values(state=StepState.NOT_NEEDED, not_before=None, error_code="", error_sentence="", done_at=clock.now()),
        execution_options={"synchronize_session": "fetch"},
    )


def _move_stock(order: Order, event: Event, desk: StockDesk) -> None:
    if order.state is OrderState.CANCELLED:
        desk.release(order)
    elif order.state in HAS_LEFT:
        desk.ship(order)
    elif event.is_amazons and order.stock is OrderStock.NONE and order.hub is not None:
        # Somebody works it in Amazon's own tool, held here or not: what they take must not be sold again.
        desk.ask(
            Route(order.hub_id, order.hub.name),
            store_id=order.store_id,
            created_at=order.amazon_created_at,
            order=order,
            must_be_listed=False,
            if_refused="It is worked without reserved stock.",
        )

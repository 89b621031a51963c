"""Cancelling whole orders from here: told to Amazon where the merchant wants that, and where Amazon still takes it."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select, text

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Order, OrderCancellation, OrderEvent, OrderState, OrderStep, StepKind, Store
from flexdash.models.order_work import IS_CANCELLATION
from flexdash.services import access, order_holds
from flexdash.services.actors import Actor
from flexdash.services.order_numbers import number_of
from flexdash.services.order_states import Event, Kind, outcome
from flexdash.services.order_work import at_amazon, step_rows, transitions
from flexdash.services.order_work.moves import MoveRefused, check_may_work

TOGGLE = "Automated Order Cancellation on Sales Channel"


class Reason(StrEnum):
    """Why a person cancels, in Amazon's words."""

    OUT_OF_STOCK = "OUT_OF_STOCK"
    CUSTOMER_REQUESTED = "CUSTOMER_REQUESTED"

    @property
    def words(self) -> str:
        """The reason for people."""
        return {"OUT_OF_STOCK": "Out of stock", "CUSTOMER_REQUESTED": "The customer asked for it"}[self.value]


@dataclass(frozen=True)
class Preview:
    """What cancelling an order would do, before it is done. `refusal` is "" where it may be done."""

    refusal: str
    is_sent: bool  # Amazon is told
    sentence: str


def preview(order: Order) -> Preview:
    """Return what cancelling `order` now would do."""
    is_sent = order.store.is_automated_cancellation_on
    if is_sent:
        sentence = (
            f"Amazon is told, because {TOGGLE} is on for {order.store.name}. The order waits until Amazon answers; if "
            "Amazon refuses, it goes on as it is."
        )
    else:
        sentence = (
            f"The order is cancelled in FlexDash only: {TOGGLE} is off for {order.store.name}, so Amazon is not told "
            "and still expects it to be shipped. You can tell Amazon afterwards."
        )
    return Preview(_why_not(order), is_sent, sentence)


def cancel(actor: Actor, order_id: int, reason: Reason) -> Order:
    """Cancel the whole order and return it; one that is Cancelled, or being cancelled, stays as it is.

    With the store's toggle on, Amazon is told and decides (the caller starts the steps); with it off the order is
    Cancelled here at once and Amazon is not told. Raises NotVisible, NotAllowed, and MoveRefused where the order, or
    Amazon in the state it has it in, takes no cancellation any more.
    """
    check_may_work(actor)
    freed = False
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        found = outcome(order.state, Event.CANCEL)
        if found.kind is Kind.NOTHING or order.cancellation is OrderCancellation.CANCELLING:
            return order
        if refusal := _why_not(order):
            raise MoveRefused(refusal)
        because = reason.words[:1].lower() + reason.words[1:]
        if order.store.is_automated_cancellation_on:
            _send(order, actor, reason)
            sentence = f"{actor.name} cancelled it ({because}). Amazon is told; FlexDash waits for its answer."
        else:
            desk = at_amazon.desk_of(order.store_id)
            transitions.take(order, Event.CANCEL, desk=desk, actor_name=actor.name)
            desk.settle()
            order.cancelled_at, order.cancellation_reason = clock.now(), reason.words
            order.cancellation = OrderCancellation.NOT_SENT
            order.cancellation_message = f"{TOGGLE} was off for {order.store.name}."
            sentence = f"{actor.name} cancelled it ({because}). Not cancelled on Amazon: {TOGGLE} is off."
            session.flush()
            desk.write()
            freed = desk.has_freed_stock
        session.add(OrderEvent(order_id=order.id, kind="cancelled", sentence=sentence, actor_name=actor.name))
        store = order.store
        seller_id = store.seller_id
    if freed:
        order_holds.release_for_seller(seller_id)
    return access.get(actor, Order, order_id)


def send_now(actor: Actor, order_id: int) -> Order:
    """Tell Amazon of a cancellation that was made here only, whatever the toggle is now; return the order.

    One that Amazon knows of, or is being told, stays as it is. Raises NotVisible, NotAllowed and MoveRefused.
    """
    check_may_work(actor)
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        if order.cancellation in (OrderCancellation.CANCELLING, OrderCancellation.DONE):
            return order
        if order.state is not OrderState.CANCELLED or order.cancellation is OrderCancellation.NONE:
            raise MoveRefused("This order was not cancelled in FlexDash, so there is no cancellation to send.")
        reason = next((one for one in Reason if one.words == order.cancellation_reason), Reason.OUT_OF_STOCK)
        _send(order, actor, reason)
        sentence = f"{actor.name} sent the cancellation to Amazon."
        session.add(OrderEvent(order_id=order.id, kind="cancellation_sent", sentence=sentence, actor_name=actor.name))
        return order


def last_by_a_person(order: Order) -> OrderEvent | None:
    """Return the timeline's entry of the person who cancelled `order` here, and when; the newest, None without one.

    Amazon's cancellations have entries of the same kind.
    """
    query = (
        select(OrderEvent)
        .where(OrderEvent.order_id == order.id, OrderEvent.kind == "cancelled", OrderEvent.actor_name != "Amazon")
        .order_by(OrderEvent.id.desc())
        .limit(1)
    )
    return db.session.scalars(query).one_or_none()


def last_told(store: Store) -> OrderStep | None:
    """Return the step by which Amazon was last told, or is being told, of a cancellation of the store; None: of none
    yet."""
    query = (
        select(OrderStep)
        .where(OrderStep.store_id == store.id, text(IS_CANCELLATION))  # in the words of the partial index
        .order_by(OrderStep.made_at.desc(), OrderStep.id.desc())
        .limit(1)
    )
    return db.session.scalars(query).one_or_none()


def _send(order: Order, actor: Actor, reason: Reason) -> None:
    order.cancellation, order.cancellation_message = OrderCancellation.CANCELLING, ""
    order.changed_at = clock.now()
    detail = {"reason": reason.value, "words": reason.words, "reference": number_of(order.id)}
    step_rows.make(order, (StepKind.CANCEL,), asked_by=actor.name, detail=detail)


def _why_not(order: Order) -> str:
    found = outcome(order.state, Event.CANCEL)
    if found.kind is Kind.REFUSE:
        return found.sentence
    if order.rejectable_statuses and order.amazon_status not in order.rejectable_statuses:
        label = statuses.lookup(order.amazon_status).label
        return (
            f"Amazon has this order as {label} ({order.amazon_status}) and takes no cancellation in that state, so it "
            "cannot be cancelled any more. If it must not go out, ask Amazon in Seller Central."
        )
    return ""

"""Orders whose invoice waits on Amazon: a list of what is to be done in Seller Central, which empties itself."""

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.amazon.countries import country
from flexdash.amazon.seller_central import order_address
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import Order, OrderEvent, OrderStep, StepKind, StepState
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import NotAllowed

# In the words of the partial indexes, which SQLite then takes; an id is asked for to lead it away from the others.
_IS_WAITING = text("orders.is_invoice_waiting")
WAITS_AT_AMAZON = ("PENDING", "NOT_AVAILABLE")


def begin_waiting(order: Order, *, run_id: int | None = None) -> None:
    """Put the locked `order` on the list: its invoice is needed now, and Amazon does not have it."""
    if order.is_invoice_waiting:
        return
    order.is_invoice_waiting, order.changed_at = True, clock.now()
    said = f" ({order.invoice_status})" if order.invoice_status else ""
    sentence = f"Its invoice waits on Amazon{said}: finish it in Seller Central. FlexDash then goes on by itself."
    db.session.add(OrderEvent(order_id=order.id, kind="invoice", sentence=sentence, run_id=run_id))


def follow_amazon(order: Order, *, run_id: int | None = None) -> None:
    """Take the locked `order` off the list once Amazon has the invoice, and let the invoice step go on at once."""
    if not order.is_invoice_waiting or order.invoice_status in WAITS_AT_AMAZON:
        return
    _end_waiting(order)
    sentence = "Amazon has its invoice now."
    db.session.add(OrderEvent(order_id=order.id, kind="invoice", sentence=sentence, actor_name="Amazon", run_id=run_id))


def settle_by_hand(actor: Actor, order_id: int) -> Order:
    """Take an order off the list: a person saw to its invoice. Its steps go on without waiting for Amazon's word.

    An order that does not stand on the list stays as it is. Raises NotVisible and NotAllowed.
    """
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include working orders. Ask a merchant or an admin.")
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        if order.is_invoice_waiting:
            _end_waiting(order, is_by_hand=True)
            sentence = f"{actor.name} saw to its invoice on Amazon."
            session.add(OrderEvent(order_id=order.id, kind="invoice", sentence=sentence, actor_name=actor.name))
        return order


def listing(actor: Actor, store_id: int | None = None) -> Select[tuple[Order]]:
    """Return the SELECT of the orders whose invoice waits on Amazon, of one store or of all."""
    # Of one store they are found by the store's own index of them, and not among all that wait.
    query = access.visible(actor, Order, are_few=store_id is not None)
    query = query.options(joinedload(Order.store), joinedload(Order.hub))
    if store_id is not None:
        query = query.where(Order.store_id == store_id)
    return query.where(_IS_WAITING, Order.id > 0)


def n_waiting(actor: Actor) -> int:
    """Return how many orders wait for their invoice."""
    return (
        db.session.scalar(select(func.count()).select_from(listing(actor).with_only_columns(Order.id).subquery())) or 0
    )


def address_of(order: Order) -> str:
    """Return where Seller Central shows this order; "" when Amazon sent no order id."""
    if not order.amazon_order_id:
        return ""
    return order_address(country(order.store.country_code), order.amazon_order_id, settings.amazon_seller_central_url)


def _end_waiting(order: Order, *, is_by_hand: bool = False) -> None:
    order.is_invoice_waiting, order.changed_at = False, clock.now()
    step = db.session.scalars(
        select(OrderStep).where(OrderStep.order_id == order.id, OrderStep.kind == StepKind.INVOICE)
    ).one_or_none()
    if step is not None and step.state is StepState.WAITING:
        step.not_before, step.error_code, step.error_sentence = None, "", ""
        if is_by_hand:
            step.detail = {**step.detail, "is_settled_by_hand": True}

"""The order that a question is about: found by a pasted id, or not here at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flexdash.amazon import statuses
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db
from flexdash.models import Order, OrderStep, StepKind, StoreStatus
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import asking
from flexdash.services.diagnosis.checks import Finding, Fix, FixKind, failed, passed
from flexdash.services.diagnosis.common import Parts, connection, parts_at_work
from flexdash.services.diagnosis.pasted import Pasted, orders_here, read
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import step_rows


@dataclass
class Case:
    """One pasted id with the orders it names; `order` is the one that is looked at."""

    actor: Actor
    pasted: Pasted
    parts: Parts
    orders: Sequence[Order]
    shipment: Shipment | None = None  # as Amazon has it, once it was asked

    @property
    def order(self) -> Order:
        """The order looked at; there is one once the first step has passed."""
        return self.orders[0]

    @property
    def number(self) -> str:
        """FlexDash's number of it."""
        return number_of(self.order.id)

    @property
    def link(self) -> Fix:
        """The way to its page."""
        return Fix(FixKind.ORDER, {"order_id": self.order.id}, self.number)

    def step(self, kind: StepKind) -> OrderStep | None:
        """Return the step of this kind that is done, or to be done, at Amazon for the order."""
        return next((step for step in step_rows.of_order(self.order) if step.kind is kind), None)

    def known_step(self, kind: StepKind) -> OrderStep:
        """Return the step of this kind, which the order's state says there is."""
        step = self.step(kind)
        if step is None:
            raise LookupError(f"{self.number} has no step {kind}")
        return step


def of(actor: Actor, text: str, parts: Parts, *, last: Callable[[Order], bool]) -> Case:
    """Return the case of a pasted id; raise FieldRefused for `q` when the text is no single id.

    Where it names several orders, the newest is looked at; those for which `last` holds come after the others.
    """
    pasted = read(text)
    return Case(actor, pasted, parts, sorted(orders_here(actor, pasted), key=last))


def is_here(case: Case) -> Finding:
    """Say which order it is, or that it is not here: then another question comes first."""
    if case.pasted.meant:
        return failed(case.pasted.problem, *case.pasted.ask_meant)
    if case.pasted.problem:
        return failed(f"{case.pasted.problem} Copy the id again, or take FlexDash's number from the order's page.")
    if not case.orders:
        words = f"You have no order with the id {case.pasted.shown}."
        if case.pasted.own_id is not None:
            return failed(f"{words} Look it up among your orders.", Fix(FixKind.ORDERS))
        return failed(
            f"{words} Find out first why it is not here.", Fix(FixKind.ORDER_MISSING, {"q": case.pasted.shown})
        )
    others = ""
    if len(case.orders) > 1:
        named = ", ".join(f"{number_of(order.id)} ({order.amazon_shipment_id})" for order in case.orders[1:])
        others = f" The Amazon order has other shipments, too: {named}. Paste one of their ids to look at it instead."
    return passed(f"It is {case.number} of {case.order.store.name}.{others}", case.link)


def is_connected(case: Case) -> Finding:
    """Say whether Amazon lets FlexDash in for the order's store."""
    return connection(case.order.store)


def parts(case: Case) -> Finding:
    """Say whether what does the work at Amazon has been seen lately."""
    return parts_at_work(case.parts)


def ask(case: Case) -> tuple[Finding | None, str]:
    """Ask Amazon how the order stands there: a finding where that ends it, and why there is no answer ("" if there is).

    What Amazon has is `case.shipment` afterwards.
    """
    order_id = case.order.id
    says = asking.of_shipment(case.order.store, case.order.amazon_shipment_id)
    order = db.session.get_one(Order, order_id, populate_existing=True)
    db.session.refresh(order.store)
    case.shipment = says.shipment
    if order.store.status is not StoreStatus.CONNECTED:
        return connection(order.store), ""
    if says.is_unknown:
        where = Fix(FixKind.SELLER_CENTRAL, {"order_id": order_id})
        return failed(
            f"Amazon does not know this shipment any more in the account of {order.store.name}. Look it up in Seller "
            "Central.",
            *([where] if order.amazon_order_id else []),
            case.link,
        ), ""
    if says.unreadable:
        return None, f"Amazon's answer about it cannot be read: {says.unreadable}."
    return None, says.trouble


def words(status: str) -> str:
    """Return an Amazon status in FlexDash's word, with Amazon's own beside it."""
    return f"{statuses.lookup(status).label} ({status})"

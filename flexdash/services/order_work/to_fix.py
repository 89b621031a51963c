"""Shipments that wait for a person: a step at Amazon failed, or wants something that only a person knows."""

from collections.abc import Collection, Mapping

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from flexdash.extensions import db
from flexdash.models import Order, OrderStep, StepKind
from flexdash.models.order_work import LACKS_SOMETHING
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.order_work import steps
from flexdash.services.order_work.moves import check_may_work
from flexdash.services.order_work.step_rows import WAITS_FOR_A_PERSON


def listing(actor: Actor, store_id: int | None = None, kind: StepKind | None = None) -> Select[tuple[OrderStep]]:
    """Return the SELECT of the steps that wait for a person, of a store and a kind or of all.

    Each comes with its order, store and hub.
    """
    whole = joinedload(OrderStep.order)
    # Of one store they are found by the store's own index of them, and not among all that wait.
    query = access.visible(actor, OrderStep, are_few=store_id is not None)
    query = query.options(whole.joinedload(Order.store), whole.joinedload(Order.hub))
    if store_id is not None:
        query = query.where(OrderStep.store_id == store_id)
    if kind is not None:
        query = query.where(OrderStep.kind == kind)
    return query.where(*WAITS_FOR_A_PERSON)


def of_orders(order_ids: Collection[int]) -> Mapping[int, OrderStep]:
    """Return the first step that waits for a person of each of these orders that has one, by the order's id."""
    query = select(OrderStep).where(OrderStep.order_id.in_(order_ids), *WAITS_FOR_A_PERSON)
    found = db.session.scalars(query.order_by(OrderStep.id.desc())).all()
    return {step.order_id: step for step in found}


def retry_all(actor: Actor, step_ids: Collection[int]) -> tuple[int, list[int]]:
    """Put those of these steps that failed back in line at once, each in a transaction of its own.

    Returns how many there were, and one order of each store of theirs. Packages that lack something stay on the list,
    and so does what is not visible to `actor`. Raises NotAllowed.
    """
    check_may_work(actor)
    query = listing(actor).where(OrderStep.id.in_(step_ids), OrderStep.error_code != LACKS_SOMETHING)
    found = [(step.id, step.order_id, step.store_id) for step in db.session.scalars(query.order_by(OrderStep.order_id))]
    for step_id, order_id, _ in found:
        steps.retry(actor, order_id, step_id)
    return len(found), list({store_id: order_id for _, order_id, store_id in found}.values())

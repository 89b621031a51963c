"""Putting the steps that a run got refused back in line, each as a person would on its order's page."""

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import ItemFate, Order, OrderStep, StepKind, StepState, SyncRun
from flexdash.services import access, run_retries
from flexdash.services.actors import Actor
from flexdash.services.errors import ServiceError
from flexdash.services.order_work import steps
from flexdash.services.order_work.moves import check_may_work


def retry_refused(actor: Actor, run_id: int) -> int:
    """Put the refused steps of the run's orders back in line and return how many; a cancellation stays as it is.

    Each order is a transaction of its own. Raises NotVisible, NotAllowed, and ServiceError when none is left.
    """
    check_may_work(actor)
    run = access.get(actor, SyncRun, run_id)
    failed = (
        select(OrderStep.order_id, OrderStep.id)
        .join(Order, Order.id == OrderStep.order_id)
        .where(
            Order.store_id == run.store_id,
            Order.amazon_shipment_id.in_(run_retries.names_of(run.id, {ItemFate.REFUSED})),
            OrderStep.state == StepState.FAILED,
            OrderStep.kind != StepKind.CANCEL,
        )
        .order_by(OrderStep.order_id, OrderStep.id)
    )
    found = db.session.execute(failed).all()
    if not found:
        raise ServiceError("No step that this run got refused still waits for somebody, so there is nothing to retry.")
    for order_id, step_id in found:
        steps.retry(actor, order_id, step_id)
    return len(found)

"""The rows that say what is still to be done at Amazon for an order. `steps` does it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, text
from sqlalchemy.orm import aliased

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Order, OrderStep, StepKind, StepState, Store
from flexdash.models.order_work import IS_STEP_FAILED, IS_STEP_WAITING

# Steps that a person has to look at, through their partial index: one failed, or wants what only a person knows.
# A cancellation that Amazon refused is none of them: it is a conflict, and stands among those.
WAITS_FOR_A_PERSON = (text(IS_STEP_FAILED), OrderStep.kind != StepKind.CANCEL)


def of_order(order: Order) -> Sequence[OrderStep]:
    """Return the order's steps in the order in which they are done."""
    rows = db.session.scalars(select(OrderStep).where(OrderStep.order_id == order.id)).all()
    places = list(StepKind)
    return sorted(rows, key=lambda step: places.index(step.kind))


def make(
    order: Order, kinds: Collection[StepKind], *, asked_by: str, detail: dict[str, Any] | None = None
) -> list[OrderStep]:
    """Put these steps of the locked `order` in line, inside the caller's transaction; a step that was done before, or
    failed, begins anew."""
    known = {step.kind: step for step in of_order(order)}
    made = []
    for kind in kinds:
        step = known.get(kind)
        if step is None:
            step = OrderStep(workspace_id=order.workspace_id, store_id=order.store_id, order_id=order.id, kind=kind)
            db.session.add(step)
        begin_again(step, asked_by=asked_by)
        if detail is not None:
            step.detail = detail
        made.append(step)
    return made


def begin_again(step: OrderStep, *, asked_by: str) -> None:
    """Let a step wait for its turn as if it had never been tried."""
    step.state, step.n_attempts, step.not_before, step.done_at = StepState.WAITING, 0, None, None
    step.error_code, step.error_sentence = "", ""
    step.asked_by_name, step.made_at = asked_by[:100], clock.now()


def is_next(now: datetime) -> ColumnElement[bool]:
    """Return the SQL condition on steps whose turn has come at `now`: waiting, due, and nothing of their order before.

    A cancellation comes before everything else of its order; the others in the order in which they were made.
    """
    before = aliased(OrderStep)
    is_in_the_way = or_(
        (before.kind == StepKind.CANCEL) & (before.state == StepState.WAITING),
        (before.kind != StepKind.CANCEL)
        & (OrderStep.kind != StepKind.CANCEL)
        & (before.id < OrderStep.id)
        & before.state.in_((StepState.WAITING, StepState.FAILED)),
    )
    return and_(
        text(IS_STEP_WAITING),
        or_(OrderStep.not_before.is_(None), OrderStep.not_before <= now),
        ~exists().where(before.order_id == OrderStep.order_id, before.id != OrderStep.id, is_in_the_way),
    )


def has_work() -> ColumnElement[bool]:
    """Return the SQL condition on stores that have a step whose turn has come."""
    return exists().where(OrderStep.store_id == Store.id, is_next(clock.now()))

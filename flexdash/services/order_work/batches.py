"""One action on many orders: asked for on the list, done by a worker, with a result for each order.

The database holds what is still to be done, so a batch whose worker dies goes on where it was; an order that was moved
just before is found moved, and counts as done. One that breaks off again and again is given up, as runs and files are.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import redis
import structlog
from sqlalchemy import ColumnElement, Select, and_, func, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import BatchAction, BatchState, Order, User, WorkBatch, WorkBatchItem
from flexdash.models.order_work import IS_BATCH_WORK
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.errors import AccessRefused, NotVisible, ServiceError
from flexdash.services.order_states import Event
from flexdash.services.order_work import moves
from flexdash.services.order_work.at_amazon import AmazonNotAsked
from flexdash.services.run_context import HandBack, Superseded

AT_MOST = 500
EVENTS = {
    BatchAction.PICK: Event.PICK,
    BatchAction.PACK: Event.PACK,
    BatchAction.MAKE_READY: Event.MAKE_READY,
    BatchAction.SHIP: Event.SHIP,
}
_DONE = {
    BatchAction.PICK: "Picked.",
    BatchAction.PACK: "Packed.",
    BatchAction.MAKE_READY: "Ready to ship.",
    BatchAction.SHIP: "Shipped; Amazon is told.",
}
_SILENT_AFTER = 3  # orders in a row for which Amazon did not answer: the others are not tried
_NO_SYNC = {"synchronize_session": False}

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Hold:
    """One worker's hold on a batch, good until another attempt takes its place."""

    batch_id: int
    token: str
    number: int  # of attempts at the batch; 1 for the first
    should_stop: Callable[[], bool]


def ask(actor: Actor, action: BatchAction, order_ids: Sequence[int]) -> WorkBatch:
    """Make a batch of `action` on these orders, in their order; the caller enqueues it after this commit.

    Ids that the actor does not see are left out. Raises NotAllowed, and ServiceError when none or too many are given.
    """
    moves.check_may_work(actor)
    wanted = list(dict.fromkeys(order_ids))
    if len(wanted) > AT_MOST:
        raise ServiceError(f"These are {len(wanted):,} orders. At most {AT_MOST:,} can be done at once: pick fewer.")
    with transaction() as session:
        seen = set(
            session.scalars(access.visible(actor, Order).with_only_columns(Order.id).where(Order.id.in_(wanted)))
        )
        if not seen:
            raise ServiceError("No order was chosen. Tick the orders that this is about, then press the button again.")
        batch = WorkBatch(
            workspace_id=actor.workspace_id,
            action=action,
            asked_by_id=actor.user_id,
            asked_by_name=actor.name,
            n_items=len(seen),
        )
        session.add(batch)
        session.flush()
        session.add_all(WorkBatchItem(batch_id=batch.id, order_id=order_id) for order_id in wanted if order_id in seen)
        session.flush()
        return batch


def begin(batch_id: int, should_stop: Callable[[], bool]) -> Hold | None:
    """Take the batch for this worker; None when another has it, or nothing is left to do."""
    token = uuid.uuid4().hex
    with transaction() as session:
        taken = session.execute(
            update(WorkBatch)
            .where(WorkBatch.id == batch_id, WorkBatch.state == BatchState.WAITING)
            .values(
                state=BatchState.RUNNING,
                attempt_token=token,
                n_attempts=WorkBatch.n_attempts + 1,
                heartbeat_at=clock.now(),
            )
            .execution_options(**_NO_SYNC)
        )
        if not taken.rowcount:  # type: ignore[attr-defined]
            return None
        number = session.scalars(select(WorkBatch.n_attempts).where(WorkBatch.id == batch_id)).one()
        return Hold(batch_id, token, number, should_stop)


def work(hold: Hold, moved: Callable[[Actor, int], None]) -> None:
    """Do what is left of the batch; `moved` is called after each order that was moved, so that its steps can begin.

    Raises Superseded when another worker has the batch now, HandBack when the worker is asked to stop.
    """
    batch = db.session.get_one(WorkBatch, hold.batch_id, populate_existing=True)
    actor, action, asked_by = _actor(batch), batch.action, batch.asked_by_name
    left = db.session.scalars(
        select(WorkBatchItem.order_id)
        .where(WorkBatchItem.batch_id == hold.batch_id, WorkBatchItem.is_done.is_(None))
        .order_by(WorkBatchItem.id)
    ).all()
    db.session.rollback()
    n_silent = 0
    for order_id in left:
        if hold.should_stop():
            raise HandBack
        is_done, sentence = False, ""
        if actor is None:
            sentence = f"{asked_by} may not work orders any more, so nothing was done."
        elif n_silent >= _SILENT_AFTER:
            sentence = "Not tried: Amazon did not answer about the orders before it. Try again in a moment."
        else:
            try:
                _do(actor, action, order_id)
                is_done, sentence, n_silent = True, _DONE[action], 0
            except AmazonNotAsked as refusal:
                sentence, n_silent = refusal.sentence, n_silent + 1
            except ServiceError as refusal:
                sentence, n_silent = refusal.sentence, 0
            except AccessRefused:
                sentence = "This order cannot be seen or worked any more by the person who asked."
            except (OperationalError, PoolTimeout, redis.RedisError):
                raise  # the database or Redis is away: that is no order's fault, and the batch is taken up again
            except Exception:
                db.session.rollback()
                logger.exception("an order of a batch failed", order_id=order_id, batch_id=hold.batch_id)
                sentence = "FlexDash ran into a fault of its own with this order. The log has the details."
        _write(hold, order_id, is_done, sentence)
        if is_done and actor is not None:
            moved(actor, order_id)
    with transaction() as session:
        _check_in(session, hold, state=BatchState.DONE, attempt_token="", finished_at=clock.now())


def hand_back(hold: Hold) -> None:
    """Put the batch back in line because its worker stops; this attempt does not count."""
    _put_back(_is_held_by(hold), n_attempts=WorkBatch.n_attempts - 1)


def retry_or_give_up(hold: Hold, max_attempts: int) -> None:
    """Put the batch back in line after a failure, for the next tick; after `max_attempts` end it as it is."""
    if hold.number < max_attempts:
        _put_back(_is_held_by(hold))
    else:
        _give_up(hold.batch_id, hold.number, _is_held_by(hold))


def take_up_lost(now: datetime, lost_after: timedelta, max_attempts: int) -> None:
    """Put batches whose worker gives no sign of life back in line; those tried `max_attempts` times end as they are."""
    is_lost = and_(WorkBatch.state == BatchState.RUNNING, WorkBatch.heartbeat_at < now - lost_after)
    found = db.session.execute(
        select(WorkBatch.id, WorkBatch.n_attempts).where(text(IS_BATCH_WORK), is_lost).order_by(WorkBatch.id)
    )
    lost = found.all()
    db.session.rollback()
    for batch_id, n_attempts in lost:
        logger.warning("batch lost its worker", batch_id=batch_id, attempt=n_attempts)
        if n_attempts < max_attempts:
            _put_back(WorkBatch.id == batch_id, is_lost)
        else:
            _give_up(batch_id, n_attempts, is_lost)


def waiting() -> list[int]:
    """Return the ids of the batches that a worker could begin on, the oldest first."""
    found = list(
        db.session.scalars(select(WorkBatch.id).where(WorkBatch.state == BatchState.WAITING).order_by(WorkBatch.id))
    )
    db.session.rollback()
    return found


def n_waiting_since(before: datetime) -> dict[int, int]:
    """Return how many batches a worker could have begun on since `before`, by workspace; none where there are none.

    One that is tried in vain begins anew with each attempt, and is given up before it would stand here for long.
    """
    since = func.coalesce(WorkBatch.heartbeat_at, WorkBatch.made_at)
    of_workspace = WorkBatch.workspace_id + 0  # else SQLite reads every batch, in the order of an index of workspaces
    waiting_ones = (
        select(of_workspace, func.count())
        .where(text(IS_BATCH_WORK), WorkBatch.state == BatchState.WAITING, since < before)
        .group_by(of_workspace)
    )
    return dict(db.session.execute(waiting_ones).all())


def waiting_in(workspace_id: int) -> Select[tuple[datetime]]:
    """Return a SELECT of since when each batch of a workspace that waits could have been begun, the oldest first."""
    since = func.coalesce(WorkBatch.heartbeat_at, WorkBatch.made_at)
    return (
        select(since.label("since"))
        .where(text(IS_BATCH_WORK), WorkBatch.state == BatchState.WAITING, WorkBatch.workspace_id + 0 == workspace_id)
        .order_by(WorkBatch.id)
    )


def listing(
    actor: Actor, action: BatchAction | None = None, state: BatchState | None = None
) -> Select[tuple[WorkBatch]]:
    """Return the SELECT of the batches that `actor` may see: of a person limited to sellers, their own.

    `action` and `state` narrow them; None narrows nothing.
    """
    query = access.visible(actor, WorkBatch)
    if action is not None:
        query = query.where(WorkBatch.action == action)
    if state is not None:
        query = query.where(WorkBatch.state == state)
    return query if actor.seller_ids is None else query.where(WorkBatch.asked_by_id == actor.user_id)


def get(actor: Actor, batch_id: int) -> WorkBatch:
    """Return one batch; raises NotVisible."""
    batch = access.get(actor, WorkBatch, batch_id)
    if actor.seller_ids is not None and batch.asked_by_id != actor.user_id:
        raise NotVisible("work batch")
    return batch


def items(batch: WorkBatch) -> Select[tuple[WorkBatchItem]]:
    """Return the SELECT of the batch's orders with what became of each."""
    query = select(WorkBatchItem).where(WorkBatchItem.batch_id == batch.id)
    return query.options(joinedload(WorkBatchItem.order, innerjoin=True))


def first_refused(batch: WorkBatch, at_most: int = 100) -> Sequence[WorkBatchItem]:
    """Return those orders of the batch for which it did not work, the first `at_most` of them."""
    query = items(batch).where(WorkBatchItem.is_done.is_(False)).order_by(WorkBatchItem.id).limit(at_most)
    return db.session.scalars(query).all()


def refused_ids(batch: WorkBatch) -> list[int]:
    """Return the ids of the orders for which it did not work, to try them again."""
    query = select(WorkBatchItem.order_id).where(WorkBatchItem.batch_id == batch.id, WorkBatchItem.is_done.is_(False))
    return list(db.session.scalars(query.order_by(WorkBatchItem.id)))


def _do(actor: Actor, action: BatchAction, order_id: int) -> None:
    if action is BatchAction.PICK:
        moves.pick(actor, order_id)
    else:
        moves.move(actor, order_id, EVENTS[action])


def _actor(batch: WorkBatch) -> Actor | None:
    """Return the person who asked, as they are now; None when they may not do this any more."""
    user = db.session.get(User, batch.asked_by_id) if batch.asked_by_id is not None else None
    if user is None or not user.is_active:
        return None
    actor = Actor.of_user(user)
    try:
        moves.check_may_work(actor)
    except AccessRefused:
        return None
    return actor


def _write(hold: Hold, order_id: int, is_done: bool, sentence: str) -> None:
    with transaction() as session:
        count = {"n_done": WorkBatch.n_done + 1} if is_done else {"n_refused": WorkBatch.n_refused + 1}
        _check_in(session, hold, **count)
        session.execute(
            update(WorkBatchItem)
            .where(WorkBatchItem.batch_id == hold.batch_id, WorkBatchItem.order_id == order_id)
            .values(is_done=is_done, sentence=sentence[:500])
            .execution_options(**_NO_SYNC)
        )


def _check_in(session: Any, hold: Hold, **values: Any) -> None:
    result = session.execute(
        update(WorkBatch)
        .where(
            WorkBatch.id == hold.batch_id,
            WorkBatch.attempt_token == hold.token,
            WorkBatch.state == BatchState.RUNNING,
        )
        .values(heartbeat_at=clock.now(), **values)
        .execution_options(**_NO_SYNC)
    )
    if result.rowcount != 1:
        raise Superseded


def _is_held_by(hold: Hold) -> ColumnElement[bool]:
    return and_(WorkBatch.id == hold.batch_id, WorkBatch.attempt_token == hold.token)


def _put_back(*conditions: ColumnElement[bool], **values: Any) -> None:
    with transaction() as session:
        session.execute(
            update(WorkBatch)
            .where(WorkBatch.state == BatchState.RUNNING, *conditions)
            .values(state=BatchState.WAITING, attempt_token="", **values)
            .execution_options(**_NO_SYNC)
        )


def _give_up(batch_id: int, n_attempts: int, condition: ColumnElement[bool]) -> None:
    """End the batch while `condition` holds: what is done stays, and what is left is not done, with the reason."""
    times = "broke off" if n_attempts == 1 else f"broke off {n_attempts} times"
    sentence = (
        f"Not done: the work on this batch {times}, so FlexDash gave it up. Try again; if that breaks off too, tell "
        f"whoever runs FlexDash: the log has the details under batch {batch_id}."
    )
    with transaction() as session:
        ended = session.execute(
            update(WorkBatch)
            .where(WorkBatch.id == batch_id, WorkBatch.state == BatchState.RUNNING, condition)
            .values(state=BatchState.DONE, attempt_token="", finished_at=clock.now())
            .execution_options(**_NO_SYNC)
        )
        if not ended.rowcount:  # type: ignore[attr-defined]
            return
        left = session.execute(
            update(WorkBatchItem)
            .where(WorkBatchItem.batch_id == batch_id, WorkBatchItem.is_done.is_(None))
            .values(is_done=False, sentence=sentence)
            .execution_options(**_NO_SYNC)
        )
        session.execute(
            update(WorkBatch)
            .where(WorkBatch.id == batch_id)
            .values(n_refused=WorkBatch.n_refused + left.rowcount)  # type: ignore[attr-defined]
            .execution_options(**_NO_SYNC)
        )
    logger.error("batch given up", batch_id=batch_id, attempts=n_attempts)

"""The state of the whole installation in figures, for `/metrics`: no workspace's, no store's and no person's own.

Each figure is one statement through an index, read at the moment it is asked for. What can pile up is counted up to
COUNTED_AT_MOST, so that a look costs about the same however much there is.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, text

from flexdash import clock
from flexdash.extensions import db, settings
from flexdash.models import (
    Order,
    OrderConflict,
    OrderStep,
    QuarantinedShipment,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncState,
    Upload,
    UploadState,
    ZeroBrake,
)
from flexdash.models.order_work import IS_STEP_WAITING
from flexdash.models.types import UtcDateTime
from flexdash.models.upload import IS_WORK
from flexdash.services import stores, waiting_runs
from flexdash.services.sync_status import stale_after
from flexdash.services.syncs import FACTS, SyncFacts

COUNTED_AT_MOST = 100_000
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# As text where a partial index says it so: with the values as parameters it would not be used.
_WAITING = {
    "on_hold": select(Order.id).where(text("orders.state = 'On Hold'")),
    "acknowledgement": select(Order.id).where(text("orders.acknowledgement = 'pending'")),
    "invoice": select(Order.id).where(Order.is_invoice_waiting),
    "conflict": select(OrderConflict.id).where(OrderConflict.closed_at.is_(None)),
    "quarantine": select(QuarantinedShipment.id).where(QuarantinedShipment.resolved_at.is_(None)),
}
_STEPS = {
    "waiting": select(OrderStep.id).where(text(IS_STEP_WAITING)),
    "failed": select(OrderStep.id).where(text("order_steps.state = 'failed'")),
}


class Figure(NamedTuple):
    """One value of the gauge `name` of `flexdash.metrics`, under `labels` in the order that it declares."""

    name: str
    labels: tuple[str, ...]
    value: float


def of_everything() -> list[Figure]:
    """Return all figures; raises SQLAlchemyError when the database does not answer."""
    now = clock.now()
    try:
        return [
            *_stores(now),
            *(figure for facts in FACTS.values() if facts.toggle for figure in _toggled(facts, now)),
            *_turns(now),
            *_runs(now),
            *_work(),
        ]
    finally:
        db.session.rollback()


def _stores(now: datetime) -> Iterator[Figure]:
    found = dict(db.session.execute(select(Store.status, func.count()).group_by(Store.status)).all())
    for status in StoreStatus:
        yield Figure("stores", (status.value,), found.get(status, 0))
    is_ending = (Store.status == StoreStatus.CONNECTED) & (
        Store.authorization_expires_at <= now + stores.EXPIRY_WARNING
    )
    yield Figure("stores_authorization_ending", (), _counted(select(Store.id).where(is_ending)))


def _toggled(facts: SyncFacts, now: datetime) -> Iterator[Figure]:
    """Yield how fresh the stores are that have the sync turned on; stale is what the pages of a store call so."""
    limit = now - stale_after(facts)
    moments: tuple[Any, ...] = (SyncState.last_success_at, SyncState.on_since, Store.authorized_at)
    has_begun = or_(SyncState.last_success_at.is_not(None), SyncState.on_since.is_not(None))
    of_this_store = (SyncRun.store_id == Store.id, SyncRun.sync == facts.sync, SyncRun.queued_at < limit)
    tried_long_ago = select(SyncRun.id).where(*of_this_store).correlate(Store).exists()
    is_stale = and_(*(or_(moment.is_(None), moment < limit) for moment in moments), or_(has_begun, tried_long_ago))
    found = db.session.execute(
        select(func.count(), func.count().filter(is_stale), func.min(_latest(*moments)).filter(has_begun))
        .select_from(Store)
        .outerjoin(SyncState, (SyncState.store_id == Store.id) & (SyncState.sync == facts.sync))
        .where(Store.status == StoreStatus.CONNECTED, getattr(Store, facts.toggle).is_(True))
    ).one()
    n_stores, n_stale, oldest = found
    yield Figure("stores_syncing", (facts.sync.value,), n_stores)
    yield Figure("stores_stale", (facts.sync.value,), n_stale)
    yield Figure("sync_lag_seconds", (facts.sync.value,), _seconds_since(oldest, now))


def _turns(now: datetime) -> Iterator[Figure]:
    """Yield how late the dispatcher is: a turn that has come, and that no run was made for yet."""
    due = select(SyncState.sync, func.min(SyncState.next_due_at)).where(SyncState.next_due_at <= now)
    found = dict(db.session.execute(due.group_by(SyncState.sync)).all())
    for facts in FACTS.values():
        if facts.every is not None:
            yield Figure("sync_overdue_seconds", (facts.sync.value,), _seconds_since(found.get(facts.sync), now))


def _runs(now: datetime) -> Iterator[Figure]:
    lost_before = now - timedelta(seconds=settings.run_lost_after_seconds)
    is_silent = (SyncRun.state == RunState.RUNNING) & (SyncRun.heartbeat_at < lost_before)
    found = db.session.execute(
        select(
            SyncRun.sync,
            SyncRun.state,
            func.count(),
            func.min(waiting_runs.ready_since).filter(waiting_runs.is_ready(now)),
            func.count().filter(is_silent),
        )
        .where(waiting_runs.IS_OPEN)
        .group_by(SyncRun.sync, SyncRun.state)
    ).all()
    n_open = {(sync, state): n for sync, state, n, _, _ in found}
    for sync in Sync:
        for state in (RunState.QUEUED, RunState.RUNNING):
            yield Figure("sync_runs_open", (sync.value, state.value), n_open.get((sync, state), 0))
    oldest = min((moment for _, _, _, moment, _ in found if moment), default=None)
    yield Figure("sync_oldest_queued_seconds", (), _seconds_since(oldest, now))
    yield Figure("sync_runs_silent", (), sum(n for _, _, _, _, n in found))


def _work() -> Iterator[Figure]:
    for what, query in _WAITING.items():
        yield Figure("orders_waiting", (what,), _counted(query))
    for state, query in _STEPS.items():
        yield Figure("order_steps", (state,), _counted(query))
    uploads = select(Upload.state, func.count()).where(text(IS_WORK)).group_by(Upload.state)
    found = dict(db.session.execute(uploads).all())
    for state in (UploadState.RECEIVED, UploadState.CHECKING, UploadState.ACCEPTED, UploadState.APPLYING):
        yield Figure("uploads_open", (state.value,), found.get(state, 0))
    # What is approved stands in the same partial index, which has one row per store at most.
    brakes = select(ZeroBrake.id).where(text("state IN ('waiting', 'approved')"), text("state = 'waiting'"))
    yield Figure("zero_brakes_waiting", (), _counted(brakes))


def _counted(query: Select[Any]) -> int:
    return db.session.scalar(select(func.count()).select_from(query.limit(COUNTED_AT_MOST).subquery())) or 0


def _latest(*moments: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the SQL for the latest of `moments`, those that are empty left out."""
    greatest = func.greatest if db.engine.dialect.name == "postgresql" else func.max
    known = (func.coalesce(moment, literal(_LONG_AGO, UtcDateTime)) for moment in moments)
    return greatest(*known, type_=UtcDateTime)


def _seconds_since(moment: datetime | None, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0

"""What can be wrong with a store, looked up for all stores together: a statement or two for each kind."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal_column, or_, select, text, true

from flexdash.extensions import db, settings
from flexdash.models import (
    AlarmKind,
    BrakeState,
    Order,
    OrderConflict,
    QuarantinedShipment,
    Severity,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncState,
    ZeroBrake,
)
from flexdash.services import refused_runs
from flexdash.services.alarms.findings import Finding, of_store
from flexdash.services.sync_status import stale_after
from flexdash.services.syncs import FACTS, SyncFacts
from flexdash.services.words import shortened

FAILED_IN_A_ROW = 3
_RARE = timedelta(hours=2)  # of a sync that comes round less often, one failed run is enough
# Days left: from which on, how bad it is, how it is said.
AUTHORIZATION_STAGES = (
    (30, Severity.WARNING, "within 30 days"),
    (7, Severity.WARNING, "within 7 days"),
    (1, Severity.CRITICAL, "within a day"),
)
_AUTHORIZATION_LOST = len(AUTHORIZATION_STAGES) + 1
_IS_FAILED = literal_column("sync_runs.state = 'failed'")  # in the words of the partial index


def stale_orders(now: datetime) -> Iterator[Finding]:
    """Find stores whose Order Sync is on and has had no good run for too long."""
    yield from _stale(Sync.ORDER_PULL, AlarmKind.ORDER_SYNC_STALE, now)


def stale_inventory(now: datetime) -> Iterator[Finding]:
    """Find the same of Inventory Sync. One that waits for a person to decide about zeros has an alarm of its own."""
    held = exists().where(ZeroBrake.store_id == Store.id, ZeroBrake.state == BrakeState.WAITING)
    yield from _stale(Sync.INVENTORY_PUSH, AlarmKind.INVENTORY_SYNC_STALE, now, ~held)


def _stale(sync: Sync, kind: AlarmKind, now: datetime, *conditions: ColumnElement[bool]) -> Iterator[Finding]:
    facts = FACTS[sync]
    limit = stale_after(facts)
    for store in db.session.execute(_stores_without_good_run(facts, now - limit).where(*conditions)):
        yield Finding(
            store.workspace_id,
            kind,
            f"store:{store.id}",
            f"{of_store(store.name)}: {facts.label} has had no good run for more than "
            f"{round(limit.total_seconds() / 60)} minutes. {facts.stale_sentence}",
            Severity.CRITICAL,
            store.id,
            f"/stores/{store.id}",
        )


def _stores_without_good_run(facts: SyncFacts, before: datetime) -> Select[Any]:
    """Return the stores that sync_status calls stale: nothing that ends the wait lies behind the moment `before`."""
    waited_since = (SyncState.last_success_at, SyncState.on_since, Store.authorized_at)
    tried = exists().where(
        SyncRun.store_id == Store.id, SyncRun.sync == facts.sync, SyncRun.queued_at < before
    )  # for a state that knows neither its start nor a good run
    return (
        select(Store.id, Store.workspace_id, Store.name)
        .join(SyncState, and_(SyncState.store_id == Store.id, SyncState.sync == facts.sync))
        .where(
            Store.status == StoreStatus.CONNECTED,
            getattr(Store, facts.toggle).is_(True),
            *(or_(moment.is_(None), moment < before) for moment in waited_since),
            or_(SyncState.last_success_at.is_not(None), SyncState.on_since.is_not(None), tried),
        )
    )


def failing(now: datetime) -> Iterator[Finding]:
    """Find syncs whose last runs all failed; those that only people start are not among them, for they look anyway."""
    for facts in FACTS.values():
        if facts.every is not None:
            yield from _failing(facts, facts.every(settings), now)


def _is_since_turned_on(facts: SyncFacts) -> ColumnElement[bool]:
    """Return the SQL condition on runs that ended after a person turned the sync on; all of one without a toggle.

    Without a toggle `on_since` says when work came up last, which clears no failure.
    """
    if not facts.toggle:
        return true()
    return or_(SyncState.on_since.is_(None), SyncRun.finished_at > SyncState.on_since)


def _failing(facts: SyncFacts, interval: timedelta, now: datetime) -> Iterator[Finding]:
    n_needed = 1 if interval > _RARE else FAILED_IN_A_ROW
    failed = (
        select(func.max(SyncRun.id).label("last_id"), func.count().label("n"))
        .join(SyncState, and_(SyncState.store_id == SyncRun.store_id, SyncState.sync == SyncRun.sync))
        .join(Store, Store.id == SyncRun.store_id)
        .where(
            _IS_FAILED,
            SyncRun.error_code != refused_runs.CODE,  # has an alarm of its own
            SyncRun.sync == facts.sync,
            # A run takes its time, and so does giving it up: look back a little further than the turns alone.
            SyncRun.finished_at > now - interval * (n_needed + 1) - timedelta(hours=2),
            or_(SyncState.last_success_at.is_(None), SyncRun.finished_at > SyncState.last_success_at),
            or_(Store.authorized_at.is_(None), SyncRun.finished_at > Store.authorized_at),
            _is_since_turned_on(facts),
            facts.may_run(),
        )
        .group_by(SyncRun.store_id + 0)  # else SQLite reads every run, in the order of an index of stores
        .having(func.count() >= n_needed)
        .subquery()
    )
    rows = db.session.execute(
        select(SyncRun.id, SyncRun.workspace_id, SyncRun.store_id, SyncRun.error_sentence, Store.name)
        .join(failed, failed.c.last_id == SyncRun.id)
        .join(Store, Store.id == SyncRun.store_id)
    )
    how_many = "the last run" if n_needed == 1 else f"the last {n_needed} runs"
    for run in rows:
        yield Finding(
            run.workspace_id,
            AlarmKind.SYNC_FAILING,
            f"store:{run.store_id}:{facts.sync.value}",
            f"{of_store(run.name)}: {how_many} of {facts.label} failed. {shortened(run.error_sentence, 300)}".strip(),
            Severity.CRITICAL,
            run.store_id,
            f"/sync-runs/{run.id}",
        )


def authorizations(now: datetime) -> Iterator[Finding]:
    """Find stores that Amazon refuses, whose authorization has ended, or whose end is near."""
    days, _, _ = AUTHORIZATION_STAGES[0]
    rows = db.session.execute(
        select(
            Store.id,
            Store.workspace_id,
            Store.name,
            Store.status,
            Store.reauthorization_reason,
            Store.authorization_expires_at,
        ).where(
            or_(
                Store.status == StoreStatus.NEEDS_REAUTHORIZATION,
                and_(
                    Store.status == StoreStatus.CONNECTED, Store.authorization_expires_at <= now + timedelta(days=days)
                ),
            )
        )
    )
    for store in rows:
        stage, severity, sentence = _authorization(store, now)
        yield Finding(
            store.workspace_id,
            AlarmKind.AUTHORIZATION,
            f"store:{store.id}",
            f"{of_store(store.name)}: {sentence}",
            severity,
            store.id,
            f"/stores/{store.id}/reconnect",
            stage,
            is_reminded_of=stage == _AUTHORIZATION_LOST,  # until then the next stage reminds
        )


def _authorization(store: Any, now: datetime) -> tuple[int, Severity, str]:
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        reason = shortened(store.reauthorization_reason, 250)
        return (
            _AUTHORIZATION_LOST,
            Severity.CRITICAL,
            f"Amazon refuses FlexDash's access, so all its syncs wait. {reason}".strip(),
        )
    left = store.authorization_expires_at - now
    if left <= timedelta():
        return (
            _AUTHORIZATION_LOST,
            Severity.CRITICAL,
            "the authorization at Amazon has ended after 365 days. No order comes in and no stock goes out.",
        )
    for stage, (days, severity, words) in reversed(list(enumerate(AUTHORIZATION_STAGES, start=1))):
        if left <= timedelta(days=days):
            return stage, severity, f"the authorization at Amazon ends {words}. After that no order comes in."
    raise AssertionError("the statement found what is not near its end")


def zero_brakes(now: datetime) -> Iterator[Finding]:
    """Find pushes of zeros that wait for a person."""
    rows = db.session.execute(
        select(
            ZeroBrake.id, ZeroBrake.store_id, ZeroBrake.n_to_zero, ZeroBrake.n_published, Store.workspace_id, Store.name
        )
        .join(Store, Store.id == ZeroBrake.store_id)
        .where(
            ZeroBrake.state == BrakeState.WAITING,
            Store.status == StoreStatus.CONNECTED,
            Store.is_inventory_sync_on.is_(True),
        )
    )
    for brake in rows:
        yield Finding(
            brake.workspace_id,
            AlarmKind.ZERO_BRAKE,
            f"store:{brake.store_id}",
            f"{of_store(brake.name)}: a push would set {brake.n_to_zero:,} of {brake.n_published:,} quantities to "
            "zero on Amazon. No stock is sent until somebody approves or declines it.",
            Severity.CRITICAL,
            brake.store_id,
            f"/stores/{brake.store_id}/inventory/zeros/{brake.id}",
        )


def conflicts(now: datetime) -> Iterator[Finding]:
    """Find stores with orders of which Amazon and FlexDash say what does not fit together."""
    counts = (
        select(Order.store_id, func.count().label("n"))
        .join(OrderConflict, OrderConflict.order_id == Order.id)
        .where(OrderConflict.closed_at.is_(None))
        .group_by(Order.store_id)
        .subquery()
    )
    for store in _counted(counts):
        one = "Amazon and FlexDash disagree about 1 order."
        yield _pile(
            store,
            AlarmKind.CONFLICTS,
            one if store.n == 1 else f"Amazon and FlexDash disagree in {store.n:,} conflicts of orders.",
            "/orders/conflicts",
        )


def quarantine(now: datetime) -> Iterator[Finding]:
    """Find stores with shipments that could not be read; ten times as many are told anew."""
    counts = (
        select(QuarantinedShipment.store_id, func.count().label("n"))
        .where(text("quarantined_shipments.resolved_at IS NULL"))
        .group_by(QuarantinedShipment.store_id)
        .subquery()
    )
    for store in _counted(counts):
        what = "1 shipment is" if store.n == 1 else f"{store.n:,} shipments are"
        yield _pile(
            store,
            AlarmKind.QUARANTINE,
            f"{what} in quarantine, because FlexDash could not read what Amazon sent.",
            f"/orders/quarantine?store={store.id}",
        )


def _counted(counts: Any) -> Any:
    return db.session.execute(
        select(Store.id, Store.workspace_id, Store.name, counts.c.n).join(counts, counts.c.store_id == Store.id)
    )


def _pile(store: Any, kind: AlarmKind, sentence: str, path: str) -> Finding:
    """Return the finding of something that piles up; its stage is the number of digits."""
    return Finding(
        store.workspace_id,
        kind,
        f"store:{store.id}",
        f"{of_store(store.name)}: {sentence}",
        Severity.WARNING,
        store.id,
        path,
        stage=len(str(store.n)),
    )

"""How a store's syncs stand, in plain words: what the store pages say of each of the three toggles."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from flexdash import clock
from flexdash.extensions import db, settings
from flexdash.models import RunState, Store, StoreStatus, Sync, SyncRun, SyncState
from flexdash.services.syncs import FACTS, SyncFacts


@dataclass(frozen=True)
class SyncStatus:
    """One toggle's sync. `state` is one of Healthy, Running, Waiting, Partial, Failed, Stale, Paused and Off."""

    sync: Sync | None  # None: no timed sync stands behind this toggle in this release
    label: str
    is_on: bool
    state: str
    sentence: str
    last_run: SyncRun | None = None  # the newest that was not skipped
    last_success_at: datetime | None = None
    next_due_at: datetime | None = None
    paused_reason: str = ""  # "" unless it is on and cannot run
    is_stale: bool = False


def of(store: Store) -> list[SyncStatus]:
    """Return Order Sync, Inventory Sync and Automated Order Cancellation of `store`, in this order."""
    return [
        *(_timed(store, facts) for facts in FACTS.values()),
        _without_work(
            store,
            "Inventory Sync",
            store.is_inventory_sync_on,
            "this store has no catalog, so there is nothing to send. It takes effect with the catalog.",
        ),
        _without_work(
            store,
            "Automated Order Cancellation on Sales Channel",
            store.is_automated_cancellation_on,
            "orders are not cancelled in FlexDash, so there is no cancellation to send.",
        ),
    ]


def stale_after(facts: SyncFacts) -> timedelta:
    """Return how long a sync may go without a good run; longer where runs are set further apart."""
    return max(facts.stale_after, timedelta(minutes=settings.order_pull_interval_minutes) * 1.5)


def paused_reason(store: Store) -> str:
    """Return why nothing can run for this store whatever its toggles say, "" when it can."""
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        return "Paused: Amazon no longer accepts the store's authorization. Reconnect it and this goes on by itself."
    if store.status is StoreStatus.DISCONNECTED:
        return "Paused: the store is disconnected from Amazon. Reconnect it and this goes on by itself."
    if store.status is StoreStatus.DRAFT:
        return "Paused: the store is not connected to Amazon yet."
    return ""


def _timed(store: Store, facts: SyncFacts) -> SyncStatus:
    is_on, paused = facts.is_on(store), paused_reason(store)
    where = db.session.scalars(
        select(SyncState).where(SyncState.store_id == store.id, SyncState.sync == facts.sync)
    ).one_or_none()
    last_run = db.session.scalars(
        select(SyncRun)
        .where(SyncRun.store_id == store.id, SyncRun.sync == facts.sync, SyncRun.state != RunState.SKIPPED)
        .order_by(SyncRun.id.desc())
        .limit(1)
    ).one_or_none()
    last_success_at = where.last_success_at if where else None
    is_stale = is_on and not paused and _is_stale(facts, store, where)
    state, sentence = _words(facts, store, paused, last_run, is_stale)
    return SyncStatus(
        sync=facts.sync,
        label=facts.label,
        is_on=is_on,
        state=state,
        sentence=sentence,
        last_run=last_run,
        last_success_at=last_success_at,
        next_due_at=where.next_due_at if where and is_on and not paused else None,
        paused_reason=paused if is_on else "",
        is_stale=is_stale,
    )


def _is_stale(facts: SyncFacts, store: Store, where: SyncState | None) -> bool:
    """Say whether it is too long without a good run, counted from when it could have had one."""
    since = [where.last_success_at, where.on_since] if where else []
    if not any(since):  # never yet: counted from the first try, for a store turned on a minute ago is not stale
        first_try = select(SyncRun.queued_at).where(SyncRun.store_id == store.id, SyncRun.sync == facts.sync)
        since = [db.session.scalar(first_try.order_by(SyncRun.id).limit(1))]
    if not any(since):
        return False
    return clock.now() - max(moment for moment in (*since, store.authorized_at) if moment) > stale_after(facts)


def _words(facts: SyncFacts, store: Store, paused: str, last_run: SyncRun | None, is_stale: bool) -> tuple[str, str]:
    if not facts.is_on(store):
        return "Off", f"{facts.label} is off, so nothing runs."
    if paused:
        return "Paused", paused
    if last_run is None:
        return "Waiting", "The first run starts within a minute. If it does not, the scheduler or the worker is away."
    if last_run.state is RunState.RUNNING:
        return "Running", last_run.progress or "A run is at work."
    if last_run.state is RunState.QUEUED and last_run.error_sentence:
        return "Failed", last_run.error_sentence
    if is_stale:
        minutes = round(stale_after(facts).total_seconds() / 60)
        return "Stale", f"There was no good run for more than {minutes} minutes. {facts.stale_sentence}"
    if last_run.state is RunState.QUEUED:
        return "Waiting", "A run waits for a worker."
    if last_run.state is RunState.FAILED:
        if store.authorized_at and last_run.finished_at and last_run.finished_at < store.authorized_at:
            return (
                "Waiting",
                "The store was authorized again since the last run failed. The next one goes on from there.",
            )
        return "Failed", last_run.error_sentence
    if last_run.state is RunState.PARTIAL:
        return "Partial", f"The last run went through, but for {last_run.n_failed} of its items, which are kept apart."
    return "Healthy", "The last run went through."


def _without_work(store: Store, label: str, is_on: bool, reason: str) -> SyncStatus:
    if not is_on:
        return SyncStatus(None, label, False, "Off", f"{label} is off.")
    paused = paused_reason(store) or f"Paused: {reason}"
    return SyncStatus(None, label, True, "Paused", paused, paused_reason=paused)

"""How a store's syncs stand, in plain words: what the store pages say of each of the three toggles."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, select, text

from flexdash import clock
from flexdash.extensions import db, settings
from flexdash.models import (
    BrakeState,
    OrderStep,
    RunState,
    StepKind,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncState,
    ZeroBrake,
)
from flexdash.models.order_work import IS_STEP_WAITING
from flexdash.services import runs_of_sync
from flexdash.services.inventory import brake
from flexdash.services.syncs import FACTS, SyncFacts

_TOGGLED = [facts for facts in FACTS.values() if facts.toggle]
# Without a toggle of their own: they come by the clock where there is something to do.
_OTHERS = [FACTS[sync] for sync in (Sync.PRICE_PUSH, Sync.ORDER_STEPS, Sync.RETURN_PULL, Sync.RECONCILE)]


# A look at the schedule comes each minute; a run that has not begun after two of them does not begin by itself.
_BEGINS_WITHIN = timedelta(minutes=2)


class _FirstRun(Enum):
    """How a sync stands that is on, can run, and of which no run is known; the value says so."""

    LATER = "The next run comes with its turn."
    SOON = "The first run starts within a minute."
    NOT_NEEDED = "Nothing is to be done now."
    OVERDUE = "No run has begun, though its turn has come. The scheduler or the worker may be away."


@dataclass(frozen=True)
class SyncStatus:
    """One toggle's sync.

    `state` is one of Healthy, Running, Waiting, Partial, Failed, Retrying, Stale, Paused and Off.
    """

    sync: Sync | None  # None: nothing comes by the clock; it happens when a person does something
    label: str
    is_on: bool
    state: str
    sentence: str
    last_run: SyncRun | None = None  # the newest that was not skipped
    last_success_at: datetime | None = None
    next_due_at: datetime | None = None
    paused_reason: str = ""  # "" unless it is on and cannot run
    is_stale: bool = False
    silent_since: datetime | None = None  # no good run since then, though there could have been one
    held: ZeroBrake | None = None  # a push of zeros that is held back
    is_overdue: bool = False  # its first run should have begun by now

    @property
    def awaits_first_run(self) -> bool:
        """Whether it is on, never ran, and is kept from it neither by the store nor by a person who has to decide."""
        can_run = self.sync is not None and self.is_on and not self.paused_reason and self.held is None
        return can_run and self.last_run is None

    @property
    def is_failing(self) -> bool:
        """Whether its last run failed, for good or until its next attempt."""
        return self.state in ("Failed", "Retrying")

    @property
    def is_due_at_once(self) -> bool:
        """Whether it was turned on just now: the next look at the schedule starts it.

        A sync without a toggle has no turn while it has nothing to do, and waits for no look at the schedule then.
        """
        has_toggle = self.sync is not None and bool(FACTS[self.sync].toggle)
        return has_toggle and self.is_on and not self.paused_reason and self.next_due_at is None


@dataclass(frozen=True)
class _Known:
    """What the database has of one sync of one store."""

    where: SyncState | None = None
    last_run: SyncRun | None = None
    first_try_at: datetime | None = None
    held: ZeroBrake | None = None
    has_work: bool = True  # asked only where the first run of a sync without a toggle depends on it


def of(store: Store) -> list[SyncStatus]:
    """Return Order Sync, Inventory Sync and Automated Order Cancellation of `store`, in this order."""
    return of_each([store])[store.id]


def of_each(stores: Sequence[Store], *, with_others: bool = False) -> dict[int, list[SyncStatus]]:
    """Return what `of` returns of each of `stores`, by store id; the same few queries however many they are.

    `with_others` adds, last, how the syncs stand that have no toggle and come by the clock, of the stores where they
    ever had something to do.
    """
    others = _OTHERS if with_others else []
    known = _known(stores, [*_TOGGLED, *others])
    n_cancelling = _n_cancelling([store for store in stores if store.is_automated_cancellation_on])
    return {
        store.id: [
            *(_timed(store, facts, known[store.id, facts.sync]) for facts in _TOGGLED),
            _cancellation(store, n_cancelling.get(store.id, 0)),
            *(_timed(store, facts, one) for facts in others if (one := known[store.id, facts.sync]).where),
        ]
        for store in stores
    }


def of_sync(store: Store, sync: Sync) -> SyncStatus:
    """Return how one sync of `store` stands."""
    return _timed(store, FACTS[sync], _known([store], [FACTS[sync]])[store.id, sync])


def stale_after(facts: SyncFacts) -> timedelta:
    """Return how long a sync may go without a good run; longer where runs are set further apart."""
    allowed = facts.silence_allowed(settings)
    return timedelta.max if allowed is None else allowed


def paused_reason(store: Store) -> str:
    """Return why nothing can run for this store whatever its toggles say, "" when it can."""
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        return "Paused: Amazon no longer accepts the store's authorization. Re-authorize it and this goes on by itself."
    if store.status is StoreStatus.DISCONNECTED:
        return "Paused: the store is disconnected from Amazon. Reconnect it and this goes on by itself."
    if store.status is StoreStatus.DRAFT:
        return "Paused: the store is not connected to Amazon yet."
    return ""


def _known(stores: Sequence[Store], facts: Sequence[SyncFacts]) -> dict[tuple[int, Sync], _Known]:
    """Return what the database has of these syncs of these stores: one query for each kind of thing."""
    ids, syncs = [store.id for store in stores], [one.sync for one in facts]
    if not ids:
        return {}
    states = db.session.scalars(select(SyncState).where(SyncState.store_id.in_(ids), SyncState.sync.in_(syncs)))
    where = {(state.store_id, state.sync): state for state in states}
    newest, first_tries = _runs_of_each(ids, syncs)
    runs = {run.id: run for run in db.session.scalars(select(SyncRun).where(SyncRun.id.in_(newest.values())))}
    held = brake.holding_each(ids) if Sync.INVENTORY_PUSH in syncs else {}
    idle = _without_work([key for key, state in where.items() if state.next_due_at is None and key not in newest])
    return {
        (store_id, sync): _Known(
            where.get((store_id, sync)),
            runs.get(newest.get((store_id, sync), 0)),
            first_tries.get((store_id, sync)),
            held.get(store_id) if sync is Sync.INVENTORY_PUSH else None,
            (store_id, sync) not in idle,
        )
        for store_id in ids
        for sync in syncs
    }


def _without_work(keys: Collection[tuple[int, Sync]]) -> set[tuple[int, Sync]]:
    """Return those of `keys`, store id and sync, that have no toggle and nothing to do: no turn of theirs comes."""
    idle: set[tuple[int, Sync]] = set()
    for facts in _OTHERS:
        of_sync = [store_id for store_id, sync in keys if sync is facts.sync]
        if of_sync:
            busy = set(db.session.scalars(select(Store.id).where(Store.id.in_(of_sync), facts.has_work())))
            idle.update((store_id, facts.sync) for store_id in of_sync if store_id not in busy)
    return idle


def _runs_of_each(
    store_ids: list[int], syncs: list[Sync]
) -> tuple[dict[tuple[int, Sync], int], dict[tuple[int, Sync], datetime]]:
    """Return the id of the newest run that was not skipped, and when the very first one was queued, of each store and
    sync that has one."""
    newest_ids, first_tries = {}, {}
    for store_id, *found in db.session.execute(_runs_query(tuple(syncs)), {"store_ids": store_ids}):
        for sync, run_id, queued_at in zip(syncs, found[::2], found[1::2], strict=True):
            if run_id is not None:
                newest_ids[store_id, sync] = run_id
            if queued_at is not None:
                first_tries[store_id, sync] = queued_at
    return newest_ids, first_tries


@cache
def _runs_query(syncs: tuple[Sync, ...]) -> Select[Any]:
    columns: list[ColumnElement[Any]] = []
    for sync in syncs:
        of_sync = runs_of_sync.of(Store.id, sync)
        # One that took up what had failed in another says nothing of how the sync stands.
        tells = (SyncRun.state != RunState.SKIPPED, SyncRun.retry_of_id.is_(None))
        newest = select(SyncRun.id).where(of_sync, *tells).order_by(*runs_of_sync.newest_first()).limit(1)
        first = select(SyncRun.queued_at).where(of_sync).order_by(*runs_of_sync.oldest_first()).limit(1)
        columns += [newest.correlate(Store).scalar_subquery(), first.correlate(Store).scalar_subquery()]
    return select(Store.id, *columns).where(Store.id.in_(bindparam("store_ids", expanding=True)))


def _timed(store: Store, facts: SyncFacts, known: _Known) -> SyncStatus:
    is_on, paused = facts.is_on(store), paused_reason(store)
    where = known.where
    is_stale = is_on and not paused and _is_stale(facts, store, known)
    first = _first_run(store, known) if is_on and not paused and not known.held and not known.last_run else None
    state, sentence = _words(facts, store, paused, known, is_stale, first)
    return SyncStatus(
        sync=facts.sync,
        label=facts.label,
        is_on=is_on,
        state=state,
        sentence=sentence,
        last_run=known.last_run,
        last_success_at=where.last_success_at if where else None,
        next_due_at=where.next_due_at if where and is_on and not paused else None,
        paused_reason=paused if is_on else "",
        is_stale=is_stale,
        silent_since=_silent_since(store, known),
        held=known.held,
        is_overdue=first is _FirstRun.OVERDUE,
    )


def _silent_since(store: Store, known: _Known) -> datetime | None:
    """Return since when there was no good run, counted from when there could have been one; None: not expected yet."""
    since = [known.where.last_success_at, known.where.on_since] if known.where else []
    if not any(since):  # never yet: counted from the first try, for a store turned on a minute ago is not stale
        since = [known.first_try_at]
    if not any(since):
        return None
    return max(moment for moment in (*since, store.authorized_at) if moment)


def _is_stale(facts: SyncFacts, store: Store, known: _Known) -> bool:
    """Say whether it is too long without a good run."""
    since = _silent_since(store, known)
    return since is not None and clock.now() - since > stale_after(facts)


def _words(
    facts: SyncFacts, store: Store, paused: str, known: _Known, is_stale: bool, first: _FirstRun | None
) -> tuple[str, str]:
    if not facts.is_on(store):
        return "Off", f"{facts.label} is off, so nothing runs."
    if paused:
        return "Paused", paused
    if known.held:
        return "Paused", _waits_for_decision(known.held)
    if first:
        return "Stale" if is_stale and first is _FirstRun.OVERDUE else "Waiting", first.value
    last_run = known.last_run
    assert last_run is not None
    if last_run.state is RunState.RUNNING:
        return "Running", last_run.progress or "A run is at work."
    if last_run.is_retrying:
        return "Retrying", last_run.error_sentence
    if is_stale:
        minutes = round(stale_after(facts).total_seconds() / 60)
        return "Stale", f"There was no good run for more than {minutes} minutes. {facts.stale_sentence}"
    if last_run.state is RunState.QUEUED:
        return "Waiting", "A run waits for a worker."
    if last_run.state is RunState.FAILED:
        if since := _begun_again(facts, store, known, last_run):
            return "Waiting", f"{since} since the last run failed. The next one goes on from there."
        return "Failed", last_run.error_sentence
    if last_run.state is RunState.PARTIAL:
        kept = "which go again with the next" if facts.sync is Sync.INVENTORY_PUSH else "which are kept apart"
        return "Partial", f"The last run went through, but for {last_run.n_failed:,} of its items, {kept}."
    return "Healthy", "The last run went through."


def _first_run(store: Store, known: _Known) -> _FirstRun:
    """Return how a sync stands that is on, can run, and of which no run is known."""
    where, now = known.where, clock.now()
    if not known.has_work:
        return _FirstRun.NOT_NEEDED
    if where and where.next_due_at and where.next_due_at > now + _BEGINS_WITHIN:
        return _FirstRun.LATER
    could_begin = [where.next_due_at, where.on_since, store.authorized_at] if where else [store.authorized_at]
    since = max((moment for moment in could_begin if moment), default=now)
    return _FirstRun.SOON if now - since <= _BEGINS_WITHIN else _FirstRun.OVERDUE


def _begun_again(facts: SyncFacts, store: Store, known: _Known, failed: SyncRun) -> str:
    """Return what was done since the run `failed`, so that it says nothing any more of how the sync stands; "" if not.

    Of a sync without a toggle `on_since` says only when work came up last.
    """
    if failed.finished_at is None:
        return ""
    if store.authorized_at and failed.finished_at < store.authorized_at:
        return "The store was authorized again"
    on_since = known.where.on_since if known.where and facts.toggle else None
    return f"{facts.label} was turned on again" if on_since and failed.finished_at < on_since else ""


def _waits_for_decision(held: ZeroBrake) -> str:
    what = f"A push that would set {held.n_to_zero:,} of {held.n_published:,} quantities to zero"
    if held.state is BrakeState.DECLINED:
        return f"{what} was declined by {held.decided_by_name}: nothing is sent until the stock is put right."
    return f"{what} waits for somebody to approve or decline it: nothing is sent until then."


def _n_cancelling(stores: Sequence[Store]) -> dict[int, int]:
    """Return how many cancellations of each store wait for Amazon's answer; stores without any are left out."""
    if not stores:
        return {}
    waiting = (
        select(OrderStep.store_id, func.count())
        .where(
            OrderStep.store_id.in_([store.id for store in stores]),
            text(IS_STEP_WAITING),
            OrderStep.kind == StepKind.CANCEL,
        )
        .group_by(OrderStep.store_id)
    )
    return dict(db.session.execute(waiting).all())


def _cancellation(store: Store, n_waiting: int) -> SyncStatus:
    """How cancelling at Amazon stands: it has no turns of its own, each is sent as soon as a person makes it."""
    label = "Automated Order Cancellation on Sales Channel"
    if not store.is_automated_cancellation_on:
        return SyncStatus(None, label, False, "Off", "It is off: an order cancelled here is not cancelled on Amazon.")
    if paused := paused_reason(store):
        return SyncStatus(None, label, True, "Paused", paused, paused_reason=paused)
    if n_waiting:
        what = "1 cancellation waits" if n_waiting == 1 else f"{n_waiting:,} cancellations wait"
        return SyncStatus(None, label, True, "Waiting", f"{what} for Amazon's answer.")
    return SyncStatus(None, label, True, "Healthy", "Amazon is told as soon as somebody cancels an order here.")

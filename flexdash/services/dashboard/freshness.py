"""How fresh each store is, worst first, in one plain sentence each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, and_, or_, select, text, tuple_
from sqlalchemy.orm import aliased, joinedload

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RunState, Store, StoreStatus, Sync, SyncState
from flexdash.models.store import IS_AT_REST
from flexdash.services import access, store_health
from flexdash.services.actors import Actor
from flexdash.services.store_health import StoreHealth
from flexdash.services.sync_status import SyncStatus
from flexdash.services.words import as_clause

WORST_FIRST = ((SyncState.fresh_until, "asc"), (SyncState.id, "asc"))
SHOWN_APART = 10  # stores that Amazon refuses, that have no turn yet, and of which nothing is expected; of each
_LOOKED_AT = 500  # the newest stores, for those without a turn: a tick of the schedule gives one to every store

REFUSED = "Amazon refuses FlexDash's access, so nothing is synced."
Syncs = Mapping[int, Sequence[SyncStatus]]  # how those of each store stand, by its id

_TIMED = (Sync.ORDER_PULL, Sync.INVENTORY_PUSH)


@dataclass(frozen=True)
class Freshness:
    """One store. `sync` is the one of its syncs that is worst off, None where none is expected to run."""

    store: Store
    sync: SyncStatus | None
    sentence: str
    badge: StoreHealth | None = None  # stands in for the state of `sync` where there is none


def expected(actor: Actor) -> Select[tuple[SyncState]]:
    """Return the SELECT of the worst sync of each store that should sync, unordered: page it by WORST_FIRST.

    Only what `actor` may see, each with its store.
    """
    other = aliased(SyncState)
    is_worse = (
        select(other.id)
        .where(
            other.store_id == SyncState.store_id,
            other.sync.in_(_TIMED),
            other.sync != SyncState.sync,
            _is_on(other.sync),
            tuple_(other.fresh_until, other.id) < tuple_(SyncState.fresh_until, SyncState.id),
        )
        .correlate(SyncState, Store)
    )
    return (
        access.visible(actor, SyncState)
        .join(Store, Store.id == SyncState.store_id)
        .where(
            SyncState.fresh_until.is_not(None),
            SyncState.sync.in_(_TIMED),
            Store.status == StoreStatus.CONNECTED,
            _is_on(SyncState.sync),
            ~is_worse.exists(),
        )
        .options(joinedload(SyncState.store).joinedload(Store.seller))
    )


def of_each(states: Sequence[SyncState], found: Syncs) -> list[Freshness]:
    """Return how fresh the stores of `states` are, in their order, about the sync that each state is of.

    Where that one is well and the store's other sync failed, it is about the other. `found` has the syncs of each.
    """
    fresh = []
    for state in states:
        timed = [one for one in found[state.store_id] if one.sync and one.is_on]
        sync = next(one for one in timed if one.sync is state.sync)
        if not sync.is_stale and not sync.is_failing:
            sync = next((one for one in timed if one.is_failing), sync)
        fresh.append(Freshness(state.store, sync, sentence_of(sync)))
    return fresh


def unscheduled(actor: Actor) -> Sequence[Store]:
    """Return stores that should sync and have no turn yet: just connected, or the scheduler is away.

    By name, SHOWN_APART and one more at most, of the newest stores.
    """
    scheduled = select(SyncState.id).where(SyncState.store_id == Store.id, SyncState.fresh_until.is_not(None))
    newest = access.visible(actor, Store).with_only_columns(Store.id).order_by(Store.id.desc()).limit(_LOOKED_AT)
    query = select(Store).where(
        Store.id.in_(select(newest.subquery().c.id)),
        Store.status == StoreStatus.CONNECTED,
        or_(Store.is_order_sync_on, Store.is_inventory_sync_on),
        ~scheduled.exists(),
    )
    return _by_name(query)


def of_unscheduled(stores: Sequence[Store], found: Syncs) -> list[Freshness]:
    """Return how fresh stores without a turn are, in their order; `found` has the syncs of each."""
    fresh = []
    for store in stores:
        on = [sync for sync in found[store.id] if sync.sync and sync.is_on]
        worst = max(on, key=lambda sync: (sync.is_stale, sync.is_failing))
        fresh.append(Freshness(store, worst, sentence_of(worst)))
    return fresh


def refused(actor: Actor) -> list[Freshness]:
    """Return the stores that Amazon refuses, by name; SHOWN_APART and one more at most."""
    query = access.visible(actor, Store).where(text("stores.status = 'needs_reauthorization'"))
    return [Freshness(store, None, REFUSED, store_health.of(store)) for store in _by_name(query)]


def at_rest(actor: Actor) -> list[Freshness]:
    """Return the stores of which nothing is expected, by name; SHOWN_APART and one more at most."""
    query = access.visible(actor, Store).where(text(IS_AT_REST), Store.status != StoreStatus.NEEDS_REAUTHORIZATION)
    return [Freshness(store, None, rest_sentence(store), store_health.of(store)) for store in _by_name(query)]


def sentence_of(sync: SyncStatus) -> str:
    """Return how fresh a sync that is on is, without the name of its store."""
    run = sync.last_run
    if sync.is_stale or sync.is_failing or sync.state == "Paused":
        silence = _silence(sync)
        if run is None:
            return f"{silence}; no run has begun since. The scheduler or the worker may be away."
        if run.error_sentence and (run.state is RunState.FAILED or run.is_retrying):
            return f"{silence}; the last run failed because {as_clause(run.error_sentence)}"
        if sync.state == "Paused":
            return f"{silence}. {sync.sentence}"
        if run.state is RunState.RUNNING:
            return f"{silence}; a run is at work: {as_clause(run.progress or 'it has just begun.')}"
        if run.state is RunState.QUEUED:
            return f"{silence}; a run waits for a worker."
        return f"{silence}; no run has begun since. The scheduler or the worker may be away."
    if sync.state == "Waiting" and run and run.state is RunState.FAILED:
        return f"{sync.label} waits for its first run since the store was authorized again."
    if sync.last_success_at is None:
        return f"{sync.label} waits for its first good run. {sync.sentence}"
    ago = _words(clock.now() - sync.last_success_at)
    but = sync.sentence.removeprefix("The last run went through") if sync.state == "Partial" else "."
    return f"{sync.label} went through {f'{ago} ago' if ago else 'just now'}{but}"


def _silence(sync: SyncStatus) -> str:
    since = sync.silent_since or sync.last_success_at
    if since is None:
        return f"No good {sync.label} yet"
    return f"No good {sync.label} for {_words(clock.now() - since) or 'less than a minute'}"


def _words(span: timedelta) -> str:
    """Return a span as people say it, "" for less than a minute."""
    minutes = int(span.total_seconds() // 60)
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= 2 * size or (size == 1 and minutes):
            n = minutes // size
            return f"{n:,} {unit}{'s' if n != 1 else ''}"
    return ""


def rest_sentence(store: Store) -> str:
    """Return why nothing is expected of a store."""
    if store.status is StoreStatus.DRAFT:
        return "Not connected to Amazon yet."
    if store.status is StoreStatus.DISCONNECTED:
        return "Disconnected from Amazon: nothing is sent or fetched."
    return "Order Sync and Inventory Sync are off, so nothing runs."


def _by_name(query: Select[tuple[Store]]) -> Sequence[Store]:
    return db.session.scalars(
        query.options(joinedload(Store.seller)).order_by(Store.name, Store.id).limit(SHOWN_APART + 1)
    ).all()


def _is_on(sync: object) -> object:
    """Return the condition on stores that the toggle of `sync` is on."""
    return or_(
        and_(sync == Sync.ORDER_PULL, Store.is_order_sync_on),
        and_(sync == Sync.INVENTORY_PUSH, Store.is_inventory_sync_on),
    )

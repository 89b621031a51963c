"""Sync runs as people meet them: starting one by hand, the list, and one run whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from flexdash import clock
from flexdash.database import begins_with, transaction
from flexdash.extensions import db
from flexdash.models import (
    ApiCall,
    ItemOutcome,
    Order,
    OrderEvent,
    QuarantinedShipment,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncAttempt,
    SyncRun,
    SyncRunItem,
    SyncState,
    Trigger,
    User,
)
from flexdash.services import access, quarantine, sync_schedule
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import NotAllowed, ServiceError
from flexdash.services.syncs import FACTS

ON_TIME = timedelta(minutes=5)  # how long after its slot a run may be queued, as it is while the schedule is busy
SHOWN_AT_MOST = 50  # orders and quarantined shipments on the page of a run


class RunInProgress(ServiceError):
    """A run of the same sync of the same store is open: `run_id` says which."""

    def __init__(self, sentence: str, run_id: int) -> None:
        super().__init__(sentence)
        self.run_id = run_id


class StoreCannotSync(ServiceError):
    """The store is not connected, or the merchant has this sync turned off."""


@dataclass(frozen=True)
class RunFilters:
    """What the list is narrowed to; None means not at all. `since` and `until` are moments, `until` not included."""

    store_id: int | None = None
    sync: Sync | None = None
    state: RunState | None = None
    trigger: Trigger | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def has_dates(self) -> bool:
        """Whether the list is narrowed by date, which asks for another order of reading."""
        return self.since is not None or self.until is not None


@dataclass(frozen=True)
class RunDetail:
    """One run with what belongs to it."""

    run: SyncRun
    attempts: Sequence[SyncAttempt]
    requested_by: str  # the person's name, "" when it was the clock
    quarantined: Sequence[QuarantinedShipment]
    orders_read: Mapping[
        str, quarantine.OrderRead
    ]  # of those that left quarantine and are here, by Amazon's shipment id
    created: Sequence[Order]
    duration: timedelta | None


def request_now(actor: Actor, store_id: int, sync: Sync, *, is_full: bool = False) -> SyncRun:
    """Make a run that a person asks for, and return it; the caller enqueues it after this commit.

    `is_full` asks an inventory push for everything, changed or not. Raises NotVisible, NotAllowed, RunInProgress when
    one is open, and StoreCannotSync.
    """
    if FACTS[sync].asked_on:
        access.get(actor, Store, store_id)
        raise StoreCannotSync(f"{FACTS[sync].label} has to know what to look for. Start it on {FACTS[sync].asked_on}.")
    with transaction() as session:
        return new_by_hand(session, actor, store_id, sync, is_full=is_full)


def new_by_hand(
    session: Session,
    actor: Actor,
    store_id: int,
    sync: Sync,
    *,
    is_full: bool = False,
    retry_of_id: int | None = None,
) -> SyncRun:
    """Do as `request_now` inside the caller's transaction, whatever else the run needs to know."""
    if not actor.may(Permission.START_SYNCS):
        raise NotAllowed("Your role may not start a sync. Ask a merchant or an admin of your workspace.")
    store = access.get(actor, Store, store_id)
    _check_may_run(store, sync)
    sync_schedule.ensure_state(store.workspace_id, store.id, sync)
    # Held until the commit, so that the clock and a second click wait for this one.
    session.execute(
        select(SyncState.id).where(SyncState.store_id == store.id, SyncState.sync == sync).with_for_update()
    )
    if open_run := _open_run(store.id, sync):
        raise _in_progress(store, open_run)
    run = SyncRun(
        workspace_id=store.workspace_id,
        store_id=store.id,
        sync=sync,
        trigger=Trigger.MANUAL,
        requested_by_id=actor.user_id,
        is_full=is_full,
        retry_of_id=retry_of_id,
    )
    session.add(run)
    session.flush()
    return run


def request_again(actor: Actor, run_id: int) -> SyncRun:
    """Make a run like the one with this id, as `request_now` does; of one that took up what failed, a whole one."""
    run = access.get(actor, SyncRun, run_id)
    return request_now(actor, run.store_id, run.sync, is_full=run.is_full)


def listing(actor: Actor, filters: RunFilters) -> Select[tuple[SyncRun]]:
    """Return the SELECT of the runs that `actor` may see and the filters leave, unordered and unpaged."""
    query = access.visible(actor, SyncRun).options(joinedload(SyncRun.store))
    if filters.store_id is not None:
        query = query.where(SyncRun.store_id == filters.store_id)
    if filters.sync is not None:
        query = query.where(SyncRun.sync == filters.sync)
    if filters.state is not None:
        query = query.where(SyncRun.state == filters.state)
    if filters.trigger is not None:
        query = query.where(SyncRun.trigger == filters.trigger)
    if filters.since is not None:
        query = query.where(SyncRun.queued_at >= filters.since)
    if filters.until is not None:
        query = query.where(SyncRun.queued_at < filters.until)
    return query


def load(actor: Actor, run_id: int) -> RunDetail:
    """Return one run whole, but for its calls to Amazon (see `calls_of`); raise NotVisible."""
    run = access.get(actor, SyncRun, run_id)
    attempts = db.session.scalars(select(SyncAttempt).where(SyncAttempt.run_id == run.id).order_by(SyncAttempt.id))
    quarantined = (
        access.visible(actor, QuarantinedShipment, are_few=True)
        .where(QuarantinedShipment.run_id == run.id)
        .order_by(QuarantinedShipment.id)
        .limit(SHOWN_AT_MOST)
    )
    created_here = select(OrderEvent.order_id).where(OrderEvent.run_id == run.id, OrderEvent.kind == "imported")
    created = access.visible(actor, Order).where(Order.id.in_(created_here)).order_by(Order.id).limit(SHOWN_AT_MOST)
    kept_apart = db.session.scalars(quarantined).all()
    person = db.session.get(User, run.requested_by_id) if run.requested_by_id else None
    return RunDetail(
        run=run,
        attempts=attempts.all(),
        requested_by=person.name if person else "",
        quarantined=kept_apart,
        orders_read=quarantine.orders_read(kept_apart),
        created=db.session.scalars(created).all(),
        duration=duration_of(run),
    )


def calls_of(run: SyncRun) -> Select[tuple[ApiCall]]:
    """Return the SELECT of the run's calls to Amazon."""
    return select(ApiCall).where(ApiCall.run_id == run.id)


def items_of(run: SyncRun, text: str = "") -> Select[tuple[SyncRunItem]]:
    """Return the SELECT of what the run left out and what Amazon refused; `text` is how a SKU's code begins."""
    query = select(SyncRunItem).where(SyncRunItem.run_id == run.id)
    if text := text.strip():
        query = query.where(begins_with(SyncRunItem.sku_code, text))
    return query


def n_left_out(run: SyncRun) -> int:
    """Return how many things the run left out; each kind stands with its reason among the items."""
    of_run = (SyncRunItem.run_id == run.id, SyncRunItem.outcome == ItemOutcome.SKIPPED)
    return db.session.scalar(select(func.sum(SyncRunItem.n_items)).where(*of_run)) or 0


def is_after_its_turn(run: SyncRun) -> bool:
    """Say whether a run began long after its place in the schedule.

    So it is where a sync was turned on, or its store connected, after that place had passed, or where nothing looked
    at the schedule in between: nobody was waiting for it at that time.
    """
    return run.slot_at is not None and run.queued_at - run.slot_at > ON_TIME


def duration_of(run: SyncRun) -> timedelta | None:
    """Return how long the run took, or has taken up to now; None before its start."""
    if run.started_at is None:
        return None
    return (run.finished_at or clock.now()) - run.started_at


def _check_may_run(store: Store, sync: Sync) -> None:
    label = FACTS[sync].label
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        raise StoreCannotSync(
            f"{store.name} needs re-authorization, so Amazon cannot be asked. Re-authorize the store first. "
            f"{FACTS[sync].once_authorized}"
        )
    if store.status is not StoreStatus.CONNECTED:
        raise StoreCannotSync(f"{store.name} is not connected to Amazon, so there is nobody to ask. Connect it first.")
    if not FACTS[sync].is_on(store):
        raise StoreCannotSync(
            f"{label} is off for {store.name}, so nothing was started. A merchant or an admin can turn it on "
            "in the store's settings; the first run then starts within a minute."
        )


def _open_run(store_id: int, sync: Sync) -> SyncRun | None:
    query = select(SyncRun).where(
        SyncRun.store_id == store_id, SyncRun.sync == sync, SyncRun.state.in_(sync_schedule.OPEN)
    )
    return db.session.scalars(query).one_or_none()


def _in_progress(store: Store, run: SyncRun) -> RunInProgress:
    label = FACTS[run.sync].label
    if run.state is RunState.RUNNING:
        what = f"{label} of {store.name} is running already"
    elif run.retry_at is not None:
        what = f"A run of {store.name}'s {label} failed and is tried again by itself in a moment"
    else:
        what = f"A run of {store.name}'s {label} is already waiting for a worker"
    return RunInProgress(f"{what}, so no second one was started. This is that run.", run.id)

"""Claiming what is due, in the database, so that any number of dispatchers give each store, sync and slot one run."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Insert, Row, Select, and_, bindparam, case, exists, literal, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flexdash import clock, metrics
from flexdash.database import moment_of, one_of, transaction
from flexdash.extensions import db, settings
from flexdash.models import RunState, Store, Sync, SyncRun, SyncState, Trigger
from flexdash.models.types import Choice, UtcDateTime
from flexdash.services import slots, waiting_runs
from flexdash.services.syncs import FACTS
from flexdash.services.words import shortened

OPEN = (RunState.QUEUED, RunState.RUNNING)
BATCH = 2_000  # one transaction each: the write lock of SQLite stays short


@dataclass(frozen=True)
class Timing:
    """How often a sync comes round."""

    sync: Sync
    interval: timedelta

    def slot_at(self, store_id: int, moment: datetime) -> datetime:
        """Return the store's latest slot that is not after `moment`."""
        return slots.slot_at(moment, self.interval, slots.offset_of(store_id, self.sync, self.interval))

    def next_slot(self, store_id: int, moment: datetime) -> datetime:
        """Return the store's first slot after `moment`."""
        return self.slot_at(store_id, moment) + self.interval

    def slot_in_sql(self, store_id: Any, moment: datetime, n_later: int = 0) -> ColumnElement[datetime]:
        """Return the SQL for each store's latest slot that is not after `moment`, or the slot `n_later` after that."""
        seconds = slots.seconds_of_slot_at(moment, self.sync, self.interval, store_id)
        return moment_of(seconds + n_later * int(self.interval.total_seconds()))


@dataclass(frozen=True)
class Claimed:
    """What one look at the schedule did."""

    n_queued: int = 0
    n_skipped: int = 0

    def __add__(self, other: "Claimed") -> "Claimed":
        return Claimed(self.n_queued + other.n_queued, self.n_skipped + other.n_skipped)


def insert_new(table: Any) -> Insert:
    """Return an INSERT into `table` that leaves out rows whose unique key is there already."""
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def _insert_from(table: Any, rows: Select[Any]) -> int:
    """Insert what `rows` selects, its labels being the columns, as far as the unique keys are free; return how many."""
    statement = insert_new(table).from_select([column.name for column in rows.selected_columns], rows)
    return db.session.connection().execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def fresh_until(sync: Sync, since: datetime) -> datetime | None:
    """Return when the silence of `sync` gets too long if no run goes well from `since` on; None where it never does."""
    allowed = FACTS[sync].silence_allowed(settings)
    return None if allowed is None else since + allowed


def put_in_order(timing: Timing, now: datetime) -> None:
    """Give every store whose sync may run its next turn, and take it from those whose sync may not.

    A store that has just been turned on or authorized again is due at once: orders should not keep the merchant
    waiting. Its turn is its present slot, or the minute at hand where that slot had its run already. A turn that lies
    more than an interval ahead (the interval was shortened, the clock stood wrong) is moved to the store's next slot.
    """
    may_run = FACTS[timing.sync].may_run()
    of_store = (SyncState.store_id == Store.id) & (SyncState.sync == timing.sync)
    with transaction() as session:
        _insert_from(
            SyncState.__table__,
            select(
                Store.workspace_id,
                Store.id.label("store_id"),
                literal(timing.sync, Choice(Sync)).label("sync"),
                timing.slot_in_sql(Store.id, now).label("next_due_at"),
                literal(now, UtcDateTime).label("on_since"),
                literal(fresh_until(timing.sync, now), UtcDateTime).label("fresh_until"),
            )
            .outerjoin(SyncState, of_store)
            .where(may_run, SyncState.id.is_(None))
            .order_by(Store.id),
        )
        _start_again(timing, now)
        too_far = session.execute(
            select(SyncState.id, SyncState.store_id)
            .join(Store, of_store)
            .where(may_run, SyncState.next_due_at > now + timing.interval)
            .order_by(SyncState.id)
            .with_for_update(of=SyncState)
        ).all()
        _set_due({state_id: timing.next_slot(store_id, now) for state_id, store_id in too_far})
        session.execute(
            update(SyncState)
            .where(
                SyncState.sync == timing.sync,
                SyncState.next_due_at.is_not(None),
                SyncState.store_id.in_(select(Store.id).where(~may_run)),
            )
            .values(next_due_at=None, fresh_until=_kept_while_on(timing.sync)),
            execution_options={"synchronize_session": False},
        )


def _kept_while_on(sync: Sync) -> Any:
    """Return the SQL for `fresh_until` of a sync whose turn is taken: kept while it is on and its store just away."""
    if not FACTS[sync].toggle:
        return None
    is_on = SyncState.store_id.in_(select(Store.id).where(getattr(Store, FACTS[sync].toggle).is_(True)))
    return case((is_on, SyncState.fresh_until))


def _start_again(timing: Timing, now: datetime) -> None:
    """Make every store due whose sync may run again. The rows are locked: two dispatchers set one turn, not two."""
    of_store = (SyncState.store_id == Store.id) & (SyncState.sync == timing.sync)
    is_starting = and_(
        FACTS[timing.sync].may_run(),
        or_(
            SyncState.next_due_at.is_(None),
            and_(SyncState.on_since < Store.authorized_at, Store.authorized_at <= now),
        ),
    )
    starting = db.session.execute(
        select(SyncState.id, SyncState.store_id)
        .join(Store, of_store)
        .where(is_starting)
        .order_by(SyncState.id)
        .with_for_update(of=SyncState)
    ).all()
    if not starting:
        return
    taken = {
        (store_id, slot)
        for store_id, slot in db.session.execute(
            select(SyncRun.store_id, SyncRun.slot_at)
            .join(SyncState, (SyncState.store_id == SyncRun.store_id) & (SyncState.sync == SyncRun.sync))
            .join(Store, of_store)
            .where(is_starting, SyncRun.slot_at > now - timing.interval)
        )
    }
    minute = now.replace(second=0, microsecond=0)
    due = {}
    for state_id, store_id in starting:
        slot = timing.slot_at(store_id, now)
        due[state_id] = minute + timedelta(minutes=1)  # where this minute, too, had its run
        for moment in (slot, minute):
            if moment >= slot and (store_id, moment) not in taken:
                due[state_id] = moment
                break
    _set_due(due, on_since=now, fresh_until=fresh_until(timing.sync, now))


def begin_again(store: Store, sync: Sync) -> None:
    """Let the next tick start `sync` of `store` at once: it was turned on now. Inside the caller's transaction."""
    ensure_state(store.workspace_id, store.id, sync)
    now = clock.now()
    db.session.execute(
        update(SyncState)
        .where(SyncState.store_id == store.id, SyncState.sync == sync)
        .values(next_due_at=None, on_since=now, fresh_until=fresh_until(sync, now)),
        execution_options={"synchronize_session": False},
    )


def drop_unscheduled(scheduled: set[Sync]) -> None:
    """Take the next turn from syncs that are no longer in the schedule; what they have reached is kept."""
    others = [sync for sync in Sync if sync not in scheduled]
    if others:
        with transaction() as session:
            session.execute(
                update(SyncState)
                .where(SyncState.sync.in_(others), SyncState.next_due_at.is_not(None))
                .values(next_due_at=None, fresh_until=None),
                execution_options={"synchronize_session": False},
            )


def claim_due(timing: Timing, now: datetime) -> Claimed:
    """Make a run for every store whose turn has come, and set its next turn.

    Where the store's run before is still open, the slot is recorded as skipped, unless it had come before the sync was
    turned on: that one was nobody's to do. After a gap there is one run for all missed slots, marked catch-up. Safe to
    call from several processes at once: a store's turn is locked while it is claimed (the others pass over it), and the
    unique indexes on runs have the last word.
    """
    total, after_id = Claimed(), 0
    while True:
        with transaction():
            claimed, last_id = _claim_batch(timing, now, after_id)
        if last_id is None:
            return total
        total, after_id = total + claimed, last_id


def _claim_batch(timing: Timing, now: datetime, after_id: int) -> tuple[Claimed, int | None]:
    due = db.session.scalars(
        select(SyncState.id)
        .where(SyncState.sync == timing.sync, SyncState.next_due_at <= now, SyncState.id > after_id)
        .order_by(SyncState.id)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    if not due:
        return Claimed(), None
    is_due = one_of(SyncState.id, due)
    # What is skipped first: it takes the slot, and no run is made for it below. Nor is one where a run is open, skipped
    # or not: by a unique index a store has one open run of a sync.
    n_skipped = _skip(timing, now, is_due)
    n_queued = _insert_from(
        SyncRun.__table__,
        _new_runs(timing, now).add_columns(literal(RunState.QUEUED, Choice(RunState)).label("state")).where(is_due),
    )
    db.session.execute(
        update(SyncState).where(is_due).values(next_due_at=_next_turn(timing, now)),
        execution_options={"synchronize_session": False},
    )
    metrics.count("sync_runs_ended", n_skipped, sync=timing.sync, outcome="skipped")
    return Claimed(n_queued, n_skipped), due[-1]


def _next_turn(timing: Timing, now: datetime) -> ColumnElement[datetime]:
    """Return the SQL for the next turn of what has had its turn now: its next slot.

    Where work came up while a run was at work already, which may have passed it by: the next minute.
    """
    at_work = exists().where(
        SyncRun.store_id == SyncState.store_id, SyncRun.sync == SyncState.sync, SyncRun.state == RunState.RUNNING
    )
    came_up = SyncState.on_since > timing.slot_in_sql(SyncState.store_id, now)
    minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    next_slot = timing.slot_in_sql(SyncState.store_id, now, n_later=1)
    return case(
        (and_(came_up, SyncState.on_since > SyncState.next_due_at, at_work), literal(minute, UtcDateTime)),
        else_=next_slot,
    )


def _new_runs(timing: Timing, now: datetime) -> Select[Any]:
    """Return the SELECT, from the turns that have come, of what their runs begin with, apart from the state."""
    due_at, slot = SyncState.next_due_at, timing.slot_in_sql(SyncState.store_id, now)
    has_missed_one = timing.slot_in_sql(SyncState.store_id, now, n_later=-1) >= due_at
    catch_up, on_time = (literal(trigger, Choice(Trigger)) for trigger in (Trigger.CATCH_UP, Trigger.SCHEDULE))
    return select(
        SyncState.workspace_id,
        SyncState.store_id,
        SyncState.sync,
        case((slot >= due_at, slot), else_=due_at).label("slot_at"),  # after a start within a slot: its minute
        case((has_missed_one, catch_up), else_=on_time).label("trigger"),
        literal(now, UtcDateTime).label("queued_at"),
        literal(now, UtcDateTime).label("heartbeat_at"),
    )


def _skip(timing: Timing, now: datetime, is_due: ColumnElement[bool]) -> int:
    """Record the slot as skipped where the run before is still open; return how many those are."""
    beginning = _new_runs(timing, now)
    is_of_state = (SyncRun.store_id == SyncState.store_id) & (SyncRun.sync == SyncState.sync)
    is_of_now = or_(SyncState.on_since.is_(None), beginning.selected_columns.slot_at >= SyncState.on_since)
    rows = db.session.execute(
        beginning.add_columns(SyncRun.id, SyncRun.state, SyncRun.retry_at, SyncRun.error_sentence)
        .join(SyncRun, is_of_state & SyncRun.state.in_(OPEN))
        .where(is_due, is_of_now)
    ).all()
    if not rows:
        return 0
    names = beginning.selected_columns.keys()
    skipped = [
        {
            **{name: getattr(row, name) for name in names},
            "state": RunState.SKIPPED,
            "finished_at": now,
            "error_sentence": _skip_sentence(timing.sync, row),
        }
        for row in rows
    ]
    statement = insert_new(SyncRun.__table__).execution_options(preserve_rowcount=True)
    return db.session.connection().execute(statement, skipped).rowcount


def _skip_sentence(sync: Sync, open_run: Row[Any]) -> str:
    if open_run.state is RunState.RUNNING:
        was = "was still at work when this turn came"
    elif open_run.retry_at is not None:
        was = "had failed and was waiting to be tried again when this turn came"
    else:
        was = "was still waiting for a worker when this turn came"
    why = ""
    if open_run.state is RunState.QUEUED and open_run.retry_at is not None and open_run.error_sentence:
        why = f" It had failed because: {shortened(open_run.error_sentence, 400)}"
    return (
        f"Run {open_run.id} of this store's {FACTS[sync].label} {was}, and two never run at once. Nothing is lost: "
        f"that run and the next one bring in what this one would.{why}"
    )


def _set_due(next_due: dict[int, datetime], **values: datetime | None) -> None:
    if next_due:
        table = SyncState.__table__
        db.session.connection().execute(
            table.update().where(table.c.id == bindparam("state_id")).values(next_due_at=bindparam("due_at"), **values),
            [{"state_id": state_id, "due_at": due_at} for state_id, due_at in next_due.items()],
        )


def waiting(now: datetime) -> list[tuple[int, Sync, int]]:
    """Return (run id, sync, number of the attempt to come) of every run that a worker should take up now."""
    rows = db.session.execute(
        select(SyncRun.id, SyncRun.sync, SyncRun.n_attempts + 1).where(waiting_runs.is_ready(now)).order_by(SyncRun.id)
    ).all()
    db.session.rollback()
    return [(run_id, sync, attempt) for run_id, sync, attempt in rows]


def ensure_state(workspace_id: int, store_id: int, sync: Sync) -> None:
    """Make the store's row for `sync` if it has none, without a turn. Inside the caller's transaction."""
    db.session.execute(
        insert_new(SyncState.__table__), [{"workspace_id": workspace_id, "store_id": store_id, "sync": sync}]
    )

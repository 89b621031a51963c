"""Recovering orders as people meet it: asking for it by days or by ids, and reading what became of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session, joinedload

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Order, Recovery, RecoveryItem, RecoveryOutcome, RunState, Sync, SyncRun
from flexdash.services import access, recovery_items, sync_runs
from flexdash.services.actors import Actor
from flexdash.services.amazon_ids import read_ids
from flexdash.services.errors import FieldRefused, NotVisible, ServiceError
from flexdash.services.words import listed, quoted

MAX_IDS = 500
MAX_DAYS = 31
NAMED_AT_MOST = 5  # unreadable ids in a sentence
LIVE = (RunState.QUEUED, RunState.RUNNING)
_TO_LOOK_AT_AGAIN = (RecoveryOutcome.NO_ANSWER,)
OLDEST_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class RecoveryView:
    """One recovery with its run and what has become of its ids so far."""

    recovery: Recovery
    run: SyncRun | None
    counts: dict[RecoveryOutcome, int]
    n_left: int  # not looked at yet

    @property
    def n_found(self) -> int:
        """How many Amazon has."""
        return sum(n for outcome, n in self.counts.items() if outcome in FOUND)

    @property
    def is_live(self) -> bool:
        """Whether a run is at work on it, or is about to be."""
        return self.run is not None and self.run.state in LIVE

    @property
    def may_go_on(self) -> bool:
        """Whether no run is at work and something is left to look at."""
        is_unfinished = self.recovery.finished_at is None or bool(self.n_left)
        return not self.is_live and (is_unfinished or bool(self.counts.get(RecoveryOutcome.NO_ANSWER)))


FOUND = (RecoveryOutcome.IMPORTED, RecoveryOutcome.HERE_ALREADY, RecoveryOutcome.NOT_IMPORTED)


def request_ids(actor: Actor, store_id: int, text: str) -> Recovery:
    """Make a recovery of the Amazon ids in a pasted `text`, with its run, which the caller enqueues after this commit.

    Raises NotVisible, NotAllowed, FieldRefused for `ids`, RunInProgress when one is open, and StoreCannotSync.
    """
    pasted = read_ids(text)
    if pasted.unreadable:
        raise FieldRefused("ids", _unreadable_sentence(pasted.unreadable))
    if not pasted.ids:
        raise FieldRefused("ids", "Paste at least one of Amazon's shipment or order ids.")
    if len(pasted.ids) > MAX_IDS:
        raise FieldRefused(
            "ids",
            f"These are {len(pasted.ids):,} ids, and {MAX_IDS} can be recovered at a time. Paste them in parts, or "
            "recover by days.",
        )
    with transaction() as session:
        return start(session, actor, store_id, amazon_ids=pasted.ids)


def request_days(actor: Actor, store_id: int, first_day: date | None, last_day: date | None, zone: tzinfo) -> Recovery:
    """Make a recovery of every shipment that changed on the days, both included, as `zone` has them.

    Its run is enqueued by the caller after this commit. Raises as `request_ids`, FieldRefused for `first_day` or
    `last_day`.
    """
    if first_day is None:
        raise FieldRefused("first_day", "Give the first day.")
    if last_day is None:
        raise FieldRefused("last_day", "Give the last day.")
    today = clock.now().astimezone(zone).date()
    if last_day < first_day:
        raise FieldRefused("last_day", "The last day is before the first, so nothing can lie between.")
    if first_day > today:
        raise FieldRefused("first_day", "The first day lies in the future, where nothing has changed yet.")
    if last_day > today:
        raise FieldRefused("last_day", "The last day lies in the future. Today is the last that can be asked for.")
    if first_day < OLDEST_DAY:
        raise FieldRefused("first_day", f"Give a first day since {OLDEST_DAY.year}.")
    n_days = (last_day - first_day).days + 1
    if n_days > MAX_DAYS:
        raise FieldRefused(
            "last_day",
            f"These are {n_days} days, and {MAX_DAYS} can be recovered at a time. Bring the days closer together.",
        )
    with transaction() as session:
        return start(
            session,
            actor,
            store_id,
            days=(
                datetime.combine(first_day, time.min, zone),
                datetime.combine(last_day + timedelta(1), time.min, zone),
            ),
        )


def start(
    session: Session,
    actor: Actor,
    store_id: int,
    *,
    amazon_ids: Sequence[str] = (),
    days: tuple[datetime, datetime] | None = None,
) -> Recovery:
    """Make a recovery of `amazon_ids` or of `days`, with its run, inside the caller's transaction.

    Raises NotVisible, NotAllowed, RunInProgress and StoreCannotSync.
    """
    run = sync_runs.new_by_hand(session, actor, store_id, Sync.ORDER_RECOVERY)
    recovery = Recovery(
        workspace_id=run.workspace_id,
        store_id=run.store_id,
        run_id=run.id,
        asked_by_name=actor.name,
        updated_from=days[0] if days else None,
        updated_to=days[1] if days else None,
        n_ids=len(amazon_ids),
    )
    session.add(recovery)
    session.flush()
    if amazon_ids:
        rows = [{"recovery_id": recovery.id, "amazon_id": amazon_id} for amazon_id in amazon_ids]
        session.execute(insert(RecoveryItem), rows)
    return recovery


def go_on(actor: Actor, recovery_id: int) -> Recovery:
    """Make a further run for what a recovery has left: not looked at, or without an answer.

    The caller enqueues it after this commit. Raises as `start`, and ServiceError when nothing is left.
    """
    recovery = access.get(actor, Recovery, recovery_id)
    store_id = recovery.store_id
    with transaction() as session:
        run = sync_runs.new_by_hand(session, actor, store_id, Sync.ORDER_RECOVERY)
        recovery = access.get(actor, Recovery, recovery_id, lock=True)
        again = session.execute(
            update(RecoveryItem)
            .where(RecoveryItem.recovery_id == recovery.id, RecoveryItem.outcome.in_(_TO_LOOK_AT_AGAIN))
            .values(outcome=None, sentence="")
        )
        if recovery.finished_at is not None and not again.rowcount:  # type: ignore[attr-defined]
            raise ServiceError("Everything that was asked for has been looked at, so there is nothing to go on with.")
        recovery.run_id, recovery.finished_at, recovery.counts = run.id, None, None
        return recovery


def listing(actor: Actor, store_id: int, *, is_by_days: bool | None = None) -> Select[tuple[Recovery]]:
    """Return the SELECT of the store's recoveries, by days, by ids or (None) all, unordered and unpaged."""
    query = access.visible(actor, Recovery).options(joinedload(Recovery.run))
    if is_by_days is not None:
        query = query.where(Recovery.updated_from.is_not(None) if is_by_days else Recovery.updated_from.is_(None))
    return query.where(Recovery.store_id == store_id)


def load(actor: Actor, store_id: int, recovery_id: int) -> RecoveryView:
    """Return one recovery of the store with its counts; raise NotVisible."""
    recovery = access.get(actor, Recovery, recovery_id)
    if recovery.store_id != store_id:
        raise NotVisible("recovery")
    counts: dict[RecoveryOutcome | None, int]
    if recovery.finished_at is not None and recovery.counts is not None:
        counts = {RecoveryOutcome(outcome): n for outcome, n in recovery.counts.items()}
    else:
        counts = recovery_items.count(recovery.id)
    n_left = counts.pop(None, 0)
    return RecoveryView(recovery, recovery.run, counts, n_left)


def items(recovery: Recovery, outcome: RecoveryOutcome | None = None) -> Select[tuple[RecoveryItem]]:
    """Return the SELECT of the recovery's ids, all or those with one outcome; ordered by id is as they were asked."""
    query = select(RecoveryItem).where(RecoveryItem.recovery_id == recovery.id)
    if outcome is not None:
        query = query.where(RecoveryItem.outcome == outcome)
    return query.options(joinedload(RecoveryItem.order))


def rows(recovery: Recovery) -> Iterator[tuple[RecoveryItem, Order | None]]:
    """Yield every id of the recovery with its order, in the order asked, without holding them all in memory."""
    recovery_id, last_id = recovery.id, 0
    while True:
        query = (
            select(RecoveryItem, Order)
            .outerjoin(Order, Order.id == RecoveryItem.order_id)
            .where(RecoveryItem.recovery_id == recovery_id, RecoveryItem.id > last_id)
            .order_by(RecoveryItem.id)
            .limit(1_000)
        )
        batch = db.session.execute(query).all()
        yield from batch
        if not batch:
            return
        last_id = batch[-1][0].id
        db.session.expunge_all()


def with_run(actor: Actor, run_id: int) -> Recovery | None:
    """Return the recovery that a run is the latest of; None for a run of anything else."""
    return db.session.scalars(access.visible(actor, Recovery).where(Recovery.run_id == run_id)).one_or_none()


def _unreadable_sentence(unreadable: Sequence[tuple[str, str]]) -> str:
    named = [f"{quoted(word, 40)} {reason}" for word, reason in unreadable[:NAMED_AT_MOST]]
    n_more = len(unreadable) - len(named)
    if n_more:
        named.append(f"{n_more:,} more cannot be read either")
    return f"{listed(named)}. Correct or remove what cannot be read; nothing was started."

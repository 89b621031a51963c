"""The differences of a store as people meet them: counted, listed, brought in with one click, closed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Difference, DifferenceKind, Recovery, RunState, Store, Sync, SyncRun, SyncRunItem, SyncState
from flexdash.services import access, recovery, runs_of_sync
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import NotAllowed, NotVisible, ServiceError

# What a recovery can mend: it brings the order in, or up to what Amazon says.
RECOVERABLE = (DifferenceKind.MISSING_HERE, DifferenceKind.STATE_DIFFERS)
LIVE = (RunState.QUEUED, RunState.RUNNING)


class NothingToRecover(ServiceError):
    """Nothing of the kind is open any more."""


@dataclass(frozen=True)
class Standing:
    """How far the comparison of a store is."""

    last_run: SyncRun | None  # the newest that was not skipped
    last_success_at: datetime | None
    next_due_at: datetime | None
    left_out: list[SyncRunItem]  # by that run

    @property
    def is_live(self) -> bool:
        """Whether a run is at work, or about to be."""
        return self.last_run is not None and self.last_run.state in LIVE


def counts(store_id: int) -> dict[DifferenceKind, int]:
    """Return how many differences of the store are open, by kind, in the order pages show them."""
    counted = db.session.execute(
        select(Difference.kind, func.count())
        .where(Difference.store_id == store_id, Difference.closed_at.is_(None))
        .group_by(Difference.kind)
    )
    found = dict(counted.all())
    return {kind: found[kind] for kind in DifferenceKind if kind in found}


def listing(
    actor: Actor, store_id: int, kind: DifferenceKind | None = None, *, is_closed: bool = False
) -> Select[tuple[Difference]]:
    """Return the SELECT of the store's differences, open or closed, unordered and unpaged."""
    query = access.visible(actor, Difference).options(joinedload(Difference.order))
    query = query.where(Difference.store_id == store_id)
    query = query.where(Difference.closed_at.is_not(None) if is_closed else Difference.closed_at.is_(None))
    return query.where(Difference.kind == kind) if kind is not None else query


def standing(store: Store) -> Standing:
    """Return when the store was compared last, and when it is again."""
    last_run = db.session.scalars(
        select(SyncRun)
        .where(runs_of_sync.of(store.id, Sync.RECONCILE), SyncRun.state != RunState.SKIPPED)
        .order_by(*runs_of_sync.newest_first())
        .limit(1)
    ).one_or_none()
    where = db.session.scalars(
        select(SyncState).where(SyncState.store_id == store.id, SyncState.sync == Sync.RECONCILE)
    ).one_or_none()
    left_out: list[SyncRunItem] = []
    if last_run is not None:
        items = select(SyncRunItem).where(SyncRunItem.run_id == last_run.id).order_by(SyncRunItem.id).limit(10)
        left_out = list(db.session.scalars(items))
    return Standing(
        last_run=last_run,
        last_success_at=where.last_success_at if where else None,
        next_due_at=where.next_due_at if where else None,
        left_out=left_out,
    )


def recover(
    actor: Actor, store_id: int, *, difference_id: int | None = None, kind: DifferenceKind | None = None
) -> Recovery:
    """Make a recovery of one difference, or of all open ones of a kind; the caller enqueues its run after this commit.

    Raises NotVisible, NotAllowed, RunInProgress when one is open, StoreCannotSync, and NothingToRecover.
    """
    with transaction() as session:
        query = access.visible(actor, Difference).where(
            Difference.store_id == store_id, Difference.closed_at.is_(None), Difference.kind.in_(RECOVERABLE)
        )
        if difference_id is not None:
            if access.get(actor, Difference, difference_id).store_id != store_id:
                raise NotVisible("difference")
            query = query.where(Difference.id == difference_id)
        else:
            query = query.where(Difference.kind == kind)
        subjects = dict.fromkeys(row.subject for row in session.scalars(query.order_by(Difference.id)))
        if not subjects:
            access.get(actor, Store, store_id)
            raise NothingToRecover("Nothing of it is left to bring in: it came in, or was closed, meanwhile.")
        return recovery.start(session, actor, store_id, amazon_ids=list(subjects))


def close(actor: Actor, store_id: int, difference_id: int) -> Difference:
    """Close one difference by hand. It stays closed while it stays as it is.

    Raises NotVisible, NotAllowed, and ServiceError when it is closed already.
    """
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include closing differences. Ask a merchant or an admin.")
    with transaction():
        difference = access.get(actor, Difference, difference_id, lock=True)
        if difference.store_id != store_id:
            raise NotVisible("difference")
        if difference.closed_at is not None:
            who = f"{difference.closed_by_name} closed it" if difference.closed_by_name else "It went away by itself"
            raise ServiceError(f"{who} meanwhile, so there is nothing to close any more.")
        difference.closed_at, difference.closed_by_name = clock.now(), actor.name
        return difference

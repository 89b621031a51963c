"""How long changed stock waits until Amazon has it.

What is kept does not say since when a single quantity had changed before it was pushed. What is known is when each push
read the stock and when it ended. So the figures here are bounds: a quantity that changed right after one push had
begun was taken by the next one at the latest, and waited from the beginning of the one to the end of the other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import case, func, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RunState, Store, Sync, SyncRun, SyncState
from flexdash.services import runs_of_sync
from flexdash.services.dashboard.scope import Scope

N_PUSHES = 24
_LOOKED_AT = 200  # runs, skipped and failed ones among them
AGES = (
    ("Up to 1 hour", timedelta(hours=1)),
    ("1 to 2 hours", timedelta(hours=2)),
    ("2 to 6 hours", timedelta(hours=6)),
    ("6 to 24 hours", timedelta(hours=24)),
)
OLDER = "More than 24 hours"
NONE_YET = "None yet"


@dataclass(frozen=True)
class Wait:
    """One push that went through. `longest` bounds what any quantity it carried had waited."""

    run_id: int
    ended_at: datetime
    longest: timedelta
    n_taken: int  # quantities that Amazon accepted

    @property
    def minutes(self) -> int:
        """`longest` in whole minutes, rounded up."""
        return -int(-self.longest.total_seconds() // 60)


def of_store(store: Store) -> list[Wait]:
    """Return the store's last pushes that went through, the newest last, each with the longest wait before it."""
    newest = (
        select(SyncRun.id, SyncRun.state, SyncRun.started_at, SyncRun.finished_at, SyncRun.n_updated)
        .where(
            runs_of_sync.of(store.id, Sync.INVENTORY_PUSH),
            SyncRun.retry_of_id.is_(None),  # that read what another had got refused, not the whole stock
        )
        .order_by(*runs_of_sync.newest_first())
        .limit(_LOOKED_AT)
        .subquery()
    )
    went_through = newest.c.state.in_((RunState.SUCCEEDED, RunState.PARTIAL))
    rows = db.session.execute(
        select(newest.c.id, newest.c.started_at, newest.c.finished_at, newest.c.n_updated)
        .where(went_through, newest.c.started_at.is_not(None), newest.c.finished_at.is_not(None))
        .order_by(newest.c.id.desc())
        .limit(N_PUSHES + 1)
    ).all()[::-1]
    return [
        Wait(run_id, finished_at, finished_at - before.started_at, n_taken)
        for before, (run_id, _, finished_at, n_taken) in pairwise(rows)
    ]


def by_age(scope: Scope) -> list[tuple[str, int]]:
    """Return how many stores with Inventory Sync on had their last good push how long ago, as (words, stores).

    A quantity that changed since then waits at most that long now. Those that had none yet stand last.
    """
    now = clock.now()
    age = case(
        (SyncState.last_success_at.is_(None), len(AGES) + 1),
        *((SyncState.last_success_at >= now - limit, n) for n, (_, limit) in enumerate(AGES)),
        else_=len(AGES),
    ).label("age")
    rows = db.session.execute(
        select(age, func.count())
        .where(*scope.of(SyncState), SyncState.sync == Sync.INVENTORY_PUSH, SyncState.fresh_until.is_not(None))
        .group_by(age)
    )
    found = dict(rows.all())
    return [(words, found.get(n, 0)) for n, words in enumerate((*(words for words, _ in AGES), OLDER, NONE_YET))]

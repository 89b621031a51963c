"""Sync runs that wait for a worker: which ones do, and since when one could have begun them."""

from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RunState, SyncRun

# As SQL: with the values as parameters the partial index would not be used.
IS_OPEN = text("sync_runs.state IN ('queued', 'running')")
ready_since = func.coalesce(SyncRun.retry_at, SyncRun.heartbeat_at)


def is_ready(now: datetime) -> ColumnElement[bool]:
    """Return the condition on runs that a worker can begin: one that is to be tried later does not wait for it yet."""
    return and_(SyncRun.state == RunState.QUEUED, or_(SyncRun.retry_at.is_(None), SyncRun.retry_at <= now))


def n_waiting_since(before: datetime) -> dict[int, int]:
    """Return how many runs a worker could have begun since `before`, by workspace; none where there are none."""
    of_workspace = SyncRun.workspace_id + 0  # else SQLite reads every run, in the order of an index of workspaces
    waiting_ones = (
        select(of_workspace, func.count())
        .where(IS_OPEN, SyncRun.state == RunState.QUEUED, ready_since < before)
        .group_by(of_workspace)
    )
    return dict(db.session.execute(waiting_ones).all())


def waiting_in(workspace_id: int) -> Select[tuple[datetime]]:
    """Return a SELECT of since when each run of a workspace that waits could have been begun, the oldest first."""
    return (
        select(ready_since.label("since"))
        .where(SyncRun.workspace_id == workspace_id, is_ready(clock.now()))
        .order_by(SyncRun.id)
    )

"""What can be wrong with FlexDash itself: its processes, its queues, and its Configuration Log."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import AlarmKind, ConfigChainHead, Severity, Workspace
from flexdash.services import waiting_runs
from flexdash.services.alarms.findings import Finding, Parts
from flexdash.services.order_work import batches
from flexdash.services.uploads import attempts

WAITS_TOO_LONG = timedelta(minutes=15)
WHAT_WAITS = {
    "tick": "no sync is begun by the clock",
    "sync": "orders, stock and prices wait",
    "work": "actions on many orders wait",
    "upload": "uploaded files are neither checked nor applied",
}


def parts(seen: Parts) -> Iterator[Finding]:
    """Find the parts of FlexDash that are away; they concern every workspace."""
    found: list[tuple[AlarmKind, str, str]] = []
    if seen.is_redis_away:
        found.append((AlarmKind.REDIS_AWAY, "redis", "Redis does not answer. Nothing is synced in any store."))
    if seen.is_scheduler_away:
        found.append(
            (
                AlarmKind.SCHEDULER_AWAY,
                "scheduler",
                "The scheduler has not been seen lately. No sync begins by the clock in any store.",
            )
        )
    for queue in seen.unserved_queues or ():
        found.append(
            (
                AlarmKind.WORKER_AWAY,
                f"queue:{queue}",
                f"No worker of the queue {queue} has been seen lately: {WHAT_WAITS[queue]}. "
                f"It is started with: python -m flexdash worker --queues {queue}",
            )
        )
    if not found:
        return
    for workspace_id in db.session.scalars(select(Workspace.id).order_by(Workspace.id)):
        for kind, subject, sentence in found:
            yield Finding(workspace_id, kind, subject, sentence, Severity.CRITICAL)


def queues(now: datetime) -> Iterator[Finding]:
    """Find workspaces whose sync runs, files or actions on many orders wait for a worker for too long."""
    too_old = now - WAITS_TOO_LONG
    minutes = round(WAITS_TOO_LONG.total_seconds() / 60)
    for queue, what, waiting, path in (
        ("sync", ("sync run", "sync runs"), waiting_runs.n_waiting_since, "/sync-runs?state=queued&sort=oldest"),
        ("upload", ("uploaded file", "uploaded files"), attempts.n_waiting_since, "/uploads"),
        ("work", ("action on many orders", "actions on many orders"), batches.n_waiting_since, "/orders/batches"),
    ):
        for workspace_id, n in waiting(too_old).items():
            yield Finding(
                workspace_id,
                AlarmKind.QUEUE_WAITING,
                f"queue:{queue}",
                f"{n:,} {what[n > 1]} {'has' if n == 1 else 'have'} waited for a worker of the queue {queue} for more "
                f"than {minutes} minutes.",
                path=path,
                stage=len(str(n)),
            )


def broken_logs(now: datetime) -> Iterator[Finding]:
    """Find workspaces whose Configuration Log did not pass its last verification."""
    rows = db.session.execute(
        select(ConfigChainHead.workspace_id, ConfigChainHead.verified_fault).where(ConfigChainHead.verified_fault != "")
    )
    for workspace_id, fault in rows:
        yield Finding(
            workspace_id,
            AlarmKind.LOG_BROKEN,
            "log",
            f"The Configuration Log is not as it was written. {fault[:400]}",
            Severity.CRITICAL,
            path="/configuration-log/verify",
        )

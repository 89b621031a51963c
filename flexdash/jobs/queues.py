"""The one door to the queues. Everything is enqueued here, after the commit, as JSON, with ids for arguments.

Queues are a convenience, the database is the truth: an entry that is lost is made again by the next tick, one that
is there twice does nothing the second time.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import redis
import structlog
from flask import current_app
from rq import Queue
from rq.job import Job
from rq.queue import EnqueueData
from rq.serializers import JSONSerializer

from flexdash.database import refuse_in_transaction
from flexdash.extensions import db, redis_client
from flexdash.jobs import schedule
from flexdash.models import RunState, Sync, SyncRun

# A pull of a whole backlog may take hours at Amazon's pace. A worker that hangs is noticed by its heartbeat instead.
SYNC_TIMEOUT = timedelta(hours=6)
# More than all workers together begin before the next tick tops the queue up; the rest waits in the database.
QUEUE_DEPTH = 2_000
KEEP_RESULT_SECONDS = 60
KEEP_FAILURE_SECONDS = 24 * 3600
_FILLING_KEY = "flexdash:queues:filling"
_FILLING_SECONDS = 10  # then the lock of a dispatcher that was killed lapses
_ENQUEUING = "enqueuing"  # a worker would look for a row that is not there yet, or never comes

logger = structlog.get_logger(__name__)


class JsonJob(Job):
    """A job whose arguments and results are JSON whoever makes or reads it, rq-scheduler included: never pickle."""

    def __init__(self, id: str | None = None, connection: Any = None, serializer: Any = None) -> None:
        super().__init__(id=id, connection=connection, serializer=JSONSerializer)

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> "JsonJob":
        """Make a job as RQ does; rq-scheduler cannot say how long a failure is kept, so it is said here."""
        kwargs["serializer"] = JSONSerializer
        if kwargs.get("failure_ttl") is None:
            kwargs["failure_ttl"] = KEEP_FAILURE_SECONDS
        return super().create(*args, **kwargs)


def queue(name: str, connection: redis.Redis | None = None) -> Queue:
    """Return the queue `name` on `connection`, by default the app's."""
    if connection is None:
        connection = current_app.extensions["flexdash_redis"]
    return Queue(name, connection=connection, job_class=JsonJob, serializer=JSONSerializer)


def enqueue_run(run_id: int) -> bool:
    """Put a run that has been committed into its queue; False when Redis is away: the next tick does it then."""
    refuse_in_transaction(_ENQUEUING)
    run = db.session.get(SyncRun, run_id, populate_existing=True)
    if run is None or run.state is not RunState.QUEUED:
        return False
    waiting = [(run.id, run.sync, run.n_attempts + 1)]
    db.session.rollback()
    try:
        enqueue_runs(waiting)
    except redis.RedisError as error:
        logger.warning("Redis is away; the next tick enqueues the run", run_id=run_id, error=type(error).__name__)
        return False
    return True


def enqueue_runs(waiting: Iterable[tuple[int, Sync, int]]) -> int:
    """Put runs, each (id, sync, attempt to come), into their queues unless they stand there; return how many went in.

    A queue is filled up to QUEUE_DEPTH. Raises redis.RedisError when Redis is away.
    """
    refuse_in_transaction(_ENQUEUING)
    by_queue: dict[str, list[tuple[int, str, int]]] = {}
    for run_id, sync, attempt in waiting:
        line = schedule.of(sync)
        by_queue.setdefault(line.queue, []).append((run_id, line.job, attempt))
    n_enqueued = 0
    for name, runs in by_queue.items():
        standing = _ids_in(name, b"run-")
        room = max(0, QUEUE_DEPTH - len(standing))
        new = [run for run in runs if run[0] not in standing][:room]
        _push(queue(name), new)
        n_enqueued += len(new)
    return n_enqueued


@contextmanager
def filling_alone() -> Iterator[None]:
    """Let one dispatcher at a time see what is missing in the queues and put it in: two would put the same in twice.

    Twice does no harm, so nobody waits longer than a dispatcher needs. Raises redis.RedisError when Redis is away.
    """
    with redis_client.lock(_FILLING_KEY, timeout=_FILLING_SECONDS, sleep=0.05, raise_on_release_error=False):
        yield


def enqueue_upload(upload_id: int) -> bool:
    """Put an upload whose next step is committed into its queue; False when Redis is away: the next tick does it."""
    return _or_with_the_next_tick(enqueue_uploads, upload_id)


def enqueue_uploads(upload_ids: Iterable[int]) -> int:
    """Put uploads into their queue unless they stand there; return how many went in.

    Raises redis.RedisError when Redis is away.
    """
    return _enqueue(schedule.UPLOAD_QUEUE, schedule.UPLOAD_JOB, "upload", upload_ids)


def enqueue_batch(batch_id: int) -> bool:
    """Put a batch that has been committed into its queue; False when Redis is away: the next tick does it then."""
    return _or_with_the_next_tick(enqueue_batches, batch_id)


def enqueue_batches(batch_ids: Iterable[int]) -> int:
    """Put batches into their queue unless they stand there; return how many went in.

    Raises redis.RedisError when Redis is away.
    """
    return _enqueue(schedule.WORK_QUEUE, schedule.WORK_JOB, "batch", batch_ids)


def ids_of(job_id: str) -> dict[str, Any]:
    """Return what a job's id says it is about, for the log: {"run_id": 7} of a run's, the id alone of the tick's."""
    what, _, rest = job_id.partition("-")
    number = rest.partition("-")[0]
    return {"job": job_id, **({f"{what}_id": int(number)} if number.isdigit() else {})}


def forget_later_ticks() -> None:
    """Take the ticks that stand in line behind the present one out: they would find nothing to do."""
    redis_client.lrem(Queue.redis_queue_namespace_prefix + schedule.TICK.queue, 0, schedule.TICK.job_id)


def _ids_in(queue_name: str, prefix: bytes) -> set[int]:
    entries = redis_client.lrange(Queue.redis_queue_namespace_prefix + queue_name, 0, -1)
    return {int(entry.split(b"-")[1]) for entry in entries if entry.startswith(prefix)}


def _enqueue(queue_name: str, job: str, what: str, ids: Iterable[int]) -> int:
    refuse_in_transaction(_ENQUEUING)
    standing = _ids_in(queue_name, f"{what}-".encode())
    new = [row_id for row_id in ids if row_id not in standing][:QUEUE_DEPTH]
    if new:
        queue(queue_name).enqueue_many([_entry(job, what, row_id, f"{what} {row_id}") for row_id in new])
    return len(new)


def _or_with_the_next_tick(enqueue: Callable[[list[int]], int], row_id: int) -> bool:
    try:
        enqueue([row_id])
    except redis.RedisError as error:
        logger.warning("Redis is away; the next tick enqueues it", row_id=row_id, error=type(error).__name__)
        return False
    return True


def _push(target: Queue, runs: list[tuple[int, str, int]]) -> None:
    for start in range(0, len(runs), 1_000):
        target.enqueue_many(
            [
                _entry(job, "run", run_id, f"sync run {run_id}, attempt {attempt}", attempt)
                for run_id, job, attempt in runs[start : start + 1_000]
            ]
        )


def _entry(job: str, what: str, row_id: int, description: str, attempt: int = 0) -> EnqueueData:
    return Queue.prepare_data(
        job,
        args=(row_id,),
        # The last part keeps what is handed back from meeting the entry its worker still holds.
        job_id=f"{what}-{row_id}-{attempt}-{secrets.token_hex(3)}",
        timeout=int(SYNC_TIMEOUT.total_seconds()),
        result_ttl=KEEP_RESULT_SECONDS,
        failure_ttl=KEEP_FAILURE_SECONDS,
        description=description,
    )

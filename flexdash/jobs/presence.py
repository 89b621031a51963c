"""Who has been seen lately: each queue's workers, the scheduler and the watcher; and what stands in the queues."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import redis
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from flexdash import clock
from flexdash.jobs.schedule import QUEUES
from flexdash.jobs.scheduling import SEEN_KEY

# A worker shows itself every half minute, idle or busy.
WORKER_SEEN_WITHIN = timedelta(seconds=75)
WATCHER_KEY = "flexdash:watcher:seen"
WATCHER_SECONDS = 60


class QueueState(NamedTuple):
    """One queue: the jobs in line, those of the last day that raised an error, and the workers seen lately."""

    name: str
    n_jobs: int
    n_failed: int
    n_workers: int


def queue_states(connection: redis.Redis) -> Iterator[QueueState]:
    """Yield the state of every queue; raises redis.RedisError."""
    for name in QUEUES:
        failed = FailedJobRegistry(name, connection=connection)
        yield QueueState(
            name,
            connection.llen(Queue.redis_queue_namespace_prefix + name),
            connection.zcard(failed.key),
            _n_workers(connection, name),
        )


def unserved_queues(connection: redis.Redis) -> list[str]:
    """Return the names of the queues for which no living worker has been seen lately."""
    return [name for name in QUEUES if not _n_workers(connection, name)]


def is_scheduler_seen(connection: redis.Redis) -> bool:
    """Say whether the scheduler has been seen lately; the key it leaves behind ends by itself."""
    return bool(connection.exists(SEEN_KEY))


def is_watcher_seen(connection: redis.Redis) -> bool:
    """Say whether the watcher has been seen lately; its key ends by itself too."""
    return bool(connection.exists(WATCHER_KEY))


def show_watcher(connection: redis.Redis) -> None:
    """Leave a sign of life of the watcher."""
    connection.set(WATCHER_KEY, int(clock.now().timestamp()), ex=WATCHER_SECONDS)


def _n_workers(connection: redis.Redis, queue: str) -> int:
    seen = (connection.hget(key, "last_heartbeat") for key in connection.smembers(WORKERS_BY_QUEUE_KEY % queue))
    return sum(clock.now() - utcparse(moment.decode()) < WORKER_SEEN_WITHIN for moment in seen if moment)

"""Who has been seen lately: each queue's workers, the scheduler and the watcher; and what stands in the queues.

A look is two round trips to Redis, however many queues and workers there are.
"""

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


class Signs(NamedTuple):
    """What Redis knows of all parts at one moment."""

    is_scheduler_seen: bool
    is_watcher_seen: bool
    queues: list[QueueState]

    @property
    def unserved_queues(self) -> list[str]:
        """The names of the queues for which no living worker has been seen lately."""
        return [queue.name for queue in self.queues if not queue.n_workers]


def look(connection: redis.Redis) -> Signs:
    """Return what can be seen of all parts; raises redis.RedisError."""
    with connection.pipeline(transaction=False) as asked:
        asked.exists(SEEN_KEY)
        asked.exists(WATCHER_KEY)
        for name in QUEUES:
            asked.llen(Queue.redis_queue_namespace_prefix + name)
            asked.zcard(FailedJobRegistry(name, connection=connection).key)
            asked.smembers(WORKERS_BY_QUEUE_KEY % name)
        scheduler, watcher, *facts = asked.execute()
    by_queue = dict(zip(QUEUES, zip(facts[::3], facts[1::3], facts[2::3], strict=True), strict=True))
    seen = _workers_seen(connection, sorted(set().union(*facts[2::3])))
    return Signs(
        bool(scheduler),
        bool(watcher),
        [
            QueueState(name, n_jobs, n_failed, len(seen & workers))
            for name, (n_jobs, n_failed, workers) in by_queue.items()
        ],
    )


def queue_states(connection: redis.Redis) -> list[QueueState]:
    """Return the state of every queue; raises redis.RedisError."""
    return look(connection).queues


def unserved_queues(connection: redis.Redis) -> list[str]:
    """Return the names of the queues for which no living worker has been seen lately; raises redis.RedisError."""
    return look(connection).unserved_queues


def is_scheduler_seen(connection: redis.Redis) -> bool:
    """Say whether the scheduler has been seen lately; the key it leaves behind ends by itself."""
    return bool(connection.exists(SEEN_KEY))


def is_watcher_seen(connection: redis.Redis) -> bool:
    """Say whether the watcher has been seen lately; its key ends by itself too."""
    return bool(connection.exists(WATCHER_KEY))


def show_watcher(connection: redis.Redis) -> None:
    """Leave a sign of life of the watcher."""
    connection.set(WATCHER_KEY, int(clock.now().timestamp()), ex=WATCHER_SECONDS)


def _workers_seen(connection: redis.Redis, keys: list[bytes]) -> set[bytes]:
    with connection.pipeline(transaction=False) as asked:
        for key in keys:
            asked.hget(key, "last_heartbeat")
        moments = asked.execute()
    latest = clock.now() - WORKER_SEEN_WITHIN
    return {key for key, at in zip(keys, moments, strict=True) if at and utcparse(at.decode()) > latest}

"""Who has been seen lately: the workers of each queue, and the scheduler."""

from datetime import timedelta

import redis
from rq.utils import utcparse
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from flexdash import clock
from flexdash.jobs.schedule import QUEUES
from flexdash.jobs.scheduling import SEEN_KEY

# A worker shows itself every half minute, idle or busy.
WORKER_SEEN_WITHIN = timedelta(seconds=75)


def unserved_queues(connection: redis.Redis) -> list[str]:
    """Return the names of the queues for which no living worker has been seen lately."""
    return [name for name in QUEUES if not _has_worker(connection, name)]


def is_scheduler_seen(connection: redis.Redis) -> bool:
    """Say whether the scheduler has been seen lately; the key it leaves behind ends by itself."""
    return bool(connection.exists(SEEN_KEY))


def _has_worker(connection: redis.Redis, queue: str) -> bool:
    for key in connection.smembers(WORKERS_BY_QUEUE_KEY % queue):
        seen = connection.hget(key, "last_heartbeat")
        if seen and clock.now() - utcparse(seen.decode()) < WORKER_SEEN_WITHIN:
            return True
    return False

"""Which parts of FlexDash have been seen at work lately, as pages look for them."""

from collections.abc import Iterable

import redis

from flexdash.extensions import redis_client
from flexdash.jobs import presence
from flexdash.models import Store
from flexdash.services.diagnosis.common import Parts, keeps_from_starting
from flexdash.services.sync_status import SyncStatus
from flexdash.templating.redis_watch import quick_redis, redis_is_away


def parts_seen(connection: redis.Redis | None = None) -> Parts:
    """Return which parts have been seen at work, as Redis knows it; by `connection`, where the page may not wait."""
    try:
        signs = presence.look(connection or redis_client)
    except redis.RedisError:
        return Parts(is_redis_away=True)
    return Parts(tuple(signs.unserved_queues), signs.is_scheduler_seen)


def why_none_starts(store: Store, syncs: Iterable[SyncStatus]) -> str:
    """Return why those of `syncs` that are to start by themselves now do not, "" if they do, or none is to."""
    if not any(sync.awaits_first_run or sync.is_due_at_once for sync in syncs):
        return ""
    parts = Parts(is_redis_away=True) if redis_is_away() else parts_seen(quick_redis())
    return keeps_from_starting(store, parts)

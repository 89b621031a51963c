"""How FlexDash itself is doing: its processes, as the box on the page of alarms shows them."""

from dataclasses import dataclass

import redis

from flexdash.jobs import presence, schedule
from flexdash.templating.redis_watch import quick_redis, redis_is_away

# What each queue is for, and what of a workspace stands in it.
QUEUE_WORDS: dict[str, tuple[str, str, str]] = {
    schedule.TICK_QUEUE: ("Begins what is due by the clock", "", ""),
    schedule.SYNC_QUEUE: ("Does the syncs", "sync", "syncs"),
    schedule.WORK_QUEUE: ("Does actions on many orders", "action", "actions"),
    schedule.UPLOAD_QUEUE: ("Checks and applies uploaded files", "file", "files"),
}


@dataclass(frozen=True)
class QueueHealth:
    """A queue in words: its workers' task, what stands in it, and whether one of them was seen lately."""

    name: str
    task: str
    one: str
    many: str
    is_served: bool


@dataclass(frozen=True)
class House:
    """What was seen of FlexDash's own parts; nothing of it is any workspace's."""

    is_scheduler_seen: bool
    is_watcher_seen: bool
    queues: list[QueueHealth]


def look() -> House | None:
    """Return what Redis knows of the parts; None while it does not answer, for then nobody can tell."""
    if redis_is_away():
        return None
    try:
        signs = presence.look(quick_redis())
    except redis.RedisError:
        return None
    return House(
        signs.is_scheduler_seen,
        signs.is_watcher_seen,
        [QueueHealth(state.name, *QUEUE_WORDS[state.name], is_served=state.n_workers > 0) for state in signs.queues],
    )

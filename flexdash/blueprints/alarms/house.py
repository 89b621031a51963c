"""How FlexDash itself is doing: its processes and queues, as the box on the page of alarms shows them."""

from dataclasses import dataclass
from datetime import datetime

import redis

from flexdash import clock
from flexdash.extensions import redis_client
from flexdash.jobs import presence, schedule
from flexdash.services.alarms.house_checks import WAITS_TOO_LONG
from flexdash.templating.redis_watch import redis_is_away

# What each queue is for, and what stands in it.
QUEUE_WORDS: dict[str, tuple[str, str, str]] = {
    schedule.TICK_QUEUE: ("Begins what is due by the clock", "look at the clock", "looks at the clock"),
    schedule.SYNC_QUEUE: ("Does the syncs", "sync", "syncs"),
    schedule.WORK_QUEUE: ("Does actions on many orders", "action", "actions"),
    schedule.UPLOAD_QUEUE: ("Checks and applies uploaded files", "file", "files"),
}


@dataclass(frozen=True)
class QueueHealth:
    """A queue in words: its workers' task, whether one was seen lately, how much waits and since when."""

    name: str
    task: str
    one: str
    many: str
    is_served: bool
    n_waiting: int
    waiting_since: datetime | None

    @property
    def is_slow(self) -> bool:
        """Whether something waits for longer than it should."""
        return self.waiting_since is not None and clock.now() - self.waiting_since > WAITS_TOO_LONG


@dataclass(frozen=True)
class House:
    """What was seen of FlexDash's own parts."""

    is_scheduler_seen: bool
    is_watcher_seen: bool
    queues: list[QueueHealth]


def look() -> House | None:
    """Return what Redis knows of the parts; None while it does not answer, for then nobody can tell."""
    if redis_is_away():
        return None
    try:
        return House(
            is_scheduler_seen=presence.is_scheduler_seen(redis_client),
            is_watcher_seen=presence.is_watcher_seen(redis_client),
            queues=[
                QueueHealth(
                    state.name,
                    *QUEUE_WORDS[state.name],
                    is_served=state.n_workers > 0,
                    n_waiting=state.n_jobs,
                    waiting_since=presence.waiting_since(redis_client, state.name) if state.n_jobs else None,
                )
                for state in presence.queue_states(redis_client)
            ],
        )
    except redis.RedisError:
        return None

"""The schedule: everything FlexDash does by the clock, in one table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from config import Settings
from flexdash.models import Sync
from flexdash.services.sync_schedule import Timing

TICK_QUEUE = "tick"
SYNC_QUEUE = "sync"
QUEUES = (TICK_QUEUE, SYNC_QUEUE)


@dataclass(frozen=True)
class TimedSync:
    """One line of the schedule: each store that has `sync` turned on gets a run of `job` on `queue` every `every`."""

    sync: Sync
    every: Callable[[Settings], timedelta]
    job: str
    queue: str = SYNC_QUEUE

    def timing(self, settings: Settings) -> Timing:
        """Return how often it comes round under `settings`."""
        return Timing(self.sync, self.every(settings))


SCHEDULE: tuple[TimedSync, ...] = (
    TimedSync(
        sync=Sync.ORDER_PULL,
        every=lambda settings: timedelta(minutes=settings.order_pull_interval_minutes),
        job="flexdash.jobs.order_pull.run",
    ),
)


@dataclass(frozen=True)
class Tick:
    """What makes the schedule move: a job on the minute, under an id of its own so that Redis holds it once."""

    job_id: str = "flexdash-tick"
    cron: str = "* * * * *"
    job: str = "flexdash.jobs.dispatch.tick"
    queue: str = TICK_QUEUE
    timeout_seconds: int = 600


TICK = Tick()


def of(sync: Sync) -> TimedSync:
    """Return the line of `sync`; raises LookupError when the schedule has none."""
    for line in SCHEDULE:
        if line.sync is sync:
            return line
    raise LookupError(f"the schedule has no line for {sync.value}")

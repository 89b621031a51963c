"""The schedule: everything FlexDash does by the clock, in one table."""

from dataclasses import dataclass

from config import Settings
from flexdash.models import Sync
from flexdash.services.sync_schedule import Timing
from flexdash.services.syncs import FACTS

TICK_QUEUE = "tick"
SYNC_QUEUE = "sync"
UPLOAD_QUEUE = "upload"  # of its own: a file does not wait for a pull that takes an hour at Amazon's pace
WORK_QUEUE = "work"  # nor do people who work orders
QUEUES = (TICK_QUEUE, SYNC_QUEUE, WORK_QUEUE, UPLOAD_QUEUE)
WORK_JOB = "flexdash.jobs.work_batches.run"
UPLOAD_JOB = "flexdash.jobs.uploads.run"


@dataclass(frozen=True)
class TimedSync:
    """One line of the schedule: what `sync` does is `job`, on `queue`. How often it comes round is with its facts."""

    sync: Sync
    job: str
    queue: str = SYNC_QUEUE

    def timing(self, settings: Settings) -> Timing | None:
        """Return how often it comes round under `settings`; None for a sync that only people start."""
        every = FACTS[self.sync].every
        return Timing(self.sync, every(settings)) if every else None


SCHEDULE: tuple[TimedSync, ...] = (
    TimedSync(sync=Sync.ORDER_PULL, job="flexdash.jobs.order_pull.run"),
    TimedSync(sync=Sync.INVENTORY_PUSH, job="flexdash.jobs.inventory_push.run"),
    TimedSync(sync=Sync.INVENTORY_FETCH, job="flexdash.jobs.inventory_fetch.run"),
    TimedSync(sync=Sync.PRICE_PUSH, job="flexdash.jobs.price_push.run"),
    TimedSync(sync=Sync.ORDER_STEPS, job="flexdash.jobs.order_steps.run"),
    TimedSync(sync=Sync.RETURN_PULL, job="flexdash.jobs.return_pull.run"),
    TimedSync(sync=Sync.ORDER_RECOVERY, job="flexdash.jobs.order_recovery.run"),
    TimedSync(sync=Sync.RECONCILE, job="flexdash.jobs.reconcile.run"),
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

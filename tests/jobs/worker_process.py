"""A real worker whose order pull does what a test needs: `python -m tests.jobs.worker_process quick|polite|deaf|talks`.

Its ticks know of the order pull alone.
"""

import sys
import time

import structlog

from flexdash import create_app
from flexdash.database import transaction
from flexdash.jobs import order_pull
from flexdash.jobs.worker import run_worker
from flexdash.models import Sync
from flexdash.prefetch import prefetched
from tests.support.schedules import scheduled


def quick(run):
    """Create one order, so to say."""
    with transaction():
        run.check_in("Page 1", n_created=1)


def polite(run):
    """Go on for long, page by page, and hear when asked to stop."""
    while True:
        quick(run)
        run.stop_here()
        time.sleep(0.05)


def deaf(run):
    """Wait for an answer that does not come."""
    quick(run)
    time.sleep(300)


def talks(run):
    """Say something here and in a thread, then fail with a secret in the error."""
    logger = structlog.get_logger("flexdash.pull")
    logger.info("said by the pull")

    def fetch():
        logger.info("said by a thread")
        yield 1

    list(prefetched(fetch()))
    raise ValueError(f"password=canary0123 at run {run.run_id}")


if __name__ == "__main__":
    order_pull.pull = {"quick": quick, "polite": polite, "deaf": deaf, "talks": talks}[sys.argv[1]]
    with scheduled(Sync.ORDER_PULL):
        run_worker(create_app(has_pages=False), ["tick", "sync"])

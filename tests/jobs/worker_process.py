"""A real worker whose order pull does what a test needs: `python -m tests.jobs.worker_process quick|polite|deaf`."""

import sys
import time

from flexdash import create_app
from flexdash.database import transaction
from flexdash.jobs import order_pull
from flexdash.jobs.worker import run_worker


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


if __name__ == "__main__":
    order_pull.pull = {"quick": quick, "polite": polite, "deaf": deaf}[sys.argv[1]]
    run_worker(create_app(), ["tick", "sync"])

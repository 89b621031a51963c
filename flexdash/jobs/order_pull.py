"""The job of the order pull."""

from flexdash.jobs.runner import execute
from flexdash.services.order_pull import pull


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, pull)

"""The job of the return pull."""

from flexdash.jobs.runner import execute
from flexdash.services.return_pull import pull


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, pull)

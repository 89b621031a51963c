"""The job of recovering orders."""

from flexdash.jobs.runner import execute
from flexdash.services.recovering import recover


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, recover)

"""The job of comparing a store with Amazon."""

from flexdash.jobs.runner import execute
from flexdash.services.reconciling import reconcile


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, reconcile)

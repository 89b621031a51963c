"""The job that asks Amazon for the stock it shows."""

from flexdash.jobs.runner import execute
from flexdash.services.inventory.fetch import fetch


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, fetch)

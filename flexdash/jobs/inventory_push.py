"""The job of the inventory push."""

from flexdash.jobs.runner import execute
from flexdash.services.inventory.push import push


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, push)

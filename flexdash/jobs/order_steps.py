"""The job that does at Amazon what orders being worked need there."""

from flexdash.jobs.runner import execute
from flexdash.services.order_work.steps import work


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, work)

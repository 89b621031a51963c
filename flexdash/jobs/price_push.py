"""The job of the price push."""

from flexdash.jobs.runner import execute
from flexdash.services.price_push import push


def run(run_id: int) -> None:
    """Run by RQ: do the sync run with this id."""
    execute(run_id, push)

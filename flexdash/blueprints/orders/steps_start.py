"""After a person's action: what it needs of Amazon is begun at once, not only with the next minute's tick."""

from flexdash.blueprints.guard import current_actor
from flexdash.jobs import queues
from flexdash.services.order_work import steps


def start_steps(order_id: int) -> None:
    """Put a run of the store's steps into the queue, where there is something to do and none is under way."""
    run_id = steps.request(current_actor(), order_id)
    if run_id is not None:
        queues.enqueue_run(run_id)

"""The one door to the queues: what goes through it is committed."""

import pytest

from flexdash.database import transaction
from flexdash.jobs import queues, schedule
from flexdash.models import Sync


@pytest.mark.parametrize(
    ("enqueue", "what"),
    [
        (queues.enqueue_run, 1),
        (queues.enqueue_runs, [(1, Sync.ORDER_PULL, 1)]),
        (queues.enqueue_upload, 1),
        (queues.enqueue_uploads, [1]),
        (queues.enqueue_batch, 1),
        (queues.enqueue_batches, [1]),
    ],
)
def test_nothing_is_enqueued_while_a_transaction_is_open(app, enqueue, what) -> None:
    with pytest.raises(RuntimeError, match="enqueuing inside transaction"), transaction():
        enqueue(what)
    assert {name: queues.queue(name).count for name in schedule.QUEUES} == dict.fromkeys(schedule.QUEUES, 0)

"""Cancellations and labels whose worker dies, or whose answer is cut, between Amazon's 204 and our commit."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from sqlalchemy import select, update

from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import (
    DocumentKind,
    Listing,
    Order,
    OrderCancellation,
    OrderDocument,
    OrderState,
    OrderStep,
    Role,
    RunState,
    StepState,
    Store,
    Sync,
)
from flexdash.services.actors import Actor
from flexdash.services.order_work import cancelling, moves
from flexdash.services.order_work.cancelling import Reason
from tests import factories
from tests.support import fault_worker
from tests.support.ledgers import stock_problems
from tests.support.pulls import MAPPED, OPEN, QUICK, SELLER, do_run, make_pulled_store, row, take_up, workers
from tests.support.servers import wait_for

LOST_AFTER = timedelta(seconds=3)
CANCEL, LABEL = "processShipment", "generateShipLabels"
AT_ONCE = 20  # orders brought in together


@pytest.fixture
def store(app, sandbox) -> Store:
    """A store that tells Amazon of cancellations, and whose catalog knows the size of everything."""
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, is_automated_cancellation_on=True)
    db.session.execute(update(Listing).values(length_cm=20, width_cm=15, height_cm=5, weight_g=180))
    db.session.commit()
    return store


@pytest.mark.parametrize("n_runs", [4, pytest.param(200, marks=pytest.mark.faults)])
def test_what_dies_between_amazons_204_and_our_commit_is_cancelled_or_labelled_once(
    store, sandbox, environment, redis_server, no_pace, figure, scaled, n_runs
) -> None:
    """In turn: a cancellation and a label, whose work horse kills itself, and whose answer is cut."""
    n_runs = scaled(n_runs) if n_runs > 4 else n_runs
    asha = factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT))
    store_id, cancelled, labelled, done = store.id, [], [], Counter()
    with redis.Redis.from_url(redis_server) as fates, workers({**environment, **QUICK}) as fleet:
        fleet.start()
        for n, order_id in enumerate(_orders(store, sandbox, n_runs)):
            operation = (CANCEL, LABEL)[n % 2]
            (cancelled if operation == CANCEL else labelled).append(order_id)
            _ask(asha, order_id, operation)
            if n // 2 % 2:
                sandbox.control.fault("drop_after_effect", operation=operation, count=1)
                run_id = _start(store_id)
                wait_for(lambda run_id=run_id: row(run_id).state not in OPEN, "the run whose answer is cut")
                sandbox.control.clear_faults()
                assert _waiting(order_id), "the lost answer leaves its step to be looked at again"
                db.session.execute(update(OrderStep).values(not_before=None))
                db.session.commit()
                run_id = _start(store_id)
                done["cut"] += 1
            else:
                fates.set(fault_worker.DIES_AFTER, operation)
                run_id = _start(store_id)
                wait_for(lambda: fates.getdel(fault_worker.DIED), "the work horse's death")
                wait_for(lambda: fleet.busy() is None, "its burial")
                assert row(run_id).state is RunState.RUNNING
                take_up(run_id, LOST_AFTER)
                done["killed"] += 1
            wait_for(lambda run_id=run_id: row(run_id).state not in OPEN, "the run that goes on", 30)
            assert row(run_id).state is RunState.SUCCEEDED
    db.session.rollback()
    _assert_all_is_well(sandbox, cancelled, labelled)
    figure(
        "cancel_label",
        f"{len(cancelled)} cancellations, {len(labelled)} labels, {done['killed']} killed, {done['cut']} cut: "
        "0 double effects, 0 stuck",
    )


def _orders(store: Store, sandbox, n: int) -> Iterator[int]:
    """Yield the ids of `n` New Orders, brought in some at a time."""
    given: set[int] = set()
    for start in range(0, n, AT_ONCE):
        n_now = min(AT_ONCE, n - start)
        sandbox.control.create_orders(n_now, location_id=MAPPED, seller_id=SELLER, sku_codes=["TEE-BLK-M"], lines=1)
        do_run(store)
        new = [order_id for order_id in db.session.scalars(select(Order.id)).all() if order_id not in given]
        assert len(new) == n_now
        given.update(new)
        db.session.rollback()
        yield from new


def _ask(asha: Actor, order_id: int, operation: str) -> None:
    moves.pick(asha, order_id)
    if operation == CANCEL:
        cancelling.cancel(asha, order_id, Reason.OUT_OF_STOCK)


def _start(store_id: int) -> int:
    """Make a run of the store's steps, put it in line, and return its id."""
    db.session.rollback()
    store = db.session.get(Store, store_id)
    run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.ORDER_STEPS, trigger="manual").id
    queues.enqueue_run(run_id)
    return run_id


def _waiting(order_id: int) -> list[str]:
    db.session.rollback()
    query = select(OrderStep.kind).where(OrderStep.order_id == order_id, OrderStep.state == StepState.WAITING)
    return list(db.session.scalars(query))


def _assert_all_is_well(sandbox, cancelled: list[int], labelled: list[int]) -> None:
    """Fail unless each was done at Amazon once, is known here to be, and nothing waits any more."""
    effects = sandbox.control.stats(per_shipment=True)["per_shipment"]
    orders = {order.id: order for order in db.session.scalars(select(Order))}
    of_orders = {order_id: effects[order.amazon_shipment_id] for order_id, order in orders.items()}
    doubled = {order_id: done for order_id, done in of_orders.items() if set(done.values()) != {1}}
    undone = [order_id for order_id in cancelled if "reject" not in of_orders[order_id]]
    undone += [order_id for order_id in labelled if "labels" not in of_orders[order_id]]
    assert (doubled, undone) == ({}, [])
    assert {(orders[order_id].state, orders[order_id].cancellation) for order_id in cancelled} == {
        (OrderState.CANCELLED, OrderCancellation.DONE)
    }
    assert {orders[order_id].state for order_id in labelled} == {OrderState.PICKED}
    present = select(OrderDocument.order_id).where(
        OrderDocument.kind == DocumentKind.LABEL, OrderDocument.replaced_at.is_(None)
    )
    assert sorted(db.session.scalars(present)) == sorted(labelled)
    stuck = select(OrderStep.order_id).where(OrderStep.state.in_((StepState.WAITING, StepState.FAILED)))
    assert db.session.scalars(stuck).all() == []
    assert stock_problems() == []

"""Workers killed with -9 around every call that an order's shipment steps make: one package, one label, none stuck."""

from datetime import timedelta

import pytest
import redis
from sqlalchemy import func, select

from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import (
    Listing,
    Order,
    OrderDocument,
    OrderPackage,
    OrderState,
    OrderStep,
    Role,
    RunState,
    StepState,
    Store,
    Sync,
    SyncRun,
)
from flexdash.services.order_states import Event
from flexdash.services.order_work import moves
from tests import factories
from tests.support import fault_worker
from tests.support.ledgers import stock_problems
from tests.support.pulls import MAPPED, OPEN, QUICK, SELLER, do_run, row, take_up, workers
from tests.support.servers import wait_for

pytestmark = pytest.mark.faults  # tests/services/test_order_steps.py does the same within one process
LOST_AFTER = timedelta(seconds=3)
N_CALLS = 9  # of one order until it is shipped, with one to spare


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_worker_killed_around_every_call_in_turn_makes_one_package_and_one_label(
    store: Store, sandbox, environment, redis_server, figure, no_pace, side: str
) -> None:
    """One order per call; its worker dies at that call, and the next one goes on."""
    db.session.execute(db.update(Listing).values(length_cm=20, width_cm=15, height_cm=5, weight_g=180))
    db.session.commit()
    sandbox.control.create_orders(N_CALLS, location_id=MAPPED, seller_id=SELLER, sku_codes=["TEE-BLK-M"], lines=1)
    do_run(store)
    asha = factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT))
    store_id, n_deaths = store.id, 0
    order_ids = db.session.scalars(select(Order.id).order_by(Order.id)).all()
    with redis.Redis.from_url(redis_server) as fates, workers({**environment, **QUICK}) as fleet:
        for n, order_id in enumerate(order_ids):
            fates.delete(fault_worker.DIED, fault_worker.STEP_FATES)
            fates.rpush(fault_worker.STEP_FATES, *["live"] * n, side)
            fleet.start()
            moves.move(asha, order_id, Event.PICK)
            n_deaths += _run_to_its_end(store_id, fates, fleet)
            for event in (Event.PACK, Event.MAKE_READY, Event.SHIP):
                moves.move(asha, order_id, event)
            n_deaths += _run_to_its_end(store_id, fates, fleet)
    db.session.rollback()
    effects = sandbox.control.stats(per_shipment=True)["per_shipment"]
    wanted = ("confirm", "packages", "invoice", "labels", "shipped")
    doubled = {
        shipment_id: {name: done.get(name) for name in wanted}
        for shipment_id, done in effects.items()
        if any(done.get(name) != 1 for name in wanted)
    }
    stuck = db.session.scalars(
        select(OrderStep.order_id).where(OrderStep.state.in_((StepState.WAITING, StepState.FAILED)))
    ).all()
    assert (doubled, stuck, stock_problems()) == ({}, [], [])
    assert set(db.session.scalars(select(Order.state))) == {OrderState.SHIPPED}
    n_packages = db.session.scalar(select(func.count(OrderPackage.id)))
    present = select(func.count(OrderDocument.id)).where(OrderDocument.replaced_at.is_(None))
    assert (n_packages, db.session.scalar(present)) == (N_CALLS, 2 * N_CALLS)
    assert n_deaths == N_CALLS - 1  # the last has no such call any more
    figure("steps", f"{n_deaths} kills {side} a call: 0 doubled, 0 stuck, one package and one label each")


def _run_to_its_end(store_id: int, fates: redis.Redis, fleet) -> int:
    """Have the steps done, taking the run up again when its worker died; return how many did."""
    db.session.rollback()
    run_id = factories.make_run(
        db.session.get(Store, store_id), RunState.QUEUED, sync=Sync.ORDER_STEPS, trigger="manual"
    ).id
    queues.enqueue_run(run_id)
    wait_for(lambda: row(run_id).state not in OPEN or fates.exists(fault_worker.DIED), "the run to end, or its worker")
    n_deaths = int(fates.delete(fault_worker.DIED))
    if n_deaths:
        while fleet.alive:
            fleet.kill(fleet.alive[0])
        fleet.start()
        take_up(run_id, LOST_AFTER)
        wait_for(lambda: row(run_id).state not in OPEN, "the run to end", 60)
    assert db.session.get(SyncRun, run_id, populate_existing=True).state is RunState.SUCCEEDED
    return n_deaths

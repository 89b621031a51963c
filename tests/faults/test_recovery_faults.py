"""Recoveries and comparisons whose worker is killed, and a recovery beside a pull: nothing lost, nothing twice."""

import random
import time
from contextlib import suppress
from datetime import timedelta

import psutil
import pytest
from sqlalchemy import func, select

from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import (
    Difference,
    DifferenceKind,
    Order,
    QuarantinedShipment,
    Recovery,
    RecoveryOutcome,
    Role,
    RunState,
    Sync,
)
from flexdash.services import recovery
from tests import factories
from tests.support.pulls import (
    ENDED_WELL,
    MAPPED,
    OPEN,
    QUICK,
    SELLER,
    UNMAPPED,
    all_shipments,
    assert_all_is_well,
    new_run,
    row,
    take_up,
    wait_for_end,
    workers,
)
from tests.support.recoveries import ZONE, outcomes, today
from tests.support.servers import wait_for

LOST_AFTER = timedelta(seconds=3)
long = pytest.mark.faults


@pytest.fixture
def actor(store):
    """A merchant of the store's workspace."""
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT))


@pytest.mark.parametrize(
    ("way", "n_kills", "n_shipments"),
    [
        ("days", 2, 50),
        # Briefly, and within one process, tests/services/recover/test_recovery.py does it with ids.
        pytest.param("ids", 2, 120, marks=long),
        pytest.param("days", 15, 3_000, marks=long),
        pytest.param("ids", 15, 3_000, marks=long),
    ],
)
def test_a_recovery_whose_worker_is_killed_loses_and_doubles_nothing(
    store, sandbox, pages_of, environment, actor, way, n_kills, n_shipments
) -> None:
    pages_of(20 if n_shipments == 50 else 100)
    n_shipments = n_shipments if way == "days" else min(n_shipments, recovery.MAX_IDS)
    ids = sandbox.control.create_orders(n_shipments * 9 // 10, location_id=MAPPED, seller_id=SELLER)
    ids += sandbox.control.create_orders(n_shipments // 10, location_id=UNMAPPED, seller_id=SELLER)
    # Amazon takes its time, so that the kills fall into the work.
    sandbox.control.options(latency_ms=20 if way == "ids" else 200 if n_kills < 3 else 60)
    if way == "days":
        asked = recovery.request_days(actor, store.id, today() - timedelta(days=1), today(), ZONE)
    else:
        asked = recovery.request_ids(actor, store.id, " ".join(ids))
    asked_id, run_id = asked.id, asked.run_id
    with workers({**environment, **QUICK}) as fleet:
        fleet.start()
        n_done = kill_at_random(fleet, run_id, n_kills, random.Random(n_kills))
        assert wait_for_end(run_id).state in ENDED_WELL
    assert n_done
    found = outcomes(db.session.get(Recovery, asked_id, populate_existing=True))
    assert found == dict.fromkeys(ids, RecoveryOutcome.IMPORTED)  # done is done: no "here already" after a kill
    assert_all_is_well(store, sandbox)


@long  # briefly, and within one process, tests/services/recover/test_reconciliation_runs.py does it
def test_a_comparison_whose_worker_is_killed_finds_what_differs(store, sandbox, environment) -> None:
    store.is_order_sync_on = False  # so that a new shipment counts at once
    db.session.commit()
    ids = sandbox.control.create_orders(150, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=60)
    for shipment_id in ids[:100]:
        factories.make_order(store, amazon_shipment_id=shipment_id)
    sandbox.control.options(latency_ms=200)
    run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.RECONCILE, trigger="manual").id
    queues.enqueue_run(run_id)
    with workers({**environment, **QUICK}) as fleet:
        fleet.start()
        n_done = kill_at_random(fleet, run_id, 2, random.Random(3))
        run = wait_for_end(run_id)
    assert n_done
    assert run.state is RunState.SUCCEEDED
    db.session.rollback()
    missing = db.session.scalars(select(Difference.subject).where(Difference.kind == DifferenceKind.MISSING_HERE)).all()
    assert sorted(missing) == sorted(ids[100:])
    assert run.n_created == 50  # each counted once, whichever attempt found it


@pytest.mark.parametrize("n_shipments", [50, pytest.param(300, marks=long)])
def test_a_recovery_beside_a_pull_brings_each_order_in_once(
    store, sandbox, pages_of, environment, actor, n_shipments
) -> None:
    pages_of(20 if n_shipments == 50 else 100)
    ids = sandbox.control.create_orders(n_shipments, location_id=MAPPED, seller_id=SELLER)
    asked = recovery.request_days(actor, store.id, today() - timedelta(days=1), today(), ZONE)
    asked_id, recovery_run_id = asked.id, asked.run_id
    pull_run_id = new_run(store.id)
    with workers({**environment, **QUICK}) as fleet:
        fleet.start()
        fleet.start()
        queues.enqueue_run(recovery_run_id)
        queues.enqueue_run(pull_run_id)
        assert wait_for_end(recovery_run_id).state is RunState.SUCCEEDED
        assert wait_for_end(pull_run_id).state is RunState.SUCCEEDED
    assert_all_is_well(store, sandbox)
    assert db.session.scalar(select(func.count(Order.id))) == len(all_shipments(sandbox)) == n_shipments
    assert db.session.scalar(select(func.count(QuarantinedShipment.id))) == 0
    found = outcomes(db.session.get(Recovery, asked_id, populate_existing=True))
    assert set(found) == set(ids)
    assert set(found.values()) <= {RecoveryOutcome.IMPORTED, RecoveryOutcome.HERE_ALREADY}


def kill_at_random(fleet, run_id: int, n_kills: int, chance: random.Random) -> int:
    """Kill whoever does the run at random moments, the work horse alone and the whole worker in turn; how often."""
    queues.enqueue_run(run_id)
    n_done = 0
    for n in range(n_kills):
        wait_for(lambda: fleet.busy() or row(run_id).state not in OPEN, "a worker to begin", 30)
        time.sleep(0.3 + chance.random() * 0.7)  # the moment of the kill, not a wait for anything
        found = fleet.busy()
        if found is None or row(run_id).state not in OPEN:
            break
        worker, horse = found
        if n % 2:
            fleet.kill(worker)
            fleet.start()
        else:
            end(horse)
        n_done += 1
        take_up(run_id, LOST_AFTER)
    return n_done


def end(horse: psutil.Process) -> None:
    """Kill a work horse and wait until it is gone."""
    with suppress(psutil.NoSuchProcess):
        horse.kill()
        wait_for(lambda: not horse.is_running() or horse.status() == psutil.STATUS_ZOMBIE, "the horse's end")

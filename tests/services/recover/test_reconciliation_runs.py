"""The life of a store's differences from run to run, and runs that meet faults, against the sandbox over real HTTP."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import (
    Acknowledgement,
    Difference,
    DifferenceKind,
    Order,
    OrderState,
    RunState,
    Sync,
    SyncRun,
    SyncRunItem,
    SyncState,
)
from flexdash.services import reconciliation, reconciling
from flexdash.services.errors import NotVisible, ServiceError
from tests import factories
from tests.support.pulls import do_run, make_due
from tests.support.reconciliations import attempt, compare, later, make_shipments, open_ones, set_state
from tests.support.recoveries import Died, done, killed_in
from tests.support.schedules import scheduled

MISSING_HERE, MISSING_THERE = DifferenceKind.MISSING_HERE, DifferenceKind.MISSING_THERE
STATE = DifferenceKind.STATE_DIFFERS
HALF_A_DAY = timedelta(hours=12)


def test_what_is_gone_closes_by_itself_and_opens_again_when_it_is_back(store, sandbox) -> None:
    cancelled, shipped = make_shipments(sandbox, 2)
    do_run(store)
    sandbox.control.cancel(cancelled)
    sandbox.control.move(shipped, "SHIPPED")
    assert compare(store).n_created == 2

    set_state(cancelled, OrderState.CANCELLED)
    run = compare(store)
    assert (run.n_created, run.n_updated) == (0, 1)
    assert open_ones(store).keys() == {(STATE, shipped)}
    row_ = db.session.scalars(select(Difference).where(Difference.subject == cancelled)).one()
    assert (row_.closed_by_name, row_.gone_at) == ("", row_.closed_at)

    set_state(cancelled, OrderState.NEW)
    assert compare(store).n_created == 1
    assert open_ones(store).keys() == {(STATE, cancelled), (STATE, shipped)}
    assert db.session.scalar(select(func.count(Difference.id))) == 2


def test_what_a_person_closed_stays_closed_until_it_changes(store, sandbox, actor) -> None:
    [worked] = make_shipments(sandbox)
    do_run(store)
    sandbox.control.move(worked, "PACKAGE_CREATED")
    compare(store)
    difference = db.session.scalars(select(Difference)).one()
    reconciliation.close(actor, store.id, difference.id)
    compare(store)
    assert open_ones(store) == {}
    assert db.session.scalars(select(Difference)).one().closed_by_name == "Asha"

    sandbox.control.move(worked, "SHIPPED")
    compare(store)
    assert open_ones(store) == {(STATE, worked): ("New Order", "Shipped (SHIPPED)")}
    stranger = factories.make_actor(factories.make_user(factories.make_workspace()))
    with pytest.raises(NotVisible):
        reconciliation.close(stranger, store.id, difference.id)


def test_closing_twice_says_who_was_first(store, actor) -> None:
    difference = factories.make_difference(store)
    reconciliation.close(actor, store.id, difference.id)
    with pytest.raises(ServiceError, match="Asha closed it meanwhile"):
        reconciliation.close(actor, store.id, difference.id)


def test_one_click_brings_the_missing_in(store, sandbox, actor) -> None:
    do_run(store)
    missing = make_shipments(sandbox, 3)
    compare(store)
    [one, *_] = db.session.scalars(select(Difference).order_by(Difference.id)).all()

    asked = done(reconciliation.recover(actor, store.id, difference_id=one.id))
    assert asked.n_ids == 1
    assert set(open_ones(store)) == {
        (MISSING_HERE, shipment_id) for shipment_id in missing if shipment_id != one.subject
    }

    done(reconciliation.recover(actor, store.id, kind=MISSING_HERE))
    assert open_ones(store) == {}
    states = db.session.execute(select(Order.state, Order.acknowledgement)).all()
    assert states == [(OrderState.NEW, Acknowledgement.DONE)] * 3
    with pytest.raises(reconciliation.NothingToRecover):
        reconciliation.recover(actor, store.id, kind=MISSING_HERE)


def test_one_click_brings_states_up_to_date(store, sandbox, actor) -> None:
    [cancelled] = make_shipments(sandbox)
    do_run(store)
    sandbox.control.cancel(cancelled)
    compare(store)
    done(reconciliation.recover(actor, store.id, kind=STATE))
    assert open_ones(store) == {}
    assert db.session.scalars(select(Order.state)).one() is OrderState.CANCELLED


def test_a_conflict_that_a_person_was_told_of_is_no_difference_any_more(store, sandbox, actor) -> None:
    [late] = make_shipments(sandbox)
    do_run(store)
    set_state(late, OrderState.SHIPPED)
    sandbox.control.cancel(late)
    compare(store)
    assert open_ones(store) == {(STATE, late): ("Shipped", "Cancelled (CANCELLED)")}
    done(reconciliation.recover(actor, store.id, kind=STATE))
    order = db.session.scalars(select(Order)).one()
    assert (order.state, order.has_conflict) == (OrderState.SHIPPED, True)
    assert open_ones(store) == {}
    assert compare(store).n_created == 0


def test_a_killed_worker_is_followed_by_one_that_compares_everything(store, sandbox) -> None:
    make_shipments(sandbox, 230)
    do_run(store)
    [cancelled] = make_shipments(sandbox)
    do_run(store)
    sandbox.control.cancel(cancelled)
    run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.RECONCILE, trigger="manual").id
    with later(HALF_A_DAY):
        with killed_in(reconciling, "_compare", at=3), pytest.raises(Died):
            attempt(run_id)
        db.session.rollback()
        assert open_ones(store) == {}
        db.session.execute(update(SyncRun).where(SyncRun.id == run_id).values(state=RunState.QUEUED, attempt_token=""))
        db.session.commit()
        assert attempt(run_id).state is RunState.SUCCEEDED
    assert open_ones(store).keys() == {(STATE, cancelled)}


def test_throttling_costs_nothing_and_an_outage_is_waited_out(store, sandbox) -> None:
    [missing] = make_shipments(sandbox)
    sandbox.control.fault("throttle", operation="getShipments", count=1)
    sandbox.control.fault("error_503", operation="getShipment", count=50)
    run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.RECONCILE, trigger="manual").id
    with later(HALF_A_DAY):
        run = attempt(run_id)
        # One shipment without an answer does not count, and stops nothing; the run says what it left out.
        assert (run.state, run.n_throttled) == (RunState.SUCCEEDED, 1)
        assert db.session.scalars(select(SyncRunItem.n_items)).one() == 1
        assert open_ones(store) == {}

        sandbox.control.clear_faults()
        make_shipments(sandbox, 3)
        sandbox.control.fault("error_503", operation="getShipment", count=500)
        run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.RECONCILE, trigger="manual").id
        assert attempt(run_id).state is RunState.QUEUED  # Amazon is away: it is tried again later
        sandbox.control.clear_faults()
        make_due(run_id)
        assert attempt(run_id).state is RunState.SUCCEEDED
    assert (MISSING_HERE, missing) in open_ones(store)
    assert len(open_ones(store)) == 4


@pytest.mark.parametrize("most", [30, 3])
def test_shipments_without_an_answer_are_no_outage_while_amazon_tells_of_another(
    store, sandbox, monkeypatch, most
) -> None:
    monkeypatch.setattr(reconciling, "MOST_SILENT", most)
    make_shipments(sandbox)
    do_run(store)
    silent, others = make_shipments(sandbox, 4), make_shipments(sandbox, 2)
    for shipment_id in silent:
        sandbox.control.fault("error_500", operation="getShipment", shipment_id=shipment_id, count=500)
    with later(HALF_A_DAY):
        run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.RECONCILE, trigger="manual").id
        assert attempt(run_id).state is RunState.SUCCEEDED
    found = set(others) if most > len(silent) else set()
    assert open_ones(store).keys() == {(MISSING_HERE, shipment_id) for shipment_id in found}
    assert db.session.scalars(select(SyncRunItem.n_items)).one() == 6 - len(found)


def test_a_run_that_fails_closes_nothing(store, sandbox) -> None:
    difference = factories.make_difference(store)
    sandbox.control.fault("error_500", operation="getShipments", skip=3, count=100)
    assert compare(store).state is RunState.QUEUED
    assert open_ones(store).keys() == {(MISSING_HERE, difference.subject)}


def test_more_than_one_run_can_look_at_again_is_put_off_and_said(store, sandbox, monkeypatch) -> None:
    monkeypatch.setattr(reconciling, "LOOKED_AT_AGAIN", 5)
    do_run(store)
    make_shipments(sandbox, 8)
    first = compare(store)
    assert (first.n_created, len(open_ones(store))) == (5, 5)
    item = db.session.scalars(select(SyncRunItem)).one()
    assert (item.run_id, item.n_items) == (first.id, 3)
    second = compare(store)
    assert (second.n_created, len(open_ones(store))) == (3, 8)


def test_known_differences_do_not_use_up_the_second_looks(store, sandbox, monkeypatch) -> None:
    monkeypatch.setattr(reconciling, "LOOKED_AT_AGAIN", 3)
    for n in range(3):
        factories.make_order(store, amazon_shipment_id=f"SBNOSUCH{n}")
    compare(store)
    assert len(open_ones(store)) == 3
    factories.make_order(store, amazon_shipment_id="SBNOSUCH9")
    compare(store)  # the new one first; the others are asked for while there is room, and kept otherwise
    assert len(open_ones(store)) == 4


def test_the_clock_compares_only_once_orders_have_been_pulled(store, sandbox) -> None:
    def n_runs() -> int:
        db.session.rollback()
        return db.session.scalar(select(func.count(SyncRun.id)).where(SyncRun.sync == Sync.RECONCILE))

    with scheduled(Sync.RECONCILE):
        dispatch.dispatch()
        assert n_runs() == 0  # all that Amazon has would be missing here
        do_run(store)
        dispatch.dispatch()
        assert n_runs() == 1
        dispatch.dispatch()
        assert n_runs() == 1
    next_due_at = db.session.scalars(select(SyncState.next_due_at).where(SyncState.sync == Sync.RECONCILE)).one()
    assert clock.now() < next_due_at <= clock.now() + timedelta(hours=24)

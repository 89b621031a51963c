"""Comparing a store's orders with Amazon, against the sandbox over real HTTP."""

from datetime import timedelta

from sqlalchemy import select, update

from flexdash.amazon.shipments import Shipments
from flexdash.extensions import db
from flexdash.models import (
    Difference,
    DifferenceKind,
    Order,
    OrderState,
    QuarantinedShipment,
    RecoveryOutcome,
    RunState,
    Store,
)
from flexdash.services import reconciliation, reconciling, run_sheets
from tests import factories
from tests.support.pulls import MAPPED, do_run
from tests.support.reconciliations import compare, make_shipments, open_ones, set_state
from tests.support.recoveries import DAY_MINUTES, done, outcomes

MISSING_HERE, MISSING_THERE = DifferenceKind.MISSING_HERE, DifferenceKind.MISSING_THERE
STATE = DifferenceKind.STATE_DIFFERS
HALF_A_DAY = timedelta(hours=12)


def test_two_sides_that_agree_have_no_differences(store, sandbox) -> None:
    make_shipments(sandbox, 120)
    make_shipments(sandbox, 5, location_id="PNQ1")  # On Hold here
    do_run(store)
    run = compare(store)
    assert run.state is RunState.SUCCEEDED
    assert (run.n_fetched, run.n_created, run.n_failed) == (125, 0, 0)
    assert open_ones(store) == {}


def test_a_shipment_that_is_not_here_is_named_with_its_status(store, sandbox) -> None:
    do_run(store)
    new, confirmed, worked, shipped = make_shipments(sandbox, 4)
    for shipment_id, status in ((confirmed, "CONFIRMED"), (worked, "INVOICE_GENERATED"), (shipped, "SHIPPED")):
        sandbox.control.move(shipment_id, status)
    compare(store)
    assert open_ones(store) == {
        (MISSING_HERE, new): ("", f"Confirmed (ACCEPTED) at {MAPPED}"),
        (MISSING_HERE, confirmed): ("", f"Accepted (CONFIRMED) at {MAPPED}"),
        (MISSING_HERE, worked): ("", f"Invoice generated (INVOICE_GENERATED) at {MAPPED}"),
        (MISSING_HERE, shipped): ("", f"Shipped (SHIPPED) at {MAPPED}"),
    }


def test_what_ended_before_the_store_was_connected_is_not_missed(store, sandbox) -> None:
    for status in ("SHIPPED", "DELIVERED", "CANCELLED"):
        make_shipments(sandbox, 2, status=status, updated_minutes_ago=DAY_MINUTES)
    compare(store)
    assert open_ones(store) == {}


def test_what_was_acknowledged_before_the_first_look_back_and_ships_later_is_reported(store, sandbox, actor) -> None:
    [old] = make_shipments(sandbox, status="CONFIRMED", updated_minutes_ago=20 * DAY_MINUTES)
    first = do_run(store)
    assert first.n_fetched == 0, "the first pull does not look back so far"
    compare(store)
    assert open_ones(store) == {(MISSING_HERE, old): ("", f"Accepted (CONFIRMED) at {MAPPED}")}

    sandbox.control.move(old, "SHIPPED")
    pulled = do_run(store)
    assert (pulled.n_fetched, pulled.n_created) == (1, 0), "no pull takes in what was made before Order Sync began"
    compare(store)
    assert open_ones(store) == {(MISSING_HERE, old): ("", f"Shipped (SHIPPED) at {MAPPED}")}
    [kept] = run_sheets.search(pulled, [old])
    assert kept.item.words.startswith(
        "It was made before Order Sync began here and changed on Amazon since: it is Shipped"
    )

    recovered = done(reconciliation.recover(actor, store.id, kind=MISSING_HERE))
    assert outcomes(recovered) == {old: RecoveryOutcome.IMPORTED}
    assert db.session.scalars(select(Order)).one().state is OrderState.SHIPPED
    assert open_ones(store) == {}


def test_a_new_shipment_that_the_next_pull_brings_is_no_difference(store, sandbox, settings) -> None:
    [new] = make_shipments(sandbox)
    compare(store, after=timedelta(minutes=settings.order_pull_interval_minutes + 5))
    assert open_ones(store) == {}
    db.session.execute(update(Store).values(is_order_sync_on=False))  # no pull brings it
    db.session.commit()
    compare(store, after=timedelta(minutes=settings.order_pull_interval_minutes + 5))
    assert open_ones(store).keys() == {(MISSING_HERE, new)}


def test_what_waits_in_quarantine_is_no_difference(store, sandbox) -> None:
    [odd] = make_shipments(sandbox)
    sandbox.control.fault("odd_no_lines", count=50, shipment_id=odd)
    do_run(store)
    assert db.session.scalars(select(QuarantinedShipment.amazon_shipment_id)).all() == [odd]
    compare(store)
    assert open_ones(store) == {}


def test_an_unreadable_shipment_can_be_compared_all_the_same(store, sandbox) -> None:
    here, missing = make_shipments(sandbox, 2)
    done_once = factories.make_order(store, amazon_shipment_id=here)
    sandbox.control.fault("odd_no_lines", count=50)
    run = compare(store)
    assert run.state is RunState.SUCCEEDED
    assert open_ones(store).keys() == {(MISSING_HERE, missing)}
    assert done_once.state is OrderState.NEW


def test_states_that_contradict_each_other_are_named(store, sandbox) -> None:
    cancelled, shipped, worked, left, _ = make_shipments(sandbox, 5)
    do_run(store)
    sandbox.control.cancel(cancelled)
    sandbox.control.move(shipped, "SHIPPED")
    sandbox.control.move(worked, "PACKAGE_CREATED")
    set_state(left, OrderState.SHIPPED)
    compare(store)
    assert open_ones(store) == {
        (STATE, cancelled): ("New Order", "Cancelled (CANCELLED)"),
        (STATE, shipped): ("New Order", "Shipped (SHIPPED)"),
        (STATE, worked): ("New Order", "Package created (PACKAGE_CREATED)"),
        (STATE, left): ("Shipped", "Accepted (CONFIRMED)"),
    }


def test_a_change_of_the_last_minutes_is_in_flight(store, sandbox) -> None:
    [cancelled] = make_shipments(sandbox)
    do_run(store)
    sandbox.control.cancel(cancelled)
    compare(store, after=timedelta(minutes=5))
    assert open_ones(store) == {}


def test_a_change_between_the_list_and_the_second_look_does_not_count(store, sandbox, monkeypatch) -> None:
    [cancelled] = make_shipments(sandbox)
    do_run(store)
    sandbox.control.cancel(cancelled)
    real = Shipments.get

    def get_after_the_pull(self, shipment_id):
        set_state(shipment_id, OrderState.CANCELLED)
        return real(self, shipment_id)

    monkeypatch.setattr(reconciling, "prefetched", lambda items, depth=1: items)  # in this thread, one by one
    monkeypatch.setattr(Shipments, "get", get_after_the_pull)
    compare(store)
    assert open_ones(store) == {}


def test_an_open_order_that_amazon_does_not_know_is_missing_there(store, sandbox) -> None:
    gone = factories.make_order(store, OrderState.PICKED, amazon_shipment_id="SBNOSUCH1")
    factories.make_order(store, OrderState.SHIPPED, amazon_shipment_id="SBNOSUCH2")  # ended: nobody works it
    other = factories.make_store(store.seller, amazon_selling_partner_id="A3SBXOTHER0")
    factories.make_order(other, amazon_shipment_id="SBNOSUCH3")
    compare(store)
    assert open_ones(store) == {(MISSING_THERE, "SBNOSUCH1"): ("Picked", "")}
    assert db.session.scalars(select(Difference.order_id)).one() == gone.id


def test_an_order_that_ended_at_amazon_long_ago_is_asked_for_by_its_id(store, sandbox) -> None:
    [old] = make_shipments(sandbox, updated_minutes_ago=20 * DAY_MINUTES, status="SHIPPED")
    factories.make_order(store, OrderState.PACKED, amazon_shipment_id=old)
    compare(store)
    assert open_ones(store) == {(STATE, old): ("Packed", "Shipped (SHIPPED)")}

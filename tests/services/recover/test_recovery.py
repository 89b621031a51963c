"""Recovering orders by their ids, against the sandbox over real HTTP: what is said of each, faults, kills."""

import pytest
from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import (
    Difference,
    DifferenceKind,
    Order,
    OrderState,
    QuarantinedShipment,
    RecoveryOutcome,
    RunState,
    Sync,
)
from flexdash.services import differences, recovery, recovery_lookup
from flexdash.services.errors import ServiceError
from tests import factories
from tests.support.pulls import MAPPED, SELLER, UNMAPPED, make_due, row
from tests.support.recoveries import (
    DAY_MINUTES,
    Died,
    done,
    killed_in,
    order_id_of,
    outcomes,
    recover_ids,
    sentence_of,
    take_up,
)

# Only people bring orders in.
pytestmark = pytest.mark.usefixtures("order_sync_off")

IMPORTED, HERE, MISSING = RecoveryOutcome.IMPORTED, RecoveryOutcome.HERE_ALREADY, RecoveryOutcome.MISSING
NOT_IMPORTED, NO_ANSWER = RecoveryOutcome.NOT_IMPORTED, RecoveryOutcome.NO_ANSWER


def test_each_id_says_what_became_of_it(store, sandbox, actor) -> None:
    new, held = (
        sandbox.control.create_orders(1, location_id=place, seller_id=SELLER)[0] for place in (MAPPED, UNMAPPED)
    )
    cancelled, shipped = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.cancel(cancelled)
    sandbox.control.move(shipped, "SHIPPED")
    [before] = sandbox.control.create_orders(  # before the store was connected
        1, location_id=MAPPED, seller_id=SELLER, status="SHIPPED", updated_minutes_ago=DAY_MINUTES
    )
    [foreign] = sandbox.control.create_orders(1, seller_id="A3SBXNOVAHOMAE")

    asked = recover_ids(actor, store, new, held, cancelled, shipped, before, foreign, "SBNOSUCH1")

    assert outcomes(asked) == {
        new: IMPORTED,
        held: IMPORTED,
        cancelled: NOT_IMPORTED,
        shipped: IMPORTED,
        before: NOT_IMPORTED,
        foreign: MISSING,
        "SBNOSUCH1": MISSING,
    }
    assert "No hub has the Seller Flex Hub ID PNQ1" in sentence_of(asked, held)
    assert "cancelled before it ever came here" in sentence_of(asked, cancelled)
    assert sentence_of(asked, shipped) == "Amazon has it as Shipped (SHIPPED) already, so it came in as Shipped."
    assert "before this store was connected" in sentence_of(asked, before)
    assert "Pune Store" in sentence_of(asked, foreign)
    run = row(asked.run_id)
    assert (run.state, run.n_created, run.n_held, run.n_failed) == (RunState.SUCCEEDED, 3, 1, 0)
    assert run.n_acknowledged == 1  # as after a pull, though Order Sync is off
    assert asked.finished_at is not None
    assert sandbox.control.shipment(new)["status"] == "CONFIRMED"


def test_an_id_that_amazon_refuses_is_said_to_be_and_costs_no_other(store, sandbox, actor) -> None:
    refused, other = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_400", operation="getShipment", shipment_id=refused)
    asked = recover_ids(actor, store, refused, other)
    assert outcomes(asked) == {refused: MISSING, other: IMPORTED}
    assert sentence_of(asked, refused) == "Amazon refused to look it up (HTTP 400, SC_00002)."


def test_asked_again_they_are_here_already_and_brought_up_to_date(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    recover_ids(actor, store, *ids)
    sandbox.control.cancel(ids[0], reason="Ordered by mistake")

    asked = recover_ids(actor, store, *ids)

    assert outcomes(asked) == dict.fromkeys(ids, HERE)
    assert sentence_of(asked, ids[0]) == "Brought up to date: New Order became Cancelled."
    assert db.session.scalar(select(func.count(Order.id))) == 3
    order = db.session.scalars(select(Order).where(Order.amazon_shipment_id == ids[0])).one()
    assert order.state is OrderState.CANCELLED


def test_an_order_id_that_is_here_is_asked_for_by_its_shipments(store, sandbox, actor) -> None:
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    order_id = order_id_of(sandbox, shipment_id)
    recover_ids(actor, store, shipment_id)
    sandbox.control.clear_stats()

    asked = recover_ids(actor, store, order_id)

    assert outcomes(asked) == {order_id: HERE}
    assert f"Shipment {shipment_id}: here already" in sentence_of(asked, order_id)
    calls = sandbox.control.stats()["calls"]
    assert (calls.get("getShipment"), calls.get("getShipments")) == (1, None)


def test_order_ids_that_are_not_here_are_searched_for_in_every_status(store, sandbox, actor, pages_of) -> None:
    pages_of(20)
    new, worked = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.move(worked, "INVOICE_GENERATED")
    [old] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=40 * DAY_MINUTES)
    sandbox.control.create_orders(30, location_id=MAPPED, seller_id=SELLER)
    ids = {name: order_id_of(sandbox, name) for name in (new, worked, old)}

    asked = recover_ids(actor, store, *ids.values(), "404-0000000-0000000")

    assert outcomes(asked) == {
        ids[new]: IMPORTED,
        ids[worked]: IMPORTED,
        ids[old]: MISSING,
        "404-0000000-0000000": MISSING,
    }
    assert "Amazon cannot be asked by order id" in sentence_of(asked, ids[old])
    since = clock.now() - recovery_lookup.LOOK_BACK
    assert f"since {since.day} {since:%b %Y}" in sentence_of(asked, ids[old])
    assert db.session.scalar(select(func.count(Order.id))) == 2  # nothing else came in by the way
    assert "Order" not in row(asked.run_id).error_sentence


def test_one_unreadable_shipment_goes_to_quarantine_and_the_rest_go_on(store, sandbox, actor) -> None:
    good, odd, no_shipment = sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("odd_no_lines", operation="getShipment", shipment_id=odd, count=1)
    sandbox.control.fault("odd_not_a_dict", operation="getShipment", shipment_id=no_shipment, count=5)

    asked = recover_ids(actor, store, odd, no_shipment, good)

    assert outcomes(asked) == {odd: NOT_IMPORTED, no_shipment: NO_ANSWER, good: IMPORTED}
    assert "it has no lines" in sentence_of(asked, odd)
    assert db.session.scalars(select(QuarantinedShipment.amazon_shipment_id)).all() == [odd]
    assert row(asked.run_id).state is RunState.PARTIAL

    again = recover_ids(actor, store, odd, no_shipment)
    assert outcomes(again) == {odd: IMPORTED, no_shipment: IMPORTED}


def test_an_unreadable_shipment_of_a_sought_order_is_said_with_the_order(store, sandbox, actor) -> None:
    [odd] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    order_id = order_id_of(sandbox, odd)
    sandbox.control.fault("odd_no_lines", operation="getShipments", shipment_id=odd, count=1)
    asked = recover_ids(actor, store, order_id)
    assert outcomes(asked) == {order_id: NOT_IMPORTED}
    assert f"Shipment {odd}: not imported. It could not be taken in: it has no lines." in sentence_of(asked, order_id)


def test_throttling_slows_it_down_and_costs_nothing(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(6, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("throttle", operation="getShipment", count=2)

    asked = recover_ids(actor, store, *ids)

    assert outcomes(asked) == dict.fromkeys(ids, IMPORTED)
    assert row(asked.run_id).n_throttled == 2


def test_one_id_that_amazon_cannot_answer_never_stops_the_others(store, sandbox, actor) -> None:
    poison, *others = sandbox.control.create_orders(4, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_500", operation="getShipment", shipment_id=poison, count=50)

    asked = recover_ids(actor, store, poison, *others)

    assert outcomes(asked) == {poison: NO_ANSWER} | dict.fromkeys(others, IMPORTED)
    assert row(asked.run_id).state is RunState.PARTIAL

    sandbox.control.clear_faults()
    asked = done(recovery.go_on(actor, asked.id))
    assert outcomes(asked)[poison] is IMPORTED
    with pytest.raises(ServiceError):
        recovery.go_on(actor, asked.id)


@pytest.mark.parametrize("n_silent", [1, 4])
def test_ids_without_an_answer_are_no_outage_while_amazon_tells_of_another_shipment(
    store, sandbox, actor, n_silent
) -> None:
    known, sought, *silent = sandbox.control.create_orders(2 + n_silent, location_id=MAPPED, seller_id=SELLER)
    recover_ids(actor, store, known)
    for shipment_id in silent:
        sandbox.control.fault("error_500", operation="getShipment", shipment_id=shipment_id, count=500)
    order_id = order_id_of(sandbox, sought)

    asked = recover_ids(actor, store, *silent, order_id)  # which is searched for after them

    assert outcomes(asked) == {order_id: IMPORTED} | dict.fromkeys(silent, NO_ANSWER)
    assert (row(asked.run_id).state, row(asked.run_id).n_failed) == (RunState.PARTIAL, n_silent)


def test_a_shipment_that_is_asked_for_itself_is_no_witness(store, sandbox, actor) -> None:
    known, *silent = sandbox.control.create_orders(4, location_id=MAPPED, seller_id=SELLER)
    recover_ids(actor, store, known, *silent)
    for shipment_id in silent:
        sandbox.control.fault("error_500", operation="getShipment", shipment_id=shipment_id, count=500)
    assert outcomes(recover_ids(actor, store, *silent)) == dict.fromkeys(silent, NO_ANSWER)


def test_with_nobody_else_to_ask_for_some_silent_ids_are_an_outage(store, sandbox, actor) -> None:
    silent = sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_500", operation="getShipment", count=500)
    asked = done(recovery.request_ids(actor, store.id, " ".join(silent)))
    assert outcomes(asked) == dict.fromkeys(silent)
    assert row(asked.run_id).state is RunState.QUEUED


def test_an_outage_is_waited_out_and_what_was_done_stays_done(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(5, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_503", operation="getShipment", skip=2, count=500)

    asked = recovery.request_ids(actor, store.id, " ".join(ids))
    asked = done(asked)
    assert list(outcomes(asked).values()) == [IMPORTED, IMPORTED, None, None, None]
    assert row(asked.run_id).state is RunState.QUEUED
    assert asked.finished_at is None

    sandbox.control.clear_faults()
    sandbox.control.clear_stats()
    make_due(asked.run_id)
    asked = done(asked)
    assert outcomes(asked) == dict.fromkeys(ids, IMPORTED)
    assert sandbox.control.stats()["calls"]["getShipment"] == 3


def test_a_killed_worker_leaves_what_is_done_and_the_next_goes_on(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(6, location_id=MAPPED, seller_id=SELLER)
    asked = recovery.request_ids(actor, store.id, " ".join(ids))
    with killed_in(recovery_lookup, "keep_found", at=4), pytest.raises(Died):
        done(asked)
    assert list(outcomes(asked).values()) == [IMPORTED] * 3 + [None] * 3

    take_up(asked)
    asked = done(asked)
    assert outcomes(asked) == dict.fromkeys(ids, IMPORTED)
    assert db.session.scalar(select(func.count(Order.id))) == 6
    assert sandbox.control.stats()["calls"]["processShipment"] == 6


def test_a_worker_asked_to_stop_hands_the_rest_over(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    asked = recovery.request_ids(actor, store.id, " ".join(ids))
    real, n_asked = recovery_lookup.keep_found, []

    def keep_and_stop(*arguments):
        n_asked.append(1)
        real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery_lookup, "keep_found", keep_and_stop)
        patch.setattr(runner.stopping, "is_asked", lambda: bool(n_asked))
        asked = done(asked)
    assert row(asked.run_id).state is RunState.QUEUED
    assert list(outcomes(asked).values()) == [IMPORTED, None, None]
    assert outcomes(done(asked)) == dict.fromkeys(ids, IMPORTED)


def test_what_a_recovery_mends_is_no_difference_any_more(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    run = factories.make_run(store, sync=Sync.RECONCILE)
    findings = [
        differences.Finding(DifferenceKind.MISSING_HERE, shipment_id, there="Confirmed (ACCEPTED)")
        for shipment_id in (*ids, "SBOTHER11")
    ]
    differences.note(store.workspace_id, store.id, run.id, findings)
    db.session.commit()
    recover_ids(actor, store, *ids)
    left = db.session.scalars(select(Difference.subject).where(Difference.closed_at.is_(None))).all()
    assert left == ["SBOTHER11"]

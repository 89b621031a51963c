"""Why is my order not completed on Amazon? One state for each cause, and the sentence that a person reads."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import Hub, Order
from flexdash.services import listings, stock
from flexdash.services.diagnosis.checks import FixKind, Outcome
from flexdash.services.order_states import Event
from flexdash.services.order_work import moves
from flexdash.services.order_work.results import MAX_ATTEMPTS
from tests.support.diagnoses import by_name, fixes, nobody_syncs, outcome, parts_seen, sentence
from tests.support.pulls import do_run
from tests.support.recoveries import lift_pace
from tests.support.worked_orders import Scene, State, make_scene

ALL_SHIPPED = (Event.PICK, Event.PACK, Event.MAKE_READY, Event.SHIP)


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


def held(scene: Scene) -> Order:
    return scene.pulled(sku_codes=["NOBODY-KNOWS"])


def new(scene: Scene) -> Order:
    return scene.pulled()


def picked(scene: Scene) -> Order:
    order = scene.worked(Event.PICK)
    scene.do_steps()
    return order


def ready(scene: Scene) -> Order:
    order = scene.worked(*ALL_SHIPPED[:3])
    scene.do_steps()
    return order


def refused_by_amazon(operation: str, *events: Event) -> State:
    """Let Amazon refuse one of the steps of an order that was worked this far, quoting the buyer as it may."""

    def put(scene: Scene) -> Order:
        scene.sandbox.control.fault("names_buyer", operation=operation)
        order = scene.worked(Event.PICK)
        scene.do_steps()
        for event in events:
            moves.move(scene.asha, order.id, event)
        scene.do_steps()
        return order

    return put


def invoice_waits(scene: Scene) -> Order:
    order = scene.pulled(invoice_status="PENDING")
    moves.move(scene.asha, order.id, Event.PICK)
    scene.do_steps()
    return order


def label_not_made_yet(scene: Scene) -> Order:
    scene.sandbox.control.fault("label_failure")
    return picked(scene)


def label_tried_again(scene: Scene) -> Order:
    order = label_not_made_yet(scene)
    scene.try_again(order)
    return order


def label_failed(scene: Scene) -> Order:
    order = label_not_made_yet(scene)
    scene.try_again(order, MAX_ATTEMPTS - 1)
    return order


def packed(scene: Scene) -> Order:
    order = scene.worked(*ALL_SHIPPED[:2])
    scene.do_steps()
    return order


def being_cancelled(scene: Scene) -> Order:
    return scene.cancelled()


def size_missing(scene: Scene) -> Order:
    listings.add(scene.asha, scene.store.id, "MUG", {"name": "A mug", "asin": "B0MUGMUG01"})
    hub_id = db.session.scalars(db.select(Hub.id)).one()
    stock.add(scene.asha, scene.store.seller_id, hub_id, "MUG", "5")
    order = scene.pulled(sku_codes=["MUG"])
    moves.move(scene.asha, order.id, Event.PICK)
    scene.do_steps()
    return order


def acknowledgement_refused(scene: Scene) -> Order:
    scene.sandbox.control.fault("names_buyer", operation="processShipment", count=1)
    return scene.pulled()


def told_not_taken(scene: Scene) -> Order:
    order = shipped_not_told(scene)
    scene.sandbox.control.fault("error_500", operation="updatePackageStatus", count=2)
    scene.try_again(order, 2)
    return order


def shipped_not_told(scene: Scene) -> Order:
    order = scene.worked(*ALL_SHIPPED[:3])
    scene.do_steps()
    moves.move(scene.asha, order.id, Event.SHIP)
    return order


def shipped_on_both(scene: Scene) -> Order:
    order = shipped_not_told(scene)
    scene.do_steps()
    return order


def shipped_there_only(scene: Scene) -> Order:
    order = scene.pulled()
    scene.sandbox.control.move(order.amazon_shipment_id, "DELIVERED")
    return order


def cancelled_there_only(scene: Scene) -> Order:
    order = scene.pulled()
    scene.sandbox.control.cancel(order.amazon_shipment_id)
    return order


def unknown_there(scene: Scene) -> Order:
    order = picked(scene)
    scene.sandbox.control.fault("vanished")
    return order


def cancelled_here(scene: Scene) -> Order:
    scene.set_toggle(turn_on=False)
    return scene.cancelled()


def store_away(scene: Scene) -> Order:
    order = scene.pulled()
    scene.sandbox.control.revoke_tokens()
    do_run(scene.store)
    return order


def revoked_since(scene: Scene) -> Order:
    order = scene.pulled()
    scene.sandbox.control.revoke_tokens()  # which nobody knows here before Amazon is asked
    return order


OPEN_ORDERS: list[tuple[State, str, Outcome, list[FixKind]]] = [
    (cancelled_here, "was cancelled in FlexDash by Asha, so it is not to be completed.", Outcome.ANSWERED, ["order"]),
    (store_away, "Pune Store needs re-authorization", Outcome.FAILED, ["reauthorize"]),
    (revoked_since, "Pune Store needs re-authorization", Outcome.FAILED, ["reauthorize"]),
    (unknown_there, "Amazon does not know this shipment any more", Outcome.FAILED, ["seller_central", "order"]),
    (
        shipped_there_only,
        "It is completed on Amazon: Amazon has it as Delivered (DELIVERED). FlexDash has it as a New Order and takes "
        "over",
        Outcome.ANSWERED,
        ["order"],
    ),
    (shipped_on_both, "It is completed on Amazon: Amazon has it as Shipped (SHIPPED).", Outcome.ANSWERED, ["order"]),
    (
        invoice_waits,
        "Its invoice waits on Amazon (PENDING), and Amazon makes no label without it. Upload or finish it in Seller",
        Outcome.FAILED,
        ["seller_central", "invoices", "order"],
    ),
    (
        cancelled_there_only,
        "Amazon has it as Cancelled; FlexDash takes that over with its next sync.",
        Outcome.ANSWERED,
        ["order"],
    ),
    (
        being_cancelled,
        "is being cancelled at Amazon, whose answer is not here yet. Nobody can work it until then; if Amazon refuses, "
        "it goes on from where it is.",
        Outcome.ANSWERED,
        ["order"],
    ),
    (
        label_not_made_yet,
        "A step got no good answer yet, fetching the labels: it was tried once. Amazon made no label for package "
        "FD1-1: The carrier made no label: a sandbox fault. It is tried again by itself.",
        Outcome.FAILED,
        ["retry_step", "order"],
    ),
    (label_tried_again, "fetching the labels: it was tried 2 times. ", Outcome.FAILED, ["retry_step", "order"]),
    (
        label_failed,
        "A step failed, fetching the labels: Amazon made no label for package FD1-1: The carrier made no label: a "
        "sandbox fault. It was tried 5 times.",
        Outcome.FAILED,
        ["retry_step", "order"],
    ),
    (
        refused_by_amazon("retrieveShippingOptions"),
        "A step failed, fetching Amazon's ways of shipping: Amazon refused: Ship-to of ",
        Outcome.FAILED,
        ["retry_step", "order"],
    ),
    (
        refused_by_amazon("generateInvoice"),
        "A step failed, fetching the invoice: Amazon refused: Ship-to of ",
        Outcome.FAILED,
        ["retry_step", "order"],
    ),
    (
        refused_by_amazon("updatePackageStatus", *ALL_SHIPPED[1:]),
        "A step failed, telling Amazon that it was handed over: Amazon refused: Ship-to of ",
        Outcome.FAILED,
        ["retry_step", "order"],
    ),
    (size_missing, "A step failed, telling Amazon what is packed in what: ", Outcome.FAILED, ["packages", "order"]),
    (
        held,
        "is On Hold, so nobody can work it. NOBODY-KNOWS is unknown",
        Outcome.FAILED,
        ["upload_catalog", "stock", "order"],
    ),
    (
        acknowledgement_refused,
        "Amazon refused to hear that the order was accepted: Ship-to of ",
        Outcome.FAILED,
        ["acknowledge", "order"],
    ),
    (new, "It is a New Order here. Nobody has picked it yet.", Outcome.FAILED, ["order"]),
    (picked, "It is Picked here. It is picked and not packed.", Outcome.FAILED, ["order"]),
    (packed, "It is Packed here. It is packed and not handed over. Make it", Outcome.FAILED, ["order"]),
    (ready, "It is Ready to Ship here. It is ready and not handed over. Ship it", Outcome.FAILED, ["order"]),
    (shipped_not_told, "Amazon is told that it left within a minute.", Outcome.ANSWERED, ["order"]),
    (
        told_not_taken,
        "Amazon was told 2 times that it left, and has not taken it yet: Amazon has a fault of its own: "
        "InternalFailure: A fault set in the sandbox. It is told again by itself.",
        Outcome.FAILED,
        ["retry_step", "order"],
    ),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), OPEN_ORDERS)
def test_the_cause_of_an_open_order_is_named(scene: Scene, state, words, ends, offered) -> None:
    found = scene.why_open(state(scene))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def picked_just_now(scene: Scene) -> Order:
    return scene.worked(Event.PICK)


def test_a_worker_that_is_down_is_why_the_rest_at_amazon_is_not_done(scene: Scene, environment) -> None:
    order = picked_just_now(scene)
    with nobody_syncs(environment) as parts:
        found = scene.why_open(order, parts)
    assert sentence(found).startswith("No worker has been seen lately for sync, so runs wait.")
    assert by_name(found)["Has everything gone well at Amazon?"] is Outcome.PASSED


@pytest.mark.parametrize("state", [picked_just_now, label_not_made_yet, shipped_not_told, told_not_taken])
def test_a_scheduler_that_is_down_is_why_the_rest_at_amazon_is_not_done(scene: Scene, state: State) -> None:
    found = scene.why_open(state(scene), parts_seen())
    assert sentence(found).startswith("The scheduler has not been seen lately, so no sync starts by itself.")
    assert by_name(found)["Has everything gone well at Amazon?"] is Outcome.PASSED


def test_nobody_is_told_of_a_worker_where_nothing_is_to_be_done_at_amazon(scene: Scene) -> None:
    found = scene.why_open(picked(scene), parts_seen())
    assert sentence(found).startswith("It is Picked here. It is picked and not packed.")
    assert "Are the scheduler and the workers at work?" not in by_name(found)


def test_an_answer_that_cannot_be_read_is_no_reason_and_is_noted(scene: Scene) -> None:
    order = new(scene)
    scene.sandbox.control.fault("odd_no_lines", operation="getShipment")
    found = scene.why_open(order)
    assert sentence(found).startswith("It is a New Order here.")
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence == (
        "How it stands on Amazon is not known: Amazon's answer about it cannot be read: it has no lines."
    )


def test_amazon_took_the_hand_over_and_shows_it_later(scene: Scene) -> None:
    order = shipped_on_both(scene)
    scene.sandbox.control.fault("shown_late")
    found = scene.why_open(order)
    assert sentence(found).startswith("Amazon was told that it left and took it; its status there follows")
    assert outcome(found) is Outcome.ANSWERED


def test_an_order_worked_on_amazon_is_completed_by_amazon(scene: Scene) -> None:
    order = scene.pulled()
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPPED")
    do_run(scene.store)
    scene.sandbox.control.fault("shown_late")  # its list told of it, and the shipment itself is not that far yet
    found = scene.why_open(order)
    assert outcome(found) is Outcome.UNKNOWN
    assert "became Shipped by Amazon's own news" in sentence(found)


def test_the_checks_of_an_open_order_go_on_while_amazon_is_away(scene: Scene) -> None:
    order = new(scene)
    scene.sandbox.control.fault("cut", operation="getShipment")
    found = scene.why_open(order)
    assert by_name(found)["What does Amazon have?"] is Outcome.UNKNOWN
    assert sentence(found).startswith("It is a New Order here.")

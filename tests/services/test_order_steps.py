"""What orders being worked need of Amazon, against the sandbox over real HTTP."""

from dataclasses import replace
from decimal import Decimal

import pytest
from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.orm import undefer

from amazon_sandbox.serving import Running
from amazon_sandbox.world.people import SERIALIZED_SKU_CODES
from flexdash import clock
from flexdash.amazon import files
from flexdash.amazon.errors import AmazonUnavailable, AuthorizationRefused
from flexdash.amazon.shipment_reader import read_shipment
from flexdash.amazon.shipments import Shipments
from flexdash.extensions import db, vault
from flexdash.models import (
    ApiCall,
    CallOutcome,
    DocumentKind,
    Listing,
    Order,
    OrderDocument,
    OrderEvent,
    OrderPackage,
    OrderState,
    OrderStep,
    OrderStock,
    Role,
    RunState,
    StepKind,
    StepState,
    Store,
    Sync,
    SyncRun,
)
from flexdash.services import amazon_access, sync_attempts
from flexdash.services.actors import Actor
from flexdash.services.order_states import Event
from flexdash.services.order_work import at_amazon, attempts, documents, moves, overview, packing_edit, results, steps
from flexdash.services.order_work.at_amazon import AmazonNotAsked
from flexdash.services.order_work.packing_edit import LineInput, PackageInput
from flexdash.services.run_context import HandBack
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.order_steps import do_steps, effects, make_due, pulled, states
from tests.support.pulls import SELLER, do_run, make_pulled_store

SERIALIZED = sorted(SERIALIZED_SKU_CODES)[0]


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client start fast: these tests are about orders, tests/amazon about the pace."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    """A store whose catalog knows the size of everything it sells."""
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox)
    db.session.execute(db.update(Listing).values(length_cm=20, width_cm=15, height_cm=db.text("'4.5'"), weight_g=180))
    db.session.commit()
    return store


@pytest.fixture
def asha(store: Store) -> Actor:
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))


def test_picked_is_packed_invoiced_and_labelled_by_itself(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox, units=2)

    moves.pick(asha, order.id)
    run = do_steps(store)

    assert run.state is RunState.SUCCEEDED
    assert states(order) == {
        StepKind.PACKAGES: StepState.DONE,
        StepKind.SHIPPING_OPTION: StepState.NOT_NEEDED,
        StepKind.INVOICE: StepState.DONE,
        StepKind.LABELS: StepState.DONE,
    }
    assert (order.state, order.moved_by) == (OrderState.PICKED, "Asha")
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "SHIPLABEL_GENERATED"
    package = db.session.scalars(select(OrderPackage)).one()
    assert (package.carrier_name, package.is_at_amazon) == ("Sandbox Logistics", True)
    assert package.tracking_number.startswith("SBX")
    assert package.weight_g == 180 * order.n_units
    documents = db.session.scalars(select(OrderDocument).order_by(OrderDocument.id)).all()
    assert [(document.kind, document.content_type) for document in documents] == [
        ("invoice", "application/pdf"),
        ("label", "application/pdf"),
    ]
    for document in documents:
        content = vault.decrypt_bytes(document.content_encrypted)
        assert content.startswith(b"%PDF")
        assert len(content) == document.n_bytes
        assert b"%PDF" not in document.content_encrypted
    assert {name: n for name, n in effects(sandbox, order).items() if n > 1} == {}


def test_an_order_goes_the_whole_way_and_its_stock_leaves_once(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    for event in (Event.PACK, Event.MAKE_READY, Event.SHIP):
        moves.move(asha, order.id, event)
        moves.move(asha, order.id, event)  # the second click
    do_steps(store)

    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "SHIPPED"
    assert states(order)[StepKind.SHIP] is StepState.DONE
    sandbox.control.move(order.amazon_shipment_id, "DELIVERED")
    do_run(store)

    db.session.refresh(order)
    assert (order.state, order.moved_by, order.stock) == (OrderState.DELIVERED, "Amazon", OrderStock.DEDUCTED)
    assert None not in (order.picked_at, order.packed_at, order.ready_at, order.shipped_at, order.delivered_at)
    assert stock_problems() == []


# What the worker meets ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for kill -9: no code of ours gets to see it."""


CALLS = ("get", "confirm", "create_packages", "shipping_options", "generate_invoice", "retrieve_invoice", "ship_labels")


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("n", range(1, 9))
def test_a_worker_killed_around_any_call_and_run_again_makes_one_package_and_one_label(
    store: Store, sandbox: Running, asha: Actor, monkeypatch: pytest.MonkeyPatch, n: int, is_after: bool
) -> None:
    """The worker dies right before or right after Amazon's n-th answer, before anything of it is written."""
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    n_calls = 0

    def dying(real):
        def call(*args, **kwargs):
            nonlocal n_calls
            n_calls += 1
            if n_calls == n and not is_after:
                raise Killed
            answer = real(*args, **kwargs)
            if n_calls == n and is_after:
                raise Killed
            return answer

        return call

    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(Shipments, name, dying(getattr(Shipments, name)))
        patch.setattr(files, "fetch", dying(files.fetch))
        try:
            do_steps(store)
        except Killed:
            db.session.rollback()
            db.session.execute(db.update(SyncRun).values(state=RunState.FAILED))
            db.session.commit()
    do_steps(store)

    assert set(states(order).values()) == {StepState.DONE, StepState.NOT_NEEDED}
    done = effects(sandbox, order)
    assert (done["packages"], done["invoice"], done["labels"], done["confirm"]) == (1, 1, 1, 1)
    assert len(db.session.scalars(select(OrderPackage)).all()) == 1
    present = select(OrderDocument.kind).where(OrderDocument.replaced_at.is_(None))
    assert sorted(db.session.scalars(present)) == ["invoice", "label"]


@pytest.mark.parametrize(
    "operation", ["getShipment", "createPackages", "retrieveShippingOptions", "generateInvoice", "generateShipLabels"]
)
def test_an_answer_lost_on_the_way_is_looked_up_and_nothing_is_done_twice(
    store: Store, sandbox: Running, asha: Actor, operation: str
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    sandbox.control.fault("drop_after_effect", operation=operation, count=1)
    do_steps(store)
    make_due(order)
    do_steps(store)
    assert set(states(order).values()) == {StepState.DONE, StepState.NOT_NEEDED}
    done = effects(sandbox, order)
    assert (done["packages"], done["invoice"], done["labels"]) == (1, 1, 1)


def order_events(order: Order) -> list[OrderEvent]:
    query = select(OrderEvent).where(OrderEvent.order_id == order.id).order_by(OrderEvent.id)
    return list(db.session.scalars(query))


def test_a_step_without_an_answer_waits_for_longer_each_time_and_is_given_up_with_amazons_words(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    sandbox.control.fault("label_failure", count=20)
    run = do_steps(store)
    assert run.state is RunState.PARTIAL
    step = db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.LABELS)).one()
    waits = []
    for _ in range(results.MAX_ATTEMPTS - 1):
        db.session.refresh(step)
        assert step.state is StepState.WAITING
        assert "The carrier made no label" in step.error_sentence
        waits.append((step.not_before - clock.now()).total_seconds())
        assert do_steps(store).n_fetched == 0  # not its turn yet
        make_due(order)
        do_steps(store)
    db.session.refresh(step)
    assert waits == sorted(waits)
    assert (step.state, step.n_attempts) == (StepState.FAILED, results.MAX_ATTEMPTS)
    assert step.error_sentence.endswith("It was tried 5 times.")
    tried = [event.sentence for event in order_events(order) if "The carrier made no label" in event.sentence]
    assert len(tried) == 2, "one for the reason, however often it is tried, and one for the end"
    assert tried[0].endswith("The carrier made no label: a sandbox fault. It is tried again by itself.")
    calls = db.session.scalars(
        select(ApiCall).where(ApiCall.operation == "generateShipLabels").options(undefer(ApiCall.answered))
    ).all()
    assert {(call.status, call.outcome, call.error_code) for call in calls} == {(200, CallOutcome.REFUSED, "SC_00000")}
    assert {call.error_message for call in calls} == {"The carrier made no label: a sandbox fault."}
    assert all('"status": "FAILURE"' in call.answered for call in calls)

    sandbox.control.clear_faults()
    steps.retry(asha, order.id, step.id)
    do_steps(store)
    assert states(order)[StepKind.LABELS] is StepState.DONE


def test_a_size_the_catalog_does_not_know_is_asked_of_a_person_before_amazon_is(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    db.session.execute(db.update(Listing).values(height_cm=None, weight_g=None))
    db.session.commit()
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    step = db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.PACKAGES)).one()
    assert (step.state, step.is_lacking) == (StepState.FAILED, True)
    assert not [event for event in order.events if event.sentence == step.error_sentence], "it is asked for, not told"
    assert step.error_sentence.startswith("The package lacks its height and weight: the catalog does not say.")
    assert "packages" not in effects(sandbox, order)
    assert steps.request(asha, order.id) is None  # nothing whose turn has come: no run every minute for nothing

    packing_edit.edit(asha, order.id, [one_package(order, height_cm="4", weight_g="5")])
    do_steps(store)
    assert states(order)[StepKind.LABELS] is StepState.DONE


def one_package(order: Order, **values) -> PackageInput:
    values = {"length_cm": "20", "width_cm": "15.5", "height_cm": "4", "weight_g": "200", **values}
    lines = {line.amazon_line_id: LineInput(str(line.n_units)) for line in order.lines}
    return PackageInput(**{"lines": lines, **values})


def test_serial_numbers_are_asked_for_where_amazon_requires_them_and_sent(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox, sku_codes=[SERIALIZED], units=2)
    moves.pick(asha, order.id)
    do_steps(store)
    step = db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.PACKAGES)).one()
    assert f"Amazon wants the serial numbers of {SERIALIZED}" in step.error_sentence

    [line] = order.lines
    with pytest.raises(packing_edit.PackagesRefused, match="one serial number per unit"):
        packing_edit.edit(
            asha, order.id, [one_package(order, lines={line.amazon_line_id: LineInput("2", serial_numbers="S1\nS1")})]
        )
    given = one_package(order, lines={line.amazon_line_id: LineInput("2", serial_numbers="S1\nS2")})
    packing_edit.edit(asha, order.id, [given])
    do_steps(store)
    assert states(order)[StepKind.LABELS] is StepState.DONE
    [package] = sandbox.control.shipment(order.amazon_shipment_id)["body"]["packages"]
    assert package["packageLineItems"][0]["serialNumbers"] == ["S1", "S2"]
    assert "countryOfOrigin" not in package["packageLineItems"][0]  # DISALLOWED is never sent


def test_several_packages_get_a_label_each(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox, units=3)
    moves.move(asha, order.id, Event.PICK)
    line_id = order.lines[0].amazon_line_id
    packing_edit.edit(
        asha,
        order.id,
        [one_package(order, lines={line_id: LineInput("2")}), one_package(order, lines={line_id: LineInput("1")})],
    )
    do_steps(store)
    packages = db.session.scalars(select(OrderPackage).order_by(OrderPackage.id)).all()
    assert len({package.tracking_number for package in packages}) == 2
    labels = db.session.scalars(select(OrderDocument.package_id).where(OrderDocument.kind == "label")).all()
    assert sorted(labels) == sorted(package.package_id for package in packages)


def test_a_size_changed_after_amazon_knew_it_is_told_again_before_the_label(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    sandbox.control.fault("label_failure", count=1)
    do_steps(store)
    packing_edit.edit(asha, order.id, [one_package(order, weight_g="999")])
    make_due(order)
    do_steps(store)
    [package] = sandbox.control.shipment(order.amazon_shipment_id)["body"]["packages"]
    assert Decimal(package["weight"]["value"]) == 999
    assert effects(sandbox, order)["packages"] == 1
    with pytest.raises(moves.MoveRefused, match="labels are made"):
        packing_edit.edit(asha, order.id, [one_package(order)])


def test_packages_are_not_changed_while_their_label_is_made_again(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    documents.ask_again(asha, order.id, DocumentKind.LABEL)
    with pytest.raises(moves.MoveRefused, match="labels are made"):
        packing_edit.edit(asha, order.id, [one_package(order)])
    assert overview.of_order(order).can_edit_packages is False


def test_a_change_of_packages_after_a_label_whose_file_did_not_come_is_dropped_and_said_so(
    store: Store, sandbox: Running, asha: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_file(*args: object, **values: object) -> None:
        raise AmazonUnavailable("The file did not come.")

    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    with monkeypatch.context() as patched:
        patched.setattr(files, "fetch", no_file)
        do_steps(store)
    packing_edit.edit(asha, order.id, [one_package(order, weight_g="4000")])
    make_due(order)
    do_steps(store)

    package = db.session.scalars(select(OrderPackage)).one()
    [there] = sandbox.control.shipment(order.amazon_shipment_id)["body"]["packages"]
    assert package.weight_g == Decimal(there["weight"]["value"]) == 180 * order.n_units
    assert set(states(order).values()) <= {StepState.DONE, StepState.NOT_NEEDED}
    sentences = [event.sentence for event in order.events]
    assert "Amazon has made the labels already, so the packages are now as Amazon has them." in sentences


def test_the_recommended_shipping_option_is_chosen_and_can_be_changed_before_the_label(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    sandbox.control.options(has_shipping_options=True)
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    sandbox.control.fault("label_failure", count=1)
    do_steps(store)
    package = db.session.scalars(select(OrderPackage)).one()
    options = overview.of_order(order).options_of(package)
    assert len(options) == 3
    assert package.shipping_option_id == options[0].id

    packing_edit.choose_option(asha, order.id, package.id, options[2].id)
    with pytest.raises(moves.MoveRefused, match="does not offer"):
        packing_edit.choose_option(asha, order.id, package.id, "SLOT-of-somebody")
    make_due(order)
    do_steps(store)
    db.session.refresh(package)
    assert package.shipping_option_id == options[2].id
    assert states(order)[StepKind.LABELS] is StepState.DONE


def test_a_label_and_an_invoice_are_made_again_and_take_the_place_of_the_first(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    for kind in DocumentKind:
        documents.ask_again(asha, order.id, kind)
    do_steps(store)
    rows = db.session.scalars(select(OrderDocument).order_by(OrderDocument.id)).all()
    assert [row.replaced_at is None for row in rows] == [False, False, True, True]
    done = effects(sandbox, order)
    assert (done["labels"], done["relabels"], done["invoice"]) == (1, 1, 1)


@pytest.mark.parametrize("kind", DocumentKind)
def test_an_order_is_handed_over_while_a_document_of_it_is_made_again(
    store: Store, sandbox: Running, asha: Actor, kind: DocumentKind
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    for event in (Event.PACK, Event.MAKE_READY):
        moves.move(asha, order.id, event)
    documents.ask_again(asha, order.id, kind)
    moves.move(asha, order.id, Event.SHIP)
    do_steps(store)
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "SHIPPED"
    assert set(states(order).values()) <= {StepState.DONE, StepState.NOT_NEEDED}


def test_the_label_is_not_made_for_what_a_buyer_cancelled_meanwhile(
    store: Store, sandbox: Running, asha: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    real = Shipments.generate_invoice

    def and_cancel(*args):
        document = real(*args)
        sandbox.control.cancel(order_shipment, by="buyer", reason="Ordered by mistake")
        return document

    order_shipment = order.amazon_shipment_id
    monkeypatch.setattr(Shipments, "generate_invoice", and_cancel)
    do_steps(store)
    db.session.refresh(order)
    assert (order.state, order.stock) == (OrderState.CANCELLED, OrderStock.NONE)
    assert states(order)[StepKind.LABELS] is StepState.NOT_NEEDED
    assert "labels" not in effects(sandbox, order)
    assert stock_problems() == []


def test_the_hand_over_of_what_was_cancelled_on_amazon_is_a_conflict_and_not_said_to_be_known_there(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    for event in (Event.PACK, Event.MAKE_READY, Event.SHIP):
        moves.move(asha, order.id, event)
    sandbox.control.cancel(order.amazon_shipment_id, by="buyer")
    do_steps(store)

    assert states(order)[StepKind.SHIP] is StepState.NOT_NEEDED
    db.session.refresh(order)
    assert (order.state, order.has_conflict) == (OrderState.SHIPPED, True)
    assert order.events[-1].sentence == "Amazon has the order as Cancelled, so the hand-over was not told there."
    assert "Amazon knows that it was handed over." not in [event.sentence for event in order.events]


def test_picking_asks_amazon_first_and_a_cancelled_order_turns_cancelled_instead(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    sandbox.control.cancel(order.amazon_shipment_id)
    with pytest.raises(moves.CancelledMeanwhile, match="do not pick it"):
        moves.pick(asha, order.id)
    db.session.refresh(order)
    assert (order.state, order.picked_at, order.stock) == (OrderState.CANCELLED, None, OrderStock.NONE)


def test_an_order_that_amazon_moved_elsewhere_meanwhile_is_not_picked(
    store: Store, sandbox: Running, asha: Actor, monkeypatch
) -> None:
    order = pulled(store, sandbox)
    # By hand: the sandbox moves no shipment to another location.
    monkeypatch.setattr(at_amazon, "read_shipment", lambda raw: replace(read_shipment(raw), location_id="PNQ9"))
    with pytest.raises(moves.MovedMeanwhile, match="has moved the order to the location PNQ9: do not pick it here"):
        moves.pick(asha, order.id)
    db.session.refresh(order)
    assert (order.state, order.picked_at, order.stock) == (OrderState.NEW, None, OrderStock.RESERVED)


def waiting_for_the_stock_of(order: Order, store: Store, sandbox: Running) -> Order:
    """Return an order that waits On Hold for what `order` has, which the buyer then cancels on Amazon."""
    db.session.execute(db.text("UPDATE stock_levels SET on_hand = reserved"))
    db.session.commit()
    waiting = pulled(store, sandbox, units=1)
    assert waiting.state is OrderState.ON_HOLD
    sandbox.control.cancel(order.amazon_shipment_id)
    return waiting


def test_stock_of_an_order_that_picking_finds_cancelled_goes_to_the_one_that_waits_for_it(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox, units=1)
    waiting = waiting_for_the_stock_of(order, store, sandbox)
    with pytest.raises(moves.CancelledMeanwhile):
        moves.pick(asha, order.id)
    db.session.refresh(waiting)
    assert waiting.state is OrderState.NEW


def test_stock_that_a_step_frees_is_handed_on_even_when_the_worker_is_asked_to_stop(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox, units=1)
    moves.pick(asha, order.id)
    waiting = waiting_for_the_stock_of(order, store, sandbox)
    run = factories.make_run(store, RunState.QUEUED, sync=Sync.ORDER_STEPS, trigger="manual")
    answers = iter([False])
    with pytest.raises(HandBack):
        steps.work(sync_attempts.begin(run.id, lambda: next(answers, True)))
    db.session.refresh(waiting)
    assert (waiting.state, db.session.get(Order, order.id).state) == (OrderState.NEW, OrderState.CANCELLED)


def test_picking_while_amazon_is_away_is_refused_unless_a_person_says_so(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    sandbox.control.fault("error_503", operation="getShipment", count=20)
    with pytest.raises(AmazonNotAsked, match="did not answer"):
        moves.pick(asha, order.id)
    assert order.state is OrderState.NEW
    moves.pick(asha, order.id, without_asking=True)
    db.session.refresh(order)
    assert order.state is OrderState.PICKED


def test_an_order_worked_in_amazons_own_tool_gets_its_documents_from_there(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    do_run(store)
    db.session.refresh(order)
    assert (order.state, order.moved_by) == (OrderState.PACKED, "Amazon")
    steps.begin(asha, order.id)
    do_steps(store)
    assert states(order)[StepKind.LABELS] is StepState.DONE
    package = db.session.scalars(select(OrderPackage)).one()
    assert (package.package_id, package.weight_g) == ("1", 500)  # Amazon's, in the place of ours


def test_orders_of_a_store_go_on_side_by_side_and_one_that_fails_stops_no_other(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    orders = [pulled(store, sandbox) for _ in range(12)]
    for order in orders:
        moves.move(asha, order.id, Event.PICK)
    poison = orders[3].amazon_shipment_id
    sandbox.control.fault("error_500", operation="getShipment", shipment_id=poison, count=500)
    run = do_steps(store)
    done = [order for order in orders if states(order)[StepKind.LABELS] is StepState.DONE]
    assert len(done) == 11
    assert run.state is RunState.PARTIAL
    assert sandbox.control.stats()["max_concurrent"] > 1


def test_a_fault_of_our_own_costs_one_order_its_step_and_no_other(
    store: Store, sandbox: Running, asha: Actor, monkeypatch
) -> None:
    odd, other = (pulled(store, sandbox) for _ in range(2))
    for order in (odd, other):
        moves.move(asha, order.id, Event.PICK)
    really_do, odd_id = attempts._DO[StepKind.LABELS], odd.id

    def fail(client, task):
        if task.order_id == odd_id:
            raise ValueError("of Canary Qzxname")
        return really_do(client, task)

    monkeypatch.setitem(attempts._DO, StepKind.LABELS, fail)
    assert do_steps(store).state is RunState.PARTIAL
    assert states(other)[StepKind.LABELS] is StepState.DONE
    step = db.session.scalars(
        select(OrderStep).where(OrderStep.order_id == odd_id, OrderStep.kind == StepKind.LABELS)
    ).one()
    assert (step.state, step.n_attempts) == (StepState.WAITING, 1)
    assert step.error_sentence.startswith("FlexDash failed in it, by a fault of its own.")


def test_a_run_is_given_up_when_amazon_is_away_and_nothing_is_blamed(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    moves.move(asha, order.id, Event.PICK)
    sandbox.control.revoke_tokens(SELLER)
    with pytest.raises(AuthorizationRefused):
        do_steps(store)
    step = db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.PACKAGES)).one()
    assert (step.state, step.n_attempts) == (StepState.WAITING, 0)


def test_a_persons_action_begins_a_run_and_a_second_one_none(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    assert steps.request(asha, order.id) is None  # nothing to do yet
    moves.move(asha, order.id, Event.PICK)
    run_id = steps.request(asha, order.id)
    assert db.session.get(SyncRun, run_id).sync is Sync.ORDER_STEPS
    assert steps.request(asha, order.id) is None


@pytest.mark.parametrize("where", ["query", "body"])
def test_the_hand_over_is_told_in_the_form_the_setting_says(
    store: Store, sandbox: Running, asha: Actor, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    seen = []
    real = Shipments.mark_shipped

    def mark(self, *args, in_query):
        seen.append("query" if in_query else "body")
        real(self, *args, in_query=in_query)

    monkeypatch.setattr(Shipments, "mark_shipped", mark)
    changed = replace(current_app.config["SETTINGS"], amazon_ship_status_in=where)
    monkeypatch.setitem(current_app.config, "SETTINGS", changed)
    order = pulled(store, sandbox)
    moves.pick(asha, order.id)
    do_steps(store)
    for event in (Event.PACK, Event.MAKE_READY, Event.SHIP):
        moves.move(asha, order.id, event)
    do_steps(store)
    assert seen == [where]
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "SHIPPED"

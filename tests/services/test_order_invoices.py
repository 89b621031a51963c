"""Orders whose invoice waits on Amazon: on the list when it is needed, off it when Amazon has it, or by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Listing, Order, OrderStep, Role, StepKind, StepState, Store
from flexdash.services import amazon_access
from flexdash.services.actors import Actor
from flexdash.services.errors import NotAllowed
from flexdash.services.order_states import Event
from flexdash.services.order_work import counts, invoices, moves, steps
from tests import factories
from tests.support.order_steps import do_steps, make_due, pulled, states
from tests.support.pulls import do_run, make_pulled_store


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client start fast: these tests are about orders, tests/amazon about the pace."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox)
    db.session.execute(db.update(Listing).values(length_cm=20, width_cm=15, height_cm=5, weight_g=180))
    db.session.commit()
    return store


@pytest.fixture
def asha(store: Store) -> Actor:
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))


def waiting(store: Store, sandbox: Running, asha: Actor) -> Order:
    """Return a picked order whose invoice Amazon does not have yet."""
    order = pulled(store, sandbox, invoice_status="PENDING")
    moves.move(asha, order.id, Event.PICK)
    do_steps(store)
    db.session.refresh(order)
    return order


def invoice_step() -> OrderStep:
    db.session.rollback()
    return db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.INVOICE)).one()


def test_an_order_stands_on_the_list_only_once_its_invoice_is_needed(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox, invoice_status="PENDING")
    assert (order.invoice_requirement, order.invoice_status) == ("REQUIRED", "PENDING")
    assert invoices.n_waiting(asha) == 0
    moves.move(asha, order.id, Event.PICK)
    do_steps(store)
    assert invoices.n_waiting(asha) == counts.of_actor(asha).n_invoices == 1
    assert db.session.scalars(invoices.listing(asha)).all() == [order]
    step = invoice_step()
    assert (step.state, step.n_attempts) == (StepState.WAITING, 0)  # waiting is no failure
    assert timedelta(minutes=9) < step.not_before - clock.now() <= timedelta(minutes=10)
    assert states(order)[StepKind.LABELS] is StepState.WAITING
    assert steps.request(asha, order.id) is None  # no run before its time


def test_it_clears_itself_with_amazons_word_and_the_label_follows(store: Store, sandbox: Running, asha: Actor) -> None:
    order = waiting(store, sandbox, asha)
    sandbox.control.set_invoice(order.amazon_shipment_id, "AVAILABLE")
    do_run(store)
    db.session.refresh(order)
    assert (order.is_invoice_waiting, order.invoice_status) == (False, "AVAILABLE")
    do_steps(store)
    assert states(order)[StepKind.LABELS] is StepState.DONE


def test_the_step_finds_the_invoice_by_itself_when_its_time_comes(store: Store, sandbox: Running, asha: Actor) -> None:
    order = waiting(store, sandbox, asha)
    sandbox.control.set_invoice(order.amazon_shipment_id, "AVAILABLE")
    make_due(order)
    do_steps(store)
    db.session.refresh(order)
    assert order.is_invoice_waiting is False
    assert states(order)[StepKind.INVOICE] is StepState.DONE


def test_settled_by_hand_asks_for_the_label_and_a_refusal_of_it_can_be_tried_again(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = waiting(store, sandbox, asha)
    invoices.settle_by_hand(asha, order.id)
    invoices.settle_by_hand(asha, order.id)  # the second click
    assert [event.sentence for event in order.events].count("Asha saw to its invoice on Amazon.") == 1
    do_steps(store)
    assert states(order)[StepKind.INVOICE] is StepState.NOT_NEEDED
    label = db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.LABELS)).one()
    assert label.state is StepState.FAILED  # Amazon wants the invoice all the same
    assert "invoice must be generated" in label.error_sentence

    sandbox.control.set_invoice(order.amazon_shipment_id, "AVAILABLE")
    steps.retry(asha, order.id, label.id)
    do_steps(store)
    assert set(states(order).values()) <= {StepState.DONE, StepState.NOT_NEEDED}
    assert states(order)[StepKind.INVOICE] is StepState.DONE


def test_a_cancelled_order_leaves_the_list(store: Store, sandbox: Running, asha: Actor) -> None:
    order = waiting(store, sandbox, asha)
    sandbox.control.cancel(order.amazon_shipment_id)
    do_run(store)
    db.session.refresh(order)
    assert order.is_invoice_waiting is False


def test_support_settles_nothing_and_a_limited_merchant_counts_only_theirs(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = waiting(store, sandbox, asha)
    workspace = store.seller.workspace
    with pytest.raises(NotAllowed):
        invoices.settle_by_hand(factories.make_actor(factories.make_user(workspace, Role.SUPPORT)), order.id)
    other = factories.make_user(workspace, Role.MERCHANT, sellers=[factories.make_seller(workspace)])
    assert counts.of_actor(factories.make_actor(other)) == counts.WorkCounts(0, 0)

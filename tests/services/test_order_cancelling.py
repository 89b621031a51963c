"""Cancelling from here: told to Amazon or not, taken or refused, against the sandbox over real HTTP."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.amazon.shipments import Shipments
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    OrderCancellation,
    OrderState,
    OrderStep,
    OrderStock,
    Role,
    StepKind,
    StepState,
    StockLevel,
    Store,
    Sync,
    SyncRun,
)
from flexdash.services import amazon_access, order_holds
from flexdash.services.actors import Actor
from flexdash.services.errors import ServiceError
from flexdash.services.order_states import Event
from flexdash.services.order_work import cancelling, conflicts, moves
from flexdash.services.order_work.cancelling import Reason
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.order_steps import do_steps, effects, make_due, pulled
from tests.support.pulls import do_attempt, do_run, make_pulled_store
from tests.support.pulls import make_due as make_run_due


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client start fast: these tests are about orders, tests/amazon about the pace."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    """A store with Automated Order Cancellation on."""
    sandbox.control.plans({"*": None})
    return make_pulled_store(sandbox, name="Pune Store", is_automated_cancellation_on=True)


@pytest.fixture
def asha(store: Store) -> Actor:
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))


def turn_off(store: Store) -> None:
    store.is_automated_cancellation_on = False
    db.session.commit()


def cancel_step() -> OrderStep:
    db.session.rollback()
    return db.session.scalars(select(OrderStep).where(OrderStep.kind == StepKind.CANCEL)).one()


def test_with_the_toggle_on_amazon_is_told_and_the_order_waits_for_its_answer(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    moves.move(asha, order.id, Event.PICK)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)  # the second click

    assert (order.state, order.cancellation) == (OrderState.PICKED, OrderCancellation.CANCELLING)
    assert order.stock is OrderStock.RESERVED
    with pytest.raises(moves.MoveRefused, match="being cancelled at Amazon"):
        moves.move(asha, order.id, Event.PACK)

    do_steps(store)

    db.session.refresh(order)
    assert (order.state, order.cancellation, order.stock) == (
        OrderState.CANCELLED,
        OrderCancellation.DONE,
        OrderStock.NONE,
    )
    assert (order.moved_by, order.cancelled_by, order.cancellation_reason) == (
        "Asha",
        "SELLER_REJECTED",
        "Out of stock",
    )
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "CANCELLED"
    assert "packages" not in effects(sandbox, order)  # nothing else was done for it meanwhile
    assert stock_problems() == []
    do_run(store)
    assert [event.kind for event in order.events].count("cancelled") == 2  # asked for, and done: the pull adds nothing


def test_the_reason_and_every_line_are_sent(store: Store, sandbox: Running, asha: Actor, monkeypatch) -> None:
    seen = []
    real = Shipments.reject
    monkeypatch.setattr(Shipments, "reject", lambda self, *args: (seen.append(args), real(self, *args))[1])
    order = pulled(store, sandbox, sku_codes=["TEE-BLK-M", "MUG-STD"], lines=2)
    cancelling.cancel(asha, order.id, Reason.CUSTOMER_REQUESTED)
    do_steps(store)
    assert seen == [(order.amazon_shipment_id, f"FD-{order.id:06d}", ("1", "2"), "CUSTOMER_REQUESTED")]


def test_amazons_refusal_is_shown_and_the_order_goes_on(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    moves.move(asha, order.id, Event.PICK)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")  # too late, as Amazon has it
    do_steps(store)

    db.session.refresh(order)
    assert (order.state, order.cancellation) == (OrderState.PICKED, OrderCancellation.REFUSED)
    assert order.cancellation_message == (
        "Amazon takes no cancellation of this order any more: it has it as Label generated (SHIPLABEL_GENERATED)."
    )
    assert cancel_step().state is StepState.FAILED
    moves.move(asha, order.id, Event.PACK)
    assert order.state is OrderState.PACKED
    assert stock_problems() == []


def test_where_amazon_takes_none_in_its_present_state_nothing_is_asked(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox, rejectable_statuses=["ACCEPTED"])
    with pytest.raises(moves.MoveRefused, match="takes no cancellation in that state"):
        cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    assert cancelling.preview(order).refusal.startswith("Amazon has this order as Accepted (CONFIRMED)")
    assert (order.cancellation, order.state) == (OrderCancellation.NONE, OrderState.NEW)


def test_what_has_left_the_hub_is_not_cancelled(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    sandbox.control.move(order.amazon_shipment_id, "SHIPPED")
    do_run(store)
    with pytest.raises(moves.MoveRefused, match="it has left the hub"):
        cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)


def test_a_lost_answer_is_looked_up_and_the_cancellation_happens_once(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    order = pulled(store, sandbox)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)
    do_steps(store)
    assert order.cancellation is OrderCancellation.CANCELLING
    make_due(order)
    do_steps(store)
    db.session.refresh(order)
    assert (order.state, order.cancellation) == (OrderState.CANCELLED, OrderCancellation.DONE)
    assert effects(sandbox, order)["reject"] == 1


def test_a_cancellation_is_sent_again_until_amazon_answers(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    sandbox.control.fault("error_500", operation="processShipment", count=500)
    for _ in range(7):
        do_steps(store)
        assert cancel_step().state is StepState.WAITING
        assert cancel_step().not_before > clock.now()
        make_due(order)
    sandbox.control.clear_faults()
    do_steps(store)
    db.session.refresh(order)
    assert order.state is OrderState.CANCELLED


def test_a_buyers_cancellation_wins_over_ours_on_its_way(store: Store, sandbox: Running, asha: Actor) -> None:
    order = pulled(store, sandbox)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    sandbox.control.cancel(order.amazon_shipment_id, by="buyer", reason="Ordered by mistake")
    do_run(store)
    db.session.refresh(order)
    assert (order.state, order.cancelled_by, order.cancellation) == (
        OrderState.CANCELLED,
        "MARKETPLACE_CANCELLED",
        OrderCancellation.DONE,
    )
    assert do_steps(store).n_fetched == 0


def test_with_the_toggle_off_it_is_cancelled_here_only_and_says_so(store: Store, sandbox: Running, asha: Actor) -> None:
    turn_off(store)
    order = pulled(store, sandbox)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    assert (order.state, order.cancellation, order.stock) == (
        OrderState.CANCELLED,
        OrderCancellation.NOT_SENT,
        OrderStock.NONE,
    )
    assert order.cancellation_message == ("Automated Order Cancellation on Sales Channel was off for Pune Store.")
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "CONFIRMED"
    assert stock_problems() == []

    cancelling.send_now(asha, order.id)
    cancelling.send_now(asha, order.id)
    assert order.cancellation is OrderCancellation.CANCELLING
    do_steps(store)
    db.session.refresh(order)
    assert order.cancellation is OrderCancellation.DONE
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "CANCELLED"


def test_what_amazon_refuses_after_it_was_cancelled_here_is_a_conflict(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    turn_off(store)
    order = pulled(store, sandbox)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    cancelling.send_now(asha, order.id)
    do_steps(store)
    db.session.refresh(order)
    assert (order.state, order.cancellation, order.has_conflict) == (
        OrderState.CANCELLED,
        OrderCancellation.REFUSED,
        True,
    )
    assert any("Amazon refused the cancellation" in conflict.sentence for conflict in conflicts.of_order(order))


def test_a_refused_cancellation_that_amazon_goes_on_with_is_one_conflict(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    turn_off(store)
    order = pulled(store, sandbox)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    do_run(store)
    cancelling.send_now(asha, order.id)
    do_steps(store)
    sandbox.control.move(order.amazon_shipment_id, "SHIPPED")
    do_run(store)
    db.session.refresh(order)
    [one] = conflicts.of_order(order)
    assert one.sentence == "It is Cancelled here, but Amazon moved it on to Shipped. Amazon refused the cancellation."
    told = [event.sentence for event in order.events if event.kind == "conflict"]
    assert len(told) == 3, "the timeline tells of each"

    conflicts.close(asha, one.id, "The carrier brings it back.")
    do_run(store)
    assert order.has_conflict is False
    assert len(conflicts.of_order(order)) == 1


def test_stock_that_a_cancellation_frees_goes_to_the_order_that_waits_for_it(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    turn_off(store)
    first = pulled(store, sandbox)
    db.session.execute(db.text("UPDATE stock_levels SET on_hand = reserved"))
    db.session.commit()
    waiting = pulled(store, sandbox)
    assert waiting.state is OrderState.ON_HOLD
    cancelling.cancel(asha, first.id, Reason.CUSTOMER_REQUESTED)
    db.session.refresh(waiting)
    assert waiting.state is OrderState.NEW


def count(n_on_hand: int) -> None:
    """Let the hub have so many units of each SKU."""
    db.session.rollback()
    db.session.execute(db.update(StockLevel).values(on_hand=n_on_hand))
    db.session.commit()


def test_an_order_on_hold_is_not_let_go_while_it_is_being_cancelled(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    count(0)
    order = pulled(store, sandbox, units=1, rejectable_statuses=["ACCEPTED"])
    younger = pulled(store, sandbox, units=1)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    count(1)
    do_run(store)

    db.session.refresh(order)
    assert (order.state, order.stock, order.acknowledgement) == (
        OrderState.ON_HOLD,
        OrderStock.NONE,
        Acknowledgement.NOT_YET,
    )
    assert younger.state is OrderState.NEW
    with pytest.raises(ServiceError, match="being cancelled at Amazon"):
        order_holds.release_to(asha, order.id, younger.hub_id)

    do_steps(store)
    db.session.refresh(order)
    assert (order.state, order.cancellation) == (OrderState.CANCELLED, OrderCancellation.DONE)


def test_an_order_on_hold_goes_on_as_before_once_its_cancellation_is_refused(
    store: Store, sandbox: Running, asha: Actor
) -> None:
    count(0)
    order = pulled(store, sandbox, units=1)
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    count(1)
    sandbox.control.fault("error_400", operation="processShipment", count=1)
    do_steps(store)

    db.session.refresh(order)
    assert (order.cancellation, order.state) == (OrderCancellation.REFUSED, OrderState.NEW)
    do_run(store)
    assert order.acknowledgement is Acknowledgement.DONE


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_new_order_is_acknowledged_only_once_its_cancellation_is_refused(
    store: Store, sandbox: Running, asha: Actor, is_refused: bool
) -> None:
    sandbox.control.fault("error_503", operation="processShipment", count=20)
    order = pulled(store, sandbox, rejectable_statuses=["ACCEPTED"])
    sandbox.control.clear_faults()
    cancelling.cancel(asha, order.id, Reason.OUT_OF_STOCK)
    run_id = db.session.scalars(select(SyncRun.id).where(SyncRun.sync == Sync.ORDER_PULL)).one()
    make_run_due(run_id)
    do_attempt(run_id)
    assert order.acknowledgement is Acknowledgement.PENDING

    if is_refused:
        sandbox.control.fault("error_400", operation="processShipment", count=1)
    do_steps(store)
    do_run(store)

    db.session.refresh(order)
    assert (order.state, order.acknowledgement) == (
        (OrderState.NEW, Acknowledgement.DONE) if is_refused else (OrderState.CANCELLED, Acknowledgement.NOT_NEEDED)
    )


def test_support_cancels_nothing(store: Store, sandbox: Running) -> None:
    order = pulled(store, sandbox)
    support = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    for refused in (
        lambda: cancelling.cancel(support, order.id, Reason.OUT_OF_STOCK),
        lambda: cancelling.send_now(support, order.id),
    ):
        with pytest.raises(Exception, match="role does not include working orders"):
            refused()

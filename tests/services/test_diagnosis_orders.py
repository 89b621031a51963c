"""Why was my cancellation not sent? One state for each cause, and the sentence that a person reads."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    ApiCall,
    Listing,
    Order,
    OrderCancellation,
    OrderState,
    OrderStep,
    Role,
    Store,
)
from flexdash.services import store_settings
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import cancellation, order_open
from flexdash.services.diagnosis.checks import Diagnosis, Finding, FixKind, Outcome
from flexdash.services.diagnosis.common import Parts
from flexdash.services.order_numbers import number_of
from flexdash.services.order_states import Event
from flexdash.services.order_work import cancelling, moves
from flexdash.services.order_work.cancelling import Reason
from flexdash.services.store_settings import Toggle
from tests import factories
from tests.services.test_order_steps import do_steps, make_due, pulled
from tests.support.diagnoses import AT_WORK, by_name, fixes, outcome, sentence
from tests.support.pulls import do_run, make_pulled_store
from tests.support.recoveries import lift_pace


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@dataclass
class Scene:
    """A store of the sandbox's seller, a merchant who works its orders, and support, who asks."""

    sandbox: Running
    store: Store
    asha: Actor
    asker: Actor

    def pulled(self, **fields) -> Order:
        """An order that came in by a pull."""
        return pulled(self.store, self.sandbox, **fields)

    def cancelled(self) -> Order:
        """An order that came in, and that Asha cancelled."""
        order = self.pulled()
        cancelling.cancel(self.asha, order.id, Reason.OUT_OF_STOCK)
        return order

    def worked(self, *events: Event) -> Order:
        """An order that came in and was worked this far here."""
        order = self.pulled()
        for event in events:
            moves.move(self.asha, order.id, event)
        return order

    def change(self, **values) -> None:
        """Change the store."""
        for name, value in values.items():
            setattr(self.store, name, value)
        db.session.commit()

    def why_not_sent(self, order: Order, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask about its cancellation."""
        return cancellation.why_not_sent(self.asker, order.amazon_order_id, parts=parts)

    def why_open(self, order: Order, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask why it is not completed on Amazon."""
        return order_open.why_open(self.asker, order.amazon_shipment_id, parts=parts)


def make_scene(sandbox: Running) -> Scene:
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store", is_automated_cancellation_on=True)
    db.session.execute(db.update(Listing).values(length_cm=20, width_cm=15, height_cm=db.text("'4.5'"), weight_g=180))
    db.session.commit()
    people = (factories.make_user(store.seller.workspace, role, name=name) for role, name in ROLES)
    asha, asker = map(factories.make_actor, people)
    return Scene(sandbox, store, asha, asker)


@pytest.fixture
def scene(app: Flask, sandbox: Running) -> Scene:
    return make_scene(sandbox)


State = Callable[[Scene], Order]


def try_steps(scene: Scene, order: Order, times: int) -> None:
    """Try what is to be done at Amazon for the order so many times, each as if its pause were over."""
    for _ in range(times):
        make_due(order)
        do_steps(scene.store)


ROLES = ((Role.MERCHANT, "Asha"), (Role.SUPPORT, "Sam"))


# An order that is not here --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", [cancellation.why_not_sent, order_open.why_open])
@pytest.mark.parametrize(
    ("text", "words", "offered"),
    [
        ("SBNOSUCH1", "You have no order with the id SBNOSUCH1. Find out first why it is not here.", ["order_missing"]),
        ("FD-99", "You have no order with the id FD-99. Look it up among your orders.", ["orders"]),
        ("402-12-3", "“402-12-3” looks like an Amazon order id, and those have 3, 7 and 7 digits.", []),
    ],
)
def test_an_order_that_is_not_here_is_another_question(scene: Scene, why, text, words, offered) -> None:
    found = why(scene.asker, text, parts=AT_WORK)
    assert words in sentence(found)
    assert fixes(found) == offered


@pytest.mark.parametrize("why", [cancellation.why_not_sent, order_open.why_open])
def test_an_id_in_small_letters_names_the_order_in_capitals(scene: Scene, why) -> None:
    order = factories.make_order(scene.store, amazon_shipment_id="SB241PAGJ", amazon_order_id="S01-0000001-0000001")
    for typed in ("sb241pagj", "s01-0000001-0000001"):
        here = why(scene.asker, typed, parts=AT_WORK).checks[0].finding
        assert here is not None
        assert here.sentence.startswith(f"It is FD-{order.id:06d} of Pune Store.")


def test_an_id_as_it_was_typed_goes_before_the_one_in_capitals(scene: Scene) -> None:
    small = factories.make_order(scene.store, amazon_shipment_id="sb241pagj")
    factories.make_order(scene.store, amazon_shipment_id="SB241PAGJ")
    here = cancellation.why_not_sent(scene.asker, "sb241pagj", parts=AT_WORK).checks[0].finding
    assert here is not None
    assert here.sentence.startswith(f"It is FD-{small.id:06d} of Pune Store.")


def test_the_newest_of_several_shipments_is_looked_at_and_the_others_are_named(scene: Scene) -> None:
    first = factories.make_order(scene.store, amazon_order_id="402-0000001-0000001")
    second = factories.make_order(scene.store, amazon_order_id="402-0000001-0000001")
    found = scene.why_not_sent(first)
    here = found.checks[0].finding
    assert here is not None
    assert here.sentence == (
        f"It is FD-{second.id:06d} of Pune Store. The Amazon order has other shipments, too: FD-{first.id:06d} "
        f"({first.amazon_shipment_id}). Paste one of their ids to look at it instead."
    )


# Why was my cancellation not sent? ------------------------------------------------------------------------------------


def not_cancelled(scene: Scene) -> Order:
    return scene.pulled()


def not_cancelled_with_the_toggle_off(scene: Scene) -> Order:
    scene.change(is_automated_cancellation_on=False)
    return scene.pulled()


def cannot_be_cancelled(scene: Scene) -> Order:
    return factories.make_order(
        scene.store, OrderState.PACKED, amazon_status="SHIPLABEL_GENERATED", rejectable_statuses=["ACCEPTED"]
    )


def cancelled_on_amazon(scene: Scene) -> Order:
    order = scene.pulled()
    scene.sandbox.control.cancel(order.amazon_shipment_id)
    do_run(scene.store)
    return order


def toggle_off(scene: Scene) -> Order:
    scene.change(is_automated_cancellation_on=False)
    return scene.cancelled()


def too_late(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    return order


def refused(scene: Scene) -> Order:
    order = too_late(scene)
    do_steps(scene.store)
    return order


def refused_in_amazons_words(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.fault("names_buyer", operation="processShipment")
    do_steps(scene.store)
    return order


def refused_after_all(scene: Scene) -> Order:
    order = toggle_off(scene)
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    cancelling.send_now(scene.asha, order.id)
    do_steps(scene.store)
    return order


def disconnected_since(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.change(status="disconnected", refresh_token_encrypted=None, disconnected_at=clock.now())
    return order


def cancelled_there_meanwhile(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.cancel(order.amazon_shipment_id)
    return order


def cancelled_there_by_the_buyer(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.cancel(order.amazon_shipment_id, by="buyer")
    return order


def not_yet_sent(scene: Scene) -> Order:
    return scene.cancelled()


CANCELLATIONS: list[tuple[State, str, Outcome, list[FixKind]]] = [
    (
        not_cancelled,
        "in FlexDash: it is a New Order. If you cancel it here, Amazon is told, because Automated Order Cancellation "
        "on Sales Channel is on for Pune Store. The order waits until Amazon answers",
        Outcome.FAILED,
        [FixKind.CANCEL_ORDER],
    ),
    (
        not_cancelled_with_the_toggle_off,
        "If you cancel it here, the order is cancelled in FlexDash only: Automated Order Cancellation on Sales Channel "
        "is off for Pune Store, so Amazon is not told and still expects it to be shipped. You can tell Amazon",
        Outcome.FAILED,
        [FixKind.CANCEL_ORDER, FixKind.TOGGLES],
    ),
    (
        cannot_be_cancelled,
        "by now that cannot be: Amazon has this order as Label generated (SHIPLABEL_GENERATED) and takes no "
        "cancellation",
        Outcome.FAILED,
        [FixKind.ORDER],
    ),
    (cancelled_on_amazon, "so Amazon knows and there is nothing to send.", Outcome.ANSWERED, [FixKind.ORDER]),
    (
        toggle_off,
        "in FlexDash only: Automated Order Cancellation on Sales Channel was off for Pune Store. Amazon still expects "
        "it to be shipped. Send the cancellation now",
        Outcome.FAILED,
        [FixKind.SEND_CANCELLATION, FixKind.TOGGLES],
    ),
    (
        too_late,
        "It is too late: Amazon has the order as Label generated (SHIPLABEL_GENERATED), and takes no cancellation",
        Outcome.FAILED,
        [FixKind.SELLER_CENTRAL, FixKind.ORDER],
    ),
    (
        refused,
        "Amazon refused it: Amazon takes no cancellation of this order any more: it has it as Label generated "
        "(SHIPLABEL_GENERATED). The order goes on",
        Outcome.FAILED,
        [FixKind.SELLER_CENTRAL, FixKind.ORDER],
    ),
    (
        refused_in_amazons_words,
        "Amazon refused it: Ship-to of ",
        Outcome.FAILED,
        [FixKind.SELLER_CENTRAL, FixKind.ORDER],
    ),
    (
        refused_after_all,
        "Amazon still expects it to be shipped: settle it in Seller Central, or send the cancellation again.",
        Outcome.FAILED,
        [FixKind.SEND_CANCELLATION, FixKind.SELLER_CENTRAL, FixKind.ORDER],
    ),
    (disconnected_since, "Pune Store is disconnected from Amazon", Outcome.FAILED, [FixKind.RECONNECT]),
    (cancelled_there_meanwhile, "Amazon has it as Cancelled already.", Outcome.ANSWERED, [FixKind.ORDER]),
    (not_yet_sent, "It is on its way: a worker sends it within a minute", Outcome.ANSWERED, [FixKind.ORDER]),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), CANCELLATIONS)
def test_the_cause_of_an_unsent_cancellation_is_named(scene: Scene, state, words, ends, offered) -> None:
    found = scene.why_not_sent(state(scene))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def set_cancellation_toggle(scene: Scene, turn_on: bool) -> None:
    """Let Asha set the toggle as its page does."""
    db.session.refresh(scene.store)
    store_settings.set_toggle(
        scene.asha,
        scene.store.id,
        Toggle.AUTOMATED_CANCELLATION,
        turn_on=turn_on,
        version=scene.store.settings_version,
    )


def moments_of(finding: Finding | None) -> list[str]:
    return [label for label, _ in finding.moments] if finding else []


def test_who_cancelled_and_who_had_turned_the_toggle_off_are_named_to_support_too(scene: Scene) -> None:
    set_cancellation_toggle(scene, turn_on=False)
    order = scene.cancelled()
    found = scene.why_not_sent(order)
    assert f"Asha cancelled {number_of(order.id)} in FlexDash only: " in sentence(found)
    assert "was off for Pune Store. Asha had turned it off. Amazon still expects" in sentence(found)
    assert moments_of(found.cause.finding) == ["Turned off", "Cancelled here"]
    assert FixKind.LOG_ROW in fixes(found)

    set_cancellation_toggle(scene, turn_on=True)
    set_cancellation_toggle(scene, turn_on=False)  # had nothing to do with it
    found = scene.why_not_sent(order)
    assert "turned it off" not in sentence(found)
    assert moments_of(found.cause.finding) == ["Cancelled here"]


def test_who_cancelled_stays_named_when_another_sends_it_and_amazon_refuses(scene: Scene) -> None:
    order = toggle_off(scene)
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    ravi = factories.make_user(scene.store.seller.workspace, Role.ADMIN, name="Ravi")
    cancelling.send_now(factories.make_actor(ravi), order.id)
    do_steps(scene.store)
    found = scene.why_not_sent(order)
    was_cancelled = found.checks[1].finding
    assert was_cancelled is not None
    assert was_cancelled.sentence == f"Asha cancelled {number_of(order.id)} in FlexDash."
    assert moments_of(was_cancelled) == moments_of(found.cause.finding) == ["Cancelled here"]


def test_a_cancellation_that_got_no_answer_says_how_often_it_was_tried(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("error_500", operation="processShipment", count=3)
    try_steps(scene, order, 3)
    found = scene.why_not_sent(order)
    assert sentence(found) == (
        "It is still on its way: it was tried 3 times and got no good answer. Amazon has a fault of its own: "
        "InternalFailure: A fault set in the sandbox. It is tried again by itself until Amazon answers."
    )
    assert fixes(found) == [FixKind.RETRY_STEP, FixKind.ORDER]


def test_a_cancellation_that_nothing_is_in_line_for_is_asked_for_again(scene: Scene) -> None:
    order = scene.cancelled()
    db.session.execute(db.delete(OrderStep))  # nothing of FlexDash does that
    db.session.commit()
    found = scene.why_not_sent(order)
    assert sentence(found) == "FlexDash has nothing in line for it. Open the order and cancel it again."
    assert (outcome(found), fixes(found)) == (Outcome.UNKNOWN, [FixKind.ORDER])


def rejections() -> list[ApiCall]:
    """The calls by which a cancellation was sent, the oldest first."""
    db.session.rollback()
    query = db.select(ApiCall).where(ApiCall.operation == "processShipment").order_by(ApiCall.id)
    return [call for call in db.session.scalars(query) if "REJECT" in call.sent]


def test_a_cancellation_that_was_taken_has_its_time_and_request_id(scene: Scene) -> None:
    order = scene.cancelled()
    do_steps(scene.store)
    found = scene.why_not_sent(order)
    [call] = rejections()
    assert call.amazon_request_id
    assert sentence(found) == (
        f"It was sent, and Amazon cancelled the order. Amazon's request id: {call.amazon_request_id}."
    )
    assert outcome(found) is Outcome.ANSWERED
    finding = found.cause.finding
    assert finding is not None
    assert [label for label, _ in finding.moments] == ["Cancelled"]


NONE_KEPT = (
    "so there is nothing left to send. Among the calls that are still kept there is none by which FlexDash sent the "
    "cancellation."
)


def test_what_was_cancelled_here_only_and_then_by_the_buyer_was_not_sent(scene: Scene) -> None:
    order = toggle_off(scene)
    scene.sandbox.control.cancel(order.amazon_shipment_id, by="buyer")
    do_run(scene.store)
    db.session.refresh(order)
    assert order.cancellation is OrderCancellation.DONE
    confirmed = db.session.scalars(db.select(ApiCall).where(ApiCall.operation == "processShipment")).one()
    assert confirmed.sent.startswith("operation=CONFIRM"), "the acknowledgement went well, and is no cancellation"
    assert sentence(scene.why_not_sent(order)) == f"Amazon has the order as cancelled, {NONE_KEPT}"


def test_a_buyer_who_was_first_is_named(scene: Scene) -> None:
    order = cancelled_there_by_the_buyer(scene)
    do_run(scene.store)
    found = scene.why_not_sent(order)
    assert sentence(found) == f"Amazon has the order as cancelled by the buyer or the marketplace, {NONE_KEPT}"


def test_a_cancellation_whose_calls_are_not_kept_any_more_is_not_said_to_be_unsent(scene: Scene) -> None:
    order = scene.cancelled()
    do_steps(scene.store)
    db.session.execute(db.delete(ApiCall))
    db.session.commit()
    assert sentence(scene.why_not_sent(order)) == f"Amazon has the order as cancelled by the seller, {NONE_KEPT}"


def test_a_cancellation_whose_answer_was_lost_was_sent(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)
    do_steps(scene.store)
    make_due(order)
    do_steps(scene.store)
    [call] = rejections()
    assert (call.status, call.amazon_request_id) == (None, "")
    assert sentence(scene.why_not_sent(order)) == (
        "It was sent. No answer that takes it has come, but Amazon has the order as cancelled, so there is nothing "
        "left to send."
    )


def test_of_several_calls_the_one_that_was_taken_is_told(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("error_500", operation="processShipment", count=1)
    do_steps(scene.store)
    make_due(order)
    do_steps(scene.store)
    failed, taken = rejections()
    assert (failed.status, taken.status) == (500, 204)
    assert taken.amazon_request_id in sentence(scene.why_not_sent(order))


def test_the_checks_of_a_cancellation_go_on_while_amazon_is_away(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("error_503", operation="getShipment")
    found = scene.why_not_sent(order)
    assert by_name(found)["Does Amazon take a cancellation of the order now?"] is Outcome.UNKNOWN
    assert sentence(found).startswith("It is on its way")
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence == (
        "Whether Amazon takes it is not known: Amazon does not answer at the moment. Look again in a few minutes."
    )
    away = scene.why_not_sent(order, Parts(unserved_queues=("sync",)))
    assert sentence(away).startswith("No worker has been seen lately for sync")

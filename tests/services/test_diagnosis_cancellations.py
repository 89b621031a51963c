"""Why was my cancellation not sent? One state for each cause, and the sentence that a person reads."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.extensions import db, settings
from flexdash.jobs import dispatch
from flexdash.models import ApiCall, Order, OrderCancellation, Role
from flexdash.services import disconnecting
from flexdash.services.diagnosis.checks import Finding, FixKind, Outcome
from flexdash.services.order_numbers import number_of
from flexdash.services.order_states import Event
from flexdash.services.order_work import cancelling
from tests import factories
from tests.support.diagnoses import by_name, fixes, nobody_syncs, outcome, sentence
from tests.support.pulls import do_run
from tests.support.recoveries import lift_pace
from tests.support.worked_orders import Scene, State, make_scene


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


def not_cancelled(scene: Scene) -> Order:
    return scene.pulled()


def not_cancelled_with_the_toggle_off(scene: Scene) -> Order:
    scene.set_toggle(turn_on=False)
    return scene.pulled()


def cannot_be_cancelled(scene: Scene) -> Order:
    order = scene.worked(Event.PICK)
    scene.do_steps()
    do_run(scene.store)
    return order


def cancelled_on_amazon(scene: Scene) -> Order:
    order = scene.pulled()
    scene.sandbox.control.cancel(order.amazon_shipment_id)
    do_run(scene.store)
    return order


def toggle_off(scene: Scene) -> Order:
    scene.set_toggle(turn_on=False)
    return scene.cancelled()


def too_late(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    return order


def refused(scene: Scene) -> Order:
    order = too_late(scene)
    scene.do_steps()
    return order


def refused_in_amazons_words(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.fault("names_buyer", operation="processShipment")
    scene.do_steps()
    return order


def refused_after_all(scene: Scene) -> Order:
    order = toggle_off(scene)
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    cancelling.send_now(scene.asha, order.id)
    scene.do_steps()
    return order


def disconnected_since(scene: Scene) -> Order:
    order = scene.cancelled()
    disconnecting.disconnect(scene.asha, scene.store.id)
    return order


def revoked_since(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.revoke_tokens()  # which nobody knows here before Amazon is asked
    return order


def unknown_there_since(scene: Scene) -> Order:
    order = scene.cancelled()
    scene.sandbox.control.fault("vanished")
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
        "in FlexDash only: Automated Order Cancellation on Sales Channel was off for Pune Store. Asha had turned it "
        "off. Amazon still expects it to be shipped. Send the cancellation now",
        Outcome.FAILED,
        [FixKind.SEND_CANCELLATION, FixKind.TOGGLES, FixKind.LOG_ROW],
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
    (revoked_since, "Pune Store needs re-authorization", Outcome.FAILED, [FixKind.REAUTHORIZE]),
    (
        unknown_there_since,
        "Amazon does not know this shipment any more in the account of Pune Store.",
        Outcome.FAILED,
        [FixKind.SELLER_CENTRAL, FixKind.ORDER],
    ),
    (cancelled_there_meanwhile, "Amazon has it as Cancelled already.", Outcome.ANSWERED, [FixKind.ORDER]),
    (not_yet_sent, "It is on its way: a worker sends it within a minute", Outcome.ANSWERED, [FixKind.ORDER]),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), CANCELLATIONS)
def test_the_cause_of_an_unsent_cancellation_is_named(scene: Scene, state, words, ends, offered) -> None:
    found = scene.why_not_sent(state(scene))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_a_toggle_that_nobody_turned_on_yet_is_named_without_anybody(
    app: Flask, sandbox: Running, time_machine
) -> None:
    scene = make_scene(sandbox, time_machine, tells_amazon=False)  # as a store is once it is connected
    found = scene.why_not_sent(scene.cancelled())
    assert (
        "in FlexDash only: Automated Order Cancellation on Sales Channel was off for Pune Store. Amazon still expects "
        "it to be shipped. Send the cancellation now"
    ) in sentence(found)
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.SEND_CANCELLATION, FixKind.TOGGLES])


def moments_of(finding: Finding | None) -> list[str]:
    return [label for label, _ in finding.moments] if finding else []


def test_who_cancelled_and_who_had_turned_the_toggle_off_are_named_to_support_too(scene: Scene) -> None:
    scene.set_toggle(turn_on=False)
    order = scene.cancelled()
    found = scene.why_not_sent(order)
    assert f"Asha cancelled {number_of(order.id)} in FlexDash only: " in sentence(found)
    assert "was off for Pune Store. Asha had turned it off. Amazon still expects" in sentence(found)
    assert moments_of(found.cause.finding) == ["Turned off", "Cancelled here"]
    assert FixKind.LOG_ROW in fixes(found)

    scene.set_toggle(turn_on=True)
    scene.set_toggle(turn_on=False)  # had nothing to do with it
    found = scene.why_not_sent(order)
    assert "turned it off" not in sentence(found)
    assert moments_of(found.cause.finding) == ["Cancelled here"]


def test_who_cancelled_stays_named_when_another_sends_it_and_amazon_refuses(scene: Scene) -> None:
    order = toggle_off(scene)
    scene.sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")
    ravi = factories.make_user(scene.store.seller.workspace, Role.ADMIN, name="Ravi")
    cancelling.send_now(factories.make_actor(ravi), order.id)
    scene.do_steps()
    found = scene.why_not_sent(order)
    was_cancelled = found.checks[1].finding
    assert was_cancelled is not None
    assert was_cancelled.sentence == f"Asha cancelled {number_of(order.id)} in FlexDash."
    assert moments_of(was_cancelled) == moments_of(found.cause.finding) == ["Cancelled here"]


def test_a_cancellation_that_got_no_answer_says_how_often_it_was_tried(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("error_500", operation="processShipment", count=3)
    scene.try_again(order, 3)
    found = scene.why_not_sent(order)
    assert sentence(found) == (
        "It is still on its way: it was tried 3 times and got no good answer. Amazon has a fault of its own: "
        "InternalFailure: A fault set in the sandbox. It is tried again by itself until Amazon answers."
    )
    assert fixes(found) == [FixKind.RETRY_STEP, FixKind.ORDER]


def rejections() -> list[ApiCall]:
    """The calls by which a cancellation was sent, the oldest first."""
    db.session.rollback()
    query = db.select(ApiCall).where(ApiCall.operation == "processShipment").order_by(ApiCall.id)
    return [call for call in db.session.scalars(query) if "REJECT" in call.sent]


def test_a_cancellation_that_was_taken_has_its_time_and_request_id(scene: Scene) -> None:
    order = scene.cancelled()
    scene.do_steps()
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
    scene.do_steps()
    scene.later(days=settings.api_log_days + 1)
    dispatch.tick()
    assert not rejections()
    assert sentence(scene.why_not_sent(order)) == f"Amazon has the order as cancelled by the seller, {NONE_KEPT}"


def test_a_cancellation_whose_answer_was_lost_was_sent(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)
    scene.do_steps()
    scene.try_again(order)
    [call] = rejections()
    assert (call.status, call.amazon_request_id) == (None, "")
    assert sentence(scene.why_not_sent(order)) == (
        "It was sent. No answer that takes it has come, but Amazon has the order as cancelled, so there is nothing "
        "left to send."
    )


def test_of_several_calls_the_one_that_was_taken_is_told(scene: Scene) -> None:
    order = scene.cancelled()
    scene.sandbox.control.fault("error_500", operation="processShipment", count=1)
    scene.do_steps()
    scene.try_again(order)
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


def test_a_worker_that_is_down_is_why_a_cancellation_is_not_sent(scene: Scene, environment) -> None:
    order = scene.cancelled()
    with nobody_syncs(environment) as parts:
        found = scene.why_not_sent(order, parts)
    assert sentence(found).startswith("No worker has been seen lately for sync")
    assert outcome(found) is Outcome.FAILED

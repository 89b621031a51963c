"""Why was my cancellation not sent?"""

from sqlalchemy import select

from flexdash.amazon import statuses
from flexdash.extensions import db
from flexdash.models import ApiCall, OrderCancellation, OrderState, StepKind
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import one_order
from flexdash.services.diagnosis.checks import (
    Diagnosis,
    Finding,
    Fix,
    FixKind,
    Step,
    answered,
    diagnose,
    failed,
    passed,
    unknown,
)
from flexdash.services.diagnosis.common import Parts
from flexdash.services.diagnosis.one_order import Case
from flexdash.services.order_work import cancelling
from flexdash.services.order_work.cancelling import TOGGLE
from flexdash.services.order_work.overview import cancelled_words
from flexdash.services.store_settings import Toggle, last_change


def why_not_sent(actor: Actor, text: str, *, parts: Parts) -> Diagnosis:
    """Return why the cancellation of the order with the pasted id did not reach Amazon, or that it did.

    Call it outside a transaction. Raises FieldRefused for `q`.
    """
    case = one_order.of(actor, text, parts, last=lambda order: order.cancellation is OrderCancellation.NONE)
    return diagnose(case.pasted.shown, STEPS, case)


def _was_cancelled_here(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.NONE:
        return passed(f"Somebody cancelled {case.number} in FlexDash.")
    if order.state is OrderState.CANCELLED:
        return answered(
            f"{case.number} was cancelled {cancelled_words(order)}, so Amazon knows and there is nothing to send.",
            case.link,
            moments=[("Cancelled", order.cancelled_at)],
        )
    refusal = cancelling.preview(order).refusal
    if refusal:
        return failed(
            f"Nobody has cancelled {case.number} in FlexDash, and by now that cannot be: {refusal}", case.link
        )
    return failed(
        f"Nobody has cancelled {case.number} in FlexDash: it is {order.state}. Cancel it here, and Amazon is told.",
        Fix(FixKind.CANCEL_ORDER, {"order_id": order.id}, case.number),
    )


def _did_amazon_take_it(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.DONE:
        return passed("Amazon has not cancelled it yet, as far as FlexDash knows.")
    request_id = _request_id(case)
    said = f" Amazon's request id: {request_id}." if request_id else ""
    return answered(
        f"It was sent, and Amazon cancelled the order.{said}", case.link, moments=[("Cancelled", order.cancelled_at)]
    )


def _was_toggle_on(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.NOT_SENT:
        return passed("Amazon was to be told.")
    change = (
        None if order.store.is_automated_cancellation_on else last_change(order.store, Toggle.AUTOMATED_CANCELLATION)
    )
    return failed(
        f"{case.number} was cancelled in FlexDash only: {order.cancellation_message or f'{TOGGLE} was off.'} Amazon "
        "still expects it to be shipped. Send the cancellation now; turn the toggle on to have the next ones sent by "
        "themselves.",
        Fix(FixKind.SEND_CANCELLATION, {"order_id": order.id}, case.number),
        Fix(FixKind.TOGGLES, {"store_id": order.store_id}, order.store.name),
        *([Fix(FixKind.LOG_ROW, {"event_id": change.id})] if change else []),
        moments=[("Turned off", change.occurred_at if change else None), ("Cancelled here", order.cancelled_at)],
    )


def _did_amazon_refuse(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.REFUSED:
        return passed("Amazon has not refused it.")
    goes_on = (
        "Amazon still expects it to be shipped: settle it in Seller Central, or send the cancellation again."
        if order.state is OrderState.CANCELLED
        else "The order goes on: work it, or settle it with Amazon in Seller Central."
    )
    again = (
        [Fix(FixKind.SEND_CANCELLATION, {"order_id": order.id}, case.number)]
        if order.state is OrderState.CANCELLED
        else []
    )
    return failed(
        f"Amazon refused it: {order.cancellation_message} {goes_on}", *again, *_seller_central(case), case.link
    )


def _does_amazon_take_it(case: Case) -> Finding:
    """Ask Amazon whether it takes a cancellation of the order at all as it stands there now."""
    found, trouble = one_order.ask(case)
    if found is not None:
        return found
    if case.shipment is None:
        return unknown(f"Whether Amazon takes it is not known: {trouble}")
    status, takes = case.shipment.status, case.shipment.rejectable_statuses
    words = one_order.words(status)
    if statuses.lookup(status).order_state == OrderState.CANCELLED:
        return answered(
            "Amazon has it as Cancelled already. FlexDash takes that over with its next try, within minutes.", case.link
        )
    if takes and status not in takes:
        return failed(
            f"It is too late: Amazon has the order as {words}, and takes no cancellation in that state. FlexDash's "
            "next try will be refused. If the order must not go out, ask Amazon in Seller Central.",
            *_seller_central(case),
            case.link,
        )
    return passed(f"Amazon has it as {words}, where it takes a cancellation.")


def _how_far(case: Case) -> Finding:
    step = case.step(StepKind.CANCEL)
    if step is None:
        return unknown("FlexDash has nothing in line for it. Open the order and cancel it again.", case.link)
    moments = [("Asked for", step.made_at), ("Next try", step.not_before)]
    if step.error_sentence:
        tried = "once" if step.n_attempts == 1 else f"{step.n_attempts} times"
        return failed(
            f"It is still on its way: it was tried {tried} and got no good answer. {step.error_sentence.rstrip('.')}. "
            "It is tried again by itself until Amazon answers.",
            Fix(FixKind.RETRY_STEP, {"order_id": case.order.id, "step_id": step.id}, case.number),
            case.link,
            moments=moments,
        )
    return answered(
        "It is on its way: a worker sends it within a minute, and the order waits for Amazon's answer.",
        case.link,
        moments=moments,
    )


def _request_id(case: Case) -> str:
    """Return Amazon's id of the request that cancelled the order, "" where Amazon gave none."""
    query = (
        select(ApiCall.amazon_request_id)
        .where(
            ApiCall.store_id == case.order.store_id,
            ApiCall.amazon_shipment_id == case.order.amazon_shipment_id,
            ApiCall.operation == "processShipment",
            ApiCall.status.between(200, 299),
        )
        .order_by(ApiCall.id.desc())
        .limit(1)
    )
    return db.session.scalar(query) or ""


def _seller_central(case: Case) -> list[Fix]:
    return [Fix(FixKind.SELLER_CENTRAL, {"order_id": case.order.id})] if case.order.amazon_order_id else []


STEPS: tuple[Step[Case], ...] = (
    Step("Is the order here?", one_order.is_here),
    Step("Was it cancelled in FlexDash?", _was_cancelled_here),
    Step("Has Amazon taken the cancellation?", _did_amazon_take_it),
    Step(f"Was {TOGGLE} on?", _was_toggle_on),
    Step("Has Amazon refused it?", _did_amazon_refuse),
    Step("Does Amazon let FlexDash in?", one_order.is_connected),
    Step("Does Amazon take a cancellation of the order now?", _does_amazon_take_it),
    Step("Are the scheduler and the workers at work?", one_order.parts),
    Step("How far is it?", _how_far),
)

"""Why was my cancellation not sent?"""

from datetime import datetime

from sqlalchemy import and_, select

from flexdash.amazon import statuses
from flexdash.extensions import db
from flexdash.models import ApiCall, OrderCancellation, OrderEvent, OrderState, StepKind
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
from flexdash.services.order_changes import CANCELLED_BY
from flexdash.services.order_work import cancelling
from flexdash.services.order_work.cancelling import TOGGLE
from flexdash.services.order_work.overview import cancelled_words
from flexdash.services.store_settings import Toggle, turned_off
from flexdash.services.words import after_refusals, as_clause


def why_not_sent(actor: Actor, text: str, *, parts: Parts) -> Diagnosis:
    """Return why the cancellation of the order with the pasted id did not reach Amazon, or that it did.

    Call it outside a transaction. Raises FieldRefused for `q`.
    """
    case = one_order.of(actor, text, parts, last=lambda order: order.cancellation is OrderCancellation.NONE)
    return diagnose(case.pasted.shown, STEPS, case)


def _was_cancelled_here(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.NONE:
        by = cancelling.last_by_a_person(order)
        who = by.actor_name if by else "Somebody"
        return passed(f"{who} cancelled {case.number} in FlexDash.", moments=_cancelled_here(by))
    if order.state is OrderState.CANCELLED:
        return answered(
            f"{case.number} was cancelled {cancelled_words(order)}, so Amazon knows and there is nothing to send.",
            case.link,
            moments=[("Cancelled", order.cancelled_at)],
        )
    preview = cancelling.preview(order)
    if preview.refusal:
        return failed(
            f"Nobody has cancelled {case.number} in FlexDash, and by now that cannot be: {preview.refusal}", case.link
        )
    turn_on = [] if preview.is_sent else [Fix(FixKind.TOGGLES, {"store_id": order.store_id}, order.store.name)]
    return failed(
        f"Nobody has cancelled {case.number} in FlexDash: it is {order.state.after_is}. If you cancel it here, "
        f"{as_clause(preview.sentence)}",
        Fix(FixKind.CANCEL_ORDER, {"order_id": order.id}, case.number),
        *turn_on,
    )


def _did_amazon_take_it(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.DONE:
        return passed("Amazon has not cancelled it yet, as far as FlexDash knows.")
    return answered(_how_amazon_took_it(case), case.link, moments=[("Cancelled", order.cancelled_at)])


def _how_amazon_took_it(case: Case) -> str:
    """Say what is known of a cancellation that Amazon has: the buyer may have been first, and calls are not kept long.

    Amazon has the order as Cancelled whoever told it, so only a call that is kept shows that FlexDash did.
    """
    sent = _sent(case)
    if sent is None:
        who = f" {CANCELLED_BY[case.order.cancelled_by]}" if case.order.cancelled_by in CANCELLED_BY else ""
        return (
            f"Amazon has the order as cancelled{who}, so there is nothing left to send. Among the calls that are still "
            "kept there is none by which FlexDash sent the cancellation."
        )
    is_taken, request_id = sent
    said = f" Amazon's request id: {request_id}." if request_id else ""
    if is_taken:
        return f"It was sent, and Amazon cancelled the order.{said}"
    return (
        "It was sent. No answer that takes it has come, but Amazon has the order as cancelled, so there is nothing "
        f"left to send.{said}"
    )


def _was_toggle_on(case: Case) -> Finding:
    order = case.order
    if order.cancellation is not OrderCancellation.NOT_SENT:
        return passed("Amazon was to be told.")
    by = cancelling.last_by_a_person(order)
    change = turned_off([order.store], Toggle.AUTOMATED_CANCELLATION).get(order.store_id)
    if change is not None and order.cancelled_at is not None and change.occurred_at > order.cancelled_at:
        change = None  # it was turned on and off again since
    was_off = order.cancellation_message or f"{TOGGLE} was off."
    if change is not None:
        was_off += f" {change.actor_name} had turned it off."
    return failed(
        f"{by.actor_name if by else 'Somebody'} cancelled {case.number} in FlexDash only: {was_off} Amazon still "
        "expects it to be shipped. Send the cancellation now; turn the toggle on to have the next ones sent by "
        "themselves.",
        Fix(FixKind.SEND_CANCELLATION, {"order_id": order.id}, case.number),
        Fix(FixKind.TOGGLES, {"store_id": order.store_id}, order.store.name),
        *([Fix(FixKind.LOG_ROW, {"event_id": change.id})] if change else []),
        moments=[("Turned off", change.occurred_at if change else None), *_cancelled_here(by)],
    )


def _cancelled_here(by: OrderEvent | None) -> list[tuple[str, datetime | None]]:
    return [("Cancelled here", by.occurred_at if by else None)]


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
        f"Amazon refused it: {after_refusals(order.cancellation_message)} {goes_on}",
        *again,
        *_seller_central(case),
        case.link,
        moments=_cancelled_here(cancelling.last_by_a_person(order)),
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
    step = case.known_step(StepKind.CANCEL)  # made in the transaction in which the order began to wait for Amazon
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


def _sent(case: Case) -> tuple[bool, str] | None:
    """Return whether Amazon took the cancellation, and its id of that request; None where no call of it is kept.

    Of several calls the one that was taken counts, else the newest.
    """
    is_taken = and_(ApiCall.status.is_not(None), ApiCall.status.between(200, 299))
    query = (
        select(is_taken, ApiCall.amazon_request_id)
        .where(
            ApiCall.store_id == case.order.store_id,
            ApiCall.amazon_shipment_id == case.order.amazon_shipment_id,
            ApiCall.operation == "processShipment",  # which acknowledges, too: what was sent tells them apart
            ApiCall.sent.startswith("operation=REJECT"),
        )
        .order_by(is_taken.desc(), ApiCall.id.desc())
        .limit(1)
    )
    found = db.session.execute(query).one_or_none()
    return (bool(found[0]), found[1]) if found else None


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

"""Why is my order not completed on Amazon?"""

from datetime import datetime

from flexdash.amazon import statuses
from flexdash.models import Acknowledgement, Order, OrderCancellation, OrderState, OrderStep, StepKind, StepState
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
from flexdash.services.diagnosis.holds import fixes_of
from flexdash.services.diagnosis.one_order import Case
from flexdash.services.order_states import HAS_LEFT, OPEN
from flexdash.services.order_work import invoices, step_rows
from flexdash.services.order_work.overview import cancelled_words
from flexdash.services.words import after_refusals, as_sentence

_LABELS = {
    StepKind.PACKAGES: "telling Amazon what is packed in what",
    StepKind.SHIPPING_OPTION: "fetching Amazon's ways of shipping",
    StepKind.INVOICE: "fetching the invoice",
    StepKind.LABELS: "fetching the labels",
    StepKind.SHIP: "telling Amazon that it was handed over",
}
_NEXT = {
    OrderState.NEW: "Nobody has picked it yet. Pick it, and its labels are fetched from Amazon",
    OrderState.PICKED: "It is picked and not packed. Pack it, make it ready, and ship it",
    OrderState.PACKED: "It is packed and not handed over. Make it ready, and ship it",
    OrderState.READY_TO_SHIP: "It is ready and not handed over. Ship it, and Amazon is told",
}
_SHIPPED = statuses.lookup("SHIPPED").rank


def why_open(actor: Actor, text: str, *, parts: Parts) -> Diagnosis:
    """Return why the order with the pasted id is not completed on Amazon, or that it is.

    Call it outside a transaction. Raises FieldRefused for `q`.
    """
    case = one_order.of(actor, text, parts, last=lambda order: order.state not in OPEN)
    return diagnose(case.pasted.shown, STEPS, case)


def _is_alive(case: Case) -> Finding:
    order = case.order
    if order.state is OrderState.CANCELLED:
        return answered(
            f"{case.number} was cancelled {cancelled_words(order)}, so it is not to be completed.",
            case.link,
            moments=[("Cancelled", order.cancelled_at)],
        )
    if order.cancellation is OrderCancellation.CANCELLING:
        return answered(
            f"{case.number} is being cancelled at Amazon, whose answer is not here yet. Nobody can work it until then; "
            "if Amazon refuses, it goes on from where it is.",
            case.link,
        )
    return passed(f"{case.number} is {order.state.after_is} and not cancelled.")


def _what_amazon_has(case: Case) -> Finding:
    found, trouble = one_order.ask(case)
    if found is not None:
        return found
    if case.shipment is None:
        return unknown(f"How it stands on Amazon is not known: {trouble}")
    status, order = case.shipment.status, case.order
    if status == "CANCELLED":
        return answered("Amazon has it as Cancelled; FlexDash takes that over with its next sync.", case.link)
    if statuses.lookup(status).rank < _SHIPPED:
        return passed(f"Amazon has it as {one_order.words(status)}.")
    behind = (
        ""
        if order.state in HAS_LEFT
        else f" FlexDash has it as {order.state.after_is} and takes over with its next sync."
    )
    return answered(
        f"It is completed on Amazon: Amazon has it as {one_order.words(status)}.{behind}",
        case.link,
        moments=[("Last changed on Amazon", case.shipment.updated_at)],
    )


def _is_invoice_there(case: Case) -> Finding:
    order = case.order
    if not order.is_invoice_waiting:
        return passed("No invoice of it waits on Amazon.")
    said = f" ({order.invoice_status})" if order.invoice_status else ""
    at_amazon = [Fix(FixKind.SELLER_CENTRAL, {"order_id": order.id})] if invoices.address_of(order) else []
    return failed(
        f"Its invoice waits on Amazon{said}, and Amazon makes no label without it. Upload or finish it in Seller "
        "Central; FlexDash then goes on by itself.",
        *at_amazon,
        Fix(FixKind.INVOICES),
        case.link,
    )


def _has_step_failed(case: Case) -> Finding:
    step = next((step for step in step_rows.of_order(case.order) if _is_stuck(step)), None)
    if step is None:
        return passed("FlexDash has given up nothing that it does at Amazon for it.")
    ids = {"order_id": case.order.id}
    mend = (
        Fix(FixKind.PACKAGES, ids, case.number)
        if step.is_lacking
        else Fix(FixKind.RETRY_STEP, {**ids, "step_id": step.id}, case.number)
    )
    return failed(f"A step failed, {_LABELS[step.kind]}: {step.error_sentence}", mend, case.link)


def _is_stuck(step: OrderStep) -> bool:
    return step.kind is not StepKind.CANCEL and step.state is StepState.FAILED


def _waiting_steps(case: Case) -> list[OrderStep]:
    steps = step_rows.of_order(case.order)
    return [step for step in steps if step.kind is not StepKind.CANCEL and step.state is StepState.WAITING]


def _does_step_get_no_answer(case: Case) -> Finding | None:
    """Name a step that is tried again and again. Telling Amazon of the hand-over has a check of its own at the end."""
    waiting = [step for step in _waiting_steps(case) if step.kind is not StepKind.SHIP]
    step = next((step for step in waiting if step.error_sentence), None)
    if step is None:
        return passed("FlexDash is at work at Amazon for it, and nothing has gone wrong so far.") if waiting else None
    return failed(
        f"A step got no good answer yet, {_LABELS[step.kind]}: it was tried {_times(step)}. "
        f"{as_sentence(step.error_sentence)} It is tried again by itself.",
        Fix(FixKind.RETRY_STEP, {"order_id": case.order.id, "step_id": step.id}, case.number),
        case.link,
        moments=[("Next try", step.not_before)],
    )


def _times(step: OrderStep) -> str:
    return "once" if step.n_attempts == 1 else f"{step.n_attempts} times"


def _is_it_taken_in(case: Case) -> Finding:
    order = case.order
    if order.state is OrderState.ON_HOLD:
        why = " ".join(hold.detail for hold in order.holds)
        return failed(f"{case.number} is On Hold, so nobody can work it. {why}", *fixes_of(order), case.link)
    if order.acknowledgement is Acknowledgement.REFUSED:
        return failed(
            "Amazon refused to hear that the order was accepted: "
            f"{after_refusals(as_sentence(order.acknowledgement_message))}",
            Fix(FixKind.ACKNOWLEDGE, {"order_id": order.id}, case.number),
            case.link,
        )
    return passed("It is not On Hold.")


def _has_it_left(case: Case) -> Finding:
    order = case.order
    if order.state in HAS_LEFT:
        return passed(f"It is {order.state.after_is} here.", moments=[("Shipped here", order.shipped_at)])
    return failed(f"It is {order.state.after_is} here. {_NEXT[order.state]}.", case.link, moments=_since(order))


def _since(order: Order) -> list[tuple[str, datetime | None]]:
    moments = (("Ready", order.ready_at), ("Packed", order.packed_at), ("Picked", order.picked_at))
    return [next(((label, at) for label, at in moments if at is not None), ("Came in", order.imported_at))]


def _parts(case: Case) -> Finding | None:
    return one_order.parts(case) if _waiting_steps(case) else None


def _was_amazon_told(case: Case) -> Finding:
    step, order = case.step(StepKind.SHIP), case.order
    if step is None or step.state is StepState.NOT_NEEDED:
        return unknown(
            f"FlexDash has not told Amazon that it left: it became {order.state} by Amazon's own news, and Amazon "
            "completes it. Look again later, or look it up in Seller Central.",
            case.link,
        )
    if step.state is StepState.WAITING:
        if step.error_sentence:
            return failed(
                f"Amazon was told {_times(step)} that it left, and has not taken it yet: "
                f"{as_sentence(step.error_sentence)} It is told again by itself.",
                Fix(FixKind.RETRY_STEP, {"order_id": order.id, "step_id": step.id}, case.number),
                case.link,
                moments=[("Next try", step.not_before)],
            )
        return answered("Amazon is told that it left within a minute.", case.link)
    return answered(
        "Amazon was told that it left and took it; its status there follows, often only when the carrier scans the "
        "package.",
        case.link,
        moments=[("Told", step.done_at)],
    )


STEPS: tuple[Step[Case], ...] = (
    Step("Is the order here?", one_order.is_here),
    Step("Is it still to be completed?", _is_alive),
    Step("Does Amazon let FlexDash in?", one_order.is_connected),
    Step("What does Amazon have?", _what_amazon_has),
    Step("Is its invoice on Amazon?", _is_invoice_there),
    Step("Has everything gone well at Amazon?", _has_step_failed),
    Step("Can it be worked?", _is_it_taken_in),
    Step("Are the scheduler and the workers at work?", _parts),
    Step("Is something tried at Amazon again and again?", _does_step_get_no_answer),
    Step("Has it left the hub?", _has_it_left),
    Step("Was Amazon told?", _was_amazon_told),
)

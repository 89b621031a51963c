"""Writing what came of attempts at steps: the step, the order as Amazon has it, packages, documents and timeline."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from flexdash import clock
from flexdash.amazon.packages import ShippingOption
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    DocumentKind,
    ItemFate,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderPackage,
    OrderState,
    OrderStep,
    StepKind,
    StepState,
)
from flexdash.services import order_changes, run_sheets
from flexdash.services.order_states import Event
from flexdash.services.order_stock import StockDesk
from flexdash.services.order_work import conflicts, documents, invoices, packing
from flexdash.services.order_work.attempts import LABELLED, Ended, Result, rank
from flexdash.services.words import listed, shortened

MAX_ATTEMPTS = 5
FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=30), timedelta(minutes=15)
INVOICE_ASKED_EVERY = timedelta(minutes=10)


def write(result: Result, *, run_id: int, desk: StockDesk) -> StepState | None:
    """Write what came of one attempt and return the step's state by it; None when the step was not to be done any more.

    Inside the caller's transaction; what happens to stock is handed to `desk`.
    """
    task = result.task
    order = db.session.get_one(Order, task.order_id, with_for_update={"key_share": True}, populate_existing=True)
    if result.shipment is not None and order_changes.is_news(order, result.shipment):
        order_changes.apply(order, result.shipment, run_id=run_id, desk=desk)
    if result.is_confirmed:
        _acknowledged(order, run_id)
    step = db.session.get_one(OrderStep, task.step_id, populate_existing=True)
    if step.state is not StepState.WAITING:
        return step.state if step.kind is StepKind.CANCEL and step.state is StepState.DONE else None
    if result.ended in (Ended.DONE, Ended.NOT_NEEDED):
        _keep(order, step, result, run_id)
        step.state = StepState.DONE if result.ended is Ended.DONE else StepState.NOT_NEEDED
        step.done_at, step.not_before, step.error_code, step.error_sentence = clock.now(), None, "", result.sentence
    elif result.ended is Ended.WAITS:
        invoices.begin_waiting(order, run_id=run_id)
        step.not_before, step.error_sentence = clock.now() + INVOICE_ASKED_EVERY, shortened(result.sentence, 500)
    elif result.ended is Ended.FAILED:
        _fail(order, step, result, run_id)
    else:
        _again_or_fail(order, step, result, run_id)
    return step.state


def item_of(result: Result, state: StepState | None) -> run_sheets.Item:
    """Return what is kept on the run of one attempt, and of the step's state by it."""
    fate = {
        StepState.DONE: ItemFate.DONE,
        StepState.NOT_NEEDED: ItemFate.DONE,
        StepState.FAILED: ItemFate.REFUSED,
        StepState.WAITING: ItemFate.WAITS,
    }.get(state or StepState.NOT_NEEDED, ItemFate.DONE)
    step = result.task.kind.words
    words = f"{step}: {result.sentence}" if result.sentence else step
    return run_sheets.Item(fate, result.task.shipment_id, words=words)


def _acknowledged(order: Order, run_id: int) -> None:
    if order.acknowledgement is Acknowledgement.DONE:
        return
    order.acknowledgement, order.acknowledgement_message = Acknowledgement.DONE, ""
    order.acknowledged_at = clock.now()
    sentence = "Acknowledged to Amazon on the way to its packages."
    db.session.add(OrderEvent(order_id=order.id, kind="acknowledged", sentence=sentence, run_id=run_id))


def _keep(order: Order, step: OrderStep, result: Result, run_id: int) -> None:
    """Keep what Amazon handed out with a step that is done."""
    sentence = ""
    if step.kind is StepKind.PACKAGES and result.shipment is not None and result.ended is Ended.DONE:
        _keep_packages(order, result.shipment)
        sentence = result.sentence or "Its packages are known to Amazon."
    elif step.kind is StepKind.SHIPPING_OPTION and result.options:
        step.detail = {
            **step.detail,
            "options": {name: [_option(option) for option in offered] for name, offered in result.options.items()},
        }
        for package in packing.of_order(order):
            offered = {option.id for option in result.options.get(package.package_id, ())}
            if package.shipping_option_id not in offered:
                package.shipping_option_id = result.recommended.get(package.package_id, "")
        sentence = "Amazon offered ways of shipping; the one it recommends is chosen."
    elif result.invoice is not None:
        documents.keep(order, DocumentKind.INVOICE, result.invoice.content_type, result.invoice.content)
        order.is_invoice_waiting = False
        sentence = "Amazon made the invoice."
    elif step.kind is StepKind.LABELS:
        sentence = _keep_labels(order, result)
    elif step.kind is StepKind.SHIP:
        sentence = result.sentence or "Amazon knows that it was handed over."
    step.detail = {name: value for name, value in step.detail.items() if name != "is_reprint"}
    if sentence:
        _say(order, sentence, run_id)


def _keep_packages(order: Order, shipment: Shipment) -> None:
    """Mark our packages as known to Amazon. Where Amazon has others, made in its own tool, those take their place, and
    so does how it has ours, once it has labelled them and takes no change."""
    ours = {package.package_id: package for package in packing.of_order(order)}
    theirs = {found.id[:40]: found for found in shipment.packages}
    if not theirs or (ours.keys() == theirs.keys() and rank(shipment) < LABELLED):
        for package in ours.values():
            package.is_at_amazon = True
        return
    for name in ours.keys() - theirs.keys():
        db.session.delete(ours[name])
    for name, found in theirs.items():
        package = ours.get(name) or OrderPackage(order_id=order.id, package_id=name)
        if not package.is_at_amazon:
            package.length_cm, package.width_cm, package.height_cm = found.length_cm, found.width_cm, found.height_cm
            package.weight_g = found.weight_g
            package.lines = [{"line_id": line_id, "n_units": n_units} for line_id, n_units in found.lines]
            package.is_at_amazon = True
            db.session.add(package)
    db.session.flush()


def _keep_labels(order: Order, result: Result) -> str:
    packages = {package.package_id: package for package in packing.of_order(order)}
    said = []
    for found in result.labels:
        label = found.label
        documents.keep(order, DocumentKind.LABEL, found.file.content_type, found.file.content, label.package_id[:40])
        if package := packages.get(label.package_id):
            package.carrier_name, package.tracking_number = label.carrier_name[:100], label.tracking_id[:100]
            package.shipping_option_id = label.shipping_option_id[:200] or package.shipping_option_id
        said.append(f"{label.carrier_name or 'carrier not named'} {label.tracking_id}".strip())
    return f"Amazon made {'the label' if len(said) == 1 else 'the labels'}: {listed(said)}." if said else ""


def _option(option: ShippingOption) -> dict[str, Any]:
    return {
        "id": option.id,
        "carrier": option.carrier_name,
        "starts_at": option.starts_at.isoformat() if option.starts_at else None,
        "ends_at": option.ends_at.isoformat() if option.ends_at else None,
    }


def _fail(order: Order, step: OrderStep, result: Result, run_id: int) -> None:
    sentence = shortened(result.sentence, 500)
    if result.labels:  # some packages have theirs
        _keep_labels(order, result)
    if step.detail.get("is_reprint"):
        # The document that is here is as good as before.
        step.state, step.error_sentence = StepState.DONE, shortened(f"Not made again: {sentence}", 500)
        step.detail = {name: value for name, value in step.detail.items() if name != "is_reprint"}
        return
    step.state, step.not_before, step.error_code = StepState.FAILED, None, result.code[:60]
    step.error_sentence = sentence
    if step.kind is StepKind.CANCEL:
        _cancellation_refused(order, sentence, run_id)
    elif not step.is_lacking:
        _say(order, sentence, run_id)


def _cancellation_refused(order: Order, sentence: str, run_id: int) -> None:
    order.cancellation, order.cancellation_message = OrderCancellation.REFUSED, sentence
    order.changed_at = clock.now()
    if order.state is OrderState.CANCELLED:  # cancelled here before, and sent later
        words = f"It is Cancelled here, but Amazon refused the cancellation and still expects it. {sentence}"
        conflicts.note(order, Event.CANCEL, words, run_id=run_id)
        return
    words = shortened(f"Cancellation refused by Amazon: {sentence} The order goes on.", 500)
    db.session.add(OrderEvent(order_id=order.id, kind="refused", sentence=words, run_id=run_id))


def _again_or_fail(order: Order, step: OrderStep, result: Result, run_id: int) -> None:
    """Let a step that got no good answer wait for longer each time; give it up after some, but a cancellation never."""
    step.n_attempts += 1
    if result.labels:
        _keep_labels(order, result)
    if step.n_attempts >= MAX_ATTEMPTS and step.kind is not StepKind.CANCEL:
        words = f"{result.sentence.rstrip('.')}. It was tried {step.n_attempts} times."
        _fail(order, step, replace(result, sentence=words, labels=()), run_id)
        return
    delay = min(FIRST_DELAY * 2 ** min(step.n_attempts - 1, 8), LONGEST_DELAY)
    step.not_before = clock.now() + delay * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
    _say_once(order, f"{step.kind.words}: {result.sentence.rstrip('.')}. It is tried again by itself.", run_id)
    step.error_code, step.error_sentence = result.code[:60], shortened(result.sentence, 500)


def _say(order: Order, sentence: str, run_id: int) -> None:
    db.session.add(OrderEvent(order_id=order.id, kind="step", sentence=shortened(sentence, 500), run_id=run_id))


def _say_once(order: Order, sentence: str, run_id: int) -> None:
    """Say it unless the timeline does already: what is tried again and again fails for the same reason."""
    said = select(OrderEvent.id).where(
        OrderEvent.order_id == order.id, OrderEvent.kind == "step", OrderEvent.sentence == shortened(sentence, 500)
    )
    if db.session.scalar(said.limit(1)) is None:
        _say(order, sentence, run_id)

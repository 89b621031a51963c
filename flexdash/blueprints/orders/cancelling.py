"""Cancelling an order: the question first, then the answer."""

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.forms import CancelForm
from flexdash.blueprints.orders.steps_start import start_steps
from flexdash.models import OrderCancellation
from flexdash.services import orders
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import cancelling, overview


@blueprint.route("/<int:order_id>/cancel", methods=["GET", "POST"])
@requires(Permission.WORK_ORDERS)
def cancel(order_id: int) -> Response | str | tuple[str, int]:
    """Ask why an order is cancelled and say what that does; then do it."""
    order, form = orders.load(current_actor(), order_id), CancelForm()
    preview = cancelling.preview(order)
    status = 200
    if form.is_submitted() and not preview.refusal:
        if form.validate():
            return _cancel(order_id, cancelling.Reason(form.reason.data))
        status = 422
    page = render_template(
        "orders/cancel.html",
        order=order,
        number=number_of(order_id),
        form=form,
        preview=preview,
        cancelled_words=overview.cancelled_words(order),
    )
    return page, status


@blueprint.post("/<int:order_id>/cancel/send")
@requires(Permission.WORK_ORDERS)
def send_cancellation(order_id: int) -> Response:
    """Tell Amazon of a cancellation that was made here only."""
    try:
        cancelling.send_now(current_actor(), order_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("Amazon is told. Its answer shows here as soon as it is there.", "success")
        start_steps(order_id)
    return redirect(url_for(".detail", order_id=order_id), 303)


def _cancel(order_id: int, reason: cancelling.Reason) -> Response:
    number = number_of(order_id)
    try:
        order = cancelling.cancel(current_actor(), order_id, reason)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        if order.cancellation is OrderCancellation.CANCELLING:
            flash(f"{number} is being cancelled: Amazon is told, and its answer shows here.", "success")
        elif order.cancellation is OrderCancellation.NOT_SENT:
            flash(f"{number} is Cancelled here. It is not cancelled on Amazon.", "warning")
        else:
            flash(f"{number} is Cancelled.", "success")
        start_steps(order_id)
    return redirect(url_for(".detail", order_id=order_id), 303)

"""What people do to an order: pick, pack, make ready, ship, deliver."""

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.forms import PickForm
from flexdash.blueprints.orders.page import order_page, work_facts
from flexdash.blueprints.orders.steps_start import start_steps
from flexdash.services import orders
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_states import Event
from flexdash.services.order_work import moves
from flexdash.services.order_work.at_amazon import AmazonNotAsked


@blueprint.get("/<int:order_id>/live")
@requires(Permission.VIEW)
def live(order_id: int) -> str:
    """Give the part of an order's page that changes while it is worked; it asks for itself again until the end."""
    return render_template("partials/order_work.html", **work_facts(orders.load(current_actor(), order_id)))


@blueprint.post("/<int:order_id>/pick")
@requires(Permission.WORK_ORDERS)
def pick(order_id: int) -> Response | tuple[str, int]:
    """Pick an order, once Amazon said that it still wants it; when Amazon does not answer the page asks what to do."""
    form = PickForm()
    try:
        moves.pick(current_actor(), order_id, without_asking=bool(form.without_asking.data))
    except AmazonNotAsked as refusal:
        order = orders.load(current_actor(), order_id)
        form.without_asking.errors = [refusal.sentence]
        return order_page(order, orders.masked_buyer(order), pick_form=form), 422
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash(f"{number_of(order_id)} is picked. Its label and invoice are fetched from Amazon.", "success")
        start_steps(order_id)
    return redirect(url_for(".detail", order_id=order_id), 303)


@blueprint.post("/<int:order_id>/pack")
@requires(Permission.WORK_ORDERS)
def pack(order_id: int) -> Response:
    """Say that an order is packed."""
    return _move(order_id, Event.PACK, "is packed")


@blueprint.post("/<int:order_id>/ready")
@requires(Permission.WORK_ORDERS)
def ready(order_id: int) -> Response:
    """Say that an order is ready to ship."""
    return _move(order_id, Event.MAKE_READY, "is ready to ship")


@blueprint.post("/<int:order_id>/ship")
@requires(Permission.WORK_ORDERS)
def ship(order_id: int) -> Response:
    """Say that an order was handed over; Amazon is told."""
    return _move(order_id, Event.SHIP, "is shipped. Amazon is told")


@blueprint.post("/<int:order_id>/deliver")
@requires(Permission.WORK_ORDERS)
def deliver(order_id: int) -> Response:
    """Say that an order arrived, where Amazon does not."""
    return _move(order_id, Event.DELIVER, "is delivered")


def _move(order_id: int, event: Event, done: str) -> Response:
    try:
        moves.move(current_actor(), order_id, event)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash(f"{number_of(order_id)} {done}.", "success")
        start_steps(order_id)
    return redirect(url_for(".detail", order_id=order_id), 303)

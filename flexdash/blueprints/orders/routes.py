"""The pages of orders."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash import limits
from flexdash.blueprints.evidence import send as send_pack
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.forms import QuarantineForm
from flexdash.blueprints.orders.listing import list_page
from flexdash.blueprints.orders.page import new_release_form, order_page
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.extensions import db
from flexdash.models import Order, QuarantinedShipment, Store
from flexdash.services import access, acknowledgement, evidence, order_holds, orders
from flexdash.services.actors import Permission
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.order_numbers import number_of


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the orders, newest or most urgent first, narrowed by the filters in the URL."""
    return list_page(request.args)


@blueprint.get("/<int:order_id>")
@requires(Permission.VIEW)
def detail(order_id: int) -> str:
    """Show one order: lines, amounts, holds, timeline, calls to Amazon, the buyer masked."""
    order = orders.load(current_actor(), order_id)
    return order_page(order, orders.masked_buyer(order))


@blueprint.get("/<int:order_id>/evidence.zip")
@requires(Permission.VIEW)
@limits.lookups
def order_evidence(order_id: int) -> Response:
    """Send everything that is kept of one order but its buyer, for a case with Amazon."""
    actor = current_actor()
    return send_pack(evidence.order_pack(actor, order_id), order=access.get(actor, Order, order_id))


@blueprint.post("/<int:order_id>/reveal")
@requires(Permission.REVEAL_BUYERS)
def reveal(order_id: int) -> Response | str:
    """Show the order with its buyer unmasked, once; the timeline says who looked."""
    try:
        _, buyer = orders.reveal_buyer(current_actor(), order_id)
    except orders.BuyerUnreadable as refusal:
        flash(refusal.sentence, "error")
        return redirect(url_for(".detail", order_id=order_id), 303)
    order = orders.load(current_actor(), order_id)
    return order_page(order, buyer)


@blueprint.post("/<int:order_id>/release")
@requires(Permission.WORK_ORDERS)
def release(order_id: int) -> Response | tuple[str, int]:
    """Release a held order by hand to a hub."""
    order = orders.load(current_actor(), order_id)
    form = new_release_form(order)
    if form is None:
        flash(
            f"This order is {order.state.after_is} and not On Hold any more, so there is nothing to release.", "error"
        )
        return redirect(url_for(".detail", order_id=order_id), 303)
    if form.validate_on_submit():
        try:
            order_holds.release_to(current_actor(), order_id, form.hub_id.data)
        except FieldRefused as refusal:
            form.hub_id.errors = [*form.hub_id.errors, refusal.sentence]
        except ServiceError as refusal:
            flash(refusal.sentence, "error")
            return redirect(url_for(".detail", order_id=order_id), 303)
        else:
            flash(f"{number_of(order_id)} is a New Order now. Amazon is told with the next sync.", "success")
            return redirect(url_for(".detail", order_id=order_id), 303)
    order = orders.load(current_actor(), order_id)
    return order_page(order, orders.masked_buyer(order), release_form=form), 422


@blueprint.post("/<int:order_id>/acknowledge")
@requires(Permission.WORK_ORDERS)
def acknowledge(order_id: int) -> Response:
    """Put a refused acknowledgement back in line."""
    try:
        acknowledgement.ask_again(current_actor(), order_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("The acknowledgement is sent again with the next sync.", "success")
    return redirect(url_for(".detail", order_id=order_id), 303)


@blueprint.get("/quarantine")
@requires(Permission.VIEW)
def quarantine() -> str:
    """Show the shipments that could not be read, with the reason; `store` in the URL narrows them to one store's."""
    actor, store_id = current_actor(), whole(request.args.get("store"))
    store = access.get(actor, Store, store_id) if store_id is not None else None
    form = QuarantineForm(request.args, db.session.scalars(access.visible(actor, Store).order_by(Store.name)))
    order = turned([(QuarantinedShipment.id, "desc")], form.is_oldest_first)
    page = keyset_page(orders.quarantined(actor, store_id), order, request.args)
    order_ids = orders.quarantined_order_ids(page.items)
    return render_template("orders/quarantine.html", page=page, store=store, form=form, order_ids=order_ids)

"""The list of orders whose invoice waits on Amazon."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.list_forms import InvoiceFilterForm
from flexdash.blueprints.orders.steps_start import start_steps
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.extensions import db
from flexdash.models import Order, Store
from flexdash.services import access
from flexdash.services.actors import Permission
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import invoices as invoice_service


@blueprint.get("/invoices")
@requires(Permission.VIEW)
def invoices() -> str:
    """Show the orders whose invoice a person has to finish in Seller Central."""
    actor = current_actor()
    form = InvoiceFilterForm(request.args, db.session.scalars(access.visible(actor, Store).order_by(Store.name)))
    order = turned([(Order.id, "asc")], form.is_newest_first)
    page = keyset_page(invoice_service.listing(actor, form.store_id), order, request.args)
    return render_template(
        "orders/invoices.html",
        page=page,
        form=form,
        number_of=number_of,
        address_of=invoice_service.address_of,
        may_work=actor.may(Permission.WORK_ORDERS),
    )


@blueprint.post("/<int:order_id>/invoice-done")
@requires(Permission.WORK_ORDERS)
def settle_invoice(order_id: int) -> Response:
    """Take an order off the list by hand."""
    invoice_service.settle_by_hand(current_actor(), order_id)
    flash(f"{number_of(order_id)} is off the list. Its label is asked for now.", "success")
    start_steps(order_id)
    if request.form.get("back") == "list":
        return redirect(url_for(".invoices"), 303)
    return redirect(url_for(".detail", order_id=order_id), 303)

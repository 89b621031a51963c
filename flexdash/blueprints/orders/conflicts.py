"""Where Amazon and FlexDash say what does not fit together: the list, and closing one with a note."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.forms import CloseConflictForm
from flexdash.blueprints.orders.list_forms import ConflictFilterForm
from flexdash.blueprints.orders.page import order_page
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.models import OrderConflict
from flexdash.services import access, orders
from flexdash.services.actors import Permission
from flexdash.services.errors import FieldRefused
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import conflicts as conflict_service


@blueprint.get("/conflicts")
@requires(Permission.VIEW)
def conflicts() -> str:
    """Show the conflicts that wait for a person, or those that were closed."""
    actor = current_actor()
    form = ConflictFilterForm(request.args)
    query = conflict_service.listing(actor, is_open=not form.is_about_closed)
    page = keyset_page(query, turned([(OrderConflict.id, "desc")], form.is_oldest_first), request.args)
    return render_template("orders/conflicts.html", page=page, filter_form=form, number_of=number_of)


@blueprint.post("/conflicts/<int:conflict_id>/close")
@requires(Permission.WORK_ORDERS)
def close_conflict(conflict_id: int) -> Response | tuple[str, int]:
    """Close one conflict with a note."""
    actor, form = current_actor(), CloseConflictForm()
    order_id = access.get(actor, OrderConflict, conflict_id).order_id
    try:
        conflict_service.close(actor, conflict_id, form.note.data or "")
    except FieldRefused as refusal:
        form.note.errors = [refusal.sentence]
        order = orders.load(actor, order_id)
        return order_page(order, orders.masked_buyer(order), close_form=form, close_id=conflict_id), 422
    flash("The conflict is closed.", "success")
    return redirect(url_for(".detail", order_id=order_id), 303)

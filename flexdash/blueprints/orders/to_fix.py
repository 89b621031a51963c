"""The list of shipments that wait for a person: a step at Amazon failed, or wants something."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.list_forms import ToFixFilterForm
from flexdash.blueprints.orders.steps_start import start_steps
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.extensions import db
from flexdash.models import OrderStep, Store
from flexdash.services import access
from flexdash.services.actors import Permission
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import to_fix as to_fix_list

AT_ONCE = 50  # a page of the list


@blueprint.get("/to-fix")
@requires(Permission.VIEW)
def to_fix() -> str:
    """Show the steps at Amazon that failed, those of the oldest orders first."""
    actor = current_actor()
    form = ToFixFilterForm(request.args, db.session.scalars(access.visible(actor, Store).order_by(Store.name)))
    order = turned([(OrderStep.order_id, "asc"), (OrderStep.id, "asc")], form.is_newest_first)
    page = keyset_page(to_fix_list.listing(actor, form.store_id, form.kind_chosen), order, request.args, AT_ONCE)
    return render_template(
        "orders/to_fix.html",
        page=page,
        form=form,
        is_filtered=form.store_id is not None or form.kind_chosen is not None,
        n_retryable=sum(not step.is_lacking for step in page.items),
        number_of=number_of,
        may_work=actor.may(Permission.WORK_ORDERS),
    )


@blueprint.post("/to-fix/retry")
@requires(Permission.WORK_ORDERS)
def retry_all() -> Response:
    """Try the steps of the page that was shown again, but those that lack something."""
    asked = [step_id for text in request.form.getlist("step")[:AT_ONCE] if (step_id := whole(text))]
    n_again, order_ids = to_fix_list.retry_all(current_actor(), asked)
    for order_id in order_ids:
        start_steps(order_id)
    if n_again:
        those = "It is" if n_again == 1 else f"All {n_again} are"
        flash(f"{those} tried again now. What Amazon refuses again comes back to this list.", "success")
    else:
        flash("None of them waits any more: somebody else has seen to it.", "info")
    return redirect(url_for(".to_fix"), 303)

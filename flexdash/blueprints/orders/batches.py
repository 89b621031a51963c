"""Many orders at once: one action on those that were ticked, and what became of each."""

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.list_forms import ACTION_WORDS, BatchFilterForm
from flexdash.blueprints.orders.saved import list_url
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.jobs import queues
from flexdash.models import BatchAction, BatchState, WorkBatch, WorkBatchItem
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import batches as batch_service


@blueprint.get("/batches")
@requires(Permission.VIEW)
def batches() -> str:
    """Show what was done with many orders at once, the newest first."""
    form = BatchFilterForm(request.args)
    query = batch_service.listing(current_actor(), form.action_chosen, form.state_chosen)
    page = keyset_page(query, turned([(WorkBatch.id, "desc")], form.is_oldest_first), request.args)
    return render_template(
        "orders/batches.html",
        page=page,
        form=form,
        is_filtered=form.action_chosen is not None or form.state_chosen is not None,
        words=ACTION_WORDS,
    )


@blueprint.post("/batches")
@requires(Permission.WORK_ORDERS)
def new_batch() -> Response:
    """Begin one action on the orders that were ticked."""
    try:
        action = BatchAction(request.form.get("action", ""))
    except ValueError:
        abort(400)
    try:
        batch = batch_service.ask(current_actor(), action, ticked())
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return redirect(list_url(), 303)
    batch_id = batch.id
    queues.enqueue_batch(batch_id)
    return redirect(url_for(".batch", batch_id=batch_id), 303)


@blueprint.get("/batches/<int:batch_id>")
@requires(Permission.VIEW)
def batch(batch_id: int) -> str:
    """Show one batch: how far it is, and what became of each order."""
    return _page("orders/batch.html", batch_id)


@blueprint.get("/batches/<int:batch_id>/live")
@requires(Permission.VIEW)
def live_batch(batch_id: int) -> str:
    """Give the part of a batch's page that changes; it asks for itself again until the end."""
    return _page("partials/work_batch.html", batch_id)


@blueprint.post("/batches/<int:batch_id>/again")
@requires(Permission.WORK_ORDERS)
def batch_again(batch_id: int) -> Response:
    """Try those orders again for which it did not work."""
    actor = current_actor()
    before = batch_service.get(actor, batch_id)
    try:
        fresh = batch_service.ask(actor, before.action, batch_service.refused_ids(before))
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return redirect(url_for(".batch", batch_id=batch_id), 303)
    fresh_id = fresh.id
    queues.enqueue_batch(fresh_id)
    return redirect(url_for(".batch", batch_id=fresh_id), 303)


def ticked() -> list[int]:
    """Return the ids of the orders that were ticked on the list."""
    numbers = (whole(text) for text in request.form.getlist("order"))
    return [number for number in numbers if number is not None]


def _page(template: str, batch_id: int) -> str:
    found = batch_service.get(current_actor(), batch_id)
    page = keyset_page(batch_service.items(found), [(WorkBatchItem.id, "asc")], request.args, size=100)
    return render_template(
        template,
        batch=found,
        page=page,
        refused=batch_service.first_refused(found),
        words=ACTION_WORDS,
        is_live=found.state is not BatchState.DONE,
        number_of=number_of,
    )

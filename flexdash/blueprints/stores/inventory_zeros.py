"""A push of zeros that is held back: what would become zero, and approving or declining it."""

from flask import abort, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.inventory import further, start_of_window
from flexdash.jobs import queues
from flexdash.models import BrakeState, Store, Sync, ZeroBrake
from flexdash.services import access, sync_runs
from flexdash.services.actors import Permission
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.inventory import brake as brakes
from flexdash.services.inventory import drift, preview
from flexdash.services.inventory.drift import Filters
from flexdash.services.inventory.places import active_locations
from flexdash.services.sync_runs import RunInProgress, StoreCannotSync

MEANWHILE = 409


class DecisionForm(FlaskForm):
    """Approves or declines. `n_to_zero` is what the page said when it was made."""

    n_to_zero = HiddenField()
    reason = StringField("Reason", render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"})


@blueprint.get("/<int:store_id>/inventory/zeros/<int:brake_id>")
@requires(Permission.VIEW)
def inventory_zeros(store_id: int, brake_id: int) -> str:
    """Show the held-back push: what would go to zero now, and what was decided."""
    store, brake = _found(store_id, brake_id)
    return _page(store, brake, DecisionForm(formdata=None))


@blueprint.post("/<int:store_id>/inventory/zeros/<int:brake_id>")
@requires(Permission.MANAGE_STOCK)
def decide_zeros(store_id: int, brake_id: int) -> Response | tuple[str, int]:
    """Approve the zeros, which starts a push, or decline them."""
    store, _ = _found(store_id, brake_id)
    decision, form = request.form.get("decision"), DecisionForm()
    if decision not in ("approve", "decline"):
        abort(400)
    decide = brakes.approve if decision == "approve" else brakes.decline
    try:
        decide(current_actor(), brake_id, n_to_zero=whole(form.n_to_zero.data) or 0, reason=form.reason.data or "")
    except FieldRefused as refusal:
        form.reason.errors = [refusal.sentence]
        return _page(*_found(store_id, brake_id), form), 422
    except ServiceError as refusal:
        return _page(*_found(store_id, brake_id), form, refusal=refusal.sentence), MEANWHILE
    if decision == "decline":
        flash("Declined. Nothing is sent until the stock is put right, or somebody approves it after all.", "success")
        return redirect(url_for(".inventory_zeros", store_id=store_id, brake_id=brake_id), 303)
    try:
        run = sync_runs.request_now(current_actor(), store.id, Sync.INVENTORY_PUSH)
    except (RunInProgress, StoreCannotSync) as refusal:
        flash(f"Approved. {refusal.sentence} The next push goes through.", "success")
        return redirect(url_for(".inventory", store_id=store_id), 303)
    run_id = run.id
    queues.enqueue_run(run_id)
    flash("Approved. This is the run that sends it.", "success")
    return redirect(url_for("sync.detail", run_id=run_id), 303)


def _found(store_id: int, brake_id: int) -> tuple[Store, ZeroBrake]:
    actor = current_actor()
    store, brake = access.get(actor, Store, store_id), access.get(actor, ZeroBrake, brake_id)
    if brake.store_id != store.id:
        abort(404)
    return store, brake


def _page(store: Store, brake: ZeroBrake, form: DecisionForm, *, refusal: str = "") -> str:
    form.n_to_zero.data = str(brake.n_to_zero)
    holding = brakes.holding(store)
    is_open = holding is not None and holding.id == brake.id
    page, lines, further_url = None, [], None
    locations = active_locations(store.id)
    if is_open and locations:
        found = drift.to_zero(store, locations, Filters(start=start_of_window()))
        page = keyset_page(found.lines, found.columns, request.args)
        lines = [drift.line_of(store, row) for row in page.items]
        further_url = further(found.looked_until) if page.next_url is None else None
    return render_template(
        "stores/inventory_zeros.html",
        store=store,
        tab="inventory",
        brake=brake,
        is_open=is_open,
        is_declined=brake.state is BrakeState.DECLINED,
        form=form,
        refusal=refusal,
        page=page,
        lines=lines,
        further_url=further_url,
        is_windowed=bool(start_of_window()),
        last_fetch=preview.last_fetch(store) if is_open and brake.n_unknown else None,
    )

"""The pages of hubs."""

from flask import flash, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from flexdash.blueprints.admin import blueprint
from flexdash.blueprints.admin.forms import DeactivateForm, EditHubForm, FilterForm, HubForm
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.models import Hub
from flexdash.services import hubs as warehouses
from flexdash.services import order_holds
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.places import country_name
from flexdash.services.words import listed


@blueprint.get("/hubs")
@requires(Permission.MANAGE_PEOPLE)
def hubs() -> str:
    """List the hubs of the workspace."""
    actor, form = current_actor(), FilterForm(request.args)
    query = warehouses.listing(actor, form.search(), form.is_active())
    order = [(Hub.id, "desc")] if form.is_newest_first() else [(Hub.name, "asc"), (Hub.id, "asc")]
    page = keyset_page(query, order, request.args)
    return render_template(
        "admin/hubs.html",
        page=page,
        form=form,
        n_mappings=warehouses.n_mappings(actor, [hub.id for hub in page.items]),
        country_name=country_name,
    )


@blueprint.route("/hubs/new", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def add_hub() -> Response | tuple[str, int]:
    """Add a hub."""
    form = HubForm(data={"time_zone": current_user.workspace.time_zone})
    if form.validate_on_submit():
        try:
            hub = warehouses.add(current_actor(), **form.values())
        except ServiceError as refusal:
            form.refuse(refusal)
        else:
            flash(f"{hub.name} is added. Map it in each store that ships from it.", "success")
            return redirect(url_for("admin.hubs"), code=303)
    return render_template("admin/add_hub.html", form=form), 422 if form.errors else 200


@blueprint.route("/hubs/<int:hub_id>", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def edit_hub(hub_id: int) -> Response | tuple[str, int]:
    """Show and change a hub."""
    actor = current_actor()
    hub = warehouses.get(actor, hub_id)
    fields = ("code", "name", "city", "country_code", "time_zone")
    form = EditHubForm(data={field: getattr(hub, field) for field in fields})
    if form.validate_on_submit():
        try:
            hub = warehouses.edit(actor, hub_id, **form.values())
        except ServiceError as refusal:
            form.refuse(refusal)
            hub = warehouses.get(actor, hub_id)
        else:
            flash(f"{hub.name} is saved.", "success")
            return redirect(url_for("admin.hubs"), code=303)
    page = render_template("admin/edit_hub.html", form=form, hub=hub, mappings=warehouses.mappings(actor, hub_id))
    return page, 422 if form.errors else 200


@blueprint.route("/hubs/<int:hub_id>/deactivate", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def deactivate_hub(hub_id: int) -> Response | tuple[str, int]:
    """Ask first, naming the stores that map the hub and what Amazon sells from it, then switch it off."""
    actor, form = current_actor(), DeactivateForm()
    hub = warehouses.get(actor, hub_id)
    sold = warehouses.sold_at_amazon(actor, hub_id)
    if form.validate_on_submit():
        try:
            hub = warehouses.deactivate(actor, hub_id, form.reason.data or "")
        except ServiceError as refusal:
            form.refuse(refusal)
            hub = warehouses.get(actor, hub_id)
        else:
            flash(f"{hub.name} is deactivated. Orders that come in for it go On Hold.", "success")
            if sold:
                there = listed([f"{one.words} at {one.seller_flex_hub_id} in {name}" for name, one in sold])
                flash(f"Amazon is told nothing of it any more and goes on selling {there}.", "warning")
            return redirect(url_for("admin.hubs"), code=303)
    mappings = warehouses.mappings(actor, hub_id)
    page = render_template("admin/deactivate_hub.html", form=form, hub=hub, mappings=mappings, sold=sold)
    return page, 422 if form.errors else 200


@blueprint.post("/hubs/<int:hub_id>/reactivate")
@requires(Permission.MANAGE_PEOPLE)
def reactivate_hub(hub_id: int) -> Response:
    """Switch a hub on again and let go the orders that waited for it."""
    actor = current_actor()
    hub = warehouses.reactivate(actor, hub_id)
    name, store_ids = hub.name, [store.id for store, _ in warehouses.mappings(actor, hub_id)]
    n_released = sum(len(order_holds.release_fixed(store_id)) for store_id in store_ids)
    waited = {0: "", 1: " One order that waited for it is a New Order now."}
    released = waited.get(n_released, f" {n_released} orders that waited for it are New Orders now.")
    flash(f"{name} is active again.{released}", "success")
    return redirect(url_for("admin.hubs"), code=303)

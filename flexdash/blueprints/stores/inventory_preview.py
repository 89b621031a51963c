"""What the next push would change on Amazon: looked at before Inventory Sync is turned on for the first time."""

from flask import render_template, request
from werkzeug.wrappers import Response

from flexdash.blueprints import left_out
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.blueprints.stores.inventory import further, start_of_window
from flexdash.blueprints.stores.settings import ToggleForm
from flexdash.models import Store
from flexdash.services import access, store_settings
from flexdash.services.actors import Permission
from flexdash.services.inventory import drift, preview
from flexdash.services.inventory.drift import Filters
from flexdash.services.inventory.places import active_locations
from flexdash.services.inventory.preview import Change
from flexdash.services.store_settings import Toggle

CHANGE_WORDS = {
    Change.ZERO: "Go to zero",
    Change.LOWER: "Go down",
    Change.RAISE: "Go up",
    Change.UNKNOWN: "Not known",
    Change.NONE: "Stay as they are",
}


@blueprint.get("/<int:store_id>/inventory/preview")
@requires(Permission.VIEW)
def inventory_preview(store_id: int) -> Response | str:
    """Show what a push now would change on Amazon, line by line, and what it would leave out and why."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    locations = active_locations(store_id)
    kind = request.args.get("change", "")
    change = Change(kind) if kind in set(Change) else None
    page, lines, further_url = None, [], None
    if locations:
        found = preview.found(store, locations, change, Filters(start=start_of_window()))
        page = keyset_page(found.lines, found.columns, request.args, 25)
        lines = [drift.line_of(store, row) for row in page.items]
        further_url = further(found.looked_until) if page.next_url is None else None
    form = ToggleForm(formdata=None, prefix=Toggle.INVENTORY_SYNC.value)
    would_be = preview.of(store, locations)
    form.version.data, form.turn_on.data, form.zeros_seen.data = str(store.settings_version), "1", would_be.n_to_zero
    may_approve = current_actor().may(Permission.MANAGE_STOCK)
    is_approval = would_be.would_wait and would_be.is_counted_whole and may_approve
    form.is_approval.data = "1" if is_approval else ""
    form.reason.data = request.args.get("reason", "")
    return render_template(
        "stores/inventory_preview.html",
        store=store,
        tab="inventory",
        toggle=Toggle.INVENTORY_SYNC,
        view=store_settings.view(store, Toggle.INVENTORY_SYNC),
        form=form,
        preview=would_be,
        is_approval=is_approval,
        change=change,
        change_words=CHANGE_WORDS,
        most_counted=preview.MOST_COUNTED,
        page=page,
        lines=lines,
        further_url=further_url,
        is_windowed=bool(start_of_window()),
        page_of=left_out.pages_of(store),
        last_fetch=preview.last_fetch(store),
    )

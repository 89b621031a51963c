"""The Inventory tab of a store: ours beside what Amazon was told and what it says, and what can be done about it."""

from collections.abc import Sequence
from dataclasses import replace

from flask import flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField

from flexdash.blueprints.fields import SkuSortMixin, choices, chosen
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import PARAMETER, keyset_page, present_query, turned
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.jobs import queues
from flexdash.models import PushState, Store, Sync
from flexdash.services import access, sync_runs, sync_status
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.inventory import brake, corrections, drift, fetch, left_behind, preview
from flexdash.services.inventory.drift import Filters, Only
from flexdash.services.inventory.places import Location, active_locations
from flexdash.services.sync_runs import RunInProgress, StoreCannotSync
from flexdash.templating import count

START = "from"  # the SKU at which the part of the catalog begins that the page looks at
ONLY_WORDS = {
    Only.DIFFERS: "Ours and Amazon's differ",
    Only.OVERSELL: "Amazon shows more than there is",
    Only.REFUSED: "Refused by Amazon",
    Only.NEVER_SENT: "Never sent",
    Only.NO_LISTING: "Not on Amazon: no listing",
    Only.DELISTED: "Not in the catalog any more",
    Only.LEFT_BEHIND: "Sold where no active hub is",
}
# State: words, the badge's kind and icon.
STATE_WORDS = {
    PushState.SENDING: ("Being sent", "info", "sync"),
    PushState.ACCEPTED: ("Taken", "good", "check"),
    PushState.REFUSED: ("Refused", "bad", "danger"),
    PushState.UNKNOWN: ("No answer", "warn", "warning"),
}


class FilterForm(SkuSortMixin, FlaskForm):
    """What the list is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("SKU begins with")
    only = SelectField(
        "Show", choices=choices(("", "All SKUs"), *((only.value, words) for only, words in ONLY_WORDS.items()))
    )
    hub = SelectField("Hub")

    def __init__(self, args: object, locations: Sequence[Location]) -> None:
        super().__init__(args)
        self.hub.choices = choices(
            ("", "All mapped hubs"), *((str(location.mapping_id), location.hub_name) for location in locations)
        )

    def filters(self) -> Filters:
        """Return what was chosen; a value that is none of the choices narrows nothing."""
        return Filters(
            only=Only(only) if (only := chosen(self.only)) else None,
            text=(self.q.data or "").strip()[:100],
            mapping_id=int(hub) if (hub := chosen(self.hub)) else None,
            start=start_of_window(),
            is_backwards=self.is_backwards,
        )


@blueprint.get("/<int:store_id>/inventory")
@requires(Permission.VIEW)
def inventory(store_id: int) -> Response | str:
    """Show every catalog SKU at every mapped hub, narrowed by the filters in the URL."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    locations = active_locations(store_id)
    form = FilterForm(request.args, locations)
    filters = form.filters()
    page, lines, looked_until, further_url = None, [], "", None
    if locations or filters.only is Only.LEFT_BEHIND:
        found = drift.found(store, locations, filters)
        page = keyset_page(found.lines, turned(found.columns, filters.is_backwards), request.args)
        lines = [drift.line_of(store, row) for row in page.items]
        looked_until = found.looked_until
        further_url = further(looked_until) if page.next_url is None else None
    return render_template(
        "stores/inventory.html",
        store=store,
        tab="inventory",
        form=form,
        page=page,
        lines=lines,
        further_url=further_url,
        is_filtered=replace(filters, is_backwards=False) != Filters(),
        is_windowed=bool(filters.start),
        has_catalog=bool(lines or looked_until) or drift.has_catalog(store),
        locations=locations,
        status=sync_status.of_sync(store, Sync.INVENTORY_PUSH),
        last_fetch=preview.last_fetch(store),
        last_full_at=drift.last_full_at(store),
        n_refused=drift.n_refused(store),
        counted_at_most=drift.COUNTED_AT_MOST,
        oversold=drift.oversold(store, locations) if locations else None,
        left_behind=left_behind.of_store(store_id),
        held=brake.holding(store),
        state_words=STATE_WORDS,
        query=present_query(),
    )


@blueprint.post("/<int:store_id>/inventory/correct")
@requires(Permission.START_SYNCS)
def correct_inventory(store_id: int) -> Response:
    """Tell Amazon again every quantity that differs there, now."""
    try:
        n_marked = corrections.correct_all(current_actor(), store_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return _back(store_id)
    told = f"{count(n_marked, 'quantity', 'quantities')} of which Amazon said something else will be sent again"
    return _push_now(store_id, f"{told}, and with them whatever changed.")


@blueprint.post("/<int:store_id>/inventory/<int:listing_id>/<int:mapping_id>/correct")
@requires(Permission.START_SYNCS)
def correct_line(store_id: int, listing_id: int, mapping_id: int) -> Response:
    """Tell Amazon again what it should show of one SKU at one hub, now."""
    try:
        corrections.correct_one(current_actor(), store_id, listing_id, mapping_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
        return _back(store_id)
    return _push_now(store_id, "The quantity will be sent again, and with it whatever changed.")


@blueprint.post("/<int:store_id>/inventory/<int:listing_id>/<int:mapping_id>/fetch")
@requires(Permission.START_SYNCS)
def fetch_line(store_id: int, listing_id: int, mapping_id: int) -> Response:
    """Ask Amazon what it shows of one SKU at one hub."""
    try:
        told = fetch.fetch_one(current_actor(), store_id, listing_id, mapping_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")  # which is said at the top of the page and nowhere else
        return _back(store_id)
    sellable, reserved = count(told.amazon_sellable, "unit"), count(told.amazon_reserved)
    flash(f"Amazon shows {sellable} of {told.sku_code} to sell, and {reserved} reserved.", "success")
    return _back(store_id, f"#line-{listing_id}-{mapping_id}")


def start_of_window() -> str:
    """Return the SKU at which the address wants the look at the catalog to begin."""
    return request.args.get(START, "")[:100]


def further(until: str) -> str | None:
    """Return the address of the next part of the catalog, with the same filters; None where there is none."""
    if not until:
        return None
    kept = {name: value for name, value in request.args.items() if name not in (PARAMETER, START)}
    return url_for(request.endpoint or ".inventory", **(request.view_args or {}), **kept, **{START: until})


def _push_now(store_id: int, told: str) -> Response:
    """Start a push for what has just been marked, and go back to the list."""
    try:
        run = sync_runs.request_now(current_actor(), store_id, Sync.INVENTORY_PUSH)
    except RunInProgress as refusal:
        flash(f"{told} Run {refusal.run_id} is under way; what it has passed by goes with the next one.", "success")
    except StoreCannotSync as refusal:
        flash(f"It is noted. {refusal.sentence}", "warning")
    else:
        queues.enqueue_run(run.id)
        flash(f"{told} Run {run.id} does it now.", "success")
    return _back(store_id)


def _back(store_id: int, anchor: str = "") -> Response:
    """Go back to the list as it was: the address that the form was sent to has the query of the page's."""
    return redirect(f"{url_for('.inventory', store_id=store_id)}{present_query()}{anchor}", 303)

"""The Hub Mapping tab of a store: which Seller Flex Hub ID each hub has."""

from dataclasses import dataclass, field

from flask import abort, flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, SearchField, SelectField, StringField

from flexdash.blueprints.fields import choices, chosen, whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, present_query
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.models import Hub, HubMapping, Store
from flexdash.services import access, hub_mapping_overview, hub_verification, order_holds
from flexdash.services import hub_mapping as mappings
from flexdash.services.actors import Permission
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.errors import FieldRefused, NotVisible, ServiceError
from flexdash.services.hub_mapping_overview import HubRow
from flexdash.services.inventory import left_behind
from flexdash.services.inventory.left_behind import Sold
from flexdash.templating import count

MEANWHILE = 409
ID_FIELD = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "characters"}
HUBS_PER_PAGE = 25
REASON_FIELD = {"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"}


class MappingForm(FlaskForm):
    """One hub's id in the store. `version` is the mapping's when the page was made, empty when there was none."""

    version = HiddenField()
    seller_flex_hub_id = StringField("Seller Flex Hub ID", render_kw=ID_FIELD)
    is_active = BooleanField("Active: orders for this id go to this hub", default=True)
    is_leaving = HiddenField()  # "1" once the page has said what Amazon goes on selling where it is told no more
    reason = StringField("Reason", render_kw=REASON_FIELD)


class UnmappedForm(FlaskForm):
    """Gives an id that orders came with to one of the hubs that have none in this store."""

    seller_flex_hub_id = HiddenField()
    hub_id = SelectField("Hub", validate_choice=False)


class RemoveForm(FlaskForm):
    """Takes a hub's id away."""

    version = HiddenField()
    reason = StringField("Reason", render_kw=REASON_FIELD)


class HubsForm(FlaskForm):
    """Which hubs the page shows; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = SearchField("Hub or Seller Flex Hub ID", default="")
    show = SelectField(
        "Show",
        default="",
        choices=choices(("", "All hubs"), ("mapped", "Those with an id"), ("unmapped", "Those without an id")),
    )

    def is_mapped(self) -> bool | None:
        """Return whether hubs with an id were chosen, or those without; None for all."""
        return {"mapped": True, "unmapped": False}.get(chosen(self.show))

    @property
    def is_set(self) -> bool:
        """Say whether anything was chosen."""
        return bool((self.q.data or "").strip()) or self.is_mapped() is not None


@dataclass
class Typed:
    """The form that came back with an error, so that the page shows what was typed."""

    hub_forms: dict[int, MappingForm] = field(default_factory=dict)
    unmapped_forms: dict[str, UnmappedForm] = field(default_factory=dict)
    sold: dict[int, Sold] = field(default_factory=dict)  # by hub, what Amazon would go on selling

    @property
    def form(self) -> FlaskForm | None:
        """Return that form, if there is one."""
        return next(iter([*self.hub_forms.values(), *self.unmapped_forms.values()]), None)


@blueprint.get("/<int:store_id>/hubs")
@requires(Permission.VIEW)
def hub_mapping(store_id: int) -> Response | str:
    """Show each hub with its id, and the ids that orders came with and no hub has."""
    store = access.get(current_actor(), Store, store_id)
    return redirect_draft(store) or _page(store, Typed())


@blueprint.post("/<int:store_id>/hubs")
@requires(Permission.CONFIGURE_STORES)
def save_mapping(store_id: int) -> Response | tuple[str, int]:
    """Give a hub an id, change it, or switch it on or off; then let go the orders that waited for it."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    if "unmapped" in request.form:
        return _save_unmapped(store, request.form["unmapped"])
    hub_id = whole(request.form.get("hub"))
    if hub_id is None:
        abort(400)
    form = MappingForm(prefix=f"hub{hub_id}")
    version = whole(form.version.data)
    typed, reason = form.seller_flex_hub_id.data or "", form.reason.data or ""
    sold = _left_behind_by(store, hub_id, typed, is_active=form.is_active.data) if version is not None else None
    if sold and not form.is_leaving.data:
        form.is_leaving.data = "1"
        return _page(store, Typed(hub_forms={hub_id: form}, sold={hub_id: sold})), 422
    try:
        if version is None:
            mapping = mappings.add(
                current_actor(), store_id, hub_id, typed, is_active=form.is_active.data, reason=reason
            )
        else:
            mapping = mappings.change(
                current_actor(),
                store_id,
                hub_id,
                typed,
                is_active=form.is_active.data,
                version=version,
                reason=reason,
            )
    except FieldRefused as refusal:
        shown = form.reason if refusal.field == "reason" else form.seller_flex_hub_id
        shown.errors = [refusal.sentence]
        return _page(_fresh(store_id), Typed(hub_forms={hub_id: form})), 422
    except ChangedByOther as refusal:
        return _page(_fresh(store_id), Typed(hub_forms={hub_id: form}), refusal), MEANWHILE
    return _saved(store_id, mapping, sold)


@blueprint.post("/<int:store_id>/hubs/<int:hub_id>/verify")
@requires(Permission.CONFIGURE_STORES)
def verify_mapping(store_id: int, hub_id: int) -> Response:
    """Ask Amazon about the hub's id; the page then shows what it said."""
    try:
        mapping = hub_verification.verify(current_actor(), store_id, hub_id)
    except ServiceError as refusal:
        if not isinstance(refusal, hub_verification.REFUSALS):
            raise
        flash(refusal.sentence, "warning")
    else:
        kind = {"found": "success", "empty": "info", "refused": "warning"}[mapping.verify_result]
        flash(mapping.verify_message, kind)
    return _back(store_id, f"#hub-{hub_id}")


@blueprint.route("/<int:store_id>/hubs/<int:hub_id>/remove", methods=["GET", "POST"])
@requires(Permission.CONFIGURE_STORES)
def remove_mapping(store_id: int, hub_id: int) -> Response | tuple[str, int]:
    """Ask, saying what happens to orders; then take the hub's id away."""
    mapping = mappings.get(current_actor(), store_id, hub_id)
    form = RemoveForm()
    refusal = None
    sold = left_behind.sold_at(store_id, mapping.seller_flex_hub_id)
    if form.validate_on_submit():
        try:
            location = mappings.remove(
                current_actor(),
                store_id,
                hub_id,
                version=whole(form.version.data) or 0,
                reason=form.reason.data or "",
            )
        except FieldRefused as error:
            form.reason.errors = [error.sentence]
        except ChangedByOther as error:
            refusal = error
        else:
            flash(f"{location} belongs to no hub now. New orders for it go On Hold until a hub has it.", "success")
            _flash_left_behind(sold)
            return _back(store_id)
        mapping = mappings.get(current_actor(), store_id, hub_id)
    form.version.data = str(mapping.version)
    page = render_template(
        "stores/remove_mapping.html",
        store=_fresh(store_id),
        tab="hubs",
        mapping=mapping,
        query=present_query(),
        form=form,
        refusal=refusal,
        sold=sold,
    )
    return page, MEANWHILE if refusal else 422 if form.errors else 200


def _save_unmapped(store: Store, location: str) -> Response | tuple[str, int]:
    form = UnmappedForm(prefix="unmapped")
    hub_id = whole(form.hub_id.data)
    typed = Typed(unmapped_forms={location: form})
    if hub_id is None:
        form.hub_id.errors = ["Pick the hub that works the orders of this id."]
        return _page(store, typed), 422
    store_id = store.id
    try:
        mapping = mappings.add(current_actor(), store_id, hub_id, location)
    except FieldRefused as refusal:
        form.hub_id.errors = [refusal.sentence]
        return _page(_fresh(store_id), typed), 422
    except ChangedByOther as refusal:
        return _page(_fresh(store_id), typed, refusal), MEANWHILE
    return _saved(store_id, mapping)


def _left_behind_by(store: Store, hub_id: int, location: str, *, is_active: bool) -> Sold | None:
    """Return what Amazon goes on selling where the hub is now, if it is switched off there or gets another id."""
    try:
        mapping = mappings.get(current_actor(), store.id, hub_id)
    except NotVisible:  # removed meanwhile, which `change` refuses in words
        return None
    is_other = location.strip().casefold() != mapping.seller_flex_hub_id.casefold()
    if not mapping.is_active or (is_active and not is_other):
        return None
    return left_behind.sold_at(store.id, mapping.seller_flex_hub_id)


def _flash_left_behind(sold: Sold | None) -> None:
    if sold:
        flash(
            f"Amazon is told nothing of {sold.seller_flex_hub_id} any more and goes on selling what it was told last: "
            f"{sold.words}. The Inventory tab names them.",
            "warning",
        )


def _saved(store_id: int, mapping: HubMapping, sold: Sold | None = None) -> Response:
    hub, location, is_active = mapping.hub.name, mapping.seller_flex_hub_id, mapping.is_active
    if is_active:
        words = f"Orders for {location} go to {hub}."
        if n_released := len(order_holds.release_fixed(store_id)):
            became = "became a New Order" if n_released == 1 else "became New Orders"
            words += f" {count(n_released, 'order')} On Hold {became}; Amazon is told with the next Order Sync."
    else:
        order_holds.release_fixed(store_id)  # brings the reason on waiting orders up to date; lets none go
        words = f"{hub} keeps {location}, switched off: orders for it go On Hold until it is active."
    flash(words, "success")
    _flash_left_behind(sold)
    if mappings.is_unusual(location):
        flash(
            f"{location} has {count(len(location), 'character')}; Seller Flex Hub IDs usually have "
            f"{mappings.USUAL_ID_LENGTH}. Compare it with Seller Central, or verify it here.",
            "warning",
        )
    # To the top of the page: how many orders were let go is said there and nowhere else.
    return _back(store_id)


def _back(store_id: int, anchor: str = "") -> Response:
    """Go back to the page as it was: the address that the form was sent to has the query of the page's."""
    return redirect(f"{url_for('.hub_mapping', store_id=store_id)}{present_query()}{anchor}", 303)


def _page(store: Store, typed: Typed, refusal: ChangedByOther | None = None) -> str:
    actor, hubs_form = current_actor(), HubsForm(request.args)
    overview = hub_mapping_overview.overview(actor, store)
    query = hub_mapping_overview.listing(actor, store, (hubs_form.q.data or "")[:100], hubs_form.is_mapped())
    page = keyset_page(query, [(Hub.name, "asc"), (Hub.id, "asc")], request.args, HUBS_PER_PAGE)
    # What was typed is shown whatever the page, and first.
    shown = [*typed.hub_forms, *(hub.id for hub in page.items if hub.id not in typed.hub_forms)]
    row_of = {row.hub.id: row for row in overview.rows}
    rows = [row_of[hub_id] for hub_id in shown if hub_id in row_of]
    free_hubs = [row.hub for row in overview.rows if row.mapping is None]
    unmapped_forms = {}
    for unmapped in overview.unmapped:
        location = unmapped.seller_flex_hub_id
        form = typed.unmapped_forms.get(location) or UnmappedForm(formdata=None, prefix="unmapped")
        form.hub_id.choices = choices(
            ("", "Pick a hub"), *((str(hub.id), f"{hub.name} ({hub.code})") for hub in free_hubs)
        )
        form.hub_id.id = f"unmapped-{location}"
        unmapped_forms[location] = form
    return render_template(
        "stores/hub_mapping.html",
        store=store,
        tab="hubs",
        overview=overview,
        page=page,
        rows=rows,
        hubs_form=hubs_form,
        query=present_query(),
        hub_forms={row.hub.id: _hub_form(row, typed.hub_forms.get(row.hub.id)) for row in rows},
        spellings=hub_mapping_overview.other_spellings(store, [row.mapping for row in rows if row.mapping]),
        unmapped_forms=unmapped_forms,
        free_hubs=free_hubs,
        form=typed.form,
        sold=typed.sold,
        refusal=refusal,
    )


def _hub_form(row: HubRow, typed: MappingForm | None) -> MappingForm:
    mapping = row.mapping
    if typed is None:
        typed = MappingForm(
            formdata=None,
            prefix=f"hub{row.hub.id}",
            data={
                "seller_flex_hub_id": mapping.seller_flex_hub_id if mapping else "",
                "is_active": mapping.is_active if mapping else True,
            },
        )
    # What was typed stays; what it is compared with on the next save is always the present state.
    typed.version.data = str(mapping.version) if mapping else ""
    return typed


def _fresh(store_id: int) -> Store:
    return access.get(current_actor(), Store, store_id)

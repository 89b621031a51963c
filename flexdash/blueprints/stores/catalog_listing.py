"""One listing of a store's catalog: seen whole, added by hand, changed and removed."""

from flask import flash, redirect, render_template, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import Field, HiddenField, StringField
from wtforms.validators import ValidationError

from flexdash import limits
from flexdash.blueprints.evidence import send as send_pack
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.stock.released import AT_MOST, released_words
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.models import Store
from flexdash.services import access, evidence, listing_queries, listings, order_holds
from flexdash.services.actors import Permission
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.errors import FieldRefused
from flexdash.services.inventory import remedies

MEANWHILE = 409
PLAIN = {"autocomplete": "off", "spellcheck": "false"}
DECIMAL = {**PLAIN, "inputmode": "decimal"}
WHOLE = {**PLAIN, "inputmode": "numeric"}


def _can_be_kept(_form: FlaskForm, field: Field) -> None:
    """Refuse what the listing cannot keep, beside its field and before anything is saved."""
    try:
        listings.clean(field.short_name, field.data or "")
    except FieldRefused as refusal:
        raise ValidationError(refusal.sentence) from refusal


class NewListingForm(FlaskForm):
    """A listing that is not in the catalog yet. The order of the fields is that of the page, and of its errors."""

    sku_code = StringField("SKU", validators=[_can_be_kept], render_kw=PLAIN)
    asin = StringField("ASIN", validators=[_can_be_kept], render_kw={**PLAIN, "autocapitalize": "characters"})
    name = StringField("Name", validators=[_can_be_kept], render_kw={"autocomplete": "off"})
    barcode = StringField("Barcode", validators=[_can_be_kept], render_kw=PLAIN)
    mrp = StringField("MRP", validators=[_can_be_kept], render_kw=DECIMAL)
    weight_g = StringField("Weight in grams", validators=[_can_be_kept], render_kw=WHOLE)
    length_cm = StringField("Length in cm", validators=[_can_be_kept], render_kw=DECIMAL)
    width_cm = StringField("Width in cm", validators=[_can_be_kept], render_kw=DECIMAL)
    height_cm = StringField("Height in cm", validators=[_can_be_kept], render_kw=DECIMAL)
    reason = StringField("Reason", render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"})

    def values(self) -> dict[str, str]:
        """Return what was typed, under the names the service knows."""
        return {name: self[name].data or "" for name in listings.FIELDS}

    def refuse(self, refusal: FieldRefused) -> None:
        """Show the service's refusal beside its field."""
        field = self[refusal.field]
        field.errors = [*field.errors, refusal.sentence]


class ListingForm(NewListingForm):
    """The values of a listing, whose SKU stays. `version` is the listing's when the page was made."""

    sku_code = None
    version = HiddenField()


class RemoveListingForm(FlaskForm):
    """Takes a listing out of the catalog."""

    version = HiddenField()
    reason = StringField("Reason", render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"})


@blueprint.get("/<int:store_id>/catalog/<int:listing_id>")
@requires(Permission.VIEW)
def listing(store_id: int, listing_id: int) -> str:
    """Show one listing: its values, its price, its stock in each hub and what Amazon was told there."""
    store, shown = _store(store_id), listing_queries.get(current_actor(), store_id, listing_id)
    rows = listing_queries.stock(store, shown)
    return render_template(
        "stores/listing.html", store=store, tab="catalog", listing=shown, stock=rows, remedy_of=remedies.remedy_of
    )


@blueprint.get("/<int:store_id>/catalog/<int:listing_id>/evidence.zip")
@requires(Permission.VIEW)
@limits.lookups
def listing_evidence(store_id: int, listing_id: int) -> Response:
    """Send everything that is kept of the SKU in this store, for a case with Amazon."""
    actor = current_actor()
    pack = evidence.listing_pack(actor, store_id, listing_id)
    return send_pack(pack, listing=listing_queries.get(actor, store_id, listing_id))


@blueprint.route("/<int:store_id>/catalog/new", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
def add_listing(store_id: int) -> Response | tuple[str, int]:
    """Add one listing by hand; orders that waited for it go on."""
    store = _store(store_id)
    if away := redirect_draft(store):
        return away
    form = NewListingForm()
    if form.validate_on_submit():
        try:
            added = listings.add(
                current_actor(), store_id, form.sku_code.data or "", form.values(), form.reason.data or ""
            )
        except FieldRefused as refusal:
            form.refuse(refusal)
        else:
            flash(f"{added.sku_code} is in the catalog.{_let_go(store, added.sku_code)}", "success")
            return redirect(url_for(".listing", store_id=store_id, listing_id=added.id), 303)
    page = render_template("stores/add_listing.html", store=_store(store_id), tab="catalog", form=form)
    return page, 422 if form.errors else 200


@blueprint.route("/<int:store_id>/catalog/<int:listing_id>/edit", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
def edit_listing(store_id: int, listing_id: int) -> Response | tuple[str, int]:
    """Change the values of a listing; its SKU stays."""
    shown = listing_queries.get(current_actor(), store_id, listing_id)
    form = ListingForm(data={**listings.typed(shown), "version": str(shown.version)})
    refusal = None
    if form.validate_on_submit():
        version, reason = whole(form.version.data) or 0, form.reason.data or ""
        try:
            changed = listings.change(
                current_actor(), store_id, listing_id, form.values(), version=version, reason=reason
            )
        except FieldRefused as error:
            form.refuse(error)
        except ChangedByOther as error:
            refusal = error
        else:
            store = _store(store_id)
            if changed.version == version:
                flash(f"{changed.sku_code} stays as it was: nothing was changed.", "info")
            else:
                flash(f"{changed.sku_code} is changed.{_let_go(store, changed.sku_code)}", "success")
            return redirect(url_for(".listing", store_id=store_id, listing_id=listing_id), 303)
        shown = listing_queries.get(current_actor(), store_id, listing_id)
    if refusal:
        # What was typed stays; what it is compared with on the next save is always the present state.
        form.version.data = str(shown.version)
    page = render_template(
        "stores/edit_listing.html", store=_store(store_id), tab="catalog", listing=shown, form=form, refusal=refusal
    )
    return page, MEANWHILE if refusal else 422 if form.errors else 200


@blueprint.route("/<int:store_id>/catalog/<int:listing_id>/remove", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
def remove_listing(store_id: int, listing_id: int) -> Response | tuple[str, int]:
    """Ask, saying what it means for stock, prices and orders; then take the listing out of the catalog."""
    shown = listing_queries.get(current_actor(), store_id, listing_id)
    form = RemoveListingForm()
    refusal = None
    if form.validate_on_submit():
        try:
            sku_code = listings.remove(
                current_actor(),
                store_id,
                listing_id,
                version=whole(form.version.data) or 0,
                reason=form.reason.data or "",
            )
        except FieldRefused as error:
            form.reason.errors = [error.sentence]
        except ChangedByOther as error:
            refusal = error
        else:
            _let_go(_store(store_id), sku_code)
            flash(f"{sku_code} is not in the catalog any more. Amazon is told nothing about it from now on.", "success")
            return redirect(url_for(".catalog", store_id=store_id), 303)
        shown = listing_queries.get(current_actor(), store_id, listing_id)
    store = _store(store_id)
    form.version.data = str(shown.version)
    page = render_template(
        "stores/remove_listing.html",
        store=store,
        tab="catalog",
        listing=shown,
        pushed=listing_queries.pushed(store, [shown]).get(shown.sku_code),
        form=form,
        refusal=refusal,
    )
    return page, MEANWHILE if refusal else 422 if form.errors else 200


def _store(store_id: int) -> Store:
    return access.get(current_actor(), Store, store_id)


def _let_go(store: Store, sku_code: str) -> str:
    """Look at the orders On Hold for the SKU again; return a sentence about those that went on, "" when none did."""
    return released_words(len(order_holds.release_for_seller(store.seller_id, sku_code=sku_code, at_most=AT_MOST)))

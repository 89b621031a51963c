"""The Prices tab of a store: each listing's price and how far it is on its way to Amazon; one changed or sent again."""

from typing import Any

from flask import Response as FileResponse
from flask import flash, redirect, render_template, request, stream_with_context, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, SelectField, StringField
from wtforms.validators import ValidationError

from flexdash import clock
from flexdash.blueprints.fields import SkuSortMixin, choices, chosen, whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.models import Listing, Store
from flexdash.services import access, access_log, csv_export, listing_queries, price_queries, prices
from flexdash.services.actors import Permission
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.config_log import MAX_REASON_LENGTH
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.price_queries import COUNTED_AT_MOST, Filters, Only
from flexdash.templating import count, viewer_zone

MEANWHILE = 409
ONLY_WORDS = {
    Only.UNDER_WAY: "On their way to Amazon",
    Only.WAITING: "Waiting to be sent",
    Only.SENT: "Sent, not shown yet",
    Only.APPLIED: "On Amazon",
    Only.REFUSED: "Refused by Amazon",
}
FIGURE_WORDS = {
    Only.WAITING: "Waiting",
    Only.SENT: "Sent",
    Only.APPLIED: "On Amazon",
    Only.REFUSED: "Refused",
}


class FilterForm(SkuSortMixin, FlaskForm):
    """What the list of prices is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("SKU, from its beginning")
    state = SelectField(
        "Show", choices=choices(("", "All listings"), *((only.value, words) for only, words in ONLY_WORDS.items()))
    )

    def filters(self) -> Filters:
        """Return what was chosen; a value that is none of the choices narrows nothing."""
        only = chosen(self.state)
        return Filters(text=(self.q.data or "").strip()[:100], only=Only(only) if only else None)


def _is_price(_form: FlaskForm, field: StringField) -> None:
    """Refuse what is no price beside its field, before anything is saved."""
    try:
        prices.clean(field.data or "")
    except FieldRefused as refusal:
        raise ValidationError(refusal.sentence) from refusal


class PriceForm(FlaskForm):
    """The selling price of a listing. `version` is the listing's when the page was made."""

    version = HiddenField()
    is_confirmed = HiddenField()
    price = StringField(
        "Selling price",
        validators=[_is_price],
        render_kw={"autocomplete": "off", "inputmode": "decimal", "spellcheck": "false"},
    )
    reason = StringField("Reason", render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"})

    def refuse(self, refusal: FieldRefused) -> None:
        """Show the service's refusal beside its field."""
        field = self[refusal.field]
        field.errors = [*field.errors, refusal.sentence]


@blueprint.get("/<int:store_id>/prices", endpoint="prices")
@requires(Permission.VIEW)
def index(store_id: int) -> Response | str:
    """Show the store's listings with their prices by SKU, narrowed by the filters in the URL."""
    actor = current_actor()
    store = access.get(actor, Store, store_id)
    if away := redirect_draft(store):
        return away
    form = FilterForm(request.args)
    filters = form.filters()
    order = turned([(Listing.sku_code, "asc")], form.is_backwards)
    page = keyset_page(price_queries.of_store(actor, store, filters), order, request.args)
    standing = price_queries.standing(store)
    return render_template(
        "stores/prices.html",
        store=store,
        tab="prices",
        form=form,
        page=page,
        standing=standing,
        figures_of_states=[
            (words, _counted(standing.counts[only]), url_for(".prices", store_id=store.id, state=only.value))
            for only, words in FIGURE_WORDS.items()
        ],
        n_refused=standing.counts[Only.REFUSED],
        refused_words=_counted(standing.counts[Only.REFUSED]),
        is_filtered=filters != Filters(),
        is_empty=not page.items and price_queries.is_empty(store),
        export_arguments={"state": filters.only.value} if filters.only else {},
    )


@blueprint.get("/<int:store_id>/prices/export.csv")
@requires(Permission.VIEW)
def export_prices(store_id: int) -> Response:
    """Send every price in the columns of the template, with its state, while they are read; `state` narrows them."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    only = FilterForm(request.args).filters().only
    day = clock.now().astimezone(viewer_zone()).date()
    access_log.exported(current_actor(), "the prices", store=store)
    rows = price_queries.export_rows(store, only)
    name = f"prices-store-{store.id}-{day}.csv"
    return FileResponse(
        stream_with_context(csv_export.lines_to_upload(price_queries.EXPORT_HEADINGS, rows)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@blueprint.route("/<int:store_id>/prices/<int:listing_id>", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
def edit_price(store_id: int, listing_id: int) -> Response | tuple[str, int]:
    """Change the price of one listing; a change of more than a third or so is asked about first."""
    listing = listing_queries.get(current_actor(), store_id, listing_id)
    form = PriceForm(data={"price": _plain(listing), "version": str(listing.version)})
    refusal, question = None, ""
    if form.validate_on_submit():
        is_confirmed = form.is_confirmed.data == form.price.data  # of this price, not of one typed before
        question = "" if is_confirmed else prices.big_change(listing, form.price.data or "")
        if not question:
            try:
                return _save(store_id, listing_id, form)
            except FieldRefused as error:
                form.refuse(error)
            except ChangedByOther as error:
                refusal = error
            except ServiceError as error:
                flash(error.sentence, "error")
                return redirect(url_for(".prices", store_id=store_id), 303)
        listing = listing_queries.get(current_actor(), store_id, listing_id)
    if refusal:
        # What was typed stays; what it is compared with on the next save is always the present state.
        form.version.data = str(listing.version)
    form.is_confirmed.data = form.price.data if question else ""
    page = render_template(
        "stores/edit_price.html",
        store=access.get(current_actor(), Store, store_id),
        tab="prices",
        listing=listing,
        form=form,
        refusal=refusal,
        question=question,
    )
    return page, MEANWHILE if refusal else 422 if form.errors else 200


@blueprint.post("/<int:store_id>/prices/<int:listing_id>/send-again")
@requires(Permission.MANAGE_STOCK)
def resend_price(store_id: int, listing_id: int) -> Response:
    """Send a refused price to Amazon once more."""
    listing = listing_queries.get(current_actor(), store_id, listing_id)
    try:
        prices.send_again(current_actor(), listing.id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash(f"The price of {listing.sku_code} goes to Amazon again with the next push.", "success")
    return redirect(_back(store_id), 303)


@blueprint.post("/<int:store_id>/prices/send-again")
@requires(Permission.MANAGE_STOCK)
def resend_prices(store_id: int) -> Response:
    """Send every refused price of the store to Amazon once more."""
    access.get(current_actor(), Store, store_id)
    try:
        n_prices = prices.send_all_again(current_actor(), store_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash(f"{count(n_prices, 'price')} {'goes' if n_prices == 1 else 'go'} to Amazon again with the next push.")
    return redirect(url_for(".prices", store_id=store_id), 303)


def _save(store_id: int, listing_id: int, form: PriceForm) -> Response:
    version = whole(form.version.data) or 0
    changed = prices.change(
        current_actor(), listing_id, form.price.data or "", version=version, reason=form.reason.data or ""
    )
    if changed.version == version:
        flash(f"{changed.sku_code} has that price already: nothing was changed.", "info")
    else:
        flash(f"The price of {changed.sku_code} is saved. It goes to Amazon by itself.", "success")
    return redirect(url_for(".prices", store_id=store_id, q=changed.sku_code), 303)


def _back(store_id: int) -> str:
    """Return the list as it was filtered when the button was pressed."""
    kept: dict[str, Any] = {name: value for name in ("q", "state", "sort", "page") if (value := request.form.get(name))}
    return url_for(".prices", store_id=store_id, **kept)


def _plain(listing: Listing) -> str:
    return "" if listing.price is None else format(listing.price, "f")


def _counted(number: int) -> str:
    return f"{COUNTED_AT_MOST:,} or more" if number >= COUNTED_AT_MOST else count(number)

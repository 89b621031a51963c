"""The Catalog tab of a store: its listings, and the file with all of them."""

from flask import Response as FileResponse
from flask import render_template, request, stream_with_context
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField

from flexdash import clock
from flexdash.blueprints.fields import SkuSortMixin, choices, chosen
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import Page, keyset_page, sifted_page, turned
from flexdash.blueprints.stores import blueprint
from flexdash.blueprints.stores.drafts import redirect_draft
from flexdash.models import Listing, Store
from flexdash.services import access, access_log, csv_export, listing_queries
from flexdash.services.actors import Permission
from flexdash.services.listing_queries import Filters, Only
from flexdash.templating import viewer_zone

ONLY_WORDS = {
    Only.REFUSED_STOCK: "Stock refused by Amazon",
    Only.NO_PRICE: "Without a price",
    Only.REFUSED_PRICE: "Price refused by Amazon",
}
LOOKED_AT = (1_000, 9_000)  # listings per page that are asked whether they have a price: the first, then more


class FilterForm(SkuSortMixin, FlaskForm):
    """What the list of listings is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("SKU, ASIN or barcode")
    only = SelectField(
        "Show", choices=choices(("", "All listings"), *((only.value, words) for only, words in ONLY_WORDS.items()))
    )

    def filters(self) -> Filters:
        """Return what was chosen; a value that is none of the choices narrows nothing."""
        only = chosen(self.only)
        return Filters(text=(self.q.data or "").strip()[:100], only=Only(only) if only else None)


@blueprint.get("/<int:store_id>/catalog")
@requires(Permission.VIEW)
def catalog(store_id: int) -> Response | str:
    """Show the store's listings by SKU, narrowed by the filters in the URL, each with what Amazon was told last."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    form = FilterForm(request.args)
    filters = form.filters()
    page, is_looking = _page(store, filters, is_backwards=form.is_backwards)
    return render_template(
        "stores/catalog.html",
        store=store,
        tab="catalog",
        form=form,
        page=page,
        is_looking=is_looking,
        n_looked_at=sum(LOOKED_AT),
        pushed=listing_queries.pushed(store, page.items),
        is_filtered=filters != Filters(),
        is_empty=not (page.items or is_looking) and listing_queries.is_empty(store),
    )


@blueprint.get("/<int:store_id>/catalog/export.csv")
@requires(Permission.VIEW)
def export_catalog(store_id: int) -> Response:
    """Send every listing in the columns of the catalog's template, while they are read."""
    store = access.get(current_actor(), Store, store_id)
    if away := redirect_draft(store):
        return away
    access_log.exported(current_actor(), "the catalog", store=store)
    day = clock.now().astimezone(viewer_zone()).date()
    return FileResponse(
        stream_with_context(
            csv_export.lines_to_upload(listing_queries.EXPORT_HEADINGS, listing_queries.export_rows(store))
        ),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="catalog-store-{store.id}-{day}.csv"'},
    )


def _page(store: Store, filters: Filters, *, is_backwards: bool) -> tuple[Page, bool]:
    """Return the page of listings, and whether there is more to look through beyond it."""
    query, walked = listing_queries.of_store(current_actor(), store, filters)
    order = turned([(Listing.sku_code, "asc")], is_backwards)
    if filters.only is Only.NO_PRICE:
        return sifted_page(query, listing_queries.HAS_NO_PRICE, order, request.args, windows=LOOKED_AT)
    return keyset_page(query, order, request.args, index=None if walked is None else [walked]), False

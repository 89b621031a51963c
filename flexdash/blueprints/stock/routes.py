"""The list of stock, its export, and putting a SKU into a hub."""

from flask import Response as FileResponse
from flask import flash, redirect, render_template, request, stream_with_context, url_for
from werkzeug.wrappers import Response

from flexdash import clock
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import Page, keyset_page, sifted_page, turned
from flexdash.blueprints.stock import blueprint
from flexdash.blueprints.stock.forms import AddForm, FilterForm
from flexdash.blueprints.stock.released import AT_MOST, released_words
from flexdash.extensions import db
from flexdash.models import Hub, StockLevel
from flexdash.services import access, access_log, csv_export, order_holds, sellers, stock, stock_queries
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import ServiceError
from flexdash.services.stock_queries import Filters, Only
from flexdash.templating import viewer_zone

BY_SKU = [(StockLevel.sku_code, "asc"), (StockLevel.id, "asc")]
LOOKED_AT = (1_000, 9_000)  # levels per page that are asked whether they have a listing: the first, then more


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """List the stock by SKU, narrowed by the filters in the URL, each with what its stores told Amazon."""
    actor = current_actor()
    own_sellers = sellers.all_by_name(actor)
    form = FilterForm(request.args, own_sellers, _hubs(actor))
    filters = form.filters()
    page, is_looking = _page(actor, filters, is_backwards=form.is_backwards)
    return render_template(
        "stock/index.html",
        form=form,
        page=page,
        is_looking=is_looking,
        n_looked_at=sum(LOOKED_AT),
        known=stock_queries.known(page.items),
        sellers=own_sellers,
        is_filtered=filters != Filters(),
        csv_arguments={name: value for name, value in request.args.items() if name not in ("page", "sort") and value},
    )


@blueprint.get("/export.csv")
@requires(Permission.VIEW)
def export() -> FileResponse:
    """Send the stock that the URL's filters let through as a CSV file, while it is read."""
    actor = current_actor()
    filters = FilterForm(request.args, sellers.all_by_name(actor), _hubs(actor)).filters()
    day = clock.now().astimezone(viewer_zone()).date()
    access_log.exported(actor, "the stock")
    rows = stock_queries.export_rows(actor, filters)
    return FileResponse(
        stream_with_context(csv_export.lines_to_upload(stock_queries.EXPORT_HEADINGS, rows)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="stock-{day}.csv"'},
    )


@blueprint.route("/new", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
def new() -> Response | tuple[str, int]:
    """Put a SKU into a hub where it never was; then let go the orders that waited for it."""
    actor = current_actor()
    asked = {"seller": whole(request.args.get("seller")), "hub": whole(request.args.get("hub"))}
    own_sellers = [seller for seller in sellers.all_by_name(actor) if seller.is_active]
    values = asked | {"sku_code": request.args.get("sku", "")[:100]}
    form = AddForm(own_sellers, _hubs(actor), data={name: value for name, value in values.items() if value})
    if form.validate_on_submit():
        typed = (form.sku_code.data or "", form.quantity.data or "")
        try:
            level = stock.add(actor, form.seller.data, form.hub.data, *typed, note=form.note.data or "")
        except ServiceError as refusal:
            form.refuse(refusal)
        else:
            level_id, code, hub = level.id, level.sku_code, access.get(actor, Hub, level.hub_id).name
            on_hand, seller_id = level.on_hand, level.seller_id
            n_released = len(order_holds.release_for_seller(seller_id, sku_code=code, at_most=AT_MOST))
            flash(f"{code} is at {hub} now, with {on_hand:,} on hand.{released_words(n_released)}", "success")
            return redirect(url_for(".detail", level_id=level_id), 303)
    return render_template("stock/new.html", form=form, has_sellers=bool(own_sellers)), 422 if form.errors else 200


def _page(actor: Actor, filters: Filters, *, is_backwards: bool) -> tuple[Page, bool]:
    query, order = stock_queries.of_workspace(actor, filters), turned(BY_SKU, is_backwards)
    load = stock_queries.WITH_PLACES
    if filters.only is Only.NOT_LISTED:
        return sifted_page(query, stock_queries.is_not_listed(), order, request.args, windows=LOOKED_AT, load=load)
    return keyset_page(query.options(*load), order, request.args), False


def _hubs(actor: Actor) -> list[Hub]:
    return list(db.session.scalars(access.visible(actor, Hub).order_by(Hub.name)))

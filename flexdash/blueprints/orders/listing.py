"""The list of orders, drawn by every view that shows it again."""

from dataclasses import replace
from urllib.parse import urlencode

from flask import render_template, url_for
from werkzeug.datastructures import MultiDict

from flexdash.blueprints.guard import current_actor
from flexdash.blueprints.orders.forms import HOLD_WORDS, FilterForm, SaveListForm
from flexdash.blueprints.orders.page import hubs_of
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import db
from flexdash.models import Order, Store, StoreStatus
from flexdash.services import access, orders
from flexdash.services.actors import Actor, Permission
from flexdash.services.amazon_ids import read_ids
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import counts, saved_filters, to_fix
from flexdash.templating import work_counts

RECOVERABLE_STORES = 5  # named where a search finds nothing
SORTS = {"newest": [(Order.id, "desc")], "deadline": [(Order.ship_by_at, "asc"), (Order.id, "asc")]}
KEPT = ("q", "state", "hold", "store", "hub", "needs", "deadline", "sort", "rows")


def query_of(args: MultiDict[str, str]) -> str:
    """Return the filters in `args` as an address has them, without the page and without what is empty."""
    return urlencode([(name, args[name]) for name in KEPT if args.get(name)])


def list_page(args: MultiDict[str, str], *, save_form: SaveListForm | None = None) -> str:
    """Return the list that the filters in `args` leave, with the form that came back with an error in place of a fresh
    one."""
    actor = current_actor()
    form = FilterForm(args, _stores(actor), hubs_of(actor))
    filters = form.filters()
    is_by_deadline = form.sorting() == "deadline"
    listing = orders.listing(actor, filters, is_newest_first=not is_by_deadline)
    if is_by_deadline:
        page = keyset_page(orders.by_deadline(listing.found), SORTS["deadline"], args, form.n_rows())
    else:
        page = keyset_page(listing.found, SORTS["newest"], args, form.n_rows(), index=[listing.newest_by])
    if save_form is not None:  # drawn at another address, which the ways on are not relative to
        here = url_for(".index")
        page = replace(
            page,
            next_url=page.next_url and here + page.next_url,
            previous_url=page.previous_url and here + page.previous_url,
        )
    return render_template(
        "orders/index.html",
        page=page,
        form=form,
        kept={name: args[name] for name in KEPT if args.get(name)},
        save_form=save_form or SaveListForm(formdata=None),
        is_filtered=filters != orders.OrderFilters(),
        n_quarantined=orders.n_quarantined(actor),
        n_conflicts=work_counts().n_conflicts,
        counted_at_most=counts.AT_MOST,
        to_fix=to_fix.of_orders([order.id for order in page.items]),
        saved=saved_filters.of(actor),
        query=query_of(args),
        may_work=actor.may(Permission.WORK_ORDERS),
        number_of=number_of,
        amazon_word=orders.amazon_word,
        hold_words=HOLD_WORDS,
        recoverable_in=[] if page.items else _recoverable_in(actor, filters.store_id),
        sought_id=next(iter(read_ids(filters.text).ids), None),
    )


def _stores(actor: Actor) -> list[Store]:
    return list(db.session.scalars(access.visible(actor, Store).order_by(Store.name)))


def _recoverable_in(actor: Actor, store_id: int | None) -> list[Store]:
    """Return the connected stores, or the one chosen, that an order which is not here may be recovered in."""
    connected = [store for store in _stores(actor) if store.status is StoreStatus.CONNECTED]
    return [store for store in connected if store_id in (None, store.id)][:RECOVERABLE_STORES]

"""The pages of orders."""

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.fields import choices, whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.forms import HOLD_WORDS, FilterForm, QuarantineForm, ReleaseForm
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.extensions import db
from flexdash.models import Hub, Order, OrderState, QuarantinedShipment, Store
from flexdash.services import access, acknowledgement, order_holds, orders
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, ServiceError

SORTS = {"newest": [(Order.id, "desc")], "deadline": [(Order.ship_by_at, "asc"), (Order.id, "asc")]}


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the orders, newest or most urgent first, narrowed by the filters in the URL."""
    actor = current_actor()
    form = FilterForm(request.args, _stores(actor), _hubs(actor))
    filters = form.filters()
    query = orders.listing(actor, filters)
    if form.sorting() == "deadline":
        query = orders.by_deadline(query)
    return render_template(
        "orders/index.html",
        page=keyset_page(query, SORTS[form.sorting()], request.args),
        form=form,
        is_filtered=filters != orders.OrderFilters(),
        n_quarantined=orders.n_quarantined(actor),
        number_of=orders.number_of,
        amazon_word=orders.amazon_word,
        hold_words=HOLD_WORDS,
    )


@blueprint.get("/<int:order_id>")
@requires(Permission.VIEW)
def detail(order_id: int) -> str:
    """Show one order: lines, amounts, holds, timeline, calls to Amazon, the buyer masked."""
    order = orders.load(current_actor(), order_id)
    return _order_page(order, orders.masked_buyer(order), _release_form(order))


@blueprint.post("/<int:order_id>/reveal")
@requires(Permission.REVEAL_BUYERS)
def reveal(order_id: int) -> Response | str:
    """Show the order with its buyer unmasked, once; the timeline says who looked."""
    try:
        _, buyer = orders.reveal_buyer(current_actor(), order_id)
    except orders.BuyerUnreadable as refusal:
        flash(refusal.sentence, "error")
        return redirect(url_for(".detail", order_id=order_id), 303)
    order = orders.load(current_actor(), order_id)
    return _order_page(order, buyer, _release_form(order))


@blueprint.post("/<int:order_id>/release")
@requires(Permission.WORK_ORDERS)
def release(order_id: int) -> Response | tuple[str, int]:
    """Release a held order by hand to a hub."""
    order = orders.load(current_actor(), order_id)
    form = _release_form(order)
    if form is None:
        flash(f"This order is {order.state} and not On Hold any more, so there is nothing to release.", "error")
        return redirect(url_for(".detail", order_id=order_id), 303)
    if form.validate_on_submit():
        try:
            order_holds.release_to(current_actor(), order_id, form.hub_id.data)
        except FieldRefused as refusal:
            form.hub_id.errors = [*form.hub_id.errors, refusal.sentence]
        except ServiceError as refusal:
            flash(refusal.sentence, "error")
            return redirect(url_for(".detail", order_id=order_id), 303)
        else:
            flash(f"{orders.number_of(order_id)} is a New Order now. Amazon is told with the next sync.", "success")
            return redirect(url_for(".detail", order_id=order_id), 303)
    order = orders.load(current_actor(), order_id)
    return _order_page(order, orders.masked_buyer(order), form), 422


@blueprint.post("/<int:order_id>/acknowledge")
@requires(Permission.WORK_ORDERS)
def acknowledge(order_id: int) -> Response:
    """Put a refused acknowledgement back in line."""
    try:
        acknowledgement.ask_again(current_actor(), order_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("The acknowledgement is sent again with the next sync.", "success")
    return redirect(url_for(".detail", order_id=order_id), 303)


@blueprint.get("/quarantine")
@requires(Permission.VIEW)
def quarantine() -> str:
    """Show the shipments that could not be read, with the reason; `store` in the URL narrows them to one store's."""
    actor, store_id = current_actor(), whole(request.args.get("store"))
    store = access.get(actor, Store, store_id) if store_id is not None else None
    form = QuarantineForm(request.args)
    order = turned([(QuarantinedShipment.id, "desc")], form.is_oldest_first)
    page = keyset_page(orders.quarantined(actor, store_id), order, request.args)
    return render_template("orders/quarantine.html", page=page, store=store, form=form)


def _order_page(order: Order, buyer: orders.BuyerView | None, form: ReleaseForm | None) -> str:
    actor = current_actor()
    return render_template(
        "orders/detail.html",
        order=order,
        number=orders.number_of(order.id),
        amazon_word=orders.amazon_word,
        buyer=buyer,
        may_reveal=actor.may(Permission.REVEAL_BUYERS),
        may_work=actor.may(Permission.WORK_ORDERS),
        calls=orders.calls_for(order),
        sku_names=orders.sku_names(order),
        release_form=form,
        hold_words=HOLD_WORDS,
    )


def _release_form(order: Order) -> ReleaseForm | None:
    if order.state is not OrderState.ON_HOLD or not current_actor().may(Permission.WORK_ORDERS):
        return None
    form = ReleaseForm()
    active = (hub for hub in _hubs(current_actor()) if hub.is_active)
    # None is chosen beforehand: a slip would send the order to a warehouse that does not have the goods.
    form.hub_id.choices = choices(("", "Pick a hub"), *((str(hub.id), f"{hub.name} ({hub.code})") for hub in active))
    return form


def _stores(actor: Actor) -> list[Store]:
    return list(db.session.scalars(access.visible(actor, Store).order_by(Store.name)))


def _hubs(actor: Actor) -> list[Hub]:
    return list(db.session.scalars(access.visible(actor, Hub).order_by(Hub.name)))

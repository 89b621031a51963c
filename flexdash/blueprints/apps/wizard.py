"""The wizard: country, name, and out to Amazon. Each step is saved in a draft, so that it can be taken up later."""

from datetime import timedelta

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash import clock
from flexdash.blueprints.apps import blueprint
from flexdash.blueprints.apps.catalogue import chosen_seller, visible_sellers
from flexdash.blueprints.apps.forms import CountryForm, NameForm, PlainForm
from flexdash.blueprints.auth.loader import current_session_id
from flexdash.blueprints.guard import current_actor, requires
from flexdash.extensions import settings
from flexdash.models import Store, StoreStatus
from flexdash.security_headers import allow_form_target
from flexdash.services import access, amazon_powers, connecting, countries, stores
from flexdash.services.actors import Permission
from flexdash.services.errors import FieldRefused

PAGE = "/apps/amazon-seller-flex"
# From Integrate to the first sync, for someone who goes straight on: sign in at Amazon, map a hub, turn the sync on.
SET_UP_TIME = timedelta(minutes=6)


@blueprint.route(f"{PAGE}/new", methods=["GET", "POST"])
@blueprint.route(f"{PAGE}/<int:store_id>/country", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def country(store_id: int | None = None) -> Response | str | tuple[str, int]:
    """Ask for the country: of a new store, or again of a draft. `q` narrows the list."""
    actor = current_actor()
    store = None
    if store_id is not None:
        store = access.get(actor, Store, store_id)
        if store.status is not StoreStatus.DRAFT:
            return _to_store(store)
        seller = store.seller
    else:
        seller = chosen_seller(actor, visible_sellers(actor))
        if seller is None:
            flash("Choose the seller first: a store belongs to one.", "info")
            return redirect(url_for(".seller_flex"), 303)

    search = request.args.get("q", "")
    found = countries.search(search)
    form = CountryForm(found, country=store.country_code if store else None)
    if form.validate_on_submit():
        if store is None:
            store = stores.start_draft(actor, seller.id, form.country.data)
        else:
            store = stores.change_country(actor, store.id, form.country.data)
        return redirect(url_for(".name", store_id=store.id), 303)
    page = render_template(
        "apps/country.html",
        form=form,
        store=store,
        seller=seller,
        search=search,
        rows=list(zip(found, form.country, strict=True)),
        flex_words=countries.SELLER_FLEX_WORDS,
        note_on=countries.note_on,
    )
    return page, 422 if form.errors else 200


@blueprint.route(f"{PAGE}/<int:store_id>/name", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def name(store_id: int) -> Response | str | tuple[str, int]:
    """Ask for the draft's name."""
    store = access.get(current_actor(), Store, store_id)
    if store.status is not StoreStatus.DRAFT:
        return _to_store(store)
    country_name = countries.name_of(store.country_code)
    form = NameForm(name=store.name or f"{store.seller.name} {country_name}"[: stores.MAX_NAME_LENGTH])
    if form.validate_on_submit():
        try:
            stores.rename(current_actor(), store_id, form.name.data)
        except FieldRefused as refusal:
            form.name.errors = [*form.name.errors, refusal.sentence]
        else:
            return redirect(url_for(".integrate", store_id=store_id), 303)
    page = render_template("apps/name.html", form=form, store=store, country_name=country_name)
    return page, 422 if form.errors else 200


@blueprint.route(f"{PAGE}/<int:store_id>/integrate", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def integrate(store_id: int) -> Response | str | tuple[str, int]:
    """Say what FlexDash will be allowed to do and what happens next; then send the browser to Amazon."""
    store = access.get(current_actor(), Store, store_id)
    if store.status is not StoreStatus.DRAFT:
        return _to_store(store)
    if not store.name:
        return redirect(url_for(".name", store_id=store_id), 303)
    allow_form_target(connecting.consent_origin(store))
    form = PlainForm()
    if form.validate_on_submit():
        try:
            return redirect(connecting.begin(current_actor(), session_id(), store_id), 303)
        except FieldRefused as refusal:
            flash(refusal.sentence, "error")
            return redirect(url_for(".name", store_id=store_id), 303)
    page = render_template(
        "apps/integrate.html",
        form=form,
        store=store,
        country_name=countries.name_of(store.country_code),
        reads=amazon_powers.READS,
        changes=amazon_powers.CHANGES,
        never=amazon_powers.NEVER,
        first_sync_at=clock.now() + SET_UP_TIME,
        interval_minutes=settings.order_pull_interval_minutes,
    )
    return page, 422 if form.errors else 200


@blueprint.route(f"{PAGE}/<int:store_id>/discard", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def discard(store_id: int) -> Response | str | tuple[str, int]:
    """Ask before a draft is thrown away."""
    store = access.get(current_actor(), Store, store_id)
    if store.status is not StoreStatus.DRAFT:
        return _to_store(store)
    seller_id, shown_name = store.seller_id, store.name or "The draft"
    form = PlainForm()
    if form.validate_on_submit():
        stores.discard_draft(current_actor(), store_id)
        flash(f"{shown_name} is discarded.", "success")
        return redirect(url_for(".seller_flex", seller=seller_id), 303)
    page = render_template(
        "apps/discard.html", form=form, store=store, country_name=countries.name_of(store.country_code)
    )
    return page, 422 if form.errors else 200


def session_id() -> int:
    """Return the id of the browser's session; a view that needs one is only reached with it."""
    found = current_session_id()
    if found is None:
        abort(403)
    return found


def _to_store(store: Store) -> Response:
    flash(f"{store.name} has been connected already: the wizard is over for it.", "info")
    return redirect(url_for("stores.overview", store_id=store.id), 303)

"""The way in that begins at Amazon: its Appstore or its Re-Authorize button opens FlexDash first."""

from urllib.parse import urlsplit

from flask import flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.apps import blueprint
from flexdash.blueprints.apps.catalogue import visible_sellers
from flexdash.blueprints.apps.forms import NEW_STORE, LoginFirstForm
from flexdash.blueprints.apps.wizard import session_id
from flexdash.blueprints.guard import current_actor, requires
from flexdash.extensions import db
from flexdash.models import Store
from flexdash.security_headers import allow_form_target
from flexdash.services import access, connecting, countries, stores
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, ServiceError


@blueprint.route("/amazon/login", methods=["GET", "POST"])
@requires(Permission.CONNECT_STORES)
def login_first() -> Response | str | tuple[str, int]:
    """Ask which store Amazon's visit is for, then send the browser back to where Amazon waits."""
    actor = current_actor()
    amazon_callback_uri = request.args.get("amazon_callback_uri", "")
    amazon_state = request.args.get("amazon_state", "")
    account = request.args.get("selling_partner_id", "")
    try:
        connecting.check_login_first(amazon_callback_uri)
    except connecting.UntrustedAddress:
        return render_template("apps/_untrusted_address.html"), 400

    own = stores.list_of_account(actor, account)
    form = LoginFirstForm(_choices(own or _candidates(actor)), visible_sellers(actor))
    if request.method != "POST":
        form.store.data = str(own[0].id) if own else NEW_STORE
    target = urlsplit(amazon_callback_uri)
    allow_form_target(f"{target.scheme}://{target.netloc}")
    if form.validate_on_submit():
        try:
            store_id = _chosen_store(actor, form)
            return redirect(
                connecting.begin_login_first(actor, session_id(), store_id, amazon_callback_uri, amazon_state), 303
            )
        except FieldRefused as refusal:
            field = {"name": form.name, "country": form.country}.get(refusal.field, form.store)
            field.errors = [*field.errors, refusal.sentence]
        except ServiceError as refusal:
            flash(refusal.sentence, "error")
            return redirect(url_for(".index"), 303)
    page = render_template("apps/login_first.html", form=form, account=account, is_known=bool(own))
    return page, 422 if form.errors else 200


def _candidates(actor: Actor) -> list[Store]:
    """Return the stores that a visit from an account nobody has connected yet may be for: named drafts."""
    query = access.visible(actor, Store).where(Store.amazon_selling_partner_id.is_(None), Store.name != "")
    return list(db.session.scalars(query.order_by(Store.name, Store.id)))


def _choices(found: list[Store]) -> list[tuple[str, str]]:
    return [
        (str(store.id), f"{store.name}: {store.seller.name}, {countries.name_of(store.country_code)}")
        for store in found
    ]


def _chosen_store(actor: Actor, form: LoginFirstForm) -> int:
    if form.store.data != NEW_STORE:
        return int(form.store.data)
    return stores.start_draft(actor, int(form.seller.data), form.country.data, form.name.data).id

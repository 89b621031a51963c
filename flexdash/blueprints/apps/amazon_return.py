"""Where Amazon sends the browser back to, and the page that says what came of it."""

from urllib.parse import urlsplit

from flask import abort, flash, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from flexdash.blueprints.apps import blueprint
from flexdash.blueprints.apps.return_words import words_for
from flexdash.blueprints.auth.loader import current_session_id
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.models import Store, StoreStatus
from flexdash.security_headers import allow_form_target
from flexdash.services import access, authorization, connecting, countries
from flexdash.services.actors import Permission
from flexdash.services.authorization import Outcome, ReturnRefused
from flexdash.services.connecting import AmazonAnswer
from flexdash.services.errors import NotVisible

# What a page without a trip of the person's own can be about; all else is read from the trip itself.
_WITHOUT_TRIP = {
    Outcome.STATE_MISSING,
    Outcome.STATE_UNKNOWN,
    Outcome.OTHER_USER,
    Outcome.SIGNED_OUT,
    Outcome.WITHDRAWN,
}
# What the trip does not know of itself: it is still good, or ended another way before.
_ABOUT_THIS_RETURN = {Outcome.OTHER_SESSION, Outcome.SIGNED_OUT, Outcome.STATE_USED, Outcome.STATE_EXPIRED}


@blueprint.before_app_request
def leave_the_code_behind() -> Response | None:
    """Let nobody carry Amazon's code to the sign-in page or a refusal: only the trip's reference goes with them."""
    if request.endpoint != "apps.callback":
        return None
    reference = authorization.reference_of(request.args.get("state", ""))
    if current_user.is_authenticated:
        if current_actor().may(Permission.CONNECT_STORES):
            return None
        return redirect(url_for("apps.amazon_return", reference=reference), 303)
    page = url_for("apps.amazon_return", reference=reference, problem=Outcome.SIGNED_OUT.value)
    flash("You were signed out while you were at Amazon. Sign in, then try again: it takes one click.", "warning")
    return redirect(url_for("auth.sign_in", next=page), 303)


@blueprint.get("/amazon/callback")
@requires(Permission.CONNECT_STORES)
def callback() -> Response:
    """Take Amazon's return. The answer is always a redirect, so that the code leaves the address bar."""
    answer = AmazonAnswer(
        state=request.args.get("state", ""),
        code=request.args.get("spapi_oauth_code", ""),
        amazon_selling_partner_id=request.args.get("selling_partner_id", ""),
        error=request.args.get("error", ""),
        error_description=request.args.get("error_description", ""),
    )
    try:
        connected = connecting.finish(current_actor(), current_session_id(), answer)
    except ReturnRefused as refusal:
        page = url_for(
            ".amazon_return",
            reference=refusal.reference,
            problem=refusal.outcome.value,
            other=refusal.other_store_id,
        )
        return redirect(page, 303)
    store = access.get(current_actor(), Store, connected.store_id)
    if connected.is_first_time:
        flash(f"{store.name} is connected to Amazon. The list below says what is left to do.", "success")
    else:
        flash(f"{store.name} is authorized anew. Its settings and mappings are as they were.", "success")
    if connected.note:
        flash(connected.note, "warning")
    return redirect(url_for("stores.overview", store_id=store.id), 303)


@blueprint.get("/amazon/return/<reference>")
@requires(Permission.CONNECT_STORES)
def amazon_return(reference: str) -> Response | str:
    """Say what came of a trip to Amazon, what it means and what to do next, with one *Try again*."""
    if not authorization.is_reference(reference):
        abort(404)
    told = _outcome(request.args.get("problem", ""))
    trip = authorization.find_trip(current_actor(), reference)
    if trip is None:
        if told not in _WITHOUT_TRIP:
            abort(404)
        return _page(reference, told, authorization.latest_store(current_actor()))
    store = _store(trip.store_id or 0)
    if trip.outcome is Outcome.CONNECTED and store is not None:
        flash(f"{store.name} is connected to Amazon.", "success")
        return redirect(url_for("stores.overview", store_id=store.id), 303)
    is_unfinished = trip.outcome in (Outcome.BEING_HANDLED, Outcome.INTERRUPTED)
    outcome = told if told in _ABOUT_THIS_RETURN and not is_unfinished else trip.outcome
    if outcome is trip.outcome and not trip.is_over and not is_unfinished:
        abort(404)  # nobody has come back from this trip yet, so there is nothing to tell
    return _page(reference, outcome, store)


def _page(reference: str, outcome: Outcome, store: Store | None) -> str:
    again = None
    if store is not None:
        again = url_for(
            "apps.integrate" if store.status is StoreStatus.DRAFT else "stores.reconnect", store_id=store.id
        )
        # Try again is a form that ends at Amazon, by way of a redirect.
        allow_form_target(connecting.consent_origin(store))
    return render_template(
        "apps/amazon_return.html",
        words=words_for(outcome, is_disconnected=store is not None and store.status is StoreStatus.DISCONNECTED),
        outcome=outcome,
        reference=reference,
        store=store,
        other=_store(whole(request.args.get("other")) or 0) if outcome is Outcome.ALREADY_CONNECTED else None,
        is_draft=store is not None and store.status is StoreStatus.DRAFT,
        country_name=countries.name_of(store.country_code) if store else "",
        seller_central=urlsplit(connecting.consent_origin(store)).netloc if store else "",
        try_again_url=again,
    )


def _outcome(text: str) -> Outcome | None:
    try:
        return Outcome(text)
    except ValueError:
        return None


def _store(store_id: int) -> Store | None:
    try:
        return access.get(current_actor(), Store, store_id)
    except NotVisible:
        return None

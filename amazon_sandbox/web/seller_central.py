"""Seller Central as a seller meets it while authorizing an app: sign-in, consent, and the Appstore's way round."""

import hmac
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, session, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from amazon_sandbox.config import Config, is_loopback
from amazon_sandbox.web import guard
from amazon_sandbox.web.gate import config, world
from amazon_sandbox.world import accounts

CONSENT_FIELDS = ("application_id", "state", "redirect_uri", "version")
LOGIN_FIRST_SECONDS = 1800
ROLES = (
    (
        "Inventory and Order Tracking",
        "Read your orders and shipments, confirm them, and publish how many units you have at each location.",
    ),
    (
        "Direct-to-Consumer Shipping (Restricted)",
        "See the buyer's name, address and phone number, as far as they are needed to ship an order.",
    ),
    (
        "Product Listing",
        "Read your listings, and set the prices of what you sell.",
    ),
)
DENIED = {"error": "access_denied", "error_description": "The selling partner denied the request."}
blueprint = Blueprint("seller_central", __name__)
blueprint.before_request(guard.refuse_other_origins)


@blueprint.get("/apps/authorize/consent")
@blueprint.get("/<country_code>/apps/authorize/consent")
def consent(country_code: str = "") -> Response:
    """The consent page an app sends its user to; the sign-in page first when nobody is signed in."""
    given = {name: request.args.get(name, "") for name in CONSENT_FIELDS}
    problem = _problem(given)
    if problem is not None:
        return problem
    account = accounts.BY_ID.get(session.get("seller_id", ""))
    if account is None:
        country_code = country_code or request.args.get("country", "")
        return _page(
            "seller/sign_in.html", accounts=_sorted_for(country_code), onward=request.full_path, country=country_code
        )
    redirect_uri = _redirect_uri(given["redirect_uri"])
    return _page(
        "seller/consent.html",
        redirects_to=redirect_uri,
        account=account,
        given=given,
        roles=ROLES,
        onward=request.full_path,
        destination=urlsplit(redirect_uri).netloc,
    )


@blueprint.get("/orders-v3/order/<order_id>")
def order(order_id: str) -> Response:
    """An order's page of Seller Central: the sandbox's page of its shipment, where its invoice can be made ready."""
    record = world().shelf.find_by_order(order_id)
    if record is None:
        abort(404)
    return redirect(url_for("control.shipment", shipment_id=record.id))


@blueprint.post("/apps/authorize/sign-in")
def sign_in() -> Response:
    """Signs in as the chosen demo seller and goes on."""
    onward = _own_path(request.form.get("onward", ""))
    account = accounts.BY_ID.get(request.form.get("seller_id", ""))
    if account is None:
        return _page(
            "seller/sign_in.html",
            status=400,
            accounts=accounts.ACCOUNTS,
            onward=onward,
            country="",
            error="Choose the seller account to sign in with.",
        )
    session["seller_id"] = account.selling_partner_id
    return redirect(onward, 303)


@blueprint.post("/apps/authorize/sign-out")
def sign_out() -> Response:
    """Signs out, so that another account can be chosen."""
    session.clear()
    return redirect(_own_path(request.form.get("onward", "")), 303)


@blueprint.post("/apps/authorize/decision")
def decide() -> Response:
    """Back to the app, with a code when allowed, or with access_denied."""
    given = {name: request.form.get(name, "") for name in CONSENT_FIELDS}
    problem = _problem(given)
    if problem is not None:
        return problem
    seller_id = session.get("seller_id", "")
    if seller_id not in accounts.BY_ID:
        return redirect(url_for(".consent", **{k: v for k, v in given.items() if v}), 303)
    redirect_uri = _redirect_uri(given["redirect_uri"])
    if request.form.get("decision") != "allow":
        return _back(redirect_uri, {**DENIED, "state": given["state"]})
    return _grant(seller_id, redirect_uri, given["state"])


@blueprint.get("/appstore")
def appstore() -> Response:
    """The app's page in the Appstore, from where a seller may authorize it without having opened it first."""
    account = accounts.BY_ID.get(session.get("seller_id", ""))
    if account is None:
        return _page("seller/sign_in.html", accounts=accounts.ACCOUNTS, onward=request.path, country="")
    return _appstore_page(account, config().app_login_uri)


@blueprint.post("/appstore/authorize")
def appstore_authorize() -> Response:
    """Opens the app's login address with Amazon's callback, as the Appstore does."""
    account = accounts.BY_ID.get(session.get("seller_id", ""))
    if account is None:
        return redirect(url_for(".appstore"), 303)
    login_uri = request.form.get("login_uri", "").strip()
    if not is_loopback(login_uri) and login_uri != config().app_login_uri:
        return _appstore_page(account, login_uri, "Enter a login address on this machine, such as the one shown.")
    told = {"seller_id": account.selling_partner_id, "good_until": world().clock.now() + LOGIN_FIRST_SECONDS}
    query = {
        "amazon_callback_uri": f"{_public_url()}/apps/authorize/confirm/{config().application_id}",
        "amazon_state": _signer().dumps(told),
        "selling_partner_id": account.selling_partner_id,
    }
    if world().options.app_is_draft:
        query["version"] = "beta"
    return _back(login_uri, query)


@blueprint.get("/apps/authorize/confirm/<application_id>")
def confirm(application_id: str) -> Response:
    """Where the app sends the seller after its own sign-in; goes on to the app's redirect URI with a code."""
    given = {name: request.args.get(name, "") for name in CONSENT_FIELDS} | {"application_id": application_id}
    problem = _problem(given)
    if problem is not None:
        return problem
    try:
        told = _signer().loads(request.args.get("amazon_state", ""))
    except BadSignature:
        told = None
    if told is None or told["good_until"] < world().clock.now():
        return _error("", "The app came back with an amazon_state that is unknown or too old. Start again.")
    return _grant(told["seller_id"], _redirect_uri(given["redirect_uri"]), given["state"])


def _problem(given: dict[str, str]) -> Response | None:
    """The error page for a request that Amazon would not take, or None."""
    if not hmac.compare_digest(given["application_id"].encode(), config().application_id.encode()):
        return _error("", f"There is no app with the id “{given['application_id']}” in this sandbox.")
    if world().options.app_is_draft and given["version"] != "beta":
        return _error("MD1000", "The app is a draft. Its authorization address must carry version=beta.")
    redirect_uri = _redirect_uri(given["redirect_uri"])
    if not redirect_uri or not config().is_registered(redirect_uri):
        return _error("MD5101", f"The redirect address “{given['redirect_uri']}” is not registered for this app.")
    if not given["state"]:
        return _error("", "The authorization address has no state, so the app could not tell whose return this is.")
    return None


def _redirect_uri(given: str) -> str:
    """The address to return to: the one given, else the app's first registered one."""
    registered = config().redirect_uris
    return given or (registered[0] if registered else "")


def _grant(seller_id: str, redirect_uri: str, state: str) -> Response:
    code = world().authorizations.new_code(seller_id, config().client_id, redirect_uri)
    return _back(redirect_uri, {"state": state, "selling_partner_id": seller_id, "spapi_oauth_code": code})


def _back(address: str, query: dict[str, str]) -> Response:
    separator = "&" if urlsplit(address).query else "?"
    response = redirect(f"{address}{separator}{urlencode(query)}", 303)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _error(code: str, why: str) -> Response:
    return _page("seller/error.html", status=400, code=code, why=why)


def _appstore_page(account: accounts.Account, login_uri: str, error: str = "") -> Response:
    return _page(
        "seller/appstore.html",
        status=400 if error else 200,
        redirects_to="" if error else login_uri,
        account=account,
        login_uri=login_uri,
        roles=ROLES,
        onward=url_for(".appstore"),
        error=error,
    )


def _page(template: str, *, status: int = 200, redirects_to: str = "", **values: object) -> Response:
    """A page whose form may lead on to `redirects_to`: browsers hold form-action against redirects too."""
    response = make_response(render_template(template, config=config(), **values), status)
    targets = {"'self'"}
    if redirects_to:
        targets.add("{0.scheme}://{0.netloc}".format(urlsplit(redirects_to)))
    if template == "seller/appstore.html":
        targets |= {"http://127.0.0.1:*", "http://localhost:*"}
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {' '.join(sorted(targets))}"
    )
    return response


def _sorted_for(country_code: str) -> list[accounts.Account]:
    wanted = country_code.upper()
    return sorted(accounts.ACCOUNTS, key=lambda account: account.marketplace.country_code != wanted)


def _own_path(onward: str) -> str:
    """The path to go on to, if it is one of ours; else the Appstore page."""
    parts = urlsplit(onward)
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith("/") and "\\" not in onward
    return onward if is_ours and not onward.startswith("//") else url_for("seller_central.appstore")


def _public_url() -> str:
    settings: Config = config()
    return settings.public_url or request.host_url.rstrip("/")


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(world().secret, salt="login-first")

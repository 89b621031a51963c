"""The sandbox as a Flask application."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from amazon_sandbox.config import Config
from amazon_sandbox.web import (
    catalog_pages,
    control_api,
    control_pages,
    control_returns,
    documents_api,
    feeds_api,
    inventory_api,
    listings_api,
    packages_api,
    returns_api,
    seller_central,
    sellers_api,
    shipments_api,
    token_service,
)
from amazon_sandbox.world.errors import ApiError
from amazon_sandbox.world.world import World

MAX_BODY_BYTES = 2_000_000
API_PREFIXES = (
    "/externalFulfillment/",
    "/listings/",
    "/feeds/",
    "/documents/",
    "/sellers/",
    "/auth/",
    "/control/",
    "/healthz",
)


class RestConverter(BaseConverter):
    """All that is left of an address, slashes included."""

    regex = ".+"
    part_isolating = False


def create_app(
    config: Config | None = None,
    *,
    data_dir: Path | str | None = None,
    clock: Callable[[], float] | None = None,
) -> Flask:
    """The application with its world loaded from the data folder (in memory when there is none). `data_dir`
    overrides the configuration's; `clock` gives seconds since 1970 in place of the system's time."""
    config = config or Config()
    if data_dir is not None:
        config = replace(config, data_dir=Path(data_dir))
    app = Flask(__name__)
    world = World(config.data_dir, clock, app_is_draft=config.app_is_draft)
    app.extensions["sandbox_world"] = world
    app.extensions["sandbox_config"] = config
    app.secret_key = world.secret
    app.config.update(
        SESSION_COOKIE_NAME="sandbox_seller_central",  # cookies ignore ports: never the caller's own name
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
    )
    app.json.sort_keys = False
    app.url_map.converters["rest"] = RestConverter
    app.url_map.merge_slashes = False  # a SKU may begin with one, or hold two
    for part in (
        token_service,
        shipments_api,
        packages_api,
        documents_api,
        inventory_api,
        listings_api,
        feeds_api,
        returns_api,
        sellers_api,
        seller_central,
        control_api,
        control_returns,
        control_pages,
        catalog_pages,
    ):
        app.register_blueprint(part.blueprint)
    app.add_url_rule("/healthz", view_func=lambda: {"status": "ok", "instance": config.instance}, endpoint="healthz")
    app.register_error_handler(HTTPException, _refusal)
    app.after_request(_page_headers)
    return app


def _refusal(error: HTTPException) -> tuple[str | dict, int]:
    """What callers of the API and people see for an address that does not exist, or a fault of the sandbox."""
    status = error.code or 500
    if request.path.startswith(API_PREFIXES):
        codes = {404: "SC_00003", 500: "SC_00000"}
        return ApiError(status, codes.get(status, "SC_00002"), error.name, error.description or "").body(), status
    return render_template("refusal.html", status=status, name=error.name), status


def _page_headers(response: Response) -> Response:
    """Headers of pages people look at; the API's answers stay as Amazon's are."""
    if request.path.startswith(API_PREFIXES):
        return response
    headers = response.headers
    headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
    )
    headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: with it browsers send `Origin: null`, and forms are checked by their origin.
    headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "static":
        headers["Cache-Control"] = "no-store"
    return response

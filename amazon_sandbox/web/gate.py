"""What every Selling Partner API call passes: latency, token, usage plan, faults, headers and counts."""

import functools
import json
import time
import uuid
from collections.abc import Callable, Collection
from typing import Any

from flask import Response, current_app, request

from amazon_sandbox.config import Config
from amazon_sandbox.web import connection
from amazon_sandbox.world import errors
from amazon_sandbox.world.errors import ApiError
from amazon_sandbox.world.faults import Fault
from amazon_sandbox.world.inventory import sku_codes_in
from amazon_sandbox.world.world import World

Answer = tuple[int, bytes | dict[str, Any] | None]
MAX_BODY_BYTES = 1_000_000
HTML = b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>Something went wrong</h1></body></html>"
# Statuses for which the models declare x-amzn-RateLimit-Limit; that of the Sellers API has it on nearly all.
LIMIT_STATUSES = (200, 201, 202, 204, 207, 400, 404)
SELLERS_LIMIT_STATUSES = (*LIMIT_STATUSES, 413, 415, 429, 500, 503)
BEFORE = ("cut", "html_instead_of_json", "error_500", "error_503")
AFTER_TOKEN = ("expired_token", "revoked_token", "access_denied", "throttle", "error_400")
AFTER_WORK = ("drop_after_effect", "cut_body")


def world() -> World:
    """The world of the running app."""
    return current_app.extensions["sandbox_world"]


def config() -> Config:
    """The settings of the running app."""
    return current_app.extensions["sandbox_config"]


def amazon_operation(name: str) -> Callable[[Callable[..., Answer]], Callable[..., Response]]:
    """Makes a view of a function `(seller_id, **path) -> (status, body)` of the named operation."""

    def wrap(work: Callable[..., Answer]) -> Callable[..., Response]:
        @functools.wraps(work)
        def view(**path: str) -> Response:
            here = world()
            here.stats.begin(name)
            outcome = "cut"
            try:
                response = _pass(here, name, work, path)
                if response is None:
                    return connection.cut(request.environ)
                if not response.headers.get("Connection"):
                    outcome = str(response.status_code)
                return response
            finally:
                here.stats.end(name, outcome)

        return view

    return wrap


def _pass(here: World, name: str, work: Callable[..., Answer], path: dict[str, str]) -> Response | None:
    """The answer of one call, or None when its connection is to be cut."""
    token = request.headers.get("x-amz-access-token")
    claimed_id = here.authorizations.claimed_seller(token)
    about = {"shipment_id": path.get("shipment_id"), "sku_codes": _sku_codes(path) if here.faults.all() else ()}
    if not wait(here, name, seller_id=claimed_id, **about):
        return None
    seller_id = None
    try:
        fault = here.faults.fires(BEFORE, name, seller_id=claimed_id, **about)
        if fault is not None:
            if fault.kind == "cut":
                return None
            if fault.kind == "html_instead_of_json":
                return Response(HTML, fault.status, mimetype="text/html")
            raise unavailable(fault)
        seller_id = here.authorizations.seller_of(token)
        _refuse_by_fault(here.faults.fires(AFTER_TOKEN, name, seller_id=seller_id, **about))
        if not here.plans.is_allowed(seller_id, name):
            raise errors.throttled()
        record = here.shelf.find(path.get("shipment_id", ""), seller_id)
        if record and here.faults.fires(("vanished",), name, seller_id=seller_id, shipment_id=record.id):
            raise errors.not_found(f"Shipment {record.id} does not exist.")
        if record and here.faults.fires(("names_buyer",), name, seller_id=seller_id, shipment_id=record.id):
            raise errors.names_buyer(record.shipment()["shippingInfo"].get("shipToAddress", {}))
        status, body = work(seller_id, **path)
    except ApiError as error:
        status, body = error.status, error.body()
    response = _response(here, name, status, body)
    if status < 400:
        fault = here.faults.fires(AFTER_WORK, name, seller_id=seller_id, **about)
        if fault is not None and fault.kind == "drop_after_effect":
            return None
        if fault is not None:
            return connection.cut_within_body(request.environ, response)
    return response


def wait(here: World, name: str, **about: Any) -> bool:
    """The latency set for every answer, and the faults `slow` and `held`. Whether the call is to go on: one that was
    held when the world was emptied is about nothing any more."""
    milliseconds = here.options.latency_ms
    fault = here.faults.fires(("slow", "held"), name, **about)
    if fault is not None and fault.kind == "held":
        if not here.faults.wait_until_off(fault):
            return False
    elif fault is not None:
        milliseconds += fault.ms
    if milliseconds:
        time.sleep(milliseconds / 1000)
    return True


def _sku_codes(path: dict[str, str]) -> Collection[str]:
    """The SKUs that the call is about: the one of its path, or those of a batch's lines."""
    if "sku_code" in path:
        return (path["sku_code"],)
    return sku_codes_in(request.get_json(silent=True)) if request.is_json else ()


def unavailable(fault: Fault) -> ApiError:
    """The error a 500 or 503 fault answers."""
    if fault.kind == "error_500":
        return ApiError(500, "SC_00000", "InternalFailure", "A fault set in the sandbox.")
    return ApiError(503, "SC_00001", "ServiceUnavailable", "A fault set in the sandbox; try again later.")


def _refuse_by_fault(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.kind == "throttle":
        raise errors.throttled()
    if fault.kind == "error_400":
        raise errors.invalid_input("A fault set in the sandbox.")
    details = {"expired_token": errors.TOKEN_EXPIRED, "revoked_token": errors.TOKEN_REVOKED}
    raise errors.access_denied(details.get(fault.kind, ""))


def _response(here: World, name: str, status: int, body: bytes | dict[str, Any] | None) -> Response:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    response = Response(content, status, mimetype="application/json" if content is not None else None)
    if content is None:
        del response.headers["Content-Type"]
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    limit = here.plans.rate_limit(name)
    is_sellers = name == "getMarketplaceParticipations"
    if limit is not None and status in (SELLERS_LIMIT_STATUSES if is_sellers else LIMIT_STATUSES):
        response.headers["x-amzn-RateLimit-Limit"] = limit
    return response


def json_body(*, is_required: bool) -> Any:
    """The request's JSON body, None when there is none. ApiError 400, 413 or 415 when it cannot be taken."""
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise ApiError(413, "RequestTooLarge", "The request size exceeded the maximum accepted size.")
    content = request.get_data()
    if not content:
        if is_required:
            raise errors.invalid_input("The request needs a body.")
        return None
    if request.mimetype != "application/json":
        raise ApiError(415, "UnsupportedMediaType", "The body must be application/json.")
    try:
        return json.loads(content)
    except ValueError as error:
        raise errors.invalid_input("The body is not JSON.") from error


def query(*allowed: str) -> dict[str, str]:
    """The query's parameters, each at most once. ApiError 400 for one the operation does not have."""
    found = {}
    for name, values in request.args.lists():
        if name not in allowed:
            raise errors.invalid_input(f"Unknown parameter {name}.")
        if len(values) > 1:
            raise errors.invalid_input(f"{name} may be given once only.")
        found[name] = values[0]
    return found

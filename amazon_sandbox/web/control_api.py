"""The sandbox's controls as JSON calls under /control/."""

import json
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, request

from amazon_sandbox.web import guard
from amazon_sandbox.web.control_input import fault_limits, order_request, seller_named, whole
from amazon_sandbox.web.gate import config, world
from amazon_sandbox.world import accounts
from amazon_sandbox.world.errors import ApiError
from amazon_sandbox.world.feeds import Feed
from amazon_sandbox.world.inventory import MAX_UNITS
from amazon_sandbox.world.listings import Listing
from amazon_sandbox.world.shelf import Record

blueprint = Blueprint("control_api", __name__, url_prefix="/control")
blueprint.before_request(guard.refuse_other_machines)
blueprint.before_request(guard.refuse_other_origins)
EFFECTS = ("confirm", "reject", "packages", "update_package", "invoice", "labels", "relabels", "shipped", "delivered")


@blueprint.errorhandler(ValueError)
def bad_value(error: ValueError) -> tuple[dict[str, str], int]:
    """400 with what is wrong."""
    return {"error": str(error)}, 400


@blueprint.errorhandler(ApiError)
def refused(error: ApiError) -> tuple[dict[str, str], int]:
    """Amazon's own refusal, in the control calls' form."""
    return {"error": error.details or error.message}, error.status


def _body(*known: str) -> dict[str, Any]:
    """The call's JSON object, empty when nothing was sent. ValueError for anything else."""
    content = request.get_data()
    found = json.loads(content) if content else {}
    if not isinstance(found, dict):
        raise ValueError("the body must be a JSON object")
    if known and set(found) - set(known):
        raise ValueError(f"unknown field {min(set(found) - set(known))!r}; known are {', '.join(known)}")
    return found


def _summary(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "seller_id": record.seller_id,
        "location_id": record.location_id,
        "marketplace_id": record.marketplace_id,
        "channel_name": record.channel_name,
        "status": record.status,
        "updated_ms": record.updated_ms,
        "odd": record.odd,
        "effects": record.effects,
    }


def _listing(listing: Listing) -> dict[str, Any]:
    price, highest = listing.price(), listing.price("maximum_retail_price")
    return {
        "sku_code": listing.sku_code,
        "asin": listing.asin,
        "currency": listing.account.marketplace.currency,
        "price": None if price is None else str(price),
        "mrp": None if highest is None else str(highest),
        "attributes": listing.attributes,
        "n_pending": len(listing.pending),
    }


def _feed(feed: Feed) -> dict[str, Any]:
    document = world().feed_documents.find(feed.document_id)
    n_bytes = len(document.content or b"") if document else 0
    return {"seller_id": feed.seller_id, "document_id": feed.document_id, "n_bytes": n_bytes, **feed.body()}


@blueprint.post("/orders")
def create_orders() -> dict[str, Any]:
    """Creates shipments; answers their ids."""
    records = world().create_orders(order_request(_body()))
    return {"count": len(records), "ids": [record.id for record in records]}


@blueprint.get("/shipments")
def shipments() -> dict[str, Any]:
    """Shipments, newest first, filtered by status, seller_id, location_id; limit (default 1000) and offset."""
    given = request.args
    found = [
        record
        for record in world().shelf.newest_first()
        if given.get("status") in (None, record.status)
        and given.get("seller_id") in (None, record.seller_id)
        and given.get("location_id") in (None, record.location_id)
    ]
    offset, limit = int(given.get("offset", 0)), int(given.get("limit", 1000))
    return {"count": len(found), "shipments": [_summary(record) for record in found[offset : offset + limit]]}


@blueprint.get("/shipments/<shipment_id>")
def shipment(shipment_id: str) -> dict[str, Any]:
    """One shipment: its summary, and the body Amazon would answer."""
    with world().journey.of(None, shipment_id) as record:
        return {**_summary(record), "body": record.shipment()}


@blueprint.post("/shipments/<shipment_id>/cancel")
def cancel(shipment_id: str) -> dict[str, Any]:
    """Cancels as the buyer; `by`: buyer or system, `reason`: text."""
    body = _body("by", "reason")
    kind = {"buyer": "MARKETPLACE_CANCELLED", "system": "SYSTEM_CANCELLED"}.get(body.get("by", "buyer"))
    if kind is None:
        raise ValueError("by must be buyer or system")
    return _summary(world().journey.cancel(shipment_id, kind, str(body.get("reason", ""))))


@blueprint.post("/shipments/<shipment_id>/move")
def move(shipment_id: str) -> dict[str, Any]:
    """Moves a shipment on to a later `status`, as Amazon would."""
    return _summary(world().journey.move(shipment_id, str(_body("status").get("status", ""))))


@blueprint.post("/shipments/<shipment_id>/invoice")
def invoice(shipment_id: str) -> dict[str, Any]:
    """Sets whether the invoice can be had; `status`: AVAILABLE, NOT_AVAILABLE or PENDING."""
    status = str(_body("status").get("status", "AVAILABLE"))
    return _summary(world().journey.set_invoice_status(shipment_id, status))


@blueprint.get("/faults")
def faults() -> dict[str, Any]:
    """The faults that are on."""
    return {"faults": world().faults.as_json()}


@blueprint.post("/faults")
def add_fault() -> dict[str, Any]:
    """Switches a fault on: `kind`, and any of operation, count, probability, ms, status, skip, page, …"""
    body = _body()
    kind = str(body.pop("kind", ""))
    return {"id": world().faults.add(kind, **fault_limits(body)).id}


@blueprint.delete("/faults")
@blueprint.delete("/faults/<int:fault_id>")
def clear_faults(fault_id: int | None = None) -> dict[str, Any]:
    """Switches one fault off, or all."""
    world().faults.clear(fault_id)
    return faults()


@blueprint.get("/plans")
def plans() -> dict[str, Any]:
    """The usage plan of every operation."""
    return world().plans.as_json()


@blueprint.post("/plans")
def set_plans() -> dict[str, Any]:
    """Sets plans: `{operation: {"rate": r, "burst": b} or null}`; `*` stands for every operation."""
    world().set_plans(_body())
    return plans()


@blueprint.post("/options")
def set_options() -> dict[str, Any]:
    """Changes switches such as latency_ms; answers all of them."""
    world().set_options(_body())
    return options()


@blueprint.get("/options")
def options() -> dict[str, Any]:
    """The switches as they stand."""
    return asdict(world().options)


@blueprint.post("/clock")
def clock() -> dict[str, Any]:
    """Shifts the clock: `shift_seconds` from real time, or `advance_seconds` from where it stands."""
    body = _body("shift_seconds", "advance_seconds")
    shift = body.get("shift_seconds", world().options.clock_shift_seconds)
    world().set_options({"clock_shift_seconds": float(shift) + float(body.get("advance_seconds", 0))})
    return {"now": world().clock.now(), "shift_seconds": world().options.clock_shift_seconds}


@blueprint.post("/tokens/revoke")
def revoke() -> dict[str, int]:
    """Ends authorizations of `seller_id` (all sellers without it); `only_access_tokens` spares refresh tokens."""
    body = _body("seller_id", "only_access_tokens")
    seller_id = seller_named(body)
    n = world().authorizations.revoke(seller_id, only_access_tokens=bool(body.get("only_access_tokens")))
    return {"n_revoked": n}


@blueprint.post("/tokens/issue")
def issue() -> dict[str, Any]:
    """Tokens for `seller_id` without the consent page, for tests of the API alone."""
    seller_id = seller_named(_body("seller_id"), is_required=True)
    tokens = world().authorizations.grant(seller_id, config().client_id)
    return {"selling_partner_id": seller_id, **asdict(tokens)}


@blueprint.post("/codes")
def code() -> dict[str, str]:
    """An authorization code as the consent page would give for `seller_id` and `redirect_uri`."""
    body = _body("seller_id", "redirect_uri")
    seller_id = seller_named(body, is_required=True)
    redirect_uri = str(body.get("redirect_uri", ""))
    return {
        "selling_partner_id": seller_id,
        "spapi_oauth_code": world().authorizations.new_code(seller_id, config().client_id, redirect_uri),
    }


@blueprint.get("/stock")
def stock() -> dict[str, Any]:
    """Every published quantity, of `seller_id` when given."""
    return {"stock": world().inventory.all(request.args.get("seller_id"))}


@blueprint.post("/stock")
def set_stock() -> dict[str, Any]:
    """Changes what is to be sold of `sku_code` at `location_id` to `n_units` at once, as the seller would in Seller
    Central."""
    body = _body("seller_id", "location_id", "sku_code", "n_units")
    account = accounts.BY_ID[str(seller_named(body, is_required=True))]
    n_units = whole(body, "n_units", -1, 0, MAX_UNITS)
    try:
        world().inventory.set(account, str(body.get("location_id", "")), str(body.get("sku_code", "")), n_units)
    except KeyError as error:
        raise ValueError("sku_code is not listed") from error
    return {"stock": world().inventory.all(account.selling_partner_id)}


@blueprint.get("/listings")
def listings() -> dict[str, Any]:
    """The listings of `seller_id`: those of the demo, with stock, or changed; `sku_code` gives one whatever it is."""
    account = accounts.BY_ID[str(seller_named(dict(request.args), is_required=True))]
    world().feeds.advance()
    if sku_code := request.args.get("sku_code"):
        try:
            return {"listings": [_listing(world().listings.get(account, sku_code))]}
        except KeyError as error:
            raise ValueError(f"{sku_code} is not listed") from error
    return {"listings": [_listing(listing) for listing in world().listings.all(account)]}


@blueprint.post("/listings")
def set_price() -> dict[str, Any]:
    """Changes the `price` (a text; null takes the offer away) of `sku_code` of `seller_id` at once, as the seller
    would in Seller Central."""
    body = _body("seller_id", "sku_code", "price")
    account = accounts.BY_ID[str(seller_named(body, is_required=True))]
    try:
        price = None if body.get("price", "") is None else Decimal(str(body.get("price")))
    except InvalidOperation as error:
        raise ValueError("price must be an amount, such as 499.00") from error
    try:
        return _listing(world().listings.set_price(account, str(body.get("sku_code", "")), price))
    except KeyError as error:
        raise ValueError("sku_code is not listed") from error


@blueprint.delete("/listings")
def remove_listing() -> dict[str, Any]:
    """Takes the listing of `sku_code` of `seller_id` away with its stock, as the seller would in Seller Central."""
    body = _body("seller_id", "sku_code")
    account = accounts.BY_ID[str(seller_named(body, is_required=True))]
    try:
        world().remove_listing(account, str(body.get("sku_code", "")))
    except KeyError as error:
        raise ValueError("sku_code is not listed") from error
    return {"listings": [_listing(listing) for listing in world().listings.all(account)]}


@blueprint.get("/feeds")
def feeds() -> dict[str, Any]:
    """The feeds, of `seller_id` when given, oldest first."""
    return {"feeds": [_feed(feed) for feed in world().feeds.all(request.args.get("seller_id"))]}


@blueprint.post("/feeds/<feed_id>/end")
def end_feed(feed_id: str) -> dict[str, Any]:
    """Ends a feed that is not over; `status`: DONE, FATAL or CANCELLED."""
    return _feed(world().feeds.end(feed_id, str(_body("status").get("status", "DONE"))))


@blueprint.get("/stats")
def stats() -> dict[str, Any]:
    """Calls and effects. `effects` tells per effect how many shipments had it and the most one had; with
    `?per_shipment=1` also each shipment's own counts."""
    records = world().shelf.newest_first()
    effects = {}
    for name in EFFECTS:
        counts = [record.effects[name] for record in records if name in record.effects]
        effects[name] = {
            "n_effects": sum(counts),
            "n_shipments": len(counts),
            "max_per_shipment": max(counts, default=0),
        }
    told = {**world().stats.as_json(), "n_shipments": len(records), "effects": effects}
    if request.args.get("per_shipment"):
        told["per_shipment"] = {record.id: record.effects for record in records if record.effects}
    return told


@blueprint.post("/stats/clear")
def clear_stats() -> dict[str, Any]:
    """Calls counted anew; effects on shipments stay."""
    world().stats.clear()
    return stats()


@blueprint.post("/reset")
def reset() -> dict[str, bool]:
    """Empties the world."""
    world().reset()
    return {"is_reset": True}

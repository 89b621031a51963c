"""getShipments, getShipment and processShipment of External Fulfillment shipments 2024-09-11."""

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint

from amazon_sandbox.web.gate import Answer, amazon_operation, json_body, query, world
from amazon_sandbox.world import odd
from amazon_sandbox.world.clock import parse_iso
from amazon_sandbox.world.errors import invalid_input
from amazon_sandbox.world.faults import LISTING_KINDS, ODD_KINDS
from amazon_sandbox.world.paging import Place
from amazon_sandbox.world.shelf import STATUSES, Record
from amazon_sandbox.world.world import World

BASE = "/externalFulfillment/2024-09-11/shipments"
FILTERS = ("locationId", "marketplaceId", "channelName", "status", "lastUpdatedAfter", "lastUpdatedBefore")
MAX_LENGTHS = {"locationId": 36, "channelName": 10}
blueprint = Blueprint("shipments_api", __name__)


@blueprint.get(BASE)
@amazon_operation("getShipments")
def get_shipments(seller_id: str) -> Answer:
    """A page of the seller's shipments in one status, the longest unchanged first."""
    here = world()
    given = query(*FILTERS, "maxResults", "paginationToken")
    status = given.get("status")
    if status not in STATUSES:
        raise invalid_input(f"status is required and must be one of {', '.join(STATUSES)}.")
    limit = _max_results(given)
    is_asked_for = _wanted(given)

    def is_shown(record: Record) -> bool:
        return is_asked_for(record) and not here.faults.fires(
            ("vanished",), "getShipments", seller_id=seller_id, shipment_id=record.id
        )

    arguments = (seller_id, *(given.get(name) for name in FILTERS), limit)
    token = given.get("paginationToken")
    place = here.page_tokens.read(token, arguments) if token is not None else Place()
    is_offset = here.options.paging == "offset"
    fault = here.faults.fires(LISTING_KINDS, "getShipments", seller_id=seller_id, page=place.page)
    if fault is not None and fault.kind == "empty_page":
        onward = Place(place.beyond, place.n_passed, place.page + 1)
        return 200, _page([], here.page_tokens.make(onward, arguments))
    records, has_more = here.shelf.listing(
        seller_id,
        status,
        beyond=None if is_offset else place.beyond,
        skip=place.n_passed if is_offset else 0,
        limit=limit,
        wanted=is_shown,
    )
    next_token = None
    if fault is not None and fault.kind == "stuck_token":
        next_token = token or here.page_tokens.make(place, arguments)
    elif fault is not None:
        next_token = here.page_tokens.make(Place(place.beyond, place.n_passed, place.page + 1), arguments)
    elif has_more:
        onward = Place(records[-1].key, place.n_passed + len(records), place.page + 1)
        next_token = here.page_tokens.make(onward, arguments)
    return 200, _page([_served(here, record, "getShipments") for record in records], next_token)


@blueprint.get(f"{BASE}/<shipment_id>")
@amazon_operation("getShipment")
def get_shipment(seller_id: str, shipment_id: str) -> Answer:
    """One shipment of the seller."""
    query()
    here = world()
    with here.journey.of(seller_id, shipment_id) as record:
        if here.faults.fires(("shown_late",), "getShipment", seller_id=seller_id, shipment_id=shipment_id):
            record = replace(record, body=record.body_before or record.body)
        return 200, _served(here, record, "getShipment")


@blueprint.post(f"{BASE}/<shipment_id>")
@amazon_operation("processShipment")
def process_shipment(seller_id: str, shipment_id: str) -> Answer:
    """CONFIRM or REJECT."""
    operation = query("operation").get("operation")
    if operation not in ("CONFIRM", "REJECT"):
        raise invalid_input("operation is required and must be CONFIRM or REJECT.")
    body = json_body(is_required=operation == "REJECT")
    if operation == "CONFIRM":
        world().journey.confirm(seller_id, shipment_id)
    else:
        world().journey.reject(seller_id, shipment_id, body)
    return 204, None


def _max_results(given: dict[str, str]) -> int:
    text = given.get("maxResults", "10")
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise invalid_input("maxResults must be a whole number from 1 to 100.")
    return int(text)


def _wanted(given: dict[str, str]) -> Callable[[Record], bool]:
    """The test that the filters make."""
    for name, length in MAX_LENGTHS.items():
        if len(given.get(name, "")) > length:
            raise invalid_input(f"{name} may have at most {length} characters.")
    after, before = _time(given, "lastUpdatedAfter"), _time(given, "lastUpdatedBefore")
    if after is not None and before is not None and after > before:
        raise invalid_input("lastUpdatedAfter must not be later than lastUpdatedBefore.")
    location_id, marketplace_id = given.get("locationId"), given.get("marketplaceId")
    channel_name = given.get("channelName")

    def is_wanted(record: Record) -> bool:
        return (
            location_id in (None, record.location_id)
            and marketplace_id in (None, record.marketplace_id)
            and channel_name in (None, record.channel_name)
            and (after is None or record.updated_ms > after)
            and (before is None or record.updated_ms < before)
        )

    return is_wanted


def _time(given: dict[str, str], name: str) -> int | None:
    if name not in given:
        return None
    try:
        return parse_iso(given[name])
    except ValueError as error:
        raise invalid_input(f"{name} must be an ISO 8601 date and time with its zone.") from error


def _served(here: World, record: Record, operation: str) -> bytes:
    """The shipment's text, deformed when the order was made odd or a fault says so."""
    body = odd.deform(record.body, record.odd) if record.odd else record.body
    fault = here.faults.fires(ODD_KINDS, operation, seller_id=record.seller_id, shipment_id=record.id)
    return odd.deform(record.body, fault.kind) if fault is not None else body


def _page(bodies: list[bytes], next_token: str | None) -> bytes:
    pagination = b'{"nextToken":"%s"}' % next_token.encode() if next_token else b"{}"
    return b'{"shipments":[' + b",".join(bodies) + b'],"pagination":' + pagination + b"}"

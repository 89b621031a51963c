"""listReturns and getReturn of External Fulfillment returns 2024-09-11."""

from collections.abc import Callable

from flask import Blueprint

from amazon_sandbox.web.gate import Answer, amazon_operation, query, world
from amazon_sandbox.world import odd_returns
from amazon_sandbox.world.clock import parse_iso
from amazon_sandbox.world.errors import invalid_input
from amazon_sandbox.world.faults import LISTING_KINDS
from amazon_sandbox.world.paging import Place
from amazon_sandbox.world.returns import STATUSES, ReturnRecord, key_of
from amazon_sandbox.world.world import World

BASE = "/externalFulfillment/2024-09-11/returns"
CREATED = ("createdSince", "createdUntil", "lastUpdatedAfter", "lastUpdatedBefore")  # the last two are deprecated
UPDATED = ("lastUpdatedSince", "lastUpdatedUntil")
FILTERS = ("returnLocationId", "rmaId", "status", "reverseTrackingId", *CREATED, *UPDATED)
blueprint = Blueprint("returns_api", __name__)


@blueprint.get(BASE)
@amazon_operation("listReturns")
def list_returns(seller_id: str) -> Answer:
    """A page of the seller's returns: by time of change when that is asked for, else by time of creation."""
    here = world()
    given = query(*FILTERS, "maxResults", "nextToken")
    if given.get("status", STATUSES[0]) not in STATUSES:
        raise invalid_input(f"status must be one of {', '.join(STATUSES)}.")
    by_update = any(name in given for name in UPDATED)
    if by_update and not {"returnLocationId", "status"} <= given.keys():
        raise invalid_input("lastUpdatedSince and lastUpdatedUntil need returnLocationId and status.")
    limit = _max_results(given)
    wanted = _wanted(given)
    arguments = (seller_id, *(given.get(name) for name in FILTERS), limit)
    token = given.get("nextToken")
    place = here.page_tokens.read(token, arguments, "nextToken") if token is not None else Place()
    is_offset = here.options.paging == "offset"
    fault = here.faults.fires(LISTING_KINDS, "listReturns", seller_id=seller_id, page=place.page)
    if fault is not None and fault.kind == "empty_page":
        onward = Place(place.beyond, place.n_passed, place.page + 1)
        return 200, _page([], here.page_tokens.make(onward, arguments))
    records, has_more = here.returns.listing(
        seller_id,
        by_update=by_update,
        beyond=None if is_offset else place.beyond,
        skip=place.n_passed if is_offset else 0,
        limit=limit,
        wanted=wanted,
    )
    next_token = None
    if fault is not None and fault.kind == "stuck_token":
        next_token = token or here.page_tokens.make(place, arguments)
    elif fault is not None:
        next_token = here.page_tokens.make(Place(place.beyond, place.n_passed, place.page + 1), arguments)
    elif has_more:
        last = key_of(records[-1], by_update=by_update)
        onward = Place(last, place.n_passed + len(records), place.page + 1)
        next_token = here.page_tokens.make(onward, arguments)
    return 200, _page([_served(here, record, "listReturns") for record in records], next_token)


@blueprint.get(f"{BASE}/<return_id>")
@amazon_operation("getReturn")
def get_return(seller_id: str, return_id: str) -> Answer:
    """One return of the seller."""
    query()
    with world().returns.of(seller_id, return_id) as record:
        return 200, _served(world(), record, "getReturn")


def _max_results(given: dict[str, str]) -> int:
    text = given.get("maxResults", "10")
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise invalid_input("maxResults must be a whole number from 1 to 100.")
    return int(text)


def _wanted(given: dict[str, str]) -> Callable[[ReturnRecord], bool]:
    """The test that the filters make."""
    since, until = _time(given, CREATED[0], CREATED[2]), _time(given, CREATED[1], CREATED[3])
    changed_since, changed_until = _time(given, UPDATED[0]), _time(given, UPDATED[1])
    for earlier, later in ((since, until), (changed_since, changed_until)):
        if earlier is not None and later is not None and earlier > later:
            raise invalid_input("The beginning of a time must not be later than its end.")
    location_id, status = given.get("returnLocationId"), given.get("status")
    rma_id, tracking_id = given.get("rmaId"), given.get("reverseTrackingId")

    def is_wanted(record: ReturnRecord) -> bool:
        return (
            location_id in (None, record.location_id)
            and status in (None, record.status)
            and _is_between(record.created_ms, since, until)
            and _is_between(record.updated_ms, changed_since, changed_until)
            and (rma_id is None or record.told()["returnMetadata"].get("rmaId") == rma_id)
            and (tracking_id is None or _tracking_id(record) == tracking_id)
        )

    return is_wanted


def _is_between(ms: int, since: int | None, until: int | None) -> bool:
    return (since is None or ms > since) and (until is None or ms < until)


def _tracking_id(record: ReturnRecord) -> str | None:
    return record.told()["returnShippingInfo"].get("reverseTrackingInfo", {}).get("trackingId")


def _time(given: dict[str, str], *names: str) -> int | None:
    """The time under the first of `names` that is given."""
    for name in names:
        if name in given:
            try:
                return parse_iso(given[name])
            except ValueError as error:
                raise invalid_input(f"{name} must be an ISO 8601 date and time with its zone.") from error
    return None


def _served(here: World, record: ReturnRecord, operation: str) -> bytes:
    """The return's text, deformed when it was made odd or a fault says so."""
    body = odd_returns.deform(record.body, record.odd) if record.odd else record.body
    fault = here.faults.fires(odd_returns.KINDS, operation, seller_id=record.seller_id, shipment_id=record.shipment_id)
    return odd_returns.deform(record.body, fault.kind) if fault is not None else body


def _page(bodies: list[bytes], next_token: str | None) -> bytes:
    token = b',"nextToken":"%s"' % next_token.encode() if next_token else b""
    return b'{"returns":[' + b",".join(bodies) + b"]" + token + b"}"

"""External Fulfillment inventory, version 2024-09-11: ten SKUs per call.

https://developer-docs.amazon.com/sp-api/docs/publish-location-level-inventory. What is sent is checked first
(InvalidArgument, nothing leaves); besides, both methods raise the errors of `Transport.call`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flexdash.amazon import lenient, strict
from flexdash.amazon.errors import UnreadableAnswer
from flexdash.amazon.operations import BATCH_INVENTORY, INVENTORY_PATH
from flexdash.amazon.transport import Transport

MAX_BATCH = 10
MAX_LOCATION_ID = 36
CHANNELS = ("FBA", "MFN", "DF")


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """A SKU at a location, to be asked about. Seller Flex's channel is FBA."""

    location_id: str
    sku_code: str
    marketplace_id: str
    channel_name: str = "FBA"


@dataclass(frozen=True, slots=True)
class InventoryUpdate(InventoryItem):
    """An absolute quantity of a SKU at a location. `sequence_number` only ever grows; None leaves it out."""

    quantity: int = 0
    sequence_number: int | None = None


@dataclass(frozen=True, slots=True)
class ActionableError:
    """What the seller has to mend, in Amazon's words (there is no closed list)."""

    type: str
    sub_type: str


@dataclass(frozen=True, slots=True)
class InventoryResult:
    """Amazon's answer for one item. Numbers are None where Amazon sent none.

    `is_answered` is false when the answer has nothing for this item: its outcome is unknown. `is_accepted` means a
    2xx line; an accepted line can still carry `errors` to be mended.
    """

    location_id: str
    sku_code: str
    is_answered: bool
    is_accepted: bool
    status_code: int | None
    reason: str
    sellable_quantity: int | None
    reserved_quantity: int | None
    sequence_number: int | None
    errors: tuple[ActionableError, ...]
    request_id: str = ""  # Amazon's id of the whole request


class Inventory:
    """The stock of one selling partner as Amazon keeps it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def update(self, items: Sequence[InventoryUpdate]) -> list[InventoryResult]:
        """Set absolute quantities of 1 to 10 items; return one result per item, in the order of `items`."""
        return self._batch("update", items)

    def fetch(self, items: Sequence[InventoryItem]) -> list[InventoryResult]:
        """Ask for the quantities of 1 to 10 items; return one result per item, in the order of `items`."""
        return self._batch("fetch", items)

    def _batch(self, verb: str, items: Sequence[InventoryItem]) -> list[InventoryResult]:
        if not 1 <= len(items) <= MAX_BATCH:
            raise strict.refuse("items", f"must be 1 to {MAX_BATCH}, and are {len(items)}")
        if len({(item.location_id, item.sku_code) for item in items}) < len(items):
            # Amazon's answer names location and SKU only, so two channels of one SKU could not be told apart.
            raise strict.refuse("items", "must not hold a SKU twice at one location")
        body = {"requests": [_request(verb, item) for item in items]}
        answer = self._transport.call(BATCH_INVENTORY, INVENTORY_PATH, body=body)
        responses = answer.data.get("responses")
        if not isinstance(responses, list):
            raise UnreadableAnswer(
                "Amazon's answer holds no list of results", operation=BATCH_INVENTORY.name, is_outcome_unknown=True
            )
        return _matched(items, [lenient.members(response) for response in responses], answer.request_id)


def _request(verb: str, item: InventoryItem) -> dict[str, Any]:
    location_id = quote(strict.text("location_id", item.location_id, MAX_LOCATION_ID), safe="")
    sku_code = quote(strict.text("sku_code", item.sku_code), safe="")
    body: dict[str, Any] = {
        "marketplaceAttributes": {
            "marketplaceId": strict.text("marketplace_id", item.marketplace_id),
            "channelName": strict.choice("channel_name", item.channel_name, CHANNELS),
        }
    }
    if isinstance(item, InventoryUpdate) and verb == "update":
        body["quantity"] = strict.whole("quantity", item.quantity, 0, 2**31 - 1)
        if item.sequence_number is not None:
            body["clientSequenceNumber"] = strict.whole("sequence_number", item.sequence_number, 0)
    elif verb == "update":
        raise strict.refuse("items", "must be InventoryUpdate")
    return {"method": "POST", "uri": f"/inventory/{verb}?locationId={location_id}&skuId={sku_code}", "body": body}


def _matched(items: Sequence[InventoryItem], responses: list[dict[str, Any]], request_id: str) -> list[InventoryResult]:
    """Give each item its answer, by location and SKU; by place only where an answer names neither.

    Amazon does not promise the order of the answers.
    """
    wanted = {(item.location_id, item.sku_code): place for place, item in enumerate(items)}
    found: dict[int, dict[str, Any]] = {}
    nameless: list[tuple[int, dict[str, Any]]] = []
    for place, response in enumerate(responses):
        body = lenient.members(response.get("body"))
        location_id, sku_code = lenient.text(body.get("locationId")), lenient.text(body.get("skuId"))
        if not location_id and not sku_code:
            nameless.append((place, response))
        elif (index := wanted.get((location_id, sku_code))) is not None:
            found.setdefault(index, response)
    if len(responses) == len(items):
        for place, response in nameless:
            found.setdefault(place, response)
    return [_result(item, found.get(place), request_id) for place, item in enumerate(items)]


def _result(item: InventoryItem, response: dict[str, Any] | None, request_id: str) -> InventoryResult:
    status = lenient.members(response.get("status")) if response else {}
    body = lenient.members(response.get("body")) if response else {}
    code = lenient.count(status.get("statusCode"))
    errors = tuple(
        ActionableError(lenient.text(raw.get("errorType")), lenient.text(raw.get("errorSubType")))
        for raw in lenient.items(body.get("actionableErrors"))
        if isinstance(raw, dict)
    )
    return InventoryResult(
        location_id=item.location_id,
        sku_code=item.sku_code,
        is_answered=code is not None,
        is_accepted=code is not None and 200 <= code < 300,
        status_code=code,
        reason=lenient.text(status.get("reasonPhrase")),
        sellable_quantity=lenient.count(body.get("sellableQuantity")),
        reserved_quantity=lenient.count(body.get("reservedQuantity")),
        sequence_number=_sequence_number(body.get("clientSequenceNumber")),
        errors=errors,
        request_id=request_id,
    )


def _sequence_number(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None

"""Deformities of a shipment, of the sorts seen in Amazon's own examples or to be feared after a model change."""

import json
from collections.abc import Callable
from typing import Any


def _unknown_enum(shipment: dict[str, Any]) -> None:
    shipment["lineItems"][0]["charges"][0]["chargeType"] = "GIFT"
    shipment["marketplaceAttributes"]["customAttributes"] = ["SAME_DAY_DRONE"]


def _unknown_status(shipment: dict[str, Any]) -> None:
    shipment["status"] = "WAITING_FOR_DRONE"


def _unknown_field(shipment: dict[str, Any]) -> None:
    shipment["sandboxNovelty"] = {"nested": [1, 2.5, None, True]}
    shipment["lineItems"][0]["sandboxNovelty"] = "new in this version"


def _missing_field(shipment: dict[str, Any]) -> None:
    del shipment["locationId"]


def _date(shipment: dict[str, Any]) -> None:
    shipment["creationDateTime"] = "2020-06-09 14:00:00Z"
    shipment["earliestPackDateTime"] = "1591711200"
    shipment["shipmentInfo"]["orderPlacedTimestamp"] = "Tue Jun 09 14:00:00 UTC 2020"


def _broken_line(shipment: dict[str, Any]) -> None:
    line = shipment["lineItems"][0]
    del line["merchantSku"]
    line["numberOfUnits"] = "two"


def _no_lines(shipment: dict[str, Any]) -> None:
    shipment["lineItems"] = None


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "odd_unknown_enum": _unknown_enum,
    "odd_unknown_status": _unknown_status,
    "odd_unknown_field": _unknown_field,
    "odd_missing_field": _missing_field,
    "odd_date": _date,
    "odd_broken_line": _broken_line,
    "odd_no_lines": _no_lines,
}
KINDS = (*CHANGES, "odd_not_a_dict")


def deform(body: bytes, kind: str) -> bytes:
    """The shipment's JSON text with the deformity in it."""
    if kind == "odd_not_a_dict":
        return b'"this is not a shipment"'
    shipment = json.loads(body)
    CHANGES[kind](shipment)
    return json.dumps(shipment, ensure_ascii=False).encode()

"""A page of Amazon's shipments as it is read, before anything is written."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flexdash.amazon import lenient
from flexdash.amazon.errors import UnreadableShipment
from flexdash.amazon.shipment_reader import read_shipment
from flexdash.services.order_rows import ReadShipment, encrypt_buyer
from flexdash.vault import Vault

QUARANTINE_ID_LENGTH = 100
UNREADABLE = "unreadable:"  # stands before the payload's hash where a payload has no id


@dataclass(frozen=True)
class Broken:
    """A shipment that could not be read or written, with the reason in words."""

    raw: Any
    amazon_shipment_id: str
    sentence: str


@dataclass
class ReadPage:
    """A page of shipments, read: at most one of each id, the newest.

    `request_ids` are Amazon's, by shipment id, of the calls that brought them.
    """

    shipments: list[ReadShipment] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    n_fetched: int = 0
    request_ids: Mapping[str, str] = field(default_factory=dict)


def read_page(raw_shipments: Sequence[Any], vault: Vault, request_id: str = "") -> ReadPage:
    """Read Amazon's shipments outside any transaction. One that cannot be read never costs the others.

    `request_id` is Amazon's of the call that brought them all.
    """
    page = ReadPage(n_fetched=len(raw_shipments))
    newest: dict[str, ReadShipment] = {}
    for raw in raw_shipments:
        try:
            shipment = read_shipment(raw)
            read = ReadShipment(raw, shipment, encrypt_buyer(vault, shipment))
        except UnreadableShipment as error:
            page.broken.append(Broken(raw, quarantine_id(raw, error.shipment_id), error.reason))
            continue
        before = newest.get(shipment.id)
        if before is None or _is_newer(shipment.updated_at, before.shipment.updated_at):
            newest[shipment.id] = read
    page.shipments = list(newest.values())
    page.request_ids = dict.fromkeys([*newest, *(one.amazon_shipment_id for one in page.broken)], request_id)
    return page


def by_age(read: ReadShipment) -> tuple[bool, datetime | None]:
    """Return what shipments are sorted by so that the oldest comes first, those without a time last."""
    return read.shipment.created_at is None, read.shipment.created_at


def _is_newer(candidate: Any, known: Any) -> bool:
    return candidate is not None and (known is None or candidate > known)


def quarantine_id(raw: Any, shipment_id: str | None) -> str:
    """Return what a shipment in quarantine is kept under: its id, else what stands for its payload."""
    if shipment_id:
        return shipment_id[:QUARANTINE_ID_LENGTH]
    digest = hashlib.sha256(lenient.as_text(raw).encode()).hexdigest()
    return f"{UNREADABLE}{digest}"


def order_id_of(raw: Any) -> str:
    """Return the id of the Amazon order that a shipment, as Amazon sent it, belongs to; "" when it cannot be had."""
    return lenient.text(lenient.members(lenient.members(raw).get("shipmentInfo")).get("buyerOrderId"))

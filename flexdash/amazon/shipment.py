"""A shipment of Amazon's External Fulfillment as FlexDash works with it. Made by `shipment_reader.read_shipment`."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Money:
    """An amount as Amazon sent it, never rounded. `currency` is an ISO 4217 code or "" when Amazon left it out."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Who cancelled and why. `kind` is Amazon's SELLER_REJECTED, MARKETPLACE_CANCELLED, SYSTEM_CANCELLED or newer."""

    kind: str
    reason: str
    at: datetime | None
    n_units: int | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """Buyer data: encrypt it at rest, mask it, never log it (its `repr` shows nothing)."""

    name: str = field(default="", repr=False)
    email: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    address_lines: tuple[str, ...] = field(default=(), repr=False)
    city: str = field(default="", repr=False)
    state: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    country_code: str = field(default="", repr=False)
    gift_message: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ShipmentLine:
    """One line. `item_total` is before tax, `total` after it, both for all units and net of discounts; None when
    Amazon sent nothing that can be read. `charges` and `compliance` are as Amazon sent them."""

    id: str
    sku_code: str
    n_units: int
    item_total: Decimal | None
    tax_total: Decimal | None
    total: Decimal | None
    currency: str
    charges: list[Any]
    cancellation: Cancellation | None
    compliance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ShipmentPackage:
    """A package that Amazon knows. Sizes are None where Amazon sent nothing readable; `lines` are (line id, units)."""

    id: str
    status: str
    length_cm: Decimal | None = None
    width_cm: Decimal | None = None
    height_cm: Decimal | None = None
    weight_g: int | None = None
    lines: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Shipment:
    """One shipment. Texts are "" and times None where Amazon sent nothing readable; times are aware, in UTC.

    `placed_at` is when the buyer ordered, `ship_by_at` when Amazon expects the hand-over, `total` includes tax.
    `rejectable_statuses` are the statuses in which Amazon takes a rejection; `reason` is Amazon's for the sub-status.
    """

    id: str
    order_id: str
    location_id: str
    marketplace_id: str
    channel_name: str
    status: str
    sub_status: str
    lines: tuple[ShipmentLine, ...]
    created_at: datetime | None
    updated_at: datetime | None
    placed_at: datetime | None
    ship_by_at: datetime | None
    total: Money | None
    currency: str
    n_units: int
    shipment_type: str
    priority: str
    payment_method: str
    processing_source: str
    rejectable_statuses: tuple[str, ...]
    invoice_requirement: str
    invoice_status: str
    buyer: Buyer | None
    cancellation: Cancellation | None
    reason: str
    shipping_type: str = ""
    earliest_pack_at: datetime | None = None
    packages: tuple[ShipmentPackage, ...] = ()

"""Packages, shipping options and labels of a shipment, in the form Amazon's model has them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from flexdash.amazon import lenient, strict

CM_PER_UNIT = {"CM": Decimal(1), "M": Decimal(100), "IN": Decimal("2.54")}
DIMENSION_UNITS = tuple(CM_PER_UNIT)
GRAMS_PER_UNIT = {"G": Decimal(1), "KG": Decimal(1000), "LB": Decimal("453.59237"), "OZ": Decimal("28.349523125")}
MIN_WEIGHT_GRAMS = 5

Number = int | float | str | Decimal


@dataclass(frozen=True, slots=True)
class PackageLine:
    """Units of one shipment line in a package. The optional parts only where the line's compliance says REQUIRED."""

    line_id: str
    n_units: int
    serial_numbers: Sequence[str] = ()
    country_of_origin: str | None = None
    item_value: tuple[Number, str] | None = None

    def body(self) -> dict[str, Any]:
        """Return the line as Amazon's PackageLineItem."""
        body: dict[str, Any] = {
            "packageLineItemId": strict.text("line_id", self.line_id),
            "quantity": strict.whole("n_units", self.n_units, 1),
        }
        if self.serial_numbers:
            body["serialNumbers"] = [strict.text("serial_numbers", number) for number in self.serial_numbers]
        if self.country_of_origin is not None:
            code = strict.text("country_of_origin", self.country_of_origin)
            if not (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
                raise strict.refuse("country_of_origin", "must be two capital letters")
            body["countryOfOrigin"] = code
        if self.item_value is not None:
            value, currency = self.item_value
            body["itemValue"] = {
                "value": strict.decimal("item_value", value),
                "currencyCode": strict.text("item_value's currency", currency, 3),
            }
        return body


@dataclass(frozen=True, slots=True)
class Package:
    """One parcel. `id` is FlexDash's own, unique in the shipment; the weight is at least 5 grams."""

    id: str
    length: Number
    width: Number
    height: Number
    weight: Number
    lines: Sequence[PackageLine]
    dimension_unit: str = "CM"
    weight_unit: str = "G"
    hazmat_labels: Sequence[str] = ()

    def body(self) -> dict[str, Any]:
        """Return the package as Amazon's model has it; raise InvalidArgument when it breaks a rule."""
        unit = strict.choice("dimension_unit", self.dimension_unit, DIMENSION_UNITS)
        weight = strict.decimal("weight", self.weight)
        weight_unit = strict.choice("weight_unit", self.weight_unit, GRAMS_PER_UNIT)
        if Decimal(weight) * GRAMS_PER_UNIT[weight_unit] < MIN_WEIGHT_GRAMS:
            raise strict.refuse("weight", f"must be at least {MIN_WEIGHT_GRAMS} grams")
        if not self.lines:
            raise strict.refuse("lines", "must say what is in the package")
        body: dict[str, Any] = {
            "id": strict.segment("id", self.id),
            "dimensions": {
                side: {"value": strict.decimal(side, getattr(self, side)), "dimensionUnit": unit}
                for side in ("length", "width", "height")
            },
            "weight": {"value": weight, "weightUnit": weight_unit},
            "packageLineItems": [line.body() for line in self.lines],
        }
        if self.hazmat_labels:
            body["hazmatLabels"] = [strict.text("hazmat_labels", label) for label in self.hazmat_labels]
        return body


@dataclass(frozen=True, slots=True)
class Courier:
    """A carrier of the seller's own and its tracking number."""

    carrier_name: str
    tracking_id: str

    def body(self) -> dict[str, str]:
        """Return Amazon's CourierSupportedAttributes."""
        return {
            "carrierName": strict.text("carrier_name", self.carrier_name),
            "trackingId": strict.text("tracking_id", self.tracking_id),
        }


@dataclass(frozen=True, slots=True)
class ShippingOption:
    """A way to ship a package. `ship_by` is Amazon's MARKETPLACE, SELLER, THIRD_PARTY_CARRIER, OTHER or newer."""

    id: str
    ship_by: str
    carrier_name: str
    starts_at: datetime | None
    ends_at: datetime | None
    handover_method: str


@dataclass(frozen=True, slots=True)
class ShippingOptions:
    """What Amazon offers. `recommended` is one of them or None."""

    options: tuple[ShippingOption, ...]
    recommended: ShippingOption | None


@dataclass(frozen=True, slots=True)
class PackageLabel:
    """The label of one package. `url` is a short-lived address of the file: fetch it at once, keep it out of logs."""

    package_id: str
    is_success: bool
    carrier_name: str
    tracking_id: str
    shipping_option_id: str
    url: str = field(repr=False)
    error_code: str
    error_message: str


def read_options(data: dict[str, Any]) -> ShippingOptions:
    """Return the shipping options in Amazon's answer; entries without an id are left out."""
    options = tuple(option for raw in lenient.items(data.get("shippingOptions")) if (option := _read_option(raw)))
    return ShippingOptions(options, _read_option(data.get("recommendedShippingOption")))


def _read_option(raw: Any) -> ShippingOption | None:
    raw = lenient.members(raw)
    option_id = lenient.text(raw.get("shippingOptionId"))
    if not option_id:
        return None
    window = lenient.members(raw.get("timeSlot")) or lenient.members(raw.get("pickupWindow"))
    return ShippingOption(
        id=option_id,
        ship_by=lenient.text(raw.get("shipBy"), 64),
        carrier_name=lenient.text(raw.get("carrierName")),
        starts_at=lenient.moment(window.get("startTime")),
        ends_at=lenient.moment(window.get("endTime")),
        handover_method=lenient.text(window.get("handoverMethod"), 64),
    )


def read_label(raw: Any) -> PackageLabel:
    """Return one package's label; without an address of the file it is no success, whatever Amazon says."""
    raw = lenient.members(raw)
    about = lenient.members(raw.get("shipLabelMetadata"))
    error = lenient.members(raw.get("errorDetails"))
    url = lenient.text(lenient.members(raw.get("fileData")).get("url"), 8192)
    return PackageLabel(
        package_id=lenient.text(raw.get("packageId")),
        is_success=bool(url) and raw.get("status") in (None, "SUCCESS"),
        carrier_name=lenient.text(about.get("carrierName")),
        tracking_id=lenient.text(about.get("trackingId")),
        shipping_option_id=lenient.text(about.get("shippingOptionId")),
        url=url,
        error_code=lenient.text(error.get("code"), 64),
        error_message=lenient.text(error.get("message"), 500),
    )

"""Reads a shipment as Amazon sent it, leniently: one odd field never costs a shipment, one odd shipment never a page.

Amazon's own examples break its model (charge type "GIFT", "2020-06-09 14:00:00Z", epoch milliseconds as text), and
statuses are added without notice, so nothing here checks an enum.
"""

import base64
import binascii
from decimal import Decimal
from typing import Any

from flexdash.amazon import lenient
from flexdash.amazon.errors import UnreadableShipment
from flexdash.amazon.faults import read_or_refuse
from flexdash.amazon.packages import CM_PER_UNIT, GRAMS_PER_UNIT
from flexdash.amazon.shipment import Buyer, Cancellation, Money, Shipment, ShipmentLine, ShipmentPackage

__all__ = [
    "Buyer",
    "Cancellation",
    "Money",
    "Shipment",
    "ShipmentLine",
    "ShipmentPackage",
    "UnreadableShipment",
    "read_shipment",
]

_MAX_ID = 255
_MAX_WORD = 64
_MAX_REASON = 500
_MAX_GIFT_MESSAGE = 4000
_NO_TOTALS = (None, None, None, "")

_text, _members, _items = lenient.text, lenient.members, lenient.items


def read_shipment(raw: Any) -> Shipment:
    """Return the shipment in `raw`, one element of Amazon's `shipments` array.

    Raises UnreadableShipment only when id, status, location or lines cannot be had; anything else that is missing or
    strange becomes "", None or an empty collection.
    """
    return read_or_refuse(_read, raw, UnreadableShipment)


def _read(raw: Any) -> Shipment:
    if raw.__class__ is not dict:
        raise UnreadableShipment("it is not a JSON object")
    shipment_id = _identifier(raw.get("id"))
    if not shipment_id:
        raise UnreadableShipment("it has no readable id")
    status = _text(raw.get("status"), _MAX_WORD)
    if not status:
        raise UnreadableShipment("it has no readable status", shipment_id)
    location_id = _identifier(raw.get("locationId"))
    if not location_id:
        raise UnreadableShipment("it has no readable location id", shipment_id)

    raw_lines = _items(raw.get("lineItems"))
    if not raw_lines:
        raise UnreadableShipment("it has no lines", shipment_id)
    lines = tuple([_read_line(line, number, shipment_id) for number, line in enumerate(raw_lines, start=1)])

    info = _members(raw.get("shipmentInfo"))
    channel = _members(raw.get("marketplaceAttributes"))
    shipping = _members(raw.get("shippingInfo"))
    invoice = _members(_members(raw.get("shipmentRequirements")).get("invoice"))
    _, _, total, currency = _totals(_items(raw.get("charges")))
    if not currency:
        currency = next((line.currency for line in lines if line.currency), "")
    return Shipment(
        id=shipment_id,
        order_id=_text(info.get("buyerOrderId")),
        location_id=location_id,
        marketplace_id=_text(channel.get("marketplaceId")),
        channel_name=_text(channel.get("channelName"), _MAX_WORD),
        status=status,
        sub_status=_text(raw.get("subStatus"), _MAX_WORD),
        lines=lines,
        created_at=lenient.moment(raw.get("creationDateTime")),
        updated_at=lenient.moment(raw.get("lastUpdatedDateTime")),
        placed_at=lenient.moment(info.get("orderPlacedTimestamp")),
        ship_by_at=lenient.moment(shipping.get("expectedShippingDateTimeInUTC")),
        total=None if total is None else Money(total, currency),
        currency=currency,
        n_units=lenient.count(info.get("numberOfUnits")) or sum([line.n_units for line in lines]),
        shipment_type=_text(info.get("shipmentType"), _MAX_WORD),
        priority=_text(info.get("priority"), _MAX_WORD),
        payment_method=_text(info.get("paymentMethod"), _MAX_WORD),
        processing_source=_text(info.get("processingSource"), _MAX_WORD),
        rejectable_statuses=tuple(
            [word for state in _items(info.get("orderStatesEligibleForRejection")) if (word := _text(state, _MAX_WORD))]
        ),
        invoice_requirement=_text(invoice.get("requirement"), _MAX_WORD),
        invoice_status=_text(invoice.get("status"), _MAX_WORD),
        buyer=_read_buyer(raw, shipping, raw_lines),
        cancellation=next((line.cancellation for line in lines if line.cancellation), None),
        reason=_text(raw.get("reason"), _MAX_REASON),
        shipping_type=_text(shipping.get("shippingType"), _MAX_WORD),
        earliest_pack_at=lenient.moment(raw.get("earliestPackDateTime")),
        packages=_read_packages(raw.get("packages")) if raw.get("packages") else (),
    )


def _identifier(value: Any) -> str:
    """An id that is too long is no id: cut, it would name something else."""
    found = _text(value, _MAX_ID + 1)
    return found if len(found) <= _MAX_ID else ""


def _read_line(raw: Any, number: int, shipment_id: str) -> ShipmentLine:
    if raw.__class__ is not dict:
        raise UnreadableShipment(f"line {number} is not a JSON object", shipment_id)
    line_id = _identifier(raw.get("shipmentLineItemId"))
    if not line_id:
        raise UnreadableShipment(f"line {number} has no readable id", shipment_id)
    sku_code = _identifier(raw.get("merchantSku"))
    if not sku_code:
        raise UnreadableShipment(f"line {number} has no readable SKU", shipment_id)
    n_units = lenient.count(raw.get("numberOfUnits"))
    if not n_units:
        raise UnreadableShipment(f"line {number} has no readable number of units", shipment_id)
    charges = _items(raw.get("charges"))
    item_total, tax_total, total, currency = _totals(charges)
    return ShipmentLine(
        id=line_id,
        sku_code=sku_code,
        n_units=n_units,
        item_total=item_total,
        tax_total=tax_total,
        total=total,
        currency=currency,
        charges=charges,
        cancellation=_read_cancellation(_items(raw.get("cancellations"))),
        compliance=_members(raw.get("complianceAttributes")),
    )


def _read_packages(raw: Any) -> tuple[ShipmentPackage, ...]:
    """The packages that have an id; one without cannot be labelled and is left to Amazon's own tool."""
    found = []
    for package in _items(raw):
        package = _members(package)
        if not (package_id := _identifier(package.get("id"))):
            continue
        sides, weight = _members(package.get("dimensions")), _members(package.get("weight"))
        grams = _measure(weight, "weightUnit", GRAMS_PER_UNIT)
        found.append(
            ShipmentPackage(
                id=package_id,
                status=_text(package.get("status"), _MAX_WORD),
                length_cm=_measure(sides.get("length"), "dimensionUnit", CM_PER_UNIT),
                width_cm=_measure(sides.get("width"), "dimensionUnit", CM_PER_UNIT),
                height_cm=_measure(sides.get("height"), "dimensionUnit", CM_PER_UNIT),
                weight_g=None if grams is None else int(grams.to_integral_value()),
                lines=tuple(
                    (line_id, n_units)
                    for line in map(_members, _items(package.get("packageLineItems")))
                    if (line_id := _identifier(line.get("packageLineItemId")))
                    and (n_units := lenient.count(line.get("quantity")))
                ),
            )
        )
    return tuple(found)


def _measure(raw: Any, unit_field: str, per_unit: dict[str, Decimal]) -> Decimal | None:
    raw = _members(raw)
    value, factor = lenient.amount(raw.get("value")), per_unit.get(_text(raw.get(unit_field)))
    return None if value is None or factor is None else value * factor


def _totals(charges: list[Any]) -> tuple[Decimal | None, Decimal | None, Decimal | None, str]:
    """Return (before tax, tax, with tax, currency) of a list of charges.

    A charge of type TOTAL speaks for all; without one the charges are added up, unless their currencies differ.
    """
    readable = [charge for charge in charges if charge.__class__ is dict]
    if not readable:
        return _NO_TOTALS
    for charge in readable:
        if charge.get("chargeType") == "TOTAL":
            readable = [charge]
            break
    currencies: set[str] = set()
    before_tax = _sum([_net(charge.get("baseCharge"), currencies) for charge in readable])
    tax = _sum([_net(_members(charge.get("totalTax")).get("charge"), currencies) for charge in readable])
    with_tax = _sum([_net(charge.get("totalCharge"), currencies) for charge in readable])
    if len(currencies) > 1:
        return _NO_TOTALS
    return before_tax, tax, with_tax, next(iter(currencies), "")


def _sum(amounts: list[Decimal | None]) -> Decimal | None:
    """A sum with a hole in it would be a wrong amount, so one unreadable part makes the sum unknown."""
    if len(amounts) == 1:
        return amounts[0]
    return None if None in amounts else sum(amounts, Decimal(0))


def _net(breakup: Any, currencies: set[str]) -> Decimal | None:
    """The net amount of a charge, or base less discount where Amazon left the net amount out."""
    breakup = _members(breakup)
    net = breakup.get("netAmount")
    if net.__class__ is dict:
        found = lenient.amount(net.get("value"))
        if found is not None:
            currency = net.get("currencyCode")
            if currency.__class__ is str and currency:
                currencies.add(_text(currency, 3))
            return found
    base = _members(breakup.get("baseAmount"))
    found = lenient.amount(base.get("value"))
    if found is None:
        return None
    if currency := _text(base.get("currencyCode"), 3):
        currencies.add(currency)
    discount = lenient.amount(_members(breakup.get("discountAmount")).get("value"))
    return found - discount if discount is not None else found


def _read_cancellation(raw: list[Any]) -> Cancellation | None:
    for entry in raw:
        if entry.__class__ is dict:
            return Cancellation(
                kind=_text(entry.get("cancellationType"), _MAX_WORD),
                reason=_text(entry.get("cancellationReason"), _MAX_REASON),
                at=lenient.moment(entry.get("cancelledTimestamp")),
                n_units=lenient.count(entry.get("cancelledQuantity")),
            )
    return None


def _read_buyer(raw: dict, shipping: dict, raw_lines: list[dict]) -> Buyer | None:
    """The person the goods go to: the ship-to address, else the address of the ship-to or bill-to party."""
    address = _members(shipping.get("shipToAddress"))
    if not address:
        parties = [party for party in _items(raw.get("partyInfoList")) if party.__class__ is dict]
        for kind in ("SHIP_TO_PARTY", "BILL_TO_PARTY"):
            address = next(
                (found for p in parties if p.get("partyType") == kind and (found := _members(p.get("address")))), {}
            )
            if address:
                break
    gift_message = next((found for line in raw_lines if (found := _gift_message(line))), "")
    if not address and not gift_message:
        return None
    return Buyer(
        name=_text(address.get("name")),
        email=_text(address.get("email")),
        phone=_text(address.get("phoneNumber")),
        address_lines=tuple(
            [found for key in ("addressLine1", "addressLine2", "addressLine3") if (found := _text(address.get(key)))]
        ),
        city=_text(address.get("city")),
        state=_text(address.get("state")) or _text(address.get("district")),
        postal_code=_text(address.get("postalCode"), _MAX_WORD),
        country_code=_text(address.get("countryCode"), _MAX_WORD),
        gift_message=gift_message,
    )


def _gift_message(line: dict) -> str:
    """The model says base64; a message that is not base64 is taken as it stands, a document that is no text is left."""
    gift = line.get("giftAttributes")
    message = gift.get("giftMessage") if gift.__class__ is dict else None
    if message.__class__ is not dict or message.get("format") not in (None, "PLAIN_TEXT"):
        return ""
    content = _text(message.get("content"), 2 * _MAX_GIFT_MESSAGE)
    try:
        decoded = base64.b64decode(content.encode("ascii"), validate=True).decode("utf-8")
    except (UnicodeError, binascii.Error):
        decoded = content
    return _text(decoded, _MAX_GIFT_MESSAGE)

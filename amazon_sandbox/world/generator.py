"""Makes shipments as Amazon would list them: varied, valid against the model, and plainly fictional."""

import base64
import random
from dataclasses import dataclass, field
from typing import Any

from amazon_sandbox.world import people
from amazon_sandbox.world.accounts import Account, Marketplace
from amazon_sandbox.world.clock import iso
from amazon_sandbox.world.shelf import Record, encode

REJECTABLE = ("ACCEPTED", "CONFIRMED", "PACKAGE_CREATED", "PICKUP_SLOT_RETRIEVED")
DAY_MS = 86_400_000
ID_DIGITS = "0123456789ABCDEFGHJKLMNPQRSTUVWX"


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """What a person or test asks for. Counts are numbers of shipments; `n_lines=0` varies from 1 to 4 lines. With an
    `order_id` all are shipments of one buyer's order."""

    account: Account
    location_ids: tuple[str, ...]
    n_orders: int
    n_lines: int = 0
    status: str = "ACCEPTED"
    sku_codes: tuple[str, ...] = people.SKU_CODES
    n_units: int = 0
    channel_name: str = "FBA"
    shipping_type: str = "MARKETPLACE"
    processing_source: str = "EXTERNAL_PLATFORM"
    invoice_status: str = "AVAILABLE"
    rejectable_statuses: tuple[str, ...] = REJECTABLE
    has_same_time: bool = False
    updated_minutes_ago: float = 0
    odd: str | None = None
    seed: int | None = None
    buyer: dict[str, str] = field(default_factory=dict)
    order_id: str | None = None


def make(request: OrderRequest, first_seq: int, now_ms: int) -> list[Record]:
    """The shipments asked for, with locations in turn. With a `seed` the content repeats."""
    chance = random.Random(request.seed if request.seed is not None else first_seq)  # noqa: S311
    start_ms = now_ms - int(request.updated_minutes_ago * 60_000)
    records = []
    for n in range(request.n_orders):
        location_id = request.location_ids[n % len(request.location_ids)]
        n_younger = request.n_orders - 1 - n
        updated_ms = start_ms if request.has_same_time else start_ms - n_younger // 10
        shipment = _shipment(request, chance, first_seq + n, location_id, updated_ms)
        records.append(
            Record(
                seq=first_seq + n,
                id=shipment["id"],
                seller_id=request.account.selling_partner_id,
                location_id=location_id,
                marketplace_id=request.account.marketplace.id,
                channel_name=request.channel_name,
                status=request.status,
                updated_ms=updated_ms,
                body=encode(shipment),
                odd=request.odd,
            )
        )
    return records


def shipment_id(seq: int) -> str:
    """A short id that never repeats and does not look counted, e.g. `SB7K2M9QX`."""
    scrambled = (seq * 0x9E3779B1 + 0x7F4A7C15) % 2**35  # odd multiplier: one to one below 2**35
    digits = ""
    for _ in range(7):
        scrambled, digit = divmod(scrambled, 32)
        digits = ID_DIGITS[digit] + digits
    return f"SB{digits}"


def _shipment(
    request: OrderRequest, chance: random.Random, seq: int, location_id: str, updated_ms: int
) -> dict[str, Any]:
    marketplace = request.account.marketplace
    n_lines = request.n_lines or chance.choices((1, 2, 3, 4), (60, 25, 10, 5))[0]
    codes = _choose(chance, request.sku_codes, n_lines)
    is_gift = chance.random() < 0.1
    lines, amounts = [], [0, 0, 0]
    for number, code in enumerate(codes, 1):
        n_units = request.n_units or chance.choices((1, 2, 3), (80, 15, 5))[0]
        line, parts = _line(chance, marketplace, number, code, n_units, is_gift)
        lines.append(line)
        amounts = [a + b for a, b in zip(amounts, parts, strict=True)]
    placed_ms = updated_ms - chance.randrange(60_000, 7_200_000)
    address = _address(chance, marketplace.country_code, request.buyer)
    info = {
        "shipmentType": "NEW",
        "numberOfUnits": sum(line["numberOfUnits"] for line in lines),
        "priority": "HIGH" if chance.random() < 0.3 else "LOW",
        "buyerOrderId": request.order_id or f"{400 + seq // 10**7 % 600}-{seq % 10**7:07d}-{seq * 7919 % 10**7:07d}",
        "orderStatesEligibleForRejection": list(request.rejectable_statuses),
        "orderPlacedTimestamp": str(placed_ms),
        "processingSource": request.processing_source,
        "paymentMethod": "CASH_ON_DELIVERY"
        if marketplace.country_code in ("IN", "AE") and chance.random() < 0.25
        else "PREPAID",
    }
    is_day_odd = chance.random() < 0.05  # Amazon's own examples carry this form, with a space
    earliest = iso(updated_ms)
    return {
        "id": shipment_id(seq),
        "locationId": location_id,
        "marketplaceAttributes": {
            "marketplaceId": marketplace.id,
            "channelName": request.channel_name,
            "merchantId": request.account.selling_partner_id,
            "customAttributes": ["PRIME"] if chance.random() < 0.2 else [],
        },
        "shipmentInfo": info,
        "partyInfoList": _parties(request.account, location_id, address),
        "shipmentRequirements": {
            "pSlip": {"requirement": "NOT_REQUIRED", "status": "NOT_GENERATED"},
            "invoice": {"requirement": "REQUIRED", "status": request.invoice_status},
        },
        "charges": [_charge(marketplace, "TOTAL", *amounts)],
        "status": request.status,
        "lineItems": lines,
        "shippingInfo": {
            "recommendedShipMethod": "SANDBOX_STANDARD",
            "expectedShippingDateTimeInUTC": iso(updated_ms - updated_ms % DAY_MS + DAY_MS + DAY_MS // 2),
            "shipToAddress": address,
            "shippingType": request.shipping_type,
        },
        "creationDateTime": iso(updated_ms),
        "lastUpdatedDateTime": iso(updated_ms),
        "earliestPackDateTime": earliest[:19].replace("T", " ") + "Z" if is_day_odd else earliest,
    }


def _choose(chance: random.Random, codes: tuple[str, ...], n_lines: int) -> list[str]:
    if n_lines <= len(codes):
        return chance.sample(codes, n_lines)
    return [codes[n % len(codes)] for n in range(n_lines)]


def _line(
    chance: random.Random, marketplace: Marketplace, number: int, code: str, n_units: int, is_gift: bool
) -> tuple[dict[str, Any], tuple[int, int, int]]:
    over, under = people.RATES[marketplace.currency]
    unit = people.PRICES.get(code, 19900) * over // under
    base = unit * n_units
    discount = base // 10 if chance.random() < 0.15 else 0
    shipping = 4000 * over // under if chance.random() < 0.3 else 0
    if not marketplace.n_decimals:
        base, discount, shipping = base // 100, discount // 100, shipping // 100
    tax = _tax(marketplace, base - discount)
    charges = [_charge(marketplace, "PRODUCT", base, discount, tax)]
    amounts = (base, discount, tax)
    if shipping:
        charges.append(_charge(marketplace, "SHIPPING", shipping, 0, _tax(marketplace, shipping)))
        amounts = (base + shipping, discount, tax + _tax(marketplace, shipping))
    needs_serial = "REQUIRED" if code in people.SERIALIZED_SKU_CODES else "DISALLOWED"
    line = {
        "shipmentLineItemId": str(number),
        "merchantSku": code,
        "numberOfUnits": n_units,
        "pieceType": "SINGLE",
        "hazmatLabels": [],
        "giftAttributes": _gift(chance) if is_gift else NO_GIFT,
        "charges": charges,
        "cancellations": [],
        "hsnCode": people.HSN_CODES.get(code, "999999"),
        "complianceAttributes": {
            "serialNumberRequirement": needs_serial,
            "hazmatLabelsRequirement": "DISALLOWED",
            "countryOfOriginRequirement": "REQUIRED" if marketplace.country_code == "AE" else "DISALLOWED",
            "itemValueRequirement": "REQUIRED" if marketplace.country_code == "AE" else "DISALLOWED",
        },
    }
    return line, amounts


NO_GIFT = {"giftWrapRequirement": "DISALLOWED", "giftMessagePresence": "ABSENT"}


def _gift(chance: random.Random) -> dict[str, Any]:
    message = chance.choice(people.GIFT_MESSAGES)
    return {
        "giftWrapRequirement": "REQUIRED",
        "giftWrapLabel": "RIBBON_RED",
        "giftMessagePresence": "PRESENT",
        "giftMessage": {"format": "PLAIN_TEXT", "content": base64.b64encode(message.encode()).decode()},
    }


def _tax(marketplace: Marketplace, net: int) -> int:
    return sum(net * rate // 100 for _, rate in marketplace.taxes)


def _money(marketplace: Marketplace, amount: int) -> dict[str, str]:
    if not marketplace.n_decimals:
        return {"value": str(amount), "currencyCode": marketplace.currency}
    return {"value": f"{amount // 100}.{amount % 100:02d}", "currencyCode": marketplace.currency}


def _breakup(marketplace: Marketplace, base: int, discount: int) -> dict[str, Any]:
    return {
        "baseAmount": _money(marketplace, base),
        "discountAmount": _money(marketplace, discount),
        "netAmount": _money(marketplace, base - discount),
    }


def _charge(marketplace: Marketplace, kind: str, base: int, discount: int, tax: int) -> dict[str, Any]:
    """A charge of integer minor units: its net, its taxes by kind, and its total with tax."""
    charge = {
        "chargeType": kind,
        "baseCharge": _breakup(marketplace, base, discount),
        "totalTax": {"type": "TOTAL", "charge": _breakup(marketplace, tax, 0)},
        "totalCharge": _breakup(marketplace, base + tax, discount),
    }
    if kind != "TOTAL":
        net = base - discount
        charge["taxBreakup"] = [
            {"type": name, "rate": f"{rate}.00", "charge": _breakup(marketplace, net * rate // 100, 0)}
            for name, rate in marketplace.taxes
        ]
    return charge


def _address(chance: random.Random, country_code: str, buyer: dict[str, str]) -> dict[str, str]:
    city, state, postal_code = chance.choice(people.CITIES[country_code])
    number = chance.randrange(100_000)
    address = {
        "name": f"{chance.choice(people.FIRST_NAMES[country_code])} {chance.choice(people.LAST_NAMES)}",
        "addressLine1": f"{number % 900 + 1} {chance.choice(people.STREETS)}",
        "city": city,
        "countryCode": country_code,
        "postalCode": postal_code,
        "phoneNumber": people.PHONES[country_code].format(number),
        "email": f"buyer-{number}@marketplace.example",
        "addressType": "Residential",
    }
    if state:
        address["state"] = state
    if number % 3 == 0:
        address["addressLine2"] = f"Flat {number % 40 + 1}"
    return {**address, **buyer}


def _parties(account: Account, location_id: str, address: dict[str, str]) -> list[dict[str, Any]]:
    tax = {"type": "GST" if account.marketplace.country_code == "IN" else "VAT", "number": account.tax_number}
    own = {
        "name": account.name,
        "addressLine1": f"Warehouse {location_id}",
        "city": account.city,
        "countryCode": account.marketplace.country_code,
        "postalCode": account.postal_code,
    }
    return [
        {"partyId": "BUYER", "partyType": "SHIP_TO_PARTY", "address": address},
        {"partyId": location_id, "partyType": "SHIP_FROM_PARTY", "address": own},
        {"partyId": account.selling_partner_id, "partyType": "SELLING_PARTY", "taxInfo": tax},
    ]

"""Shipments as Amazon sends them, for tests of what FlexDash makes of them."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

_numbers = count(1)
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def raw_shipment(
    shipment_id: str | None = None,
    status: str = "ACCEPTED",
    location_id: str = "EXSB",
    *,
    minutes: int = 0,
    sku_codes: tuple[str, ...] = ("TEE-BLK-M",),
    **changes: Any,
) -> dict[str, Any]:
    """Return one shipment; `minutes` is how long after START it was last updated, `changes` replace top members."""
    n = next(_numbers)
    updated_at = START + timedelta(minutes=minutes)
    raw: dict[str, Any] = {
        "id": shipment_id or f"D{n:08d}T",
        "locationId": location_id,
        "status": status,
        "marketplaceAttributes": {"marketplaceId": "A21TJRUUN4KGV", "channelName": "FBA"},
        "shipmentInfo": {
            "shipmentType": "NEW",
            "numberOfUnits": len(sku_codes),
            "priority": "HIGH",
            "buyerOrderId": f"403-{n:07d}-0000001",
            "orderStatesEligibleForRejection": ["ACCEPTED", "CONFIRMED"],
            "orderPlacedTimestamp": str(int(START.timestamp() * 1000)),
            "paymentMethod": "PREPAID",
        },
        "shipmentRequirements": {"pSlip": {"requirement": "REQUIRED"}, "invoice": {"requirement": "REQUIRED"}},
        "charges": [_charge("TOTAL", 499 * len(sku_codes))],
        "lineItems": [
            {
                "shipmentLineItemId": str(line),
                "merchantSku": sku_code,
                "numberOfUnits": 1,
                "charges": [_charge("PRODUCT", 499)],
                "complianceAttributes": {"serialNumberRequirement": "DISALLOWED"},
            }
            for line, sku_code in enumerate(sku_codes, start=1)
        ],
        "shippingInfo": {
            "expectedShippingDateTimeInUTC": _text(START + timedelta(days=1)),
            "shipToAddress": {
                "name": "Meera Fictional",
                "addressLine1": "12 Imaginary Road",
                "city": "Pune",
                "postalCode": "411001",
                "countryCode": "IN",
                "phoneNumber": "+91 00000 00042",
            },
            "shippingType": "MARKETPLACE",
        },
        "creationDateTime": _text(START),
        "lastUpdatedDateTime": _text(updated_at),
    }
    return raw | changes


def cancelled(
    raw: dict[str, Any],
    *,
    minutes: int = 30,
    kind: str = "MARKETPLACE_CANCELLED",
    reason: str = "Ordered by mistake",
) -> dict[str, Any]:
    """Return `raw` as it looks after a cancellation."""
    at = _text(START + timedelta(minutes=minutes))
    line = raw["lineItems"][0] | {
        "cancellations": [
            {
                "cancelledQuantity": 1,
                "cancelledTimestamp": at,
                "cancellationType": kind,
                "cancellationReason": reason,
            }
        ]
    }
    return raw | {
        "status": "CANCELLED",
        "lastUpdatedDateTime": at,
        "lineItems": [line, *raw["lineItems"][1:]],
    }


def _charge(kind: str, total: int) -> dict[str, Any]:
    def amounts(value: str) -> dict[str, Any]:
        amount = {"value": value, "currencyCode": "INR"}
        return {"baseAmount": amount, "discountAmount": {"value": "0.00", "currencyCode": "INR"}, "netAmount": amount}

    base = total / 1.18
    return {
        "chargeType": kind,
        "baseCharge": amounts(f"{base:.2f}"),
        "totalTax": {"type": "TOTAL", "rate": "18", "charge": amounts(f"{total - base:.2f}")},
        "totalCharge": amounts(f"{total:.2f}"),
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

"""The text of a return as the model describes it, and what its text gains on the way."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from amazon_sandbox.world import accounts, documents, generator
from amazon_sandbox.world.clock import iso
from amazon_sandbox.world.shelf import Record

if TYPE_CHECKING:
    from amazon_sandbox.world.returns import ReturnRequest

REASONS = ("CR-DEFECTIVE", "CR-UNWANTED_ITEM", "CR-ORDERED_WRONG_ITEM", "AMZ-PG-BAD-DESC", "CR-NO_REASON_GIVEN")
CARRIER = "SANDBOX REVERSE"
OTP_SECONDS = 86_400
NOT_PICKED_UP = (
    "CREATED",
    "CARRIER_NOTIFIED_TO_PICK_UP_FROM_CUSTOMER",
    "CARRIER_OUT_FOR_PICK_UP_FROM_CUSTOMER",
    "CUSTOMER_CANCELLED_PICK_UP",
    "CUSTOMER_RESCHEDULED_PICK_UP",
    "REJECTED",
    "CANCELLED",
)


def new_text(
    seq: int, shipment: Record, line: dict[str, Any], request: ReturnRequest, location_id: str, at_ms: int
) -> dict[str, Any]:
    """The return as the model describes it."""
    chance = random.Random(seq)  # noqa: S311
    account = accounts.BY_ID[shipment.seller_id]
    number = generator.shipment_id(seq)[2:]
    metadata: dict[str, Any] = {
        "returnReason": request.reason or chance.choice(REASONS),
        "rmaId": f"RMA{number}",
        "invoiceInformation": {"id": f"INV-{shipment.id}"},
    }
    channel: dict[str, Any] = {
        "marketplaceChannel": {
            "marketplaceName": f"AMAZON_{account.marketplace.country_code}",
            "channelName": shipment.channel_name,
        },
        "merchantId": account.selling_partner_id,
        "channelSku": f"X00{line['merchantSku']}",
    }
    if request.link in ("all", "shipment"):
        metadata["fulfillmentOrderId"] = shipment.id
    if request.link == "channel":
        channel["shipmentId"] = shipment.id
    elif request.link == "all":
        channel["shipmentId"] = f"Dm{number}"  # the marketplace's own, which no shipment of this API has
    if request.link in ("all", "order"):
        channel["customerOrderId"] = shipment.shipment()["shipmentInfo"]["buyerOrderId"]
    told = {
        "id": f"SR{number}",
        "merchantSku": line["merchantSku"],
        "returnType": request.return_type,
        "returnSubType": request.return_sub_type,
        "numberOfUnits": request.n_units or line["numberOfUnits"],
        "status": request.status,
        "fulfillmentLocationId": shipment.location_id,
        "creationDateTime": iso(at_ms),
        "lastUpdatedDateTime": iso(at_ms),
        "returnMetadata": metadata,
        "returnShippingInfo": {
            "forwardTrackingInfo": {
                "carrierName": "SANDBOX",
                "trackingId": documents.tracking_id(shipment.id, "1"),
            },
            "reverseTrackingInfo": _tracking(seq, 1),
        },
        "marketplaceChannelDetails": channel,
    }
    if location_id:
        told["returnLocationId"] = channel["returnLocationId"] = location_id
    return told


def happen(told: dict[str, Any], status: str, now_ms: int, seq: int, otp: str | None) -> None:
    """What else changes in the text of a return that comes to `status`."""
    shipping = told["returnShippingInfo"]
    if status not in NOT_PICKED_UP:
        shipping.setdefault("pickupDateTime", iso(now_ms))
    if status == "OUT_FOR_DELIVERY":
        password = otp or f"{random.Random(seq * 7919).randrange(1_000_000):06d}"  # noqa: S311
        told["otpDetails"] = {"otp": password, "validTill": now_ms // 1000 + OTP_SECONDS}
    if status == "REPLANNED":
        earlier = told.setdefault("replanningDetails", {"previousTrackingInfo": []})["previousTrackingInfo"]
        earlier.append(shipping["reverseTrackingInfo"])
        shipping["reverseTrackingInfo"] = _tracking(seq, len(earlier) + 1)
    if status == "DELIVERED":
        shipping["deliveryDateTime"] = iso(now_ms)
        told["packageDeliveryMode"] = "WITH_OTP" if "otpDetails" in told else "WITHOUT_OTP"


def _tracking(seq: int, number: int) -> dict[str, str]:
    return {"carrierName": CARRIER, "trackingId": f"SBR{generator.shipment_id(seq)[2:]}{number}"}

"""Reads a return as Amazon sent it, leniently: one odd field never costs a return, one odd return never a page.

The one-time password that lets a carrier hand a return over is left where it is: nothing here looks at it, so nothing
can store, log or show it. Amazon sends no buyer's name or address; the reason may be the buyer's own words, and is
read without what looks like an e-mail address or a telephone number.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flexdash.amazon import lenient
from flexdash.amazon.errors import UnreadableReturn
from flexdash.amazon.faults import read_or_refuse
from flexdash.amazon.records import redacted

MAX_ID = 100
_MAX_WORD = 60
_MAX_REASON = 300
_MAX_EARLIER = 20


@dataclass(frozen=True, slots=True)
class Tracking:
    """A parcel with a carrier; both "" where Amazon sent nothing."""

    carrier: str = ""
    tracking_id: str = ""


@dataclass(frozen=True, slots=True)
class ReturnItem:
    """One return. Texts are "" and times None where Amazon sent nothing readable; times are aware, in UTC.

    `location_id` is where it is handed in, `fulfillment_location_id` where the order came from. `shipment_id` is
    Amazon's External Fulfillment id of that order; where it is missing, the marketplace's own, `channel_shipment_id`.
    `forward` brought the goods to the buyer, `reverse` brings them back; `earlier` are the trackings of the way back
    before it was replanned. `otp_valid_until` is when the hand-over's one-time password ends, None where there is none.
    """

    id: str
    status: str
    return_type: str
    return_sub_type: str
    n_units: int | None
    sku_code: str
    channel_sku: str
    location_id: str
    fulfillment_location_id: str
    shipment_id: str
    channel_shipment_id: str
    order_id: str
    exchange_order_id: str
    merchant_id: str
    marketplace_name: str
    channel_name: str
    reason: str
    rma_id: str
    invoice_id: str
    forward: Tracking
    reverse: Tracking
    earlier: tuple[Tracking, ...]
    delivery_mode: str
    otp_valid_until: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    picked_up_at: datetime | None
    delivered_at: datetime | None


def read_return(raw: Any) -> ReturnItem:
    """Return the return in `raw`, one element of Amazon's `returns` array or the answer to getReturn.

    Raises UnreadableReturn only when the id or the status cannot be had.
    """
    return read_or_refuse(_read, raw, UnreadableReturn)


def _read(raw: Any) -> ReturnItem:
    if raw.__class__ is not dict:
        raise UnreadableReturn("it is not a JSON object")
    return_id = _identifier(raw.get("id"))
    if not return_id:
        raise UnreadableReturn("it has no readable id")
    status = _word(raw.get("status"))
    if not status:
        raise UnreadableReturn("it has no readable status", return_id)
    facts = lenient.members(raw.get("returnMetadata"))
    shipping = lenient.members(raw.get("returnShippingInfo"))
    channel = lenient.members(raw.get("marketplaceChannelDetails"))
    marketplace = lenient.members(channel.get("marketplaceChannel"))
    earlier = lenient.items(lenient.members(raw.get("replanningDetails")).get("previousTrackingInfo"))
    return ReturnItem(
        id=return_id,
        status=status,
        return_type=_word(raw.get("returnType")),
        return_sub_type=_word(raw.get("returnSubType")),
        n_units=lenient.count(raw.get("numberOfUnits")) or None,
        sku_code=_identifier(raw.get("merchantSku")),
        channel_sku=_identifier(channel.get("channelSku")),
        location_id=_identifier(raw.get("returnLocationId")) or _identifier(channel.get("returnLocationId")),
        fulfillment_location_id=_identifier(raw.get("fulfillmentLocationId")),
        shipment_id=_identifier(facts.get("fulfillmentOrderId")) or _identifier(channel.get("shipmentId")),
        channel_shipment_id=_identifier(channel.get("shipmentId")),
        order_id=_identifier(channel.get("customerOrderId")),
        exchange_order_id=_identifier(channel.get("exchangeOrderId")),
        merchant_id=_identifier(channel.get("merchantId")),
        marketplace_name=_word(marketplace.get("marketplaceName")),
        channel_name=_word(marketplace.get("channelName")),
        reason=redacted(lenient.text(facts.get("returnReason"), 8 * _MAX_REASON), _MAX_REASON),
        rma_id=_identifier(facts.get("rmaId")),
        invoice_id=_identifier(lenient.members(facts.get("invoiceInformation")).get("id")),
        forward=_tracking(shipping.get("forwardTrackingInfo")),
        reverse=_tracking(shipping.get("reverseTrackingInfo")),
        earlier=tuple(found for one in earlier[:_MAX_EARLIER] if (found := _tracking(one)) != Tracking()),
        delivery_mode=_word(raw.get("packageDeliveryMode")),
        otp_valid_until=lenient.moment(lenient.members(raw.get("otpDetails")).get("validTill")),
        created_at=lenient.moment(raw.get("creationDateTime")),
        updated_at=lenient.moment(raw.get("lastUpdatedDateTime")),
        picked_up_at=lenient.moment(shipping.get("pickupDateTime")),
        delivered_at=lenient.moment(shipping.get("deliveryDateTime")),
    )


def _identifier(value: Any) -> str:
    """An id that is too long is no id: cut, it would name something else."""
    found = lenient.text(value, MAX_ID + 1)
    return found if len(found) <= MAX_ID else ""


def _word(value: Any) -> str:
    return lenient.text(value, _MAX_WORD)


def _tracking(raw: Any) -> Tracking:
    raw = lenient.members(raw)
    return Tracking(_word(raw.get("carrierName")), _identifier(raw.get("trackingId")))

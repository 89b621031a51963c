"""From a return of Amazon's to the row of a return."""

from typing import Any

from flexdash.amazon.return_reader import ReturnItem
from flexdash.amazon.return_statuses import RETURN_STATUSES, lookup_return


def from_amazon(item: ReturnItem) -> dict[str, Any]:
    """Return the columns of a return that always say what Amazon said last."""
    return {
        "amazon_status": item.status,
        "return_type": item.return_type,
        "return_sub_type": item.return_sub_type,
        "sku_code": item.sku_code,
        "channel_sku": item.channel_sku,
        "n_units": item.n_units,
        "reason": item.reason,
        "rma_id": item.rma_id,
        "invoice_id": item.invoice_id,
        "amazon_shipment_id": item.shipment_id,
        "channel_shipment_id": item.channel_shipment_id,
        "amazon_order_id": item.order_id,
        "exchange_order_id": item.exchange_order_id,
        "return_location_id": item.location_id,
        "fulfillment_location_id": item.fulfillment_location_id,
        "amazon_merchant_id": item.merchant_id,
        "marketplace_name": item.marketplace_name,
        "channel_name": item.channel_name,
        "carrier": item.reverse.carrier,
        "tracking_id": item.reverse.tracking_id,
        "outbound_carrier": item.forward.carrier,
        "outbound_tracking_id": item.forward.tracking_id,
        "earlier_trackings": [[one.carrier, one.tracking_id] for one in item.earlier],
        "delivery_mode": item.delivery_mode,
        "otp_valid_until": item.otp_valid_until,
        "amazon_created_at": item.created_at,
        "amazon_updated_at": item.updated_at,
        "picked_up_at": item.picked_up_at,
        "delivered_at": item.delivered_at,
        "is_unlisted": is_unlisted(item),
    }


def is_unlisted(item: ReturnItem) -> bool:
    """Say whether no list can bring this return's changes: Amazon lists them by location and by status it knows."""
    return not lookup_return(item.status).is_over and (not item.location_id or item.status not in RETURN_STATUSES)

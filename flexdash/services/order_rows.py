"""From a shipment of Amazon's to the rows of an order."""

import json
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.amazon.shipment import Buyer
from flexdash.amazon.shipment_reader import Shipment
from flexdash.models import Acknowledgement, OrderState, OrderStock
from flexdash.services.routing import Route
from flexdash.vault import Vault

_OF_A_BUYER = tuple(field.name for field in fields(Buyer))


@dataclass(frozen=True)
class ReadShipment:
    """A shipment as Amazon sent it and as it was read, with the buyer already encrypted (slow work, done early)."""

    raw: dict[str, Any]
    shipment: Shipment
    buyer_encrypted: bytes | None


def encrypt_buyer(vault: Vault, shipment: Shipment) -> bytes | None:
    """Return the buyer's data as encrypted JSON, or None when Amazon sent none."""
    if shipment.buyer is None:
        return None
    return vault.encrypt(json.dumps({name: getattr(shipment.buyer, name) for name in _OF_A_BUYER}))


def from_amazon(shipment: Shipment) -> dict[str, Any]:
    """Return the columns of an order that always say what Amazon said last."""
    return {
        "amazon_status": shipment.status[:60],
        "amazon_sub_status": (shipment.sub_status or "")[:60],
        "amazon_updated_at": shipment.updated_at,
        "seller_flex_hub_id": shipment.location_id,
        "ship_by_at": shipment.ship_by_at,
        "processing_source": (shipment.processing_source or "")[:40],
        "rejectable_statuses": list(shipment.rejectable_statuses),
        "invoice_requirement": shipment.invoice_requirement[:20],
        "invoice_status": shipment.invoice_status[:20],
    }


def order_row(
    read: ReadShipment, route: Route, *, workspace_id: int, store_id: int, imported_at: datetime
) -> dict[str, Any]:
    """Return the row of a new order: New Order with its stock reserved when the route is clear, else On Hold."""
    shipment = read.shipment
    return {
        "workspace_id": workspace_id,
        "store_id": store_id,
        "amazon_shipment_id": shipment.id,
        "amazon_order_id": shipment.order_id or "",
        "hub_id": route.hub_id,
        "state": OrderState.ON_HOLD if route.holds else OrderState.NEW,
        "stock": OrderStock.NONE if route.holds else OrderStock.RESERVED,
        "acknowledgement": _acknowledgement(shipment, route),
        "amazon_created_at": shipment.created_at,
        "placed_at": shipment.placed_at,
        "imported_at": imported_at,
        "changed_at": imported_at,
        "n_units": shipment.n_units,
        "n_lines": len(shipment.lines),
        "total": shipment.total.amount if shipment.total else None,
        "currency": (shipment.currency or "")[:3],
        "shipment_type": (shipment.shipment_type or "")[:30],
        "payment_method": (shipment.payment_method or "")[:30],
        "priority": (shipment.priority or "")[:30],
        "buyer_encrypted": read.buyer_encrypted,
    } | from_amazon(shipment)


def line_rows(shipment: Shipment, order_id: int) -> list[dict[str, Any]]:
    """Return the rows of the order's lines, amounts as Amazon sent them."""
    return [
        {
            "order_id": order_id,
            "amazon_line_id": line.id,
            "sku_code": line.sku_code,
            "n_units": line.n_units,
            "item_total": line.item_total,
            "tax_total": line.tax_total,
            "total": line.total,
            "currency": (line.currency or "")[:3],
            "charges": line.charges,
            "compliance": line.compliance,
        }
        for line in shipment.lines
    ]


def hold_rows(route: Route, order_id: int, workspace_id: int) -> list[dict[str, Any]]:
    """Return one row per reason for which the order waits."""
    return [
        {
            "workspace_id": workspace_id,
            "order_id": order_id,
            "reason": hold.reason,
            "detail": hold.detail,
            "created_at": clock.now(),
        }
        for hold in route.holds
    ]


def imported_sentence(shipment: Shipment, route: Route) -> str:
    """Return the first sentence of an order's timeline."""
    label = statuses.lookup(shipment.status).label
    beginning = f"Imported from Amazon as {label} ({shipment.status})"
    if route.holds:
        return f"{beginning}. On Hold: {' '.join(hold.detail for hold in route.holds)}"[:500]
    by = f"by its Seller Flex Hub ID {shipment.location_id}"
    return f"{beginning} and routed to {route.hub_name} {by}. Its stock is reserved there."


def _acknowledgement(shipment: Shipment, route: Route) -> Acknowledgement:
    if not statuses.lookup(shipment.status).needs_acknowledgement:
        return Acknowledgement.NOT_NEEDED
    return Acknowledgement.NOT_YET if route.holds else Acknowledgement.PENDING

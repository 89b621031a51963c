"""What mends an order's reasons to be On Hold."""

from flexdash.models import HoldReason, Order
from flexdash.services.diagnosis.checks import Fix, FixKind


def fixes_of(order: Order) -> list[Fix]:
    """Return what mends the reasons of a held `order`, each once."""
    mends: list[Fix] = []
    for hold in order.holds:
        fix = _fix(order, hold.reason)
        if fix not in mends:
            mends.append(fix)
    return mends


def _fix(order: Order, reason: HoldReason) -> Fix:
    match reason:
        case HoldReason.NO_HUB_MAPPED | HoldReason.HUB_INACTIVE:
            return Fix(FixKind.HUB_MAPPING, {"store_id": order.store_id})
        case HoldReason.SKU_UNKNOWN | HoldReason.NO_ASIN:
            return Fix(FixKind.UPLOAD_CATALOG, {"store": order.store_id}, order.store.name)
        case _:
            return Fix(FixKind.STOCK, {"seller": order.store.seller_id, "hub": order.hub_id})

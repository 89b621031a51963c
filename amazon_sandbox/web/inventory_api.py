"""batchInventory of External Fulfillment inventory 2024-09-11."""

from flask import Blueprint

from amazon_sandbox.web.gate import Answer, amazon_operation, json_body, query, world

blueprint = Blueprint("inventory_api", __name__)


@blueprint.post("/externalFulfillment/inventory/2024-09-11/inventories")
@amazon_operation("batchInventory")
def batch_inventory(seller_id: str) -> Answer:
    """Up to ten stock updates or look-ups, each answered with a status of its own."""
    query()
    return 207, world().inventory.batch(seller_id, json_body(is_required=True))

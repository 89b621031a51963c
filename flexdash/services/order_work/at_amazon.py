"""Asking Amazon how one order stands there, right before something is done that could be in vain."""

from flexdash.amazon.errors import AmazonError, NotFound, UnreadableShipment
from flexdash.amazon.shipment_reader import Shipment, read_shipment
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Order, Store
from flexdash.services import order_changes, order_holds
from flexdash.services.amazon_access import StoreNotConnected, amazon_for
from flexdash.services.errors import ServiceError
from flexdash.services.order_stock import StockDesk


class AmazonNotAsked(ServiceError):
    """Amazon could not be asked, or its answer not be understood: whether it still wants the order is not known."""


def ask_and_apply(order: Order) -> str:
    """Ask Amazon for the order's shipment while a person waits, write what is news in it, and return its location.

    Where that frees stock, orders On Hold that waited for it are let go. Call it outside a transaction. Raises
    AmazonNotAsked; nothing was changed then.
    """
    order_id, shipment_id, store = order.id, order.amazon_shipment_id, order.store
    try:
        with amazon_for(store) as client:
            shipment = read_shipment(client.shipments.get(shipment_id))
    except StoreNotConnected as error:
        raise AmazonNotAsked(f"Nothing was done. {error.sentence}") from error
    except NotFound as error:
        raise AmazonNotAsked(
            "Nothing was done: Amazon does not know this shipment any more. Look it up in Seller Central."
        ) from error
    except UnreadableShipment as error:
        raise AmazonNotAsked(
            f"Nothing was done: Amazon's answer about this shipment cannot be read ({error.reason.rstrip('.')})."
        ) from error
    except AmazonError as error:
        raise AmazonNotAsked(
            "Nothing was done: Amazon was to be asked whether it still wants this order, and did not answer "
            f"({error.message.rstrip('.')}). Try again in a moment."
        ) from error
    with transaction():
        desk = apply(order_id, shipment)
    if desk.has_freed_stock:
        order_holds.release_for_seller(desk.seller_id)
    return shipment.location_id


def apply(order_id: int, shipment: Shipment) -> StockDesk:
    """Lock the order, write what is news in `shipment`, inside the caller's transaction, and return the desk that did
    it: it says whether stock was freed."""
    order = db.session.get_one(Order, order_id, with_for_update={"key_share": True}, populate_existing=True)
    desk = desk_of(order.store_id)
    if not order_changes.is_older(shipment, order):
        order_changes.apply(order, shipment, run_id=None, desk=desk)
    desk.settle()
    db.session.flush()
    desk.write()
    return desk


def desk_of(store_id: int, run_id: int | None = None) -> StockDesk:
    """Return a stock desk for orders of this store."""
    store = db.session.get_one(Store, store_id)
    return StockDesk(workspace_id=store.workspace_id, seller_id=store.seller_id, run_id=run_id)

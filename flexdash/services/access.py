"""What a person may see. Every read of a page goes through here, so no query can leave the workspace."""

from typing import Any, TypeVar

from sqlalchemy import Select, false, select

from flexdash.extensions import db
from flexdash.models import (
    Alarm,
    AmazonReturn,
    ApiCall,
    Difference,
    Listing,
    Order,
    OrderConflict,
    OrderDocument,
    OrderStep,
    PublishedStock,
    QuarantinedReturn,
    QuarantinedShipment,
    Recovery,
    Seller,
    Sku,
    StockLevel,
    Store,
    SyncRun,
    SyncState,
    Upload,
    ZeroBrake,
)
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible

Model = TypeVar("Model", bound=db.Model)

_BY_SELLER = {
    Seller: Seller.id,
    Store: Store.seller_id,
    Sku: Sku.seller_id,
    StockLevel: StockLevel.seller_id,
    Upload: Upload.seller_id,
}
_BY_STORE = {
    Order: Order.store_id,
    OrderStep: OrderStep.store_id,
    SyncRun: SyncRun.store_id,
    SyncState: SyncState.store_id,
    ApiCall: ApiCall.store_id,
    QuarantinedShipment: QuarantinedShipment.store_id,
    Listing: Listing.store_id,
    PublishedStock: PublishedStock.store_id,
    ZeroBrake: ZeroBrake.store_id,
    Recovery: Recovery.store_id,
    Difference: Difference.store_id,
    AmazonReturn: AmazonReturn.store_id,
    QuarantinedReturn: QuarantinedReturn.store_id,
    Alarm: Alarm.store_id,  # one of the whole workspace is nobody's whose sellers are limited
}
_BY_ORDER = {
    OrderConflict: OrderConflict.order_id,
    OrderDocument: OrderDocument.order_id,
}


def visible(actor: Actor, model: type[Model], *, are_few: bool = False) -> Select[tuple[Model]]:
    """Return a SELECT of the `model` rows that `actor` may see: those of the workspace, and of their sellers.

    `are_few` says that what the caller adds finds few rows by an index of its own. The workspace is then looked at row
    by row: without statistics SQLite takes a workspace for as small as an order, and would read all of its rows.
    """
    workspace_id = _workspace_column(model)
    query = select(model).where((workspace_id + 0 if are_few else workspace_id) == actor.workspace_id)
    if actor.seller_ids is None:
        return query
    if model in _BY_SELLER:
        return query.where(_BY_SELLER[model].in_(actor.seller_ids) if actor.seller_ids else false())
    stores = select(Store.id).where(Store.workspace_id == actor.workspace_id, Store.seller_id.in_(actor.seller_ids))
    if model in _BY_STORE:
        return query.where(_BY_STORE[model].in_(stores))
    if model in _BY_ORDER:
        return query.where(_BY_ORDER[model].in_(select(Order.id).where(Order.store_id.in_(stores))))
    return query


def get(actor: Actor, model: type[Model], row_id: int, *, lock: bool = False) -> Model:
    """Return the row with `row_id` that `actor` may see, read fresh; with `lock`, held until the transaction ends.

    Raises NotVisible when there is none, or when it is another workspace's or another seller's.
    """
    query = visible(actor, model).where(model.id == row_id).execution_options(populate_existing=True)
    if lock:
        # FOR NO KEY UPDATE: rows that point at this one can still be written. With the full lock, somebody who has just
        # added such a row and then wants this one would wait for somebody who does the same: a deadlock.
        query = query.with_for_update(of=model, key_share=True)
    row = db.session.scalars(query).one_or_none()
    if row is None:
        raise NotVisible(model.__name__.lower())
    return row


def _workspace_column(model: type[Any]) -> Any:
    return model.workspace_id

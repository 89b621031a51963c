"""Whether a store has a mapped hub, a catalog, and stock, as SQL that looks at one row of an index for each.

Each asks for the first one in the order of its index, and not whether one exists. For a store without any, PostgreSQL
would otherwise read a whole large table where it takes it to be all of this one store.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, Listing, StockLevel, Store


def has_hub(store_id: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Return the condition that a hub is mapped, and both mapping and hub are active."""
    return _mapped(select(HubMapping.id), store_id).exists()


def has_listing(store_id: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Return the condition that the store's catalog has anything."""
    first = select(Listing.id).where(Listing.store_id == store_id).order_by(Listing.sku_code).limit(1)
    return first.scalar_subquery().is_not(None)


def has_stock(store_id: ColumnElement[int] | int, seller_id: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Return the condition that a quantity was given, be it zero by now, for an item in a hub that is mapped."""
    level = select(StockLevel.id).where(StockLevel.hub_id == HubMapping.hub_id, StockLevel.seller_id == seller_id)
    first = level.order_by(StockLevel.sku_code).limit(1).correlate(HubMapping, Store).scalar_subquery()
    return _mapped(select(func.max(first)), store_id).scalar_subquery().is_not(None)


def is_catalog_empty(store: Store) -> bool:
    """Say whether the store's catalog has nothing."""
    return not db.session.scalar(select(has_listing(store.id)))


def _mapped(query: Select[Any], store_id: ColumnElement[int] | int) -> Select[Any]:
    query = query.select_from(HubMapping).join(Hub, Hub.id == HubMapping.hub_id)
    return query.where(HubMapping.store_id == store_id, HubMapping.is_active, Hub.is_active)

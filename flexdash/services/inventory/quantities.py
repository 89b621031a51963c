"""The quantities that the push, the preview and the pages compare, as SQL that all of them share."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, any_, bindparam, case, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from flexdash.extensions import db
from flexdash.models import HubMapping, Listing, PublishedStock, StockLevel


def wanted(stock_buffer: int) -> ColumnElement[int]:
    """What Amazon should show: what may be sold at the hub less the units held back, never below 0."""
    free = func.coalesce(StockLevel.on_hand - StockLevel.reserved, 0) - stock_buffer
    return case((free > 0, free), else_=0)


def shown() -> ColumnElement[int]:
    """What Amazon shows as far as FlexDash knows: the later of what it accepted and what it said; NULL: not known."""
    is_fetched_later = and_(
        PublishedStock.fetched_at.is_not(None),
        or_(PublishedStock.accepted_at.is_(None), PublishedStock.fetched_at > PublishedStock.accepted_at),
    )
    fetched = func.coalesce(PublishedStock.amazon_sellable, PublishedStock.quantity)
    return case((is_fetched_later, fetched), else_=PublishedStock.quantity)


def is_unknown() -> ColumnElement[bool]:
    """Whether nobody knows what Amazon shows, so that a 0 may take away what it sells: it took and said nothing yet.

    Where a 0 went out already, and got another answer or none, that is decided, and one more 0 decides nothing.
    """
    was_sent_zero = func.coalesce(PublishedStock.sent_quantity, 1) == 0
    return and_(shown().is_(None), ~was_sent_zero)


def lines(columns: list[Any], *, store_id: int, seller_id: int, mapping_ids: list[int]) -> Select[Any]:
    """Return the SELECT of `columns` with a row for every catalog SKU at every one of the locations `mapping_ids`.

    The tables are Listing, HubMapping, and beside them StockLevel and PublishedStock where there are rows. There must
    be a mapping. The join of the mappings is an outer one only so that SQLite keeps the listings outermost, in the
    order of their index; each listing meets every mapping.
    """
    return (
        select(*columns)
        .select_from(Listing)
        .outerjoin(HubMapping, and_(HubMapping.store_id == Listing.store_id, HubMapping.id.in_(mapping_ids)))
        .outerjoin(
            StockLevel,
            and_(
                StockLevel.hub_id == HubMapping.hub_id,
                StockLevel.seller_id == seller_id,
                StockLevel.sku_code == Listing.sku_code,
            ),
        )
        .outerjoin(
            PublishedStock,
            and_(
                PublishedStock.store_id == Listing.store_id,
                PublishedStock.seller_flex_hub_id == HubMapping.seller_flex_hub_id,
                PublishedStock.sku_code == Listing.sku_code,
            ),
        )
        .where(Listing.store_id == store_id)
    )


def is_among(column: Any, values: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition that `column`, of whole numbers or texts, has one of very many `values`.

    They travel as one value: hundreds of single ones cost more to write into a statement than to look up.
    """
    if db.engine.dialect.name == "postgresql":
        return column == any_(bindparam(None, list(values), type_=ARRAY(column.type), unique=True))
    found = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(found.c.value))

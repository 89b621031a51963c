"""Which order a return belongs to.

Amazon names it in up to three ways, none of them promised: the id of the External Fulfillment shipment, the
marketplace's own shipment id, and the buyer's order id. The first two name one order. The third may name several, one
per shipment: then the return belongs to the only one of them that has its SKU, or to none that can be told.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, select

from flexdash.extensions import db
from flexdash.models import AmazonReturn, Order, OrderLine


def link(store_id: int, return_ids: Sequence[str] | None = None) -> int:
    """Link the store's returns that have no order yet, or those of them in `return_ids`, to the orders that are here.

    Returns how many were linked. Inside the caller's transaction.
    """
    found: dict[int, int] = {}
    for column in (AmazonReturn.amazon_shipment_id, AmazonReturn.channel_shipment_id):
        is_same = and_(Order.store_id == AmazonReturn.store_id, Order.amazon_shipment_id == column)
        pairs = _waiting(select(AmazonReturn.id, Order.id).join(Order, is_same), store_id, return_ids)
        for return_id, order_id in db.session.execute(pairs):
            found.setdefault(return_id, order_id)
    for return_id, order_id in _by_order_id(store_id, return_ids).items():
        found.setdefault(return_id, order_id)
    if not found:
        return 0
    table = AmazonReturn.__table__
    db.session.connection().execute(
        table.update().where(table.c.id == bindparam("return_id")).values(order_id=bindparam("found_order_id")),
        # In the order of the orders, whose rows the foreign key locks.
        [
            {"return_id": return_id, "found_order_id": order_id}
            for return_id, order_id in sorted(found.items(), key=lambda pair: (pair[1], pair[0]))
        ],
    )
    return len(found)


def _by_order_id(store_id: int, return_ids: Sequence[str] | None) -> dict[int, int]:
    is_same = and_(
        Order.workspace_id == AmazonReturn.workspace_id,
        Order.amazon_order_id == AmazonReturn.amazon_order_id,
        Order.store_id == AmazonReturn.store_id,
    )
    has_sku = select(OrderLine.id).where(OrderLine.order_id == Order.id, OrderLine.sku_code == AmazonReturn.sku_code)
    query = select(AmazonReturn.id, Order.id, has_sku.exists()).join(Order, is_same)
    orders: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    for return_id, order_id, is_of_sku in db.session.execute(
        _waiting(query.where(AmazonReturn.amazon_order_id != ""), store_id, return_ids)
    ):
        orders[return_id].append((order_id, bool(is_of_sku)))
    found = {}
    for return_id, candidates in orders.items():
        if len(candidates) > 1:
            candidates = [candidate for candidate in candidates if candidate[1]]
        if len(candidates) == 1:
            found[return_id] = candidates[0][0]
    return found


def _waiting(query: Select[Any], store_id: int, return_ids: Sequence[str] | None) -> Select[Any]:
    query = query.where(AmazonReturn.store_id == store_id, AmazonReturn.order_id.is_(None))
    return query if return_ids is None else query.where(AmazonReturn.amazon_return_id.in_(return_ids))

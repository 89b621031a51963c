"""What must hold between stock levels, their ledger and the orders, whatever happened before."""

from sqlalchemy import func, select

from flexdash.extensions import db
from flexdash.models import Order, OrderLine, OrderState, OrderStock, StockCause, StockLevel, StockMovement, Store


def stock_problems() -> list[str]:
    """Return what is wrong with the stock of all workspaces, in words; nothing is well."""
    db.session.rollback()
    return [*_levels_against_ledger(), *_levels_against_orders(), *_orders_against_ledger()]


def _levels_against_ledger() -> list[str]:
    sums = {
        level_id: (on_hand, reserved)
        for level_id, on_hand, reserved in db.session.execute(
            select(
                StockMovement.stock_level_id,
                func.sum(StockMovement.on_hand_change),
                func.sum(StockMovement.reserved_change),
            ).group_by(StockMovement.stock_level_id)
        )
    }
    newest = select(func.max(StockMovement.id)).group_by(StockMovement.stock_level_id)
    last = {
        row.stock_level_id: (row.on_hand_after, row.reserved_after)
        for row in db.session.scalars(select(StockMovement).where(StockMovement.id.in_(newest)))
    }
    found = []
    for level in db.session.scalars(select(StockLevel).execution_options(populate_existing=True)):
        now = (level.on_hand, level.reserved)
        if sums.get(level.id, (0, 0)) != now or last.get(level.id, (0, 0)) != now:
            found.append(
                f"{level.sku_code}: {now} now, the ledger sums to {sums.get(level.id)}, last {last.get(level.id)}"
            )
        if level.available < 0:
            found.append(f"{level.sku_code}: {level.available} available")
    return found


def _levels_against_orders() -> list[str]:
    promised = {
        (hub_id, seller_id, sku_code): n
        for hub_id, seller_id, sku_code, n in db.session.execute(
            select(Order.hub_id, Store.seller_id, OrderLine.sku_code, func.sum(OrderLine.n_units))
            .join(Store, Store.id == Order.store_id)
            .join(OrderLine, OrderLine.order_id == Order.id)
            .where(Order.stock == OrderStock.RESERVED)
            .group_by(Order.hub_id, Store.seller_id, OrderLine.sku_code)
        )
    }
    found = []
    for level in db.session.scalars(select(StockLevel)):
        wanted = promised.pop((level.hub_id, level.seller_id, level.sku_code), 0)
        if wanted != level.reserved:
            found.append(f"{level.sku_code}: {level.reserved} reserved, the orders hold {wanted}")
    return found + [f"reserved without a level: {key}" for key in promised]


def _orders_against_ledger() -> list[str]:
    found = []
    shipped_twice = (
        select(StockMovement.order_id)
        .where(StockMovement.cause == StockCause.SHIPMENT)
        .group_by(StockMovement.order_id, StockMovement.stock_level_id)
        .having(func.count() > 1)
    )
    found += [f"order {order_id} left twice" for order_id in db.session.scalars(shipped_twice)]
    states = {
        OrderStock.NONE: {OrderState.ON_HOLD, OrderState.CANCELLED},
        OrderStock.RESERVED: {OrderState.NEW, *_WORKED},
        OrderStock.DEDUCTED: {OrderState.SHIPPED, OrderState.DELIVERED},
    }
    for order_id, state, stock in db.session.execute(select(Order.id, Order.state, Order.stock)):
        if state not in states[stock] and not (stock is OrderStock.NONE and state in _WORKED):
            found.append(f"order {order_id} is {state} with stock {stock}")
    return found


# Amazon may say that somebody works an order which could not be promised its stock.
_WORKED = {OrderState.PICKED, OrderState.PACKED, OrderState.READY_TO_SHIP}

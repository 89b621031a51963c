"""The pick list of a hub: what to take from the shelves for its new orders, by SKU and by order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from flexdash.extensions import db
from flexdash.models import Listing, Order, OrderState, Sku
from flexdash.services import access
from flexdash.services.actors import Actor

AT_MOST = 500


@dataclass
class Shelf:
    """One SKU of one seller: how many units to take, and for which orders."""

    seller_id: int
    sku_code: str
    name: str = ""
    n_units: int = 0
    orders: list[tuple[Order, int]] = field(default_factory=list)


@dataclass(frozen=True)
class PickList:
    """What a hub has to pick, the most urgent orders first. `is_more` says that not all orders fitted on it."""

    orders: Sequence[Order]
    shelves: Sequence[Shelf]
    is_more: bool

    @property
    def n_units(self) -> int:
        """All units on the list."""
        return sum(shelf.n_units for shelf in self.shelves)


def of_hub(actor: Actor, hub_id: int) -> PickList:
    """Return the pick list of the hub's new orders that `actor` may see."""
    query = (
        access.visible(actor, Order)
        .where(Order.hub_id == hub_id, Order.state == OrderState.NEW)
        .order_by(Order.ship_by_at.is_(None), Order.ship_by_at, Order.id)
        .limit(AT_MOST + 1)
        .options(selectinload(Order.lines), selectinload(Order.store))
    )
    found = list(db.session.scalars(query))
    orders = found[:AT_MOST]
    shelves: dict[tuple[int, str], Shelf] = {}
    for order in orders:
        for line in order.lines:
            key = (order.store.seller_id, line.sku_code)
            shelf = shelves.setdefault(key, Shelf(*key))
            shelf.n_units += line.n_units
            shelf.orders.append((order, line.n_units))
    _name(shelves, {order.store_id for order in orders})
    by_code = sorted(shelves.values(), key=lambda shelf: (shelf.sku_code, shelf.seller_id))
    return PickList(orders, by_code, len(found) > AT_MOST)


def _name(shelves: dict[tuple[int, str], Shelf], store_ids: set[int]) -> None:
    codes = {code for _, code in shelves}
    sellers = {seller_id for seller_id, _ in shelves}
    names: dict[str, str] = {}
    for query in (
        select(Listing.sku_code, Listing.name).where(Listing.store_id.in_(store_ids), Listing.sku_code.in_(codes)),
        select(Sku.sku_code, Sku.name).where(Sku.seller_id.in_(sellers), Sku.sku_code.in_(codes)),
    ):
        for code, name in db.session.execute(query):
            names.setdefault(code, name)
    for shelf in shelves.values():
        shelf.name = names.get(shelf.sku_code, "")

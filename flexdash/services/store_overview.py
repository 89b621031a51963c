"""What the overview of a store tells beside its summary: its set-up, its last seven days, and ids nobody mapped."""

from dataclasses import dataclass
from datetime import tzinfo

from sqlalchemy import func, select, text

from flexdash.extensions import db
from flexdash.models import HoldReason, Order, OrderHold, Store
from flexdash.services import store_contents, store_needs
from flexdash.services.dashboard import figures
from flexdash.services.dashboard.figures import Day
from flexdash.services.dashboard.scope import Scope


@dataclass(frozen=True)
class SetUp:
    """The checklist: what has been done of what a store needs before its orders can be worked."""

    is_connected: bool
    is_hub_mapped: bool
    has_catalog: bool
    has_stock: bool  # a quantity was given, be it zero by now, for an item in a hub that is mapped here
    is_order_sync_on: bool
    is_inventory_sync_on: bool

    @property
    def is_complete(self) -> bool:
        """Whether orders come in by themselves and can be worked. Inventory Sync is not needed for that."""
        return all(
            (self.is_connected, self.is_hub_mapped, self.has_catalog, self.has_stock, self.is_order_sync_on),
        )


def set_up(store: Store) -> SetUp:
    """Return how far the store's set-up is."""
    is_hub_mapped, has_catalog, has_stock = db.session.execute(
        select(
            store_contents.has_hub(store.id),
            store_contents.has_listing(store.id),
            store_contents.has_stock(store.id, store.seller_id),
        )
    ).one()
    return SetUp(
        is_connected=store_needs.is_live(store),
        is_hub_mapped=is_hub_mapped,
        has_catalog=has_catalog,
        has_stock=has_stock,
        is_order_sync_on=store.is_order_sync_on,
        is_inventory_sync_on=store.is_inventory_sync_on,
    )


def unmapped_ids(store: Store) -> list[tuple[str, int]]:
    """Return the Seller Flex Hub IDs that no hub has, each with the orders that wait for it, most of them first.

    Of very many orders On Hold so many are looked at as the store's needs are counted.
    """
    on_hold = (
        select(Order.id, Order.seller_flex_hub_id)
        .where(Order.store_id == store.id, text("orders.state = 'On Hold'"))  # in the words of the partial index
        .order_by(Order.seller_flex_hub_id)  # which leads PostgreSQL to that index too
        .limit(store_needs.MOST_COUNTED)
        .subquery()
    )
    unmapped = (
        select(on_hold.c.seller_flex_hub_id, func.count().label("n_orders"))
        .join(OrderHold, OrderHold.order_id == on_hold.c.id)
        .where(OrderHold.reason == HoldReason.NO_HUB_MAPPED)
        .group_by(on_hold.c.seller_flex_hub_id)
        .order_by(func.count().desc(), on_hold.c.seller_flex_hub_id)
    )
    return [(location, n_orders) for location, n_orders in db.session.execute(unmapped)]


def last_days(store: Store, zone: tzinfo) -> list[Day]:
    """Return the last seven days in `zone`, today last, each with its ended runs."""
    return figures.last_days(Scope.of_store(store), zone)

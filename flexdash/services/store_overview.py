"""What the overview of a store tells: its set-up, its last seven days, and what waits for a person."""

from dataclasses import dataclass, field
from datetime import tzinfo

from sqlalchemy import func, select, text

from flexdash.extensions import db
from flexdash.models import (
    DifferenceKind,
    HoldReason,
    Order,
    OrderHold,
    QuarantinedShipment,
    Store,
    StoreStatus,
    ZeroBrake,
)
from flexdash.services import price_queries, reconciliation, store_contents
from flexdash.services.dashboard import figures
from flexdash.services.dashboard.figures import Day
from flexdash.services.dashboard.scope import Scope
from flexdash.services.inventory import brake

# Orders On Hold, shipments in quarantine: beyond that a person needs no exact number, and counting would take long.
COUNTED_AT_MOST = 1_000


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


@dataclass(frozen=True)
class Waiting:
    """What needs a person."""

    held: dict[HoldReason, int]  # orders On Hold per reason; one order can have several
    unmapped_ids: tuple[tuple[str, int], ...]  # Seller Flex Hub IDs no hub has, with the orders that wait for each
    n_quarantined: int  # bounded, as the orders are
    is_more: bool = False  # more orders are On Hold than are counted here
    brake: ZeroBrake | None = None  # a push of zeros that is held back
    differences: dict[DifferenceKind, int] = field(default_factory=dict)  # open ones, from Amazon
    n_refused_prices: int = 0  # bounded, as the orders are

    def __bool__(self) -> bool:
        return bool(self.held or self.n_quarantined or self.brake or self.differences or self.n_refused_prices)


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
        is_connected=store.status in (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION),
        is_hub_mapped=is_hub_mapped,
        has_catalog=has_catalog,
        has_stock=has_stock,
        is_order_sync_on=store.is_order_sync_on,
        is_inventory_sync_on=store.is_inventory_sync_on,
    )


def waiting(store: Store) -> Waiting:
    """Return what of this store waits for a person."""
    on_hold = (
        select(Order.id, Order.seller_flex_hub_id)
        .where(Order.store_id == store.id, text("orders.state = 'On Hold'"))  # in the words of the partial index
        .order_by(Order.seller_flex_hub_id)  # which leads PostgreSQL to that index too
        .limit(COUNTED_AT_MOST)
        .subquery()
    )
    by_reason = (
        select(OrderHold.reason, func.count().label("n_orders"))
        .join(on_hold, on_hold.c.id == OrderHold.order_id)
        .group_by(OrderHold.reason)
        .order_by(OrderHold.reason)
    )
    unmapped = (
        select(on_hold.c.seller_flex_hub_id, func.count().label("n_orders"))
        .join(OrderHold, OrderHold.order_id == on_hold.c.id)
        .where(OrderHold.reason == HoldReason.NO_HUB_MAPPED)
        .group_by(on_hold.c.seller_flex_hub_id)
        .order_by(func.count().desc(), on_hold.c.seller_flex_hub_id)
    )
    quarantined = (
        select(QuarantinedShipment.id)
        .where(QuarantinedShipment.store_id == store.id, QuarantinedShipment.resolved_at.is_(None))
        .limit(COUNTED_AT_MOST)
        .subquery()
    )
    n_quarantined = db.session.scalar(select(func.count()).select_from(quarantined))
    held = {row.reason: row.n_orders for row in db.session.execute(by_reason)}
    return Waiting(
        held=held,
        unmapped_ids=tuple((row.seller_flex_hub_id, row.n_orders) for row in db.session.execute(unmapped)),
        n_quarantined=n_quarantined or 0,
        is_more=max(held.values(), default=0) >= COUNTED_AT_MOST,
        brake=brake.holding(store),
        differences=reconciliation.counts(store.id),
        n_refused_prices=price_queries.n_refused(store),
    )


def last_days(store: Store, zone: tzinfo) -> list[Day]:
    """Return the last seven days in `zone`, today last, each with its ended runs."""
    return figures.last_days(Scope.of_store(store), zone)

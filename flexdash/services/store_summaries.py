"""Each store in a few words, for the home page: how it is, how its syncs stand, and what needs a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    TextClause,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    text,
    union_all,
)

from flexdash.extensions import db
from flexdash.models import (
    BrakeState,
    ConfigEvent,
    HoldReason,
    Listing,
    Order,
    OrderHold,
    OrderState,
    PublishedStock,
    QuarantinedShipment,
    Store,
    StoreStatus,
    Sync,
    ZeroBrake,
)
from flexdash.models.order import IS_ACKNOWLEDGEMENT_REFUSED, IS_CANCELLATION_OPEN
from flexdash.services import store_contents, store_health, store_settings, sync_status
from flexdash.services.store_health import Health, StoreHealth
from flexdash.services.store_settings import Toggle
from flexdash.services.sync_status import SyncStatus

MOST_COUNTED = 1_000  # beyond it "more than" is enough, and the page costs the same however much has piled up
# As literals, for a partial index is used only where the statement says its condition in the same words.
_IS_HELD = Order.state == literal_column(f"'{OrderState.ON_HOLD}'")
_IS_REFUSED_STOCK = text("published_stock.state = 'refused'")
_IS_REFUSED_PRICE = text("price_state = 'refused'")


class Need(StrEnum):
    """What a store needs a person for."""

    FINISH_CONNECTING = "finish_connecting"
    REAUTHORIZE = "reauthorize"
    RENEW = "renew"
    MAP_A_HUB = "map_a_hub"
    UPLOAD_CATALOG = "upload_catalog"
    ADD_STOCK = "add_stock"
    TURN_ON_ORDER_SYNC = "turn_on_order_sync"
    LOOK_AT_SYNC = "look_at_sync"
    LOOK_AT_INVENTORY = "look_at_inventory"
    ZERO_BRAKE = "zero_brake"
    HELD_ORDERS = "held_orders"
    ACKNOWLEDGEMENTS = "acknowledgements"
    CANCELLATIONS = "cancellations"
    QUARANTINE = "quarantine"
    REFUSED_STOCK = "refused_stock"
    REFUSED_PRICES = "refused_prices"


@dataclass(frozen=True)
class Counts:
    """What of one store waits. Each count ends at MOST_COUNTED + 1, the orders by reason at MOST_COUNTED orders."""

    n_held: int = 0
    n_acknowledgements: int = 0  # that Amazon refused
    n_cancellations: int = 0  # that Amazon was not told of, or refused
    n_quarantined: int = 0
    n_refused_stock: int = 0  # SKUs at locations
    n_refused_prices: int = 0
    held: tuple[tuple[HoldReason, int], ...] = ()  # one order can have several reasons


@dataclass(frozen=True)
class StoreSummary:
    """One store. `needs` are in the order to work them."""

    store: Store
    health: StoreHealth
    syncs: list[SyncStatus]
    needs: list[Need]
    counts: Counts
    order_sync_off: ConfigEvent | None = (
        None  # the row of the log that turned Order Sync off; None: it is or never was on
    )

    @property
    def order_sync(self) -> SyncStatus:
        """How Order Sync stands."""
        return self.sync_of(Sync.ORDER_PULL)

    @property
    def inventory_sync(self) -> SyncStatus:
        """How Inventory Sync stands."""
        return self.sync_of(Sync.INVENTORY_PUSH)

    def sync_of(self, sync: Sync) -> SyncStatus:
        """Return how `sync` stands."""
        return next(status for status in self.syncs if status.sync is sync)


def of(stores: Sequence[Store]) -> list[StoreSummary]:
    """Return a summary of each of `stores`, in their order."""
    found, syncs = _looked_at([store.id for store in stores]), sync_status.of_each(stores)
    off = store_settings.turned_off([store for store in stores if _is_live(store)], Toggle.ORDER_SYNC)
    return [_summary(store, syncs[store.id], *found[store.id], off.get(store.id)) for store in stores]


def _is_live(store: Store) -> bool:
    return store.status in (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)


def _summary(
    store: Store, syncs: list[SyncStatus], counts: Counts, met: frozenset[Need], order_sync_off: ConfigEvent | None
) -> StoreSummary:
    health = store_health.of(store, is_stale=any(sync.is_stale for sync in syncs))
    summary = StoreSummary(
        store=store, health=health, syncs=syncs, needs=[], counts=counts, order_sync_off=order_sync_off
    )
    is_connected = store.status is StoreStatus.CONNECTED
    is_live = _is_live(store)
    wanted = {
        Need.FINISH_CONNECTING: store.status is StoreStatus.DRAFT,
        Need.REAUTHORIZE: store.status is StoreStatus.NEEDS_REAUTHORIZATION,
        Need.RENEW: health.health in (Health.EXPIRES_SOON, Health.EXPIRED) or store_health.is_ending(store),
        Need.MAP_A_HUB: is_live and Need.MAP_A_HUB not in met,
        Need.UPLOAD_CATALOG: is_live and Need.UPLOAD_CATALOG not in met,
        # Which hub the stock is to lie in is known only once one is mapped.
        Need.ADD_STOCK: is_live and Need.MAP_A_HUB in met and Need.ADD_STOCK not in met,
        Need.TURN_ON_ORDER_SYNC: is_live and not store.is_order_sync_on,
        Need.LOOK_AT_SYNC: is_connected and summary.order_sync.state in ("Failed", "Retrying", "Stale", "Partial"),
        Need.LOOK_AT_INVENTORY: is_connected and summary.inventory_sync.state in ("Failed", "Retrying", "Stale"),
        Need.ZERO_BRAKE: is_live and Need.ZERO_BRAKE not in met,
        Need.HELD_ORDERS: counts.n_held > 0,
        Need.ACKNOWLEDGEMENTS: counts.n_acknowledgements > 0,
        Need.CANCELLATIONS: counts.n_cancellations > 0,
        Need.QUARANTINE: counts.n_quarantined > 0,
        Need.REFUSED_STOCK: is_live and counts.n_refused_stock > 0,
        Need.REFUSED_PRICES: is_live and counts.n_refused_prices > 0,
    }
    summary.needs.extend(need for need, is_wanted in wanted.items() if is_wanted)
    return summary


def _looked_at(store_ids: Sequence[int]) -> dict[int, tuple[Counts, frozenset[Need]]]:
    """Return what waits in each store, and which needs it has met, of those that one look into the database tells.

    One statement, whose words are the same for any number of stores, and one for the reasons of orders On Hold.
    """
    if not store_ids:
        return {}
    rows = db.session.execute(_looks(MOST_COUNTED), {"store_ids": store_ids}).all()
    reasons = _hold_reasons([row[0] for row in rows if row[1]])
    needs = (Need.MAP_A_HUB, Need.UPLOAD_CATALOG, Need.ADD_STOCK, Need.ZERO_BRAKE)
    return {
        store_id: (
            Counts(*numbers[:6], held=tuple(reasons.get(store_id, ()))),
            frozenset(need for need, is_met in zip(needs, numbers[6:], strict=True) if is_met),
        )
        for store_id, *numbers in rows
    }


@cache
def _looks(most_counted: int) -> Select[Any]:
    braked = select(ZeroBrake.id).where(ZeroBrake.store_id == Store.id, ZeroBrake.state == BrakeState.WAITING)
    is_quarantined = QuarantinedShipment.resolved_at.is_(None)
    return select(
        Store.id,
        _count(most_counted, Order.seller_flex_hub_id, Order.store_id, _IS_HELD, is_ordered=True),
        _count(most_counted, Order.id, Order.store_id, text(IS_ACKNOWLEDGEMENT_REFUSED), is_ordered=True),
        _count(most_counted, Order.id, Order.store_id, text(IS_CANCELLATION_OPEN), is_ordered=True),
        _count(most_counted, QuarantinedShipment.id, QuarantinedShipment.store_id, is_quarantined),
        _count(most_counted, PublishedStock.id, PublishedStock.store_id, _IS_REFUSED_STOCK),
        _count(most_counted, Listing.sku_code, Listing.store_id, _IS_REFUSED_PRICE, is_ordered=True),
        store_contents.has_hub(Store.id),
        store_contents.has_listing(Store.id),
        store_contents.has_stock(Store.id, Store.seller_id),
        ~braked.exists(),
    ).where(Store.id.in_(bindparam("store_ids", expanding=True)))


def _hold_reasons(store_ids: Sequence[int]) -> dict[int, list[tuple[HoldReason, int]]]:
    """Return how many of each store's orders On Hold have each reason, of MOST_COUNTED orders at most."""
    reasons: dict[int, list[tuple[HoldReason, int]]] = {store_id: [] for store_id in store_ids}
    if not store_ids:
        return reasons
    parts = []
    for store_id in store_ids:
        held = select(Order.id).where(Order.store_id == store_id, _IS_HELD).order_by(Order.seller_flex_hub_id)
        on_hold = held.limit(MOST_COUNTED).subquery()
        parts.append(
            select(literal(store_id).label("store_id"), OrderHold.reason, func.count().label("n_orders"))
            .join(on_hold, on_hold.c.id == OrderHold.order_id)
            .group_by(OrderHold.reason)
        )
    for store_id, reason, n_orders in db.session.execute(union_all(*parts)):
        reasons[store_id].append((HoldReason(reason), n_orders))
    order = list(HoldReason)
    for found in reasons.values():
        found.sort(key=lambda pair: order.index(pair[0]))
    return reasons


def _count(
    most_counted: int,
    key: ColumnElement[Any],
    of_store: ColumnElement[int],
    condition: ColumnElement[bool] | TextClause,
    *,
    is_ordered: bool = False,
) -> ColumnElement[int]:
    """Return the SQL for how many rows of a store meet `condition`, counting no further than one beyond `most_counted`.

    With `is_ordered` they are counted in the order of `key`, which leads the database to the index that has both.
    """
    found = select(key).where(of_store == Store.id, condition).limit(most_counted + 1).correlate(Store)
    if is_ordered:
        found = found.order_by(key)
    return select(func.count()).select_from(found.subquery()).correlate(Store).scalar_subquery()

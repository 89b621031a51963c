"""What a store needs a person for: the one place that decides it, for the home page and for the store's own."""

from collections.abc import Mapping, Sequence
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
    Difference,
    HoldReason,
    Listing,
    Order,
    OrderHold,
    OrderState,
    OrderStep,
    PublishedStock,
    QuarantinedShipment,
    Store,
    StoreStatus,
    Sync,
)
from flexdash.models.order import IS_ACKNOWLEDGEMENT_REFUSED, IS_CANCELLATION_OPEN
from flexdash.models.order_work import IS_STEP_WAITING
from flexdash.services import store_contents, store_health
from flexdash.services.order_work.step_rows import WAITS_FOR_A_PERSON
from flexdash.services.store_health import Health, StoreHealth
from flexdash.services.sync_status import SyncStatus

MOST_COUNTED = 1_000  # beyond it "more than" is enough, and the page costs the same however much has piled up
# As literals, for a partial index is used only where the statement says its condition in the same words.
_IS_HELD = Order.state == literal_column(f"'{OrderState.ON_HOLD}'")
_IS_REFUSED_STOCK = text("published_stock.state = 'refused'")
_IS_REFUSED_PRICE = text("price_state = 'refused'")


class Need(StrEnum):
    """What a store needs a person for, in the order to work it."""

    FINISH_CONNECTING = "finish_connecting"
    REAUTHORIZE = "reauthorize"
    RENEW = "renew"
    MAP_A_HUB = "map_a_hub"
    UPLOAD_CATALOG = "upload_catalog"
    ADD_STOCK = "add_stock"
    TURN_ON_ORDER_SYNC = "turn_on_order_sync"
    LOOK_AT_SYNC = "look_at_sync"
    LOOK_AT_INVENTORY = "look_at_inventory"
    LOOK_AT_PRICES = "look_at_prices"
    LOOK_AT_STEPS = "look_at_steps"
    LOOK_AT_RETURNS = "look_at_returns"
    LOOK_AT_RECONCILIATION = "look_at_reconciliation"
    ZERO_BRAKE = "zero_brake"
    HELD_ORDERS = "held_orders"
    ACKNOWLEDGEMENTS = "acknowledgements"
    CANCELLATIONS = "cancellations"
    CONFLICTS = "conflicts"
    STEPS = "steps"
    INVOICES = "invoices"
    QUARANTINE = "quarantine"
    DIFFERENCES = "differences"
    REFUSED_STOCK = "refused_stock"
    REFUSED_PRICES = "refused_prices"


@dataclass(frozen=True)
class Counts:
    """What of one store waits. Each count ends at MOST_COUNTED + 1, the orders by reason at MOST_COUNTED orders."""

    n_held: int = 0
    n_acknowledgements: int = 0  # that Amazon refused
    n_cancellations: int = 0  # that Amazon was not told of, or refused
    n_conflicts: int = 0  # orders that have one
    n_steps: int = 0  # at Amazon, that failed or want something
    n_invoices: int = 0
    n_quarantined: int = 0
    n_differences: int = 0
    n_refused_stock: int = 0  # SKUs at locations
    n_refused_prices: int = 0
    held: tuple[tuple[HoldReason, int], ...] = ()  # one order can have several reasons


@dataclass(frozen=True)
class Look:
    """What one look into the database tells of a store."""

    counts: Counts
    has_hub: bool
    has_listing: bool
    has_stock: bool
    has_step: bool  # at Amazon, that still waits for its turn


def is_live(store: Store) -> bool:
    """Say whether the store has its Amazon account, be its authorization refused for now."""
    return store.status in (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)


def of(store: Store, health: StoreHealth, syncs: Mapping[Sync, SyncStatus], look: Look) -> list[Need]:
    """Return what `store` needs a person for.

    `syncs` has its timed syncs, those without a toggle only where they ever had something to do.

    While a sync that is on is failing, silent for too long or held back, there always is something.
    """
    counts, live, is_connected = look.counts, is_live(store), store.status is StoreStatus.CONNECTED
    stock = syncs.get(Sync.INVENTORY_PUSH)

    def is_amiss(sync: Sync, *, in_part: bool = False) -> bool:
        return is_connected and sync in syncs and _is_amiss(syncs[sync], in_part=in_part)

    wanted = {
        Need.FINISH_CONNECTING: store.status is StoreStatus.DRAFT,
        Need.REAUTHORIZE: store.status is StoreStatus.NEEDS_REAUTHORIZATION,
        Need.RENEW: health.health in (Health.EXPIRES_SOON, Health.EXPIRED) or store_health.is_ending(store),
        Need.MAP_A_HUB: live and not look.has_hub,
        Need.UPLOAD_CATALOG: live and not look.has_listing,
        # Which hub the stock is to lie in is known only once one is mapped.
        Need.ADD_STOCK: live and look.has_hub and not look.has_stock,
        Need.TURN_ON_ORDER_SYNC: live and not store.is_order_sync_on,
        Need.LOOK_AT_SYNC: is_amiss(Sync.ORDER_PULL, in_part=True),
        Need.LOOK_AT_INVENTORY: is_amiss(Sync.INVENTORY_PUSH),
        Need.LOOK_AT_PRICES: is_amiss(Sync.PRICE_PUSH),
        # These come only while there is work: where that is gone, the last run would be said to have failed for ever.
        Need.LOOK_AT_STEPS: look.has_step and is_amiss(Sync.ORDER_STEPS),
        Need.LOOK_AT_RETURNS: store.is_order_sync_on and is_amiss(Sync.RETURN_PULL, in_part=True),
        Need.LOOK_AT_RECONCILIATION: store.is_order_sync_on and is_amiss(Sync.RECONCILE),
        Need.ZERO_BRAKE: live and stock is not None and stock.held is not None,
        Need.HELD_ORDERS: counts.n_held > 0,
        Need.ACKNOWLEDGEMENTS: counts.n_acknowledgements > 0,
        Need.CANCELLATIONS: counts.n_cancellations > 0,
        Need.CONFLICTS: counts.n_conflicts > 0,
        Need.STEPS: counts.n_steps > 0,
        Need.INVOICES: counts.n_invoices > 0,
        Need.QUARANTINE: counts.n_quarantined > 0,
        Need.DIFFERENCES: live and counts.n_differences > 0,
        Need.REFUSED_STOCK: live and counts.n_refused_stock > 0,
        Need.REFUSED_PRICES: live and counts.n_refused_prices > 0,
    }
    return [need for need in Need if wanted[need]]


def look_at(store_ids: Sequence[int]) -> dict[int, Look]:
    """Return what waits in each store, and what it has, by store id.

    One statement, whose words are the same for any number of stores, and one for the reasons of orders On Hold.
    """
    if not store_ids:
        return {}
    rows = db.session.execute(_looks(MOST_COUNTED), {"store_ids": store_ids}).all()
    reasons = _hold_reasons([row[0] for row in rows if row[1]])
    return {
        store_id: Look(
            Counts(*numbers, held=tuple(reasons.get(store_id, ()))), has_hub, has_listing, has_stock, has_step
        )
        for store_id, *numbers, has_hub, has_listing, has_stock, has_step in rows
    }


def _is_amiss(sync: SyncStatus, *, in_part: bool) -> bool:
    """Say whether a person has to look at it; `in_part` where nothing else tells of what did not go through."""
    if sync.held is not None:
        return False  # that it is silent is what the push of zeros is for, which is said by itself
    return sync.is_failing or sync.is_stale or (in_part and sync.state == "Partial")


@cache
def _looks(most_counted: int) -> Select[Any]:
    is_step = WAITS_FOR_A_PERSON
    is_quarantined = QuarantinedShipment.resolved_at.is_(None)
    is_open = Difference.closed_at.is_(None)
    return select(
        Store.id,
        _count(most_counted, Order.seller_flex_hub_id, Order.store_id, _IS_HELD, is_ordered=True),
        *(
            _count(most_counted, Order.id, Order.store_id, text(condition), is_ordered=True)
            for condition in (IS_ACKNOWLEDGEMENT_REFUSED, IS_CANCELLATION_OPEN, "orders.has_conflict")
        ),
        _count(most_counted, OrderStep.order_id, OrderStep.store_id, *is_step, is_ordered=True),
        _count(most_counted, Order.id, Order.store_id, text("orders.is_invoice_waiting"), is_ordered=True),
        _count(most_counted, QuarantinedShipment.id, QuarantinedShipment.store_id, is_quarantined),
        _count(most_counted, Difference.kind, Difference.store_id, is_open, is_ordered=True),
        _count(most_counted, PublishedStock.id, PublishedStock.store_id, _IS_REFUSED_STOCK),
        _count(most_counted, Listing.sku_code, Listing.store_id, _IS_REFUSED_PRICE, is_ordered=True),
        store_contents.has_hub(Store.id),
        store_contents.has_listing(Store.id),
        store_contents.has_stock(Store.id, Store.seller_id),
        (_count(0, OrderStep.order_id, OrderStep.store_id, text(IS_STEP_WAITING), is_ordered=True) > 0).label(
            "has_step"
        ),
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
    *conditions: ColumnElement[bool] | TextClause,
    is_ordered: bool = False,
) -> ColumnElement[int]:
    """Return the SQL for how many rows of a store meet `conditions`, counting no further than one beyond
    `most_counted`.

    With `is_ordered` they are counted in the order of `key`, which leads the database to the index that has both.
    """
    found = select(key).where(of_store == Store.id, *conditions).limit(most_counted + 1).correlate(Store)
    if is_ordered:
        found = found.order_by(key)
    return select(func.count()).select_from(found.subquery()).correlate(Store).scalar_subquery()

"""Each store in a few words, for the home page: how it is, how its syncs stand, and what needs a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, func, literal_column, select

from flexdash.extensions import db
from flexdash.models import (
    Hub,
    HubMapping,
    Order,
    OrderState,
    QuarantinedShipment,
    Store,
    StoreStatus,
)
from flexdash.services import store_health, sync_status
from flexdash.services.store_health import Health, StoreHealth
from flexdash.services.sync_status import SyncStatus

MOST_COUNTED = 1_000  # beyond it "more than" is enough, and the page costs the same however much has piled up
# As a literal, for SQLite uses the index of held orders only when it can read the state in the statement.
_IS_HELD = Order.state == literal_column(f"'{OrderState.ON_HOLD}'")


class Need(StrEnum):
    """What a store needs a person for."""

    FINISH_CONNECTING = "finish_connecting"
    REAUTHORIZE = "reauthorize"
    RENEW = "renew"
    MAP_A_HUB = "map_a_hub"
    TURN_ON_ORDER_SYNC = "turn_on_order_sync"
    LOOK_AT_SYNC = "look_at_sync"
    HELD_ORDERS = "held_orders"
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class StoreSummary:
    """One store. `needs` are in the order to work them; the two counts end at MOST_COUNTED + 1."""

    store: Store
    health: StoreHealth
    syncs: list[SyncStatus]
    needs: list[Need]
    n_held: int
    n_quarantined: int


def of(stores: Sequence[Store]) -> list[StoreSummary]:
    """Return a summary of each of `stores`, in their order."""
    ids = [store.id for store in stores]
    held = _count_each(ids, Order.id, Order.store_id, _IS_HELD)
    quarantined = _count_each(
        ids, QuarantinedShipment.id, QuarantinedShipment.store_id, QuarantinedShipment.resolved_at.is_(None)
    )
    mapped = _with_mapped_hub(ids)
    return [
        _summary(
            store,
            sync_status.of(store),
            has_mapped_hub=store.id in mapped,
            n_held=held[store.id],
            n_quarantined=quarantined[store.id],
        )
        for store in stores
    ]


def _summary(
    store: Store,
    syncs: list[SyncStatus],
    *,
    has_mapped_hub: bool,
    n_held: int,
    n_quarantined: int,
) -> StoreSummary:
    health = store_health.of(store, is_stale=any(sync.is_stale for sync in syncs))
    order_sync = syncs[0]
    is_connected = store.status is StoreStatus.CONNECTED
    is_live = store.status in (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)
    wanted = {
        Need.FINISH_CONNECTING: store.status is StoreStatus.DRAFT,
        Need.REAUTHORIZE: store.status is StoreStatus.NEEDS_REAUTHORIZATION,
        Need.RENEW: health.health in (Health.EXPIRES_SOON, Health.EXPIRED) or store_health.is_ending(store),
        Need.MAP_A_HUB: is_live and not has_mapped_hub,
        Need.TURN_ON_ORDER_SYNC: is_live and not store.is_order_sync_on,
        Need.LOOK_AT_SYNC: is_connected and order_sync.state in ("Failed", "Stale", "Partial"),
        Need.HELD_ORDERS: n_held > 0,
        Need.QUARANTINE: n_quarantined > 0,
    }
    return StoreSummary(
        store=store,
        health=health,
        syncs=syncs,
        needs=[need for need, is_wanted in wanted.items() if is_wanted],
        n_held=n_held,
        n_quarantined=n_quarantined,
    )


def _count_each(
    store_ids: Sequence[int], key: ColumnElement[int], of_store: ColumnElement[int], condition: ColumnElement[bool]
) -> dict[int, int]:
    """Return how many rows of each store meet `condition`, counting no further than one beyond MOST_COUNTED."""
    if not store_ids:
        return {}
    counts = [
        select(func.count())
        .select_from(select(key).where(of_store == store_id, condition).limit(MOST_COUNTED + 1).subquery())
        .scalar_subquery()
        .label(f"store_{store_id}")
        for store_id in store_ids
    ]
    row = db.session.execute(select(*counts)).one()
    return dict(zip(store_ids, row, strict=True))


def _with_mapped_hub(store_ids: Sequence[int]) -> set[int]:
    return set(
        db.session.scalars(
            select(HubMapping.store_id)
            .join(Hub, Hub.id == HubMapping.hub_id)
            .where(HubMapping.store_id.in_(store_ids), HubMapping.is_active, Hub.is_active)
            .distinct()
        )
    )

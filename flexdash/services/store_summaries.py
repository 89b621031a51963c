"""Each store in a few words, for the home page and its own: how it is, how its syncs stand, what needs a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flexdash.models import ConfigEvent, Store, Sync
from flexdash.services import store_health, store_needs, store_settings, sync_status
from flexdash.services.store_health import StoreHealth
from flexdash.services.store_needs import Counts, Look, Need
from flexdash.services.store_settings import Toggle
from flexdash.services.sync_status import SyncStatus
from flexdash.services.syncs import FACTS


@dataclass(frozen=True)
class StoreSummary:
    """One store. `needs` are in the order to work them."""

    store: Store
    health: StoreHealth
    syncs: list[SyncStatus]  # of the three toggles
    needs: list[Need]
    counts: Counts
    timed: Mapping[Sync, SyncStatus]  # those that come by the clock; without a toggle, where they ever had work
    order_sync_off: ConfigEvent | None = (
        None  # the row of the log that turned Order Sync off; None: it is or never was on
    )

    @property
    def prices(self) -> SyncStatus | None:
        """How the price push stands; None where it never had a price to push."""
        return self.timed.get(Sync.PRICE_PUSH)

    @property
    def order_sync(self) -> SyncStatus:
        """How Order Sync stands."""
        return self.timed[Sync.ORDER_PULL]

    @property
    def inventory_sync(self) -> SyncStatus:
        """How Inventory Sync stands."""
        return self.timed[Sync.INVENTORY_PUSH]


def of(stores: Sequence[Store]) -> list[StoreSummary]:
    """Return a summary of each of `stores`, in their order."""
    looks, syncs = store_needs.look_at([store.id for store in stores]), sync_status.of_each(stores, with_others=True)
    off = store_settings.turned_off([store for store in stores if store_needs.is_live(store)], Toggle.ORDER_SYNC)
    return [_summary(store, syncs[store.id], looks[store.id], off.get(store.id)) for store in stores]


def _summary(store: Store, syncs: list[SyncStatus], look: Look, order_sync_off: ConfigEvent | None) -> StoreSummary:
    timed = {one.sync: one for one in syncs if one.sync is not None}
    health = store_health.of(store, is_stale=any(one.is_stale for one in syncs))
    return StoreSummary(
        store=store,
        health=health,
        syncs=[one for one in syncs if one.sync is None or FACTS[one.sync].toggle],
        needs=store_needs.of(store, health, timed, look),
        counts=look.counts,
        timed=timed,
        order_sync_off=order_sync_off,
    )

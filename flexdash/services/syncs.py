"""What there is to sync: each sync's name for people, its toggle, and when its silence is too long."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_

from flexdash.models import Store, StoreStatus, Sync


@dataclass(frozen=True)
class SyncFacts:
    """One timed sync. `toggle` is the attribute of Store that a merchant turns on and off."""

    sync: Sync
    label: str
    toggle: str
    stale_after: timedelta  # without a good run for this long, the store is stale
    stale_sentence: str

    def is_on(self, store: Store) -> bool:
        """Say whether the merchant has this sync turned on."""
        return bool(getattr(store, self.toggle))

    def may_run(self) -> ColumnElement[bool]:
        """Return the SQL condition on stores whose turn comes: connected, and the sync turned on."""
        column: Any = getattr(Store, self.toggle)
        return and_(Store.status == StoreStatus.CONNECTED, column.is_(True))


FACTS: dict[Sync, SyncFacts] = {
    Sync.ORDER_PULL: SyncFacts(
        sync=Sync.ORDER_PULL,
        label="Order Sync",
        toggle="is_order_sync_on",
        stale_after=timedelta(minutes=45),
        stale_sentence="New orders may be missing here; look at the last runs for the reason.",
    ),
}

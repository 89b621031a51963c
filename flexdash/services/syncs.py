"""What there is to sync: each sync's name for people, what lets it run, how often, and when its silence is too long."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, select, text, true
from sqlalchemy.orm import aliased

from config import Settings
from flexdash.models import Listing, Store, StoreStatus, Sync, SyncState
from flexdash.models.listing import PRICE_IS_UNDER_WAY
from flexdash.services.order_work import step_rows


@dataclass(frozen=True)
class SyncFacts:
    """One sync of a store. `toggle` is the attribute of Store that a merchant turns on and off; "" where there is none.

    `every` is None for a sync that only people start. `has_work`, where given, is an SQL condition on stores: without
    work no turn comes. `after_failure` says of a run that failed what of it stays, and what comes next.
    """

    sync: Sync
    label: str
    every: Callable[[Settings], timedelta] | None
    after_failure: str
    toggle: str = ""
    has_work: Callable[[], ColumnElement[bool]] = true
    asked_on: str = ""  # the page that people start it from, where it has to know more than the store
    # Of a push: the counts of a run that say that Amazon took something. Refusals and none of these is no good run.
    taken: tuple[str, ...] = ()
    sends_refused_again: bool = False  # with each run, whether something changed or not
    stale_after: timedelta | None = None  # without a good run for this long, the store is stale; None: never
    stale_sentence: str = ""

    def is_on(self, store: Store) -> bool:
        """Say whether the merchant has this sync turned on; one without a toggle always is."""
        return bool(getattr(store, self.toggle)) if self.toggle else True

    @property
    def once_authorized(self) -> str:
        """What becomes of it when a store that Amazon lets nobody into is re-authorized."""
        return "Then start it again." if self.every is None else "It then goes on by itself."

    def silence_allowed(self, settings: Settings) -> timedelta | None:
        """Return how long it may go without a good run, longer where runs are set further apart; None: for ever."""
        if self.stale_after is None or self.every is None:
            return None
        return max(self.stale_after, self.every(settings) * 1.5)

    def may_run(self) -> ColumnElement[bool]:
        """Return the SQL condition on stores whose turn comes: connected, the sync turned on, and something to do."""
        conditions: list[Any] = [Store.status == StoreStatus.CONNECTED, self.has_work()]
        if self.toggle:
            conditions.append(getattr(Store, self.toggle).is_(True))
        return and_(*conditions)


def _has_pulled_orders() -> ColumnElement[bool]:
    """Order Sync is on, and has gone through: before that, all that Amazon has would count as missing here."""
    pulled = aliased(SyncState)
    has_gone_through = select(pulled.id).where(
        pulled.store_id == Store.id, pulled.sync == Sync.ORDER_PULL, pulled.last_success_at.is_not(None)
    )
    return and_(Store.is_order_sync_on.is_(True), has_gone_through.exists())


def _has_prices_under_way() -> ColumnElement[bool]:
    # The third condition is always true. With it SQLite reads the few rows of the partial index, without it the whole
    # catalog of every store, each minute.
    under_way = (Listing.store_id == Store.id, text(PRICE_IS_UNDER_WAY), Listing.sku_code >= "")
    return select(Listing.id).where(*under_way).exists()


_READ_AGAIN = (
    "Nothing is lost: what was brought in is kept, and the store's next run reads everything since its last good one."
)
_SENT_LATER = "What Amazon was told until then stands, and the store's next run sends the rest."

FACTS: dict[Sync, SyncFacts] = {
    facts.sync: facts
    for facts in (
        SyncFacts(
            sync=Sync.ORDER_PULL,
            label="Order Sync",
            toggle="is_order_sync_on",
            every=lambda settings: timedelta(minutes=settings.order_pull_interval_minutes),
            after_failure=_READ_AGAIN,
            stale_after=timedelta(minutes=45),
            stale_sentence="New orders may be missing here; look at the last runs for the reason.",
        ),
        SyncFacts(
            sync=Sync.INVENTORY_PUSH,
            label="Inventory Sync",
            toggle="is_inventory_sync_on",
            every=lambda settings: timedelta(minutes=settings.inventory_push_interval_minutes),
            after_failure=_SENT_LATER,
            taken=("n_updated",),
            sends_refused_again=True,
            stale_after=timedelta(minutes=90),
            stale_sentence="Amazon may show stock that is sold already; look at the last runs for the reason.",
        ),
        SyncFacts(
            sync=Sync.INVENTORY_FETCH,
            label="Amazon's stock",
            every=None,
            after_failure="The numbers that Amazon gave are kept. No other run follows by itself: Fetch Amazon's "
            "numbers, on the store's Inventory tab, asks for all of them again.",
        ),
        SyncFacts(
            sync=Sync.PRICE_PUSH,
            label="Prices",
            every=lambda settings: timedelta(minutes=settings.price_push_interval_minutes),
            after_failure=_SENT_LATER,
            taken=("n_updated", "n_acknowledged", "n_skipped"),  # skipped: on its way, of what Amazon took before
            has_work=_has_prices_under_way,
        ),
        SyncFacts(
            sync=Sync.ORDER_STEPS,
            label="Order updates",
            every=lambda settings: timedelta(minutes=1),
            after_failure="What was done at Amazon stays done. The steps that are left wait, and the next run, which "
            "begins by itself, goes on with them.",
            has_work=step_rows.has_work,
        ),
        SyncFacts(
            sync=Sync.RETURN_PULL,
            label="Returns",
            every=lambda settings: timedelta(minutes=settings.return_pull_interval_minutes),
            after_failure=_READ_AGAIN,
            has_work=lambda: Store.is_order_sync_on.is_(True),  # returns belong to orders: they come where orders do
        ),
        SyncFacts(
            sync=Sync.ORDER_RECOVERY,
            label="Order recovery",
            every=None,
            after_failure="What was brought in is kept. No other run follows by itself: if something was not looked "
            "at, the page of this recovery has Go on with what is left.",
            asked_on="the store's Recover page",
        ),
        SyncFacts(
            sync=Sync.RECONCILE,
            label="Reconciliation",
            every=lambda settings: timedelta(hours=settings.reconcile_interval_hours),
            after_failure="What was found to differ is kept. The next run compares everything anew; it begins by "
            "itself while Order Sync is on, or with Compare now on the store's Reconcile page.",
            has_work=_has_pulled_orders,
        ),
    )
}

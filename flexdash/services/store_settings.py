"""The three toggles of a store: what each does here and now, who set it last, and setting it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import ConfigEvent, Section, Sku, Store, StoreStatus, Sync
from flexdash.services import access, config_log, config_log_queries, sync_schedule
from flexdash.services.actors import Actor, Permission
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.errors import NotAllowed, ServiceError


class Toggle(StrEnum):
    """A toggle, named by the column that keeps it."""

    ORDER_SYNC = "is_order_sync_on"
    INVENTORY_SYNC = "is_inventory_sync_on"
    AUTOMATED_CANCELLATION = "is_automated_cancellation_on"

    @property
    def label(self) -> str:
        """The toggle's name on every page and in the log."""
        return config_log_queries.LABELS[self.value]


@dataclass(frozen=True)
class ToggleView:
    """One toggle as its page shows it."""

    toggle: Toggle
    is_on: bool
    purpose: str  # what it does, in a sentence
    effect: str  # what switching it now would change, in a sentence
    second_run_at: datetime | None  # when switching it on now starts runs: the one after the first
    is_effect_serious: bool  # something stops: ask before it is done
    last_change: ConfigEvent | None


def set_toggle(actor: Actor, store_id: int, toggle: Toggle, *, turn_on: bool, version: int, reason: str = "") -> Store:
    """Turn one toggle of the store on or off and log it, in one transaction; return the store.

    Allowed whatever the store's connection is, once it was connected: a sync that cannot run is shown as paused.
    `version` is the `settings_version` the form was made from. Raises NotVisible, NotAllowed, ServiceError (a draft),
    FieldRefused for `reason`, and ChangedByOther when any toggle was changed since.
    """
    if not actor.may(Permission.CONFIGURE_STORES):
        raise NotAllowed("Your role does not include changing a store's settings. Ask a merchant or an admin.")
    reason = config_log.clean_reason(reason)
    with transaction():
        store = access.get(actor, Store, store_id, lock=True)
        if store.status is StoreStatus.DRAFT:
            raise ServiceError("This store is not connected yet. Finish connecting it first, then set its toggles.")
        if store.settings_version != version:
            raise changed_by_other(actor, last_change(store))
        was_on = getattr(store, toggle)
        if was_on == turn_on:
            return store
        setattr(store, toggle, turn_on)
        store.settings_version += 1
        if turn_on and toggle is Toggle.ORDER_SYNC:
            sync_schedule.begin_again(store, Sync.ORDER_PULL)
        db.session.flush()
        config_log.record(
            actor,
            Section.SETTINGS,
            f"{actor.name} turned {toggle.label} {'on' if turn_on else 'off'} for {store.name}",
            store=store,
            old={toggle.value: was_on},
            new={toggle.value: turn_on},
            reason=reason,
        )
        return store


def last_change(store: Store, toggle: Toggle | None = None) -> ConfigEvent | None:
    """Return the log's newest row about the store's settings, or about one toggle; None when there is none."""
    return config_log_queries.newest(store, Section.SETTINGS, toggle)


def views(store: Store) -> list[ToggleView]:
    """Return the store's toggles as the Settings page shows them."""
    return [
        ToggleView(
            toggle=toggle,
            is_on=getattr(store, toggle),
            purpose=_purpose(toggle),
            effect=_effect(store, toggle),
            second_run_at=_second_run_at(store, toggle),
            is_effect_serious=toggle is Toggle.ORDER_SYNC and store.is_order_sync_on,
            last_change=last_change(store, toggle),
        )
        for toggle in Toggle
    ]


def _purpose(toggle: Toggle) -> str:
    match toggle:
        case Toggle.ORDER_SYNC:
            return (
                f"Fetches new orders from Amazon every {settings.order_pull_interval_minutes} minutes, gives each to "
                "its hub and tells Amazon it was accepted."
            )
        case Toggle.INVENTORY_SYNC:
            return "Sends the available quantity of every catalog SKU with an ASIN to Amazon each hour."
        case Toggle.AUTOMATED_CANCELLATION:
            return "Tells Amazon when somebody cancels an order in FlexDash."


def _effect(store: Store, toggle: Toggle) -> str:
    is_on = getattr(store, toggle)
    match toggle:
        case Toggle.ORDER_SYNC if is_on:
            return (
                "Turning this off stops new orders: none is fetched or acknowledged until it is on again, and Amazon "
                "still expects them to be shipped in time. Orders that are already here stay."
            )
        case Toggle.ORDER_SYNC:
            every = f"Turning this on fetches new orders every {settings.order_pull_interval_minutes} minutes"
            if store.status is StoreStatus.CONNECTED:
                return f"{every}; the first run starts within a minute."
            return f"{every}, once the store is connected to Amazon again."
        case Toggle.INVENTORY_SYNC:
            return f"{_nothing_to_send(store)} Turning this {'off' if is_on else 'on'} changes nothing on Amazon now."
        case Toggle.AUTOMATED_CANCELLATION:
            return (
                "Orders are not cancelled in FlexDash but at Amazon, so there is nothing to tell. "
                f"Turning this {'off' if is_on else 'on'} changes nothing on Amazon now."
            )


def _second_run_at(store: Store, toggle: Toggle) -> datetime | None:
    if toggle is not Toggle.ORDER_SYNC or store.is_order_sync_on or store.status is not StoreStatus.CONNECTED:
        return None
    timing = sync_schedule.Timing(Sync.ORDER_PULL, timedelta(minutes=settings.order_pull_interval_minutes))
    return timing.next_slot(store.id, clock.now())


def _nothing_to_send(store: Store) -> str:
    n_skus = db.session.scalar(
        db.select(db.func.count()).where(Sku.workspace_id == store.workspace_id, Sku.seller_id == store.seller_id)
    )
    if not n_skus:
        return "This store has no catalog yet, so there is nothing to send."
    skus = "The seller's one SKU has" if n_skus == 1 else f"The seller's {n_skus:,} SKUs have"
    return f"{skus} no ASIN in this store, because its catalog is empty: there is nothing to send."

"""The three toggles of a store: what each does here and now, who set it last, and setting it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import ConfigEvent, Listing, Section, Sku, Store, StoreStatus, Sync, SyncState
from flexdash.services import access, config_log, config_log_queries, store_contents, sync_schedule
from flexdash.services.actors import Actor, Permission
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.errors import NotAllowed, ServiceError
from flexdash.services.inventory import brake, preview
from flexdash.services.inventory.places import active_locations

MOST_COUNTED = 10_000  # SKUs; beyond that a person needs no exact number, and counting would take long


class Toggle(StrEnum):
    """A toggle, named by the column that keeps it."""

    ORDER_SYNC = "is_order_sync_on"
    INVENTORY_SYNC = "is_inventory_sync_on"
    AUTOMATED_CANCELLATION = "is_automated_cancellation_on"

    @property
    def label(self) -> str:
        """The toggle's name on every page and in the log."""
        return config_log_queries.LABELS[self.value]


class NotPreviewed(ServiceError):
    """Inventory Sync is turned on for the first time by somebody who has not seen what it would set to zero now."""


_SYNCS = {Toggle.ORDER_SYNC: Sync.ORDER_PULL, Toggle.INVENTORY_SYNC: Sync.INVENTORY_PUSH}


@dataclass(frozen=True)
class ToggleView:
    """One toggle as its page shows it."""

    toggle: Toggle
    is_on: bool
    purpose: str  # what it does, in a sentence
    effect: str  # what switching it now would change, in a sentence; "{at}" stands for `first_run_at`
    first_run_at: datetime | None  # when switching it on now would start a run
    second_run_at: datetime | None  # and the one after that, where it is worth saying
    last_change: ConfigEvent | None
    needs_preview: bool = False  # what it would change is shown before it is turned on for the first time


def set_toggle(
    actor: Actor,
    store_id: int,
    toggle: Toggle,
    *,
    turn_on: bool,
    version: int,
    reason: str = "",
    zeros_seen: int | None = None,
    is_approval: bool = False,
) -> Store:
    """Turn one toggle of the store on or off and log it, in one transaction; return the store.

    Allowed whatever the store's connection is, once it was connected: a sync that cannot run is shown as paused.
    `version` is the `settings_version` the form was made from. `zeros_seen` is `n_to_zero` of the preview that the
    person saw: the first time Inventory Sync needs it. With `is_approval` the person approves these zeros too, so that
    the first push does not ask once more. Raises NotVisible, NotAllowed, ServiceError (a draft), FieldRefused for
    `reason`, ChangedByOther when any toggle was changed since, and NotPreviewed.
    """
    if not actor.may(Permission.CONFIGURE_STORES):
        raise NotAllowed("Your role does not include changing a store's settings. Ask a merchant or an admin.")
    reason = config_log.clean_reason(reason)
    would_be = _preview(access.get(actor, Store, store_id)) if toggle is Toggle.INVENTORY_SYNC and turn_on else None
    with transaction():
        store = access.get(actor, Store, store_id, lock=True)
        if store.status is StoreStatus.DRAFT:
            raise ServiceError("This store is not connected yet. Finish connecting it first, then set its toggles.")
        if store.settings_version != version:
            raise changed_by_other(actor, last_change(store))
        was_on = getattr(store, toggle)
        if was_on == turn_on:
            return store
        if would_be is not None:
            _check_seen(would_be, zeros_seen)
        setattr(store, toggle, turn_on)
        store.settings_version += 1
        if turn_on and toggle in _SYNCS:
            sync_schedule.begin_again(store, _SYNCS[toggle])
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
        if toggle is Toggle.INVENTORY_SYNC and not turn_on:
            brake.forget_approval(store, "Inventory Sync was turned off before a push used the approval")
        if is_approval and would_be is not None and would_be.would_wait and would_be.is_counted_whole:
            brake.approve_beforehand(
                actor,
                store,
                n_to_zero=would_be.n_to_zero,
                n_published=would_be.n_may_show,
                n_unknown=would_be.n_unknown_to_zero,
            )
        return store


def _preview(store: Store) -> preview.Preview | None:
    """Return what the first push would change, None where it is not the first time."""
    return preview.of(store, active_locations(store.id)) if needs_preview(store) else None


def _check_seen(would_be: preview.Preview, zeros_seen: int | None) -> None:
    if zeros_seen is None:
        raise NotPreviewed(
            "Inventory Sync is turned on for the first time from its preview. Look at what it would change on Amazon, "
            "and turn it on there."
        )
    if would_be.n_to_zero > zeros_seen:
        raise NotPreviewed(
            f"While the page was open the stock changed: more would go to zero now, {would_be.n_to_zero:,} instead of "
            f"{zeros_seen:,}. Inventory Sync is still off; look at the list again."
        )


def last_change(store: Store, toggle: Toggle | None = None) -> ConfigEvent | None:
    """Return the log's newest row about the store's settings, or about one toggle; None when there is none."""
    return config_log_queries.newest(store, Section.SETTINGS, toggle)


def turned_off(stores: Sequence[Store], toggle: Toggle) -> dict[int, ConfigEvent]:
    """Return the log's rows that turned `toggle` off, by store id, of those of `stores` where it is off; one query.

    A store where it was never on has none.
    """
    ids = [store.id for store in stores if not getattr(store, toggle)]
    found = config_log_queries.newest_of_each(ids, Section.SETTINGS, toggle) if ids else {}
    return {store_id: event for store_id, event in found.items() if event.new_value.get(toggle.value) is False}


def needs_preview(store: Store) -> bool:
    """Say whether Inventory Sync was never on in this store: then what it would change is looked at first."""
    return not store.is_inventory_sync_on and last_change(store, Toggle.INVENTORY_SYNC) is None


def views(store: Store) -> list[ToggleView]:
    """Return the store's toggles as the Settings page shows them."""
    return [view(store, toggle) for toggle in Toggle]


def view(store: Store, toggle: Toggle) -> ToggleView:
    """Return one of them."""
    is_on, change = getattr(store, toggle), last_change(store, toggle)
    would_start = toggle in _SYNCS and not is_on and store.status is StoreStatus.CONNECTED
    return ToggleView(
        toggle=toggle,
        is_on=is_on,
        purpose=_purpose(toggle),
        effect=_effect(store, toggle),
        first_run_at=clock.now() + timedelta(minutes=1) if would_start else None,
        second_run_at=_second_run_at(store) if would_start and toggle is Toggle.ORDER_SYNC else None,
        last_change=change,
        needs_preview=toggle is Toggle.INVENTORY_SYNC and not is_on and change is None,
    )


def _purpose(toggle: Toggle) -> str:
    match toggle:
        case Toggle.ORDER_SYNC:
            return (
                f"Fetches new orders from Amazon every {settings.order_pull_interval_minutes} minutes, gives each to "
                "its hub and tells Amazon it was accepted."
            )
        case Toggle.INVENTORY_SYNC:
            return (
                "Tells Amazon the available quantity of every catalog SKU at every mapped hub, less the stock buffer: "
                f"what changed every {_in_words(settings.inventory_push_interval_minutes)}, everything every "
                f"{settings.inventory_full_push_hours} hours."
            )
        case Toggle.AUTOMATED_CANCELLATION:
            return (
                "Tells Amazon when somebody cancels an order in FlexDash, and shows Amazon's answer on the order. "
                "While it is off, such an order is cancelled in FlexDash only."
            )


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
        case Toggle.INVENTORY_SYNC if is_on:
            return (
                "Turning this off leaves Amazon with what it was told last: what is sold elsewhere from then on can be "
                "sold there once more."
            )
        case Toggle.INVENTORY_SYNC:
            return _effect_of_pushing(store)
        case Toggle.AUTOMATED_CANCELLATION if is_on:
            return (
                "Turning this off keeps the next cancellations in FlexDash: the order says Not cancelled on Amazon, "
                "which still expects it. One that is on its way to Amazon goes on."
            )
        case Toggle.AUTOMATED_CANCELLATION:
            return (
                "Turning this on sends the next cancellations to Amazon. Those made while it was off are not sent by "
                "this; each has Send now on its order's page."
            )


def _effect_of_pushing(store: Store) -> str:
    if nothing := _nothing_to_send(store):
        return f"{nothing} Turning this on changes nothing on Amazon now."
    state = db.session.scalars(
        db.select(SyncState).where(SyncState.store_id == store.id, SyncState.sync == Sync.INVENTORY_PUSH)
    ).one_or_none()
    n_skus = _n_listings(store)
    skus = f"{n_skus:,} SKU{'' if n_skus == 1 else 's'}"
    if n_skus > MOST_COUNTED:
        skus = f"more than {MOST_COUNTED:,} SKUs"
    what = skus if state is None or state.last_full_at is None else f"what changed of {skus} since the last push"
    every = f"and then what changed every {_in_words(settings.inventory_push_interval_minutes)}"
    if store.status is StoreStatus.CONNECTED:
        return f"Turning this on pushes {what} at {{at}}, {every}."
    return f"Turning this on pushes {what} once the store is connected to Amazon again, {every}."


def _second_run_at(store: Store) -> datetime | None:
    timing = sync_schedule.Timing(Sync.ORDER_PULL, timedelta(minutes=settings.order_pull_interval_minutes))
    return timing.next_slot(store.id, clock.now())


def _in_words(minutes: int) -> str:
    return "hour" if minutes == 60 else f"{minutes} minutes"


def _n_listings(store: Store) -> int:
    """Return how many SKUs the catalog has, counted no further than one beyond MOST_COUNTED."""
    some = db.select(Listing.id).where(Listing.store_id == store.id).limit(MOST_COUNTED + 1).subquery()
    return db.session.scalar(db.select(db.func.count()).select_from(some)) or 0


def _nothing_to_send(store: Store) -> str:
    """Return why a push would have nothing to send, "" when it has."""
    if not store_contents.is_catalog_empty(store):
        if not active_locations(store.id):
            return "No hub of this store has an active Seller Flex Hub ID, so there is nowhere to send stock to."
        return ""
    n_skus = db.session.scalar(
        db.select(db.func.count()).where(Sku.workspace_id == store.workspace_id, Sku.seller_id == store.seller_id)
    )
    if not n_skus:
        return "This store has no catalog yet, so there is nothing to send."
    skus = "The seller's one SKU has" if n_skus == 1 else f"The seller's {n_skus:,} SKUs have"
    return f"{skus} no ASIN in this store, because its catalog is empty: there is nothing to send."

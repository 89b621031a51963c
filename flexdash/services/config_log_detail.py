"""One row of the Configuration Log whole: what stands beside it, what took it back, and the runs around it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, literal, select, tuple_, union_all

from flexdash.extensions import db
from flexdash.models import (
    ConfigEvent,
    ConfigRevert,
    HubMapping,
    RunState,
    Section,
    Seller,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
)
from flexdash.services import access, config_log_queries
from flexdash.services.actors import Actor, Permission
from flexdash.services.config_log import REVERTS
from flexdash.services.syncs import FACTS

RUNS_BEFORE, RUNS_AFTER = 3, 3
STORES_LOOKED_AT, STORES_SHOWN = 20, 5  # of a hub or a seller; those where a sync broke come first
_GOOD, _BAD = {RunState.SUCCEEDED}, {RunState.FAILED, RunState.PARTIAL}
# The syncs that a change may help or break, by the setting or by the section.
_BY_KEY = {
    "is_order_sync_on": (Sync.ORDER_PULL,),
    "is_inventory_sync_on": (Sync.INVENTORY_PUSH,),
    "is_automated_cancellation_on": (Sync.ORDER_STEPS,),
    "stock_buffer": (Sync.INVENTORY_PUSH,),
    "zero_brake_percent": (Sync.INVENTORY_PUSH,),
    "zero_brake": (Sync.INVENTORY_PUSH,),
}
_BY_SECTION = {
    Section.CONNECTION: (Sync.ORDER_PULL, Sync.INVENTORY_PUSH),
    Section.HUB_MAPPING: (Sync.ORDER_PULL, Sync.INVENTORY_PUSH),
    Section.CATALOG: (Sync.INVENTORY_PUSH, Sync.ORDER_PULL),
    Section.PRICES: (Sync.PRICE_PUSH,),
    Section.STOCK: (Sync.INVENTORY_PUSH,),
    Section.HUBS: (Sync.ORDER_PULL, Sync.INVENTORY_PUSH),
    Section.SELLERS: (Sync.ORDER_PULL, Sync.INVENTORY_PUSH),
}


@dataclass(frozen=True)
class RunsAround:
    """The last runs of one sync before a change and its first ones after, both the nearest to it first.

    `store` stands in the label where the change is not of one store alone.
    """

    label: str
    store: Store
    before: Sequence[SyncRun]
    after: Sequence[SyncRun]

    @property
    def verdict(self) -> str:
        """Return in a sentence whether the sync went on as before; "" while nothing can be said."""
        last = next((run.state for run in self.before if run.state in _GOOD | _BAD), None)
        first = next((run.state for run in self.after if run.state in _GOOD | _BAD), None)
        if first is None or last is None:
            return ""
        match last in _GOOD, first in _GOOD:
            case True, False:
                return f"{self.label} went well before this change, and not any more with its first run after."
            case False, True:
                return f"{self.label} did not go well before this change, and went well with its first run after."
            case True, True:
                return f"{self.label} went well before this change and after it."
        return f"{self.label} did not go well before this change already, nor after it."

    @property
    def is_broken(self) -> bool:
        """Say whether the sync went well before the change only."""
        return self.verdict.endswith("not any more with its first run after.")


@dataclass(frozen=True)
class Detail:
    """One row with what belongs to it. `older` and `newer` are its neighbours among the rows one may see."""

    event: ConfigEvent
    store: Store | None
    seller: Seller | None
    older: ConfigEvent | None
    newer: ConfigEvent | None
    took_back: ConfigEvent | None
    taken_back_by: Sequence[ConfigEvent]
    runs: Sequence[RunsAround]
    n_stores_left_out: int = 0  # whose runs are not shown; STORES_LOOKED_AT at most are counted


def load(actor: Actor, event_id: int) -> Detail:
    """Return one row with what belongs to it. Raises NotVisible."""
    event = config_log_queries.get(actor, event_id)
    store = access.get(actor, Store, event.store_id) if event.store_id is not None else None
    may_audit = actor.may(Permission.AUDIT)
    runs, n_left_out = _runs_around(actor, event, store)
    return Detail(
        event=event,
        store=store,
        seller=access.get(actor, Seller, event.seller_id) if event.seller_id is not None else None,
        older=_numbered(actor, event.sequence - 1) if may_audit else _neighbour(actor, event, is_older=True),
        newer=_numbered(actor, event.sequence + 1) if may_audit else _neighbour(actor, event, is_older=False),
        took_back=_numbered(actor, event.new_value[REVERTS]) if event.new_value.get(REVERTS) else None,
        taken_back_by=_taken_back_by(actor, event),
        runs=runs,
        n_stores_left_out=n_left_out,
    )


def subject_id(event: ConfigEvent, key: str) -> int | None:
    """Return the id that the row keeps under `key`, such as `upload_id`, None when it keeps none."""
    found = event.new_value.get(key, event.old_value.get(key))
    return found if isinstance(found, int) else None


def _syncs(event: ConfigEvent) -> tuple[Sync, ...]:
    if "upload_id" in event.new_value and "changed" not in event.new_value:
        return ()  # a file came in, which changes nothing before it is applied
    for key in event.new_value.keys() | event.old_value.keys():
        if key in _BY_KEY:
            return _BY_KEY[key]
    return _BY_SECTION.get(event.section, ())


def _numbered(actor: Actor, sequence: int) -> ConfigEvent | None:
    return db.session.scalars(access.visible(actor, ConfigEvent).where(ConfigEvent.sequence == sequence)).one_or_none()


def _neighbour(actor: Actor, event: ConfigEvent, *, is_older: bool) -> ConfigEvent | None:
    """Return the row beside `event` in its store's log: people who may not audit see no other."""
    query = access.visible(actor, ConfigEvent).where(ConfigEvent.store_id == event.store_id)
    columns = (ConfigEvent.occurred_at, ConfigEvent.id)
    ours = tuple_(*columns)
    here = tuple_(*(literal(getattr(event, column.key), column.type) for column in columns))
    if is_older:
        query = query.where(ours < here).order_by(*(column.desc() for column in columns))
    else:
        query = query.where(ours > here).order_by(*columns)
    return db.session.scalars(query.limit(1)).one_or_none()


def _taken_back_by(actor: Actor, event: ConfigEvent) -> Sequence[ConfigEvent]:
    numbers = select(ConfigRevert.sequence).where(
        ConfigRevert.workspace_id == event.workspace_id, ConfigRevert.reverted_sequence == event.sequence
    )
    query = access.visible(actor, ConfigEvent).where(ConfigEvent.sequence.in_(numbers))
    return db.session.scalars(query.order_by(ConfigEvent.sequence.desc()).limit(10)).all()


def _runs_around(actor: Actor, event: ConfigEvent, store: Store | None) -> tuple[list[RunsAround], int]:
    """Return the runs around a change of a store, a hub or a seller, and of how many stores it leaves them out.

    Of several stores those come first where a sync broke.
    """
    syncs = _syncs(event)
    if store is not None:
        return _around([store], syncs, event), 0
    stores = db.session.scalars(query).all() if syncs and (query := _stores_of(actor, event)) is not None else []
    if not stores:
        return [], 0
    found = _around(stores, syncs, event)
    broken = {around.store.id for around in found if around.is_broken}
    shown = sorted(stores, key=lambda one: one.id not in broken)[:STORES_SHOWN]
    of_shown = [around for one in shown for around in found if around.store is one and (around.before or around.after)]
    return of_shown, len(stores) - len(shown)


def _stores_of(actor: Actor, event: ConfigEvent) -> Select[tuple[Store]] | None:
    """Return the SELECT of the stores that a change of a hub or a seller reaches, None for another change."""
    query = access.visible(actor, Store).where(
        Store.status.in_((StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION))
    )
    if event.section is Section.HUBS and (hub_id := subject_id(event, "hub_id")) is not None:
        query = query.where(Store.id.in_(select(HubMapping.store_id).where(HubMapping.hub_id == hub_id)))
    elif event.section is Section.SELLERS and event.seller_id is not None:
        query = query.where(Store.seller_id == event.seller_id)
    else:
        return None
    return query.order_by(Store.name, Store.id).limit(STORES_LOOKED_AT)


def _around(stores: Sequence[Store], syncs: Sequence[Sync], event: ConfigEvent) -> list[RunsAround]:
    """Return the runs around `event` of each store and sync; two queries however many they are."""
    if not syncs:
        return []
    # The last run that was made before, found by time in the workspace; from there by number, each through an index.
    pivot = db.session.scalar(
        select(SyncRun.id)
        .where(SyncRun.workspace_id == event.workspace_id, SyncRun.queued_at <= event.occurred_at)
        .order_by(SyncRun.queued_at.desc(), SyncRun.id.desc())
        .limit(1)
    )
    pivot = pivot or 0
    parts = []
    for store in stores:
        for sync in syncs:
            own = select(SyncRun.id).where(SyncRun.store_id == store.id, SyncRun.sync == sync)
            before = own.where(SyncRun.id <= pivot).order_by(SyncRun.id.desc()).limit(RUNS_BEFORE)
            after = own.where(SyncRun.id > pivot).order_by(SyncRun.id).limit(RUNS_AFTER)
            parts += [select(part.subquery().c.id) for part in (before, after)]
    runs = db.session.scalars(select(SyncRun).where(SyncRun.id.in_(union_all(*parts))).order_by(SyncRun.id)).all()
    found = []
    for store in stores:
        for sync in syncs:
            own_runs = [run for run in runs if run.store_id == store.id and run.sync is sync]
            label = FACTS[sync].label if event.store_id is not None else f"{FACTS[sync].label} of {store.name}"
            before = [run for run in reversed(own_runs) if run.id <= pivot]
            found.append(RunsAround(label, store, before, [run for run in own_runs if run.id > pivot]))
    return found

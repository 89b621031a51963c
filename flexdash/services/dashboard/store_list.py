"""All stores a person may see, worst first, however many: what the list of stores shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Integer, Label, Select, and_, case, func, literal, not_, or_, select, text, type_coerce
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Store, StoreStatus, Sync, SyncState
from flexdash.models.store import IS_AT_REST
from flexdash.models.types import UtcDateTime
from flexdash.services import access, store_health, sync_status
from flexdash.services.actors import Actor
from flexdash.services.dashboard import freshness
from flexdash.services.dashboard.freshness import Freshness
from flexdash.services.sync_status import SyncStatus

LAST = datetime(2999, 1, 1, tzinfo=UTC)  # stands in where no moment orders the stores
_REFUSED, _UNSCHEDULED, _EXPECTED, _AT_REST = range(4)

_IS_REFUSED = Store.status == StoreStatus.NEEDS_REAUTHORIZATION
_IS_AT_REST = and_(text(IS_AT_REST), not_(_IS_REFUSED))
# The first moment at which one of the store's syncs that are on is silent for too long; NULL where none has had a turn.
_FRESH_UNTIL = (
    select(func.min(SyncState.fresh_until, type_=UtcDateTime()))
    .where(
        SyncState.store_id == Store.id,
        or_(
            and_(SyncState.sync == Sync.ORDER_PULL, Store.is_order_sync_on),
            and_(SyncState.sync == Sync.INVENTORY_PUSH, Store.is_inventory_sync_on),
        ),
    )
    .correlate(Store)
    .scalar_subquery()
)
_RANK: Label[int] = type_coerce(
    case((_IS_REFUSED, _REFUSED), (_IS_AT_REST, _AT_REST), (_FRESH_UNTIL.is_(None), _UNSCHEDULED), else_=_EXPECTED),
    Integer,
).label("rank")
_AT: Label[datetime] = type_coerce(
    func.coalesce(case((or_(_IS_REFUSED, _IS_AT_REST), None), else_=_FRESH_UNTIL), literal(LAST, UtcDateTime())),
    UtcDateTime(),
).label("at")

WORST_FIRST = ((_RANK, "asc"), (_AT, "asc"), (Store.name, "asc"), (Store.id, "asc"))
BY_NAME = ((Store.name, "asc"), (Store.id, "asc"))


class Standing(StrEnum):
    """What the list can be narrowed to."""

    REFUSED = "refused"
    STALE = "stale"
    WAITING = "waiting"
    FRESH = "fresh"
    OFF = "off"
    DRAFT = "draft"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True)
class StoreFilters:
    """`text` is a piece of the store's name, in any case."""

    standing: Standing | None = None
    seller_id: int | None = None
    country_code: str = ""
    text: str = ""


def listing(actor: Actor, filters: StoreFilters) -> Select[tuple[Store, int, datetime]]:
    """Return the SELECT of the stores that `actor` may see and the filters leave: page it by WORST_FIRST or BY_NAME.

    Stores are thousands at most, so they are sorted where they are found.
    """
    query = access.visible(actor, Store).add_columns(_RANK, _AT).options(joinedload(Store.seller))
    if filters.standing is not None:
        query = query.where(_condition(filters.standing))
    if filters.seller_id is not None:
        query = query.where(Store.seller_id == filters.seller_id)
    if filters.country_code:
        query = query.where(Store.country_code == filters.country_code)
    if wanted := filters.text.strip():
        query = query.where(Store.name.icontains(wanted, autoescape=True))
    return query


def of(stores: Sequence[Store]) -> list[Freshness]:
    """Return how fresh each of `stores` is, in their order; the same few queries however many they are."""
    found = sync_status.of_each(stores)
    return [_freshness(store, found[store.id]) for store in stores]


def country_codes(actor: Actor) -> list[str]:
    """Return the codes of the countries in which `actor` sees a store."""
    return list(db.session.scalars(access.visible(actor, Store).with_only_columns(Store.country_code).distinct()))


def n_stores(actor: Actor) -> int:
    """Return how many stores `actor` sees."""
    return db.session.scalar(access.visible(actor, Store).with_only_columns(func.count())) or 0


def _freshness(store: Store, syncs: Sequence[SyncStatus]) -> Freshness:
    on = [sync for sync in syncs if sync.sync and sync.is_on]
    if store.status is StoreStatus.NEEDS_REAUTHORIZATION:
        return Freshness(store, None, freshness.REFUSED, store_health.of(store))
    if store.status is not StoreStatus.CONNECTED or not on:
        return Freshness(store, None, freshness.rest_sentence(store), store_health.of(store))
    worst = max(on, key=_badness)
    return Freshness(store, worst, freshness.sentence_of(worst))


def _badness(sync: SyncStatus) -> tuple[bool, bool, float]:
    silence = (clock.now() - sync.silent_since).total_seconds() if sync.silent_since else 0
    return sync.is_stale, sync.is_failing, silence


def _condition(standing: Standing) -> object:
    is_connected = Store.status == StoreStatus.CONNECTED
    is_at_work = not_(or_(_IS_REFUSED, text(IS_AT_REST)))
    return {
        Standing.REFUSED: _IS_REFUSED,
        Standing.STALE: and_(is_at_work, clock.now() >= _FRESH_UNTIL),
        Standing.WAITING: and_(is_at_work, _FRESH_UNTIL.is_(None)),
        Standing.FRESH: and_(is_at_work, clock.now() < _FRESH_UNTIL),
        Standing.OFF: and_(is_connected, text(IS_AT_REST)),
        Standing.DRAFT: Store.status == StoreStatus.DRAFT,
        Standing.DISCONNECTED: Store.status == StoreStatus.DISCONNECTED,
    }[standing]

"""The stores of one seller, as Apps & Integration shows them: page by page, and all of them in a few words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, Label, Select, String, and_, case, func, literal, or_, type_coerce

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Store, StoreStatus
from flexdash.models.types import UtcDateTime
from flexdash.services import access, store_health, sync_status
from flexdash.services.actors import Actor
from flexdash.services.dashboard import store_list
from flexdash.services.dashboard.store_list import LAST, StoreFilters
from flexdash.services.store_health import StoreHealth
from flexdash.services.stores import EXPIRY_WARNING, LIVE

TOLD_APART = 5  # stores that need a new authorization, and the first ones to look among for the worst

_IS_LIVE = Store.status.in_(LIVE)
_PLACE: Label[int] = type_coerce(
    case((Store.status == StoreStatus.DRAFT, 1), (Store.status == StoreStatus.DISCONNECTED, 2), else_=0), Integer
).label("place")
_LOWER_NAME: Label[str] = func.lower(Store.name, type_=String()).label("lower_name")
_ENDS_AT: Label[datetime] = type_coerce(
    func.coalesce(case((_IS_LIVE, Store.authorization_expires_at)), literal(LAST, UtcDateTime())), UtcDateTime()
).label("ends_at")

LIVE_FIRST = ((_PLACE, "asc"), (_LOWER_NAME, "asc"), (Store.id, "asc"))
ENDING_FIRST = ((_ENDS_AT, "asc"), (Store.id, "asc"))
NEWEST_FIRST = ((Store.id, "desc"),)


@dataclass(frozen=True)
class Summary:
    """A seller's stores that are connected, or would be again with a new authorization: how many and how they are."""

    n_connected: int
    worst: StoreHealth | None
    needing: Sequence[Store]  # a new authorization, TOLD_APART at most
    needs_more: bool


def listing(actor: Actor, seller_id: int) -> Select[tuple[Store, int, str, datetime]]:
    """Return the SELECT of the seller's stores that `actor` may see: page it by LIVE_FIRST or another order of these.

    A seller's stores are hundreds at most, so they are sorted where they are found.
    """
    query = access.visible(actor, Store).where(Store.seller_id == seller_id)
    return query.add_columns(_PLACE, _LOWER_NAME, _ENDS_AT)


def healths(stores: Sequence[Store]) -> dict[int, StoreHealth]:
    """Return how each of `stores` is, by its id; the same few queries however many they are."""
    syncs = sync_status.of_each(stores)
    return {store.id: store_health.of(store, is_stale=any(one.is_stale for one in syncs[store.id])) for store in stores}


def summary(actor: Actor, seller_id: int) -> Summary:
    """Return the seller's connected stores in a few words; the same few queries however many they are."""
    live = access.visible(actor, Store).where(Store.seller_id == seller_id, _IS_LIVE)
    n_connected = db.session.scalar(live.with_only_columns(func.count())) or 0
    ends_soon = Store.authorization_expires_at <= clock.now() + EXPIRY_WARNING
    needing = live.where(or_(Store.status == StoreStatus.NEEDS_REAUTHORIZATION, and_(_IS_LIVE, ends_soon)))
    refused_first = case((Store.status == StoreStatus.NEEDS_REAUTHORIZATION, 0), else_=1)
    found = db.session.scalars(
        needing.order_by(refused_first, Store.authorization_expires_at, Store.id).limit(TOLD_APART + 1)
    ).all()
    least_fresh = store_list.listing(actor, StoreFilters(seller_id=seller_id)).where(_IS_LIVE).limit(TOLD_APART)
    first = db.session.scalars(least_fresh.order_by(*(column.asc() for column, _ in store_list.WORST_FIRST))).all()
    candidates = list({store.id: store for store in (*found, *first)}.values())
    return Summary(
        n_connected=n_connected,
        worst=store_health.worst(list(healths(candidates).values())),
        needing=found[:TOLD_APART],
        needs_more=len(found) > TOLD_APART,
    )

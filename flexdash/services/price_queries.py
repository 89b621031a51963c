"""Reading a store's prices: the list with its filters, how many stand where, its export, and when the next push is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, func, literal, select, text

from flexdash import clock
from flexdash.database import begins_with, release_connection
from flexdash.extensions import db
from flexdash.models import Listing, PriceFeed, RunState, Store, StoreStatus, Sync, SyncRun, SyncState
from flexdash.services import access, runs_of_sync, store_contents
from flexdash.services.actors import Actor

EXPORT_HEADINGS = ("sku_code", "selling_price", "currency", "state", "amazon_says")
ROWS_AT_A_TIME = 1_000
COUNTED_AT_MOST = 1_000  # a page says "1,000 or more" from there on, whatever a store has


class Only(StrEnum):
    """What the list can be narrowed to."""

    UNDER_WAY = "under_way"
    WAITING = "waiting"
    SENT = "sent"
    APPLIED = "applied"
    REFUSED = "refused"


# In the words of the partial indexes, without which a list of few among many would read them all.
_CONDITIONS = {
    Only.UNDER_WAY: "price_state IN ('waiting', 'sent')",
    Only.WAITING: "price_state IN ('waiting', 'sent') AND price_state = 'waiting'",
    Only.SENT: "price_state IN ('waiting', 'sent') AND price_state = 'sent'",
    Only.APPLIED: "price_state = 'applied'",
    Only.REFUSED: "price_state = 'refused'",
}


@dataclass(frozen=True)
class Filters:
    """What a person asked for; "" and None mean not at all."""

    text: str = ""  # the beginning of a SKU code, with capital and small letters as written
    only: Only | None = None


@dataclass(frozen=True)
class Standing:
    """How many of a store's prices stand where, each counted up to COUNTED_AT_MOST, and what comes next."""

    counts: dict[Only, int]
    next_push: str  # a sentence
    next_push_at: datetime | None  # where the sentence leaves the time to the page
    feed: PriceFeed | None  # the feed under way
    last_run: SyncRun | None


def of_store(actor: Actor, store: Store, filters: Filters) -> Select[tuple[Listing]]:
    """Return the SELECT of the store's listings that `filters` let through, unordered and unpaged."""
    query = access.visible(actor, Listing).where(Listing.store_id == store.id)
    if filters.only is not None:
        query = query.where(text(_CONDITIONS[filters.only]))
    if sought := filters.text.strip():
        query = query.where(begins_with(Listing.sku_code, sought))
    return query


def is_empty(store: Store) -> bool:
    """Say whether the store's catalog is empty, so that nothing could have a price."""
    return store_contents.is_catalog_empty(store)


def standing(store: Store) -> Standing:
    """Return how the store's prices stand, and what happens next with them."""
    counts = _counts(store)
    state = db.session.scalars(
        select(SyncState).where(SyncState.store_id == store.id, SyncState.sync == Sync.PRICE_PUSH)
    ).one_or_none()
    last_run = db.session.scalars(
        select(SyncRun)
        .where(runs_of_sync.of(store.id, Sync.PRICE_PUSH), SyncRun.state != RunState.SKIPPED)
        .order_by(*runs_of_sync.newest_first())
        .limit(1)
    ).one_or_none()
    feed = db.session.scalars(
        select(PriceFeed).where(PriceFeed.store_id == store.id, PriceFeed.finished_at.is_(None)).limit(1)
    ).one_or_none()
    sentence, at = _next_push(store, counts, state, last_run)
    return Standing(counts, sentence, at, feed, last_run)


def export_rows(store: Store, only: Only | None = None) -> Iterator[tuple[Any, ...]]:
    """Yield every price of the store by SKU, under EXPORT_HEADINGS; a thousand at a time.

    Listings without a price are left out. The database connection is given back between the portions.
    """
    query = (
        select(Listing.sku_code, Listing.price, Listing.price_state, Listing.price_message)
        .where(Listing.store_id == store.id, Listing.price.is_not(None))
        .order_by(Listing.sku_code)
        .limit(ROWS_AT_A_TIME)
    )
    if only is not None:
        query = query.where(text(_CONDITIONS[only]))
    currency, portion = store.currency, query
    while True:
        found = db.session.execute(portion).all()
        release_connection()
        for sku_code, price, state, words in found:
            yield sku_code, _plain(price), currency, state.value, words
        if len(found) < ROWS_AT_A_TIME:
            return
        portion = query.where(Listing.sku_code > literal(found[-1].sku_code))


def _counts(store: Store) -> dict[Only, int]:
    """Return the counts of one question to the database, each read from its index up to COUNTED_AT_MOST."""
    shown = [Only.WAITING, Only.SENT, Only.APPLIED, Only.REFUSED]
    parts = [_counted(store, only).scalar_subquery() for only in shown]
    return dict(zip(shown, db.session.execute(select(*parts)).one(), strict=True))


def _counted(store: Store, only: Only) -> Select[tuple[int]]:
    found = select(Listing.id).where(Listing.store_id == store.id, text(_CONDITIONS[only]))
    # Ordered as the partial index is: otherwise SQLite would read the whole catalog instead of the few.
    return select(func.count()).select_from(found.order_by(Listing.sku_code).limit(COUNTED_AT_MOST).subquery())


def _next_push(
    store: Store, counts: dict[Only, int], state: SyncState | None, last_run: SyncRun | None
) -> tuple[str, datetime | None]:
    if store.status is not StoreStatus.CONNECTED:
        return "They wait until the store is connected to Amazon again, and go by themselves then.", None
    if last_run is not None and last_run.state is RunState.RUNNING:
        return f"A push is at work. {last_run.progress}".strip(), None
    if not counts[Only.WAITING] and not counts[Only.SENT]:
        return "None is on its way now; a changed price goes within a minute.", None
    if last_run is not None and last_run.state is RunState.QUEUED and last_run.retry_at is not None:
        return "The last push failed and is tried again by itself.", last_run.retry_at
    if state is None or state.next_due_at is None or state.next_due_at <= clock.now():
        return "The next push starts within a minute.", None
    return "The next push is", state.next_due_at


def _plain(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")

"""Prices on their way to Amazon, in the database: which are due, and what became of each.

An answer of Amazon is about the price that was read before it was asked for. It is written only where that very price
still stands, so that an answer about an old price never marks a newer one as sent, applied or refused.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, insert, select, text, update

from flexdash import clock, metrics
from flexdash.extensions import db
from flexdash.models import ItemFate, ItemOutcome, Listing, PriceState, SyncRunItem
from flexdash.models.listing import PRICE_IS_UNDER_WAY
from flexdash.services import run_sheets
from flexdash.services.price_remedies import remedy_of

MAX_WORDS = 500
_IDS_AT_ONCE = 1_000
_TABLE = Listing.__table__
_FATES: dict[PriceState | None, ItemFate] = {
    PriceState.SENT: ItemFate.SENT,
    PriceState.APPLIED: ItemFate.APPLIED,
    PriceState.REFUSED: ItemFate.REFUSED,
}
_UNDER_WAY = (PriceState.WAITING, PriceState.SENT)


@dataclass(frozen=True, slots=True)
class Price:
    """A price as it stood when it was read; `changed_at` tells it from every later one. `mrp` is the catalog's."""

    listing_id: int
    sku_code: str
    amount: Decimal
    mrp: Decimal | None
    changed_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a price. `state` is SENT, APPLIED or REFUSED, or None: it is still where it was.

    `words` are Amazon's, or ours where Amazon said nothing; "" when there is nothing to say.
    """

    price: Price
    state: PriceState | None
    words: str = ""
    is_sent_now: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """How many prices became what."""

    n_sent: int = 0
    n_applied: int = 0
    n_refused: int = 0
    n_left: int = 0  # still where they were, or changed meanwhile

    def counts(self) -> dict[str, int]:
        """Return them as a run counts them: see `price_push`."""
        return {
            "n_updated": self.n_sent,
            "n_acknowledged": self.n_applied,
            "n_failed": self.n_refused,
            "n_skipped": self.n_left,
        }


def n_waiting(store_id: int, limit: int) -> int:
    """Return how many prices wait to be sent and stand in no feed; counted up to `limit`."""
    return db.session.scalars(
        select(func.count()).select_from(_waiting(store_id).with_only_columns(Listing.id).limit(limit).subquery())
    ).one()


def waiting(store_id: int, limit: int) -> list[Price]:
    """Return up to `limit` prices that wait to be sent and stand in no feed, by SKU."""
    return _prices(_waiting(store_id).order_by(Listing.sku_code).limit(limit))


def to_check(store_id: int, before: datetime, limit: int) -> list[Price]:
    """Return up to `limit` prices that Amazon took and has not shown yet, those not asked about the longest first.

    Those that stand in a feed are left out, its report comes first, as are those that Amazon spoke of since `before`.
    """
    last_word_at = func.coalesce(Listing.price_checked_at, Listing.price_sent_at)
    query = (
        _columns()
        .where(*_is_under_way(store_id), Listing.price_state == PriceState.SENT, Listing.price_feed_id.is_(None))
        .where(last_word_at < before)
        .order_by(last_word_at, Listing.id)
        .limit(limit)
    )
    return _prices(query)


def put_into_feed(store_id: int, feed_id: int, limit: int) -> int:
    """Let up to `limit` waiting prices stand in the feed; return how many. Inside the caller's transaction."""
    picked = _waiting(store_id).with_only_columns(Listing.id).order_by(Listing.sku_code).limit(limit).subquery()
    lock(Listing.id.in_(select(picked.c.id)))
    return _update(Listing.id.in_(select(picked.c.id)), price_feed_id=feed_id)


def waiting_in_feed(feed_id: int) -> list[Price]:
    """Return the prices that are to go with the feed, by SKU."""
    query = _columns().where(Listing.price_feed_id == feed_id, Listing.price_state == PriceState.WAITING)
    return _prices(query.order_by(Listing.sku_code))


def lock(condition: ColumnElement[bool]) -> None:
    """Hold the listings that fit until the open transaction ends, in the order of their ids as everybody does."""
    held = select(Listing.id).where(condition).order_by(Listing.id).with_for_update(of=Listing, key_share=True)
    db.session.execute(select(func.count()).select_from(held.subquery()))


def write(run_id: int, outcomes: Sequence[Outcome]) -> Written:
    """Write what became of prices, and the run's items for the refused ones. Inside the caller's transaction."""
    now = clock.now()
    counts = dict.fromkeys((PriceState.SENT, PriceState.APPLIED, PriceState.REFUSED, None), 0)
    refused, items = [], []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.price.listing_id):
        is_written = _write_one(outcome, now)
        counts[outcome.state if is_written else None] += 1
        if is_written and outcome.state is PriceState.REFUSED:
            refused.append((outcome.price.sku_code, outcome.words))
        items.append(_item(outcome) if is_written else replace(_item(outcome), words="It was changed meanwhile."))
    run_sheets.keep(run_id, items)
    add_refused_items(run_id, refused)
    for state in (PriceState.SENT, PriceState.APPLIED, PriceState.REFUSED):
        metrics.count("prices", counts[state], outcome=state)
    return Written(
        n_sent=counts[PriceState.SENT],
        n_applied=counts[PriceState.APPLIED],
        n_refused=counts[PriceState.REFUSED],
        n_left=counts[None],
    )


def mark_sent(run_id: int, prices: Sequence[Price], feed_id: int) -> int:
    """Mark the prices that went with a feed as sent; return how many went. Inside the caller's transaction.

    One that was changed meanwhile keeps waiting, and keeps standing in the feed: it is sent once the feed is over.
    """
    now, n_sent = clock.now(), 0
    run_sheets.keep(run_id, (_item(Outcome(price, PriceState.SENT, "with a feed")) for price in prices))
    ids_by_moment: defaultdict[datetime, list[int]] = defaultdict(list)
    for price in prices:
        ids_by_moment[price.changed_at].append(price.listing_id)
    lock(Listing.price_feed_id == feed_id)
    for changed_at, ids in ids_by_moment.items():  # the prices of one file have few moments among them
        for start in range(0, len(ids), _IDS_AT_ONCE):
            n_sent += _update(
                Listing.id.in_(ids[start : start + _IDS_AT_ONCE])
                & (Listing.price_changed_at == changed_at)
                & (Listing.price_state == PriceState.WAITING)
                & (Listing.price_feed_id == feed_id),
                price_state=PriceState.SENT,
                price_sent_at=now,
                price_checked_at=None,
                price_message="",
            )
    metrics.count("prices", n_sent, outcome=PriceState.SENT)
    return n_sent


def refuse_in_feed(feed_id: int, words_by_id: dict[int, str]) -> list[tuple[str, str]]:
    """Mark prices that went with a feed as refused; return (SKU, words) of those. Inside the caller's transaction."""
    if not words_by_id:
        return []
    lock(Listing.price_feed_id == feed_id)
    in_feed = select(Listing.id, Listing.sku_code).where(
        Listing.price_feed_id == feed_id, Listing.price_state == PriceState.SENT
    )
    refused = {row_id: sku_code for row_id, sku_code in db.session.execute(in_feed) if row_id in words_by_id}
    if refused:
        db.session.connection().execute(
            update(_TABLE)
            .where(_TABLE.c.id == bindparam("b_id"))
            .values(price_state=PriceState.REFUSED, price_checked_at=clock.now(), price_message=bindparam("b_words")),
            [{"b_id": row_id, "b_words": words_by_id[row_id][:MAX_WORDS]} for row_id in refused],
        )
    metrics.count("prices", len(refused), outcome=PriceState.REFUSED)
    return [(sku_code, words_by_id[row_id]) for row_id, sku_code in refused.items()]


def refuse_all_in_feed(run_id: int, feed_id: int, words: str) -> int:
    """Mark every price that went with a feed as refused; return how many. Inside the caller's transaction."""
    lock(Listing.price_feed_id == feed_id)
    went = (Listing.price_feed_id == feed_id) & (Listing.price_state == PriceState.SENT)
    codes = db.session.scalars(select(Listing.sku_code).where(went).order_by(Listing.sku_code)).all()
    run_sheets.keep(run_id, (run_sheets.Item(ItemFate.REFUSED, code, words=words) for code in codes))
    n_refused = _update(
        went,
        price_state=PriceState.REFUSED,
        price_checked_at=clock.now(),
        price_message=words[:MAX_WORDS],
    )
    metrics.count("prices", n_refused, outcome=PriceState.REFUSED)
    return n_refused


def leave_feed(feed_id: int, listing_ids: Sequence[int] | None = None) -> None:
    """Let prices stand in the feed no more: all, or those of `listing_ids`. Inside the caller's transaction."""
    in_feed = Listing.price_feed_id == feed_id
    lock(in_feed)
    if listing_ids is None:
        _update(in_feed, price_feed_id=None)
        return
    for start in range(0, len(listing_ids), _IDS_AT_ONCE):
        _update(in_feed & Listing.id.in_(listing_ids[start : start + _IDS_AT_ONCE]), price_feed_id=None)


def add_refused_items(run_id: int, refused: Sequence[tuple[str, str]]) -> None:
    """Keep on the run which SKUs' prices were refused, with the words. Inside the caller's transaction."""
    if refused:
        rows = [
            {
                "run_id": run_id,
                "outcome": ItemOutcome.REFUSED,
                "sku_code": sku_code,
                "reason": words[:MAX_WORDS],
                "remedy": remedy_of(words),
            }
            for sku_code, words in refused
        ]
        db.session.execute(insert(SyncRunItem), rows)


def _item(outcome: Outcome) -> run_sheets.Item:
    price = outcome.price
    words = f"{price.amount:f}: {outcome.words}" if outcome.words else f"{price.amount:f}"
    return run_sheets.Item(_FATES.get(outcome.state, ItemFate.UNDER_WAY), price.sku_code, words=words)


def _write_one(outcome: Outcome, now: datetime) -> bool:
    price = outcome.price
    values: dict[str, Any] = {"price_checked_at": now}
    if outcome.is_sent_now:
        values["price_sent_at"] = now
    if outcome.state is not None:
        values |= {"price_state": outcome.state, "price_message": outcome.words[:MAX_WORDS]}
    if outcome.state is PriceState.APPLIED:
        values["price_applied_at"] = now
    is_the_same = (
        (Listing.id == price.listing_id)
        & (Listing.price_changed_at == price.changed_at)
        & (Listing.price == price.amount)
        & Listing.price_state.in_(_UNDER_WAY)
        & Listing.price_feed_id.is_(None)
    )
    return _update(is_the_same, **values) == 1


def _update(condition: ColumnElement[bool], **values: Any) -> int:
    statement = update(Listing).where(condition).values(**values).execution_options(synchronize_session=False)
    return db.session.execute(statement).rowcount  # type: ignore[attr-defined]


def _is_under_way(store_id: int) -> tuple[ColumnElement[bool], ...]:
    # In the words of the partial index. The third condition is always true, and lets SQLite see that the index fits.
    return Listing.store_id == store_id, text(PRICE_IS_UNDER_WAY), Listing.sku_code >= ""


def _waiting(store_id: int) -> Select[Any]:
    return _columns().where(
        *_is_under_way(store_id), Listing.price_state == PriceState.WAITING, Listing.price_feed_id.is_(None)
    )


def _columns() -> Select[Any]:
    return select(
        Listing.id, Listing.sku_code, Listing.price, Listing.mrp, Listing.price_changed_at, Listing.price_sent_at
    )


def _prices(query: Select[Any]) -> list[Price]:
    return [Price(*row) for row in db.session.execute(query)]

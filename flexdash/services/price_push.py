"""The price push of one store: what was priced here goes to Amazon, and is looked at until Amazon shows it.

In this order: the feed that is under way, prices that wait (a few one by one, many in one feed), prices that Amazon
took and has not shown yet. The run counts `n_updated` prices sent, `n_acknowledged` that Amazon shows, `n_failed`
refused or without an answer, `n_skipped` still on their way.
"""

import time

from sqlalchemy import select

from flexdash import clock
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings
from flexdash.models import ItemOutcome, Store, SyncRunItem, Upload, UploadKind, UploadState
from flexdash.services import price_calls, price_feeds, price_rows
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.price_calls import PricesAtAmazon
from flexdash.services.run_context import RunContext

ONE_BY_ONE = 300  # a minute at Amazon's five requests a second; more go in a feed
CHECKS_PER_RUN = 1_500  # half of a run's time at Amazon's pace
SHARE_OF_INTERVAL = 0.8  # the rest waits for the next run, so that the next one is on time


def push(run: RunContext) -> None:
    """Tell Amazon the prices that wait, and find out what became of those it took.

    A price that is changed meanwhile keeps waiting; an attempt that dies is made again and tells Amazon the same once
    more, which changes nothing. Raises StoreNotConnected, AmazonError, RunInterrupted.
    """
    store = store_at_amazon(run.store_id)
    currency = db.session.scalars(select(Store.currency).where(Store.id == run.store_id)).one()
    calls = CallLog(store, run.run_id)
    until = time.monotonic() + settings.price_push_interval_minutes * 60 * SHARE_OF_INTERVAL
    with open_amazon(store, calls) as client:
        at = PricesAtAmazon(run, store, currency, client, calls, clock.now(), until)
        feed = price_feeds.open_feed(run.store_id)
        if feed is not None and price_feeds.go_on(at, feed):
            feed = None
        run.stop_here()
        _send_waiting(at, feed)
        _check_sent(at)


def _send_waiting(at: PricesAtAmazon, feed: price_feeds.OpenFeed | None) -> None:
    n_waiting = price_rows.n_waiting(at.store.store_id, ONE_BY_ONE + 1)
    if n_waiting > ONE_BY_ONE and feed is None:
        if _is_file_being_applied(at.store.store_id):
            _leave_out(at, "A file of prices is being applied. Its prices go together, once it is through.")
            return
        price_feeds.begin(at)
        at.run.stop_here()
        return
    prices = price_rows.waiting(at.store.store_id, ONE_BY_ONE)
    release_connection()
    if n_waiting > ONE_BY_ONE:
        _leave_out(
            at,
            f"More than {ONE_BY_ONE} prices wait while Amazon works on a feed of this store, and one feed goes at a "
            "time. This run sends the first ones; the others follow.",
        )
    _count(at, len(prices))
    price_calls.ask_all(
        at, prices, price_calls.tell, lambda n: f"Sending prices one by one: {n:,} of {len(prices):,} are through."
    )


def _check_sent(at: PricesAtAmazon) -> None:
    if not at.may_go_on:
        return
    prices = price_rows.to_check(at.store.store_id, at.began_at, CHECKS_PER_RUN)
    release_connection()
    _count(at, len(prices))
    price_calls.ask_all(
        at,
        prices,
        price_calls.look,
        lambda n: f"Looking whether Amazon shows the prices it took: {n:,} of {len(prices):,} are through.",
    )


def _is_file_being_applied(store_id: int) -> bool:
    """Say whether more prices are about to wait, which one feed could take along."""
    applying = select(Upload.id).where(
        Upload.store_id == store_id, Upload.kind == UploadKind.PRICES, Upload.state == UploadState.APPLYING
    )
    found = db.session.scalar(applying.limit(1)) is not None
    release_connection()
    return found


def _leave_out(at: PricesAtAmazon, reason: str) -> None:
    with transaction() as session:
        session.add(SyncRunItem(run_id=at.run.run_id, outcome=ItemOutcome.SKIPPED, reason=reason))
        at.run.check_in()


def _count(at: PricesAtAmazon, n_prices: int) -> None:
    if n_prices:
        with transaction():
            at.run.check_in(n_fetched=n_prices)

"""Many prices at once: one feed per store at a time, from its rows to its report.

The row of a feed comes first, and the listings that stand in it; then the document, then the feed at Amazon, then
its id in the row. A worker that dies before the id is written leaves a row without one, and the next attempt sends the
same listings again, with the prices they have by then, by a feed again: Amazon works feeds one after the other, and
setting a price twice is setting it once. A price that is changed while its feed is under way keeps waiting until it is
over, so that the feed cannot overwrite the newer one.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from flexdash import clock
from flexdash.amazon import price_feed
from flexdash.amazon.errors import NotFound, RequestRefused, UnreadableAnswer, UntrustedAddress
from flexdash.amazon.feeds import Feed
from flexdash.amazon.listings import words_of
from flexdash.amazon.price_feed import PriceMessage, Report
from flexdash.database import release_connection, transaction
from flexdash.extensions import db
from flexdash.models import ItemFate, ItemOutcome, PriceFeed, PriceState, SyncRunItem
from flexdash.services import price_rows, run_sheets
from flexdash.services.price_calls import PricesAtAmazon, not_sent
from flexdash.services.price_remedies import remedy_of
from flexdash.services.price_rows import Outcome

GIVE_UP_AFTER = timedelta(hours=24)  # a feed that Amazon has not ended by then
READ_REPORT_WITHIN = timedelta(hours=1)  # then the prices are looked up one by one instead


@dataclass(frozen=True)
class OpenFeed:
    """A feed that is not over, as plain values. `amazon_feed_id` is "" until Amazon is known to have taken it."""

    id: int
    amazon_feed_id: str
    age: timedelta


def open_feed(store_id: int) -> OpenFeed | None:
    """Return the store's feed that is not over; None when there is none."""
    query = (
        select(PriceFeed.id, PriceFeed.amazon_feed_id, PriceFeed.created_at)
        .where(PriceFeed.store_id == store_id, PriceFeed.finished_at.is_(None))
        .order_by(PriceFeed.id)
        .limit(1)
    )
    row = db.session.execute(query).one_or_none()
    release_connection()
    return OpenFeed(row.id, row.amazon_feed_id, clock.now() - row.created_at) if row else None


def begin(at: PricesAtAmazon) -> None:
    """Put the waiting prices into a new feed, as many as one may hold, and send it."""
    with transaction() as session:
        feed = PriceFeed(workspace_id=at.store.workspace_id, store_id=at.store.store_id, run_id=at.run.run_id)
        session.add(feed)
        session.flush()
        feed_id = feed.id
        n_prices = price_rows.put_into_feed(at.store.store_id, feed_id, price_feed.MAX_MESSAGES)
        at.run.check_in(progress="Putting many prices into one feed.", n_fetched=n_prices)
    send(at, feed_id)


def send(at: PricesAtAmazon, feed_id: int) -> None:
    """Send the feed with the prices that stand in it now. Raises AmazonError; the next attempt sends it then."""
    prices = price_rows.waiting_in_feed(feed_id)
    release_connection()
    messages = (PriceMessage(price.listing_id, price.sku_code, price.amount) for price in prices)
    built = price_feed.build(at.store.amazon_selling_partner_id, at.store.marketplace_id, at.currency, messages)
    included = set(built.ids)
    kept_out = {number: not_sent(why) for number, why in built.refused}
    refused = [
        Outcome(price, PriceState.REFUSED, kept_out[price.listing_id])
        for price in prices
        if price.listing_id in kept_out
    ]
    with transaction():
        price_rows.leave_feed(feed_id, [price.listing_id for price in prices if price.listing_id not in included])
        written = price_rows.write(at.run.run_id, refused)
        if not included:
            _finish(feed_id, "", "Nothing was left to send with it.")
        # A worker that lost its run stops here, before Amazon is told.
        at.run.check_in(progress=f"Sending {len(included):,} prices to Amazon in one feed.", **written.counts())
    if not included:
        return
    document_id = at.client.feeds.upload(built.content)
    amazon_feed_id = at.client.feeds.create(document_id, at.store.marketplace_id)
    with transaction() as session:
        went = [price for price in prices if price.listing_id in included]
        n_sent = price_rows.mark_sent(at.run.run_id, went, feed_id)
        feed = session.get_one(PriceFeed, feed_id, populate_existing=True)
        feed.amazon_feed_id, feed.amazon_status, feed.n_messages = amazon_feed_id, "IN_QUEUE", len(included)
        feed.run_id = at.run.run_id
        at.calls.write()
        at.run.check_in(n_updated=n_sent, n_skipped=len(included) - n_sent)


def go_on(at: PricesAtAmazon, feed: OpenFeed) -> bool:
    """Bring an open feed further: send it again, ask how far it is, or read its report. Return whether it is over.

    Raises AmazonError when Amazon gives no answer; the next attempt asks again.
    """
    if not feed.amazon_feed_id:
        send(at, feed.id)
        return False
    try:
        found = at.client.feeds.get(feed.amazon_feed_id)
    except (NotFound, RequestRefused) as error:
        _close(at, feed, "", f"Amazon does not know feed {feed.amazon_feed_id} any more: {error.message}")
        return True
    if not found.is_over:
        return _wait_on(at, feed, found)
    report, why = _report_of(at, feed, found)
    if found.status == "DONE":
        _close(at, feed, found.status, why, report)
    else:
        _refuse_all(at, feed, found.status, _broken_off(found, report))
    return True


def _wait_on(at: PricesAtAmazon, feed: OpenFeed, found: Feed) -> bool:
    if feed.age >= GIVE_UP_AFTER:
        words = f"Amazon has not finished feed {found.id} within {_hours(GIVE_UP_AFTER)} hours ({found.status})."
        _close(at, feed, found.status, f"{words} Each of its prices is looked up instead.")
        return True
    with transaction() as session:
        session.get_one(PriceFeed, feed.id, populate_existing=True).amazon_status = found.status[:30]
        at.calls.write()
        at.run.check_in(progress=f"Amazon works on feed {found.id}: {found.status}.")
    return False


def _report_of(at: PricesAtAmazon, feed: OpenFeed, found: Feed) -> tuple[Report | None, str]:
    """Return the feed's report, or None and why there is none. Raises AmazonError where another try may help."""
    if not found.result_document_id:
        return None, "Amazon gave no report."
    try:
        return price_feed.read_report(at.client.feeds.read(found.result_document_id)), ""
    except (UnreadableAnswer, NotFound, RequestRefused, UntrustedAddress) as error:
        if isinstance(error, UnreadableAnswer) and feed.age < READ_REPORT_WITHIN:
            raise
        return None, f"Amazon's report could not be read: {error.message}"


def _close(at: PricesAtAmazon, feed: OpenFeed, status: str, words: str, report: Report | None = None) -> None:
    """End the feed. What its report refuses is refused; the rest stays sent until Amazon shows it."""
    issues = report.issues if report else {}
    refusals = {
        number: words_of(found) or "Amazon gave no reason."
        for number, found in issues.items()
        if any(issue.is_error for issue in found)
    }
    with transaction():
        refused = price_rows.refuse_in_feed(feed.id, refusals)
        price_rows.leave_feed(feed.id)
        price_rows.add_refused_items(at.run.run_id, refused)
        said = (run_sheets.Item(ItemFate.REFUSED, sku_code, words=why) for sku_code, why in refused)
        run_sheets.keep(at.run.run_id, said, at.store.store_id)
        general = words_of(report.general) if report else ""
        _finish(feed.id, status, words or general, report, n_refused=len(refused))
        at.calls.write()
        at.run.check_in(progress=f"Amazon finished feed {feed.amazon_feed_id}.", n_failed=len(refused))


def _refuse_all(at: PricesAtAmazon, feed: OpenFeed, status: str, words: str) -> None:
    with transaction() as session:
        n_refused = price_rows.refuse_all_in_feed(at.run.run_id, feed.id, words)
        price_rows.leave_feed(feed.id)
        _finish(feed.id, status, words, n_refused=n_refused)
        if n_refused:
            item = SyncRunItem(run_id=at.run.run_id, outcome=ItemOutcome.REFUSED, n_items=n_refused)
            item.reason, item.remedy = words[: price_rows.MAX_WORDS], remedy_of(words)
            session.add(item)
        at.calls.write()
        at.run.check_in(progress=f"Amazon ended feed {feed.amazon_feed_id}: {status}.", n_failed=n_refused)


def _finish(feed_id: int, status: str, words: str, report: Report | None = None, *, n_refused: int = 0) -> None:
    feed = db.session.get_one(PriceFeed, feed_id, populate_existing=True)
    feed.finished_at, feed.message = clock.now(), words[:500]
    feed.amazon_status = status[:30] or feed.amazon_status
    feed.n_refused = n_refused
    n_accepted = report.n_accepted if report else None
    feed.n_accepted = max(0, feed.n_messages - n_refused) if n_accepted is None else n_accepted


def _broken_off(found: Feed, report: Report | None) -> str:
    issues = [*report.general, *(issue for line in report.issues.values() for issue in line)][:3] if report else []
    said = f": {words_of(issues)}" if issues else "."
    if found.status == "CANCELLED":
        return f"The feed with this price was cancelled at Amazon before it began (CANCELLED){said}"
    return f"Amazon broke off the feed with this price ({found.status}){said} It may have taken the price all the same."


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)

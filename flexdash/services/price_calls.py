"""Asking Amazon about one price at a time: telling it, and looking whether it shows; several under way at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from flexdash.amazon import offers
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, InvalidArgument, NotFound, RequestRefused
from flexdash.amazon.listings import ListingsItem, Submission
from flexdash.database import transaction
from flexdash.logs import with_present_ids
from flexdash.models import ItemFate, PriceState
from flexdash.services import price_rows, run_sheets
from flexdash.services.amazon_access import CallLog, StoreAtAmazon
from flexdash.services.price_rows import Outcome, Price
from flexdash.services.run_context import RunContext

IN_FLIGHT = 8  # enough to use Amazon's five requests a second while each takes more than a second
BATCH = 25  # outcomes per transaction
PATIENCE = timedelta(hours=24)  # how long Amazon may show another price than the one it took

Answer = Outcome | AmazonError


@dataclass(frozen=True)
class PricesAtAmazon:
    """One attempt at a push: the run, the store and its prices' currency, and the way to Amazon.

    `began_at` is when the attempt began. `until` is the moment of `time.monotonic` from which nothing new is begun.
    """

    run: RunContext
    store: StoreAtAmazon
    currency: str
    client: AmazonClient
    calls: CallLog
    began_at: datetime
    until: float

    @property
    def may_go_on(self) -> bool:
        """Whether there is time left, and nobody asks the worker to stop."""
        return time.monotonic() < self.until and not self.run.should_stop()


def tell(at: PricesAtAmazon, price: Price) -> Outcome:
    """Read the listing, change nothing in it but its price, and send it. Needs no app context.

    Raises AmazonError when there is no answer that counts: the price keeps waiting. A price that Amazon seems to show
    already is sent all the same, for another one that it took before may be about to show.
    """
    try:
        item = at.client.listings.get(price.sku_code, at.store.marketplace_id)
        values, op = _changed(at, price, item)
        submission = at.client.listings.patch_offers(
            price.sku_code, at.store.marketplace_id, values, op=op, product_type=item.product_type
        )
    except NotFound as error:
        return Outcome(price, PriceState.REFUSED, _no_listing(error), is_sent_now=True)
    except InvalidArgument as error:
        return Outcome(price, PriceState.REFUSED, not_sent(error.message))
    except RequestRefused as error:
        return Outcome(price, PriceState.REFUSED, _with_code(error), is_sent_now=True)
    return _outcome_of(price, submission)


def look(at: PricesAtAmazon, price: Price) -> Outcome:
    """Say whether Amazon shows the price it took. Needs no app context. Raises AmazonError as `tell` does."""
    try:
        item = at.client.listings.get(price.sku_code, at.store.marketplace_id)
    except NotFound as error:
        return Outcome(price, PriceState.REFUSED, _no_listing(error))
    except RequestRefused as error:
        return Outcome(price, PriceState.REFUSED, _with_code(error))
    if item.shows(price.amount, at.store.marketplace_id, at.currency):
        return Outcome(price, PriceState.APPLIED)
    if price.sent_at is not None and at.began_at - price.sent_at >= PATIENCE:
        return Outcome(price, PriceState.REFUSED, _still_another(at, price, item))
    return Outcome(price, None)


def not_sent(words: str) -> str:
    """Return what is kept of a price that Amazon's rules keep from being sent at all, from the client's words."""
    return f"{words[:1].upper()}{words[1:]}."


def ask_all(
    at: PricesAtAmazon,
    prices: Sequence[Price],
    ask: Callable[[PricesAtAmazon, Price], Outcome],
    progress: Callable[[int], str],
) -> None:
    """Do `ask` for each price, a few always under way, and write the outcomes together as they come.

    `progress` says in words how many are through. A price without an answer stays where it is, for the next run, and
    counts as failed; when several get none, or none gets one, the AmazonError is raised once the others are written.
    Raises HandBack when the worker is asked to stop.
    """
    failures: list[AmazonError] = []
    silent: list[tuple[Price, AmazonError]] = []
    outcomes: list[Outcome] = []
    n_through = 0
    for answers in _answers(at, prices, ask, failures, silent):
        outcomes += answers
        if len(outcomes) >= BATCH:
            n_through += len(outcomes)
            _write(at, outcomes, progress(n_through))
            outcomes = []
    n_through += len(outcomes)
    _write(at, outcomes, progress(n_through))
    if failures and (n_through == 0 or _is_hopeless(failures)):
        raise failures[-1]
    if failures:
        with transaction():
            items = (
                run_sheets.Item(ItemFate.NO_ANSWER, price.sku_code, words=error.message, request_id=error.request_id)
                for price, error in silent
            )
            run_sheets.keep(at.run.run_id, items, at.store.store_id)
            at.calls.write()
            at.run.check_in(n_failed=len(failures))
    at.run.stop_here()


def _answers(
    at: PricesAtAmazon,
    prices: Sequence[Price],
    ask: Callable[[PricesAtAmazon, Price], Outcome],
    failures: list[AmazonError],
    silent: list[tuple[Price, AmazonError]],
) -> Iterator[list[Outcome]]:
    """Yield outcomes as they come; put what got none into `failures` and `silent`.

    No more is begun once that is hopeless.
    """

    def attempt(price: Price) -> Answer:
        try:
            return ask(at, price)
        except AmazonError as error:
            silent.append((price, error))
            return error

    left = iter(prices)
    under_way: set[Future[Answer]] = set()
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="prices") as pool:
        while True:
            while len(under_way) < IN_FLIGHT and at.may_go_on and not _is_hopeless(failures):
                price = next(left, None)
                if price is None:
                    break
                under_way.add(pool.submit(with_present_ids(attempt), price))
            if not under_way:
                return
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            answers = [call.result() for call in done]
            failures += [answer for answer in answers if isinstance(answer, AmazonError)]
            yield [answer for answer in answers if isinstance(answer, Outcome)]


def _write(at: PricesAtAmazon, outcomes: Sequence[Outcome], progress: str) -> None:
    if not outcomes:
        return
    with transaction():
        written = price_rows.write(at.run.run_id, outcomes)
        at.calls.write()
        at.run.check_in(progress=progress, **written.counts())


def _is_hopeless(failures: Sequence[AmazonError]) -> bool:
    """Say whether to stop asking: Amazon is away or does not let us in, and not only one listing is odd."""
    return len(failures) >= IN_FLIGHT or any(not failure.is_retryable for failure in failures)


def _changed(at: PricesAtAmazon, price: Price, item: ListingsItem) -> tuple[list[offers.Offer], str]:
    market = at.store.marketplace_id
    if item.offers is None:
        # What Amazon has was not in its answer: nothing may be replaced, only the price merged into it.
        return [offers.new_offer(market, at.currency, price.amount)], "merge"
    return offers.with_price(item.offers, market, at.currency, price.amount, price.mrp), "replace"


def _outcome_of(price: Price, submission: Submission) -> Outcome:
    if submission.is_refused:
        return Outcome(price, PriceState.REFUSED, submission.words or "Amazon gave no reason.", is_sent_now=True)
    return Outcome(price, PriceState.SENT, submission.words, is_sent_now=True)


def _no_listing(error: NotFound) -> str:
    return f"Amazon has no listing for this SKU ({error.code or 'not found'})."


def _with_code(error: AmazonError) -> str:
    return f"{error.message} ({error.code})" if error.code else error.message


def _still_another(at: PricesAtAmazon, price: Price, item: ListingsItem) -> str:
    shown = item.price(at.store.marketplace_id, at.currency)
    if shown == price.amount and item.live_price is not None:
        shown = item.live_price  # the listing has it, and buyers see another
    what = "no price" if shown is None else f"{shown:f} {at.currency}"
    hours = round(PATIENCE.total_seconds() / 3600)
    said = f" Amazon says: {words}" if (words := _words_of(item)) else ""
    return f"Amazon took this price and, {hours} hours later, still shows {what}.{said}"


def _words_of(item: ListingsItem) -> str:
    return " ".join(dict.fromkeys(issue.words for issue in item.issues if issue.is_error))

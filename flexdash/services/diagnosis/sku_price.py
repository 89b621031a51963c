"""Why is my SKU not updated? Its price."""

from datetime import datetime
from decimal import Decimal

from flexdash.amazon.listings import ListingsItem
from flexdash.extensions import db
from flexdash.models import Listing, PriceFeed, PriceState, Store, Sync
from flexdash.services import price_remedies, sync_status
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import asking, one_sku
from flexdash.services.diagnosis.checks import (
    Diagnosis,
    Finding,
    Fix,
    FixKind,
    Step,
    answered,
    diagnose,
    failed,
    passed,
    unknown,
)
from flexdash.services.diagnosis.common import Parts, last_run, sync_now
from flexdash.services.diagnosis.one_sku import Case
from flexdash.services.words import after_refusals, as_sentence

NOTHING_SENT = "Nothing was sent to Amazon"  # how the words begin on a price that broke Amazon's rules


def why_not_updated(actor: Actor, text: str, *, store_id: int | None = None, parts: Parts) -> Diagnosis:
    """Return why Amazon does not show the price of the SKU, or that it does. Call it outside a transaction.

    Raises FieldRefused for `q`, and NotVisible for the store.
    """
    case = one_sku.of(actor, text, store_id, parts)
    return diagnose(case.sku_code, STEPS, case)


def _has_price(case: Case) -> Finding:
    listing = case.found
    if listing.price is None or listing.price_state is PriceState.NONE:
        return failed(
            "No price was given for it here, so Amazon keeps the one it has. Set one, or upload a price file.",
            _price(case),
        )
    return passed(f"Its price here is {_money(case, listing)}.", moments=[("Set here", listing.price_changed_at)])


def _has_amazon_refused(case: Case) -> Finding:
    listing = case.found
    if listing.price_state is not PriceState.REFUSED:
        return passed("Amazon has not refused it.")
    said = as_sentence(listing.price_message or "Amazon gave no reason")
    refused = said if said.startswith(NOTHING_SENT) else f"Amazon refused it: {after_refusals(said)}"
    return failed(
        f"{refused} {price_remedies.remedy_of(said)}",
        _price(case),
        _send_again(case),
        moments=[("Sent", listing.price_sent_at)],
    )


def _parts(case: Case) -> Finding | None:
    return None if case.found.price_state is PriceState.APPLIED else one_sku.parts(case)


def _last_run(case: Case) -> Finding | None:
    if case.found.price_state is PriceState.APPLIED:
        return None
    status = sync_status.of_sync(case.store, Sync.PRICE_PUSH)
    found = last_run(case.store, status)
    return found if found is not None and (status.is_failing or status.is_overdue) else None


def _was_it_sent(case: Case) -> Finding:
    listing, status = case.found, sync_status.of_sync(case.store, Sync.PRICE_PUSH)
    again, moments = sync_now(case.store, Sync.PRICE_PUSH), [("Next push", status.next_due_at)]
    if listing.price_feed_id is not None:
        return answered(_in_feed(listing), _listing(case), moments=[("Sent", listing.price_sent_at), *moments])
    if listing.price_state in (PriceState.SENT, PriceState.APPLIED):
        return passed("Amazon took it.", moments=[("Sent", listing.price_sent_at)])
    return answered(
        "It waits for the next push, which starts within minutes of a change.", again, _listing(case), moments=moments
    )


def _in_feed(listing: Listing) -> str:
    """Say where a price stands that goes with many others; Amazon says nothing of any of them before the report."""
    if listing.price_state is PriceState.SENT:
        return (
            "It went to Amazon in a feed with many other prices, which Amazon works on; its outcome comes with the "
            "feed's report."
        )
    feed = db.session.get_one(PriceFeed, listing.price_feed_id)
    if not feed.amazon_feed_id:
        return "It goes to Amazon in a feed with many other prices, which is being sent."
    return (
        "It was changed after a feed with the price before it had gone to Amazon, and could be overwritten by that "
        "feed. So it goes with the next push once Amazon is through with it."
    )


def _what_amazon_shows(case: Case) -> Finding:
    """Ask Amazon whether it shows what it took."""
    store, listing = case.store, case.found
    store_id, marketplace_id, currency = store.id, store.marketplace_id, store.currency
    ours, price, moments = _money(case, listing), listing.price or Decimal(), _moments(listing)
    item, trouble = asking.of_listing(store, case.sku_code)
    db.session.get_one(Store, store_id, populate_existing=True)
    link, send = _listing(case), _send_again(case)
    if trouble:
        return unknown(f"Amazon took {ours}. Whether it shows it now is not known: {trouble}", link, moments=moments)
    if item is None:
        words = "Amazon has no listing for this SKU any more"
        return failed(f"{words}, though it took the price. {price_remedies.remedy_of(words)}", link, moments=moments)
    if item.shows(price, marketplace_id, currency):
        return answered(f"It is up to date: Amazon shows {ours}.", link, moments=moments)
    if item.offers is None:
        return unknown(
            f"Amazon took {ours}, and its answer just now had no price in it. Look at the listing in Seller Central.",
            link,
            moments=moments,
        )
    shown = _shown(item, price, marketplace_id, currency)
    said = f" Amazon says: {words.rstrip('.')}." if (words := _errors_of(item)) else ""
    if listing.price_state is PriceState.APPLIED:
        return failed(
            f"Amazon showed {ours}, and shows {shown} now: somebody changed it there, or a rule of Amazon's did.{said} "
            "Send it again, or take Amazon's price over here.",
            send,
            _price(case),
            moments=moments,
        )
    return answered(
        f"Amazon took {ours} and shows {shown} still; that takes minutes, at times hours. FlexDash looks again with "
        f"each push.{said}",
        link,
        moments=moments,
    )


def _shown(item: ListingsItem, price: Decimal, marketplace_id: str, currency: str) -> str:
    """Return in words what buyers see in place of `price`."""
    shown = item.price(marketplace_id, currency)
    if shown == price and item.live_price is not None:
        shown = item.live_price  # the listing has it, and buyers see another
    if shown is None:
        return "no price"
    is_short = int(shown.as_tuple().exponent) > -2  # Amazon says 123.0, and people write 123.00
    return f"{shown:,.2f} {currency}" if is_short else f"{shown:,f} {currency}"


def _errors_of(item: ListingsItem) -> str:
    return " ".join(dict.fromkeys(issue.words for issue in item.issues if issue.is_error))


def _moments(listing: Listing) -> list[tuple[str, datetime | None]]:
    return [
        ("Sent", listing.price_sent_at),
        ("Seen at Amazon", listing.price_applied_at),
        ("Last looked", listing.price_checked_at),
    ]


def _money(case: Case, listing: Listing) -> str:
    return f"{listing.price:,f} {case.store.currency}"


def _price(case: Case) -> Fix:
    return Fix(FixKind.PRICE, {"store_id": case.store.id, "listing_id": case.found.id}, case.sku_code)


def _send_again(case: Case) -> Fix:
    return Fix(FixKind.SEND_PRICE, {"store_id": case.store.id, "listing_id": case.found.id}, case.sku_code)


def _listing(case: Case) -> Fix:
    return Fix(FixKind.LISTING, {"store_id": case.store.id, "listing_id": case.found.id}, case.sku_code)


STEPS: tuple[Step[Case], ...] = (
    Step("Does FlexDash know the SKU?", one_sku.is_known),
    Step("Does the store list it with an ASIN?", one_sku.has_listing),
    Step("Was a price given here?", _has_price),
    Step("Has Amazon refused it?", _has_amazon_refused),
    Step("Does Amazon let FlexDash in?", one_sku.is_connected),
    Step("Are the scheduler and the workers at work?", _parts),
    Step("How did the last push go?", _last_run),
    Step("Was it sent?", _was_it_sent),
    Step("Does Amazon show it?", _what_amazon_shows),
)

"""Why is my SKU not updated? Its price."""

from flexdash.models import Listing, PriceState, Sync
from flexdash.services import price_remedies, sync_status
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import one_sku
from flexdash.services.diagnosis.checks import (
    Diagnosis,
    Finding,
    Fix,
    FixKind,
    Step,
    answered,
    diagnose,
    failed,
    note,
    passed,
)
from flexdash.services.diagnosis.common import Parts, last_run, sync_now
from flexdash.services.diagnosis.one_sku import Case


def why_not_updated(actor: Actor, text: str, *, store_id: int | None = None, parts: Parts) -> Diagnosis:
    """Return why Amazon does not show the price of the SKU, or that it does.

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


def _is_below_mrp(case: Case) -> Finding:
    listing = case.found
    if listing.mrp is None or listing.price is None or listing.price <= listing.mrp:
        return passed("It is not above the MRP.")
    words = f"Its price of {_money(case, listing)} is above its MRP of {listing.mrp:,f} {case.store.currency}"
    mends = (_price(case), _listing(case))
    if listing.price_state is PriceState.REFUSED:
        said = f" Amazon's words: {listing.price_message.rstrip('.')}." if listing.price_message else ""
        return failed(f"{words}, and Amazon refused it.{said} Lower the price, or correct the MRP.", *mends)
    return note(f"{words}, which Amazon may refuse. Lower the price, or correct the MRP.", *mends)


def _does_amazon_show_it(case: Case) -> Finding:
    listing = case.found
    if listing.price_state is not PriceState.APPLIED:
        return passed("Amazon has not shown it yet.")
    return answered(
        f"It is up to date: Amazon shows {_money(case, listing)}.",
        _listing(case),
        moments=[("Sent", listing.price_sent_at), ("Shown by Amazon", listing.price_applied_at)],
    )


def _has_amazon_refused(case: Case) -> Finding:
    listing = case.found
    if listing.price_state is not PriceState.REFUSED:
        return passed("Amazon has not refused it.")
    said = listing.price_message or "Amazon gave no reason"
    return failed(
        f"Amazon refused it: {said.rstrip('.')}. {price_remedies.remedy_of(said)}",
        _price(case),
        Fix(FixKind.SEND_PRICE, {"store_id": case.store.id, "listing_id": listing.id}, listing.sku_code),
        moments=[("Sent", listing.price_sent_at)],
    )


def _last_run(case: Case) -> Finding | None:
    status = sync_status.of_sync(case.store, Sync.PRICE_PUSH)
    found = last_run(case.store, status)
    return found if found is not None and status.is_failing else None


def _how_far(case: Case) -> Finding:
    listing, status = case.found, sync_status.of_sync(case.store, Sync.PRICE_PUSH)
    again, moments = sync_now(case.store, Sync.PRICE_PUSH), [("Next push", status.next_due_at)]
    if listing.price_state is PriceState.SENT:
        said = f" Amazon says: {listing.price_message.rstrip('.')}." if listing.price_message else ""
        return answered(
            "Amazon took it and does not show it yet; that takes minutes, at times hours. FlexDash looks again with "
            "each "
            f"push.{said}",
            _listing(case),
            moments=[("Sent", listing.price_sent_at), ("Last looked", listing.price_checked_at), *moments],
        )
    if listing.price_feed_id is not None:
        return answered(
            "It is in a feed with many other prices, which Amazon works off; its outcome comes with the feed's report.",
            _listing(case),
            moments=moments,
        )
    return answered(
        "It waits for the next push, which starts within minutes of a change.", again, _listing(case), moments=moments
    )


def _money(case: Case, listing: Listing) -> str:
    return f"{listing.price:,f} {case.store.currency}"


def _price(case: Case) -> Fix:
    return Fix(FixKind.PRICE, {"store_id": case.store.id, "listing_id": case.found.id}, case.sku_code)


def _listing(case: Case) -> Fix:
    return Fix(FixKind.LISTING, {"store_id": case.store.id, "listing_id": case.found.id}, case.sku_code)


STEPS: tuple[Step[Case], ...] = (
    Step("Does FlexDash know the SKU?", one_sku.is_known),
    Step("Does the store list it with an ASIN?", one_sku.has_listing),
    Step("Was a price given here?", _has_price),
    Step("Does Amazon show it?", _does_amazon_show_it),
    Step("Is it below the MRP?", _is_below_mrp),
    Step("Has Amazon refused it?", _has_amazon_refused),
    Step("Does Amazon let FlexDash in?", one_sku.is_connected),
    Step("Are the scheduler and the workers at work?", one_sku.parts),
    Step("How did the last push go?", _last_run),
    Step("How far is it?", _how_far),
)

"""Why is my SKU not updated? Its price: each state is made as people and Amazon make it, and the sentence is read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.amazon import listings
from flexdash.extensions import db
from flexdash.models import ApiCall, PriceState, RunState, Sync
from flexdash.services import price_push
from flexdash.services.diagnosis import sku_price
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from tests.support.diagnoses import AT_WORK, fixes, outcome, sentence
from tests.support.recoveries import lift_pace
from tests.support.skus import Shop, make_shop

MUG, TEE = "MUG-STD", "TEE-BLK-M"  # which the sandbox sells for 299.00, with a discount, and for 499.00
UNLISTED, NO_PATH = "NOT-LISTED-1", ".."  # such as the sandbox has no listing for, and as no call can name
ASKED = "getListingsItem"
IN_A_FEED = (
    "It went to Amazon in a feed with many other prices, which Amazon works on; its outcome comes with the feed's "
    "report."
)


@pytest.fixture
def shop(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A store with nothing in its catalog yet."""
    lift_pace(monkeypatch)
    for name in ("GET_LISTING", "PATCH_LISTING"):
        real = getattr(listings, name)
        monkeypatch.setattr(listings, name, replace(real, plan=replace(real.plan, rate=1000, burst=1000)))
    sandbox.control.plans({"*": None})
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=60)
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_max_attempts=1))
    return make_shop(sandbox)


def why(shop: Shop, text: str = MUG) -> Diagnosis:
    """Ask about the SKU's price."""
    return sku_price.why_not_updated(shop.asker, text, parts=AT_WORK)


def pushed(shop: Shop, amount: str, sku_code: str = MUG) -> str:
    """Price a SKU and let a push tell Amazon."""
    shop.price(amount, sku_code)
    shop.push(Sync.PRICE_PUSH)
    return sku_code


State = Callable[[Shop], str]  # puts the shop into a state and returns the SKU to ask about


def no_price(shop: Shop) -> str:
    shop.list_it(MUG)
    return MUG


def waiting(shop: Shop) -> str:
    shop.price("280.50", MUG)
    return MUG


def not_shown_yet(shop: Shop) -> str:
    shop.sandbox.control.options(listing_delay_seconds=3600)
    return pushed(shop, "280.50")


def with_an_issue(shop: Shop) -> str:
    shop.sandbox.control.fault("listing_issue")
    return not_shown_yet(shop)


def shown_at_once(shop: Shop) -> str:
    return pushed(shop, "280.50")


def applied(shop: Shop, sku_code: str = MUG) -> str:
    pushed(shop, "280.50", sku_code)
    shop.push(Sync.PRICE_PUSH)
    assert shop.listing(sku_code).price_state is PriceState.APPLIED
    return sku_code


def changed_there(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.set_price(MUG, "123.00")
    return MUG


def shown_to_nobody(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.set_price(MUG, None)
    return MUG


def buyers_see_another(shop: Shop) -> str:
    applied(shop, TEE)
    shop.sandbox.control.fault("offer_behind")
    return TEE


def without_a_price(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.fault("bare_listing")
    return MUG


def not_listed_any_more(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.remove_listing(MUG)
    return MUG


def away(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.fault("error_503", operation=ASKED)
    return MUG


def away_before_it_showed(shop: Shop) -> str:
    pushed(shop, "280.50")
    shop.sandbox.control.fault("error_503", operation=ASKED)
    return MUG


def refused(shop: Shop) -> str:
    return pushed(shop, "10.00", UNLISTED)


def cannot_be_named(shop: Shop) -> str:
    return pushed(shop, "10.00", NO_PATH)


def above_amazons_mrp(shop: Shop) -> str:
    return pushed(shop, "420.00")  # which the sandbox has; where the catalog has one, no price above it is taken


def failed_push(shop: Shop) -> str:
    shop.sandbox.control.fault("access_denied", operation=ASKED)
    shop.price("280.50", MUG)
    assert shop.push(Sync.PRICE_PUSH).state is RunState.FAILED
    return MUG


def refused_by_the_store(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.revoke_tokens()
    return MUG


def refused_in_the_push(shop: Shop) -> str:
    shop.sandbox.control.revoke_tokens()
    return pushed(shop, "280.50")


def asked_in_vain(shop: Shop) -> str:
    applied(shop)
    shop.sandbox.control.fault("error_400", operation=ASKED)
    return MUG


def disconnected(shop: Shop) -> str:
    waiting(shop)
    shop.disconnect()
    return MUG


PRICES: list[tuple[State, str, Outcome, list[FixKind]]] = [
    (no_price, "No price was given for it here, so Amazon keeps the one it has.", Outcome.FAILED, [FixKind.PRICE]),
    (waiting, "It waits for the next push", Outcome.ANSWERED, [FixKind.SYNC_NOW, FixKind.LISTING]),
    (
        not_shown_yet,
        "Amazon took 280.50 INR and shows 299.00 INR still; that takes minutes, at times hours.",
        Outcome.ANSWERED,
        [FixKind.LISTING],
    ),
    (shown_at_once, "It is up to date: Amazon shows 280.50 INR.", Outcome.ANSWERED, [FixKind.LISTING]),
    (applied, "It is up to date: Amazon shows 280.50 INR.", Outcome.ANSWERED, [FixKind.LISTING]),
    (
        changed_there,
        "Amazon showed 280.50 INR, and shows 123.00 INR now: somebody changed it there",
        Outcome.FAILED,
        [FixKind.SEND_PRICE, FixKind.PRICE],
    ),
    (
        shown_to_nobody,
        "Amazon showed 280.50 INR, and shows no price now: somebody changed it there",
        Outcome.FAILED,
        [FixKind.SEND_PRICE, FixKind.PRICE],
    ),
    (
        buyers_see_another,
        "Amazon showed 280.50 INR, and shows 499.00 INR now: somebody changed it there",
        Outcome.FAILED,
        [FixKind.SEND_PRICE, FixKind.PRICE],
    ),
    (
        with_an_issue,
        "Amazon took 280.50 INR and shows 299.00 INR still; that takes minutes, at times hours. FlexDash looks again "
        "with each push. Amazon says: A fault set in the sandbox: this listing has an issue. (SANDBOX_ISSUE).",
        Outcome.ANSWERED,
        [FixKind.LISTING],
    ),
    (
        without_a_price,
        "Amazon took 280.50 INR, and its answer just now had no price in it. Look at the listing in Seller Central.",
        Outcome.UNKNOWN,
        [FixKind.LISTING],
    ),
    (
        not_listed_any_more,
        "Amazon has no listing for this SKU any more, though it took the price. Check that Seller Central has a",
        Outcome.FAILED,
        [FixKind.LISTING],
    ),
    (
        away,
        "Amazon took 280.50 INR. Whether it shows it now is not known: Amazon does not answer at the moment.",
        Outcome.UNKNOWN,
        [FixKind.LISTING],
    ),
    (
        away_before_it_showed,
        "Amazon took 280.50 INR. Whether it shows it now is not known: Amazon does not answer at the moment.",
        Outcome.UNKNOWN,
        [FixKind.LISTING],
    ),
    (
        refused_by_the_store,
        "Whether it shows it now is not known: Amazon no longer accepts this store's authorization",
        Outcome.UNKNOWN,
        [FixKind.LISTING],
    ),
    (
        asked_in_vain,
        "is not known: Amazon answered with an error: InvalidInput: A fault set in the sandbox (Amazon's request id: ",
        Outcome.UNKNOWN,
        [FixKind.LISTING],
    ),
    (
        cannot_be_named,
        "Nothing was sent to Amazon: sku_code must be an id. Correct the price, or the SKU in the catalog; a corrected "
        "price is sent by itself.",
        Outcome.FAILED,
        [FixKind.PRICE, FixKind.SEND_PRICE],
    ),
    (
        refused,
        "Amazon refused it: Amazon has no listing for this SKU (NOT_FOUND). Check that Seller Central has a listing",
        Outcome.FAILED,
        [FixKind.PRICE, FixKind.SEND_PRICE],
    ),
    (
        above_amazons_mrp,
        "Amazon refused it: The price 420 is above the maximum retail price 419.0. Lower the price, or correct the "
        "MRP. (PRICE_ABOVE_MRP). Lower the price, or correct the MRP in Seller Central and in the catalog;",
        Outcome.FAILED,
        [FixKind.PRICE, FixKind.SEND_PRICE],
    ),
    (failed_push, "The last run of Prices failed: ", Outcome.FAILED, [FixKind.RUN, FixKind.SYNC_NOW]),
    (disconnected, "Pune Store is disconnected", Outcome.FAILED, [FixKind.RECONNECT]),
    (
        refused_in_the_push,
        "Pune Store needs re-authorization: Amazon refuses FlexDash's access. Amazon's reason: ",
        Outcome.FAILED,
        [FixKind.REAUTHORIZE],
    ),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), PRICES)
def test_the_cause_of_a_price_that_is_not_updated_is_named(shop: Shop, state, words, ends, offered) -> None:
    found = why(shop, state(shop))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_a_price_that_no_push_took_up_in_time_waits_for_the_scheduler(shop: Shop) -> None:
    shop.price("499.00", TEE)
    assert sentence(why(shop, TEE)) == "It waits for the next push, which starts within minutes of a change."
    with time_machine.travel(clock.now() + timedelta(minutes=3), tick=False):
        found = why(shop, TEE)
        assert sentence(found) == (
            "No run has begun, though its turn has come. The scheduler or the worker may be away."
        )
        assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.SYNC_NOW])


def n_asked() -> int:
    """How often Amazon was asked for a listing."""
    db.session.rollback()
    return len(db.session.scalars(select(ApiCall.id).where(ApiCall.operation == ASKED)).all())


def test_amazon_is_asked_for_a_price_once_and_only_where_it_can_know_it(shop: Shop) -> None:
    applied(shop)
    n_before = n_asked()
    why(shop)
    assert n_asked() == n_before + 1
    shop.price("270.00", MUG)
    assert "It waits for the next push" in sentence(why(shop))
    assert n_asked() == n_before + 1


# Many prices go in a feed ---------------------------------------------------------------------------------------------


@pytest.fixture
def two_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed takes two prices, where it takes hundreds, so that a test need not give hundreds first."""
    monkeypatch.setattr(price_push, "ONE_BY_ONE", 1)


@pytest.mark.usefixtures("two_are_many")
def test_a_price_in_a_feed_is_not_said_to_be_taken_before_the_feeds_report(shop: Shop) -> None:
    shop.price("2000.00", "LAMP-OAK")
    pushed(shop, "280.50")
    found = why(shop)
    assert (sentence(found), outcome(found)) == (IN_A_FEED, Outcome.ANSWERED)
    assert fixes(found) == [FixKind.LISTING]
    assert [label for label, _ in found.cause.finding.moments] == ["Sent"]
    assert sentence(why(shop, "LAMP-OAK")) == IN_A_FEED
    assert n_asked() == 0

    pushed(shop, "270.00")
    found = why(shop)
    assert sentence(found) == (
        "It was changed after a feed with the price before it had gone to Amazon, and could be overwritten by that "
        "feed. So it goes with the next push once Amazon is through with it."
    )
    assert (outcome(found), fixes(found)) == (Outcome.ANSWERED, [FixKind.LISTING])

    shop.sandbox.control.clock(advance_seconds=121)
    shop.push(Sync.PRICE_PUSH)
    assert sentence(why(shop)) == "It is up to date: Amazon shows 270.00 INR."
    assert sentence(why(shop, "LAMP-OAK")) == "It is up to date: Amazon shows 2,000.00 INR."


@pytest.mark.usefixtures("two_are_many")
def test_a_price_whose_feed_amazon_does_not_have_yet_is_not_said_to_be_there(shop: Shop) -> None:
    shop.price("2000.00", "LAMP-OAK")
    shop.price("280.50", MUG)
    with shop.kept_waiting(Sync.PRICE_PUSH, "createFeedDocument"):
        found = why(shop)
        assert sentence(found) == "It goes to Amazon in a feed with many other prices, which is being sent."
        assert outcome(found) is Outcome.ANSWERED
    assert sentence(why(shop)) == IN_A_FEED

"""Why is my SKU not updated? Its price: the sandbox is put into each state, and the sentence that a person reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.amazon import listings
from flexdash.amazon.listings import Listings, ListingsItem
from flexdash.extensions import db
from flexdash.models import ApiCall, PriceState, Role, RunState, Store
from flexdash.services import price_push, prices
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import sku_price
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.diagnosis.common import Parts
from tests import factories
from tests.services.test_price_push import begin_and_die, die_after, do_run, give, listing
from tests.support.diagnoses import AT_WORK, by_name, fixes, outcome, sentence
from tests.support.pulls import SELLER
from tests.support.recoveries import lift_pace

MUG = "MUG-STD"  # which the sandbox sells for 299.00
UNLISTED, NO_PATH = "NOT-LISTED-1", ".."  # such as the sandbox has no listing for, and as no call can name
IN_A_FEED = (
    "It went to Amazon in a feed with many other prices, which Amazon works on; its outcome comes with the feed's "
    "report."
)


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)
    for name in ("GET_LISTING", "PATCH_LISTING"):
        real = getattr(listings, name)
        monkeypatch.setattr(listings, name, replace(real, plan=replace(real.plan, rate=1000, burst=1000)))


@dataclass
class Scene:
    """A store, a merchant who prices what it sells, and support, who asks."""

    sandbox: Running
    store: Store
    asha: Actor
    asker: Actor

    def price(self, amount: str, sku_code: str = MUG, **values) -> None:
        """Price a SKU here."""
        give(self.store, sku_code, amount, **values)

    def pushed(self, amount: str, sku_code: str = MUG, **values) -> None:
        """Price a SKU here and let a push tell Amazon."""
        self.price(amount, sku_code, **values)
        do_run(self.store)

    def applied(self) -> None:
        """Let Amazon have taken a price, and shown it."""
        self.pushed("280.50")
        do_run(self.store)
        assert listing(self.store, MUG).price_state is PriceState.APPLIED

    def change(self, **values) -> None:
        """Change the store."""
        for name, value in values.items():
            setattr(self.store, name, value)
        db.session.commit()

    def why(self, text: str = MUG, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask about the SKU's price."""
        return sku_price.why_not_updated(self.asker, text, parts=parts)


@pytest.fixture
def scene(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Scene:
    sandbox.control.plans({"*": None})
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=60)
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_max_attempts=1))
    seller = factories.make_seller(factories.make_workspace())
    token = sandbox.control.issue_tokens(SELLER)["refresh_token"]
    store = factories.make_store(seller, refresh_token=token, amazon_selling_partner_id=SELLER, name="Pune Store")
    asha, asker = (
        factories.make_actor(factories.make_user(seller.workspace, role)) for role in (Role.MERCHANT, Role.SUPPORT)
    )
    return Scene(sandbox, store, asha, asker)


State = Callable[[Scene], str]  # puts the scene into a state and returns the SKU to ask about


def no_price(scene: Scene) -> str:
    factories.make_listing(scene.store, MUG)
    return MUG


def waiting(scene: Scene) -> str:
    scene.price("280.50")
    return MUG


def not_shown_yet(scene: Scene) -> str:
    scene.sandbox.control.options(listing_delay_seconds=3600)
    scene.pushed("280.50")
    return MUG


def shown_at_once(scene: Scene) -> str:
    scene.pushed("280.50")
    return MUG


def applied(scene: Scene) -> str:
    scene.applied()
    return MUG


def changed_there(scene: Scene) -> str:
    scene.applied()
    scene.sandbox.control.set_price(MUG, "123.00")
    return MUG


def not_listed_any_more(scene: Scene) -> str:
    scene.applied()
    listing(scene.store, MUG).sku_code = UNLISTED  # the sandbox takes no listing away
    db.session.commit()
    return UNLISTED


def away(scene: Scene) -> str:
    scene.applied()
    scene.sandbox.control.fault("error_503", operation="getListingsItem")
    return MUG


def away_before_it_showed(scene: Scene) -> str:
    scene.pushed("280.50")
    scene.sandbox.control.fault("error_503", operation="getListingsItem")
    return MUG


def refused(scene: Scene) -> str:
    scene.pushed("10.00", UNLISTED)
    return UNLISTED


def cannot_be_named(scene: Scene) -> str:
    scene.pushed("10.00", NO_PATH)
    return NO_PATH


def above_the_mrp(scene: Scene) -> str:
    scene.pushed("99999.00", mrp=Decimal("450.00"))
    return MUG


def failed_push(scene: Scene) -> str:
    scene.sandbox.control.fault("access_denied", operation="getListingsItem")
    scene.price("280.50")
    assert do_run(scene.store).state is RunState.FAILED
    return MUG


def refused_by_the_store(scene: Scene) -> str:
    scene.applied()
    scene.sandbox.control.revoke_tokens()
    return MUG


def not_of_this_country(scene: Scene) -> str:
    scene.applied()
    scene.change(marketplace_id="A2VIGQ35RCS4UG")
    return MUG


def disconnected(scene: Scene) -> str:
    scene.change(status="disconnected", refresh_token_encrypted=None)
    return waiting(scene)


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
        not_of_this_country,
        "is not known: Amazon answered with an error: InvalidInput: A2VIGQ35RCS4UG is no marketplace of this seller "
        "(Amazon's request id: ",
        Outcome.UNKNOWN,
        [FixKind.LISTING],
    ),
    (
        refused,
        "Amazon refused it: Amazon has no listing for this SKU (NOT_FOUND). Check that Seller Central has a listing",
        Outcome.FAILED,
        [FixKind.PRICE, FixKind.SEND_PRICE],
    ),
    (
        above_the_mrp,
        "Its price of 99,999.00 INR is above its MRP of 450.00 INR, and Amazon refused it. Amazon's words: The",
        Outcome.FAILED,
        [FixKind.PRICE, FixKind.LISTING],
    ),
    (failed_push, "The last run of Prices failed: ", Outcome.FAILED, [FixKind.RUN, FixKind.SYNC_NOW]),
    (disconnected, "Pune Store is disconnected", Outcome.FAILED, [FixKind.RECONNECT]),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), PRICES)
def test_the_cause_of_a_price_that_is_not_updated_is_named(scene: Scene, state, words, ends, offered) -> None:
    found = scene.why(state(scene))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def asked(operation: str) -> int:
    """How often Amazon was asked by this operation."""
    db.session.rollback()
    return len(db.session.scalars(select(ApiCall.id).where(ApiCall.operation == operation)).all())


def test_amazon_is_asked_for_a_price_once_and_only_where_it_can_know_it(scene: Scene) -> None:
    scene.applied()
    n_before = asked("getListingsItem")
    scene.why()
    assert asked("getListingsItem") == n_before + 1
    waits = listing(scene.store, MUG)
    prices.change(scene.asha, waits.id, "270.00", version=waits.version)
    assert "It waits for the next push" in sentence(scene.why())
    assert asked("getListingsItem") == n_before + 1


def test_a_price_in_a_feed_is_not_said_to_be_taken_before_the_feeds_report(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(price_push, "ONE_BY_ONE", 1)
    scene.price("2000.00", "LAMP-OAK")
    scene.pushed("280.50")
    found = scene.why()
    assert (sentence(found), outcome(found)) == (IN_A_FEED, Outcome.ANSWERED)
    assert fixes(found) == [FixKind.LISTING]
    assert [label for label, _ in found.cause.finding.moments] == ["Sent"]
    assert sentence(scene.why("LAMP-OAK")) == IN_A_FEED
    assert asked("getListingsItem") == 0

    newer = listing(scene.store, MUG)
    prices.change(scene.asha, newer.id, "270.00", version=newer.version)
    do_run(scene.store)
    found = scene.why()
    assert sentence(found) == (
        "It was changed after a feed with the price before it had gone to Amazon, and could be overwritten by that "
        "feed. So it goes with the next push once Amazon is through with it."
    )
    assert (outcome(found), fixes(found)) == (Outcome.ANSWERED, [FixKind.LISTING])

    scene.sandbox.control.clock(advance_seconds=121)
    do_run(scene.store)
    assert sentence(scene.why()) == "It is up to date: Amazon shows 270.00 INR."
    assert sentence(scene.why("LAMP-OAK")) == "It is up to date: Amazon shows 2,000.00 INR."


def test_a_price_whose_feed_amazon_does_not_have_yet_is_not_said_to_be_there(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(price_push, "ONE_BY_ONE", 1)
    scene.price("2000.00", "LAMP-OAK")
    scene.price("280.50")
    die_after(monkeypatch, "flexdash.amazon.feeds.Feeds.upload", before=True)
    begin_and_die(scene.store)
    found = scene.why()
    assert sentence(found) == "It goes to Amazon in a feed with many other prices, which is being sent."
    assert outcome(found) is Outcome.ANSWERED


def test_a_price_that_breaks_amazons_rules_is_not_said_to_be_refused_by_amazon(scene: Scene) -> None:
    found = scene.why(cannot_be_named(scene))
    assert sentence(found) == (
        "Nothing was sent to Amazon: sku_code must be an id. Correct the price, or the SKU in the catalog; a corrected "
        "price is sent by itself."
    )
    assert fixes(found) == [FixKind.PRICE, FixKind.SEND_PRICE]


def test_an_answer_of_amazons_without_a_price_says_so(scene: Scene, monkeypatch) -> None:
    scene.applied()
    bare = ListingsItem(MUG, "B0", "MUG", None, None, ())
    monkeypatch.setattr(Listings, "get", lambda *_: bare)  # the sandbox leaves nothing out
    found = scene.why()
    assert sentence(found) == (
        "Amazon took 280.50 INR, and its answer just now had no price in it. Look at the listing in Seller Central."
    )
    assert (outcome(found), fixes(found)) == (Outcome.UNKNOWN, [FixKind.LISTING])


def test_a_price_above_the_mrp_is_noted_before_amazon_refuses_it(scene: Scene) -> None:
    scene.price("499.00", mrp=Decimal("450.00"))
    found = scene.why()
    assert by_name(found)["Is it below the MRP?"] is Outcome.NOTE
    assert outcome(found) is Outcome.ANSWERED

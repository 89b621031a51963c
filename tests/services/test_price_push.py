"""Prices to Amazon: few one by one, many in a feed, and each until Amazon shows it. Against the sandbox over HTTP."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import delete, func, select, update

from flexdash import clock
from flexdash.amazon import feeds, listings
from flexdash.amazon.feeds import Feeds
from flexdash.amazon.pacing import Pacer
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import (
    ApiCall,
    ItemOutcome,
    Listing,
    PriceFeed,
    PriceState,
    RunState,
    Store,
    Sync,
    SyncRun,
    SyncRunItem,
    Upload,
    UploadKind,
    UploadState,
)
from flexdash.services import price_calls, price_feeds, price_push, prices, sync_attempts
from tests import factories
from tests.support.pulls import make_due, row

SELLER = "A3SBXSUNRISEIN"
FAST = {"*": {"rate": 1000, "burst": 1000}}


@pytest.fixture
def amazon(sandbox):
    """The sandbox without delays of its own."""
    sandbox.control.plans(FAST)
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=0)
    return sandbox.control


@pytest.fixture
def store(app, amazon, sandbox) -> Store:
    seller = factories.make_seller(factories.make_workspace())
    token = sandbox.control.issue_tokens(SELLER)["refresh_token"]
    return factories.make_store(seller, refresh_token=token, amazon_selling_partner_id=SELLER, name="Pune Store")


@pytest.fixture(autouse=True)
def few_and_quick(monkeypatch):
    """More than ten go in a feed, so that most tests need only a dozen; and the buckets, empty at first, fill at once.

    Tests of the real numbers and of the real pace undo it.
    """
    monkeypatch.setattr(price_push, "ONE_BY_ONE", 10)
    for module, name in (
        (listings, "GET_LISTING"),
        (listings, "PATCH_LISTING"),
        (feeds, "CREATE_FEED_DOCUMENT"),
        (feeds, "CREATE_FEED"),
        (feeds, "GET_FEED"),
        (feeds, "GET_FEED_DOCUMENT"),
    ):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, replace(real, plan=replace(real.plan, rate=1000, burst=1000)))


def give(store, sku_code, price, **values) -> Listing:
    """A listing whose price waits."""
    now = clock.now()
    facts = {"price": Decimal(price), "price_state": PriceState.WAITING, "price_changed_at": now, **values}
    return factories.make_listing(store, sku_code, **facts)


def give_many(store, n_prices, price="10.00") -> None:
    now = clock.now()
    rows = [
        {
            "workspace_id": store.workspace_id,
            "store_id": store.id,
            "sku_code": f"SKU-{n:05d}",
            "asin": f"B0{n:08d}",
            "name": "Item",
            "price": Decimal(price),
            "price_state": PriceState.WAITING,
            "price_changed_at": now,
        }
        for n in range(n_prices)
    ]
    store_id = store.id
    db.session.execute(Listing.__table__.insert(), rows_with_defaults(rows))
    db.session.commit()
    assert db.session.get(Store, store_id) is not None


def rows_with_defaults(rows):
    now = clock.now()
    return [
        {"barcode": "", "created_at": now, "changed_at": now, "version": 1, "price_message": "", **row_}
        for row_ in rows
    ]


def do_run(store):
    db.session.rollback()
    run = factories.make_run(db.session.get(Store, store.id), RunState.QUEUED, sync=Sync.PRICE_PUSH, trigger="manual")
    return do_attempt(run.id)


def do_attempt(run_id):
    runner.execute(run_id, price_push.push)
    return row(run_id)


def listing(store, sku_code) -> Listing:
    db.session.rollback()
    query = select(Listing).where(Listing.store_id == store.id, Listing.sku_code == sku_code)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def states(store) -> Counter:
    db.session.rollback()
    query = select(Listing.price_state, func.count()).where(Listing.store_id == store.id)
    return Counter(dict(db.session.execute(query.group_by(Listing.price_state)).all()))


def items(run):
    query = select(SyncRunItem).where(SyncRunItem.run_id == run.id).order_by(SyncRunItem.id)
    return list(db.session.scalars(query))


def feed_of(store) -> PriceFeed:
    db.session.rollback()
    return db.session.scalars(select(PriceFeed).where(PriceFeed.store_id == store.id)).one()


def calls(run):
    query = select(ApiCall.operation, func.count()).where(ApiCall.run_id == run.id, ApiCall.operation != "refreshToken")
    return dict(db.session.execute(query.group_by(ApiCall.operation)).all())


def offers_of(amazon, sku_code):
    return {offer["audience"]: offer for offer in amazon.listing(sku_code)["attributes"]["purchasable_offer"]}


# A few, one by one ----------------------------------------------------------------------------------------------------


def test_a_price_is_sent_and_shown_by_the_next_run(store, amazon):
    give(store, "MUG-STD", "280.50")
    run = do_run(store)
    assert (run.state, run.n_fetched, run.n_updated, run.n_failed) == (RunState.SUCCEEDED, 1, 1, 0)
    assert calls(run) == {"getListingsItem": 1, "patchListingsItem": 1}
    sent = listing(store, "MUG-STD")
    assert (sent.price_state, sent.price_applied_at) == (PriceState.SENT, None)
    assert sent.price_sent_at is not None
    assert amazon.listing("MUG-STD")["price"] == "280.50"
    run = do_run(store)
    assert (run.n_acknowledged, run.n_updated) == (1, 0)
    applied = listing(store, "MUG-STD")
    assert applied.price_state is PriceState.APPLIED
    assert applied.price_applied_at is not None
    assert calls(run) == {"getListingsItem": 1}


def test_accepted_stays_sent_until_amazon_shows_it(store, amazon):
    amazon.options(listing_delay_seconds=3600)
    give(store, "MUG-STD", "280.50")
    do_run(store)
    run = do_run(store)
    assert (run.n_skipped, run.n_acknowledged) == (1, 0)
    assert listing(store, "MUG-STD").price_state is PriceState.SENT
    amazon.clock(advance_seconds=3601)
    do_run(store)
    assert listing(store, "MUG-STD").price_state is PriceState.APPLIED


def test_the_mrp_the_discount_and_the_business_offer_survive(store, amazon):
    rich = next(
        code
        for code in (f"RICH-{n}" for n in range(500))
        if "B2B" in (found := offers_of(amazon, code)) and "discounted_price" in found["ALL"]
    )
    before = offers_of(amazon, rich)
    give(store, rich, "12.34")
    do_run(store)
    after = offers_of(amazon, rich)
    assert after["ALL"].pop("our_price") == [{"schedule": [{"value_with_tax": 12.34}]}]
    before["ALL"].pop("our_price")
    assert after == before
    assert "maximum_retail_price" in after["ALL"]
    do_run(store)
    assert listing(store, rich).price_state is PriceState.APPLIED, "though buyers see the discount"


def test_what_amazon_refuses_keeps_its_words_and_stands_on_the_run(store, amazon):
    give(store, "MUG-STD", "99999.00")
    give(store, "NOT-LISTED-1", "10.00")
    give(store, "LAMP-OAK", "2000.00")
    run = do_run(store)
    assert (run.state, run.n_failed, run.n_updated) == (RunState.PARTIAL, 2, 1)
    above = listing(store, "MUG-STD")
    assert above.price_state is PriceState.REFUSED
    assert "above the maximum retail price" in above.price_message
    assert "(PRICE_ABOVE_MRP)" in above.price_message
    assert "no listing" in listing(store, "NOT-LISTED-1").price_message
    refused = {item.sku_code: item for item in items(run)}
    assert set(refused) == {"MUG-STD", "NOT-LISTED-1"}
    assert refused["MUG-STD"].reason == above.price_message
    assert "MRP" in refused["MUG-STD"].remedy
    assert "Seller Central has a listing" in refused["NOT-LISTED-1"].remedy
    assert {item.outcome for item in refused.values()} == {ItemOutcome.REFUSED}
    assert listing(store, "LAMP-OAK").price_state is PriceState.SENT


def test_any_sku_finds_its_listing(store, amazon):
    odd = ["A/B C", "50% OFF", "Ü&K=1", "1E5", "0012", "a+b", "x" * 100]
    for code in odd:
        give(store, code, "10.00")
    do_run(store)
    do_run(store)
    assert states(store) == {PriceState.APPLIED: len(odd)}
    assert {amazon.listing(code)["price"] for code in odd} == {"10.00"}


def test_a_sku_that_no_address_can_hold_is_refused_and_the_others_go(store, amazon):
    give(store, "..", "10.00")
    give(store, "MUG-STD", "280.00")
    run = do_run(store)
    assert run.n_updated == 1
    refused = listing(store, "..")
    assert refused.price_state is PriceState.REFUSED
    assert refused.price_message.startswith("Nothing was sent to Amazon")
    assert refused.price_sent_at is None


def test_a_price_that_amazon_never_applies_is_refused_after_a_day(store, amazon):
    amazon.fault("price_ignored", count=1)
    give(store, "MUG-STD", "280.50")
    do_run(store)
    do_run(store)
    assert listing(store, "MUG-STD").price_state is PriceState.SENT
    db.session.execute(update(Listing).values(price_sent_at=clock.now() - timedelta(hours=24, minutes=1)))
    db.session.commit()
    run = do_run(store)
    refused = listing(store, "MUG-STD")
    assert refused.price_state is PriceState.REFUSED
    assert "24 hours later, still shows 299.0 INR" in refused.price_message
    assert "send the price again" in items(run)[0].remedy


def test_a_price_changed_while_it_was_sent_keeps_waiting(store, amazon, monkeypatch):
    given = give(store, "MUG-STD", "280.50").id
    tell, engine = price_calls.tell, db.engine

    def change_meanwhile(at, price):
        outcome = tell(at, price)
        change(given, "260.00")
        return outcome

    def change(listing_id, price):
        # Another person's session, as another process would have it.
        with engine.begin() as connection:
            connection.execute(
                update(Listing.__table__)
                .where(Listing.__table__.c.id == listing_id)
                .values(price=Decimal(price), price_changed_at=clock.now(), price_state=PriceState.WAITING)
            )

    monkeypatch.setattr(price_calls, "tell", change_meanwhile)
    run = do_run(store)
    assert (run.n_updated, run.n_skipped) == (0, 1)
    waiting = listing(store, "MUG-STD")
    assert (waiting.price_state, waiting.price) == (PriceState.WAITING, Decimal("260.00"))
    monkeypatch.setattr(price_calls, "tell", tell)
    do_run(store)
    do_run(store)
    assert listing(store, "MUG-STD").price_state is PriceState.APPLIED
    assert amazon.listing("MUG-STD")["price"] == "260.00"


def test_the_price_from_before_is_sent_again_although_amazon_still_shows_it(store, amazon):
    amazon.options(listing_delay_seconds=3600)
    give(store, "MUG-STD", "250.00")
    do_run(store)
    db.session.execute(
        update(Listing).values(price=Decimal("299.00"), price_state=PriceState.WAITING, price_changed_at=clock.now())
    )
    db.session.commit()
    run = do_run(store)
    assert run.n_updated == 1, "the 250.00 that Amazon took would show an hour later"
    amazon.clock(advance_seconds=3601)
    assert amazon.listing("MUG-STD")["price"] == "299.00"


def test_a_listing_whose_offer_did_not_come_is_never_replaced(store, amazon, monkeypatch):
    real = price_calls.AmazonClient.__init__

    def without_attributes(self, *args, **kwargs):
        real(self, *args, **kwargs)
        get = self.listings.get

        def bare(sku_code, marketplace_id):
            found = get(sku_code, marketplace_id)
            return type(found)(found.sku_code, found.asin, found.product_type, None, None, ())

        self.listings.get = bare

    before = offers_of(amazon, "MUG-STD")
    monkeypatch.setattr(price_calls.AmazonClient, "__init__", without_attributes)
    give(store, "MUG-STD", "280.50")
    do_run(store)
    after = offers_of(amazon, "MUG-STD")
    assert after["ALL"]["our_price"] == [{"schedule": [{"value_with_tax": 280.5}]}]
    assert after["ALL"]["maximum_retail_price"] == before["ALL"]["maximum_retail_price"]


def test_several_are_under_way_at_once(store, amazon, monkeypatch):
    monkeypatch.setattr(price_push, "ONE_BY_ONE", 300)
    amazon.options(latency_ms=150)
    for n in range(24):
        give(store, f"SKU-{n}", "10.00")
    do_run(store)
    at_once = amazon.stats()["max_concurrent_per_operation"]
    assert 2 <= at_once["getListingsItem"] <= price_calls.IN_FLIGHT
    assert states(store) == {PriceState.SENT: 24}


def test_amazons_pace_is_kept_without_a_429(store, amazon, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(Pacer, "follow", lambda *_: None)  # Amazon does not name its rate on every answer
    # Amazon's rates. Its buckets hold more than ours, so that a machine that holds a thread up for a second changes
    # nothing; and far less than a pace twice as fast would take.
    amazon.plans({"patchListingsItem": {"rate": 5, "burst": 10}, "getListingsItem": {"rate": 5, "burst": 15}})
    for n in range(40):
        give(store, f"SKU-{n}", "10.00")
    do_run(store)
    assert amazon.stats()["n_429"] == 0
    assert states(store) == {PriceState.SENT: 40}


# Faults ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["error_500", "cut", "drop_after_effect", "html_instead_of_json"])
def test_a_patch_whose_answer_is_lost_is_sent_again_by_the_next_run(store, amazon, kind):
    give(store, "MUG-STD", "280.50")
    give(store, "LAMP-OAK", "2000.00")
    amazon.fault(kind, operation="patchListingsItem", count=1)
    run = do_run(store)
    assert (run.state, run.n_updated, run.n_failed) == (RunState.PARTIAL, 1, 1)
    assert states(store) == {PriceState.SENT: 1, PriceState.WAITING: 1}
    do_run(store)
    do_run(store)
    assert states(store) == {PriceState.APPLIED: 2}
    assert amazon.listing("MUG-STD")["price"] == "280.50"


def test_when_amazon_is_away_the_run_is_tried_again_and_nothing_is_lost(store, amazon, monkeypatch):
    monkeypatch.setattr(price_push, "ONE_BY_ONE", 300)
    amazon.fault("error_503", operation="getListingsItem")
    for n in range(20):
        give(store, f"SKU-{n}", "10.00")
    run = do_run(store)
    assert run.state is RunState.QUEUED
    assert "Amazon" in run.error_sentence
    assert states(store) == {PriceState.WAITING: 20}
    assert amazon.stats()["calls"]["getListingsItem"] <= 5 * 2 * price_calls.IN_FLIGHT, "it stops asking"
    amazon.clear_faults()
    make_due(run.id)
    run = do_attempt(run.id)
    assert run.n_updated == 20


def test_a_refused_authorization_ends_the_run_and_the_store_says_so(store, amazon):
    give(store, "MUG-STD", "280.50")
    amazon.revoke_tokens(SELLER)
    run = do_run(store)
    assert (run.state, run.error_code) == (RunState.FAILED, "authorization_refused")
    assert states(store) == {PriceState.WAITING: 1}


def test_a_listing_that_vanishes_before_it_shows_is_refused(store, amazon):
    give(store, "MUG-STD", "280.50")
    do_run(store)
    db.session.execute(update(Listing).values(sku_code="NOT-LISTED-9"))
    db.session.commit()
    do_run(store)
    assert listing(store, "NOT-LISTED-9").price_state is PriceState.REFUSED


def test_a_listing_removed_while_its_price_is_sent_stops_nothing(store, amazon, monkeypatch):
    gone = give(store, "MUG-STD", "280.50").id
    give(store, "LAMP-OAK", "2000.00")
    tell, engine = price_calls.tell, db.engine

    def remove_meanwhile(at, price):
        outcome = tell(at, price)
        with engine.begin() as connection:
            connection.execute(delete(Listing.__table__).where(Listing.__table__.c.id == gone))
        return outcome

    monkeypatch.setattr(price_calls, "tell", remove_meanwhile)
    run = do_run(store)
    assert (run.state, run.n_updated) == (RunState.SUCCEEDED, 1)


# Many, in a feed ------------------------------------------------------------------------------------------------------


def test_three_hundred_go_one_by_one_and_one_more_goes_in_a_feed(store, amazon, monkeypatch):
    monkeypatch.undo()
    assert price_push.ONE_BY_ONE == 300
    give_many(store, 300)
    run = do_run(store)
    assert calls(run)["patchListingsItem"] == 300
    assert amazon.feeds() == []
    db.session.execute(delete(Listing))
    db.session.commit()
    give_many(store, 301)
    run = do_run(store)
    assert "patchListingsItem" not in calls(run)
    assert len(amazon.feeds()) == 1


def test_many_prices_go_in_one_feed_and_its_report_is_read_back(store, amazon, monkeypatch):
    monkeypatch.undo()
    amazon.options(listing_delay_seconds=0, feed_seconds=60)
    give_many(store, 400)
    give(store, "NOT-LISTED-1", "5.00")
    give(store, "MUG-STD", "99999.00")
    before = amazon.listing("SKU-00007")
    run = do_run(store)
    assert calls(run) == {"createFeedDocument": 1, "uploadFeedDocument": 1, "createFeed": 1}
    assert (run.n_fetched, run.n_updated) == (402, 402)
    assert states(store) == {PriceState.SENT: 402}
    feed = feed_of(store)
    assert (feed.amazon_status, feed.n_messages, feed.finished_at) == ("IN_QUEUE", 402, None)
    assert [found["feedId"] for found in amazon.feeds()] == [feed.amazon_feed_id]

    amazon.clock(advance_seconds=61)
    run = do_run(store)
    assert calls(run) == {"getFeed": 1}
    assert feed_of(store).amazon_status == "IN_PROGRESS"
    assert states(store) == {PriceState.SENT: 402}

    amazon.clock(advance_seconds=60)
    run = do_run(store)
    feed = feed_of(store)
    assert (feed.amazon_status, feed.n_accepted, feed.n_refused) == ("DONE", 400, 2)
    assert feed.finished_at is not None
    assert states(store) == {PriceState.APPLIED: 400, PriceState.REFUSED: 2}
    assert run.n_failed == 2
    assert {item.sku_code for item in items(run)} == {"NOT-LISTED-1", "MUG-STD"}
    assert "(PRICE_ABOVE_MRP)" in listing(store, "MUG-STD").price_message
    assert "(13013)" in listing(store, "NOT-LISTED-1").price_message
    after = amazon.listing("SKU-00007")
    assert after["price"] == "10.00"
    assert after["mrp"] == before["mrp"] is not None, "a feed keeps the MRP"
    assert amazon.stats()["refused"] == {}, "no token went to the documents"


def test_a_price_changed_while_its_feed_is_under_way_is_sent_after_it(store, amazon):
    amazon.options(listing_delay_seconds=0, feed_seconds=60)
    give_many(store, 12)
    do_run(store)
    changed = listing(store, "SKU-00003")
    actor = factories.make_actor(factories.make_user(store.seller.workspace))
    prices.change(actor, changed.id, "8.88", version=changed.version)
    run = do_run(store)
    assert "patchListingsItem" not in calls(run), "the feed could overwrite it"
    assert listing(store, "SKU-00003").price_state is PriceState.WAITING
    amazon.clock(advance_seconds=121)
    do_run(store)
    changed = listing(store, "SKU-00003")
    assert (changed.price_state, changed.price) == (PriceState.SENT, Decimal("8.88"))
    do_run(store)
    assert listing(store, "SKU-00003").price_state is PriceState.APPLIED
    assert amazon.listing("SKU-00003")["price"] == "8.88"
    assert states(store) == {PriceState.APPLIED: 12}


def test_a_refusal_in_the_report_never_marks_a_newer_price(store, amazon):
    amazon.options(listing_delay_seconds=0, feed_seconds=60)
    give_many(store, 12)
    do_run(store)
    amazon.fault("price_refused", operation="createFeed", count=1)  # the first message: SKU-00000
    changed = listing(store, "SKU-00000")
    actor = factories.make_actor(factories.make_user(store.seller.workspace))
    prices.change(actor, changed.id, "8.88", version=changed.version)
    amazon.clock(advance_seconds=121)
    run = do_run(store)
    assert (run.n_failed, items(run)) == (0, [])
    assert listing(store, "SKU-00000").price_state is PriceState.SENT


def test_others_go_one_by_one_while_a_feed_is_under_way(store, amazon):
    amazon.options(listing_delay_seconds=0, feed_seconds=3600)
    give_many(store, 12)
    do_run(store)
    give(store, "MUG-STD", "280.50")
    run = do_run(store)
    assert calls(run) == {"getFeed": 1, "getListingsItem": 1, "patchListingsItem": 1}
    assert listing(store, "MUG-STD").price_state is PriceState.SENT
    assert len(amazon.feeds()) == 1


def test_one_feed_goes_at_a_time(store, amazon):
    amazon.options(listing_delay_seconds=0, feed_seconds=3600)
    give_many(store, 12)
    do_run(store)
    for n in range(15):
        give(store, f"LATER-{n:03d}", "10.00")
    run = do_run(store)
    assert len(amazon.feeds()) == 1
    assert calls(run)["patchListingsItem"] == 10
    [item] = items(run)
    assert item.outcome is ItemOutcome.SKIPPED
    assert "one feed goes at a time" in item.reason


def test_prices_of_a_file_that_is_being_applied_go_together_once_it_is_through(store, amazon):
    upload = factories.make_upload(store, UploadState.APPLYING, kind=UploadKind.PRICES)
    give_many(store, 12)
    run = do_run(store)
    assert (amazon.feeds(), run.n_api_calls) == ([], 0)
    assert "is being applied" in items(run)[0].reason
    db.session.get(Upload, upload.id).state = UploadState.APPLIED
    db.session.commit()
    assert do_run(store).n_updated == 12


@pytest.mark.parametrize("kind", ["drop_after_effect", "cut_body", "error_500", "throttle", "html_instead_of_json"])
def test_a_feed_whose_creation_gets_no_answer_is_sent_again(store, amazon, kind):
    give_many(store, 12)
    amazon.fault(kind, operation="createFeed", count=1)
    run = do_run(store)
    if run.state is RunState.QUEUED:  # a 429 is waited out within the attempt
        assert states(store) == {PriceState.WAITING: 12}
        make_due(run.id)
        run = do_attempt(run.id)
    assert run.state is RunState.SUCCEEDED
    do_run(store)
    assert states(store) == {PriceState.APPLIED: 12}
    assert len(amazon.feeds()) == (2 if kind in ("drop_after_effect", "cut_body") else 1)


def test_a_feed_holds_at_most_25_000_and_the_rest_follows(store, amazon, monkeypatch):
    monkeypatch.setattr(price_feeds.price_feed, "MAX_MESSAGES", 30)
    give_many(store, 60)
    do_run(store)
    assert states(store) == {PriceState.SENT: 30, PriceState.WAITING: 30}
    do_run(store)
    assert len(amazon.feeds()) == 2
    do_run(store)
    do_run(store)
    assert states(store) == {PriceState.APPLIED: 60}


def test_what_finds_no_room_in_a_feed_waits_outside_of_it(store, amazon, monkeypatch):
    build = price_feeds.price_feed.build
    monkeypatch.setattr(price_feeds.price_feed, "build", lambda *args: build(*args, max_bytes=3_000))
    give_many(store, 40)
    do_run(store)
    n_sent = states(store)[PriceState.SENT]
    assert 5 < n_sent < 20
    in_feed = db.session.scalar(select(func.count()).where(Listing.price_feed_id.is_not(None)))
    assert in_feed == n_sent


def test_a_message_amazon_would_never_take_is_refused_and_the_others_go(store, amazon):
    give_many(store, 12)
    give(store, "zero width\u200b", "10.00")
    run = do_run(store)
    assert run.n_failed == 1
    assert states(store) == {PriceState.SENT: 12, PriceState.REFUSED: 1}
    assert items(run)[0].sku_code == "zero width\u200b"


def test_a_feed_that_amazon_breaks_off_refuses_its_prices_with_amazons_word(store, amazon):
    amazon.fault("feed_fatal", count=1)
    give_many(store, 12)
    do_run(store)
    run = do_run(store)
    assert states(store) == {PriceState.REFUSED: 12}
    assert "(FATAL)" in listing(store, "SKU-00001").price_message
    [item] = items(run)
    assert (item.n_items, item.outcome) == (12, ItemOutcome.REFUSED)
    assert run.n_failed == 12
    actor = factories.make_actor(factories.make_user(store.seller.workspace))
    assert prices.send_all_again(actor, store.id) == 12
    for _ in range(2):
        do_run(store)
    assert states(store) == {PriceState.APPLIED: 12}


def test_a_feed_that_is_no_feed_to_amazon_says_why(store, amazon, monkeypatch):
    build = price_feeds.price_feed.build
    monkeypatch.setattr(price_feeds.price_feed, "build", lambda partner, *rest: build("SOMEBODY-ELSE", *rest))
    give_many(store, 12)
    do_run(store)
    do_run(store)
    assert "The header must name" in listing(store, "SKU-00001").price_message


def test_a_cancelled_feed_refuses_its_prices(store, amazon):
    amazon.fault("feed_cancelled", count=1)
    give_many(store, 12)
    do_run(store)
    do_run(store)
    assert "(CANCELLED)" in listing(store, "SKU-00001").price_message
    assert feed_of(store).finished_at is not None


def test_a_stuck_feed_is_given_up_after_a_day_and_its_prices_are_looked_up(store, amazon):
    amazon.fault("feed_stuck", count=1)
    give_many(store, 12)
    do_run(store)
    do_run(store)
    assert feed_of(store).finished_at is None
    day_ago = clock.now() - timedelta(hours=25)
    db.session.execute(update(PriceFeed).values(created_at=day_ago))
    db.session.execute(update(Listing).values(price_sent_at=day_ago))
    db.session.commit()
    amazon.set_price("SKU-00001", "10.00")
    run = do_run(store)
    feed = feed_of(store)
    assert feed.finished_at is not None
    assert "24 hours" in feed.message
    assert states(store) == {PriceState.APPLIED: 1, PriceState.REFUSED: 11}
    assert run.n_failed == 11


@pytest.mark.parametrize("fault", ["document_url_expired", "error_503", "html_instead_of_json", "cut"])
def test_passing_faults_on_a_feeds_way_are_not_felt(store, amazon, fault):
    operations = {
        "document_url_expired": ("createFeedDocument", "getFeedDocument"),
    }.get(fault, ("uploadFeedDocument", "downloadFeedDocument"))
    for operation in operations:
        amazon.fault(fault, operation=operation, count=1)
    give_many(store, 12)
    do_run(store)
    do_run(store)
    assert states(store) == {PriceState.APPLIED: 12}
    assert amazon.faults() == []


def test_a_report_that_cannot_be_read_is_tried_again_and_then_done_without(store, amazon, monkeypatch):
    give_many(store, 12)
    do_run(store)
    monkeypatch.setattr(Feeds, "read", lambda self, document_id: b"<html>")
    run = do_run(store)
    assert (run.state, run.error_code) == (RunState.QUEUED, "unreadable_answer")
    assert feed_of(store).finished_at is None
    db.session.execute(update(PriceFeed).values(created_at=clock.now() - timedelta(hours=2)))
    db.session.commit()
    make_due(run.id)
    do_attempt(run.id)
    assert "could not be read" in feed_of(store).message
    assert states(store) == {PriceState.APPLIED: 12}


# A worker that dies ---------------------------------------------------------------------------------------------------


class Died(BaseException):
    """The worker is gone: nothing after this is done or written."""


def die_after(monkeypatch, path, *, before=False):
    """Let the process die once, after (or before) the call at `path`."""
    owner, name = path.rsplit(".", 1)
    module, cls = owner.rsplit(".", 1)
    target = getattr(__import__(module, fromlist=[cls]), cls)
    real = getattr(target, name)

    def dying(self, *args, **kwargs):
        if not before:
            real(self, *args, **kwargs)
        monkeypatch.setattr(target, name, real)
        raise Died

    monkeypatch.setattr(target, name, dying)


@pytest.mark.parametrize(
    ("call", "before"),
    [
        ("flexdash.amazon.feeds.Feeds.upload", True),
        ("flexdash.amazon.feeds.Feeds.upload", False),
        ("flexdash.amazon.feeds.Feeds.create", False),
    ],
)
def test_a_worker_that_dies_around_a_feed_sends_it_again_without_harm(store, amazon, monkeypatch, call, before):
    give_many(store, 12)
    die_after(monkeypatch, call, before=before)
    run_id = begin_and_die(store)
    assert states(store) == {PriceState.WAITING: 12}
    # Meanwhile a person changes one of them: the older feed must not have the last word.
    changed = listing(store, "SKU-00003")
    actor = factories.make_actor(factories.make_user(store.seller.workspace))
    prices.change(actor, changed.id, "8.88", version=changed.version)
    take_up(run_id)
    do_attempt(run_id)
    do_run(store)
    do_run(store)
    assert states(store) == {PriceState.APPLIED: 12}
    assert amazon.listing("SKU-00003")["price"] == "8.88"
    assert amazon.listing("SKU-00004")["price"] == "10.00"
    assert len(amazon.feeds()) == (2 if call.endswith("create") else 1)
    assert feed_of(store).amazon_feed_id == amazon.feeds()[-1]["feedId"]


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_that_dies_around_a_patch_sends_it_again(store, amazon, monkeypatch, before):
    give(store, "MUG-STD", "280.50")
    die_after(monkeypatch, "flexdash.amazon.listings.Listings.patch_offers", before=before)
    run_id = begin_and_die(store)
    assert states(store) == {PriceState.WAITING: 1}
    take_up(run_id)
    do_attempt(run_id)
    do_run(store)
    assert states(store) == {PriceState.APPLIED: 1}


@pytest.mark.parametrize("before", [True, False])
def test_a_worker_that_dies_around_a_report_reads_it_again(store, amazon, monkeypatch, before):
    give_many(store, 12)
    give(store, "NOT-LISTED-1", "5.00")
    do_run(store)
    die_after(monkeypatch, "flexdash.amazon.feeds.Feeds.read", before=before)
    run_id = begin_and_die(store)
    take_up(run_id)
    run = do_attempt(run_id)
    assert states(store) == {PriceState.APPLIED: 12, PriceState.REFUSED: 1}
    assert run.n_failed == 1


def begin_and_die(store):
    db.session.rollback()
    run = factories.make_run(db.session.get(Store, store.id), RunState.QUEUED, sync=Sync.PRICE_PUSH, trigger="manual")
    with pytest.raises(Died):
        do_attempt(run.id)
    db.session.rollback()
    return run.id


def take_up(run_id):
    db.session.rollback()
    later = timedelta(minutes=30)
    sync_attempts.take_up_lost(clock.now() + later, later, 20)
    make_due(run_id)


def test_a_run_that_was_taken_away_writes_nothing_more(store, amazon, monkeypatch):
    give(store, "MUG-STD", "280.50")
    tell, engine = price_calls.tell, db.engine

    def lose_the_run(at, price):
        outcome = tell(at, price)
        with engine.begin() as connection:
            connection.execute(update(SyncRun.__table__).values(attempt_token="somebody-else"))
        return outcome

    monkeypatch.setattr(price_calls, "tell", lose_the_run)
    do_run(store)
    assert states(store) == {PriceState.WAITING: 1}

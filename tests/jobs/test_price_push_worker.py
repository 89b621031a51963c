"""Prices on their whole way: scheduler's tick, queue, real worker processes, and a sandbox that is a process too."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

import pytest
import redis
from sqlalchemy import func, select

from amazon_sandbox.serving import running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch, queues
from flexdash.models import Listing, PriceFeed, PriceState, RunState, Store, Sync, SyncRun, SyncState
from flexdash.services import prices
from tests import factories
from tests.support import fault_worker
from tests.support.pulls import row, take_up, wait_for_end, workers
from tests.support.servers import wait_for

SELLER = "A3SBXSUNRISEIN"
LOST_AFTER = timedelta(seconds=3)
ONE_BY_ONE = 30  # in place of 300: more prices go in a feed


@pytest.fixture(scope="module")
def sandbox_process(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox"), in_process=False) as started:
        yield started


@pytest.fixture
def amazon(sandbox_process):
    """The sandbox's controls, in its first state but for its pace and its delays."""
    control = sandbox_process.control
    control.reset()
    control.plans({"*": {"rate": 1000, "burst": 1000}})
    control.options(listing_delay_seconds=0, feed_seconds=0)
    return control


@pytest.fixture
def fleet(environment, sandbox_process):
    """Real workers that know the sandbox's process."""
    addresses = {
        "AMAZON_LWA_URL": sandbox_process.lwa_url,
        "AMAZON_API_URL": sandbox_process.api_url,
        "AMAZON_SELLER_CENTRAL_URL": sandbox_process.seller_central_url,
        "RUN_MAX_ATTEMPTS": "20",
        **fault_worker.scaled_down({"flexdash.services.price_push.ONE_BY_ONE": ONE_BY_ONE}),
    }
    with workers({**environment, **addresses}) as made:
        made.start()
        yield made


@pytest.fixture
def store(app, amazon) -> Store:
    seller = factories.make_seller(factories.make_workspace())
    token = amazon.issue_tokens(SELLER)["refresh_token"]
    return factories.make_store(seller, refresh_token=token, amazon_selling_partner_id=SELLER)


def give_many(store, n_prices) -> None:
    now = clock.now()
    db.session.execute(
        Listing.__table__.insert(),
        [
            {
                "workspace_id": store.workspace_id,
                "store_id": store.id,
                "sku_code": f"SKU/{n:05d}",
                "asin": f"B0{n:08d}",
                "name": "Item",
                "barcode": "",
                "created_at": now,
                "changed_at": now,
                "version": 1,
                "price": Decimal(10 + n % 7),
                "price_state": PriceState.WAITING,
                "price_changed_at": now,
                "price_message": "",
            }
            for n in range(n_prices)
        ],
    )
    db.session.commit()


def push(store) -> SyncRun:
    """One run by a real worker."""
    run_id = new_run(store)
    queues.enqueue_run(run_id)
    return wait_for_end(run_id)


def new_run(store) -> int:
    db.session.rollback()
    there = db.session.get(Store, store.id)
    return factories.make_run(there, RunState.QUEUED, sync=Sync.PRICE_PUSH, trigger="manual").id


def states(store) -> Counter:
    db.session.rollback()
    query = select(Listing.price_state, func.count()).where(Listing.store_id == store.id)
    return Counter(dict(db.session.execute(query.group_by(Listing.price_state)).all()))


def assert_amazon_has_every_price(store, amazon, n_prices) -> None:
    at_amazon = {found["sku_code"]: found for found in amazon.listings(SELLER)}
    for sku_code, price in db.session.execute(select(Listing.sku_code, Listing.price)):
        assert Decimal(at_amazon[sku_code]["price"]) == price
        assert at_amazon[sku_code]["mrp"] is not None, "the MRP survived"
    assert len(at_amazon) >= n_prices


def test_a_tick_starts_a_push_where_prices_wait_and_nowhere_else(app, sandbox, time_machine):
    quiet = factories.make_store(factories.make_seller(factories.make_workspace()))
    factories.make_listing(quiet, "PLAIN")
    busy = factories.make_store(factories.make_seller(factories.make_workspace()))
    give_many(busy, 1)
    dispatch.dispatch()
    run = db.session.scalars(select(SyncRun).where(SyncRun.sync == Sync.PRICE_PUSH)).one()
    assert (run.store_id, run.state) == (busy.id, RunState.QUEUED)
    due = dict(
        db.session.execute(
            select(SyncState.store_id, SyncState.next_due_at).where(SyncState.sync == Sync.PRICE_PUSH)
        ).all()
    )
    assert quiet.id not in due
    assert timedelta(0) < due[busy.id] - clock.now() <= timedelta(minutes=10), "while prices are on their way"
    run.state, run.finished_at = RunState.SUCCEEDED, clock.now()
    listing = db.session.scalars(select(Listing).where(Listing.store_id == busy.id)).one()
    listing.price_state = PriceState.APPLIED
    db.session.commit()
    dispatch.dispatch()
    state = db.session.scalars(select(SyncState).where(SyncState.store_id == busy.id)).one()
    assert state.next_due_at is None, "nothing is left to push"
    actor = factories.make_actor(factories.make_user(busy.seller.workspace))
    prices.change(actor, listing.id, "12.50", version=listing.version)
    time_machine.move_to(clock.now() + timedelta(minutes=1), tick=False)  # when the next tick comes
    dispatch.dispatch()
    n_runs = db.session.scalar(select(func.count(SyncRun.id)).where(SyncRun.store_id == busy.id))
    assert n_runs == 2, "a changed price goes with the next tick"


def test_many_go_through_a_feed_and_a_few_one_by_one(store, amazon, fleet):
    give_many(store, 45)
    assert push(store).n_updated == 45
    assert [found["processingStatus"] for found in amazon.feeds()] == ["DONE"]
    run = push(store)
    assert (run.state, run.n_acknowledged, run.n_failed) == (RunState.SUCCEEDED, 45, 0)
    assert states(store) == {PriceState.APPLIED: 45}
    assert_amazon_has_every_price(store, amazon, 45)
    actor = factories.make_actor(factories.make_user(store.seller.workspace))
    for listing in db.session.scalars(select(Listing).order_by(Listing.id).limit(5)):
        prices.change(actor, listing.id, "9.99", version=listing.version)
    assert push(store).n_updated == 5
    assert len(amazon.feeds()) == 1
    push(store)
    assert states(store) == {PriceState.APPLIED: 45}
    assert_amazon_has_every_price(store, amazon, 45)


@pytest.mark.parametrize("n_prices", [20, 40], ids=["one by one", "feed"])
def test_a_worker_killed_between_amazon_and_our_commit_harms_nothing(store, amazon, fleet, redis_server, n_prices):
    """Killed right after Amazon took a patch, or the feed, and before that is written here; twice."""
    give_many(store, n_prices)
    run_id = new_run(store)
    with redis.Redis.from_url(redis_server) as connection:
        for n_passes in (0, 3):
            fates = ["live"] * (n_passes if n_prices < ONE_BY_ONE else 0) + ["die"]
            connection.rpush(fault_worker.FATES, *fates)
            queues.enqueue_run(run_id)
            wait_for(lambda: connection.get(fault_worker.DIED), "the worker's death", 60)
            connection.delete(fault_worker.DIED, fault_worker.FATES)
            wait_for(lambda: fleet.busy() is None, "the horse to be gone", 60)
            if n_prices > ONE_BY_ONE:
                feed = db.session.scalars(select(PriceFeed).where(PriceFeed.store_id == store.id)).one()
                assert feed.amazon_feed_id == "", "Amazon has it, and we do not know"
                assert states(store) == {PriceState.WAITING: n_prices}
            take_up(run_id, LOST_AFTER)
    run = wait_for_end(run_id)
    assert run.state is RunState.SUCCEEDED
    assert row(run_id).n_attempts == 3
    for _ in range(2):
        push(store)
    assert states(store) == {PriceState.APPLIED: n_prices}
    assert_amazon_has_every_price(store, amazon, n_prices)
    assert len(amazon.feeds()) == (3 if n_prices > ONE_BY_ONE else 0)

"""Asking Amazon for its stock: the whole catalog in a run, or one SKU on the spot."""

import pytest

from flexdash.extensions import db
from flexdash.models import Listing, PushState, RunState, StoreStatus
from flexdash.services.amazon_access import StoreNotConnected
from flexdash.services.errors import NotVisible
from flexdash.services.inventory import fetch
from flexdash.services.inventory.places import active_locations
from tests import factories
from tests.support.pulls import row
from tests.support.stock import attempt, do_fetch, do_push, items_of, make_stocked_store, new_run, published, stock_up


@pytest.fixture(autouse=True)
def no_plans(sandbox):
    sandbox.control.plans({"*": None})


@pytest.fixture
def place(app, sandbox):
    return make_stocked_store(sandbox)


@pytest.fixture
def asha(place):
    return factories.make_actor(factories.make_user(place[0].seller.workspace, name="Asha"))


def test_amazons_numbers_are_kept_beside_ours(place, sandbox):
    store, hub = place
    stock_up(store, hub, {"A": 5, "B": 6})
    do_push(store)
    sandbox.control.create_orders(1, lines=1, units=2, sku_codes=["A"], location_id="EXSB")
    stock_up(store, hub, {"A": 1})
    run = do_fetch(store)
    assert (run.state, run.n_fetched, run.n_updated) == (RunState.SUCCEEDED, 2, 2)
    told = published(store)
    assert (told["A"].quantity, told["A"].amazon_sellable, told["A"].amazon_reserved) == (5, 5, 2)
    assert told["A"].state is PushState.ACCEPTED


def test_it_works_with_inventory_sync_off_and_before_the_first_push(place, sandbox):
    store, hub = place
    store.is_inventory_sync_on = False
    db.session.commit()
    stock_up(store, hub, {"A": 5})
    assert do_fetch(store).state is RunState.SUCCEEDED
    line = published(store)["A"]
    assert (line.state, line.quantity, line.amazon_sellable) == (None, None, 0)
    store.is_inventory_sync_on = True
    db.session.commit()
    assert do_push(store).n_updated == 1, "what was fetched only is still to be sent"


def test_what_amazon_refuses_to_tell_is_listed_and_the_rest_is_kept(place):
    store, hub = place
    stock_up(store, hub, {"A": 5, "NOT-LISTED-1": 5})
    run = do_fetch(store)
    assert (run.state, run.n_updated, run.n_failed) == (RunState.PARTIAL, 1, 1)
    (item,) = items_of(run)
    assert (item.sku_code, "INVALID_SKU" in item.reason) == ("NOT-LISTED-1", True)


def test_a_number_seen_at_amazon_is_taken_up(place, sandbox):
    store, hub = place
    stock_up(store, hub, {"A": 5})
    do_push(store)
    line = published(store)["A"]
    line.sequence_number = 17  # as if another program had sent since
    db.session.commit()
    do_fetch(store)
    assert published(store)["A"].sequence_number > 17


def test_what_was_sent_while_amazon_was_asked_is_the_later_word(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {"A": 5})
    do_push(store)
    keep = fetch._Fetching._keep

    def pushed_meanwhile(self):
        if self._read:
            stock_up(store, hub, {"A": 2})
            do_push(store)
        keep(self)

    monkeypatch.setattr(fetch._Fetching, "_keep", pushed_meanwhile)
    do_fetch(store)
    line = published(store)["A"]
    assert (line.quantity, line.amazon_sellable) == (2, 2)


def test_amazon_away_fails_the_attempt_and_the_next_asks_for_the_rest(place, sandbox):
    store, hub = place
    stock_up(store, hub, {f"S{n}": 1 for n in range(30)})
    sandbox.control.fault("error_500", operation="batchInventory")
    run_id = new_run(store, sync="inventory_fetch")
    assert attempt(run_id).state is RunState.QUEUED
    sandbox.control.clear_faults()
    again = row(run_id)
    again.retry_at = None
    db.session.commit()
    run = attempt(run_id)
    assert (run.state, run.n_fetched, run.n_failed) == (RunState.SUCCEEDED, 30, 0)


def test_calls_that_get_no_answer_are_made_again_within_the_run(place, sandbox):
    store, hub = place
    stock_up(store, hub, {f"S{n}": 1 for n in range(30)})
    sandbox.control.fault("error_500", operation="batchInventory", skip=1, count=2)
    run = do_fetch(store)
    assert (run.state, run.n_fetched, run.n_failed) == (RunState.SUCCEEDED, 30, 0)


def test_one_sku_is_asked_about_on_the_spot(place, asha, sandbox):
    store, hub = place
    stock_up(store, hub, {"A": 5})
    do_push(store)
    listing = db.session.scalars(db.select(Listing)).one()
    (location,) = active_locations(store.id)
    kept = fetch.fetch_one(asha, store.id, listing.id, location.mapping_id)
    assert (kept.amazon_sellable, kept.amazon_reserved) == (5, 0)


def test_one_sku_that_amazon_does_not_know_is_told_in_words(place, asha):
    store, hub = place
    stock_up(store, hub, {"NOT-LISTED-1": 5})
    listing = db.session.scalars(db.select(Listing)).one()
    (location,) = active_locations(store.id)
    with pytest.raises(fetch.FetchFailed, match="INVALID_SKU"):
        fetch.fetch_one(asha, store.id, listing.id, location.mapping_id)


def test_one_sku_of_a_store_that_is_not_connected_or_not_ones_own_is_refused(place, asha):
    store, hub = place
    stock_up(store, hub, {"A": 5})
    listing = db.session.scalars(db.select(Listing)).one()
    (location,) = active_locations(store.id)
    stranger = factories.make_actor(factories.make_user(factories.make_workspace()))
    with pytest.raises(NotVisible):
        fetch.fetch_one(stranger, store.id, listing.id, location.mapping_id)
    with pytest.raises(NotVisible):
        fetch.fetch_one(asha, store.id, listing.id, location.mapping_id + 1)
    store.status = StoreStatus.NEEDS_REAUTHORIZATION
    db.session.commit()
    with pytest.raises(StoreNotConnected):
        fetch.fetch_one(asha, store.id, listing.id, location.mapping_id)

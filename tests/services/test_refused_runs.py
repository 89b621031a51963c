"""Runs in which Amazon takes nothing: no good runs, and told in an alarm, with an all-clear. Against the sandbox."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    AlarmKind,
    Listing,
    Order,
    OrderState,
    PriceState,
    RunState,
    Severity,
    Store,
    Sync,
    SyncState,
)
from flexdash.services import price_push, sync_status
from flexdash.services.alarms import looking
from flexdash.services.alarms.findings import Finding, Parts
from tests import factories
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store
from tests.support.recoveries import lift_pace
from tests.support.stock import WORK, attempt, do_push, make_stocked_store, new_run, stock_up

TEE, MUG = "TEE-BLK-M", "MUG-STD"


@pytest.fixture(autouse=True)
def quick(sandbox, monkeypatch) -> None:
    sandbox.control.plans({"*": None})
    sandbox.control.options(listing_delay_seconds=0)
    lift_pace(monkeypatch)
    monkeypatch.setitem(WORK, Sync.PRICE_PUSH, price_push.push)


def found(kind: AlarmKind) -> list[Finding]:
    seen, _ = looking.around(Parts(), clock.now())
    return [one for one in seen if one.kind is kind]


def last_good(store: Store, sync: Sync = Sync.INVENTORY_PUSH):
    db.session.rollback()
    query = select(SyncState.last_success_at).where(SyncState.store_id == store.id, SyncState.sync == sync)
    return db.session.scalar(query)


def give_price(store: Store, sku_code: str, price: str) -> None:
    db.session.rollback()
    listing = db.session.scalars(
        select(Listing).where(Listing.store_id == store.id, Listing.sku_code == sku_code)
    ).one_or_none() or factories.make_listing(store, sku_code)
    listing.price, listing.price_state, listing.price_changed_at = Decimal(price), PriceState.WAITING, clock.now()
    db.session.commit()


def test_a_push_of_which_amazon_takes_nothing_is_no_good_run_and_an_alarm_until_one_is_taken(app, sandbox) -> None:
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {f"NOT-LISTED-{n}": 5 for n in range(12)})
    run = do_push(store)
    assert (run.state, run.n_updated, run.n_failed, last_good(store)) == (RunState.FAILED, 0, 12, None)
    assert run.error_sentence.startswith("Amazon did not take any of the 12 items that this run sent. NOT-LISTED-")
    assert sync_status.of_sync(db.session.get(Store, store.id), Sync.INVENTORY_PUSH).state == "Failed"
    (alarm,) = found(AlarmKind.ALL_REFUSED)
    assert alarm.sentence.startswith(
        "Pune Store: Amazon refuses its stock. Amazon did not take any of the 12 items that this run sent. NOT-LISTED-"
    )
    assert (alarm.severity, alarm.path) == (Severity.CRITICAL, f"/sync-runs/{run.id}")
    assert do_push(store).state is RunState.FAILED, "and so is the next one, with the same items"
    assert len(found(AlarmKind.ALL_REFUSED)) == 1
    assert found(AlarmKind.SYNC_FAILING) == []

    stock_up(store, hub, {TEE: 5})
    assert do_push(store).state is RunState.PARTIAL
    assert last_good(store) is not None
    assert found(AlarmKind.ALL_REFUSED) == []


def test_what_was_refused_before_and_goes_again_alone_makes_no_run_a_bad_one(app, sandbox) -> None:
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {TEE: 5, "NOT-LISTED-1": 5})
    assert do_push(store).state is RunState.PARTIAL
    again = do_push(store)
    assert (again.state, again.n_updated, again.n_failed) == (RunState.PARTIAL, 0, 1)
    assert last_good(store) == again.finished_at
    assert found(AlarmKind.ALL_REFUSED) == []

    stock_up(store, hub, {"NOT-LISTED-2": 5})
    assert do_push(store).state is RunState.FAILED, "another one is news"


def test_one_bad_sku_of_a_store_in_good_order_is_no_failure_of_the_sync(app, sandbox) -> None:
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {TEE: 5, MUG: 5})
    assert do_push(store).state is RunState.SUCCEEDED
    stock_up(store, hub, {"NOT-LISTED-1": 5})
    quiet = do_push(store)
    assert (quiet.state, quiet.n_updated, quiet.n_failed) == (RunState.PARTIAL, 0, 1)
    assert found(AlarmKind.ALL_REFUSED) == []


def test_a_run_that_failed_otherwise_does_not_turn_a_known_refusal_into_a_failure(app, sandbox) -> None:
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {TEE: 5, "NOT-LISTED-1": 5})
    assert do_push(store).state is RunState.PARTIAL
    db.session.rollback()
    factories.make_run(store, sync=Sync.INVENTORY_PUSH, state=RunState.FAILED, error_code="unavailable")
    db.session.commit()
    assert do_push(store).state is RunState.PARTIAL


def test_a_push_with_nothing_to_send_is_good(app, sandbox) -> None:
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {TEE: 5})
    do_push(store)
    run = do_push(store)
    assert (run.state, run.n_updated, run.n_failed) == (RunState.SUCCEEDED, 0, 0)
    assert last_good(store) == run.finished_at


def test_a_push_that_is_turned_off_alarms_no_more(app, sandbox) -> None:
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {"NOT-LISTED-1": 5})
    do_push(store)
    assert found(AlarmKind.ALL_REFUSED)
    db.session.get_one(Store, store.id).is_inventory_sync_on = False
    db.session.commit()
    assert found(AlarmKind.ALL_REFUSED) == []


def test_prices_that_amazon_refuses_all_are_an_alarm_until_none_is_refused(app, sandbox) -> None:
    store, _ = make_stocked_store(sandbox)
    give_price(store, "NOT-LISTED-1", "10.00")
    run = attempt(new_run(store, Sync.PRICE_PUSH))
    assert (run.state, run.n_failed, last_good(store, Sync.PRICE_PUSH)) == (RunState.FAILED, 1, None)
    (alarm,) = found(AlarmKind.ALL_REFUSED)
    assert alarm.sentence.startswith(
        "Pune Store: Amazon refuses its prices. Amazon did not take the one item that this run sent. NOT-LISTED-1: "
    )
    db.session.scalars(select(Listing)).one().price_state = PriceState.NONE  # nobody wants that price any more
    db.session.commit()
    assert found(AlarmKind.ALL_REFUSED) == []


def test_prices_of_which_amazon_takes_some_are_partial(app, sandbox) -> None:
    store, _ = make_stocked_store(sandbox)
    give_price(store, "NOT-LISTED-1", "10.00")
    give_price(store, TEE, "499.00")
    run = attempt(new_run(store, Sync.PRICE_PUSH))
    assert (run.state, run.n_failed) == (RunState.PARTIAL, 1)
    assert last_good(store, Sync.PRICE_PUSH) is not None
    assert found(AlarmKind.ALL_REFUSED) == []


def test_an_acknowledgement_that_amazon_refuses_is_an_alarm_until_the_order_needs_it_no_more(app, sandbox) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("names_buyer", operation="processShipment", count=2)
    run = do_run(store)
    assert (run.state, run.n_created, run.n_failed) == (RunState.PARTIAL, 2, 2)
    assert last_good(store, Sync.ORDER_PULL) is not None, "the orders came in"
    first, second = db.session.scalars(select(Order).order_by(Order.id)).all()
    assert {first.acknowledgement, second.acknowledgement} == {Acknowledgement.REFUSED}
    (alarm,) = found(AlarmKind.ACKNOWLEDGEMENT_REFUSED)
    assert alarm.sentence.startswith(
        "Pune Store: Amazon refused the acknowledgement of 2 orders, the first of them FD-"
    )
    assert alarm.path == f"/orders?needs=acknowledgement&store={store.id}"
    first.state = OrderState.CANCELLED
    db.session.commit()
    (alarm,) = found(AlarmKind.ACKNOWLEDGEMENT_REFUSED)
    assert alarm.path == f"/orders/{second.id}", "one order is looked at itself"
    second.acknowledgement = Acknowledgement.DONE
    db.session.commit()
    assert found(AlarmKind.ACKNOWLEDGEMENT_REFUSED) == []
    assert clock.now() - last_good(store, Sync.ORDER_PULL) < timedelta(minutes=45)

"""A turn of the schedule with everything real: the dispatcher, a worker, Amazon over HTTP, and the page of the run."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select, update

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import Order, OrderState, RunState, Store, Sync, SyncRun, SyncState, Trigger, User
from tests.factories import make_user
from tests.support.pulls import MAPPED, QUICK, SELLER, UNMAPPED, make_pulled_store, wait_for_end, workers
from tests.support.schedules import scheduled
from tests.support.web import words

HALF_HOUR = timedelta(minutes=30)


def test_one_turn_brings_250_shipments_of_two_locations_in_and_the_next_changes_nothing(
    sandbox: Running, environment: dict[str, str], redis_connection: object, signed_in: Callable[[User], FlaskClient]
) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    sandbox.control.plans({"*": None})
    support = signed_in(make_user(store.seller.workspace, "support"))
    mapped = sandbox.control.create_orders(150, location_id=MAPPED, seller_id=SELLER)
    held = sandbox.control.create_orders(100, location_id=UNMAPPED, seller_id=SELLER)
    sandbox.control.fault("empty_page", operation="getShipments", page=1, count=1)
    with workers({**environment, **QUICK}) as fleet:
        fleet.start()
        first = wait_for_end(turn_of(store))
        assert (first.trigger, first.state) == (Trigger.SCHEDULE, RunState.SUCCEEDED)
        as_they_are = {OrderState.NEW: set(mapped), OrderState.ON_HOLD: set(held)}
        assert orders() == as_they_are
        assert at_amazon(sandbox) == {(MAPPED, "CONFIRMED"): len(mapped), (UNMAPPED, "ACCEPTED"): len(held)}
        page = words(support.get(f"/sync-runs/{first.id}"))
        assert "Fetched 250 New orders 250 On Hold 100 Updated 0 Nothing to do 0 Failed 0 Acknowledged 150" in page

        second = wait_for_end(turn_of(store))
        assert (second.state, second.n_created, second.n_updated) == (RunState.SUCCEEDED, 0, 0)
        assert orders() == as_they_are
        assert at_amazon(sandbox) == {(MAPPED, "CONFIRMED"): len(mapped), (UNMAPPED, "ACCEPTED"): len(held)}
        page = words(support.get(f"/sync-runs/{second.id}"))
        assert "Fetched 250 New orders 0 On Hold 0 Updated 0 Nothing to do 250 Failed 0" in page


def turn_of(store: Store) -> int:
    """Let the store's turn have come, dispatch, and return the run that this made."""
    db.session.rollback()
    for run in db.session.scalars(select(SyncRun)):
        run.slot_at -= HALF_HOUR  # as if it had been the turn before
    db.session.execute(update(SyncState).values(next_due_at=clock.now()))
    db.session.commit()
    with scheduled(Sync.ORDER_PULL):
        dispatch.dispatch()
    return db.session.scalars(select(SyncRun.id).order_by(SyncRun.id.desc()).limit(1)).one()


def orders() -> dict[OrderState, set[str]]:
    """Return the shipments that are here, by the state of their orders."""
    db.session.rollback()
    found: dict[OrderState, set[str]] = {}
    for shipment_id, state in db.session.execute(select(Order.amazon_shipment_id, Order.state)):
        found.setdefault(state, set()).add(shipment_id)
    return found


def at_amazon(sandbox: Running) -> Counter[tuple[str, str]]:
    """Return how many shipments of each location Amazon has in each status."""
    every = sandbox.control.shipments(seller_id=SELLER, limit=500)
    return Counter((item["location_id"], item["status"]) for item in every)

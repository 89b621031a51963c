"""Alarms about what really went wrong: the sandbox or a process is put into the state, and a person's page is read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.jobs.scheduling import SEEN_KEY
from flexdash.jobs.watching import PartsWatch
from flexdash.models import Order, OrderState, RunState, Sync, User
from flexdash.services.alarms import keeping
from flexdash.services.alarms.findings import Parts
from tests.factories import make_user
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store
from tests.support.recoveries import lift_pace
from tests.support.schedules import scheduled
from tests.support.servers import flexdash_process, running_redis, wait_for
from tests.support.stock import do_push, make_stocked_store, stock_up
from tests.support.web import words


@pytest.fixture(autouse=True)
def quick(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.control.plans({"*": None})
    lift_pace(monkeypatch)
    once = replace(app.config["SETTINGS"], run_max_attempts=1)
    monkeypatch.setitem(app.config, "SETTINGS", once)


@pytest.fixture
def alarms_page(signed_in: Callable[[User], FlaskClient]) -> Callable[..., str]:
    """Looks around once, as the watcher does, and reads the page of alarms as a merchant of the workspace."""
    merchants: dict[int, FlaskClient] = {}

    def read(workspace, seen: Parts = Parts()) -> str:  # noqa: B008 - frozen
        keeping.evaluate(seen)
        if workspace.id not in merchants:
            merchants[workspace.id] = signed_in(make_user(workspace))
        return words(merchants[workspace.id].get("/alarms"))

    return read


def test_an_authorization_that_was_revoked_at_amazon(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    assert do_run(store).state is RunState.SUCCEEDED
    assert "Pune Store:" not in alarms_page(workspace)
    sandbox.control.revoke_tokens()
    assert do_run(store).state is RunState.FAILED
    assert "Pune Store: Amazon refuses FlexDash's access" in alarms_page(workspace)


def test_three_pulls_that_amazon_answers_with_an_error(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    sandbox.control.fault("access_denied", operation="getShipments")
    for _ in range(2):
        do_run(store)
    assert "Pune Store:" not in alarms_page(workspace)
    do_run(store)
    assert "Pune Store: the last 3 runs of Order Sync failed." in alarms_page(workspace)


def test_a_shipment_that_cannot_be_read(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("odd_missing_field", count=10)
    do_run(store)
    assert (
        "Pune Store: 2 shipments are in quarantine, because FlexDash could not read what Amazon sent."
        in alarms_page(workspace)
    )


def test_a_buyer_who_cancels_what_has_left_the_hub(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    do_run(store)
    order = db.session.scalars(select(Order)).one()
    order.state = OrderState.SHIPPED  # handed to the carrier here, which Amazon does not know of yet
    db.session.commit()
    sandbox.control.cancel(shipment_id)
    do_run(store)
    assert "Pune Store: Amazon and FlexDash disagree about 1 order." in alarms_page(workspace)


def test_a_push_that_the_brake_holds(sandbox, alarms_page) -> None:
    store, hub = make_stocked_store(sandbox)
    workspace = store.seller.workspace
    skus = {f"SKU-{n:02d}": 5 for n in range(40)}
    stock_up(store, hub, skus)
    assert do_push(store).n_updated == len(skus)
    assert "Pune Store:" not in alarms_page(workspace)
    stock_up(store, hub, dict.fromkeys(skus, 0))
    do_push(store)
    assert (
        "Pune Store: a push would set 40 of 40 quantities to zero on Amazon. No stock is sent until somebody"
        in alarms_page(workspace)
    )


def test_a_store_that_no_turn_comes_to_and_runs_that_no_worker_takes(sandbox, redis_connection, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    now = clock.now()
    with scheduled(Sync.ORDER_PULL):
        dispatch.dispatch()
    assert "Order Sync" not in alarms_page(workspace)
    with time_machine.travel(now + timedelta(minutes=16), tick=False):
        assert "1 sync run has waited for a worker of the queue sync for more than 15 minutes." in alarms_page(
            workspace
        )
    with time_machine.travel(now + timedelta(hours=3), tick=False):
        assert "Pune Store: Order Sync has had no good run for more than" in alarms_page(workspace)


def test_a_worker_a_scheduler_and_a_redis_that_end(environment, workspace, alarms_page, tmp_path: Path) -> None:
    with running_redis(tmp_path) as url, redis.Redis.from_url(url, retry=None) as connection:
        watch = PartsWatch(connection, patience=0)
        own = {**environment, "REDIS_URL": url}
        with flexdash_process(own, "worker"), flexdash_process(own, "scheduler"):
            wait_for(lambda: watch.look() == Parts(), "worker and scheduler to be seen")
            assert "Nothing is wrong." in alarms_page(workspace, watch.look())
        connection.delete(SEEN_KEY)  # it ends by itself a minute after the scheduler's last sign of life
        page = alarms_page(workspace, watch.look())
        assert "No worker of the queue sync has been seen lately" in page
        assert "The scheduler has not been seen lately. No sync begins by the clock in any store." in page
    assert "Redis does not answer. Nothing is synced in any store." in alarms_page(workspace, watch.look())

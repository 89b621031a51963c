"""Alarms about what really went wrong: the sandbox or a process is put into the state, and a person's page is read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.jobs.scheduling import SEEN_KEY
from flexdash.jobs.watching import PartsWatch
from flexdash.models import BatchAction, RunState, Sync, User, UserSession, Workspace
from flexdash.services import config_log_verify, connecting, stores
from flexdash.services.alarms import keeping
from flexdash.services.alarms.findings import Parts
from flexdash.services.connecting import AmazonAnswer
from flexdash.services.order_states import Event
from flexdash.services.order_work import batches, moves
from tests.factories import make_actor, make_user
from tests.support import worked_orders
from tests.support.chains import append, tampering
from tests.support.order_steps import pulled
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store
from tests.support.recoveries import lift_pace
from tests.support.schedules import scheduled
from tests.support.servers import flexdash_process, running_redis, wait_for
from tests.support.skus import make_shop
from tests.support.uploads import catalog, hand_in
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
        merchant = merchants.get(workspace.id)
        page = merchant.get("/alarms") if merchant else None
        if page is None or page.status_code != 200:  # a sign-in does not last for months
            merchant = merchants[workspace.id] = signed_in(make_user(workspace))
            page = merchant.get("/alarms")
        return words(page)

    return read


def test_an_authorization_that_was_revoked_at_amazon(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    assert do_run(store).state is RunState.SUCCEEDED
    assert "Pune Store:" not in alarms_page(workspace)
    sandbox.control.revoke_tokens()
    assert do_run(store).state is RunState.FAILED
    assert "Pune Store: Amazon refuses FlexDash's access" in alarms_page(workspace)


def test_an_authorization_that_comes_to_its_end(workspace, seller, settings, sandbox, signed_in, alarms_page) -> None:
    user = make_user(workspace, name="Asha")
    signed_in(user)
    asha, session = make_actor(user), db.session.scalars(select(UserSession)).one()
    address = connecting.begin(asha, session.id, stores.start_draft(asha, seller.id, "IN", "Pune Store").id)
    state = parse_qs(urlsplit(address).query)["state"][0]
    code = sandbox.control.issue_code(settings.amazon_redirect_uri, SELLER)
    connecting.finish(asha, session.id, AmazonAnswer(state=state, code=code, amazon_selling_partner_id=SELLER))

    connected_at, said = clock.now(), []
    for days_left in (31, 29, 6, 0.5, -1):
        with time_machine.travel(connected_at + timedelta(days=365 - days_left), tick=False):
            page = alarms_page(workspace)
            _, found, rest = page.partition("Pune Store: the authorization at Amazon ")
            said.append(rest.partition(".")[0] if found else "nothing")
    assert said == [
        "nothing",
        "ends within 30 days",
        "ends within 7 days",
        "ends within a day",
        "has ended after 365 days",
    ]


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


def test_a_buyer_who_cancels_what_has_left_the_hub(sandbox, time_machine, alarms_page) -> None:
    scene = worked_orders.make_scene(sandbox, time_machine)
    workspace = scene.store.seller.workspace
    order = scene.worked(Event.PICK)
    scene.do_steps()
    for event in (Event.PACK, Event.MAKE_READY, Event.SHIP):
        moves.move(scene.asha, order.id, event)  # handed to the carrier here, which Amazon does not know of yet
    sandbox.control.cancel(order.amazon_shipment_id)
    do_run(scene.store)
    assert "Pune Store: Amazon and FlexDash disagree about 1 order." in alarms_page(workspace)


def test_a_push_that_the_brake_holds(sandbox, alarms_page) -> None:
    shop = make_shop(sandbox)
    workspace = shop.store.seller.workspace
    skus = [f"SKU-{n}" for n in range(6)]
    shop.stock(**dict.fromkeys(skus, 5))
    assert shop.push().n_updated == len(skus)
    assert "Pune Store:" not in alarms_page(workspace)
    shop.stock(**dict.fromkeys(skus, 0))
    shop.push()
    assert (
        "Pune Store: a push would set 6 of 6 quantities to zero on Amazon. No stock is sent until somebody"
        in alarms_page(workspace)
    )


def test_a_push_of_which_amazon_takes_nothing(sandbox, alarms_page) -> None:
    shop = make_shop(sandbox)
    workspace = shop.store.seller.workspace
    shop.stock(**{f"NOT-LISTED-{n}": 5 for n in range(5)})
    assert shop.push().state is RunState.FAILED
    assert (
        "Pune Store: Amazon refuses its stock. Amazon did not take any of the 5 items that this run sent. NOT-LISTED-"
        in alarms_page(workspace)
    )


def test_a_price_push_of_which_amazon_takes_nothing(sandbox, alarms_page) -> None:
    shop = make_shop(sandbox)
    workspace = shop.store.seller.workspace
    for n in range(5):
        shop.price("10.00", f"NOT-LISTED-{n}")
    assert shop.push(Sync.PRICE_PUSH).state is RunState.FAILED
    assert (
        "Pune Store: Amazon refuses its prices. Amazon did not take any of the 5 items that this run sent. NOT-LISTED-"
        in alarms_page(workspace)
    )


def test_an_inventory_sync_after_whose_good_push_none_follows(sandbox, alarms_page) -> None:
    shop = make_shop(sandbox)
    workspace = shop.store.seller.workspace
    shop.stock(TEE=5)
    assert shop.push().state is RunState.SUCCEEDED
    pushed_at = clock.now()
    with time_machine.travel(pushed_at + timedelta(minutes=89), tick=False):
        assert "Inventory Sync" not in alarms_page(workspace)
    with time_machine.travel(pushed_at + timedelta(minutes=91), tick=False):
        assert (
            "Pune Store: Inventory Sync has had no good run for more than 90 minutes. Amazon may show stock that is "
            "sold already;" in alarms_page(workspace)
        )


def test_an_acknowledgement_that_amazon_refuses(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("names_buyer", operation="processShipment", count=2)
    assert do_run(store).n_failed == 2
    page = alarms_page(workspace)
    assert "Pune Store: Amazon refused the acknowledgement of 2 orders, the first of them FD-" in page
    assert "and may cancel what is not acknowledged." in page


def test_a_configuration_log_whose_last_row_somebody_deleted(app, workspace, alarms_page) -> None:
    workspace_id = workspace.id
    append(workspace_id, 3)
    assert config_log_verify.verify_and_keep(workspace_id).is_intact
    assert "Nothing is wrong." in alarms_page(workspace)
    with tampering(app) as connection:
        connection.execute(text("DELETE FROM config_events WHERE sequence = 3"))
    config_log_verify.verify_and_keep(workspace_id)
    assert (
        "The Configuration Log is not as it was written. Row 3 is missing: the end of the log was cut off."
        in alarms_page(db.session.get_one(Workspace, workspace_id))
    )


def test_a_file_and_an_action_on_many_orders_that_no_worker_takes(sandbox, alarms_page) -> None:
    store = make_pulled_store(sandbox, name="Pune Store")
    workspace = store.seller.workspace
    asha, order = make_actor(make_user(workspace)), pulled(store, sandbox)
    hand_in(asha, store, catalog("TEE,B0TESTTEE1,Tee"))
    batches.ask(asha, BatchAction.PICK, [order.id])
    now = clock.now()
    assert "Nothing is wrong." in alarms_page(workspace)
    with time_machine.travel(now + timedelta(minutes=16), tick=False):
        page = alarms_page(workspace)
    for what, queue in (("uploaded file", "upload"), ("action on many orders", "work")):
        assert f"1 {what} has waited for a worker of the queue {queue} for more than 15 minutes." in page


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
        connection.delete(
            SEEN_KEY
        )  # by hand, for it ends by itself only a minute after the scheduler's last sign of life
        page = alarms_page(workspace, watch.look())
        assert "No worker of the queue sync has been seen lately" in page
        assert "The scheduler has not been seen lately. No sync begins by the clock in any store." in page
    assert "Redis does not answer. Nothing is synced in any store." in alarms_page(workspace, watch.look())

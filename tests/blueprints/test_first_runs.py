"""A sync that is on and never ran: what the store's pages say of its first run, and why it does not begin."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from flexdash import clock
from flexdash.blueprints import parts
from flexdash.extensions import db, redis_client
from flexdash.jobs import presence
from flexdash.models import Role, Store, Sync, User
from flexdash.services import disconnecting, prices, store_settings, stores, sync_schedule
from flexdash.services.diagnosis.common import Parts
from flexdash.services.store_settings import Toggle
from flexdash.services.stores import AUTHORIZATION_LIFETIME
from flexdash.templating.redis_watch import RedisWatch
from tests.factories import make_actor, make_listing, make_store, make_user
from tests.support.servers import flexdash_process, running_redis, wait_for
from tests.support.web import words

Read = Callable[..., str]
NO_SCHEDULER = "The scheduler has not been seen lately, so no sync starts by itself. Tell whoever runs FlexDash"
OVERDUE = "No run has begun, though its turn has come. The scheduler or the worker may be away."


@pytest.fixture
def store(seller) -> Store:
    """A connected store whose Order Sync Asha has just turned on."""
    store = make_store(seller, name="Pune Store")
    asha = make_actor(make_user(seller.workspace, Role.ADMIN, name="Asha"))
    store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=store.settings_version)
    return store


@pytest.fixture
def read(store, signed_in: Callable[[User], FlaskClient]) -> Read:
    """Reads what the store's page says between the names of two syncs, or another page whole."""

    def read_page(rest: str = "") -> str:
        page = words(signed_in(make_user(store.seller.workspace)).get(f"/stores/{store.id}{rest}"))
        if rest:
            return page
        return page.partition("Start it ")[2].partition("Inventory Sync ")[0] or page

    return read_page


def all_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all parts have been seen: by hand, for real ones would begin the run at any moment."""
    monkeypatch.setattr(parts, "parts_seen", lambda _: Parts())


def test_with_all_parts_at_work_it_starts_within_a_minute(read: Read, store: Store, monkeypatch) -> None:
    all_at_work(monkeypatch)
    page = read()
    assert page.startswith("Order Sync Waiting The first run starts within a minute. – none yet Within a minute")
    assert "Next run Within a minute" in read("/settings")
    sync_schedule.ensure_state(store.workspace_id, store.id, Sync.PRICE_PUSH)
    db.session.commit()
    assert read("?").count("Within a minute") == 1  # Inventory Sync is off, no price is due


def test_without_a_scheduler_or_a_worker_it_does_not_start_and_the_page_says_so(
    read: Read, environment: Mapping[str, str]
) -> None:
    page = read()
    assert page.startswith(f"Order Sync Waiting {NO_SCHEDULER}")
    assert "ithin a minute" not in page
    assert f"Next run {NO_SCHEDULER}" in read("/settings")
    with flexdash_process(environment, "scheduler"):
        wait_for(lambda: presence.is_scheduler_seen(redis_client), "the scheduler")
        idle = "No worker has been seen lately for tick and sync, so runs wait."
        assert read().startswith(f"Order Sync Waiting {idle}")


def test_while_redis_is_away_it_does_not_start_and_the_page_says_so(
    read: Read, app: Flask, tmp_path: Path, monkeypatch
) -> None:
    with running_redis(tmp_path) as url:
        monkeypatch.setitem(app.extensions, "flexdash_redis_watch", RedisWatch(url))
    assert read().startswith("Order Sync Waiting Redis is away, so no work reaches a worker and every sync waits.")


def test_of_a_store_that_amazon_lets_in_no_more_it_does_not_start_and_the_page_says_so(
    read: Read, store: Store, monkeypatch
) -> None:
    all_at_work(monkeypatch)
    with time_machine.travel(store.authorized_at + AUTHORIZATION_LIFETIME, tick=False):
        assert read().startswith("Order Sync Stale The authorization of Pune Store ended after 365 days.")
    stores.needs_reauthorization(store.id, "invalid_grant")
    refused = "Paused: Amazon no longer accepts the store's authorization. Re-authorize it and this goes on by itself."
    assert read().startswith(f"Order Sync Paused {refused}")
    disconnecting.disconnect(make_actor(make_user(store.seller.workspace)), store.id)
    page = read("?")
    assert "Paused: the store is disconnected from Amazon." in page
    assert "ithin a minute" not in page


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (1, "Order Sync Waiting The first run starts within a minute."),
        (3, f"Order Sync Waiting {OVERDUE}"),
        (46, f"Order Sync Stale {OVERDUE}"),
    ],
)
def test_one_that_is_overdue_is_not_said_to_start_within_a_minute(read: Read, monkeypatch, minutes, said) -> None:
    all_at_work(monkeypatch)
    with time_machine.travel(clock.now() + timedelta(minutes=minutes), tick=False):
        assert read().startswith(said)
        assert ("It has had no good run since" in read("?")) == ("Stale" in said)


def test_of_prices_it_is_said_whether_a_push_is_to_be_awaited(read: Read, store: Store, monkeypatch) -> None:
    all_at_work(monkeypatch)
    sync_schedule.ensure_state(store.workspace_id, store.id, Sync.PRICE_PUSH)
    db.session.commit()
    in_an_hour = time_machine.travel(clock.now() + timedelta(hours=1), tick=False)
    with in_an_hour:
        assert "Prices Waiting Nothing is to be done now." in read("?")
    listing = make_listing(store)
    prices.change(make_actor(make_user(store.seller.workspace)), listing.id, "499.00", version=listing.version)
    assert "Prices Waiting The first run starts within a minute." in read("?")
    with in_an_hour:
        assert f"Prices Waiting {OVERDUE}" in read("?")

"""The figures of the whole installation: what each counts, and that it says of stores what their own pages say."""

from datetime import timedelta

import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RunState, StoreStatus, Sync, SyncState
from flexdash.services import figures, sync_status
from tests import factories


@pytest.fixture
def seller(workspace):
    return factories.make_seller(workspace)


def value_of(name: str, *labels: str) -> float:
    return {(figure.name, *figure.labels): figure.value for figure in figures.of_everything()}[(name, *labels)]


def ago(minutes: float | None):
    return None if minutes is None else clock.now() - timedelta(minutes=minutes)


def state(store, sync=Sync.ORDER_PULL, **moments):
    db.session.add(
        SyncState(
            workspace_id=store.workspace_id,
            store_id=store.id,
            sync=sync,
            **{name: ago(minutes) for name, minutes in moments.items()},
        )
    )
    db.session.commit()


def test_stores_are_counted_by_status(seller):
    factories.make_store(seller)
    factories.make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION)
    assert value_of("stores", "connected") == 1
    assert value_of("stores", "needs_reauthorization") == 1
    assert value_of("stores", "draft") == 0


@pytest.mark.parametrize(
    ("success", "on_since", "authorized", "tried"),
    [
        (10, 600, 6000, None),  # a good run just now
        (60, 600, 6000, None),  # too long ago
        (60, 10, 6000, None),  # turned on again just now
        (60, 600, 10, None),  # authorized again just now
        (60, None, None, None),
        (None, 60, 6000, None),  # never a good one
        (None, None, 6000, 60),  # tried an hour ago and never since
        (None, None, 6000, 10),
        (None, None, 6000, None),  # not even tried
    ],
)
def test_stale_is_what_the_pages_of_the_store_call_stale(seller, success, on_since, authorized, tried):
    store = factories.make_store(seller, is_order_sync_on=True, authorized_at=ago(authorized))
    if tried:
        factories.make_run(store, RunState.FAILED, queued_at=ago(tried))
    if success or on_since:
        state(store, last_success_at=success, on_since=on_since)
    shown = next(status for status in sync_status.of(store) if status.sync is Sync.ORDER_PULL)
    assert value_of("stores_stale", "order_pull") == shown.is_stale
    assert value_of("stores_syncing", "order_pull") == 1


def test_stores_that_are_off_or_not_connected_are_neither_stale_nor_late(seller):
    off = factories.make_store(seller)
    refused = factories.make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, is_order_sync_on=True)
    for store in (off, refused):
        state(store, last_success_at=600)
    assert value_of("stores_stale", "order_pull") == 0
    assert value_of("stores_syncing", "order_pull") == 0
    assert value_of("sync_lag_seconds", "order_pull") == 0


def test_lag_is_that_of_the_store_that_waits_longest(seller):
    for minutes in (5, 70, 30):
        store = factories.make_store(seller, is_order_sync_on=True, authorized_at=ago(6000))
        state(store, last_success_at=minutes, on_since=5000)
    assert value_of("sync_lag_seconds", "order_pull") == pytest.approx(70 * 60, abs=30)
    assert value_of("sync_lag_seconds", "inventory_push") == 0


def test_a_turn_that_nobody_took_is_overdue(seller):
    store = factories.make_store(seller, is_order_sync_on=True)
    state(store, next_due_at=3)
    state(store, Sync.RETURN_PULL, next_due_at=-3)
    assert value_of("sync_overdue_seconds", "order_pull") == pytest.approx(180, abs=30)
    assert value_of("sync_overdue_seconds", "return_pull") == 0


def test_open_runs_are_counted_with_the_one_that_waits_longest_and_the_silent_ones(seller):
    one, other = (factories.make_store(seller, is_order_sync_on=True) for _ in range(2))
    factories.make_run(one, RunState.QUEUED, queued_at=ago(4))
    factories.make_run(other, RunState.QUEUED, queued_at=ago(50), retry_at=ago(-5))  # not its turn yet
    factories.make_run(one, RunState.RUNNING, sync=Sync.INVENTORY_PUSH, heartbeat_at=ago(5))
    factories.make_run(other, RunState.RUNNING, sync=Sync.INVENTORY_PUSH)
    factories.make_run(other, RunState.FAILED, queued_at=ago(500))
    assert value_of("sync_runs_open", "order_pull", "queued") == 2
    assert value_of("sync_runs_open", "inventory_push", "running") == 2
    assert value_of("sync_oldest_queued_seconds") == pytest.approx(240, abs=30)
    assert value_of("sync_runs_silent") == 1


def test_what_waits_is_counted_by_what_it_waits_for(seller):
    store = factories.make_store(seller)
    held = factories.make_order(store, "On Hold")
    factories.make_order(store, acknowledgement="pending")
    factories.make_order(store, is_invoice_waiting=True)
    factories.make_conflict(held)
    factories.make_step(held, "labels", "failed")
    factories.make_zero_brake(store)
    factories.make_upload(store)
    found = {(figure.name, *figure.labels): figure.value for figure in figures.of_everything()}
    waiting = {labels[1]: n for labels, n in found.items() if labels[0] == "orders_waiting"}
    assert waiting == {"on_hold": 1, "acknowledgement": 1, "invoice": 1, "conflict": 1, "quarantine": 0}
    assert (found["order_steps", "failed"], found["order_steps", "waiting"]) == (1, 0)
    assert found["zero_brakes_waiting",] == 1


def test_what_piles_up_is_counted_no_further_than_needed(seller, monkeypatch):
    monkeypatch.setattr(figures, "COUNTED_AT_MOST", 2)
    store = factories.make_store(seller)
    for _ in range(3):
        factories.make_order(store, "On Hold")
    assert value_of("orders_waiting", "on_hold") == 2


def test_an_authorization_about_to_end_is_counted(seller):
    factories.make_store(seller, authorization_expires_at=clock.now() + timedelta(days=29))
    factories.make_store(seller, authorization_expires_at=clock.now() + timedelta(days=31))
    assert value_of("stores_authorization_ending") == 1

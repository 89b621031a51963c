"""The figures of the charts: counted by the viewer's hours and days, bounded, and of what the person may see."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import event

from flexdash import clock
from flexdash.blueprints import charts
from flexdash.extensions import db, settings
from flexdash.models import CallOutcome, OrderCancellation, Role, RunState, Sync
from flexdash.services.dashboard import allowance, figures, people, push_lag, work
from flexdash.services.dashboard.scope import Scope
from flexdash.services.order_work import counts
from tests.factories import (
    make_actor,
    make_call,
    make_conflict,
    make_order,
    make_run,
    make_seller,
    make_store,
    make_sync_state,
    make_user,
    make_workspace,
    make_zero_brake,
)

INDIA, NEPAL = ZoneInfo("Asia/Kolkata"), ZoneInfo("Asia/Kathmandu")


@pytest.fixture
def store(seller):
    return make_store(seller, is_order_sync_on=True, is_inventory_sync_on=True)


@pytest.fixture
def actor(workspace):
    return make_actor(make_user(workspace, Role.ADMIN))


def plans_of(statement_words: str, function) -> list[str]:
    """What SQLite says of how it answers the statement of `function` that has these words."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the statement's plan is asked in SQLite's words")
    statements = []

    def note(_connection, _cursor, statement, values, *_rest) -> None:
        statements.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        function()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    [(statement, values)] = [found for found in statements if statement_words in found[0]]
    return [
        step.detail for step in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    ]


# Hours ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("zone", "minute"), [(INDIA, 0), (NEPAL, 0), (ZoneInfo("UTC"), 0)])
def test_hours_are_the_viewers_hours_the_present_one_last(store, actor, zone, minute) -> None:
    with time_machine.travel("2026-11-23T20:10:00+00:00", tick=False):
        now = clock.now()
        for minutes in (1, 2, 65, 23 * 60 - 30, 25 * 60):
            make_order(store, imported_at=now - timedelta(minutes=minutes))
        hours = figures.last_hours(Scope.of_actor(actor), zone)
    assert len(hours) == 24
    assert {hour.starts_at.minute for hour in hours} == {minute}
    assert hours[-1].starts_at <= now < hours[-1].starts_at + timedelta(hours=1)
    assert sum(hour.n_orders for hour in hours) == 4
    assert hours[-1].n_orders == 2


def test_calls_are_counted_with_those_that_amazon_throttled(store, actor) -> None:
    with time_machine.travel("2026-11-23T20:40:00+00:00", tick=False):
        for n in range(5):
            make_call(store, "throttled" if n < 2 else "success", started_at=clock.now() - timedelta(minutes=n))
        make_call(make_store(store.seller))
        here, everywhere = (
            figures.last_hours(scope, INDIA)[-1] for scope in (Scope.of_store(store), Scope.of_actor(actor))
        )
    assert (here.n_calls, here.n_throttled, here.n_answered) == (5, 2, 3)
    assert (everywhere.n_calls, everywhere.n_throttled) == (6, 2)


def test_counting_stops_where_more_says_enough(store, actor, monkeypatch) -> None:
    monkeypatch.setattr(figures, "MOST_ORDERS", 2)
    for _ in range(4):
        make_order(store)
    assert sum(hour.n_orders for hour in figures.last_hours(Scope.of_actor(actor), INDIA)[-2:]) in (2, 3, 4)
    assert figures.last_hours(Scope.of_actor(actor), INDIA)[-1].n_orders <= 2


def test_calls_that_failed_are_told_from_those_that_went_well(store, actor) -> None:
    for outcome in CallOutcome:
        make_call(store, outcome)
    hour = figures.last_hours(Scope.of_actor(actor), INDIA)[-1]
    assert (hour.n_calls, hour.n_throttled, hour.n_failed, hour.n_answered) == (5, 1, 3, 1)


def test_nothing_is_counted_of_other_workspaces_and_sellers(workspace, seller, store) -> None:
    foreign = make_store(make_seller(make_workspace()))
    for one in (store, foreign):
        make_order(one)
        make_call(one, "throttled")
        make_run(one)
    limited = Scope.of_actor(make_actor(make_user(workspace, sellers=[make_seller(workspace)])))
    own = Scope.of_actor(make_actor(make_user(workspace, sellers=[seller])))
    for scope, n in ((limited, 0), (own, 1), (Scope.of_store(store), 1)):
        hours, days = figures.last_hours(scope, INDIA), figures.last_days(scope, INDIA)
        assert sum(hour.n_orders for hour in hours) == n
        assert sum(hour.n_calls for hour in hours) == n
        assert sum(hour.n_throttled for hour in hours) == n
        assert sum(day.n_good for day in days) == n
        assert len(allowance.last_hour(scope)[0]) == n


def test_hours_and_days_are_counted_from_their_indexes(store, actor) -> None:
    for scope, orders, calls, runs in (
        (
            Scope.of_actor(actor),
            "ix_orders_workspace_id_imported_at",
            "ix_api_calls_workspace_id",
            "ix_sync_runs_ended_of_workspace",
        ),
        (
            Scope.of_store(store),
            "ix_orders_workspace_id_store_id_imported_at",
            "ix_api_calls_store_id",
            "ix_sync_runs_ended_of_store",
        ),
    ):
        steps = plans_of("imported_at", lambda scope=scope: figures.last_hours(scope, INDIA))
        for index in (orders, f"{calls}_started_at_id", f"{calls}_outcome_started_at_id"):
            assert any(f"INDEX {index} " in step for step in steps), (index, steps)
        of_outcomes = [step for step in steps if f"INDEX {calls}_outcome_started_at_id (" in step]
        assert len(of_outcomes) == 2, steps
        assert all("outcome=? AND started_at>" in step for step in of_outcomes), steps
        steps = plans_of("finished_at", lambda scope=scope: figures.last_days(scope, INDIA))
        assert sum(f"COVERING INDEX {runs} " in step for step in steps) == 4, steps


# Days -----------------------------------------------------------------------------------------------------------------


def test_runs_are_counted_by_outcome_and_skipped_turns_apart(store, actor) -> None:
    for state in ("succeeded", "succeeded", "partial", "failed", "skipped", "running"):
        sync = Sync.RETURN_PULL if state == "running" else Sync.ORDER_PULL
        make_run(store, state, sync=sync)
    today = figures.last_days(Scope.of_actor(actor), INDIA)[-1]
    assert (today.n_good, today.n_partial, today.n_failed, today.n_skipped) == (2, 1, 1, 1)
    assert (today.n_runs, today.n_bad) == (4, 2)


def test_a_night_with_a_change_of_the_clock_is_in_one_day_only(store, actor) -> None:
    with time_machine.travel("2026-10-25T12:00:00+00:00", tick=False):  # the clocks went back at 01:00 UTC
        zone = ZoneInfo("Europe/Berlin")
        make_run(store, finished_at=clock.now() - timedelta(hours=13, minutes=50))  # 00:10 in summer time
        make_run(store, finished_at=clock.now() - timedelta(hours=14, minutes=10))  # 23:50 the day before
        days = figures.last_days(Scope.of_actor(actor), zone)
    assert [day.n_good for day in days[-2:]] == [1, 1]


# Push lag -------------------------------------------------------------------------------------------------------------


def push(store, minutes_ago: int, state: RunState = RunState.SUCCEEDED, takes: int = 2, **values):
    ended = clock.now() - timedelta(minutes=minutes_ago)
    return make_run(
        store,
        state,
        sync=Sync.INVENTORY_PUSH,
        started_at=ended - timedelta(minutes=takes),
        finished_at=ended,
        **values,
    )


def test_the_longest_wait_goes_from_the_beginning_of_the_push_before(store) -> None:
    with time_machine.travel("2026-11-23T20:40:00+00:00", tick=False):
        push(store, 130)
        push(store, 70, RunState.FAILED)  # it brought nothing to Amazon, so the wait goes on
        push(store, 40, RunState.PARTIAL, n_updated=5)
        last = push(store, 10, takes=4, n_updated=7)
    waits = push_lag.of_store(store)
    assert [(wait.minutes, wait.n_taken) for wait in waits] == [(92, 5), (32, 7)]
    assert waits[-1].run_id == last.id


def test_one_push_alone_tells_nothing(store) -> None:
    push(store, 10)
    assert push_lag.of_store(store) == []


def test_stores_are_counted_by_the_age_of_their_last_good_push(seller, store, actor) -> None:
    for minutes in (30, 50, 100, 300, 5_000):
        other = make_store(seller)
        make_sync_state(other, Sync.INVENTORY_PUSH, minutes_since_good=minutes)
    make_sync_state(other, minutes_since_good=30)  # of orders
    make_sync_state(make_store(seller), Sync.INVENTORY_PUSH, last_success_at=None)  # turned on a minute ago
    make_sync_state(store, Sync.INVENTORY_PUSH, fresh_until=None)  # turned off
    ages = push_lag.by_age(Scope.of_actor(actor))
    assert [n for _, n in ages] == [2, 1, 1, 0, 1, 1]
    assert [words for words, _ in ages[-2:]] == ["More than 24 hours", "None yet"]
    says = charts.push_lag_by_store(ages).says
    assert "Of 6 stores with Inventory Sync on, 2 had no good push for more than 2 hours, and 1 had none yet." in says


# Allowance ------------------------------------------------------------------------------------------------------------


def test_calls_of_the_last_hour_stand_beside_what_amazon_allows(store, actor) -> None:
    for _ in range(36):
        make_call(store)
    make_call(store, "throttled", operation="batchInventory")
    make_call(store, operation="batchInventory", started_at=clock.now() - timedelta(minutes=61))
    make_call(store, operation="exchangeCode")
    uses, is_more = allowance.last_hour(Scope.of_actor(actor))
    an_hour_of_shipments = round(settings.shipments_requests_per_second * 3_600) + 1  # and a bucket of one
    assert [(use.operation, use.n_calls, use.n_throttled, use.n_allowed) for use in uses] == [
        ("getShipments", 36, 0, an_hour_of_shipments),
        ("batchInventory", 1, 1, 180_100),
        ("exchangeCode", 1, 0, None),
    ]
    assert uses[0].percent == pytest.approx(3_600 / an_hour_of_shipments, rel=0.01)
    assert uses[0].store_name == store.name
    assert not is_more


def test_only_so_many_calls_are_looked_at(store, actor, monkeypatch) -> None:
    monkeypatch.setattr(allowance, "MOST_LOOKED_AT", 3)
    for _ in range(5):
        make_call(store)
    uses, is_more = allowance.last_hour(Scope.of_actor(actor))
    assert (uses[0].n_calls, is_more) == (3, True)


# Work and people ------------------------------------------------------------------------------------------------------


def waiting_for(actor) -> work.Work:
    return work.of(actor, counts.of_actor(actor))


def test_work_is_counted_by_state_with_the_earliest_deadline_of_each(store, actor) -> None:
    now = clock.now()
    late = make_order(store, "Picked", ship_by_at=now - timedelta(hours=1))
    make_order(store, "Picked", ship_by_at=now + timedelta(hours=5))
    make_order(store, "On Hold", ship_by_at=now - timedelta(hours=9))
    make_order(store, "Packed", ship_by_at=None)
    make_order(store, "Delivered", ship_by_at=now - timedelta(days=9))
    make_conflict(make_order(store, "Shipped"))
    brake = make_zero_brake(store)
    found = waiting_for(actor)
    assert [(one.state.value, one.n, one.first_at) for one in found.waiting] == [
        ("New Order", 0, None),
        ("Picked", 2, late.ship_by_at),
        ("Packed", 1, None),
        ("Ready to Ship", 0, None),
        ("On Hold", 1, now - timedelta(hours=9)),
    ]
    assert (found.n_overdue, found.n_soon, found.n_to_work) == (2, 1, 3)
    assert found.most_urgent.id == late.id  # one On Hold cannot be worked
    assert [(reason.value, n) for reason, n in found.holds] == [("no_hub_mapped", 1)]
    assert [one.id for one in found.brakes] == [brake.id]
    assert found.counts.n_conflicts == 1
    assert found.has_to_dos


def test_invoices_to_do_are_counted_from_their_index(actor) -> None:
    steps = plans_of("is_invoice_waiting", lambda: counts.of_actor(actor))
    assert any("INDEX ix_orders_invoice_waiting " in step for step in steps), steps


def test_cancellations_that_amazon_does_not_have_are_to_do_and_counted_from_their_index(store, actor) -> None:
    order = make_order(store, "Cancelled", cancellation=OrderCancellation.NOT_SENT)
    found = waiting_for(actor)
    assert (found.n_cancellations, found.has_to_dos) == (1, True)
    steps = plans_of("'not_sent'", lambda: waiting_for(actor))
    assert any("INDEX ix_orders_open_cancellations_of_workspace " in step for step in steps), steps
    order.amazon_status = "CANCELLED"
    db.session.commit()
    assert waiting_for(actor).n_cancellations == 0


def test_a_limited_merchant_has_the_work_of_their_sellers_only(workspace, seller, store) -> None:
    make_order(store, "On Hold")
    make_order(store)
    make_zero_brake(store)
    found = waiting_for(make_actor(make_user(workspace, sellers=[make_seller(workspace)])))
    assert (sum(one.n for one in found.waiting), found.most_urgent, found.has_to_dos) == (0, None, False)
    found = waiting_for(make_actor(make_user(workspace, sellers=[seller])))
    assert (sum(one.n for one in found.waiting), len(found.holds), len(found.brakes)) == (2, 1, 1)


def test_people_are_told_with_their_sessions(workspace, actor, signed_in) -> None:
    asha = make_user(workspace, name="Asha")
    signed_in(asha)
    signed_in(asha)
    make_user(workspace, is_active=False)
    make_user(make_workspace(), name="Foreign")
    found = people.of(actor)
    assert [(user.name, n) for user, n in found.lately] == [("Asha", 2)]
    assert (found.n_active, found.n_deactivated, found.n_never_signed_in, found.n_sessions) == (2, 1, 1, 2)

"""Amazon throttling, failing, cutting and refusing through whole pulls: bounded, told in words, and caught up."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import ApiCall, Order, RunState, Store, StoreStatus, SyncRun, SyncState
from tests.support.pulls import (
    ENDED_WELL,
    MAPPED,
    SELLER,
    assert_all_is_well,
    do_attempt,
    do_run,
    make_due,
    make_pulled_store,
    new_run,
    row,
)

long = pytest.mark.faults
MAX_ATTEMPTS_PER_CALL = 5
# Fault, and what the page says of a run that met nothing else.
STORMS = {
    "throttle": "slow down",
    "error_503": "had a fault of its own",
    "error_500": "had a fault of its own",
    "slow": "could not be reached",
    "cut": "could not be reached",
    "cut_body": "could not be read",
    "html_instead_of_json": "could not be read",
    "drop_after_effect": "could not be reached",
}
# The answer to an acknowledgement has no body that could be cut.
STORMS_OF = {"getShipments": set(STORMS) - {"drop_after_effect"}, "processShipment": set(STORMS) - {"cut_body"}}


@pytest.fixture(autouse=True)
def quick(no_pace, app, monkeypatch) -> None:
    """A call that Amazon leaves without answer is given up after a second, a run after its first attempt."""
    settings = replace(app.config["SETTINGS"], amazon_timeout_seconds=1, run_max_attempts=1)
    monkeypatch.setitem(app.config, "SETTINGS", settings)


@long
def test_a_pull_of_ten_thousand_calls_stays_within_amazons_plan(
    store, sandbox, app, figure, scaled, monkeypatch
) -> None:
    """The client starts at ten times the pace of the plan and learns Amazon's from the answers."""
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], amazon_timeout_seconds=20))
    n_orders = scaled(9_900)
    sandbox.control.plans({"getShipments": {"rate": 50, "burst": 10}, "processShipment": {"rate": 100, "burst": 20}})
    sandbox.control.create_orders(n_orders, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.clear_stats()
    run = do_run(store)
    assert run.state is RunState.SUCCEEDED
    stats = sandbox.control.stats()
    share = stats["n_429"] / stats["n_calls"]
    words = assert_all_is_well(store, sandbox)
    figure("pace", f"{stats['n_calls']:,} calls, {stats['n_429']} answers 429 ({share:.2%}); {words}")
    assert share < 0.01


@pytest.mark.parametrize(
    ("kind", "operation"),
    [
        ("html_instead_of_json", "processShipment"),
        *(
            pytest.param(kind, operation, marks=long)
            for operation, kinds in STORMS_OF.items()
            for kind in sorted(kinds)
            if (kind, operation) != ("html_instead_of_json", "processShipment")
        ),
    ],
)
def test_a_storm_without_end_is_bounded_told_in_words_and_caught_up(store, sandbox, figure, kind, operation) -> None:
    """It begins in the middle: after two pages, or after 20 acknowledgements."""
    n_orders = 250 if operation == "getShipments" else 50
    sandbox.control.create_orders(n_orders, location_id=MAPPED, seller_id=SELLER)
    n_good = 2 if operation == "getShipments" else 20
    sandbox.control.fault(kind, operation=operation, skip=n_good, ms=3_000, status=200)
    sandbox.control.clear_stats()

    run = do_run(store)

    assert run.state is RunState.FAILED
    assert STORMS[kind] in run.error_sentence or "could not be reached" in run.error_sentence
    assert "Nothing is lost" in run.error_sentence
    assert all(word not in run.error_sentence for word in ("Traceback", "Error(", "<html", "None"))
    n_calls = sandbox.control.stats()["calls"][operation]
    at_once = 1 if operation == "getShipments" else 16  # eight lost ones end it, and eight more may be under way
    assert n_calls <= n_good + at_once * (MAX_ATTEMPTS_PER_CALL + 1)
    n_here = db.session.scalar(select(func.count(Order.id)))
    assert n_here == (200 if operation == "getShipments" else n_orders)

    sandbox.control.clear_faults()
    assert do_run(store).state is RunState.SUCCEEDED
    assert_all_is_well(store, sandbox)
    figure("storm", f"{kind} on {operation}: {n_calls - n_good} calls, failed in words, 0 lost")


@pytest.mark.parametrize(("n_orders", "share"), [(60, 0.03), pytest.param(2_000, 0.004, marks=long)])
def test_every_fault_at_random_through_one_pull(store, sandbox, figure, scaled, app, monkeypatch, n_orders, share):
    n_orders = scaled(n_orders) if n_orders > 60 else n_orders
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_max_attempts=20))
    sandbox.control.create_orders(n_orders, location_id=MAPPED, seller_id=SELLER)
    for kind in STORMS:
        sandbox.control.fault(kind, probability=share, ms=1_500)
    sandbox.control.clear_stats()
    n_attempts = 0
    run_id = new_run(store.id)
    while n_attempts < 200:
        n_attempts += 1
        run = do_attempt(run_id)
        if run.state in ENDED_WELL:
            break
        assert run.error_sentence
        if run.state is RunState.FAILED:
            run_id = new_run(store.id)
        else:
            make_due(run_id)
    stats = sandbox.control.stats()
    sandbox.control.clear_faults()
    assert do_run(store).state is RunState.SUCCEEDED
    words = assert_all_is_well(store, sandbox)
    figure("mixed", f"{n_orders:,} orders, {stats['n_calls']:,} calls, {n_attempts} attempts: {words}")


@pytest.mark.parametrize("n_stores", [2, pytest.param(20, marks=long)])
def test_a_refused_token_stops_every_call_of_its_stores(sandbox, app, figure, n_stores) -> None:
    """Stores of one account, each with a run waiting when the authorization ends; then ten more turns."""
    sandbox.control.plans({"*": None})
    stores = [make_pulled_store(sandbox) for _ in range(n_stores)]
    runs = [new_run(store.id) for store in stores]
    sandbox.control.revoke_tokens(SELLER)
    sandbox.control.clear_stats()
    for run_id in runs:
        run = do_attempt(run_id)
        assert run.state is RunState.FAILED
        assert "re-authorizes the store" in run.error_sentence
    n_token_calls = sandbox.control.stats()["n_token_calls"]
    assert n_token_calls <= n_stores
    db.session.rollback()
    statuses = set(db.session.scalars(select(Store.status)))
    assert statuses == {StoreStatus.NEEDS_REAUTHORIZATION}

    sandbox.control.clear_stats()
    late = [new_run(store.id) for store in stores]  # asked for before the refusal, taken up after it
    for _ in range(10):
        db.session.execute(update(SyncState).values(next_due_at=clock.now() - timedelta(hours=1)))
        db.session.commit()
        dispatch.dispatch()
    for run_id in late:
        do_attempt(run_id)
        assert row(run_id).state is RunState.SKIPPED
        assert "needs re-authorization" in row(run_id).error_sentence
    stats = sandbox.control.stats()
    assert (stats["n_calls"], stats["n_token_calls"]) == (0, 0)
    assert db.session.scalar(select(func.count(SyncRun.id))) == 2 * n_stores
    assert db.session.scalar(select(func.count(ApiCall.id)).where(ApiCall.run_id.in_(late))) == 0
    n_further = stats["n_calls"] + stats["n_token_calls"]
    figure("refused", f"{n_stores} stores, {n_token_calls} refusals, ten turns later: {n_further} further calls")

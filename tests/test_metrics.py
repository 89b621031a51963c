"""Counting for /metrics: after the commit, in one place for all processes, and never in anybody's way."""

import ast
import json
import re
import threading
import time
from pathlib import Path

import pytest
import redis

from flexdash import metrics
from flexdash.amazon.records import CallRecord
from flexdash.clock import now
from flexdash.database import transaction
from flexdash.metrics import COUNTERS, GAUGES, PREFIX, CallOutcome
from flexdash.models import RunState, Sync
from flexdash.services import sync_attempts
from flexdash.services.amazon_access import CallLog, StoreAtAmazon
from tests.factories import make_run, make_seller, make_store

ROOT = Path(__file__).parent.parent


def names() -> set[str]:
    """Return every metric's name as Prometheus shows it."""
    return {f"{PREFIX}{name}_total" for name in COUNTERS} | {PREFIX + name for name in GAUGES}


def test_what_is_counted_in_a_transaction_counts_once_that_is_committed(app):
    with transaction():
        metrics.count("orders_imported", 3)
        metrics.count("orders_imported", 2)
        assert metrics.counted()["orders_imported"] == {(): 0}
    assert metrics.counted()["orders_imported"] == {(): 5}


def test_what_is_rolled_back_was_never_counted(app):
    def fail_while_counting():
        with transaction():
            metrics.count("orders_imported")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_counting()
    with transaction():
        metrics.count("orders_held")
    counted = metrics.counted()
    assert (counted["orders_imported"][()], counted["orders_held"][()]) == (0, 1)


def test_all_of_a_transaction_costs_one_trip_to_redis(app, monkeypatch):
    trips = []
    real = metrics._Store.add
    monkeypatch.setattr(metrics._Store, "add", lambda store, values: (trips.append(values), real(store, values)))
    with transaction():
        for _ in range(10):
            metrics.count("orders_imported")
            metrics.count("prices", outcome="sent")
    assert [sorted(trip.values()) for trip in trips] == [[10, 10]]


def test_threads_and_processes_add_to_the_same_figure(app):
    def add():
        with app.app_context():
            for _ in range(50):
                metrics.count("orders_imported")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.counted()["orders_imported"][()] == 200


def test_a_counter_or_label_that_is_not_declared_is_a_mistake(app):
    for name, labels in (("orders", {}), ("prices", {}), ("prices", {"outcome": "sent", "store": "1"})):
        with pytest.raises(TypeError):
            metrics.count(name, **labels)


def test_all_that_is_counted_anywhere_is_declared_and_all_that_is_declared_is_counted():
    found: dict[str, set[frozenset[str]]] = {}
    for path in (ROOT / "flexdash").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "metrics.count":
                found.setdefault(node.args[0].value, set()).add(frozenset(word.arg for word in node.keywords))
    of_requests = {"http_requests", "http_request_seconds"}  # by metrics.py itself
    assert found == {name: {frozenset(COUNTERS[name].labels)} for name in COUNTERS.keys() - of_requests}


def test_known_labels_begin_at_nought(app):
    counted = metrics.counted()
    assert counted["prices"] == {("sent",): 0, ("applied",): 0, ("refused",): 0}
    assert counted["orders_held"] == {(): 0}
    assert counted["amazon_calls"] == {}


def test_milliseconds_come_out_as_seconds(app):
    metrics.count("sync_work_seconds", 1_500, sync=Sync.ORDER_PULL)
    assert metrics.counted()["sync_work_seconds"][("order_pull",)] == 1.5


def test_what_another_version_counted_is_passed_over(app, redis_server):
    with redis.Redis.from_url(redis_server) as connection:
        connection.hset(metrics.KEY, mapping={json.dumps(["gone"]): 1, json.dumps(["prices", "sent", "more"]): 1})
    assert metrics.counted()["prices"][("sent",)] == 0


def test_redis_away_costs_the_figures_and_nothing_else(app, monkeypatch):
    away = metrics._Store("redis://127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "flexdash_metrics", away)
    began = time.perf_counter()
    with transaction():
        metrics.count("orders_imported")
    metrics.count("orders_imported")
    assert time.perf_counter() - began < 1
    assert away._not_before > time.monotonic()  # left alone for a while


def test_a_redis_that_hangs_holds_nobody_up(app, monkeypatch):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hanging = metrics._Store(f"redis://127.0.0.1:{deaf.getsockname()[1]}/0")
        monkeypatch.setitem(app.extensions, "flexdash_metrics", hanging)
        began = time.perf_counter()
        for _ in range(20):
            metrics.count("orders_imported")
        assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, "", CallOutcome.OK),
        (207, None, CallOutcome.OK),
        (200, "unreadable", CallOutcome.UNREADABLE),
        (404, "NotFound", CallOutcome.REFUSED),
        (429, "QuotaExceeded", CallOutcome.THROTTLED),
        (503, "", CallOutcome.FAILED),
        (None, "timeout", CallOutcome.NO_ANSWER),
    ],
)
def test_each_end_of_a_call_has_its_name(status, code, outcome):
    assert metrics.call_outcome(status, code) is outcome


def test_calls_to_amazon_are_counted_with_their_rows(app, workspace):
    store = make_store(make_seller(workspace))
    calls = CallLog(StoreAtAmazon.of(store, "Atzr|x"))
    for status in (200, 429, 200):
        calls.add(
            CallRecord(
                operation="getShipments",
                method="GET",
                path="/x",
                status=status,
                duration_ms=250,
                amazon_request_id="",
                is_throttled=status == 429,
                error_code="",
                error_message="",
                started_at=now(),
                attempt=1,
                waited_ms=500,
                shipment_id="",
                response_excerpt="",
            )
        )
    calls.flush()
    counted = metrics.counted()
    assert counted["amazon_calls"] == {("getShipments", "ok"): 2, ("getShipments", "throttled"): 1}
    assert counted["amazon_throttled"] == {("getShipments",): 1}
    assert counted["amazon_call_seconds"] == {("getShipments",): 0.75}
    assert counted["amazon_wait_seconds"] == {("getShipments",): 1.5}


def test_the_ends_of_runs_are_counted(app, workspace):
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    for end in (
        sync_attempts.succeed,
        lambda run: sync_attempts.fail(run, "code", "Words."),
        lambda run: sync_attempts.skip(run, "Words."),
    ):
        end(sync_attempts.begin(make_run(store, RunState.QUEUED).id))
    counted = metrics.counted()["sync_runs_ended"]
    assert {outcome: counted["order_pull", outcome] for outcome in ("succeeded", "partial", "failed", "skipped")} == {
        "succeeded": 1, "partial": 0, "failed": 1, "skipped": 1,
    }  # fmt: skip


def test_every_metric_is_documented_and_nothing_else():
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = dict(re.findall(r"^\| `(flexdash_\w+)` \|([^|]*)\|", page, re.MULTILINE))
    assert set(documented) == names()
    for name, labels in documented.items():
        short = name.removeprefix(PREFIX)
        declared = GAUGES[short][1] if short in GAUGES else COUNTERS[short.removesuffix("_total")].labels
        assert re.findall(r"`(\w+)`", labels) == list(declared), name


def test_the_dashboard_and_the_alerts_know_only_metrics_and_labels_there_are():
    page = (ROOT / "docs" / "metrics.md").read_text()
    dashboard = json.loads((ROOT / "docs" / "grafana" / "flexdash.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) > 15
    assert set(re.findall(r"flexdash_\w+", page)) <= names()
    for expression in expressions:
        mentioned = set(re.findall(r"flexdash_\w+", expression))
        assert mentioned, expression
        assert mentioned <= names(), expression
        labels = set()
        for name in mentioned:
            short = name.removeprefix(PREFIX)
            labels |= set(GAUGES[short][1] if short in GAUGES else COUNTERS[short.removesuffix("_total")].labels)
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        selected = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", expression))
        assert grouped | selected <= labels, expression

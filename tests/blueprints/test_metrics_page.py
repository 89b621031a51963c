"""/metrics: readable by Prometheus, by nobody who should not, and full of figures even with half of FlexDash away."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import OperationalError

from flexdash import metrics
from flexdash.extensions import limiter
from flexdash.models import Role
from flexdash.services import figures
from tests.factories import make_order, make_seller, make_store, make_user, make_workspace
from tests.test_metrics import names

TOKEN = "a-token-of-thirty-characters-00"


@pytest.fixture
def with_token(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], metrics_token=TOKEN))


@pytest.fixture(autouse=True)
def _no_throttle(app: Flask) -> Iterator[None]:
    limiter.reset()
    yield
    limiter.reset()


def read(client: FlaskClient) -> dict[tuple[str, ...], float]:
    """Return the page's values by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_this_machine_reads_every_metric(client: FlaskClient) -> None:
    answer = client.get("/metrics")
    assert answer.content_type.startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(answer.text)
    }
    assert set(families) == names()
    assert all(family.documentation for family in families.values())


def test_in_production_nobody_reads_them_without_the_token(app: Flask, client: FlaskClient, monkeypatch) -> None:
    """A proxy on this machine that adds no header looks like this machine."""
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], flexdash_env="production"))
    assert client.get("/metrics").status_code == 403


def test_openmetrics_is_spoken_to_who_asks_for_it(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_figures_of_database_redis_and_parts_stand_side_by_side(client: FlaskClient, workspace) -> None:
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    make_order(store, "On Hold")
    metrics.count("amazon_calls", 7, operation="getShipments", outcome="ok")
    values = read(client)
    assert values["flexdash_stores", "connected"] == 1
    assert values["flexdash_orders_waiting", "on_hold"] == 1
    assert values["flexdash_amazon_calls_total", "getShipments", "ok"] == 7
    assert values["flexdash_part_up", "database"] == 1
    assert values["flexdash_part_up", "worker"] == 0
    assert values["flexdash_queue_jobs", "sync"] == 0
    assert values["flexdash_scrape_problem", "database"] == 0


def test_requests_are_counted_by_area_and_status(client: FlaskClient) -> None:
    client.get("/sign-in")
    client.get("/no/such/page")
    client.get("/healthz")
    values = read(client)
    assert values["flexdash_http_requests_total", "auth", "200"] == 1
    assert values["flexdash_http_requests_total", "none", "404"] == 1
    assert ("flexdash_http_requests_total", "health", "200") not in values


def test_sign_ins_are_counted(app: Flask, client: FlaskClient) -> None:
    user = make_user(make_workspace())
    for password in ["wrong"] * 6:
        client.post("/sign-in", data={"email": user.email, "password": password})
    values = read(client)
    assert values["flexdash_sign_ins_total", "refused"] == 5
    assert values["flexdash_sign_ins_total", "throttled"] == 1


def test_no_name_of_anybody_is_a_label(client: FlaskClient, signed_in) -> None:
    workspace = make_workspace("Northwind Canary")
    store = make_store(make_seller(workspace, "Seller Canary"), name="Store Canary")
    make_order(store)
    signed_in(make_user(workspace, Role.ADMIN, name="User Canary")).get(f"/stores/{store.id}")
    assert "Canary" not in client.get("/metrics").text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via"])
def test_nobody_reads_through_a_proxy_without_a_token(client: FlaskClient, header: str) -> None:
    answer = client.get("/metrics", headers={header: "127.0.0.1"})
    assert answer.status_code == 403
    assert "METRICS_TOKEN" in answer.text
    assert "flexdash_" not in answer.text


def test_another_machine_needs_the_token(client: FlaskClient) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 403
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": "::1"}).status_code == 200


def test_behind_a_declared_proxy_only_the_token_opens(app: Flask, client: FlaskClient, monkeypatch) -> None:
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], trusted_proxies=1))
    assert client.get("/metrics").status_code == 403


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer", "Basic " + TOKEN, TOKEN, "Bearer é"])
def test_with_a_token_set_nothing_else_opens(client: FlaskClient, with_token, given: str | None) -> None:
    answer = client.get("/metrics", headers={"Authorization": given} if given else {})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "flexdash_" not in answer.text


def test_the_token_opens_from_anywhere(client: FlaskClient, with_token) -> None:
    answer = client.get(
        "/metrics",
        headers={"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "192.0.2.7"},
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert answer.status_code == 200


def test_without_redis_the_database_is_still_told_of(app: Flask, client: FlaskClient, monkeypatch) -> None:
    monkeypatch.setitem(app.extensions, "flexdash_redis", redis.Redis.from_url("redis://127.0.0.1:1/0"))
    values = read(client)
    assert values["flexdash_scrape_problem", "redis"] == 1
    assert values["flexdash_part_up", "redis"] == 0
    assert values["flexdash_stores", "connected"] == 0


def test_without_the_database_redis_is_still_told_of(client: FlaskClient, monkeypatch) -> None:
    def away(*_arguments: object) -> None:
        raise OperationalError("SELECT", {}, Exception("could not connect to server"))

    monkeypatch.setattr(figures, "of_everything", away)
    values = read(client)
    assert values["flexdash_scrape_problem", "database"] == 1
    assert values["flexdash_queue_jobs", "sync"] == 0
    assert ("flexdash_stores", "connected") not in values

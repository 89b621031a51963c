"""The API log: what it is narrowed to, what stands in it, and when it is deleted."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from flexdash import clock
from flexdash.amazon import client as amazon_client
from flexdash.amazon.errors import AmazonError
from flexdash.extensions import db, settings
from flexdash.models import ApiCall, CallOutcome, Store
from flexdash.services import api_log
from flexdash.services.amazon_access import amazon_for
from flexdash.services.api_log import CallFilters
from tests import factories

LWA_PATH = "/auth/o2/token"


@pytest.fixture
def store(workspace) -> Store:
    return factories.make_store(factories.make_seller(workspace))


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, "support"))


def found(actor, **filters) -> list[ApiCall]:
    listing = api_log.listing(actor, CallFilters(**filters))
    query = listing.found if listing.sift is None else listing.found.where(listing.sift)
    return list(db.session.scalars(query.order_by(ApiCall.id)))


def test_the_log_is_narrowed_by_store_operation_and_outcome(store, actor):
    other = factories.make_store(store.seller)
    confirm = factories.make_call(store, "refused", operation="processShipment")
    listed = factories.make_call(store)
    elsewhere = factories.make_call(other, "throttled")
    assert found(actor, store_id=store.id) == [confirm, listed]
    assert found(actor, operation="getShipments") == [listed, elsewhere]
    assert found(actor, outcome=CallOutcome.THROTTLED) == [elsewhere]
    assert found(actor, operation="processShipment", outcome=CallOutcome.REFUSED) == [confirm]
    assert found(actor, operation="processShipment", outcome=CallOutcome.SUCCESS) == []


def test_the_log_is_narrowed_to_days(store, actor):
    now = clock.now()
    old = factories.make_call(store, started_at=now - timedelta(days=3))
    new = factories.make_call(store, started_at=now)
    assert found(actor, since=now - timedelta(days=1)) == [new]
    assert found(actor, until=now - timedelta(days=1)) == [old]


@pytest.mark.parametrize("name", ["request", "shipment", "order id", "own number", "sku", "spoken order id"])
def test_a_call_is_found_by_every_name_of_what_it_is_about(store, actor, name):
    order = factories.make_order(store, amazon_order_id="403-1234567-7654321")
    call = factories.make_call(
        store, amazon_request_id="r-77", amazon_shipment_id=order.amazon_shipment_id, sku_code="A-1"
    )
    factories.make_call(store, amazon_request_id="r-777", amazon_shipment_id="OTHER", sku_code="A-10")
    sought = {
        "request": "r-77",
        "shipment": order.amazon_shipment_id,
        "order id": "403-1234567-7654321",
        "own number": f"fd-{order.id:06d}",
        "sku": "A-1",
        "spoken order id": "40312345677654321",
    }[name]
    assert found(actor, text=f" {sought} ") == [call]
    assert found(actor, text=sought, outcome=CallOutcome.SUCCESS, operation="getShipments") == [call]
    assert found(actor, text=sought, outcome=CallOutcome.REFUSED, operation="getShipments") == []


def test_nothing_of_another_workspace_is_found_by_its_names(store, actor):
    foreign = factories.make_store(factories.make_seller(factories.make_workspace()))
    factories.make_call(foreign, amazon_request_id="r-77", amazon_shipment_id="SHIP", sku_code="A-1")
    for text in ("r-77", "SHIP", "A-1"):
        assert found(actor, text=text) == []


ENDINGS = {
    "success": (httpx.Response(200, json={"payload": []}), CallOutcome.SUCCESS),
    "refused": (httpx.Response(403, json={"errors": [{"code": "Denied", "message": "No"}]}), CallOutcome.REFUSED),
    "cut": (httpx.Response(200, content=b'{"payload": [{"name": "Asha'), CallOutcome.FAULT),
    "fault": (httpx.Response(500, json={"errors": [{"code": "InternalFailure"}]}), CallOutcome.FAULT),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_each_call_is_kept_with_how_it_ended(store, monkeypatch, ending):
    reply, outcome = ENDINGS[ending]

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == LWA_PATH:
            return httpx.Response(200, json={"access_token": "Atza|a", "refresh_token": "Atzr|r", "expires_in": 3600})
        return reply

    pool = httpx.Client(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(amazon_client, "shared_pool", lambda: pool)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    try:
        with amazon_for(store) as client:
            client.sellers.marketplace_participations()
    except AmazonError:
        assert outcome is not CallOutcome.SUCCESS
    call = db.session.scalars(select(ApiCall).where(ApiCall.operation != "refreshToken").order_by(ApiCall.id)).first()
    assert call.outcome is outcome
    assert "Asha" not in call.answered
    assert bool(call.answered) is (outcome is not CallOutcome.SUCCESS)


def test_calls_are_deleted_once_they_were_kept_long_enough(store):
    now = clock.now()
    kept_for = timedelta(days=settings.api_log_days)
    ages = (kept_for + timedelta(minutes=1), kept_for - timedelta(minutes=1), timedelta(0))
    calls = [factories.make_call(store, started_at=now - age).id for age in ages]
    assert api_log.delete_old(now) == 1
    assert list(db.session.scalars(select(ApiCall.id).order_by(ApiCall.id))) == calls[1:]
    assert api_log.delete_old(now) == 0


def test_much_that_is_old_is_deleted_in_bounded_batches(store, monkeypatch):
    monkeypatch.setattr(api_log, "BATCH", 2)
    monkeypatch.setattr(api_log, "BATCHES_PER_TICK", 2)
    now = clock.now()
    for _ in range(5):
        factories.make_call(store, started_at=now - timedelta(days=settings.api_log_days + 1))
    assert [api_log.delete_old(now) for _ in range(3)] == [4, 1, 0]
    assert db.session.scalar(select(func.count(ApiCall.id))) == 0

"""The client put together: a stub of Amazon, a real Redis, many threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flexdash.amazon import errors
from flexdash.amazon.client import AmazonClient, AmazonSettings
from tests.amazon.examples import shipment
from tests.amazon.stub import EXPIRED, GOOD_TOKEN, Give


def test_a_shipment_is_read_with_a_token_fetched_on_the_way(client, stub, records):
    stub.answers = [Give(200, shipment())]
    with client as amazon:
        assert amazon.shipments.get("D1")["id"] == "D1px1063T"
        amazon.shipments.get("D1")
    assert len(stub.token_calls) == 1
    assert {seen.headers["x-amz-access-token"] for seen in stub.seen} == {"Atza|good"}
    assert [record.operation for record in records] == ["refreshToken", "getShipment", "getShipment"]
    assert "Atz" not in repr(records)


def test_twenty_threads_with_one_expired_token_cause_one_refresh(client, stub):
    client.shipments.get("D1")
    assert len(stub.token_calls) == 1
    stub.token_answers = [Give(200, {**GOOD_TOKEN, "access_token": "Atza|fresh"})]
    stub.answers = lambda seen: Give(200, {}) if seen.headers["x-amz-access-token"] == "Atza|fresh" else EXPIRED
    barrier = threading.Barrier(20)

    def read(_):
        barrier.wait()
        return client.shipments.get("D1")

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(read, range(20))) == [{}] * 20
    assert len(stub.token_calls) == 2


def test_a_refused_authorization_sends_nothing_to_the_api(client, stub):
    stub.token_answers = [Give(400, {"error": "invalid_grant"})]
    for _ in range(3):
        with pytest.raises(errors.AuthorizationRefused):
            client.shipments.confirm("D1")
    assert len(stub.token_calls) == 1
    assert stub.seen == []


def test_forget_token_makes_the_next_call_fetch_one(client, stub):
    client.shipments.get("D1")
    client.forget_token()
    client.shipments.get("D1")
    assert len(stub.token_calls) == 2


def test_a_code_is_exchanged_without_a_store(amazon_settings, stub, http, records):
    grant = AmazonClient.exchange_code(
        amazon_settings, "code", "https://f.example/cb", on_call=records.append, http=http
    )
    assert grant.refresh_token == "Atzr|seller"
    assert [record.operation for record in records] == ["exchangeCode"]


def test_the_shared_pool_serves_when_none_is_given(amazon_settings, stub, redis_connection, cipher):
    facts = {"partner_id": "A1", "region": "NA", "refresh_token": "Atzr|x"}
    with AmazonClient(amazon_settings, redis_connection, cipher, **facts) as amazon:
        assert amazon.shipments.get("D1") == {}


def test_a_region_that_is_none_is_refused(amazon_settings, redis_connection, cipher):
    with pytest.raises(ValueError, match="region must be one of NA, EU, FE"):
        AmazonClient(amazon_settings, redis_connection, cipher, partner_id="A", region="MARS", refresh_token="r")


def test_the_settings_never_show_the_secret():
    settings = AmazonSettings(client_id="id", client_secret="very-secret", app_version="2.1")
    assert "very-secret" not in repr(settings)
    assert settings.user_agent == "FlexDash/2.1 (Language=Python)"

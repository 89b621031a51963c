"""What is kept of requests and of refusals: enough to look into them, and nobody's data."""

import json

import pytest

from flexdash.amazon import excerpts
from flexdash.amazon.wire import Reply

BUYER = ("Asha Rao", "12 MG Road", "Pune", "411001", "+91 98220 12345", "asha@example.com")
SHIPMENT = {
    "id": "SB1",
    "status": "CONFIRMED",
    "shippingInfo": {
        "shipToAddress": {"name": BUYER[0], "addressLine1": BUYER[1], "city": BUYER[2], "postalCode": BUYER[3]},
        "phone": BUYER[4],
        "emails": [BUYER[5], {"value": BUYER[0]}],
    },
    BUYER[0]: BUYER[1],
}


def answered(data, status=400) -> str:
    return excerpts.of_answer(Reply(status=status, body=json.dumps(data).encode()), data)


def test_what_amazon_says_of_a_refusal_is_kept():
    said = {"errors": [{"code": "SC_00002", "message": "InvalidInput", "details": "status is missing"}]}
    assert json.loads(answered(said)) == said


@pytest.mark.parametrize(
    "data", [SHIPMENT, {"errors": [{"code": "X", "shipment": SHIPMENT}]}, [SHIPMENT], SHIPMENT | {"a": {"b": SHIPMENT}}]
)
def test_a_shipment_inside_an_answer_gives_its_buyer_away_at_no_place(data):
    kept = answered(data)
    assert [word for word in BUYER if word in kept] == []
    assert "SB1" in kept
    assert "[hidden]" in kept


def test_an_answer_that_broke_off_is_told_by_its_length_only():
    body = json.dumps({"shipments": [SHIPMENT]}).encode()[:-9]
    for reply in (
        Reply(status=200, body=body),
        Reply(status=400, body=body),
        Reply(status=200, body=body, failure="unreadable"),
    ):
        assert excerpts.of_answer(reply, None) == f"{len(body)} bytes that could not be read"


def test_words_go_without_tokens_addresses_and_telephone_numbers():
    kept = answered({"message": f"Atza|secret of {BUYER[5]}, call {BUYER[4]}", "code": "Atzr|another"})
    assert [word for word in ("secret", "another", *BUYER) if word in kept] == []


def test_a_refusal_of_amazons_document_storage_is_its_code_and_words():
    body = b"<Error><Code>Expired</Code><AWSAccessKeyId>AKIA7</AWSAccessKeyId><Message>Too late</Message></Error>"
    assert excerpts.of_answer(Reply(status=403, body=body), None) == "Expired · Too late"


def test_a_request_is_kept_with_its_filters_and_without_its_place_in_the_list():
    kept = excerpts.of_request(
        [("status", "ACCEPTED"), ("lastUpdatedAfter", "2026-11-23T10:00:00Z"), ("paginationToken", "opaque")], None
    )
    assert kept == "status=ACCEPTED lastUpdatedAfter=2026-11-23T10:00:00Z paginationToken=[hidden]"


def test_the_quantities_of_a_batch_are_kept():
    body = {
        "requests": [{"method": "POST", "uri": "/inventory/update?locationId=EXSB&skuId=A-1", "body": {"quantity": 3}}]
    }
    assert json.loads(excerpts.of_request([], body)) == body


def test_nothing_sent_and_nothing_answered_is_nothing():
    assert excerpts.of_request([], None) == ""
    assert excerpts.of_answer(Reply(status=500), None) == ""


def test_long_and_deep_answers_are_cut():
    deep: dict = {}
    for _ in range(50):
        deep = {"body": deep, "code": "x" * 3_000}
    kept = answered([deep] * 100)
    assert len(kept) == excerpts.MAX_LENGTH


@pytest.mark.parametrize(
    "data",
    [
        {"errors": ["Cannot ship to Asha Rao, 12 MG Road, asha@example.com"]},
        {"errors": [{"code": "InvalidInput", "reason": "Asha Rao of Pune"}]},
        {"body": "asha@example.com"},
        ["Asha Rao 411001"],
    ],
)
def test_words_under_the_name_of_a_fact_are_no_fact(data):
    kept = answered(data)
    assert [word for word in BUYER if word in kept] == []
    assert "[hidden]" in kept


@pytest.mark.parametrize(
    "data",
    [
        ["9876543210", "AshaVerma"],
        {"errors": ["Invalid:AshaVerma:9876543210"]},
        {"id": 9876543210, "value": 9876543210, "reason": "9876543210"},
        {"body": "QXNoYVZlcm1hLCAxMiBNRyBSb2Fk"},
        {"AshaVerma": 1},
    ],
)
def test_a_bare_value_where_others_belong_or_that_may_be_a_telephone_number_is_hidden(data):
    kept = answered(data)
    assert [word for word in ("Asha", "9876543210", "QXNo") if word in kept] == []


def test_of_an_answer_about_a_shipment_that_is_no_json_only_the_length_is_kept():
    reply = Reply(status=400, body=b"name=Asha+Verma&address=12+MG+Road")
    assert excerpts.of_answer(reply, None, is_about_shipment=True) == "34 bytes that could not be read"
    assert "Bad gateway" in excerpts.of_answer(Reply(status=502, body=b"<h1>Bad gateway</h1>"), None)


def test_amazons_own_long_numbers_stay():
    assert "5023491020580" in answered({"feedId": "5023491020580", "code": "X"})

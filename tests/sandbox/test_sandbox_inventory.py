"""batchInventory: lines that are taken, refused, and numbered."""

from urllib.parse import quote

import pytest

from amazon_sandbox.control_client import ControlError

INVENTORIES = "/externalFulfillment/inventory/2024-09-11/inventories"


def line(sku_code="MUG-STD", quantity=None, number=None, location_id="EXSB", verb=None, **changes):
    verb = verb or ("fetch" if quantity is None else "update")
    body = {"marketplaceAttributes": {"marketplaceId": "A21TJRUUN4KGV", "channelName": "FBA"}}
    if quantity is not None:
        body["quantity"] = quantity
    if number is not None:
        body["clientSequenceNumber"] = number
    uri = f"/inventory/{verb}?locationId={location_id}&skuId={quote(sku_code, safe='')}"
    return {"method": "POST", "uri": uri, "body": body, **changes}


@pytest.fixture
def send(api):
    """Sends lines; (status, error types, body) of each."""

    def call(*lines):
        response = api("POST", INVENTORIES, body={"requests": list(lines)})
        assert response.status_code == 207, response.text
        return [
            (
                part["status"]["statusCode"],
                [error["errorType"] for error in part["body"]["actionableErrors"]],
                part["body"],
            )
            for part in response.json()["responses"]
        ]

    return call


def test_an_update_is_absolute_and_fetched_as_it_was_sent(send):
    send(line(quantity=15, number=1))
    send(line(quantity=7, number=2))
    [(status, errors, body)] = send(line())
    assert (status, errors) == (200, [])
    assert (body["sellableQuantity"], body["clientSequenceNumber"]) == (7, 2)
    assert (body["locationId"], body["skuId"]) == ("EXSB", "MUG-STD")


@pytest.mark.parametrize("sku_code", ["A/B C", "50% OFF", "Ü&K=1", "1E5", "A+B"])
def test_skus_come_back_as_they_were_sent(send, sku_code):
    [(status, _, body)] = send(line(sku_code, quantity=1, number=1))
    assert (status, body["skuId"]) == (200, sku_code)


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (line("NOT-LISTED-9", quantity=1), "INVALID_SKU"),
        (line("", quantity=1), "INVALID_SKU"),
        (line(quantity=-1), "INVALID_QUANTITY"),
        (line(verb="update"), "INVALID_QUANTITY"),
        (line(quantity=1, location_id="ZZZZ"), "INVALID_LOCATION"),
        (line(quantity=1, method="GET"), "INVALID_METHOD"),
        (
            line(quantity=1, body={"quantity": 1, "marketplaceAttributes": {"marketplaceId": "X"}}),
            "INVALID_MARKETPLACE",
        ),
    ],
)
def test_a_refused_line_leaves_the_others_alone(send, refused, error):
    answers = send(line("MUG-STD", quantity=1), refused, line("NOTE-A5", quantity=2))
    assert [status for status, _, _ in answers] == [200, 400, 200]
    assert answers[1][1] == [error]


def test_a_line_may_be_taken_and_still_need_mending(send):
    [(status, errors, body)] = send(line("NO-WEIGHT-1", quantity=3))
    assert (status, errors) == (200, ["PRODUCT_ATTRIBUTE_VALIDATION_FAILURE"])
    assert body["actionableErrors"][0]["errorSubType"] == "MISSING_WEIGHT"
    assert body["sellableQuantity"] == 3


def test_an_older_sequence_number_never_overwrites_a_newer_one(send):
    send(line(quantity=15, number=10))
    [(status, errors, body)] = send(line(quantity=99, number=9))
    assert (status, errors) == (409, ["INVALID_CLIENT_SEQUENCE_NUMBER"])
    assert (body["sellableQuantity"], body["clientSequenceNumber"]) == (15, 10)
    assert send(line(quantity=15, number=10))[0][0] == 200, "the same again is no fault"
    assert send(line(quantity=16, number=10))[0][0] == 409


def test_without_a_number_the_next_one_is_given(send):
    send(line(quantity=15, number=10))
    assert send(line(quantity=5))[0][2]["clientSequenceNumber"] == 11


def test_the_echo_reading_demands_the_number_last_answered(sandbox, send):
    sandbox.control.options(inventory_sequence="echo")
    assert send(line(quantity=1, number=5))[0][2]["clientSequenceNumber"] == 6
    assert send(line(quantity=2, number=9))[0][0] == 409
    assert send(line(quantity=2, number=6))[0][2]["clientSequenceNumber"] == 7


def test_open_orders_reserve_units_until_they_leave(sandbox, send):
    first, second = sandbox.control.create_orders(2, lines=1, units=3, sku_codes=["MUG-STD"])
    assert send(line())[0][2]["reservedQuantity"] == 6
    sandbox.control.cancel(first)
    sandbox.control.move(second, "SHIPPED")
    assert send(line())[0][2]["reservedQuantity"] == 0


def test_more_than_ten_lines_are_refused_whole(sandbox, api):
    response = api("POST", INVENTORIES, body={"requests": [line(quantity=1)] * 11})
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "BATCH_SIZE_EXCEED")
    assert sandbox.control.stock() == []


@pytest.mark.parametrize(
    "requests",
    [
        None,
        [],
        ["x"],
        [{"method": "POST"}],
        [line(quantity="5")],
        [line(quantity=True)],
        [line(quantity=1.5)],
        [line(quantity=1, number="7")],
        [line(quantity=1, method="PUT")],
        [line(quantity=1, body=[])],
        [line(quantity=1, body={"marketplaceAttributes": {"channelName": "ETSY"}})],
    ],
)
def test_what_the_model_forbids_is_refused_whole(api, requests):
    assert api("POST", INVENTORIES, body={"requests": requests}).status_code == 400


def test_a_line_that_is_left_out_of_the_answer_is_done_all_the_same(sandbox, send):
    sandbox.control.fault("inventory_left_out", sku_code="B", count=1)
    answered = send(line("A", quantity=1), line("B", quantity=2), line("C", quantity=3))
    assert [body["skuId"] for _, _, body in answered] == ["A", "C"]
    assert [body["sellableQuantity"] for _, _, body in send(line("B"))] == [2]


def test_a_quantity_is_changed_at_once_as_in_seller_central(sandbox, send):
    send(line(quantity=15, number=4))
    sandbox.control.set_stock("MUG-STD", 9)
    [(_, _, body)] = send(line())
    assert (body["sellableQuantity"], body["clientSequenceNumber"]) == (9, 4)
    for cannot_be in (("NOT-LISTED-1", 1, "EXSB"), ("MUG-STD", 1, "DXB3"), ("MUG-STD", -1, "EXSB")):
        with pytest.raises(ControlError, match="400"):
            sandbox.control.set_stock(*cannot_be)


def test_faults_refuse_a_line_and_shuffle_the_answers(sandbox, send):
    sandbox.control.fault("inventory_refused", count=1)
    assert [status for status, _, _ in send(line("A", quantity=1), line("B", quantity=1))] == [400, 200]
    sandbox.control.fault("inventory_refused", sku_code="B")
    assert [status for status, _, _ in send(line("A", quantity=1), line("B", quantity=1))] == [200, 400]
    sandbox.control.clear_faults()
    sandbox.control.fault("shuffled_batch", count=1)
    assert [body["skuId"] for _, _, body in send(line("A"), line("B"))] == ["B", "A"]

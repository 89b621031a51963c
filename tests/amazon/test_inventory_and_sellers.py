"""Inventory and participations: strict in what is sent, lenient in what is read."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from flexdash.amazon import errors
from flexdash.amazon.inventory import ActionableError, Inventory, InventoryItem, InventoryUpdate
from flexdash.amazon.sellers import Participation, Sellers
from tests.amazon.stub import Give


@pytest.fixture
def inventory(new_transport):
    return Inventory(new_transport())


def update(sku_code, quantity=1, **changes):
    facts = {"location_id": "EXSB", "sku_code": sku_code, "marketplace_id": "A21TJRUUN4KGV", "quantity": quantity}
    return InventoryUpdate(**{**facts, **changes})


def line(sku_code, status=200, location_id="EXSB", **body):
    found = {"skuId": sku_code, "locationId": location_id, **body}
    return {"status": {"statusCode": status, "reasonPhrase": "Said"}, "body": found}


def test_quantities_are_sent_with_encoded_ids(inventory, stub):
    stub.answers = [Give(207, {"responses": [line("a&b/ü")]})]
    inventory.update([update("a&b/ü", 15, sequence_number=7)])
    (seen,) = stub.seen
    assert (seen.method, seen.path) == ("POST", "/externalFulfillment/inventory/2024-09-11/inventories")
    (request,) = seen.json["requests"]
    assert request == {
        "method": "POST",
        "uri": "/inventory/update?locationId=EXSB&skuId=a%26b%2F%C3%BC",
        "body": {
            "quantity": 15,
            "clientSequenceNumber": 7,
            "marketplaceAttributes": {"marketplaceId": "A21TJRUUN4KGV", "channelName": "FBA"},
        },
    }
    assert dict(parse_qsl(urlsplit(request["uri"]).query))["skuId"] == "a&b/ü"


def test_a_fetch_sends_no_quantity(inventory, stub):
    stub.answers = [
        Give(207, {"responses": [line("A", sellableQuantity=4, reservedQuantity=1, clientSequenceNumber=9)]})
    ]
    (result,) = inventory.fetch([InventoryItem("EXSB", "A", "M")])
    assert (result.sellable_quantity, result.reserved_quantity, result.sequence_number) == (4, 1, 9)
    (request,) = stub.seen[0].json["requests"]
    assert request["uri"].startswith("/inventory/fetch?")
    assert set(request["body"]) == {"marketplaceAttributes"}


def test_results_are_matched_by_sku_and_location_whatever_their_order(inventory, stub):
    errors_ = [{"errorType": "PRODUCT_VALIDATION_FAILURE", "errorSubType": "INVALID_SKU"}, "junk"]
    stub.answers = [
        Give(
            207,
            {
                "responses": [
                    line("C", 400, actionableErrors=errors_),
                    line("A", location_id="OTHER"),
                    line("A", sellableQuantity="5"),
                ]
            },
        )
    ]
    a, b, c = inventory.update([update("A"), update("B"), update("C")])
    assert (a.is_answered, a.is_accepted, a.sellable_quantity) == (True, True, 5)
    assert (b.is_answered, b.is_accepted, b.status_code) == (False, False, None)
    assert (c.is_answered, c.is_accepted, c.status_code, c.reason) == (True, False, 400, "Said")
    assert c.errors == (ActionableError("PRODUCT_VALIDATION_FAILURE", "INVALID_SKU"),)


def test_an_accepted_line_can_still_carry_errors(inventory, stub):
    stub.answers = [Give(207, {"responses": [line("A", actionableErrors=[{"errorType": "E"}])]})]
    (result,) = inventory.update([update("A")])
    assert result.is_accepted
    assert result.errors == (ActionableError("E", ""),)


def test_an_answer_without_names_is_matched_by_its_place(inventory, stub):
    nameless = {"status": {"statusCode": 500}, "body": {}}
    stub.answers = [Give(207, {"responses": [line("A"), nameless]})]
    a, b = inventory.update([update("A"), update("B")])
    assert (a.status_code, b.status_code) == (200, 500)


@pytest.mark.parametrize("responses", [[], [None, 7], [{"status": [], "body": []}] * 3])
def test_junk_in_the_answer_leaves_the_outcome_unknown(inventory, stub, responses):
    stub.answers = [Give(207, {"responses": responses})]
    assert [result.is_answered for result in inventory.update([update("A"), update("B")])] == [False, False]


def test_an_answer_without_a_list_is_unreadable(inventory, stub):
    stub.answers = [Give(207, {})]
    with pytest.raises(errors.UnreadableAnswer):
        inventory.update([update("A")])


@pytest.mark.parametrize(
    "items",
    [
        [],
        [update(str(number)) for number in range(11)],
        [update("A"), update("A", 2)],
        [update("A", -1)],
        [update("A", 1.5)],
        [update("A", True)],
        [update("")],
        [update("A", location_id="x" * 37)],
        [update("A", channel_name="WHOLESALE")],
        [update("A", sequence_number=-1)],
        [InventoryItem("EXSB", "A", "M")],
    ],
    ids=range(11),
)
def test_a_batch_that_breaks_the_model_is_not_sent(inventory, stub, items):
    with pytest.raises(errors.InvalidArgument):
        inventory.update(items)
    assert stub.seen == []


def test_participations_are_read_leniently(new_transport, stub):
    good = {
        "marketplace": {"id": "A21TJRUUN4KGV", "countryCode": "in", "defaultCurrencyCode": "INR", "name": "Amazon.in"},
        "participation": {"isParticipating": True, "hasSuspendedListings": False},
        "storeName": "Sunrise",
    }
    stub.answers = [Give(200, {"payload": [good, {"marketplace": {}}, 7]})]
    assert Sellers(new_transport()).marketplace_participations() == [
        Participation("A21TJRUUN4KGV", "IN", "INR", True, False, "Amazon.in", "Sunrise")
    ]
    assert stub.seen[0].path == "/sellers/v1/marketplaceParticipations"
    stub.answers = [Give(200, {"payload": None})]
    with pytest.raises(errors.UnreadableAnswer):
        Sellers(new_transport(partner="EU:A2")).marketplace_participations()

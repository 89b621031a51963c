"""Shipments: strict in what is sent, lenient in what is read."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import parse_qs, parse_qsl

import pytest

from flexdash.amazon import errors
from flexdash.amazon.packages import Courier, Package, PackageLine
from flexdash.amazon.shipments import Shipments
from tests.amazon.examples import shipment
from tests.amazon.stub import Give

BASE = "/externalFulfillment/2024-09-11/shipments"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PACKAGE = Package("P1", 10, "12.5", Decimal(5), "0.4", [PackageLine("1", 2)], weight_unit="KG")


@pytest.fixture
def shipments(new_transport):
    return Shipments(new_transport(), 1000)


def page(n_shipments, token=None):
    return Give(200, {"shipments": [shipment()] * n_shipments, "pagination": {"nextToken": token}})


def query_of(seen):
    return dict(parse_qsl(seen.query, keep_blank_values=True))


def test_a_page_is_asked_for_with_every_filter_in_amazons_form(shipments, stub):
    stub.answers = [page(2, "next")]
    half_past = datetime(2026, 11, 23, 17, 30, 0, 999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    found = shipments.page("CONFIRMED", "A21TJRUUN4KGV", "FBA", "EXSB", half_past, NOON + timedelta(hours=1), 50, "t 1")
    assert (len(found.shipments), found.next_token) == (2, "next")
    assert found.amazon_date.tzinfo is not None
    (seen,) = stub.seen
    assert (seen.method, seen.path, seen.body) == ("GET", BASE, b"")
    assert query_of(seen) == {
        "status": "CONFIRMED",
        "marketplaceId": "A21TJRUUN4KGV",
        "channelName": "FBA",
        "locationId": "EXSB",
        "lastUpdatedAfter": "2026-11-23T12:00:00Z",
        "lastUpdatedBefore": "2026-11-23T13:00:00Z",
        "maxResults": "50",
        "paginationToken": "t 1",
    }


def test_a_window_never_loses_a_moment_at_its_edges(shipments, stub):
    late = NOON + timedelta(microseconds=1)
    shipments.page("CONFIRMED", updated_after=late, updated_before=late + timedelta(seconds=5))
    assert query_of(stub.seen[0])["lastUpdatedAfter"] == "2026-11-23T12:00:00Z"
    assert query_of(stub.seen[0])["lastUpdatedBefore"] == "2026-11-23T12:00:06Z"


@pytest.mark.parametrize(
    "arguments",
    [
        {"status": "NEW"},
        {"status": "ACCEPTED,CONFIRMED"},
        {"status": ["ACCEPTED"]},
        {"status": None},
        {"max_results": 0},
        {"max_results": 101},
        {"max_results": True},
        {"max_results": "10"},
        {"location_id": "x" * 37},
        {"location_id": ""},
        {"location_id": "EX\nSB"},
        {"channel_name": "x" * 11},
        {"marketplace_id": " "},
        {"updated_after": NOON.replace(tzinfo=None)},
        {"updated_after": "2026-11-23T12:00:00Z"},
        {"updated_after": NOON, "updated_before": NOON},
        {"token": ""},
    ],
    ids=str,
)
def test_what_amazons_model_forbids_is_not_sent(shipments, stub, arguments):
    with pytest.raises(errors.InvalidArgument, match="nothing was sent") as caught:
        shipments.page(**{"status": "ACCEPTED", **arguments})
    assert isinstance(caught.value, errors.RequestRefused)
    assert not caught.value.is_retryable
    assert stub.seen == []


def test_pages_go_on_over_empty_ones_with_the_same_arguments_until_the_token_is_null(shipments, stub):
    stub.answers = [page(2, "t1"), page(0, "t2"), page(0, "t3"), page(1, None)]
    found = list(shipments.pages("CONFIRMED", location_id="EXSB", updated_after=NOON, max_results=2))
    assert [len(one.shipments) for one in found] == [2, 0, 0, 1]
    queries = [query_of(seen) for seen in stub.seen]
    assert [query.pop("paginationToken", None) for query in queries] == [None, "t1", "t2", "t3"]
    assert len({tuple(query.items()) for query in queries}) == 1


def test_pages_can_start_in_the_middle(shipments, stub):
    stub.answers = [page(1, None)]
    assert len(list(shipments.pages("ACCEPTED", token="t7"))) == 1
    assert query_of(stub.seen[0])["paginationToken"] == "t7"


def test_a_token_that_keeps_coming_back_ends_in_an_error_not_in_a_loop(shipments, stub):
    stub.answers = [page(1, "same")]
    read = shipments.pages("ACCEPTED")
    assert [len(next(read).shipments) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(errors.UnreadableAnswer, match="same page token"):
        next(read)


@pytest.mark.parametrize(
    ("data", "n_shipments"),
    [
        ({}, 0),
        ({"shipments": None, "pagination": None}, 0),
        ({"shipments": [], "pagination": {}}, 0),
        ({"shipments": [shipment()], "pagination": {"nextToken": ""}, "more": 1}, 1),
        ({"shipments": ["junk", None, shipment()]}, 3),
    ],
)
def test_a_last_page_is_read_in_every_form(shipments, stub, data, n_shipments):
    stub.answers = [Give(200, data)]
    found = shipments.page("ACCEPTED")
    assert len(found.shipments) == n_shipments
    assert found.next_token is None


@pytest.mark.parametrize(
    "data", [{"shipments": {}}, {"shipments": [], "pagination": "t"}, {"shipments": [], "pagination": {"nextToken": 7}}]
)
def test_a_page_whose_end_cannot_be_known_is_an_error(shipments, stub, data):
    stub.answers = [Give(200, data)]
    with pytest.raises(errors.UnreadableAnswer):
        shipments.page("ACCEPTED")


def test_one_shipment_is_asked_for_by_its_encoded_id(shipments, stub, records):
    stub.answers = [Give(200, shipment())]
    assert shipments.get("D1/x y")["id"] == "D1px1063T"
    assert stub.seen[0].path == f"{BASE}/D1%2Fx%20y"
    assert records[0].shipment_id == "D1/x y"


@pytest.mark.parametrize("shipment_id", ["", " ", "..", ".", None, 7, "a\r\nb", "x" * 256])
def test_an_id_that_is_none_is_not_sent(shipments, stub, shipment_id):
    for call in (shipments.get, shipments.confirm, shipments.generate_invoice):
        with pytest.raises(errors.InvalidArgument):
            call(shipment_id)
    assert stub.seen == []


def test_confirm_is_a_post_without_a_body(shipments, stub):
    stub.answers = [Give(204)]
    assert shipments.confirm("D1") is None
    (seen,) = stub.seen
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", f"{BASE}/D1", "operation=CONFIRM", b"")


def test_reject_names_every_line_with_quantity_0(shipments, stub):
    stub.answers = [Give(204)]
    shipments.reject("D1", "ref-1", ["1", "2"], "OUT_OF_STOCK")
    (seen,) = stub.seen
    assert (seen.method, seen.query) == ("POST", "operation=REJECT")
    assert seen.json == {
        "referenceId": "ref-1",
        "lineItems": [
            {"lineItem": {"id": "1", "quantity": 0}, "reason": "OUT_OF_STOCK"},
            {"lineItem": {"id": "2", "quantity": 0}, "reason": "OUT_OF_STOCK"},
        ],
    }


@pytest.mark.parametrize(
    "arguments",
    [("", ["1"], "OUT_OF_STOCK"), ("r", [], "OUT_OF_STOCK"), ("r", "12", "OUT_OF_STOCK"), ("r", ["1"], "BORED")],
)
def test_a_rejection_that_breaks_the_model_is_not_sent(shipments, stub, arguments):
    with pytest.raises(errors.InvalidArgument):
        shipments.reject("D1", *arguments)
    assert stub.seen == []


def test_packages_are_sent_in_amazons_form(shipments, stub):
    stub.answers = [Give(204)]
    line = PackageLine("1", 2, serial_numbers=["S1"], country_of_origin="IN", item_value=("10.50", "INR"))
    shipments.create_packages("D1", [Package("P/1", 1, 2, 3, 500, [line], hazmat_labels=["H"])])
    shipments.update_package("D1", PACKAGE)
    create, update = stub.seen
    assert (create.method, create.path) == ("POST", f"{BASE}/D1/packages")
    assert create.json["packages"][0] == {
        "id": "P/1",
        "dimensions": {
            "length": {"value": "1", "dimensionUnit": "CM"},
            "width": {"value": "2", "dimensionUnit": "CM"},
            "height": {"value": "3", "dimensionUnit": "CM"},
        },
        "weight": {"value": "500", "weightUnit": "G"},
        "packageLineItems": [
            {
                "packageLineItemId": "1",
                "quantity": 2,
                "serialNumbers": ["S1"],
                "countryOfOrigin": "IN",
                "itemValue": {"value": "10.50", "currencyCode": "INR"},
            }
        ],
        "hazmatLabels": ["H"],
    }
    assert (update.method, update.path) == ("PUT", f"{BASE}/D1/packages/P1")
    assert update.json["weight"] == {"value": "0.4", "weightUnit": "KG"}


@pytest.mark.parametrize(
    "package",
    [
        Package("P1", 0, 1, 1, 500, [PackageLine("1", 1)]),
        Package("P1", 1, 1, "NaN", 500, [PackageLine("1", 1)]),
        Package("P1", 1, 1, "wide", 500, [PackageLine("1", 1)]),
        Package("P1", 1, 1, 1, 4, [PackageLine("1", 1)]),
        Package("P1", 1, 1, 1, 500, []),
        Package("P1", 1, 1, 1, 500, [PackageLine("1", 0)]),
        Package("P1", 1, 1, 1, 500, [PackageLine("1", 1)], dimension_unit="MM"),
        Package("P1", 1, 1, 1, 500, [PackageLine("1", 1)], weight_unit="STONE"),
        Package("P1", 1, 1, 1, 500, [PackageLine("1", 1, country_of_origin="India")]),
        Package("", 1, 1, 1, 500, [PackageLine("1", 1)]),
    ],
)
def test_a_package_that_breaks_the_model_is_not_sent(shipments, stub, package):
    with pytest.raises(errors.InvalidArgument):
        shipments.create_packages("D1", [package])
    assert stub.seen == []


def test_no_package_or_two_of_one_id_are_not_sent(shipments, stub):
    for packages in ([], [PACKAGE, PACKAGE]):
        with pytest.raises(errors.InvalidArgument):
            shipments.create_packages("D1", packages)
    assert stub.seen == []


def test_a_package_is_marked_shipped_in_the_query_or_in_the_body(shipments, stub):
    stub.answers = [Give(204)]
    shipments.mark_shipped("D1", "P1")
    shipments.mark_shipped("D1", "P1", in_query=False)
    shipments.update_package_status("D1", "P1", "SHIPPED", "OUT_FOR_DELIVERY", "on its way")
    assert {(seen.method, seen.path) for seen in stub.seen} == {("PATCH", f"{BASE}/D1/packages/P1")}
    assert [seen.query for seen in stub.seen] == ["status=SHIPPED", "", ""]
    assert [seen.json for seen in stub.seen] == [
        {},
        {"status": "SHIPPED"},
        {"status": "SHIPPED", "subStatus": "OUT_FOR_DELIVERY", "reason": "on its way"},
    ]
    for arguments in (("LOST",), ("SHIPPED", "LOST"), ("SHIPPED", None, "x" * 129)):
        with pytest.raises(errors.InvalidArgument):
            shipments.update_package_status("D1", "P1", *arguments)


def test_shipping_options_are_read_leniently_and_none_is_normal(shipments, stub):
    option = {
        "shippingOptionId": "o1",
        "shipBy": "MARKETPLACE",
        "carrierName": "ATS",
        "timeSlot": {"startTime": 1795435200, "endTime": "1795438800", "handoverMethod": "PICKUP"},
    }
    stub.answers = [Give(200, {"shippingOptions": [option, {}, 7], "recommendedShippingOption": option}), Give(200, {})]
    found = shipments.shipping_options("D1", "P1")
    assert [one.id for one in found.options] == ["o1"]
    assert found.recommended.ends_at - found.recommended.starts_at == timedelta(hours=1)
    assert query_of(stub.seen[0]) == {"packageId": "P1"}
    empty = shipments.shipping_options("D1", "P1")
    assert (empty.options, empty.recommended) == ((), None)


def test_an_invoice_is_generated_once_and_retrieved_again(shipments, stub):
    document = {"document": {"format": "PDF", "content": base64.b64encode(b"%PDF-1.7").decode()}}
    stub.answers = [Give(200, document)]
    assert shipments.generate_invoice("D1").content == b"%PDF-1.7"
    assert shipments.retrieve_invoice("D1").format == "PDF"
    assert [(seen.method, seen.path) for seen in stub.seen] == [
        ("POST", f"{BASE}/D1/invoice"),
        ("GET", f"{BASE}/D1/invoice"),
    ]
    for broken in ({}, {"document": None}, {"document": {"content": "%%%"}}, {"document": {"content": None}}):
        stub.answers = [Give(200, broken)]
        with pytest.raises(errors.UnreadableAnswer):
            shipments.retrieve_invoice("D1")


def test_labels_come_one_per_package_with_success_or_reason(shipments, stub):
    labels = [
        {
            "packageId": "P1",
            "status": "SUCCESS",
            "fileData": {"url": "https://labels.example/x?sig=secret"},
            "shipLabelMetadata": {"carrierName": "ATS", "trackingId": "T1", "shippingOptionId": "o1"},
        },
        {"packageId": "P2", "status": "FAILURE", "errorDetails": {"code": "E", "message": "too heavy"}},
        {"packageId": "P3", "status": "SUCCESS"},
    ]
    stub.answers = [Give(200, {"packageShipLabelList": labels})]
    found = shipments.ship_labels("D1", ["P1", "P2"], shipping_option_id="o1", courier=Courier("C", "T"))
    assert [label.is_success for label in found] == [True, False, False]
    assert (found[0].carrier_name, found[0].tracking_id, found[1].error_message) == ("ATS", "T1", "too heavy")
    assert "secret" not in repr(found)
    shipments.ship_labels("D1", is_reprint=True)
    first, reprint = stub.seen
    assert (first.method, first.path) == ("PUT", f"{BASE}/D1/shipLabels")
    assert parse_qs(first.query) == {"operation": ["GENERATE"], "shippingOptionId": ["o1"]}
    assert first.json == {
        "packageIds": ["P1", "P2"],
        "courierSupportedAttributes": {"carrierName": "C", "trackingId": "T"},
    }
    assert (reprint.query, reprint.body) == ("operation=REGENERATE", b"")
    with pytest.raises(errors.InvalidArgument):
        shipments.ship_labels("D1", ["P"] * 51)
    stub.answers = [Give(200, {})]
    with pytest.raises(errors.UnreadableAnswer):
        shipments.ship_labels("D1")

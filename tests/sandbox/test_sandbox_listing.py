"""getShipments: filters, pages, and the ways a listing can be awkward."""

import pytest

from amazon_sandbox.control_client import ControlError

SHIPMENTS = "/externalFulfillment/2024-09-11/shipments"


def test_two_hundred_and_fifty_over_three_pages_and_an_empty_one(sandbox, api):
    ids = sandbox.control.create_orders(250, location_ids=["EXSB", "PNQ1"])
    sandbox.control.fault("empty_page", operation="getShipments", page=1, count=1)
    pages = api.walk(maxResults=100)
    assert [len(page) for page in pages] == [100, 0, 100, 50]
    assert [i for page in pages for i in page] == ids
    assert sandbox.control.faults() == []


def test_equal_update_times_neither_lose_nor_double_a_shipment(sandbox, api):
    ids = sandbox.control.create_orders(57, same_time=True)
    assert api.ids(maxResults=7) == ids


def test_filters_narrow_by_location_marketplace_channel_and_seller(sandbox, api, api_of):
    here = sandbox.control.create_orders(3, location_id="EXSB")
    there = sandbox.control.create_orders(2, location_id="PNQ1")
    sandbox.control.create_orders(4, seller_id="A3SBXNOVAHOMAE")
    [mfn] = sandbox.control.create_orders(1, location_id="EXSB", channel_name="MFN")
    assert api.ids(locationId="PNQ1") == there
    assert api.ids(locationId="EXSB", channelName="FBA") == here
    assert api.ids(channelName="MFN") == [mfn]
    assert len(api.page(marketplaceId="A21TJRUUN4KGV")["shipments"]) == 6
    assert api.page(marketplaceId="ATVPDKIKX0DER")["shipments"] == []
    assert len(api_of("A3SBXNOVAHOMAE").page()["shipments"]) == 4
    assert api.page("CONFIRMED")["shipments"] == []


def test_update_times_filter_strictly_between(sandbox, api):
    old = sandbox.control.create_orders(1, updated_minutes_ago=90)
    new = sandbox.control.create_orders(1, updated_minutes_ago=10)
    moments = {s["id"]: s["lastUpdatedDateTime"] for s in api.page()["shipments"]}
    assert api.ids(lastUpdatedAfter=moments[old[0]]) == new
    assert api.ids(lastUpdatedBefore=moments[new[0]]) == old
    assert api.ids(lastUpdatedBefore=moments[old[0]]) == []


def test_a_change_moves_a_shipment_to_the_end_of_its_new_status(sandbox, api):
    first, second = sandbox.control.create_orders(2)
    before = api.get(first)["lastUpdatedDateTime"]
    api.confirm(second)
    api.confirm(first)
    assert api.ids("CONFIRMED") == [second, first]
    assert api.get(first)["lastUpdatedDateTime"] > before


def test_confirming_while_paging_loses_nothing_by_default(sandbox, api):
    ids = sandbox.control.create_orders(30)
    assert confirm_each_page(api) == ids


def test_offset_paging_lets_shipments_slip_when_some_change_meanwhile(sandbox, api):
    ids = sandbox.control.create_orders(30)
    sandbox.control.options(paging="offset")
    seen = confirm_each_page(api)
    assert len(seen) < len(ids)
    assert api.ids() == [shipment_id for shipment_id in ids if shipment_id not in seen]


def confirm_each_page(api):
    seen, token = [], {}
    while token is not None:
        page = api.page(maxResults=10, **token)
        for shipment in page["shipments"]:
            seen.append(shipment["id"])
            api.confirm(shipment["id"])
        next_token = page["pagination"].get("nextToken")
        token = {"paginationToken": next_token} if next_token else None
    return seen


def test_a_repeated_page_comes_twice_and_then_goes_on(sandbox, api):
    ids = sandbox.control.create_orders(25)
    sandbox.control.fault("repeated_page", count=1, page=0)
    pages = api.walk(maxResults=10)
    assert pages == [ids[:10], ids[:10], ids[10:20], ids[20:]]


def test_a_stuck_token_comes_back_unchanged(sandbox, api):
    sandbox.control.create_orders(25)
    token = api.page(maxResults=10)["pagination"]["nextToken"]
    sandbox.control.fault("stuck_token", count=3)
    for _ in range(3):
        assert api.page(maxResults=10, paginationToken=token)["pagination"]["nextToken"] == token
    assert api.page(maxResults=10, paginationToken=token)["pagination"]["nextToken"] != token


@pytest.mark.parametrize(
    "changed", [{"maxResults": 5}, {"locationId": "PNQ1"}, {"status": "CONFIRMED"}, {"paginationToken": "made-up"}]
)
def test_a_token_is_good_with_the_same_arguments_only(sandbox, api, changed):
    sandbox.control.create_orders(25)
    query = {"status": "ACCEPTED", "maxResults": 10}
    token = api("GET", SHIPMENTS, query).json()["pagination"]["nextToken"]
    response = api("GET", SHIPMENTS, {**query, "paginationToken": token, **changed})
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "SC_00002"


def test_a_token_of_another_seller_is_refused(sandbox, api, api_of):
    sandbox.control.create_orders(25)
    token = api.page(maxResults=10)["pagination"]["nextToken"]
    query = {"status": "ACCEPTED", "maxResults": 10, "paginationToken": token}
    assert api_of("A3SBXNOVAHOMAE")("GET", SHIPMENTS, query).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"status": "NEW"},
        {"status": ["ACCEPTED", "CONFIRMED"]},
        {"status": "ACCEPTED", "maxResults": "0"},
        {"status": "ACCEPTED", "maxResults": "101"},
        {"status": "ACCEPTED", "maxResults": "ten"},
        {"status": "ACCEPTED", "locationId": "X" * 37},
        {"status": "ACCEPTED", "channelName": "X" * 11},
        {"status": "ACCEPTED", "lastUpdatedAfter": "yesterday"},
        {"status": "ACCEPTED", "lastUpdatedAfter": "2026-01-01T00:00:00"},
        {"status": "ACCEPTED", "lastUpdatedAfter": "2026-01-02T00:00:00Z", "lastUpdatedBefore": "2026-01-01T00:00:00Z"},
        {"status": "ACCEPTED", "paginationToken": ""},
        {"status": "ACCEPTED", "MarketplaceIds": "A21TJRUUN4KGV"},
    ],
)
def test_faulty_arguments_are_refused_with_400(api, query):
    response = api("GET", SHIPMENTS, query)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "SC_00002"


def test_ten_shipments_come_when_no_number_is_asked_for(sandbox, api):
    sandbox.control.create_orders(12)
    assert len(api.page()["shipments"]) == 10


def test_orders_take_the_asked_skus_lines_and_units(sandbox, api):
    sandbox.control.create_orders(3, lines=2, units=4, sku_codes=["A-1", "B 2"])
    for shipment in api.page()["shipments"]:
        assert {line["merchantSku"] for line in shipment["lineItems"]} == {"A-1", "B 2"}
        assert shipment["shipmentInfo"]["numberOfUnits"] == 8


def test_ids_of_many_shipments_are_each_their_own(sandbox):
    assert len(set(sandbox.control.create_orders(3000))) == 3000


def test_the_same_seed_makes_the_same_buyers(sandbox, api):
    a, b = sandbox.control.create_orders(1, seed=5), sandbox.control.create_orders(1, seed=5)
    assert api.get(a[0])["shippingInfo"]["shipToAddress"] == api.get(b[0])["shippingInfo"]["shipToAddress"]


def test_buyer_fields_can_be_given_for_canaries(sandbox, api):
    [shipment_id] = sandbox.control.create_orders(1, buyer={"name": "Canary 42", "phoneNumber": "+1 555 0142"})
    address = api.get(shipment_id)["shippingInfo"]["shipToAddress"]
    assert (address["name"], address["phoneNumber"]) == ("Canary 42", "+1 555 0142")


def test_several_shipments_can_be_of_one_order(sandbox, api):
    ids = sandbox.control.create_orders(2, order_id="402-0000001-0000001")
    assert {api.get(one)["shipmentInfo"]["buyerOrderId"] for one in ids} == {"402-0000001-0000001"}
    with pytest.raises(ControlError, match="order_id"):
        sandbox.control.create_orders(1, order_id="")

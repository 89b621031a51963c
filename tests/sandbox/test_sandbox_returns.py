"""Returns: made of delivered shipments, moved on, listed with Amazon's filters and pages."""

import re

import pytest

from amazon_sandbox.control_client import ControlError
from amazon_sandbox.serving import running
from amazon_sandbox.world.return_texts import NOT_PICKED_UP
from amazon_sandbox.world.returns import STATUSES, WAY

RETURNS = "/externalFulfillment/2024-09-11/returns"


def delivered(sandbox, n=1, lines=1, **fields):
    """Returns the ids of `n` shipments that came to their buyers."""
    return sandbox.control.create_orders(n, lines=lines, status="DELIVERED", **fields)


def page(api, **query):
    response = api("GET", RETURNS, query)
    assert response.status_code == 200, response.text
    return response.json()


def walk(api, **query):
    """The ids on each page, to the end."""
    pages, token = [], None
    while token is not None or not pages:
        found = page(api, **query, **({"nextToken": token} if token else {}))
        pages.append([item["id"] for item in found["returns"]])
        token = found.get("nextToken")
    return pages


def ids(api, **query):
    return [return_id for found in walk(api, **query) for return_id in found]


def get(api, return_id):
    return api("GET", f"{RETURNS}/{return_id}").json()


def test_a_delivered_shipment_comes_back_line_by_line(sandbox, api):
    [shipment_id] = delivered(sandbox, lines=2, units=3, sku_codes=["A-1", "B 2"])
    made = sandbox.control.create_returns(shipment_id)
    found = page(api)["returns"]
    assert [item["id"] for item in found] == made
    assert {item["merchantSku"]: item["numberOfUnits"] for item in found} == {"A-1": 3, "B 2": 3}
    for item in found:
        assert item["status"] == "CREATED"
        assert item["returnLocationId"] == item["fulfillmentLocationId"] == "EXSB"
        assert item["returnMetadata"]["fulfillmentOrderId"] == shipment_id
        buyers = api.get(shipment_id)["shipmentInfo"]["buyerOrderId"]
        assert item["marketplaceChannelDetails"]["customerOrderId"] == buyers
    assert sandbox.control.returns(shipment_id=shipment_id)[0]["id"] == made[-1]


def test_what_has_not_arrived_does_not_come_back_unless_it_was_rejected_on_the_way(sandbox):
    [shipped] = sandbox.control.create_orders(1, status="SHIPPED", lines=1)
    [accepted] = sandbox.control.create_orders(1, lines=1)
    for shipment_id in (shipped, accepted):
        with pytest.raises(ControlError, match="409"):
            sandbox.control.create_returns(shipment_id)
    assert len(sandbox.control.create_returns(shipped, return_type="REJECT")) == 1
    with pytest.raises(ControlError, match="404"):
        sandbox.control.create_returns("NONE")
    with pytest.raises(ControlError, match="404"):
        sandbox.control.create_returns(shipped, return_type="REJECT", sku_code="OTHER")


def test_a_return_goes_its_way_and_its_text_with_it(sandbox, api):
    [shipment_id] = delivered(sandbox)
    [return_id] = sandbox.control.create_returns(shipment_id)
    changed = [get(api, return_id)["lastUpdatedDateTime"]]
    for status in (*WAY[1:5], "REPLANNED", "OUT_FOR_DELIVERY", "DELIVERED", "PARTIALLY_PROCESSED", "PROCESSED"):
        sandbox.control.move_return(return_id, status)
        told = get(api, return_id)
        assert told["status"] == status
        assert ("pickupDateTime" in told["returnShippingInfo"]) is (status not in NOT_PICKED_UP)
        changed.append(told["lastUpdatedDateTime"])
    assert changed == sorted(set(changed)), "each step has a later time of change"
    assert re.fullmatch(r"\d{6}", told["otpDetails"]["otp"])
    assert told["packageDeliveryMode"] == "WITH_OTP"
    earlier = told["replanningDetails"]["previousTrackingInfo"]
    assert len(earlier) == 1
    assert earlier[0] != told["returnShippingInfo"]["reverseTrackingInfo"]
    with pytest.raises(ControlError, match="409"):
        sandbox.control.move_return(return_id, "CREATED")
    with pytest.raises(ControlError, match="400"):
        sandbox.control.move_return(return_id, "LOST")


def test_a_change_within_one_tick_of_the_clock_keeps_the_time(sandbox, api):
    [return_id] = sandbox.control.create_returns(delivered(sandbox)[0])
    before = get(api, return_id)["lastUpdatedDateTime"]
    sandbox.control.move_return(return_id, "IN_TRANSIT", same_time=True)
    told = get(api, return_id)
    assert (told["status"], told["lastUpdatedDateTime"]) == ("IN_TRANSIT", before)


@pytest.mark.parametrize("link", ["all", "shipment", "channel", "order", "none"])
def test_a_return_names_its_order_in_the_ways_asked_for(sandbox, api, link):
    [shipment_id] = delivered(sandbox)
    [return_id] = sandbox.control.create_returns(shipment_id, link=link)
    told = get(api, return_id)
    metadata, channel = told["returnMetadata"], told["marketplaceChannelDetails"]
    assert (metadata.get("fulfillmentOrderId") == shipment_id) is (link in ("all", "shipment"))
    assert (channel.get("shipmentId") == shipment_id) is (link == "channel")
    assert ("customerOrderId" in channel) is (link in ("all", "order"))


def test_filters_narrow_by_location_status_rma_tracking_and_seller(sandbox, api, api_of):
    here, there, other = delivered(sandbox, 3)
    [a] = sandbox.control.create_returns(here)
    [b] = sandbox.control.create_returns(there, location_id="PNQ1", status="IN_TRANSIT")
    [c] = sandbox.control.create_returns(other, location_id="")
    [foreign] = sandbox.control.create_returns(delivered(sandbox, seller_id="A3SBXNOVAHOMAE")[0])
    assert ids(api) == [a, b, c]
    assert "returnLocationId" not in get(api, c)
    assert ids(api, returnLocationId="PNQ1") == [b]
    assert ids(api, status="CREATED") == [a, c]
    assert ids(api, returnLocationId="EXSB", status="CREATED") == [a]
    assert ids(api, rmaId=get(api, b)["returnMetadata"]["rmaId"]) == [b]
    tracking = get(api, a)["returnShippingInfo"]["reverseTrackingInfo"]["trackingId"]
    assert ids(api, reverseTrackingId=tracking) == [a]
    assert ids(api_of("A3SBXNOVAHOMAE")) == [foreign]
    assert api("GET", f"{RETURNS}/{foreign}").status_code == 404


def test_times_filter_strictly_between_creation_and_change_each_for_itself(sandbox, api):
    old, new = delivered(sandbox, 2)
    [a] = sandbox.control.create_returns(old, updated_minutes_ago=90)
    [b] = sandbox.control.create_returns(new, updated_minutes_ago=10)
    created = {return_id: get(api, return_id)["creationDateTime"] for return_id in (a, b)}
    assert ids(api, createdSince=created[a]) == [b]
    assert ids(api, createdUntil=created[b]) == [a]
    assert ids(api, lastUpdatedAfter=created[a]) == [b], "the deprecated name means the creation"
    sandbox.control.move_return(a, "IN_TRANSIT")
    changed = get(api, a)["lastUpdatedDateTime"]
    listed = {"returnLocationId": "EXSB", "status": "IN_TRANSIT"}
    assert ids(api, **listed, lastUpdatedSince=created[b]) == [a]
    assert ids(api, **listed, lastUpdatedSince=changed) == []
    assert ids(api, **listed, lastUpdatedUntil=changed) == []
    assert ids(api, createdSince=created[b]) == []


def test_pages_hold_ten_unless_told_otherwise_and_lose_none_of_equal_times(sandbox, api):
    made = []
    for shipment_id in delivered(sandbox, 23):
        made += sandbox.control.create_returns(shipment_id, updated_minutes_ago=5)
    assert [len(found) for found in walk(api)] == [10, 10, 3]
    assert sorted(ids(api, maxResults=7)) == sorted(made)
    assert [len(found) for found in walk(api, maxResults=100)] == [23]


def test_empty_repeated_and_stuck_pages(sandbox, api):
    for shipment_id in delivered(sandbox, 5):
        sandbox.control.create_returns(shipment_id)
    whole = ids(api)
    sandbox.control.fault("empty_page", operation="listReturns", page=1, count=1)
    assert walk(api, maxResults=2) == [whole[:2], [], whole[2:4], whole[4:]]
    sandbox.control.fault("repeated_page", operation="listReturns", page=0, count=1)
    assert walk(api, maxResults=3) == [whole[:3], whole[:3], whole[3:]]
    token = page(api, maxResults=2)["nextToken"]
    sandbox.control.fault("stuck_token", operation="listReturns", count=1)
    assert page(api, maxResults=2, nextToken=token)["nextToken"] == token


@pytest.mark.parametrize(
    "changed", [{"maxResults": 3}, {"returnLocationId": "PNQ1"}, {"status": "CREATED"}, {"nextToken": "made-up"}]
)
def test_a_token_is_good_with_the_same_arguments_only(sandbox, api, changed):
    for shipment_id in delivered(sandbox, 3):
        sandbox.control.create_returns(shipment_id)
    token = page(api, maxResults=2)["nextToken"]
    response = api("GET", RETURNS, {"maxResults": 2, "nextToken": token, **changed})
    assert response.status_code == 400
    assert "nextToken" in response.json()["errors"][0]["details"]


@pytest.mark.parametrize(
    "query",
    [
        {"status": "NEW"},
        {"maxResults": "0"},
        {"maxResults": "101"},
        {"createdSince": "yesterday"},
        {"createdSince": "2026-01-02T00:00:00Z", "createdUntil": "2026-01-01T00:00:00Z"},
        {"lastUpdatedSince": "2026-01-01T00:00:00Z"},
        {"lastUpdatedSince": "2026-01-01T00:00:00Z", "returnLocationId": "EXSB"},
        {"lastUpdatedUntil": "2026-01-01T00:00:00Z", "status": "CREATED"},
        {"nextToken": ""},
        {"paginationToken": "x"},
    ],
)
def test_faulty_arguments_are_refused_with_400(api, query):
    response = api("GET", RETURNS, query)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "SC_00002"


@pytest.mark.parametrize("operation", ["listReturns", "getReturn"])
def test_ten_a_second_with_a_burst_of_twenty_is_amazons_plan(operation):
    with running() as fresh:
        assert fresh.control.plans()[operation] == {"rate": 10, "burst": 20}


def test_odd_returns_come_once_by_a_fault_or_always_when_made_so(sandbox, api):
    [a] = sandbox.control.create_returns(delivered(sandbox)[0])
    [b] = sandbox.control.create_returns(delivered(sandbox)[0], odd="odd_return_no_status")
    sandbox.control.fault("odd_return_not_a_dict", operation="listReturns", count=1)
    found = page(api)["returns"]
    assert found[0] == "this is not a return"
    assert "status" not in found[1]
    assert [item["id"] for item in page(api)["returns"]] == [a, b]
    sandbox.control.fault("odd_return_forms", operation="getReturn", count=1)
    assert get(api, a)["status"] == "WAITING_FOR_DRONE"


def test_odd_shipments_asked_for_leave_returns_alone(sandbox, api):
    sandbox.control.create_returns(delivered(sandbox)[0])
    sandbox.control.fault("odd_no_lines", count=1)
    assert page(api)["returns"][0]["status"] == "CREATED"
    assert len(sandbox.control.faults()) == 1


def test_returns_outlive_the_program_and_end_with_a_reset(tmp_path):
    with running(tmp_path, in_process=True) as first:
        [shipment_id] = delivered(first)
        [return_id] = first.control.create_returns(shipment_id)
        first.control.move_return(return_id, "IN_TRANSIT")
    with running(tmp_path, in_process=True) as second:
        assert second.control.return_item(return_id)["status"] == "IN_TRANSIT"
        [another] = second.control.create_returns(shipment_id)
        assert another != return_id
        second.control.reset()
        assert second.control.returns() == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"shipment_id": 7},
        {"units": -1},
        {"status": "LOST"},
        {"link": "somehow"},
        {"return_type": "DRONE"},
        {"odd": "odd_no_lines"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_control_call_says_what_is_wrong(sandbox, fields):
    [shipment_id] = delivered(sandbox)
    body = {"shipment_id": shipment_id, **fields} if fields else {}
    with pytest.raises(ControlError, match="400"):
        sandbox.control._call("POST", "/returns", body)


def test_a_person_sends_a_delivered_shipment_back_and_moves_the_return_on(sandbox, visitor):
    [shipment_id] = delivered(sandbox)
    address = f"/shipments/{shipment_id}"
    assert "Send it back as the buyer" in visitor.get(address).text
    visitor.post(address, data={"act": "return"})
    [made] = sandbox.control.returns(shipment_id=shipment_id)
    shown = visitor.get(address).text
    assert made["id"] in shown
    assert "sends" in shown
    field = re.search(r'<select name="(to-[^"]+)"', shown)[1]
    assert f"<option selected>{WAY[1]}</option>" in shown
    visitor.post(address, data={"act": f"move_return:{made['id']}", field: "DELIVERED"})
    assert sandbox.control.return_item(made["id"])["status"] == "DELIVERED"
    refused = visitor.post(address, data={"act": f"move_return:{made['id']}", field: "LOST"})
    assert refused.status_code == 400
    assert "There is a problem" in refused.text


def test_a_shipment_on_its_way_has_no_such_button(sandbox, visitor):
    [shipment_id] = sandbox.control.create_orders(1, status="SHIPPED")
    assert "Send it back" not in visitor.get(f"/shipments/{shipment_id}").text
    assert visitor.post(f"/shipments/{shipment_id}", data={"act": "return"}).status_code == 400


def test_every_status_can_be_begun_with(sandbox, api):
    for status in STATUSES:
        [return_id] = sandbox.control.create_returns(delivered(sandbox)[0], status=status)
        assert get(api, return_id)["status"] == status

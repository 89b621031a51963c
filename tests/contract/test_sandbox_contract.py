"""Every answer of the sandbox against Amazon's models."""

import json

import httpx
import pytest

from amazon_sandbox.serving import Running
from amazon_sandbox.world.returns import STATUSES as RETURN_STATUSES
from amazon_sandbox.world.shelf import STATUSES
from tests.contract.models import ContractBreach, Models

SHIPMENTS = "/externalFulfillment/2024-09-11/shipments"
INVENTORIES = "/externalFulfillment/inventory/2024-09-11/inventories"
RETURNS = "/externalFulfillment/2024-09-11/returns"
PARTICIPATIONS = "/sellers/v1/marketplaceParticipations"
SELLERS = {"A3SBXSUNRISEIN": "EXSB", "A3SBXNOVAHOMAE": "DXB3", "A3SBXALPINEGDE": "MUC1"}

pytestmark = pytest.mark.contract


class Caller:
    """Calls the sandbox and holds each request and answer against the models."""

    def __init__(self, sandbox: Running, models: Models, seller_id: str = "A3SBXSUNRISEIN"):
        self.sandbox, self.models = sandbox, models
        token = sandbox.control.issue_tokens(seller_id)["access_token"]
        self.http = httpx.Client(
            base_url=sandbox.url, headers={"x-amz-access-token": token}, trust_env=False, verify=False
        )

    def __call__(self, method, path, query=None, body=None, *, expect, is_sound=True):
        """The decoded answer, after both sides were checked (`is_sound=False` sends what the model forbids)."""
        if is_sound:
            self.models.check_request(method, path, query, body)
        response = self.http.request(method, path, params=query, json=body)
        content = response.json() if response.content else None
        assert response.status_code == expect, response.text
        self.models.check_response(method, path, response.status_code, content)
        declared = self.models.declared_headers(method, path, response.status_code)
        assert declared <= set(response.headers), declared - set(response.headers)
        return content


@pytest.fixture(scope="module")
def models():
    return Models.load()


@pytest.fixture
def call(sandbox, models):
    caller = Caller(sandbox, models)
    yield caller
    caller.http.close()


def packages_of(shipment, **line_fields):
    side = {"value": "10.5", "dimensionUnit": "CM"}
    lines = [
        {"packageLineItemId": line["shipmentLineItemId"], "quantity": line["numberOfUnits"], **line_fields}
        for line in shipment["lineItems"]
    ]
    return {
        "packages": [
            {
                "id": "P1",
                "dimensions": {"length": side, "width": side, "height": side},
                "weight": {"value": "250.00", "weightUnit": "G"},
                "packageLineItems": lines,
            }
        ]
    }


def test_three_hundred_varied_shipments_of_every_country_hold_the_model(sandbox, models):
    for seller_id, location_id in SELLERS.items():
        sandbox.control.create_orders(100, seller_id=seller_id, location_id=location_id, seed=7)
        call = Caller(sandbox, models, seller_id)
        page = call("GET", SHIPMENTS, {"status": "ACCEPTED", "maxResults": 100}, expect=200)
        assert len(page["shipments"]) == 100
        assert len({json.dumps(s["charges"]) for s in page["shipments"]}) > 20, "the shipments vary"


def test_the_whole_way_of_a_shipment_holds_the_model(sandbox, call):
    [shipment_id] = sandbox.control.create_orders(1, lines=2, sku_codes=["MUG-STD", "NOTE-A5"])
    one = f"{SHIPMENTS}/{shipment_id}"
    sandbox.control.options(has_shipping_options=True)
    call("POST", one, {"operation": "CONFIRM"}, expect=204)
    shipment = call("GET", one, expect=200)
    assert shipment["status"] == "CONFIRMED"
    call("POST", f"{one}/packages", body=packages_of(shipment), expect=204)
    changed = packages_of(shipment)["packages"][0] | {"packageHandlingRequirements": "FRAGILE"}
    call("PUT", f"{one}/packages/P1", body=changed, expect=204)
    options = call("GET", f"{one}/shippingOptions", {"packageId": "P1"}, expect=200)
    assert len(options["shippingOptions"]) == 3
    assert call("GET", one, expect=200)["status"] == "PICKUP_SLOT_RETRIEVED"
    made = call("POST", f"{one}/invoice", expect=200)
    assert call("GET", f"{one}/invoice", expect=200) == made
    query = {"operation": "GENERATE", "shippingOptionId": options["shippingOptions"][1]["shippingOptionId"]}
    labels = call("PUT", f"{one}/shipLabels", query, {"packageIds": ["P1", "P9"]}, expect=200)
    assert [label["status"] for label in labels["packageShipLabelList"]] == ["SUCCESS", "FAILURE"]
    call("PUT", f"{one}/shipLabels", {"operation": "REGENERATE"}, {"packageIds": ["P1"]}, expect=200)
    call("PATCH", f"{one}/packages/P1", {"status": "SHIPPED"}, {}, expect=204)
    sandbox.control.move(shipment_id, "DELIVERED")
    assert call("GET", one, expect=200)["status"] == "DELIVERED"


@pytest.mark.parametrize("status", STATUSES)
def test_a_shipment_moved_to_any_status_holds_the_model(sandbox, call, status):
    [shipment_id] = sandbox.control.create_orders(1, status="CREATED")
    if status != "CREATED":
        sandbox.control.move(shipment_id, status)
    page = call("GET", SHIPMENTS, {"status": status}, expect=200)
    assert [shipment["id"] for shipment in page["shipments"]] == [shipment_id]


def test_refusals_hold_the_model(sandbox, call):
    [shipment_id] = sandbox.control.create_orders(1, lines=1, sku_codes=["KETTLE-17"])
    one = f"{SHIPMENTS}/{shipment_id}"
    call("GET", SHIPMENTS, expect=400, is_sound=False)
    call("GET", f"{SHIPMENTS}/NONE", expect=404)
    call("POST", f"{one}/packages", body={"packages": []}, expect=400, is_sound=False)
    call("POST", one, {"operation": "CONFIRM"}, expect=204)
    call("POST", one, {"operation": "CONFIRM"}, expect=409)
    shipment = call("GET", one, expect=200)
    call("POST", f"{one}/packages", body=packages_of(shipment), expect=422)
    call("PUT", f"{one}/shipLabels", {"operation": "GENERATE"}, {"packageIds": ["P1"]}, expect=409)
    call("GET", f"{one}/invoice", expect=404)
    rejection = {
        "referenceId": "r-1",
        "lineItems": [{"lineItem": {"id": "7", "quantity": 0}, "reason": "OUT_OF_STOCK"}],
    }
    call("POST", one, {"operation": "REJECT"}, rejection, expect=422)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttle", 429),
        ("error_400", 400),
        ("error_500", 500),
        ("error_503", 503),
        ("expired_token", 403),
        ("access_denied", 403),
    ],
)
@pytest.mark.parametrize("path", [SHIPMENTS, RETURNS, f"{RETURNS}/SR1", PARTICIPATIONS])
def test_answers_made_by_faults_hold_the_model(sandbox, call, kind, status, path):
    sandbox.control.fault(kind, count=1)
    call("GET", path, {"status": "ACCEPTED"} if path == SHIPMENTS else None, expect=status)


def test_inventory_answers_hold_the_model(sandbox, call):
    def line(verb, sku_code, **body):
        uri = f"/inventory/{verb}?locationId=EXSB&skuId={sku_code}"
        attributes = {"marketplaceId": "A21TJRUUN4KGV", "channelName": "FBA"}
        return {"method": "POST", "uri": uri, "body": {"marketplaceAttributes": attributes, **body}}

    requests = [
        line("update", "MUG-STD", quantity=15, clientSequenceNumber=5),
        line("update", "NOT-LISTED-1", quantity=15, clientSequenceNumber=5),
        line("update", "NO-WEIGHT-1", quantity=15, clientSequenceNumber=5),
        line("fetch", "MUG-STD"),
        line("fetch", "NEVER-SENT"),
    ]
    answer = call("POST", INVENTORIES, body={"requests": requests}, expect=207)
    assert [part["status"]["statusCode"] for part in answer["responses"]] == [200, 400, 200, 200, 200]
    sandbox.control.fault("inventory_left_out", sku_code="MUG-STD")
    left = call("POST", INVENTORIES, body={"requests": requests}, expect=207)
    assert [part["body"]["skuId"] for part in left["responses"]] == ["NOT-LISTED-1", "NO-WEIGHT-1", "NEVER-SENT"]
    eleven = {"requests": [line("fetch", "MUG-STD")] * 11}
    refused = call("POST", INVENTORIES, body=eleven, expect=400, is_sound=False)
    assert refused["errors"][0]["code"] == "BATCH_SIZE_EXCEED"


@pytest.mark.parametrize("status", RETURN_STATUSES)
@pytest.mark.parametrize("seller_id", SELLERS)
def test_a_return_in_any_status_of_any_country_holds_the_model(sandbox, models, seller_id, status):
    call = Caller(sandbox, models, seller_id)
    [shipment_id] = sandbox.control.create_orders(
        1, status="DELIVERED", seller_id=seller_id, location_id=SELLERS[seller_id]
    )
    begun = sandbox.control.create_returns(shipment_id, status=status)
    moved = sandbox.control.create_returns(shipment_id, return_sub_type="EXCHANGE", link="none")
    for return_id in moved:
        for step in ("REPLANNED", "REPLANNED", "OUT_FOR_DELIVERY", "DELIVERED", status):
            sandbox.control.move_return(return_id, step)
    query = {"status": status, "returnLocationId": SELLERS[seller_id], "maxResults": 100}
    window = {"lastUpdatedSince": "2020-01-01T00:00:00Z", "lastUpdatedUntil": "2099-01-01T00:00:00Z"}
    found = call("GET", RETURNS, {**query, **window}, expect=200)["returns"]
    assert {item["id"] for item in found} == {*begun, *moved}
    for item in found:
        assert call("GET", f"{RETURNS}/{item['id']}", expect=200) == item


def test_pages_and_refusals_of_returns_hold_the_model(sandbox, call):
    for shipment_id in sandbox.control.create_orders(5, status="DELIVERED", lines=1):
        sandbox.control.create_returns(shipment_id)
    sandbox.control.fault("empty_page", operation="listReturns", page=1, count=1)
    first = call("GET", RETURNS, {"maxResults": 3, "createdSince": "2020-01-01T00:00:00Z"}, expect=200)
    query = {"maxResults": 3, "createdSince": "2020-01-01T00:00:00Z", "nextToken": first["nextToken"]}
    assert call("GET", RETURNS, query, expect=200)["returns"] == []
    call("GET", f"{RETURNS}/NONE", expect=404)
    call("GET", RETURNS, {"lastUpdatedSince": "2020-01-01T00:00:00Z"}, expect=400)
    call("GET", RETURNS, {"status": "NEW"}, expect=400, is_sound=False)
    call("GET", RETURNS, {"maxResults": 101}, expect=400, is_sound=False)


def test_participations_hold_the_model_for_each_seller(sandbox, models):
    for seller_id in SELLERS:
        payload = Caller(sandbox, models, seller_id)("GET", PARTICIPATIONS, expect=200)["payload"]
        assert payload[0]["participation"]["isParticipating"] is True


def test_a_missing_token_is_refused_as_the_model_says(sandbox, models):
    response = httpx.get(f"{sandbox.url}{SHIPMENTS}", params={"status": "ACCEPTED"})
    assert response.status_code == 403
    models.check_response("GET", SHIPMENTS, 403, response.json())


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({}, None),
        ({"status": "NEW"}, None),
        ({"status": ["ACCEPTED", "CONFIRMED"]}, None),
        ({"status": "ACCEPTED", "maxResults": "101"}, None),
        ({"status": "ACCEPTED", "MarketplaceId": "A21TJRUUN4KGV"}, None),
        ({"status": "ACCEPTED", "locationId": "X" * 37}, None),
    ],
)
def test_the_models_find_what_is_wrong_in_a_request(models, query, body):
    with pytest.raises(ContractBreach):
        models.check_request("GET", SHIPMENTS, query, body)


def test_the_models_find_an_unknown_field_and_a_wrong_enum(models, sandbox, call):
    sandbox.control.create_orders(1, odd="odd_unknown_enum")
    with pytest.raises(ContractBreach, match="GIFT"):
        call("GET", SHIPMENTS, {"status": "ACCEPTED"}, expect=200)
    with pytest.raises(ContractBreach, match="surprise"):
        models.check_request("POST", f"{SHIPMENTS}/X/packages", None, {"packages": [], "surprise": 1})

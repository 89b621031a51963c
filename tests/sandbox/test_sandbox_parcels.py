"""Packing, invoice, labels and handover."""

import base64

import httpx
import pytest

HTTP = httpx.Client(trust_env=False, verify=False)

SHIPMENTS = "/externalFulfillment/2024-09-11/shipments"
SIDE = {"value": "10.5", "dimensionUnit": "CM"}


def package(shipment, package_id="P1", line_fields=None, **changes):
    lines = [
        {"packageLineItemId": line["shipmentLineItemId"], "quantity": line["numberOfUnits"], **(line_fields or {})}
        for line in shipment["lineItems"]
    ]
    return {
        "id": package_id,
        "dimensions": {"length": SIDE, "width": SIDE, "height": SIDE},
        "weight": {"value": "250.00", "weightUnit": "G"},
        "packageLineItems": lines,
        **changes,
    }


@pytest.fixture
def confirmed(sandbox, api):
    """A confirmed shipment of two plain lines with one unit each."""
    [shipment_id] = sandbox.control.create_orders(1, lines=2, units=1, sku_codes=["MUG-STD", "NOTE-A5"])
    api.confirm(shipment_id)
    return api.get(shipment_id)


@pytest.fixture
def do(api):
    """Calls an operation under a shipment; the status and decoded body."""

    def call(method, shipment_id, rest, query=None, body=None):
        response = api(method, f"{SHIPMENTS}/{shipment_id}/{rest}", query, body)
        return response.status_code, response.json() if response.content else None

    return call


def pack(do, shipment, *packages):
    return do("POST", shipment["id"], "packages", body={"packages": list(packages) or [package(shipment)]})


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"weight": {"value": "4.99", "weightUnit": "G"}}, 422),
        ({"weight": {"value": "0.005", "weightUnit": "KG"}}, 204),
        ({"weight": {"value": 250, "weightUnit": "G"}}, 400),
        ({"weight": {"value": "NaN", "weightUnit": "G"}}, 400),
        ({"weight": {"value": "250", "weightUnit": "STONE"}}, 400),
        ({"dimensions": {"length": SIDE, "width": SIDE}}, 400),
        ({"dimensions": {"length": SIDE, "width": SIDE, "height": {"value": "0", "dimensionUnit": "CM"}}}, 422),
        ({"id": ""}, 400),
        ({"packageLineItems": []}, 400),
        ({"packageLineItems": [{"packageLineItemId": "9", "quantity": 1}]}, 422),
        ({"packageLineItems": [{"packageLineItemId": "1", "quantity": 1}]}, 422),
        ({"packageLineItems": [{"packageLineItemId": "1", "quantity": "1"}]}, 400),
        ({"packageHandlingRequirements": "ROUGH"}, 400),
        ({"hazmatLabels": ["LITHIUM"]}, 422),
    ],
)
def test_packages_are_checked(api, do, confirmed, changes, status):
    assert pack(do, confirmed, package(confirmed, **changes))[0] == status
    assert api.get(confirmed["id"])["status"] == ("PACKAGE_CREATED" if status == 204 else "CONFIRMED")


@pytest.mark.parametrize("field", [{"serialNumbers": ["S1"]}, {"countryOfOrigin": "IN"}])
def test_what_compliance_disallows_must_not_be_sent(do, confirmed, field):
    status, answer = pack(do, confirmed, package(confirmed, line_fields=field))
    assert status == 422
    assert "DISALLOWED" in answer["errors"][0]["details"]


@pytest.mark.parametrize(("serials", "status"), [(["A", "B"], 204), (["A", "A"], 422), (["A"], 422), (None, 422)])
def test_what_compliance_requires_must_be_sent_per_unit(sandbox, api, do, serials, status):
    [shipment_id] = sandbox.control.create_orders(1, lines=1, units=2, sku_codes=["KETTLE-17"])
    api.confirm(shipment_id)
    shipment = api.get(shipment_id)
    fields = {"serialNumbers": serials} if serials else {}
    assert pack(do, shipment, package(shipment, line_fields=fields))[0] == status


def test_packing_needs_a_confirmed_shipment_and_happens_once(sandbox, api, do, confirmed):
    [new] = sandbox.control.create_orders(1)
    assert pack(do, api.get(new))[0] == 409
    assert pack(do, confirmed)[0] == 204
    assert pack(do, confirmed)[0] == 409
    assert sandbox.control.stats()["effects"]["packages"]["max_per_shipment"] == 1


def test_a_package_can_be_replaced_until_its_label(api, do, confirmed):
    pack(do, confirmed)
    heavier = package(confirmed, weight={"value": "1.5", "weightUnit": "KG"})
    assert do("PUT", confirmed["id"], "packages/P1", body=heavier)[0] == 204
    assert api.get(confirmed["id"])["packages"][0]["weight"] == {"value": "1.5", "weightUnit": "KG"}
    assert do("PUT", confirmed["id"], "packages/P9", body=package(confirmed, "P9"))[0] == 404
    assert do("PUT", confirmed["id"], "packages/P1", body=package(confirmed, "P2"))[0] == 400
    do("POST", confirmed["id"], "invoice")
    do("PUT", confirmed["id"], "shipLabels", {"operation": "GENERATE"})
    assert do("PUT", confirmed["id"], "packages/P1", body=heavier)[0] == 409


def test_shipping_options_are_none_for_seller_flex_and_some_when_switched_on(sandbox, api, do, confirmed):
    assert do("GET", confirmed["id"], "shippingOptions", {"packageId": "P1"})[0] == 409
    pack(do, confirmed)
    assert do("GET", confirmed["id"], "shippingOptions")[0] == 400
    assert do("GET", confirmed["id"], "shippingOptions", {"packageId": "P9"})[0] == 404
    assert do("GET", confirmed["id"], "shippingOptions", {"packageId": "P1"}) == (200, {"shippingOptions": []})
    assert api.get(confirmed["id"])["status"] == "PICKUP_SLOT_RETRIEVED"
    sandbox.control.options(has_shipping_options=True)
    _, answer = do("GET", confirmed["id"], "shippingOptions", {"packageId": "P1"})
    assert answer["recommendedShippingOption"] == answer["shippingOptions"][0]
    window = answer["shippingOptions"][0]["pickupWindow"]
    assert window["endTime"] - window["startTime"] == 7200


def test_the_invoice_is_a_pdf_made_once_and_retrieved_as_often_as_wished(sandbox, do, confirmed):
    assert do("GET", confirmed["id"], "invoice")[0] == 404
    assert do("POST", confirmed["id"], "invoice")[0] == 409
    pack(do, confirmed)
    status, made = do("POST", confirmed["id"], "invoice")
    assert status == 200
    assert base64.b64decode(made["document"]["content"]).startswith(b"%PDF-1.4")
    assert do("POST", confirmed["id"], "invoice")[0] == 409
    assert do("GET", confirmed["id"], "invoice") == (200, made)
    assert sandbox.control.stats()["effects"]["invoice"]["n_effects"] == 1


def test_an_invoice_waits_until_the_marketplace_has_it(sandbox, api, do):
    [shipment_id] = sandbox.control.create_orders(1, lines=1, sku_codes=["MUG-STD"], invoice_status="PENDING")
    api.confirm(shipment_id)
    pack(do, api.get(shipment_id))
    status, answer = do("POST", shipment_id, "invoice")
    assert status == 409
    assert "PENDING" in answer["errors"][0]["details"]
    sandbox.control.set_invoice(shipment_id, "AVAILABLE")
    assert do("POST", shipment_id, "invoice")[0] == 200


def labelled(do, shipment, **body):
    query = {"operation": "GENERATE"}
    return do("PUT", shipment["id"], "shipLabels", query, body or {"packageIds": ["P1"]})


@pytest.mark.parametrize(
    ("kind", "content_type", "start"),
    [("PDF", "application/pdf", b"%PDF"), ("PNG", "image/png", b"\x89PNG"), ("ZPL", "application/zpl", b"^XA")],
)
def test_a_label_opens_without_a_token_while_its_address_is_young(sandbox, do, confirmed, kind, content_type, start):
    sandbox.control.options(label_format=kind)
    pack(do, confirmed)
    do("POST", confirmed["id"], "invoice")
    _, answer = labelled(do, confirmed)
    [label] = answer["packageShipLabelList"]
    assert label["status"] == "SUCCESS"
    url = label["fileData"]["url"]
    file = HTTP.get(url)
    assert file.headers["content-type"].startswith(content_type)
    assert file.content.startswith(start)
    assert HTTP.get(url[:-1] + ("0" if url[-1] != "0" else "1")).status_code == 403
    sandbox.control.clock(advance_seconds=3601)
    assert HTTP.get(url).status_code == 403


def test_labels_need_the_invoice_and_are_generated_once_then_again_on_wish(sandbox, api, do, confirmed):
    pack(do, confirmed)
    assert labelled(do, confirmed)[0] == 409
    do("POST", confirmed["id"], "invoice")
    assert do("PUT", confirmed["id"], "shipLabels", {"operation": "REGENERATE"})[0] == 409
    first = labelled(do, confirmed)[1]["packageShipLabelList"][0]
    assert api.get(confirmed["id"])["status"] == "SHIPLABEL_GENERATED"
    assert labelled(do, confirmed)[0] == 409
    again = do("PUT", confirmed["id"], "shipLabels", {"operation": "REGENERATE"})[1]["packageShipLabelList"][0]
    assert again["shipLabelMetadata"]["trackingId"] == first["shipLabelMetadata"]["trackingId"]
    effects = sandbox.control.stats()["effects"]
    assert (effects["labels"]["n_effects"], effects["relabels"]["n_effects"]) == (1, 1)


def test_one_failed_label_leaves_the_shipment_waiting_for_it(sandbox, api, do, confirmed):
    halves = [
        package(confirmed, f"P{n}", packageLineItems=[{"packageLineItemId": str(n), "quantity": 1}]) for n in (1, 2)
    ]
    pack(do, confirmed, *halves)
    do("POST", confirmed["id"], "invoice")
    sandbox.control.fault("label_failure", count=1)
    both = {"packageIds": ["P1", "P2"]}
    statuses = [label["status"] for label in labelled(do, confirmed, **both)[1]["packageShipLabelList"]]
    assert statuses == ["FAILURE", "SUCCESS"]
    assert api.get(confirmed["id"])["status"] == "INVOICE_GENERATED"
    answer = labelled(do, confirmed, **both)[1]["packageShipLabelList"]
    assert [label["status"] for label in answer] == ["SUCCESS", "FAILURE"], "P2 has its label already"
    assert api.get(confirmed["id"])["status"] == "SHIPLABEL_GENERATED"


@pytest.mark.parametrize(
    ("query", "body"),
    [({}, {"packageIds": ["P1"]}), ({"operation": "PRINT"}, None), ({"operation": "GENERATE"}, {"packageIds": []})],
)
def test_faulty_label_requests_are_refused(do, confirmed, query, body):
    pack(do, confirmed)
    do("POST", confirmed["id"], "invoice")
    assert do("PUT", confirmed["id"], "shipLabels", query, body)[0] == 400


def test_an_unknown_shipping_option_is_refused(do, confirmed):
    pack(do, confirmed)
    do("POST", confirmed["id"], "invoice")
    query = {"operation": "GENERATE", "shippingOptionId": "SLOT-0"}
    assert do("PUT", confirmed["id"], "shipLabels", query, {"packageIds": ["P1"]})[0] == 422


@pytest.mark.parametrize(("query", "body"), [({"status": "SHIPPED"}, {}), ({}, {"status": "SHIPPED"})])
def test_handover_is_told_in_the_query_or_the_body(sandbox, api, do, confirmed, query, body):
    pack(do, confirmed)
    assert do("PATCH", confirmed["id"], "packages/P1", query, body)[0] == 409
    do("POST", confirmed["id"], "invoice")
    labelled(do, confirmed)
    assert do("PATCH", confirmed["id"], "packages/P1", query, body)[0] == 204
    assert api.get(confirmed["id"])["status"] == "SHIPPED"
    assert do("PATCH", confirmed["id"], "packages/P1", query, body)[0] == 409
    assert sandbox.control.stats()["effects"]["shipped"]["max_per_shipment"] == 1


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ({}, {}, 400),
        ({"status": "DELIVERED"}, {}, 400),
        ({"status": "SHIPPED"}, {"status": "DELIVERED"}, 400),
        ({}, {"status": "LOST"}, 400),
        ({}, {"status": "CREATED"}, 422),
        ({}, {"status": "DELIVERED"}, 422),
        ({}, {"status": "SHIPPED", "subStatus": "FLOATING"}, 400),
        ({}, {"status": "SHIPPED", "reason": "x" * 129}, 400),
    ],
)
def test_faulty_handovers_are_refused(do, confirmed, query, body, status):
    pack(do, confirmed)
    assert do("PATCH", confirmed["id"], "packages/P1", query, body)[0] == status


def test_who_delivers_himself_may_say_delivered(sandbox, api, do):
    fields = {"lines": 1, "sku_codes": ["MUG-STD"], "channel_name": "MFN", "shipping_type": "SELF"}
    [shipment_id] = sandbox.control.create_orders(1, **fields)
    sandbox.control.move(shipment_id, "SHIPPED")
    told = {"status": "DELIVERED", "subStatus": "DELIVERED", "reason": "Handed over"}
    assert do("PATCH", shipment_id, "packages/1", body=told)[0] == 204
    assert api.get(shipment_id)["status"] == "DELIVERED"
    assert api.get(shipment_id)["reason"] == "Handed over"


def test_a_body_must_be_json_of_a_fair_size(api, confirmed):
    path = f"{SHIPMENTS}/{confirmed['id']}/packages"
    headers = {"x-amz-access-token": api.token}
    post = api.http.post
    assert post(path, content="x=1", headers={**headers, "Content-Type": "text/plain"}).status_code == 415
    assert post(path, content="{", headers={**headers, "Content-Type": "application/json"}).status_code == 400
    big = post(path, content=b" " * 1_000_001, headers={**headers, "Content-Type": "application/json"})
    assert big.status_code == 413

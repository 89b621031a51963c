"""The control pages, as a person without JavaScript uses them, and who may use the controls."""

import re

import pytest


def press(visitor, path, **form):
    response = visitor.post(path, data=form)
    return visitor.get(response.headers["location"]) if response.status_code == 303 else response


def test_the_first_page_says_what_it_is_and_where_the_app_must_point(sandbox, visitor):
    page = visitor.get("/").text
    assert "Amazon, played by a sandbox" in page
    assert f"{sandbox.url}/auth/o2/token" in page
    assert sandbox.config.application_id in page
    assert "No shipments yet" in page


def test_orders_are_created_for_the_chosen_place(sandbox, visitor):
    page = press(visitor, "/orders", place="A3SBXNOVAHOMAE|DXB3", count="3", lines="2")
    assert "Created 3 orders." in page.text
    assert {shipment["location_id"] for shipment in sandbox.control.shipments()} == {"DXB3"}


def test_more_choices_are_obeyed(sandbox, visitor, api):
    form = {"place": "A3SBXSUNRISEIN|EXSB", "count": "1", "lines": "1", "other_location_id": "NEW9"}
    press(visitor, "/orders", **form, sku_codes="A-1, B-2", status="CONFIRMED", invoice_status="PENDING")
    [shipment] = api.page("CONFIRMED", locationId="NEW9")["shipments"]
    assert shipment["lineItems"][0]["merchantSku"] in ("A-1", "B-2")
    assert shipment["shipmentRequirements"]["invoice"]["status"] == "PENDING"


@pytest.mark.parametrize(("count", "words"), [("many", "whole number"), ("0", "from 1 to"), ("100001", "from 1 to")])
def test_a_faulty_form_keeps_what_was_typed_and_says_what_is_wrong(sandbox, visitor, count, words):
    page = press(visitor, "/orders", place="A3SBXSUNRISEIN|PNQ1", count=count, lines="3", sku_codes="KEPT-1")
    assert page.status_code == 400
    assert "There is a problem" in page.text
    assert words in page.text
    assert 'value="KEPT-1"' in page.text
    assert re.search(r'value="A3SBXSUNRISEIN\|PNQ1" selected', page.text)
    assert sandbox.control.shipments() == []


def test_the_list_filters_and_pages_and_acts_from_a_row(sandbox, visitor):
    ids = sandbox.control.create_orders(30)
    other = sandbox.control.create_orders(1, location_id="PNQ1")
    assert "Page 1 of 2" in visitor.get("/").text
    assert ids[0] in visitor.get("/?page=2").text
    assert visitor.get("/?page=99").status_code == visitor.get("/?page=x").status_code == 200
    filtered = visitor.get("/?location_id=PNQ1").text
    assert other[0] in filtered
    assert ids[29] not in filtered
    assert "No shipment fits" in visitor.get("/?status=DELIVERED").text
    moved = press(visitor, f"/shipments/{other[0]}", act="move:CONFIRMED", back="?location_id=PNQ1")
    assert f"Shipment {other[0]} is CONFIRMED now." in moved.text
    assert str(moved.url).endswith("?location_id=PNQ1")


def test_a_shipments_page_cancels_moves_and_changes_its_invoice(sandbox, visitor):
    [shipment_id] = sandbox.control.create_orders(1)
    path = f"/shipments/{shipment_id}"
    assert "NOT_AVAILABLE now" in press(visitor, path, act="invoice:NOT_AVAILABLE").text
    assert "is CONFIRMED now" in press(visitor, path, act="move", status="CONFIRMED").text
    assert "as if by its buyer" in press(visitor, path, act="cancel").text
    again = press(visitor, path, act="cancel")
    assert again.status_code == 400
    assert "There is a problem" in again.text
    assert visitor.get("/shipments/NONE").status_code == 404
    assert visitor.post("/shipments/NONE", data={"act": "cancel"}).status_code == 404


def test_faults_are_switched_on_and_off(sandbox, visitor):
    page = press(visitor, "/faults", kind="slow", operation="getShipments", count="", per_cent="25", ms="700")
    assert "Until switched off" in page.text
    assert "25 %" in page.text
    [fault] = sandbox.control.faults()
    assert (fault["kind"], fault["ms"], fault["probability"]) == ("slow", 700, 0.25)
    press(visitor, "/faults", kind="cut", count="2", per_cent="100", ms="")
    press(visitor, "/faults/off", fault_id=str(fault["id"]))
    assert [left["kind"] for left in sandbox.control.faults()] == ["cut"]
    assert "None: Amazon is well" in press(visitor, "/faults/off").text
    assert press(visitor, "/faults", kind="cut", per_cent="0").status_code == 400
    assert press(visitor, "/faults", kind="", per_cent="9").status_code == 400


def test_plans_switches_and_the_clock_are_changed(sandbox, visitor):
    names = list(sandbox.control.plans())
    form = {f"{name}-{part}": "3" for name in names for part in ("rate", "burst")}
    press(visitor, "/pace/plans", **{**form, "getShipments-rate": "", "getShipments-burst": ""})
    assert sandbox.control.plans()["getShipments"] is None
    assert sandbox.control.plans()["getShipment"] == {"rate": 3, "burst": 3}
    assert press(visitor, "/pace/plans", **{**form, "getShipment-rate": "fast"}).status_code == 400
    press(visitor, "/pace/plans", all="amazon")
    assert sandbox.control.plans()["batchInventory"]["rate"] == 50
    press(visitor, "/pace/plans", all="none")
    assert set(sandbox.control.plans().values()) == {None}
    switches = {"latency_ms": "7", "access_token_seconds": "60", "label_format": "PNG", "paging": "offset"}
    press(visitor, "/pace/options", **switches, inventory_sequence="echo", app_is_draft="on")
    kept = sandbox.control.options()
    assert (kept["latency_ms"], kept["label_format"], kept["app_is_draft"]) == (7, "PNG", True)
    assert kept["has_shipping_options"] is False
    press(visitor, "/pace/clock", hours="2.5")
    assert sandbox.control.options()["clock_shift_seconds"] == 9000
    press(visitor, "/pace/clock", to="real")
    assert sandbox.control.options()["clock_shift_seconds"] == 0
    assert press(visitor, "/pace/clock", hours="soon").status_code == 400


def test_authorizations_are_shown_and_revoked(sandbox, visitor, api):
    assert "1 time" in visitor.get("/authorizations").text
    page = press(visitor, "/authorizations/revoke", seller_id="A3SBXSUNRISEIN", what="all")
    assert "Sunrise Retail (India) took its authorization back." in page.text
    assert api("GET", "/sellers/v1/marketplaceParticipations").status_code == 403
    assert visitor.post("/authorizations/revoke", data={"seller_id": "nobody"}).status_code == 400


def test_emptying_asks_first(sandbox, visitor):
    sandbox.control.create_orders(2)
    assert "This deletes 2 shipments" in visitor.get("/reset").text
    assert len(sandbox.control.shipments()) == 2
    press(visitor, "/reset")
    assert sandbox.control.shipments() == []


@pytest.mark.parametrize("path", ["/orders", "/reset", "/faults", "/control/reset", "/control/orders"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
    ],
)
def test_another_sites_page_or_name_cannot_control_the_sandbox(sandbox, visitor, path, headers):
    sandbox.control.create_orders(1)
    assert visitor.post(path, data={"count": "1", "lines": "1"}, headers=headers).status_code == 403
    assert len(sandbox.control.shipments()) == 1


@pytest.mark.parametrize("path", ["/", "/control/stats", "/control/shipments"])
def test_reading_by_another_name_is_refused_too(visitor, path):
    assert visitor.get(path, headers={"Host": "rebound.example"}).status_code == 403


def test_what_buyers_and_skus_are_called_is_never_markup(sandbox, visitor):
    evil = "<svg onload=alert(1)>"
    [shipment_id] = sandbox.control.create_orders(1, location_id=evil, sku_codes=[evil], buyer={"name": evil})
    for path in ("/", f"/shipments/{shipment_id}", f"/?q={evil}&location_id={evil}"):
        assert evil not in visitor.get(path).text


def test_pages_have_no_script_and_no_inline_style(sandbox, visitor):
    [shipment_id] = sandbox.control.create_orders(1)
    for path in ("/", "/faults", "/pace", "/authorizations", "/reset", f"/shipments/{shipment_id}"):
        response = visitor.get(path)
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert "<script" not in response.text
        assert " style=" not in response.text


def test_faulty_control_calls_say_what_is_wrong(sandbox, visitor):
    for content in ("{", "[]", '{"wings": 2}', '{"location_ids": "EXSB"}', '{"seller_id": "nobody"}'):
        response = visitor.post("/control/orders", content=content)
        assert response.status_code == 400
        assert response.json()["error"]
    for query in ("limit=x", "offset=-"):
        assert visitor.get(f"/control/shipments?{query}").status_code == 400

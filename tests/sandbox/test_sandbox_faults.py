"""Usage plans, faults, latency and counts."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from amazon_sandbox.control_client import ControlError
from amazon_sandbox.world.database import Database
from amazon_sandbox.world.faults import Faults
from amazon_sandbox.world.plans import Plan, Plans
from amazon_sandbox.world.stats import Stats
from tests.support.servers import wait_for

HTTP = httpx.Client(trust_env=False, verify=False)

SHIPMENTS = "/externalFulfillment/2024-09-11/shipments"
PARTICIPATIONS = "/sellers/v1/marketplaceParticipations"
INVENTORIES = "/externalFulfillment/inventory/2024-09-11/inventories"
LISTINGS = "/listings/2021-08-01/items/A3SBXSUNRISEIN"
ACCEPTED = {"status": "ACCEPTED"}


def test_a_bucket_gives_its_burst_then_its_rate():
    now = [100.0]
    plans = Plans(monotonic=lambda: now[0])
    plans.set({"getShipments": Plan(2, 3)})
    assert [plans.is_allowed("A", "getShipments") for _ in range(4)] == [True, True, True, False]
    assert plans.is_allowed("B", "getShipments"), "each seller has its own"
    assert plans.is_allowed("A", "getShipment"), "each operation has its own"
    now[0] += 0.5
    assert [plans.is_allowed("A", "getShipments") for _ in range(2)] == [True, False]
    now[0] += 60
    assert [plans.is_allowed("A", "getShipments") for _ in range(4)] == [True, True, True, False]


def test_a_used_up_plan_answers_429_and_tells_the_limit_on_good_answers(sandbox, api):
    sandbox.control.plans({"getShipments": {"rate": 0.001, "burst": 2}})
    answers = [api("GET", SHIPMENTS, ACCEPTED) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["x-amzn-RateLimit-Limit"] == "0.001"
    assert answers[2].json()["errors"][0]["code"] == "SC_00007"
    assert all(answer.headers["x-amzn-RequestId"] and answer.headers["date"] for answer in answers)
    assert sandbox.control.stats()["n_429"] == 1


def test_amazons_rates_are_the_default(sandbox):
    sandbox.control.reset()
    plans = sandbox.control.plans()
    assert plans["batchInventory"] == {"rate": 50, "burst": 100}
    assert plans["getShipments"] == {"rate": 5, "burst": 10}
    assert plans["getMarketplaceParticipations"] == {"rate": 0.016, "burst": 15}


@pytest.mark.parametrize(
    ("plans", "words"),
    [
        ({"fly": None}, "unknown operation"),
        ({"getShipments": {"rate": 1}}, "burst"),
        ({"*": {"rate": 0, "burst": 1}}, "0"),
    ],
)
def test_faulty_plans_are_refused_whole(sandbox, plans, words):
    before = sandbox.control.plans()
    with pytest.raises(ControlError, match=words):
        sandbox.control.plans(plans)
    assert sandbox.control.plans() == before


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("throttle", 429, "SC_00007"),
        ("error_400", 400, "InvalidInput"),
        ("error_500", 500, "SC_00000"),
        ("error_503", 503, "SC_00001"),
        ("expired_token", 403, "has expired"),
        ("revoked_token", 403, "is revoked"),
        ("access_denied", 403, "Unauthorized"),
        ("html_instead_of_json", 200, "<h1>"),
    ],
)
def test_a_fault_strikes_as_often_as_asked_in_its_operation_only(sandbox, api, kind, status, words):
    sandbox.control.fault(kind, operation="getShipments", count=2)
    assert api("GET", PARTICIPATIONS).status_code == 200
    for _ in range(2):
        response = api("GET", SHIPMENTS, ACCEPTED)
        assert response.status_code == status
        assert words in response.text
    assert api("GET", SHIPMENTS, ACCEPTED).json()["shipments"] == []
    assert sandbox.control.faults() == []


@pytest.mark.parametrize("kind", ["cut", "drop_after_effect", "cut_body"])
def test_a_cut_connection_leaves_the_caller_without_an_answer(sandbox, api, kind):
    sandbox.control.fault(kind, count=1)
    with pytest.raises(httpx.RemoteProtocolError):
        api("GET", SHIPMENTS, ACCEPTED)
    # The caller hears of the cut a moment before the sandbox has counted it.
    wait_for(lambda: sandbox.control.stats()["statuses"].get("getShipments") == {"cut": 1}, "the cut to be counted")


def test_a_dropped_answer_has_had_its_effect_and_a_cut_one_has_not(sandbox, api):
    first, second = sandbox.control.create_orders(2)
    for kind, shipment_id in (("cut", first), ("drop_after_effect", second)):
        sandbox.control.fault(kind, operation="processShipment", count=1)
        with pytest.raises(httpx.RemoteProtocolError):
            api.confirm(shipment_id)
    assert [api.get(shipment_id)["status"] for shipment_id in (first, second)] == ["ACCEPTED", "CONFIRMED"]
    assert api.confirm(second).status_code == 409


def test_a_refused_call_is_not_dropped_so_that_the_fault_waits_for_an_effect(sandbox, api):
    [shipment_id] = sandbox.control.create_orders(1)
    api.confirm(shipment_id)
    sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)
    assert api.confirm(shipment_id).status_code == 409
    assert len(sandbox.control.faults()) == 1


def test_probability_skip_and_shipment_narrow_a_fault(sandbox, api):
    first, second = sandbox.control.create_orders(2)
    sandbox.control.fault("error_503", probability=0.5, operation="getShipments")
    statuses = {api("GET", SHIPMENTS, ACCEPTED).status_code for _ in range(60)}
    assert statuses == {200, 503}
    sandbox.control.clear_faults()
    sandbox.control.fault("error_500", skip=2, count=1, operation="getShipments")
    assert [api("GET", SHIPMENTS, ACCEPTED).status_code for _ in range(4)] == [200, 200, 500, 200]
    sandbox.control.fault("error_500", shipment_id=second)
    assert api.confirm(first).status_code == 204
    assert api.confirm(second).status_code == 500


def test_a_fault_about_a_sku_strikes_calls_about_it_and_no_others(sandbox, api):
    def batch(*sku_codes):
        lines = [{"method": "POST", "uri": f"/inventory/fetch?locationId=EXSB&skuId={code}"} for code in sku_codes]
        return api("POST", INVENTORIES, body={"requests": lines}).status_code

    def listing(sku_code):
        return api("GET", f"{LISTINGS}/{sku_code}", {"marketplaceIds": "A21TJRUUN4KGV"}).status_code

    sandbox.control.fault("error_500", sku_code="TEE")
    assert [batch("MUG"), batch("MUG", "TEE"), batch("TEE")] == [207, 500, 500]
    assert [listing("MUG"), listing("TEE")] == [200, 500]
    assert api("GET", SHIPMENTS, ACCEPTED).status_code == 200
    assert api("POST", INVENTORIES, body={"requests": "none"}).status_code == 400


def test_a_caller_that_is_held_when_the_sandbox_is_emptied_is_about_a_world_that_is_gone():
    faults = Faults(Database(None))
    for end, is_the_same_world in ((faults.clear, True), (faults.reset, False)):
        held = faults.add("held")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(faults.wait_until_off, held)
            end()
            assert waiting.result() is is_the_same_world


def test_a_fault_can_be_switched_off_alone(sandbox):
    one, two = sandbox.control.fault("cut"), sandbox.control.fault("throttle")
    sandbox.control.clear_faults(one)
    assert [fault["id"] for fault in sandbox.control.faults()] == [two]


@pytest.mark.parametrize(
    "limits",
    [
        {"kind": "meteor"},
        {"kind": "cut", "count": 0},
        {"kind": "cut", "probability": 2},
        {"kind": "cut", "operation": "fly"},
        {"kind": "slow", "ms": -1},
        {"kind": "held", "count": 1},
        {"kind": "cut", "when": "now"},
    ],
)
def test_faulty_faults_are_refused(sandbox, limits):
    with pytest.raises(ControlError, match="400"):
        sandbox.control.fault(**limits)
    assert sandbox.control.faults() == []


@pytest.mark.parametrize(
    ("kind", "is_odd"),
    [
        ("odd_unknown_enum", lambda s: s["lineItems"][0]["charges"][0]["chargeType"] == "GIFT"),
        ("odd_unknown_status", lambda s: s["status"] == "WAITING_FOR_DRONE"),
        ("odd_unknown_field", lambda s: "sandboxNovelty" in s),
        ("odd_missing_field", lambda s: "locationId" not in s),
        ("odd_date", lambda s: s["creationDateTime"] == "2020-06-09 14:00:00Z"),
        ("odd_broken_line", lambda s: "merchantSku" not in s["lineItems"][0]),
        ("odd_no_lines", lambda s: s["lineItems"] is None),
        ("odd_not_a_dict", lambda s: isinstance(s, str)),
    ],
)
def test_odd_shipments_come_once_by_a_fault_or_always_when_made_so(sandbox, api, kind, is_odd):
    sandbox.control.create_orders(2)
    sandbox.control.fault(kind, count=1)
    first, second = api.page()["shipments"]
    assert is_odd(first)
    assert second["id"].startswith("SB")
    assert not isinstance(api.page()["shipments"][0], str)
    [lasting] = sandbox.control.create_orders(1, odd=kind)
    assert is_odd(api.page()["shipments"][2])
    assert is_odd(api.get(lasting))
    assert api.confirm(lasting).status_code == 204, "odd to read, but sound to act on"


def test_latency_and_slowness_are_waited_before_the_answer(sandbox, api):
    sandbox.control.options(latency_ms=30)
    sandbox.control.fault("slow", ms=50, count=1)
    started = time.monotonic()
    api("GET", SHIPMENTS, ACCEPTED)
    assert time.monotonic() - started >= 0.08
    started = time.monotonic()
    api("GET", SHIPMENTS, ACCEPTED)
    assert time.monotonic() - started >= 0.03


def test_a_held_caller_has_its_answer_once_the_fault_is_switched_off(sandbox, api):
    sandbox.control.fault("held", operation="getShipments")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(api, "GET", SHIPMENTS, ACCEPTED)
        wait_for(lambda: sandbox.control.stats()["calls"] == {"getShipments": 1}, "the call to come")
        assert api.get("SBNOSUCH1")["errors"], "other operations answer meanwhile"
        assert not answer.done()
        sandbox.control.clear_faults()
        assert answer.result(timeout=10).status_code == 200


def test_a_vanished_shipment_is_in_no_list_and_unknown_until_it_is_back(sandbox, api):
    gone, there = sandbox.control.create_orders(2)
    sandbox.control.fault("vanished", shipment_id=gone)
    assert api.ids() == [there]
    assert api("GET", f"{SHIPMENTS}/{gone}").status_code == api.confirm(gone).status_code == 404
    assert api.get(there)["id"] == there
    sandbox.control.clear_faults()
    assert api.ids() == [gone, there]
    assert api.get(gone)["status"] == "ACCEPTED"


def test_a_shipment_that_is_shown_late_is_read_as_it_was_before_its_last_change(sandbox, api):
    changed, unchanged = sandbox.control.create_orders(2)
    sandbox.control.move(changed, "SHIPLABEL_GENERATED")
    sandbox.control.move(changed, "SHIPPED")
    sandbox.control.fault("shown_late")
    assert [api.get(one)["status"] for one in (changed, unchanged)] == ["SHIPLABEL_GENERATED", "ACCEPTED"]
    assert [shipment["status"] for shipment in api.page("SHIPPED")["shipments"]] == ["SHIPPED"], "a list is up to date"
    sandbox.control.clear_faults()
    assert api.get(changed)["status"] == "SHIPPED"


def test_calls_are_counted_until_cleared(sandbox, api):
    for _ in range(4):
        api("GET", SHIPMENTS, ACCEPTED)
    stats = sandbox.control.stats()
    assert stats["calls"] == {"getShipments": 4}
    assert stats["statuses"] == {"getShipments": {"200": 4}}
    assert stats["max_concurrent"] == 1
    sandbox.control.clear_stats()
    assert sandbox.control.stats()["n_calls"] == 0


def test_the_most_calls_at_once_are_kept_in_all_and_per_operation():
    stats = Stats()
    for name in ("getShipments", "getShipments", "getShipment"):
        stats.begin(name)
    stats.end("getShipments", "200")
    stats.begin("getShipments")
    told = stats.as_json()
    assert told["max_concurrent"] == 3
    assert told["max_concurrent_per_operation"] == {"getShipments": 2, "getShipment": 1}


def test_a_fault_of_one_seller_leaves_others_alone(sandbox, api, api_of):
    sandbox.control.fault("error_503", seller_id="A3SBXNOVAHOMAE")
    assert api("GET", SHIPMENTS, ACCEPTED).status_code == 200
    assert api_of("A3SBXNOVAHOMAE")("GET", SHIPMENTS, ACCEPTED).status_code == 503


def test_an_address_that_amazon_does_not_have_is_refused_in_the_callers_form(sandbox, api):
    response = api("GET", "/externalFulfillment/2021-01-06/shipments")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (404, "SC_00003")
    assert api("DELETE", SHIPMENTS).status_code == 405
    assert "no such page" in HTTP.get(f"{sandbox.url}/nothing").text


def test_the_date_header_follows_the_sandboxs_clock(sandbox):
    sandbox.control.clock(shift_seconds=86_400 * 400)
    shown = HTTP.get(f"{sandbox.url}/healthz").headers["date"]
    year = time.gmtime(time.time() + 86_400 * 400).tm_year
    assert f" {year} " in shown


@pytest.mark.parametrize("changes", [{"latency_ms": -1}, {"latency_ms": "5"}, {"label_format": "GIF"}, {"volume": 11}])
def test_faulty_options_are_refused(sandbox, changes):
    with pytest.raises(ControlError, match="400"):
        sandbox.control.options(**changes)

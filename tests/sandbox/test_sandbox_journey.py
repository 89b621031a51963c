"""The status machine: who may move a shipment where, and what is counted."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from amazon_sandbox.control_client import ControlError

SHIPMENTS = "/externalFulfillment/2024-09-11/shipments"


def rejection(shipment, reason="OUT_OF_STOCK", **changes):
    lines = [
        {"lineItem": {"id": line["shipmentLineItemId"], "quantity": 0}, "reason": reason}
        for line in shipment["lineItems"]
    ]
    return {"referenceId": "ref-1", "lineItems": lines, **changes}


def reject(api, shipment_id, body):
    return api("POST", f"{SHIPMENTS}/{shipment_id}", {"operation": "REJECT"}, body)


def test_confirm_works_once_and_is_a_conflict_afterwards(sandbox, api):
    [shipment_id] = sandbox.control.create_orders(1)
    assert api.confirm(shipment_id).status_code == 204
    assert api.confirm(shipment_id).status_code == 409
    assert api.get(shipment_id)["status"] == "CONFIRMED"
    stats = sandbox.control.stats()
    assert stats["effects"]["confirm"] == {"n_effects": 1, "n_shipments": 1, "max_per_shipment": 1}
    assert stats["refused"] == {"confirm": 1}


@pytest.mark.parametrize("status", ["CREATED", "PACKAGE_CREATED", "SHIPPED", "DELIVERED", "CANCELLED"])
def test_confirm_is_a_conflict_in_any_other_status(sandbox, api, status):
    [shipment_id] = sandbox.control.create_orders(1, status="CREATED")
    if status != "CREATED":
        sandbox.control.move(shipment_id, status)
    assert api.confirm(shipment_id).status_code == 409


def test_another_sellers_shipment_does_not_exist(sandbox, api_of):
    [shipment_id] = sandbox.control.create_orders(1, location_id="EXSB")
    assert api_of("A3SBXNOVAHOMAE").confirm(shipment_id).status_code == 404


@pytest.mark.parametrize("operation", [None, "CANCEL", "confirm"])
def test_an_unknown_operation_is_refused(sandbox, api, operation):
    [shipment_id] = sandbox.control.create_orders(1)
    query = {"operation": operation} if operation else {}
    assert api("POST", f"{SHIPMENTS}/{shipment_id}", query).status_code == 400


def test_a_rejection_cancels_every_line(sandbox, api):
    [shipment_id] = sandbox.control.create_orders(1, lines=3)
    assert reject(api, shipment_id, rejection(api.get(shipment_id))).status_code == 204
    shipment = api.get(shipment_id)
    assert shipment["status"] == "CANCELLED"
    for line in shipment["lineItems"]:
        [cancellation] = line["cancellations"]
        assert cancellation["cancellationType"] == "SELLER_REJECTED"
        assert cancellation["cancelledQuantity"] == line["numberOfUnits"]
    assert reject(api, shipment_id, rejection(shipment)).status_code == 409


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda body: None, 400),
        (lambda body: {}, 400),
        (lambda body: {**body, "referenceId": ""}, 400),
        (lambda body: {**body, "lineItems": body["lineItems"][:1]}, 422),
        (lambda body: {**body, "lineItems": body["lineItems"] * 2}, 422),
        (lambda body: {**body, "lineItems": [{"lineItem": {"id": "1"}, "reason": "BORED"}]}, 400),
        (lambda body: {**body, "lineItems": [{"lineItem": {}, "reason": "OUT_OF_STOCK"}]}, 400),
        (lambda body: {**body, "lineItems": [{"lineItem": {"id": "1", "quantity": 1}, "reason": "OUT_OF_STOCK"}]}, 422),
    ],
)
def test_a_faulty_rejection_changes_nothing(sandbox, api, spoil, status):
    [shipment_id] = sandbox.control.create_orders(1, lines=2)
    body = spoil(rejection(api.get(shipment_id)))
    assert reject(api, shipment_id, body).status_code == status
    assert api.get(shipment_id)["status"] == "ACCEPTED"


def test_rejection_needs_a_status_that_its_marketplace_lists(sandbox, api):
    [shipment_id] = sandbox.control.create_orders(1, rejectable_statuses=["ACCEPTED"])
    api.confirm(shipment_id)
    assert reject(api, shipment_id, rejection(api.get(shipment_id))).status_code == 409


@pytest.mark.parametrize(("by", "kind"), [("buyer", "MARKETPLACE_CANCELLED"), ("system", "SYSTEM_CANCELLED")])
def test_amazons_side_cancels_until_the_parcel_has_left(sandbox, api, by, kind):
    first, second = sandbox.control.create_orders(2)
    sandbox.control.cancel(first, by=by)
    shipment = api.get(first)
    assert shipment["status"] == "CANCELLED"
    assert shipment["lineItems"][0]["cancellations"][0]["cancellationType"] == kind
    sandbox.control.move(second, "SHIPPED")
    with pytest.raises(ControlError, match="409"):
        sandbox.control.cancel(second)


def test_amazon_moves_forward_only(sandbox, api):
    [shipment_id] = sandbox.control.create_orders(1)
    sandbox.control.move(shipment_id, "SHIPLABEL_GENERATED")
    assert api.get(shipment_id)["packages"][0]["status"] == "SHIPLABEL_GENERATED"
    with pytest.raises(ControlError, match="409"):
        sandbox.control.move(shipment_id, "CONFIRMED")
    with pytest.raises(ControlError, match="400"):
        sandbox.control.move(shipment_id, "TELEPORTED")


def test_two_confirms_at_once_have_one_effect(sandbox, api):
    ids = sandbox.control.create_orders(20)
    with ThreadPoolExecutor(8) as pool:
        statuses = [r.status_code for r in pool.map(api.confirm, ids * 2)]
    assert sorted(statuses) == [204] * 20 + [409] * 20
    assert sandbox.control.stats()["effects"]["confirm"]["max_per_shipment"] == 1

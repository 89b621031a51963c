"""Reading shipments: all that is there, and nothing that a strange one can break."""

import copy
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexdash.amazon import lenient, shipment_reader
from flexdash.amazon.errors import UnreadableShipment
from flexdash.amazon.shipment_reader import Money, Shipment, read_shipment
from tests.amazon.examples import charge, money, shipment


def at(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_amazons_example_is_read_whole():
    found = read_shipment(shipment())

    assert (found.id, found.order_id, found.location_id) == ("D1px1063T", "402-1234567-1234567", "EXSB")
    assert (found.marketplace_id, found.channel_name) == ("A21TJRUUN4KGV", "FBA")
    assert (found.status, found.sub_status, found.shipment_type) == ("ACCEPTED", "PENDING_SCHEDULE", "NEW")
    assert (found.priority, found.payment_method) == ("HIGH", "PREPAID")
    assert (found.processing_source, found.shipping_type) == ("EXTERNAL_PLATFORM", "MARKETPLACE")
    assert found.n_units == 3
    assert found.rejectable_statuses == ("ACCEPTED", "CONFIRMED")
    assert (found.invoice_requirement, found.invoice_status) == ("REQUIRED", "PENDING")
    assert found.created_at == at(2020, 6, 8, 17, 23, 58)
    assert found.updated_at == at(2020, 6, 8, 22, 10, 15, 250_000)
    assert found.placed_at == at(2020, 6, 8, 17, 23, 58)
    assert found.ship_by_at == at(2020, 6, 9, 17)
    assert found.earliest_pack_at == at(2020, 6, 9, 14)
    assert found.total == Money(Decimal("152.50"), "INR")
    assert found.currency == "INR"
    assert found.cancellation is None


def test_a_line_keeps_its_charges_as_sent_and_adds_them_up():
    line, bare = read_shipment(shipment()).lines
    assert (line.id, line.sku_code, line.n_units) == ("1", "1002400773021", 2)
    assert (line.item_total, line.tax_total, line.total) == (Decimal("100.10"), Decimal("17"), Decimal("117.10"))
    assert line.currency == "INR"
    assert line.charges == shipment()["lineItems"][0]["charges"]
    assert json.dumps(line.charges)
    assert line.compliance == {"serialNumberRequirement": "DISALLOWED"}
    assert bare.sku_code == "1E5"
    assert (bare.item_total, bare.tax_total, bare.total, bare.currency) == (None, None, None, "")


def test_the_buyer_is_read_and_never_printed():
    buyer = read_shipment(shipment()).buyer
    assert (buyer.name, buyer.email, buyer.phone) == ("Asha Rao", "asha@example.com", "+91 20 1234 5678")
    assert buyer.address_lines == ("12 MG Road", "Camp")
    assert (buyer.city, buyer.state, buyer.postal_code, buyer.country_code) == ("Pune", "Maharashtra", "411001", "IN")
    assert buyer.gift_message == "Happy birthday"
    assert repr(buyer) == "Buyer()"


def test_without_a_ship_to_address_the_parties_are_asked():
    parties = [
        {"partyType": "BILL_TO_PARTY", "address": {"name": "Payer", "postalCode": "1"}},
        "junk",
        {"partyType": "SHIP_TO_PARTY", "address": {"name": "Receiver", "postalCode": "2"}},
    ]
    found = read_shipment(shipment(shippingInfo={}, partyInfoList=parties))
    assert found.buyer.name == "Receiver"
    assert read_shipment(shipment(shippingInfo={}, partyInfoList=parties[:1])).buyer.name == "Payer"


def test_no_buyer_data_is_no_buyer():
    raw = shipment(shippingInfo={})
    del raw["lineItems"][0]["giftAttributes"]
    assert read_shipment(raw).buyer is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"format": "PLAIN_TEXT", "content": "Not base64!"}, "Not base64!"),
        ({"content": "SGk="}, "Hi"),
        ({"format": "PDF", "content": "SGk="}, ""),
        ({"format": "PLAIN_TEXT"}, ""),
        ("Hi", ""),
    ],
)
def test_a_gift_message_is_read_in_any_form_that_is_text(message, expected):
    raw = shipment()
    raw["lineItems"][0]["giftAttributes"] = {"giftMessage": message}
    assert read_shipment(raw).buyer.gift_message == expected


def test_a_cancellation_says_who_why_and_when():
    raw = shipment(status="CANCELLED")
    raw["lineItems"][1]["cancellations"] = [
        {
            "cancelledQuantity": 1,
            "cancelledTimestamp": "2020-06-09T01:00:00Z",
            "cancellationType": "MARKETPLACE_CANCELLED",
            "cancellationReason": "Buyer changed their mind",
        }
    ]
    found = read_shipment(raw)
    assert found.cancellation == found.lines[1].cancellation
    assert (found.cancellation.kind, found.cancellation.reason) == ("MARKETPLACE_CANCELLED", "Buyer changed their mind")
    assert found.cancellation.at == at(2020, 6, 9, 1)


def test_unknown_words_are_kept_as_they_are():
    found = read_shipment(shipment(status="TELEPORTED", subStatus="IN_LIMBO", newField={"x": [1]}))
    assert (found.status, found.sub_status) == ("TELEPORTED", "IN_LIMBO")


def test_amounts_in_two_currencies_have_no_sum():
    raw = shipment()
    raw["lineItems"][0]["charges"][1]["totalCharge"]["netAmount"]["currencyCode"] = "USD"
    assert read_shipment(raw).lines[0].total is None


def test_one_unreadable_part_makes_the_sum_unknown_not_wrong():
    raw = shipment()
    raw["lineItems"][0]["charges"][1]["totalCharge"] = {"netAmount": money("a lot"), "baseAmount": money("?")}
    line = read_shipment(raw).lines[0]
    assert line.total is None
    assert line.item_total == Decimal("100.10")


def test_a_missing_net_amount_is_base_less_discount():
    raw = shipment()
    one = charge("PRODUCT", "10", "1", "11")
    one["totalCharge"] = {"baseAmount": money("11"), "discountAmount": money("0.50")}
    raw["lineItems"][0]["charges"] = [one]
    assert read_shipment(raw).lines[0].total == Decimal("10.50")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "no readable id"),
        ({"id": "x" * 300}, "no readable id"),
        ({"status": ""}, "no readable status"),
        ({"status": ["ACCEPTED"]}, "no readable status"),
        ({"locationId": {}}, "no readable location"),
        ({"lineItems": []}, "no lines"),
        ({"lineItems": {"1": {}}}, "no lines"),
        ({"lineItems": [None]}, "line 1 is not"),
        ({"lineItems": [{}]}, "line 1 has no readable id"),
        ({"lineItems": [{"shipmentLineItemId": "1"}]}, "line 1 has no readable SKU"),
        ({"lineItems": [{"shipmentLineItemId": "1", "merchantSku": "S", "numberOfUnits": 0}]}, "number of units"),
        ({"lineItems": [{"shipmentLineItemId": "1", "merchantSku": "S", "numberOfUnits": True}]}, "number of units"),
    ],
)
def test_a_shipment_is_unreadable_only_without_id_status_location_or_lines(changes, reason):
    with pytest.raises(UnreadableShipment, match=reason) as caught:
        read_shipment(shipment(**changes))
    assert caught.value.shipment_id == (None if "id" in changes else "D1px1063T")


def test_the_least_there_must_be_is_enough():
    line = {"shipmentLineItemId": 1, "merchantSku": "S", "numberOfUnits": "2"}
    found = read_shipment({"id": 7, "status": "ACCEPTED", "locationId": "EXSB", "lineItems": [line]})
    assert (found.id, found.lines[0].id, found.n_units) == ("7", "1", 2)
    assert found.total is None
    assert found.buyer is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2020-06-08T17:23:58Z", at(2020, 6, 8, 17, 23, 58)),
        ("2020-06-08T22:53:58+05:30", at(2020, 6, 8, 17, 23, 58)),
        ("2020-06-08T17:23:58", at(2020, 6, 8, 17, 23, 58)),
        ("2020-06-09 14:00:00Z", at(2020, 6, 9, 14)),
        ("2020-06-09 14:00:00 UTC", at(2020, 6, 9, 14)),
        ("1591637038000", at(2020, 6, 8, 17, 23, 58)),
        ("1591637038", at(2020, 6, 8, 17, 23, 58)),
        (1591637038, at(2020, 6, 8, 17, 23, 58)),
        (1591637038000, at(2020, 6, 8, 17, 23, 58)),
        (1591637038.5, at(2020, 6, 8, 17, 23, 58, 500_000)),
        ("20200608", None),
        ("tomorrow", None),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("²²²²²²²²²²", None),
        (10**30, None),
        (-5, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ([], None),
    ],
)
def test_a_time_is_read_in_every_form_amazon_uses(sent, expected):
    assert lenient.moment(sent) == expected


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("10.50", "10.50"),
        ("-3", "-3"),
        (7, "7"),
        (0.1, "0.1"),
        ("NaN", None),
        ("1e999999", None),
        ("1e-999999", None),
        ("9" * 50, None),
        (10**400, None),
        (float("inf"), None),
        (True, None),
        ("1,50", None),
        (None, None),
    ],
)
def test_an_amount_is_exact_or_unknown(sent, expected):
    found = lenient.amount(sent)
    assert found == (None if expected is None else Decimal(expected))
    assert found is None or str(found) == expected


def test_text_no_database_can_hold_is_mended():
    assert lenient.text("a\x00b") == "a\ufffdb"
    assert lenient.text("a\ud800b").encode("utf-8")
    assert lenient.text(10**5000) == ""


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["1e99999", "NaN", "2020-06-09 14:00:00Z", "TOTAL", "9" * 5000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_a_fault_of_ours_costs_one_shipment_and_its_words_are_not_logged(monkeypatch, caplog):
    def fail(_raw):
        raise ValueError("Aditi Imaginary lives here")

    monkeypatch.setattr(shipment_reader, "_read_packages", fail)
    with pytest.raises(UnreadableShipment) as caught:
        read_shipment(packed())
    assert caught.value.shipment_id == packed()["id"]
    assert caught.value.reason == "FlexDash does not understand its form (ValueError)"
    assert "UnreadableShipment for a fault of ours: ValueError in fail" in caplog.text
    assert "Aditi" not in caplog.text


@given(JSON)
def test_random_junk_is_unreadable_and_nothing_worse(junk):
    with pytest.raises(UnreadableShipment):
        read_shipment(junk)


def paths(value, path=()):
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from paths(member, (*path, key))


PACKAGE = {
    "id": "P-1",
    "status": "CREATED",
    "dimensions": {key: {"value": "10", "dimensionUnit": "CM"} for key in ("length", "width", "height")},
    "weight": {"value": "1.5", "weightUnit": "KG"},
    "packageLineItems": [{"packageLineItemId": "1", "quantity": 2}],
}


def packed() -> dict:
    return {**shipment(), "packages": [copy.deepcopy(PACKAGE)]}


PATHS = [path for path in paths(packed()) if path]


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON), min_size=1, max_size=4))
def test_a_shipment_with_junk_anywhere_is_read_or_unreadable(changes):
    """Asked below the net that `read_shipment` spreads for our own faults."""
    raw = packed()
    for path, junk in changes:
        place = raw
        for key in path[:-1]:
            try:
                place = place[key]
            except (KeyError, IndexError, TypeError):
                place = None
                break
        key = path[-1]
        if isinstance(place, dict) or (isinstance(place, list) and isinstance(key, int) and key < len(place)):
            place[key] = junk
    try:
        found = shipment_reader._read(raw)
    except UnreadableShipment:
        return
    assert isinstance(found, Shipment)
    assert found.id
    assert found.lines
    assert all(line.n_units > 0 for line in found.lines)
    str(found).encode("utf-8", "surrogatepass")


def test_packages_are_read_in_centimetres_and_grams_whatever_their_units():
    raw, side = shipment(), {"value": "10", "dimensionUnit": "IN"}
    raw["packages"] = [
        {
            "id": "P-1",
            "status": "SHIPLABEL_GENERATED",
            "dimensions": {"length": side, "width": side, "height": {"value": "0.2", "dimensionUnit": "M"}},
            "weight": {"value": "1.5", "weightUnit": "KG"},
            "packageLineItems": [{"packageLineItemId": "1", "quantity": 2}, {"quantity": 1}, "odd"],
        },
        {"id": "P-2", "dimensions": {"length": {"value": "10", "dimensionUnit": "FURLONG"}}, "weight": None},
        {"id": "P-3", "dimensions": {"length": {"value": "10", "dimensionUnit": ["CM"]}}},
        {"status": "CREATED"},
        "odd",
    ]
    first, second, third = read_shipment(raw).packages
    assert (first.id, first.status, first.weight_g) == ("P-1", "SHIPLABEL_GENERATED", 1500)
    assert (first.length_cm, first.height_cm) == (Decimal("25.40"), Decimal("20.0"))
    assert first.lines == (("1", 2),)
    assert (second.id, second.length_cm, second.weight_g, second.lines) == ("P-2", None, None, ())
    assert (third.id, third.length_cm) == ("P-3", None)


@pytest.mark.parametrize("odd", [None, {}, "x", 7, []])
def test_no_packages_is_none(odd):
    assert read_shipment({**shipment(), "packages": odd}).packages == ()

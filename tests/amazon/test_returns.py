"""Returns: strict in what is sent, lenient in what is read, and silent about the one-time password."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from flexdash.amazon import errors, return_reader
from flexdash.amazon.operations import GET_RETURN, LIST_RETURNS
from flexdash.amazon.return_reader import MAX_ID, Tracking, read_return
from flexdash.amazon.return_statuses import RETURN_STATUS_TABLE, RETURN_STATUSES, lookup_return
from flexdash.amazon.returns import ReturnFilter, Returns
from tests.amazon.examples import return_item
from tests.amazon.stub import Give, error

BASE = "/externalFulfillment/2024-09-11/returns"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OTP = "739182"


@pytest.fixture
def returns(new_transport):
    return Returns(new_transport())


def page(n_returns, token=None):
    return Give(200, {"returns": [return_item()] * n_returns, "nextToken": token})


def query_of(seen):
    return dict(parse_qsl(seen.query, keep_blank_values=True))


def test_a_page_is_asked_for_with_every_filter_in_amazons_form(returns, stub):
    stub.answers = [page(2, "next")]
    wanted = ReturnFilter(
        location_id="EX SB",
        status="IN_TRANSIT",
        rma_id="R/1",
        reverse_tracking_id="T&1",
        created_since=NOON,
        created_until=NOON + timedelta(hours=1, microseconds=1),
        updated_since=NOON + timedelta(microseconds=1),
        updated_until=NOON + timedelta(hours=2),
    )
    found = returns.page(wanted, 50, "t 1")
    assert (len(found.returns), found.next_token) == (2, "next")
    assert found.amazon_date.tzinfo is not None
    (seen,) = stub.seen
    assert (seen.method, seen.path, seen.body) == ("GET", BASE, b"")
    assert query_of(seen) == {
        "returnLocationId": "EX SB",
        "status": "IN_TRANSIT",
        "rmaId": "R/1",
        "reverseTrackingId": "T&1",
        "createdSince": "2026-11-23T12:00:00Z",
        "createdUntil": "2026-11-23T13:00:01Z",  # a window never loses a moment at its edges
        "lastUpdatedSince": "2026-11-23T12:00:00Z",
        "lastUpdatedUntil": "2026-11-23T14:00:00Z",
        "maxResults": "50",
        "nextToken": "t 1",
    }


def test_without_a_filter_everything_is_listed(returns, stub):
    stub.answers = [page(0)]
    returns.page(ReturnFilter())
    assert query_of(stub.seen[0]) == {"maxResults": "100"}


@pytest.mark.parametrize(
    ("wanted", "more"),
    [
        ({"status": "NEW"}, {}),
        ({"status": ["CREATED"]}, {}),
        ({"location_id": ""}, {}),
        ({"location_id": "EX\nSB"}, {}),
        ({"rma_id": " "}, {}),
        ({"reverse_tracking_id": "x" * 256}, {}),
        ({"created_since": NOON.replace(tzinfo=None)}, {}),
        ({"created_since": "2026-11-23T12:00:00Z"}, {}),
        ({"created_since": NOON, "created_until": NOON}, {}),
        ({"updated_since": NOON}, {}),
        ({"updated_since": NOON, "location_id": "EXSB"}, {}),
        ({"updated_until": NOON, "status": "CREATED"}, {}),
        ({"updated_since": NOON, "updated_until": NOON, "location_id": "EXSB", "status": "CREATED"}, {}),
        ({}, {"max_results": 0}),
        ({}, {"max_results": 101}),
        ({}, {"max_results": True}),
        ({}, {"token": ""}),
    ],
    ids=str,
)
def test_what_amazon_does_not_take_is_not_sent(returns, stub, wanted, more):
    with pytest.raises(errors.InvalidArgument, match="nothing was sent"):
        returns.page(ReturnFilter(**wanted), **more)
    assert stub.seen == []


def test_pages_go_on_over_empty_ones_with_the_same_arguments_until_the_token_is_null(returns, stub):
    stub.answers = [page(2, "t1"), page(0, "t2"), page(0, "t3"), page(1, None)]
    wanted = ReturnFilter(location_id="EXSB", status="CREATED", updated_since=NOON)
    assert [len(one.returns) for one in returns.pages(wanted, 2)] == [2, 0, 0, 1]
    queries = [query_of(seen) for seen in stub.seen]
    assert [query.pop("nextToken", None) for query in queries] == [None, "t1", "t2", "t3"]
    assert len({tuple(query.items()) for query in queries}) == 1


def test_a_token_that_keeps_coming_back_ends_in_an_error_not_in_a_loop(returns, stub):
    stub.answers = [page(1, "same")]
    read = returns.pages(ReturnFilter())
    assert [len(next(read).returns) for _ in range(3)] == [1, 1, 1]
    with pytest.raises(errors.UnreadableAnswer, match="same page token"):
        next(read)


@pytest.mark.parametrize("data", [{}, {"returns": None, "nextToken": None}, {"returns": [], "nextToken": ""}])
def test_a_page_may_hold_nothing(returns, stub, data):
    stub.answers = [Give(200, data)]
    found = returns.page(ReturnFilter())
    assert (found.returns, found.next_token) == ([], None)


@pytest.mark.parametrize("data", [{"returns": {}}, {"returns": "none"}, {"returns": [], "nextToken": 7}, []])
def test_a_page_whose_end_cannot_be_known_is_an_error(returns, stub, data):
    stub.answers = [Give(200, data)]
    with pytest.raises(errors.UnreadableAnswer):
        returns.page(ReturnFilter())


def test_one_return_is_asked_for_by_its_id(returns, stub):
    stub.answers = [Give(200, return_item())]
    assert returns.get("R/1 ü")["id"] == "RMA-7d1c-0001"
    assert stub.seen[0].path == f"{BASE}/R%2F1%20%C3%BC"
    with pytest.raises(errors.InvalidArgument):
        returns.get("..")


def test_amazon_not_knowing_a_return_is_not_found(returns, stub):
    stub.answers = [error(404, "SC_00003", "NotFound")]
    with pytest.raises(errors.NotFound):
        returns.get("gone")


def test_both_operations_start_from_amazons_published_plan():
    assert [(op.name, op.plan.rate, op.plan.burst) for op in (LIST_RETURNS, GET_RETURN)] == [
        ("listReturns", 10, 20),
        ("getReturn", 10, 20),
    ]


# Reading --------------------------------------------------------------------------------------------------------------


def test_every_field_of_the_model_is_read_but_for_the_password():
    found = read_return(return_item())
    assert (found.id, found.status, found.return_type, found.return_sub_type) == (
        "RMA-7d1c-0001",
        "OUT_FOR_DELIVERY",
        "CUSTOMER",
        "NORMAL",
    )
    assert (found.n_units, found.sku_code, found.channel_sku) == (2, "1E5", "X00CHANNEL")
    assert (found.location_id, found.fulfillment_location_id) == ("EXSB", "PNQ1")
    assert (found.shipment_id, found.channel_shipment_id, found.order_id) == (
        "D1px1063T",
        "DmMarket1",
        "402-1234567-1234567",
    )
    assert found.exchange_order_id == "6cb83006-0597-4bc1-82ab-715b33eb6cf1"
    assert (found.merchant_id, found.marketplace_name, found.channel_name) == ("A1SELLER", "AMAZON_IN", "FBA")
    assert (found.reason, found.rma_id, found.invoice_id) == ("CR-DEFECTIVE", "DxRma1", "INV-77")
    assert (found.forward, found.reverse) == (Tracking("ATS", "FWD1"), Tracking("ATS", "REV2"))
    assert found.earlier == (Tracking("ATS", "REV1"),)
    assert found.delivery_mode == "WITH_OTP"
    assert found.otp_valid_until == datetime(2020, 6, 22, 8, 0, tzinfo=UTC)
    assert found.created_at == datetime(2020, 6, 18, 9, 0, tzinfo=UTC)
    assert found.updated_at == datetime(2020, 6, 20, 10, 15, 0, 250_000, tzinfo=UTC)
    assert found.picked_up_at == datetime(2020, 6, 19, 8, 0, tzinfo=UTC)
    assert found.delivered_at == datetime(2020, 6, 21, 8, 0, tzinfo=UTC)
    assert OTP not in repr(found)


def test_id_and_status_are_enough():
    found = read_return({"id": "R1", "status": "CREATED"})
    assert (found.id, found.status, found.n_units, found.location_id, found.updated_at) == (
        "R1",
        "CREATED",
        None,
        "",
        None,
    )
    assert (found.reverse, found.earlier, found.otp_valid_until) == (Tracking(), (), None)


@pytest.mark.parametrize(
    ("raw", "return_id"),
    [
        ("a text", None),
        (None, None),
        ([], None),
        ({}, None),
        ({"id": "", "status": "CREATED"}, None),
        ({"id": "x" * (MAX_ID + 1), "status": "CREATED"}, None),
        ({"id": {"otp": OTP}, "status": "CREATED"}, None),
        ({"id": "R1"}, "R1"),
        ({"id": "R1", "status": None}, "R1"),
        ({"id": "R1", "status": ["CREATED"]}, "R1"),
    ],
)
def test_without_id_or_status_a_return_is_unreadable_and_the_reason_quotes_nothing(raw, return_id):
    with pytest.raises(errors.UnreadableReturn) as caught:
        read_return(raw)
    assert caught.value.return_id == return_id
    assert OTP not in str(caught.value)


def test_a_fault_of_ours_costs_one_return_and_its_words_are_not_logged(monkeypatch, caplog):
    def fail(_raw):
        raise ValueError("Aditi Imaginary lives here")

    monkeypatch.setattr(return_reader, "_tracking", fail)
    with pytest.raises(errors.UnreadableReturn) as caught:
        read_return(return_item())
    assert caught.value.return_id == return_item()["id"]
    assert caught.value.reason == "FlexDash does not understand its form (ValueError)"
    assert "Aditi" not in caplog.text


def test_strange_values_cost_their_own_field_only():
    odd = return_item(
        status="WAITING_FOR_DRONE",
        returnType=7,
        numberOfUnits="two",
        creationDateTime="2020-06-09 14:00:00Z",
        lastUpdatedDateTime="1592647200",
        merchantSku=15,
        returnMetadata=None,
        returnShippingInfo=[],
        marketplaceChannelDetails="none",
        otpDetails={"validTill": "never"},
        replanningDetails={"previousTrackingInfo": [None, {"trackingId": 5}, "x"]},
        sandboxNovelty={"nested": True},
    )
    found = read_return(odd)
    assert (found.status, found.return_type, found.n_units, found.sku_code) == ("WAITING_FOR_DRONE", "7", None, "15")
    assert found.created_at == datetime(2020, 6, 9, 14, 0, tzinfo=UTC)
    assert found.updated_at == datetime(2020, 6, 20, 10, 0, tzinfo=UTC)
    assert (found.reason, found.order_id, found.earlier) == ("", "", (Tracking("", "5"),))


def test_the_channels_location_stands_in_for_a_missing_one():
    assert read_return(return_item(returnLocationId=None)).location_id == "EXSB"


def test_the_buyers_own_words_are_kept_without_their_address_or_telephone():
    reason = "Wrong size, call +91 98765 43210 or mail asha@example.com\nplease " + "x" * 500
    found = read_return(return_item(returnMetadata={"returnReason": reason})).reason
    assert found.startswith("Wrong size, call [hidden] or mail [hidden] please")
    assert len(found) <= 300


# The password ---------------------------------------------------------------------------------------------------------


def test_the_password_stands_in_no_record_error_or_repr(returns, stub, records, caplog):
    caplog.set_level("DEBUG")
    stub.answers = [page(1)]
    found = returns.page(ReturnFilter())
    assert found.returns[0]["otpDetails"]["otp"] == OTP
    stub.answers = [Give(200, {"returns": {"odd": return_item()}})]
    with pytest.raises(errors.UnreadableAnswer) as caught:
        returns.page(ReturnFilter())
    stub.answers = [Give(200, {"returns": [return_item()]}, cuts=True)]
    with pytest.raises(errors.AmazonError) as cut:
        returns.page(ReturnFilter())
    said = f"{found!r} {caught.value} {cut.value} {records!r} {caplog.text}"
    assert OTP not in said


# The table ------------------------------------------------------------------------------------------------------------


def test_the_table_has_amazons_fifteen_statuses_each_with_words_of_its_own():
    assert len(RETURN_STATUS_TABLE) == len(RETURN_STATUSES) == 15
    assert len({entry.label for entry in RETURN_STATUS_TABLE}) == 15
    assert {entry.status for entry in RETURN_STATUS_TABLE if entry.is_over} == {"PROCESSED", "REJECTED", "CANCELLED"}


def test_a_status_amazon_invents_is_shown_in_its_own_word():
    found = lookup_return("WAITING_FOR_DRONE")
    assert (found.label, found.is_over) == ("Waiting for drone", False)

"""One call with everything around it: what is repeated, what is raised, what is kept."""

import gzip
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flexdash.amazon import errors, http_pool
from flexdash.amazon.http_pool import PoolPerThread, new_pool, shared_pool
from flexdash.amazon.operations import Operation
from flexdash.amazon.pacing import Plan
from flexdash.amazon.records import redacted
from flexdash.amazon.wire import Reply, retry_after
from tests.amazon.stub import EXPIRED, NO_ROLE, REVOKED, Give, error

READ = Operation("GET", Plan("getShipment", 1000, 100))
WRITE = Operation("POST", Plan("createPackages", 1000, 100))
REPEATABLE = Operation("POST", Plan("processShipment", 1000, 100), is_repeatable=True)
PATH = ("externalFulfillment", "D1")


@pytest.fixture
def transport(new_transport):
    return new_transport()


def test_a_success_carries_the_data_amazons_clock_and_the_request_id(transport, stub, records):
    stub.answers = [Give(200, {"id": "D1"}, headers={"x-amzn-RequestId": "r-1"})]
    answer = transport.call(READ, PATH, shipment_id="D1")
    assert answer.data == {"id": "D1"}
    assert answer.request_id == "r-1"
    assert abs(answer.date.timestamp() - time.time()) < 60
    (seen,) = stub.seen
    assert seen.headers["x-amz-access-token"] == "Atza|fixed"
    assert seen.headers["user-agent"] == "FlexDash/1.0 (Language=Python)"
    assert seen.headers["accept"] == "application/json"
    (record,) = records
    assert (record.operation, record.method, record.path) == ("getShipment", "GET", "/externalFulfillment/D1")
    assert (record.status, record.attempt, record.shipment_id) == (200, 1, "D1")
    assert (record.amazon_request_id, record.error_code, record.response_excerpt) == ("r-1", "", "")
    assert record.duration_ms >= 0
    assert record.started_at.tzinfo is not None


def test_ids_are_encoded_and_the_query_stays_out_of_the_record(transport, stub, records):
    transport.call(READ, ("a", "x/y?z #%é"), [("token", "a b&c=+/")])
    (seen,) = stub.seen
    assert seen.path == "/a/x%2Fy%3Fz%20%23%25%C3%A9"
    assert seen.query == "token=a%20b%26c%3D%2B%2F"
    assert records[0].path == seen.path
    assert "a b&c" not in repr(records)
    assert records[0].sent == "token=[hidden]"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(400, "SC_00002", "InvalidInput", "status is missing"), errors.RequestRefused),
        (error(413), errors.RequestRefused),
        (error(415), errors.RequestRefused),
        (error(422), errors.RequestRefused),
        (error(418), errors.RequestRefused),
        (error(404, "SC_00003"), errors.NotFound),
        (error(409), errors.StateConflict),
        (error(403, "AccessDenied", "No"), errors.AccessDenied),
        (Give(403, {"message": "Forbidden"}), errors.AccessDenied),
        (Give(404, body=b"<html>nothing here</html>"), errors.NotFound),
    ],
)
@pytest.mark.parametrize("operation", [READ, REPEATABLE], ids=["read", "write"])
def test_a_refusal_is_raised_at_once_with_what_amazon_said(transport, stub, records, answer, kind, operation):
    answer.headers["x-amzn-RequestId"] = "r-9"
    stub.answers = [answer]
    with pytest.raises(kind) as caught:
        transport.call(operation, PATH)
    assert len(stub.seen) == 1
    assert caught.value.status == answer.status
    assert caught.value.request_id == "r-9"
    assert caught.value.operation == operation.name
    assert not caught.value.is_outcome_unknown
    if answer.data and "errors" in answer.data:
        assert caught.value.code == answer.data["errors"][0]["code"] == records[0].error_code
        assert answer.data["errors"][0]["message"] in records[0].response_excerpt


FAULTS = {
    "500": error(500),
    "502": Give(502, body=b"<html>Bad gateway</html>"),
    "504": Give(504, body=b""),
    "cut": Give(200, {"id": "D1"}, cuts=True),
    "HTML": Give(200, body=b"<html>Welcome</html>"),
    "a list": Give(200, [1]),
    "no body": Give(200, body=b""),
    "not gzip": Give(200, body=b"plain", headers={"Content-Encoding": "gzip"}),
    "redirect": Give(307, body=b"", headers={"Location": "/elsewhere"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_read_is_repeated_after_any_passing_fault(transport, stub, pauses, records, fault):
    stub.answers = [FAULTS[fault], FAULTS[fault], Give(200, {"id": "D1"})]
    assert transport.call(READ, PATH).data == {"id": "D1"}
    assert {seen.path for seen in stub.seen} == {"/externalFulfillment/D1"}
    assert [record.attempt for record in records] == [1, 2, 3]
    first, second = pauses
    assert 0.25 <= first <= 0.5 <= second <= 1.0, "longer each time, and not in step with others"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", [WRITE, REPEATABLE], ids=["write", "repeatable"])
def test_a_write_that_may_have_happened_is_never_repeated(transport, stub, fault, operation):
    stub.answers = [FAULTS[fault]]
    with pytest.raises((errors.AmazonUnavailable, errors.UnreadableAnswer)) as caught:
        transport.call(operation, PATH, body={})
    assert len(stub.seen) == 1
    assert caught.value.is_outcome_unknown
    assert caught.value.is_retryable


@pytest.mark.parametrize("operation", [WRITE, REPEATABLE], ids=["write", "repeatable"])
def test_a_page_of_somebody_in_between_is_no_success_of_a_write_without_answer(transport, stub, operation):
    stub.answers = [Give(200, body=b"<html>We are back soon</html>")]
    with pytest.raises(errors.UnreadableAnswer) as caught:
        transport.call(operation, PATH, body={}, expects_json=False)
    assert len(stub.seen) == 1
    assert caught.value.is_outcome_unknown


@pytest.mark.parametrize("body", [b"", b"null", b"{}"])
def test_a_write_without_answer_may_have_an_empty_one(transport, stub, body):
    stub.answers = [Give(200, body=body)]
    assert transport.call(WRITE, PATH, body={}, expects_json=False).status == 200


def test_a_503_repeats_reads_and_repeatable_writes_only(transport, stub):
    busy = error(503, "SC_00001", "ServiceUnavailable")
    for operation, n_calls in ((READ, 2), (REPEATABLE, 2), (WRITE, 1)):
        stub.seen.clear()
        stub.answers = [busy, Give(200, {})]
        if operation is WRITE:
            with pytest.raises(errors.AmazonUnavailable, match="ServiceUnavailable"):
                transport.call(operation, PATH)
        else:
            transport.call(operation, PATH)
        assert len(stub.seen) == n_calls


def test_repeats_are_bounded(transport, stub, records):
    stub.answers = [error(503)]
    with pytest.raises(errors.AmazonUnavailable):
        transport.call(READ, PATH)
    assert len(stub.seen) == len(records) == 5


def test_without_a_connection_even_a_write_is_repeated_because_nothing_was_sent(new_transport, pauses, records):
    transport = new_transport(base_url="http://127.0.0.1:9", max_attempts=3)
    with pytest.raises(errors.AmazonUnavailable, match="no connection") as caught:
        transport.call(WRITE, PATH, body={})
    assert not caught.value.is_outcome_unknown
    assert caught.value.status is None
    assert [(record.status, record.attempt) for record in records] == [(None, 1), (None, 2), (None, 3)]


def test_a_time_out_is_an_outcome_unknown(new_transport, stub):
    stub.answers = [Give(hangs=1)]
    with pytest.raises(errors.AmazonUnavailable, match="no answer in time") as caught:
        new_transport(timeout_seconds=0.2).call(WRITE, PATH)
    assert caught.value.is_outcome_unknown


def test_an_answer_that_is_too_long_is_not_read_to_its_end(new_transport, stub):
    stub.answers = [Give(200, body=b'"' + b"x" * 300_000 + b'"')]
    with pytest.raises(errors.UnreadableAnswer, match="longer than 100,000 bytes"):
        new_transport(max_answer_bytes=100_000, max_attempts=1).call(READ, PATH)


def test_an_answer_packed_more_than_once_is_not_unfolded(new_transport, stub):
    bomb = gzip.compress(gzip.compress(bytes(40_000_000)))  # a few hundred bytes
    stub.answers = [Give(200, body=bomb, headers={"Content-Encoding": "gzip, gzip"})]
    with pytest.raises(errors.UnreadableAnswer, match="packed more than once"):
        new_transport(max_attempts=1).call(READ, PATH)


def test_a_429_is_repeated_for_every_operation_and_rests_the_shared_bucket(transport, stub, pauses, turns, records):
    for operation in (READ, WRITE, REPEATABLE):
        turns.clear()
        records.clear()
        stub.answers = [error(429, "SC_00007", "RateLimited"), Give(200, {})]
        transport.call(operation, PATH)
        assert [record.is_throttled for record in records] == [True, False]
        assert turns[-1] >= 0.4
        assert pauses == [], "the pacer hands out the next turn, so nobody sleeps twice"
        assert records[1].waited_ms >= 400


def test_retry_after_is_honoured(transport, stub, pauses, turns):
    for answer, slept in ((error(429, Retry_After="7"), turns), (error(503, Retry_After="7"), pauses)):
        stub.answers = [answer, Give(200, {})]
        transport.call(READ, PATH)
        assert max(slept) >= 6.9


def test_a_retry_after_of_an_hour_is_left_to_the_caller(new_transport, stub):
    stub.answers = [error(429, Retry_After="3600")]
    with pytest.raises(errors.Throttled) as caught:
        new_transport().call(READ, PATH)
    assert caught.value.retry_after_seconds > 200
    assert len(stub.seen) == 1
    stub.answers = [error(503, Retry_After="3600")]
    with pytest.raises(errors.AmazonUnavailable):
        new_transport(partner="EU:A2").call(READ, PATH)
    assert len(stub.seen) == 2


def test_a_storm_of_429_ends_in_a_clear_error(transport, stub):
    stub.answers = [error(429)]
    with pytest.raises(errors.Throttled) as caught:
        transport.call(REPEATABLE, PATH)
    assert len(stub.seen) == 5
    assert caught.value.is_retryable
    assert caught.value.retry_after_seconds > 1


def test_the_rate_in_the_answer_is_followed(transport, stub, redis_connection):
    stub.answers = [Give(200, {}, headers={"x-amzn-RateLimit-Limit": "12.5"})]
    transport.call(READ, PATH)
    assert redis_connection.hget("flexdash:amazon:pace:EU:A1SELLER:getShipment", "rate") == b"12.5"


@pytest.mark.parametrize("refusal", [EXPIRED, Give(401, {"message": "no"}), NO_ROLE], ids=["expired", "401", "no role"])
@pytest.mark.parametrize("operation", [READ, WRITE], ids=["read", "write"])
def test_a_refused_access_token_is_renewed_once_and_the_call_repeated(transport, stub, tokens, refusal, operation):
    stub.answers = [refusal, Give(200, {"ok": True})]
    assert transport.call(operation, PATH).data == {"ok": True}
    assert [seen.headers["x-amz-access-token"] for seen in stub.seen] == ["Atza|fixed", "Atza|renewed-1"]


@pytest.mark.parametrize("refusal", [EXPIRED, REVOKED, error(401, "Unauthorized")], ids=["expired", "revoked", "401"])
def test_a_second_refusal_is_the_end_of_the_authorization(transport, stub, tokens, refusal):
    stub.answers = [refusal]
    with pytest.raises(errors.AuthorizationRefused, match="fresh token"):
        transport.call(READ, PATH)
    assert len(stub.seen) == 2
    assert tokens.n_renewed == 1


def test_a_missing_role_is_not_a_lost_authorization(transport, stub, tokens):
    stub.answers = [NO_ROLE]
    with pytest.raises(errors.AccessDenied):
        transport.call(READ, PATH)
    assert tokens.n_renewed == 1


def test_what_the_record_keeps_of_a_refusal_has_no_token_and_no_address(transport, stub, records):
    stub.answers = [error(400, "C", "Atza|leak for asha@example.com", "call +91 20 1234 5678\nnow")]
    with pytest.raises(errors.RequestRefused) as caught:
        transport.call(READ, PATH)
    for shown in (str(caught.value), repr(records)):
        for secret in ("Atza", "asha", "1234"):
            assert secret not in shown
        assert "\n" not in shown
    assert "[hidden]" in records[0].response_excerpt


def test_an_html_refusal_is_kept_short(transport, stub, records):
    stub.answers = [Give(404, body=b"<html>" + b"x" * 5000)]
    with pytest.raises(errors.NotFound):
        transport.call(READ, PATH)
    assert len(records[0].response_excerpt) == 200


def test_an_error_in_on_call_reaches_the_caller(new_transport):
    def broken(record):
        raise RuntimeError("the log is full")

    with pytest.raises(RuntimeError, match="the log is full"):
        new_transport(on_call=broken).call(READ, PATH)


def test_no_address_or_token_is_logged_even_at_debug(new_transport, caplog, http):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    with new_pool(5) as pool:
        new_transport(http=pool).call(READ, PATH, [("paginationToken", "secret-page")])
    assert "secret-page" not in caplog.text
    assert "Atza" not in caplog.text
    assert "externalFulfillment" not in caplog.text


def test_the_pool_is_one_per_process_and_not_inherited_by_a_fork():
    pool = shared_pool()
    assert shared_pool() is pool
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"inherited" if http_pool._pool is not None else b"fresh")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 20) == b"fresh"
    os.close(reader)
    os.close(writer)
    assert shared_pool() is pool


def test_a_proxy_never_stands_between_flexdash_and_this_machine(monkeypatch, stub):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with new_pool(2) as pool:
        assert pool.get(stub.url).status_code == 200


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "2"}, 2),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "99999999"}, 3600),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "²"}, 0),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 09:00:00 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 0),
    ],
)
def test_retry_after_is_read_in_both_forms(headers, seconds):
    assert retry_after(httpx.Headers(headers, encoding="utf-8")) == seconds


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a": NaN}', {"a": None}),
        (b'{"a": 1e999, "b": [-1e999, 1.5]}', {"a": None, "b": [None, 1.5]}),
        (b'{"a\\u0000": ["\\ud83d", "\\u0000"]}', {"a�": ["�", "�"]}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (b'{"sku": "\xed\xa0\x80"}', {"sku": "\ufffd"}),
        ('{"sku": "\\u0000"}'.encode("utf-16"), {"sku": "\ufffd"}),
        (b"[" * 100_000, None),
        (b"\xff\xfe", None),
        (b"", None),
        (b"1" * 5000, None),
    ],
)
def test_a_body_is_json_that_can_be_stored_or_nothing(body, expected):
    assert Reply(status=200, body=body).json() == expected


def test_redacted_text_is_one_short_line():
    assert redacted("a\n\tb  c") == "a b c"
    assert redacted("secret amzn1.oa2-cs.v1.abc and Atzr|x") == "secret [hidden] and [hidden]"
    assert redacted("x" * 500) == "x" * 299 + "…"


def test_a_pool_per_thread_gives_each_thread_its_own_and_closes_them_all(new_transport, stub):
    pool = PoolPerThread(5)
    transport = new_transport(http=pool)
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: transport.call(READ, PATH), range(12)))
    made = list(pool._made)
    assert 1 <= len(made) <= 3
    pool.close()
    assert all(client.is_closed for client in made)
    assert len(stub.seen) == 12


def test_no_cookie_is_kept_or_sent(transport, stub):
    stub.answers = [Give(200, {}, headers={"Set-Cookie": "session=1; Path=/"})]
    for _ in range(2):
        transport.call(READ, PATH)
    assert "cookie" not in stub.seen[-1].headers


def test_while_a_person_waits_no_long_pause_is_made(new_transport, stub, pauses):
    stub.answers = [error(503, Retry_After="60")]
    with pytest.raises(errors.AmazonUnavailable):
        new_transport(max_attempts=2, max_pause_seconds=2).call(READ, PATH)
    assert (len(stub.seen), pauses) == (1, [])


def without_asha(shipment_id):
    assert shipment_id == "D1"
    return lambda text: text.replace("Asha", "[hidden]")


def test_what_a_refusal_says_of_the_buyer_is_in_neither_error_nor_record(new_transport, stub, records):
    stub.answers = [error(400, "SC_00002", "Ship-to of Asha is not serviceable", "Buyer: Asha")]
    with pytest.raises(errors.RequestRefused) as refused:
        new_transport(mask_for=without_asha).call(WRITE, PATH, shipment_id="D1")
    assert "Ship-to of [hidden] is not serviceable: Buyer: [hidden]" in str(refused.value)
    assert "Asha" not in repr(records)
    assert "[hidden]" in records[0].response_excerpt


def test_what_is_refused_within_a_success_names_no_buyer_to_the_caller_either(new_transport, stub, records):
    label = {"packageId": "P1", "status": "FAILURE", "errorDetails": {"code": "E", "message": "Asha lives nowhere"}}
    stub.answers = [Give(200, {"packageShipLabelList": [label, {"packageId": "P2", "status": "SUCCESS"}]})]
    answer = new_transport(mask_for=without_asha).call(WRITE, PATH, shipment_id="D1")
    assert answer.data["packageShipLabelList"][0]["errorDetails"]["message"] == "[hidden] lives nowhere"
    (record,) = records
    assert (record.is_refused_within, record.error_message) == (True, "[hidden] lives nowhere")
    assert "Asha" not in repr(record)


def test_no_mask_is_asked_for_about_what_went_well_or_is_about_no_shipment(new_transport, stub):
    transport = new_transport(mask_for=lambda shipment_id: pytest.fail(f"asked for {shipment_id}"))
    stub.answers = [Give(200, {"id": "D1"}), error(400)]
    transport.call(READ, PATH, shipment_id="D1")
    with pytest.raises(errors.RequestRefused):
        transport.call(READ, PATH)

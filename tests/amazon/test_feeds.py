"""Feeds: documents without tokens, feeds, reports, and the content that goes out."""

import gzip
import json
from decimal import Decimal

import pytest

from flexdash.amazon import errors, price_feed
from flexdash.amazon.feeds import Feeds, read_feed
from flexdash.amazon.price_feed import PriceMessage
from flexdash.amazon.stored_documents import StoredDocuments
from tests.amazon.stub import Give
from tests.contract import feed_schema

INDIA = "A21TJRUUN4KGV"


@pytest.fixture
def documents(stub, http, records, pauses):
    def make(**changes):
        facts = {
            "http": http,
            "api_url": stub.url,
            "user_agent": "FlexDash/1.0 (Language=Python)",
            "timeout_seconds": 5,
            "on_call": records.append,
            "sleep": pauses,
        }
        return StoredDocuments(**{**facts, **changes})

    return make


@pytest.fixture
def feeds(new_transport, documents):
    return Feeds(new_transport(), documents())


@pytest.fixture
def amazon(stub):
    """Answers by method and path; each a list that is used up but for its last."""

    class Answers(dict):
        def __call__(self, seen):
            answers = self[seen.method, seen.path.rsplit("/", 1)[0]]
            return answers.pop(0) if len(answers) > 1 else answers[0]

    made = Answers()
    stub.answers = made
    return made


def place(stub, **more):
    return Give(201, {"feedDocumentId": "amzn1.doc", "url": f"{stub.url}/store/key?signature=SECRET", **more})


# Up and down ----------------------------------------------------------------------------------------------------------


def test_a_document_goes_up_without_the_token_and_with_its_type(feeds, stub, amazon, records):
    amazon["POST", "/feeds/2021-06-30"] = [place(stub)]
    amazon["PUT", "/store"] = [Give(200)]
    assert feeds.upload(b'{"a":1}') == "amzn1.doc"
    made, put = stub.seen
    assert made.json == {"contentType": "application/json; charset=UTF-8"}
    assert made.headers["x-amz-access-token"] == "Atza|fixed"
    assert (put.method, put.query, put.body) == ("PUT", "signature=SECRET", b'{"a":1}')
    assert put.headers["content-type"] == "application/json; charset=UTF-8"
    assert put.headers["user-agent"].startswith("FlexDash/")
    assert not {"x-amz-access-token", "authorization", "cookie"} & set(put.headers)
    assert [record.operation for record in records] == ["createFeedDocument", "uploadFeedDocument"]
    assert "SECRET" not in repr(records)


def test_a_report_comes_down_unpacked(feeds, stub, amazon):
    amazon["GET", "/feeds/2021-06-30/documents"] = [place(stub, compressionAlgorithm="GZIP")]
    amazon["GET", "/store"] = [Give(200, body=gzip.compress(b'{"issues":[]}'))]
    assert feeds.read("amzn1.doc") == b'{"issues":[]}'
    assert "x-amz-access-token" not in stub.seen[1].headers


@pytest.mark.parametrize("more", [{}, {"compressionAlgorithm": None}, {"compressionAlgorithm": "ZSTD"}])
def test_what_is_not_packed_comes_as_it_is(feeds, stub, amazon, more):
    amazon["GET", "/feeds/2021-06-30/documents"] = [place(stub, **more)]
    amazon["GET", "/store"] = [Give(200, body=b"{}")]
    assert feeds.read("amzn1.doc") == b"{}"


def test_a_page_in_the_place_of_a_packed_document_is_asked_for_again(feeds, stub, amazon):
    amazon["GET", "/feeds/2021-06-30/documents"] = [place(stub, compressionAlgorithm="GZIP")]
    amazon["GET", "/store"] = [Give(200, body=b"<html>proxy</html>"), Give(200, body=gzip.compress(b"{}"))]
    assert feeds.read("amzn1.doc") == b"{}"


def test_what_a_store_unpacked_already_is_not_unpacked_again(feeds, stub, amazon):
    amazon["GET", "/feeds/2021-06-30/documents"] = [place(stub, compressionAlgorithm="GZIP")]
    amazon["GET", "/store"] = [Give(200, body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})]
    assert feeds.read("amzn1.doc") == b"{}"


def test_an_address_that_ended_is_asked_for_once_more(feeds, stub, amazon):
    amazon["POST", "/feeds/2021-06-30"] = [place(stub)]
    amazon["PUT", "/store"] = [Give(403, body=b"<Error><Code>AccessDenied</Code></Error>"), Give(200)]
    assert feeds.upload(b"{}") == "amzn1.doc"
    assert [seen.method for seen in stub.seen] == ["POST", "PUT", "POST", "PUT"]
    amazon["GET", "/feeds/2021-06-30/documents"] = [place(stub)]
    amazon["GET", "/store"] = [Give(403), Give(403)]
    with pytest.raises(errors.AddressExpired) as caught:
        feeds.read("amzn1.doc")
    assert caught.value.is_retryable
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("passing", [Give(500), Give(503), Give(200, body=b"<html>proxy</html>"), Give(200, cuts=True)])
def test_a_passing_fault_of_an_upload_is_tried_again(documents, stub, passing):
    stub.answers = [passing, Give(200)]
    documents().put(f"{stub.url}/store/key", b"{}", "application/json")
    assert len(stub.seen) == 2


def test_a_lasting_fault_ends_after_a_few_attempts(documents, stub, pauses):
    stub.answers = [Give(503)]
    with pytest.raises(errors.AmazonUnavailable) as caught:
        documents().get(f"{stub.url}/store/key")
    assert (len(stub.seen), len(pauses)) == (4, 3)
    assert caught.value.operation == "downloadFeedDocument"


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_never_followed(documents, stub, status):
    stub.answers = [Give(status, headers={"Location": "https://elsewhere.example/"})]
    with pytest.raises(errors.UnreadableAnswer):
        documents().get(f"{stub.url}/store/key")


def test_what_is_refused_is_not_repeated(documents, stub):
    stub.answers = [Give(400, body=b"<Error><Code>EntityTooLarge</Code></Error>")]
    with pytest.raises(errors.RequestRefused):
        documents().put(f"{stub.url}/store/key", b"{}", "application/json")
    assert len(stub.seen) == 1


def test_sizes_are_bounded_both_ways(documents, stub):
    with pytest.raises(errors.RequestRefused):
        documents().put(f"{stub.url}/store/key", b" " * (10 * 1024 * 1024 + 1), "application/json")
    assert stub.seen == []
    stub.answers = [Give(200, body=b"x" * 1001)]
    with pytest.raises(errors.UnreadableAnswer):
        documents(max_download_bytes=1000).get(f"{stub.url}/store/key")
    stub.answers = [Give(200, body=gzip.compress(b"x" * 100_000))]
    with pytest.raises(errors.UnreadableAnswer, match="unpacks to more"):
        documents(max_unpacked_bytes=10_000).get(f"{stub.url}/store/key", is_gzip=True)


@pytest.mark.parametrize("packed", [gzip.compress(b"x" * 5000, mtime=0)[:-9], b"\x1f\x8bnot really"])
def test_a_broken_package_is_unreadable(documents, stub, packed):
    stub.answers = [Give(200, body=packed)]
    with pytest.raises(errors.UnreadableAnswer):
        documents().get(f"{stub.url}/store/key", is_gzip=True)


# Where to -------------------------------------------------------------------------------------------------------------


# Feeds ----------------------------------------------------------------------------------------------------------------


def test_a_feed_is_made_of_a_document(feeds, stub):
    stub.answers = [Give(202, {"feedId": "42"})]
    assert feeds.create("amzn1.doc", INDIA) == "42"
    (seen,) = stub.seen
    assert (seen.method, seen.path) == ("POST", "/feeds/2021-06-30/feeds")
    assert seen.json == {
        "feedType": "JSON_LISTINGS_FEED",
        "marketplaceIds": [INDIA],
        "inputFeedDocumentId": "amzn1.doc",
    }


@pytest.mark.parametrize("answer", [{}, {"feedId": None}, {"feedId": ""}])
def test_an_answer_without_a_feed_id_is_an_outcome_unknown(feeds, stub, answer):
    stub.answers = [Give(202, answer)]
    with pytest.raises(errors.UnreadableAnswer) as caught:
        feeds.create("amzn1.doc", INDIA)
    assert caught.value.is_outcome_unknown


def test_a_lost_answer_to_a_feed_is_not_asked_for_again(feeds, stub):
    stub.answers = [Give(503)]
    with pytest.raises(errors.AmazonUnavailable) as caught:
        feeds.create("amzn1.doc", INDIA)
    assert len(stub.seen) == 1
    assert caught.value.is_outcome_unknown


@pytest.mark.parametrize("answer", [{}, {"feedDocumentId": "x"}, {"url": "https://a.example/x"}, {"url": 5}])
def test_a_document_without_a_place_is_unreadable(feeds, stub, answer):
    stub.answers = [Give(201, answer)]
    with pytest.raises(errors.UnreadableAnswer):
        feeds.upload(b"{}")


def test_a_feed_is_read(feeds, stub):
    answer = {
        "feedId": "42",
        "processingStatus": "DONE",
        "resultFeedDocumentId": "amzn1.report",
        "createdTime": "2026-11-23T12:00:00+00:00",
        "processingEndTime": "1763899200000",
    }
    stub.answers = [Give(200, answer)]
    feed = feeds.get("42")
    assert (feed.id, feed.status, feed.is_over, feed.result_document_id) == ("42", "DONE", True, "amzn1.report")
    assert feed.created_at.year == 2026
    assert feed.ended_at is not None


@pytest.mark.parametrize("status", ["IN_QUEUE", "IN_PROGRESS", "PAUSED_BY_A_LATER_RELEASE", "", None, 5])
def test_a_feed_that_is_not_over_goes_on(status):
    feed = read_feed({"processingStatus": status, "createdTime": "soon"}, "42")
    assert (feed.id, feed.is_over, feed.created_at) == ("42", False, None)


# The content of a feed ------------------------------------------------------------------------------------------------


def message(number, sku_code=None, price="599.00"):
    return PriceMessage(number, sku_code or f"SKU-{number}", Decimal(price))


def built(*messages, **more):
    return price_feed.build("A1SELLER", INDIA, "INR", messages, **more)


def test_the_content_merges_our_price_alone():
    feed = built(message(7, "a/b ü"), message(9))
    content = json.loads(feed.content)
    feed_schema.check(content, feed_schema.FEED)
    assert feed.ids == [7, 9]
    assert content["header"] == {"sellerId": "A1SELLER", "version": "2.0"}
    assert content["messages"][0] == {
        "messageId": 7,
        "sku": "a/b ü",
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [
            {
                "op": "merge",
                "path": "/attributes/purchasable_offer",
                "value": [
                    {
                        "marketplace_id": INDIA,
                        "currency": "INR",
                        "audience": "ALL",
                        "our_price": [{"schedule": [{"value_with_tax": 599}]}],
                    }
                ],
            }
        ],
    }


def test_a_feed_holds_25_000_messages_and_the_rest_waits():
    feed = price_feed.build("A1SELLER", INDIA, "INR", (message(n) for n in range(1, 26_002)))
    assert feed.ids == list(range(1, 25_001))
    assert len(feed.content) < 10 * 1024 * 1024


def test_a_feed_stays_below_ten_mebibytes_whatever_its_skus():
    long = "ü" * 200
    feed = price_feed.build("A1SELLER", INDIA, "INR", (message(n, long) for n in range(1, 25_001)))
    assert 10_000 < len(feed.ids) < 25_000
    assert 10 * 1024 * 1024 - 4096 < len(feed.content) < 10 * 1024 * 1024
    assert len(json.loads(feed.content)["messages"]) == len(feed.ids)


def test_a_message_amazon_would_never_take_is_left_out_with_the_reason():
    feed = built(message(1, "a\u200bb"), message(2, price="0"), message(3), message(2**31))
    assert feed.ids == [3]
    assert [number for number, _ in feed.refused] == [1, 2, 2**31]
    assert all(why for _, why in feed.refused)


# The report -----------------------------------------------------------------------------------------------------------


def test_a_report_says_what_is_wrong_with_which_message():
    content = {
        "header": {"feedId": "42"},
        "issues": [
            {"messageId": 2, "sku": "B", "code": "90220", "severity": "ERROR", "message": "Missing."},
            {"messageId": "2", "code": "W", "severity": "WARNING", "message": "Mind.", "attributeName": "x"},
            {"code": "4000000", "severity": "ERROR", "message": "The whole feed."},
            {"messageId": 0, "severity": "FUTURE_WORD"},
            "junk",
        ],
        "summary": {"errors": 1, "messagesProcessed": 3, "messagesAccepted": 2, "messagesInvalid": 1},
    }
    report = price_feed.read_report(json.dumps(content).encode())
    assert (report.n_accepted, report.n_invalid) == (2, 1)
    assert [issue.words for issue in report.issues[2]] == ["Missing. (90220)", "Mind. (W)"]
    assert [issue.is_error for issue in report.issues[2]] == [True, False]
    assert [issue.words for issue in report.general] == ["The whole feed. (4000000)", ""]


@pytest.mark.parametrize("content", [{"issues": []}, {"summary": {}}, {"summary": {"messagesAccepted": "many"}}])
def test_a_report_with_gaps_is_read(content):
    report = price_feed.read_report(json.dumps(content).encode())
    assert (report.n_accepted, report.issues) == (None, {})


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"summary": 5}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_report_is_unreadable(content):
    with pytest.raises(errors.UnreadableAnswer):
        price_feed.read_report(content)

"""Feeds: document, upload, feed, report; and the addresses that live five minutes."""

import gzip
import json

import httpx
import pytest

from amazon_sandbox.serving import running
from tests.sandbox.conftest import Api

SELLER = "A3SBXSUNRISEIN"
INDIA = "A21TJRUUN4KGV"
FEEDS = "/feeds/2021-06-30/feeds"
DOCUMENTS = "/feeds/2021-06-30/documents"
JSON = "application/json; charset=UTF-8"


def message(number, sku_code, price, **changes):
    value = {
        "marketplace_id": INDIA,
        "currency": "INR",
        "audience": "ALL",
        "our_price": [{"schedule": [{"value_with_tax": price}]}],
    }
    return {
        "messageId": number,
        "sku": sku_code,
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [{"op": "merge", "path": "/attributes/purchasable_offer", "value": [value]}],
        **changes,
    }


def content_of(*messages, **header):
    return json.dumps({"header": {"sellerId": SELLER, "version": "2.0", **header}, "messages": messages}).encode()


class FeedCaller:
    """Goes the way of a feed step by step."""

    def __init__(self, api):
        self.api = api
        self.plain = httpx.Client(trust_env=False, verify=False, timeout=60)

    def document(self, content_type=JSON):
        response = self.api("POST", DOCUMENTS, body={"contentType": content_type})
        assert response.status_code == 201, response.text
        return response.json()

    def put(self, document, content, content_type=JSON, **headers):
        return self.plain.put(document["url"], content=content, headers={"Content-Type": content_type, **headers})

    def create(self, document_id, **changes):
        body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [INDIA], "inputFeedDocumentId": document_id}
        return self.api("POST", FEEDS, body=body | changes)

    def send(self, content):
        document = self.document()
        assert self.put(document, content).status_code == 200
        response = self.create(document["feedDocumentId"])
        assert response.status_code == 202, response.text
        return response.json()["feedId"]

    def get(self, feed_id):
        response = self.api("GET", f"{FEEDS}/{feed_id}")
        assert response.status_code == 200, response.text
        return response.json()

    def report(self, feed_id):
        document = self.api("GET", f"{DOCUMENTS}/{self.get(feed_id)['resultFeedDocumentId']}").json()
        assert document["compressionAlgorithm"] == "GZIP"
        return json.loads(gzip.decompress(self.plain.get(document["url"]).content))


@pytest.fixture
def feeds(api):
    caller = FeedCaller(api)
    yield caller
    caller.plain.close()


@pytest.fixture
def at_once(sandbox):
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=0)


def test_a_feed_goes_from_the_queue_to_work_to_done_and_its_prices_show(sandbox, feeds):
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=60)
    feed_id = feeds.send(content_of(message(1, "MUG-STD", 250), message(7, "TEE-BLK-M", 450)))
    assert feeds.get(feed_id)["processingStatus"] == "IN_QUEUE"
    sandbox.control.clock(advance_seconds=61)
    assert feeds.get(feed_id)["processingStatus"] == "IN_PROGRESS"
    assert sandbox.control.listing("MUG-STD")["price"] == "299.00"
    sandbox.control.clock(advance_seconds=60)
    feed = feeds.get(feed_id)
    assert feed["processingStatus"] == "DONE"
    assert feed["processingEndTime"] >= feed["processingStartTime"] >= feed["createdTime"]
    report = feeds.report(feed_id)
    assert report["header"] == {"sellerId": SELLER, "version": "2.0", "feedId": feed_id}
    assert report["issues"] == []
    assert report["summary"] == {
        "errors": 0,
        "warnings": 0,
        "messagesProcessed": 2,
        "messagesAccepted": 2,
        "messagesInvalid": 0,
    }
    assert sandbox.control.listing("MUG-STD")["price"] == "250.00"
    assert sandbox.control.listing("MUG-STD")["mrp"] is not None


def test_a_feeds_prices_show_though_nobody_asks_for_the_feed(sandbox, feeds, at_once):
    feeds.send(content_of(message(1, "MUG-STD", 250)))
    assert sandbox.control.listing("MUG-STD")["price"] == "250.00"


def test_each_bad_message_has_its_issue_and_the_others_are_taken(sandbox, feeds, at_once):
    feed_id = feeds.send(
        content_of(
            message(1, "MUG-STD", 250),
            message(2, "LAMP-OAK", 10**6),
            message(3, "NOT-LISTED-1", 5),
            message(4, "YOGA-MAT", 800, operationType="DELETE"),
            message(5, "PILLOW-2", 900, patches=[{"op": "copy", "path": "x"}]),
            message(1, "KETTLE-17", 1700),
            "not a message",
        )
    )
    report = feeds.report(feed_id)
    found = {(line["messageId"], line.get("sku")): line["code"] for line in report["issues"]}
    assert found == {
        (2, "LAMP-OAK"): "PRICE_ABOVE_MRP",
        (3, "NOT-LISTED-1"): "13013",
        (4, "YOGA-MAT"): "4000000",
        (5, "PILLOW-2"): "4000001",
        (1, "KETTLE-17"): "4000000",
        (0, None): "4000000",
    }
    assert report["summary"]["messagesProcessed"] == 7
    assert report["summary"]["messagesAccepted"] == 1
    assert sandbox.control.listing("MUG-STD")["price"] == "250.00"


@pytest.mark.parametrize(
    "content",
    [
        b"sku,price\nMUG-STD,5\n",
        content_of(),
        content_of(message(1, "MUG-STD", 5), version="1.0"),
        content_of(message(1, "MUG-STD", 5), sellerId="A3SBXNOVAHOMAE"),
        content_of(*({"messageId": n} for n in range(1, 25_002))),
    ],
    ids=["no JSON", "no message", "version", "seller", "too many"],
)
def test_what_is_no_feed_is_fatal_and_the_report_says_why(feeds, at_once, content):
    feed_id = feeds.send(content)
    assert feeds.get(feed_id)["processingStatus"] == "FATAL"
    assert len(feeds.report(feed_id)["issues"]) == 1


@pytest.mark.parametrize("n_messages", [2_500, pytest.param(25_000, marks=pytest.mark.faults)])
def test_a_feed_of_as_many_messages_as_amazon_takes_is_done(sandbox, feeds, at_once, n_messages):
    content = content_of(*(message(n, f"SKU-{n:05d}", 10) for n in range(1, n_messages + 1)))
    assert len(content) < 10 * 1024 * 1024
    feed_id = feeds.send(content)
    assert feeds.report(feed_id)["summary"]["messagesAccepted"] == n_messages
    assert sandbox.control.listing(f"SKU-{n_messages:05d}")["price"] == "10.00"


def test_faults_decide_how_a_feed_ends(sandbox, feeds, at_once):
    for kind, status in (("feed_fatal", "FATAL"), ("feed_cancelled", "CANCELLED"), ("feed_stuck", "IN_QUEUE")):
        sandbox.control.fault(kind, count=1)
        feed = feeds.get(feeds.send(content_of(message(1, "MUG-STD", 250))))
        assert feed["processingStatus"] == status
        assert "resultFeedDocumentId" not in feed
    assert sandbox.control.listing("MUG-STD")["price"] == "299.00"
    assert sandbox.control.end_feed(feed["feedId"])["processingStatus"] == "DONE"
    assert sandbox.control.listing("MUG-STD")["price"] == "250.00"


def test_a_message_of_a_feed_can_be_refused_by_a_fault(sandbox, feeds, at_once):
    sandbox.control.fault("price_refused", operation="createFeed", count=1)
    feed_id = feeds.send(content_of(message(1, "MUG-STD", 250), message(2, "YOGA-MAT", 800)))
    [line] = feeds.report(feed_id)["issues"]
    assert (line["messageId"], line["code"]) == (1, "SANDBOX_PRICE_REFUSED")


def test_an_address_lives_five_minutes_and_serves_one_purpose(sandbox, feeds):
    document = feeds.document()
    assert feeds.plain.get(document["url"]).status_code == 403, "made for a PUT"
    assert feeds.put(document, b"{}", "text/plain").status_code == 403
    assert feeds.plain.put(document["url"].replace("signature=", "signature=0")).status_code == 403
    sandbox.control.clock(advance_seconds=301)
    assert feeds.put(document, b"{}").status_code == 403
    assert feeds.create(document["feedDocumentId"]).status_code == 400, "nothing was uploaded"
    sandbox.control.fault("document_url_expired", operation="createFeedDocument", count=1)
    assert feeds.put(feeds.document(), b"{}").status_code == 403
    assert feeds.put(feeds.document(), b"{}").status_code == 200


def test_a_token_sent_to_an_address_is_refused_and_counted(sandbox, feeds, api):
    document = feeds.document()
    assert feeds.put(document, b"{}", **{"x-amz-access-token": api.token}).status_code == 400
    assert sandbox.control.stats()["refused"] == {"token_at_document": 1}


def test_an_upload_above_ten_mebibytes_is_refused(feeds):
    document = feeds.document()
    assert feeds.put(document, b" " * (10 * 1024 * 1024)).status_code == 200
    assert feeds.put(document, b" " * (10 * 1024 * 1024 + 1)).status_code == 400
    assert feeds.put(document, b" " * (10 * 1024 * 1024 + 10)).status_code in (400, 413)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"feedType": "POST_PRODUCT_PRICING_DATA"}, "not supported"),
        ({"marketplaceIds": []}, "1 to 25"),
        ({"marketplaceIds": ["ATVPDKIKX0DER"]}, "no marketplace"),
        ({"inputFeedDocumentId": "none"}, "unknown"),
    ],
)
def test_a_feed_that_cannot_be_is_400(feeds, changes, words):
    document = feeds.document()
    feeds.put(document, b"{}")
    response = feeds.create(document["feedDocumentId"], **changes)
    assert response.status_code == 400
    assert words in response.json()["errors"][0]["details"]


def test_nobody_reaches_anothers_feed(feeds, api_of):
    feed_id = feeds.send(content_of(message(1, "MUG-STD", 250)))
    document_id = feeds.document()["feedDocumentId"]
    other = api_of("A3SBXNOVAHOMAE")
    assert other("GET", f"{FEEDS}/{feed_id}").status_code == 404
    assert other("GET", f"{DOCUMENTS}/{document_id}").status_code == 404


def test_feeds_outlive_a_restart(tmp_path):
    with running(tmp_path) as sandbox:
        sandbox.control.plans({"*": None})
        sandbox.control.options(feed_seconds=60)
        caller = FeedCaller(Api(sandbox))
        feed_id = caller.send(content_of(message(1, "MUG-STD", 250)))
        caller.plain.close()
    with running(tmp_path) as sandbox:
        sandbox.control.clock(advance_seconds=121)
        caller = FeedCaller(Api(sandbox))
        assert caller.report(feed_id)["summary"]["messagesAccepted"] == 1
        caller.plain.close()


def test_the_page_ends_a_stuck_feed(sandbox, feeds, visitor):
    sandbox.control.fault("feed_stuck", count=1)
    feed_id = feeds.send(content_of(message(1, "MUG-STD", 250)))
    page = visitor.get("/catalog").text
    assert feed_id in page
    assert "IN_QUEUE" in page
    form = {"seller_id": SELLER, "status": "CANCELLED"}
    assert visitor.post(f"/catalog/feeds/{feed_id}", data=form).status_code == 303
    assert feeds.get(feed_id)["processingStatus"] == "CANCELLED"
    assert visitor.post(f"/catalog/feeds/{feed_id}", data=form).status_code == 400
    assert visitor.post("/catalog/feeds/none", data=form).status_code == 400


@pytest.mark.parametrize("kind", ["cut", "error_500", "error_503", "html_instead_of_json", "drop_after_effect"])
def test_documents_know_the_faults_of_the_network(sandbox, feeds, kind):
    document = feeds.document()
    sandbox.control.fault(kind, operation="uploadFeedDocument", count=1)
    try:
        is_good = feeds.put(document, b"{}").text == ""
    except httpx.TransportError:
        is_good = False
    assert is_good is False or kind == "error_503"
    assert sandbox.control.faults() == []
    assert feeds.put(document, b"{}").status_code == 200

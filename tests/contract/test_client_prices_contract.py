"""What the Amazon client sends for prices against Amazon's models, and the client against the sandbox."""

import json
from decimal import Decimal

import httpx
import pytest

from flexdash.amazon import errors, offers, price_feed
from flexdash.amazon.feeds import read_feed, read_place
from flexdash.amazon.listings import PATCH_OPERATIONS, read_item, read_submission
from flexdash.amazon.price_feed import PriceMessage
from tests.contract import feed_schema
from tests.contract.models import Models
from tests.contract.test_client_contract import TOKEN_PATH, Judge, client_through

SELLER = "A3SBXSUNRISEIN"
INDIA = "A21TJRUUN4KGV"
OFFER = offers.new_offer(INDIA, "INR", Decimal("599.95"), Decimal(799))

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("soon")]


class PriceJudge(Judge):
    """Looks at what goes to the addresses of documents, too: no token, and content of the documented form."""

    def handle_request(self, request):
        if not request.url.path.startswith("/documents/"):
            return super().handle_request(request)
        assert not {"x-amz-access-token", "authorization", "cookie"} & set(request.headers)
        if request.method == "PUT":
            feed_schema.check(json.loads(request.read()), feed_schema.FEED)
        response = self.inner.handle_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=response.read())


def amazon_that_says_yes(request):
    """Just enough of an answer for every operation, so that all that is judged is the request."""
    if request.url.path == TOKEN_PATH:
        return httpx.Response(200, json={"access_token": "Atza|x", "refresh_token": "Atzr|x", "expires_in": 3600})
    if request.url.path.startswith("/documents/"):
        return httpx.Response(200, content=b"{}" if request.method == "GET" else b"")
    address = "https://documents.amazonaws.com/documents/x?key=1"
    return httpx.Response(200, json={"feedId": "1", "feedDocumentId": "d", "url": address})


@pytest.fixture(scope="module")
def models():
    return Models.load()


@pytest.fixture
def judge(models):
    return PriceJudge(models, httpx.MockTransport(amazon_that_says_yes), judges_answers=False)


def content_of(*prices):
    messages = [PriceMessage(n, sku_code, Decimal(price)) for n, (sku_code, price) in enumerate(prices, 1)]
    return price_feed.build(SELLER, INDIA, "INR", messages).content


REQUESTS = {
    "getListingsItem": [
        lambda c: c.listings.get("SKU 1/&ü", INDIA),
        lambda c: c.listings.get("1E5", INDIA),
    ],
    "patchListingsItem": [
        *(lambda c, op=op: c.listings.patch_offers("SKU 1/&ü", INDIA, [OFFER], op=op) for op in PATCH_OPERATIONS),
        lambda c: c.listings.patch_offers("S", INDIA, [OFFER, OFFER], product_type="SHIRT", is_preview=True),
    ],
    "createFeedDocument": [lambda c: c.feeds.upload(content_of(("A", "5"), ("ü/&", "0.01")))],
    "createFeed": [lambda c: c.feeds.create("amzn1.tortuga.4.eu.x", INDIA)],
    "getFeed": [lambda c: c.feeds.get("5 0/0")],
    "getFeedDocument": [lambda c: c.feeds.read("amzn1.tortuga.4.eu.x/y")],
}


@pytest.mark.parametrize("operation", REQUESTS)
def test_every_request_holds_the_model(judge, redis_connection, operation):
    client = client_through(judge, redis_connection)
    for send in REQUESTS[operation]:
        send(client)
    assert set(judge.operations) == {operation}
    assert len(judge.operations) == len(REQUESTS[operation])


# Answers as Amazon's pages show them ----------------------------------------------------------------------------------


def test_amazons_example_of_a_listing_is_read():
    item = read_item(
        {
            "sku": "GM-ZDPI-9B4E",
            "summaries": [
                {
                    "marketplaceId": "ATVPDKIKX0DER",
                    "asin": "B071VG5N9D",
                    "productType": "LUGGAGE",
                    "conditionType": "new_new",
                    "status": ["BUYABLE"],
                    "itemName": "Hardside Carry-On Spinner Suitcase Luggage",
                    "createdDate": "2021-02-01T00:00:00Z",
                    "lastUpdatedDate": "2021-03-01T00:00:00Z",
                    "mainImage": {"link": "https://www.example.com/luggage.png", "height": 500, "width": 500},
                }
            ],
            "offers": [
                {
                    "marketplaceId": "ATVPDKIKX0DER",
                    "offerType": "B2C",
                    "price": {"currencyCode": "USD", "amount": "100.00"},
                    "audience": {"value": "ALL", "displayName": "Sell on Amazon"},
                }
            ],
            "attributes": {
                "target_audience_keyword": [{"value": "Male"}],
                "purchasable_offer": [
                    {
                        "marketplace_id": "ATVPDKIKX0DER",
                        "currency": "USD",
                        "our_price": [{"schedule": [{"value_with_tax": 100}]}],
                    }
                ],
            },
            "issues": [
                {
                    "code": "90220",
                    "message": "'size' is required but missing.",
                    "severity": "ERROR",
                    "attributeNames": ["size"],
                    "categories": ["MISSING_ATTRIBUTE"],
                    "enforcements": {"actions": [{"action": "LISTING_SUPPRESSED"}], "exemption": {"status": "EXEMPT"}},
                }
            ],
        },
        "ATVPDKIKX0DER",
    )
    assert (item.asin, item.product_type, item.live_price) == ("B071VG5N9D", "LUGGAGE", Decimal("100.00"))
    assert item.shows(Decimal("100.00"), "ATVPDKIKX0DER", "USD")
    assert item.issues[0].words == "'size' is required but missing. (90220)"


def test_amazons_example_of_a_submission_is_read():
    submission = read_submission(
        {
            "sku": "GM-ZDPI-9B4E",
            "status": "ACCEPTED",
            "submissionId": "f1dc2914-75dd-11ea-bc55-0242ac130003",
            "issues": [],
        }
    )
    assert (submission.status, submission.words, submission.is_refused) == ("ACCEPTED", "", False)


def test_amazons_examples_of_feeds_and_documents_are_read():
    feed = read_feed(
        {
            "feedId": "FeedId1",
            "feedType": "POST_PRODUCT_DATA",
            "createdTime": "2019-12-11T13:16:24.630Z",
            "processingStatus": "CANCELLED",
            "processingStartTime": "2019-12-11T13:16:24.630Z",
            "processingEndTime": "2019-12-11T13:16:24.630Z",
        }
    )
    assert (feed.id, feed.is_over, feed.ended_at.year) == ("FeedId1", True, 2019)
    place = read_place(
        {
            "feedDocumentId": "0356cf79-b8b0-4226-b4b9-0ee058ea5760",
            "url": "https://d34o8swod1owfl.cloudfront.net/Feed_101__POST_PRODUCT_DATA_.xml",
        }
    )
    assert (place.is_gzip, place.id) == (False, "0356cf79-b8b0-4226-b4b9-0ee058ea5760")


# Against the sandbox --------------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox(sandbox):
    sandbox.control.plans({"*": {"rate": 1000, "burst": 1000}})
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=0)
    return sandbox


@pytest.fixture
def at_sandbox(sandbox, models, redis_connection):
    judge = PriceJudge(models, httpx.HTTPTransport())
    client = client_through(
        judge,
        redis_connection,
        refresh_token=sandbox.control.issue_tokens(SELLER)["refresh_token"],
        settings={"lwa_url": sandbox.lwa_url, "api_url": sandbox.api_url},
    )
    client.judge = judge
    yield client
    judge.close()


def with_mrp_and_more(sandbox):
    """SKUs whose offers hold all that must survive: a discount, and a business offer with quantity discounts."""
    codes = (f"SKU {n}/ü" for n in range(500))
    return [
        code
        for code in codes
        if len(found := sandbox.control.listing(code)["attributes"]["purchasable_offer"]) == 2
        and "discounted_price" in found[0]
    ][:5]


def without_price(listing):
    found = json.loads(json.dumps(listing["attributes"]))
    for offer in found["purchasable_offer"]:
        if offer["audience"] == "ALL":
            offer.pop("our_price")
    return found


def test_a_price_is_changed_and_all_else_survives(sandbox, at_sandbox):
    codes = with_mrp_and_more(sandbox)
    assert len(codes) == 5
    for sku_code in codes:
        before = sandbox.control.listing(sku_code)
        price = Decimal(before["price"]) - 1
        item = at_sandbox.listings.get(sku_code, INDIA)
        values = offers.with_price(item.offers, INDIA, "INR", price)
        assert len(values) == 2
        submission = at_sandbox.listings.patch_offers(sku_code, INDIA, values, product_type=item.product_type)
        assert (submission.status, submission.issues) == ("ACCEPTED", ())
        after = sandbox.control.listing(sku_code)
        assert Decimal(after["price"]) == price
        assert after["mrp"] == before["mrp"] is not None
        assert without_price(after) == without_price(before)
        assert at_sandbox.listings.get(sku_code, INDIA).shows(price, INDIA, "INR")


def test_a_feed_changes_prices_and_all_else_survives(sandbox, at_sandbox):
    codes = with_mrp_and_more(sandbox)
    before = {code: sandbox.control.listing(code) for code in codes}
    content = content_of(*((code, "10.50") for code in codes), ("NOT-LISTED-1", "5"))
    feed_id = at_sandbox.feeds.create(at_sandbox.feeds.upload(content), INDIA)
    feed = at_sandbox.feeds.get(feed_id)
    assert feed.status == "DONE"
    report = price_feed.read_report(at_sandbox.feeds.read(feed.result_document_id))
    assert (report.n_accepted, report.n_invalid) == (5, 1)
    assert [issue.code for issue in report.issues[6]] == ["13013"]
    for code in codes:
        after = sandbox.control.listing(code)
        assert after["price"] == "10.50"
        assert without_price(after) == without_price(before[code])
    assert sandbox.control.stats()["refused"] == {}, "no token went to the documents"


def test_amazons_refusals_come_with_code_and_words(sandbox, at_sandbox):
    above = offers.new_offer(INDIA, "INR", Decimal(10**6))
    submission = at_sandbox.listings.patch_offers("MUG-STD", INDIA, [above], op="merge")
    assert submission.is_refused
    assert "(PRICE_ABOVE_MRP)" in submission.words
    flat = {**OFFER, "our_price": {"schedule": [{"value_with_tax": 5}]}}
    assert "(4000001)" in at_sandbox.listings.patch_offers("MUG-STD", INDIA, [flat], op="merge").words
    with pytest.raises(errors.NotFound):
        at_sandbox.listings.get("NOT-LISTED-1", INDIA)


def test_a_preview_changes_nothing(sandbox, at_sandbox):
    submission = at_sandbox.listings.patch_offers("MUG-STD", INDIA, [OFFER], op="merge", is_preview=True)
    assert submission.status in ("VALID", "INVALID")
    assert sandbox.control.listing("MUG-STD")["price"] == "299.00"


def test_an_address_that_expired_is_asked_for_again(sandbox, at_sandbox):
    sandbox.control.fault("document_url_expired", count=1)
    document_id = at_sandbox.feeds.upload(content_of(("MUG-STD", "250")))
    assert sandbox.control.stats()["calls"]["createFeedDocument"] == 2
    feed = at_sandbox.feeds.get(at_sandbox.feeds.create(document_id, INDIA))
    sandbox.control.fault("document_url_expired", count=1)
    assert price_feed.read_report(at_sandbox.feeds.read(feed.result_document_id)).n_accepted == 1


@pytest.mark.parametrize("kind", ["cut", "error_503", "html_instead_of_json", "drop_after_effect"])
def test_passing_faults_at_documents_are_not_felt(sandbox, at_sandbox, kind):
    sandbox.control.fault(kind, operation="uploadFeedDocument", count=1)
    at_sandbox.feeds.upload(content_of(("MUG-STD", "250")))
    assert sandbox.control.faults() == []


def test_odd_offers_go_back_as_they_came(sandbox, at_sandbox):
    item = at_sandbox.listings.get("MUG-STD", INDIA)
    odd = [{**item.offers[0], "a_field_of_2031": [{"deep": {"er": [1, None, "ü"]}}]}]
    at_sandbox.listings.patch_offers("MUG-STD", INDIA, odd)
    read = at_sandbox.listings.get("MUG-STD", INDIA)
    at_sandbox.listings.patch_offers("MUG-STD", INDIA, offers.with_price(read.offers, INDIA, "INR", Decimal(300)))
    kept, *_ = sandbox.control.listing("MUG-STD")["attributes"]["purchasable_offer"]
    assert kept["a_field_of_2031"] == [{"deep": {"er": [1, None, "ü"]}}]
    assert kept["our_price"] == [{"schedule": [{"value_with_tax": 300}]}]

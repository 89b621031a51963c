"""The sandbox's listings and feeds against Amazon's models."""

import gzip
import json

import httpx
import pytest

from tests.contract import feed_schema
from tests.contract.models import Models
from tests.contract.test_sandbox_contract import Caller

SELLERS = {
    "A3SBXSUNRISEIN": "A21TJRUUN4KGV",
    "A3SBXNOVAHOMAE": "A2VIGQ35RCS4UG",
    "A3SBXALPINEGDE": "A1PA6795UKMFR9",
    "A3SBXHARBORSUS": "ATVPDKIKX0DER",
    "A3SBXKITALIVJP": "A1VC38T7YXB528",
}
INDIA = SELLERS["A3SBXSUNRISEIN"]
ITEM = "/listings/2021-08-01/items/A3SBXSUNRISEIN/MUG-STD"
FEEDS = "/feeds/2021-06-30/feeds"
DOCUMENTS = "/feeds/2021-06-30/documents"
ALL_DATA = "summaries,attributes,issues,offers,fulfillmentAvailability,productTypes"

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def models():
    return Models.load()


@pytest.fixture
def sandbox(sandbox):
    sandbox.control.plans({"*": {"rate": 1000, "burst": 1000}})
    sandbox.control.options(listing_delay_seconds=0, feed_seconds=0)
    return sandbox


@pytest.fixture
def call(sandbox, models):
    caller = Caller(sandbox, models)
    yield caller
    caller.http.close()


def patch(price, op="merge", **changes):
    offer = {"marketplace_id": INDIA, "currency": "INR", "our_price": [{"schedule": [{"value_with_tax": price}]}]}
    value = [{**offer, **changes}]
    return {"productType": "PRODUCT", "patches": [{"op": op, "path": "/attributes/purchasable_offer", "value": value}]}


def test_listings_of_every_country_hold_the_model(sandbox, models):
    for seller_id, marketplace_id in SELLERS.items():
        call = Caller(sandbox, models, seller_id)
        for sku_code in ("MUG-STD", *(f"SKU-{n}" for n in range(20))):
            path = f"/listings/2021-08-01/items/{seller_id}/{sku_code}"
            listing = call("GET", path, {"marketplaceIds": marketplace_id, "includedData": ALL_DATA}, expect=200)
            assert listing["attributes"]["purchasable_offer"]
        call.http.close()


@pytest.mark.parametrize("kind", ["bare_listing", "listing_issue", "offer_behind"])
def test_odd_listings_hold_the_model(sandbox, call, kind):
    sandbox.control.fault(kind)
    call("GET", ITEM, {"marketplaceIds": INDIA, "includedData": ALL_DATA}, expect=200)


def test_submissions_hold_the_model(call):
    query = {"marketplaceIds": INDIA, "includedData": "issues"}
    assert call("PATCH", ITEM, query, patch(250), expect=200)["status"] == "ACCEPTED"
    assert call("PATCH", ITEM, query, patch(10**7), expect=200)["status"] == "INVALID"
    assert call("PATCH", ITEM, query, patch(250, op="replace"), expect=200)["issues"], "a warning: the MRP is lost"
    preview = {**query, "mode": "VALIDATION_PREVIEW", "includedData": "issues,identifiers"}
    assert call("PATCH", ITEM, preview, patch(250), expect=200)["status"] == "VALID"


def test_refusals_hold_the_model(sandbox, call):
    query = {"marketplaceIds": INDIA}
    call("GET", ITEM.replace("MUG-STD", "NOT-LISTED-1"), query, expect=404)
    call("PATCH", ITEM.replace("MUG-STD", "NOT-LISTED-1"), query, patch(5), expect=200)
    call("GET", ITEM, expect=400, is_sound=False)
    call("PATCH", ITEM, query, {"productType": "PRODUCT", "patches": []}, expect=400, is_sound=False)
    call("GET", ITEM.replace("SUNRISEIN", "NOVAHOMAE"), query, expect=403)
    for kind, status in (("throttle", 429), ("error_500", 500), ("error_503", 503)):
        for method, path in (("GET", ITEM), ("GET", f"{FEEDS}/1")):
            sandbox.control.fault(kind, count=1)
            call(method, path, query if path == ITEM else None, expect=status)


def test_a_feeds_whole_way_holds_the_model_and_its_report_the_documented_form(sandbox, call):
    document = call("POST", DOCUMENTS, body={"contentType": "application/json; charset=UTF-8"}, expect=201)
    messages = [
        {"messageId": n, "sku": sku_code, "operationType": "PATCH", **patch(price)}
        for n, (sku_code, price) in enumerate((("MUG-STD", 250), ("LAMP-OAK", 10**7)), 1)
    ]
    feed = {"header": {"sellerId": "A3SBXSUNRISEIN", "version": "2.0"}, "messages": messages}
    feed_schema.check(feed, feed_schema.FEED)
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    with httpx.Client(trust_env=False, verify=False) as plain:
        assert plain.put(document["url"], content=json.dumps(feed), headers=headers).status_code == 200
        body = {
            "feedType": "JSON_LISTINGS_FEED",
            "marketplaceIds": [INDIA],
            "inputFeedDocumentId": document["feedDocumentId"],
        }
        sandbox.control.options(feed_seconds=60)
        feed_id = call("POST", FEEDS, body=body, expect=202)["feedId"]
        assert call("GET", f"{FEEDS}/{feed_id}", expect=200)["processingStatus"] == "IN_QUEUE"
        sandbox.control.clock(advance_seconds=121)
        done = call("GET", f"{FEEDS}/{feed_id}", expect=200)
        assert done["processingStatus"] == "DONE"
        made = call("GET", f"{DOCUMENTS}/{done['resultFeedDocumentId']}", expect=200)
        report = json.loads(gzip.decompress(plain.get(made["url"]).content))
    feed_schema.check(report, feed_schema.REPORT)
    assert report["summary"]["messagesInvalid"] == 1


def test_refused_feeds_hold_the_model(call):
    call("GET", f"{FEEDS}/none", expect=404)
    call("GET", f"{DOCUMENTS}/none", expect=404)
    call("POST", DOCUMENTS, body={}, expect=400, is_sound=False)
    body = {"feedType": "JSON_LISTINGS_FEED", "marketplaceIds": [INDIA], "inputFeedDocumentId": "none"}
    call("POST", FEEDS, body=body, expect=400)

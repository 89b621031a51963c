"""Listings: read, patched, and what a patch does to the offer; Amazon's two words, accepted and applied."""

import csv
import io
from urllib.parse import quote

import pytest

from amazon_sandbox.control_client import ControlError
from amazon_sandbox.serving import running
from flexdash.services import catalog_values
from tests.sandbox.conftest import Api

SELLER = "A3SBXSUNRISEIN"
INDIA = "A21TJRUUN4KGV"
ALL_DATA = "summaries,attributes,issues,offers,productTypes,fulfillmentAvailability"
OFFER = "/attributes/purchasable_offer"


def item(sku_code, seller_id=SELLER):
    return f"/listings/2021-08-01/items/{seller_id}/{quote(sku_code, safe='')}"


def priced(value):
    return [{"schedule": [{"value_with_tax": value}]}]


def offer(price=None, **more):
    found = {"marketplace_id": INDIA, "currency": "INR", "audience": "ALL", **more}
    return found if price is None else {**found, "our_price": priced(price)}


@pytest.fixture
def read(api):
    def call(sku_code="MUG-STD", included=ALL_DATA):
        response = api("GET", item(sku_code), {"marketplaceIds": INDIA, "includedData": included})
        assert response.status_code == 200, response.text
        return response.json()

    return call


@pytest.fixture
def patch(api):
    def call(value, op="merge", sku_code="MUG-STD", path=OFFER, expect=200, **query):
        body = {"productType": "PRODUCT", "patches": [{"op": op, "path": path, "value": value}]}
        response = api("PATCH", item(sku_code), {"marketplaceIds": INDIA, **query}, body)
        assert response.status_code == expect, response.text
        return response.json()

    return call


@pytest.fixture
def at_once(sandbox):
    sandbox.control.options(listing_delay_seconds=0)


def offers_of(listing):
    return {found["audience"]: found for found in listing["attributes"]["purchasable_offer"]}


def codes(answer):
    return [issue["code"] for issue in answer["issues"]]


def test_a_listing_has_asin_product_type_price_and_mrp(read):
    listing = read()
    [summary] = listing["summaries"]
    assert len(summary["asin"]) == 10
    assert listing["productTypes"] == [{"marketplaceId": INDIA, "productType": summary["productType"]}]
    everybody = offers_of(listing)["ALL"]
    assert everybody["our_price"] == priced(299.0)
    assert everybody["maximum_retail_price"][0]["schedule"][0]["value_with_tax"] > 299
    assert {found["price"]["currencyCode"] for found in listing["offers"]} == {"INR"}


def test_only_the_data_sets_asked_for_come(api, read):
    assert set(read(included="offers")) == {"sku", "offers"}
    response = api("GET", item("MUG-STD"), {"marketplaceIds": INDIA})
    assert set(response.json()) == {"sku", "summaries"}


@pytest.mark.parametrize("sku_code", ["A/B C", "50% OFF", "Ü&K=1", "1E5", "A+B", "/LEADING", "A//B", "x" * 100])
def test_any_merchant_sku_has_a_listing_that_stays_the_same(read, patch, at_once, sku_code):
    first = read(sku_code)
    assert first["sku"] == sku_code
    assert read(sku_code) == first
    assert patch([offer(1)], sku_code=sku_code)["status"] == "ACCEPTED"
    assert offers_of(read(sku_code))["ALL"]["our_price"] == priced(1)


def test_a_sku_that_is_not_listed_is_404_and_its_patch_invalid(api, patch):
    response = api("GET", item("NOT-LISTED-1"), {"marketplaceIds": INDIA})
    assert response.status_code == 404
    assert response.json()["errors"][0]["code"] == "NOT_FOUND"
    answer = patch([offer(10)], sku_code="NOT-LISTED-1")
    assert (answer["status"], codes(answer)) == ("INVALID", ["13013"])


def test_a_listing_that_is_taken_away_is_gone_with_its_stock(sandbox, api, patch):
    sandbox.control.set_stock("MUG-STD", 5)
    left = sandbox.control.remove_listing("MUG-STD")
    assert "MUG-STD" not in [listing["sku_code"] for listing in left]
    assert api("GET", item("MUG-STD"), {"marketplaceIds": INDIA}).status_code == 404
    assert codes(patch([offer(10)])) == ["13013"]
    assert sandbox.control.stock() == []
    for call in (sandbox.control.remove_listing, lambda code: sandbox.control.set_price(code, "1.00")):
        with pytest.raises(ControlError, match="not listed"):
            call("MUG-STD")
    sandbox.control.reset()
    assert sandbox.control.listing("MUG-STD")["price"] == "299.00"


def test_a_listing_without_an_offer_has_no_price(sandbox, read):
    assert sandbox.control.set_price("MUG-STD", None)["price"] is None
    listing = read()
    assert "ALL" not in offers_of(listing)
    assert "B2C" not in [found["offerType"] for found in listing["offers"]]


def test_a_listing_can_be_bare_have_an_issue_or_show_buyers_the_price_before(sandbox, read, patch, at_once):
    first = read()
    patch([offer(250)])
    for kind in ("bare_listing", "listing_issue", "offer_behind"):
        sandbox.control.fault(kind, sku_code="MUG-STD", count=1)
    assert read("LAMP-OAK")["issues"] == []
    odd = read()
    assert "attributes" not in odd
    assert "offers" not in odd
    assert [issue["severity"] for issue in odd["issues"]] == ["ERROR"]
    sandbox.control.fault("offer_behind", count=1)
    behind = read()
    assert offers_of(behind)["ALL"]["our_price"] == priced(250)
    assert behind["offers"] == first["offers"]
    assert read()["offers"] != first["offers"]


def test_accepted_is_not_applied(sandbox, read, patch):
    sandbox.control.options(listing_delay_seconds=60)
    assert patch([offer(250)])["status"] == "ACCEPTED"
    assert offers_of(read())["ALL"]["our_price"] == priced(299.0)
    assert sandbox.control.listing("MUG-STD")["n_pending"] == 1
    sandbox.control.clock(advance_seconds=61)
    assert offers_of(read())["ALL"]["our_price"] == priced(250)
    assert sandbox.control.listing("MUG-STD")["price"] == "250.00"


def test_patches_take_effect_in_the_order_they_came(sandbox, read, patch):
    sandbox.control.options(listing_delay_seconds=60)
    for price in (250, 251, 252):
        patch([offer(price)])
    sandbox.control.clock(advance_seconds=61)
    assert offers_of(read())["ALL"]["our_price"] == priced(252)


def test_merge_keeps_the_rest_of_the_offer_and_the_other_offers(read, patch, at_once):
    sku_code = next(code for code in (f"S-{n}" for n in range(99)) if "B2B" in offers_of(read(code)))
    before = offers_of(read(sku_code))
    patch([offer(12.5)], sku_code=sku_code)
    after = offers_of(read(sku_code))
    assert after == {**before, "ALL": {**before["ALL"], "our_price": priced(12.5)}}


def test_replace_rewrites_the_whole_instance_so_that_the_mrp_is_lost(read, patch, at_once):
    answer = patch([offer(250)], op="replace")
    assert answer["status"] == "ACCEPTED"
    assert codes(patch([offer(250)], op="replace")) == ["MRP_MISSING"]
    assert offers_of(read())["ALL"] == offer(250)


def test_delete_takes_an_instance_or_the_whole_attribute_out(read, patch, at_once):
    patch([offer()], op="delete")
    assert "ALL" not in offers_of(read())
    patch(None, op="delete")
    assert "purchasable_offer" not in read()["attributes"]


def test_a_price_above_the_mrp_is_invalid(sandbox, read, patch, at_once):
    highest = offers_of(read())["ALL"]["maximum_retail_price"][0]["schedule"][0]["value_with_tax"]
    answer = patch([offer(highest + 1)])
    assert (answer["status"], codes(answer)) == ("INVALID", ["PRICE_ABOVE_MRP"])
    assert patch([offer(highest)])["status"] == "ACCEPTED"
    assert sandbox.control.listing("MUG-STD")["price"] == f"{highest:.2f}"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (offer(our_price={"schedule": [{"value_with_tax": 5}]}), "4000001"),
        (offer(our_price=[{"schedule": {"value_with_tax": 5}}]), "4000001"),
        (offer(our_price=5), "4000001"),
        (offer(our_price=priced("5")), "4000001"),
        (offer(our_price=priced(0)), "90244"),
        (offer(our_price=priced(5.005)), "90244"),
        (offer(5, currency="USD"), "90244"),
        (offer(5, marketplace_id="ATVPDKIKX0DER"), "90244"),
        ({"currency": "INR", "our_price": priced(5)}, "90220"),
    ],
)
def test_wrong_offers_are_invalid_with_a_code(patch, value, code):
    answer = patch([value])
    assert (answer["status"], codes(answer)) == ("INVALID", [code])


@pytest.mark.parametrize(
    "patches",
    [
        {"op": "copy", "path": OFFER, "value": [offer(5)]},
        {"op": "merge", "path": OFFER, "value": offer(5)},
        {"op": "merge", "path": f"{OFFER}/our_price", "value": [offer(5)]},
        {"op": "merge", "path": "purchasable_offer", "value": [offer(5)]},
    ],
)
def test_what_is_no_patch_is_refused_whole(patch, patches):
    patch(patches["value"], op=patches["op"], path=patches["path"], expect=400)


def test_a_preview_changes_nothing(read, patch, at_once):
    answer = patch([offer(250)], mode="VALIDATION_PREVIEW", includedData="issues,identifiers")
    assert answer["status"] == "VALID"
    assert answer["identifiers"][0]["asin"] == read()["summaries"][0]["asin"]
    assert patch([offer(10**6)], mode="VALIDATION_PREVIEW")["status"] == "INVALID"
    assert offers_of(read())["ALL"]["our_price"] == priced(299.0)


def test_another_sellers_listings_are_out_of_reach(api, api_of):
    query = {"marketplaceIds": INDIA}
    assert api("GET", item("MUG-STD", "A3SBXNOVAHOMAE"), query).status_code == 403
    other = api_of("A3SBXNOVAHOMAE")
    assert other("GET", item("MUG-STD", "A3SBXNOVAHOMAE"), query).status_code == 400
    assert api("GET", item("MUG-STD"), {}).status_code == 400


def test_countries_differ_in_currency_decimals_and_mrp(sandbox):
    japan = sandbox.control.listing("MUG-STD", "A3SBXKITALIVJP")
    assert (japan["currency"], japan["mrp"]) == ("JPY", None)
    assert float(japan["price"]).is_integer()


def test_faults_refuse_a_price_or_never_apply_it(sandbox, read, patch, at_once):
    sandbox.control.fault("price_refused", count=1)
    assert codes(patch([offer(250)])) == ["SANDBOX_PRICE_REFUSED"]
    sandbox.control.fault("price_ignored", count=1)
    assert patch([offer(250)])["status"] == "ACCEPTED"
    assert offers_of(read())["ALL"]["our_price"] == priced(299.0)
    assert patch([offer(250)])["status"] == "ACCEPTED"
    assert offers_of(read())["ALL"]["our_price"] == priced(250)


def test_amazons_plans_are_the_published_ones(sandbox, api):
    names = {
        "getListingsItem": (5, 10),
        "patchListingsItem": (5, 5),
        "createFeed": (0.0083, 15),
        "createFeedDocument": (0.5, 15),
        "getFeed": (2, 15),
        "getFeedDocument": (0.0222, 10),
    }
    with running() as other:
        plans = other.control.plans()
        assert {name: (plans[name]["rate"], plans[name]["burst"]) for name in names} == names
        caller = Api(other)
        statuses = [caller("GET", item("MUG-STD"), {"marketplaceIds": INDIA}).status_code for _ in range(20)]
        assert statuses[:10] == [200] * 10
        assert 429 in statuses
        caller.http.close()


def test_prices_outlive_a_restart_and_a_reset_forgets_them(tmp_path):
    with running(tmp_path) as sandbox:
        sandbox.control.options(listing_delay_seconds=3600)
        caller = Api(sandbox)
        body = {"productType": "PRODUCT", "patches": [{"op": "merge", "path": OFFER, "value": [offer(250)]}]}
        caller("PATCH", item("MUG-STD"), {"marketplaceIds": INDIA}, body)
        sandbox.control.set_price("LAMP-OAK", "2100")
        sandbox.control.remove_listing("NOTE-A5")
        caller.http.close()
    with running(tmp_path) as sandbox:
        assert sandbox.control.listing("MUG-STD")["n_pending"] == 1
        assert sandbox.control.listing("LAMP-OAK")["price"] == "2100.00"
        assert "NOTE-A5" not in [listing["sku_code"] for listing in sandbox.control.listings()]
        sandbox.control.clock(advance_seconds=3601)
        assert sandbox.control.listing("MUG-STD")["price"] == "250.00"
        sandbox.control.reset()
        assert sandbox.control.listing("MUG-STD")["price"] == "299.00"


def test_the_page_shows_listings_changes_a_price_and_takes_one_away(sandbox, visitor):
    page = visitor.get("/catalog").text
    listing = sandbox.control.listing("MUG-STD")
    assert "MUG-STD" in page
    assert listing["asin"] in page
    assert "No feed was sent yet." in page
    form = {"seller_id": SELLER, "sku_code": "MUG-STD", "price": "280.50"}
    assert visitor.post("/catalog/price", data=form).status_code == 303
    assert sandbox.control.listing("MUG-STD")["price"] == "280.50"
    for wrong in ({"price": "cheap"}, {"price": "-1"}, {"sku_code": "NOT-LISTED-1"}):
        response = visitor.post("/catalog/price", data={**form, **wrong})
        assert response.status_code == 400
        assert "There is a problem" in response.text
    assert visitor.post("/catalog/remove", data=form).status_code == 303
    assert "MUG-STD has no listing any more." in visitor.get("/catalog").text
    assert visitor.post("/catalog/remove", data=form).status_code == 400
    assert "AED" in visitor.get("/catalog?seller_id=A3SBXNOVAHOMAE").text
    assert visitor.get("/catalog?seller_id=nobody").status_code == 200


def test_the_catalog_file_names_every_sku_as_a_catalog_upload_takes_it(sandbox, visitor):
    response = visitor.get(f"/catalog.csv?seller_id={SELLER}&further=300")
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert len(rows) == 310
    assert len({row["asin"] for row in rows}) == len(rows)
    for row in rows:
        assert catalog_values.clean_sku_code(row["sku_code"]) == row["sku_code"]
        assert catalog_values.clean_asin(row["asin"]) == row["asin"]
        assert catalog_values.clean_name(row["name"]) == row["name"]
        assert catalog_values.clean_barcode(row["barcode"]) == row["barcode"]
        assert catalog_values.clean_money(row["mrp"]) > 0
        assert catalog_values.clean_weight_g(row["weight_g"])
        assert all(catalog_values.clean_cm(row[name]) for name in ("length_cm", "width_cm", "height_cm"))
    by_sku = {row["sku_code"]: row for row in rows}
    assert by_sku["NOTE-A5"]["asin"].isdigit(), "one that a spreadsheet would take for a number"
    assert by_sku["MUG-STD"]["asin"] == sandbox.control.listing("MUG-STD")["asin"]

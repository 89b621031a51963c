"""Listings: what is sent to change one price, and what is read of however Amazon answers."""

from decimal import Decimal

import pytest

from flexdash.amazon import errors, offers
from flexdash.amazon.listings import Issue, Listings, words_of
from tests.amazon.stub import Give

INDIA = "A21TJRUUN4KGV"


@pytest.fixture
def listings(new_transport):
    return Listings(new_transport(), "A1SELLER")


def priced(value, **more):
    return [{"schedule": [{"value_with_tax": value, **more}]}]


def offer(price=599.0, **more):
    found = {"marketplace_id": INDIA, "currency": "INR", "audience": "ALL", "our_price": priced(price)}
    return {**found, **more}


RICH = offer(
    maximum_retail_price=priced(799.0),
    discounted_price=priced(549.0, start_at="2026-01-01", end_at="2030-01-01"),
    minimum_seller_allowed_price=priced(400.0),
    start_at={"value": "2024-01-01T00:00:00.000Z"},
    something_of_2031=[{"deep": {"er": 1}}],
)
BUSINESS = offer(550.0, audience="B2B", quantity_discount_plan=[{"schedule": [{"levels": [{"lower_bound": 10}]}]}])


def with_price(*found, price="650.00", mrp=None):
    return offers.with_price(found, INDIA, "INR", Decimal(price), mrp)


# Changing the price in an offer ---------------------------------------------------------------------------------------


def test_only_our_price_changes_and_everything_else_stays():
    before = (RICH, BUSINESS)
    ours, business = with_price(*before)
    assert business == BUSINESS
    assert ours["our_price"] == priced(650)
    assert {name: value for name, value in ours.items() if name != "our_price"} == {
        name: value for name, value in RICH.items() if name != "our_price"
    }
    assert RICH["our_price"] == priced(599.0), "what was read is left as it was"


def test_what_stands_beside_the_amount_is_kept():
    [ours] = with_price(offer(our_price=[{"schedule": [{"value_with_tax": 5, "start_at": "2026-01-01"}], "more": 1}]))
    assert ours["our_price"] == [{"schedule": [{"value_with_tax": 650, "start_at": "2026-01-01"}], "more": 1}]


@pytest.mark.parametrize("missing", ["audience", "currency", "marketplace_id"])
def test_an_offer_that_leaves_a_selector_out_is_the_one_to_everybody(missing):
    bare = {name: value for name, value in offer(maximum_retail_price=priced(799)).items() if name != missing}
    [ours] = with_price(bare)
    assert ours == offer(650, maximum_retail_price=priced(799))


def test_a_listing_without_an_offer_gets_one_with_the_known_mrp():
    assert with_price(BUSINESS, mrp=Decimal("799.00")) == [
        BUSINESS,
        offer(650, maximum_retail_price=priced(799)),
    ]
    assert with_price() == [offer(650)]


def test_another_marketplaces_offers_are_not_sent_along():
    other = offer(marketplace_id="A2VIGQ35RCS4UG", currency="AED")
    assert with_price(other, RICH) == with_price(RICH)


@pytest.mark.parametrize(
    "odd", [None, [], 5, "599", [5], [{"schedule": {}}], [{"schedule": [{}, {}]}], {"schedule": []}]
)
def test_a_price_that_cannot_be_read_is_replaced(odd):
    [ours] = with_price(offer(our_price=odd))
    assert ours["our_price"] == priced(650)


@pytest.mark.parametrize(
    ("price", "number"), [("599.00", "599"), ("599.95", "599.95"), ("0.01", "0.01"), ("12345678.9", "12345678.9")]
)
def test_amounts_are_sent_exactly(listings, stub, price, number):
    stub.answers = [Give(200, {"status": "ACCEPTED"})]
    listings.patch_offers("S", INDIA, with_price(price=price))
    assert f'"value_with_tax":{number}}}'.encode() in stub.seen[0].body


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "1000000000000", "0.12345678901234567890123"])
def test_what_is_no_price_is_never_sent(price):
    with pytest.raises(errors.InvalidArgument):
        with_price(price=price)


# Requests -------------------------------------------------------------------------------------------------------------


def test_a_patch_names_seller_sku_and_marketplace(listings, stub):
    stub.answers = [Give(200, {"sku": "a/b ü", "status": "ACCEPTED", "submissionId": "s1"})]
    submission = listings.patch_offers("a/b ü", INDIA, [RICH], product_type="SHIRT")
    (seen,) = stub.seen
    assert (seen.method, seen.path) == ("PATCH", "/listings/2021-08-01/items/A1SELLER/a%2Fb%20%C3%BC")
    assert seen.query == f"marketplaceIds={INDIA}&includedData=issues"
    assert seen.json == {
        "productType": "SHIRT",
        "patches": [{"op": "replace", "path": "/attributes/purchasable_offer", "value": [RICH]}],
    }
    assert (submission.status, submission.submission_id, submission.is_refused) == ("ACCEPTED", "s1", False)


def test_a_preview_says_so_and_an_unknown_product_type_is_product(listings, stub):
    stub.answers = [Give(200, {"status": "VALID"})]
    listings.patch_offers("S", INDIA, [RICH], op="merge", is_preview=True)
    (seen,) = stub.seen
    assert "mode=VALIDATION_PREVIEW" in seen.query
    assert seen.json["productType"] == "PRODUCT"
    assert seen.json["patches"][0]["op"] == "merge"


@pytest.mark.parametrize("sku_code", ["", ".", "..", "a\nb", "x" * 256, None, 5])
def test_a_sku_that_no_path_can_hold_is_never_sent(listings, stub, sku_code):
    with pytest.raises(errors.InvalidArgument):
        listings.get(sku_code, INDIA)
    with pytest.raises(errors.InvalidArgument):
        listings.patch_offers(sku_code, INDIA, [RICH])
    assert stub.seen == []


@pytest.mark.parametrize(("values", "op"), [([], "replace"), (RICH, "replace"), ([RICH], "copy"), ([5], "replace")])
def test_what_is_no_patch_is_never_sent(listings, stub, values, op):
    with pytest.raises(errors.InvalidArgument):
        listings.patch_offers("S", INDIA, values, op=op)
    assert stub.seen == []


def test_a_patch_is_repeated_after_a_503_and_not_after_a_500(listings, stub):
    stub.answers = [Give(503), Give(200, {"status": "ACCEPTED"})]
    assert listings.patch_offers("S", INDIA, [RICH]).status == "ACCEPTED"
    stub.answers = [Give(500)]
    with pytest.raises(errors.AmazonUnavailable) as caught:
        listings.patch_offers("S", INDIA, [RICH])
    assert caught.value.is_outcome_unknown


# Answers --------------------------------------------------------------------------------------------------------------


def item(**changes):
    return {
        "sku": "S",
        "summaries": [{"marketplaceId": INDIA, "asin": "B012345678", "productType": "HOME"}],
        "attributes": {"purchasable_offer": [RICH, BUSINESS]},
        "offers": [
            {"marketplaceId": INDIA, "offerType": "B2B", "price": {"currencyCode": "INR", "amount": "550.00"}},
            {"marketplaceId": INDIA, "offerType": "B2C", "price": {"currencyCode": "INR", "amount": "549.00"}},
        ],
        "productTypes": [{"marketplaceId": INDIA, "productType": "SHIRT"}],
        "issues": [],
        **changes,
    }


def test_a_listing_is_read(listings, stub):
    stub.answers = [Give(200, item())]
    found = listings.get("S", INDIA)
    (seen,) = stub.seen
    assert seen.path == "/listings/2021-08-01/items/A1SELLER/S"
    assert "includedData=summaries%2Cattributes%2Cissues%2Coffers%2CproductTypes" in seen.query
    assert (found.sku_code, found.asin, found.product_type) == ("S", "B012345678", "SHIRT")
    assert found.price(INDIA, "INR") == Decimal("599.00")
    assert found.live_price == Decimal("549.00")


def test_amazon_shows_a_price_when_its_attributes_and_its_buyers_see_it(listings, stub):
    plain = {"purchasable_offer": [offer(599.0)]}
    live = [{"marketplaceId": INDIA, "offerType": "B2C", "price": {"amount": "599.00"}}]
    old = [{"marketplaceId": INDIA, "offerType": "B2C", "price": {"amount": "500.00"}}]
    cases = [
        (item(attributes=plain, offers=live), True),
        (item(attributes=plain, offers=old), False),
        (item(attributes=plain, offers=[]), True),
        (item(), True),
        (item(attributes={"purchasable_offer": [offer(500.0)]}, offers=live), False),
        (item(attributes={}), False),
    ]
    for answer, is_shown in cases:
        stub.answers = [Give(200, answer)]
        assert listings.get("S", INDIA).shows(Decimal("599.0"), INDIA, "INR") is is_shown


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"summaries": None, "attributes": None, "offers": {}, "issues": "x", "productTypes": 5},
        {"summaries": [5], "attributes": {"purchasable_offer": 5}, "offers": [5], "issues": [5], "productTypes": [5]},
        {"attributes": {"purchasable_offer": [5, {"audience": 7}]}},
        {"new": {"field": 1}, "issues": [{"severity": "TERRIBLE", "code": 5}]},
    ],
)
def test_an_odd_answer_is_read_as_far_as_it_goes(listings, stub, odd):
    stub.answers = [Give(200, odd)]
    found = listings.get("S", INDIA)
    assert found.sku_code == "S"
    assert found.price(INDIA, "INR") is None
    assert not found.shows(Decimal(5), INDIA, "INR")


def test_attributes_that_did_not_come_are_told_from_an_offer_that_is_not_there(listings, stub):
    stub.answers = [Give(200, {"sku": "S"})]
    assert listings.get("S", INDIA).offers is None
    stub.answers = [Give(200, {"sku": "S", "attributes": {}})]
    assert listings.get("S", INDIA).offers == ()
    stub.answers = [Give(200, {"sku": "S", "attributes": {"purchasable_offer": RICH}})]
    assert listings.get("S", INDIA).offers == (RICH,)


def test_a_refusal_has_amazons_words_and_code(listings, stub):
    issues = [
        {"code": "W1", "message": "Mind.", "severity": "WARNING", "categories": []},
        {"code": "4000001", "message": "Not nested right.", "severity": "ERROR", "categories": ["NEW_ONE"]},
    ]
    stub.answers = [Give(200, {"sku": "S", "status": "INVALID", "submissionId": "s", "issues": issues})]
    submission = listings.patch_offers("S", INDIA, [RICH])
    assert submission.is_refused
    assert submission.words == "Not nested right. (4000001) Mind. (W1)"


@pytest.mark.parametrize("status", ["QUEUED_FOR_LATER", None, 5, {}])
def test_an_unknown_status_is_no_refusal(listings, stub, status):
    stub.answers = [Give(200, {"sku": "S", "status": status, "issues": [{}, None]})]
    submission = listings.patch_offers("S", INDIA, [RICH])
    assert not submission.is_refused


def test_words_are_said_once_and_without_what_looks_like_a_secret():
    twice = [Issue("1", "Same.", "ERROR")] * 2
    assert words_of(twice) == "Same. (1)"
    assert words_of([]) == ""


def test_a_sku_amazon_does_not_know_is_not_found(listings, stub):
    stub.answers = [Give(404, {"errors": [{"code": "NOT_FOUND", "message": "SKU 'S' not found."}]})]
    with pytest.raises(errors.NotFound) as caught:
        listings.get("S", INDIA)
    assert caught.value.code == "NOT_FOUND"

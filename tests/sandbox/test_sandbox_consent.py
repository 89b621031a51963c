"""Seller Central's consent page and the Appstore's way round."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from amazon_sandbox.serving import running

CALLBACK = "http://127.0.0.1:8000/amazon/callback"
SELLER = "A3SBXNOVAHOMAE"


def consent_query(sandbox, **changes):
    query = {"application_id": sandbox.config.application_id, "state": "s-1", "redirect_uri": CALLBACK, **changes}
    return {name: value for name, value in query.items() if value is not None}


def sign_in(visitor, onward="/appstore"):
    return visitor.post("/apps/authorize/sign-in", data={"seller_id": SELLER, "onward": onward})


def told(response):
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def test_the_way_from_the_link_to_a_code(sandbox, visitor):
    query = consent_query(sandbox)
    page = visitor.get("/apps/authorize/consent", params=query)
    assert page.status_code == 200
    assert "Sign in to Seller Central" in page.text
    onward = sign_in(visitor, f"/apps/authorize/consent?{urlencode(query)}").headers["location"]
    consent = visitor.get(onward)
    assert "Allow FlexDash to work" in consent.text
    assert "SANDBOX" in consent.text
    for role in ("Direct-to-Consumer Shipping (Restricted)", "Inventory and Order Tracking", "Product Listing"):
        assert role in consent.text
    back = visitor.post("/apps/authorize/decision", data={**query, "decision": "allow"})
    assert back.headers["location"].startswith(CALLBACK + "?")
    assert set(told(back)) == {"state", "selling_partner_id", "spapi_oauth_code"}
    assert told(back)["state"] == "s-1"
    assert told(back)["selling_partner_id"] == SELLER


def test_deny_goes_back_with_access_denied_and_no_code(sandbox, visitor):
    sign_in(visitor)
    back = visitor.post("/apps/authorize/decision", data={**consent_query(sandbox), "decision": "deny"})
    assert told(back)["error"] == "access_denied"
    assert told(back)["state"] == "s-1"
    assert "spapi_oauth_code" not in told(back)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"application_id": "amzn1.sellerapps.app.other"}, "There is no app with the id"),
        ({"redirect_uri": "https://evil.example/amazon/callback"}, "MD5101"),
        ({"redirect_uri": "http://127.0.0.1:8000/elsewhere"}, "MD5101"),
        ({"redirect_uri": None}, "MD5101"),
        ({"state": None}, "has no state"),
    ],
)
def test_a_faulty_link_shows_an_error_page_and_never_a_redirect(sandbox, visitor, changes, words):
    sign_in(visitor)
    query = consent_query(sandbox, **changes)
    for response in (
        visitor.get("/apps/authorize/consent", params=query),
        visitor.post("/apps/authorize/decision", data={**query, "decision": "allow"}),
    ):
        assert response.status_code == 400
        assert words in response.text


def test_a_draft_app_needs_version_beta(sandbox, visitor):
    sandbox.control.options(app_is_draft=True)
    assert "MD1000" in visitor.get("/apps/authorize/consent", params=consent_query(sandbox)).text
    with_version = visitor.get("/apps/authorize/consent", params=consent_query(sandbox, version="beta"))
    assert with_version.status_code == 200


def test_only_the_listed_redirect_uris_are_taken_and_the_first_is_the_default(visitor):
    listed = "https://flexdash.example/amazon/callback"
    with running(redirect_uris=(listed, CALLBACK)) as sandbox:
        visitor.base_url = sandbox.url
        sign_in(visitor)
        query = consent_query(sandbox, redirect_uri=None)
        back = visitor.post("/apps/authorize/decision", data={**query, "decision": "allow"})
        assert back.headers["location"].startswith(listed)
        other = consent_query(sandbox, redirect_uri="http://127.0.0.1:9/amazon/callback")
        assert "MD5101" in visitor.get("/apps/authorize/consent", params=other).text


def test_a_page_of_another_site_cannot_press_allow(sandbox, visitor):
    sign_in(visitor)
    data = {**consent_query(sandbox), "decision": "allow"}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert visitor.post("/apps/authorize/decision", data=data, headers=headers).status_code == 403


def test_a_decision_without_a_sign_in_leads_back_to_the_consent_page(sandbox, visitor):
    back = visitor.post("/apps/authorize/decision", data={**consent_query(sandbox), "decision": "allow"})
    assert back.headers["location"].startswith("/apps/authorize/consent?")


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
def test_signing_in_never_leads_off_the_sandbox(visitor, onward):
    assert sign_in(visitor, onward).headers["location"] == "/appstore"


def test_signing_out_lets_one_choose_another_account(sandbox, visitor):
    sign_in(visitor)
    visitor.post("/apps/authorize/sign-out", data={"onward": "/appstore"})
    assert "Sign in to Seller Central" in visitor.get("/appstore").text


def test_the_seller_of_the_country_comes_first(sandbox, visitor):
    for path, query in (("/de/apps/authorize/consent", {}), ("/apps/authorize/consent", {"country": "DE"})):
        page = visitor.get(path, params={**consent_query(sandbox), **query}).text
        assert page.index("Alpine Goods") < page.index("Sunrise Retail")


def test_the_appstore_opens_the_apps_login_and_finishes_after_it(sandbox, visitor):
    sign_in(visitor)
    opened = visitor.post("/appstore/authorize", data={"login_uri": "http://127.0.0.1:8000/amazon/login"})
    assert opened.headers["location"].startswith("http://127.0.0.1:8000/amazon/login?")
    sent = told(opened)
    assert set(sent) == {"amazon_callback_uri", "amazon_state", "selling_partner_id"}
    query = {"amazon_state": sent["amazon_state"], "state": "ours", "redirect_uri": CALLBACK}
    back = visitor.get(sent["amazon_callback_uri"], params=query)
    assert told(back)["state"] == "ours"
    assert told(back)["selling_partner_id"] == SELLER
    forged = visitor.get(sent["amazon_callback_uri"], params={**query, "amazon_state": "forged"})
    assert forged.status_code == 400
    sandbox.control.clock(advance_seconds=1801)
    assert visitor.get(sent["amazon_callback_uri"], params=query).status_code == 400


def test_the_appstore_opens_addresses_of_this_machine_only(sandbox, visitor):
    sign_in(visitor)
    refused = visitor.post("/appstore/authorize", data={"login_uri": "https://evil.example/login"})
    assert refused.status_code == 400
    assert "evil.example" in refused.text, "what was typed stays"


def test_pages_run_no_script_and_lead_only_to_the_app(sandbox, visitor):
    sign_in(visitor)
    page = visitor.get("/apps/authorize/consent", params=consent_query(sandbox, state='"><svg onload=x>'))
    policy = page.headers["content-security-policy"]
    assert "script-src" not in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8000" in policy
    assert "<svg onload" not in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text


def test_an_orders_page_of_seller_central_is_its_shipments_page_here(sandbox, visitor):
    [shipment_id] = sandbox.control.create_orders(1)
    order_id = sandbox.control.shipment(shipment_id)["body"]["shipmentInfo"]["buyerOrderId"]
    answer = visitor.get(f"/orders-v3/order/{order_id}")
    assert answer.headers["location"].endswith(f"/shipments/{shipment_id}")
    assert visitor.get(answer.headers["location"]).status_code == 200
    assert visitor.get("/orders-v3/order/403-0-0").status_code == 404

"""Every way back from Amazon: the code leaves the address bar, and each failure has its page and one *Try again*."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import time_machine
from sqlalchemy import func, select

from flexdash import clock
from flexdash.blueprints.apps.return_words import WORDS
from flexdash.extensions import db
from flexdash.models import AuthorizationAttempt, Role, Store, StoreStatus
from flexdash.services import authorization, connecting, stores
from flexdash.services.authorization import Outcome
from tests.factories import PASSWORD, make_actor, make_seller, make_store, make_user, make_workspace

INDIA, UAE = "A3SBXSUNRISEIN", "A3SBXNOVAHOMAE"
FLEX = "/apps/amazon-seller-flex"


@pytest.fixture
def merchant(workspace):
    return make_user(workspace, name="Asha", email="asha@company.example")


@pytest.fixture
def asha(signed_in, merchant):
    return signed_in(merchant)


@pytest.fixture
def draft(seller):
    return make_store(seller, "draft", name="Pune")


def go(browser, store) -> str:
    """Press Integrate, or Re-authorize, and return the state that went to Amazon."""
    step = f"{FLEX}/{store.id}/integrate" if store.status == "draft" else f"/stores/{store.id}/reconnect"
    answer = browser.post(step)
    assert answer.status_code == 303
    return parse_qs(urlsplit(answer.location).query)["state"][0]


@pytest.fixture
def code_of(sandbox, settings):
    return lambda account=INDIA: sandbox.control.issue_code(settings.amazon_redirect_uri, account)


def come_back(browser, **values):
    """Open the callback as Amazon's redirect does; the answer never shows what it came with."""
    answer = browser.get("/amazon/callback?" + urlencode(values))
    assert answer.status_code == 303
    for secret in (values.get("spapi_oauth_code"), values.get("state")):
        assert not secret or secret not in answer.location
    return answer


def page_after(browser, answer, outcome: Outcome) -> str:
    """Open the page the callback leads to and hold it to what every failure page has."""
    assert answer.location.startswith("/amazon/return/")
    page = browser.get(answer.location)
    assert page.status_code == 200
    reference = answer.location.split("?")[0].rsplit("/", 1)[1]
    assert authorization.is_reference(reference)
    assert reference in page.text
    title = re.search(r"<h1>(.*?)</h1>", page.text, re.DOTALL)[1]
    beginning = WORDS[outcome].title.split("{")[0].replace("'", "&#39;")
    assert title.startswith(beginning)
    assert "What to do next" in page.text
    assert len(re.findall(r">\s*Try again\s*<", page.text)) == 1
    return page.text


def try_again(browser, page: str) -> str:
    """Press *Try again* and return where it leads."""
    action = re.search(r'<form method="post" action="([^"]+)"', page)[1]
    answer = browser.post(action)
    assert answer.status_code == 303
    return answer.location


def still_a_draft(draft) -> bool:
    row = db.session.get(Store, draft.id, populate_existing=True)
    return row.status is StoreStatus.DRAFT and row.refresh_token_encrypted is None and row.name == "Pune"


def test_a_good_return_opens_the_store_with_its_checklist(asha, draft, code_of) -> None:
    state = go(asha, draft)
    answer = come_back(asha, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA, mws_auth_token="x")
    assert answer.location == f"/stores/{draft.id}"
    page = asha.get(answer.location).text
    assert "Pune is connected to Amazon" in page
    assert "What is left to do" in page


def test_what_could_not_be_asked_is_said(asha, draft, code_of, sandbox, monkeypatch) -> None:
    monkeypatch.setattr("flexdash.amazon.transport.Transport._pause", lambda *_: None)
    sandbox.control.fault("error_500", operation="getMarketplaceParticipations")
    answer = come_back(asha, state=go(asha, draft), spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    page = asha.get(answer.location).text
    assert "could not be asked whether this account sells in India" in page


def test_denied(asha, draft, settings) -> None:
    state = go(asha, draft)
    answer = come_back(asha, state=state, error="access_denied", error_description="<b>no</b>")
    page = page_after(asha, answer, Outcome.DENIED)
    assert "<b>no</b>" not in page
    assert try_again(asha, page).startswith(f"{settings.amazon_seller_central_url}/apps/authorize/consent?")
    assert still_a_draft(draft)


def test_try_again_may_end_at_amazon(asha, draft, settings) -> None:
    answer = come_back(asha, state=go(asha, draft), error="access_denied")
    policy = asha.get(answer.location).headers["Content-Security-Policy"]
    assert f"form-action 'self' {settings.amazon_seller_central_url}" in policy


def test_state_missing_and_unknown(asha, draft, code_of) -> None:
    go(asha, draft)
    for state, outcome in (("", Outcome.STATE_MISSING), ("never-given-out", Outcome.STATE_UNKNOWN)):
        answer = come_back(asha, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
        page = page_after(asha, answer, outcome)
        # The newest trip of the last hour is most likely what the person means.
        assert f"{FLEX}/{draft.id}/integrate" in page
        assert still_a_draft(draft)


def test_state_unknown_to_a_person_without_any_trip(asha, draft) -> None:
    page = page_after(asha, come_back(asha, state="never-given-out"), Outcome.STATE_UNKNOWN)
    assert f'href="{FLEX}">Try again</a>' in page


def test_state_used_before_it_connected(asha, draft, code_of) -> None:
    state = go(asha, draft)
    come_back(asha, state=state, error="access_denied")
    answer = come_back(asha, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    page_after(asha, answer, Outcome.STATE_USED)
    assert still_a_draft(draft)


def test_state_used_after_it_connected_leads_to_the_store(asha, draft, code_of) -> None:
    values = {"state": go(asha, draft), "spapi_oauth_code": code_of(), "selling_partner_id": INDIA}
    come_back(asha, **values)
    answer = come_back(asha, **values)
    answer = asha.get(answer.location)
    assert (answer.status_code, answer.location) == (303, f"/stores/{draft.id}")
    assert "Pune is connected to Amazon" in asha.get(answer.location).text


def test_the_second_of_two_clicks_is_told_to_look_again(asha, draft, merchant, code_of) -> None:
    state = go(asha, draft)
    attempt = db.session.scalars(select(AuthorizationAttempt)).one()
    with time_machine.travel(clock.now(), tick=False) as traveller:
        authorization.claim(make_actor(merchant), attempt.user_session_id, state)  # the first click is at work
        answer = come_back(asha, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
        page = asha.get(answer.location).text
        assert "FlexDash is still talking to Amazon" in page
        assert "Look again" in page
        traveller.shift(timedelta(minutes=3))
        page = page_after(asha, answer, Outcome.INTERRUPTED)
    assert f"{FLEX}/{draft.id}/integrate" in page


def test_state_expired(asha, draft, code_of) -> None:
    with time_machine.travel(clock.now(), tick=False) as traveller:
        state = go(asha, draft)
        traveller.shift(timedelta(minutes=15))
        answer = come_back(asha, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
        page = page_after(asha, answer, Outcome.STATE_EXPIRED)
        try_again(asha, page)
    assert still_a_draft(draft)


def test_the_return_of_another_person(asha, signed_in, workspace, draft, code_of) -> None:
    state = go(asha, draft)
    for other in (make_user(workspace), make_user(make_workspace())):
        browser = signed_in(other)
        answer = come_back(browser, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
        page = page_after(browser, answer, Outcome.OTHER_USER)
        assert "Pune" not in page
    assert still_a_draft(draft)


def test_the_return_of_another_sign_in(asha, signed_in, merchant, draft, code_of) -> None:
    state = go(asha, draft)
    browser = signed_in(merchant)
    answer = come_back(browser, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    page = page_after(browser, answer, Outcome.OTHER_SESSION)
    again = parse_qs(urlsplit(try_again(browser, page)).query)["state"][0]
    answer = come_back(browser, state=again, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    assert answer.location == f"/stores/{draft.id}"


def test_a_person_signed_out_meanwhile_takes_no_code_to_the_sign_in_page(asha, app, merchant, draft, code_of) -> None:
    state, code = go(asha, draft), code_of()
    asha.post("/sign-out")
    answer = come_back(asha, state=state, spapi_oauth_code=code, selling_partner_id=INDIA)
    assert answer.location.startswith("/sign-in?next=")
    assert "signed out while you were at Amazon" in asha.get(answer.location).text
    answer = asha.post(answer.location, data={"email": merchant.email, "password": PASSWORD})
    page = page_after(asha, answer, Outcome.SIGNED_OUT)
    assert "consent?" in try_again(asha, page)
    assert still_a_draft(draft)


def test_an_incomplete_return(asha, draft) -> None:
    page_after(asha, come_back(asha, state=go(asha, draft)), Outcome.INCOMPLETE)
    assert still_a_draft(draft)


def test_code_refused(asha, draft, sandbox) -> None:
    answer = come_back(asha, state=go(asha, draft), spapi_oauth_code="made-up", selling_partner_id=INDIA)
    page_after(asha, answer, Outcome.CODE_REFUSED)
    assert still_a_draft(draft)


def test_the_app_refused(asha, draft, sandbox, code_of) -> None:
    state, code = go(asha, draft), code_of()
    sandbox.control.fault("invalid_client")
    page = page_after(
        asha, come_back(asha, state=state, spapi_oauth_code=code, selling_partner_id=INDIA), Outcome.APP_REFUSED
    )
    assert "AMAZON_CLIENT_SECRET" in page
    assert still_a_draft(draft)


@pytest.mark.parametrize(("fault", "limits"), [("error_500", {}), ("cut", {}), ("html_instead_of_json", {})])
def test_amazon_unreachable(asha, draft, sandbox, code_of, fault, limits) -> None:
    state, code = go(asha, draft), code_of()
    sandbox.control.fault(fault, operation="token", **limits)
    answer = come_back(asha, state=state, spapi_oauth_code=code, selling_partner_id=INDIA)
    page = page_after(asha, answer, Outcome.UNREACHABLE)
    sandbox.control.clear_faults()
    again = parse_qs(urlsplit(try_again(asha, page)).query)["state"][0]
    assert still_a_draft(draft)
    answer = come_back(asha, state=again, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    assert answer.location == f"/stores/{draft.id}"


def test_already_connected(asha, signed_in, workspace, seller, draft, code_of) -> None:
    other = make_store(make_seller(workspace, "Nova"), name="Nova Pune", amazon_selling_partner_id=INDIA)
    answer = come_back(asha, state=go(asha, draft), spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    page = page_after(asha, answer, Outcome.ALREADY_CONNECTED)
    assert f'href="/stores/{other.id}">Open Nova Pune</a>' in page
    assert still_a_draft(draft)
    # Somebody who may not see the other seller is not told its name.
    limited = signed_in(make_user(workspace, sellers=[seller]))
    answer = come_back(limited, state=go(limited, draft), spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    assert "Nova" not in page_after(limited, answer, Outcome.ALREADY_CONNECTED)


def test_another_account_than_the_stores(asha, seller, code_of) -> None:
    store = make_store(seller, name="Pune", amazon_selling_partner_id=INDIA)
    answer = come_back(asha, state=go(asha, store), spapi_oauth_code=code_of(UAE), selling_partner_id=UAE)
    page = page_after(asha, answer, Outcome.OTHER_ACCOUNT)
    assert INDIA in page
    assert f"/stores/{store.id}/reconnect" in page
    assert db.session.get(Store, store.id).status is StoreStatus.CONNECTED


def test_another_account_than_the_disconnected_stores(asha, seller, code_of) -> None:
    store = make_store(seller, "disconnected", name="Pune", amazon_selling_partner_id=INDIA)
    new_store = f'href="{FLEX}/new?seller={seller.id}"'
    assert new_store in asha.get(f"/stores/{store.id}/reconnect").text
    answer = come_back(asha, state=go(asha, store), spapi_oauth_code=code_of(UAE), selling_partner_id=UAE)
    page = page_after(asha, answer, Outcome.OTHER_ACCOUNT)
    assert "It can be reconnected only with the account it had" in page
    assert "add a new store for it" in page
    assert "kept the access" not in page
    assert new_store in page
    assert INDIA in page
    assert db.session.get(Store, store.id).status is StoreStatus.DISCONNECTED


def test_an_account_that_does_not_sell_there(asha, draft, code_of) -> None:
    answer = come_back(asha, state=go(asha, draft), spapi_oauth_code=code_of(UAE), selling_partner_id=UAE)
    page = page_after(asha, answer, Outcome.NOT_SELLING_HERE)
    assert "does not sell in India" in page
    assert f"{FLEX}/{draft.id}/country" in page
    assert still_a_draft(draft)


def test_a_draft_discarded_before_the_return(asha, merchant, draft, code_of) -> None:
    state = go(asha, draft)
    stores.discard_draft(make_actor(merchant), draft.id)
    answer = come_back(asha, state=state, spapi_oauth_code=code_of(), selling_partner_id=INDIA)
    page_after(asha, answer, Outcome.WITHDRAWN)
    assert db.session.scalar(select(func.count(Store.id))) == 0


@pytest.mark.parametrize("is_code_good", [True, False])
def test_a_draft_discarded_while_amazon_is_asked(asha, merchant, draft, code_of, monkeypatch, is_code_good) -> None:
    state = go(asha, draft)
    asked = connecting._ask_amazon

    def ask(*args):
        stores.discard_draft(make_actor(merchant), draft.id)
        return asked(*args)

    monkeypatch.setattr(connecting, "_ask_amazon", ask)
    code = code_of() if is_code_good else "made-up"
    answer = come_back(asha, state=state, spapi_oauth_code=code, selling_partner_id=INDIA)
    page_after(asha, answer, Outcome.WITHDRAWN)
    assert db.session.scalar(select(func.count(Store.id))) == 0


def test_every_failure_has_its_words_and_none_repeats() -> None:
    assert set(WORDS) == set(Outcome) - {Outcome.CONNECTED}
    assert len({words.title for words in WORDS.values()}) == len(WORDS)
    assert all(words.happened and words.means and words.to_do for words in WORDS.values())


def test_the_log_holds_the_reference_and_no_secret(asha, draft, capsys, caplog, code_of) -> None:
    caplog.set_level("INFO")
    state = go(asha, draft)
    answer = come_back(asha, state=state, spapi_oauth_code="made-up-code", selling_partner_id=INDIA)
    reference = answer.location.split("?")[0].rsplit("/", 1)[1]
    assert reference in caplog.text
    assert "code_refused" in caplog.text
    assert state not in caplog.text
    assert "made-up-code" not in caplog.text


@pytest.mark.parametrize("reference", ["1", "ABCD", "K7QX-4M2P", "<script>alert(1)</script>"])
@pytest.mark.parametrize("problem", ["", "connected", "denied", "app_refused", "<b>"])
def test_made_up_pages_are_not_there(asha, reference, problem) -> None:
    assert asha.get(f"/amazon/return/{reference}?problem={problem}").status_code == 404


def test_a_trip_under_way_has_no_page_yet(asha, draft) -> None:
    go(asha, draft)
    reference = db.session.scalars(select(AuthorizationAttempt.reference)).one()
    assert asha.get(f"/amazon/return/{reference}").status_code == 404
    assert asha.get(f"/amazon/return/{reference}?problem=denied").status_code == 404


def test_a_trip_tells_others_nothing(asha, signed_in, workspace, draft) -> None:
    answer = come_back(asha, state=go(asha, draft), error="access_denied")
    assert signed_in(make_user(workspace)).get(answer.location).status_code == 404


def test_support_has_no_business_here(signed_in, workspace) -> None:
    support = signed_in(make_user(workspace, Role.SUPPORT))
    answer = support.get("/amazon/callback?state=x&spapi_oauth_code=secret")
    assert (answer.status_code, "secret" in answer.location) == (303, False), "the code leaves the address bar"
    assert support.get(answer.location).status_code == 403
    assert support.get("/amazon/return/K7QX-4M2P").status_code == 403


def test_the_whole_way_that_begins_at_amazon(asha, settings, sandbox, seller) -> None:
    """From the Appstore's button over our question and Amazon's confirmation back to a connected store."""
    with httpx.Client(base_url=sandbox.url, trust_env=False) as amazon:
        amazon.post("/apps/authorize/sign-in", data={"seller_id": INDIA, "onward": "/appstore"})
        sent = amazon.post("/appstore/authorize", data={"login_uri": f"{settings.public_url}/amazon/login"})
        login = sent.headers["Location"].removeprefix(settings.public_url)
        assert INDIA in asha.get(login).text
        data = {"store": "new", "seller": str(seller.id), "country": "IN", "name": "Pune"}
        answer = asha.post(login, data=data)
        confirmed = amazon.get(answer.location.removeprefix(sandbox.url))
    returned = confirmed.headers["Location"].removeprefix(settings.public_url)
    assert returned.startswith("/amazon/callback?")
    store = db.session.scalars(select(Store)).one()
    assert asha.get(returned).location == f"/stores/{store.id}"
    db.session.refresh(store)
    assert (store.status, store.amazon_selling_partner_id) == (StoreStatus.CONNECTED, INDIA)

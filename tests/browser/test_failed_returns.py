"""Each failed return from Amazon: a page of its own, one Try again, a reference, and the draft still there."""

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select, update

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.models import AuthorizationAttempt, Seller, Store, StoreStatus, User
from flexdash.services import authorization, demo
from tests.factories import make_store
from tests.support.clicking import ADMIN, MERCHANT, ask_to_connect, bring_session, choose_account
from tests.support.looking import problems
from tests.support.servers import wait_for
from tests.support.web import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def at_amazon(app: Flask, sandbox: Running, page: Page, live_server: str) -> Page:
    """A merchant of the demo workspace who has just been sent to Amazon to connect Pune Store, by the wizard's end."""
    demo.make()
    seller = db.session.scalars(select(Seller).where(Seller.name == "Sunrise Retail")).one()
    draft_id = make_store(seller, StoreStatus.DRAFT, name="Pune Store").id
    db.session.rollback()  # what is read here would be too old to write from once the app has written
    bring_session(page, live_server, a_sign_in(app, MERCHANT))
    page.goto(f"{live_server}/apps/amazon-seller-flex/{draft_id}/integrate")
    page.get_by_role("button", name="Integrate").click()
    return page


def a_sign_in(app: Flask, person: tuple[str, str]) -> FlaskClient:
    """Sign a person of the demo workspace in, once more."""
    email, password = person
    return sign_in(app.test_client(), db.session.scalars(select(User).where(User.email == email)).one(), password)


def state_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query)["state"][0]


def come_back(page: Page, live_server: str, **query: str) -> None:
    page.goto(f"{live_server}/amazon/callback?{urlencode(query)}")


def expect_failure(page: Page, title: str, *, has_draft: bool = True) -> None:
    """The page names what happened, hides the code, gives a reference, and nothing is half-connected."""
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_text("Reference", exact=False).first).to_be_visible()
    assert problems(page, title, without_frame=True) == []
    assert "spapi_oauth_code" not in urlsplit(page.url).query
    db.session.rollback()
    statuses = db.session.scalars(select(Store.status)).all()
    assert statuses == [StoreStatus.DRAFT] * has_draft
    assert db.session.scalars(select(Store.refresh_token_encrypted)).all() == [None] * has_draft


def is_claimed() -> bool:
    return db.session.scalars(select(AuthorizationAttempt.used_at)).one() is not None


def try_again(page: Page) -> None:
    page.get_by_role("button", name="Try again").click()


def test_denied(at_amazon: Page) -> None:
    choose_account(at_amazon)
    at_amazon.get_by_role("button", name="Deny").click()
    expect_failure(at_amazon, "You did not authorize FlexDash")

    try_again(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect(at_amazon.get_by_text("Pune Store is connected to Amazon")).to_be_visible()


def test_a_state_that_is_missing_or_unknown(at_amazon: Page, live_server: str) -> None:
    come_back(at_amazon, live_server, selling_partner_id="A1", spapi_oauth_code="c")
    expect_failure(at_amazon, "This return from Amazon has no key")
    come_back(at_amazon, live_server, state="made-up", selling_partner_id="A1", spapi_oauth_code="c")
    expect_failure(at_amazon, "FlexDash does not know this return from Amazon")


def test_a_state_that_was_used(at_amazon: Page, live_server: str) -> None:
    state = state_of(at_amazon)
    come_back(at_amazon, live_server, state=state, error="access_denied")
    come_back(at_amazon, live_server, state=state, selling_partner_id="A1", spapi_oauth_code="c")
    expect_failure(at_amazon, "This return from Amazon was used already")


def test_a_state_that_is_too_old(at_amazon: Page, live_server: str) -> None:
    db.session.execute(update(AuthorizationAttempt).values(expires_at=clock.now() - timedelta(seconds=1)))
    db.session.commit()
    come_back(at_amazon, live_server, state=state_of(at_amazon), selling_partner_id="A1", spapi_oauth_code="c")
    expect_failure(at_amazon, "The authorization took too long")


def test_a_state_of_another_person_and_of_another_sign_in(
    app: Flask, at_amazon: Page, live_server: str, browser: Browser
) -> None:
    state = state_of(at_amazon)
    for person, title in (
        (ADMIN, "This return from Amazon belongs to somebody else"),
        (MERCHANT, "This return from Amazon belongs to another sign-in of yours"),
    ):
        other = browser.new_page()
        bring_session(other, live_server, a_sign_in(app, person))
        come_back(other, live_server, state=state, selling_partner_id="A1", spapi_oauth_code="c")
        expect_failure(other, title)
        other.close()


def test_a_return_without_a_code(at_amazon: Page, live_server: str) -> None:
    come_back(at_amazon, live_server, state=state_of(at_amazon))
    expect_failure(at_amazon, "Amazon's answer is incomplete")
    try_again(at_amazon)
    expect(at_amazon.get_by_role("button", name="Sign in")).to_be_visible()


def test_signed_out_meanwhile(at_amazon: Page, live_server: str) -> None:
    choose_account(at_amazon)
    at_amazon.context.clear_cookies(name="session")
    at_amazon.get_by_role("button", name="Allow").click()
    expect(at_amazon.get_by_text("You were signed out while you were at Amazon").first).to_be_visible()
    email, password = MERCHANT
    at_amazon.get_by_label("E-mail").fill(email)
    at_amazon.get_by_label("Password", exact=True).fill(password)
    at_amazon.get_by_role("button", name="Sign in").click()
    expect_failure(at_amazon, "You were signed out while you were at Amazon")

    try_again(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect(at_amazon.get_by_text("Pune Store is connected to Amazon")).to_be_visible()


def test_the_draft_was_discarded_meanwhile(at_amazon: Page, live_server: str) -> None:
    choose_account(at_amazon)
    other_tab = at_amazon.context.new_page()
    seller_id = db.session.scalars(select(Store.seller_id)).one()
    other_tab.goto(f"{live_server}/apps/amazon-seller-flex?seller={seller_id}")
    other_tab.get_by_role("link", name="Discard Pune Store").click()
    other_tab.get_by_role("button", name="Discard draft").click()
    expect(other_tab.get_by_text("discarded", exact=False).first).to_be_visible()
    at_amazon.get_by_role("button", name="Allow").click()
    expect_failure(at_amazon, "The store was changed while you were at Amazon", has_draft=False)
    expect(at_amazon.get_by_role("link", name="Try again")).to_be_visible()


def test_the_same_return_twice_at_once(at_amazon: Page, live_server: str, sandbox: Running) -> None:
    choose_account(at_amazon)
    state = state_of(at_amazon)
    sandbox.control.options(latency_ms=1_000)
    at_amazon.get_by_role("button", name="Allow").click(no_wait_after=True)
    wait_for(lambda: db.session.rollback() or is_claimed(), "Amazon's answer to arrive")
    second = at_amazon.context.new_page()
    come_back(second, live_server, state=state, selling_partner_id="A3SBXSUNRISEIN", spapi_oauth_code="same")
    expect(second.get_by_role("heading", level=1)).to_have_text("FlexDash is still talking to Amazon")
    expect(at_amazon.get_by_text("Pune Store is connected to Amazon")).to_be_visible(timeout=20_000)
    second.get_by_role("link", name="Look again").click()
    expect(second.get_by_text("Pune Store is connected to Amazon")).to_be_visible()


def test_flexdash_stopped_while_it_handled_the_return(at_amazon: Page, live_server: str) -> None:
    long_ago = clock.now() - authorization.HANDLING_TIME
    db.session.execute(update(AuthorizationAttempt).values(used_at=long_ago))  # and no outcome was ever written
    db.session.commit()
    come_back(at_amazon, live_server, state=state_of(at_amazon), selling_partner_id="A1", spapi_oauth_code="c")
    expect_failure(at_amazon, "FlexDash was interrupted")
    try_again(at_amazon)
    expect(at_amazon.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_code_that_amazon_refuses(at_amazon: Page, live_server: str) -> None:
    come_back(
        at_amazon, live_server, state=state_of(at_amazon), selling_partner_id="A3SBXSUNRISEIN", spapi_oauth_code="no"
    )
    expect_failure(at_amazon, "Amazon refused the code it had sent")
    expect(at_amazon.get_by_role("button", name="Try again")).to_be_visible()


def test_amazon_does_not_accept_the_app(at_amazon: Page, sandbox: Running) -> None:
    sandbox.control.fault("invalid_client", count=1)
    choose_account(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect_failure(at_amazon, "Amazon does not accept FlexDash itself")


def test_amazon_is_unreachable(at_amazon: Page, sandbox: Running) -> None:
    sandbox.control.fault("error_503", operation="token", count=50)
    choose_account(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect_failure(at_amazon, "Amazon could not be reached")

    sandbox.control.clear_faults()
    try_again(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect(at_amazon.get_by_text("Pune Store is connected to Amazon")).to_be_visible()


def test_an_account_that_does_not_sell_in_the_country(at_amazon: Page) -> None:
    choose_account(at_amazon, "Alpine Goods (Germany)")
    at_amazon.get_by_role("button", name="Allow").click()
    expect_failure(at_amazon, "This Amazon account does not sell in India")


def test_an_account_that_is_connected_already_or_is_another_one(at_amazon: Page, live_server: str) -> None:
    choose_account(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect(at_amazon.get_by_text("Pune Store is connected to Amazon")).to_be_visible()
    store_page = at_amazon.url

    ask_to_connect(at_amazon, "Second Store")
    choose_account(at_amazon)
    at_amazon.get_by_role("button", name="Allow").click()
    expect(at_amazon.get_by_role("heading", level=1)).to_have_text("This Amazon account is connected already")

    at_amazon.goto(store_page)
    at_amazon.get_by_role("link", name="Re-authorize").click()
    at_amazon.get_by_role("button", name="Continue at Amazon").click()
    state = state_of(at_amazon)
    come_back(at_amazon, live_server, state=state, selling_partner_id="ASOMEBODYELSE", spapi_oauth_code="c")
    expect(at_amazon.get_by_role("heading", level=1)).to_have_text("That was another Amazon account")
    db.session.rollback()
    assert sorted(db.session.scalars(select(Store.status))) == [StoreStatus.CONNECTED, StoreStatus.DRAFT]

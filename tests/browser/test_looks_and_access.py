"""Every main page in a real browser: WCAG 2.2 AA, 360 px without sideways scrolling, both schemes, without scripts."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect

from flexdash.extensions import db, limiter
from flexdash.models import Role, RunState, StoreStatus
from tests.factories import (
    PASSWORD,
    make_hub,
    make_mapping,
    make_order,
    make_run,
    make_seller,
    make_sku,
    make_store,
    make_user,
    make_workspace,
)

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}
EMAIL = "admin@looks.example"
LONG_NAME = "A store with a name as long as somebody may once give it, " + "Supercalifragilistic" * 2


@pytest.fixture
def pages(app: Flask) -> list[str]:
    """The addresses to look at, with something to see behind each."""
    workspace = make_workspace("Looks and Access Trading Company")
    user = make_user(workspace, Role.ADMIN, email=EMAIL)
    seller = make_seller(workspace)
    make_sku(seller)
    hub = make_hub(workspace)
    store = make_store(seller, name="Pune Store", is_order_sync_on=True)
    make_mapping(store, hub, "PNQ1")
    refused = make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name=LONG_NAME, is_order_sync_on=True)
    draft = make_store(seller, StoreStatus.DRAFT, name="Delhi Store")
    order = make_order(store, hub=hub, n_lines=3)
    held = make_order(store, "On Hold")
    failed, running = make_run(refused, RunState.FAILED), make_run(store, RunState.RUNNING)
    limiter.reset()
    return [
        "/",
        "/orders",
        f"/orders/{order.id}",
        f"/orders/{held.id}",
        "/orders/quarantine",
        "/sync-runs",
        f"/sync-runs/{failed.id}",
        f"/sync-runs/{running.id}",
        "/apps",
        f"/apps/amazon-seller-flex?seller={seller.id}",
        f"/apps/amazon-seller-flex/new?seller={seller.id}",
        f"/apps/amazon-seller-flex/{draft.id}/name",
        f"/apps/amazon-seller-flex/{draft.id}/integrate",
        f"/stores/{store.id}",
        f"/stores/{refused.id}",
        f"/stores/{store.id}/settings",
        f"/stores/{store.id}/hubs",
        f"/stores/{store.id}/configuration-log",
        f"/stores/{store.id}/disconnect",
        "/configuration-log",
        "/configuration-log/verify",
        "/admin/users",
        "/admin/users/new",
        f"/admin/users/{user.id}",
        "/admin/sellers",
        f"/admin/sellers/{seller.id}",
        "/admin/hubs",
        f"/admin/hubs/{hub.id}",
        "/account",
        "/account/password",
        "/no/such/page",
    ]


@pytest.fixture
def contexts(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Where a test keeps the windows it opens; they are closed behind it."""
    opened: list[BrowserContext] = []
    yield opened
    for context in opened:
        context.close()


def signed_in_page(browser: Browser, contexts: list[BrowserContext], address: str, **how: object) -> Page:
    context = browser.new_context(base_url=address, **how)
    contexts.append(context)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="Your stores")).to_be_visible()
    return page


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 360)], ids=["light and wide", "dark and narrow"]
)
def test_every_page_is_accessible_and_fits(
    pages: list[str], live_server: str, browser: Browser, contexts: list[BrowserContext], scheme: str, width: int
) -> None:
    page = signed_in_page(browser, contexts, live_server, color_scheme=scheme, viewport={"width": width, "height": 800})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    for path in pages:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status in (200, 404), path
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            complaints.append(f"{path}: {wide} px wide")
        for violation in Axe().run(page, options=RULES).response["violations"]:
            complaints.append(f"{path}: {violation['id']}: {violation['nodes'][0]['html'][:200]}")
    assert complaints == []


def test_a_phone_without_scripts_finds_its_way(
    pages: list[str], live_server: str, browser: Browser, contexts: list[BrowserContext]
) -> None:
    page = signed_in_page(
        browser, contexts, live_server, java_script_enabled=False, viewport={"width": 360, "height": 740}
    )
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Orders").click()
    expect(page.get_by_role("heading", level=1, name="Orders")).to_be_visible()
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1, name="Sign in")).to_be_visible()


def test_filters_are_folded_on_a_phone_until_they_are_wanted(
    pages: list[str], live_server: str, browser: Browser, contexts: list[BrowserContext]
) -> None:
    page = signed_in_page(browser, contexts, live_server, viewport={"width": 360, "height": 740})
    page.goto("/orders")
    expect(page.get_by_label("Hold reason")).to_be_hidden()
    page.get_by_text("Filter this list").click()
    page.get_by_label("State").select_option("On Hold")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_label("State")).to_have_value("On Hold")
    expect(page.get_by_label("State")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 740})
    page.goto("/orders")
    expect(page.get_by_label("Hold reason")).to_be_visible()
    expect(page.get_by_text("Filter this list")).to_be_hidden()


def test_filters_stay_open_on_a_phone_without_scripts(
    pages: list[str], live_server: str, browser: Browser, contexts: list[BrowserContext]
) -> None:
    page = signed_in_page(
        browser, contexts, live_server, java_script_enabled=False, viewport={"width": 360, "height": 740}
    )
    page.goto("/orders")
    expect(page.get_by_label("Hold reason")).to_be_visible()


def test_the_problem_has_the_focus_and_leads_to_its_field(app: Flask, live_server: str, page: Page) -> None:
    page.goto(f"{live_server}/sign-in")
    page.get_by_role("button", name="Sign in").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("E-mail")).to_be_focused()
    assert page.title().startswith("Error: ")


def test_the_first_tab_skips_to_the_content(app: Flask, live_server: str, page: Page) -> None:
    page.goto(f"{live_server}/sign-in")
    page.evaluate("document.activeElement.blur()")
    link = page.get_by_role("link", name="Skip to content")
    page.keyboard.press("Shift+Tab")
    link.focus()
    expect(link).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_live_part_follows_until_the_end(
    app: Flask, live_server: str, browser: Browser, contexts: list[BrowserContext]
) -> None:
    workspace = make_workspace()
    make_user(workspace, Role.ADMIN, email=EMAIL)
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    run = make_run(store, RunState.RUNNING)
    limiter.reset()
    page = signed_in_page(browser, contexts, live_server)
    page.goto(f"/sync-runs/{run.id}")
    expect(page.get_by_text("Running").first).to_be_visible()
    assert page.locator("[data-live-url]").count() == 1
    run.state, run.n_fetched = RunState.SUCCEEDED, 4321
    run.finished_at = run.started_at
    db.session.commit()
    expect(page.get_by_text("4,321").first).to_be_visible(timeout=15_000)
    expect(page.locator("[data-live-url]")).to_have_count(0)

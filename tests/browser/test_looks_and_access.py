"""Every main page in a real browser: WCAG 2.2 AA, 360 px without sideways scrolling, both schemes, without scripts."""

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    DifferenceKind,
    OrderPackage,
    OrderState,
    OrderStock,
    PublishedStock,
    PushState,
    RecoveryOutcome,
    Role,
    RunState,
    Section,
    Severity,
    StoreStatus,
    Sync,
    User,
    UserSession,
)
from flexdash.services.order_work import saved_filters
from tests.factories import (
    make_actor,
    make_alarm,
    make_alarm_message,
    make_batch,
    make_call,
    make_config_event,
    make_conflict,
    make_difference,
    make_document,
    make_hub,
    make_listing,
    make_mapping,
    make_order,
    make_recovery,
    make_return,
    make_run,
    make_run_item,
    make_seller,
    make_sku,
    make_step,
    make_stock,
    make_store,
    make_upload,
    make_user,
    make_workspace,
    make_zero_brake,
)
from tests.support.looking import DESK, area, problems
from tests.support.routes import pages_left_out

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

# Lists whose last column is a button or the answer: beside the menu, none of them may be scrolled to.
WHOLE_TABLES = re.compile(
    r"/orders(/(to-fix|invoices|conflicts|quarantine|\d+))?|/stock|/returns|/sync-runs(/\d+)?|/api-log"
    r"|/stores/\d+/(catalog|inventory|prices)"
)
SCROLLING = "[...document.querySelectorAll('.table-frame')].some(frame => frame.scrollWidth > frame.clientWidth)"
# Pages that the list below does not lead to, each with where it is looked at.
LOOKED_AT_ELSEWHERE = {
    "/sign-in": "test_the_problem_has_the_focus_and_leads_to_its_field",
    "/admin/users/<int:user_id>/password": "SENT: it is there once, after a reset",
}
# Forms that are sent as they are opened, by the end of their address, and what the page says then.
SENT = {
    "/stock/new": ("Add it", "There is a problem"),
    "/admin/hubs/new": ("Add hub", "There is a problem"),
    "/reset-password": ("Reset password", "Give this to Asha"),
}
OpenWindow = Callable[..., Page]
EMAIL = "admin@looks.example"
LONG_NAME = "A store with a name as long as somebody may once give it, " + "Supercalifragilistic" * 2


@pytest.fixture
def pages(app: Flask) -> list[str]:
    """The addresses to look at, with something to see behind each."""
    workspace = make_workspace("Looks and Access Trading Company")
    user = make_user(workspace, Role.ADMIN, email=EMAIL)
    other = make_user(workspace, name="Asha")
    seller = make_seller(workspace)
    make_sku(seller)
    hub = make_hub(workspace)
    store = make_store(seller, name="Pune Store", is_order_sync_on=True)
    make_mapping(store, hub, "PNQ1")
    refused = make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name=LONG_NAME, is_order_sync_on=True)
    draft = make_store(seller, StoreStatus.DRAFT, name="Delhi Store")
    order = make_order(store, hub=hub, n_lines=3, stock=OrderStock.RESERVED)
    listing = make_listing(store, order.lines[0].sku_code, name="Supercalifragilistic" * 5, barcode="9" * 50)
    level = make_stock(seller, hub, order.lines[0].sku_code)
    db.session.add(
        PublishedStock(
            workspace_id=workspace.id,
            store_id=store.id,
            seller_flex_hub_id="PNQ1",
            sku_code=listing.sku_code,
            quantity=5,
            sent_quantity=6,
            sent_at=clock.now(),
            accepted_at=clock.now(),
            state=PushState.REFUSED,
            error_code="PRODUCT_ATTRIBUTE_VALIDATION_FAILURE/MISSING_WEIGHT",
        )
    )
    db.session.commit()
    held = make_order(store, "On Hold")
    worked = make_order(
        store, OrderState.PICKED, hub=hub, n_lines=2, is_invoice_waiting=True, picked_at=clock.now(), moved_by="Asha"
    )
    make_step(worked, "packages", "failed", error_code="missing", error_sentence="The package lacks its weight.")
    make_step(worked, "labels", error_sentence="Amazon made no label for package FD1-1: no reason given.")
    make_document(worked, "invoice")
    elsewhere = make_order(store, OrderState.PICKED, hub=hub, picked_at=clock.now(), moved_by="Amazon")
    make_step(elsewhere, "ship")  # and its label is not fetched yet
    packed = [{"line_id": line.amazon_line_id, "n_units": line.n_units} for line in worked.lines]
    db.session.add(OrderPackage(order_id=worked.id, package_id=f"FD{worked.id}-1", lines=packed))
    db.session.commit()
    make_conflict(make_order(store, OrderState.SHIPPED, hub=hub))
    stopped = make_order(
        store, OrderState.CANCELLED, hub=hub, picked_at=clock.now(), cancelled_at=clock.now(), cancellation="not_sent"
    )
    batch = make_batch(worked, user)
    sent_back = make_return(store, order=order, earlier_trackings=[["ATS", "REV-EARLIER"]])
    priced = make_listing(store, price=499, price_state="refused", price_message="Above the MRP. (PRICE_ABOVE_MRP)")
    failed, running = make_run(refused, RunState.FAILED), make_run(store, RunState.RUNNING)
    call = make_call(
        refused,
        "refused",
        run=failed,
        sent="operation=CONFIRM",
        answered='{"errors": [{"code": "SC_00002", "message": "' + "InvalidInput" * 20 + '"}]}',
        error_message="Amazon refused the request",
    )
    for about in (order, worked):  # as long as Amazon's own are
        make_call(
            store,
            "refused",
            run=running,
            operation="processShipment",
            method="POST",
            path=f"/externalFulfillment/2024-09-11/shipments/{about.amazon_shipment_id}{'X' * 40}/packages/FD123456-1",
            amazon_shipment_id=about.amazon_shipment_id,
            amazon_request_id="5a1c7f0e-8d3b-4c6e-9f21-7b64d0e5a9c3",
            duration_ms=1_234,
            waited_ms=12_345,
            error_code="SC_00002",
            error_message="This shipment cannot be confirmed in the state it has now.",
        )
    brake = make_zero_brake(store)
    pushed = make_run(store, RunState.PARTIAL, sync=Sync.INVENTORY_PUSH, n_fetched=9, n_updated=7, n_failed=2)
    for code in ("LONG-" + "9" * 95, "A"):
        make_run_item(pushed, sku_code=code, reason="PRODUCT_ATTRIBUTE_VALIDATION_FAILURE/MISSING_WEIGHT")
    recovery = make_recovery(store, {"SB" + "9" * 98: RecoveryOutcome.IMPORTED, "402-1234567-7654321": None})
    for kind in DifferenceKind:
        make_difference(store, kind, here="Picked", there="Label generated (SHIPLABEL_GENERATED) at PNQ1")
    event = make_config_event(store, f"Asha turned Order Sync on for {LONG_NAME}")
    upload_row = make_config_event(store, section=Section.CATALOG, old={}, new={"upload_id": make_upload(store).id})
    alarm = make_alarm(refused, sentence=f"{LONG_NAME}: Amazon refuses FlexDash's access, so all its syncs wait.")
    make_alarm(workspace, "worker_away", acknowledged_at=clock.now(), acknowledged_by_name="Asha")
    make_alarm(store, "quarantine", severity=Severity.WARNING.value, cleared_at=clock.now())
    make_alarm_message(workspace)
    make_alarm_message(workspace, "given_up", n_attempts=8, error_sentence="The mail server could not be reached.")
    saved = saved_filters.save(make_actor(user), "Supercali" * 6, "state=Picked&sort=deadline")
    elsewhere_signed_in = UserSession(user_id=user.id, token_hash="elsewhere", expires_at=clock.now())
    db.session.add(elsewhere_signed_in)
    db.session.commit()
    at_amazon = app.config["SETTINGS"].amazon_seller_central_url
    visit = {
        "amazon_callback_uri": f"{at_amazon}/apps/authorize/confirm/app",
        "amazon_state": "amazons-own-state",
        "selling_partner_id": store.amazon_selling_partner_id,
    }
    return [
        "/",
        "/orders",
        f"/orders/{order.id}",
        f"/orders/{held.id}",
        "/orders/quarantine",
        f"/orders/{worked.id}",
        f"/orders/{elsewhere.id}",
        f"/orders/{worked.id}/packages",
        f"/orders/{worked.id}/cancel",
        f"/orders/{stopped.id}",
        f"/orders/saved/{saved.id}/remove",
        "/orders/conflicts",
        "/orders/invoices",
        "/orders/to-fix",
        "/orders?needs=step",
        "/orders/pick-list",
        f"/orders/pick-list?hub={hub.id}",
        "/orders/batches",
        f"/orders/batches/{batch.id}",
        "/orders?state=Picked&sort=deadline",
        "/returns",
        f"/returns/{sent_back.id}",
        f"/stores/{store.id}/prices",
        f"/stores/{store.id}/prices/{priced.id}",
        "/stock",
        "/stock?only=not_listed",
        f"/stock/{level.id}",
        "/stock/new",
        f"/stores/{store.id}/catalog",
        f"/stores/{refused.id}/catalog",
        f"/stores/{store.id}/catalog/new",
        f"/stores/{store.id}/catalog/{listing.id}",
        f"/stores/{store.id}/catalog/{listing.id}/edit",
        f"/stores/{store.id}/catalog/{listing.id}/remove",
        f"/stores/{store.id}/inventory",
        f"/stores/{store.id}/inventory?only=no_listing",
        f"/stores/{refused.id}/inventory",
        f"/stores/{store.id}/inventory/preview",
        f"/stores/{store.id}/inventory/zeros/{brake.id}",
        f"/sync-runs/{pushed.id}",
        f"/sync-runs/{pushed.id}/items",
        f"/sync-runs/{pushed.id}/outcomes",
        f"/sync-runs/{pushed.id}/search?q=A",
        "/sync-runs",
        "/api-log",
        f"/api-log/{call.id}",
        f"/sync-runs/{failed.id}",
        f"/sync-runs/{running.id}",
        "/apps",
        "/stores",
        f"/apps/amazon-seller-flex?seller={seller.id}",
        f"/apps/amazon-seller-flex/new?seller={seller.id}",
        f"/apps/amazon-seller-flex/{draft.id}/country",
        f"/apps/amazon-seller-flex/{draft.id}/name",
        f"/apps/amazon-seller-flex/{draft.id}/integrate",
        f"/apps/amazon-seller-flex/{draft.id}/discard",
        f"/amazon/login?{urlencode(visit)}",
        "/amazon/return/ABCD-EFGH?problem=state_unknown",
        f"/stores/{store.id}",
        f"/stores/{refused.id}",
        f"/stores/{store.id}/recover",
        f"/stores/{store.id}/recover/{recovery.id}",
        f"/stores/{store.id}/reconcile",
        f"/stores/{store.id}/settings",
        f"/stores/{store.id}/hubs",
        f"/stores/{store.id}/hubs/{hub.id}/remove",
        f"/stores/{store.id}/rename",
        f"/stores/{refused.id}/reconnect",
        f"/stores/{store.id}/configuration-log",
        f"/stores/{store.id}/disconnect",
        "/alarms",
        f"/alarms/{alarm.id}",
        "/alarms/settings",
        "/alarms/settings/secret",
        "/alarms/messages",
        "/configuration-log",
        "/configuration-log/verify",
        f"/configuration-log/{event.id}",
        f"/configuration-log/{event.id}/revert",
        f"/configuration-log/{upload_row.id}",
        "/access-log",
        "/admin/users",
        "/admin/users/new",
        f"/admin/users/{user.id}",
        f"/admin/users/{other.id}/deactivate",
        f"/admin/users/{other.id}/reset-password",
        "/admin/sellers",
        "/admin/sellers/new",
        f"/admin/sellers/{seller.id}",
        f"/admin/sellers/{seller.id}/skus",
        f"/admin/sellers/{seller.id}/rename",
        f"/admin/sellers/{seller.id}/deactivate",
        "/admin/hubs",
        "/admin/hubs/new",
        f"/admin/hubs/{hub.id}",
        f"/admin/hubs/{hub.id}/deactivate",
        "/help",
        f"/help/order-missing?q={held.amazon_shipment_id}",
        "/help/order-missing?q=",
        f"/help/cancellation?q={order.amazon_order_id}",
        f"/help/sku?q={listing.sku_code}&about=price",
        f"/help/order-open?q={worked.amazon_shipment_id}",
        "/account",
        "/account/sessions/revoke-others",
        f"/account/sessions/{elsewhere_signed_in.id}/revoke",
        "/account/password",
        "/account/time-zone",
        "/no/such/page",
    ]


@pytest.fixture
def admin(pages: list[str]) -> User:
    """The person who looks at them."""
    return db.session.scalars(select(User).where(User.email == EMAIL)).one()


def test_every_page_is_accessible_and_fits(app: Flask, pages: list[str], admin: User, window: OpenWindow) -> None:
    left_out = pages_left_out(app, pages) - LOOKED_AT_ELSEWHERE.keys()
    assert {rule for rule in left_out if not rule.startswith("/uploads")} == set(), "test_uploads.py looks at those"
    page = window(admin, viewport=DESK)
    complaints: list[str] = []
    areas: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    for path in pages:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status in (200, 404, 422), path
        if WHOLE_TABLES.fullmatch(path.split("?")[0]) and page.evaluate(SCROLLING):
            complaints.append(f"{path}: a table hides a part of its columns")
        complaints += problems(page, path, without_frame=area(path) in areas)
        areas.add(area(path))
    for end, (button, said) in SENT.items():
        path = next(path for path in pages if path.endswith(end))
        page.goto(path)
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_text(said).first).to_be_visible()
        complaints += problems(page, f"{path}, sent", without_frame=True)
    assert complaints == []


def test_a_printed_pick_list_has_the_width_of_the_paper(admin: User, window: OpenWindow) -> None:
    page = window(admin, viewport={"width": 1000, "height": 1400})
    page.goto("/orders/pick-list")
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Main").first).to_be_hidden()
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["width"] > 900


def test_a_phone_without_scripts_finds_its_way(admin: User, window: OpenWindow) -> None:
    page = window(admin, java_script_enabled=False, viewport={"width": 360, "height": 740})
    page.goto("/")
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Orders").click()
    expect(page.get_by_role("heading", level=1, name="Orders")).to_be_visible()
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1, name="Sign in")).to_be_visible()


def test_filters_are_folded_on_a_phone_until_they_are_wanted(admin: User, window: OpenWindow) -> None:
    page = window(admin, viewport={"width": 360, "height": 740})
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


def test_filters_stay_open_on_a_phone_without_scripts(admin: User, window: OpenWindow) -> None:
    page = window(admin, java_script_enabled=False, viewport={"width": 360, "height": 740})
    page.goto("/orders")
    expect(page.get_by_label("Hold reason")).to_be_visible()


def test_the_problem_has_the_focus_and_leads_to_its_field(app: Flask, live_server: str, page: Page) -> None:
    page.goto(f"{live_server}/sign-in")
    assert problems(page, "/sign-in") == []
    page.get_by_role("button", name="Sign in").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    assert problems(page, "/sign-in, refused", without_frame=True) == []
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


def test_a_live_part_follows_until_the_end(window: OpenWindow) -> None:
    workspace = make_workspace()
    admin = make_user(workspace, Role.ADMIN)
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    run = make_run(store, RunState.RUNNING)
    page = window(admin)
    page.goto(f"/sync-runs/{run.id}")
    expect(page.get_by_text("Running").first).to_be_visible()
    assert page.locator("[data-live-url]").count() == 1
    run.state, run.n_fetched = RunState.SUCCEEDED, 4321
    run.finished_at = run.started_at
    db.session.commit()
    expect(page.get_by_text("4,321").first).to_be_visible(timeout=15_000)
    expect(page.locator("[data-live-url]")).to_have_count(0)

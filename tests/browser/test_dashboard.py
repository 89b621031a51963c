"""The dashboards of merchants and support in a browser; the admin's is among the pages of test_looks_and_access."""

import pytest
from playwright.sync_api import Browser, expect

from flexdash.extensions import limiter
from flexdash.models import Role, RunState, StoreStatus
from tests.factories import PASSWORD, make_call, make_order, make_run, make_store, make_sync_state, make_user
from tests.support.looking import bring_axe, violations

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
# Of the first text in an element.
N_LINES = """element => {
  const range = document.createRange();
  range.selectNodeContents(document.createTreeWalker(element, NodeFilter.SHOW_TEXT).nextNode());
  return range.getClientRects().length;
}"""


def test_no_badge_touches_the_name_of_its_store_and_no_operation_is_broken(
    workspace, seller, live_server: str, browser: Browser
) -> None:
    make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION)
    make_store(seller, StoreStatus.DRAFT)
    make_call(make_store(seller, name="Sunrise Flex India, all of it"), operation="getMarketplaceParticipations")
    user = make_user(workspace, Role.SUPPORT)
    limiter.reset()
    context = browser.new_context(base_url=live_server, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    try:
        page.goto("/sign-in")
        page.get_by_label("E-mail").fill(user.email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Needs re-authorization")).to_be_visible()
        for row in page.locator(".fresh").all():
            state, name = row.locator(".state").bounding_box(), row.get_by_role("link").first.bounding_box()
            assert state["x"] + state["width"] + 12 <= name["x"]
        operation = page.get_by_role("rowheader", name="getMarketplaceParticipations")
        assert operation.evaluate(N_LINES) == 1
    finally:
        context.close()


@pytest.mark.parametrize(("role", "scheme"), [(Role.MERCHANT, "light"), (Role.SUPPORT, "dark")])
def test_a_dashboard_is_accessible_fits_a_phone_and_opens_by_keyboard(
    workspace, seller, live_server: str, browser: Browser, role: Role, scheme: str
) -> None:
    store = make_store(seller, name="A store with a name as long as can be " + "Supercali" * 5, is_order_sync_on=True)
    make_sync_state(store, minutes_since_good=60)
    make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION)
    make_run(store, RunState.FAILED)
    make_order(store, "On Hold")
    make_call(store, "throttled")
    user = make_user(workspace, role)
    limiter.reset()
    context = browser.new_context(base_url=live_server, color_scheme=scheme, viewport={"width": 360, "height": 740})
    page = context.new_page()
    try:
        page.goto("/sign-in")
        page.get_by_label("E-mail").fill(user.email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("img", name="Orders per hour")).to_be_visible()
        numbers = page.locator("#figures ~ * summary").first
        numbers.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("table", name="Orders per hour, in numbers")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        bring_axe(page)
        assert violations(page) == []
    finally:
        context.close()

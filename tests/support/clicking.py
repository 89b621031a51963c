"""What people click or reach with the Tab key, by the words they read."""

from flask.testing import FlaskClient
from playwright.sync_api import Locator, Page, expect

MERCHANT = ("merchant@demo.example", "demo-merchant-pass")
ADMIN = ("admin@demo.example", "demo-admin-pass")


def sign_in(page: Page, address: str, person: tuple[str, str] = MERCHANT) -> None:
    """Sign in on the sign-in page."""
    email, password = person
    page.goto(f"{address}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def bring_session(page: Page, address: str, client: FlaskClient) -> None:
    """Let the window of `page` be signed in as `client` is, where the sign-in page is not the matter."""
    cookie = client.get_cookie("session")
    assert cookie is not None
    page.context.add_cookies([{"name": "session", "value": cookie.value, "url": address}])


def ask_to_connect(page: Page, name: str, country: str = "India") -> None:
    """Go through the wizard's three steps, from any page to Amazon's."""
    page.get_by_role("link", name="Apps & Integration").first.click()
    page.get_by_role("link", name="Amazon Seller Flex").first.click()
    page.get_by_label("Seller").select_option(label="Sunrise Retail")
    page.get_by_role("button", name="Show seller").click()
    page.get_by_role("link", name="Add Store").first.click()
    page.get_by_text(country, exact=True).click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Store name").fill(name)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Integrate").click()


def choose_account(page: Page, account: str = "Sunrise Retail (India)") -> None:
    """Sign in at Amazon as one of the sandbox's sellers, where it asks."""
    signing_in = page.get_by_role("button", name="Sign in")
    signing_in.or_(page.get_by_role("button", name="Allow")).wait_for()
    if signing_in.is_visible():
        page.get_by_text(account).click()
        signing_in.click()


def tab_to(page: Page, target: Locator, most: int = 100) -> None:
    """Press Tab until `target` has the focus."""
    expect(target).to_have_count(1)
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"pressed Tab {most} times in vain for {target}")

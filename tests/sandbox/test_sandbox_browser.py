"""The sandbox's pages in a real browser: labels, keyboard, policy, width, and accessibility rules."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.support.looking import DESK, problems

pytestmark = pytest.mark.browser


@pytest.fixture
def app_address():
    """A bare app: its login page goes on to Amazon's callback, its callback just shows a word."""

    class App(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            if parts.path == "/amazon/login":
                told = {"amazon_state": query["amazon_state"], "state": "ours", "redirect_uri": callback}
                self.send_response(303)
                self.send_header("Location", f"{query['amazon_callback_uri']}?{urlencode(told)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html><title>Back</title><h1>Back in the app</h1>")

        def log_message(self, *args):
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), App)
    address = f"http://127.0.0.1:{server.server_port}"
    callback = f"{address}/amazon/callback"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


def consent_path(sandbox, app_address):
    query = {"application_id": sandbox.config.application_id, "state": "s-1"}
    return "/apps/authorize/consent?" + urlencode({**query, "redirect_uri": f"{app_address}/amazon/callback"})


def returned(page: Page) -> dict[str, str]:
    page.get_by_role("heading", name="Back in the app").wait_for()
    return dict(parse_qsl(urlsplit(page.url).query))


def sign_in(page: Page) -> None:
    page.get_by_label("Alpine Goods (Germany)").check()
    page.get_by_role("button", name="Sign in").click()


def test_a_person_allows_with_the_keyboard_alone(sandbox, app_address, page: Page):
    page.goto(sandbox.url + consent_path(sandbox, app_address))
    page.get_by_label("Nova Home (UAE)").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Allow FlexDash to work with your seller account?").wait_for()
    page.get_by_role("button", name="Allow").focus()
    page.keyboard.press("Enter")
    assert returned(page)["selling_partner_id"] == "A3SBXALPINEGDE"


def test_a_person_denies(sandbox, app_address, page: Page):
    page.goto(sandbox.url + consent_path(sandbox, app_address))
    sign_in(page)
    page.get_by_role("button", name="Deny").click()
    assert returned(page)["error"] == "access_denied"


def test_a_person_authorizes_from_the_appstore(sandbox, app_address, page: Page):
    page.goto(f"{sandbox.url}/appstore")
    sign_in(page)
    page.get_by_label("The app’s login address").fill(f"{app_address}/amazon/login")
    page.get_by_role("button", name="Authorize").click()
    back = returned(page)
    assert back["state"] == "ours"
    assert back["spapi_oauth_code"]


def test_a_person_creates_orders_and_cancels_one(sandbox, page: Page):
    page.goto(sandbox.url)
    page.get_by_label("Seller and location").select_option("PNQ1 · Sunrise Retail (India)")
    page.get_by_label("How many orders").fill("3")
    page.get_by_role("button", name="Create orders").click()
    page.get_by_text("Created 3 orders.").wait_for()
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("is cancelled, as if by its buyer.").wait_for()
    assert sorted(s["status"] for s in sandbox.control.shipments()) == ["ACCEPTED", "ACCEPTED", "CANCELLED"]


def test_every_page_fits_and_keeps_the_accessibility_rules(sandbox, app_address, browser: Browser):
    first, second, _ = sandbox.control.create_orders(3)
    sandbox.control.cancel(first)
    sandbox.control.fault("slow", ms=700)
    sandbox.control.issue_tokens()
    consent = consent_path(sandbox, app_address)
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    found = []

    def look(path: str) -> None:
        page.goto(sandbox.url + path)
        for summary in page.locator("summary").all():
            summary.click()
        found.extend(problems(page, path))

    look(consent)
    sign_in(page)
    for path in (consent, consent.replace("callback", "other"), "/appstore", "/", "/?q=NONE", "/faults", "/pace"):
        look(path)
    for path in ("/authorizations", "/reset", f"/shipments/{first}", f"/shipments/{second}", "/shipments/NONE"):
        look(path)
    context.close()
    assert found == []

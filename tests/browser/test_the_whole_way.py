"""From the sign-in page to an order in New Order that Amazon knows as acknowledged, by the words a person reads.

The hub is mapped and the toggle turned by the keyboard alone.
"""

import re
import time
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Locator, Page, expect

from amazon_sandbox.serving import Running
from flexdash.services import demo
from tests.support.clicking import ask_to_connect, choose_account, sign_in, tab_to
from tests.support.servers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SELLER = "A3SBXSUNRISEIN"
CATALOG = b"""sku_code,asin,name
TEE-BLK-M,B0SANDBOX1,"T-shirt, black, size M"
MUG-STD,B0SANDBOX2,"Mug, 300 ml"
"""


@pytest.fixture
def workspace(app: Flask) -> None:
    """The demo workspace as `make run` seeds it: hubs, sellers, SKUs and people, and no store."""
    demo.make()


def test_from_sign_in_to_an_acknowledged_order(
    page: Page, live_server: str, sandbox: Running, workspace: None, flexdash: Callable[..., object]
) -> None:
    flexdash("worker", "--queues", "tick")
    flexdash("worker", "--queues", "sync")
    flexdash("worker", "--queues", "upload")
    [ours] = sandbox.control.create_orders(1, location_id="EXSB", seller_id=SELLER, sku_codes=["TEE-BLK-M"], lines=1)
    [other] = sandbox.control.create_orders(1, location_id="PNQ1", seller_id=SELLER)

    sign_in(page, live_server)
    ask_to_connect(page, "Pune Store")
    choose_account(page)
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Pune Store is connected to Amazon")).to_be_visible()

    with_keys_alone(page, to=page.get_by_role("link", name="Hub Mapping"), press="Enter")
    form = page.locator("form").filter(has=page.get_by_role("button", name="Map hub Pune Warehouse"))
    with_keys_alone(page, to=form.get_by_label("Seller Flex Hub ID"), type_in="EXSB")
    with_keys_alone(page, to=form.get_by_role("button", name="Map hub"), press="Space")
    expect(page.get_by_text("EXSB").first).to_be_visible()

    page.get_by_role("navigation", name="Store pages").get_by_role("link", name="Catalog").click()
    page.get_by_role("link", name="Upload the catalog").click()
    page.get_by_label("CSV file").set_input_files([{"name": "catalog.csv", "mimeType": "text/csv", "buffer": CATALOG}])
    page.get_by_role("button", name="Upload and check").click()
    page.get_by_role("button", name="Apply 2 changes").click(timeout=60_000)
    page.get_by_role("link", name="See the catalog of Pune Store").click(timeout=60_000)
    expect(page.get_by_role("row").filter(has_text="TEE-BLK-M").get_by_text("B0SANDBOX1")).to_be_visible()

    with_keys_alone(page, to=page.get_by_role("link", name="Settings", exact=True), press="Enter")
    with_keys_alone(page, to=page.get_by_role("button", name="Turn Order Sync on"), press="Space")
    expect(page.get_by_role("button", name="Turn Order Sync off")).to_be_visible()
    flexdash("scheduler")  # only now, so that its first tick finds the store

    wait_for(lambda: sandbox.control.shipment(ours)["status"] == "CONFIRMED", "Amazon to be told", timeout=90)
    page.get_by_role("link", name="Orders").first.click()
    expect(page.get_by_role("row")).to_have_count(3)  # the heading and two orders
    row = page.get_by_role("row").filter(has_text="Pune Warehouse")
    expect(row.get_by_text("New Order")).to_be_visible()
    reload_until(page, lambda: row.get_by_text("Accepted").is_visible())
    held = page.get_by_role("row").filter(has_text="PNQ1")
    expect(held.get_by_text("On Hold", exact=True)).to_be_visible()
    assert sandbox.control.shipment(other)["status"] == "ACCEPTED"

    row.get_by_role("link").click()
    expect(page.get_by_text("routed to Pune Warehouse by its Seller Flex Hub ID EXSB")).to_be_visible()
    expect(page.get_by_text("Its stock is reserved at Pune Warehouse.")).to_be_visible()
    expect(page.get_by_text("Acknowledged to Amazon: it is Accepted (CONFIRMED) there.")).to_be_visible()
    expect(page.get_by_text("processShipment")).to_be_visible()

    page.get_by_role("link", name=re.compile(r"^11\d available$")).click()  # of 120 that the demo workspace has
    expect(page.get_by_role("heading", name="TEE-BLK-M at Pune Warehouse")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="Reserved for an order")).to_be_visible()

    page.get_by_role("link", name="Sync runs").first.click()
    expect(page.get_by_role("row").filter(has_text="Order Sync").last.get_by_text("Healthy")).to_be_visible()


def with_keys_alone(page: Page, *, to: Locator, press: str = "", type_in: str = "") -> None:
    """Go to an element with Tab and press a key there, or type into it."""
    tab_to(page, to)
    if type_in:
        page.keyboard.type(type_in)
    if press:
        page.keyboard.press(press)


def reload_until(page: Page, is_so: Callable[[], bool], timeout: float = 30) -> None:
    """Look again and again, as a person would, until the page shows it."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, page.locator("main").inner_text()
        page.reload()

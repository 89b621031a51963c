"""A browser that runs no scripts: the wizard, Hub Mapping, Inventory, the toggles and an order's work go on."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import Store
from flexdash.services import demo
from tests.support.clicking import ask_to_connect, choose_account, sign_in
from tests.support.pulls import do_run
from tests.support.recoveries import lift_pace

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SELLER = "A3SBXSUNRISEIN"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window whose pages run no scripts."""
    context = browser.new_context(java_script_enabled=False, locale="en-GB")
    yield context.new_page()
    context.close()


def test_from_sign_in_to_a_picked_order_without_scripts(
    app: Flask, page: Page, live_server: str, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    lift_pace(monkeypatch)
    sandbox.control.plans({"*": None})
    demo.make()
    sign_in(page, live_server)
    ask_to_connect(page, "Pune Store")
    choose_account(page)
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Pune Store is connected to Amazon")).to_be_visible()

    page.get_by_role("link", name="Hub Mapping").click()
    form = page.locator("form").filter(has=page.get_by_role("button", name="Map hub Pune Warehouse"))
    form.get_by_label("Seller Flex Hub ID").fill("not an id!")
    form.get_by_role("button", name="Map hub").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(form.get_by_label("Seller Flex Hub ID")).to_have_value("not an id!")
    form.get_by_label("Seller Flex Hub ID").fill("EXSB")
    form.get_by_role("button", name="Map hub").click()
    page.get_by_role("button", name="Verify with Amazon Pune Warehouse").click()
    expect(page.get_by_text("No shipments on Amazon", exact=False).first).to_be_visible()

    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("button", name="Turn Order Sync on").click()
    expect(page.get_by_role("button", name="Turn Order Sync off")).to_be_visible()

    sandbox.control.create_orders(1, location_id="EXSB", seller_id=SELLER, sku_codes=["TEE-BLK-M"], lines=1)
    store = db.session.scalars(select(Store)).one()
    page.get_by_role("link", name="Catalog").first.click()
    page.get_by_role("link", name="Add one listing").first.click()
    page.get_by_label("SKU").fill("TEE-BLK-M")
    page.get_by_label("ASIN").fill("B0SANDBOX1")
    page.get_by_label("Name").fill("T-shirt, black, size M")
    page.get_by_role("button", name="Add this listing").click()
    expect(page.get_by_role("heading", name="TEE-BLK-M").first).to_be_visible()
    do_run(store)

    page.goto(f"{live_server}/stores/{store.id}/inventory?only=never_sent&q=TEE")
    page.get_by_role("button", name="Fetch TEE-BLK-M at Pune Warehouse").click()
    expect(page).to_have_url(re.compile(r"/inventory\?only=never_sent&q=TEE#line-\d+-\d+$"))
    expect(page.get_by_text("Amazon shows 0 units of TEE-BLK-M to sell")).to_be_visible()

    page.get_by_role("link", name="Orders").first.click()
    page.get_by_role("row").filter(has_text="New Order").get_by_role("link").first.click()
    page.get_by_role("button", name="Pick", exact=True).click()
    expect(page.get_by_text("Picked").first).to_be_visible()

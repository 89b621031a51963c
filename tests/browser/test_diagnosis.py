"""In a browser: support finds out why an order is missing, in three clicks from the home page."""

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from amazon_sandbox.serving import Running
from flexdash.extensions import limiter
from flexdash.models import Role
from tests.factories import PASSWORD, make_user
from tests.support.clicking import sign_in
from tests.support.pulls import MAPPED, SELLER, make_pulled_store

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_support_finds_why_an_order_is_missing_in_three_clicks(
    app: Flask, page: Page, live_server: str, sandbox: Running
) -> None:
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store")
    make_user(store.seller.workspace, Role.SUPPORT, email="sam@diagnosis.example")
    limiter.reset()
    [missing] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, status="SHIPLABEL_GENERATED")

    sign_in(page, live_server, ("sam@diagnosis.example", PASSWORD))
    page.get_by_role("link", name="Help").first.click()
    page.get_by_role("link", name="Why is my order not here?").click()
    page.get_by_label("Amazon's order or shipment id").fill(f' "{missing}" ')
    page.get_by_role("button", name="Find out why").click()

    answer = page.get_by_role("region", name="The answer")
    expect(answer.get_by_text("It is past that already: Amazon has it as Label generated")).to_be_visible()
    expect(answer.get_by_role("link", name="Recover it in Pune Store")).to_be_visible()
    looked_at = page.get_by_role("list").filter(has_text="Is Order Sync on?")
    expect(looked_at.get_by_text("This is why")).to_have_count(1)
    expect(looked_at.get_by_text("Not looked at")).to_have_count(4)

    answer.get_by_role("link", name="Recover it in Pune Store").click()
    expect(page.get_by_label("Amazon's shipment or order ids")).to_have_value(missing)

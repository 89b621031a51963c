"""In a browser, with a real worker: an order that is not here is recovered, and what differs is brought in."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from playwright.sync_api import Page, expect

from amazon_sandbox.serving import Running
from flexdash.extensions import db, limiter
from flexdash.models import Role, Store
from tests.factories import PASSWORD, make_user
from tests.support.clicking import sign_in
from tests.support.pulls import MAPPED, SELLER, UNMAPPED, make_pulled_store

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
EMAIL = "asha@recover.example"


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    """A store of the sandbox's seller with Order Sync off: nothing comes in by itself."""
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store")
    store.is_order_sync_on = False
    db.session.commit()
    make_user(store.seller.workspace, Role.MERCHANT, email=EMAIL)
    limiter.reset()
    return store


def test_an_order_that_is_not_here_is_found_and_brought_in(
    page: Page, live_server: str, sandbox: Running, store: Store, flexdash: Callable[..., object]
) -> None:
    flexdash("worker", "--queues", "sync")
    [ours] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    [held] = sandbox.control.create_orders(1, location_id=UNMAPPED, seller_id=SELLER)
    order_id = sandbox.control.shipment(ours)["body"]["shipmentInfo"]["buyerOrderId"]

    sign_in(page, live_server, (EMAIL, PASSWORD))
    page.get_by_role("link", name="Orders").first.click()
    page.get_by_label("Order, Amazon id or SKU").fill(order_id)
    page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_text("Not here? Recover it from Amazon in")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Pune Store").click()

    ids = page.get_by_label("Amazon's shipment or order ids")
    expect(ids).to_have_value(order_id)
    ids.fill(f"{order_id}, {held}; SBNOSUCH1 402-12-3")
    page.get_by_role("button", name="Recover these orders").click()
    expect(page.get_by_role("heading", name="There is a problem")).to_be_visible()
    expect(ids).to_have_value(f"{order_id}, {held}; SBNOSUCH1 402-12-3")

    ids.fill(f"{order_id}, {held}; SBNOSUCH1")
    page.get_by_role("button", name="Recover these orders").click()
    # Without a click the page follows the run to its end.
    expect(page.get_by_text("All was looked at")).to_be_visible(timeout=60_000)
    found = page.get_by_role("row").filter(has_text=order_id)
    expect(found.get_by_text("Imported", exact=True)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text=held).get_by_text("On Hold", exact=True)).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="SBNOSUCH1").get_by_text("Missing", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all of it as CSV").click()
    assert "SBNOSUCH1,Missing" in download.value.path().read_text("utf-8-sig")

    found.get_by_role("link", name=re.compile("^FD-")).click()
    expect(page.get_by_text("Acknowledged to Amazon: it is Accepted (CONFIRMED) there.")).to_be_visible()


def test_what_a_comparison_finds_is_brought_in_with_one_click(
    page: Page, live_server: str, sandbox: Running, store: Store, flexdash: Callable[..., object]
) -> None:
    flexdash("worker", "--queues", "sync")
    missing = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=60)

    sign_in(page, live_server, (EMAIL, PASSWORD))
    page.goto(f"{live_server}/stores/{store.id}")
    page.get_by_role("link", name="compare the store with Amazon").click()
    page.get_by_role("button", name="Compare now").click()
    expect(page.get_by_text("Healthy").first).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="See what differs").click()
    expect(page.get_by_role("link", name="2 orders missing here")).to_be_visible()
    for shipment_id in missing:
        expect(page.get_by_role("row").filter(has_text=shipment_id).get_by_text("Missing here")).to_be_visible()

    page.get_by_role("button", name="Import all").click()
    expect(page.get_by_text("All was looked at")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("row").filter(has_text="New Order")).to_have_count(2)
    page.goto(f"{live_server}/stores/{store.id}/reconcile")
    expect(page.get_by_text("This store and Amazon agree")).to_be_visible()

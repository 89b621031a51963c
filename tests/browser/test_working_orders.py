"""Orders worked in a browser, with a real worker at Amazon's door: the whole way, and the two ways of not going it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.blueprints.orders import page as order_page
from flexdash.extensions import db
from flexdash.models import Listing, Order, Role, Store, SyncRun
from flexdash.services import amazon_access
from flexdash.services.order_numbers import number_of
from tests import factories
from tests.support.clicking import sign_in
from tests.support.pulls import MAPPED, OPEN, SELLER, do_run, make_pulled_store
from tests.support.servers import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SOON = 30_000  # milliseconds: the worker asks Amazon once a second


@pytest.fixture
def store(app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose catalog knows the size of what it sells, with Automated Order Cancellation on."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store", is_automated_cancellation_on=True)
    db.session.execute(db.update(Listing).values(length_cm=20, width_cm=15, height_cm=5, weight_g=180))
    db.session.commit()
    return store


@pytest.fixture
def order(store: Store, sandbox: Running, page: Page, live_server: str, flexdash: Callable[..., object]) -> Order:
    """A new order, its page open before a merchant, and a worker beside it."""
    flexdash("worker", "--queues", "sync")
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, sku_codes=["TEE-BLK-M"], lines=1, units=2)
    do_run(store)
    order = db.session.scalars(select(Order)).one()
    person = factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha")
    sign_in(page, live_server, (person.email, factories.PASSWORD))
    page.get_by_role("link", name="Orders", exact=True).first.click()
    page.get_by_role("link", name=number_of(order.id)).click()
    expect(page.get_by_role("heading", name=f"Order {number_of(order.id)}")).to_be_visible()
    return order


def pull_when_idle(store: Store) -> None:
    """Do one pull once the worker has ended its run: its writing and ours do not meet."""

    def is_idle() -> bool:
        db.session.rollback()
        return not db.session.scalars(select(SyncRun.id).where(SyncRun.state.in_(OPEN))).all()

    wait_for(is_idle, "the worker to end its run")
    do_run(store)


def press(page: Page, label: str) -> None:
    page.locator("#order-work").get_by_role("button", name=label, exact=True).click()


def test_an_order_from_new_to_delivered_with_its_invoice_and_label(
    page: Page, store: Store, sandbox: Running, order: Order
) -> None:
    press(page, "Pick")
    work = page.locator("#order-work")
    expect(work.get_by_text("by Asha")).to_be_visible()
    # The page follows by itself what the worker does at Amazon.
    expect(work.get_by_role("row").filter(has_text="Labels").get_by_text("Done")).to_be_visible(timeout=SOON)
    expect(work.get_by_text("Sandbox Logistics")).to_be_visible()
    expect(work.get_by_text("20 × 15 × 10 cm, 360 g")).to_be_visible()
    for kind in ("Invoice", "Label"):
        row = work.get_by_role("table", name="Documents of this order").get_by_role("row").filter(has_text=kind)
        with page.expect_download() as waiting:
            row.get_by_role("link", name="Download").click()
        assert Path(waiting.value.path()).read_bytes().startswith(b"%PDF")
        assert waiting.value.suggested_filename.startswith(f"FD-{order.id:06d}-{kind.lower()}")

    for button, state in (("Pack", "Packed"), ("Ready to ship", "Ready to Ship"), ("Ship", "Shipped")):
        press(page, button)
        expect(work.locator(".work-now").get_by_text(state)).to_be_visible()
    wait_for(lambda: sandbox.control.shipment(order.amazon_shipment_id)["status"] == "SHIPPED", "Amazon to be told")

    sandbox.control.move(order.amazon_shipment_id, "DELIVERED")
    pull_when_idle(store)
    page.reload()
    expect(work.locator(".work-now").get_by_text("Delivered")).to_be_visible()
    expect(work.get_by_text("Moved here on Amazon")).to_be_visible()
    expect(page.get_by_text("Asha downloaded the invoice")).to_be_visible()
    effects = sandbox.control.stats(per_shipment=True)["per_shipment"][order.amazon_shipment_id]
    assert {name: effects[name] for name in ("confirm", "packages", "invoice", "labels", "shipped")} == dict.fromkeys(
        ("confirm", "packages", "invoice", "labels", "shipped"), 1
    )


def test_a_buyers_cancellation_turns_the_open_page_of_a_packed_order_red(
    page: Page, store: Store, sandbox: Running, order: Order, live_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_page, "SECONDS_WHILE_WORKED", 3)
    press(page, "Pick")
    work = page.locator("#order-work")
    expect(work.get_by_role("row").filter(has_text="Labels").get_by_text("Done")).to_be_visible(timeout=SOON)
    press(page, "Pack")
    expect(work.locator(".work-now").get_by_text("Packed")).to_be_visible()

    sandbox.control.cancel(order.amazon_shipment_id, by="buyer", reason="Ordered by mistake")
    pull_when_idle(store)

    expect(page.get_by_text("Cancelled: stop working this order")).to_be_visible(timeout=SOON)  # without a reload
    expect(page.get_by_text("by the buyer or the marketplace: Ordered by mistake.").first).to_be_visible()
    expect(work.get_by_role("button", name="Ready to ship")).to_have_count(0)
    page.goto(f"{live_server}/orders")
    expect(page.get_by_role("row").filter(has_text="Cancelled: stop work")).to_be_visible()


def test_a_cancellation_that_amazon_refuses_is_shown_and_the_order_goes_on(
    page: Page, sandbox: Running, order: Order
) -> None:
    sandbox.control.move(order.amazon_shipment_id, "SHIPLABEL_GENERATED")  # FlexDash does not know it yet
    page.get_by_role("link", name="Cancel …").click()
    page.get_by_role("button", name="Cancel the order").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()
    page.get_by_label("Out of stock").check()
    page.get_by_role("button", name="Cancel the order").click()

    expect(page.get_by_text("Cancellation refused by Amazon").first).to_be_visible(timeout=SOON)
    expect(page.get_by_text("takes no cancellation of this order any more").first).to_be_visible()
    assert sandbox.control.shipment(order.amazon_shipment_id)["status"] == "SHIPLABEL_GENERATED"
    # Amazon's answer said, too, how far somebody is with it there: the order goes on from that.
    press(page, "Ready to ship")
    expect(page.locator(".work-now").get_by_text("Ready to Ship")).to_be_visible()

"""Many orders at once in a browser, with a real worker at Amazon's door."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import Order, OrderState, Role
from flexdash.services import amazon_access
from flexdash.services.order_numbers import number_of
from tests import factories
from tests.support.clicking import sign_in
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store

pytestmark = pytest.mark.browser
SOON = 60_000  # milliseconds, for a hundred questions to Amazon


def test_a_hundred_orders_are_picked_at_once_but_two_that_were_cancelled(
    app: Flask,
    sandbox: Running,
    page: Page,
    live_server: str,
    environment: dict[str, str],
    flexdash: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))
    environment["SHIPMENTS_REQUESTS_PER_SECOND"] = "500"
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store")
    sandbox.control.create_orders(100, location_id=MAPPED, seller_id=SELLER, sku_codes=["TEE-BLK-M"], lines=1)
    do_run(store)
    cancelled = list(db.session.scalars(select(Order).order_by(Order.id)))[40:42]
    for order in cancelled:
        sandbox.control.cancel(order.amazon_shipment_id)
    flexdash("worker", "--queues", "work")

    person = factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha")
    sign_in(page, live_server, (person.email, factories.PASSWORD))
    page.goto(f"{live_server}/orders?state=New+Order")
    page.get_by_label("Orders per page").select_option("100")
    page.get_by_role("button", name="Apply filters").click()
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Pick", exact=True).click()

    expect(page.get_by_text("Try the 2 orders again that were not done")).to_be_visible(timeout=SOON)
    for order in cancelled:
        row = page.get_by_role("table", name="Not done").get_by_role("row").filter(has_text=number_of(order.id))
        expect(row).to_contain_text("Not done")
        expect(row).to_contain_text("there the order is cancelled")
    expect(page.get_by_role("row").filter(has_text="Picked.")).to_have_count(98)
    db.session.rollback()
    states = list(db.session.scalars(select(Order.state)))
    assert (states.count(OrderState.PICKED), states.count(OrderState.CANCELLED)) == (98, 2)

"""In a browser: an admin finds who turned a toggle off last Tuesday, and reverts it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from playwright.sync_api import Page, expect

from flexdash.extensions import db, limiter
from flexdash.models import Role, Store
from flexdash.services import hub_mapping, store_settings
from flexdash.services.store_settings import Toggle
from tests.factories import (
    PASSWORD,
    make_actor,
    make_hub,
    make_run,
    make_seller,
    make_store,
    make_user,
    make_workspace,
)
from tests.support.clicking import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
EMAIL = "ada@audit.example"
INDIA = ZoneInfo("Asia/Kolkata")


def last_tuesday() -> datetime:
    now = datetime.now(INDIA)
    days = (now.weekday() - 1) % 7 or 7
    return (now - timedelta(days=days)).replace(hour=14, minute=2)


@pytest.fixture
def store(app: Flask) -> Store:
    """A store whose Order Sync Ravi turned off last Tuesday, with other changes around it."""
    workspace = make_workspace("Audit Company")
    make_user(workspace, Role.ADMIN, name="Ada", email=EMAIL)
    ravi = make_actor(make_user(workspace, name="Ravi"), "203.0.113.9")
    store = make_store(make_seller(workspace), name="Pune Store", is_order_sync_on=True)
    with time_machine.travel(last_tuesday() - timedelta(days=1), tick=False):
        make_run(store)
        hub_mapping.add(ravi, store.id, make_hub(workspace, name="Pune").id, "PNQ1")
    with time_machine.travel(last_tuesday(), tick=False):
        version = store.settings_version
        store_settings.set_toggle(ravi, store.id, Toggle.ORDER_SYNC, turn_on=False, version=version, reason="Stocktake")
    version = store.settings_version
    store_settings.set_toggle(ravi, store.id, Toggle.AUTOMATED_CANCELLATION, turn_on=True, version=version)
    limiter.reset()
    return store


def test_an_admin_finds_who_turned_a_toggle_off_last_tuesday_and_reverts_it(
    page: Page, live_server: str, store: Store
) -> None:
    sign_in(page, live_server, (EMAIL, PASSWORD))
    page.get_by_role("link", name="Configuration Log").first.click()
    day = last_tuesday().date().isoformat()
    page.get_by_label("From").fill(day)
    page.get_by_label("To", exact=True).fill(day)
    page.get_by_label("Section").select_option("Settings")
    page.get_by_role("button", name="Apply filters").click()
    expect(page.get_by_text("turned Automated")).to_have_count(0)
    page.get_by_role("link", name="Ravi turned Order Sync off for Pune Store").click()

    expect(page.get_by_role("heading", name="Row 2 of the Configuration Log")).to_be_visible()
    expect(page.get_by_text("Stocktake")).to_be_visible()
    expect(page.get_by_text("203.0.113.9")).to_be_visible()
    expect(page.get_by_text("It has not run since.")).to_be_visible()
    page.get_by_role("link", name="Revert", exact=True).click()

    expect(page.get_by_role("heading", name="Revert row 2?")).to_be_visible()
    page.get_by_label("Reason").fill("The stocktake is over")
    page.get_by_role("button", name="Revert").click()

    sentence = "Ada reverted row 2: turned Order Sync on for Pune Store"
    expect(page.get_by_text(sentence).first).to_be_visible()
    expect(page.get_by_text("The stocktake is over")).to_be_visible()
    page.get_by_role("link", name="Row 2", exact=True).click()
    expect(page.get_by_text("This change was reverted.")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Pune Store").click()
    page.get_by_role("link", name="Configuration Log").last.click()
    expect(page.get_by_role("row").filter(has_text=sentence)).to_be_visible()
    db.session.expire_all()
    assert store.is_order_sync_on

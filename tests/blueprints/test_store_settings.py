"""The Settings tab, as a browser without JavaScript meets it."""

import html
import re
from datetime import timedelta

import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Role, RunState, Store, StoreStatus
from flexdash.services import store_settings
from flexdash.services.order_work import cancelling
from flexdash.services.store_settings import Toggle
from tests.factories import (
    make_actor,
    make_order,
    make_run,
    make_seller,
    make_step,
    make_store,
    make_user,
    make_workspace,
)
from tests.support.statements import statements
from tests.support.web import words

XSS = '"><svg onload=alert(1)>'


@pytest.fixture
def asha(app):
    return make_user(make_workspace(), name="Asha")


@pytest.fixture
def store(asha):
    return make_store(make_seller(asha.workspace), name="Pune Store")


@pytest.fixture
def merchant(asha, signed_in):
    """A browser in which the merchant Asha is signed in."""
    return signed_in(asha)


def fields(answer, toggle: Toggle) -> dict[str, str]:
    """Return the hidden fields of the toggle's form, as a browser would send them."""
    form = re.search(rf'<form(?:(?!</form>).)*value="{toggle.value}".*?</form>', answer.text, re.DOTALL).group()
    found = {}
    for tag in re.findall(r"<input[^>]+>", form):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes["name"] != "csrf_token":
            found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return found


def path(store: Store) -> str:
    return f"/stores/{store.id}/settings"


def sentences() -> list[str]:
    return list(db.session.scalars(db.select(ConfigEvent.sentence).order_by(ConfigEvent.sequence)))


def test_the_page_says_what_each_toggle_does_and_that_nobody_set_it(merchant, store) -> None:
    page = words(merchant.get(path(store)))
    for part in (
        "Fetches new orders from Amazon every 30 minutes",
        "Turning this on fetches new orders every 30 minutes; the first run starts within a minute.",
        "After that, the next one is at",
        "This store has no catalog yet, so there is nothing to send.",
        "Turning this on sends the next cancellations to Amazon.",
        "Nobody so far: off since the store was added",
        "Turn Order Sync on",
        "Turn Automated Order Cancellation on Sales Channel on",
    ):
        assert part in page


@pytest.mark.parametrize("toggle", [Toggle.ORDER_SYNC, Toggle.AUTOMATED_CANCELLATION])  # the third: test_inventory.py
def test_a_toggle_is_turned_on_by_its_own_form_and_the_page_says_who_did_it(merchant, store, toggle) -> None:
    data = fields(merchant.get(path(store)), toggle) | {f"{toggle.value}-reason": "Season starts"}
    answer = merchant.post(path(store), data=data)
    assert (answer.status_code, answer.location) == (303, path(store))
    assert getattr(db.session.get(Store, store.id), toggle)
    page = words(merchant.get(path(store)))
    assert f"{toggle.label} is on for Pune Store." in page
    assert f"Asha turned {toggle.label} on for Pune Store" in page
    assert "“Season starts”" in page


@pytest.mark.parametrize(
    ("toggle", "stops", "afterwards"),
    [
        (Toggle.ORDER_SYNC, "stops new orders", "No new order arrives until it is on again."),
        (Toggle.INVENTORY_SYNC, "leaves Amazon with what it was told last", "Amazon keeps showing what it was told"),
        (Toggle.AUTOMATED_CANCELLATION, "keeps the next cancellations in FlexDash", "are cancelled in FlexDash only"),
    ],
)
def test_turning_a_toggle_off_asks_first_and_says_what_stops(merchant, store, toggle, stops, afterwards) -> None:
    setattr(store, toggle, True)
    db.session.commit()
    typed = {f"{toggle.value}-reason": "Holiday"}
    asked = merchant.post(path(store), data=fields(merchant.get(path(store)), toggle) | typed)
    assert asked.status_code == 200
    assert f"Turn {toggle.label} off for Pune Store?" in words(asked)
    assert stops in words(asked)
    assert f'href="{path(store)}">Keep it on</a>' in asked.text
    assert getattr(db.session.get(Store, store.id), toggle)
    data = fields(asked, toggle)
    assert data[f"{toggle.value}-reason"] == "Holiday"
    assert merchant.post(path(store), data=data).status_code == 303
    assert not getattr(db.session.get(Store, store.id), toggle)
    assert sentences() == [f"Asha turned {toggle.label} off for Pune Store"]
    assert afterwards in words(merchant.get(path(store)))


def test_a_change_by_somebody_else_meanwhile_is_shown_and_what_was_typed_is_kept(merchant, asha, store) -> None:
    data = fields(merchant.get(path(store)), Toggle.ORDER_SYNC)
    ravi = make_actor(make_user(asha.workspace, name="Ravi"))
    store_settings.set_toggle(ravi, store.id, Toggle.INVENTORY_SYNC, turn_on=True, version=1, zeros_seen=0)
    answer = merchant.post(path(store), data=data | {"is_order_sync_on-reason": "my own words"})
    assert answer.status_code == 409
    page = words(answer)
    assert "Changed by Ravi meanwhile" in page
    assert "Ravi turned Inventory Sync on for Pune Store. Nothing of yours was saved." in page
    assert re.search(r"It happened at \d+ \w+ \d{4}, \d\d:\d\d:\d\d IST", page)
    again = fields(answer, Toggle.ORDER_SYNC)
    assert again["is_order_sync_on-reason"] == "my own words"
    assert merchant.post(path(store), data=again).status_code == 303
    assert sentences()[-1] == "Asha turned Order Sync on for Pune Store"


def test_asking_about_an_older_page_is_refused_before_it_is_asked(merchant, asha, store) -> None:
    store.is_order_sync_on = True
    db.session.commit()
    data = fields(merchant.get(path(store)), Toggle.ORDER_SYNC)
    ravi = make_actor(make_user(asha.workspace, name="Ravi"))
    store_settings.set_toggle(ravi, store.id, Toggle.ORDER_SYNC, turn_on=False, version=1)
    assert merchant.post(path(store), data=data).status_code == 409


def test_too_long_a_reason_is_a_field_error_and_is_kept(merchant, store) -> None:
    data = fields(merchant.get(path(store)), Toggle.ORDER_SYNC) | {"is_order_sync_on-reason": XSS + "x" * 300}
    answer = merchant.post(path(store), data=data)
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert 'href="#is_order_sync_on-reason"' in answer.text
    assert "Shorten it to 300 or fewer." in answer.text
    assert XSS not in answer.text
    assert fields(answer, Toggle.ORDER_SYNC)["is_order_sync_on-reason"].startswith(XSS)
    assert sentences() == []


@pytest.mark.parametrize(
    "odd", [{}, {"toggle": "is_admin"}, {"toggle": "settings_version", "settings_version-version": "1"}]
)
def test_a_form_that_is_about_no_toggle_is_refused(merchant, store, odd) -> None:
    assert merchant.post(path(store), data=odd).status_code == 400


@pytest.mark.parametrize("version", ["", "one", "-1", "1e3", "٣", "9" * 40])
def test_a_version_that_is_none_counts_as_an_old_one(merchant, store, version) -> None:
    data = {"toggle": "is_order_sync_on", "is_order_sync_on-version": version, "is_order_sync_on-turn_on": "1"}
    assert merchant.post(path(store), data=data).status_code == 409
    assert sentences() == []


def test_a_form_without_its_csrf_token_is_refused(merchant, store) -> None:
    data = fields(merchant.get(path(store)), Toggle.ORDER_SYNC)
    assert merchant.post(path(store), data=data, with_csrf_token=False).status_code == 400
    assert sentences() == []


def test_the_last_run_and_why_a_sync_is_paused_are_shown(merchant, asha, store) -> None:
    make_run(store, RunState.SUCCEEDED)
    assert "Healthy" in words(merchant.get(path(store)))
    away = make_store(store.seller, StoreStatus.NEEDS_REAUTHORIZATION, is_order_sync_on=True)
    assert "Paused: Amazon no longer accepts the store's authorization." in words(merchant.get(path(away)))


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        ("waiting", "which Amazon has not answered yet"),
        ("done", "cancelled on Amazon"),
        ("failed", "refused by Amazon"),
    ],
)
def test_the_last_cancellation_that_amazon_was_told_of_is_named_with_its_answer(merchant, store, state, answer) -> None:
    for address in (path(store), f"/stores/{store.id}"):
        assert "None yet" in words(merchant.get(address))
    now = clock.now()
    older, last = make_order(store), make_order(store)
    make_step(last, "cancel", state, made_at=now - timedelta(hours=2))
    make_step(older, "cancel", "done", made_at=now - timedelta(hours=5))
    make_step(make_order(store), "ship", "done")
    make_step(make_order(make_store(store.seller)), "cancel", "done")
    for address in (path(store), f"/stores/{store.id}"):
        page = merchant.get(address)
        assert f'<a href="/orders/{last.id}">FD-' in page.text
        assert re.search(rf"FD-\d+ 2 hours ago\s*, {answer}", words(page))
    if db.engine.dialect.name == "sqlite":
        with statements() as found:
            cancelling.last_told(store)
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {found[-1]}", (store.id, 1, 0)).all()
        assert "INDEX ix_order_steps_cancellations_of_store (store_id=?)" in plan[0].detail, plan
        assert not any("TEMP B-TREE" in step.detail for step in plan), plan


def test_support_reads_the_settings_and_changes_none(asha, store, signed_in) -> None:
    support = signed_in(make_user(asha.workspace, Role.SUPPORT))
    page = support.get(path(store))
    assert page.status_code == 200
    assert "merchants and admins change them" in page.text
    assert "Turn Order Sync on" not in words(page)
    data = {"toggle": "is_order_sync_on", "is_order_sync_on-version": "1", "is_order_sync_on-turn_on": "1"}
    assert support.post(path(store), data=data).status_code == 403
    assert sentences() == []


def test_a_store_of_others_does_not_exist(asha, store, signed_in) -> None:
    stranger = signed_in(make_user(make_workspace(), Role.ADMIN))
    limited = signed_in(make_user(asha.workspace, sellers=[make_seller(asha.workspace)]))
    for browser in (stranger, limited):
        assert browser.get(path(store)).status_code == 404
        assert browser.post(path(store), data={"toggle": "is_order_sync_on"}).status_code == 404


def test_a_draft_leads_back_to_where_it_is_connected(merchant, asha) -> None:
    draft = make_store(make_seller(asha.workspace), StoreStatus.DRAFT)
    for answer in (merchant.get(path(draft)), merchant.post(path(draft), data={"toggle": "is_order_sync_on"})):
        assert (answer.status_code, answer.location) == (303, f"/stores/{draft.id}")


@pytest.mark.parametrize("version", [None, "", "one", "²", "9" * 5000])
def test_a_form_without_a_version_that_can_be_is_answered_like_an_old_one(merchant, store, version) -> None:
    data = fields(merchant.get(path(store)), Toggle.INVENTORY_SYNC)
    name = f"{Toggle.INVENTORY_SYNC.value}-version"
    data = {key: value for key, value in data.items() if key != name} | ({} if version is None else {name: version})
    assert merchant.post(path(store), data=data).status_code == 409
    assert sentences() == []


# Stock rules --------------------------------------------------------------------------------------------------------


def rules(version: int = 1, **typed) -> dict[str, str]:
    """Return the form of the stock rules as it would be sent."""
    values = {"stock_buffer": "2", "zero_brake_percent": "20", "reason": "", "version": str(version), **typed}
    return {f"rules-{name}": value for name, value in values.items()}


def test_the_stock_rules_are_saved_and_logged(merchant, store) -> None:
    page = merchant.get(path(store))
    assert 'name="rules-stock_buffer"' in page.text
    assert 'value="30"' in page.text
    answer = merchant.post(f"{path(store)}/stock-rules", data=rules(reason="Last ones break"))
    assert (answer.status_code, answer.location) == (303, path(store))
    row = db.session.get(Store, store.id)
    assert (row.stock_buffer, row.zero_brake_percent, row.settings_version) == (2, 20, 2)
    assert sentences() == [
        "Asha set the stock buffer to 2 units and the share that may go to zero without asking to 20 % for Pune Store"
    ]
    assert "They apply from the next push on." in words(merchant.get(path(store)))


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("stock_buffer", "-1"),
        ("stock_buffer", "two"),
        ("stock_buffer", ""),
        ("stock_buffer", "1.5"),
        ("stock_buffer", "100001"),
        ("stock_buffer", "٣"),
        ("zero_brake_percent", "101"),
        ("zero_brake_percent", "30 %"),
        ("reason", "x" * 301),
    ],
)
def test_a_stock_rule_that_cannot_be_is_a_field_error_and_is_kept(merchant, store, field, typed) -> None:
    answer = merchant.post(f"{path(store)}/stock-rules", data=rules(**{field: typed}))
    assert answer.status_code == 422
    assert f'href="#rules-{field}"' in answer.text
    assert f'value="{typed}"' in answer.text
    assert sentences() == []


def test_all_that_is_wrong_with_the_stock_rules_is_said_at_once(merchant, store) -> None:
    typed = rules(stock_buffer="-3", zero_brake_percent="abc", reason="x" * 301)
    answer = merchant.post(f"{path(store)}/stock-rules", data=typed)
    for field in ("stock_buffer", "zero_brake_percent", "reason"):
        assert f'href="#rules-{field}"' in answer.text


def test_stock_rules_from_an_older_page_are_refused_with_who_changed_what(merchant, asha, store) -> None:
    ravi = make_actor(make_user(asha.workspace, name="Ravi"))
    store_settings.set_toggle(ravi, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    answer = merchant.post(f"{path(store)}/stock-rules", data=rules(stock_buffer="7"))
    assert answer.status_code == 409
    assert "Changed by Ravi meanwhile" in words(answer)
    assert 'value="7"' in answer.text
    assert merchant.post(f"{path(store)}/stock-rules", data=rules(version=2, stock_buffer="7")).status_code == 303


def test_saving_the_same_stock_rules_writes_nothing(merchant, store) -> None:
    merchant.post(f"{path(store)}/stock-rules", data=rules(stock_buffer="0", zero_brake_percent="30"))
    assert sentences() == []
    assert db.session.get(Store, store.id).settings_version == 1


def test_support_sees_the_stock_rules_and_sets_none(asha, store, signed_in) -> None:
    support = signed_in(make_user(asha.workspace, Role.SUPPORT))
    assert "Stock buffer" in words(support.get(path(store)))
    assert support.post(f"{path(store)}/stock-rules", data=rules()).status_code == 403

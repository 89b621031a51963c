"""The page of one row of the Configuration Log, and reverting it: asked first, done once, told everywhere."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Role, Section
from flexdash.services import config_log, store_settings
from flexdash.services.store_settings import Toggle
from tests.factories import (
    make_actor,
    make_config_event,
    make_hub,
    make_mapping,
    make_run,
    make_seller,
    make_store,
    make_upload,
    make_user,
    make_workspace,
)
from tests.support.chains import append
from tests.support.statements import statements
from tests.support.uploads import applied, catalog
from tests.support.web import words

LOG = "/configuration-log"


@pytest.fixture
def ada(app):
    return make_user(make_workspace(), Role.ADMIN, name="Ada")


@pytest.fixture
def admin(ada, signed_in):
    """A browser in which the admin Ada is signed in."""
    return signed_in(ada)


@pytest.fixture
def store(ada):
    return make_store(make_seller(ada.workspace), name="Pune Store")


def row_page(client, event) -> str:
    answer = client.get(f"{LOG}/{event.id}")
    assert answer.status_code == 200
    return words(answer).split("Main content")[-1]


# One row --------------------------------------------------------------------------------------------------------------


def test_a_row_has_a_page_with_all_it_says_and_its_place_in_the_chain(admin, ada, store) -> None:
    append(ada.workspace_id, 1)
    event = make_config_event(store, reason="Season", old={"a": "x", "b": 1}, new={"a": "y", "c": 2})
    append(ada.workspace_id, 1)
    page = row_page(admin, event)
    for part in (
        "Row 2 of the Configuration Log",
        "A x y Changed",
        "B 1 – Removed",
        "C – 2 Added",
        "Season",
        "Pune Store",
        event.hash,
        event.previous_hash,
        "Row 1 : FlexDash made change 0",
        "Row 3 : FlexDash made change 0",
        "Chain not verified yet",
    ):
        assert part in page, part


def test_the_runs_before_and_after_a_change_say_whether_it_broke_the_sync(admin, store) -> None:
    now = datetime.now(UTC)
    for minutes, state in ((-90, "succeeded"), (-60, "failed"), (-30, "succeeded")):
        make_run(store, state, queued_at=now + timedelta(minutes=minutes))
    make_run(store, "failed", sync="inventory_push", queued_at=now - timedelta(minutes=5))
    event = make_config_event(store)
    for minutes, state in ((30, "failed"), (60, "succeeded")):
        make_run(store, state, queued_at=now + timedelta(minutes=minutes))
    page = row_page(admin, event)
    assert "The sync broke after this change" in page
    assert "Order Sync went well before this change, and not any more with its first run after." in page
    runs = page.split("Runs before and after this change")[1].split("Reverting it")[0]
    assert "Inventory" not in runs
    assert re.findall(r"Run \d+ (after|before)", runs) == ["after"] * 2 + ["before"] * 3


@pytest.mark.parametrize("what", ["hub", "seller"])
def test_the_runs_around_a_change_of_a_hub_or_a_seller_are_those_of_its_stores(admin, ada, store, what) -> None:
    hub, now = make_hub(ada.workspace), datetime.now(UTC)
    well = make_store(store.seller, name="Agra Store")
    elsewhere = make_store(make_seller(ada.workspace), name="Other Store")
    make_mapping(store, hub)
    make_mapping(well, hub)
    for one in (store, well, elsewhere):
        make_run(one, "succeeded", queued_at=now - timedelta(minutes=30))
        make_run(one, "failed", queued_at=now - timedelta(minutes=20), sync="price_push")
    with transaction():
        if what == "hub":
            new = {"hub_id": hub.id, "is_active": False}
            event = config_log.record(make_actor(ada), Section.HUBS, "Ada deactivated the hub", new=new)
        else:
            seller = db.session.merge(store.seller)
            event = config_log.record(make_actor(ada), Section.SELLERS, "Ada renamed it", seller=seller, new={"a": 1})
    for one, after in ((store, "failed"), (well, "succeeded"), (elsewhere, "failed")):
        make_run(one, after, queued_at=now + timedelta(minutes=30))
    page = row_page(admin, event)
    assert "Order Sync of Pune Store went well before this change, and not any more" in page
    runs = page.split("Runs before and after this change")[1].split("Reverting it")[0]
    assert runs.index("Order Sync of Pune Store") < runs.index("Order Sync of Agra Store"), "the broken one comes first"
    assert "Other Store" not in runs
    assert len(re.findall(r"Run \d+ (?:after|before)", runs)) == 4


def test_the_runs_around_a_change_of_a_hub_take_as_many_queries_for_many_stores(admin, ada, store) -> None:
    hub = make_hub(ada.workspace)
    make_mapping(store, hub)
    make_run(store)
    with transaction():
        new = {"hub_id": hub.id, "is_active": False}
        event = config_log.record(make_actor(ada), Section.HUBS, "Ada deactivated the hub", new=new)
    with statements() as with_one:
        row_page(admin, event)
    for n in range(24):
        other = make_store(store.seller, name=f"Store {n}")
        make_mapping(other, hub)
        make_run(other)
    with statements() as with_many:
        page = row_page(admin, event)
    assert len(with_many) == len(with_one)
    assert "15 more are not shown" in page


def test_a_change_without_runs_says_so(admin, store) -> None:
    page = row_page(admin, make_config_event(store))
    assert "It has not run since. It had not run before." in page
    assert "The sync broke" not in page


def test_a_file_that_comes_in_has_no_runs_around_it_and_its_application_has(admin, ada, store) -> None:
    make_run(store, "succeeded", sync="inventory_push", queued_at=datetime.now(UTC) - timedelta(minutes=5))
    applied(make_actor(ada), store, catalog("TEE,B0TESTTEE1,Tee"))
    came_in, went_in = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id))
    assert "Runs before and after this change" not in row_page(admin, came_in)
    assert "Runs before and after this change" in row_page(admin, went_in)


def test_a_merchant_sees_the_rows_of_their_stores_and_no_others(ada, store, signed_in) -> None:
    other = make_store(make_seller(ada.workspace), name="Other Store")
    ours, theirs = make_config_event(store, "ours"), make_config_event(other, "theirs")
    again = make_config_event(store, "ours again")
    with transaction():
        of_users = config_log.record(make_actor(ada), Section.USERS, "a user")
    merchant = signed_in(make_user(ada.workspace, sellers=[store.seller]))
    page = row_page(merchant, ours)
    assert "ours again" in page
    assert "theirs" not in page
    assert "Revert" not in page
    for event_id in (theirs.id, of_users.id):
        assert merchant.get(f"{LOG}/{event_id}").status_code == 404
    assert "ours" in row_page(merchant, again)


# Reverting ------------------------------------------------------------------------------------------------------------


def turn_on(ada, store) -> ConfigEvent:
    version = store.settings_version
    store_settings.set_toggle(make_actor(ada), store.id, Toggle.ORDER_SYNC, turn_on=True, version=version)
    return db.session.scalars(db.select(ConfigEvent).order_by(ConfigEvent.id.desc()).limit(1)).one()


def seen_of(answer) -> str:
    return re.search(r'name="seen"[^>]*value="([0-9a-f]+)"', answer.text).group(1)


def test_a_revert_is_asked_first_and_is_a_row_that_names_the_other(admin, ada, store) -> None:
    event = turn_on(ada, store)
    ask = admin.get(f"{LOG}/{event.id}/revert")
    page = words(ask)
    assert "Order Sync off on on off" in page
    assert "Turning this off stops new orders" in page
    assert store.is_order_sync_on
    answer = admin.post(f"{LOG}/{event.id}/revert", data={"seen": seen_of(ask), "reason": "Too early"})
    assert answer.status_code == 303
    page = words(admin.get(answer.location))
    assert f"Ada reverted row {event.sequence}: turned Order Sync off for Pune Store" in page
    assert "Too early" in page
    assert f"Took back Row {event.sequence}" in page
    assert not store.is_order_sync_on
    assert f"This change was reverted. Row {event.sequence + 1}" in row_page(admin, event)
    page = words(admin.get(f"{LOG}/{event.id}/revert"))
    assert "there is nothing to revert" in page


def test_a_revert_of_something_changed_meanwhile_is_asked_again(admin, ada, store) -> None:
    event = turn_on(ada, store)
    stale = seen_of(admin.get(f"{LOG}/{event.id}/revert"))
    store.is_order_sync_on = False
    db.session.commit()
    answer = admin.post(f"{LOG}/{event.id}/revert", data={"seen": stale, "reason": "keep me"})
    assert answer.status_code == 409
    assert "Somebody changed this while the page was open. Nothing was reverted." in words(answer)


def test_a_reason_that_is_too_long_stays_in_its_field(admin, ada, store) -> None:
    event = turn_on(ada, store)
    seen = seen_of(admin.get(f"{LOG}/{event.id}/revert"))
    answer = admin.post(f"{LOG}/{event.id}/revert", data={"seen": seen, "reason": "x" * 301})
    assert answer.status_code == 422
    assert "The reason has 301 characters." in words(answer)
    assert "x" * 301 in answer.text


def test_what_cannot_be_reverted_says_why_and_leads_on(admin, store) -> None:
    upload = make_upload(store)
    event = make_config_event(store, section=Section.CATALOG, old={}, new={"upload_id": upload.id, "new": 3})
    page = admin.get(f"{LOG}/{event.id}")
    assert f'href="/uploads/{upload.id}"' in page.text
    assert "A catalog file is not taken back as a whole." in words(page)
    assert "/revert" not in page.text
    for answer in (admin.get(f"{LOG}/{event.id}/revert"), admin.post(f"{LOG}/{event.id}/revert")):
        assert "This change cannot be reverted" in words(answer)


def test_support_reads_a_row_and_reverts_nothing(ada, store, signed_in) -> None:
    event = turn_on(ada, store)
    support = signed_in(make_user(ada.workspace, Role.SUPPORT))
    assert "Revert" not in row_page(support, event)
    assert support.get(f"{LOG}/{event.id}/revert").status_code == 403
    assert support.post(f"{LOG}/{event.id}/revert").status_code == 403

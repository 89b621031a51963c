"""The toggles of a store: one change, one row of the log, nothing between."""

import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Role, Section, Store, StoreStatus, Sync, SyncState
from flexdash.services import config_log, store_settings
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.store_settings import Toggle
from tests.factories import (
    make_actor,
    make_hub,
    make_listing,
    make_mapping,
    make_seller,
    make_sku,
    make_store,
    make_user,
    make_workspace,
)


@pytest.fixture
def workspace(app):
    return make_workspace()


@pytest.fixture
def asha(workspace):
    return make_actor(make_user(workspace, name="Asha"), "203.0.113.9")


@pytest.fixture
def store(workspace):
    return make_store(make_seller(workspace), name="Pune Store")


def log(workspace_id) -> list[ConfigEvent]:
    db.session.rollback()
    query = db.select(ConfigEvent).where(ConfigEvent.workspace_id == workspace_id).order_by(ConfigEvent.sequence)
    return list(db.session.scalars(query))


@pytest.mark.parametrize("toggle", Toggle)
def test_turning_a_toggle_on_is_kept_and_logged_in_a_sentence(asha, store, toggle) -> None:
    store_settings.set_toggle(asha, store.id, toggle, turn_on=True, version=1, reason="Start of  season", zeros_seen=0)
    row = db.session.get(Store, store.id, populate_existing=True)
    assert [getattr(row, other) for other in Toggle] == [other is toggle for other in Toggle]
    assert row.settings_version == 2
    (event,) = log(store.workspace_id)
    assert event.sentence == f"Asha turned {toggle.label} on for Pune Store"
    assert (event.section, event.store_id, event.seller_id) == (Section.SETTINGS, store.id, store.seller_id)
    assert (event.actor_id, event.address, event.reason) == (asha.user_id, "203.0.113.9", "Start of season")
    assert (event.old_value, event.new_value) == ({toggle.value: False}, {toggle.value: True})


def test_a_form_older_than_somebody_elses_change_is_refused_with_who_and_what(workspace, asha, store) -> None:
    ravi = make_actor(make_user(workspace, name="Ravi"))
    store_settings.set_toggle(ravi, store.id, Toggle.INVENTORY_SYNC, turn_on=True, version=1, zeros_seen=0)
    with pytest.raises(ChangedByOther) as refusal:
        store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    assert "Ravi turned Inventory Sync on for Pune Store" in refusal.value.sentence
    assert "Nothing of yours was saved" in refusal.value.sentence
    assert refusal.value.event.actor_name == "Ravi"
    assert not db.session.get(Store, store.id, populate_existing=True).is_order_sync_on
    assert len(log(store.workspace_id)) == 1


def test_a_double_click_is_told_as_ones_own_change(asha, store) -> None:
    store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    with pytest.raises(ChangedByOther, match="You changed this yourself"):
        store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    assert len(log(store.workspace_id)) == 1


def test_setting_what_is_set_already_writes_nothing(asha, store) -> None:
    store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=False, version=1)
    assert log(store.workspace_id) == []
    assert store.settings_version == 1


@pytest.mark.parametrize("status", [StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION, StoreStatus.DISCONNECTED])
def test_toggles_can_be_set_whatever_the_connection_is(workspace, asha, status) -> None:
    store = make_store(make_seller(workspace), status)
    assert store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1).is_order_sync_on


def test_a_draft_has_no_toggles_yet(workspace, asha) -> None:
    draft = make_store(make_seller(workspace), StoreStatus.DRAFT)
    with pytest.raises(ServiceError, match="not connected yet"):
        store_settings.set_toggle(asha, draft.id, Toggle.ORDER_SYNC, turn_on=True, version=1)


def test_support_and_strangers_set_nothing(workspace, store) -> None:
    support = make_actor(make_user(workspace, Role.SUPPORT))
    with pytest.raises(NotAllowed):
        store_settings.set_toggle(support, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    limited = make_actor(make_user(workspace, sellers=[make_seller(workspace)]))
    stranger = make_actor(make_user(make_workspace()))
    for actor in (limited, stranger):
        with pytest.raises(NotVisible):
            store_settings.set_toggle(actor, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    assert log(store.workspace_id) == []


def test_a_reason_longer_than_the_log_keeps_is_refused_and_nothing_changes(asha, store) -> None:
    with pytest.raises(FieldRefused) as refusal:
        store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1, reason="x" * 301)
    assert refusal.value.field == "reason"
    assert not db.session.get(Store, store.id, populate_existing=True).is_order_sync_on


def test_a_change_whose_log_row_fails_is_no_change(asha, store, monkeypatch) -> None:
    def die(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(config_log, "hash_of", die)
    with pytest.raises(KeyboardInterrupt):
        store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    row = db.session.get(Store, store.id, populate_existing=True)
    assert (row.is_order_sync_on, row.settings_version) == (False, 1)
    assert log(store.workspace_id) == []


def test_each_toggle_tells_who_set_it_last(workspace, asha, store) -> None:
    ravi = make_actor(make_user(workspace, name="Ravi"))
    store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    store_settings.set_toggle(ravi, store.id, Toggle.INVENTORY_SYNC, turn_on=True, version=2, zeros_seen=0)
    store_settings.set_toggle(ravi, store.id, Toggle.ORDER_SYNC, turn_on=False, version=3)
    store_settings.set_toggle(asha, store.id, Toggle.ORDER_SYNC, turn_on=True, version=4)
    said = {view.toggle: view.last_change for view in store_settings.views(store)}
    assert said[Toggle.ORDER_SYNC].sentence == "Asha turned Order Sync on for Pune Store"
    assert said[Toggle.INVENTORY_SYNC].actor_name == "Ravi"
    assert said[Toggle.AUTOMATED_CANCELLATION] is None


def test_the_effects_say_what_would_really_happen(workspace, store) -> None:
    views = {view.toggle: view for view in store_settings.views(store)}
    order_sync = views[Toggle.ORDER_SYNC]
    assert order_sync.effect == (
        "Turning this on fetches new orders every 30 minutes; the first run starts within a minute."
    )
    assert order_sync.second_run_at is not None
    assert "no catalog yet, so there is nothing to send" in views[Toggle.INVENTORY_SYNC].effect
    assert "sends the next cancellations to Amazon" in views[Toggle.AUTOMATED_CANCELLATION].effect
    make_sku(store.seller)
    assert "no ASIN in this store" in store_settings.views(store)[1].effect


def inventory_effect(store) -> str:
    return next(view for view in store_settings.views(store) if view.toggle is Toggle.INVENTORY_SYNC).effect


def test_the_effect_of_inventory_sync_counts_what_would_be_pushed(workspace, store) -> None:
    make_listing(store)
    assert "there is nowhere to send stock to" in inventory_effect(store)
    make_mapping(store, make_hub(workspace))
    assert inventory_effect(store) == "Turning this on pushes 1 SKU at {at}, and then what changed every hour."
    make_listing(store)
    view = store_settings.views(store)[1]
    assert view.effect == "Turning this on pushes 2 SKUs at {at}, and then what changed every hour."
    assert view.first_run_at is not None
    assert view.needs_preview
    store.status = StoreStatus.DISCONNECTED
    assert "pushes 2 SKUs once the store is connected to Amazon again" in inventory_effect(store)


def test_the_effect_of_inventory_sync_knows_that_everything_was_pushed_before(workspace, asha, store) -> None:
    make_listing(store)
    make_mapping(store, make_hub(workspace))
    db.session.add(
        SyncState(workspace_id=workspace.id, store_id=store.id, sync=Sync.INVENTORY_PUSH, last_full_at=clock.now())
    )
    db.session.commit()
    assert "pushes what changed of 1 SKU since the last push" in inventory_effect(store)
    store_settings.set_toggle(asha, store.id, Toggle.INVENTORY_SYNC, turn_on=True, version=1, zeros_seen=1)
    view = store_settings.views(store)[1]
    assert view.effect.startswith("Turning this off leaves Amazon with what it was told last")
    assert not view.needs_preview


def test_the_effect_of_order_sync_knows_the_connection_and_the_present_state(workspace) -> None:
    away = make_store(make_seller(workspace), StoreStatus.DISCONNECTED)
    view = store_settings.views(away)[0]
    assert view.effect.endswith("once the store is connected to Amazon again.")
    assert view.second_run_at is None
    on = store_settings.views(make_store(make_seller(workspace), is_order_sync_on=True))[0]
    assert on.effect.startswith("Turning this off stops new orders")

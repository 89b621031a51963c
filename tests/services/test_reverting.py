"""Reverting a change: each kind comes back by the verb a person would use, once, and never over somebody unseen."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    AlarmKind,
    AlarmSettings,
    ConfigEvent,
    Hub,
    HubMapping,
    Listing,
    OrderState,
    PublishedStock,
    PushState,
    Role,
    Section,
    Seller,
    Severity,
    Store,
    User,
)
from flexdash.services import (
    config_log,
    config_log_verify,
    hub_mapping,
    hubs,
    listings,
    prices,
    reverting,
    sellers,
    store_settings,
    stores,
    users,
)
from flexdash.services.actors import Actor
from flexdash.services.alarms import changing, wishes
from flexdash.services.alarms.changing import Asked
from flexdash.services.alarms.kinds import KINDS as ALARMS
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.inventory import rules
from flexdash.services.reverting import NoWayBack
from flexdash.services.store_settings import Toggle
from tests.factories import (
    make_actor,
    make_hub,
    make_listing,
    make_mapping,
    make_order,
    make_seller,
    make_store,
    make_user,
    make_workable,
    make_workspace,
)
from tests.services.test_locks import at_once

LISTED = {"name": "Tee", "asin": "B0CX23V2ZK", "mrp": "900", "weight_g": "200"}


@dataclass
class World:
    """A workspace with one of everything that can be changed and changed back."""

    admin: Actor
    store: Store
    hub: Hub
    other_hub: Hub
    mapping: HubMapping
    listing: Listing
    user: User


@pytest.fixture
def world(workspace, seller) -> World:
    store = make_store(seller, name="Pune Store", settings_version=1)
    hub = make_hub(workspace, "PUNE", "Pune")
    return World(
        make_actor(make_user(workspace, Role.ADMIN, name="Ada")),
        store,
        hub,
        make_hub(workspace, "DELHI", "Delhi"),
        make_mapping(store, hub, "PNQ1"),
        make_listing(store, "TEE", "B0CX23V2ZK", name="Tee", price=Decimal("499.00"), mrp=Decimal("900.00")),
        make_user(workspace, name="Ravi", email="ravi@company.example"),
    )


def last() -> ConfigEvent:
    db.session.rollback()
    return db.session.scalars(db.select(ConfigEvent).order_by(ConfigEvent.sequence.desc()).limit(1)).one()


def fresh(row: Any) -> Any:
    db.session.rollback()
    return db.session.get(type(row), row.id, populate_existing=True)


def revert(world: World, event: ConfigEvent, reason: str = "") -> ConfigEvent:
    return reverting.revert(world.admin, event.id, seen=reverting.plan(world.admin, event.id).seen, reason=reason)


# Every kind -----------------------------------------------------------------------------------------------------------


def mapping_of(store: Store, hub: Hub) -> tuple | None:
    found = db.session.scalars(db.select(HubMapping).filter_by(store_id=store.id, hub_id=hub.id)).one_or_none()
    return found and (found.seller_flex_hub_id, found.is_active)


def listing_of(store: Store, sku_code: str) -> dict | None:
    found = db.session.scalars(db.select(Listing).filter_by(store_id=store.id, sku_code=sku_code)).one_or_none()
    return found and listings.typed(found)


def toggle(w: World) -> Callable[[], object]:
    store_settings.set_toggle(w.admin, w.store.id, Toggle.ORDER_SYNC, turn_on=True, version=1)
    return lambda: fresh(w.store).is_order_sync_on


def stock_rules(w: World) -> Callable[[], object]:
    rules.set_rules(w.admin, w.store.id, stock_buffer="7", zero_brake_percent="55", version=1)
    return lambda: (fresh(w.store).stock_buffer, fresh(w.store).zero_brake_percent)


def store_name(w: World) -> Callable[[], object]:
    stores.rename(w.admin, w.store.id, "Mumbai Store")
    return lambda: fresh(w.store).name


def map_hub(w: World) -> Callable[[], object]:
    hub_mapping.add(w.admin, w.store.id, w.other_hub.id, "DEL2", is_active=False)
    return lambda: mapping_of(w.store, w.other_hub)


def change_mapping(w: World) -> Callable[[], object]:
    version = w.mapping.version
    hub_mapping.change(w.admin, w.store.id, w.hub.id, "PNQ9", is_active=False, version=version)
    return lambda: mapping_of(w.store, w.hub)


def unmap_hub(w: World) -> Callable[[], object]:
    hub_mapping.remove(w.admin, w.store.id, w.hub.id, version=w.mapping.version)
    return lambda: mapping_of(w.store, w.hub)


def list_sku(w: World) -> Callable[[], object]:
    listings.add(w.admin, w.store.id, "MUG", LISTED)
    return lambda: listing_of(w.store, "MUG")


def change_listing(w: World) -> Callable[[], object]:
    values = listings.typed(w.listing) | {"name": "Shirt", "mrp": "", "length_cm": "12.5"}
    listings.change(w.admin, w.store.id, w.listing.id, values, version=w.listing.version)
    return lambda: listing_of(w.store, "TEE")


def unlist_sku(w: World) -> Callable[[], object]:
    listings.remove(w.admin, w.store.id, w.listing.id, version=w.listing.version)
    return lambda: listing_of(w.store, "TEE")


def price(w: World) -> Callable[[], object]:
    prices.change(w.admin, w.listing.id, "450", version=w.listing.version)
    return lambda: fresh(w.listing).price


def hub_values(w: World) -> Callable[[], object]:
    values = {"code": "PUNE2", "name": "Poona", "city": "Pune", "country_code": "AE", "time_zone": "Asia/Dubai"}
    hubs.edit(w.admin, w.hub.id, **values)
    return lambda: hubs.described(fresh(w.hub))


def hub_off(w: World) -> Callable[[], object]:
    hubs.deactivate(w.admin, w.hub.id)
    return lambda: fresh(w.hub).is_active


def seller_name(w: World) -> Callable[[], object]:
    sellers.rename(w.admin, w.store.seller_id, name="Sunset")
    return lambda: fresh(w.store.seller).name


def seller_off(w: World) -> Callable[[], object]:
    sellers.deactivate(w.admin, w.store.seller_id)
    return lambda: fresh(w.store.seller).is_active


def user_values(w: World) -> Callable[[], object]:
    others = {"name": "Ravi K", "email": "rk@company.example", "role": Role.MERCHANT}
    users.edit(w.admin, w.user.id, **others, seller_ids=[w.store.seller_id])
    return lambda: users.described(fresh(w.user))


def user_role(w: World) -> Callable[[], object]:
    users.edit(w.admin, w.user.id, name="Ravi", email=w.user.email, role=Role.SUPPORT, seller_ids=None)
    return lambda: users.described(fresh(w.user))


def user_off(w: World) -> Callable[[], object]:
    users.deactivate(w.admin, w.user.id)
    return lambda: fresh(w.user).is_active


def alarm_settings(w: World) -> Callable[[], object]:
    _ask_for_alarms(
        w,
        addresses="ops@company.example, duty@company.example",
        least_severity=Severity.CRITICAL,
        told_kinds=set(ALARMS) - {AlarmKind.CONFLICTS, AlarmKind.QUARANTINE, AlarmKind.AUTHORIZATION},
        reminder_hours=0,
    )
    return lambda: alarms_of(w)


def alarms_to_nobody(w: World) -> Callable[[], object]:
    _ask_for_alarms(w, is_to_admins=False)
    return lambda: alarms_of(w)


def _ask_for_alarms(w: World, **values: Any) -> None:
    plain = {"is_to_admins": True, "addresses": "", "webhook_url": "", "least_severity": Severity.WARNING}
    asked = Asked(**{**plain, "told_kinds": tuple(ALARMS), "reminder_hours": 24, **values})
    changing.change(w.admin, asked, version=wishes.of(w.admin.workspace_id).version)


def alarms_of(w: World) -> dict[str, object]:
    return dict(changing.described(wishes.of(w.admin.workspace_id)))


KINDS = [
    alarm_settings,
    alarms_to_nobody,
    toggle,
    stock_rules,
    store_name,
    map_hub,
    change_mapping,
    unmap_hub,
    list_sku,
    change_listing,
    unlist_sku,
    price,
    hub_values,
    hub_off,
    seller_name,
    seller_off,
    user_values,
    user_role,
    user_off,
]


@pytest.mark.parametrize("change", KINDS, ids=lambda change: change.__name__)
def test_a_change_comes_back_and_goes_again_each_as_a_row_that_names_the_other(world, change) -> None:
    before = snapshot(world)
    read = change(world)
    after, event = read(), last()
    assert reverting.why_not(world.admin, event) == ""
    plan = reverting.plan(world.admin, event.id)
    assert plan.lines
    assert not plan.was_changed_since
    assert not plan.is_done_already
    done = revert(world, event, "A mistake")
    assert snapshot(world) == before
    assert done.sentence.startswith(f"Ada reverted row {event.sequence}: ")
    assert (done.reason, done.sequence, done.section) == ("A mistake", event.sequence + 1, event.section)
    assert reverting.plan(world.admin, event.id).is_done_already
    again = revert(world, done)
    assert read() == after
    assert again.sentence.startswith(f"Ada reverted row {done.sequence}: ")
    assert config_log_verify.verify(world.store.workspace_id).is_intact


def snapshot(w: World) -> dict[str, object]:
    db.session.rollback()
    db.session.expire_all()
    return {
        "store": (w.store.name, w.store.is_order_sync_on, w.store.stock_buffer, w.store.zero_brake_percent),
        "mappings": (mapping_of(w.store, w.hub), mapping_of(w.store, w.other_hub)),
        "listings": (listing_of(w.store, "TEE"), listing_of(w.store, "MUG")),
        "hub": (hubs.described(w.hub), w.hub.is_active),
        "seller": (w.store.seller.name, w.store.seller.is_active),
        "user": (users.described(w.user), w.user.is_active),
        "alarms": alarms_of(w),
    }


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 100)), min_size=1, max_size=5))
def test_reverting_all_changes_from_the_newest_back_leads_to_the_beginning(world, numbers) -> None:
    start = (fresh(world.store).stock_buffer, world.store.zero_brake_percent)
    events = []
    for buffer, share in numbers:
        version = fresh(world.store).settings_version
        was = last().id if db.session.query(ConfigEvent.id).first() else 0
        rules.set_rules(
            world.admin, world.store.id, stock_buffer=str(buffer), zero_brake_percent=str(share), version=version
        )
        if db.session.query(ConfigEvent.id).first() and last().id != was:
            events.append(last().id)
    for event_id in reversed(events):
        revert(world, db.session.get(ConfigEvent, event_id))
    assert (fresh(world.store).stock_buffer, fresh(world.store).zero_brake_percent) == start


# What cannot be reverted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "old", "new", "words"),
    [
        (Section.CONNECTION, {"status": "draft"}, {"status": "connected"}, "made and ended at Amazon"),
        (Section.CONNECTION, {"status": "connected"}, {"status": "disconnected"}, "tokens were deleted"),
        (Section.SETTINGS, {"zero_brake": "waiting"}, {"zero_brake": "approved"}, "cannot be undone"),
        (Section.CATALOG, {}, {"upload_id": 1, "new": 3}, "not taken back as a whole"),
        (Section.PRICES, {}, {"upload_id": 1, "new": 3}, "not taken back as a whole"),
        (Section.STOCK, {}, {"upload_id": 1, "new": 3}, "orders have reserved from it"),
        (Section.PRICES, {"sku_code": "TEE"}, {"sku_code": "TEE", "price": "1"}, "a price cannot be taken away"),
        (Section.PRICES, {}, {"n_prices": 4}, "cannot be called back"),
        (Section.CATALOG, {"sku_code": "GONE", "name": "a"}, {"sku_code": "GONE", "name": "b"}, "not in the catalog"),
        (Section.HUBS, {}, {"code": "A"}, "A hub is not deleted"),
        (Section.HUBS, {"name": "A"}, {"name": "B"}, "from before the log kept which hub"),
        (Section.SELLERS, {}, {"name": "A"}, "A seller is not deleted"),
        (Section.USERS, {}, {"role": "admin"}, "A person is not deleted"),
        (Section.USERS, {}, {}, "A password cannot be brought back"),
        (Section.USERS, {"name": "A"}, {"name": "B"}, "from before the log kept which person"),
        (Section.ALARMS, {}, {"webhook": "a.example"}, "The secret before is kept nowhere any more"),
        (Section.ALARMS, {"webhook": "a.example"}, {"webhook": "b.example"}, "rest of its address may be a secret"),
        (Section.ALARMS, {"kinds_not_told": "Old one"}, {"kinds_not_told": "none"}, "no alarm called Old one any more"),
    ],
)
def test_what_cannot_come_back_says_why(world, section, old, new, words) -> None:
    with transaction():
        event = config_log.record(world.admin, section, "x", store=world.store, old=old, new=new)
    assert words in reverting.why_not(world.admin, event)
    with pytest.raises(NoWayBack, match=words):
        reverting.plan(world.admin, event.id)
    with pytest.raises(NoWayBack, match=words):
        reverting.revert(world.admin, event.id, seen="")
    assert last().id == event.id


def test_a_webhook_that_was_added_is_taken_away_with_its_secret_and_does_not_come_back(world) -> None:
    _ask_for_alarms(world, webhook_url="https://hooks.company.example/canary")
    done = revert(world, last())
    assert wishes.of(world.admin.workspace_id).webhook_url == ""
    row = db.session.scalars(db.select(AlarmSettings)).one()
    assert (row.webhook_url_encrypted, row.webhook_secret_encrypted) == (None, None)
    assert "may be a secret" in reverting.why_not(world.admin, done)


def test_inventory_sync_is_never_turned_on_for_the_first_time_by_a_revert(world, monkeypatch) -> None:
    values = {"old": {"is_inventory_sync_on": True}, "new": {"is_inventory_sync_on": False}}
    with transaction():
        event = config_log.record(world.admin, Section.SETTINGS, "x", store=world.store, **values)
    assert reverting.why_not(world.admin, event) == ""
    monkeypatch.setattr(store_settings, "needs_preview", lambda store: True)
    assert "turned on for the first time from its preview" in reverting.why_not(world.admin, event)


def test_only_admins_revert(world) -> None:
    toggle(world)
    event = last()
    for role in (Role.MERCHANT, Role.SUPPORT):
        actor = make_actor(make_user(world.store.seller.workspace, role))
        with pytest.raises((NotAllowed, NotVisible)):
            reverting.revert(actor, event.id, seen="")
    stranger = make_actor(make_user(make_workspace(), Role.ADMIN))
    with pytest.raises(NotVisible):
        reverting.plan(stranger, event.id)
    assert fresh(world.store).is_order_sync_on


def sell_at_amazon(world: World, location: str) -> None:
    db.session.add(
        PublishedStock(
            workspace_id=world.store.workspace_id,
            store_id=world.store.id,
            seller_flex_hub_id=location,
            sku_code="TEE",
            quantity=7,
            state=PushState.ACCEPTED,
        )
    )
    db.session.commit()


@pytest.mark.parametrize("is_added", [True, False])
def test_what_amazon_goes_on_selling_is_said_before_a_mapping_goes(world, is_added) -> None:
    store_id, hub_id, other_id = world.store.id, world.hub.id, world.other_hub.id
    location = "DEL2" if is_added else "PNQ9"
    if is_added:
        hub_mapping.add(world.admin, store_id, other_id, location)
    else:
        hub_mapping.change(world.admin, store_id, hub_id, location, is_active=True, version=world.mapping.version)
    event_id = last().id
    assert "Amazon" not in reverting.plan(world.admin, event_id).effect
    sell_at_amazon(world, location)
    said = f"nothing of {location} any more after this, and goes on selling 1 SKU (7 units)"
    assert said in reverting.plan(world.admin, event_id).effect


def test_what_amazon_goes_on_selling_is_said_before_a_hub_is_switched_off(world) -> None:
    hub_id = world.hub.id
    hubs.deactivate(world.admin, hub_id)
    hubs.reactivate(world.admin, hub_id)
    event_id = last().id
    sell_at_amazon(world, "PNQ1")
    assert "Pune Store: Amazon is told nothing of PNQ1 any more" in reverting.plan(world.admin, event_id).effect


def test_what_the_verb_refuses_is_refused(world) -> None:
    unmap_hub(world)
    event = last()
    hub_mapping.add(world.admin, world.store.id, world.other_hub.id, "PNQ1")
    with pytest.raises(FieldRefused, match="PNQ1 is the Seller Flex Hub ID of Delhi"):
        revert(world, event)
    assert mapping_of(world.store, world.hub) is None


def test_the_last_admin_stays_one(world) -> None:
    second = make_user(world.store.seller.workspace, Role.MERCHANT, name="Second")
    values = {"name": "Second", "email": second.email, "seller_ids": None}
    users.edit(world.admin, second.id, **values, role=Role.ADMIN)
    event = last()
    ada = db.session.get(User, world.admin.user_id)
    users.edit(make_actor(fresh(second)), ada.id, name="Ada", email=ada.email, role=Role.SUPPORT, seller_ids=None)
    actor = Actor(second.workspace_id, second.id, "Second", Role.ADMIN)
    plan = reverting.plan(actor, event.id)
    with pytest.raises(FieldRefused, match="last active admin"):
        reverting.revert(actor, event.id, seen=plan.seen)


def test_a_reason_that_is_too_long_is_refused_beside_its_field(world) -> None:
    toggle(world)
    event = last()
    with pytest.raises(FieldRefused) as refusal:
        revert(world, event, "x" * 301)
    assert refusal.value.field == "reason"
    assert last().id == event.id


# Somebody changes the same thing --------------------------------------------------------------------------------------


def test_a_value_changed_since_is_shown_and_replaced_only_when_seen(world) -> None:
    stock_rules(world)
    event = last()
    stale = reverting.plan(world.admin, event.id)
    version = fresh(world.store).settings_version
    rules.set_rules(world.admin, world.store.id, stock_buffer="9", zero_brake_percent="55", version=version)
    with pytest.raises(ChangedMeanwhile):
        reverting.revert(world.admin, event.id, seen=stale.seen)
    assert fresh(world.store).stock_buffer == 9
    plan = reverting.plan(world.admin, event.id)
    assert plan.was_changed_since
    assert [(line.label, line.before, line.after, line.now, line.then) for line in plan.lines] == [
        ("Stock buffer", "0", "7", "9", "0"),
        ("Zero brake percent", "30", "55", "55", "30"),
    ]
    reverting.revert(world.admin, event.id, seen=plan.seen)
    assert fresh(world.store).stock_buffer == 0


def test_what_is_changed_between_the_look_and_the_lock_is_not_overwritten(world, monkeypatch) -> None:
    """Verbs without a version of their own: the log's row, written under the lock, compares what is replaced."""
    hub_values(world)
    event = last()
    plan = reverting.plan(world.admin, event.id)
    true_edit = hubs.edit

    def late(actor: Actor, hub_id: int, **values: str) -> Hub:
        monkeypatch.setattr(hubs, "edit", true_edit)
        with transaction() as session:
            session.get(Hub, hub_id).name = "Somebody's name"
        return true_edit(actor, hub_id, **values)

    monkeypatch.setattr(hubs, "edit", late)
    with pytest.raises(ChangedMeanwhile):
        reverting.revert(world.admin, event.id, seen=plan.seen)
    assert fresh(world.hub).name == "Somebody's name"
    assert last().id == event.id


def test_of_several_admins_who_revert_at_once_one_does(app, world) -> None:
    seller_name(world)
    event_id, admin = last().id, world.admin
    seen = reverting.plan(admin, event_id).seen
    raised = at_once(app, *[lambda: reverting.revert(admin, event_id, seen=seen)] * 4)
    assert len(raised) == 3
    assert all(isinstance(error, ServiceError) for error in raised)
    assert fresh(world.store.seller).name == "Sunrise"
    assert db.session.scalar(db.select(db.func.count()).select_from(ConfigEvent)) == 2


def test_a_revert_and_another_change_at_once_leave_one_of_the_two_in_one_chain(app, world) -> None:
    change_mapping(world)
    event_id, admin, store_id, hub_id = last().id, world.admin, world.store.id, world.hub.id
    seen = reverting.plan(admin, event_id).seen
    version = fresh(world.mapping).version
    raised = at_once(
        app,
        lambda: reverting.revert(admin, event_id, seen=seen),
        lambda: hub_mapping.change(admin, store_id, hub_id, "NEW1", is_active=True, version=version),
    )
    assert [type(error).__mro__[1] for error in raised] in ([ChangedMeanwhile], [ServiceError])
    assert mapping_of(world.store, world.hub) in [("PNQ1", True), ("NEW1", True)]
    assert config_log_verify.verify(world.store.workspace_id).n_rows == 2


def test_orders_that_waited_for_a_mapping_go_on_when_it_comes_back(world) -> None:
    order = make_order(world.store, "On Hold", seller_flex_hub_id="PNQ1")
    make_workable(world.hub, order)
    unmap_hub(world)
    revert(world, last())
    assert fresh(order).state is OrderState.NEW


def test_a_seller_of_another_name_in_between_is_told(world) -> None:
    make_seller(world.store.seller.workspace, "Other")
    seller_name(world)
    event = last()
    sellers.rename(world.admin, db.session.scalar(db.select(Seller.id).filter_by(name="Other")), name="Sunrise")
    with pytest.raises(FieldRefused, match="Another seller of this workspace has this name"):
        revert(world, event)

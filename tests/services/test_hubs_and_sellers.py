"""Hubs and sellers: what can be saved, what the log says, and what stays out of sight."""

import pytest
from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Hub, Role, Section, Seller, StoreStatus
from flexdash.services import hubs, sellers
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible
from tests.factories import (
    make_actor,
    make_hub,
    make_mapping,
    make_seller,
    make_sku,
    make_store,
    make_user,
    make_workspace,
)

PUNE = {
    "code": "PUNE",
    "name": "Pune Warehouse",
    "city": "Pune",
    "country_code": "IN",
    "time_zone": "Asia/Kolkata",
}


@pytest.fixture
def asha(app):
    return make_actor(make_user(make_workspace(), Role.ADMIN, name="Asha"))


@pytest.fixture
def elsewhere(app):
    """A workspace that nothing of may be seen from the other one."""
    return make_workspace()


def last_row():
    return db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()


def test_a_hub_is_added_with_its_code_in_capitals(asha):
    hub = hubs.add(asha, **{**PUNE, "code": " pune ", "name": "Pune \t Warehouse"})
    assert (hub.code, hub.name, hub.is_active) == ("PUNE", "Pune Warehouse", True)
    row = last_row()
    assert (row.section, row.sentence) == (Section.HUBS, "Asha added the hub “Pune Warehouse” with the code PUNE")
    assert row.new_value["country"] == "India"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("code", ""),
        ("code", "PUNE 1"),
        ("code", "P" * 21),
        ("code", "<svg>"),
        ("name", " "),
        ("name", "x" * 101),
        ("city", "x" * 101),
        ("country_code", "XX"),
        ("country_code", ""),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../etc/passwd"),
    ],
)
def test_what_cannot_be_a_hub_is_a_field_error(asha, field, value):
    with pytest.raises(FieldRefused) as refusal:
        hubs.add(asha, **{**PUNE, field: value})
    assert refusal.value.field == field
    assert last_row() is None


def test_one_code_is_one_hub_in_a_workspace_and_free_in_another(asha, elsewhere):
    hubs.add(asha, **PUNE)
    with pytest.raises(FieldRefused) as refusal:
        hubs.add(asha, **{**PUNE, "code": "pune"})
    assert refusal.value.field == "code"
    assert hubs.add(make_actor(make_user(elsewhere, Role.ADMIN)), **PUNE).code == "PUNE"


def test_the_same_code_saved_at_the_same_moment_is_a_field_error(asha, monkeypatch):
    hubs.add(asha, **PUNE)
    monkeypatch.setattr(hubs, "_refuse_taken_code", lambda *_given: None)  # as it was a moment before
    with pytest.raises(FieldRefused) as refusal:
        hubs.add(asha, **PUNE)
    assert refusal.value.field == "code"
    other = hubs.add(asha, **{**PUNE, "code": "BLR"})
    with pytest.raises(FieldRefused):
        hubs.edit(asha, other.id, **PUNE)
    assert db.session.scalars(select(Hub.code).order_by(Hub.id)).all() == ["PUNE", "BLR"]


def test_a_changed_hub_is_one_sentence(asha):
    hub = hubs.add(asha, **PUNE)
    hubs.edit(asha, hub.id, **{**PUNE, "city": "Pimpri", "country_code": "AE"})
    row = last_row()
    assert row.sentence == (
        "Asha changed the hub “Pune Warehouse”: city from “Pune” to “Pimpri” and country from “India” to "
        "“United Arab Emirates”"
    )
    assert (row.old_value, row.new_value) == (
        {"hub_id": hub.id, "city": "Pune", "country": "India"},
        {"hub_id": hub.id, "city": "Pimpri", "country": "United Arab Emirates"},
    )
    n_rows = row.sequence
    hubs.edit(asha, hub.id, **{**PUNE, "city": "Pimpri", "country_code": "AE"})
    assert last_row().sequence == n_rows


def test_a_hub_is_switched_off_and_on_with_a_reason(asha):
    hub = hubs.add(asha, **PUNE)
    hubs.deactivate(asha, hub.id, "Flooded")
    assert not hub.is_active
    assert (last_row().sentence, last_row().reason) == ("Asha deactivated the hub “Pune Warehouse”", "Flooded")
    hubs.deactivate(asha, hub.id)
    hubs.reactivate(asha, hub.id)
    assert hub.is_active
    assert last_row().sequence == 3
    with pytest.raises(FieldRefused) as refusal:
        hubs.deactivate(asha, hub.id, "x" * 301)
    assert refusal.value.field == "reason"


def test_the_stores_that_map_a_hub_are_named_and_counted(asha):
    workspace = make_workspace()
    actor = make_actor(make_user(workspace, Role.ADMIN))
    hub, unmapped = make_hub(workspace, "PUNE"), make_hub(workspace, "BLR")
    stores = [make_store(make_seller(workspace, name), name=f"{name} India") for name in ("Nova", "Alpine")]
    for store in stores:
        make_mapping(store, hub)
    assert [store.name for store, _ in hubs.mappings(actor, hub.id)] == ["Alpine India", "Nova India"]
    assert hubs.n_mappings(actor, [hub.id, unmapped.id]) == {hub.id: 2}
    assert hubs.n_mappings(asha, [hub.id]) == {}
    assert hubs.mappings(asha, hub.id) == []


def test_hubs_are_found_by_code_name_and_city(asha):
    hubs.add(asha, **PUNE)
    hubs.add(asha, **{**PUNE, "code": "DXB", "name": "Dubai Warehouse", "city": "Dubai"})

    def found(*given):
        return sorted(hub.code for hub in db.session.scalars(hubs.listing(asha, *given)))

    assert (found("pun"), found("dubai"), found("%"), found()) == (["PUNE"], ["DXB"], [], ["DXB", "PUNE"])
    assert found("", False) == []


def test_a_seller_is_added_renamed_switched_off_and_on(asha):
    seller = sellers.add(asha, name=" Nova  Home ")
    assert last_row().sentence == "Asha added the seller “Nova Home”"
    sellers.rename(asha, seller.id, name="Nova Living")
    assert last_row().sentence == "Asha renamed the seller “Nova Home” to “Nova Living”"
    assert last_row().seller_id == seller.id
    sellers.deactivate(asha, seller.id, "Contract ended")
    assert (last_row().sentence, seller.is_active) == ("Asha deactivated the seller “Nova Living”", False)
    sellers.reactivate(asha, seller.id)
    assert (last_row().section, seller.is_active) == (Section.SELLERS, True)
    sellers.rename(asha, seller.id, name="Nova Living")
    sellers.reactivate(asha, seller.id)
    assert last_row().sequence == 4


def test_one_name_is_one_seller_also_in_another_case_and_at_the_same_moment(asha, elsewhere, monkeypatch):
    seller = sellers.add(asha, name="Nova Home")
    other = sellers.add(asha, name="Alpine Goods")
    make_seller(elsewhere, "Sunrise Retail")
    sellers.add(asha, name="Sunrise Retail")
    for attempt in (
        lambda: sellers.add(asha, name="NOVA HOME"),
        lambda: sellers.rename(asha, other.id, name="nova home"),
        lambda: sellers.add(asha, name=" "),
    ):
        with pytest.raises(FieldRefused) as refusal:
            attempt()
        assert refusal.value.field == "name"
    assert sellers.rename(asha, seller.id, name="NOVA Home").name == "NOVA Home"
    monkeypatch.setattr(sellers, "_refuse_taken_name", lambda *_given: None)  # as it was a moment before
    for attempt in (
        lambda: sellers.add(asha, name="Alpine Goods"),
        lambda: sellers.rename(asha, seller.id, name="Alpine Goods"),
    ):
        with pytest.raises(FieldRefused):
            attempt()
    assert len(db.session.scalars(select(Seller)).all()) == 4


def test_a_sellers_stores_and_skus(asha):
    workspace = make_workspace()
    actor = make_actor(make_user(workspace, Role.ADMIN))
    seller, other = make_seller(workspace), make_seller(workspace)
    for status in StoreStatus:
        make_store(seller, status, name=status.value)
    make_sku(seller, "MUG-STD", "Mug")
    make_sku(seller, "LAMP_OAK", "Lamp")
    make_sku(other, "MUG-STD", "Another mug")
    assert [store.name for store in sellers.syncing_stores(actor, seller.id)] == ["connected", "needs_reauthorization"]
    assert sellers.n_stores(actor, [seller.id, other.id]) == {seller.id: 3}

    def found(search, who=actor):
        return [sku.sku_code for sku in db.session.scalars(sellers.skus(who, seller.id, search))]

    assert (found("mug"), found("_"), found("x")) == (["MUG-STD"], ["LAMP_OAK"], [])
    assert {store.status for store in db.session.scalars(sellers.stores(actor, seller.id))} == set(StoreStatus)
    theirs = sellers.stores(asha, seller.id)
    assert (found("", asha), db.session.scalars(theirs).all(), sellers.n_stores(asha, [seller.id])) == ([], [], {})


def test_nothing_of_another_workspace_is_there(asha, elsewhere):
    hub, seller = make_hub(elsewhere), make_seller(elsewhere)
    for attempt in (
        lambda: hubs.get(asha, hub.id),
        lambda: hubs.edit(asha, hub.id, **PUNE),
        lambda: hubs.deactivate(asha, hub.id),
        lambda: hubs.reactivate(asha, hub.id),
        lambda: sellers.get(asha, seller.id),
        lambda: sellers.rename(asha, seller.id, name="Mine"),
        lambda: sellers.deactivate(asha, seller.id),
        lambda: sellers.reactivate(asha, seller.id),
    ):
        with pytest.raises(NotVisible):
            attempt()
    assert db.session.scalars(hubs.listing(asha)).all() == []
    assert db.session.scalars(sellers.listing(asha)).all() == []


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.SUPPORT])
def test_only_admins_manage_hubs_and_sellers(app, role):
    workspace = make_workspace()
    actor, hub, seller = make_actor(make_user(workspace, role)), make_hub(workspace), make_seller(workspace)
    for attempt in (
        lambda: hubs.listing(actor),
        lambda: hubs.get(actor, hub.id),
        lambda: hubs.add(actor, **PUNE),
        lambda: hubs.edit(actor, hub.id, **PUNE),
        lambda: hubs.deactivate(actor, hub.id),
        lambda: hubs.reactivate(actor, hub.id),
        lambda: sellers.listing(actor),
        lambda: sellers.get(actor, seller.id),
        lambda: sellers.add(actor, name="Mine"),
        lambda: sellers.rename(actor, seller.id, name="Mine"),
        lambda: sellers.deactivate(actor, seller.id),
        lambda: sellers.reactivate(actor, seller.id),
    ):
        with pytest.raises(NotAllowed):
            attempt()

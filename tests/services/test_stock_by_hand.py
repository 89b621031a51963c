"""Changing stock by hand: levels, ledger and refusals."""

import pytest
from flask import Flask
from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Hub, Role, Seller, Sku, StockCause, StockLevel, StockMovement
from flexdash.services import stock
from flexdash.services.actors import Actor
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, NotAllowed, NotVisible
from flexdash.services.stock import Way
from tests import factories


@pytest.fixture
def hub(seller: Seller) -> Hub:
    return factories.make_hub(seller.workspace, name="Pune Warehouse")


@pytest.fixture
def asha(seller: Seller) -> Actor:
    return factories.make_actor(factories.make_user(seller.workspace, name="Asha"))


@pytest.fixture
def level(seller: Seller, hub: Hub) -> StockLevel:
    return factories.make_stock(seller, hub, "MUG", on_hand=7, reserved=5)


def now(level: StockLevel) -> tuple[int, int]:
    db.session.rollback()
    db.session.refresh(level)
    return level.on_hand, level.reserved


@pytest.mark.parametrize(
    ("way", "quantity", "after"), [(Way.SET, "9", 9), (Way.SET, "5", 5), (Way.ADD, "3", 10), (Way.REMOVE, " 2 ", 5)]
)
def test_a_change_writes_level_and_ledger(asha: Actor, level: StockLevel, way: Way, quantity: str, after: int) -> None:
    stock.change(asha, level.id, way, quantity, seen=7, note="  counted\nagain ")

    assert now(level) == (after, 5)
    [row] = db.session.scalars(select(StockMovement))
    assert (row.on_hand_change, row.reserved_change, row.on_hand_after, row.reserved_after) == (after - 7, 0, after, 5)
    cause = StockCause.CORRECTION if way is Way.SET else StockCause.EDIT
    assert (row.cause, row.actor_name, row.note) == (cause, "Asha", "counted again")


def test_setting_what_is_there_already_leaves_no_trace(asha: Actor, level: StockLevel) -> None:
    stock.change(asha, level.id, Way.SET, "7", seen=7)
    assert db.session.scalars(select(StockMovement)).all() == []


@pytest.mark.parametrize(
    ("way", "quantity", "sentence"),
    [
        (
            Way.SET,
            "4",
            "5 units are reserved for orders, so the stock cannot be less than 5. Set it to 5 to sell no more.",
        ),
        (Way.REMOVE, "3", "5 units are reserved for orders"),
        (Way.REMOVE, "8", "8 cannot be removed: only 7 are on hand."),
        (Way.SET, "", "The quantity is missing."),
        (Way.SET, "-1", "cannot be negative"),
        (Way.SET, "1,000", "has a comma"),
        (Way.SET, "1.5", "no whole number"),
        (Way.ADD, "99999999", "The most is 99,999,999"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    asha: Actor, level: StockLevel, way: Way, quantity: str, sentence: str
) -> None:
    with pytest.raises(FieldRefused, match=sentence) as refusal:
        stock.change(asha, level.id, way, quantity, seen=7)
    assert refusal.value.field == "quantity"
    assert now(level) == (7, 5)


def test_a_change_made_from_an_older_number_is_refused_with_the_present_one(asha: Actor, level: StockLevel) -> None:
    stock.change(asha, level.id, Way.ADD, "2", seen=7)
    with pytest.raises(ChangedMeanwhile, match="Someone changed it meanwhile: it is 9 now"):
        stock.change(asha, level.id, Way.ADD, "2", seen=7)
    assert now(level) == (9, 5)


def test_a_note_that_is_too_long_is_refused(asha: Actor, level: StockLevel) -> None:
    with pytest.raises(FieldRefused) as refusal:
        stock.change(asha, level.id, Way.ADD, "2", seen=7, note="x" * 301)
    assert refusal.value.field == "note"


def test_only_those_who_may_change_stock_do(seller: Seller, hub: Hub, level: StockLevel) -> None:
    support = factories.make_actor(factories.make_user(seller.workspace, Role.SUPPORT))
    other = factories.make_seller(seller.workspace)
    limited = factories.make_actor(factories.make_user(seller.workspace, sellers=[other]))
    foreign = factories.make_actor(factories.make_user(factories.make_workspace()))
    with pytest.raises(NotAllowed):
        stock.change(support, level.id, Way.ADD, "1", seen=7)
    with pytest.raises(NotAllowed):
        stock.add(support, seller.id, hub.id, "NEW", "1")
    for actor in (limited, foreign):
        with pytest.raises(NotVisible):
            stock.change(actor, level.id, Way.ADD, "1", seen=7)
        with pytest.raises(NotVisible):
            stock.add(actor, seller.id, hub.id, "NEW", "1")
    with pytest.raises(NotVisible):
        stock.add(limited, other.id, factories.make_hub(factories.make_workspace()).id, "NEW", "1")
    assert now(level) == (7, 5)


def test_a_sku_is_put_into_a_hub(app: Flask, asha: Actor, seller: Seller, hub: Hub) -> None:
    made = stock.add(asha, seller.id, hub.id, " 0012 ", "4", note="first delivery")

    assert (made.sku_code, made.on_hand, made.reserved) == ("0012", 4, 0)
    assert db.session.scalars(select(Sku.sku_code)).all() == ["0012"]
    [row] = db.session.scalars(select(StockMovement))
    assert (row.stock_level_id, row.cause, row.on_hand_after) == (made.id, StockCause.EDIT, 4)


@pytest.mark.parametrize(
    ("code", "quantity", "field", "sentence"),
    [
        ("", "4", "sku_code", "The SKU is missing"),
        ("MUG", "4", "sku_code", "“MUG” of Sunrise is at Pune Warehouse already"),
        ("TEE", "many", "quantity", "is no number"),
    ],
)
def test_what_cannot_be_added_is_refused(
    asha: Actor, seller: Seller, hub: Hub, level: StockLevel, code: str, quantity: str, field: str, sentence: str
) -> None:
    with pytest.raises(FieldRefused, match=sentence) as refusal:
        stock.add(asha, seller.id, hub.id, code, quantity)
    assert refusal.value.field == field

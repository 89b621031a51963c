"""The ledger itself: what the database refuses, and how levels are held and written."""

import pytest
from flask import Flask
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Hub, Seller, StockCause, StockLevel, StockMovement
from flexdash.services.stock_ledger import Ledger
from tests import factories


@pytest.fixture
def hub(seller: Seller) -> Hub:
    return factories.make_hub(seller.workspace)


def written(seller: Seller, hub: Hub, on_hand: int) -> StockLevel:
    ledger = Ledger(seller.workspace_id, seller.id)
    key = (hub.id, "TEE")
    with transaction():
        ledger.hold([key], make_missing=True)
        ledger.change(ledger.level(*key), StockCause.EDIT, on_hand=on_hand)
        ledger.write()
    return db.session.scalars(select(StockLevel)).one()


@pytest.mark.parametrize("statement", [update(StockMovement).values(note="never mind"), delete(StockMovement)])
def test_the_database_keeps_every_row_of_the_ledger(app: Flask, seller: Seller, hub: Hub, statement) -> None:
    written(seller, hub, 5)
    with pytest.raises(DatabaseError, match="the stock ledger is append-only"), transaction() as session:
        session.execute(statement)
    assert db.session.scalar(select(StockMovement.on_hand_after)) == 5


@pytest.mark.parametrize(("on_hand", "reserved"), [(-1, 0), (5, -1), (5, 6), (-1, -1)])
def test_the_database_refuses_more_reserved_than_there_is(
    app: Flask, seller: Seller, hub: Hub, on_hand: int, reserved: int
) -> None:
    level = factories.make_stock(seller, hub, "TEE")
    with pytest.raises(IntegrityError), transaction():
        level.on_hand, level.reserved = on_hand, reserved


@pytest.mark.parametrize("change", [{"on_hand": -6}, {"reserved": -1}, {"reserved": 6}, {"on_hand": -3, "reserved": 3}])
def test_a_change_that_breaks_the_rule_is_a_programming_error(
    app: Flask, seller: Seller, hub: Hub, change: dict[str, int]
) -> None:
    factories.make_stock(seller, hub, "TEE", on_hand=5)
    ledger = Ledger(seller.workspace_id, seller.id)
    with transaction():
        ledger.hold([(hub.id, "TEE")])
        with pytest.raises(ValueError, match="reserved of"):
            ledger.change(ledger.level(hub.id, "TEE"), StockCause.EDIT, **change)
    assert db.session.scalars(select(StockMovement)).all() == []


def test_a_level_changed_several_times_is_written_once_with_a_row_for_each(
    app: Flask, seller: Seller, hub: Hub
) -> None:
    factories.make_stock(seller, hub, "TEE", on_hand=5)
    ledger = Ledger(seller.workspace_id, seller.id)
    with transaction():
        ledger.hold([(hub.id, "TEE"), (hub.id, "MUG")])
        assert ledger.level(hub.id, "MUG") is None
        level = ledger.level(hub.id, "TEE")
        for n in (3, -1, 2):
            ledger.change(level, StockCause.EDIT, on_hand=n)
        ledger.write()
    rows = db.session.scalars(select(StockMovement).order_by(StockMovement.id)).all()
    assert [(row.on_hand_change, row.on_hand_after) for row in rows] == [(3, 8), (-1, 7), (2, 9)]
    assert db.session.scalar(select(StockLevel.on_hand)) == 9


def test_nothing_to_hold_asks_nothing(app: Flask, seller: Seller) -> None:
    ledger = Ledger(seller.workspace_id, seller.id)
    with transaction():
        ledger.hold([])
        ledger.write()

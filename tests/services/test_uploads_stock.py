"""Stock files, from the file handed in to the hubs' stock and its ledger."""

import pytest
from sqlalchemy import func, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    ConfigEvent,
    Order,
    OrderState,
    RowOutcome,
    Section,
    Sku,
    StockCause,
    StockLevel,
    StockMode,
    StockMovement,
    Upload,
    UploadState,
)
from flexdash.services import stock
from flexdash.services.errors import FieldRefused
from flexdash.services.run_context import HandBack
from flexdash.services.stock_ledger import Ledger
from flexdash.services.uploads import applying, deciding, working
from tests import factories
from tests.support.uploads import applied, checked, counts, fresh, outcomes, reasons, work

STOCK = "stock"


@pytest.fixture
def hub(workspace):
    return factories.make_hub(workspace, "PUNE")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def stock_file(*rows: str) -> bytes:
    return "\n".join(["hub_code,sku_code,quantity", *rows]).encode()


def level(hub, sku_code: str) -> StockLevel:
    db.session.rollback()
    query = select(StockLevel).where(StockLevel.hub_id == hub.id, StockLevel.sku_code == sku_code)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def test_quantities_are_set(seller, hub, actor) -> None:
    factories.make_stock(seller, hub, "SAME", 5)
    factories.make_stock(seller, hub, "MORE", 5, reserved=2)
    factories.make_stock(seller, hub, "LESS", 5, reserved=2)
    closed = factories.make_hub(seller.workspace, "DEL", is_active=False)
    upload = checked(
        actor,
        seller,
        stock_file(
            "PUNE,SAME,5", "pune,MORE,9", "PUNE,LESS,1", "PUNE,NEW,0", "DEL,SAME,3", "MARS,SAME,3", "PUNE,SAME,6"
        ),
        STOCK,
    )
    assert list(outcomes(upload.id).values()) == [
        RowOutcome.UNCHANGED,
        RowOutcome.CHANGED,
        RowOutcome.REFUSED,
        RowOutcome.NEW,
        RowOutcome.NEW,
        RowOutcome.REFUSED,
        RowOutcome.REFUSED,
    ]
    said = reasons(upload.id)
    assert said[4] == (
        "2 units are reserved for orders, so the stock cannot be less than 2. Set it to 2 to sell no more."
    )
    assert said[7].startswith("hub_code: No hub has the code “MARS”. The ")
    assert "PUNE" in said[7]  # merchants cannot open the page of hubs to look it up
    assert said[8] == "The SKU SAME is already in row 2 with the same hub."
    deciding.accept(actor, upload.id)
    assert counts(work(upload.id)) == (2, 1, 1, 3)
    assert level(hub, "MORE").on_hand == 9
    assert level(hub, "NEW").on_hand == 0
    assert level(closed, "SAME").on_hand == 3
    assert sorted(db.session.scalars(select(Sku.sku_code))) == ["MORE", "NEW", "SAME"]
    causes = db.session.execute(
        select(StockMovement.cause, StockMovement.upload_id, StockMovement.on_hand_change)
    ).all()
    assert sorted(causes) == [(StockCause.UPLOAD, upload.id, 3), (StockCause.UPLOAD, upload.id, 4)]


def test_the_hub_of_another_workspace_is_unknown(seller, hub, actor) -> None:
    factories.make_hub(factories.make_workspace(), "ALIEN")
    upload = checked(actor, seller, stock_file("ALIEN,TEE,3", ",TEE,3"), STOCK)
    assert counts(upload) == (0, 0, 0, 2)
    assert "The hub is missing" in reasons(upload.id)[3]


def test_a_delivery_is_added_once_unless_it_came_twice(seller, hub, actor) -> None:
    factories.make_stock(seller, hub, "TEE", 5)
    content = stock_file("PUNE,TEE,10", "PUNE,MUG,2", "PUNE,LAMP,0")
    upload = applied(actor, seller, content, STOCK, mode=StockMode.ADD)
    assert counts(upload) == (2, 1, 0, 0)
    assert level(hub, "TEE").on_hand == 15
    again = checked(actor, seller, content, STOCK, mode=StockMode.ADD, name="copy.csv")
    with pytest.raises(FieldRefused) as refusal:
        deciding.accept(actor, again.id)
    assert refusal.value.field == "is_another_delivery"
    assert "applied before" in refusal.value.sentence
    deciding.accept(actor, again.id, is_another_delivery=True)
    work(again.id)
    assert level(hub, "TEE").on_hand == 25


@pytest.mark.parametrize("state", [UploadState.FAILED, UploadState.DISCARDED])
def test_a_delivery_that_was_added_in_part_is_not_added_again_without_a_word(
    seller, hub, actor, monkeypatch, state
) -> None:
    content = stock_file(*(f"PUNE,SKU-{number},5" for number in range(1, 41)))
    given_up_after(monkeypatch, 30, checked(actor, seller, content, STOCK, mode=StockMode.ADD), actor, state)
    assert (level(hub, "SKU-30").on_hand, n_levels()) == (5, 30)
    again = checked(actor, seller, content, STOCK, mode=StockMode.ADD, name="copy.csv")
    with pytest.raises(FieldRefused) as refusal:
        deciding.accept(actor, again.id)
    assert refusal.value.field == "is_another_delivery"
    assert refusal.value.sentence.startswith("The first 30 rows of this very file came in before")
    assert deciding.accept(actor, again.id, is_another_delivery=True)


def given_up_after(monkeypatch, n_rows: int, upload: Upload, actor, state: UploadState = UploadState.FAILED) -> None:
    """Accept the upload, apply its first rows and give it up in `state`."""
    monkeypatch.setattr(applying, "_FIRST_PIECE", n_rows)
    deciding.accept(actor, upload.id)
    asked = iter([False, True])
    attempt = working.begin(upload.id, lambda: next(asked))
    with pytest.raises(HandBack):
        working.work(attempt)
    applying.fail(attempt, "The worker stopped without a word.")
    monkeypatch.undo()
    fresh(upload.id).state = state
    db.session.commit()


def n_levels() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(StockLevel.id)))


def test_what_was_given_up_before_its_first_row_added_nothing(seller, hub, actor) -> None:
    content = stock_file("PUNE,TEE,10")
    upload = checked(actor, seller, content, STOCK, mode=StockMode.ADD)
    deciding.accept(actor, upload.id)
    applying.fail(working.begin(upload.id), "The worker stopped without a word.")
    again = checked(actor, seller, content, STOCK, mode=StockMode.ADD)
    assert deciding.accept(actor, again.id)


def test_setting_the_same_file_twice_needs_no_word(seller, hub, actor) -> None:
    content = stock_file("PUNE,TEE,10")
    applied(actor, seller, content, STOCK, mode=StockMode.ADD)
    upload = checked(actor, seller, content, STOCK, mode=StockMode.SET)
    assert counts(upload) == (0, 0, 1, 0)


def test_what_was_reserved_since_the_check_is_not_taken_away(seller, hub, actor) -> None:
    factories.make_stock(seller, hub, "TEE", 5)
    factories.make_stock(seller, hub, "MUG", 5)
    upload = checked(actor, seller, stock_file("PUNE,TEE,3", "PUNE,MUG,3"), STOCK)
    assert counts(upload) == (0, 2, 0, 0)
    level(hub, "TEE").reserved = 4
    db.session.commit()
    deciding.accept(actor, upload.id)
    upload = work(upload.id)
    assert upload.state is UploadState.APPLIED
    assert counts(upload) == (0, 1, 0, 1)
    assert reasons(upload.id)[2].startswith("4 units are reserved for orders")
    assert (level(hub, "TEE").on_hand, level(hub, "MUG").on_hand) == (5, 3)


def shipped(level_id: int, n_units: int) -> None:
    """Take units off as an order does that leaves the hub."""
    with transaction() as session:
        level = session.get_one(StockLevel, level_id)
        ledger = Ledger(level.workspace_id, level.seller_id)
        key = (level.hub_id, level.sku_code)
        ledger.hold([key])
        ledger.change(ledger.level(*key), StockCause.SHIPMENT, on_hand=-n_units)
        ledger.write()


def test_what_orders_shipped_since_the_check_is_taken_off_the_numbers_set(seller, hub, actor) -> None:
    before = {"MORE": 10, "SAME": 5, "LESS": 9, "GONE": 9, "STILL": 9}
    ids = {code: factories.make_stock(seller, hub, code, on_hand).id for code, on_hand in before.items()}
    shipped(ids["LESS"], 1)  # before the file
    upload = checked(
        actor, seller, stock_file("PUNE,MORE,12", "PUNE,SAME,5", "PUNE,LESS,3", "PUNE,GONE,2", "PUNE,STILL,8"), STOCK
    )
    for code, n_units in (("MORE", 1), ("MORE", 3), ("SAME", 3), ("LESS", 1), ("GONE", 4)):
        shipped(ids[code], n_units)
    deciding.accept(actor, upload.id)
    assert counts(work(upload.id)) == (0, 4, 1, 0)
    now = {code: level(hub, code).on_hand for code in before}
    assert now == {"MORE": 8, "SAME": 2, "LESS": 2, "GONE": 0, "STILL": 8}
    notes = select(StockMovement.stock_level_id, StockMovement.on_hand_change, StockMovement.note)
    found = db.session.execute(notes.where(StockMovement.upload_id == upload.id)).all()
    assert sorted(found) == [
        (ids["MORE"], 2, "12 in the file, less 4 shipped since it was checked."),
        (ids["LESS"], -5, "3 in the file, less 1 shipped since it was checked."),
        (ids["GONE"], -5, "2 in the file, less 4 shipped since it was checked."),
        (ids["STILL"], -1, ""),
    ]


def test_a_number_that_somebody_changed_since_the_check_is_not_set(seller, hub, actor) -> None:
    before = {"LESS": 10, "MORE": 10, "SAME": 5, "BOTH": 10, "FREE": 7}
    levels = {code: factories.make_stock(seller, hub, code, on_hand) for code, on_hand in before.items()}
    ids = {code: found.id for code, found in levels.items()}
    rows = ("PUNE,LESS,12", "PUNE,MORE,12", "PUNE,SAME,5", "PUNE,BOTH,12", "PUNE,NEW,4", "PUNE,FREE,8")
    upload = checked(actor, seller, stock_file(*rows), STOCK)
    stock.change(actor, ids["LESS"], stock.Way.REMOVE, "4", seen=10)
    stock.change(actor, ids["MORE"], stock.Way.ADD, "1000", seen=10)
    stock.change(actor, ids["SAME"], stock.Way.REMOVE, "3", seen=5)
    stock.change(actor, ids["BOTH"], stock.Way.REMOVE, "1", seen=10)
    shipped(ids["BOTH"], 1)
    stock.add(actor, seller.id, hub.id, "NEW", "3")
    deciding.accept(actor, upload.id)
    assert counts(work(upload.id)) == (0, 1, 0, 5)
    said = reasons(upload.id)
    assert said[2] == (
        "Changed meanwhile: 10 were on hand when the file was checked, and 6 are now. Check the number, and upload the "
        "row again if it is still right."
    )
    assert [said[number].partition(".")[0].partition(": ")[2] for number in (3, 4, 5, 6)] == [
        "10 were on hand when the file was checked, and 1,010 are now",
        "5 were on hand when the file was checked, and 2 are now",
        "10 were on hand when the file was checked, and 8 are now",
        "0 were on hand when the file was checked, and 3 are now",
    ]
    now = {code: level(hub, code).on_hand for code in (*before, "NEW")}
    assert now == {"LESS": 6, "MORE": 1_010, "SAME": 2, "BOTH": 8, "FREE": 8, "NEW": 3}


def test_a_delivery_is_added_to_whatever_lies_there_by_then(seller, hub, actor) -> None:
    held = factories.make_stock(seller, hub, "TEE", 10)
    upload = checked(actor, seller, stock_file("PUNE,TEE,5"), STOCK, mode=StockMode.ADD)
    stock.change(actor, held.id, stock.Way.REMOVE, "4", seen=10)
    deciding.accept(actor, upload.id)
    assert counts(work(upload.id)) == (0, 1, 0, 0)
    assert level(hub, "TEE").on_hand == 11


def held_for(sku_code: str, seller, hub) -> Order:
    """Return an order that waits for stock of the SKU."""
    store = factories.make_store(seller, is_order_sync_on=True)
    factories.make_mapping(store, hub, "PNQ1")
    factories.make_listing(store, sku_code)
    order = factories.make_order(store, OrderState.ON_HOLD, hub=hub, hold_reason="not_enough_stock")
    order.seller_flex_hub_id = "PNQ1"
    order.lines[0].sku_code = sku_code
    db.session.commit()
    return order


def test_orders_that_waited_for_what_came_in_before_a_file_was_given_up_are_let_go(
    seller, hub, actor, monkeypatch
) -> None:
    orders = [held_for(code, seller, hub) for code in ("SKU-30", "SKU-31")]
    content = stock_file(*(f"PUNE,SKU-{number},5" for number in range(1, 41)))
    given_up_after(monkeypatch, 30, checked(actor, seller, content, STOCK), actor)
    for order in orders:
        db.session.refresh(order)
    assert [order.state for order in orders] == [OrderState.NEW, OrderState.ON_HOLD]


def test_the_log_tells_of_it_under_stock(seller, hub, actor) -> None:
    upload = applied(actor, seller, stock_file("PUNE,TEE,3", "MARS,TEE,3"), STOCK)
    event = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()
    assert event.sentence == f"Asha applied the stock file “autumn.csv” to {seller.name}: 1 new and 1 refused"
    assert (event.section, event.seller_id, event.store_id) == (Section.STOCK, seller.id, None)
    assert (event.new_value["upload_id"], event.new_value["quantities"]) == (upload.id, "set")


def test_orders_that_waited_for_the_stock_are_let_go(seller, hub, actor) -> None:
    order = held_for("TEE", seller, hub)
    applied(actor, seller, stock_file("PUNE,TEE,3"), STOCK)
    db.session.rollback()
    db.session.refresh(order)
    assert order.state is OrderState.NEW
    assert level(hub, "TEE").reserved == 1

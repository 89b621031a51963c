"""Rows of a stock file as they change levels and ledger."""

import pytest
from flask import Flask
from sqlalchemy import event, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Hub, Seller, Sku, StockCause, StockLevel, StockMode, StockMovement, Upload, UploadKind
from flexdash.services import stock
from flexdash.services.stock import UploadedQuantity
from tests import factories


@pytest.fixture
def hub(seller: Seller) -> Hub:
    return factories.make_hub(seller.workspace, name="Pune Warehouse")


def upload_of(seller: Seller, mode: StockMode) -> Upload:
    upload = Upload(
        workspace_id=seller.workspace_id,
        seller_id=seller.id,
        kind=UploadKind.STOCK,
        stock_mode=mode,
        file_name="stock.csv",
        n_bytes=1,
        sha256="0" * 64,
        uploaded_by_name="Asha",
    )
    db.session.add(upload)
    db.session.commit()
    return upload


def apply(seller: Seller, mode: StockMode, *rows: tuple[Hub, str, int]) -> list[tuple[int, str]]:
    upload = upload_of(seller, mode)
    own = db.session.scalars(select(StockLevel).where(StockLevel.seller_id == seller.id))
    seen = {(level.hub_id, level.sku_code): level.on_hand for level in own}
    quantities = [
        UploadedQuantity(n, hub.id, code, quantity, seen.get((hub.id, code), 0))
        for n, (hub, code, quantity) in enumerate(rows, start=2)
    ]
    with transaction() as session:
        refused = stock.apply_uploaded(session, db.session.get(Upload, upload.id), quantities)
    db.session.rollback()
    return refused


def levels() -> dict[tuple[int, str], tuple[int, int]]:
    return {(lv.hub_id, lv.sku_code): (lv.on_hand, lv.reserved) for lv in db.session.scalars(select(StockLevel))}


def movements() -> list[StockMovement]:
    return list(db.session.scalars(select(StockMovement).order_by(StockMovement.id)))


def test_a_file_checked_before_it_was_kept_what_it_saw_is_applied_as_it_stands(
    app: Flask, seller: Seller, hub: Hub
) -> None:
    factories.make_stock(seller, hub, "MUG", on_hand=4)
    upload = factories.make_upload(seller, stock_mode=StockMode.SET)
    with transaction() as session:
        rows = [UploadedQuantity(2, hub.id, "MUG", 9, None)]
        assert stock.apply_uploaded(session, session.get_one(Upload, upload.id), rows) == []
    assert levels() == {(hub.id, "MUG"): (9, 0)}


def test_a_set_file_says_what_lies_in_the_hub(app: Flask, seller: Seller, hub: Hub) -> None:
    factories.make_stock(seller, hub, "MUG", on_hand=4, reserved=1)

    assert apply(seller, StockMode.SET, (hub, "MUG", 9), (hub, "1E5", 3), (hub, "tee", 0)) == []

    assert levels() == {(hub.id, "MUG"): (9, 1), (hub.id, "1E5"): (3, 0), (hub.id, "tee"): (0, 0)}
    rows = movements()
    assert [(row.on_hand_change, row.on_hand_after, row.reserved_after) for row in rows] == [(5, 9, 1), (3, 3, 0)]
    assert {(row.cause, row.actor_name) for row in rows} == {(StockCause.UPLOAD, "Asha")}
    assert all(row.upload_id for row in rows)
    assert set(db.session.scalars(select(Sku.sku_code))) == {"MUG", "1E5", "tee"}


def test_an_add_file_says_what_came_in_on_top(app: Flask, seller: Seller, hub: Hub) -> None:
    other = factories.make_hub(seller.workspace)
    factories.make_stock(seller, hub, "MUG", on_hand=4)

    assert apply(seller, StockMode.ADD, (hub, "MUG", 9), (other, "MUG", 2), (hub, "MUG", 1)) == []

    assert levels() == {(hub.id, "MUG"): (14, 0), (other.id, "MUG"): (2, 0)}
    assert [row.on_hand_after for row in movements()] == [13, 2, 14]


def test_what_is_reserved_cannot_be_taken_away(app: Flask, seller: Seller, hub: Hub) -> None:
    factories.make_stock(seller, hub, "MUG", on_hand=7, reserved=5)

    refused = apply(seller, StockMode.SET, (hub, "MUG", 4), (hub, "TEE", 1))

    assert refused == [
        (
            2,
            "5 units are reserved for orders, so the stock cannot be less than 5. Set it to 5 to sell no more.",
        )
    ]
    assert levels() == {(hub.id, "MUG"): (7, 5), (hub.id, "TEE"): (1, 0)}


def test_more_than_can_be_counted_is_refused(app: Flask, seller: Seller, hub: Hub) -> None:
    factories.make_stock(seller, hub, "MUG", on_hand=1)
    [(_, reason)] = apply(seller, StockMode.ADD, (hub, "MUG", 99_999_999))
    assert reason == "It would come to 100,000,000 units in one hub. The most is 99,999,999: check the number."


def test_another_sellers_stock_of_the_same_sku_is_left_alone(app: Flask, seller: Seller, hub: Hub) -> None:
    other = factories.make_seller(seller.workspace)
    theirs = factories.make_stock(other, hub, "MUG", on_hand=4).id

    apply(seller, StockMode.SET, (hub, "MUG", 9))

    assert db.session.get(StockLevel, theirs).on_hand == 4
    assert db.session.scalar(select(StockLevel.on_hand).where(StockLevel.seller_id == seller.id)) == 9


def test_thousands_of_rows_take_as_many_statements_as_a_few(app: Flask, seller: Seller, hub: Hub) -> None:
    def n_statements(n_rows: int) -> int:
        db.session.expire_all()  # or the seller and the hub, made just now, would be read again the second time only
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: seen.append(args[2]))
        try:
            apply(seller, StockMode.ADD, *((hub, f"SKU-{n}", 1) for n in range(n_rows)))
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return len(seen)

    assert n_statements(3) == n_statements(4_000)
    assert n_statements(3) == n_statements(4_000)  # now that all are there

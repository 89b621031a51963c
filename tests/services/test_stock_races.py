"""Many at the same stock in the same moment: the last unit is promised once, and no change is lost."""

import random
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import Order, OrderState, StockLevel, StockMode, StockMovement, Store, Upload, UploadKind
from flexdash.services import order_holds, stock
from flexdash.services.errors import ChangedMeanwhile, FieldRefused
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import read_page
from flexdash.services.stock import UploadedQuantity, Way
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.shipments import cancelled, raw_shipment

CODES = ("TEE", "MUG", "LAMP", "CUP")


def at_once(app: Flask, *jobs: Callable[[], object]) -> None:
    """Do the jobs at the same moment, each in a thread and app context of its own; fail with what one raised."""
    db.session.rollback()
    start, raised = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], object]) -> None:
        with app.app_context():
            start.wait(10)
            try:
                job()
            except Exception as error:
                raised.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if raised:
        raise raised[0]


def importing(store: Store, *pages: list[dict]) -> Callable[[], None]:
    """Return the job of writing the pages into the store's orders, a transaction each."""
    ids = {"workspace_id": store.workspace_id, "store_id": store.id}

    def job() -> None:
        importer = OrderImporter(**ids, run_id=None, vault=vault)
        for page in pages:
            read = read_page(page, vault)
            with transaction():
                importer.write(read)

    return job


def two_stores() -> tuple[Store, Store, list[StockLevel]]:
    """Return two stores of one seller that sell from the same hub, and its levels of CODES, all empty."""
    workspace = factories.make_workspace()
    seller, hub = factories.make_seller(workspace), factories.make_hub(workspace)
    first, second = (factories.make_store(seller, country_code=country) for country in ("IN", "AE"))
    for store, location in ((first, "EXSB"), (second, "DXBA")):
        factories.make_mapping(store, hub, location)
        for code in CODES:
            factories.make_listing(store, code)
    return first, second, factories.make_sellable(first, hub, *CODES, on_hand=0)


def set_to(level: StockLevel, n: int) -> None:
    actor = factories.make_actor(factories.make_user(level.seller.workspace))
    stock.change(actor, level.id, Way.SET, str(n), seen=level.on_hand)
    db.session.rollback()


def states() -> Counter[OrderState]:
    db.session.rollback()
    return Counter(db.session.scalars(select(Order.state)))


def test_the_last_unit_goes_to_one_of_two_stores(app: Flask) -> None:
    for _ in range(8):
        first, second, [level, *_] = two_stores()
        set_to(level, 1)
        before = states()
        at_once(
            app,
            importing(first, [raw_shipment(sku_codes=("TEE",))]),
            importing(second, [raw_shipment(location_id="DXBA", sku_codes=("TEE",))]),
        )
        assert states() - before == {OrderState.NEW: 1, OrderState.ON_HOLD: 1}
    assert stock_problems() == []


def test_held_orders_of_two_stores_are_released_for_the_last_unit_once(app: Flask) -> None:
    first, second, [level, *_] = two_stores()
    for store, location in ((first, "EXSB"), (second, "DXBA")):
        importing(store, [raw_shipment(location_id=location, sku_codes=("TEE",)) for _ in range(20)])()
    set_to(level, 7)
    ids = (first.id, second.id)
    at_once(app, *(lambda store_id=store_id: order_holds.release_fixed(store_id) for store_id in ids * 2))
    assert states() == {OrderState.NEW: 7, OrderState.ON_HOLD: 33}
    assert stock_problems() == []


def test_no_change_is_lost_and_nothing_promised_twice_among_eight_threads(app: Flask) -> None:
    """Imports, cancellations, shipments, edits and uploads of the same few SKUs, in orders that would make circles."""
    first, second, levels = two_stores()
    for level in levels:
        set_to(level, 30)
    chance = random.Random(5)
    actor = factories.make_actor(factories.make_user(first.seller.workspace))
    level_ids, hub_id, seller = [level.id for level in levels], levels[0].hub_id, first.seller
    uploads = [_upload(seller.workspace_id, seller.id) for _ in range(2)]
    n_added: list[int] = []

    def pages(location: str) -> list[list[dict]]:
        found: list[list[dict]] = []
        for _ in range(6):
            raws = [
                raw_shipment(location_id=location, sku_codes=tuple(chance.sample(CODES, chance.randint(1, 3))))
                for _ in range(5)
            ]
            ended = [cancelled(raws[0]), raws[1] | {"status": "SHIPPED", "lastUpdatedDateTime": "2026-11-23T12:00:00Z"}]
            found += [raws, ended]
        return found

    def edit() -> None:
        for turn in range(12):
            level_id = level_ids[turn % len(level_ids)]
            try:
                seen = db.session.get(StockLevel, level_id, populate_existing=True).on_hand
                stock.change(actor, level_id, Way.ADD if turn % 3 else Way.REMOVE, "1", seen=seen)
                n_added.append(1 if turn % 3 else -1)
            except (ChangedMeanwhile, FieldRefused):
                db.session.rollback()

    def upload(upload_id: int, codes: tuple[str, ...]) -> Callable[[], None]:
        def job() -> None:
            for _ in range(8):
                with transaction() as session:
                    rows = [UploadedQuantity(n, hub_id, code, 2, 0) for n, code in enumerate(codes)]
                    assert stock.apply_uploaded(session, session.get(Upload, upload_id), rows) == []
                n_added.append(2 * len(codes))

        return job

    at_once(
        app,
        importing(first, *pages("EXSB")),
        importing(first, *pages("EXSB")),
        importing(second, *pages("DXBA")),
        edit,
        edit,
        upload(uploads[0], CODES),
        upload(uploads[1], CODES[::-1]),
        lambda: [order_holds.release_for_seller(seller.id) for _ in range(6)],
    )

    assert stock_problems() == []
    n_shipped = -sum(
        db.session.scalars(
            select(StockMovement.on_hand_change).where(
                StockMovement.order_id.is_not(None), StockMovement.on_hand_change != 0
            )
        )
    )
    assert n_shipped
    assert sum(db.session.scalars(select(StockLevel.on_hand))) == 30 * len(CODES) + sum(n_added) - n_shipped


def test_two_people_add_the_same_sku_at_once(app: Flask) -> None:
    first, _, _ = two_stores()
    actor, seller_id = factories.make_actor(factories.make_user(first.seller.workspace)), first.seller_id
    hub_id = factories.make_hub(first.seller.workspace).id
    refused: list[str] = []

    def add() -> None:
        try:
            stock.add(actor, seller_id, hub_id, "NEW", "5")
        except FieldRefused as refusal:
            refused.append(refusal.sentence)

    at_once(app, add, add, add)

    assert len(refused) == 2
    assert db.session.scalars(select(StockLevel.on_hand).where(StockLevel.sku_code == "NEW")).all() == [5]
    assert stock_problems() == []


def _upload(workspace_id: int, seller_id: int) -> int:
    upload = Upload(
        workspace_id=workspace_id,
        seller_id=seller_id,
        kind=UploadKind.STOCK,
        stock_mode=StockMode.ADD,
        file_name="stock.csv",
        n_bytes=1,
        sha256="0" * 64,
        uploaded_by_name="Asha",
    )
    db.session.add(upload)
    db.session.commit()
    return upload.id


@pytest.fixture(autouse=True)
def _app(app: Flask) -> Flask:
    return app

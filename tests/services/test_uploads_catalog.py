"""Catalog files, from the file handed in to the listings of the store."""

from decimal import Decimal

import pytest
from sqlalchemy import select

from flexdash import database
from flexdash.database import count_anew
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, OrderState, RowOutcome, UploadChunk, UploadRow, UploadState
from flexdash.services.uploads import deciding, staging
from tests import factories
from tests.support.databases import is_postgres
from tests.support.uploads import (
    applied,
    catalog,
    checked,
    counts,
    fresh,
    many_listings,
    outcomes,
    reasons,
    work,
)

FULL = "sku_code,asin,name,barcode,mrp,weight_g,length_cm,width_cm,height_cm"


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def listing(store, sku_code: str) -> Listing:
    db.session.rollback()
    query = select(Listing).where(Listing.store_id == store.id, Listing.sku_code == sku_code)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def test_a_file_is_compared_row_by_row_before_anything_is_changed(store, actor) -> None:
    factories.make_listing(store, "TEE", "B0TESTTEE1", name="Tee")
    factories.make_listing(store, "MUG", "B0TESTMUG1", name="Mug")
    upload = checked(
        actor,
        store,
        catalog(
            "NEW,B0TESTNEW1,New", "TEE,B0TESTTEE1,Tee", "MUG,B0TESTMUG1,Mug, 300 ml", 'MUG,B0TESTMUG1,"Mug, 300 ml"'
        ),
    )
    assert upload.state is UploadState.CHECKED
    assert counts(upload) == (1, 1, 1, 1)
    assert outcomes(upload.id) == {
        2: RowOutcome.NEW,
        3: RowOutcome.UNCHANGED,
        4: RowOutcome.REFUSED,
        5: RowOutcome.CHANGED,
    }
    assert listing(store, "MUG").name == "Mug"
    assert sorted(db.session.scalars(select(Listing.sku_code))) == ["MUG", "TEE"]


def test_an_applied_file_is_what_the_store_lists(store, actor) -> None:
    factories.make_listing(store, "MUG", "B0TESTMUG1", name="Mug", barcode="890", mrp=Decimal("99"), price=Decimal(50))
    upload = applied(
        actor,
        store,
        catalog(
            "1E5,0012345678,Kettle,08901,1499,250,30.50,20,5",
            'MUG,B0TESTMUG1,"Mug,\n300 ml",,99.00,,,,',
            header=FULL,
        ),
    )
    assert upload.state is UploadState.APPLIED
    assert counts(upload) == (1, 1, 0, 0)
    kettle = listing(store, "1E5")
    assert (kettle.asin, kettle.name, kettle.barcode) == ("0012345678", "Kettle", "08901")
    assert (kettle.mrp, kettle.weight_g, kettle.length_cm, kettle.height_cm) == (1499, 250, Decimal("30.5"), 5)
    assert (kettle.version, kettle.price, kettle.price_message) == (1, None, "")
    mug = listing(store, "MUG")
    assert (mug.name, mug.barcode, mug.mrp, mug.version) == ("Mug, 300 ml", "", 99, 2)
    assert mug.price == 50


def test_columns_that_are_left_out_leave_what_is_stored(store, actor) -> None:
    factories.make_listing(store, "MUG", "B0TESTMUG1", name="Mug", barcode="890", mrp=Decimal("99"), weight_g=300)
    upload = applied(actor, store, b"Name ; ASIN; SKU Code \nBig mug;B0TESTMUG1;MUG\n")
    assert counts(upload) == (0, 1, 0, 0)
    mug = listing(store, "MUG")
    assert (mug.name, mug.barcode, mug.mrp, mug.weight_g) == ("Big mug", "890", 99, 300)


def test_the_same_file_again_changes_nothing(store, actor) -> None:
    content = catalog("TEE,B0TESTTEE1,Tee,890,499,250,30.50,22.50,4", "MUG,B0TESTMUG1,Mug,,,,,,", header=FULL)
    applied(actor, store, content)
    again = checked(actor, store, content)
    assert counts(again) == (0, 0, 2, 0)


def test_a_sku_stands_in_a_file_once(store, actor) -> None:
    upload = applied(
        actor,
        store,
        catalog("A,bad,First", "A,B0TESTAAA2,Second", "B,B0TESTBBB1,B", "A,B0TESTAAA3,Third", "a,B0TESTAAA4,a"),
    )
    assert counts(upload) == (3, 0, 0, 2)
    assert reasons(upload.id)[5] == "The SKU A is already in row 3."
    assert listing(store, "A").name == "Second"


def test_an_mrp_below_the_price_is_refused_at_both_times(store, actor) -> None:
    factories.make_listing(store, "TEE", "B0TESTTEE1", name="Tee", mrp=Decimal("500"), price=Decimal("499.00"))
    factories.make_listing(store, "MUG", "B0TESTMUG1", name="Mug", mrp=Decimal("500"))
    content = catalog(
        "TEE,B0TESTTEE1,Tee,498.99", "MUG,B0TESTMUG1,Mug,100", "NEW,B0TESTNEW1,New,1", header="sku_code,asin,name,mrp"
    )
    upload = checked(actor, store, content)
    assert counts(upload) == (1, 1, 0, 1)
    assert "The selling price in the store is 499.00" in reasons(upload.id)[2]
    mug = listing(store, "MUG")
    mug.price = Decimal("200.00")
    db.session.commit()
    deciding.accept(actor, upload.id)
    upload = work(upload.id)
    assert counts(upload) == (1, 0, 0, 2)
    assert "The selling price in the store is 200.00" in reasons(upload.id)[3]
    assert listing(store, "MUG").mrp == 500


def test_what_was_listed_since_the_check_is_changed_as_the_file_says(store, actor) -> None:
    content = catalog(
        "TEE,B0TESTTEE1,Tee,500", "MUG,B0TESTMUG1,Mug,100", "HAT,B0TESTHAT1,Hat,70", header="sku_code,asin,name,mrp"
    )
    upload = checked(actor, store, content)
    assert counts(upload) == (3, 0, 0, 0)
    factories.make_listing(store, "TEE", "B0TESTTEE9", name="By hand")
    factories.make_listing(store, "HAT", "B0TESTHAT9", name="By hand", price=Decimal("71.00"))
    deciding.accept(actor, upload.id)
    upload = work(upload.id)
    assert (upload.state, upload.n_refused) == (UploadState.APPLIED, 1)
    assert "The selling price in the store is 71.00" in reasons(upload.id)[4]
    assert (listing(store, "TEE").asin, listing(store, "TEE").name, listing(store, "TEE").version) == (
        "B0TESTTEE1",
        "Tee",
        2,
    )
    assert listing(store, "MUG").mrp == 100
    assert listing(store, "HAT").name == "By hand"


def test_the_log_tells_of_it_in_one_sentence(store, actor) -> None:
    upload = applied(actor, store, catalog("TEE,B0TESTTEE1,Tee", "MUG,bad,Mug"))
    event = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()
    assert event.sentence == "Asha applied the catalog file “autumn.csv” to Pune Store: 1 new and 1 refused"
    assert (event.section, event.store_id, event.address) == ("Catalog", store.id, "127.0.0.1")
    assert event.new_value["upload_id"] == upload.id


def test_orders_that_waited_for_the_listing_are_let_go(workspace, seller, store, actor) -> None:
    hub = factories.make_hub(workspace, "PUNE")
    store.is_order_sync_on = True
    factories.make_mapping(store, hub, "PNQ1")
    factories.make_stock(seller, hub, "TEE", 3)
    order = factories.make_order(store, OrderState.ON_HOLD, hub=hub, hold_reason="sku_unknown")
    order.seller_flex_hub_id = "PNQ1"
    order.lines[0].sku_code = "TEE"
    db.session.commit()
    applied(actor, store, catalog("MUG,B0TESTMUG1,Mug"))
    db.session.refresh(order)
    assert order.state is OrderState.ON_HOLD
    applied(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    db.session.refresh(order)
    assert order.state is OrderState.NEW


def test_what_is_not_needed_any_more_is_deleted(store, actor) -> None:
    upload = applied(actor, store, catalog("TEE,B0TESTTEE1,Tee", "MUG,bad,Mug"))
    assert db.session.scalars(select(UploadChunk)).all() == []
    kept = db.session.scalars(select(UploadRow).order_by(UploadRow.row_number)).all()
    assert [(row.row_number, row.outcome) for row in kept] == [(1, None), (3, RowOutcome.REFUSED)]
    assert fresh(upload.id).n_new == 1


@pytest.mark.skipif(not is_postgres(), reason="SQLite plans without counting")
def test_a_sku_of_a_store_just_filled_is_found_by_its_index(actor, store) -> None:
    """PostgreSQL, which had not met the store yet, went through all of it for each row of its second file."""
    others = factories.make_store(store.seller)
    db.session.add_all(
        Listing(workspace_id=store.workspace_id, store_id=others.id, sku_code=f"S{n}", asin=f"B{n:09d}", name="Item")
        for n in range(1_000)
    )
    db.session.commit()
    count_anew("listings")
    applied(actor, store, catalog(*many_listings(1_000)))
    with db.engine.connect() as connection:
        staging.prefer_indexes(connection)
        look_up = select(Listing.asin).where(Listing.store_id == store.id, Listing.sku_code == "SKU-7").limit(1)
        sql = look_up.compile(connection, compile_kwargs={"literal_binds": True})
        plan = connection.exec_driver_sql(f"EXPLAIN {sql}").scalars().all()
    assert any("uq_listings_store_id_sku_code" in line for line in plan), plan


@pytest.mark.skipif(not is_postgres(), reason="SQLite plans without counting")
def test_a_table_that_the_database_is_busy_with_holds_no_upload_up(actor, store, monkeypatch) -> None:
    monkeypatch.setattr(database, "COUNT_PATIENCE_MS", 50)
    with db.engine.connect() as another:
        another.exec_driver_sql("LOCK TABLE listings IN SHARE UPDATE EXCLUSIVE MODE")  # as VACUUM does
        upload = applied(actor, store, catalog(*many_listings(1_000)))
    assert (upload.state, upload.n_new) == (UploadState.APPLIED, 1_000)

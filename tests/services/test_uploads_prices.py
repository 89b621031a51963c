"""Price files, from the file handed in to the prices that wait for Amazon."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, PriceState, RowOutcome, Section, Sync, SyncState, UploadState
from flexdash.services import prices
from flexdash.services.errors import FieldRefused
from flexdash.services.uploads import deciding
from tests import factories
from tests.support.uploads import checked, counts, outcomes, reasons, work

PRICES = "prices"


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def price_file(*rows: str, header: str = "sku_code,selling_price") -> bytes:
    return "\n".join([header, *rows]).encode()


def listing(store, sku_code: str) -> Listing:
    db.session.rollback()
    query = select(Listing).where(Listing.store_id == store.id, Listing.sku_code == sku_code)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def make_listing(store, sku_code: str, price: str | None = None, mrp: str | None = None, **values) -> Listing:
    kept = {"price": Decimal(price) if price else None, "mrp": Decimal(mrp) if mrp else None, **values}
    return factories.make_listing(store, sku_code, **kept)


def test_prices_are_compared_with_those_in_the_store(store, actor) -> None:
    make_listing(store, "FIRST")
    make_listing(store, "SAME", "499.00")
    make_listing(store, "UP", "100.00")
    make_listing(store, "FAR-UP", "100.00")
    make_listing(store, "DOWN", "100.00")
    make_listing(store, "FAR-DOWN", "100.00")
    make_listing(store, "FREE", "0.00")
    make_listing(store, "DEAR", "100.00", mrp="120")
    make_listing(store, "AT-MRP", "100.00", mrp="120")
    upload = checked(
        actor,
        store,
        price_file(
            "FIRST,5",
            "SAME,499",
            "UP,130",
            "FAR-UP,130.01",
            "DOWN,70",
            "FAR-DOWN,69.99",
            "FREE,0.01",
            "DEAR,120.01",
            "AT-MRP,120.00",
            "NOBODY,1",
        ),
        PRICES,
    )
    assert list(outcomes(upload.id).values()) == [
        RowOutcome.NEW,
        RowOutcome.UNCHANGED,
        RowOutcome.CHANGED,
        RowOutcome.BIG_CHANGE,
        RowOutcome.CHANGED,
        RowOutcome.BIG_CHANGE,
        RowOutcome.BIG_CHANGE,
        RowOutcome.REFUSED,
        RowOutcome.CHANGED,
        RowOutcome.REFUSED,
    ]
    assert counts(upload) == (1, 6, 1, 2)
    assert upload.n_big_changes == 3
    said = reasons(upload.id)
    assert said[9].startswith("selling_price: The MRP is 120, and a price cannot be above it.")
    assert said[11].startswith("NOBODY is not in the store's catalog")


def test_big_changes_wait_for_a_word(store, actor) -> None:
    make_listing(store, "TEE", "100.00")
    upload = checked(actor, store, price_file("TEE,10"), PRICES)
    with pytest.raises(FieldRefused) as refusal:
        deciding.accept(actor, upload.id)
    assert refusal.value.field == "is_big_confirmed"
    assert work(upload.id).state is UploadState.CHECKED
    assert deciding.accept(actor, upload.id, is_big_confirmed=True)
    assert work(upload.id).state is UploadState.APPLIED
    assert listing(store, "TEE").price == 10


def test_an_applied_price_waits_for_amazon(store, actor) -> None:
    old = make_listing(store, "TEE", "100.00", price_state=PriceState.REFUSED, price_message="Too low")
    make_listing(store, "MUG", "50.00", price_state=PriceState.APPLIED)
    upload = checked(
        actor, store, price_file("TEE,110,inr", "MUG,50,", header="SKU_CODE,Selling Price,Currency"), PRICES
    )
    deciding.accept(actor, upload.id)
    assert counts(work(upload.id)) == (0, 1, 1, 0)
    tee = listing(store, "TEE")
    assert (tee.price, tee.price_state, tee.price_message) == (110, PriceState.WAITING, "")
    assert tee.version == old.version
    assert tee.version == 2
    assert tee.price_changed_at is not None
    mug = listing(store, "MUG")
    assert (mug.price_state, mug.version) == (PriceState.APPLIED, 1)


def test_the_log_tells_of_it_under_prices(store, actor) -> None:
    make_listing(store, "TEE", "100.00")
    upload = checked(actor, store, price_file("TEE,110", "MUG,5"), PRICES)
    deciding.accept(actor, upload.id)
    work(upload.id)
    event = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()
    assert event.sentence == "Asha applied the price file “autumn.csv” to Pune Store: 1 changed and 1 refused"
    assert (event.section, event.store_id) == (Section.PRICES, store.id)
    assert event.new_value["upload_id"] == upload.id


def test_another_currency_than_the_stores_is_refused(store, actor) -> None:
    make_listing(store, "TEE")
    make_listing(store, "MUG")
    upload = checked(
        actor, store, price_file("TEE,110,USD", "MUG,50,INR", header="sku_code,selling_price,currency"), PRICES
    )
    assert counts(upload) == (1, 0, 0, 1)
    assert "“USD” is not the store's currency. The store sells in INR" in reasons(upload.id)[2]


@pytest.mark.parametrize(
    ("currency", "good", "bad", "words"),
    [
        ("INR", "499.1000", "499.1234", "“499.1234” has more decimals than a price in INR has: 2. Round it."),
        ("AED", "499.10", "499.101", "has more decimals than a price in AED has: 2. Round it."),
        ("JPY", "499.00", "499.1", "has more decimals than a price in JPY has: none. Round it."),
    ],
)
def test_a_price_has_the_decimals_of_its_currency(seller, actor, currency, good, bad, words) -> None:
    store = factories.make_store(seller)
    store.currency = currency
    db.session.commit()
    make_listing(store, "TEE")
    make_listing(store, "MUG")
    upload = checked(actor, store, price_file(f"TEE,{good}", f"MUG,{bad}"), PRICES)
    assert counts(upload) == (1, 0, 0, 1)
    assert words in reasons(upload.id)[3]
    with pytest.raises(FieldRefused) as refusal:
        prices.change(actor, listing(store, "MUG").id, bad, version=1)
    assert (refusal.value.field, words in refusal.value.sentence) == ("price", True)


def test_what_the_catalog_does_not_allow_any_more_is_refused_at_the_last_moment(store, actor) -> None:
    for sku_code in ("TEE", "MUG", "LAMP"):
        make_listing(store, sku_code, "100.00", mrp="200")
    upload = checked(actor, store, price_file("TEE,110", "MUG,110", "LAMP,110"), PRICES)
    deciding.accept(actor, upload.id)
    listing(store, "TEE").mrp = Decimal(105)
    db.session.commit()
    db.session.delete(listing(store, "MUG"))
    db.session.commit()
    upload = work(upload.id)
    assert counts(upload) == (0, 1, 0, 2)
    said = reasons(upload.id)
    assert said[2].startswith("selling_price: The MRP is 105")
    assert said[3].startswith("MUG is not in the store's catalog")
    assert (listing(store, "TEE").price, listing(store, "LAMP").price) == (100, 110)


@pytest.mark.parametrize(
    ("seen", "given", "now", "is_refused"),
    [
        ("100", "110", "1000", True),
        ("100", "110", "120", False),  # changed, and no big step from there
        (None, "110", "1000", True),
        ("100", "10", "90", False),  # within what was confirmed
        ("100", "10", "20", False),
        ("100", "10", "1000", True),
        ("100", "10", "5", True),
        ("100", "200", "150", False),
        ("100", "200", "50", True),
        ("100", "200", None, False),
        ("1000", "99", "999.99", False),
    ],
)
def test_a_price_changed_since_the_check_is_held_against_thirty_percent_again(
    store, actor, seen, given, now, is_refused
) -> None:
    make_listing(store, "TEE", seen)
    make_listing(store, "MUG", "50")
    upload = checked(actor, store, price_file(f"TEE,{given}", "MUG,51"), PRICES)
    deciding.accept(actor, upload.id, is_big_confirmed=True)
    listing(store, "TEE").price = Decimal(now) if now else None
    db.session.commit()
    upload = work(upload.id)
    assert (upload.state, upload.n_refused) == (UploadState.APPLIED, is_refused)
    assert listing(store, "TEE").price == Decimal(now if is_refused else given)
    assert listing(store, "MUG").price == 51
    if is_refused:
        was = f"The price was {seen}" if seen else "There was no price"
        said = reasons(upload.id)[2].replace(".00", "")
        assert said.startswith(f"selling_price: {was} when the file was checked and is {now} now: this would")


def test_applied_prices_start_a_push_with_the_next_tick(store, actor) -> None:
    make_listing(store, "TEE", "100.00")
    later = clock.now() + timedelta(minutes=9)
    state = SyncState(
        workspace_id=store.workspace_id, store_id=store.id, sync=Sync.PRICE_PUSH, next_due_at=later, on_since=later
    )
    db.session.add(state)
    db.session.commit()
    upload = checked(actor, store, price_file("TEE,110"), PRICES)
    assert state.next_due_at == later
    deciding.accept(actor, upload.id)
    work(upload.id)
    db.session.refresh(state)
    assert state.next_due_at is None


def test_two_price_files_and_edits_at_once_do_not_wait_in_a_circle(app, seller, store, actor) -> None:
    codes = [f"SKU-{n}" for n in range(300)]
    for sku_code in codes:
        make_listing(store, sku_code, "100.00")
    there = work_prepared(actor, store, [f"{code},110" for code in codes])
    back = [f"{code},B0TESTTEE1,New" for code in reversed(codes)]
    catalog_id = checked(actor, store, "\n".join(["sku_code,asin,name", *back]).encode()).id
    deciding.accept(actor, catalog_id)
    db.session.rollback()
    raised = []

    def run(upload_id: int) -> None:
        with app.app_context():
            try:
                work(upload_id)
            except Exception as error:
                raised.append(error)

    threads = [threading.Thread(target=run, args=(upload_id,)) for upload_id in (there, catalog_id)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert raised == []
    db.session.rollback()
    found = select(Listing.price, Listing.asin).where(Listing.store_id == store.id).distinct()
    assert db.session.execute(found).all() == [(Decimal("110.00"), "B0TESTTEE1")]


def work_prepared(actor, store, rows: list[str]) -> int:
    upload = checked(actor, store, price_file(*rows), PRICES)
    deciding.accept(actor, upload.id)
    return upload.id

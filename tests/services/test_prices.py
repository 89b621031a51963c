"""Prices as people set them: one changed, refused ones sent again, the export, and when the next push is."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, PriceState, Role, RunState, Section, Store, Sync, SyncState
from flexdash.services import price_queries, price_rows, prices
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.price_queries import Filters, Only
from flexdash.services.syncs import FACTS
from flexdash.services.uploads import deciding
from tests import factories
from tests.support import uploads


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def asha(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def priced(store, sku_code="MUG-STD", price="499.00", state=PriceState.APPLIED, **values):
    facts = {"price": Decimal(price), "price_state": state, "price_changed_at": clock.now() - timedelta(hours=1)}
    return factories.make_listing(store, sku_code, **{**facts, **values})


def events(store):
    return list(
        db.session.scalars(select(ConfigEvent).where(ConfigEvent.store_id == store.id).order_by(ConfigEvent.id))
    )


def due(store):
    return db.session.scalars(
        select(SyncState).where(SyncState.store_id == store.id, SyncState.sync == Sync.PRICE_PUSH)
    ).one_or_none()


# Changing one ---------------------------------------------------------------------------------------------------------


def test_a_changed_price_waits_and_is_logged_in_the_same_transaction(store, asha):
    listing = priced(store, price_message="old words")
    changed = prices.change(asha, listing.id, " 529.5 ", version=1, reason="festival")
    assert (changed.price, changed.price_state, changed.price_message) == (Decimal("529.50"), PriceState.WAITING, "")
    assert changed.version == 2
    assert clock.now() - changed.price_changed_at < timedelta(seconds=10)
    [event] = events(store)
    assert event.section is Section.PRICES
    assert event.sentence == "Asha changed the price of MUG-STD in Pune Store from 499.00 to 529.50 INR"
    assert (event.old_value["price"], event.new_value["price"]) == ("499.00", "529.50")
    assert event.reason == "festival"
    assert due(store).next_due_at is None, "the next tick makes it due"


def test_a_first_price_is_set(store, asha):
    listing = factories.make_listing(store, "MUG-STD")
    prices.change(asha, listing.id, "499", version=1)
    assert events(store)[0].sentence == "Asha set the price of MUG-STD in Pune Store to 499.00 INR"


def test_the_same_price_changes_nothing_unless_amazon_refused_it(store, asha):
    listing = priced(store)
    assert prices.change(asha, listing.id, "499.00", version=1).version == 1
    assert events(store) == []
    refused = priced(store, "LAMP", state=PriceState.REFUSED)
    assert prices.change(asha, refused.id, "499.00", version=1).price_state is PriceState.WAITING
    assert events(store)[0].sentence == "Asha sent the refused price of LAMP in Pune Store to Amazon again"


@pytest.mark.parametrize("state", [PriceState.WAITING, PriceState.SENT])
def test_the_same_price_on_its_way_is_left_on_it(store, asha, state):
    listing = priced(store, state=state)
    assert prices.change(asha, listing.id, "499.00", version=1).price_state is state


def test_a_price_above_the_known_mrp_is_refused(store, asha):
    listing = priced(store, mrp=Decimal("500.00"))
    with pytest.raises(FieldRefused) as caught:
        prices.change(asha, listing.id, "500.01", version=1)
    assert caught.value.field == "price"
    assert "The MRP is 500.00 INR" in caught.value.sentence
    assert prices.change(asha, listing.id, "500.00", version=1).price == Decimal("500.00")


@pytest.mark.parametrize(
    "text", ["", "  ", "free", "-5", "0", "0.00", "1,299.00", "1e3", "12.34567", "12.345", "99999999999"]
)
def test_what_is_no_price_is_refused_with_a_sentence(store, asha, text):
    listing = priced(store)
    with pytest.raises(FieldRefused) as caught:
        prices.change(asha, listing.id, text, version=1)
    assert caught.value.field == "price"
    assert caught.value.sentence.endswith(".")


def test_a_form_made_before_anothers_change_is_refused_and_names_it(store, asha, workspace):
    ravi = factories.make_actor(factories.make_user(workspace, name="Ravi"))
    listing = priced(store)
    prices.change(ravi, listing.id, "450.00", version=1)
    with pytest.raises(ChangedByOther) as caught:
        prices.change(asha, listing.id, "529.50", version=1)
    assert "Ravi changed the price of MUG-STD" in caught.value.sentence
    assert db.session.get(Listing, listing.id).price == Decimal("450.00")


def test_support_and_strangers_change_nothing(store, workspace):
    listing = priced(store, state=PriceState.REFUSED)
    support = factories.make_actor(factories.make_user(workspace, Role.SUPPORT))
    stranger = factories.make_actor(factories.make_user(factories.make_workspace(), Role.ADMIN))
    limited = factories.make_actor(factories.make_user(workspace, sellers=[factories.make_seller(workspace)]))
    for actor, refusal in ((support, NotAllowed), (stranger, NotVisible), (limited, NotVisible)):
        with pytest.raises(refusal):
            prices.change(actor, listing.id, "5", version=1)
        with pytest.raises(refusal):
            prices.send_again(actor, listing.id)
        with pytest.raises(refusal):
            prices.send_all_again(actor, store.id)
    assert events(store) == []


def test_a_draft_has_no_prices(seller, asha):
    draft = factories.make_store(seller, "draft")
    listing = factories.make_listing(draft)
    with pytest.raises(ServiceError):
        prices.change(asha, listing.id, "5", version=1)


@pytest.mark.parametrize(("price", "asks"), [("649.09", False), ("649.10", True), ("349.50", True), ("349.51", False)])
def test_a_change_by_more_than_thirty_percent_is_asked_about(store, price, asks):
    listing = priced(store, price="499.30")
    assert bool(prices.big_change(listing, price)) is asks
    assert prices.big_change(factories.make_listing(store), price) == ""


def test_an_applied_file_of_prices_starts_a_push_with_the_next_tick(store, asha):
    priced(store)
    later = clock.now() + timedelta(minutes=9)
    state = SyncState(workspace_id=store.workspace_id, store_id=store.id, sync=Sync.PRICE_PUSH, next_due_at=later)
    db.session.add(state)
    db.session.commit()
    upload = uploads.checked(asha, store, b"sku_code,selling_price\nMUG-STD,510\n", "prices")
    deciding.accept(asha, upload.id)
    uploads.work(upload.id)
    db.session.expire_all()
    assert db.session.scalar(select(Listing.price_state)) is PriceState.WAITING
    assert due(store).next_due_at is None


# Sending again --------------------------------------------------------------------------------------------------------


def test_a_refused_price_is_sent_again_once(store, asha):
    listing = priced(store, state=PriceState.REFUSED, price_message="Too high. (X)")
    again = prices.send_again(asha, listing.id)
    assert (again.price_state, again.price_message, again.version) == (PriceState.WAITING, "", 2)
    with pytest.raises(ServiceError, match="not refused any more"):
        prices.send_again(asha, listing.id)
    assert len(events(store)) == 1


def test_a_price_that_amazon_showed_once_can_be_sent_again(store, asha):
    listing = priced(store, state=PriceState.APPLIED)
    assert prices.send_again(asha, listing.id).price_state is PriceState.WAITING
    assert events(store)[0].sentence == "Asha sent the price of MUG-STD in Pune Store to Amazon again"


def test_all_refused_prices_of_the_store_are_sent_again(store, seller, asha):
    for n in range(3):
        priced(store, f"R-{n}", state=PriceState.REFUSED)
    applied = priced(store, "A")
    other = priced(factories.make_store(seller), "R-9", state=PriceState.REFUSED)
    assert prices.send_all_again(asha, store.id) == 3
    waiting = select(func.count()).where(Listing.store_id == store.id, Listing.price_state == PriceState.WAITING)
    assert db.session.scalar(waiting) == 3
    db.session.expire_all()
    assert (applied.price_state, other.price_state) == (PriceState.APPLIED, PriceState.REFUSED)
    assert events(store)[0].sentence == "Asha sent all 3 refused prices of Pune Store to Amazon again"
    with pytest.raises(ServiceError, match="nothing to send again"):
        prices.send_all_again(asha, store.id)


# Reading --------------------------------------------------------------------------------------------------------------


def test_the_list_is_narrowed_by_state_and_by_the_beginning_of_the_sku(store, asha):
    factories.make_listing(store, "NONE-1")
    for n, state in enumerate((PriceState.WAITING, PriceState.SENT, PriceState.APPLIED, PriceState.REFUSED)):
        priced(store, f"P%-{n}", state=state)
    priced(factories.make_store(store.seller), "P%-9")

    def found(**filters):
        query = price_queries.of_store(asha, store, Filters(**filters))
        return sorted(listing.sku_code for listing in db.session.scalars(query))

    assert found() == ["NONE-1", "P%-0", "P%-1", "P%-2", "P%-3"]
    assert found(only=Only.UNDER_WAY) == ["P%-0", "P%-1"]
    assert found(only=Only.WAITING) == ["P%-0"]
    assert found(only=Only.SENT) == ["P%-1"]
    assert found(only=Only.APPLIED) == ["P%-2"]
    assert found(only=Only.REFUSED) == ["P%-3"]
    assert found(text="P%") == ["P%-0", "P%-1", "P%-2", "P%-3"]
    assert found(text="P%-2", only=Only.APPLIED) == ["P%-2"]
    assert found(text="p%") == []


@pytest.mark.parametrize("only", [None, *Only])
def test_every_list_is_read_along_an_index(store, asha, only):
    query = price_queries.of_store(asha, store, Filters(only=only)).order_by(Listing.sku_code).limit(51)
    plan = index_of(query)
    assert "USING INDEX" in plan
    assert "TEMP B-TREE" not in plan


def index_of(query) -> str:
    """How SQLite would read what the query asks for."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a table of a few rows as a whole")
    compiled = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    return "\n".join(row[-1] for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}"))


@pytest.mark.parametrize("only", [Only.WAITING, Only.SENT, Only.APPLIED, Only.REFUSED])
def test_counting_few_among_many_reads_the_few(store, only):
    assert "USING INDEX ix_listings_price_" in index_of(price_queries._counted(store, only))


def test_a_tick_and_a_push_look_at_what_is_under_way_alone(store):
    for query in (
        select(Store.id).where(FACTS[Sync.PRICE_PUSH].has_work()),
        price_rows._waiting(store.id),
        price_rows._columns().where(*price_rows._is_under_way(store.id)),
    ):
        assert "INDEX ix_listings_price_under_way" in index_of(query)


def test_the_export_has_the_templates_columns_and_the_state(store):
    priced(store, "B", "499.50", PriceState.REFUSED, price_message="Too high. (X)")
    priced(store, "A", "1E+3")
    factories.make_listing(store, "NO-PRICE")
    assert price_queries.EXPORT_HEADINGS[:3] == ("sku_code", "selling_price", "currency")
    assert list(price_queries.export_rows(store)) == [
        ("A", "1000", "INR", "applied", ""),
        ("B", "499.50", "INR", "refused", "Too high. (X)"),
    ]
    assert [row[0] for row in price_queries.export_rows(store, Only.REFUSED)] == ["B"]


def test_the_export_goes_on_where_a_portion_ends(store, monkeypatch):
    monkeypatch.setattr(price_queries, "ROWS_AT_A_TIME", 3)
    codes = sorted(f"S-{n:02d}" for n in range(10))
    for code in codes:
        priced(store, code)
    assert [row[0] for row in price_queries.export_rows(store)] == codes


def test_the_next_push_is_said_in_a_sentence(store, seller):
    assert "goes within a minute" in price_queries.standing(store).next_push
    priced(store, state=PriceState.WAITING)
    assert "starts within a minute" in price_queries.standing(store).next_push
    soon = clock.now() + timedelta(minutes=7)
    db.session.add(
        SyncState(workspace_id=store.workspace_id, store_id=store.id, sync=Sync.PRICE_PUSH, next_due_at=soon)
    )
    db.session.commit()
    standing = price_queries.standing(store)
    assert (standing.next_push, standing.next_push_at) == ("The next push is", soon)
    run = factories.make_run(store, RunState.QUEUED, sync=Sync.PRICE_PUSH, retry_at=soon)
    assert "tried again by itself" in price_queries.standing(store).next_push
    run.state, run.progress = RunState.RUNNING, "Sending prices one by one: 3 of 9 are through."
    db.session.commit()
    assert price_queries.standing(store).next_push.endswith("3 of 9 are through.")
    away = factories.make_store(seller, "disconnected")
    assert "connected to Amazon again" in price_queries.standing(away).next_push


def test_counts_are_bounded(store, monkeypatch):
    monkeypatch.setattr(price_queries, "COUNTED_AT_MOST", 2)
    for n in range(3):
        priced(store, f"R-{n}", state=PriceState.REFUSED)
    priced(store, "A")
    counts = price_queries.standing(store).counts
    assert (counts[Only.REFUSED], counts[Only.APPLIED], counts[Only.WAITING]) == (2, 1, 0)

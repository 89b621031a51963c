"""One listing by hand: added, changed and removed, each with its row in the Configuration Log; and the catalog read."""

from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flexdash import clock
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, PriceState, PublishedStock, PushState, Role, Section, Store
from flexdash.services import config_log, csv_export, listing_queries, listings
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.listing_queries import Filters, Only
from tests import factories

VALUES = {"asin": "B0CX23V2ZK", "name": "T-shirt, black", "mrp": "799"}


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def asha(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


def last_event() -> ConfigEvent:
    return db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.sequence.desc()).limit(1)).one()


def values_of(listing: Listing, **changed: str) -> dict[str, str]:
    return {**listings.typed(listing), **changed}


def publish(store: Store, sku_code: str, location: str, state: PushState | None = PushState.ACCEPTED, **values):
    row = PublishedStock(
        workspace_id=store.workspace_id,
        store_id=store.id,
        seller_flex_hub_id=location,
        sku_code=sku_code,
        state=state,
        **values,
    )
    db.session.add(row)
    db.session.commit()
    return row


def codes(actor, store, filters: Filters, **args: str) -> list[str]:
    query, walked = listing_queries.of_store(actor, store, filters)
    if filters.only is Only.NO_PRICE:
        query = query.where(listing_queries.HAS_NO_PRICE)
    page = keyset_page(query, [(Listing.sku_code, "asc")], args, index=None if walked is None else [walked])
    return [listing.sku_code for listing in page.items]


# Adding ---------------------------------------------------------------------------------------------------------------


def test_a_listing_is_added_with_its_row_in_the_log(asha, store) -> None:
    added = listings.add(asha, store.id, " TEE-BLK-M ", {**VALUES, "weight_g": "250", "length_cm": "30.5"}, "New item")
    kept = db.session.get(Listing, added.id)
    assert (kept.sku_code, kept.asin, kept.name) == ("TEE-BLK-M", "B0CX23V2ZK", "T-shirt, black")
    assert (kept.mrp, kept.weight_g, kept.length_cm, kept.width_cm) == (Decimal("799.00"), 250, Decimal("30.5"), None)
    assert (kept.price, kept.price_state, kept.version) == (None, PriceState.NONE, 1)
    event = last_event()
    assert event.section is Section.CATALOG
    assert event.sentence == "Asha added TEE-BLK-M with the ASIN B0CX23V2ZK to the catalog of Pune Store"
    assert event.new_value["asin"] == "B0CX23V2ZK"
    assert event.new_value["mrp"] == "799.00"
    assert "barcode" not in event.new_value
    assert event.reason == "New item"


def test_an_asin_and_a_sku_stay_text(asha, store) -> None:
    added = listings.add(asha, store.id, "1E5", {**VALUES, "asin": "0012345678"})
    assert (added.sku_code, added.asin) == ("1E5", "0012345678")


@pytest.mark.parametrize(
    ("sku_code", "values", "field"),
    [
        ("", {}, "sku_code"),
        ("x" * 101, {}, "sku_code"),
        ("TEE", {"asin": ""}, "asin"),
        ("TEE", {"asin": "B0CX23V2Z"}, "asin"),
        ("TEE", {"name": " "}, "name"),
        ("TEE", {"mrp": "7,99"}, "mrp"),
        ("TEE", {"mrp": "-1"}, "mrp"),
        ("TEE", {"weight_g": "1.5"}, "weight_g"),
        ("TEE", {"height_cm": "tall"}, "height_cm"),
        ("TEE", {"barcode": "x" * 51}, "barcode"),
    ],
)
def test_what_cannot_be_kept_is_refused_beside_its_field(asha, store, sku_code, values, field) -> None:
    with pytest.raises(FieldRefused) as refusal:
        listings.add(asha, store.id, sku_code, {**VALUES, **values})
    assert refusal.value.field == field
    assert refusal.value.sentence
    assert db.session.scalar(select(Listing.id)) is None
    assert db.session.scalar(select(ConfigEvent.id)) is None


def test_a_sku_is_in_a_catalog_once_and_capitals_differ(asha, store, seller) -> None:
    listings.add(asha, store.id, "TEE", VALUES)
    with pytest.raises(FieldRefused, match="has the SKU TEE already"):
        listings.add(asha, store.id, "TEE", VALUES)
    listings.add(asha, store.id, "tee", VALUES)
    listings.add(asha, factories.make_store(seller).id, "TEE", VALUES)


def test_a_draft_has_no_catalog(asha, seller) -> None:
    draft = factories.make_store(seller, "draft")
    with pytest.raises(ServiceError, match="not connected yet"):
        listings.add(asha, draft.id, "TEE", VALUES)


# Changing -------------------------------------------------------------------------------------------------------------


def test_a_change_is_logged_with_old_and_new(asha, store) -> None:
    listing = factories.make_listing(store, "TEE", "B0CX23V2ZK", name="Tee", barcode="8901", mrp=Decimal("799.00"))
    changed = listings.change(
        asha,
        store.id,
        listing.id,
        values_of(listing, name="T-shirt", mrp="899", weight_g="250", barcode=""),
        version=1,
        reason="Typo",
    )
    assert (changed.name, changed.mrp, changed.weight_g, changed.barcode) == ("T-shirt", Decimal("899.00"), 250, "")
    assert changed.version == 2
    event = last_event()
    assert event.sentence == (
        "Asha changed TEE in the catalog of Pune Store: name from “Tee” to “T-shirt”, barcode from “8901” to nothing, "
        "MRP from 799.00 to 899.00 and weight from nothing to 250 g"
    )
    assert event.old_value == {
        "sku_code": "TEE",
        "listing_id": listing.id,
        "name": "Tee",
        "barcode": "8901",
        "mrp": "799.00",
        "weight_g": "",
    }
    assert event.new_value["mrp"] == "899.00"
    assert event.reason == "Typo"


def test_nothing_changed_is_not_logged(asha, store) -> None:
    listing = factories.make_listing(store, mrp=Decimal("799.00"))
    same = listings.change(asha, store.id, listing.id, values_of(listing, mrp="799"), version=1)
    assert same.version == 1
    assert db.session.scalar(select(ConfigEvent.id)) is None


def test_an_mrp_below_the_price_is_refused(asha, store) -> None:
    listing = factories.make_listing(store, mrp=Decimal("799.00"), price=Decimal("599.00"))
    with pytest.raises(FieldRefused, match=r"selling price is 599\.00 INR") as refusal:
        listings.change(asha, store.id, listing.id, values_of(listing, mrp="598.99"), version=1)
    assert refusal.value.field == "mrp"
    listings.change(asha, store.id, listing.id, values_of(listing, mrp="599"), version=1)


def test_another_value_may_change_while_an_old_mrp_is_below_the_price(asha, store) -> None:
    listing = factories.make_listing(store, mrp=Decimal("500.00"), price=Decimal("599.00"))
    assert listings.change(asha, store.id, listing.id, values_of(listing, name="New"), version=1).name == "New"


def test_a_form_made_before_somebody_elses_change_is_refused(workspace, asha, store) -> None:
    listing = factories.make_listing(store, "TEE", name="Tee")
    ravi = factories.make_actor(factories.make_user(workspace, name="Ravi"))
    listings.change(ravi, store.id, listing.id, values_of(listing, name="Ravi's tee"), version=1)
    with pytest.raises(ChangedByOther, match="Ravi changed TEE") as refusal:
        listings.change(asha, store.id, listing.id, values_of(listing, name="Asha's tee"), version=1)
    assert refusal.value.event.actor_name == "Ravi"
    with pytest.raises(ChangedByOther):
        listings.remove(asha, store.id, listing.id, version=1)
    assert db.session.get(Listing, listing.id).name == "Ravi's tee"


def test_a_change_by_an_upload_is_not_laid_at_somebodys_door(workspace, asha, store) -> None:
    listing = factories.make_listing(store, "TEE", name="Tee")
    ravi = factories.make_actor(factories.make_user(workspace, name="Ravi"))
    listings.change(ravi, store.id, listing.id, values_of(listing, name="Ravi's tee"), version=1)
    listing.version, listing.changed_at = 3, clock.now()  # as an upload does, for many at once
    db.session.commit()
    with pytest.raises(ChangedByOther) as refusal:
        listings.change(asha, store.id, listing.id, values_of(listing, name="Asha's tee"), version=2)
    assert refusal.value.event is None
    assert "Ravi" not in refusal.value.sentence


def test_a_listing_of_another_store_is_not_there(asha, store, seller) -> None:
    other = factories.make_listing(factories.make_store(seller))
    with pytest.raises(NotVisible):
        listings.change(asha, store.id, other.id, values_of(other, name="x"), version=1)
    with pytest.raises(NotVisible):
        listings.remove(asha, store.id, other.id, version=1)
    with pytest.raises(NotVisible):
        listing_queries.get(asha, store.id, other.id)


def test_support_changes_nothing(workspace, store) -> None:
    support = factories.make_actor(factories.make_user(workspace, Role.SUPPORT))
    listing = factories.make_listing(store)
    for change in (
        lambda: listings.add(support, store.id, "TEE", VALUES),
        lambda: listings.change(support, store.id, listing.id, VALUES, version=1),
        lambda: listings.remove(support, store.id, listing.id, version=1),
    ):
        with pytest.raises(NotAllowed):
            change()


# Removing -------------------------------------------------------------------------------------------------------------


def test_a_removed_listing_leaves_its_values_in_the_log(asha, store) -> None:
    listing = factories.make_listing(store, "TEE", "B0CX23V2ZK", name="Tee", mrp=Decimal("799.00"))
    assert listings.remove(asha, store.id, listing.id, version=1, reason="Sold out for good") == "TEE"
    assert db.session.scalar(select(Listing.id)) is None
    event = last_event()
    assert event.sentence == "Asha removed TEE from the catalog of Pune Store"
    assert event.old_value["asin"] == "B0CX23V2ZK"
    assert event.old_value["mrp"] == "799.00"
    assert event.new_value == {}


def test_a_change_and_its_row_are_one(asha, store, monkeypatch) -> None:
    listing = factories.make_listing(store, name="Tee")

    def fail(*_values, **_names):
        raise RuntimeError("the log is away")

    monkeypatch.setattr(config_log, "record", fail)
    for change in (
        lambda: listings.add(asha, store.id, "NEW", VALUES),
        lambda: listings.change(asha, store.id, listing.id, values_of(listing, name="x"), version=1),
        lambda: listings.remove(asha, store.id, listing.id, version=1),
    ):
        with pytest.raises(RuntimeError, match="the log is away"):
            change()
    assert [kept.name for kept in db.session.scalars(select(Listing))] == ["Tee"]


# Reading --------------------------------------------------------------------------------------------------------------


def test_a_listing_is_found_by_the_beginning_of_its_sku(asha, store, seller) -> None:
    for code in ("TEE-1", "TEE-2", "TEE_1", "tee-3", "MUG"):
        factories.make_listing(store, code)
    factories.make_listing(factories.make_store(seller), "TEE-9")
    assert codes(asha, store, Filters(text="TEE-")) == ["TEE-1", "TEE-2"]
    assert codes(asha, store, Filters(text="TEE_")) == ["TEE_1"]
    assert codes(asha, store, Filters(text="%")) == []
    assert codes(asha, store, Filters()) == ["MUG", "TEE-1", "TEE-2", "TEE_1", "tee-3"]


def test_a_listing_is_found_by_its_whole_asin_or_barcode(asha, store) -> None:
    factories.make_listing(store, "A", "B0CX23V2ZK", barcode="8901234567890")
    factories.make_listing(store, "B", "B0CX23V2ZK")
    factories.make_listing(store, "B0CX23V2ZK-SPARE", "B000000000")
    assert codes(asha, store, Filters(text="b0cx23v2zk")) == ["A", "B"]
    assert codes(asha, store, Filters(text="B0CX23V2ZK")) == ["A", "B", "B0CX23V2ZK-SPARE"]
    assert codes(asha, store, Filters(text="8901234567890")) == ["A"]
    assert codes(asha, store, Filters(text="890123456789")) == []
    assert codes(asha, store, Filters(text="B0CX23V2Z ")) == ["B0CX23V2ZK-SPARE"]


def test_the_list_is_narrowed_to_what_is_wrong(asha, store) -> None:
    for code in ("A", "B", "C", "D"):
        factories.make_listing(store, code)
    for code, state in (("B", PriceState.REFUSED), ("C", PriceState.APPLIED)):
        listing = db.session.scalars(select(Listing).where(Listing.sku_code == code)).one()
        listing.price, listing.price_state = Decimal("5.00"), state
    db.session.commit()
    publish(store, "A", "EXSB")
    publish(store, "C", "EXSB", PushState.REFUSED, error_message="INVALID_SKU")
    publish(store, "C", "PNQ1", PushState.REFUSED, error_message="INVALID_SKU")
    publish(store, "D", "PNQ1", PushState.REFUSED, error_message="INVALID_SKU")
    publish(store, "GONE", "PNQ1", PushState.REFUSED)  # its listing was removed
    assert codes(asha, store, Filters(only=Only.REFUSED_STOCK)) == ["C", "D"]
    assert codes(asha, store, Filters(only=Only.REFUSED_STOCK, text="D")) == ["D"]
    assert codes(asha, store, Filters(only=Only.NO_PRICE)) == ["A", "D"]
    assert codes(asha, store, Filters(only=Only.REFUSED_PRICE)) == ["B"]


def test_pages_of_refused_listings_follow_each_other(asha, store) -> None:
    for n in range(5):
        factories.make_listing(store, f"S{n}")
        for location in ("EXSB", "PNQ1"):
            publish(store, f"S{n}", location, PushState.REFUSED)
    query, walked = listing_queries.of_store(asha, store, Filters(only=Only.REFUSED_STOCK))
    seen, args = [], {}
    for _ in range(3):
        page = keyset_page(query, [(Listing.sku_code, "desc")], Args(args), size=2, index=[walked])
        seen += [listing.sku_code for listing in page.items]
        args = {"page": page.next_url.split("page=")[1]} if page.next_url else {}
    assert seen == ["S4", "S3", "S2", "S1", "S0"]


def test_what_amazon_was_told_is_added_up_over_the_locations(store) -> None:
    now = clock.now()
    listed = [factories.make_listing(store, code) for code in ("A", "B", "C", "D")]
    publish(store, "A", "EXSB", quantity=5, sent_at=now, accepted_at=now)
    publish(store, "A", "PNQ1", quantity=7, sent_at=now, accepted_at=now)
    publish(store, "B", "EXSB", PushState.REFUSED, quantity=3, sent_at=now, error_message="Unknown SKU")
    publish(store, "C", "EXSB", None, amazon_sellable=4, fetched_at=now)
    told = listing_queries.pushed(store, listed)
    assert (told["A"].quantity, told["A"].sent_at, told["A"].refusals) == (12, now, ())
    assert told["B"].quantity == 3
    assert [(refusal.seller_flex_hub_id, refusal.words) for refusal in told["B"].refusals] == [("EXSB", "Unknown SKU")]
    assert told.keys() == {"A", "B"}


def test_a_listings_stock_stands_beside_what_amazon_was_told(workspace, seller, store) -> None:
    listing = factories.make_listing(store, "TEE")
    pune, blr, dxb = (factories.make_hub(workspace, name=name) for name in ("Pune", "Bengaluru", "Dubai"))
    factories.make_mapping(store, pune, "EXSB")
    factories.make_mapping(store, blr, "BLR2", is_active=False)
    factories.make_stock(seller, pune, "TEE", 10, 3)
    factories.make_stock(seller, dxb, "TEE", 4)
    factories.make_stock(factories.make_seller(workspace), pune, "TEE", 99)
    publish(store, "TEE", "EXSB", quantity=7)
    publish(store, "TEE", "OLD1", quantity=2)
    publish(store, "TEE", "exsb", quantity=1)  # to Amazon another location
    rows = listing_queries.stock(store, listing)
    assert [
        (
            row.hub and row.hub.name,
            row.seller_flex_hub_id,
            row.level and row.level.available,
            row.published and row.published.quantity,
            row.is_pushed_to,
        )
        for row in rows
    ] == [
        ("Bengaluru", "BLR2", None, None, False),
        ("Dubai", "", 4, None, False),
        ("Pune", "EXSB", 7, 7, True),
        (None, "OLD1", None, 2, False),
        (None, "exsb", None, 1, False),
    ]


def test_the_export_has_every_listing_and_runs_no_formula(store, monkeypatch) -> None:
    monkeypatch.setattr(listing_queries, "ROWS_AT_A_TIME", 2)
    factories.make_listing(
        store, "=1+1", "0012345678", name="@SUM(A1)", barcode="0890", mrp=Decimal("1299.50"), weight_g=250
    )
    for code in ("1E5", "A", "B", "C"):
        factories.make_listing(store, code, length_cm=Decimal("30.5"))
    lines = list(csv_export.lines(listing_queries.EXPORT_HEADINGS, listing_queries.export_rows(store)))
    assert lines[0].strip("\ufeff\r\n") == "sku_code,asin,name,barcode,mrp,weight_g,length_cm,width_cm,height_cm"
    by_sku = {line.split(",")[0]: line for line in lines[1:]}
    assert by_sku.keys() == {"'=1+1", "1E5", "A", "B", "C"}
    assert by_sku["'=1+1"] == "'=1+1,0012345678,'@SUM(A1),0890,1299.50,250,,,\r\n"
    assert by_sku["A"].endswith(",,,30.5,,\r\n")


class Args(dict):
    """A query string as Werkzeug gives it, as far as paging reads it."""

    def items(self, multi: bool = False):
        """Return the pairs."""
        return super().items()


def test_a_listing_is_of_the_workspace_of_its_store(store) -> None:
    other = factories.make_workspace()
    db.session.add(Listing(workspace_id=other.id, store_id=store.id, sku_code="TEE", asin="B0TESTTEE1", name="Tee"))
    with pytest.raises(IntegrityError):
        db.session.commit()
    db.session.rollback()

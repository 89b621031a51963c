"""What orders do to stock: reserved, released and taken off once, or held with every reason."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import event, select

from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    Acknowledgement,
    HoldReason,
    Hub,
    Order,
    OrderCancellation,
    OrderState,
    OrderStock,
    StockCause,
    StockLevel,
    StockMovement,
    Store,
)
from flexdash.services import order_holds, stock
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.order_import import Counts, OrderImporter
from flexdash.services.order_pages import read_page
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.shipments import START, cancelled, raw_shipment


@pytest.fixture
def store(app: Flask) -> Store:
    workspace = factories.make_workspace()
    return factories.make_store(factories.make_seller(workspace, "Sunrise"))


@pytest.fixture
def hub(store: Store) -> Hub:
    hub = factories.make_hub(store.seller.workspace, name="Pune Warehouse")
    factories.make_mapping(store, hub, "EXSB")
    return hub


def write(store: Store, *raw_shipments: object) -> Counts:
    """Write the shipments as one page."""
    importer = OrderImporter(workspace_id=store.workspace_id, store_id=store.id, run_id=None, vault=vault)
    page = read_page(raw_shipments, vault)
    with transaction():
        return importer.write(page)


def the_order(shipment_id: str) -> Order:
    db.session.rollback()
    return db.session.scalars(select(Order).where(Order.amazon_shipment_id == shipment_id)).one()


def stock_of(sku_code: str, hub: Hub | None = None) -> tuple[int, int]:
    """Return (on hand, reserved)."""
    db.session.rollback()
    query = select(StockLevel).where(StockLevel.sku_code == sku_code)
    if hub is not None:
        query = query.where(StockLevel.hub_id == hub.id)
    level = db.session.scalars(query.execution_options(populate_existing=True)).one()
    return level.on_hand, level.reserved


def ledger() -> list[tuple[StockCause, int, int]]:
    rows = db.session.scalars(select(StockMovement).order_by(StockMovement.id))
    return [(row.cause, row.on_hand_change, row.reserved_change) for row in rows if row.order_id]


def reasons(order: Order) -> dict[HoldReason, str]:
    return {hold.reason: hold.detail for hold in order.holds}


def later(raw: dict, status: str, minutes: int = 60, **changes: object) -> dict:
    at = (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return raw | {"status": status, "lastUpdatedDateTime": at} | changes


def with_units(raw: dict, *units: int) -> dict:
    lines = [line | {"numberOfUnits": n} for line, n in zip(raw["lineItems"], units, strict=True)]
    return raw | {"lineItems": lines}


def created(raw: dict, minutes: int) -> dict:
    return raw | {"creationDateTime": (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")}


# Coming in ------------------------------------------------------------------------------------------------------------


def test_a_new_order_reserves_all_its_lines_at_its_hub(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", "MUG", on_hand=5)

    write(store, with_units(raw_shipment("D1", sku_codes=("TEE", "MUG", "TEE")), 1, 2, 3))

    order = the_order("D1")
    assert (order.state, order.stock) == (OrderState.NEW, OrderStock.RESERVED)
    assert (stock_of("TEE"), stock_of("MUG")) == ((5, 4), (5, 2))
    rows = db.session.scalars(select(StockMovement).where(StockMovement.order_id == order.id)).all()
    assert {(row.cause, row.reserved_change, row.reserved_after, row.actor_name) for row in rows} == {
        (StockCause.RESERVATION, 4, 4, "FlexDash"),
        (StockCause.RESERVATION, 2, 2, "FlexDash"),
    }
    assert stock_problems() == []


def test_lines_of_the_same_sku_are_added_up_before_they_are_compared(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=3)
    write(store, with_units(raw_shipment("D1", sku_codes=("TEE", "TEE")), 2, 2))
    assert reasons(the_order("D1")) == {
        HoldReason.NOT_ENOUGH_STOCK: "Not enough stock at Pune Warehouse: TEE (4 wanted, 3 available). "
        "Add stock of TEE at Pune Warehouse."
    }
    assert stock_of("TEE") == (3, 0)


def test_all_or_nothing(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=3)
    factories.make_sellable(store, hub, "MUG", on_hand=0)
    write(store, raw_shipment("D1", sku_codes=("TEE", "MUG")))
    assert the_order("D1").stock is OrderStock.NONE
    assert stock_of("TEE") == (3, 0)


def test_every_reason_is_collected(store: Store, hub: Hub) -> None:
    factories.make_sku(store.seller, "MUG")
    factories.make_sellable(store, hub, "TEE", on_hand=1)
    factories.make_mapping(store, factories.make_hub(store.seller.workspace, name="Delhi", is_active=False), "DELX")

    write(
        store,
        raw_shipment("D1", sku_codes=("TEE", "MUG", "LAMP")),
        raw_shipment("D2", location_id="ELSE", sku_codes=("MUG",)),
        raw_shipment("D3", location_id="DELX", sku_codes=("LAMP", "CUP", "JAR", "BOX", "PEN")),
    )

    assert reasons(the_order("D1")) == {
        HoldReason.SKU_UNKNOWN: "LAMP is unknown: neither this store's catalog nor the seller's SKUs have it. "
        "Upload the catalog of this store.",
        HoldReason.NO_ASIN: "MUG has no ASIN in this store. Upload the catalog of this store.",
        HoldReason.NOT_ENOUGH_STOCK: "Not enough stock at Pune Warehouse: MUG (1 wanted, none available) and LAMP "
        "(1 wanted, none available). Add stock of these SKUs at Pune Warehouse.",
    }
    assert set(reasons(the_order("D2"))) == {HoldReason.NO_HUB_MAPPED, HoldReason.NO_ASIN}
    third = reasons(the_order("D3"))
    assert set(third) == {HoldReason.HUB_INACTIVE, HoldReason.SKU_UNKNOWN, HoldReason.NOT_ENOUGH_STOCK}
    assert third[HoldReason.SKU_UNKNOWN].startswith("LAMP, CUP, JAR and 2 more SKUs are unknown")


def test_a_listing_of_another_store_is_none_of_this_one(store: Store, hub: Hub) -> None:
    other = factories.make_store(store.seller, country_code="AE")
    factories.make_sellable(other, hub, "TEE")
    write(store, raw_shipment("D1", sku_codes=("TEE",)))
    assert set(reasons(the_order("D1"))) == {HoldReason.SKU_UNKNOWN}


def test_reasons_fit_however_long_the_names_are(store: Store, app: Flask) -> None:
    hub = factories.make_hub(store.seller.workspace, name="W" * 100)
    factories.make_mapping(store, hub, "EXSB")
    codes = tuple(f"{n}" + "S" * 99 for n in range(8))
    write(store, with_units(raw_shipment("D1", sku_codes=codes), *[2_000_000_000] * 8))
    order = the_order("D1")
    assert set(reasons(order)) == {HoldReason.SKU_UNKNOWN, HoldReason.NOT_ENOUGH_STOCK}
    assert all(len(detail) <= 300 and detail[-1] == "." for detail in reasons(order).values())


def test_the_oldest_order_of_a_page_gets_the_last_unit(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=1)
    page = [created(raw_shipment(f"D{n}", sku_codes=("TEE",)), minutes) for n, minutes in enumerate((30, 10, 20))]

    assert write(store, *page) == Counts(n_created=3, n_held=2)

    assert the_order("D1").state is OrderState.NEW
    assert {the_order(name).state for name in ("D0", "D2")} == {OrderState.ON_HOLD}


def test_an_order_accepted_on_amazon_already_reserves_like_a_new_one(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=1)
    write(
        store, raw_shipment("D1", "CONFIRMED", sku_codes=("TEE",)), raw_shipment("D2", "CONFIRMED", sku_codes=("TEE",))
    )
    assert (the_order("D1").state, the_order("D1").stock) == (OrderState.NEW, OrderStock.RESERVED)
    assert (the_order("D2").state, the_order("D2").acknowledgement) == (
        OrderState.ON_HOLD,
        Acknowledgement.NOT_NEEDED,
    )


def test_a_page_takes_as_many_statements_for_a_hundred_orders_as_for_two(store: Store, hub: Hub) -> None:
    codes = [f"SKU-{n}" for n in range(30)]
    factories.make_sellable(store, hub, *codes[:-1], on_hand=50)

    def n_statements(n_orders: int) -> int:
        page = [raw_shipment(sku_codes=(codes[n % 29], codes[29 - n % 2])) for n in range(n_orders)]
        db.session.expire_all()  # or the store, made just now, would be read again the second time only
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: seen.append(args[2]))
        try:
            write(store, *page)
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return len(seen)

    assert n_statements(2) == n_statements(100)
    assert stock_problems() == []


def test_orders_written_one_by_one_reserve_just_the_same(
    store: Store, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flexdash.services import order_import

    factories.make_sellable(store, hub, "TEE", on_hand=2)
    real = order_import.order_row

    def refusing(read: order_import.ReadShipment, *args: object, **kwargs: object) -> dict[str, object]:
        row = real(read, *args, **kwargs)
        return row | {"amazon_status": None} if read.shipment.id == "D2" else row

    monkeypatch.setattr(order_import, "order_row", refusing)
    page = [created(raw_shipment(f"D{n}", sku_codes=("TEE",)), 10 - n) for n in range(5)]
    assert write(store, *page) == Counts(n_created=4, n_held=2, n_failed=1)

    assert {the_order(name).state for name in ("D4", "D3")} == {OrderState.NEW}
    assert {the_order(name).state for name in ("D1", "D0")} == {OrderState.ON_HOLD}
    assert stock_of("TEE") == (2, 2)
    assert stock_problems() == []


# Going on -------------------------------------------------------------------------------------------------------------


def test_a_cancellation_gives_the_stock_back_once(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=3)
    raw = raw_shipment("D1", sku_codes=("TEE",))
    write(store, raw)
    write(store, cancelled(raw))
    write(store, cancelled(raw, minutes=90) | {"subStatus": "MORE"})

    order = the_order("D1")
    assert (order.state, order.stock) == (OrderState.CANCELLED, OrderStock.NONE)
    assert order.events[1].sentence.endswith("Ordered by mistake. Its stock was released.")
    assert stock_of("TEE") == (3, 0)
    assert ledger() == [(StockCause.RESERVATION, 0, 1), (StockCause.RELEASE, 0, -1)]
    assert stock_problems() == []


def test_what_left_is_taken_off_once(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=3)
    raw = raw_shipment("D1", sku_codes=("TEE",))
    write(store, raw)
    write(store, later(raw, "INVOICE_GENERATED", 10))
    assert (the_order("D1").state, stock_of("TEE")) == (OrderState.PACKED, (3, 1))
    write(store, later(raw, "SHIPPED", 20))
    write(store, later(raw, "DELIVERED", 30))

    assert (the_order("D1").state, the_order("D1").stock) == (OrderState.DELIVERED, OrderStock.DEDUCTED)
    assert stock_of("TEE") == (2, 0)
    assert ledger() == [(StockCause.RESERVATION, 0, 1), (StockCause.SHIPMENT, -1, -1)]

    write(store, cancelled(raw, minutes=90))
    assert the_order("D1").has_conflict
    assert stock_of("TEE") == (2, 0)
    assert stock_problems() == []


def test_a_held_order_that_left_all_the_same_takes_off_what_is_there(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=3)
    first = with_units(raw_shipment("D1", sku_codes=("TEE",)), 2)
    held = with_units(raw_shipment("D2", sku_codes=("TEE", "MUG")), 3, 1)
    write(store, first, held)
    assert the_order("D2").state is OrderState.ON_HOLD

    write(store, later(held, "SHIPPED"))

    order = the_order("D2")
    assert (order.state, order.stock, order.holds) == (OrderState.SHIPPED, OrderStock.DEDUCTED, [])
    assert stock_of("TEE") == (2, 2)  # what the other order was promised is left to it
    assert order.events[-1].sentence == (
        "It left the hub, and 1 of MUG and 2 of TEE could not be taken off its stock: FlexDash had no more available "
        "there. Count what lies in the hub and correct the stock."
    )
    note = db.session.scalars(select(StockMovement.note).where(StockMovement.order_id == order.id)).one()
    assert note == "3 left the hub, but only 1 could be taken off: no more was available."
    write(store, later(held, "DELIVERED", 90))
    assert stock_of("TEE") == (2, 2)
    assert stock_problems() == []


def test_an_order_that_left_without_a_hub_says_so(store: Store) -> None:
    raw = raw_shipment("D1", sku_codes=("TEE",))
    write(store, raw)
    write(store, later(raw, "SHIPPED"))
    assert "It left while it had no hub here" in the_order("D1").events[-1].sentence


def test_a_held_order_that_is_worked_in_amazons_tool_gets_what_there_is(store: Store, hub: Hub) -> None:
    level = factories.make_stock(store.seller, hub, "TEE", on_hand=1)
    poor, rich = (raw_shipment(name, sku_codes=("TEE",)) for name in ("D1", "D2"))
    write(store, poor, rich)
    write(store, later(rich, "PACKAGE_CREATED"))
    write(store, later(poor, "PACKAGE_CREATED"))

    assert (the_order("D2").state, the_order("D2").stock) == (OrderState.PICKED, OrderStock.RESERVED)
    assert (the_order("D1").state, the_order("D1").stock) == (OrderState.PICKED, OrderStock.NONE)
    assert the_order("D1").events[-1].sentence == (
        "It is worked without reserved stock. Not enough stock at Pune Warehouse: TEE (1 wanted, none available). "
        "Add stock of TEE at Pune Warehouse."
    )
    assert (level.on_hand, level.reserved) == (1, 1)


def test_an_order_that_amazon_moves_takes_its_stock_along(store: Store, hub: Hub) -> None:
    other = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_mapping(store, other, "DELX")
    factories.make_sellable(store, hub, "TEE", on_hand=2)
    factories.make_sellable(store, other, "TEE", on_hand=1)
    first, second = (raw_shipment(name, sku_codes=("TEE",)) for name in ("D1", "D2"))
    write(store, first, second)
    assert stock_of("TEE", hub) == (2, 2)

    write(store, *(later(raw, "ACCEPTED", 10, locationId="DELX") for raw in (first, second)))

    assert (stock_of("TEE", hub), stock_of("TEE", other)) == ((2, 0), (1, 1))
    assert (the_order("D1").state, the_order("D1").hub_id) == (OrderState.NEW, other.id)
    assert (the_order("D2").state, the_order("D2").stock) == (OrderState.ON_HOLD, OrderStock.NONE)
    assert set(reasons(the_order("D2"))) == {HoldReason.NOT_ENOUGH_STOCK}
    assert stock_problems() == []


def test_an_order_on_hold_takes_no_stock_while_it_is_being_cancelled(store: Store, hub: Hub) -> None:
    other = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_mapping(store, other, "DELX")
    factories.make_sellable(store, hub, "TEE", on_hand=0)
    raw = raw_shipment("D1", sku_codes=("TEE",))
    write(store, raw)
    factories.make_sellable(store, other, "TEE", on_hand=1)
    db.session.execute(db.update(StockLevel).values(on_hand=1))
    db.session.execute(db.update(Order).values(cancellation=OrderCancellation.CANCELLING))
    db.session.commit()

    write(store, created(raw_shipment("D2", sku_codes=("TEE",)), 10))
    assert the_order("D2").state is OrderState.NEW, "the older one has nothing kept for it"
    write(store, later(raw, "ACCEPTED", 10, locationId="DELX"))  # where one is there
    assert (the_order("D1").state, the_order("D1").stock) == (OrderState.ON_HOLD, OrderStock.NONE)

    the_order("D1").cancellation = OrderCancellation.REFUSED
    db.session.commit()
    order_holds.release_fixed(store.id)
    assert (the_order("D1").state, the_order("D1").hub_id) == (OrderState.NEW, other.id)


# Held and released ----------------------------------------------------------------------------------------------------


def test_held_orders_are_released_when_stock_arrives_the_oldest_first(store: Store, hub: Hub) -> None:
    factories.make_listing(store, "TEE")
    level = factories.make_sellable(store, hub, "TEE", on_hand=0)[0]
    page = [created(raw_shipment(f"D{n}", sku_codes=("TEE",)), minutes) for n, minutes in enumerate((30, 10, 20))]
    write(store, *page)
    assert order_holds.release_fixed(store.id) == []

    asha = factories.make_actor(factories.make_user(store.seller.workspace))
    stock.change(asha, level.id, stock.Way.SET, "2", seen=0)
    released = order_holds.release_for_seller(store.seller_id)

    assert released == [the_order("D1").id, the_order("D2").id]
    assert the_order("D1").events[-1].sentence == (
        "Released by itself: there is enough stock at Pune Warehouse. It is a New Order at Pune Warehouse, with its "
        "stock reserved."
    )
    assert the_order("D1").acknowledgement is Acknowledgement.PENDING
    assert the_order("D0").state is OrderState.ON_HOLD
    assert stock_of("TEE") == (2, 2)
    assert stock_problems() == []


def test_a_new_order_leaves_what_is_freed_to_an_older_one_on_hold(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", on_hand=1)
    first = created(raw_shipment("D1", sku_codes=("TEE",)), 0)
    write(store, first)
    write(store, created(raw_shipment("OLD", sku_codes=("TEE",)), 10))
    importer = OrderImporter(workspace_id=store.workspace_id, store_id=store.id, run_id=None, vault=vault)
    page = [created(raw_shipment("NEWER", sku_codes=("TEE",)), 50), cancelled(first)]
    with transaction():
        assert importer.write(read_page(page, vault)).n_held == 1
    assert "TEE (1 wanted, none available)" in reasons(the_order("NEWER"))[HoldReason.NOT_ENOUGH_STOCK]
    assert importer.has_freed_stock
    order_holds.release_for_seller(store.seller_id)
    assert [the_order(name).state for name in ("OLD", "NEWER")] == [OrderState.NEW, OrderState.ON_HOLD]
    assert stock_of("TEE") == (1, 1)
    assert stock_problems() == []


def test_a_new_order_leaves_what_came_in_since_to_an_older_one_on_hold(store: Store, hub: Hub) -> None:
    level = factories.make_sellable(store, hub, "TEE", on_hand=0)[0]
    write(store, created(raw_shipment("OLD", sku_codes=("TEE",)), 10))
    asha = factories.make_actor(factories.make_user(store.seller.workspace))
    stock.change(asha, level.id, stock.Way.SET, "2", seen=0)
    write(store, *(created(raw_shipment(f"NEW{n}", sku_codes=("TEE",)), 50 + n) for n in range(2)))
    order_holds.release_for_seller(store.seller_id)
    states = [the_order(name).state for name in ("OLD", "NEW0", "NEW1")]
    assert states == [OrderState.NEW, OrderState.NEW, OrderState.ON_HOLD]


def test_an_order_on_hold_that_lacks_another_sku_too_takes_nothing_from_new_ones(store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "TEE", "GONE", on_hand=0)
    write(store, created(raw_shipment("HELD", sku_codes=("TEE", "GONE")), 10))
    asha = factories.make_actor(factories.make_user(store.seller.workspace))
    tee = db.session.scalars(select(StockLevel).where(StockLevel.sku_code == "TEE")).one()
    stock.change(asha, tee.id, stock.Way.SET, "1", seen=0)
    write(store, created(raw_shipment("NEW", sku_codes=("TEE",)), 50))
    assert (the_order("NEW").state, reasons(the_order("NEW"))) == (OrderState.NEW, {})


@pytest.mark.parametrize("older", ["too large", "not listed", "younger"])
def test_an_order_on_hold_that_could_not_go_anyway_holds_nobody_up(store: Store, hub: Hub, older: str) -> None:
    first = created(raw_shipment("D1", sku_codes=("TEE",)), 0)
    factories.make_sellable(store, hub, "TEE", on_hand=1)
    write(store, first)
    skus, n = (("TEE", "NOT-LISTED"), 1) if older == "not listed" else (("TEE",), 2 if older == "too large" else 1)
    held = with_units(raw_shipment("HELD", sku_codes=skus), *[n] * len(skus))
    write(store, created(held, 90 if older == "younger" else 10))
    write(store, cancelled(first), created(raw_shipment("NEW", sku_codes=("TEE",)), 50))
    assert the_order("NEW").state is OrderState.NEW


def test_the_oldest_order_of_all_the_sellers_stores_comes_first(store: Store, hub: Hub) -> None:
    other = factories.make_store(store.seller, country_code="AE")
    factories.make_mapping(other, hub, "DXBA")
    factories.make_listing(store, "TEE")
    factories.make_listing(other, "TEE")
    write(store, created(raw_shipment("D1", sku_codes=("TEE",)), 30))
    write(other, created(raw_shipment("D2", location_id="DXBA", sku_codes=("TEE",)), 10))
    factories.make_sellable(store, hub, "TEE", on_hand=1)

    assert order_holds.release_for_seller(store.seller_id) == [the_order("D2").id]
    assert the_order("D1").state is OrderState.ON_HOLD


def test_only_the_orders_that_want_the_sku_are_looked_at_when_one_is_named(store: Store, hub: Hub) -> None:
    write(store, raw_shipment("D1", sku_codes=("TEE",)), raw_shipment("D2", sku_codes=("MUG",)))
    factories.make_sellable(store, hub, "TEE", "MUG", on_hand=1)

    assert order_holds.release_for_seller(store.seller_id, sku_code="MUG") == [the_order("D2").id]
    assert order_holds.release_for_seller(store.seller_id, at_most=0) == []
    assert order_holds.release_for_seller(store.seller_id) == [the_order("D1").id]


def test_a_listing_lets_an_order_go(store: Store, hub: Hub) -> None:
    factories.make_stock(store.seller, hub, "TEE")
    factories.make_sku(store.seller, "TEE")
    write(store, raw_shipment("D1", sku_codes=("TEE",)))
    assert set(reasons(the_order("D1"))) == {HoldReason.NO_ASIN}
    factories.make_listing(store, "TEE")
    assert order_holds.release_fixed(store.id) == [the_order("D1").id]
    assert "the store's catalog has an ASIN for each of its SKUs" in the_order("D1").events[-1].sentence


def test_reasons_are_brought_up_to_date(store: Store, hub: Hub) -> None:
    write(store, raw_shipment("D1", sku_codes=("TEE",)))
    assert set(reasons(the_order("D1"))) == {HoldReason.SKU_UNKNOWN, HoldReason.NOT_ENOUGH_STOCK}
    factories.make_sku(store.seller, "TEE")
    order_holds.release_fixed(store.id)
    assert set(reasons(the_order("D1"))) == {HoldReason.NO_ASIN, HoldReason.NOT_ENOUGH_STOCK}
    factories.make_listing(store, "TEE")
    order_holds.release_fixed(store.id)
    assert set(reasons(the_order("D1"))) == {HoldReason.NOT_ENOUGH_STOCK}


@pytest.fixture
def asha(store: Store) -> Actor:
    return factories.make_actor(factories.make_user(store.seller.workspace, name="Asha"))


def test_releasing_by_hand_reserves_at_the_hub_that_was_picked(store: Store, hub: Hub, asha: Actor) -> None:
    other = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_sellable(store, other, "TEE", on_hand=1)
    write(store, raw_shipment("D1", sku_codes=("TEE",)), raw_shipment("D2", sku_codes=("TEE",)))

    with pytest.raises(FieldRefused, match="Not enough stock at Pune Warehouse: TEE") as refusal:
        order_holds.release_to(asha, the_order("D1").id, hub.id)
    assert refusal.value.field == "hub_id"
    order_holds.release_to(asha, the_order("D1").id, other.id)
    with pytest.raises(FieldRefused, match="Not enough stock at Delhi Warehouse"):
        order_holds.release_to(asha, the_order("D2").id, other.id)

    order = the_order("D1")
    assert (order.state, order.stock, order.hub_id) == (OrderState.NEW, OrderStock.RESERVED, other.id)
    row = db.session.scalars(select(StockMovement).where(StockMovement.order_id == order.id)).one()
    assert (row.cause, row.actor_name) == (StockCause.RESERVATION, "Asha")
    assert stock_of("TEE", other) == (1, 1)
    assert stock_problems() == []


def test_releasing_by_hand_is_refused_for_what_the_store_does_not_list(store: Store, hub: Hub, asha: Actor) -> None:
    factories.make_stock(store.seller, hub, "TEE")
    write(store, raw_shipment("D1", sku_codes=("TEE",)))
    with pytest.raises(ServiceError, match=r"It was not released\. TEE is unknown.* Upload the catalog of this store"):
        order_holds.release_to(asha, the_order("D1").id, hub.id)
    assert the_order("D1").state is OrderState.ON_HOLD

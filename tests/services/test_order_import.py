from decimal import Decimal

import pytest
from flask import Flask
from orjson import loads
from sqlalchemy import select

from flexdash import clock
from flexdash.amazon.shipment_reader import read_shipment
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import Acknowledgement, HoldReason, Order, OrderState, OrderStock, QuarantinedShipment, Store
from flexdash.services.order_import import Counts, OrderImporter
from flexdash.services.order_pages import read_page
from flexdash.services.order_work import at_amazon
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.shipments import cancelled, raw_shipment


@pytest.fixture
def store(app: Flask) -> Store:
    workspace = factories.make_workspace()
    store = factories.make_store(factories.make_seller(workspace))
    hub = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_mapping(store, hub, "EXSB")
    factories.make_sellable(store, hub, "TEE-BLK-M", "MUG-STD")
    return store


def write(store: Store, *raw_shipments: object) -> Counts:
    """Write the shipments as one page."""
    store_id, workspace_id = store.id, store.workspace_id
    importer = OrderImporter(workspace_id=workspace_id, store_id=store_id, run_id=None, vault=vault)
    page = read_page(raw_shipments, vault)
    with transaction():
        return importer.write(page)


def the_order(shipment_id: str) -> Order:
    db.session.rollback()
    return db.session.scalars(select(Order).where(Order.amazon_shipment_id == shipment_id)).one()


def test_a_new_shipment_becomes_a_new_order_at_the_mapped_hub(store: Store) -> None:
    counts = write(store, raw_shipment("D1", sku_codes=("TEE-BLK-M", "MUG-STD")))

    assert counts == Counts(n_created=1)
    order = the_order("D1")
    assert (order.state, order.acknowledgement) == (OrderState.NEW, Acknowledgement.PENDING)
    assert order.stock is OrderStock.RESERVED
    assert order.hub.name == "Pune Warehouse"
    assert [line.sku_code for line in order.lines] == ["TEE-BLK-M", "MUG-STD"]
    assert order.events[0].sentence == (
        "Imported from Amazon as Confirmed (ACCEPTED) and routed to Pune Warehouse by its Seller Flex Hub ID EXSB. "
        "Its stock is reserved there."
    )


def test_amounts_keep_every_digit_amazon_sent(store: Store) -> None:
    write(store, raw_shipment("D1"))

    assert str(the_order("D1").total) == "499.00"
    assert the_order("D1").lines[0].item_total == Decimal("422.88")


def test_the_mapping_is_found_whatever_the_case_of_the_id(store: Store) -> None:
    write(store, raw_shipment("D1", location_id="exsb"))
    assert the_order("D1").state is OrderState.NEW


def test_an_order_for_an_unmapped_id_is_held_and_says_which(store: Store) -> None:
    counts = write(store, raw_shipment("D1", location_id="PNQ9"))

    assert counts == Counts(n_created=1, n_held=1)
    order = the_order("D1")
    assert (order.state, order.acknowledgement) == (OrderState.ON_HOLD, Acknowledgement.NOT_YET)
    assert [hold.reason for hold in order.holds] == [HoldReason.NO_HUB_MAPPED]
    assert "PNQ9" in order.holds[0].detail


def test_an_order_for_an_inactive_hub_is_held(store: Store) -> None:
    workspace = store.seller.workspace
    hub = factories.make_hub(workspace, name="Delhi Warehouse", is_active=False)
    factories.make_mapping(store, hub, "DEL1")
    factories.make_sellable(store, hub, "TEE-BLK-M")

    write(store, raw_shipment("D1", location_id="DEL1"))

    assert [hold.reason for hold in the_order("D1").holds] == [HoldReason.HUB_INACTIVE]
    assert "Delhi Warehouse is inactive" in the_order("D1").holds[0].detail


def test_the_same_page_again_changes_nothing(store: Store) -> None:
    page = [raw_shipment("D1"), raw_shipment("D2", location_id="PNQ9")]
    write(store, *page)

    assert write(store, *page) == Counts(n_skipped=2)
    assert db.session.scalar(select(db.func.count(Order.id))) == 2
    assert len(the_order("D1").events) == 1


def test_a_shipment_twice_on_one_page_is_one_order_with_the_newer_state(store: Store) -> None:
    raw = raw_shipment("D1")
    counts = write(store, raw_shipment("D1", "CONFIRMED", minutes=5), raw)

    assert counts.n_created == 1
    assert the_order("D1").amazon_status == "CONFIRMED"


def test_what_is_nested_too_deeply_to_be_kept_costs_no_other(store: Store) -> None:
    deep = loads('{"x":' + "[" * 1_010 + "]" * 1_010 + "}")
    assert write(store, deep, {**deep, "id": "D1"}, raw_shipment("D2")).n_created == 1
    quarantined = db.session.scalars(select(QuarantinedShipment)).all()
    assert {row.amazon_shipment_id[:11] for row in quarantined} == {"D1", "unreadable:"}
    assert {vault.decrypt(row.payload_encrypted) for row in quarantined} == {'"It is nested too deeply to be kept."'}


def test_one_broken_shipment_never_costs_the_others(store: Store) -> None:
    counts = write(store, raw_shipment("D1"), {"id": "D2", "status": "ACCEPTED"}, "no shipment", raw_shipment("D3"))

    assert counts == Counts(n_created=2, n_failed=2)
    quarantined = db.session.scalars(select(QuarantinedShipment).order_by(QuarantinedShipment.id)).all()
    assert quarantined[0].amazon_shipment_id == "D2"
    assert quarantined[1].amazon_shipment_id.startswith("unreadable:")
    assert vault.decrypt(quarantined[1].payload_encrypted) == '"no shipment"'


@pytest.mark.parametrize(("shipment_id", "kept_as"), [("D2", "D2"), ("D" * 150, "D" * 100)])
def test_a_shipment_the_database_refuses_is_quarantined_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch, shipment_id: str, kept_as: str
) -> None:
    from flexdash.services import order_import

    real = order_import.order_row

    def refusing(read: order_import.ReadShipment, *args: object, **kwargs: object) -> dict[str, object]:
        row = real(read, *args, **kwargs)
        return row | {"amazon_status": None} if read.shipment.id == shipment_id else row

    monkeypatch.setattr(order_import, "order_row", refusing)
    counts = write(store, raw_shipment("D1"), raw_shipment(shipment_id), raw_shipment("D3"))

    assert counts == Counts(n_created=2, n_failed=1)
    assert db.session.scalars(select(QuarantinedShipment.amazon_shipment_id)).all() == [kept_as]


def test_a_quarantined_shipment_leaves_when_it_can_be_read(store: Store) -> None:
    broken = raw_shipment("D1") | {"lineItems": []}
    write(store, broken)
    write(store, broken)
    row = db.session.scalars(select(QuarantinedShipment)).one()
    assert (row.n_times_seen, row.resolved_at) == (2, None)

    write(store, raw_shipment("D1"))
    db.session.rollback()
    assert row.resolved_at is not None


def test_cancelled_on_amazon_is_cancelled_here_with_who_and_why(store: Store) -> None:
    raw = raw_shipment("D1", location_id="PNQ9")
    write(store, raw)

    assert write(store, cancelled(raw)) == Counts(n_updated=1)
    order = the_order("D1")
    assert order.state is OrderState.CANCELLED
    assert (order.cancelled_by, order.cancellation_reason) == ("MARKETPLACE_CANCELLED", "Ordered by mistake")
    assert order.acknowledgement is Acknowledgement.NOT_NEEDED
    assert order.holds == []
    assert order.events[-1].sentence == "Cancelled by the buyer or the marketplace: Ordered by mistake."


@pytest.mark.parametrize(
    ("is_deleted", "kept"), [(False, "[hidden] ordered the wrong size"), (True, "[hidden]")], ids=["known", "deleted"]
)
def test_the_reason_of_a_cancellation_is_kept_without_the_buyer(store: Store, is_deleted: bool, kept: str) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    if is_deleted:
        db.session.execute(db.update(Order).values(buyer_encrypted=None, buyer_deleted_at=clock.now()))
        db.session.commit()

    write(store, cancelled(raw, reason="Meera Fictional ordered the wrong size"))

    order = the_order("D1")
    assert order.cancellation_reason == kept
    assert order.events[-1].sentence.startswith(f"Cancelled by the buyer or the marketplace: {kept}.")


def test_cancelled_after_shipping_is_a_conflict_and_nothing_is_lost(store: Store) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    with transaction():
        the_order_row = db.session.scalars(select(Order)).one()
        the_order_row.state = OrderState.SHIPPED

    write(store, cancelled(raw))
    order = the_order("D1")
    assert (order.state, order.has_conflict) == (OrderState.SHIPPED, True)
    assert order.cancellation_reason == "Ordered by mistake"
    n_events = len(order.events)

    write(store, cancelled(raw, minutes=60) | {"subStatus": "DAMAGED"})
    order = the_order("D1")
    assert (order.amazon_sub_status, len(order.events)) == ("DAMAGED", n_events)  # the conflict is told once


def test_an_older_page_never_takes_an_order_back(store: Store) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    write(store, cancelled(raw))

    assert write(store, raw) == Counts(n_skipped=1)
    assert the_order("D1").state is OrderState.CANCELLED


def test_an_order_confirmed_in_amazons_own_tool_is_imported_without_acknowledging(store: Store) -> None:
    write(store, raw_shipment("D1", "CONFIRMED"))
    order = the_order("D1")
    assert (order.state, order.acknowledgement) == (OrderState.NEW, Acknowledgement.NOT_NEEDED)


def test_cancelled_before_it_ever_came_here_is_no_work(store: Store) -> None:
    assert write(store, cancelled(raw_shipment("D1"))) == Counts(n_skipped=1)


def test_amazons_progress_moves_an_order_forward(store: Store) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    write(store, raw | {"status": "SHIPPED", "lastUpdatedDateTime": "2026-11-23T12:00:00Z"})
    assert the_order("D1").state is OrderState.SHIPPED


def test_an_unknown_status_is_kept_and_said(store: Store) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    write(store, raw | {"status": "TELEPORTED", "lastUpdatedDateTime": "2026-11-23T12:00:00Z"})
    order = the_order("D1")
    assert (order.state, order.amazon_status) == (OrderState.NEW, "TELEPORTED")
    assert "TELEPORTED" in order.events[-1].sentence


def test_an_order_that_amazon_moves_to_another_location_is_routed_again(store: Store) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    write(store, raw | {"locationId": "PNQ9", "lastUpdatedDateTime": "2026-11-23T12:00:00Z"})
    order = the_order("D1")
    assert (order.state, order.hub_id, order.acknowledgement) == (OrderState.ON_HOLD, None, Acknowledgement.NOT_YET)


def test_an_order_that_amazon_moved_is_routed_by_the_next_pull_though_others_read_it_before(store: Store) -> None:
    raw = raw_shipment("D1")
    write(store, raw)
    moved = raw | {"locationId": "PNQ9", "lastUpdatedDateTime": "2026-11-23T12:00:00Z"}
    with transaction():
        at_amazon.apply(the_order("D1").id, read_shipment(moved))
    assert (the_order("D1").state, the_order("D1").seller_flex_hub_id) == (OrderState.NEW, raw["locationId"])
    write(store, moved)
    assert (the_order("D1").state, the_order("D1").seller_flex_hub_id) == (OrderState.ON_HOLD, "PNQ9")


def test_buyer_data_is_encrypted_in_the_database(store: Store) -> None:
    write(store, raw_shipment("D1"))
    stored = the_order("D1").buyer_encrypted
    assert b"Meera" not in stored
    assert "Meera Fictional" in vault.decrypt(stored)


# First met when it is worked, or has left, already ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("PACKAGE_CREATED", OrderState.PICKED),
        ("PICKUP_SLOT_RETRIEVED", OrderState.PICKED),
        ("INVOICE_GENERATED", OrderState.PACKED),
        ("SHIPLABEL_GENERATED", OrderState.PACKED),
    ],
)
def test_an_order_that_is_worked_on_amazon_already_comes_in_as_such(store: Store, status, state) -> None:
    assert write(store, raw_shipment("D1", status)) == Counts(n_created=1)
    order = the_order("D1")
    assert (order.state, order.moved_by, order.stock) == (state, "Amazon", OrderStock.RESERVED)
    assert order.acknowledgement is Acknowledgement.NOT_NEEDED
    assert order.hub.name == "Pune Warehouse"
    assert stock_problems() == []


@pytest.mark.parametrize(("status", "state"), [("SHIPPED", OrderState.SHIPPED), ("DELIVERED", OrderState.DELIVERED)])
def test_an_order_that_has_left_already_takes_its_stock_with_it_once(store: Store, status, state) -> None:
    raw = raw_shipment("D1", status)
    assert write(store, raw) == Counts(n_created=1)
    assert write(store, raw) == Counts(n_skipped=1)
    order = the_order("D1")
    assert (order.state, order.stock) == (state, OrderStock.DEDUCTED)
    assert getattr(order, f"{state.lower()}_at") == order.amazon_updated_at
    assert stock_problems() == []


def test_an_order_that_left_without_stock_here_says_so_and_is_not_held(store: Store) -> None:
    write(store, raw_shipment("D1", "SHIPPED", sku_codes=("NEVER-HERE",)))
    order = the_order("D1")
    assert (order.state, order.holds) == (OrderState.SHIPPED, [])
    assert any("could not be taken off its stock" in event.sentence for event in order.events)


@pytest.mark.parametrize("status", ["SHIPPED", "DELIVERED"])
def test_a_stores_first_pull_leaves_out_what_has_left(store: Store, status) -> None:
    importer = OrderImporter(
        workspace_id=store.workspace_id, store_id=store.id, run_id=None, vault=vault, takes_finished=False
    )
    page = read_page([raw_shipment("D1", status), raw_shipment("D2", "PACKAGE_CREATED")], vault)
    with transaction():
        assert importer.write(page) == Counts(n_created=1, n_skipped=1)

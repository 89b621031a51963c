"""The order pull against the sandbox over real HTTP: what the merchant counts on, run by run."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
import structlog
from flask import Flask
from sqlalchemy import func, select

from amazon_sandbox.serving import Running
from amazon_sandbox.world.people import SKU_CODES
from flexdash import clock
from flexdash.amazon import lwa
from flexdash.amazon.errors import AmazonError, AuthorizationRefused, TokenRefused
from flexdash.amazon.shipments import ShipmentPage, Shipments
from flexdash.amazon.wire import Reply
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    Acknowledgement,
    ApiCall,
    ItemFate,
    Order,
    OrderState,
    QuarantinedShipment,
    RunState,
    StockLevel,
    Store,
    StoreStatus,
    SyncRun,
    SyncState,
)
from flexdash.services import acknowledgement, amazon_access, order_holds, order_pull, run_sheets, sync_attempts
from flexdash.services import quarantine as order_quarantine
from flexdash.services.order_import import Counts, OrderImporter
from flexdash.services.order_pages import ReadPage, read_page
from tests import factories
from tests.support.ledgers import stock_problems

SELLER = "A3SBXSUNRISEIN"
MAPPED, UNMAPPED = "EXSB", "PNQ1"


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    """A store of the sandbox's Indian seller with Order Sync on and one of its two locations mapped."""
    sandbox.control.plans({"*": None})
    workspace = factories.make_workspace()
    store = factories.make_store(
        factories.make_seller(workspace),
        refresh_token=sandbox.control.issue_tokens(SELLER)["refresh_token"],
        amazon_selling_partner_id=SELLER,
        is_order_sync_on=True,
    )
    hub = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_mapping(store, hub, MAPPED)
    factories.make_sellable(store, hub, *SKU_CODES)
    return store


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client start fast: these tests are about orders, tests/amazon about the pace."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))


def run_once(store: Store) -> SyncRun:
    """Run the pull as a worker does and return the finished run."""
    run = factories.make_run(store, RunState.QUEUED, trigger="manual")
    context = sync_attempts.begin(run.id)
    assert context is not None
    order_pull.pull(context)
    sync_attempts.succeed(context)
    db.session.rollback()
    return db.session.get(SyncRun, run.id, populate_existing=True)


def states(store: Store) -> Counter[tuple[OrderState, Acknowledgement]]:
    db.session.rollback()
    query = select(Order.state, Order.acknowledgement).where(Order.store_id == store.id)
    return Counter(tuple(row) for row in db.session.execute(query))


def test_250_shipments_over_three_pages_one_empty(store: Store, sandbox: Running) -> None:
    mapped = set(sandbox.control.create_orders(150, location_id=MAPPED, seller_id=SELLER))
    held = set(sandbox.control.create_orders(100, location_id=UNMAPPED, seller_id=SELLER))
    sandbox.control.fault("empty_page", operation="getShipments", page=1, count=1)

    run = run_once(store)

    by_state = {state: set() for state in (OrderState.NEW, OrderState.ON_HOLD)}
    for shipment_id, state in db.session.execute(select(Order.amazon_shipment_id, Order.state)):
        by_state[state].add(shipment_id)
    assert by_state == {OrderState.NEW: mapped, OrderState.ON_HOLD: held}
    assert states(store) == {
        (OrderState.NEW, Acknowledgement.DONE): 150,
        (OrderState.ON_HOLD, Acknowledgement.NOT_YET): 100,
    }
    on_amazon = Counter(
        (item["location_id"], item["status"]) for item in sandbox.control.shipments(seller_id=SELLER, limit=500)
    )
    assert on_amazon == {(MAPPED, "CONFIRMED"): 150, (UNMAPPED, "ACCEPTED"): 100}
    assert run.state is RunState.SUCCEEDED
    assert (run.n_fetched, run.n_created, run.n_held, run.n_acknowledged) == (250, 250, 100, 150)
    assert (run.n_updated, run.n_failed) == (0, 0)
    assert run.n_pages >= 4  # three with shipments, one without
    calls = db.session.scalar(select(func.count(ApiCall.id)).where(ApiCall.run_id == run.id))
    assert run.n_api_calls == calls

    second = run_once(store)

    assert (second.n_created, second.n_updated, second.n_failed, second.n_acknowledged) == (0, 0, 0, 0)
    assert second.n_skipped == second.n_fetched == 250
    assert len(by_state[OrderState.NEW]) + len(by_state[OrderState.ON_HOLD]) == sum(states(store).values())
    assert sandbox.control.stats()["calls"]["processShipment"] == 150


def test_held_orders_are_released_and_acknowledged_once_the_hub_is_mapped(store: Store, sandbox: Running) -> None:
    sandbox.control.create_orders(3, location_id=UNMAPPED, seller_id=SELLER)
    run_once(store)
    hub = factories.make_hub(store.seller.workspace, name="Second Warehouse")
    factories.make_mapping(store, hub, UNMAPPED)
    factories.make_sellable(store, hub, *SKU_CODES)

    assert len(order_holds.release_fixed(store.id)) == 3
    run = run_once(store)

    assert run.n_acknowledged == 3
    assert states(store) == {(OrderState.NEW, Acknowledgement.DONE): 3}


def test_a_buyers_cancellation_arrives_with_the_next_pull(store: Store, sandbox: Running) -> None:
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    run_once(store)
    sandbox.control.cancel(shipment_id, by="buyer", reason="Ordered by mistake")

    run = run_once(store)

    order = db.session.scalars(select(Order)).one()
    assert (order.state, order.cancelled_by) == (OrderState.CANCELLED, "MARKETPLACE_CANCELLED")
    assert run.n_updated == 1


def test_a_lost_answer_to_the_acknowledgement_is_read_again(store: Store, sandbox: Running) -> None:
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)

    with pytest.raises(AmazonError):
        run_once(store)
    assert states(store) == {(OrderState.NEW, Acknowledgement.PENDING): 1}
    db.session.execute(db.update(SyncRun).values(state=RunState.FAILED))
    db.session.commit()
    run_once(store)

    assert states(store) == {(OrderState.NEW, Acknowledgement.DONE): 1}
    assert sandbox.control.shipment(shipment_id)["status"] == "CONFIRMED"


def test_the_threads_that_acknowledge_log_with_the_ids_of_their_run(
    store: Store, sandbox: Running, monkeypatch
) -> None:
    sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    real, seen = Shipments.confirm, []

    def confirm(shipments: Shipments, shipment_id: str) -> None:
        seen.append((structlog.contextvars.get_contextvars().get("run_id"), threading.current_thread().name))
        real(shipments, shipment_id)

    monkeypatch.setattr(Shipments, "confirm", confirm)
    with structlog.contextvars.bound_contextvars(run_id=7, store_id=store.id):
        run_once(store)
    assert [run_id for run_id, _ in seen] == [7, 7, 7]
    assert all(name.startswith("acknowledge") for _, name in seen)


def test_the_next_page_is_fetched_while_one_is_written(store: Store, sandbox: Running, monkeypatch) -> None:
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    real_page, real_write, is_second_here = Shipments.page, OrderImporter.write, threading.Event()
    pages, came_meanwhile = [], []

    def page(shipments: Shipments, *arguments, **named) -> ShipmentPage:
        pages.append(real_page(shipments, *arguments, **named))
        if len(pages) == 2:
            is_second_here.set()
        return pages[-1]

    def write(importer: OrderImporter, read: ReadPage) -> Counts:
        came_meanwhile.append(is_second_here.wait(timeout=5))
        return real_write(importer, read)

    monkeypatch.setattr(Shipments, "page", page)
    monkeypatch.setattr(OrderImporter, "write", write)
    run = run_once(store)
    assert (run.state, run.n_created) == (RunState.SUCCEEDED, 1)
    assert came_meanwhile[0]


def test_an_order_cancelled_between_the_pull_and_the_acknowledgement(store: Store, sandbox: Running) -> None:
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_503", operation="processShipment", count=20)
    with pytest.raises(AmazonError):
        run_once(store)
    sandbox.control.clear_faults()
    sandbox.control.cancel(shipment_id)
    db.session.execute(db.update(SyncRun).values(state=RunState.FAILED))
    db.session.commit()

    run_once(store)

    assert states(store) == {(OrderState.CANCELLED, Acknowledgement.NOT_NEEDED): 1}


def test_stock_of_an_order_that_the_acknowledgement_finds_cancelled_goes_to_the_one_that_waits_for_it(
    store: Store, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.session.execute(db.update(StockLevel).values(on_hand=1))
    db.session.commit()
    fields = {"lines": 1, "units": 1, "sku_codes": ["TEE-BLK-M"]}
    older, _ = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER, **fields)
    real = acknowledgement.acknowledge_pending

    def cancelled_before(*args: Any) -> None:
        sandbox.control.cancel(older)
        real(*args)

    monkeypatch.setattr(acknowledgement, "acknowledge_pending", cancelled_before)
    run_once(store)

    assert sorted(state for state, _ in states(store)) == [OrderState.CANCELLED, OrderState.NEW]


def test_one_odd_shipment_goes_to_quarantine_and_the_rest_go_on(store: Store, sandbox: Running) -> None:
    sandbox.control.create_orders(5, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("odd_no_lines", operation="getShipments", count=1)

    run = run_once(store)

    assert (run.state, run.n_created, run.n_failed) == (RunState.PARTIAL, 4, 1)
    assert db.session.scalar(select(func.count(QuarantinedShipment.id))) == 1

    run = run_once(store)
    assert (run.n_created, run.n_failed) == (1, 0)
    assert db.session.scalars(select(QuarantinedShipment)).one().resolved_at is not None


def test_the_watermark_moves_only_after_the_last_page(store: Store, sandbox: Running) -> None:
    sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_500", operation="getShipments", skip=1, count=20)

    with pytest.raises(AmazonError):
        run_once(store)

    assert db.session.scalars(select(SyncState.watermark)).one() is None
    assert sum(states(store).values()) == 2  # the page that came in stays

    sandbox.control.clear_faults()
    db.session.execute(db.update(SyncRun).values(state=RunState.FAILED))
    db.session.commit()
    run_once(store)
    watermark = db.session.scalars(select(SyncState.watermark)).one()
    assert clock.now() - watermark < timedelta(minutes=1)


def test_a_refused_token_makes_the_store_need_reauthorization_and_stops_calling(store: Store, sandbox: Running) -> None:
    sandbox.control.revoke_tokens(SELLER)

    with pytest.raises(AuthorizationRefused):
        run_once(store)

    db.session.rollback()
    assert db.session.get(Store, store.id, populate_existing=True).status is StoreStatus.NEEDS_REAUTHORIZATION
    assert store.is_order_sync_on  # a toggle is never changed by the system
    sandbox.control.clear_stats()
    db.session.execute(db.update(SyncRun).values(state=RunState.FAILED))
    db.session.commit()
    run = factories.make_run(store, RunState.QUEUED, trigger="manual")
    assert sync_attempts.begin(run.id) is None
    assert sandbox.control.stats()["n_calls"] == 0


def test_a_token_that_amazon_does_not_give_says_nothing_of_the_orders(
    store: Store, sandbox: Running, monkeypatch
) -> None:
    sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    refused = lwa._error("refreshToken", Reply(status=400, body=b'{"error": "invalid_scope"}'))
    monkeypatch.setattr(Shipments, "confirm", Mock(side_effect=refused))
    with pytest.raises(TokenRefused):
        run_once(store)
    assert {acknowledgement for _, acknowledgement in states(store)} == {Acknowledgement.PENDING}


def test_orders_of_an_unmapped_id_name_it(store: Store, sandbox: Running) -> None:
    sandbox.control.create_orders(1, location_id=UNMAPPED, seller_id=SELLER)
    run_once(store)
    order = db.session.scalars(select(Order)).one()
    assert UNMAPPED in order.holds[0].detail


def test_a_quarantined_shipment_is_asked_for_again_even_when_no_list_brings_it_back(
    store: Store, sandbox: Running
) -> None:
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, status="CONFIRMED")
    sandbox.control.fault("odd_no_lines", operation="getShipments", count=1)
    run_once(store)
    assert db.session.scalars(select(QuarantinedShipment.amazon_shipment_id)).all() == [shipment_id]
    # The watermark is past its last change by far more than the overlap: no list names it any more.
    db.session.execute(db.update(SyncState).values(watermark=clock.now() + timedelta(hours=1)))
    db.session.commit()

    run = run_once(store)

    assert (run.n_created, run.n_failed) == (1, 0)
    assert db.session.scalars(select(QuarantinedShipment)).one().resolved_at is not None
    assert db.session.scalars(select(Order.amazon_shipment_id)).all() == [shipment_id]


def quarantine(store: Store, *shipment_ids: str) -> None:
    """Keep shipments in quarantine as a pull does that cannot read them, the first since longest."""
    for shipment_id in shipment_ids:
        raw = {"id": shipment_id, "status": "ACCEPTED", "locationId": MAPPED, "lineItems": []}
        with transaction():
            own = {"workspace_id": store.workspace_id, "store_id": store.id, "run_id": None}
            OrderImporter(**own, vault=vault).write(read_page([raw], vault))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("error_400", "Amazon refused to look it up (HTTP 400, SC_00002)."),
        ("access_denied", "Amazon refused to look it up (HTTP 403, Unauthorized)."),
        ("", "Nothing was sent to Amazon: shipment_id must not hold line breaks or other invisible characters."),
    ],
)
def test_a_quarantined_shipment_that_cannot_be_looked_up_costs_no_other_order_anything(
    store: Store, sandbox: Running, kind: str, words: str
) -> None:
    bad = "SHIP-12" if kind else "SHIP\u200b12"  # the second is no id that FlexDash sends
    quarantine(store, bad)
    if kind:
        sandbox.control.fault(kind, operation="getShipment", shipment_id=bad)
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)

    run = run_once(store)

    assert run.state is RunState.SUCCEEDED
    assert states(store) == {(OrderState.NEW, Acknowledgement.DONE): 1}
    assert db.session.scalars(select(SyncState.watermark)).one() is not None
    [kept] = run_sheets.search(run, [bad])
    assert (kept.item.fate, kept.item.words) == (ItemFate.REFUSED, words)
    assert db.session.scalars(select(QuarantinedShipment)).one().resolved_at is None  # it waits on


def test_what_cannot_be_looked_up_lets_the_others_in_quarantine_have_their_turn(
    store: Store, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_quarantine, "AT_A_TIME", 1)
    run_once(store)
    db.session.execute(db.update(SyncState).values(watermark=clock.now() + timedelta(hours=1)))  # no list brings it
    db.session.commit()
    [good] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, status="CONFIRMED")
    quarantine(store, "SHIP\u200b12", good)

    runs = [run_once(store), run_once(store)]

    assert [run.n_created for run in runs] == [0, 1]


def test_one_shipment_that_amazon_cannot_answer_never_stops_the_others(store: Store, sandbox: Running) -> None:
    poison, *_ = sandbox.control.create_orders(30, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("error_500", operation="processShipment", shipment_id=poison, count=50)

    run = run_once(store)

    assert states(store) == {
        (OrderState.NEW, Acknowledgement.DONE): 29,
        (OrderState.NEW, Acknowledgement.PENDING): 1,
    }
    assert (run.state, run.n_acknowledged, run.n_failed) == (RunState.PARTIAL, 29, 1)

    sandbox.control.clear_faults()
    assert run_once(store).n_acknowledged == 1


def test_what_had_left_before_order_sync_began_stays_out_of_every_later_pull(store: Store, sandbox: Running) -> None:
    shipped, later_delivered, worked = sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    for shipment_id in (shipped, later_delivered):
        sandbox.control.move(shipment_id, "SHIPPED")
    sandbox.control.move(worked, "PACKAGE_CREATED")
    before = units_on_hand(store)

    first = run_once(store)
    assert (first.n_fetched, first.n_created, first.n_skipped) == (3, 1, 2)
    sandbox.control.move(later_delivered, "DELIVERED")  # a change since, of an order that had left before
    second = run_once(store)

    assert (second.n_created, second.n_updated) == (0, 0)
    assert second.n_fetched >= 2, "Amazon gives both out again, in the overlap"
    assert db.session.scalars(select(Order.amazon_shipment_id)).all() == [worked]
    assert units_on_hand(store) == before
    assert stock_problems() == []


def test_what_amazon_moved_on_while_no_pull_came_through_is_absorbed_and_its_stock_moves_once(
    store: Store, sandbox: Running
) -> None:
    run_once(store)
    before = units_on_hand(store)
    known, unknown = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.move(unknown, "SHIPPED")
    run_once(store)
    sandbox.control.move(known, "SHIPPED")
    for _ in range(3):
        run_once(store)
    found = db.session.scalars(select(Order).order_by(Order.id)).all()
    assert {order.amazon_shipment_id: order.state for order in found} == {
        known: OrderState.SHIPPED,
        unknown: OrderState.SHIPPED,
    }
    assert before - units_on_hand(store) == sum(order.n_units for order in found)
    assert stock_problems() == []


def test_what_could_not_be_read_before_it_left_is_absorbed_once_it_can(store: Store, sandbox: Running) -> None:
    [shipment_id] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("odd_no_lines", operation="getShipments", count=1)
    assert run_once(store).n_failed == 1
    sandbox.control.move(shipment_id, "SHIPPED")
    run_once(store)
    assert db.session.scalars(select(Order)).one().state is OrderState.SHIPPED


def units_on_hand(store: Store) -> int:
    db.session.rollback()
    query = select(func.sum(StockLevel.on_hand)).where(StockLevel.seller_id == store.seller_id)
    return db.session.scalar(query)

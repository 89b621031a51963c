"""Order pull over real HTTP, beside one ORM insert and commit per order; acknowledging beside Amazon's allowance."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from amazon_sandbox.serving import Running
from amazon_sandbox.world.people import SKU_CODES
from bench import ground
from bench.results import Figure
from flexdash.amazon.shipment_reader import read_shipment
from flexdash.extensions import db, vault
from flexdash.models import (
    ApiCall,
    Listing,
    Order,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderStock,
    RunState,
    StockCause,
    StockLevel,
    StockMovement,
    Store,
)
from flexdash.services import order_pull, order_rows, sync_attempts
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.routing import Routes
from tests import factories

N_SHIPMENTS = 10_000
N_SHIPMENTS_OF_PEER = 2_000
WANTED_PER_SECOND = 1_000
ACKNOWLEDGE_RPS = 20
N_TO_ACKNOWLEDGE = 600
WANTED_SHARE = 0.97


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table."""
    with ground.sandbox() as sandbox:
        sandbox.control.create_orders(N_SHIPMENTS, seller_id=ground.SANDBOX_SELLER, location_id="EXSB")
        for database in ground.databases():
            with ground.app_on(database, sandbox, shipments_requests_per_second=1000.0):
                yield _pull(database, sandbox)
        sandbox.control.reset()
        sandbox.control.plans({"processShipment": {"rate": ACKNOWLEDGE_RPS, "burst": ACKNOWLEDGE_RPS}})
        for database in ground.databases():
            with ground.app_on(database, sandbox, shipments_requests_per_second=1000.0):
                yield _acknowledge(database, sandbox)


def _pull(database: str, sandbox: Running) -> Figure:
    peer = _rate_of_peer(_store(sandbox))
    ours = []
    for _ in range(3):
        store = _store(sandbox)
        with mock.patch.object(order_pull.acknowledgement, "acknowledge_pending"):
            seconds = _run(store)
        n = db.session.scalar(db.select(db.func.count(Order.id)).where(Order.store_id == store.id))
        assert n == N_SHIPMENTS, n
        n_reserved = db.session.scalar(
            db.select(db.func.count(Order.id)).where(Order.store_id == store.id, Order.stock == OrderStock.RESERVED)
        )
        assert n_reserved == N_SHIPMENTS, n_reserved
        ours.append(N_SHIPMENTS / seconds)
    rate = sorted(ours)[1]
    return Figure(
        f"order pull, {N_SHIPMENTS:,} shipments with routing, stock and timeline",
        database,
        f"{rate:,.0f} orders/s",
        f"≥ {WANTED_PER_SECOND:,} orders/s",
        f"one ORM insert and commit per order: {peer:,.0f} orders/s",
        f"{rate / peer:.1f} ×",
    )


def _acknowledge(database: str, sandbox: Running) -> Figure:
    sandbox.control.create_orders(N_TO_ACKNOWLEDGE, seller_id=ground.SANDBOX_SELLER, location_id="EXSB")
    store = _store(sandbox)
    with mock.patch.object(order_pull.acknowledgement, "acknowledge_pending"):
        _run(store)
    sandbox.control.clear_stats()
    _run(store)
    stats = sandbox.control.stats()
    assert stats["calls"]["processShipment"] >= N_TO_ACKNOWLEDGE
    # From the first call to the last, as our own records of the calls have them: the pages before are another line.
    first, last = db.session.execute(
        db.select(db.func.min(ApiCall.started_at), db.func.max(ApiCall.started_at)).where(
            ApiCall.store_id == store.id, ApiCall.operation == "processShipment"
        )
    ).one()
    share = (N_TO_ACKNOWLEDGE - 1) / ACKNOWLEDGE_RPS / (last - first).total_seconds()
    n_throttled = stats["statuses"]["processShipment"].get("429", 0)
    return Figure(
        f"acknowledging {N_TO_ACKNOWLEDGE} orders at Amazon's {ACKNOWLEDGE_RPS} requests/s",
        database,
        f"{share:.1%} of the pace, {n_throttled} answers 429",
        f"≥ {WANTED_SHARE:.0%}",
    )


def _store(sandbox: Running) -> Store:
    workspace = factories.make_workspace()
    store = factories.make_store(
        factories.make_seller(workspace),
        refresh_token=sandbox.control.issue_tokens(ground.SANDBOX_SELLER)["refresh_token"],
        amazon_selling_partner_id=ground.SANDBOX_SELLER,
        is_order_sync_on=True,
    )
    hub = factories.make_hub(workspace)
    factories.make_mapping(store, hub, "EXSB")
    factories.make_sellable(store, hub, *SKU_CODES)
    return store


def _run(store: Store) -> float:
    """Run one pull as a worker does; return its seconds."""
    run = factories.make_run(store, RunState.QUEUED, trigger="manual")
    context = sync_attempts.begin(run.id)
    assert context is not None
    began = time.perf_counter()
    order_pull.pull(context)
    seconds = time.perf_counter() - began
    sync_attempts.succeed(context)
    return seconds


def _rate_of_peer(store: Store) -> float:
    """The same work as one would write it first: an insert and a commit per order."""
    at_amazon = store_at_amazon(store.id)
    real_vault = vault._get_current_object()
    store_id, workspace_id, seller_id = store.id, store.workspace_id, store.seller_id
    n = 0
    with _quiet(at_amazon) as client:
        began = time.perf_counter()
        for page in client.shipments.pages("ACCEPTED", marketplace_id=at_amazon.marketplace_id, channel_name="FBA"):
            for raw in page.shipments:
                shipment = read_shipment(raw)
                read = order_rows.ReadShipment(raw, shipment, order_rows.encrypt_buyer(real_vault, shipment))
                route = Routes.of_store(store_id).to(shipment.location_id)
                if db.session.scalar(
                    db.select(Order.id).where(Order.store_id == store_id, Order.amazon_shipment_id == shipment.id)
                ):
                    continue
                row = order_rows.order_row(
                    read, route, workspace_id=workspace_id, store_id=store_id, imported_at=factories.clock.now()
                )
                order = Order(**row)
                order.lines = [
                    OrderLine(**{name: value for name, value in line.items() if name != "order_id"})
                    for line in order_rows.line_rows(shipment, 0)
                ]
                order.holds = [
                    OrderHold(workspace_id=workspace_id, reason=hold.reason, detail=hold.detail) for hold in route.holds
                ]
                order.events = [OrderEvent(kind="imported", sentence=order_rows.imported_sentence(shipment, route))]
                db.session.add(order)
                _reserve(store_id, seller_id, order)
                db.session.commit()
                n += 1
            if n >= N_SHIPMENTS_OF_PEER:
                break
        return n / (time.perf_counter() - began)


def _reserve(store_id: int, seller_id: int, order: Order) -> None:
    """Reserve an order's stock line by line, as one would write it first."""
    db.session.flush()
    for line in order.lines:
        listing = db.session.scalar(
            db.select(Listing).where(Listing.store_id == store_id, Listing.sku_code == line.sku_code)
        )
        level = db.session.scalar(
            db.select(StockLevel)
            .where(
                StockLevel.hub_id == order.hub_id,
                StockLevel.seller_id == seller_id,
                StockLevel.sku_code == line.sku_code,
            )
            .with_for_update()
        )
        assert listing is not None
        assert level.available >= line.n_units
        level.reserved += line.n_units
        db.session.add(
            StockMovement(
                workspace_id=order.workspace_id,
                stock_level_id=level.id,
                cause=StockCause.RESERVATION,
                on_hand_change=0,
                reserved_change=line.n_units,
                on_hand_after=level.on_hand,
                reserved_after=level.reserved,
                order_id=order.id,
            )
        )


@contextmanager
def _quiet(at_amazon: object) -> Iterator[object]:
    with open_amazon(at_amazon, CallLog(at_amazon)) as client:
        yield client

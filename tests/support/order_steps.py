"""Orders whose steps at Amazon are done as a worker does them."""

from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import Order, OrderStep, RunState, StepKind, StepState, Store, Sync, SyncRun
from flexdash.services import sync_attempts
from flexdash.services.order_work import steps
from tests import factories
from tests.support.pulls import MAPPED, SELLER, do_run

NOT_SERIALIZED = "TEE-BLK-M"


def pulled(store: Store, sandbox: Running, **fields) -> Order:
    """Return the one order that the sandbox makes and a pull brings in."""
    fields = {"sku_codes": [NOT_SERIALIZED], "lines": 1, **fields}
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, **fields)
    do_run(store)
    return db.session.scalars(select(Order).order_by(Order.id.desc())).first()


def do_steps(store: Store) -> SyncRun:
    """Do the store's steps as a worker does and return the run."""
    db.session.rollback()
    run = factories.make_run(db.session.get(Store, store.id), RunState.QUEUED, sync=Sync.ORDER_STEPS, trigger="manual")
    context = sync_attempts.begin(run.id)
    steps.work(context)
    sync_attempts.succeed(context)
    db.session.rollback()
    return db.session.get(SyncRun, run.id, populate_existing=True)


def states(order: Order) -> dict[StepKind, StepState]:
    """The order's steps, and how far each is."""
    db.session.rollback()
    rows = db.session.execute(select(OrderStep.kind, OrderStep.state).where(OrderStep.order_id == order.id))
    return dict(rows.all())


def effects(sandbox: Running, order: Order) -> dict[str, int]:
    """What was achieved at Amazon for the order, and how often."""
    return sandbox.control.stats(per_shipment=True)["per_shipment"].get(order.amazon_shipment_id, {})


def make_due(order: Order) -> None:
    """Let the pauses before the order's steps be over."""
    db.session.rollback()
    db.session.execute(db.update(OrderStep).where(OrderStep.order_id == order.id).values(not_before=None))
    db.session.commit()

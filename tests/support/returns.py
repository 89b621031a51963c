"""Stores, runs and returns for tests of the return pull against the sandbox."""

from collections.abc import Iterable

from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import AmazonReturn, RunState, Store, Sync, SyncRun
from flexdash.services import return_pull, sync_attempts
from tests import factories

SELLER = "A3SBXSUNRISEIN"
MAPPED, UNMAPPED, OTHER = "EXSB", "PNQ1", "BLR2"
QUICK_PLANS = {name: {"rate": 5_000, "burst": 5_000} for name in ("listReturns", "getReturn")}


def make_returning_store(sandbox: Running, *, partner: str = SELLER, mapped: Iterable[str] = (MAPPED,)) -> Store:
    """Return a connected store with Order Sync on whose hubs have the ids `mapped`; the sandbox keeps no pace."""
    sandbox.control.plans({"*": None})
    sandbox.control.plans(QUICK_PLANS)  # named in the answers, so that FlexDash keeps none either
    workspace = factories.make_workspace()
    store = factories.make_store(
        factories.make_seller(workspace),
        refresh_token=sandbox.control.issue_tokens(SELLER)["refresh_token"],
        amazon_selling_partner_id=partner,
        is_order_sync_on=True,
    )
    for location_id in mapped:
        factories.make_mapping(store, factories.make_hub(workspace, name=f"{location_id} Warehouse"), location_id)
    return store


def returned(sandbox: Running, n: int = 1, *, location_id: str = MAPPED, **fields) -> list[str]:
    """Have buyers send `n` delivered shipments of one line back; return the ids of the returns."""
    shipments = sandbox.control.create_orders(n, status="DELIVERED", lines=1, location_id=MAPPED, seller_id=SELLER)
    return [
        return_id
        for shipment_id in shipments
        for return_id in sandbox.control.create_returns(shipment_id, location_id=location_id, **fields)
    ]


def run_returns(store: Store) -> SyncRun:
    """Run the return pull as a worker does and return the finished run."""
    run_id = factories.make_run(store, RunState.QUEUED, sync=Sync.RETURN_PULL, trigger="manual").id
    context = sync_attempts.begin(run_id)
    assert context is not None
    return_pull.pull(context)
    sync_attempts.succeed(context)
    db.session.rollback()
    return db.session.get(SyncRun, run_id, populate_existing=True)


def here(store: Store) -> dict[str, AmazonReturn]:
    """Return the store's returns by Amazon's id, read fresh."""
    db.session.rollback()
    query = select(AmazonReturn).where(AmazonReturn.store_id == store.id).order_by(AmazonReturn.id)
    rows = db.session.scalars(query.execution_options(populate_existing=True)).all()
    assert len({row.amazon_return_id for row in rows}) == len(rows)
    return {row.amazon_return_id: row for row in rows}


def at_amazon(sandbox: Running) -> dict[str, str]:
    """Return the status of each of the seller's returns at Amazon."""
    return {item["id"]: item["status"] for item in sandbox.control.returns(seller_id=SELLER)}

"""Stores with stock, whole inventory runs, and what Amazon shows afterwards."""

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import Hub, Listing, PublishedStock, RunState, StockLevel, Store, Sync, SyncRun, SyncRunItem
from flexdash.services.inventory.fetch import fetch
from flexdash.services.inventory.push import push
from tests import factories
from tests.support.pulls import MAPPED, SELLER, row

WORK = {Sync.INVENTORY_PUSH: push, Sync.INVENTORY_FETCH: fetch}


def make_stocked_store(sandbox: Running | None = None, *, partner: str = SELLER, **values) -> tuple[Store, Hub]:
    """Return a connected store with Inventory Sync on, and its hub, which is mapped to the sandbox's location."""
    workspace = factories.make_workspace()
    token = sandbox.control.issue_tokens(SELLER)["refresh_token"] if sandbox else None
    values = {"is_inventory_sync_on": True, "name": "Pune Store", **values}
    store = factories.make_store(
        factories.make_seller(workspace), refresh_token=token, amazon_selling_partner_id=partner, **values
    )
    hub = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_mapping(store, hub, MAPPED)
    return store, hub


def stock_up(store: Store, hub: Hub, quantities: dict[str, int]) -> None:
    """Put every SKU into the store's catalog, unless it is there, and set what lies in the hub."""
    db.session.rollback()
    known = set(db.session.scalars(db.select(Listing.sku_code).where(Listing.store_id == store.id)))
    levels = {
        level.sku_code: level
        for level in db.session.scalars(
            db.select(StockLevel).where(StockLevel.hub_id == hub.id, StockLevel.seller_id == store.seller_id)
        )
    }
    own = {"workspace_id": store.workspace_id}
    db.session.add_all(
        Listing(**own, store_id=store.id, sku_code=code, asin=f"B0{n:08d}", name=f"Item {code}")
        for n, code in enumerate(quantities)
        if code not in known
    )
    for code, quantity in quantities.items():
        if code in levels:
            levels[code].on_hand = quantity
        else:
            level = StockLevel(**own, hub_id=hub.id, seller_id=store.seller_id, sku_code=code, on_hand=quantity)
            db.session.add(level)
    db.session.commit()


def new_run(store: Store, sync: Sync = Sync.INVENTORY_PUSH, **values) -> int:
    """Make a queued run and return its id."""
    db.session.rollback()
    return factories.make_run(store, RunState.QUEUED, sync=sync, trigger="manual", **values).id


def attempt(run_id: int) -> SyncRun:
    """Do one attempt at a queued run as a worker would, endings included, and return the run."""
    runner.execute(run_id, WORK[row(run_id).sync])
    return row(run_id)


def do_push(store: Store, **values) -> SyncRun:
    """Do one push of the store and return its run."""
    return attempt(new_run(store, **values))


def do_fetch(store: Store) -> SyncRun:
    """Ask for all of the store's stock and return the run."""
    return attempt(new_run(store, Sync.INVENTORY_FETCH))


def at_amazon(sandbox: Running) -> dict[str, int]:
    """Return what Amazon shows at the mapped location, by SKU."""
    return {
        item["sku_code"]: item["n_units"] for item in sandbox.control.stock(SELLER) if item["location_id"] == MAPPED
    }


def published(store: Store) -> dict[str, PublishedStock]:
    """Return what Amazon was told, by SKU; for stores with one location."""
    db.session.rollback()
    query = db.select(PublishedStock).where(PublishedStock.store_id == store.id)
    return {row.sku_code: row for row in db.session.scalars(query.execution_options(populate_existing=True))}


def items_of(run: SyncRun) -> list[SyncRunItem]:
    """Return what the run left out and what was refused, in the order it was written."""
    db.session.rollback()
    return list(db.session.scalars(db.select(SyncRunItem).where(SyncRunItem.run_id == run.id).order_by(SyncRunItem.id)))

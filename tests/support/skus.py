"""A store whose SKUs Help is asked about, changed as people and the product's own jobs change it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from flask import current_app
from sqlalchemy import select

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import Hub, Listing, Role, StockLevel, Store, Sync, SyncRun
from flexdash.services import disconnecting, hubs, listings, price_push, prices, stock, store_settings, sync_runs
from flexdash.services.actors import Actor
from flexdash.services.inventory import rules
from flexdash.services.inventory.push import push
from flexdash.services.stock import Way
from flexdash.services.store_settings import Toggle
from tests import factories
from tests.support.pulls import row
from tests.support.servers import wait_for
from tests.support.stock import make_stocked_store

WORK = {Sync.INVENTORY_PUSH: push, Sync.PRICE_PUSH: price_push.push}


@dataclass
class Shop:
    """A store that is connected to the sandbox, its hub, Asha, who may change all of it, and support, who asks."""

    sandbox: Running
    store: Store
    hub: Hub
    asha: Actor
    asker: Actor

    def fresh(self) -> Store:
        """The store as the database has it now."""
        db.session.rollback()
        return db.session.get_one(Store, self.store.id, populate_existing=True)

    # The catalog and its prices ---------------------------------------------------------------------------------------

    def list_it(self, sku_code: str, store: Store | None = None) -> Listing:
        """Put a SKU into a store's catalog, without an MRP or a price."""
        values = {"asin": f"B0{factories.number():08d}", "name": f"Item {sku_code}"}
        return listings.add(self.asha, (store or self.store).id, sku_code, values)

    def listing(self, sku_code: str) -> Listing | None:
        """The SKU in the store's catalog, as it is now."""
        db.session.rollback()
        query = select(Listing).where(Listing.store_id == self.store.id, Listing.sku_code == sku_code)
        return db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()

    def price(self, amount: str, sku_code: str) -> Listing:
        """Price a SKU, which the catalog lists then."""
        listing = self.listing(sku_code) or self.list_it(sku_code)
        return prices.change(self.asha, listing.id, amount, version=listing.version)

    # Stock and hubs ---------------------------------------------------------------------------------------------------

    def stock(self, **quantities: int) -> None:
        """Count these SKUs in the hub; the catalog lists them then."""
        for sku_code, n_units in quantities.items():
            if self.listing(sku_code) is None:
                self.list_it(sku_code)
            self.count(sku_code, n_units)

    def count(self, sku_code: str, n_units: int, hub: Hub | None = None) -> None:
        """Count a SKU in a hub, whatever the catalog has."""
        hub_id = (hub or self.hub).id
        db.session.rollback()
        of_this = (StockLevel.seller_id == self.store.seller_id, StockLevel.sku_code == sku_code)
        level = db.session.scalars(select(StockLevel).where(StockLevel.hub_id == hub_id, *of_this)).one_or_none()
        if level is None:
            stock.add(self.asha, self.store.seller_id, hub_id, sku_code, str(n_units))
        else:
            stock.change(self.asha, level.id, Way.SET, str(n_units), seen=level.on_hand)

    def add_hub(self, name: str = "Delhi Warehouse") -> Hub:
        """Add a hub to the workspace, mapped in no store."""
        place = {"city": "Delhi", "country_code": "IN", "time_zone": "Asia/Kolkata"}
        return hubs.add(self.asha, code=name.split()[0], name=name, **place)

    # Settings ---------------------------------------------------------------------------------------------------------

    def turn_off(self, toggle: Toggle, reason: str = "") -> None:
        """Turn one of the store's toggles off."""
        version = self.fresh().settings_version
        store_settings.set_toggle(self.asha, self.store.id, toggle, turn_on=False, version=version, reason=reason)

    def hold_back(self, n_units: int) -> None:
        """Set the stock buffer."""
        store = self.fresh()
        rest = {"zero_brake_percent": str(store.zero_brake_percent), "version": store.settings_version}
        rules.set_rules(self.asha, store.id, stock_buffer=str(n_units), **rest)

    def disconnect(self) -> None:
        """Cut the store off from Amazon."""
        disconnecting.disconnect(self.asha, self.store.id)

    # Runs -------------------------------------------------------------------------------------------------------------

    def ask_for(self, sync: Sync) -> int:
        """Press *Sync now*, and return the id of the run that is to be queued."""
        db.session.rollback()
        return sync_runs.request_now(self.asha, self.store.id, sync).id

    def do(self, run_id: int) -> SyncRun:
        """Do an attempt at a run as a worker does, and return the run."""
        db.session.rollback()
        runner.execute(run_id, WORK[row(run_id).sync])
        return row(run_id)

    def push(self, sync: Sync = Sync.INVENTORY_PUSH) -> SyncRun:
        """Press *Sync now*, and let a worker do the run."""
        return self.do(self.ask_for(sync))

    @contextmanager
    def kept_waiting(self, sync: Sync, operation: str) -> Iterator[None]:
        """Have a run at work that Amazon keeps waiting at its first call of `operation`; it goes on afterwards."""
        app, run_id = current_app._get_current_object(), self.ask_for(sync)
        db.session.rollback()

        def work() -> None:
            with app.app_context():
                runner.execute(run_id, WORK[sync])

        held = self.sandbox.control.fault("held", operation=operation)
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
            try:
                wait_for(lambda: self.sandbox.control.stats()["calls"].get(operation), f"a call of {operation}")
                yield
            finally:
                self.sandbox.control.clear_faults(held)
            done.result()
        db.session.rollback()  # so that what it wrote is read


def make_shop(sandbox: Running) -> Shop:
    """Return a shop in a workspace of its own with Inventory Sync on, its hub mapped and empty, its catalog too."""
    store, hub = make_stocked_store(sandbox)
    workspace = store.seller.workspace
    asha, asker = (
        factories.make_actor(factories.make_user(workspace, role, name=name))
        for role, name in ((Role.ADMIN, "Asha"), (Role.SUPPORT, "Sam"))
    )
    return Shop(sandbox, store, hub, asha, asker)

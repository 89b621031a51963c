"""Stories of two stores of a seller for hypothesis: everything that can happen to their stock, in any order."""

from collections.abc import Callable
from datetime import timedelta

from hypothesis import HealthCheck
from hypothesis import strategies as st
from sqlalchemy import select

from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import Hub, HubMapping, Order, StockLevel, StockMode, Store, Upload, UploadKind
from flexdash.services import order_holds, stock
from flexdash.services.errors import ServiceError
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import read_page
from flexdash.services.stock import UploadedQuantity, Way
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.shipments import START, cancelled, raw_shipment

CODES = ("TEE", "MUG", "CUP")
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}
LOCATIONS = ("EXSB", "DELX", "ELSE")  # two that have hubs, and one that has none
STATUSES = ("CONFIRMED", "PACKAGE_CREATED", "SHIPLABEL_GENERATED", "SHIPPED", "DELIVERED", "CANCELLED")

lines = st.lists(st.tuples(st.sampled_from(CODES), st.integers(1, 3)), min_size=1, max_size=3)
which = st.integers(0, 11)
small = st.integers(0, 6)
steps = st.one_of(
    st.tuples(st.just("order"), st.integers(0, 1), st.sampled_from(LOCATIONS), lines, st.integers(0, 50)),
    st.tuples(st.just("order"), st.integers(0, 1), st.sampled_from(LOCATIONS[:2]), lines, st.integers(0, 50)),
    st.tuples(st.just("news"), which, st.sampled_from(STATUSES)),
    st.tuples(st.just("move"), which, st.sampled_from(LOCATIONS)),
    st.tuples(st.just("edit"), small, st.sampled_from(list(Way)), small),
    st.tuples(st.just("upload"), st.sampled_from(list(StockMode)), st.lists(small, min_size=6, max_size=6)),
    st.tuples(st.just("release"), st.integers(0, 2)),
    st.tuples(st.just("by_hand"), which, st.integers(0, 1)),
    st.tuples(st.just("switch"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("list"), st.integers(0, 1), st.sampled_from(CODES)),
)


class World:
    """Two stores of a seller, two hubs, and everything that can happen to their stock."""

    def __init__(self) -> None:
        workspace = factories.make_workspace()
        self.seller = factories.make_seller(workspace)
        self.actor = factories.make_actor(factories.make_user(workspace))
        self.hubs: list[Hub] = [factories.make_hub(workspace) for _ in range(2)]
        self.stores: list[Store] = [factories.make_store(self.seller, country_code=code) for code in ("IN", "AE")]
        for store in self.stores:
            for hub, location in zip(self.hubs, LOCATIONS, strict=False):
                factories.make_mapping(store, hub, location)
        for code in CODES[:2]:
            factories.make_sellable(self.stores[0], self.hubs[0], code, on_hand=4)
        self.shipments: list[tuple[int, dict]] = []
        self.n_minutes = 0

    def order(self, store: int, location: str, wanted: list[tuple[str, int]], age: int) -> None:
        """Let a new order come in."""
        raw = raw_shipment(location_id=location, sku_codes=tuple(code for code, _ in wanted))
        for line, (_, n) in zip(raw["lineItems"], wanted, strict=True):
            line["numberOfUnits"] = n
        raw["creationDateTime"] = (START - timedelta(minutes=age)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.shipments.append((store, raw))
        self._write(store, raw)

    def news(self, n: int, status: str) -> None:
        """Let Amazon say something else of an order."""
        if self.shipments:
            store, raw = self.shipments[n % len(self.shipments)]
            self._write(store, self._later(cancelled(raw) if status == "CANCELLED" else raw | {"status": status}))

    def move(self, n: int, location: str) -> None:
        """Let Amazon move an order to another location."""
        if self.shipments:
            n %= len(self.shipments)
            store, raw = self.shipments[n]
            self.shipments[n] = (store, raw | {"locationId": location})
            self._write(store, self._later(self.shipments[n][1]))

    def edit(self, n: int, way: Way, units: int) -> None:
        """Change a level by hand."""
        levels = db.session.scalars(select(StockLevel).where(StockLevel.seller_id == self.seller.id)).all()
        level = levels[n % len(levels)]
        stock.change(self.actor, level.id, way, str(units), seen=level.on_hand)
        order_holds.release_for_seller(self.seller.id, sku_code=level.sku_code)

    def upload(self, mode: StockMode, quantities: list[int]) -> None:
        """Apply a stock file."""
        upload = Upload(
            workspace_id=self.seller.workspace_id,
            seller_id=self.seller.id,
            kind=UploadKind.STOCK,
            stock_mode=mode,
            file_name="stock.csv",
            n_bytes=1,
            sha256="0" * 64,
            uploaded_by_name="Asha",
        )
        keys = [(hub.id, code) for hub in self.hubs for code in CODES]
        with transaction() as session:
            session.add(upload)
            session.flush()
            levels = db.session.scalars(select(StockLevel).where(StockLevel.seller_id == self.seller.id))
            seen = {(level.hub_id, level.sku_code): level.on_hand for level in levels}
            rows = [
                UploadedQuantity(n, *keys[n], quantity, seen.get(keys[n], 0)) for n, quantity in enumerate(quantities)
            ]
            stock.apply_uploaded(session, upload, rows)
        order_holds.release_for_seller(self.seller.id)

    def release(self, which_stores: int) -> None:
        """Look at held orders again."""
        if which_stores == 2:
            order_holds.release_for_seller(self.seller.id)
        else:
            order_holds.release_fixed(self.stores[which_stores].id)

    def by_hand(self, n: int, hub: int) -> None:
        """Release an order by hand, held or not."""
        ids = db.session.scalars(select(Order.id).where(Order.store_id.in_([store.id for store in self.stores]))).all()
        if ids:
            order_holds.release_to(self.actor, ids[n % len(ids)], self.hubs[hub].id)

    def switch(self, hub: int, is_active: bool) -> None:
        """Switch a hub's mappings on or off."""
        for mapping in db.session.scalars(select(HubMapping).where(HubMapping.hub_id == self.hubs[hub].id)):
            mapping.is_active = is_active
        db.session.commit()

    def list(self, store: int, code: str) -> None:
        """Put a SKU into a store's catalog."""
        factories.make_sellable(self.stores[store], factories.make_hub(self.seller.workspace), code, on_hand=0)

    def _write(self, store: int, raw: dict) -> None:
        ids = {"workspace_id": self.seller.workspace_id, "store_id": self.stores[store].id}
        importer = OrderImporter(**ids, run_id=None, vault=vault)
        page = read_page([raw], vault)
        with transaction():
            counts = importer.write(page)
        assert counts.n_failed == 0

    def _later(self, raw: dict) -> dict:
        self.n_minutes += 1
        at = START + timedelta(hours=2, minutes=self.n_minutes)
        return raw | {"lastUpdatedDateTime": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def live(script: list[tuple]) -> None:
    """Let the steps of `script` happen one after the other; fail unless stock, ledger and orders then agree."""
    db.session.rollback()
    world = World()
    for name, *arguments in script:
        step: Callable[..., None] = getattr(world, name)
        try:
            step(*arguments)
        except ServiceError:
            db.session.rollback()  # refused in words: nothing may have moved
    assert stock_problems() == []

"""What orders do to stock: promise it, give it back, carry it off. Each step once, while the order's row is locked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import func, select, text

from flexdash.database import one_of
from flexdash.extensions import db
from flexdash.models import (
    HoldReason,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderStock,
    StockCause,
    StockLevel,
    Store,
)
from flexdash.services.order_checks import Catalogs, not_enough
from flexdash.services.routing import Route
from flexdash.services.stock_ledger import Ledger, Level
from flexdash.services.words import listed, shortened

_NEVER_SAID = datetime.max.replace(tzinfo=UTC)  # an order without a time of creation comes last
_HELD_LOOKED_AT = 1_000  # orders On Hold, the oldest: so many may stand before new ones
_NOT_STORED_YET = 2**62  # stands in the place of the id of an order that is still to be inserted

Units = dict[str, int]  # by SKU code

log = structlog.get_logger(__name__)


@dataclass
class Request:
    """An order that wants its stock reserved. Once settled, `route` has every reason against it, or none."""

    store_id: int
    route: Route
    created_at: datetime | None
    order: Order | None  # None: it is still to be inserted
    units: Units = field(default_factory=dict)
    must_be_listed: bool = True
    if_refused: str = ""  # begins the sentence that the timeline then gets
    actor_name: str = "FlexDash"
    number: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the ledger; they still lack a new order's id

    @property
    def age(self) -> tuple[datetime, int]:
        """Return what orders are sorted by, the one to be served first first."""
        return self.created_at or _NEVER_SAID, self.order.id if self.order else _NOT_STORED_YET + self.number

    def belongs_to(self, order_id: int) -> None:
        """Say which order this was, once that is inserted."""
        for row in self.rows:
            row["order_id"] = order_id


@dataclass
class _Held:
    """An order On Hold for stock and nothing else, which new orders let go first."""

    age: tuple[datetime, int]
    hub_id: int
    units: Units  # only of SKUs that new orders want


@dataclass(frozen=True)
class _Step:
    order: Order
    hub_id: int | None
    was_reserved: bool


class StockDesk:
    """Collects what some orders of one seller do to stock in a transaction, and does it at once, oldest order first.

    The orders that are handed in are locked. `settle` locks the stock levels and decides; then new orders can be
    inserted; `write` writes levels and ledger.

    What an older order On Hold is waiting for, a new one does not take: it is held too, until `order_holds` has served
    the older one. `has_freed_stock` says that this is worth doing after the commit.
    """

    def __init__(self, *, workspace_id: int, seller_id: int, run_id: int | None = None) -> None:
        self.seller_id, self.run_id = seller_id, run_id
        self.has_freed_stock = False
        self._ledger = Ledger(workspace_id, seller_id)
        self._releases: list[_Step] = []
        self._shipments: list[_Step] = []
        self._requests: list[Request] = []

    def ask(
        self,
        route: Route,
        *,
        store_id: int,
        created_at: datetime | None,
        order: Order | None = None,
        units: Units | None = None,
        must_be_listed: bool = True,
        if_refused: str = "",
        actor_name: str = "FlexDash",
    ) -> Request:
        """Ask for the stock of an order at the hub of its route: all of it, or none.

        `order` is one that is here; for one still to be inserted give its `units`. What is reserved for the order now
        has to be released first. With `must_be_listed` the store has to list every SKU.
        """
        request = Request(store_id, route, created_at, order, dict(units or {}), must_be_listed, if_refused, actor_name)
        request.number = len(self._requests)
        self._requests.append(request)
        return request

    def release(self, order: Order) -> bool:
        """Give back what is reserved for the order, if anything is; return whether it was."""
        if order.stock is not OrderStock.RESERVED:
            return False
        self._releases.append(_Step(order, order.hub_id, True))
        order.stock = OrderStock.NONE
        self.has_freed_stock = True
        return True

    def ship(self, order: Order) -> None:
        """Take off what left the hub with the order, once; what was never reserved, as far as it is there."""
        if order.stock is OrderStock.DEDUCTED:
            return
        self._shipments.append(_Step(order, order.hub_id, order.stock is OrderStock.RESERVED))
        order.stock = OrderStock.DEDUCTED

    def settle(self) -> None:
        """Lock every level concerned, give back, take off, then serve the requests, the oldest order first."""
        steps = [*self._releases, *self._shipments]
        asked = [request for request in self._requests if request.order is not None]
        units = _units_of([step.order.id for step in steps] + [request.order.id for request in asked if request.order])
        for request in asked:
            if request.order is not None:
                request.units = units.get(request.order.id, {})
        wanted = [(step.hub_id, code) for step in steps if step.hub_id for code in units.get(step.order.id, {})]
        wanted += [(r.route.hub_id, code) for r in self._requests if r.route.hub_id is not None for code in r.units]
        listed_ones = [request for request in self._requests if request.must_be_listed]
        catalogs = Catalogs.read(
            self.seller_id,
            {request.store_id for request in listed_ones},
            {code for request in listed_ones for code in request.units},
        )
        self._ledger.hold(wanted)
        for step in self._releases:
            self._give_back(step, units.get(step.order.id, {}))
        for step in self._shipments:
            self._take_off(step, units.get(step.order.id, {}))
        set_aside: Counter[tuple[int, str]] = Counter()
        for one in sorted([*self._requests, *self._held_before()], key=lambda one: one.age):
            if isinstance(one, Request):
                self._serve(one, catalogs, set_aside)
            else:
                self._set_aside(one, set_aside)
        self._releases, self._shipments, self._requests = [], [], []

    def write(self) -> None:
        """Write levels and ledger; the orders that the ledger names have to be in the database by now."""
        self._ledger.write()

    def _give_back(self, step: _Step, units: Units) -> None:
        for code, n in sorted(units.items()):
            level = self._level(step.hub_id, code)
            if level is not None and (n := self._reserved(step, level, n)):
                self._ledger.change(level, StockCause.RELEASE, reserved=-n, order_id=step.order.id)

    def _take_off(self, step: _Step, units: Units) -> None:
        short: list[str] = []
        for code, n in sorted(units.items()):
            level = self._level(step.hub_id, code)
            if level is None:
                short.append(_some(n, code))
                continue
            reserved = self._reserved(step, level, n) if step.was_reserved else 0
            rest = min(n - reserved, level.available)
            note = ""
            if reserved + rest < n:
                short.append(_some(n - reserved - rest, code))
                note = f"{n:,} left the hub, but only {reserved + rest:,} could be taken off: no more was available."
            elif rest:
                note = "It left the hub without having been reserved."
            self._ledger.change(
                level,
                StockCause.SHIPMENT,
                on_hand=-reserved - rest,
                reserved=-reserved,
                order_id=step.order.id,
                note=note,
            )
        if short:
            what = listed([*short[:5], *(["more"] if len(short) > 5 else [])])
            if step.hub_id is None:
                sentence = (
                    f"It left while it had no hub here, so {what} could not be taken off. Correct the stock by hand."
                )
            else:
                sentence = (
                    f"It left the hub, and {what} could not be taken off its stock: FlexDash had no more available "
                )
                sentence += "there. Count what lies in the hub and correct the stock."
            self._say(step.order, sentence)

    def _held_before(self) -> list[_Held]:
        """Return the orders On Hold that want what new ones want, as far as stock alone is what they wait for."""
        new = [request for request in self._requests if request.order is None and request.route.hub_id is not None]
        if not new:
            return []
        wanted = sorted({code for request in new for code in request.units})
        age = func.coalesce(Order.amazon_created_at, Order.imported_at).label("age")
        waits_for_more = select(OrderHold.id).where(
            OrderHold.order_id == Order.id, OrderHold.reason != HoldReason.NOT_ENOUGH_STOCK
        )
        # What it wants besides is judged by what is there now, unlocked: a level that changes lets it go later.
        there = (
            select(StockLevel.on_hand - StockLevel.reserved)
            .where(
                StockLevel.hub_id == Order.hub_id,
                StockLevel.seller_id == self.seller_id,
                StockLevel.sku_code == OrderLine.sku_code,
            )
            .correlate(Order, OrderLine)
            .scalar_subquery()
        )
        lacks_another = select(OrderLine.id).where(
            OrderLine.order_id == Order.id,
            ~one_of(OrderLine.sku_code, wanted),
            func.coalesce(there, 0) < OrderLine.n_units,
        )
        held = (
            select(Order.id, Order.hub_id, age)
            .where(
                Order.store_id.in_(select(Store.id).where(Store.seller_id == self.seller_id)),
                text("orders.state = 'On Hold'"),  # in the words of the partial index
                Order.cancellation != OrderCancellation.CANCELLING,  # not let go before Amazon has refused that
                Order.hub_id.in_({request.route.hub_id for request in new}),
                ~waits_for_more.exists(),
                ~lacks_another.exists(),
            )
            .order_by(age, Order.id)
            .limit(_HELD_LOOKED_AT)
            .subquery()
        )
        query = (
            select(held.c.id, held.c.hub_id, held.c.age, OrderLine.sku_code, func.sum(OrderLine.n_units))
            .join(held, held.c.id == OrderLine.order_id)
            .where(one_of(OrderLine.sku_code, wanted))
            .group_by(held.c.id, held.c.hub_id, held.c.age, OrderLine.sku_code)
        )
        found: dict[int, _Held] = {}
        for order_id, hub_id, created_at, code, n in db.session.execute(query):
            found.setdefault(order_id, _Held((created_at, order_id), hub_id, {})).units[code] = int(n)
        asked = {request.order.id for request in self._requests if request.order is not None}
        return [one for order_id, one in found.items() if order_id not in asked]

    def _set_aside(self, held: _Held, set_aside: Counter[tuple[int, str]]) -> None:
        """Keep for the order On Hold what it waits for, if it is all there by now."""
        levels = {code: self._level(held.hub_id, code) for code in held.units}
        keys = {code: (held.hub_id, code) for code in held.units}
        if all(
            level is not None and level.available - set_aside[keys[code]] >= held.units[code]
            for code, level in levels.items()
        ):
            set_aside.update({keys[code]: n for code, n in held.units.items()})

    def _serve(self, request: Request, catalogs: Catalogs, set_aside: Counter[tuple[int, str]]) -> None:
        route, order = request.route, request.order
        holds = list(route.holds)
        if request.must_be_listed:
            holds += catalogs.holds(request.store_id, request.units)
        levels = {code: self._level(route.hub_id, code) for code in sorted(request.units)}
        if route.hub_id is not None:
            there = {code: level.available if level is not None else 0 for code, level in levels.items()}
            if order is None:
                for code in there:
                    if kept := min(there[code], set_aside[route.hub_id, code]):
                        there[code] -= kept
                        self.has_freed_stock = True
            if short := {code: (n, there[code]) for code, n in request.units.items() if there[code] < n}:
                holds.append(not_enough(route.hub_name, short))
        request.route = replace(route, holds=tuple(holds))
        if holds:
            if order is not None and request.if_refused:
                self._say(order, " ".join([request.if_refused, *(hold.detail for hold in holds)]))
            return
        for code, level in levels.items():
            if level is not None:
                row = self._ledger.change(
                    level,
                    StockCause.RESERVATION,
                    reserved=request.units[code],
                    order_id=order.id if order is not None else None,
                    actor_name=request.actor_name,
                )
                request.rows.append(row)
        if order is not None:
            order.stock = OrderStock.RESERVED

    def _level(self, hub_id: int | None, sku_code: str) -> Level | None:
        return None if hub_id is None else self._ledger.level(hub_id, sku_code)

    def _reserved(self, step: _Step, level: Level, n: int) -> int:
        """Return how much of `n` reserved units the level has: all, unless somebody wrote past FlexDash."""
        if level.reserved < n:
            log.error("less_reserved_than_ordered", order_id=step.order.id, stock_level_id=level.id, units=n)
        return min(n, level.reserved)

    def _say(self, order: Order, sentence: str) -> None:
        db.session.add(
            OrderEvent(order_id=order.id, kind="stock", sentence=shortened(sentence, 500), run_id=self.run_id)
        )


def _some(n: int, sku_code: str) -> str:
    return f"{n:,} of {shortened(sku_code, 40)}"


def units_of_lines(lines: Sequence[Any]) -> Units:
    """Return how many units of each SKU the lines of one order want; lines of the same SKU are added up."""
    units: Units = {}
    for line in lines:
        units[line.sku_code] = units.get(line.sku_code, 0) + line.n_units
    return units


def _units_of(order_ids: list[int]) -> dict[int, Units]:
    if not order_ids:
        return {}
    query = (
        select(OrderLine.order_id, OrderLine.sku_code, func.sum(OrderLine.n_units))
        .where(one_of(OrderLine.order_id, order_ids))
        .group_by(OrderLine.order_id, OrderLine.sku_code)
    )
    units: dict[int, Units] = {}
    for order_id, sku_code, n in db.session.execute(query):
        units.setdefault(order_id, {})[sku_code] = int(n)
    return units

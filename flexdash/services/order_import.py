"""Writing a page of Amazon's shipments: new orders in bulk, changes one by one, what cannot be read into quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from flexdash import clock, metrics
from flexdash.amazon import lenient, statuses
from flexdash.amazon.shipment_reader import Shipment
from flexdash.bulk import insert_rows
from flexdash.database import one_of
from flexdash.extensions import db
from flexdash.models import (
    ItemFate,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderState,
    QuarantinedShipment,
    Store,
)
from flexdash.services import order_changes, run_sheets
from flexdash.services.order_pages import Broken, ReadPage, by_age, order_id_of, quarantine_id
from flexdash.services.order_rows import (
    ReadShipment,
    hold_rows,
    imported_sentence,
    line_rows,
    order_row,
)
from flexdash.services.order_states import HAS_LEFT
from flexdash.services.order_stock import Request, StockDesk, units_of_lines
from flexdash.services.routing import Routes
from flexdash.services.stock_ledger import Ledger
from flexdash.vault import Vault

_LAST_NEW = statuses.lookup("CONFIRMED").rank  # beyond it, somebody works the order at Amazon

log = structlog.get_logger(__name__)


def had_left(shipment: Shipment, begun_at: datetime) -> bool:
    """Say whether a shipment that has left its hub, and is not here, had done so before Order Sync began."""
    moment = shipment.created_at or shipment.updated_at
    return moment is None or moment < begun_at


def _why_not_taken(shipment: Shipment, left_before: set[str], begun_at: datetime | None) -> str:
    words = statuses.words_of(shipment.status)
    if shipment.id in left_before:
        # The first pull has its beginning before any answer of Amazon's: what it met had left by then.
        if begun_at is None or shipment.updated_at is None or shipment.updated_at < begun_at:
            return f"It was {words} before Order Sync began here."
        return (
            f"It was made before Order Sync began here and changed on Amazon since: it is {words} now. No run takes it "
            "in, for its stock may be long off the shelf. If it left your hub since, Reconcile lists it while it is "
            "Shipped, and Recover orders brings it in."
        )
    entry = statuses.lookup(shipment.status)
    if entry.order_state == OrderState.CANCELLED:
        return f"It was {words} before it came here."
    return f"Amazon has it as {words}, in which it is no work of a hub."


@dataclass
class Counts:
    """What became of the shipments of a page."""

    n_created: int = 0
    n_held: int = 0
    n_updated: int = 0
    n_skipped: int = 0
    n_failed: int = 0
    items: list[run_sheets.Item] = field(
        default_factory=list, repr=False, compare=False
    )  # each shipment, for the run's page

    def as_dict(self) -> dict[str, int]:
        """Return the counts under the names of SyncRun's columns."""
        return {name: n for name, n in vars(self).items() if name.startswith("n_")}

    def note(self, read: ReadShipment, fate: ItemFate, words: str = "") -> None:
        """Note what became of one shipment."""
        shipment = read.shipment
        self.items.append(run_sheets.Item(fate, shipment.id, shipment.order_id or "", shipment.location_id, words))


class OrderImporter:
    """Writes read pages into the orders of one store, inside the caller's transaction."""

    def __init__(
        self,
        *,
        workspace_id: int,
        store_id: int,
        run_id: int | None,
        vault: Vault,
        takes_finished: bool = True,
        begun_at: datetime | None = None,
    ) -> None:
        """`takes_finished`: an order that is first met when it has left its hub comes in, too. With `begun_at`, which
        is when the store's Order Sync began, one that had left before stays out all the same."""
        self.workspace_id, self.store_id, self.run_id = workspace_id, store_id, run_id
        self.takes_finished, self.begun_at = takes_finished, begun_at
        self._vault = vault
        self._seller_id: int | None = None
        self.has_freed_stock = False  # whether an order gave stock back, which held ones may be waiting for

    def write(self, page: ReadPage) -> Counts:
        """Write `page` and return what became of it.

        The whole page is tried under one savepoint. When the database refuses anything in it, the page is written
        again with one savepoint per order, so that only the refused ones go into quarantine.
        """
        counts = Counts()
        broken = list(page.broken)
        routes = Routes.of_store(self.store_id)
        try:
            with db.session.begin_nested():
                self._write(page.shipments, routes, counts)
        except OperationalError:
            raise  # the database is locked, full or away: that is no shipment's fault
        except (SQLAlchemyError, ValueError, TypeError) as error:
            log.warning("page_refused_writing_one_by_one", error=type(error).__name__)
            db.session.expunge_all()
            counts = Counts()
            broken += self._write_one_by_one(page.shipments, routes, counts)
        self._quarantine(broken)
        counts.n_failed += len(broken)
        failed = (
            run_sheets.Item(ItemFate.FAILED, one.amazon_shipment_id, order_id_of(one.raw), words=one.sentence)
            for one in broken
        )
        run_sheets.keep(self.run_id, [*counts.items, *failed], self.store_id, page.request_ids)
        metrics.count("orders_imported", counts.n_created)
        metrics.count("orders_held", counts.n_held)
        return counts

    def _write_one_by_one(self, shipments: Sequence[ReadShipment], routes: Routes, counts: Counts) -> list[Broken]:
        broken = []
        self._hold_all(shipments, routes)
        for read in sorted(shipments, key=by_age):
            own = Counts()
            try:
                with db.session.begin_nested():
                    self._write([read], routes, own)
            except OperationalError:
                raise
            except (SQLAlchemyError, ValueError, TypeError) as error:
                # The error's text may quote the row, and with it the buyer: only its type is told.
                log.warning("shipment_refused", amazon_shipment_id=read.shipment.id, error=type(error).__name__)
                db.session.expunge_all()
                sentence = f"The database refused this order ({type(error).__name__})."
                broken.append(Broken(read.raw, quarantine_id(read.raw, read.shipment.id), sentence))
                continue
            for name, n in own.as_dict().items():
                setattr(counts, name, getattr(counts, name) + n)
            counts.items += own.items
        return broken

    def _hold_all(self, shipments: Sequence[ReadShipment], routes: Routes) -> None:
        """Lock at once, in the order of the ids, what the orders lock one by one: nobody then waits in a circle."""
        try:
            with db.session.begin_nested():
                here = self._orders_here([read.shipment.id for read in shipments])
                keys = {(order.hub_id, line.sku_code) for order in here.values() for line in order.lines}
                keys |= {
                    (routes.to(read.shipment.location_id).hub_id, line.sku_code)
                    for read in shipments
                    for line in read.shipment.lines
                }
                Ledger(self.workspace_id, self.seller_id()).hold(
                    (hub_id, sku_code) for hub_id, sku_code in keys if hub_id is not None
                )
        except OperationalError:
            raise
        except (SQLAlchemyError, ValueError, TypeError):
            db.session.expunge_all()  # one of them breaks the query itself; it will be refused alone

    def _write(self, shipments: Sequence[ReadShipment], routes: Routes, counts: Counts) -> None:
        if not shipments:
            return
        desk = StockDesk(workspace_id=self.workspace_id, seller_id=self.seller_id(), run_id=self.run_id)
        here = self._orders_here([read.shipment.id for read in shipments])
        new: list[tuple[ReadShipment, Request]] = []
        moved: list[tuple[Order, Request]] = []
        left_before = self._left_before([read for read in shipments if read.shipment.id not in here])
        for read in shipments:
            order = here.get(read.shipment.id)
            if order is not None:
                if request := self._update(order, read, routes, desk, counts):
                    moved.append((order, request))
            elif self._is_wanted(read) and read.shipment.id not in left_before:
                new.append((read, self._ask_for_new(read, routes, desk)))
            else:
                counts.n_skipped += 1  # cancelled, or gone before the store was here: no work for a hub
                counts.note(read, ItemFate.NOT_TAKEN, _why_not_taken(read.shipment, left_before, self.begun_at))
        desk.settle()
        for order, request in moved:
            order_changes.apply_new_route(order, request.route, run_id=self.run_id)
        if new:
            self._insert(new, counts)
        db.session.flush()
        desk.write()
        self._absorb([read for read, _ in new if statuses.lookup(read.shipment.status).rank > _LAST_NEW])
        self.has_freed_stock |= desk.has_freed_stock
        self._leave_quarantine([read.shipment.id for read in shipments])

    def _is_wanted(self, read: ReadShipment) -> bool:
        state = statuses.lookup(read.shipment.status).order_state
        if state in (OrderState.SHIPPED, OrderState.DELIVERED):
            return self.takes_finished
        return state is not None and state != OrderState.CANCELLED

    def _left_before(self, unknown: Sequence[ReadShipment]) -> set[str]:
        """Return which of these had left their hub before the store's Order Sync began: their stock is long off the
        shelf.

        One that was made before and is not here had left when the first pull met it, or it would have come in; that
        something of it changed since, such as its delivery, makes no difference. Only what could not be read then was
        not looked at, and the time of its last change has to do.
        """
        begun_at = self.begun_at
        if begun_at is None:
            return set()
        gone = [read.shipment for read in unknown if statuses.lookup(read.shipment.status).order_state in HAS_LEFT]
        made_before = {one.id for one in gone if had_left(one, begun_at)}
        was_quarantined = self._quarantined(list(made_before)) if made_before else {}
        changed_since = {one.id for one in gone if one.updated_at is not None and one.updated_at >= begun_at}
        return made_before - (was_quarantined.keys() & changed_since)

    def _ask_for_new(self, read: ReadShipment, routes: Routes, desk: StockDesk) -> Request:
        shipment = read.shipment
        return desk.ask(
            routes.to(shipment.location_id),
            store_id=self.store_id,
            created_at=shipment.created_at,
            units=units_of_lines(shipment.lines),
            must_be_listed=statuses.lookup(shipment.status).rank <= _LAST_NEW,
        )

    def _absorb(self, worked: Sequence[ReadShipment]) -> None:
        """Move orders that came in just now, and are further at Amazon already, to where they are there."""
        if not worked:
            return
        desk = StockDesk(workspace_id=self.workspace_id, seller_id=self.seller_id(), run_id=self.run_id)
        here = self._orders_here([read.shipment.id for read in worked])
        for read in sorted(worked, key=lambda read: here[read.shipment.id].id):
            order_changes.apply(here[read.shipment.id], read.shipment, run_id=self.run_id, desk=desk)
        desk.settle()  # locks no level anew: the orders' own are held since they came in
        db.session.flush()
        desk.write()

    def seller_id(self) -> int:
        """Return the seller whose store it is."""
        if self._seller_id is None:
            self._seller_id = db.session.scalars(select(Store.seller_id).where(Store.id == self.store_id)).one()
        return self._seller_id

    def _orders_here(self, shipment_ids: list[str]) -> dict[str, Order]:
        query = (
            select(Order)
            .where(Order.store_id == self.store_id, one_of(Order.amazon_shipment_id, shipment_ids))
            .order_by(Order.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        return {order.amazon_shipment_id: order for order in db.session.scalars(query)}

    def _update(
        self, order: Order, read: ReadShipment, routes: Routes, desk: StockDesk, counts: Counts
    ) -> Request | None:
        """Apply Amazon's news; return what is asked for when the order has to go to another hub."""
        if not order_changes.is_news(order, read.shipment):
            if not order_changes.is_older(read.shipment, order):
                order.amazon_updated_at = read.shipment.updated_at
            counts.n_skipped += 1
            counts.note(read, ItemFate.UNCHANGED, f"Amazon has it as {statuses.words_of(read.shipment.status)}.")
            return None
        has_moved = order.seller_flex_hub_id != read.shipment.location_id
        order.seller_flex_hub_id = read.shipment.location_id
        order_changes.apply(order, read.shipment, run_id=self.run_id, desk=desk)
        counts.n_updated += 1
        counts.note(
            read,
            ItemFate.UPDATED,
            f"Amazon has it as {statuses.words_of(read.shipment.status)}; here it is {order.state}.",
        )
        if not has_moved or order.state not in (OrderState.NEW, OrderState.ON_HOLD):
            return None
        if order.state is OrderState.ON_HOLD and order.cancellation is OrderCancellation.CANCELLING:
            return None  # once Amazon has refused that, `order_holds` sends it where it belongs by then
        desk.release(order)
        route = routes.to(order.seller_flex_hub_id)
        return desk.ask(route, store_id=self.store_id, created_at=order.amazon_created_at, order=order)

    def _insert(self, new: Sequence[tuple[ReadShipment, Request]], counts: Counts) -> None:
        now = clock.now()
        ids = {"workspace_id": self.workspace_id, "store_id": self.store_id}
        # Not with RETURNING: reading a hundred ids is faster than making one statement with all their values.
        rows = [order_row(read, request.route, imported_at=now, **ids) for read, request in new]
        insert_rows(Order.__table__, rows)
        inserted = select(Order.amazon_shipment_id, Order.id).where(
            Order.store_id == self.store_id, one_of(Order.amazon_shipment_id, [read.shipment.id for read, _ in new])
        )
        order_ids = dict(db.session.execute(inserted).all())
        lines: list[dict[str, Any]] = []
        holds: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        for read, request in new:
            route, order_id = request.route, order_ids[read.shipment.id]
            request.belongs_to(order_id)
            lines += line_rows(read.shipment, order_id)
            holds += hold_rows(route, order_id, self.workspace_id)
            events.append(
                {
                    "order_id": order_id,
                    "occurred_at": now,
                    "kind": "imported",
                    "sentence": imported_sentence(read.shipment, route),
                    "run_id": self.run_id,
                }
            )
            counts.n_created += 1
            is_held = bool(route.holds) and statuses.lookup(read.shipment.status).rank <= _LAST_NEW
            counts.n_held += is_held
            came_as = f"Amazon has it as {statuses.words_of(read.shipment.status)}."
            why = " ".join([came_as, *(hold.detail for hold in route.holds)]) if is_held else came_as
            counts.note(read, ItemFate.HELD if is_held else ItemFate.CREATED, why)
        insert_rows(OrderLine.__table__, lines)
        insert_rows(OrderEvent.__table__, events)
        insert_rows(OrderHold.__table__, holds)

    def _quarantine(self, broken: Sequence[Broken]) -> None:
        for item in {item.amazon_shipment_id: item for item in broken}.values():
            row = self._quarantined([item.amazon_shipment_id]).get(item.amazon_shipment_id)
            if row is None:
                row = QuarantinedShipment(
                    workspace_id=self.workspace_id,
                    store_id=self.store_id,
                    amazon_shipment_id=item.amazon_shipment_id,
                    n_times_seen=0,
                )
                db.session.add(row)
            row.run_id = self.run_id
            row.error_sentence = item.sentence[:500]
            row.payload_encrypted = self._vault.encrypt(lenient.as_text(item.raw))
            row.last_seen_at = clock.now()
            row.n_times_seen += 1
            row.resolved_at = None
        db.session.flush()

    def _leave_quarantine(self, shipment_ids: list[str]) -> None:
        for row in self._quarantined(shipment_ids).values():
            row.resolved_at = row.resolved_at or clock.now()

    def _quarantined(self, shipment_ids: list[str]) -> dict[str, QuarantinedShipment]:
        query = select(QuarantinedShipment).where(
            QuarantinedShipment.store_id == self.store_id, one_of(QuarantinedShipment.amazon_shipment_id, shipment_ids)
        )
        return {row.amazon_shipment_id: row for row in db.session.scalars(query)}

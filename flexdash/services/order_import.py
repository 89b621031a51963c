"""Writing a page of Amazon's shipments: new orders in bulk, changes one by one, what cannot be read into quarantine."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import insert, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.amazon.errors import UnreadableShipment
from flexdash.amazon.shipment_reader import read_shipment
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    Order,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderState,
    QuarantinedShipment,
)
from flexdash.services import order_changes
from flexdash.services.order_rows import (
    ReadShipment,
    encrypt_buyer,
    hold_rows,
    imported_sentence,
    line_rows,
    order_row,
)
from flexdash.services.routing import Routes
from flexdash.vault import Vault

UNREADABLE = "unreadable:"  # stands before the payload's hash where a payload has no id

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Broken:
    """A shipment that could not be read or written, with the reason in words."""

    raw: Any
    amazon_shipment_id: str
    sentence: str


@dataclass
class ReadPage:
    """A page of shipments, read: at most one of each id, the newest."""

    shipments: list[ReadShipment] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    n_fetched: int = 0


@dataclass
class Counts:
    """What became of the shipments of a page."""

    n_created: int = 0
    n_held: int = 0
    n_updated: int = 0
    n_skipped: int = 0
    n_failed: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts under the names of SyncRun's columns."""
        return dict(vars(self))


def read_page(raw_shipments: Sequence[Any], vault: Vault) -> ReadPage:
    """Read Amazon's shipments outside any transaction. One that cannot be read never costs the others."""
    page = ReadPage(n_fetched=len(raw_shipments))
    newest: dict[str, ReadShipment] = {}
    for raw in raw_shipments:
        try:
            shipment = read_shipment(raw)
            read = ReadShipment(raw, shipment, encrypt_buyer(vault, shipment))
        except UnreadableShipment as error:
            page.broken.append(Broken(raw, _quarantine_id(raw, error.shipment_id), error.reason))
            continue
        before = newest.get(shipment.id)
        if before is None or _is_newer(shipment.updated_at, before.shipment.updated_at):
            newest[shipment.id] = read
    page.shipments = list(newest.values())
    return page


class OrderImporter:
    """Writes read pages into the orders of one store, inside the caller's transaction."""

    def __init__(self, *, workspace_id: int, store_id: int, run_id: int | None, vault: Vault) -> None:
        self.workspace_id, self.store_id, self.run_id = workspace_id, store_id, run_id
        self._vault = vault

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
        return counts

    def _write_one_by_one(self, shipments: Sequence[ReadShipment], routes: Routes, counts: Counts) -> list[Broken]:
        broken = []
        for read in shipments:
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
                broken.append(Broken(read.raw, _quarantine_id(read.raw, read.shipment.id), sentence))
                continue
            for name, n in own.as_dict().items():
                setattr(counts, name, getattr(counts, name) + n)
        return broken

    def _write(self, shipments: Sequence[ReadShipment], routes: Routes, counts: Counts) -> None:
        if not shipments:
            return
        here = self._orders_here([read.shipment.id for read in shipments])
        new = []
        for read in shipments:
            order = here.get(read.shipment.id)
            if order is not None:
                self._update(order, read, routes, counts)
            elif statuses.lookup(read.shipment.status).order_state == OrderState.NEW:
                new.append(read)
            else:
                counts.n_skipped += 1  # cancelled or worked elsewhere before it ever came here: no work for a hub
        if new:
            self._insert(new, routes, counts)
        db.session.flush()
        self._leave_quarantine([read.shipment.id for read in shipments])

    def _orders_here(self, shipment_ids: list[str]) -> dict[str, Order]:
        query = (
            select(Order)
            .where(Order.store_id == self.store_id, Order.amazon_shipment_id.in_(shipment_ids))
            .order_by(Order.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return {order.amazon_shipment_id: order for order in db.session.scalars(query)}

    def _update(self, order: Order, read: ReadShipment, routes: Routes, counts: Counts) -> None:
        if not order_changes.is_news(order, read.shipment):
            if not order_changes.is_older(read.shipment, order):
                order.amazon_updated_at = read.shipment.updated_at
            counts.n_skipped += 1
            return
        has_moved = order.seller_flex_hub_id != read.shipment.location_id
        order_changes.apply(order, read.shipment, run_id=self.run_id)
        if has_moved and order.state in (OrderState.NEW, OrderState.ON_HOLD):
            self._reroute(order, routes)
        counts.n_updated += 1

    def _reroute(self, order: Order, routes: Routes) -> None:
        route = routes.to(order.seller_flex_hub_id)
        order.hub_id = route.hub_id
        order.state = OrderState.ON_HOLD if route.holds else OrderState.NEW
        if order.acknowledgement in (Acknowledgement.NOT_YET, Acknowledgement.PENDING):
            order.acknowledgement = Acknowledgement.NOT_YET if route.holds else Acknowledgement.PENDING
        db.session.execute(OrderHold.__table__.delete().where(OrderHold.order_id == order.id))
        if route.holds:
            db.session.execute(insert(OrderHold), hold_rows(route, order.id, self.workspace_id))
        where = f"routed to {route.hub_name}" if not route.holds else "On Hold: " + route.holds[0].detail
        sentence = f"Amazon moved it to the location {order.seller_flex_hub_id}; {where}"
        db.session.add(
            OrderEvent(order_id=order.id, kind="changed", sentence=sentence, run_id=self.run_id, actor_name="Amazon")
        )

    def _insert(self, new: Sequence[ReadShipment], routes: Routes, counts: Counts) -> None:
        now = clock.now()
        routed = [(read, routes.to(read.shipment.location_id)) for read in new]
        inserted = db.session.execute(
            # Matched by shipment id below: asking for the order of the rows would make SQLite insert one by one.
            insert(Order).returning(Order.amazon_shipment_id, Order.id),
            [
                order_row(read, route, workspace_id=self.workspace_id, store_id=self.store_id, imported_at=now)
                for read, route in routed
            ],
        )
        order_ids = dict(inserted.all())
        lines: list[dict[str, Any]] = []
        holds: list[dict[str, Any]] = []
        events: list[dict[str, Any]] = []
        for read, route in routed:
            order_id = order_ids[read.shipment.id]
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
            counts.n_held += bool(route.holds)
        db.session.execute(insert(OrderLine), lines)
        db.session.execute(insert(OrderEvent), events)
        if holds:
            db.session.execute(insert(OrderHold), holds)

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
            row.payload_encrypted = self._vault.encrypt(json.dumps(item.raw, default=str))
            row.last_seen_at = clock.now()
            row.n_times_seen += 1
            row.resolved_at = None
        db.session.flush()

    def _leave_quarantine(self, shipment_ids: list[str]) -> None:
        for row in self._quarantined(shipment_ids).values():
            row.resolved_at = row.resolved_at or clock.now()

    def _quarantined(self, shipment_ids: list[str]) -> dict[str, QuarantinedShipment]:
        query = select(QuarantinedShipment).where(
            QuarantinedShipment.store_id == self.store_id, QuarantinedShipment.amazon_shipment_id.in_(shipment_ids)
        )
        return {row.amazon_shipment_id: row for row in db.session.scalars(query)}


def _is_newer(candidate: Any, known: Any) -> bool:
    return candidate is not None and (known is None or candidate > known)


def _quarantine_id(raw: Any, shipment_id: str | None) -> str:
    if shipment_id:
        return shipment_id[:100]
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()
    return f"{UNREADABLE}{digest}"

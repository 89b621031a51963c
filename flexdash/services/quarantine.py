"""Shipments in quarantine: asked for again by their id, because no list brings back what has not changed since."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select, update

from flexdash import clock
from flexdash.amazon.client import AmazonClient
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, vault
from flexdash.models import Order, QuarantinedShipment
from flexdash.services import run_sheets
from flexdash.services.amazon_access import CallLog
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import UNREADABLE, read_page
from flexdash.services.run_context import RunContext
from flexdash.services.single_lookups import look_up

GONE = "Amazon does not know this shipment any more."
AT_A_TIME = 20  # per run: each costs one of Amazon's calls


def read_again(
    run: RunContext,
    client: AmazonClient,
    importer: OrderImporter,
    calls: CallLog,
    only: Sequence[str] | None = None,
) -> None:
    """Ask Amazon for the store's quarantined shipments that this run's pages did not bring, the longest waiting first.

    `only` are the ids to ask for instead, where they still wait.

    Those that can be read now become orders; one that Amazon does not know any more leaves with a sentence. One that
    Amazon refuses to look up, or gives no answer for, waits on behind the others. Raises AmazonError when Amazon lets
    nobody in.
    """
    waiting = _waiting(run, only)
    release_connection()
    if not waiting:
        return
    lookups = look_up(run, client.shipments.get, waiting)
    page = read_page(lookups.found, vault._get_current_object())
    page.request_ids = calls.request_ids()
    with transaction():
        counts = importer.write(page)
        _resolve(run.store_id, lookups.gone)
        _put_last(run.store_id, [item.name for item in lookups.untold])
        run_sheets.keep(run.run_id, lookups.sheet(GONE), run.store_id, page.request_ids)
        calls.write()
        if only is not None:  # the run was made for these alone: one that Amazon did not tell of is what failed of it
            counts.n_failed += len(lookups.untold)
        progress = "Reading quarantined shipments again."
        run.check_in(progress=progress, n_fetched=len(lookups.found), **counts.as_dict())


@dataclass(frozen=True)
class OrderRead:
    """The order of a shipment that left quarantine. `was_here`: before that, so that it was a change of it which could
    not be read."""

    id: int
    was_here: bool


def orders_read(rows: Sequence[QuarantinedShipment]) -> dict[str, OrderRead]:
    """Return the orders of shipments that left the quarantine of one store, by Amazon's shipment id.

    One that is missing was no work of a hub. That there is an order does not say that it could be read: Amazon
    may not know it any more.
    """
    left = [row for row in rows if row.resolved_at is not None]
    if not left:
        return {}
    last_seen = {row.amazon_shipment_id: row.last_seen_at for row in left}
    found = select(Order.amazon_shipment_id, Order.id, Order.imported_at).where(
        Order.store_id == left[0].store_id, Order.amazon_shipment_id.in_(list(last_seen))
    )
    return {
        shipment_id: OrderRead(order_id, was_here=imported_at < last_seen[shipment_id])
        for shipment_id, order_id, imported_at in db.session.execute(found)
    }


def _waiting(run: RunContext, only: Sequence[str] | None) -> Sequence[str]:
    row = QuarantinedShipment
    if only is not None:
        named = (row.store_id == run.store_id, row.resolved_at.is_(None), row.amazon_shipment_id.in_(only))
        return db.session.scalars(select(row.amazon_shipment_id).where(*named).order_by(row.id)).all()
    query = (
        select(row.amazon_shipment_id)
        .where(
            row.store_id == run.store_id,
            row.resolved_at.is_(None),
            or_(row.run_id.is_(None), row.run_id != run.run_id),
            ~row.amazon_shipment_id.startswith(UNREADABLE, autoescape=True),
        )
        .order_by(row.last_seen_at)
        .limit(AT_A_TIME)
    )
    return db.session.scalars(query).all()


def _resolve(store_id: int, shipment_ids: Sequence[str]) -> None:
    if shipment_ids:
        db.session.execute(
            update(QuarantinedShipment)
            .where(QuarantinedShipment.store_id == store_id, QuarantinedShipment.amazon_shipment_id.in_(shipment_ids))
            .values(resolved_at=clock.now(), error_sentence=GONE)
        )


def _put_last(store_id: int, shipment_ids: Sequence[str]) -> None:
    """Amazon told nothing of these: the others get their turn before they are asked for again."""
    row = QuarantinedShipment
    db.session.execute(
        update(row)
        .where(row.store_id == store_id, row.resolved_at.is_(None), row.amazon_shipment_id.in_(shipment_ids))
        .values(last_seen_at=clock.now())
    )

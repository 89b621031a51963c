"""Shipments in quarantine: asked for again by their id, because no list brings back what has not changed since."""

from collections.abc import Sequence

import structlog
from sqlalchemy import or_, select, update

from flexdash import clock
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, NotFound
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, vault
from flexdash.models import QuarantinedShipment
from flexdash.services.amazon_access import CallLog
from flexdash.services.order_import import UNREADABLE, OrderImporter, read_page
from flexdash.services.run_context import RunContext

AT_A_TIME = 20  # per run: each costs one of Amazon's calls

log = structlog.get_logger(__name__)


def read_again(run: RunContext, client: AmazonClient, importer: OrderImporter, calls: CallLog) -> None:
    """Ask Amazon for the store's quarantined shipments that this run's pages did not bring, the longest waiting first.

    Those that can be read now become orders; one that Amazon does not know any more leaves with a sentence. One that
    gets no answer waits for the next run. Raises AmazonError when Amazon lets nobody in.
    """
    waiting = _waiting(run)
    release_connection()
    found, gone = [], []
    for shipment_id in waiting:
        run.stop_here()
        try:
            found.append(client.shipments.get(shipment_id))
        except NotFound:
            gone.append(shipment_id)
        except AmazonError as error:
            if not error.is_retryable:
                raise
            log.warning("quarantined_shipment_got_no_answer", amazon_shipment_id=shipment_id, error=error.code)
    if not found and not gone:
        return
    page = read_page(found, vault._get_current_object())
    with transaction():
        counts = importer.write(page)
        _resolve(run.store_id, gone)
        calls.write()
        run.check_in(progress="Reading quarantined shipments again.", n_fetched=len(found), **counts.as_dict())


def _waiting(run: RunContext) -> Sequence[str]:
    row = QuarantinedShipment
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
            .values(resolved_at=clock.now(), error_sentence="Amazon does not know this shipment any more.")
        )

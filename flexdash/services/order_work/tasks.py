"""What a worker takes from the database for an attempt at a step: all of it, for no connection is held meanwhile."""

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.amazon.errors import InvalidArgument
from flexdash.amazon.packages import Package
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db, settings
from flexdash.models import DocumentKind, Order, OrderDocument, OrderPackage, OrderStep
from flexdash.services.order_work import packing, step_rows
from flexdash.services.order_work.attempts import PackedPackage, Task


def next_due(store_id: int, leaving_out: Collection[int], n: int, known: Mapping[int, Shipment]) -> list[Task]:
    """Return up to `n` steps of the store whose turn has come, oldest order first; at most one of each order.

    `leaving_out` are orders that are being seen to, `known` how Amazon had shipments moments ago, by order.
    """
    query = (
        select(OrderStep)
        .where(OrderStep.store_id == store_id, step_rows.is_next(clock.now()), OrderStep.order_id.not_in(leaving_out))
        .order_by(OrderStep.order_id)
        .limit(n)
        .options(joinedload(OrderStep.order).selectinload(Order.lines))
        .execution_options(populate_existing=True)
    )
    return [_task(step, known.get(step.order_id)) for step in db.session.scalars(query).all()]


def _task(step: OrderStep, known: Shipment | None) -> Task:
    order = step.order
    rows = packing.of_order(order)
    present = select(OrderDocument.kind, OrderDocument.package_id).where(
        OrderDocument.order_id == order.id, OrderDocument.replaced_at.is_(None)
    )
    documents = {(kind, package_id) for kind, package_id in db.session.execute(present)}
    missing = packing.missing(order, rows)
    packages = []
    for package in rows:
        try:
            body = None if missing else packing.for_amazon(order, package)
            if body is not None:
                body.body()  # checked here, where it can still become a sentence for a person
        except (InvalidArgument, ValueError, KeyError) as error:
            body, missing = None, [f"Package {package.package_id} cannot be sent: {error}."]
        packages.append(_packed(package, body, documents))
    return Task(
        step_id=step.id,
        order_id=order.id,
        kind=step.kind,
        shipment_id=order.amazon_shipment_id,
        line_ids=tuple(line.amazon_line_id for line in order.lines),
        packages=tuple(packages),
        detail=dict(step.detail),
        missing=tuple(missing),
        has_invoice=(DocumentKind.INVOICE, "") in documents,
        is_ship_in_query=settings.amazon_ship_status_in == "query",
        file_origin=settings.amazon_api_url,
        timeout_seconds=settings.amazon_timeout_seconds,
        known=known,
    )


def _packed(package: OrderPackage, body: Package | None, documents: set[tuple[DocumentKind, str]]) -> PackedPackage:
    return PackedPackage(
        id=package.package_id,
        body=body,
        is_at_amazon=package.is_at_amazon,
        shipping_option_id=package.shipping_option_id,
        has_label=(DocumentKind.LABEL, package.package_id) in documents,
    )

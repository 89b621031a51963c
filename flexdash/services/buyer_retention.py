"""Deleting buyers' data in time: 30 days after delivery at the latest, as Amazon's data protection policy demands.

With the buyer go the order's documents, which name the buyer, and what a shipment in quarantine was sent as. What an
order was, and what happened to it, stays, without the buyer where Amazon's words or a person's note named one: once
the buyer is gone, nobody could take the name out any more.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, delete, insert, or_, select, update

from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    ApiCall,
    Order,
    OrderConflict,
    OrderDocument,
    OrderEvent,
    OrderState,
    OrderStep,
    QuarantinedShipment,
    WorkBatchItem,
)
from flexdash.services.buyer_words import BuyerMask, mask_of
from flexdash.vault import UnreadableSecret

logger = structlog.get_logger(__name__)

AFTER_DELIVERY = timedelta(days=30)
AFTER_CANCELLATION = timedelta(days=30)
# Where Amazon never says that it was delivered: no delivery takes longer than a month.
AFTER_HANDOVER = timedelta(days=60)
AFTER_QUARANTINE = timedelta(days=60)  # still unreadable after that: delivered or not, it is no work any more
# Where Amazon's words, or a person's, are kept of an order.
_ORDER_WORDS = ("acknowledgement_message", "cancellation_message", "cancellation_reason")
_CALL_WORDS = ("error_message", "answered")
_WORDS_OF_ORDERS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (OrderEvent, ("sentence",)),
    (OrderStep, ("error_sentence",)),
    (OrderConflict, ("sentence", "note")),
    (WorkBatchItem, ("sentence",)),
)
BATCH = 500
BATCHES_PER_TICK = 4


def delete_due(now: datetime) -> int:
    """Delete the data of buyers whose time has come and return how many orders and shipments that were.

    At most BATCHES_PER_TICK batches of each kind, each a transaction of its own; the next tick goes on. Doing it twice
    is doing it once.
    """
    return _in_batches(_delete_of_orders, now) + _in_batches(_delete_of_quarantine, now)


def _in_batches(step: Callable[[datetime], int], now: datetime) -> int:
    total = 0
    for _ in range(BATCHES_PER_TICK):
        n = step(now)
        total += n
        if n < BATCH:
            break
    return total


def _delete_of_orders(now: datetime) -> int:
    due = _due_orders(now)
    db.session.rollback()
    if not due:
        return 0
    with transaction() as session:
        # Still due, and nobody else's at this moment: somebody may have moved one meanwhile.
        locked = session.scalars(
            select(Order.id)
            .where(Order.id.in_(due), Order.buyer_deleted_at.is_(None))
            .order_by(Order.id)
            .with_for_update(key_share=True)
        ).all()
        of_these = Order.id.in_(locked)
        _mask_words(of_these)
        shipments = select(Order.store_id, Order.amazon_shipment_id).where(of_these).subquery()
        session.execute(delete(OrderDocument).where(OrderDocument.order_id.in_(locked)))
        session.execute(
            update(QuarantinedShipment)
            .where(
                QuarantinedShipment.store_id == shipments.c.store_id,
                QuarantinedShipment.amazon_shipment_id == shipments.c.amazon_shipment_id,
            )
            .values(payload_encrypted=None),
            execution_options={"synchronize_session": False},
        )
        session.execute(
            update(Order).where(of_these).values(buyer_encrypted=None, buyer_deleted_at=now),
            execution_options={"synchronize_session": False},
        )
        if locked:
            sentence = "The buyer's data and the documents were deleted: Amazon lets nobody keep them longer."
            session.execute(
                insert(OrderEvent),
                [
                    {"order_id": order_id, "occurred_at": now, "kind": "deleted", "sentence": sentence}
                    for order_id in locked
                ],
            )
        return len(due)


def _mask_words(of_these: ColumnElement[bool]) -> None:
    """Take the buyers of these orders out of everything said about them."""
    buyers = db.session.execute(
        select(Order, Order.buyer_encrypted).where(of_these, Order.buyer_encrypted.is_not(None))
    )
    masks: dict[int, BuyerMask] = {}
    by_shipment: dict[tuple[int, str], int] = {}
    for order, buyer_encrypted in buyers.all():
        try:
            masks[order.id] = mask_of(buyer_encrypted, vault)
        except UnreadableSecret:  # deleting in time comes first
            logger.error("buyer data cannot be decrypted; what names the buyer in words stays", order_id=order.id)
            continue
        by_shipment[order.store_id, order.amazon_shipment_id] = order.id
        _mask(order, _ORDER_WORDS, masks[order.id])
    for model, names in _WORDS_OF_ORDERS:
        for row in db.session.scalars(select(model).where(model.order_id.in_(masks))):
            _mask(row, names, masks[row.order_id])
    for (store_id, shipment_id), order_id in by_shipment.items():
        about = (ApiCall.store_id == store_id, ApiCall.amazon_shipment_id == shipment_id)
        for call in db.session.scalars(select(ApiCall).where(*about, ApiCall.error_message != "")):
            _mask(call, _CALL_WORDS, masks[order_id])


def _mask(row: Any, names: Sequence[str], mask: BuyerMask) -> None:
    for name in names:
        said = getattr(row, name)
        if said and (masked := mask(said)) != said:
            setattr(row, name, masked)


def _due_orders(now: datetime) -> Sequence[int]:
    """Return the orders whose time has come, each kind through an index of its own."""
    kinds: tuple[ColumnElement[bool], ...] = (
        and_(Order.delivered_at <= now - AFTER_DELIVERY, Order.delivered_at.is_not(None)),
        and_(
            Order.cancelled_at <= now - AFTER_CANCELLATION,
            Order.cancelled_at.is_not(None),
            Order.state == OrderState.CANCELLED,
        ),
        and_(Order.shipped_at <= now - AFTER_HANDOVER, Order.shipped_at.is_not(None)),
    )
    due: list[int] = []
    for is_due in kinds:
        query = select(Order.id).where(is_due, Order.buyer_deleted_at.is_(None)).limit(BATCH - len(due))
        due += [order_id for order_id in db.session.scalars(query) if order_id not in due]
        if len(due) >= BATCH:
            break
    return due


def _delete_of_quarantine(now: datetime) -> int:
    due = select(QuarantinedShipment.id).where(
        QuarantinedShipment.payload_encrypted.is_not(None),
        or_(
            QuarantinedShipment.resolved_at <= now - AFTER_DELIVERY,
            and_(
                QuarantinedShipment.resolved_at.is_(None), QuarantinedShipment.first_seen_at <= now - AFTER_QUARANTINE
            ),
        ),
    )
    with transaction() as session:
        found = session.scalars(due.order_by(QuarantinedShipment.id).limit(BATCH)).all()
        session.execute(
            update(QuarantinedShipment).where(QuarantinedShipment.id.in_(found)).values(payload_encrypted=None),
            execution_options={"synchronize_session": False},
        )
        return len(found)

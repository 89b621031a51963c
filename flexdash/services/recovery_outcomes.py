"""What became of shipments that were brought in: each one's outcome, with a sentence where a word is not enough."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from flexdash.amazon import statuses
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db
from flexdash.models import Order, OrderConflict, OrderHold, OrderState, QuarantinedShipment, RecoveryOutcome
from flexdash.services.order_import import Counts, OrderImporter
from flexdash.services.order_pages import UNREADABLE, ReadPage, order_id_of
from flexdash.services.order_states import HAS_LEFT
from flexdash.services.words import shortened

MAX_SENTENCE = 300  # as long as the column


@dataclass(frozen=True)
class Brought:
    """One shipment after it was handed to the importer. `amazon_order_id` is "" where it could not be read."""

    amazon_shipment_id: str
    outcome: RecoveryOutcome
    sentence: str = ""
    order_id: int | None = None
    amazon_order_id: str = ""
    order_state: OrderState | None = None  # afterwards
    amazon_status: str = ""
    has_conflict: bool = False  # the order, open or closed


@dataclass(frozen=True)
class _Here:
    order_id: int
    state: OrderState
    has_conflict: bool


def bring_in(importer: OrderImporter, page: ReadPage, connected_at: datetime | None) -> tuple[Counts, list[Brought]]:
    """Write `page` as a pull does, and return the counts with what became of each shipment, in the page's order.

    Inside the caller's transaction. What comes in, is held or stays out is the importer's decision; what had left its
    hub before the store was `connected_at` stays out as on a store's first pull: its stock is long off the shelf.
    """
    read = {item.shipment.id: item.shipment for item in page.shipments}
    order_ids = {item.shipment.id: item.shipment.order_id or "" for item in page.shipments}
    order_ids |= {broken.amazon_shipment_id: order_id_of(broken.raw) for broken in page.broken}
    ids = list(order_ids)
    before = _here(importer.store_id, ids)
    counts = _write(importer, page, connected_at)
    after = _here(importer.store_id, ids)
    unreadable = _in_quarantine(importer.store_id, ids)
    held = _held([here.order_id for shipment_id, here in after.items() if shipment_id not in before])
    brought = []
    for shipment_id in ids:
        shipment = read.get(shipment_id)
        here = after.get(shipment_id)
        status = shipment.status if shipment else ""
        if here is not None:
            outcome = RecoveryOutcome.HERE_ALREADY if shipment_id in before else RecoveryOutcome.IMPORTED
            sentence = _here_sentence(before.get(shipment_id), here, status, held, unreadable.get(shipment_id))
        else:
            outcome = RecoveryOutcome.NOT_IMPORTED
            sentence = _why_not(status, unreadable.get(shipment_id))
        brought.append(
            Brought(
                amazon_shipment_id=shipment_id,
                outcome=outcome,
                sentence=shortened(sentence, MAX_SENTENCE),
                order_id=here.order_id if here else None,
                amazon_order_id=order_ids[shipment_id],
                order_state=here.state if here else None,
                amazon_status=status,
                has_conflict=here is not None and here.has_conflict,
            )
        )
    return counts, brought


def _write(importer: OrderImporter, page: ReadPage, connected_at: datetime | None) -> Counts:
    left_before = [item for item in page.shipments if _had_left(item.shipment, connected_at)]
    ids = {item.shipment.id for item in left_before}
    others = [item for item in page.shipments if item.shipment.id not in ids]
    importer.takes_finished = True
    counts = importer.write(ReadPage(others, page.broken, page.n_fetched, page.request_ids))
    if left_before:
        importer.takes_finished = False
        for name, n in importer.write(ReadPage(left_before, request_ids=page.request_ids)).as_dict().items():
            setattr(counts, name, getattr(counts, name) + n)
    return counts


def _had_left(shipment: Shipment, moment: datetime | None) -> bool:
    is_gone = statuses.lookup(shipment.status).order_state in HAS_LEFT
    return is_gone and moment is not None and shipment.updated_at is not None and shipment.updated_at < moment


def _here(store_id: int, shipment_ids: Collection[str]) -> dict[str, _Here]:
    has_conflict = select(OrderConflict.id).where(OrderConflict.order_id == Order.id).exists()
    query = select(Order.amazon_shipment_id, Order.id, Order.state, has_conflict).where(
        Order.store_id == store_id, Order.amazon_shipment_id.in_(shipment_ids)
    )
    return {shipment_id: _Here(*facts) for shipment_id, *facts in db.session.execute(query)}


def _in_quarantine(store_id: int, shipment_ids: Collection[str]) -> dict[str, str]:
    row = QuarantinedShipment
    query = select(row.amazon_shipment_id, row.error_sentence).where(
        row.store_id == store_id, row.amazon_shipment_id.in_(shipment_ids), row.resolved_at.is_(None)
    )
    return dict(db.session.execute(query).all())


def _held(order_ids: Collection[int]) -> dict[int, str]:
    """Return the reasons of those among the orders that are On Hold."""
    reasons: dict[int, str] = {}
    query = select(OrderHold.order_id, OrderHold.detail).where(OrderHold.order_id.in_(order_ids)).order_by(OrderHold.id)
    for order_id, detail in db.session.execute(query):
        reasons[order_id] = f"{reasons[order_id]} {detail}" if order_id in reasons else detail
    return reasons


def _here_sentence(
    before: _Here | None, here: _Here, status: str, held: Mapping[int, str], unreadable: str | None
) -> str:
    if before is None:
        if here.order_id in held:
            return f"On Hold: {held[here.order_id]}"
        is_new = here.state is OrderState.NEW
        return "" if is_new else f"Amazon has it as {_words(status)} already, so it came in as {here.state}."
    if unreadable is not None:
        return f"What Amazon says of it now cannot be read ({unreadable}); that waits in quarantine."
    if before.state is not here.state:
        return f"Brought up to date: {before.state} became {here.state}."
    return ""


def _why_not(status: str, unreadable: str | None) -> str:
    if unreadable is not None:
        reason = unreadable.rstrip(".")
        return f"It could not be taken in: {reason}. It waits in quarantine and is read again with each sync."
    entry = statuses.lookup(status)
    if entry is statuses.UNKNOWN:
        return f"Its status on Amazon is {status}, which FlexDash does not know."
    if entry.order_state is None:
        return f"It is {_words(status)} on Amazon: {entry.meaning}. It comes in by itself once Amazon has."
    if entry.order_state == OrderState.CANCELLED:
        return "It was cancelled before it ever came here, so there is nothing to work."
    return f"It is {_words(status)} on Amazon, and was before this store was connected: no hub here had it to work."


def _words(status: str) -> str:
    return f"{statuses.lookup(status).label} ({status})"


def is_nameless(amazon_id: str) -> bool:
    """Say whether this stands for a shipment whose id could not be read either."""
    return amazon_id.startswith(UNREADABLE)

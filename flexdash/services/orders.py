"""Reading orders: the list with its filters, one order whole, and buyer data for those who may see it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, func, or_, select, text, union
from sqlalchemy.orm import InstrumentedAttribute, aliased, joinedload, selectinload

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.database import begins_with, transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    AccessKind,
    HoldReason,
    Order,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderState,
    OrderStep,
    QuarantinedShipment,
    StepKind,
    StepState,
)
from flexdash.models.order import IS_ACKNOWLEDGEMENT_REFUSED, IS_CANCELLATION_OPEN, IS_OPEN
from flexdash.services import access, access_log
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import NotAllowed, NotVisible, ServiceError
from flexdash.services.order_numbers import id_of, number_of
from flexdash.services.order_pages import order_id_of
from flexdash.services.order_work import counts, step_rows
from flexdash.vault import UnreadableSecret

DEADLINES = {"overdue": "Overdue", "24h": "In the next 24 hours", "72h": "In the next 3 days"}


logger = structlog.get_logger(__name__)


class BuyerUnreadable(ServiceError):
    """No key in ENCRYPTION_KEYS opens the buyer's data; nothing was shown and the timeline says nothing."""


class Need(StrEnum):
    """What an order can want of a person beside its everyday way."""

    STEP = "step"  # a step at Amazon failed
    INVOICE = "invoice"  # its invoice waits on Amazon
    CANCELLATION = "cancellation"  # Amazon was not told of its cancellation, or refused it
    CONFLICT = "conflict"  # Amazon and FlexDash say what does not fit together
    ACKNOWLEDGEMENT = "acknowledgement"  # Amazon refused to hear that it was accepted


# In the words of the partial indexes, of which the workspace and each store has one.
_NEEDS_AS_SQL = {
    Need.INVOICE: "orders.is_invoice_waiting",
    Need.CANCELLATION: IS_CANCELLATION_OPEN,
    Need.CONFLICT: "orders.has_conflict",
    Need.ACKNOWLEDGEMENT: IS_ACKNOWLEDGEMENT_REFUSED,
}


@dataclass(frozen=True)
class OrderFilters:
    """What the list is narrowed to; None and "" mean not at all."""

    state: OrderState | None = None
    store_id: int | None = None
    hub_id: int | None = None
    hold_reason: HoldReason | None = None
    deadline: str = ""  # a key of DEADLINES
    needs: Need | None = None  # what of a person
    text: str = ""  # the beginning of an Amazon id, FlexDash's number, or a whole SKU


@dataclass(frozen=True)
class BuyerView:
    """The buyer as a page may show it: masked, or whole after a reveal."""

    is_masked: bool
    name: str
    phone: str
    email: str
    address: tuple[str, ...]
    gift_message: str
    is_readable: bool = True  # False: no key in ENCRYPTION_KEYS opens what is kept


def amazon_word(amazon_status: str) -> str:
    """Return the word that people know an Amazon status by; the page shows Amazon's own beside it."""
    return statuses.lookup(amazon_status).label


@dataclass(frozen=True)
class OrderListing:
    """A SELECT of orders, unordered and unpaged; `newest_by` equals their id and is the column to order them by."""

    found: Select[tuple[Order]]
    newest_by: InstrumentedAttribute[int]


def listing(actor: Actor, filters: OrderFilters, *, is_newest_first: bool = True) -> OrderListing:
    """Return the orders that `actor` may see and the filters leave; `is_newest_first` if they will be ordered so."""
    needed = _NEEDS_AS_SQL.get(filters.needs) if filters.needs else None
    # By the store's own index of them. Ordered otherwise they are sorted, and not looked for along that order.
    are_few = needed is not None and (filters.store_id is not None or not is_newest_first)
    query = access.visible(actor, Order, are_few=are_few).options(
        joinedload(Order.store), joinedload(Order.hub), selectinload(Order.holds)
    )
    if filters.state is not None:
        query = query.where(Order.state == filters.state)
    if filters.store_id is not None:
        query = query.where(Order.store_id == filters.store_id)
    if filters.hub_id is not None:
        query = query.where(Order.hub_id == filters.hub_id)
    if filters.hold_reason is not None:
        # A join, which the index of the reasons serves newest first; one order has a reason once.
        query = query.join(OrderHold, OrderHold.order_id == Order.id).where(
            OrderHold.workspace_id == actor.workspace_id, OrderHold.reason == filters.hold_reason
        )
    if needed is not None:
        query = query.where(text(needed))
    elif filters.needs is Need.STEP:
        query = _with_failed_step(query, actor.workspace_id)
    if filters.deadline in DEADLINES:
        query = query.where(text(IS_OPEN), _before_deadline(filters.deadline, clock.now()))
    if sought := filters.text.strip():
        return _matching(query, actor.workspace_id, sought)
    return OrderListing(query, OrderStep.order_id if filters.needs is Need.STEP else Order.id)


def _with_failed_step(query: Select[tuple[Order]], workspace_id: int) -> Select[tuple[Order]]:
    """Narrow `query` to the orders that have one: a join, which the partial index of these steps serves newest first.

    Of an order with several the earliest is joined, so that it is in the list once.
    """
    earlier = aliased(OrderStep)
    is_second = select(earlier.id).where(
        earlier.order_id == OrderStep.order_id,
        earlier.id < OrderStep.id,
        earlier.state == StepState.FAILED,
        earlier.kind != StepKind.CANCEL,
    )
    query = query.join(OrderStep, OrderStep.order_id == Order.id)
    return query.where(OrderStep.workspace_id == workspace_id, *step_rows.WAITS_FOR_A_PERSON, ~is_second.exists())


def by_deadline(query: Select[tuple[Order]]) -> Select[tuple[Order]]:
    """Return `query` narrowed to what is still to be worked and has a deadline: only those can be urgent."""
    return query.where(text(IS_OPEN), Order.ship_by_at.is_not(None))


def load(actor: Actor, order_id: int) -> Order:
    """Return one order with lines, holds, timeline, store and hub; raise NotVisible."""
    whole = (
        joinedload(Order.store),
        joinedload(Order.hub),
        selectinload(Order.lines),
        selectinload(Order.holds),
        selectinload(Order.events),
    )
    query = access.visible(actor, Order).where(Order.id == order_id).options(*whole)
    order = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if order is None:
        raise NotVisible("order")
    return order


def masked_buyer(order: Order) -> BuyerView | None:
    """Return the buyer with all but a hint left out, or None when Amazon sent none.

    When no key opens the data, the view is empty and says that it is not readable.
    """
    try:
        buyer = _buyer(order)
    except UnreadableSecret:
        logger.error("buyer data cannot be decrypted", order_id=order.id)
        return BuyerView(is_masked=True, name="", phone="", email="", address=(), gift_message="", is_readable=False)
    if buyer is None:
        return None
    place = " ".join(part for part in (buyer.get("city"), buyer.get("country_code")) if part)
    return BuyerView(
        is_masked=True,
        name=" ".join(f"{word[0]}•••" for word in buyer.get("name", "").split()),
        phone=_masked(buyer.get("phone", ""), keep=2),
        email="•••" if buyer.get("email") else "",
        address=("•••", place) if place else ("•••",),
        gift_message="•••" if buyer.get("gift_message") else "",
    )


def reveal_buyer(actor: Actor, order_id: int) -> tuple[Order, BuyerView | None]:
    """Return the order and its buyer unmasked, and write into the timeline who looked.

    Raises NotVisible, NotAllowed for a role that may not see buyer data, and BuyerUnreadable.
    """
    if not actor.may(Permission.REVEAL_BUYERS):
        raise NotAllowed("Your role does not include seeing buyer data. It stays masked.")
    with transaction():
        order = access.get(actor, Order, order_id, lock=True)
        try:
            buyer = _buyer(order)
        except UnreadableSecret as error:
            raise BuyerUnreadable(
                "The buyer's data cannot be shown: the key it was encrypted with is missing from ENCRYPTION_KEYS. "
                "Nobody saw it. Tell whoever runs FlexDash to put the key back."
            ) from error
        sentence = f"{actor.name} looked at the buyer's data of {number_of(order.id)}"
        access_log.record(actor, AccessKind.BUYER_DATA, sentence, order=order)
        where = f" from {actor.address}" if actor.address else ""
        db.session.add(
            OrderEvent(
                order_id=order.id,
                kind="revealed",
                sentence=f"{actor.name} looked at the buyer's data{where}.",
                actor_name=actor.name,
            )
        )
    if buyer is None:
        return order, None
    address = (
        *buyer.get("address_lines", ()),
        " ".join(part for part in (buyer.get("postal_code"), buyer.get("city")) if part),
        " ".join(part for part in (buyer.get("state"), buyer.get("country_code")) if part),
    )
    return order, BuyerView(
        is_masked=False,
        name=buyer.get("name", ""),
        phone=buyer.get("phone", ""),
        email=buyer.get("email", ""),
        address=tuple(line for line in address if line),
        gift_message=buyer.get("gift_message", ""),
    )


def quarantined(actor: Actor, store_id: int | None = None) -> Select[tuple[QuarantinedShipment]]:
    """Return the SELECT of the shipments that still wait in quarantine, of one store or of all."""
    query = access.visible(actor, QuarantinedShipment).options(joinedload(QuarantinedShipment.store))
    if store_id is not None:
        query = query.where(QuarantinedShipment.store_id == store_id)
    return query.where(QuarantinedShipment.resolved_at.is_(None))


def quarantined_order_ids(rows: Sequence[QuarantinedShipment]) -> dict[int, str]:
    """Return Amazon's order id of each of the shipments in quarantine that has a readable one, by their own ids.

    It is read out of what Amazon sent, which is gone after a while, as buyers' data is.
    """
    query = select(QuarantinedShipment.id, QuarantinedShipment.payload_encrypted).where(
        QuarantinedShipment.id.in_([row.id for row in rows]), QuarantinedShipment.payload_encrypted.is_not(None)
    )
    found = {}
    for row_id, payload in db.session.execute(query):
        try:
            found[row_id] = order_id_of(json.loads(vault.decrypt(payload)))
        except (UnreadableSecret, ValueError):
            logger.warning("quarantined payload cannot be read", quarantined_id=row_id)
    return {row_id: order_id for row_id, order_id in found.items() if order_id}


def n_quarantined(actor: Actor) -> int:
    """Return how many shipments wait in quarantine; of very many, counts.AT_MOST."""
    waiting = access.visible(actor, QuarantinedShipment).where(QuarantinedShipment.resolved_at.is_(None))
    waiting = waiting.with_only_columns(QuarantinedShipment.id).limit(counts.AT_MOST)
    return db.session.scalar(select(func.count()).select_from(waiting.subquery())) or 0


def _before_deadline(deadline: str, now: datetime) -> ColumnElement[bool]:
    if deadline == "overdue":
        return Order.ship_by_at < now
    return Order.ship_by_at.between(now, now + timedelta(hours=int(deadline.removesuffix("h"))))


def _matching(query: Select[tuple[Order]], workspace_id: int, sought: str) -> OrderListing:
    """Narrow `query` to the orders that `sought` names, each way through an index of its own.

    Amazon's ids are looked for as typed, else in capital letters, which is how Amazon writes them. One SKU can be in
    very many orders. A join then reads the newest of them only, as many as the page has room for; the ids of few orders
    are put together instead.
    """
    own = Order.workspace_id == workspace_id
    for written in dict.fromkeys((sought, sought.upper())):
        few = [
            select(Order.id).where(own, begins_with(column, written))
            for column in (Order.amazon_order_id, Order.amazon_shipment_id)
        ]
        if (own_id := id_of(written)) is not None:
            few.append(select(Order.id).where(own, Order.id == own_id))
        if db.session.scalar(select(or_(*(ids.exists() for ids in few)))):
            of_sku = select(Order.id).join(OrderLine).where(own, OrderLine.sku_code == sought)
            return OrderListing(query.where(Order.id.in_(union(*few, of_sku))), Order.id)
    earlier = aliased(OrderLine)
    is_second_line = select(earlier.id).where(
        earlier.order_id == OrderLine.order_id, earlier.sku_code == OrderLine.sku_code, earlier.id < OrderLine.id
    )
    query = query.join(OrderLine, OrderLine.order_id == Order.id)
    return OrderListing(query.where(OrderLine.sku_code == sought, ~is_second_line.exists()), OrderLine.order_id)


def _buyer(order: Order) -> dict[str, Any] | None:
    return None if order.buyer_encrypted is None else json.loads(vault.decrypt(order.buyer_encrypted))


def _masked(text: str, keep: int) -> str:
    return f"••••{text[-keep:]}" if len(text) > 2 * keep else "•••" if text else ""

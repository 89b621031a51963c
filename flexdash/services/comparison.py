"""Comparing shipments as Amazon has them with the orders here, one by one. Reads only."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from flexdash import clock
from flexdash.amazon import lenient, statuses
from flexdash.extensions import db, settings
from flexdash.models import DifferenceKind, Order, OrderConflict, OrderState, QuarantinedShipment
from flexdash.services.contradictions import IN_FLIGHT, contradict
from flexdash.services.differences import Finding
from flexdash.services.order_states import OPEN

# Between these, Amazon has a shipment that should be an order here: to be worked, or just gone out.
_ACCEPTED, _SHIPPED = statuses.lookup("ACCEPTED").rank, statuses.lookup("SHIPPED").rank
_LONG_AGO = timedelta.max


@dataclass(frozen=True, slots=True)
class AtAmazon:
    """A shipment, as far as the comparison needs it: even one that cannot be imported can be compared."""

    shipment_id: str
    status: str
    location_id: str
    updated_at: datetime | None

    @classmethod
    def of(cls, raw: Any) -> "AtAmazon | None":
        """Return what Amazon sent; None when it does not even say which shipment it is."""
        facts = lenient.members(raw)
        shipment_id = lenient.text(facts.get("id"))
        if not shipment_id:
            return None
        return cls(
            shipment_id=shipment_id,
            status=lenient.text(facts.get("status"), 60),
            location_id=lenient.text(facts.get("locationId"), 36),
            updated_at=lenient.moment(facts.get("lastUpdatedDateTime")),
        )


@dataclass(frozen=True, slots=True)
class Here:
    """An order, as far as the comparison needs it."""

    order_id: int
    state: OrderState
    changed_at: datetime
    is_conflict_known: bool  # open or closed


def orders_here(store_id: int, shipment_ids: Collection[str]) -> dict[str, Here]:
    """Return the store's orders of these shipments, by shipment id."""
    has_conflict = select(OrderConflict.id).where(OrderConflict.order_id == Order.id).exists()
    query = select(Order.amazon_shipment_id, Order.id, Order.state, Order.changed_at, has_conflict).where(
        Order.store_id == store_id, Order.amazon_shipment_id.in_(shipment_ids)
    )
    return {shipment_id: Here(*facts) for shipment_id, *facts in db.session.execute(query)}


def findings_of(
    store_id: int,
    shipments: Sequence[AtAmazon],
    here: Mapping[str, Here],
    *,
    is_pulled: bool,
    begun_at: datetime | None,
) -> list[Finding]:
    """Return what differs between these shipments and the orders `here`. `is_pulled`: new ones come in by themselves.

    A new shipment that the next pull will bring is no difference, nor one that waits in quarantine, nor one that was
    shipped before the store's Order Sync had `begun_at`.
    """
    now = clock.now()
    found = []
    missing = []
    for shipment in shipments:
        order = here.get(shipment.shipment_id)
        unchanged_there = now - shipment.updated_at if shipment.updated_at else _LONG_AGO
        if order is None:
            if _is_missing(shipment, unchanged_there, is_pulled, begun_at):
                missing.append(shipment)
        elif contradict(
            order.state,
            shipment.status,
            unchanged_here=now - order.changed_at,
            unchanged_there=unchanged_there,
            is_conflict_known=order.is_conflict_known,
        ):
            found.append(
                Finding(
                    DifferenceKind.STATE_DIFFERS,
                    shipment.shipment_id,
                    here=order.state.value,
                    there=statuses.words_of(shipment.status),
                    order_id=order.order_id,
                )
            )
    waiting = _in_quarantine(store_id, [shipment.shipment_id for shipment in missing])
    found += [
        Finding(
            DifferenceKind.MISSING_HERE,
            shipment.shipment_id,
            there=f"{statuses.words_of(shipment.status)} at {shipment.location_id or 'an unknown location'}",
        )
        for shipment in missing
        if shipment.shipment_id not in waiting
    ]
    return found


def missing_there(shipment_id: str, here: Here | None) -> Finding | None:
    """Return the difference of a shipment that Amazon does not know, None where no open order of it is here."""
    if here is None or here.state not in OPEN or clock.now() - here.changed_at < IN_FLIGHT:
        return None
    return Finding(DifferenceKind.MISSING_THERE, shipment_id, here=here.state.value, order_id=here.order_id)


def _is_missing(shipment: AtAmazon, unchanged_there: timedelta, is_pulled: bool, begun_at: datetime | None) -> bool:
    in_flight = IN_FLIGHT
    if is_pulled:  # the pull after the next should have it
        in_flight = max(in_flight, timedelta(minutes=settings.order_pull_interval_minutes) * 1.5)
    rank = statuses.lookup(shipment.status).rank
    if rank == _SHIPPED and (begun_at is None or shipment.updated_at is None or shipment.updated_at < begun_at):
        return False
    return _ACCEPTED <= rank <= _SHIPPED and unchanged_there >= in_flight


def _in_quarantine(store_id: int, shipment_ids: Collection[str]) -> set[str]:
    if not shipment_ids:
        return set()
    row = QuarantinedShipment
    query = select(row.amazon_shipment_id).where(
        row.store_id == store_id, row.amazon_shipment_id.in_(shipment_ids), row.resolved_at.is_(None)
    )
    return set(db.session.scalars(query))

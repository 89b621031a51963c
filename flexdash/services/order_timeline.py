"""The one timeline of an order: what happened to it here, and the calls to Amazon about it, in the order of time."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import ApiCall, Order, OrderEvent

MOST_ENTRIES = 300  # shown, the newest; the page stays light however often a step was tried


@dataclass(frozen=True)
class Entry:
    """One of the two, with its time."""

    at: datetime
    event: OrderEvent | None = None
    call: ApiCall | None = None


def of_order(order: Order) -> tuple[list[Entry], bool]:
    """Return the newest entries, oldest first, and whether older ones were left out. The events are loaded already."""
    about = (ApiCall.store_id == order.store_id, ApiCall.amazon_shipment_id == order.amazon_shipment_id)
    newest = select(ApiCall).where(*about).order_by(ApiCall.id.desc()).limit(MOST_ENTRIES + 1)
    entries = [Entry(event.occurred_at, event=event) for event in order.events]
    entries += [Entry(call.started_at, call=call) for call in reversed(db.session.scalars(newest).all())]
    entries.sort(key=lambda entry: entry.at)
    return entries[-MOST_ENTRIES:], len(entries) > MOST_ENTRIES

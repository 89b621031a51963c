"""Reading Amazon's lists of shipments, one after the other, page by page, from where an earlier attempt got to.

Amazon lists shipments by one status at a time. The statuses are asked for in the order a shipment goes through them,
so one that moves on meanwhile is met again further on and never passed by.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import RequestRefused
from flexdash.amazon.shipments import ShipmentPage
from flexdash.amazon.statuses import STATUS_TABLE
from flexdash.services.amazon_access import StoreAtAmazon
from flexdash.services.order_pull import SELLER_FLEX_CHANNEL

CLOCKS_APART = timedelta(minutes=5)  # as far as Amazon's clock and ours may differ
_EDGE = timedelta(seconds=1)  # Amazon lists what changed after a moment; what changed at the moment itself counts too


@dataclass(frozen=True)
class Leg:
    """One list to be read to its end. `created_before` is for the reader: what was made later is not meant.

    Without `updated_after` it is all that Amazon has in the status.
    """

    status: str
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class WalkedPage:
    """One page, and where the walk stands once it is written: at `next_token` of leg number `next_leg`."""

    leg: Leg
    page: ShipmentPage
    next_leg: int
    next_token: str


def legs_of_days(updated_from: datetime, updated_to: datetime, asked_at: datetime) -> list[Leg]:
    """Return what to read to get every shipment whose last change lies between the two moments, the latter excluded.

    A shipment that changes while the lists are read leaves the days asked for. So what has changed since the recovery
    was asked for is read at the end, as far as it was there during those days.
    """
    after = updated_from - _EDGE
    if updated_to >= asked_at:
        return [Leg(entry.status, after) for entry in STATUS_TABLE]
    return [
        *(Leg(entry.status, after, updated_to) for entry in STATUS_TABLE),
        *(Leg(entry.status, asked_at - CLOCKS_APART, created_before=updated_to) for entry in STATUS_TABLE),
    ]


def legs_since(moment: datetime) -> list[Leg]:
    """Return what to read to get every shipment that changed since `moment`, whatever its status."""
    return [Leg(entry.status, moment) for entry in STATUS_TABLE]


def walk(
    client: AmazonClient, store: StoreAtAmazon, legs: Sequence[Leg], first_leg: int = 0, token: str = ""
) -> Iterator[WalkedPage]:
    """Yield the pages of `legs` from leg number `first_leg` on, there from the page that `token` names.

    A token that Amazon does not take any more costs no more than reading that leg again.
    """
    for number, leg in enumerate(legs):
        if number < first_leg:
            continue
        for page in _pages(client, store, leg, token):
            is_last = page.next_token is None
            yield WalkedPage(leg, page, number + 1 if is_last else number, page.next_token or "")
        token = ""


def _pages(client: AmazonClient, store: StoreAtAmazon, leg: Leg, token: str) -> Iterator[ShipmentPage]:
    arguments = {
        "marketplace_id": store.marketplace_id,
        "channel_name": SELLER_FLEX_CHANNEL,
        "updated_after": leg.updated_after,
        "updated_before": leg.updated_before,
        "max_results": 100,
    }
    has_begun = False
    try:
        for page in client.shipments.pages(leg.status, token=token or None, **arguments):
            has_begun = True
            yield page
    except RequestRefused:
        if has_begun or not token:
            raise
        yield from client.shipments.pages(leg.status, **arguments)

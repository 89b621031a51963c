"""What every step of a recovery's run shares: what it is about, its tools, and its place in Amazon's lists."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update

from flexdash.amazon import statuses
from flexdash.amazon.client import AmazonClient
from flexdash.extensions import db, vault
from flexdash.models import Recovery
from flexdash.prefetch import prefetched
from flexdash.services.amazon_access import CallLog, StoreAtAmazon
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import ReadPage, order_id_of, read_page
from flexdash.services.run_context import RunContext
from flexdash.services.shipment_lists import Leg, WalkedPage, walk


@dataclass(frozen=True)
class Task:
    """What the run has to know of its recovery while no database connection is held."""

    recovery_id: int
    asked_at: datetime
    updated_from: datetime | None
    updated_to: datetime | None
    reached_leg: int
    page_token: str


@dataclass(frozen=True)
class Work:
    """What every step of the run needs."""

    run: RunContext
    task: Task
    store: StoreAtAmazon
    client: AmazonClient
    importer: OrderImporter
    calls: CallLog
    connected_at: datetime | None  # the store, for the first time


def walked_pages(
    work: Work, legs: Sequence[Leg], order_ids: set[str] | None = None
) -> Iterator[tuple[WalkedPage, ReadPage]]:
    """Yield the pages of the lists, read, while the next one is fetched; with `order_ids` only what belongs to them.

    Raises HandBack when the worker is asked to stop, and AmazonError.
    """
    real_vault = vault._get_current_object()  # the fetching thread has no app context

    def pages() -> Iterator[tuple[WalkedPage, ReadPage]]:
        for walked in walk(work.client, work.store, legs, work.task.reached_leg, work.task.page_token):
            raw = walked.page.shipments
            if order_ids is not None:
                raw = [shipment for shipment in raw if order_id_of(shipment) in order_ids]
            yield walked, read_page(raw, real_vault, walked.page.request_id)

    with closing(prefetched(pages())) as fetched:
        for walked, page in fetched:
            work.run.stop_here()
            yield walked, page


def keep_place(work: Work, walked: WalkedPage) -> None:
    """Write how far the lists were read, inside the transaction of what the page brought."""
    db.session.execute(
        update(Recovery)
        .where(Recovery.id == work.task.recovery_id)
        .values(reached_leg=walked.next_leg, page_token=walked.next_token)
    )


def reading(leg: Leg) -> str:
    """Return what the run is doing, for its progress."""
    label = statuses.lookup(leg.status).label
    again = ", changed meanwhile" if leg.created_before is not None else ""
    return f"Reading what is {label} ({leg.status}) on Amazon{again}"

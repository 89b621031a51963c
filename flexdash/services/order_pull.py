"""The order pull of one store: Amazon's new and changed shipments come in, page by page, and are acknowledged."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from flexdash import clock
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.shipments import ShipmentPage
from flexdash.amazon.statuses import PULLED_STATUSES, lookup
from flexdash.database import transaction
from flexdash.extensions import db, settings, vault
from flexdash.models import RunState, Sync, SyncRun, SyncState
from flexdash.prefetch import prefetched
from flexdash.services import acknowledgement, order_holds, quarantine, run_retries
from flexdash.services.amazon_access import CallLog, StoreAtAmazon, open_amazon, store_at_amazon
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import ReadPage, read_page
from flexdash.services.run_context import RunContext
from flexdash.services.run_retries import FAILED

# Amazon's channel of Seller Flex orders: https://developer-docs.amazon.com/sp-api/docs/retrieve-list-of-shipments
SELLER_FLEX_CHANNEL = "FBA"


@dataclass(frozen=True)
class Window:
    """What the run asks for: changes since `changed_after`; when every page is in, the watermark becomes `until`."""

    changed_after: datetime
    until: datetime
    begun_at: datetime | None  # the first window of all: what had left before is no concern of the store's hubs


def pull(run: RunContext) -> None:
    """Bring the store's orders up to Amazon's present state, then acknowledge what is new.

    New shipments are asked for without a time filter, so a backlog drains by itself; changed ones since the watermark
    less an overlap. An order that had left its hub before the store's first pull stays out in every later one, too;
    one that Amazon moved on while no pull came through is taken in where it is. The watermark advances only after the
    last page of all: a run that dies is simply made again.
    Raises StoreNotConnected, AmazonError, RunInterrupted.
    """
    store = store_at_amazon(run.store_id)
    if run.retry_of_id is not None:
        _retry(run, store)
        return
    window = _open_window(run)
    order_holds.release_fixed(run.store_id, run_id=run.run_id)
    calls = CallLog(store, run.run_id)
    importer = OrderImporter(
        workspace_id=store.workspace_id,
        store_id=store.store_id,
        run_id=run.run_id,
        vault=vault._get_current_object(),
        begun_at=window.begun_at,
    )
    with open_amazon(store, calls) as client:
        until = _pull_pages(run, store, client, calls, window, importer)
        quarantine.read_again(run, client, importer, calls)
        with transaction():
            calls.write()
            _state(run.store_id).watermark = until
            run.check_in(progress="All pages are in.")
        if importer.has_freed_stock:
            order_holds.release_for_seller(importer.seller_id(), run_id=run.run_id)
        acknowledgement.acknowledge_pending(run, client, calls)


def _retry(run: RunContext, store: StoreAtAmazon) -> None:
    """Ask again for the shipments that another run could not take in, and acknowledge what waits; nothing else."""
    calls = CallLog(store, run.run_id)
    failed = run_retries.names_of(run.retry_of_id, FAILED)
    importer = OrderImporter(
        workspace_id=store.workspace_id,
        store_id=store.store_id,
        run_id=run.run_id,
        vault=vault._get_current_object(),
        begun_at=begun_at(store.store_id),
    )
    with open_amazon(store, calls) as client:
        quarantine.read_again(run, client, importer, calls, only=failed)
        if importer.has_freed_stock:
            order_holds.release_for_seller(importer.seller_id(), run_id=run.run_id)
        acknowledgement.acknowledge_pending(run, client, calls)


def _pull_pages(
    run: RunContext,
    store: StoreAtAmazon,
    client: AmazonClient,
    calls: CallLog,
    window: Window,
    importer: OrderImporter,
) -> datetime:
    """Write every page while the next one is fetched; return the new watermark."""
    real_vault = vault._get_current_object()  # the fetching thread has no app context
    until = window.until

    def pages() -> Iterator[tuple[str, ReadPage, datetime | None]]:
        for status in PULLED_STATUSES:
            changed_after = window.changed_after if lookup(status).pull == "changed" else None
            for page in _pages(client, store, status, changed_after):
                yield status, read_page(page.shipments, real_vault, page.request_id), page.amazon_date

    with closing(prefetched(pages())) as fetched:  # so that the fetching thread ends with us, whatever happens
        for status, page, amazon_date in fetched:
            run.stop_here()
            if amazon_date is not None:
                until = min(until, amazon_date)  # where our clock runs ahead of Amazon's, Amazon's counts
            with transaction():
                counts = importer.write(page)
                calls.write()
                run.check_in(progress=_progress(status), n_pages=1, n_fetched=page.n_fetched, **counts.as_dict())
    return until


def _pages(
    client: AmazonClient, store: StoreAtAmazon, status: str, changed_after: datetime | None
) -> Iterator[ShipmentPage]:
    # No location filter: an order for an id that no hub has must be seen, and held.
    return client.shipments.pages(
        status,
        marketplace_id=store.marketplace_id,
        channel_name=SELLER_FLEX_CHANNEL,
        updated_after=changed_after,
        max_results=100,
    )


def _progress(status: str) -> str:
    return f"Fetching what is {lookup(status).label} ({status}) on Amazon."


def _open_window(run: RunContext) -> Window:
    """Say which changes to ask for, and keep it on the run."""
    now = clock.now()
    with transaction():
        watermark = _state(run.store_id).watermark
        if watermark is None:
            changed_after = now - timedelta(days=settings.order_pull_first_lookback_days)
        else:
            changed_after = watermark - timedelta(minutes=settings.order_pull_overlap_minutes)
        run.set_window(changed_after, now)
        began = now if watermark is None else begun_at(run.store_id)
    return Window(changed_after, now, began)


def begun_at(store_id: int) -> datetime | None:
    """Return when the store's Order Sync began: the end of the window of the first pull that read all, None before."""
    first = (
        select(SyncRun.window_to)
        .where(
            SyncRun.store_id == store_id,
            SyncRun.sync == Sync.ORDER_PULL,
            SyncRun.state.in_((RunState.SUCCEEDED, RunState.PARTIAL)),
            SyncRun.retry_of_id.is_(None),
            SyncRun.window_to.is_not(None),
        )
        .order_by(SyncRun.id)
        .limit(1)
    )
    return db.session.scalar(first)


def _state(store_id: int) -> SyncState:
    query = select(SyncState).where(SyncState.store_id == store_id, SyncState.sync == Sync.ORDER_PULL)
    return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()

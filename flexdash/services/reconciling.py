"""The run that compares a store with Amazon: its orders both ways, and its stock where Inventory Sync is on.

Amazon's lists are read page by page and compared with the orders here; nothing of them is kept but a number per order.
What seems to differ is looked at again, by asking Amazon for the one shipment and reading the order anew, before it
counts. Nothing is changed but the rows of differences: what to do about each is a person's decision.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Select, and_, or_, select, text

from flexdash import clock
from flexdash.amazon import lenient, statuses
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, NotFound, RequestRefused, StateConflict
from flexdash.database import release_connection, transaction
from flexdash.extensions import db
from flexdash.models import (
    Difference,
    DifferenceKind,
    ItemOutcome,
    Order,
    Store,
    SyncRunItem,
)
from flexdash.models.order import IS_OPEN
from flexdash.prefetch import prefetched
from flexdash.services import differences, order_pull, stock_comparison
from flexdash.services.amazon_access import CallLog, StoreAtAmazon, open_amazon, store_at_amazon
from flexdash.services.comparison import AtAmazon, Here, findings_of, missing_there, orders_here
from flexdash.services.contradictions import IN_FLIGHT
from flexdash.services.differences import Finding
from flexdash.services.run_context import RunContext
from flexdash.services.shipment_lists import Leg, WalkedPage, walk
from flexdash.services.single_lookups import Silence

ENDED_SINCE = timedelta(days=7)  # so far back are shipped, delivered and cancelled ones listed
LOOKED_AT_AGAIN = 500  # at most, in one run: each costs one of Amazon's calls
AT_A_TIME = 20  # of those in one transaction
MOST_SILENT = 30  # of those: each has cost the whole patience of the client
_ORDER_KINDS = (DifferenceKind.MISSING_HERE, DifferenceKind.MISSING_THERE, DifferenceKind.STATE_DIFFERS)

log = structlog.get_logger(__name__)


@dataclass
class Reconciling:
    """A run under way. `seen` holds the ids of the orders whose shipments Amazon listed: four bytes for each."""

    run: RunContext
    store: StoreAtAmazon
    client: AmazonClient
    calls: CallLog
    is_pulled: bool  # Order Sync is on
    begun_at: datetime | None  # Order Sync; where it never did, the store was connected then
    seen: "array[int]" = field(default_factory=lambda: array("i"))
    agreed: str | None = None  # a shipment that Amazon listed in this run, and of which nothing seems to differ
    to_look_at: dict[str, None] = field(default_factory=dict)  # shipment ids, in the order they came up
    n_put_off: int = 0  # beyond what one run looks at again
    put_off: set[tuple[DifferenceKind, str, str]] = field(default_factory=set)  # of those, what was known before


def reconcile(run: RunContext) -> None:
    """Compare the store with Amazon and bring the rows of its differences up to date.

    What differs no more is closed at the end, once everything was compared; a run that dies is simply made again.
    Raises StoreNotConnected, AmazonError, RunInterrupted.
    """
    store = store_at_amazon(run.store_id)
    row = db.session.get_one(Store, run.store_id)
    is_pulled, has_stock = row.is_order_sync_on, row.is_inventory_sync_on
    begun_at = order_pull.begun_at(run.store_id) or row.connected_at
    calls = CallLog(store, run.run_id)
    with open_amazon(store, calls) as client:
        work = Reconciling(run, store, client, calls, is_pulled, begun_at)
        _read_lists(work)
        _find_unlisted(work)
        _look_again(work)
        kinds = list(_ORDER_KINDS)
        if not has_stock or stock_comparison.compare(run, store, client, calls):
            kinds.append(DifferenceKind.STOCK_DIFFERS)
        with transaction() as session:
            differences.keep(store.store_id, run.run_id, work.put_off)
            n_gone = differences.close_gone(store.store_id, run.run_id, kinds)
            if work.n_put_off:
                session.add(_put_off_item(work))
            calls.write()
            run.check_in(progress="", n_updated=n_gone)


# Amazon's lists -------------------------------------------------------------------------------------------------------


def _legs() -> list[Leg]:
    """Return what is listed: all that is open, and what has ended lately. The rest is asked for one by one."""
    ended_since = clock.now() - ENDED_SINCE
    is_open = statuses.lookup("SHIPPED").rank
    return [
        Leg(entry.status, None if entry.rank < is_open else ended_since)
        for entry in statuses.STATUS_TABLE
        if entry.status != "CREATED"  # no stock is assigned to it, so it is nobody's work yet
    ]


def _read_lists(work: Reconciling) -> None:
    def pages() -> Iterator[tuple[WalkedPage, list[AtAmazon]]]:
        for walked in walk(work.client, work.store, _legs()):
            read = (AtAmazon.of(raw) for raw in walked.page.shipments)
            yield walked, list({one.shipment_id: one for one in read if one is not None}.values())

    n_compared = 0
    with closing(prefetched(pages())) as fetched:
        for walked, shipments in fetched:
            work.run.stop_here()
            n_compared += len(shipments)
            with transaction():
                n_new = _compare(work, shipments)
                work.calls.write()
                label = statuses.lookup(walked.leg.status).label
                work.run.check_in(
                    progress=f"Comparing what is {label} ({walked.leg.status}) on Amazon: {n_compared:,} so far.",
                    n_pages=1,
                    n_fetched=len(shipments),
                    n_created=n_new,
                )


def _compare(work: Reconciling, shipments: Sequence[AtAmazon]) -> int:
    """Note what is known to differ and differs still; put what is new in line to be looked at again."""
    here = orders_here(work.store.store_id, [shipment.shipment_id for shipment in shipments])
    work.seen.extend(order.order_id for order in here.values())
    findings = _findings(work, shipments, here)
    known = differences.known_among(work.store.store_id, findings)
    differing = {finding.subject for finding in findings}
    work.agreed = next((one.shipment_id for one in shipments if one.shipment_id not in differing), work.agreed)
    for finding in findings:
        if finding.key not in known:
            _put_in_line(work, finding.subject)
    return _note(work, [finding for finding in findings if finding.key in known])


def _findings(work: Reconciling, shipments: Sequence[AtAmazon], here: Mapping[str, Here]) -> list[Finding]:
    return findings_of(work.store.store_id, shipments, here, is_pulled=work.is_pulled, begun_at=work.begun_at)


def _put_in_line(work: Reconciling, shipment_id: str) -> None:
    if len(work.to_look_at) < LOOKED_AT_AGAIN:
        work.to_look_at[shipment_id] = None
    elif shipment_id not in work.to_look_at:
        work.n_put_off += 1


def _note(work: Reconciling, findings: Sequence[Finding]) -> int:
    return differences.note(work.store.workspace_id, work.store.store_id, work.run.run_id, findings)


# Orders that no list has ----------------------------------------------------------------------------------------------


def _find_unlisted(work: Reconciling) -> None:
    """Put the open orders in line that Amazon listed nowhere: those without a known difference first."""
    seen = array("i", sorted(work.seen))
    work.seen = seen
    known = []
    for order_id, shipment_id, kind in db.session.execute(_open_orders(work)):
        place = bisect_left(seen, order_id)
        if place < len(seen) and seen[place] == order_id:
            continue
        if kind is None:
            _put_in_line(work, shipment_id)
        else:
            known.append((shipment_id, kind))
    release_connection()
    for shipment_id, kind in known:
        if len(work.to_look_at) < LOOKED_AT_AGAIN:
            work.to_look_at[shipment_id] = None
        elif shipment_id not in work.to_look_at:
            work.n_put_off += 1
            work.put_off.add((kind, shipment_id, ""))


def _open_orders(work: Reconciling) -> Select[Any]:
    """Return the SELECT of the store's open orders, each with the kind of a difference that is known of it."""
    is_known = and_(
        Difference.store_id == Order.store_id,
        Difference.subject == Order.amazon_shipment_id,
        Difference.gone_at.is_(None),
        or_(
            Difference.kind == DifferenceKind.MISSING_THERE,
            Difference.kind == DifferenceKind.STATE_DIFFERS,
        ),
    )
    return (
        select(Order.id, Order.amazon_shipment_id, Difference.kind)
        .outerjoin(Difference, is_known)
        .where(
            Order.workspace_id == work.store.workspace_id,
            text(IS_OPEN),  # in the words of the partial index
            Order.store_id == work.store.store_id,
            Order.changed_at < clock.now() - IN_FLIGHT,
        )
        .execution_options(yield_per=2_000)
    )


# Looking again --------------------------------------------------------------------------------------------------------


def _look_again(work: Reconciling) -> None:
    """Ask Amazon for each shipment in line, read its order anew, and note what differs now too."""
    n_done = 0
    batch: list[tuple[str, AtAmazon | None]] = []
    with closing(prefetched(_asked(work, list(work.to_look_at)))) as answers:
        for shipment_id, answer in answers:
            work.run.stop_here()
            n_done += 1
            if isinstance(answer, AmazonError):
                log.warning("shipment_got_no_answer", amazon_shipment_id=shipment_id, error=answer.code)
                work.put_off |= {(kind, shipment_id, "") for kind in _ORDER_KINDS}
                work.n_put_off += 1
                continue
            batch.append((shipment_id, answer))
            if len(batch) >= AT_A_TIME:
                _judge(work, batch, n_done)
                batch = []
    if batch:
        _judge(work, batch, n_done)


def _asked(work: Reconciling, shipment_ids: Sequence[str]) -> Iterator[tuple[str, AtAmazon | AmazonError | None]]:
    """Ask one by one; None where Amazon knows no such shipment. Runs in the fetching thread.

    After too many without an answer of their own the rest is not asked for, and gets the error of the last one.
    """
    get = work.client.shipments.get
    known = partial(get, work.agreed) if work.agreed is not None else None
    silence = Silence[tuple[str, AmazonError]](known)
    last: AmazonError | None = None
    for shipment_id in shipment_ids:
        if last is not None and silence.n_silent >= MOST_SILENT:
            yield shipment_id, last
            continue
        answer: AtAmazon | AmazonError | None
        try:
            raw = get(shipment_id)
            answer = AtAmazon.of(lenient.members(raw) | {"id": shipment_id})
        except NotFound:
            answer = None
        except (RequestRefused, StateConflict) as refusal:
            answer = refusal
        except AmazonError as error:
            if not error.is_retryable:
                raise
            last = error
            yield from silence.met((shipment_id, error), error)
            continue
        yield from silence.broken()
        yield shipment_id, answer
    yield from silence.broken()  # too few for an outage, and the lists came in


def _judge(work: Reconciling, batch: Sequence[tuple[str, AtAmazon | None]], n_done: int) -> None:
    with transaction():
        here = orders_here(work.store.store_id, [shipment_id for shipment_id, _ in batch])
        there = [shipment for _, shipment in batch if shipment is not None]
        findings = _findings(work, there, here)
        unknown = (missing_there(shipment_id, here.get(shipment_id)) for shipment_id, found in batch if found is None)
        n_new = _note(work, [*findings, *(finding for finding in unknown if finding is not None)])
        work.calls.write()
        work.run.check_in(
            progress=f"Looking again at what seems to differ: {n_done:,} of {len(work.to_look_at):,}.", n_created=n_new
        )


def _put_off_item(work: Reconciling) -> SyncRunItem:
    return SyncRunItem(
        run_id=work.run.run_id,
        outcome=ItemOutcome.SKIPPED,
        n_items=work.n_put_off,
        reason="These orders seem to differ too. Each has to be looked at again before it counts, and one run looks at "
        f"no more than {LOOKED_AT_AGAIN}, or Amazon did not answer.",
        remedy="The next run goes on with them. Where a whole day is missing, recover it by days.",
    )

"""A recovery by ids: each one is asked for at Amazon, and order ids are searched for in Amazon's lists."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select

from flexdash.amazon.errors import AmazonError, NotFound, RequestRefused, StateConflict
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, vault
from flexdash.models import Order, RecoveryItem, RecoveryOutcome
from flexdash.prefetch import prefetched
from flexdash.services import differences, single_lookups
from flexdash.services.amazon_ids import is_order_id
from flexdash.services.order_import import Counts
from flexdash.services.order_pages import ReadPage, read_page
from flexdash.services.recovery_items import keep_found, keep_missing_orders, keep_without_answer
from flexdash.services.recovery_outcomes import bring_in
from flexdash.services.recovery_work import Work, keep_place, reading, walked_pages
from flexdash.services.shipment_lists import legs_since

LOOK_BACK = timedelta(days=30)  # how far Amazon's lists are read for an order id, which Amazon cannot be asked for

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LookedUp:
    """What Amazon said about one item: its shipments, or that there is none, or nothing."""

    item_id: int
    amazon_id: str
    raw: tuple[tuple[str, Any], ...] = ()  # shipment id asked for, and what came
    refusal: str = ""
    error: AmazonError | None = None


def look_up(work: Work) -> None:
    """Ask Amazon for each shipment id, and for the shipments here of each order id, one after the other."""
    n_done = 0
    items = _left(work)
    with closing(prefetched(_asked(work, items, _known_id(work, items)))) as answers:
        for answer in answers:
            work.run.stop_here()
            if answer.error is not None:
                log.warning("recovered_id_got_no_answer", amazon_id=answer.amazon_id, error=answer.error.code)
                with transaction():
                    keep_without_answer([answer.item_id])
                    work.calls.write()
                    work.run.check_in(n_failed=1)
                continue
            n_done += 1
            _keep_answer(work, answer, n_done, len(items))


def _left(work: Work) -> list[tuple[int, str, tuple[str, ...]]]:
    """Return the items not looked at yet: id, Amazon's id, and the shipments to ask for.

    An order id of which no shipment is here is left to `search_orders`.
    """
    query = (
        select(RecoveryItem.id, RecoveryItem.amazon_id)
        .where(RecoveryItem.recovery_id == work.task.recovery_id, RecoveryItem.outcome.is_(None))
        .order_by(RecoveryItem.id)
    )
    rows = db.session.execute(query).all()
    shipments = _shipments_here(work, [amazon_id for _, amazon_id in rows if is_order_id(amazon_id)])
    release_connection()
    return [
        (item_id, amazon_id, shipments.get(amazon_id, ()) if is_order_id(amazon_id) else (amazon_id,))
        for item_id, amazon_id in rows
        if not is_order_id(amazon_id) or amazon_id in shipments
    ]


def _shipments_here(work: Work, order_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(order_ids), 500):
        query = (
            select(Order.amazon_order_id, Order.amazon_shipment_id)
            .where(
                Order.workspace_id == work.store.workspace_id,
                Order.amazon_order_id.in_(order_ids[start : start + 500]),
                Order.store_id == work.store.store_id,
            )
            .order_by(Order.id)
        )
        for order_id, shipment_id in db.session.execute(query):
            found[order_id] = (*found.get(order_id, ()), shipment_id)
    return found


def _known_id(work: Work, items: Sequence[tuple[int, str, tuple[str, ...]]]) -> str | None:
    """Return a shipment that Amazon must know: the one of the store that came in last, and is not asked for anyway."""
    asked = {shipment_id for _, _, shipment_ids in items for shipment_id in shipment_ids}
    query = (
        select(Order.amazon_shipment_id)
        .where(Order.workspace_id == work.store.workspace_id, Order.store_id == work.store.store_id)
        .order_by(Order.id.desc())
        .limit(len(asked) + 1)
    )
    here = db.session.scalars(query).all()
    release_connection()
    return next((shipment_id for shipment_id in here if shipment_id not in asked), None)


def _asked(work: Work, items: Sequence[tuple[int, str, tuple[str, ...]]], known_id: str | None) -> Iterator[LookedUp]:
    """Ask Amazon item by item. Runs in the fetching thread; raises what lets nobody in, and that Amazon is away."""
    get = work.client.shipments.get
    silence = single_lookups.Silence[LookedUp](partial(get, known_id) if known_id is not None else None)
    for item_id, amazon_id, shipment_ids in items:
        raw = []
        refusal = ""
        error = None
        for shipment_id in shipment_ids:
            try:
                raw.append((shipment_id, get(shipment_id)))
            except NotFound:
                continue
            except (RequestRefused, StateConflict) as problem:
                refusal = single_lookups.why_refused(problem)
            except AmazonError as problem:
                if not problem.is_retryable:
                    raise
                error = problem
                break
        answer = LookedUp(item_id, amazon_id, tuple(raw), refusal, error)
        if error is not None:
            yield from silence.met(answer, error)
            continue
        yield from silence.broken()
        yield answer
    yield from silence.end()


def _keep_answer(work: Work, answer: LookedUp, n_done: int, n_items: int) -> None:
    page = ReadPage(request_ids=work.calls.request_ids())
    for shipment_id, raw in answer.raw:
        read = read_page([raw], vault._get_current_object())
        page.n_fetched += 1
        page.shipments += read.shipments
        # Kept under the id that was asked for: what came may not even name itself.
        page.broken += [replace(broken, amazon_shipment_id=shipment_id) for broken in read.broken]
    with transaction():
        counts, brought = bring_in(work.importer, page, work.connected_at) if page.n_fetched else (Counts(), [])
        keep_found(answer.item_id, brought, answer.refusal or _unknown(answer, work))
        differences.close_recovered(work.store.store_id, brought)
        work.calls.write()
        work.run.check_in(
            progress=f"Asking Amazon for each id: {n_done:,} of {n_items:,} done.",
            n_fetched=page.n_fetched,
            **counts.as_dict(),
        )


def _unknown(answer: LookedUp, work: Work) -> str:
    if is_order_id(answer.amazon_id):
        return "Amazon does not know the shipments any more that FlexDash has of this order."
    return f"Amazon knows no shipment with this id in the account of {work.store.name}."


# Order ids that are not here ------------------------------------------------------------------------------------------


def search_orders(work: Work) -> None:
    """Read Amazon's lists of the last days for the shipments of order ids: Amazon cannot be asked for those."""
    sought = _sought(work)
    has_begun = work.task.reached_leg > 0 or bool(work.task.page_token)  # by an attempt that did not get to the end
    if not has_begun and not any(outcome is None for _, outcome in sought.values()):
        return
    since = work.task.asked_at - LOOK_BACK
    n_looked_at = 0
    found: Counter[str] = Counter()
    with closing(walked_pages(work, legs_since(since), set(sought))) as pages:
        for walked, page in pages:
            n_looked_at += len(walked.page.shipments)
            with transaction():
                counts, brought = bring_in(work.importer, page, work.connected_at) if page.n_fetched else (Counts(), [])
                for one in brought:
                    if one.amazon_order_id in sought:
                        keep_found(sought[one.amazon_order_id][0], [one])
                        found[one.amazon_order_id] += 1
                differences.close_recovered(work.store.store_id, brought)
                keep_place(work, walked)
                work.calls.write()
                work.run.check_in(
                    progress=f"{reading(walked.leg)} for {len(sought):,} order ids: "
                    f"{n_looked_at:,} shipments looked at, {len(found):,} orders found.",
                    n_pages=1,
                    n_fetched=page.n_fetched,
                    **counts.as_dict(),
                )
    with transaction():
        keep_missing_orders(work.task.recovery_id, since)
        work.run.check_in()


def _sought(work: Work) -> dict[str, tuple[int, RecoveryOutcome | None]]:
    """Return the order ids asked for, each with its item and outcome.

    Those found already are among them: an order may have several shipments, and a killed worker has met only some.
    """
    query = select(RecoveryItem.amazon_id, RecoveryItem.id, RecoveryItem.outcome).where(
        RecoveryItem.recovery_id == work.task.recovery_id
    )
    rows = db.session.execute(query).all()
    release_connection()
    return {amazon_id: (item_id, outcome) for amazon_id, item_id, outcome in rows if is_order_id(amazon_id)}

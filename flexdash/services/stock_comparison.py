"""The stock part of a reconciliation: what Amazon accepted last, against what it says it sells now.

Asked is about a bounded number of SKUs at locations in each run: first those known to differ, then those that Amazon
was asked about longest ago, so that all come round. Where the numbers differ, Amazon is asked once more before it
counts.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Select, and_, or_, select, update

from flexdash import clock
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, AppCredentialsRefused, AuthorizationRefused, TokenRefused
from flexdash.amazon.inventory import MAX_BATCH, InventoryItem, InventoryResult
from flexdash.database import release_connection, transaction
from flexdash.extensions import db
from flexdash.models import Difference, DifferenceKind, ItemOutcome, Listing, PublishedStock, PushState, SyncRunItem
from flexdash.prefetch import prefetched
from flexdash.services import differences
from flexdash.services.amazon_access import CallLog, StoreAtAmazon
from flexdash.services.contradictions import IN_FLIGHT
from flexdash.services.differences import Finding
from flexdash.services.inventory import outbox
from flexdash.services.inventory.calls import ABOUT_THE_REQUEST, Answer, ask
from flexdash.services.inventory.places import active_locations
from flexdash.services.run_context import RunContext

ASKED_ABOUT = 5_000  # SKUs at locations in one run, at most
LOOKED_AT_AGAIN = 500
_HOPELESS = 3  # batches without an answer in a row
_PORTION = 50  # batches written in one transaction

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A SKU at a location with the quantity that Amazon accepted last, as it was when Amazon was asked."""

    published_id: int
    seller_flex_hub_id: str
    sku_code: str
    quantity: int


Asked = tuple[Line, Answer, datetime]  # with the moment of asking


@dataclass
class _Comparing:
    run: RunContext
    store: StoreAtAmazon
    client: AmazonClient
    calls: CallLog
    n_silent: int = 0  # batches in a row that got no answer
    n_unanswered: int = 0  # SKUs in such batches


def compare(run: RunContext, store: StoreAtAmazon, client: AmazonClient, calls: CallLog) -> bool:
    """Bring the store's stock differences up to date; say whether those that were not seen are gone.

    Raises AmazonError when Amazon does not let the store in, and RunInterrupted. When Amazon does not answer, the run
    says so and goes on: the orders were compared.
    """
    work = _Comparing(run, store, client, calls)
    known, others, is_all = _lines(store.store_id)
    try:
        _look(work, known, is_final=True)
        new = _look(work, others, is_final=False)
        _look(work, new[:LOOKED_AT_AGAIN], is_final=True)
    except (AuthorizationRefused, AppCredentialsRefused, TokenRefused):
        raise
    except AmazonError as error:
        log.warning("stock_was_not_compared", error=error.code)
        _say(work, _silence(run, error), n_failed=1)
        return False
    if work.n_unanswered:
        _say(work, _unanswered(work), n_failed=work.n_unanswered)
    if len(new) > LOOKED_AT_AGAIN:
        _say(work, _put_off(run, len(new) - LOOKED_AT_AGAIN))
    return is_all


def _lines(store_id: int) -> tuple[list[Line], list[Line], bool]:
    """Return the lines known to differ, the others to ask about, and whether all that are known are among them."""
    known = _read(_comparable(store_id).where(_differs()).order_by(PublishedStock.id).limit(ASKED_ABOUT + 1))
    is_all = len(known) <= ASKED_ABOUT
    known = known[:ASKED_ABOUT]
    others = _read(
        _comparable(store_id)
        .where(~_differs())
        .order_by(PublishedStock.fetched_at.is_not(None), PublishedStock.fetched_at, PublishedStock.id)
        .limit(ASKED_ABOUT - len(known))
    )
    release_connection()
    return known, others, is_all


def _comparable(store_id: int) -> Select[Any]:
    """Return the SELECT of what FlexDash publishes: listed, at an active location, accepted a while ago."""
    locations = [location.seller_flex_hub_id for location in active_locations(store_id)]
    return (
        select(
            PublishedStock.id,
            PublishedStock.seller_flex_hub_id,
            PublishedStock.sku_code,
            PublishedStock.quantity,
        )
        .join(
            Listing,
            and_(Listing.store_id == PublishedStock.store_id, Listing.sku_code == PublishedStock.sku_code),
        )
        .where(PublishedStock.store_id == store_id, PublishedStock.seller_flex_hub_id.in_(locations), *_is_settled())
    )


def _is_settled() -> tuple[ColumnElement[bool], ...]:
    """Whether nothing is on its way to Amazon: what was sent last was accepted, and not just now."""
    return (
        PublishedStock.state == PushState.ACCEPTED,
        PublishedStock.quantity.is_not(None),
        PublishedStock.accepted_at < clock.now() - IN_FLIGHT,
    )


def _differs() -> ColumnElement[bool]:
    return (
        select(Difference.id)
        .where(
            Difference.store_id == PublishedStock.store_id,
            Difference.kind == DifferenceKind.STOCK_DIFFERS,
            Difference.subject == PublishedStock.sku_code,
            Difference.seller_flex_hub_id == PublishedStock.seller_flex_hub_id,
            Difference.gone_at.is_(None),
        )
        .exists()
    )


def _read(query: Select[Any]) -> list[Line]:
    return [Line(*row) for row in db.session.execute(query)]


def _look(work: _Comparing, lines: Sequence[Line], *, is_final: bool) -> list[Line]:
    """Ask Amazon about `lines` and return those that differ. `is_final`: they are noted, those undecided are kept."""
    differing: list[Line] = []
    portion: list[Asked] = []
    with closing(prefetched(_asked(work, lines), depth=2)) as answers:
        for n_batches, batch in enumerate(answers, start=1):
            work.run.stop_here()
            silent = _silent(batch)
            if silent is not None:
                work.n_silent, work.n_unanswered = work.n_silent + 1, work.n_unanswered + len(batch)
                if work.n_silent >= _HOPELESS or not silent.is_retryable:
                    raise silent
            else:
                work.n_silent = 0
            portion += batch
            if n_batches % _PORTION == 0:
                differing += _write(work, portion, is_final=is_final)
                portion = []
    return differing + (_write(work, portion, is_final=is_final) if portion else [])


def _asked(work: _Comparing, lines: Sequence[Line]) -> Iterator[list[Asked]]:
    """Ask ten at a time. Runs in the fetching thread."""
    for start in range(0, len(lines), MAX_BATCH):
        batch, asked_at = lines[start : start + MAX_BATCH], clock.now()
        items = [InventoryItem(line.seller_flex_hub_id, line.sku_code, work.store.marketplace_id) for line in batch]
        answers = ask(work.client.inventory.fetch, items)
        yield [(line, answer, asked_at) for line, answer in zip(batch, answers, strict=True)]


def _silent(batch: Sequence[Asked]) -> AmazonError | None:
    """Return the error of a batch that Amazon answered nothing of; a line that it refuses is an answer."""
    for _, answer, _ in batch:
        if isinstance(answer, AmazonError) and not isinstance(answer, ABOUT_THE_REQUEST):
            return answer
    return None


def _write(work: _Comparing, asked: Sequence[Asked], *, is_final: bool) -> list[Line]:
    store_id = work.store.store_id
    differing: list[Line] = []
    findings: list[Finding] = []
    unjudged: list[tuple[DifferenceKind, str, str]] = []
    with transaction():
        outbox.lock(store_id)
        settled = _settled_quantities([line.published_id for line, _, _ in asked])
        for line, answer, asked_at in asked:
            if not isinstance(answer, InventoryResult) or not answer.is_accepted or answer.sellable_quantity is None:
                unjudged.append((DifferenceKind.STOCK_DIFFERS, line.sku_code, line.seller_flex_hub_id))
                continue
            _keep_numbers(line, answer, asked_at)
            if settled.get(line.published_id) != line.quantity:  # sent anew meanwhile
                unjudged.append((DifferenceKind.STOCK_DIFFERS, line.sku_code, line.seller_flex_hub_id))
            elif not _is_explained(line.quantity, answer):
                differing.append(line)
                findings.append(_finding(line, answer))
        n_new = 0
        if is_final:
            n_new = differences.note(work.store.workspace_id, store_id, work.run.run_id, findings)
            differences.keep(store_id, work.run.run_id, unjudged)
        work.calls.write()
        work.run.check_in(
            progress="Comparing the stock that Amazon says it sells.", n_fetched=len(asked), n_created=n_new
        )
    return differing


def _settled_quantities(published_ids: Sequence[int]) -> dict[int, int]:
    query = select(PublishedStock.id, PublishedStock.quantity).where(
        PublishedStock.id.in_(published_ids), *_is_settled()
    )
    return dict(db.session.execute(query).all())


def _keep_numbers(line: Line, answer: InventoryResult, asked_at: datetime) -> None:
    """Keep what Amazon says, but where the SKU was sent anew since: that answer is the later."""
    db.session.execute(
        update(PublishedStock)
        .where(
            PublishedStock.id == line.published_id,
            or_(PublishedStock.sent_at.is_(None), PublishedStock.sent_at < asked_at),
        )
        .values(
            amazon_sellable=answer.sellable_quantity, amazon_reserved=answer.reserved_quantity, fetched_at=clock.now()
        ),
        execution_options={"synchronize_session": False},
    )


def _is_explained(quantity: int, answer: InventoryResult) -> bool:
    """Say whether Amazon sells what it was told, or less by what buyers have ordered of it meanwhile."""
    sellable = answer.sellable_quantity or 0
    return quantity - (answer.reserved_quantity or 0) <= sellable <= quantity


def _finding(line: Line, answer: InventoryResult) -> Finding:
    return Finding(
        DifferenceKind.STOCK_DIFFERS,
        line.sku_code,
        here=f"{line.quantity:,} accepted",
        there=f"{answer.sellable_quantity:,} for sale, {answer.reserved_quantity or 0:,} reserved",
        seller_flex_hub_id=line.seller_flex_hub_id,
    )


def _say(work: _Comparing, item: SyncRunItem, *, n_failed: int = 0) -> None:
    with transaction() as session:
        session.add(item)
        work.calls.write()
        work.run.check_in(n_failed=n_failed)


def _unanswered(work: _Comparing) -> SyncRunItem:
    return SyncRunItem(
        run_id=work.run.run_id,
        outcome=ItemOutcome.SKIPPED,
        n_items=work.n_unanswered,
        reason="Amazon did not answer when it was asked about the stock of these SKUs, so they were not compared.",
        remedy="Nothing: a later run asks again.",
    )


def _put_off(run: RunContext, n_lines: int) -> SyncRunItem:
    return SyncRunItem(
        run_id=run.run_id,
        outcome=ItemOutcome.SKIPPED,
        n_items=n_lines,
        reason="The stock of these SKUs seems to differ too. Each is asked about once more before it counts, and one "
        f"run does that for no more than {LOOKED_AT_AGAIN}.",
        remedy="The next run goes on with them. Where much differs, push all stock again on the Inventory page.",
    )


def _silence(run: RunContext, error: AmazonError) -> SyncRunItem:
    return SyncRunItem(
        run_id=run.run_id,
        outcome=ItemOutcome.SKIPPED,
        reason=f"Stock was not compared: Amazon gave no numbers ({error.message[:300].rstrip('.')}). The orders were.",
        remedy="Nothing: the next run compares it again.",
    )

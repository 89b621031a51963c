"""The return pull of one store: what buyers send back comes in, and each return is linked to its order.

Amazon lists what changed only for one location and one status at a time; what is new it lists by the time of creation.
So a run asks three things, and no return falls between them:

1. What was created since the watermark, at any location. A location that turns up here is read from then on.
2. For each location and each of Amazon's statuses, what changed since that location was last read. A location read for
   the first time is read from a month ago. A return that moves while the run is under way has a later time of change,
   which the next run asks for.
3. By its id, the few that no list can bring: without a location, in a status Amazon invented, or unreadable before.

Every watermark is less an overlap when it is asked with, and moves when all pages of its question are in: a run that
dies is simply made again, and asks only for what is left.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import delete, select, update

from flexdash import clock
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, NotFound, Throttled
from flexdash.amazon.return_statuses import RETURN_STATUSES
from flexdash.amazon.returns import ReturnFilter, ReturnPage
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings
from flexdash.models import (
    AmazonReturn,
    HubMapping,
    ItemOutcome,
    ReturnLocation,
    Sync,
    SyncRunItem,
    SyncState,
)
from flexdash.prefetch import prefetched
from flexdash.services import return_links, return_singles, run_retries, run_sheets, single_lookups
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.return_import import ReadReturns, ReturnImporter, read_page
from flexdash.services.run_context import RunContext
from flexdash.services.sync_schedule import insert_new

FIRST_LOOKBACK = timedelta(days=30)  # a first pull's; as long as buyers may usually send goods back
IN_A_ROW = 3  # so many locations without an answer: is Amazon away, or are they odd?
FIRST_YEAR = datetime.min.replace(tzinfo=UTC)
REFUSALS = (NotFound, *single_lookups.REFUSALS)  # what Amazon says of one location only

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Step:
    """One thing that asking location by location gave: a page, the end of a location, or the error that ended it."""

    location_id: str
    status: str = ""
    page: ReadReturns | None = None
    amazon_date: datetime | None = None
    error: AmazonError | None = None


def pull(run: RunContext) -> None:
    """Bring the store's returns up to Amazon's present state.

    Raises StoreNotConnected, AmazonError, RunInterrupted. A location that Amazon refuses or does not answer for never
    keeps the others waiting.
    """
    store = store_at_amazon(run.store_id)
    calls = CallLog(store, run.run_id)
    importer = ReturnImporter(workspace_id=store.workspace_id, store_id=store.store_id, run_id=run.run_id)
    with open_amazon(store, calls) as client:
        _Pull(run, client, calls, importer).do()


class _Pull:
    """One run at work."""

    def __init__(self, run: RunContext, client: AmazonClient, calls: CallLog, importer: ReturnImporter) -> None:
        self._run, self._client, self._calls, self._importer = run, client, calls, importer
        self._began = self._until = clock.now()
        self._n_pages = 0  # read, but not told yet: empty pages are not worth a transaction each

    def do(self) -> None:
        if self._run.retry_of_id is not None:
            self._ask_by_id(return_singles.waiting_among(self._run.store_id, _failed(self._run)))
            return
        new = ReturnFilter(created_since=self._open_window())
        self._bring_new(new)
        failure = self._bring_changed(new)
        self._ask_by_id(return_singles.to_ask_for(self._run, self._began))
        with transaction():
            return_links.link(self._run.store_id)
            self._report("All pages are in.")
        if failure is not None:
            raise failure

    # 1: what is new ---------------------------------------------------------------------------------------------------

    def _bring_new(self, new: ReturnFilter) -> None:
        pages = self._client.returns.pages(new)
        with closing(prefetched(_read(pages))) as fetched:  # the fetching thread ends with us, whatever happens
            for page, amazon_date in fetched:
                self._run.stop_here()
                self._take(page, amazon_date, "Fetching new returns.")
        with transaction():
            _state(self._run.store_id).watermark = self._until
            self._report("New returns are in.")

    def _open_window(self) -> datetime:
        """Say from when on new returns are asked for, and keep it on the run."""
        with transaction():
            since = self._since(_state(self._run.store_id).watermark)
            self._run.set_window(since, self._began)
        return since

    def _since(self, watermark: datetime | None) -> datetime:
        if watermark is None:
            return self._began - FIRST_LOOKBACK
        return watermark - timedelta(minutes=settings.order_pull_overlap_minutes)

    # 2: what changed --------------------------------------------------------------------------------------------------

    def _bring_changed(self, answered: ReturnFilter) -> AmazonError | None:
        """Read each location in each status; return the error of the last location that got no answer, if any.

        `answered` is a question about no location that Amazon answered in this run.
        """
        locations = {location_id: self._since(watermark) for location_id, watermark in self._locations().items()}
        release_connection()
        failure = None
        with closing(prefetched(self._steps(locations, answered))) as steps:
            for step in steps:
                self._run.stop_here()
                if step.page is not None:
                    self._take(step.page, step.amazon_date, f"Fetching changes at {step.location_id}.")
                elif step.error is None:
                    self._end_location(step.location_id)
                elif isinstance(step.error, REFUSALS):
                    self._leave_out(step.location_id, step.error)
                else:
                    log.warning("location_got_no_answer", location_id=step.location_id, error=step.error.code)
                    failure = step.error
        return failure

    def _steps(self, locations: dict[str, datetime], answered: ReturnFilter) -> Iterator[Step]:
        """Ask Amazon, in the fetching thread; what ends one location is a step, what ends all of them is raised.

        The same locations may get no answer run after run, and come first each time. So a few of them end the others
        only where Amazon does not answer again what it had `answered`, either: then it is away.
        """
        n_silent = 0
        for location_id, since in locations.items():
            try:
                for status in RETURN_STATUSES:
                    wanted = ReturnFilter(location_id=location_id, status=status, updated_since=since)
                    for page, amazon_date in _read(self._client.returns.pages(wanted)):
                        yield Step(location_id, status, page, amazon_date)
            except AmazonError as error:
                if isinstance(error, Throttled) or not (error.is_retryable or isinstance(error, REFUSALS)):
                    raise
                yield Step(location_id, error=error)
                n_silent = n_silent + 1 if error.is_retryable else 0
                if n_silent == IN_A_ROW:
                    self._client.returns.page(answered, max_results=1)
                    n_silent = 0
            else:
                yield Step(location_id)
                n_silent = 0

    def _locations(self) -> dict[str, datetime | None]:
        """Return the locations to read with how far each was read: those of the hubs, and those returns came to.

        The longest unread come first. A location that no hub has any more, and no return ever came to, is forgotten.
        """
        store_id, row = self._run.store_id, ReturnLocation
        with transaction():
            mapped = set(
                db.session.scalars(select(HubMapping.seller_flex_hub_id).where(HubMapping.store_id == store_id))
            )
            is_used = select(AmazonReturn.id).where(
                AmazonReturn.store_id == store_id, AmazonReturn.return_location_id == row.location_id
            )
            db.session.execute(
                delete(row).where(row.store_id == store_id, row.location_id.not_in(mapped), ~is_used.exists()),
                execution_options={"synchronize_session": False},
            )
            known = dict(
                db.session.execute(select(row.location_id, row.watermark).where(row.store_id == store_id)).all()
            )
        return {
            location_id: known.get(location_id)
            for location_id in sorted(mapped | known.keys(), key=lambda one: (known.get(one) or FIRST_YEAR, one))
        }

    def _end_location(self, location_id: str) -> None:
        row = ReturnLocation
        with transaction():
            values = {"store_id": self._run.store_id, "location_id": location_id}
            db.session.execute(insert_new(row.__table__), [values])
            db.session.execute(
                update(row)
                .where(row.store_id == self._run.store_id, row.location_id == location_id)
                .values(watermark=self._until),
                execution_options={"synchronize_session": False},
            )
            self._report(f"{location_id} is up to date.")

    def _leave_out(self, location_id: str, error: AmazonError) -> None:
        """Amazon does not list this location: say so on the run, and ask again next time from where it stands.

        A location that Amazon has no returns of, or does not know, is no failure of the run.
        """
        is_unknown = isinstance(error, NotFound)
        with transaction():
            db.session.add(
                SyncRunItem(
                    run_id=self._run.run_id,
                    outcome=ItemOutcome.SKIPPED if is_unknown else ItemOutcome.REFUSED,
                    seller_flex_hub_id=location_id[:36],
                    reason=f"Amazon does not list the returns of {location_id}: {error}"[:500],
                    remedy="Look on Hub Mapping whether the Seller Flex Hub ID is right; each run asks again.",
                )
            )
            self._report(f"{location_id} was left out.", n_failed=0 if is_unknown else 1)

    # 3: what no list brings -------------------------------------------------------------------------------------------

    def _ask_by_id(self, wanted: list[str]) -> None:
        release_connection()
        if not wanted:
            return
        lookups = single_lookups.look_up(self._run, self._client.returns.get, wanted)
        page = read_page(lookups.found)
        with transaction():
            counts = self._importer.write(page)
            return_singles.let_go(self._run.store_id, lookups.gone)
            return_singles.put_last(self._run.store_id, [item.name for item in lookups.untold])
            run_sheets.keep(self._run.run_id, lookups.sheet(return_singles.GONE), self._run.store_id)
            if self._run.retry_of_id is not None:  # made for these alone: one not told of is what failed of it
                counts.n_failed += len(lookups.untold)
            self._report("Asking for single returns.", n_fetched=page.n_fetched, **counts.as_dict())

    # Telling ----------------------------------------------------------------------------------------------------------

    def _take(self, page: ReadReturns, amazon_date: datetime | None, progress: str) -> None:
        """Write one page. Where our clock runs ahead of Amazon's, Amazon's counts."""
        if amazon_date is not None:
            self._until = min(self._until, amazon_date)
        self._n_pages += 1
        if not page:
            return
        with transaction():
            counts = self._importer.write(page)
            self._report(progress, n_fetched=page.n_fetched, **counts.as_dict())

    def _report(self, progress: str, **increments: int) -> None:
        """Tell what was done, inside the transaction of the work; the run's row is locked last."""
        self._calls.write()
        self._run.check_in(progress=progress, n_pages=self._n_pages, **increments)
        self._n_pages = 0


def _failed(run: RunContext) -> list[str]:
    """Return the ids of the returns that the run taken up here could not take in."""
    return run_retries.names_of(run.retry_of_id, run_retries.FAILED)


def _read(pages: Iterator[ReturnPage]) -> Iterator[tuple[ReadReturns, datetime | None]]:
    for page in pages:
        yield read_page(page.returns), page.amazon_date


def _state(store_id: int) -> SyncState:
    query = select(SyncState).where(SyncState.store_id == store_id, SyncState.sync == Sync.RETURN_PULL)
    return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()

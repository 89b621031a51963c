"""What Amazon says the stock is: asked for the whole catalog of a store, or for one SKU while a person waits."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, bindparam, case, insert, or_, select, update

from flexdash import clock
from flexdash.amazon.errors import AmazonError
from flexdash.amazon.inventory import InventoryItem, InventoryResult
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ItemFate, ItemOutcome, Listing, PublishedStock, Store, SyncRun, SyncRunItem
from flexdash.services import access, run_sheets
from flexdash.services.actors import Actor, Permission
from flexdash.services.amazon_access import CallLog, amazon_for, open_amazon, store_at_amazon
from flexdash.services.errors import NotAllowed, NotVisible, ServiceError
from flexdash.services.inventory import answers, outbox
from flexdash.services.inventory.calls import ABOUT_THE_REQUEST, Answer, Answered, Batch, Caller, ask, batches
from flexdash.services.inventory.flight import Flight
from flexdash.services.inventory.outbox import Line
from flexdash.services.inventory.places import Location, active_locations
from flexdash.services.inventory.plan import StoreFacts
from flexdash.services.inventory.quantities import is_among
from flexdash.services.inventory.sending import HOPELESS, IN_FLIGHT, IN_LINE, MAX_TRIES, PORTION
from flexdash.services.run_context import RunContext
from flexdash.vault import UnreadableSecret

_TABLE = PublishedStock.__table__

logger = structlog.get_logger(__name__)


class FetchFailed(ServiceError):
    """Amazon could not be asked about a SKU, or did not answer: what was known before still stands."""


def fetch(run: RunContext) -> None:
    """Ask Amazon for the stock of every catalog SKU at every active location, and keep what it says.

    Nothing changes on Amazon, so it works with Inventory Sync off too. An attempt that dies goes on where it was.
    Raises StoreNotConnected, AmazonError when Amazon does not let us in or answers nothing, and RunInterrupted.
    """
    store = store_at_amazon(run.store_id)
    row = db.session.get_one(SyncRun, run.run_id, populate_existing=True)
    facts, began_at = StoreFacts.of(row.store), row.started_at or clock.now()
    locations = active_locations(facts.store_id)
    calls = CallLog(store, run.run_id)
    with open_amazon(store, calls, makes_many_calls=True) as client:
        caller = Caller(client.inventory, facts.marketplace_id)
        _Fetching(run, calls, Flight(IN_FLIGHT, caller)).fetch(_portions(run, facts, locations, began_at))


def fetch_one(actor: Actor, store_id: int, listing_id: int, mapping_id: int) -> PublishedStock:
    """Ask Amazon for the stock of one SKU at one location, keep what it says and return it.

    Raises NotVisible, NotAllowed, StoreNotConnected, and FetchFailed with what Amazon said. Call it outside a
    transaction.
    """
    if not actor.may(Permission.START_SYNCS):
        raise NotAllowed("Your role does not include asking Amazon. Ask a merchant or an admin of your workspace.")
    store = access.get(actor, Store, store_id)
    listing = access.get(actor, Listing, listing_id)
    location = next((one for one in active_locations(store_id) if one.mapping_id == mapping_id), None)
    if listing.store_id != store.id or location is None:
        raise NotVisible("listing")
    facts, sku_code = StoreFacts.of(store), listing.sku_code
    with transaction():
        outbox.lock(store_id)
        (line,) = _lines(facts, location, [listing_id])
    item = InventoryItem(location.seller_flex_hub_id, sku_code, facts.marketplace_id)
    try:
        with amazon_for(db.session.get_one(Store, store_id)) as client:
            (answer,) = ask(client.inventory.fetch, [item])
    except UnreadableSecret as error:
        logger.error("the store's token cannot be decrypted", store_id=store_id)
        raise FetchFailed(
            "Amazon was not asked. The key that opens this store's authorization is missing from ENCRYPTION_KEYS: tell "
            "whoever runs FlexDash to put it back. If it is lost, re-authorize the store."
        ) from error
    with transaction():
        outbox.lock(store_id)
        if _is_read(answer):
            _write([(line, answer)])
        kept = db.session.get_one(PublishedStock, line.published_id, populate_existing=True)
    if not _is_read(answer):
        raise FetchFailed(f"Amazon was asked about {sku_code} and gave no numbers. {answers.words_of(answer).message}")
    return kept


class _Fetching:
    """A fetch under way. Made for one call of `fetch`."""

    def __init__(self, run: RunContext, calls: CallLog, flight: Flight[Batch, Answered]) -> None:
        self._run, self._calls, self._flight = run, calls, flight
        self._read: list[tuple[Line, InventoryResult]] = []
        self._failed: list[tuple[Line, Answer]] = []
        self._again: list[Line] = []  # got no answer, and are to be asked about once more
        self._silent: list[tuple[Line, AmazonError]] = []  # got none however often they were asked about
        self._tries: Counter[int] = Counter()
        self._n_silent, self._n_answered = 0, 0
        self._must_stop = False
        self._error: AmazonError | None = None

    def fetch(self, portions: Iterator[list[Line]]) -> None:
        """Ask about all lines of `portions`; what was answered is written whatever happens."""
        with self._flight as flight:
            while True:
                self._fill(portions)
                if not flight.n_open:
                    break
                self._sort(flight.take())
                if len(self._read) + len(self._failed) >= PORTION:
                    self._keep()
            if self._silent and not self._must_stop:
                if self._n_answered:
                    self._failed += self._silent
                else:
                    self._end(self._silent[0][1])
            self._keep()
        if self._error is not None:
            raise self._error
        self._run.stop_here()

    def _fill(self, portions: Iterator[list[Line]]) -> None:
        self._must_stop = self._must_stop or self._run.should_stop()
        if self._must_stop:
            self._flight.drop_waiting()
            return
        while self._flight.n_open < IN_FLIGHT + IN_LINE:
            lines = next(portions, None)
            if lines is None and not self._flight.n_open:
                lines, self._again = self._again, []
            if not lines:
                return
            for batch in batches(lines, is_fetch=True):
                self._flight.submit(batch)

    def _sort(self, answered: Answered) -> None:
        silent = None
        for line, answer in zip(answered.batch.lines, answered.answers, strict=True):
            if isinstance(answer, AmazonError) and not isinstance(answer, ABOUT_THE_REQUEST):
                silent = answer
                self._tries[line.published_id] += 1
                if self._tries[line.published_id] < MAX_TRIES:
                    self._again.append(line)
                else:
                    self._silent.append((line, answer))
            elif _is_read(answer):
                self._read.append((line, answer))
            else:
                self._failed.append((line, answer))
        if silent is None:
            self._n_answered += len(answered.answers)
            self._n_silent = 0
            return
        self._n_silent += 1
        if not silent.is_retryable or self._n_silent >= HOPELESS:
            self._end(silent)

    def _end(self, error: AmazonError) -> None:
        self._error, self._must_stop = self._error or error, True

    def _keep(self) -> None:
        if not self._read and not self._failed:
            return
        with transaction():
            outbox.lock(self._run.store_id)
            _write(self._read)
            if self._failed:
                items = [
                    answers.refused_item(
                        self._run.run_id, line.location.seller_flex_hub_id, line.sku_code, answers.words_of(answer)
                    )
                    for line, answer in self._failed
                ]
                db.session.execute(insert(SyncRunItem), items)
            told = [answers.item_of(line, answer, ItemFate.TOLD) for line, answer in self._read]
            silent = [answers.item_of(line, answer, ItemFate.REFUSED) for line, answer in self._failed]
            run_sheets.keep(self._run.run_id, [*told, *silent], self._run.store_id)
            self._calls.write()
            self._run.check_in(
                progress=f"Asking Amazon for its stock: {self._n_answered:,} answers so far.",
                n_fetched=len(self._read) + len(self._failed),
                n_updated=len(self._read),
                n_failed=len(self._failed),
            )
        self._read, self._failed = [], []


def _portions(
    run: RunContext, store: StoreFacts, locations: Sequence[Location], began_at: datetime
) -> Iterator[list[Line]]:
    """Yield the lines that this run has no answer for yet, by location and SKU."""
    for location in locations:
        last_id = 0
        while True:
            query = (
                select(Listing.id)
                .where(Listing.store_id == store.store_id, Listing.id > last_id, *_only_failed(run, location))
                .order_by(Listing.id)
                .limit(PORTION)
            )
            with transaction():
                outbox.lock(store.store_id)
                ids = db.session.scalars(query).all()
                lines = _lines(store, location, ids, not_since=began_at) if ids else []
                run.check_in()
            if lines:
                yield lines
            if len(ids) < PORTION:
                break
            last_id = ids[-1]


def _only_failed(run: RunContext, location: Location) -> list[ColumnElement[bool]]:
    """Return the condition that leaves what another run got no numbers for, where this one takes that up."""
    if run.retry_of_id is None:
        return []
    item = SyncRunItem
    of_run = (item.run_id == run.retry_of_id, item.outcome == ItemOutcome.REFUSED)
    here = (item.sku_code == Listing.sku_code, item.seller_flex_hub_id == location.seller_flex_hub_id)
    return [select(item.id).where(*of_run, *here).exists()]


def _lines(
    store: StoreFacts, location: Location, listing_ids: Sequence[int], *, not_since: datetime | None = None
) -> list[Line]:
    """Return the rows to ask about, made where there was none; `sent_at` is the moment of asking.

    Inside the caller's transaction, which holds `outbox.lock`.
    """
    rows, now = outbox.rows_of(store, location, listing_ids), clock.now()
    known: set[int] = set()
    if not_since is not None:
        ids = [row.published_id for row in rows]
        known |= set(
            db.session.scalars(select(_TABLE.c.id).where(is_among(_TABLE.c.id, ids), _TABLE.c.fetched_at >= not_since))
        )
    return [
        Line(row.published_id, row.listing_id, location, row.sku_code, 0, 0, now)
        for row in rows
        if row.published_id not in known
    ]


def _write(read: Sequence[tuple[Line, InventoryResult]]) -> None:
    """Keep Amazon's numbers, but where the SKU was sent anew since it was asked about: that answer is the later."""
    if not read:
        return
    now = clock.now()
    number = bindparam("b_number", type_=_TABLE.c.sequence_number.type)
    db.session.connection().execute(
        update(_TABLE)
        .where(
            _TABLE.c.id == bindparam("b_id"),
            or_(_TABLE.c.sent_at.is_(None), _TABLE.c.sent_at < bindparam("b_asked_at")),
        )
        .values(
            amazon_sellable=bindparam("b_sellable"),
            amazon_reserved=bindparam("b_reserved"),
            fetched_at=now,
            sequence_number=case((_TABLE.c.sequence_number < number, number), else_=_TABLE.c.sequence_number),
        ),
        [
            {
                "b_id": line.published_id,
                "b_asked_at": line.sent_at,
                "b_sellable": result.sellable_quantity,
                "b_reserved": result.reserved_quantity,
                "b_number": result.sequence_number or 0,
            }
            for line, result in read
        ],
    )


def _is_read(answer: Answer) -> bool:
    return isinstance(answer, InventoryResult) and answer.is_accepted and answer.sellable_quantity is not None

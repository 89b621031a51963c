"""Writing a page of Amazon's returns: new ones in bulk, changes one by one, what cannot be read kept apart by id."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from flexdash import clock
from flexdash.amazon import lenient
from flexdash.amazon.errors import UnreadableReturn
from flexdash.amazon.return_reader import ReturnItem, read_return
from flexdash.amazon.return_statuses import lookup_return
from flexdash.extensions import db
from flexdash.models import AmazonReturn, ItemFate, ItemOutcome, QuarantinedReturn, ReturnLocation, SyncRunItem
from flexdash.services import return_links, run_sheets
from flexdash.services.return_rows import from_amazon, is_unlisted
from flexdash.services.sync_schedule import insert_new
from flexdash.services.words import as_sentence

log = structlog.get_logger(__name__)

# Columns that say which order a return belongs to: when they change, the order is looked for anew.
_NAMES_OF_ORDER = ("amazon_shipment_id", "channel_shipment_id", "amazon_order_id")
# Times that a later answer may leave out without taking them back.
_KEPT_TIMES = ("amazon_created_at", "amazon_updated_at")


@dataclass(frozen=True)
class Broken:
    """A return that could not be read or written, with the reason in words.

    The id is "" where it has none; the digest then tells it from another one within a run, and is kept nowhere.
    """

    amazon_return_id: str
    sentence: str
    digest: str = field(default="", repr=False)


@dataclass
class ReadReturns:
    """A page of returns, read: at most one of each id, the newest."""

    items: list[ReturnItem] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    n_fetched: int = 0

    def __bool__(self) -> bool:
        return self.n_fetched > 0


@dataclass
class Counts:
    """What became of the returns of a page."""

    n_created: int = 0
    n_updated: int = 0
    n_skipped: int = 0
    n_failed: int = 0
    items: list[run_sheets.Item] = field(default_factory=list, repr=False)  # each return, for the run's page

    def as_dict(self) -> dict[str, int]:
        """Return the counts under the names of SyncRun's columns."""
        return {name: n for name, n in vars(self).items() if name.startswith("n_")}

    def note(self, item: ReturnItem, fate: ItemFate) -> None:
        """Note what became of one return."""
        also = item.order_id or item.shipment_id or ""
        words = f"Amazon has it as {lookup_return(item.status).label} ({item.status})."
        self.items.append(run_sheets.Item(fate, item.id, also, item.location_id or "", words))


def read_page(raw_returns: Sequence[Any]) -> ReadReturns:
    """Read Amazon's returns outside any transaction. One that cannot be read never costs the others.

    Of two with one id the later changed one counts, and of two changed at the same time the one that came last.
    """
    page = ReadReturns(n_fetched=len(raw_returns))
    newest: dict[str, ReturnItem] = {}
    for raw in raw_returns:
        try:
            item = read_return(raw)
        except UnreadableReturn as error:
            page.broken.append(
                Broken(error.return_id or "", as_sentence(f"It could not be read: {error.reason}"), _digest(raw))
            )
            continue
        before = newest.get(item.id)
        if before is None or not _is_older(item, before.updated_at):
            newest[item.id] = item
    page.items = list(newest.values())
    return page


class ReturnImporter:
    """Writes read pages into the returns of one store, inside the caller's transaction; twice is as once."""

    def __init__(self, *, workspace_id: int, store_id: int, run_id: int) -> None:
        self.workspace_id, self.store_id, self.run_id = workspace_id, store_id, run_id
        self._nameless: set[str] = set()  # digests of what has no id, told already

    def write(self, page: ReadReturns) -> Counts:
        """Write `page` and return what became of it.

        The whole page is tried under one savepoint. When the database refuses anything in it, the page is written
        again with one savepoint per return, so that only the refused ones are kept apart.
        """
        counts = Counts()
        broken = list(page.broken)
        try:
            with db.session.begin_nested():
                self._write(page.items, counts)
        except OperationalError:
            raise  # the database is locked, full or away: that is no return's fault
        except (SQLAlchemyError, ValueError, TypeError) as error:
            log.warning("page_refused_writing_one_by_one", error=type(error).__name__)
            db.session.expunge_all()
            counts = Counts()
            broken += self._write_one_by_one(page.items, counts)
        counts.n_failed += self._keep_apart(broken)
        failed = (run_sheets.Item(ItemFate.FAILED, one.amazon_return_id, words=one.sentence) for one in broken)
        run_sheets.keep(self.run_id, [*counts.items, *failed], self.store_id)
        return counts

    def _write_one_by_one(self, items: Sequence[ReturnItem], counts: Counts) -> list[Broken]:
        broken = []
        for item in items:
            own = Counts()
            try:
                with db.session.begin_nested():
                    self._write([item], own)
            except OperationalError:
                raise
            except (SQLAlchemyError, ValueError, TypeError) as error:
                log.warning("return_refused", amazon_return_id=item.id, error=type(error).__name__)
                db.session.expunge_all()
                broken.append(Broken(item.id, f"The database refused it ({type(error).__name__})."))
                continue
            for name, n in own.as_dict().items():
                setattr(counts, name, getattr(counts, name) + n)
            counts.items += own.items
        return broken

    def _write(self, items: Sequence[ReturnItem], counts: Counts) -> None:
        if not items:
            return
        here = self._returns_here([item.id for item in items])
        new = [item for item in items if item.id not in here]
        for item in items:
            if item.id in here:
                self._update(here[item.id], item, counts)
        if new:
            db.session.execute(insert(AmazonReturn), [self._row(item) for item in new])
            counts.n_created += len(new)
            for item in new:
                counts.note(item, ItemFate.CREATED)
        db.session.flush()
        self._know_locations(items)
        self._leave_quarantine([item.id for item in items])
        return_links.link(self.store_id, [item.id for item in items])

    def _returns_here(self, return_ids: list[str]) -> dict[str, AmazonReturn]:
        query = (
            select(AmazonReturn)
            .where(AmazonReturn.store_id == self.store_id, AmazonReturn.amazon_return_id.in_(return_ids))
            .order_by(AmazonReturn.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        return {row.amazon_return_id: row for row in db.session.scalars(query)}

    def _row(self, item: ReturnItem) -> dict[str, Any]:
        now = clock.now()
        own = {"workspace_id": self.workspace_id, "store_id": self.store_id, "amazon_return_id": item.id}
        return own | from_amazon(item) | {"imported_at": now, "changed_at": now, "read_at": now}

    def _update(self, row: AmazonReturn, item: ReturnItem, counts: Counts) -> None:
        """Take over what Amazon says now, unless it was said before what is here already.

        Equal times are no reason to look away: Amazon may change a return twice within one tick of its clock.
        """
        if row.is_unlisted or is_unlisted(item):
            row.read_at = clock.now()
        if _is_older(item, row.amazon_updated_at):
            counts.n_skipped += 1
            counts.note(item, ItemFate.UNCHANGED)
            return
        said = from_amazon(item)
        for name in _KEPT_TIMES:
            said[name] = said[name] or getattr(row, name)
        news = {name for name, value in said.items() if getattr(row, name) != value}
        for name in news:
            setattr(row, name, said[name])
        if news.intersection(_NAMES_OF_ORDER):
            row.order_id = None
        if news - {"amazon_updated_at"}:
            row.changed_at = clock.now()
            counts.n_updated += 1
            counts.note(item, ItemFate.UPDATED)
        else:
            counts.n_skipped += 1
            counts.note(item, ItemFate.UNCHANGED)

    def _know_locations(self, items: Sequence[ReturnItem]) -> None:
        """A location that a return names is read from now on, whether or not a hub has its id."""
        if locations := sorted({item.location_id for item in items if item.location_id}):
            db.session.execute(
                insert_new(ReturnLocation.__table__),
                [{"store_id": self.store_id, "location_id": location_id} for location_id in locations],
            )

    def _keep_apart(self, broken: Sequence[Broken]) -> int:
        """Keep the id of what could not be taken in, so that later runs ask for it, and say on the run what it was.

        Returns how many are new to this run: Amazon lists a return in more than one list.
        """
        nameless = {item.digest: item for item in broken if not item.amazon_return_id}
        told = [item for digest, item in nameless.items() if digest not in self._nameless]
        self._nameless |= nameless.keys()
        named = {item.amazon_return_id: item for item in broken if item.amazon_return_id}
        here = {row.amazon_return_id: row for row in db.session.scalars(self._quarantined(list(named)))}
        for return_id, item in named.items():
            row = here.get(return_id)
            if row is None:
                row = QuarantinedReturn(
                    workspace_id=self.workspace_id,
                    store_id=self.store_id,
                    amazon_return_id=return_id,
                    n_times_seen=0,
                )
                db.session.add(row)
            if row.run_id != self.run_id:
                told.append(item)
                row.n_times_seen += 1
            row.run_id, row.error_sentence = self.run_id, item.sentence[:500]
            row.last_seen_at, row.resolved_at = clock.now(), None
        db.session.add_all(self._item(item) for item in told)
        db.session.flush()
        return len(told)

    def _item(self, item: Broken) -> SyncRunItem:
        name = f"Return {item.amazon_return_id}" if item.amazon_return_id else "A return"
        return SyncRunItem(
            run_id=self.run_id,
            outcome=ItemOutcome.REFUSED,
            reason=f"{name}: {item.sentence}"[:500],
            remedy=_WITH_ID if item.amazon_return_id else _WITHOUT_ID,
        )

    def _leave_quarantine(self, return_ids: list[str]) -> None:
        db.session.execute(
            update(QuarantinedReturn)
            .where(
                QuarantinedReturn.store_id == self.store_id,
                QuarantinedReturn.amazon_return_id.in_(return_ids),
                QuarantinedReturn.resolved_at.is_(None),
            )
            .values(resolved_at=clock.now()),
            execution_options={"synchronize_session": False},
        )

    def _quarantined(self, return_ids: list[str]) -> Any:
        return select(QuarantinedReturn).where(
            QuarantinedReturn.store_id == self.store_id, QuarantinedReturn.amazon_return_id.in_(return_ids)
        )


_WITH_ID = "Each later run asks Amazon for it again by its id. Until it can be read, look it up in Seller Central."
_WITHOUT_ID = "Without an id it cannot be asked for again. Look in Seller Central for a return that is missing here."


def _digest(raw: Any) -> str:
    return hashlib.sha256(lenient.as_text(raw).encode()).hexdigest()


def _is_older(item: ReturnItem, known_at: Any) -> bool:
    return bool(item.updated_at and known_at and item.updated_at < known_at)

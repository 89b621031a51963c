"""What a run did with each of its items: written with the work itself, found again by an id or a SKU.

Each write packs its items, a hundred to a row and those that ended alike together, so that a run of 50,000 SKUs costs
500 small rows. Looking for one of them unpacks the run's rows and searches them: some hundredths of a second for such
a run. They are kept as long as the calls to Amazon are.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, delete, func, insert, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ItemFate, RunSheet, SyncRun
from flexdash.services.api_log import kept_for

PER_SHEET = 100
MAX_WORDS = 300
BATCH = 500
BATCHES_PER_TICK = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One item and what became of it. `name` is Amazon's id of it or a SKU, `also` another name, such as an order's id.

    `place` is a Seller Flex Hub ID; `words` are the quantity, the price, or why it was refused; `request_id` is
    Amazon's, of the call that it went with, where that is known.
    """

    fate: ItemFate
    name: str
    also: str = ""
    place: str = ""
    words: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """An item as it was kept, by which run and when."""

    item: Item
    run_id: int
    at: datetime


def keep(
    run_id: int | None,
    items: Iterable[Item],
    store_id: int | None = None,
    request_ids: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Keep what became of `items`, inside the transaction of the work; nothing without a run.

    `request_ids` are Amazon's by an item's name, for items that do not have their own.
    """
    alike: dict[ItemFate, list[Item]] = defaultdict(list)
    for item in items:
        alike[item.fate].append(item)
    if run_id is None or not alike:
        return
    if store_id is None:
        store_id = db.session.scalars(select(SyncRun.store_id).where(SyncRun.id == run_id)).one()
    now = clock.now()
    rows = [
        {
            "run_id": run_id,
            "store_id": store_id,
            "fate": fate,
            "made_at": now,
            "n_items": len(portion),
            "content": _packed(portion, request_ids),
        }
        for fate, found in alike.items()
        for portion in (found[start : start + PER_SHEET] for start in range(0, len(found), PER_SHEET))
    ]
    db.session.execute(insert(RunSheet), rows)


def of_run(run: SyncRun, fate: ItemFate | None = None) -> Select[tuple[RunSheet]]:
    """Return the SELECT of the run's sheets, all or of one fate, unordered and unpaged."""
    query = select(RunSheet).where(RunSheet.run_id == run.id)
    return query if fate is None else query.where(RunSheet.fate == fate)


def items_of(sheet: RunSheet) -> list[Item]:
    """Return the items of a sheet, in the order in which they were written."""
    return [Item(sheet.fate, *cells) for cells in json.loads(zlib.decompress(sheet.content))]


def search(run: SyncRun, names: Iterable[str], limit: int = 50) -> list[Kept]:
    """Return what the run did with the items of one of `names`, in the order in which it happened."""
    return _search(select(RunSheet).where(RunSheet.run_id == run.id).order_by(RunSheet.id), set(names), limit)


def search_runs(run_ids: Collection[int], names: Iterable[str], limit: int) -> list[Kept]:
    """Return the last `limit` things that these runs did with an item, the newest first."""
    query = select(RunSheet).where(RunSheet.run_id.in_(run_ids)).order_by(RunSheet.id.desc())
    return _search(query, set(names), limit)


def search_store(store_id: int, names: Iterable[str], limit: int, most_sheets: int) -> list[Kept]:
    """Return the last `limit` things that runs of a store did with an item, the newest first.

    At most `most_sheets` sheets are looked through, the newest of the store.
    """
    query = select(RunSheet).where(RunSheet.store_id == store_id).order_by(RunSheet.id.desc()).limit(most_sheets)
    return _search(query, set(names), limit)


def names_of(run_id: int, fates: Collection[ItemFate], limit: int | None = None) -> list[str]:
    """Return the names of the run's items with one of `fates`, each once, at most `limit`; None: all of them."""
    query = select(RunSheet.content).where(RunSheet.run_id == run_id, RunSheet.fate.in_(fates)).order_by(RunSheet.id)
    names: dict[str, None] = {}
    for content in db.session.scalars(query.execution_options(yield_per=50)):
        names |= dict.fromkeys(name for name, *_ in json.loads(zlib.decompress(content)) if name)
        if limit is not None and len(names) >= limit:
            break
    return list(names)[:limit]


def n_by_fate(run: SyncRun) -> dict[ItemFate, int]:
    """Return how many items of the run had each fate, in the order in which people read them.

    An item that an attempt met after another one had seen to it counts with both.
    """
    query = select(RunSheet.fate, func.sum(RunSheet.n_items)).where(RunSheet.run_id == run.id).group_by(RunSheet.fate)
    found = dict(db.session.execute(query).all())
    return {fate: found[fate] for fate in ItemFate if fate in found}


def delete_old(now: datetime) -> int:
    """Delete the sheets that were kept long enough and return how many; the next tick goes on where much is left."""
    total = 0
    for _ in range(BATCHES_PER_TICK):
        oldest = select(RunSheet.id, RunSheet.made_at).order_by(RunSheet.id).limit(BATCH)
        due = [sheet_id for sheet_id, made_at in db.session.execute(oldest) if made_at < now - kept_for()]
        db.session.rollback()
        if due:
            with transaction() as session:
                old = delete(RunSheet).where(RunSheet.id.in_(due))
                session.execute(old, execution_options={"synchronize_session": False})
        total += len(due)
        if len(due) < BATCH:
            break
    return total


def _packed(items: list[Item], request_ids: Mapping[str, str]) -> bytes:
    cells = [
        [item.name, item.also, item.place, item.words[:MAX_WORDS], item.request_id or request_ids.get(item.name, "")]
        for item in items
    ]
    return zlib.compress(json.dumps(cells, separators=(",", ":"), ensure_ascii=False).encode())


def _search(query: Select[tuple[RunSheet]], names: set[str], limit: int) -> list[Kept]:
    found: list[Kept] = []
    names.discard("")
    if not names:
        return found
    # Columns and not objects: thousands of sheets would otherwise stay in the session.
    columns = (RunSheet.run_id, RunSheet.fate, RunSheet.made_at, RunSheet.content)
    sheets = db.session.execute(query.with_only_columns(*columns).execution_options(yield_per=200))
    try:
        for sheet in sheets:
            found += _in_sheet(sheet, names)
            if len(found) >= limit:
                break
    finally:
        sheets.close()
    return found[:limit]


def _in_sheet(sheet: Any, names: set[str]) -> list[Kept]:
    content = zlib.decompress(sheet.content)
    if not any(json.dumps(name, ensure_ascii=False).encode() in content for name in names):
        return []
    items = (Item(sheet.fate, *cells) for cells in json.loads(content))
    return [Kept(item, sheet.run_id, sheet.made_at) for item in items if item.name in names or item.also in names]

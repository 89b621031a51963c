"""Stock levels held until the transaction ends, changed in memory, and written at once with a ledger row per change.

Nothing else writes `stock_levels`, so that level and ledger always tell the same. Levels are locked in the order of
their ids, after the orders and before everything else: nobody waits in a circle.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, false, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from flexdash import clock
from flexdash.bulk import insert_rows
from flexdash.database import one_of
from flexdash.extensions import db
from flexdash.models import StockCause, StockLevel, StockMovement

MAX_NOTE = 300
_AT_A_TIME = 5_000  # keys per statement; SQLite takes 32,766 parameters

Key = tuple[int, str]  # hub and SKU code
_levels, _movements = StockLevel.__table__, StockMovement.__table__


@dataclass(slots=True)
class Level:
    """A stock level while it is held: what stands here is what will be written."""

    id: int
    hub_id: int
    sku_code: str
    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        """What may still be promised."""
        return self.on_hand - self.reserved


class Ledger:
    """The levels of one seller inside one write transaction. Hold all that is needed at once, change, then `write`."""

    def __init__(self, workspace_id: int, seller_id: int) -> None:
        self.workspace_id, self.seller_id = workspace_id, seller_id
        self._held: dict[Key, Level] = {}
        self._changed: dict[int, Level] = {}
        self._rows: list[dict[str, Any]] = []

    def hold(self, keys: Iterable[Key], *, make_missing: bool = False) -> None:
        """Lock and read the levels of these hubs and SKUs; with `make_missing`, those that are not there are made.

        Call it once in a transaction: a second call would lock out of order.
        """
        wanted = sorted(set(keys))
        if not wanted:
            return
        if make_missing:
            known = self._ids(wanted)
            if missing := [key for key in wanted if key not in known]:
                self._make(missing)
                known |= self._ids(missing)
            self._read_by_id(known.values())
        elif len(wanted) <= _AT_A_TIME:
            self._read(_of(self.seller_id, wanted))
        else:
            self._read_by_id(self._ids(wanted).values())

    def level(self, hub_id: int, sku_code: str) -> Level | None:
        """Return the held level, or None when there is none: nothing of the SKU was ever in this hub."""
        return self._held.get((hub_id, sku_code))

    def change(
        self,
        level: Level,
        cause: StockCause,
        *,
        on_hand: int = 0,
        reserved: int = 0,
        order_id: int | None = None,
        upload_id: int | None = None,
        actor_name: str = "FlexDash",
        note: str = "",
    ) -> dict[str, Any]:
        """Change a held level by these units and return its ledger row, which `write` will insert.

        The caller may still fill in the row's `order_id`. Raises ValueError when the level would break its rule that
        0 ≤ reserved ≤ on hand: the caller has to see to that first.
        """
        level.on_hand += on_hand
        level.reserved += reserved
        if not 0 <= level.reserved <= level.on_hand:
            raise ValueError(f"stock level {level.id}: {level.reserved} reserved of {level.on_hand} on hand")
        self._changed[level.id] = level
        row = {
            "workspace_id": self.workspace_id,
            "stock_level_id": level.id,
            "cause": cause,
            "on_hand_change": on_hand,
            "reserved_change": reserved,
            "on_hand_after": level.on_hand,
            "reserved_after": level.reserved,
            "order_id": order_id,
            "upload_id": upload_id,
            "actor_name": actor_name[:100],
            "note": note[:MAX_NOTE],
        }
        self._rows.append(row)
        return row

    def write(self, now: datetime | None = None) -> None:
        """Write the changed levels and their ledger rows."""
        if not self._rows:
            return
        now = now or clock.now()
        changed = sorted(self._changed.values(), key=lambda level: level.id)
        db.session.connection().execute(
            update(_levels)
            .where(_levels.c.id == bindparam("level_id"))
            .values(on_hand=bindparam("now_on_hand"), reserved=bindparam("now_reserved"), changed_at=now),
            [{"level_id": lv.id, "now_on_hand": lv.on_hand, "now_reserved": lv.reserved} for lv in changed],
        )
        insert_rows(_movements, [row | {"occurred_at": now} for row in self._rows])
        self._changed, self._rows = {}, []

    def _read(self, condition: ColumnElement[bool]) -> None:
        columns = (_levels.c.id, _levels.c.hub_id, _levels.c.sku_code, _levels.c.on_hand, _levels.c.reserved)
        query = select(*columns).where(condition).order_by(_levels.c.id).with_for_update(key_share=True)
        for row in db.session.execute(query):
            self._held[row.hub_id, row.sku_code] = Level(*row)

    def _read_by_id(self, level_ids: Iterable[int]) -> None:
        for part in _parts(sorted(level_ids)):
            self._read(one_of(_levels.c.id, part))

    def _ids(self, keys: Sequence[Key]) -> dict[Key, int]:
        found: dict[Key, int] = {}
        for part in _parts(keys):
            query = select(_levels.c.hub_id, _levels.c.sku_code, _levels.c.id).where(_of(self.seller_id, part))
            found |= {(hub_id, sku_code): level_id for hub_id, sku_code, level_id in db.session.execute(query)}
        return found

    def _make(self, keys: Sequence[Key]) -> None:
        dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
        now = clock.now()
        # Somebody else may make the same ones at this moment: in the order of the keys, nobody waits in a circle.
        db.session.connection().execute(
            dialect.insert(_levels).on_conflict_do_nothing(),
            [
                {
                    "workspace_id": self.workspace_id,
                    "hub_id": hub_id,
                    "seller_id": self.seller_id,
                    "sku_code": sku_code,
                    "on_hand": 0,
                    "reserved": 0,
                    "changed_at": now,
                }
                for hub_id, sku_code in keys
            ],
        )


def _of(seller_id: int, keys: Iterable[Key]) -> ColumnElement[bool]:
    by_hub: dict[int, list[str]] = {}
    for hub_id, sku_code in keys:
        by_hub.setdefault(hub_id, []).append(sku_code)
    return or_(
        false(),
        *(
            and_(_levels.c.hub_id == hub_id, _levels.c.seller_id == seller_id, one_of(_levels.c.sku_code, codes))
            for hub_id, codes in by_hub.items()
        ),
    )


def _parts(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, _AT_A_TIME)):
        yield part

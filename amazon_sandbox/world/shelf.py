"""The shipments: each kept as ready JSON text, ordered by update time per seller and status."""

import bisect
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from amazon_sandbox.world.clock import Clock, iso
from amazon_sandbox.world.database import Database

STATUSES = (
    "CREATED",
    "ACCEPTED",
    "CONFIRMED",
    "PACKAGE_CREATED",
    "PICKUP_SLOT_RETRIEVED",
    "INVOICE_GENERATED",
    "SHIPLABEL_GENERATED",
    "SHIPPED",
    "DELIVERED",
    "CANCELLED",
)
OPEN_STATUSES = frozenset(STATUSES[:7])
COLUMNS = "seq, id, seller_id, location_id, marketplace_id, channel_name, status, updated_ms, odd, effects, body"
Key = tuple[int, int]  # update time in milliseconds, then the order of creation


@dataclass(frozen=True, slots=True)
class Record:
    """One shipment as it stands. `body` is the JSON text Amazon would answer; `odd` names a lasting deformity;
    `effects` counts what callers achieved (`confirm`, `packages`, `labels`, …); `body_before` is the text before the
    last change, known until the program ends. Never changed, only replaced."""

    seq: int
    id: str
    seller_id: str
    location_id: str
    marketplace_id: str
    channel_name: str
    status: str
    updated_ms: int
    body: bytes
    odd: str | None = None
    effects: dict[str, int] = field(default_factory=dict)
    body_before: bytes | None = None

    @property
    def key(self) -> Key:
        """Where the shipment stands in a listing."""
        return self.updated_ms, self.seq

    def shipment(self) -> dict[str, Any]:
        """The shipment as a fresh dict, free to change."""
        return json.loads(self.body)


def encode(shipment: dict[str, Any]) -> bytes:
    """The JSON text of a shipment, in UTF-8."""
    return json.dumps(shipment, separators=(",", ":"), ensure_ascii=False).encode()


class Shelf:
    """All shipments in memory, each change first committed to the database."""

    def __init__(self, database: Database, clock: Clock):
        self._database = database
        self._clock = clock
        self.load()

    def load(self) -> None:
        """Reads everything from the database anew."""
        self._by_seq: dict[int, Record] = {}
        self._seq_by_id: dict[str, int] = {}
        self._keys: dict[tuple[str, str], list[Key]] = defaultdict(list)
        self._n_reserved: dict[tuple[str, str, str], int] = defaultdict(int)
        rows = self._database.rows(f"select {COLUMNS} from shipments")  # noqa: S608
        self._take(Record(*row[:8], body=row[10], odd=row[8], effects=json.loads(row[9])) for row in rows)

    @property
    def next_seq(self) -> int:
        """The number of the next new shipment."""
        return max(self._by_seq, default=0) + 1

    def add(self, records: list[Record]) -> None:
        """Adds new shipments, all or none."""
        with self._database.lock:
            with self._database.transaction() as connection:
                connection.executemany(
                    f"insert into shipments ({COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    [_row(record) for record in records],
                )
            self._take(records)

    def save(self, record: Record, shipment: dict[str, Any], effect: str | None = None) -> Record:
        """Keeps a changed shipment: a later update time, its new status, and the effect counted."""
        with self._database.lock:
            updated_ms = max(self._clock.now_ms(), record.updated_ms + 1)
            shipment["lastUpdatedDateTime"] = iso(updated_ms)
            effects = dict(record.effects)
            if effect:
                effects[effect] = effects.get(effect, 0) + 1
            status, body = shipment["status"], encode(shipment)
            new = replace(
                record, status=status, updated_ms=updated_ms, body=body, effects=effects, body_before=record.body
            )
            with self._database.transaction() as connection:
                connection.execute(
                    "update shipments set status = ?, updated_ms = ?, effects = ?, body = ? where seq = ?",
                    (status, updated_ms, json.dumps(effects), body, new.seq),
                )
            self._swap(record, new, shipment)
            return new

    def find(self, shipment_id: str, seller_id: str | None = None) -> Record | None:
        """The shipment with this id, of this seller when one is named; None when there is none."""
        record = self._by_seq.get(self._seq_by_id.get(shipment_id, 0))
        if record is None or (seller_id is not None and record.seller_id != seller_id):
            return None
        return record

    def find_by_order(self, order_id: str) -> Record | None:
        """The newest shipment of a buyer's order; None when there is none."""
        with self._database.lock:
            for record in sorted(self._by_seq.values(), key=lambda record: record.seq, reverse=True):
                if record.shipment()["shipmentInfo"]["buyerOrderId"] == order_id:
                    return record
        return None

    def listing(
        self,
        seller_id: str,
        status: str,
        *,
        beyond: Key | None,
        limit: int,
        wanted: Callable[[Record], bool],
        skip: int = 0,
    ) -> tuple[list[Record], bool]:
        """Up to `limit` wanted shipments after the key `beyond` (or after `skip` of them), oldest update first,
        and whether more follow."""
        with self._database.lock:
            keys = self._keys.get((seller_id, status), [])
            start = bisect.bisect_right(keys, beyond) if beyond is not None else 0
            found: list[Record] = []
            for key in keys[start:] if start else keys:
                record = self._by_seq[key[1]]
                if not wanted(record):
                    continue
                if skip:
                    skip -= 1
                    continue
                if len(found) == limit:
                    return found, True
                found.append(record)
            return found, False

    def newest_first(self) -> list[Record]:
        """Every shipment, the latest created first (for the control page)."""
        with self._database.lock:
            return sorted(self._by_seq.values(), key=lambda record: -record.seq)

    def n_reserved(self, seller_id: str, location_id: str, sku_code: str) -> int:
        """Units in shipments not yet shipped or cancelled."""
        return self._n_reserved.get((seller_id, location_id, sku_code), 0)

    def __len__(self) -> int:
        return len(self._by_seq)

    def _take(self, records: Iterable[Record]) -> None:
        touched = set()
        for record in records:
            self._by_seq[record.seq] = record
            self._seq_by_id[record.id] = record.seq
            place = (record.seller_id, record.status)
            self._keys[place].append(record.key)
            touched.add(place)
            if record.status in OPEN_STATUSES:
                self._reserve(record, record.shipment(), 1)
        for place in touched:
            self._keys[place].sort()

    def _swap(self, old: Record, new: Record, shipment: dict[str, Any]) -> None:
        keys = self._keys[old.seller_id, old.status]
        del keys[bisect.bisect_left(keys, old.key)]
        bisect.insort(self._keys[new.seller_id, new.status], new.key)
        self._by_seq[new.seq] = new
        if old.status in OPEN_STATUSES and new.status not in OPEN_STATUSES:
            self._reserve(new, shipment, -1)

    def _reserve(self, record: Record, shipment: dict[str, Any], sign: int) -> None:
        for line in shipment["lineItems"]:
            place = (record.seller_id, record.location_id, line["merchantSku"])
            self._n_reserved[place] += sign * line["numberOfUnits"]


def _row(record: Record) -> tuple:
    """The record's values in the order of COLUMNS."""
    told = (record.seq, record.id, record.seller_id, record.location_id, record.marketplace_id, record.channel_name)
    return (*told, record.status, record.updated_ms, record.odd, json.dumps(record.effects), record.body)

"""The returns: made of a delivered shipment's lines, moved on by Amazon and the carrier, kept as ready JSON text.

Amazon publishes the 15 statuses and not the ways between them: any status may follow any other, but nothing follows
PROCESSED, REJECTED and CANCELLED.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from amazon_sandbox.world import errors
from amazon_sandbox.world.clock import iso
from amazon_sandbox.world.return_texts import happen, new_text
from amazon_sandbox.world.shelf import Key, Record, encode

if TYPE_CHECKING:
    from amazon_sandbox.world.world import World

STATUSES = (
    "CREATED",
    "CARRIER_NOTIFIED_TO_PICK_UP_FROM_CUSTOMER",
    "CARRIER_OUT_FOR_PICK_UP_FROM_CUSTOMER",
    "CUSTOMER_CANCELLED_PICK_UP",
    "CUSTOMER_RESCHEDULED_PICK_UP",
    "PICKED_FROM_CUSTOMER",
    "IN_TRANSIT",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
    "REPLANNED",
    "CUSTOMER_DROPPED_OFF",
    "PARTIALLY_PROCESSED",
    "PROCESSED",
    "REJECTED",
    "CANCELLED",
)
OVER = ("PROCESSED", "REJECTED", "CANCELLED")
# The way of a return that nothing happens to, for the button that moves one on.
WAY = (
    "CREATED",
    "CARRIER_NOTIFIED_TO_PICK_UP_FROM_CUSTOMER",
    "PICKED_FROM_CUSTOMER",
    "IN_TRANSIT",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
    "PROCESSED",
)
TYPES = ("CUSTOMER", "REJECT")
SUB_TYPES = ("NORMAL", "REPLACEMENT", "EXCHANGE")
# Which ids of its order a return carries: Amazon promises none of them.
LINKS = ("all", "shipment", "channel", "order", "none")
COLUMNS = "seq, id, seller_id, shipment_id, location_id, status, created_ms, updated_ms, odd, body"


@dataclass(frozen=True, slots=True)
class ReturnRecord:
    """One return as it stands. `location_id` is where it is handed in ("" when its text has none); `odd` names a
    lasting deformity. Never changed, only replaced."""

    seq: int
    id: str
    seller_id: str
    shipment_id: str
    location_id: str
    status: str
    created_ms: int
    updated_ms: int
    odd: str | None
    body: bytes

    def told(self) -> dict[str, Any]:
        """The return as a fresh dict, free to change."""
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class ReturnRequest:
    """What a person or test asks for: one return per line of the shipment, or of the line with `sku_code` only.
    `n_units=0` sends every unit back; `location_id=None` means the shipment's own, "" none at all."""

    shipment_id: str
    sku_code: str | None = None
    n_units: int = 0
    status: str = "CREATED"
    reason: str | None = None
    return_type: str = "CUSTOMER"
    return_sub_type: str = "NORMAL"
    location_id: str | None = None
    link: str = "all"
    updated_minutes_ago: float = 0
    otp: str | None = None
    odd: str | None = None


class Returns:
    """All returns in memory, each change first committed to the database."""

    def __init__(self, world: World):
        self._world = world
        self.load()

    def load(self) -> None:
        """Reads everything from the database anew."""
        rows = self._world.database.rows(f"select {COLUMNS} from returns")  # noqa: S608
        self._by_seq = {record.seq: record for record in (ReturnRecord(*row) for row in rows)}
        self._seq_by_id = {record.id: record.seq for record in self._by_seq.values()}

    def create(self, request: ReturnRequest) -> list[ReturnRecord]:
        """New returns of a shipment. ApiError 404 for an unknown one, 409 when it has not come to its buyer."""
        with self._world.journey.of(None, request.shipment_id) as shipment:
            arrived = ("SHIPPED", "DELIVERED") if request.return_type == "REJECT" else ("DELIVERED",)
            self._world.journey.refuse_unless(shipment, arrived, "return")
            lines = shipment.shipment()["lineItems"]
            if request.sku_code is not None:
                lines = [line for line in lines if line["merchantSku"] == request.sku_code]
            if not lines:
                raise errors.not_found(f"Shipment {shipment.id} has no line of {request.sku_code}.")
            first = max(self._by_seq, default=0) + 1
            records = [self._new(first + n, shipment, line, request) for n, line in enumerate(lines)]
            with self._world.database.transaction() as connection:
                marks = ", ".join("?" * 10)
                connection.executemany(
                    f"insert into returns ({COLUMNS}) values ({marks})",  # noqa: S608
                    [_row(record) for record in records],
                )
            for record in records:
                self._by_seq[record.seq] = record
                self._seq_by_id[record.id] = record.seq
            return records

    def move(self, return_id: str, status: str, *, has_same_time: bool = False, otp: str | None = None) -> ReturnRecord:
        """A return goes on to `status`; with `has_same_time` its time of change stays what it was. ApiError 404, 409
        when nothing can follow any more, 400 for an unknown status."""
        if status not in STATUSES:
            raise errors.invalid_input(f"status must be one of {', '.join(STATUSES)}.")
        with self.of(None, return_id) as record:
            if record.status in OVER:
                raise errors.conflict(f"Return {record.id} is {record.status}; nothing follows.")
            now_ms = self._world.clock.now_ms()
            updated_ms = record.updated_ms if has_same_time else max(now_ms, record.updated_ms + 1)
            told = record.told()
            told["status"], told["lastUpdatedDateTime"] = status, iso(updated_ms)
            happen(told, status, now_ms, record.seq, otp)
            new = replace(record, status=status, updated_ms=updated_ms, body=encode(told))
            with self._world.database.transaction() as connection:
                connection.execute(
                    "update returns set status = ?, updated_ms = ?, body = ? where seq = ?",
                    (status, updated_ms, new.body, new.seq),
                )
            self._by_seq[new.seq] = new
            return new

    @contextlib.contextmanager
    def of(self, seller_id: str | None, return_id: str) -> Iterator[ReturnRecord]:
        """Holds the world still and gives the seller's return. ApiError 404 when there is none."""
        with self._world.database.lock:
            record = self._by_seq.get(self._seq_by_id.get(return_id, 0))
            if record is None or seller_id not in (None, record.seller_id):
                raise errors.not_found(f"Return {return_id} does not exist.")
            yield record

    def listing(
        self,
        seller_id: str,
        *,
        by_update: bool,
        beyond: Key | None,
        skip: int,
        limit: int,
        wanted: Callable[[ReturnRecord], bool],
    ) -> tuple[list[ReturnRecord], bool]:
        """Up to `limit` wanted returns after the key `beyond` (or after `skip` of them), oldest update or creation
        first, and whether more follow."""
        with self._world.database.lock:
            found = [record for record in self._by_seq.values() if record.seller_id == seller_id and wanted(record)]
        found.sort(key=lambda record: key_of(record, by_update=by_update))
        if beyond is not None:
            found = [record for record in found if key_of(record, by_update=by_update) > beyond]
        return found[skip : skip + limit], len(found) > skip + limit

    def newest_first(self, shipment_id: str | None = None) -> list[ReturnRecord]:
        """Every return, or those of one shipment, the latest created first (for the control page)."""
        with self._world.database.lock:
            records = [record for record in self._by_seq.values() if shipment_id in (None, record.shipment_id)]
        return sorted(records, key=lambda record: -record.seq)

    def _new(self, seq: int, shipment: Record, line: dict[str, Any], request: ReturnRequest) -> ReturnRecord:
        now_ms = self._world.clock.now_ms()
        at_ms = now_ms - int(request.updated_minutes_ago * 60_000)
        location_id = shipment.location_id if request.location_id is None else request.location_id
        told = new_text(seq, shipment, line, request, location_id, at_ms)
        for status in WAY[1 : WAY.index(request.status) + 1] if request.status in WAY else (request.status,):
            happen(told, status, at_ms, seq, request.otp)
        return ReturnRecord(
            seq=seq,
            id=told["id"],
            seller_id=shipment.seller_id,
            shipment_id=shipment.id,
            location_id=location_id,
            status=request.status,
            created_ms=at_ms,
            updated_ms=at_ms,
            odd=request.odd,
            body=encode(told),
        )


def key_of(record: ReturnRecord, *, by_update: bool) -> Key:
    """Where a return stands in a list: by its time of change, or of creation."""
    return (record.updated_ms if by_update else record.created_ms), record.seq


def onward(status: str) -> str | None:
    """The status that usually follows, None after the last."""
    if status in OVER:
        return None
    return WAY[WAY.index(status) + 1] if status in WAY else "IN_TRANSIT"


def _row(record: ReturnRecord) -> tuple:
    """The record's values in the order of COLUMNS."""
    told = (record.seq, record.id, record.seller_id, record.shipment_id, record.location_id, record.status)
    return (*told, record.created_ms, record.updated_ms, record.odd, record.body)

"""Slot arithmetic: when each store's turn comes. Pure; all moments are aware, all in UTC.

A sync that runs every `interval` has slots at `offset + k × interval` since 1970 for whole k. The offset is the
store's own and never changes, so that many stores spread over the interval instead of starting all at once. The
dispatcher reckons for thousands of stores in one statement: the same is there as SQL, in whole seconds since 1970.
"""

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, cast

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GOLDEN = 0x9E3779B1  # 2³² / golden ratio: consecutive store ids fall far apart, and any number of them evenly
_RANGE = 1 << 32


def offset_of(store_id: int, sync: str, interval: timedelta) -> timedelta:
    """Return the store's place inside `interval` for `sync`, in whole seconds; always the same for the same store."""
    return timedelta(seconds=_offset(store_id, sync, int(interval.total_seconds())))


def slot_at(moment: datetime, interval: timedelta, offset: timedelta) -> datetime:
    """Return the latest slot that is not after `moment`."""
    n_slots = (moment - _EPOCH - offset) // interval
    return _EPOCH + offset + n_slots * interval


def seconds_of_slot_at(
    moment: datetime, sync: str, interval: timedelta, store_id: ColumnElement[int]
) -> ColumnElement[int]:
    """Return the SQL for the latest slot of each store that is not after `moment`, in seconds since 1970."""
    seconds = int(interval.total_seconds())
    offset = _offset(cast(store_id, BigInteger), sync, seconds)  # the product needs 64 bits
    return offset + (int(moment.timestamp()) - offset) // seconds * seconds


def _offset(store_id: Any, sync: str, seconds: int) -> Any:
    """Return the store's place inside an interval of `seconds`: a number for a number, SQL for an SQL column."""
    return (store_id * _GOLDEN + zlib.crc32(sync.encode())) % _RANGE * seconds // _RANGE

"""Slot arithmetic: when each store's turn comes. Pure; all moments are aware, all in UTC.

A sync that runs every `interval` has slots at `offset + k × interval` since 1970 for whole k. The offset is the
store's own and never changes, so that many stores spread over the interval instead of starting all at once.
"""

import zlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GOLDEN = 0x9E3779B1  # 2³² / golden ratio: consecutive store ids fall far apart, and any number of them evenly
_RANGE = 1 << 32


def offset_of(store_id: int, sync: str, interval: timedelta) -> timedelta:
    """Return the store's place inside `interval` for `sync`, in whole seconds; always the same for the same store."""
    place = (store_id * _GOLDEN + zlib.crc32(sync.encode())) % _RANGE
    seconds = int(interval.total_seconds())
    return timedelta(seconds=place * seconds // _RANGE)


def slot_at(moment: datetime, interval: timedelta, offset: timedelta) -> datetime:
    """Return the latest slot that is not after `moment`."""
    n_slots = (moment - _EPOCH - offset) // interval
    return _EPOCH + offset + n_slots * interval


def n_missed(due_at: datetime, slot: datetime, interval: timedelta) -> int:
    """Return how many slots came and went between the one that was due and `slot`, the one being run."""
    return max(0, (slot - due_at) // interval)

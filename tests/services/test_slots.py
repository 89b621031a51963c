"""Slots: the arithmetic that decides when each store's turn comes."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from flexdash.services import slots

moments = st.integers(10**7, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
intervals = st.integers(1, 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
store_ids = st.integers(1, 10**9)
HALF_HOUR = timedelta(minutes=30)


@given(moments, intervals, store_ids)
def test_every_moment_lies_between_its_slot_and_the_next(moment, interval, store_id):
    offset = slots.offset_of(store_id, "order_pull", interval)
    slot = slots.slot_at(moment, interval, offset)
    assert timedelta(0) <= offset < interval
    assert slot <= moment < slot + interval


@given(moments, intervals, store_ids)
def test_a_slot_is_its_own_slot_so_that_reading_it_back_changes_nothing(moment, interval, store_id):
    offset = slots.offset_of(store_id, "order_pull", interval)
    slot = slots.slot_at(moment, interval, offset)
    assert slots.slot_at(slot, interval, offset) == slot
    assert slots.slot_at(slot - timedelta(microseconds=1), interval, offset) == slot - interval


@given(moments, st.lists(st.integers(0, 5_000_000), min_size=1, max_size=40), intervals, store_ids)
def test_however_late_the_ticks_come_each_slot_is_claimed_once_or_counted_as_missed(start, delays, interval, store_id):
    offset = slots.offset_of(store_id, "order_pull", interval)
    first = due = slots.slot_at(start, interval, offset) + interval
    now, claimed, missed = start, [], 0
    for delay in delays:
        now += timedelta(milliseconds=delay)
        if due <= now:
            slot = slots.slot_at(now, interval, offset)
            missed += (slot - due) // interval
            claimed.append(slot)
            due = slot + interval
    assert len(set(claimed)) == len(claimed)
    assert len(claimed) + missed == (due - first) // interval


@given(store_ids, intervals)
def test_a_stores_offset_is_always_the_same(store_id, interval):
    assert slots.offset_of(store_id, "order_pull", interval) == slots.offset_of(store_id, "order_pull", interval)


def test_ten_thousand_stores_spread_evenly_over_the_minutes_of_the_interval():
    per_minute = Counter(
        slots.offset_of(store_id, "order_pull", HALF_HOUR) // timedelta(minutes=1) for store_id in range(1, 10_001)
    )
    assert len(per_minute) == 30
    assert max(per_minute.values()) - min(per_minute.values()) < 10


def test_a_handful_of_stores_does_not_start_together():
    offsets = sorted(slots.offset_of(store_id, "order_pull", HALF_HOUR) for store_id in range(1, 9))
    assert min(later - earlier for earlier, later in itertools.pairwise(offsets)) > timedelta(minutes=1)


def test_slots_do_not_move_when_summer_time_ends():
    before = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)  # Berlin sets its clocks back at 01:00 UTC
    runs = [slots.slot_at(before + n * HALF_HOUR, HALF_HOUR, timedelta(minutes=10)) for n in range(4)]
    assert [later - earlier for earlier, later in itertools.pairwise(runs)] == [HALF_HOUR] * 3

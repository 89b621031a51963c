"""Every pair of an order's state here and a shipment's status on Amazon, and which of them contradict each other."""

from datetime import timedelta

import pytest

from flexdash.amazon.statuses import STATUS_TABLE
from flexdash.models import OrderState
from flexdash.services.contradictions import IN_FLIGHT, NOT_TOLD_AFTER, contradict

DAY = timedelta(days=1)
STATUSES = [entry.status for entry in STATUS_TABLE]
# A row per state here, a column per status there; x: they contradict each other when nothing has changed for a day.
TABLE = """
              CREATED ACCEPTED CONFIRMED PACKAGE_CREATED PICKUP_SLOT_RETRIEVED INVOICE_GENERATED SHIPLABEL_GENERATED SHIPPED DELIVERED CANCELLED
New_Order     .       .        .         x               x                     x                 x                   x       x         x
On_Hold       .       .        .         x               x                     x                 x                   x       x         x
Picked        .       .        .         .               .                     .                 .                   x       x         x
Packed        .       .        .         .               .                     .                 .                   x       x         x
Ready_to_Ship .       .        .         .               .                     .                 .                   x       x         x
Shipped       .       x        x         x               x                     x                 x                   .       .         x
Delivered     .       x        x         x               x                     x                 x                   .       .         x
Cancelled     .       x        x         x               x                     x                 x                   x       x         .
"""  # noqa: E501
HEADINGS, *ROWS = [line.split() for line in TABLE.strip().splitlines()]
PAIRS = [
    (OrderState(name.replace("_", " ")), status, mark == "x")
    for name, *marks in ROWS
    for status, mark in zip(HEADINGS, marks, strict=True)
]


def test_the_table_is_complete() -> None:
    assert HEADINGS == STATUSES
    assert {state for state, _, _ in PAIRS} == set(OrderState)


@pytest.mark.parametrize(("state", "status", "is_one"), PAIRS)
def test_every_pair(state, status, is_one) -> None:
    assert contradict(state, status, unchanged_here=DAY, unchanged_there=DAY) is is_one


@pytest.mark.parametrize(("state", "status", "is_one"), PAIRS)
def test_what_has_just_changed_on_either_side_is_in_flight(state, status, is_one) -> None:
    just_now = IN_FLIGHT - timedelta(seconds=1)
    assert not contradict(state, status, unchanged_here=just_now, unchanged_there=DAY)
    assert not contradict(state, status, unchanged_here=DAY, unchanged_there=just_now)


@pytest.mark.parametrize("state", [OrderState.SHIPPED, OrderState.DELIVERED, OrderState.CANCELLED])
def test_amazon_has_hours_to_hear_of_what_ended_here(state) -> None:
    lately = NOT_TOLD_AFTER - timedelta(seconds=1)
    assert not contradict(state, "CONFIRMED", unchanged_here=lately, unchanged_there=DAY)
    assert contradict(state, "CONFIRMED", unchanged_here=NOT_TOLD_AFTER, unchanged_there=DAY)


def test_a_conflict_that_is_known_is_not_told_twice() -> None:
    known = {"unchanged_here": DAY, "unchanged_there": DAY, "is_conflict_known": True}
    assert not contradict(OrderState.SHIPPED, "CANCELLED", **known)
    assert not contradict(OrderState.CANCELLED, "SHIPPED", **known)
    assert contradict(OrderState.SHIPPED, "CONFIRMED", **known)


@pytest.mark.parametrize("state", OrderState)
def test_a_status_that_nobody_knows_contradicts_nothing(state) -> None:
    assert not contradict(state, "WAITING_FOR_DRONE", unchanged_here=DAY, unchanged_there=DAY)

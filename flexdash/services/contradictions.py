"""When an order here and its shipment on Amazon contradict each other. Pure: the one rule of the reconciliation.

Two sides that are a step apart are in flight and no contradiction; nor is it one that FlexDash's own steps at Picked
move a shipment on to labels at Amazon. What cannot come right by itself is.
"""

from datetime import timedelta

from flexdash.amazon import statuses
from flexdash.models import OrderState
from flexdash.services.order_states import HAS_LEFT, OPEN

IN_FLIGHT = timedelta(minutes=10)  # what changed so lately, on either side, may still be on its way
NOT_TOLD_AFTER = timedelta(hours=6)  # then Amazon should know that an order was shipped, or cancelled, here

NOT_BEGUN = (OrderState.NEW, OrderState.ON_HOLD)
_BEGUN_THERE = (OrderState.PICKED, OrderState.PACKED)


def contradict(
    here: OrderState,
    amazon_status: str,
    *,
    unchanged_here: timedelta,
    unchanged_there: timedelta,
    is_conflict_known: bool = False,
) -> bool:
    """Say whether an order that is `here` and `amazon_status` there needs a person or Amazon's news.

    `unchanged_…` is how long it is since either side changed. `is_conflict_known`: the order has a conflict of its own,
    open or closed, so a person has been told that Amazon's news came too late to be followed.
    """
    there = statuses.lookup(amazon_status).order_state
    if there is None or min(unchanged_here, unchanged_there) < IN_FLIGHT:
        return False
    if there == OrderState.CANCELLED:
        return here in OPEN or (here in HAS_LEFT and not is_conflict_known)
    if here is OrderState.CANCELLED:
        return unchanged_here >= NOT_TOLD_AFTER and not is_conflict_known
    if there in HAS_LEFT:
        return here in OPEN
    if here in HAS_LEFT:
        return unchanged_here >= NOT_TOLD_AFTER
    return here in NOT_BEGUN and there in _BEGUN_THERE

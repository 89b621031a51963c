"""What people have to do with orders: how many wait in each state, how urgent they are, and what holds others back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, literal, select, text, union_all
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import HoldReason, Order, OrderHold, OrderState, QuarantinedShipment, ZeroBrake
from flexdash.models.order import IS_ACKNOWLEDGEMENT_REFUSED, IS_CANCELLATION_OPEN, IS_OPEN
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.order_work.counts import WorkCounts

TO_WORK = (OrderState.NEW, OrderState.PICKED, OrderState.PACKED, OrderState.READY_TO_SHIP, OrderState.ON_HOLD)
MOST_COUNTED = 1_000  # beyond it "more than" is enough, and the page costs the same however much has piled up
LOOKED_AT = 500  # the most urgent open orders: the earliest deadline of each state among them is shown
BRAKES_SHOWN = 5


@dataclass(frozen=True)
class Waiting:
    """The orders of one state. `n` ends at MOST_COUNTED + 1; `first_at` is None where none of them is urgent."""

    state: OrderState
    n: int
    first_at: datetime | None


@dataclass(frozen=True)
class Work:
    """Counts end at MOST_COUNTED + 1."""

    waiting: Sequence[Waiting]  # in the order of the work
    most_urgent: Order | None
    n_overdue: int
    n_soon: int  # to be shipped within 24 hours
    holds: Sequence[tuple[HoldReason, int]]  # one order can have several reasons
    n_acknowledgements: int  # that Amazon refused
    n_cancellations: int  # that Amazon was not told of, or refused
    n_quarantined: int
    brakes: Sequence[ZeroBrake]  # pushes of zeros that wait for a person, each with its store
    counts: WorkCounts

    @property
    def n_to_work(self) -> int:
        """Orders that somebody can work now: all that wait but those On Hold."""
        return sum(one.n for one in self.waiting if one.state is not OrderState.ON_HOLD)

    @property
    def has_to_dos(self) -> bool:
        """Whether anything beside the orders' everyday way waits for a person."""
        own = (self.holds, self.n_acknowledgements, self.n_cancellations, self.n_quarantined, self.brakes)
        return any((*own, self.counts.n_invoices, self.counts.n_conflicts, self.counts.n_to_fix))


def of(actor: Actor, counts: WorkCounts) -> Work:
    """Return what of all that `actor` may see waits for people, `counts` among it.

    The same few queries however much there is.
    """
    now = clock.now()
    orders = access.visible(actor, Order).with_only_columns(Order.id)
    urgent = orders.where(text(IS_OPEN), Order.ship_by_at.is_not(None))
    holds = access.visible(actor, Order).join(OrderHold, OrderHold.order_id == Order.id).with_only_columns(OrderHold.id)
    n = _counted(
        {state: orders.where(Order.state == state) for state in TO_WORK}
        | {reason: _held(actor, holds, reason) for reason in HoldReason}
        | {
            "overdue": urgent.where(Order.ship_by_at < now),
            "soon": urgent.where(Order.ship_by_at.between(now, now + timedelta(hours=24))),
            # In the order of the ids, which leads SQLite to the indexes of these few.
            "acknowledgements": orders.where(text(IS_ACKNOWLEDGEMENT_REFUSED)).order_by(Order.id),
            "cancellations": orders.where(text(IS_CANCELLATION_OPEN)).order_by(Order.id),
            "quarantined": access.visible(actor, QuarantinedShipment)
            .with_only_columns(QuarantinedShipment.id)
            .where(QuarantinedShipment.resolved_at.is_(None)),
        }
    )
    first = _first_of_each(actor)
    return Work(
        waiting=[Waiting(state, n[state], first.get(state)) for state in TO_WORK],
        most_urgent=_most_urgent(actor),
        n_overdue=n["overdue"],
        n_soon=n["soon"],
        holds=[(reason, n[reason]) for reason in HoldReason if n[reason]],
        n_acknowledgements=n["acknowledgements"],
        n_cancellations=n["cancellations"],
        n_quarantined=n["quarantined"],
        brakes=_brakes(actor),
        counts=counts,
    )


def _held(actor: Actor, holds: Select[Any], reason: HoldReason) -> Select[Any]:
    own = (OrderHold.workspace_id == actor.workspace_id, OrderHold.reason == reason)
    if actor.seller_ids is None:  # then the index of the reasons alone has the answer
        return select(OrderHold.id).where(*own)
    return holds.where(*own)


def _counted(queries: dict[Any, Select[Any]]) -> dict[Any, int]:
    """Return how many rows each query has, counting no further than one beyond MOST_COUNTED; in one statement."""
    keys = list(queries)
    parts = [
        select(literal(n).label("n"), func.count()).select_from(queries[key].limit(MOST_COUNTED + 1).subquery())
        for n, key in enumerate(keys)
    ]
    found = dict(db.session.execute(union_all(*parts)).all())
    return {key: found[n] for n, key in enumerate(keys)}


def _urgent(actor: Actor) -> Select[tuple[Order]]:
    is_urgent = (text(IS_OPEN), Order.ship_by_at.is_not(None))
    return access.visible(actor, Order).where(*is_urgent).order_by(Order.ship_by_at, Order.id)


def _most_urgent(actor: Actor) -> Order | None:
    query = _urgent(actor).where(Order.state != OrderState.ON_HOLD)
    return db.session.scalars(query.options(joinedload(Order.store)).limit(1)).one_or_none()


def _first_of_each(actor: Actor) -> dict[OrderState, datetime]:
    some = _urgent(actor).with_only_columns(Order.state, Order.ship_by_at).limit(LOOKED_AT).subquery()
    return dict(db.session.execute(select(some.c.state, func.min(some.c.ship_by_at)).group_by(some.c.state)).all())


def _brakes(actor: Actor) -> Sequence[ZeroBrake]:
    # In the words of the partial index, which has the few that are open.
    is_open = text("zero_brakes.state IN ('waiting', 'approved')")
    query = access.visible(actor, ZeroBrake).where(is_open, ZeroBrake.state == "waiting")
    return db.session.scalars(
        query.options(joinedload(ZeroBrake.store)).order_by(ZeroBrake.store_id).limit(BRAKES_SHOWN)
    ).all()

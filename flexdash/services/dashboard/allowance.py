"""The calls to Amazon of the last hour beside what its usage plans allow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from sqlalchemy import case, func, select

from flexdash import clock
from flexdash.amazon import operations
from flexdash.amazon.operations import Operation
from flexdash.extensions import db, settings
from flexdash.models import ApiCall, Store
from flexdash.services.dashboard.scope import Scope

MOST_LOOKED_AT = 5_000  # the newest calls of the hour
SHOWN = 6


@dataclass(frozen=True)
class Use:
    """One operation of one store in the last hour; Amazon's plans hold for each of the two together."""

    operation: str
    store_id: int
    store_name: str
    n_calls: int
    n_throttled: int
    n_allowed: int | None  # in an hour that begins with a full bucket; None: no plan is known

    @property
    def percent(self) -> float:
        """The share of the allowance that was used, 0 where none is known."""
        return 100 * self.n_calls / self.n_allowed if self.n_allowed else 0.0


def last_hour(scope: Scope) -> tuple[Sequence[Use], bool]:
    """Return what was used in the last hour, nearest to its allowance first, SHOWN at most.

    The flag says that there were more calls than MOST_LOOKED_AT, so that the numbers are the least there were.
    """
    newest = (
        select(ApiCall.store_id, ApiCall.operation, ApiCall.is_throttled)
        .where(*scope.of(ApiCall), ApiCall.started_at >= clock.now() - timedelta(hours=1))
        .order_by(ApiCall.started_at.desc())
        .limit(MOST_LOOKED_AT)
        .subquery()
    )
    throttled = func.sum(case((newest.c.is_throttled, 1), else_=0))
    used = (
        select(newest.c.store_id, newest.c.operation, func.count().label("n_calls"), throttled.label("n_throttled"))
        .group_by(newest.c.store_id, newest.c.operation)
        .subquery()
    )
    rows = db.session.execute(
        select(used.c.operation, used.c.store_id, Store.name, used.c.n_calls, used.c.n_throttled).join(
            Store, Store.id == used.c.store_id
        )
    ).all()
    uses = [Use(*row, n_allowed=allowed_per_hour(row[0])) for row in rows]
    uses.sort(key=lambda use: (-use.percent, -use.n_calls, use.operation, use.store_id))
    return uses[:SHOWN], sum(use.n_calls for use in uses) >= MOST_LOOKED_AT


def allowed_per_hour(operation: str) -> int | None:
    """Return how many calls the plan FlexDash starts from allows in an hour: a full bucket, and what flows in."""
    plan = _plans(settings.shipments_requests_per_second).get(operation)
    return None if plan is None else round(plan[0] * 3600) + plan[1]


@cache
def _plans(shipments_rate: float) -> dict[str, tuple[float, int]]:
    fixed = [value for value in vars(operations).values() if isinstance(value, Operation)]
    every = [*fixed, *operations.shipment_operations(shipments_rate).values()]
    return {operation.name: (operation.plan.rate, operation.plan.burst) for operation in every}

"""What waits for a person, counted for the frame of every page: one query, through partial indexes."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, func, select, text

from flexdash.extensions import db
from flexdash.models import Alarm, Order, OrderConflict, OrderStep, Severity
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.order_work import step_rows

# In the words of the partial index, and with what leads SQLite to it: else it reads every order of the workspace.
_IS_INVOICE_WAITING = text("orders.is_invoice_waiting")
AT_MOST = 1_000  # counted no further: beyond it nobody needs the exact number, and counting takes long


@dataclass(frozen=True)
class WorkCounts:
    """How many orders wait for their invoice, how many steps for a person, how many conflicts and alarms are open, and
    how many of those are critical."""

    n_invoices: int = 0
    n_to_fix: int = 0
    n_conflicts: int = 0
    n_alarms: int = 0
    n_critical: int = 0


def of_actor(actor: Actor) -> WorkCounts:
    """Return the counts of what `actor` may see."""
    return WorkCounts(*db.session.execute(_statement(actor.workspace_id, actor.seller_ids, AT_MOST)).one())


@lru_cache(maxsize=256)
def _statement(workspace_id: int, seller_ids: frozenset[int] | None, at_most: int) -> Select[Any]:
    """Return the statement that counts, put together once for people who see the same: every page asks it."""
    actor = Actor(workspace_id, None, "", seller_ids=seller_ids)
    invoices = access.visible(actor, Order).with_only_columns(Order.id).where(_IS_INVOICE_WAITING, Order.id > 0)
    to_fix = access.visible(actor, OrderStep).with_only_columns(OrderStep.id).where(*step_rows.WAITS_FOR_A_PERSON)
    conflicts = (
        access.visible(actor, OrderConflict)
        .with_only_columns(OrderConflict.id)
        .where(OrderConflict.closed_at.is_(None))
    )
    alarms = access.visible(actor, Alarm).with_only_columns(Alarm.id).where(Alarm.cleared_at.is_(None))
    critical = alarms.where(Alarm.severity == Severity.CRITICAL.value)
    counted = (
        select(func.count()).select_from(query.limit(at_most).subquery()).scalar_subquery()
        for query in (invoices, to_fix, conflicts, alarms, critical)
    )
    return select(*counted)

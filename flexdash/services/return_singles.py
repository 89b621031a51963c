"""Single returns that a run asks Amazon for by their id, because no list would bring them.

Those are returns that could not be read before, and those without a location or in a status Amazon invented: Amazon
lists changes by location and by status it knows.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, text, update

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import AmazonReturn, QuarantinedReturn
from flexdash.models.amazon_return import IS_UNLISTED
from flexdash.services.run_context import RunContext

AT_A_TIME = 20  # per run, of each sort: each costs one of Amazon's calls
GONE = "Amazon does not know this return any more."
_NO_SYNC = {"synchronize_session": False}


def to_ask_for(run: RunContext, before: datetime) -> list[str]:
    """Return Amazon's ids of the store's returns to ask for, the longest waiting first.

    What the run's own lists brought is left out; `before` is the run's beginning.
    """
    waiting, kept = QuarantinedReturn, AmazonReturn
    unreadable = (
        select(waiting.amazon_return_id)
        .where(
            waiting.store_id == run.store_id,
            waiting.resolved_at.is_(None),
            or_(waiting.run_id.is_(None), waiting.run_id != run.run_id),
        )
        .order_by(waiting.last_seen_at)
        .limit(AT_A_TIME)
    )
    unlisted = (
        select(kept.amazon_return_id)
        .where(kept.store_id == run.store_id, text(f"amazon_returns.{IS_UNLISTED}"), kept.read_at < before)
        .order_by(kept.read_at)
        .limit(AT_A_TIME)
    )
    return list(dict.fromkeys([*db.session.scalars(unreadable), *db.session.scalars(unlisted)]))


def waiting_among(store_id: int, return_ids: Sequence[str]) -> list[str]:
    """Return those of the ids that still wait to be read."""
    row = QuarantinedReturn
    named = (row.store_id == store_id, row.resolved_at.is_(None), row.amazon_return_id.in_(return_ids))
    return list(db.session.scalars(select(row.amazon_return_id).where(*named).order_by(row.id)))


def let_go(store_id: int, return_ids: Sequence[str]) -> None:
    """Amazon does not know these any more: what is here of them stays as it is, and the others get their turn.

    Inside the caller's transaction.
    """
    _update(QuarantinedReturn, store_id, return_ids, resolved_at=clock.now(), error_sentence=GONE)
    _update(AmazonReturn, store_id, return_ids, read_at=clock.now())


def put_last(store_id: int, return_ids: Sequence[str]) -> None:
    """Amazon told nothing of these: the others get their turn before they are asked for again.

    Inside the caller's transaction.
    """
    _update(QuarantinedReturn, store_id, return_ids, last_seen_at=clock.now())
    _update(AmazonReturn, store_id, return_ids, read_at=clock.now())


def _update(
    row: type[QuarantinedReturn | AmazonReturn], store_id: int, return_ids: Sequence[str], **values: Any
) -> None:
    if return_ids:
        named = (row.store_id == store_id, row.amazon_return_id.in_(return_ids))
        db.session.execute(update(row).where(*named).values(**values), execution_options=_NO_SYNC)

"""Verifying every Configuration Log by the clock: each row of it daily, in steps that keep the tick short."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigChainHead
from flexdash.services.config_log_verify import (
    Broken,
    Chain,
    Verification,
    cut_off,
    head_of,
    note,
    rows_of,
    snapshot,
)

DAILY = timedelta(days=1)
ROWS_AT_A_STEP = 20_000  # about half a second; a million rows take fifty ticks
WORKSPACES_AT_A_STEP = 50

logger = structlog.get_logger(__name__)


def step(now: datetime, at_most: int = ROWS_AT_A_STEP) -> int:
    """Go on with what is due and return how many rows were read: `at_most`.

    Each chain is read from its first row to its last, beginning once a day, so that a row that was changed is found a
    day later at the latest. A long chain takes several steps; how far it has come is kept beside its head.
    """
    n_rows = 0
    for workspace_id in _due(now):
        n_rows += _walk(workspace_id, now, at_most - n_rows)
        if n_rows >= at_most:
            break
    return n_rows


def _due(now: datetime) -> Sequence[int]:
    is_due = or_(ConfigChainHead.verified_at.is_(None), ConfigChainHead.verified_at <= now - DAILY)
    query = select(ConfigChainHead.workspace_id).where(is_due)
    query = query.order_by(ConfigChainHead.verified_at.nulls_first(), ConfigChainHead.workspace_id)
    due = db.session.scalars(query.limit(WORKSPACES_AT_A_STEP)).all()
    db.session.rollback()
    return due


def _walk(workspace_id: int, now: datetime, at_most: int) -> int:
    kept = db.session.get_one(ConfigChainHead, workspace_id, populate_existing=True)
    start, began_at = _place_of(kept), kept.walk_began_at or now
    first = kept.walk_sequence
    chain = Chain(kept.walk_sequence, kept.walk_hash, (kept.known_sequence, kept.known_hash))
    db.session.rollback()
    verification = None
    try:
        with snapshot() as connection:
            head = connection.execute(head_of(workspace_id)).one_or_none()
            if head is not None and head.sequence < first:
                raise cut_off(head.sequence + 1)
            for row in rows_of(connection, workspace_id, chain, at_most):
                chain.add(row)
            if chain.n_rows - first < at_most:
                chain.end_at(head)
                verification = Verification(workspace_id, began_at, chain.n_rows, hash=chain.hash)
    except Broken as broken:
        verification = Verification(workspace_id, now, chain.n_rows, broken.sequence, broken.fault)
        logger.error("the chain of a Configuration Log is broken", workspace_id=workspace_id, fault=broken.fault)
    with transaction():
        mine = db.session.get_one(ConfigChainHead, workspace_id, with_for_update=True, populate_existing=True)
        if _place_of(mine) != start:
            pass  # somebody verified it meanwhile
        elif verification is not None:
            note(mine, verification)
        else:
            mine.walk_began_at, mine.walk_sequence, mine.walk_hash = began_at, chain.n_rows, chain.hash
    return chain.n_rows - first


def _place_of(head: ConfigChainHead) -> tuple[object, ...]:
    """Return what tells whether anybody else verified the chain meanwhile."""
    return head.verified_at, head.walk_began_at, head.walk_sequence, head.walk_hash

"""Verifying every Configuration Log by the clock: daily, in steps that keep the tick short."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigChainHead
from flexdash.services.config_log_verify import Broken, Chain, Verification, head_of, rows_of, snapshot

DAILY = timedelta(days=1)
FROM_THE_FIRST_ROW = timedelta(days=7)
ROWS_AT_A_STEP = 20_000  # about half a second
WORKSPACES_AT_A_STEP = 50

logger = structlog.get_logger(__name__)


def step(now: datetime, at_most: int = ROWS_AT_A_STEP) -> int:
    """Go on with what is due and return how many rows were read: `at_most`.

    Each chain is verified once a day: from where it was in order the last time, and once a week, as after a fault, from
    its first row. A long chain takes several steps; how far it has come is kept beside its head.
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
    start = (kept.walk_sequence, kept.walk_hash)
    db.session.rollback()
    chain, verification = Chain(*start), None
    try:
        with snapshot() as connection:
            head = connection.execute(head_of(workspace_id)).one_or_none()
            if head is not None and head.sequence < start[0]:
                first = head.sequence + 1
                raise Broken(first, f"Row {first} is missing, which was there before: the end of the log was cut off.")
            for row in rows_of(connection, workspace_id, chain, at_most):
                chain.add(row)
            if chain.n_rows - start[0] < at_most:
                chain.end_at(head)
                verification = Verification(workspace_id, now, chain.n_rows)
    except Broken as broken:
        verification = Verification(workspace_id, now, chain.n_rows, broken.sequence, broken.fault)
        logger.error("the chain of a Configuration Log is broken", workspace_id=workspace_id, fault=broken.fault)
    with transaction():
        mine = db.session.get_one(ConfigChainHead, workspace_id, with_for_update=True, populate_existing=True)
        if (mine.walk_sequence, mine.walk_hash) == start:  # else somebody verified it meanwhile
            _keep(mine, chain, verification)
    return chain.n_rows - start[0]


def _keep(head: ConfigChainHead, chain: Chain, verification: Verification | None) -> None:
    head.walk_sequence, head.walk_hash = chain.n_rows, chain.hash
    if verification is None:
        return
    head.verified_at, head.verified_sequence = verification.checked_at, verification.n_rows
    head.verified_fault = verification.fault
    if head.walk_is_full:
        head.fully_verified_at = verification.checked_at
    last_full = head.fully_verified_at
    # The next one comes in a day: whether it is a full one is decided now.
    head.walk_is_full = bool(verification.fault) or (
        last_full is None or verification.checked_at + DAILY >= last_full + FROM_THE_FIRST_ROW
    )
    if head.walk_is_full:
        head.walk_sequence, head.walk_hash = 0, ""

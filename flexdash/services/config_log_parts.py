"""Verifying a Configuration Log while a person waits: so many rows at a request, the next part with the next one."""

import structlog

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigChainHead
from flexdash.services.config_log_verify import Broken, Chain, Verification, head_of, keep, rows_of, snapshot

ROWS_AT_A_PART = 100_000  # two or three seconds

logger = structlog.get_logger(__name__)


def verify_part(workspace_id: int, chain: Chain, at_most: int) -> Verification | None:
    """Read `at_most` rows on from `chain`, which moves along; return None while there is more to read.

    Once at the end, or at a fault, keep how it ended and return it.
    """
    checked_at, n_before = clock.now(), chain.n_rows
    try:
        with snapshot() as connection:
            for row in rows_of(connection, workspace_id, chain, at_most):
                chain.add(row)
            if chain.n_rows - n_before >= at_most:
                return None
            chain.end_at(connection.execute(head_of(workspace_id)).one_or_none())
    except Broken as broken:
        logger.error("the chain of a Configuration Log is broken", workspace_id=workspace_id, fault=broken.fault)
        return keep(
            Verification(workspace_id, checked_at, chain.n_rows, broken.sequence, broken.fault, hash=chain.hash)
        )
    return keep(Verification(workspace_id, checked_at, chain.n_rows, hash=chain.hash))


def n_rows_of(workspace_id: int) -> int:
    """Return how many rows the log has, by the kept head."""
    head = db.session.get(ConfigChainHead, workspace_id)
    return head.sequence if head else 0

"""Verifying a Configuration Log while a person waits: so many rows at a request, the next part with the next one."""

from datetime import datetime

import structlog

from flexdash.extensions import db
from flexdash.models import ConfigChainHead
from flexdash.services.config_log_verify import Broken, Chain, Verification, head_of, keep, rows_of, snapshot

ROWS_AT_A_PART = 100_000  # two or three seconds

logger = structlog.get_logger(__name__)


def verify_part(workspace_id: int, chain: Chain, began_at: datetime, at_most: int) -> Verification | None:
    """Read `at_most` rows on from `chain`, which moves along; return None while there is more to read.

    Once at the end, or at a fault, keep how it ended and return it. `began_at` is when the first part was read: of what
    was changed later, the verification knows nothing.
    """
    n_before = chain.n_rows
    try:
        with snapshot() as connection:
            head = connection.execute(head_of(workspace_id)).one_or_none()
            if head is not None:
                chain.known = (head.known_sequence, head.known_hash)
            for row in rows_of(connection, workspace_id, chain, at_most):
                chain.add(row)
            if chain.n_rows - n_before >= at_most:
                return None
            chain.end_at(head)
    except Broken as broken:
        logger.error("the chain of a Configuration Log is broken", workspace_id=workspace_id, fault=broken.fault)
        return keep(Verification(workspace_id, began_at, chain.n_rows, broken.sequence, broken.fault, hash=chain.hash))
    return keep(Verification(workspace_id, began_at, chain.n_rows, hash=chain.hash))


def n_rows_of(workspace_id: int) -> int:
    """Return how many rows the log has, by the kept head."""
    head = db.session.get(ConfigChainHead, workspace_id)
    return head.sequence if head else 0

"""One look around: every check there is, in one table."""

from collections.abc import Callable, Iterator
from datetime import datetime

from flexdash.extensions import db
from flexdash.models import AlarmKind
from flexdash.services.alarms import house_checks, refused_checks, store_checks
from flexdash.services.alarms.findings import Finding, Parts

CHECKS: dict[AlarmKind, Callable[[datetime], Iterator[Finding]]] = {
    AlarmKind.ORDER_SYNC_STALE: store_checks.stale_orders,
    AlarmKind.INVENTORY_SYNC_STALE: store_checks.stale_inventory,
    AlarmKind.SYNC_FAILING: store_checks.failing,
    AlarmKind.ALL_REFUSED: refused_checks.pushes,
    AlarmKind.ACKNOWLEDGEMENT_REFUSED: refused_checks.acknowledgements,
    AlarmKind.AUTHORIZATION: store_checks.authorizations,
    AlarmKind.ZERO_BRAKE: store_checks.zero_brakes,
    AlarmKind.CONFLICTS: store_checks.conflicts,
    AlarmKind.QUARANTINE: store_checks.quarantine,
    AlarmKind.QUEUE_WAITING: house_checks.queues,
    AlarmKind.LOG_BROKEN: house_checks.broken_logs,
}


def around(seen: Parts, now: datetime) -> tuple[list[Finding], frozenset[AlarmKind]]:
    """Return all that is wrong now, and the kinds that could be judged: of the others nothing is known.

    The number of statements does not grow with workspaces, stores or problems.
    """
    judged = {*CHECKS, AlarmKind.REDIS_AWAY}
    if seen.is_scheduler_away is not None:
        judged.add(AlarmKind.SCHEDULER_AWAY)
    if seen.unserved_queues is not None:
        judged.add(AlarmKind.WORKER_AWAY)
    try:
        found = list(house_checks.parts(seen))
        for check in CHECKS.values():
            found.extend(check(now))
        return found, frozenset(judged)
    finally:
        db.session.rollback()

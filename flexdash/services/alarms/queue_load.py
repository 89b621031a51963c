"""What of one workspace waits for a worker, by queue: as much as the page of alarms says of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, literal, select, union_all

from flexdash import clock
from flexdash.extensions import db
from flexdash.services import waiting_runs
from flexdash.services.actors import Actor
from flexdash.services.alarms.house_checks import WAITS_TOO_LONG
from flexdash.services.order_work import batches
from flexdash.services.uploads import attempts

MOST_COUNTED = 1_000  # beyond it "more than" is enough, and the page costs the same however much has piled up


@dataclass(frozen=True)
class Load:
    """How much waits, MOST_COUNTED + 1 for more than can be told, and since when the first of it could have begun."""

    n_waiting: int = 0
    waiting_since: datetime | None = None

    @property
    def is_more(self) -> bool:
        """Whether more waits than is counted."""
        return self.n_waiting > MOST_COUNTED

    @property
    def is_slow(self) -> bool:
        """Whether something waits for longer than it should."""
        return self.waiting_since is not None and clock.now() - self.waiting_since > WAITS_TOO_LONG


def of(actor: Actor) -> dict[str, Load] | None:
    """Return what waits in the actor's workspace, by queue; None for a person limited to sellers, who sees no sums."""
    if actor.seller_ids is not None:
        return None
    waiting = {
        "sync": waiting_runs.waiting_in(actor.workspace_id),
        "work": batches.waiting_in(actor.workspace_id),
        "upload": attempts.waiting_in(actor.workspace_id),
    }
    counts = []
    for queue, since in waiting.items():
        some = since.limit(MOST_COUNTED + 1).subquery()
        counts.append(select(literal(queue), func.count(), func.min(some.c.since)).select_from(some))
    return {queue: Load(n, since) for queue, n, since in db.session.execute(union_all(*counts))}

"""What one look around found: a problem each, in plain words, and what could not be judged."""

from dataclasses import dataclass
from typing import NamedTuple

from flexdash.models import AlarmKind, Severity
from flexdash.services.words import one_line, shortened


class Problem(NamedTuple):
    """Which problem it is: at most one alarm about it is open."""

    workspace_id: int
    kind: AlarmKind
    subject: str


@dataclass(frozen=True)
class Finding:
    """One problem as it is now. `stage` grows as it gets worse; `path` leads to the page that mends it."""

    workspace_id: int
    kind: AlarmKind
    subject: str
    sentence: str
    severity: Severity = Severity.WARNING
    store_id: int | None = None
    path: str = ""
    stage: int = 0
    is_reminded_of: bool = True

    @property
    def problem(self) -> Problem:
        """What it is about."""
        return Problem(self.workspace_id, self.kind, self.subject)


@dataclass(frozen=True)
class Parts:
    """The parts of FlexDash as seen from outside. None: nobody can tell, for Redis is away."""

    is_redis_away: bool = False
    unserved_queues: tuple[str, ...] | None = ()
    is_scheduler_away: bool | None = False


def of_store(name: str) -> str:
    """Return a store's name as a sentence takes it in."""
    return shortened(one_line(name), 80) or "An unnamed store"

"""What a running sync knows about itself, and how it says how far it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import update

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RunState, Sync, SyncRun, Trigger

COUNTS = frozenset(
    {
        "n_pages",
        "n_fetched",
        "n_created",
        "n_held",
        "n_updated",
        "n_skipped",
        "n_failed",
        "n_acknowledged",
    }
)
MAX_PROGRESS = 200


class RunInterrupted(BaseException):
    """The run ends here without being over. No Exception: what isolates one bad order must not swallow it."""


class Superseded(RunInterrupted):
    """Another worker took this run up, or it was ended: nothing more may be written for it here."""


class HandBack(RunInterrupted):
    """The worker is asked to stop: the run goes back to the queue, and the next worker takes it up."""


class RunSkipped(Exception):
    """The run must not go on, and nothing is wrong: it ends as skipped, and `sentence` says what it waits for."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def _never() -> bool:
    return False


@dataclass(frozen=True)
class RunContext:
    """One attempt at one sync run. Made by `jobs.runner`; a sync gets it and reports through it."""

    run_id: int
    store_id: int
    workspace_id: int
    sync: Sync
    trigger: Trigger
    attempt: int  # 1 for the first
    attempt_token: str
    retry_of_id: int | None = None  # the run whose failed items this one takes up, and nothing else
    # Whether the worker is asked to stop: finish what is begun, then call `stop_here`.
    should_stop: Callable[[], bool] = field(default=_never, repr=False)

    def check_in(self, progress: str | None = None, **increments: int) -> None:
        """Add `increments` (such as `n_created=3`) to the run's counts and say what it is doing, in words.

        Call it inside the open transaction of the work it counts: counts and work are then committed together or
        not at all. Raises Superseded when this attempt is no longer the run's, so that the work is rolled back.
        Counts describe the whole run over all its attempts: what an earlier attempt did counts as skipped later.
        """
        if unknown := increments.keys() - COUNTS:
            raise TypeError(f"a run has no such count: {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {name: getattr(SyncRun, name) + n for name, n in increments.items() if n}
        if progress is not None:
            values["progress"] = progress[:MAX_PROGRESS]
        self._write(values)

    def set_window(self, window_from: datetime | None, window_to: datetime | None) -> None:
        """Keep which span of Amazon's changes this run reads. Inside an open transaction; raises Superseded."""
        self._write({"window_from": window_from, "window_to": window_to})

    def stop_here(self) -> None:
        """Between two pages, outside a transaction: raise HandBack when the worker is asked to stop."""
        if self.should_stop():
            raise HandBack

    def _write(self, values: dict[str, Any]) -> None:
        session = db.session()
        if not session.info.get("in_write_transaction"):
            raise RuntimeError("a run reports inside the transaction of its work")
        session.flush()
        result = session.execute(
            update(SyncRun)
            .where(
                SyncRun.id == self.run_id,
                SyncRun.attempt_token == self.attempt_token,
                SyncRun.state == RunState.RUNNING,
            )
            .values(heartbeat_at=clock.now(), **values)
            .execution_options(synchronize_session=False)
        )
        if result.rowcount == 0:  # type: ignore[attr-defined]
            raise Superseded

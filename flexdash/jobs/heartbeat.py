"""Signs of life of a running sync, from a thread of its own, on a connection of its own."""

import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from flexdash.jobs import stopping
from flexdash.logs import with_present_ids
from flexdash.services import sync_attempts
from flexdash.services.run_context import RunContext

_LOOK_EVERY_SECONDS = 0.25

logger = structlog.get_logger(__name__)


class Heartbeat:
    """While open, writes a sign of life every `every_seconds`. Sets `superseded` when the run is another's by now.

    When a stop is asked for and the run has not ended within the grace, the run is handed back from here and
    `on_forced_end` is called: the main thread may be waiting for Amazon for longer than whoever stops us will wait.
    """

    def __init__(
        self,
        engine: Engine,
        run: RunContext,
        every_seconds: float,
        superseded: threading.Event,
        on_forced_end: Callable[[], None],
    ) -> None:
        self._engine, self._run, self._every = engine, run, every_seconds
        self._superseded, self._on_forced_end = superseded, on_forced_end
        self._done = threading.Event()
        self._thread = threading.Thread(
            target=with_present_ids(self._work), name=f"heartbeat-{run.run_id}", daemon=True
        )

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _work(self) -> None:
        next_beat = time.monotonic() + self._every
        force_at: float | None = None
        while not self._done.wait(_LOOK_EVERY_SECONDS):
            if stopping.is_asked():
                force_at = force_at or time.monotonic() + stopping.GRACE_SECONDS
                if time.monotonic() >= force_at and self._force_end():
                    return
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + self._every
                if not self._beat():
                    return

    def _beat(self) -> bool:
        try:
            is_ours = sync_attempts.beat(self._engine, self._run)
        except SQLAlchemyError as error:
            # Whether the run is lost is for the dispatcher to say; the next beat may get through.
            logger.warning("a sign of life could not be written", error=type(error).__name__)
            return True
        if not is_ours and not self._done.is_set():
            logger.warning("the run is another worker's by now, or has been ended")
            self._superseded.set()
        return is_ours

    def _force_end(self) -> bool:
        try:
            is_ours = sync_attempts.hand_back(self._engine, self._run)
        except SQLAlchemyError as error:
            logger.warning("the run could not be handed back yet", error=type(error).__name__)
            return False
        self._superseded.set()
        if is_ours:
            logger.info("the worker stops; the run is handed back in the middle of its work")
            self._on_forced_end()
        return True

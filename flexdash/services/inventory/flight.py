"""Calls under way: a fixed number at a time, further ones in line, outcomes taken as they come."""

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from flexdash.logs import with_present_ids

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


class Flight(Generic[Task, Outcome]):
    """Does `work` on every task in `n_threads` threads. The thread that made it submits tasks and takes outcomes.

    Leaving the block drops what has not begun and waits for what has: nothing runs on behind the caller's back.
    """

    def __init__(self, n_threads: int, work: Callable[[Task], Outcome]) -> None:
        self._work = with_present_ids(work)
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="inventory")
        self._ended: queue.SimpleQueue[Future[Outcome]] = queue.SimpleQueue()
        self._open: set[Future[Outcome]] = set()

    @property
    def n_open(self) -> int:
        """How many tasks are in line, under way, or done and not taken yet."""
        return len(self._open)

    def submit(self, task: Task) -> None:
        """Put a task in line."""
        future = self._pool.submit(self._work, task)
        self._open.add(future)
        future.add_done_callback(self._ended.put)

    def take(self) -> Outcome:
        """Wait for the next outcome and return it; raise what `work` raised. There must be an open task."""
        while True:
            future = self._ended.get()
            if future in self._open:  # not one that was dropped
                self._open.remove(future)
                return future.result()

    def drop_waiting(self) -> None:
        """Forget the tasks that have not begun."""
        self._open -= {future for future in self._open if future.cancel()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

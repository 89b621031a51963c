"""Fetching the next while this one is worked on."""

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

from flexdash.logs import with_present_ids

Item = TypeVar("Item")


def prefetched(items: Iterator[Item], depth: int = 1) -> Iterator[Item]:
    """Yield `items` in order while a thread of its own already gets up to `depth` ahead.

    An error of `items` is raised here, after everything fetched before it was yielded. When the consumer stops early
    the thread ends after the item it is fetching; it is waited for, so nothing runs on behind the caller's back.
    """
    ready: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(maxsize=depth)
    is_stopped = threading.Event()

    def put(kind: str, value: Item | BaseException | None) -> bool:
        while not is_stopped.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def fetch() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
        except BaseException as error:
            put("error", error)
        else:
            put("end", None)

    thread = threading.Thread(target=with_present_ids(fetch), name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value  # type: ignore[misc]
            if kind == "end":
                return
            yield value  # type: ignore[misc]
    finally:
        is_stopped.set()
        thread.join()

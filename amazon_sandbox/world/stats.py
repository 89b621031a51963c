"""What callers did: calls, answers and concurrency per operation, since the start or the last reset."""

import threading
from collections import Counter, defaultdict
from typing import Any


class Stats:
    """Counts kept in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """All counts back to nought."""
        with self._lock:
            self._calls: Counter[str] = Counter()
            self._statuses: dict[str, Counter[str]] = defaultdict(Counter)
            self._token_calls: Counter[str] = Counter()
            self._refusals: Counter[str] = Counter()
            self._n_running = 0
            self._n_running_of: Counter[str] = Counter()
            self._max_running = 0
            self._max_running_of: Counter[str] = Counter()

    def begin(self, operation: str) -> None:
        """A call starts."""
        with self._lock:
            self._calls[operation] += 1
            self._n_running += 1
            self._n_running_of[operation] += 1
            self._max_running = max(self._max_running, self._n_running)
            running = self._n_running_of[operation]
            self._max_running_of[operation] = max(self._max_running_of[operation], running)

    def end(self, operation: str, outcome: str) -> None:
        """A call ends with an HTTP status, or `cut` when its connection was cut."""
        with self._lock:
            self._n_running -= 1
            self._n_running_of[operation] -= 1
            self._statuses[operation][outcome] += 1

    def token_call(self, grant_type: str) -> None:
        """The token service was asked for this grant type."""
        with self._lock:
            self._token_calls[grant_type] += 1

    def refused(self, effect: str) -> None:
        """An effect was asked for that the shipment's state no longer allows."""
        with self._lock:
            self._refusals[effect] += 1

    def as_json(self) -> dict[str, Any]:
        """Everything counted."""
        with self._lock:
            return {
                "calls": dict(self._calls),
                "statuses": {name: dict(counts) for name, counts in self._statuses.items()},
                "n_calls": sum(self._calls.values()),
                "n_429": sum(counts["429"] for counts in self._statuses.values()),
                "n_token_calls": sum(self._token_calls.values()),
                "token_calls": dict(self._token_calls),
                "max_concurrent": self._max_running,
                "max_concurrent_per_operation": dict(self._max_running_of),
                "refused": dict(self._refusals),
            }

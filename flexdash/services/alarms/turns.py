"""Whose message is sent next: no workspace's slow receiver may hold up what others are to be told."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

BUDGET_SECONDS = 5.0  # of sending for one workspace within a minute; beyond it, all others go first
WINDOW_SECONDS = 60.0


class Turns:
    """Shared by the senders of one channel. A workspace has one message in hand at a time, and a budget of seconds.

    Who has spent the budget goes after everybody else, and never to a sender that is kept for the quick.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._begun: dict[int, float] = {}
        self._spent: dict[int, list[tuple[float, float]]] = defaultdict(list)  # when it ended, and the seconds it took

    def begin(self, due: Sequence[int], *, is_for_quick: bool = False) -> int | None:
        """Return whose turn it is of the workspaces in `due`, the first come first; None when each has to wait.

        The caller calls `end` for it whatever happens.
        """
        with self._lock:
            free = [one for one in due if one not in self._begun]
            quick = [one for one in free if not self._is_spent(one)]
            chosen = next(iter(quick if is_for_quick else (*quick, *free)), None)
            if chosen is not None:
                self._begun[chosen] = self._now()
            return chosen

    def end(self, workspace_id: int) -> None:
        """Note how long the turn of the workspace took, and let it have another."""
        with self._lock:
            now = self._now()
            self._spent[workspace_id].append((now, now - self._begun.pop(workspace_id)))

    def _is_spent(self, workspace_id: int) -> bool:
        since = self._now() - WINDOW_SECONDS
        lately = [turn for turn in self._spent.get(workspace_id, ()) if turn[0] > since]
        if lately:
            self._spent[workspace_id] = lately
        else:
            self._spent.pop(workspace_id, None)
        return sum(seconds for _, seconds in lately) >= BUDGET_SECONDS

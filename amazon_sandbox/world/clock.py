"""The sandbox's clock: real time, plus a shift that a control call sets, so that expiry can be tried at once."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate


class Clock:
    """Gives the sandbox's time. `source` returns seconds since 1970; `shift_seconds` is added to it."""

    def __init__(self, source: Callable[[], float] = time.time):
        self._source = source
        self.shift_seconds = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self.shift_seconds

    def now_ms(self) -> int:
        """Whole milliseconds since 1970, the resolution of every time in an answer."""
        return int(self.now() * 1000)

    def http_date(self) -> str:
        """The time in the form of HTTP's Date header."""
        return formatdate(self.now(), usegmt=True)


def iso(ms: int) -> str:
    """The time as Amazon writes it: `2026-11-23T18:59:00.123Z`."""
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def parse_iso(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time that names its zone; raises ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("the time names no zone")
    return int(moment.timestamp() * 1000)

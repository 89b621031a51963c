"""What is counted for `/metrics`, and the one door through which it is: `count`.

Counters live in one hash in Redis, so that web processes and workers add to the same figures and none of them keeps a
file. They are added to after the commit of what they count. Redis away costs the figures of that time and nothing
else; Redis wiped begins them anew, which Prometheus understands.

`docs/metrics.md` has a line for each metric here; a test holds the two together.
"""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import redis
import structlog
from flask import Flask, Response, current_app, g, request

from flexdash.extensions import db
from flexdash.models import PushState, Sync, UploadKind

PREFIX = "flexdash_"
KEY = "flexdash:metrics"
_ANSWER_SECONDS = 0.3  # nobody waits longer than this for a figure
_PAUSE_SECONDS = 10.0
_UNCOUNTED_AREAS = {"health", "bootstrap"}

logger = structlog.get_logger(__name__)


class CallOutcome(StrEnum):
    """How a call to Amazon ended."""

    OK = "ok"
    THROTTLED = "throttled"  # 429
    REFUSED = "refused"  # any other 4xx
    FAILED = "failed"  # 5xx
    UNREADABLE = "unreadable"  # a success that says nothing
    NO_ANSWER = "no_answer"


@dataclass(frozen=True)
class CounterFacts:
    """One counter. `labels` give each label's values, or None where they are too many to begin at nought.

    What `is_seconds` is handed in as whole milliseconds.
    """

    help: str
    labels: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    is_seconds: bool = False

    def beginnings(self) -> Iterator[tuple[str, ...]]:
        """Yield the labels that stand at nought from the start: `increase()` then sees the very first event."""
        values = list(self.labels.values())
        if None not in values:
            yield from itertools.product(*values)  # type: ignore[arg-type]


_SYNCS = tuple(sync.value for sync in Sync)

COUNTERS: dict[str, CounterFacts] = {
    "amazon_calls": CounterFacts("Calls to Amazon.", {"operation": None, "outcome": None}),
    "amazon_call_seconds": CounterFacts("Seconds until Amazon had answered.", {"operation": None}, is_seconds=True),
    "amazon_wait_seconds": CounterFacts(
        "Seconds that calls waited for their turn under Amazon's usage plan.", {"operation": None}, is_seconds=True
    ),
    "amazon_throttled": CounterFacts("Calls that Amazon answered with 429.", {"operation": None}),
    "sync_runs_ended": CounterFacts(
        "Sync runs that have ended.", {"sync": _SYNCS, "outcome": ("succeeded", "partial", "failed", "skipped")}
    ),
    "sync_retries": CounterFacts(
        "Attempts at a sync run that another one has to follow.", {"sync": _SYNCS, "cause": ("failed", "lost")}
    ),
    "sync_work_seconds": CounterFacts("Seconds that workers spent on sync runs.", {"sync": _SYNCS}, is_seconds=True),
    "orders_imported": CounterFacts("Orders that came in."),
    "orders_held": CounterFacts("Orders that came in and went On Hold."),
    "orders_cancelled": CounterFacts("Orders that were cancelled.", {"by": ("amazon", "person")}),
    "inventory_quantities": CounterFacts(
        "Quantities sent to Amazon.",
        {"outcome": (PushState.ACCEPTED.value, PushState.REFUSED.value, PushState.UNKNOWN.value)},
    ),
    "prices": CounterFacts("Prices on their way to Amazon.", {"outcome": ("sent", "applied", "refused")}),
    "uploads_ended": CounterFacts(
        "Uploaded files that were applied, refused or given up.",
        {"kind": tuple(kind.value for kind in UploadKind), "outcome": ("applied", "refused", "failed")},
    ),
    "sign_ins": CounterFacts("Attempts to sign in.", {"outcome": ("signed_in", "refused", "throttled")}),
    "http_requests": CounterFacts("Requests for pages.", {"area": None, "status": None}),
    "http_request_seconds": CounterFacts("Seconds until pages were made.", {"area": None}, is_seconds=True),
}

GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "part_up": ("Whether a part of FlexDash is up, as /readyz says.", ("part",)),
    "stores": ("Stores by their status.", ("status",)),
    "stores_authorization_ending": ("Connected stores whose authorization at Amazon ends within 30 days.", ()),
    "stores_syncing": ("Connected stores that have the sync turned on.", ("sync",)),
    "stores_stale": ("Stores that have the sync turned on and no good run for too long.", ("sync",)),
    "sync_lag_seconds": ("Seconds without a good run at the store that has waited longest.", ("sync",)),
    "sync_overdue_seconds": ("Seconds since the oldest turn came that no run was made for.", ("sync",)),
    "sync_runs_open": ("Sync runs that wait for a worker or are at work.", ("sync", "state")),
    "sync_oldest_queued_seconds": ("Seconds that the sync run which waits longest has waited for a worker.", ()),
    "sync_runs_silent": ("Sync runs at work whose worker gives no sign of life.", ()),
    "queue_jobs": ("Jobs that stand in a queue.", ("queue",)),
    "queue_failed_jobs": ("Jobs of the last day that raised an error.", ("queue",)),
    "queue_workers": ("Workers seen lately that serve a queue.", ("queue",)),
    "orders_waiting": ("Orders and shipments that wait for something, by what.", ("what",)),
    "order_steps": ("What is to be done at Amazon for orders being worked.", ("state",)),
    "uploads_open": ("Uploaded files that a worker still has to do.", ("state",)),
    "zero_brakes_waiting": ("Pushes that would zero much stock and wait for a person.", ()),
    "scrape_problem": ("Whether figures are missing because their source did not answer.", ("source",)),
    "scrape_seconds": ("Seconds it took to gather all this.", ()),
}


class _Increments:
    """What the open transaction counts; called, it is written. Kept among the transaction's callbacks, so that it
    goes the way of the transaction."""

    def __init__(self) -> None:
        self.values: Counter[str] = Counter()

    def __call__(self) -> None:
        _store().add(self.values)


class _Store:
    """The counters in Redis: never waited for long, and left alone for a while after Redis did not answer."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS, retry=None
        )
        self._not_before = float("-inf")
        self._lock = threading.Lock()

    def add(self, values: Mapping[str, int]) -> None:
        """Add to the counters; what cannot be added is forgotten."""
        if time.monotonic() < self._not_before or not values:
            return
        try:
            pipeline = self._client.pipeline(transaction=False)
            for name, n in values.items():
                pipeline.hincrby(KEY, name, n)
            pipeline.execute()
        except redis.RedisError as error:
            with self._lock:
                self._not_before = time.monotonic() + _PAUSE_SECONDS
            logger.info("Redis is away; nothing is counted meanwhile", error=type(error).__name__)

    def read(self) -> dict[bytes, bytes]:
        """Return all of it; raises redis.RedisError."""
        return self._client.hgetall(KEY)  # type: ignore[return-value]


def init_app(app: Flask) -> None:
    """Let `app` count, its requests first."""
    app.extensions["flexdash_metrics"] = _Store(app.config["SETTINGS"].redis_url)

    @app.after_request
    def _count(response: Response) -> Response:
        area = request.blueprint or ("static" if request.endpoint == "static" else "none")
        if area not in _UNCOUNTED_AREAS and area != "static" and "request_began" in g:
            milliseconds = round((time.perf_counter() - g.request_began) * 1000)
            _store().add(
                {
                    _name("http_requests", {"area": area, "status": str(response.status_code)}): 1,
                    _name("http_request_seconds", {"area": area}): milliseconds,
                }
            )
        return response


def count(name: str, n: int = 1, **labels: str) -> None:
    """Add `n` to a counter once the open transaction is committed, at once where none is open; never raises for Redis.

    Wants an app context. `labels` are words of this program, never of people, workspaces or orders. Raises TypeError
    for a counter or labels that are not declared above.
    """
    full_name = _name(name, labels)
    if not n:
        return
    info = db.session().info
    if not info.get("in_write_transaction"):
        _store().add({full_name: n})
        return
    callbacks = info["after_commit"]
    increments = next((one for one in callbacks if isinstance(one, _Increments)), None)
    if increments is None:
        increments = _Increments()
        callbacks.append(increments)
    increments.values[full_name] += n


def counted() -> dict[str, dict[tuple[str, ...], float]]:
    """Return every counter's values by labels; those whose labels are known begin at nought.

    Raises redis.RedisError when Redis is away.
    """
    values: dict[str, dict[tuple[str, ...], float]] = {
        name: dict.fromkeys(facts.beginnings(), 0.0) for name, facts in COUNTERS.items()
    }
    for full_name, n in _store().read().items():
        name, *labels = json.loads(full_name)
        facts = COUNTERS.get(name)
        if facts is not None and len(labels) == len(facts.labels):  # not one of another version
            values[name][tuple(labels)] = int(n) / 1000 if facts.is_seconds else float(n)
    return values


def call_outcome(status: int | None, error_code: str | None) -> CallOutcome:
    """Return how a call to Amazon ended that was answered with `status` (None: not at all)."""
    if status is None:
        return CallOutcome.NO_ANSWER
    if status == 429:
        return CallOutcome.THROTTLED
    if status >= 500:
        return CallOutcome.FAILED
    if status >= 400:
        return CallOutcome.REFUSED
    return CallOutcome.UNREADABLE if error_code else CallOutcome.OK


def _name(name: str, labels: Mapping[str, str]) -> str:
    declared: Iterable[str] = COUNTERS[name].labels if name in COUNTERS else ()
    if name not in COUNTERS or set(declared) != set(labels):
        raise TypeError(f"no such counter: {name}({', '.join(labels)})")
    return json.dumps([name, *(str(labels[label]) for label in declared)], separators=(",", ":"))


def _store() -> _Store:
    return current_app.extensions["flexdash_metrics"]

"""One call to the Selling Partner API with everything around it: token, pace, time-outs, retries, errors, records.

What is repeated, and when (`max_attempts` tries in all, the last failure is raised):

| what happened | reads (GET) | writes marked repeatable | other writes |
|---|---|---|---|
| no connection was made | again | again | again |
| 429 | again | again | again |
| 401/403 naming the access token | once, with a new token | same | same |
| 503 | again | again | raised |
| 500, 502, 504, time-out, cut connection, unreadable answer | again | raised (*) | raised (*) |
| every other answer | raised | raised | raised |

Repeatable writes are those whose second arrival changes nothing: confirm and reject (a shipment already moved answers
409, which callers read again), updatePackage, updatePackageStatus, batchInventory, patchListingsItem, and
createFeedDocument, of which an unused one just ends. (*) The error's `is_outcome_unknown` is then true: read Amazon's
state before doing it again.
"""

import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from flexdash.amazon import excerpts
from flexdash.amazon.answers import error_of, first_refusal, is_token_refusal, mask_refusals, refused_within
from flexdash.amazon.errors import AmazonError, AuthorizationRefused, Throttled
from flexdash.amazon.operations import BATCH_INVENTORY, Operation
from flexdash.amazon.pacing import Pacer
from flexdash.amazon.records import CallRecord
from flexdash.amazon.tokens import AccessTokens
from flexdash.amazon.wire import NOT_SENT, Reply, retry_after, send

MAX_ATTEMPTS = 5
MAX_ANSWER_BYTES = 32 * 1024 * 1024
_FIRST_PAUSE_SECONDS = 0.5
_MAX_PAUSE_SECONDS = 16.0
MAX_PAUSE_SECONDS = 60.0
_FIRST_REST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """A success. `data` is the JSON body (None for an empty one), `date` Amazon's clock or None."""

    status: int
    data: Any
    date: datetime | None
    request_id: str


class Transport:
    """Calls one selling partner's API at `base_url`. Safe to share between threads.

    `on_call` gets a CallRecord after every attempt, in the thread that made the call; what it raises is not caught.
    `mask_for` gives, for Amazon's id of a shipment, what takes its buyer out of a text: Amazon's words about a refusal
    may quote the buyer, and neither the error nor the record may. It is asked in that thread too, about failures only.
    """

    def __init__(
        self,
        *,
        http: httpx.Client,
        base_url: str,
        tokens: AccessTokens,
        pacer: Pacer,
        partner: str,
        user_agent: str,
        timeout_seconds: float = 20,
        on_call: Callable[[CallRecord], None] | None = None,
        mask_for: Callable[[str], Callable[[str], str]] | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        max_pause_seconds: float = MAX_PAUSE_SECONDS,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._tokens = tokens
        self._pacer = pacer
        self._partner = partner
        self._user_agent = user_agent
        self._timeout_seconds = timeout_seconds
        self._on_call = on_call
        self._mask_for = mask_for
        self._max_attempts = max_attempts
        self._max_pause_seconds = max_pause_seconds  # where Amazon asks for a longer one, its error is raised instead
        self._max_answer_bytes = max_answer_bytes
        self._sleep = sleep

    def call(
        self,
        operation: Operation,
        path: Iterable[str],
        query: Iterable[tuple[str, str]] = (),
        body: Any = None,
        *,
        shipment_id: str = "",
        sku_code: str = "",
        expects_json: bool = True,
    ) -> Answer:
        """Do `operation` and return Amazon's answer; `path` is a list of segments, encoded here.

        Raises AuthorizationRefused, AppCredentialsRefused, TokenRefused, AccessDenied, RequestRefused, NotFound,
        StateConflict, Throttled, AmazonUnavailable or UnreadableAnswer.
        """
        target = "/" + "/".join(quote(segment, safe="") for segment in path)
        query = list(query)
        address = self._base_url + target + ("?" + urlencode(query, quote_via=quote) if query else "")
        content = None if body is None else json.dumps(body, separators=(",", ":"), allow_nan=False).encode()

        token = self._tokens.get()
        has_new_token = False
        n_throttled = 0
        attempt = 0
        while True:
            attempt += 1
            waited = self._pacer.acquire(self._partner, operation.plan)
            reply = self._ask(operation, address, content, token)
            data = reply.json() if reply.status is not None and not reply.failure and reply.body else None
            error = error_of(operation, reply, data, expects_json=expects_json, is_last_token=has_new_token)
            self._pacer.follow(self._partner, operation.plan, reply.headers.get("x-amzn-ratelimit-limit"))
            sent = "" if self._on_call is None else _sent(operation, query, body, error)
            refusals = [] if error else refused_within(data)
            if (error or refusals) and shipment_id and self._mask_for is not None:
                mask = self._mask_for(shipment_id)
                mask_refusals(refusals, mask)  # in `data` too, which goes to the caller
            else:
                mask = str
            if error is not None:
                error.message = mask(error.message)
            answered = ""
            if error or refusals:
                said = refusals or data
                answered = mask(excerpts.of_answer(reply, said, is_about_shipment=bool(shipment_id)))
            self._record(
                operation, target, reply, error, refusals, attempt, waited, shipment_id, sku_code, sent, answered
            )
            if error is None:
                return Answer(reply.status or 0, data, reply.date, reply.request_id)
            if is_token_refusal(reply, data) and not has_new_token:
                token = self._tokens.renew(token)
                has_new_token = True
                continue
            if isinstance(error, AuthorizationRefused) or not self._may_repeat(operation, reply, error):
                raise error
            if isinstance(error, Throttled):
                n_throttled += 1
                self._rest(operation, error, n_throttled)
            if attempt >= self._max_attempts:
                raise error
            if not isinstance(error, Throttled):
                self._pause(attempt, retry_after(reply.headers), error)

    def _ask(self, operation: Operation, address: str, content: bytes | None, token: str) -> Reply:
        headers = {
            "x-amz-access-token": token,
            "User-Agent": self._user_agent,
            "Accept": "application/json",
        }
        if content is not None:
            headers["Content-Type"] = "application/json"
        request = self._http.build_request(operation.method, _url(address), content=content, headers=headers)
        return send(self._http, request, timeout_seconds=self._timeout_seconds, max_bytes=self._max_answer_bytes)

    @staticmethod
    def _may_repeat(operation: Operation, reply: Reply, error: AmazonError) -> bool:
        if not error.is_retryable:
            return False
        if operation.is_read or reply.failure in NOT_SENT or reply.status == 429:
            return True
        return operation.is_repeatable and reply.status == 503 and not reply.failure

    def _rest(self, operation: Operation, error: Throttled, n_throttled: int) -> None:
        """Let everybody's bucket rest; the next turn is then handed out by the pacer, so nothing sleeps here."""
        rest = max(_FIRST_REST_SECONDS, min(1 / operation.plan.rate, _MAX_PAUSE_SECONDS)) * 2 ** (n_throttled - 1)
        rest = min(rest, MAX_PAUSE_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries
        error.retry_after_seconds = max(rest, error.retry_after_seconds)
        self._pacer.back_off(self._partner, operation.plan, error.retry_after_seconds)

    def _pause(self, attempt: int, asked_seconds: float, error: AmazonError) -> None:
        if asked_seconds > self._max_pause_seconds:
            raise error
        pause = min(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1), _MAX_PAUSE_SECONDS)
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
        self._sleep(max(min(pause, self._max_pause_seconds), asked_seconds))

    def _record(
        self,
        operation: Operation,
        target: str,
        reply: Reply,
        error: AmazonError | None,
        refusals: list[dict[str, Any]],
        attempt: int,
        waited: float,
        shipment_id: str,
        sku_code: str,
        sent: str,
        answered: str,
    ) -> None:
        if self._on_call is None:
            return
        code, message = (error.code, error.message) if error else first_refusal(refusals) if refusals else ("", "")
        self._on_call(
            CallRecord(
                operation=operation.name,
                method=operation.method,
                path=target,
                status=reply.status,
                duration_ms=reply.duration_ms,
                amazon_request_id=reply.request_id,
                is_throttled=reply.status == 429,
                error_code=code,
                error_message=message,
                started_at=reply.started_at or datetime.now(UTC),
                attempt=attempt,
                waited_ms=round(waited * 1000),
                shipment_id=shipment_id,
                response_excerpt=answered,
                sent=sent,
                sku_code=sku_code,
                is_refused_within=bool(refusals),
            )
        )


def _sent(operation: Operation, query: list[tuple[str, str]], body: Any, error: AmazonError | None) -> str:
    """Return what is kept of the request. Of a batch only when it went wrong: there are thousands of them."""
    return excerpts.of_request(query, body if error or operation is not BATCH_INVENTORY else None)


# Thousands of calls of a push go to one address, and taking an address apart costs as much as sending to it.
_url = lru_cache(maxsize=256)(httpx.URL)

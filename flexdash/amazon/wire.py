"""One request and its bounded answer: the part of talking to Amazon that is the same for tokens and for the API."""

import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

NOT_SENT = frozenset({"not_sent"})
_MAX_RETRY_AFTER_SECONDS = 3600.0
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_MAY_BE_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(slots=True)
class Reply:
    """What came back. `failure` is "" for an answer, else "not_sent", "no_answer" (the request may have been acted on),
    "too_long" or "unreadable" (an answer began); `failure_text` says it in words without any address."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    failure: str = ""
    failure_text: str = ""
    started_at: datetime | None = None
    duration_ms: int = 0

    @property
    def request_id(self) -> str:
        """Amazon's id of the request, which its support asks for, or ""."""
        found = self.headers.get("x-amzn-requestid") or self.headers.get("x-amzn-request-id") or ""
        return found[:128] if found.isprintable() else ""

    @property
    def date(self) -> datetime | None:
        """Amazon's clock when it answered, or None."""
        return _http_date(self.headers.get("date"))

    def json(self) -> Any:
        """Return the body as JSON, or None when it is not JSON. Numbers that are no JSON (NaN) or too large become
        None."""
        try:
            return _loads(self.body)
        except (ValueError, RecursionError):
            return None


def _loads(body: bytes) -> Any:
    try:
        # Five times as fast: reading a page must not hold up the writing of the one before.
        found = orjson.loads(body)
    except orjson.JSONDecodeError:  # stricter than Amazon is held to: no NaN, no half a character
        # The slow one also takes halves as bytes, and UTF-16, where no pattern finds what is escaped.
        return _storable(json.loads(body, parse_constant=lambda _: None, parse_float=_finite))
    return _storable(found) if _MAY_BE_UNSTORABLE.search(body) else found


def _finite(number: str) -> float | None:
    found = float(number)
    return found if math.isfinite(found) else None


def send(http: httpx.Client, request: httpx.Request, *, timeout_seconds: float, max_bytes: int) -> Reply:
    """Send `request` once and read at most `max_bytes` of the answer within about `timeout_seconds`; never raise for
    what the network or the other side does.

    Each wait for the other side is bounded by `timeout_seconds`, too, and not their sum: one that sends a byte of its
    headers every now and then is waited for."""
    reply = Reply(started_at=datetime.now(UTC))
    begun = time.perf_counter()
    try:
        _exchange(http, request, reply, begun + timeout_seconds, max_bytes, timeout_seconds)
    except (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
    ) as e:
        reply.failure, reply.failure_text = "not_sent", f"no connection ({type(e).__name__})"
    except httpx.TimeoutException as error:
        reply.failure, reply.failure_text = "no_answer", f"no answer in time ({type(error).__name__})"
    except httpx.DecodingError as error:
        reply.failure, reply.failure_text = "unreadable", f"the answer is garbled ({type(error).__name__})"
    except httpx.TransportError as error:
        reply.failure, reply.failure_text = "no_answer", f"the connection broke ({type(error).__name__})"
    except (httpx.InvalidURL, UnicodeError) as error:  # a host whose name cannot be written as the network does
        reply.failure, reply.failure_text = "not_sent", f"no such host ({type(error).__name__})"
    reply.duration_ms = round((time.perf_counter() - begun) * 1000)
    return reply


def _exchange(
    http: httpx.Client, request: httpx.Request, reply: Reply, deadline: float, max_bytes: int, timeout_seconds: float
) -> None:
    request.extensions = {
        **request.extensions,
        "timeout": httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, 10)).as_dict(),
    }
    response = http.send(request, stream=True, follow_redirects=False)
    try:
        reply.headers = response.headers
        reply.status = response.status_code
        if "," in response.headers.get("content-encoding", ""):
            # Packed more than once, a thousand bytes unfold to gigabytes before they could be counted.
            reply.failure, reply.failure_text = "unreadable", "the answer is packed more than once"
            return
        chunks, n_bytes = [], 0
        for chunk in response.iter_bytes():
            n_bytes += len(chunk)
            if n_bytes > max_bytes:
                reply.failure, reply.failure_text = "too_long", f"the answer is longer than {max_bytes:,} bytes"
                return
            if time.perf_counter() > deadline:
                raise httpx.ReadTimeout("the answer trickles in too slowly")
            chunks.append(chunk)
        reply.body = b"".join(chunks)
    finally:
        response.close()


def retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds in `Retry-After` (a number or an HTTP date), 0 when it is missing or unreadable."""
    value = (headers.get("retry-after") or "").strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        seconds = float(value)
    else:
        until = _http_date(value)
        if until is None:
            return 0.0
        seconds = (until - (_http_date(headers.get("date")) or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _http_date(value: str | None) -> datetime | None:
    if not value:
        return None
    try:
        found = parsedate_to_datetime(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _storable(value: Any) -> Any:
    """A copy without the characters that no database stores: NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_storable(member) for member in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(member) for key, member in value.items()}
    return value

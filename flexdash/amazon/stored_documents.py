"""The files behind the addresses that Amazon's answers name: put there and fetched without any token.

An address of that kind is its own key and lives for minutes. It comes from Amazon and not from our country table, so
it is looked at first: https and a real host name, or the very loopback host that FlexDash was configured with (the
sandbox). Nothing but the content and its type is sent, no redirect is followed, and what is read is bounded.
"""

import random
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from flexdash.amazon import excerpts
from flexdash.amazon.addresses import trusted
from flexdash.amazon.errors import (
    AddressExpired,
    AmazonError,
    AmazonUnavailable,
    RequestRefused,
    UnreadableAnswer,
)
from flexdash.amazon.records import CallRecord
from flexdash.amazon.wire import NOT_SENT, Reply, send

UPLOAD, DOWNLOAD = "uploadFeedDocument", "downloadFeedDocument"
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
MAX_DOWNLOAD_BYTES = 32 * 1024 * 1024
MAX_UNPACKED_BYTES = 96 * 1024 * 1024
_MAX_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5
_SHORTEST_TIMEOUT_SECONDS = 60  # a file of ten megabytes takes longer than an answer
_GZIP_MAGIC = b"\x1f\x8b"


class StoredDocuments:
    """Puts and fetches files. `api_url` is where the Selling Partner API is. Safe to share between threads."""

    def __init__(
        self,
        *,
        http: httpx.Client,
        api_url: str,
        user_agent: str,
        timeout_seconds: float = 20,
        on_call: Callable[[CallRecord], None] | None = None,
        max_download_bytes: int = MAX_DOWNLOAD_BYTES,
        max_unpacked_bytes: int = MAX_UNPACKED_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._http = http
        self._api_url = api_url
        self._user_agent = user_agent
        self._timeout_seconds = max(timeout_seconds, _SHORTEST_TIMEOUT_SECONDS)
        self._on_call = on_call
        self._max_download_bytes = max_download_bytes
        self._max_unpacked_bytes = max_unpacked_bytes
        self._sleep = sleep

    def put(self, address: str, content: bytes, content_type: str) -> None:
        """Put `content` at `address`. Doing it twice is doing it once, so passing faults are tried again.

        Raises AddressExpired, UntrustedAddress, RequestRefused, AmazonUnavailable or UnreadableAnswer.
        """
        if len(content) > MAX_UPLOAD_BYTES:
            raise RequestRefused(f"a document may have {MAX_UPLOAD_BYTES:,} bytes, and this one has {len(content):,}")
        self._send(UPLOAD, "PUT", address, content, content_type)

    def get(self, address: str, *, is_gzip: bool = False) -> bytes:
        """Return the file at `address`, unpacked when it is packed. Raises as `put` does."""
        content = self._send(DOWNLOAD, "GET", address, is_gzip=is_gzip).body
        return self._unpacked(content) if is_gzip and content.startswith(_GZIP_MAGIC) else content

    def _send(
        self,
        operation: str,
        method: str,
        address: str,
        content: bytes | None = None,
        content_type: str = "",
        *,
        is_gzip: bool = False,
    ) -> Reply:
        url = trusted(address, self._api_url, operation)
        headers = {"User-Agent": self._user_agent, **({"Content-Type": content_type} if content_type else {})}
        attempt = 0
        while True:
            attempt += 1
            request = self._http.build_request(method, url, content=content, headers=headers)
            reply = send(self._http, request, timeout_seconds=self._timeout_seconds, max_bytes=self._max_download_bytes)
            error = _error_of(operation, reply, is_gzip=is_gzip)
            self._record(operation, method, url, reply, error, attempt)
            if error is None:
                return reply
            if not error.is_retryable or isinstance(error, AddressExpired) or attempt >= _MAX_ATTEMPTS:
                raise error
            pause = _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1)
            self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, guards nothing

    def _unpacked(self, content: bytes) -> bytes:
        machine = zlib.decompressobj(wbits=31)
        try:
            found = machine.decompress(content, self._max_unpacked_bytes)
        except zlib.error as error:
            raise UnreadableAnswer("the document cannot be unpacked", operation=DOWNLOAD) from error
        if machine.unconsumed_tail:
            words = f"the document unpacks to more than {self._max_unpacked_bytes:,} bytes"
            raise UnreadableAnswer(words, operation=DOWNLOAD)
        if not machine.eof:
            raise UnreadableAnswer("the document ends in the middle", operation=DOWNLOAD)
        return found

    def _record(
        self, operation: str, method: str, url: httpx.URL, reply: Reply, error: AmazonError | None, attempt: int
    ) -> None:
        if self._on_call is None:
            return
        self._on_call(
            CallRecord(
                operation=operation,
                method=method,
                path=url.path,  # without the query, which is the key
                status=reply.status,
                duration_ms=reply.duration_ms,
                amazon_request_id=reply.request_id,
                is_throttled=False,
                error_code=error.code if error else "",
                error_message=error.message if error else "",
                started_at=reply.started_at or datetime.now(UTC),
                attempt=attempt,
                waited_ms=0,
                shipment_id="",
                response_excerpt=excerpts.of_answer(reply, None) if error else "",
            )
        )


def _error_of(operation: str, reply: Reply, *, is_gzip: bool) -> AmazonError | None:
    facts = {"status": reply.status, "request_id": reply.request_id, "operation": operation}
    if reply.failure in ("too_long", "unreadable"):
        return UnreadableAnswer(f"the document cannot be read: {reply.failure_text}", **facts)
    if reply.failure or reply.status is None:
        is_unknown = operation == UPLOAD and reply.failure not in NOT_SENT
        words = f"the place of Amazon's documents could not be reached: {reply.failure_text}"
        return AmazonUnavailable(words, **facts, is_outcome_unknown=is_unknown)
    if 200 <= reply.status < 300:
        if operation == UPLOAD and reply.body.strip():
            return UnreadableAnswer("the answer to an upload is a page, not Amazon's", **facts)
        # Where the store says in a header, too, that it is packed, it comes unpacked already.
        if is_gzip and not reply.body.startswith(_GZIP_MAGIC) and "content-encoding" not in reply.headers:
            return UnreadableAnswer("the document is not packed as Amazon said, so it is not Amazon's", **facts)
        return None
    if reply.status == 403:
        return AddressExpired("the address for the document has expired or was refused", code="AccessDenied", **facts)
    if reply.status >= 500 or reply.status in (408, 429):
        return AmazonUnavailable("the place of Amazon's documents has a fault of its own", **facts)
    if reply.status < 400:
        return UnreadableAnswer("Amazon sent the document's request elsewhere, which is never followed", **facts)
    return RequestRefused("the place of Amazon's documents refused the request", **facts)

"""Login with Amazon: authorization codes and refresh tokens become access tokens.

https://developer-docs.amazon.com/sp-api/docs/website-authorization-workflow (code) and
https://developer-docs.amazon.com/sp-api/docs/connecting-to-the-selling-partner-api (refresh).
"""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from flexdash.amazon.errors import (
    AmazonError,
    AmazonUnavailable,
    AppCredentialsRefused,
    AuthorizationRefused,
    Throttled,
    TokenRefused,
    UnreadableAnswer,
)
from flexdash.amazon.records import CallRecord, redacted
from flexdash.amazon.wire import NOT_SENT, Reply, retry_after, send

MAX_ATTEMPTS = 3
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_TOKEN_LENGTH = 8192
_DEFAULT_LIFE_SECONDS = 3600

_AUTHORIZATION_CODES = ("invalid_grant", "unauthorized_client", "access_denied")
_TEMPORARY_CODES = ("server_error", "temporarily_unavailable")


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What Amazon granted. `expires_in` is in seconds. `refresh_token` is what Amazon returned: store it again."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


class LoginWithAmazon:
    """Asks Amazon's token address `url` for tokens, in the name of the app `client_id`."""

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        http: httpx.Client,
        *,
        timeout_seconds: float = 20,
        user_agent: str = "FlexDash (Language=Python)",
        on_call: Callable[[CallRecord], None] | None = None,
        max_attempts: int = MAX_ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self.app_mark = hashlib.sha256(f"{client_id} {client_secret}".encode()).hexdigest()[:40]
        self._http = http
        self.timeout_seconds = timeout_seconds
        self._user_agent = user_agent
        self._on_call = on_call
        self._max_attempts = min(max_attempts, MAX_ATTEMPTS)
        self._sleep = sleep

    def exchange_code(self, code: str, redirect_uri: str) -> TokenGrant:
        """Return the tokens for the one-time `code` that Amazon's consent page handed over.

        A code works once, so it is sent again only when the first request surely never reached Amazon. Raises
        AuthorizationRefused for a code that is used, expired or foreign, and the errors of `refresh`.
        """
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        grant = self._grant("exchangeCode", form, is_repeatable=False)
        if not grant.refresh_token:
            raise UnreadableAnswer("Amazon's answer to the code holds no refresh token", operation="exchangeCode")
        return grant

    def refresh(self, refresh_token: str, before_attempt: Callable[[], None] | None = None) -> TokenGrant:
        """Return a fresh access token.

        Tried up to three times on network faults and 5xx. `before_attempt` is called before each try. Raises
        AuthorizationRefused (invalid_grant, unauthorized_client, access_denied: only a new consent helps),
        AppCredentialsRefused (invalid_client), TokenRefused (invalid_request, invalid_scope), Throttled,
        AmazonUnavailable or UnreadableAnswer.
        """
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        grant = self._grant("refreshToken", form, is_repeatable=True, before_attempt=before_attempt)
        if grant.refresh_token:
            return grant
        return TokenGrant(grant.access_token, refresh_token, grant.expires_in)

    def _grant(
        self,
        operation: str,
        form: dict[str, str],
        *,
        is_repeatable: bool,
        before_attempt: Callable[[], None] | None = None,
    ) -> TokenGrant:
        form = {**form, "client_id": self._client_id, "client_secret": self._client_secret}
        for attempt in range(1, self._max_attempts + 1):
            if before_attempt is not None:
                before_attempt()
            reply = self._ask(form)
            error = _error(operation, reply)
            grant = None
            if error is None:
                grant = _read_grant(reply)
                if grant is None:
                    error = UnreadableAnswer(
                        "Login with Amazon answered without a usable token",
                        status=reply.status,
                        request_id=reply.request_id,
                        operation=operation,
                    )
            self._record(operation, reply, error, attempt)
            if grant is not None:
                return grant
            may_repeat = error.is_retryable and (is_repeatable or reply.failure in NOT_SENT)
            if not may_repeat or attempt == self._max_attempts:
                raise error
            pause = 0.25 * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
            asked = getattr(error, "retry_after_seconds", 0.0)
            if asked > self.timeout_seconds:
                raise error
            self._sleep(max(pause, asked))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _ask(self, form: dict[str, str]) -> Reply:
        request = self._http.build_request(
            "POST", self._url, data=form, headers={"User-Agent": self._user_agent, "Accept": "application/json"}
        )
        return send(self._http, request, timeout_seconds=self.timeout_seconds, max_bytes=_MAX_ANSWER_BYTES)

    def _record(self, operation: str, reply: Reply, error: AmazonError | None, attempt: int) -> None:
        if self._on_call is None:
            return
        self._on_call(
            CallRecord(
                operation=operation,
                method="POST",
                path=urlsplit(self._url).path,
                status=reply.status,
                duration_ms=reply.duration_ms,
                amazon_request_id=reply.request_id,
                is_throttled=reply.status == 429,
                error_code=error.code if error else "",
                error_message=error.message if error else "",
                started_at=reply.started_at or datetime.now(UTC),
                attempt=attempt,
                waited_ms=0,
                shipment_id="",
                response_excerpt="",
            )
        )


def _error(operation: str, reply: Reply) -> AmazonError | None:
    """Return what is wrong with the reply, or None for an answer 200."""
    facts: dict[str, Any] = {"status": reply.status, "request_id": reply.request_id, "operation": operation}
    if reply.failure:
        return AmazonUnavailable(f"Login with Amazon could not be reached: {reply.failure_text}", **facts)
    data = reply.json()
    data = data if isinstance(data, dict) else {}
    if reply.status == 200:
        return None
    code = data.get("error")
    code = code if isinstance(code, str) else ""
    said = data.get("error_description")
    said = f": {redacted(said)}" if isinstance(said, str) and said else ""
    facts["code"] = redacted(code, 64)
    if code == "invalid_client":
        return AppCredentialsRefused(f"Amazon does not accept FlexDash's client id and secret{said}", **facts)
    if code in _AUTHORIZATION_CODES:
        return AuthorizationRefused(f"Amazon does not accept the seller's consent{said}", **facts)
    if reply.status == 429:
        return Throttled(
            "Login with Amazon is being asked too often", retry_after_seconds=retry_after(reply.headers), **facts
        )
    if reply.status >= 500 or code in _TEMPORARY_CODES:
        return AmazonUnavailable(f"Login with Amazon has a fault of its own{said}", **facts)
    if not code:
        return UnreadableAnswer("Login with Amazon answered something that is not its own form", **facts)
    return TokenRefused(f"Login with Amazon refused the request{said}", **facts)


def _read_grant(reply: Reply) -> TokenGrant | None:
    data = reply.json()
    if not isinstance(data, dict):
        return None
    access, refresh, life = (data.get(name) for name in ("access_token", "refresh_token", "expires_in"))
    if not _is_token(access):
        return None
    if isinstance(life, str) and life.isascii() and life.isdigit():
        life = int(life[:9])
    if not isinstance(life, int) or isinstance(life, bool) or life <= 0:
        life = _DEFAULT_LIFE_SECONDS
    return TokenGrant(access, refresh if _is_token(refresh) else "", life)


def _is_token(value: object) -> bool:
    """A header and a form field must be able to carry it."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_TOKEN_LENGTH and value.isascii() and value.isprintable()

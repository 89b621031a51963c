"""The access token of one authorization, shared by every thread and process through Redis.

Redis holds the token only encrypted, under a name made from a hash of the refresh token: a new authorization has a new
name, so an old token can never serve it. When the token is missing, whoever gets the lock asks Amazon and the others
wait for the result, good or bad; that Amazon refuses FlexDash's own credentials is the result of every store. The lock
ends by itself, so a holder that dies costs its waiters only that time.
"""

import hashlib
import json
import logging
import random
import secrets
import time
from collections.abc import Callable
from typing import Any, Protocol

import redis

from flexdash.amazon.errors import (
    AmazonError,
    AmazonUnavailable,
    AppCredentialsRefused,
    AuthorizationRefused,
    RedisUnavailable,
    Throttled,
    TokenRefused,
    UnreadableAnswer,
)
from flexdash.amazon.lwa import MAX_ATTEMPTS, LoginWithAmazon, TokenGrant

log = logging.getLogger(__name__)

_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_EXTEND = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
# A token is deleted only while it is still the one that was refused: 20 threads that meet the same expired token
# must not delete the fresh one the first of them fetched.
_DROP = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1], KEYS[2]) end return 0"

_RENEW_EARLY_SECONDS = 300
_RENEW_EARLY_SHARE = 0.1
_POLL_SECONDS = 0.05
_AT_HAND_SECONDS = 1.0
_NONE_AT_HAND = ("", 0.0)

# How long a failed refresh is everybody's answer: a refused authorization does not come back by asking again, a fault
# on the way might, but those who waited for this very answer share it.
_OUTCOME_SECONDS: dict[type[AmazonError], float] = {
    AuthorizationRefused: 600,
    AppCredentialsRefused: 60,  # and of every store: Amazon refuses FlexDash itself
    TokenRefused: 30,
    Throttled: 2,
    AmazonUnavailable: 1,
    UnreadableAnswer: 1,
}
_OUTCOMES = {kind.__name__: kind for kind in _OUTCOME_SECONDS}


class Cipher(Protocol):
    """What encrypts the token in Redis: `flexdash.vault.Vault`, or anything of this shape."""

    def encrypt(self, text: str) -> bytes:
        """Return `text` encrypted."""

    def decrypt(self, token: bytes) -> str:
        """Return the text behind `token`, raising anything when it cannot."""


class AccessTokens:
    """Hands out the access token that belongs to `refresh_token`.

    `on_new_refresh_token` is called when Amazon returns another refresh token than it was asked with.
    """

    def __init__(
        self,
        redis_client: redis.Redis,
        cipher: Cipher,
        lwa: LoginWithAmazon,
        refresh_token: str,
        *,
        on_new_refresh_token: Callable[[str], None] | None = None,
        prefix: str = "flexdash:amazon:token",
        sleep: Callable[[float], None] = time.sleep,
        lock_seconds: float | None = None,
    ) -> None:
        self._redis = redis_client
        self._cipher = cipher
        self._lwa = lwa
        self._refresh_token = refresh_token
        self._on_new_refresh_token = on_new_refresh_token
        self._sleep = sleep
        self._at_hand = _NONE_AT_HAND  # one tuple, so that threads see token and time of the same moment
        self._lock_seconds = lock_seconds or lwa.timeout_seconds + 10
        name = hashlib.sha256(refresh_token.encode()).hexdigest()[:40]
        # Named after the secret too: once that is corrected, nothing is left of the refusal.
        self._app_failure_key = f"{prefix}:app:{lwa.app_mark}:failure"
        self._token_key, self._mark_key, self._lock_key, self._failure_key = (
            f"{prefix}:{name}:{part}" for part in ("token", "mark", "lock", "failure")
        )

    def get(self) -> str:
        """Return an access token that lives at least as long as a request takes, fetching one when needed.

        What Redis has is asked for once a second: a push makes hundreds of calls in that time.

        Raises what `LoginWithAmazon.refresh` raises, and AmazonUnavailable when Redis cannot be reached or the token
        is still being fetched by someone else after a long wait.
        """
        token, until = self._at_hand
        return token if time.monotonic() < until else self._shared()

    def renew(self, refused_token: str) -> str:
        """Return another token after Amazon refused this one. Many callers with the same one cause one refresh."""
        try:
            self._redis.eval(_DROP, 2, self._mark_key, self._token_key, _mark(refused_token))
        except redis.RedisError as error:
            raise RedisUnavailable(
                "Redis, which holds the access token, cannot be reached", operation="refreshToken"
            ) from error
        # Not what is at hand: another thread may just have put the refused one there.
        return self._shared()

    def forget(self) -> None:
        """Delete the token and what is remembered of a failure, as when a store is disconnected or reconnected."""
        self._at_hand = _NONE_AT_HAND
        self._redis.delete(self._token_key, self._mark_key, self._failure_key)

    def _shared(self) -> str:
        try:
            token = self._cached() or self._fetched()
        except redis.RedisError as error:
            raise RedisUnavailable(
                "Redis, which holds the access token, cannot be reached; nothing was sent", operation="refreshToken"
            ) from error
        self._at_hand = token, time.monotonic() + _AT_HAND_SECONDS
        return token

    def _cached(self) -> str | None:
        kept = self._redis.get(self._token_key)
        if kept is None:
            return None
        try:
            return self._cipher.decrypt(kept if isinstance(kept, bytes) else kept.encode())
        except Exception:  # the cipher's own error types are not known here
            log.warning("the access token in Redis cannot be decrypted; fetching a new one")
            return None

    def _fetched(self) -> str:
        deadline = time.monotonic() + MAX_ATTEMPTS * self._lock_seconds
        holder = secrets.token_hex(16)
        while True:
            self._raise_known_failure()
            if self._redis.set(self._lock_key, holder, nx=True, px=int(self._lock_seconds * 1000)):
                try:
                    # Someone may have finished between our look and our lock.
                    return self._cached() or self._refreshed(holder)
                finally:
                    self._redis.eval(_RELEASE, 1, self._lock_key, holder)
            if time.monotonic() > deadline:
                raise AmazonUnavailable("the access token is still being fetched elsewhere", operation="refreshToken")
            self._sleep(_POLL_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads pollers, guards nothing
            if token := self._cached():
                return token

    def _refreshed(self, holder: str) -> str:
        self._raise_known_failure()

        def keep_lock() -> None:
            self._redis.eval(_EXTEND, 1, self._lock_key, holder, int(self._lock_seconds * 1000))

        try:
            grant = self._lwa.refresh(self._refresh_token, keep_lock)
        except AmazonError as error:
            self._share_failure(error)
            raise
        self._store(grant)
        if grant.refresh_token != self._refresh_token and self._on_new_refresh_token is not None:
            self._on_new_refresh_token(grant.refresh_token)
        return grant.access_token

    def _store(self, grant: TokenGrant) -> None:
        early = min(_RENEW_EARLY_SECONDS, grant.expires_in * _RENEW_EARLY_SHARE)
        life_ms = max(1, int((grant.expires_in - early) * 1000))
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self._token_key, self._cipher.encrypt(grant.access_token), px=life_ms)
            pipe.set(self._mark_key, _mark(grant.access_token), px=life_ms)
            pipe.delete(self._failure_key)
            pipe.execute()

    def _share_failure(self, error: AmazonError) -> None:
        kind = next((known for known in _OUTCOME_SECONDS if isinstance(error, known)), None)
        if kind is None:
            return
        facts = {"code": error.code, "status": error.status, "request_id": error.request_id}
        outcome = json.dumps({"kind": kind.__name__, "message": error.message, **facts})
        key = self._app_failure_key if kind is AppCredentialsRefused else self._failure_key
        self._redis.set(key, outcome, px=int(_OUTCOME_SECONDS[kind] * 1000))

    def _raise_known_failure(self) -> None:
        known = [kept for kept in self._redis.mget(self._app_failure_key, self._failure_key) if kept is not None]
        if not known:
            return
        outcome: dict[str, Any] = json.loads(known[0])
        raise _OUTCOMES[outcome["kind"]](
            outcome["message"],
            code=outcome["code"],
            status=outcome["status"],
            request_id=outcome["request_id"],
            operation="refreshToken",
        )


def _mark(token: str) -> str:
    """Tells tokens apart in Redis without giving them away."""
    return hashlib.sha256(token.encode()).hexdigest()

"""The connections to Amazon: one pool that a process has, and pools for threads that make very many calls."""

import logging
import os
import ssl
import threading
from functools import cache
from typing import Any

import httpx

_lock = threading.Lock()
_pool: httpx.Client | None = None

_MAX_CONNECTIONS = 64
_MAX_IDLE_CONNECTIONS = 16
_IDLE_SECONDS = 10
_CONNECT_SECONDS = 10


class _NoCookies(httpx.Cookies):
    """Keeps none: an API has no use for them, and looking for them costs a tenth of a call."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Look for nothing."""


class _Pool(httpx.Client):
    @property
    def cookies(self) -> httpx.Cookies:
        """What is sent along: nothing, ever."""
        return _NO_COOKIES


_NO_COOKIES = _NoCookies()


def new_pool(timeout_seconds: float = 20, *, max_connections: int = _MAX_CONNECTIONS) -> httpx.Client:
    """Return a client that keeps connections open, never follows a redirect and never uses a proxy for this machine.

    `timeout_seconds` bounds each wait for the network.
    """
    # httpx logs whole addresses at INFO, query strings included, and httpcore logs headers at DEBUG.
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
    return _Pool(
        verify=_certificates(),
        timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
        limits=httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=min(_MAX_IDLE_CONNECTIONS, max_connections),
            keepalive_expiry=_IDLE_SECONDS,
        ),
        follow_redirects=False,
        mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
    )


class PoolPerThread:
    """A pool of one connection for each thread that uses it; it can stand where a client of httpx is asked for.

    In a pool that many threads share, each call looks at all connections, which costs as much as the call itself once
    there are some. `close` ends all of them.
    """

    def __init__(self, timeout_seconds: float = 20) -> None:
        self._timeout_seconds = timeout_seconds
        self._own = threading.local()
        self._lock = threading.Lock()
        self._made: list[httpx.Client] = []

    def build_request(self, method: str, url: httpx.URL | str, **parts: Any) -> httpx.Request:
        """Return a request, as httpx makes it."""
        return self._pool().build_request(method, url, **parts)

    def send(self, request: httpx.Request, **ways: Any) -> httpx.Response:
        """Send `request` on the connection of this thread."""
        return self._pool().send(request, **ways)

    def close(self) -> None:
        """Close the connections of all threads; none of them may be in use."""
        with self._lock:
            made, self._made = self._made, []
        for pool in made:
            pool.close()

    def _pool(self) -> httpx.Client:
        pool = getattr(self._own, "pool", None)
        if pool is None:
            pool = self._own.pool = new_pool(self._timeout_seconds, max_connections=1)
            with self._lock:
                self._made.append(pool)
        return pool


@cache
def _certificates() -> ssl.SSLContext:
    # Loading them takes twenty milliseconds, and all pools may share them.
    return httpx.create_ssl_context()


def shared_pool() -> httpx.Client:
    """Return this process's pool, made at first use."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = new_pool()
        return _pool


def _forget_after_fork() -> None:
    # A forked worker must not talk over its parent's sockets. The parent's client is dropped, not closed: closing would
    # end the parent's TLS sessions. The lock may have been held by a thread that the child does not have.
    global _lock, _pool
    _lock = threading.Lock()
    _pool = None


os.register_at_fork(after_in_child=_forget_after_fork)

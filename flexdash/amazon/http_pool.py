"""The one pool of connections to Amazon that a process has."""

import logging
import os
import threading

import httpx

_lock = threading.Lock()
_pool: httpx.Client | None = None

_MAX_CONNECTIONS = 64
_MAX_IDLE_CONNECTIONS = 16
_IDLE_SECONDS = 10
_CONNECT_SECONDS = 10


def new_pool(timeout_seconds: float = 20, *, max_connections: int = _MAX_CONNECTIONS) -> httpx.Client:
    """Return a client that keeps connections open, never follows a redirect and never uses a proxy for this machine.

    `timeout_seconds` bounds each wait for the network; the transport bounds a whole call.
    """
    # httpx logs whole addresses at INFO, query strings included, and httpcore logs headers at DEBUG.
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
    return httpx.Client(
        timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
        limits=httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=min(_MAX_IDLE_CONNECTIONS, max_connections),
            keepalive_expiry=_IDLE_SECONDS,
        ),
        follow_redirects=False,
        mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
    )


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

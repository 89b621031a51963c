"""Whether the banner about Redis belongs on the page."""

import threading
import time

import redis
from flask import current_app

_REDIS_ANSWER_SECONDS = 0.3
_REDIS_BELIEVED_SECONDS = 5.0


class RedisWatch:
    """Knows whether Redis answers, asking at most every few seconds and never waiting long: pages must still read."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(
            url, socket_timeout=_REDIS_ANSWER_SECONDS, socket_connect_timeout=_REDIS_ANSWER_SECONDS, retry=None
        )
        self._lock = threading.Lock()
        self._is_away = False
        self._asked_at = float("-inf")

    def is_away(self) -> bool:
        """Return True when Redis did not answer the last time it was asked."""
        if time.monotonic() - self._asked_at < _REDIS_BELIEVED_SECONDS or not self._lock.acquire(blocking=False):
            return self._is_away
        try:
            self._is_away = not self._answers()
            self._asked_at = time.monotonic()
            return self._is_away
        finally:
            self._lock.release()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


def redis_is_away() -> bool:
    """Say whether the banner about Redis belongs on the page."""
    return current_app.extensions["flexdash_redis_watch"].is_away()


def quick_redis() -> redis.Redis:
    """Return a client that gives up on Redis after a moment, for what a page only shows."""
    return current_app.extensions["flexdash_redis_watch"].client

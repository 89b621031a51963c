"""How often one person may ask for what costs much: an answer that may call Amazon, a pack gathered from everything."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from flask import request
from flask_login import current_user

from flexdash import clock
from flexdash.extensions import limiter, redis_client, settings

ANSWER_SECONDS = 30  # longer than any answer takes; one whose process died holds its person up for no longer
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class StillAnswering(Exception):
    """Another answer for the same person is under way."""


def _person() -> str:
    return f"person:{current_user.get_id()}"


def _asks_nothing() -> bool:
    return request.blueprint == "help" and "q" not in request.args  # the page with its empty form


lookups = limiter.shared_limit(
    lambda: settings.lookup_limit, scope="lookups", key_func=_person, exempt_when=_asks_nothing
)
"""Decorates views that count as a look-up: together one person has `settings.lookup_limit` of them."""


def seconds_to_wait() -> int:
    """Return in how many seconds the limit that refused this request takes the next one."""
    limit = limiter.current_limit
    return max(1, round(limit.reset_at - clock.now().timestamp())) if limit else 60


@contextmanager
def one_answer_at_a_time() -> Iterator[None]:
    """Let the person have no other answer meanwhile; raises StillAnswering while there is one.

    Each can wait for Amazon for some seconds with a thread of the web server. While Redis is away all are let through.
    """
    key, token, is_held = f"flexdash:answering:{_person()}", secrets.token_hex(8), False
    with suppress(redis.RedisError):
        is_held = bool(redis_client.set(key, token, nx=True, ex=ANSWER_SECONDS))
        if not is_held:
            raise StillAnswering
    try:
        yield
    finally:
        if is_held:
            with suppress(redis.RedisError):  # the key then ends by itself
                redis_client.eval(_RELEASE, 1, key, token)  # ours alone: after a long answer it can be the next one's

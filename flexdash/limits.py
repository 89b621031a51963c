"""How often one person may ask for what costs much: an answer that may call Amazon, a pack gathered from everything."""

from flask import request
from flask_login import current_user

from flexdash import clock
from flexdash.extensions import limiter, settings


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

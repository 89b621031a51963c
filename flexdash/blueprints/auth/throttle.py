"""The throttle of passwords: every attempt counts before the password is looked at, and only wrong ones stay counted.

Counted afterwards, attempts that come at the same moment would all find room and be more than the limit allows.
"""

from contextlib import suppress

import redis
from flask import g
from werkzeug.wrappers import Response

from flexdash.blueprints.auth import blueprint
from flexdash.extensions import limiter, settings


def attempts() -> str:
    """Return how often a password may be tried."""
    return settings.sign_in_attempts


def has_failed() -> None:
    """Let this request's attempt stay counted: the password was wrong."""
    g.password_failed = True


@blueprint.after_request
def _give_back(response: Response) -> Response:
    """Take back what was no wrong password: a team behind one address is not held up by signing in."""
    if not g.get("password_failed"):
        with suppress(redis.RedisError):  # it then counts until its minute is over
            for counted in limiter.current_limits:
                limiter.limiter.hit(counted.limit, *counted.request_args, cost=-1)
    return response

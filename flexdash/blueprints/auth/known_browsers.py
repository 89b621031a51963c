"""Browsers in which a person has signed in before: whoever guesses at the password elsewhere does not lock them out.

Such a browser keeps a cookie that we signed, and its attempts for that person's e-mail count apart. Who steals the
cookie gains attempts of its own, as few as anybody has, and no way in.
"""

import secrets

from flask import current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response

KEPT_SECONDS = 365 * 24 * 3600


def remember(response: Response, email_key: str) -> None:
    """Let the browser that gets `response` be known from now on as one of the person with this throttle key."""
    response.set_cookie(
        _cookie_name(),
        _signer().dumps([email_key, secrets.token_urlsafe(12)]),
        max_age=KEPT_SECONDS,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )


def key_of(email_key: str) -> str:
    """Return the throttle key of this browser's attempts for the e-mail of `email_key`: its own where it is known."""
    try:
        known_key, browser = _signer().loads(request.cookies.get(_cookie_name(), ""), max_age=KEPT_SECONDS)
    except (BadSignature, ValueError, TypeError):
        return email_key
    return f"{email_key}:{browser}" if known_key == email_key else email_key


def _cookie_name() -> str:
    return "__Host-known" if current_app.config["SESSION_COOKIE_SECURE"] else "known"


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="known browser")

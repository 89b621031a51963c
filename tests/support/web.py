"""A test client that is to the app what a browser is: apart from the test, with cookies and a CSRF token."""

import contextvars
import hashlib
import html
import os
import re
from importlib.metadata import version
from typing import Any

from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from flexdash.blueprints.auth.loader import TOKEN_KEY
from flexdash.extensions import db
from flexdash.models import User
from flexdash.services import sign_in as sign_ins
from tests.factories import PASSWORD


class SeparateClient(FlaskClient):
    """Runs each request in a context of its own, with its own session and `g`, as a server would.

    The test's own objects are expired afterwards, so they show what the request changed. Rows the test has added and
    not committed would be invisible to the request; that is refused. A form that is posted gets a valid CSRF token
    unless it has one or `with_csrf_token=False` is given.
    """

    def open(self, *args: Any, with_csrf_token: bool = True, **kwargs: Any) -> TestResponse:
        """Make the request, as Werkzeug's client does."""
        if db.session.new or db.session.dirty or db.session.deleted:
            raise AssertionError("commit first: the request would not see what this test has changed")
        db.session.rollback()
        kwargs.setdefault("buffered", True)
        if with_csrf_token and kwargs.get("method") in {"POST", "PUT", "PATCH", "DELETE"} and "json" not in kwargs:
            kwargs["data"] = self._with_csrf_token(kwargs.get("data"))
        try:
            return contextvars.Context().run(super().open, *args, **kwargs)
        finally:
            db.session.rollback()
            db.session.expire_all()

    def _with_csrf_token(self, data: Any) -> Any:
        if data is None:
            data = {}
        if not isinstance(data, dict | MultiDict) or "csrf_token" in data:
            return data
        with_token = data.copy()
        with_token["csrf_token"] = contextvars.Context().run(self._make_csrf_token)
        return with_token

    def _make_csrf_token(self) -> str:
        """Return the token a page of this browser's session would carry, made as Flask-WTF makes it."""
        with self.session_transaction() as session:
            raw = session.setdefault("csrf_token", hashlib.sha1(os.urandom(64)).hexdigest())
        return URLSafeTimedSerializer(self.application.secret_key, salt="wtf-csrf-token").dumps(raw)


def sign_in(client: FlaskClient, user: User, password: str = PASSWORD) -> FlaskClient:
    """Sign `user` in on `client`, and return the client.

    Hundreds of tests begin with it, so it does what the sign-in page does without drawing and throttling it;
    tests/blueprints/test_auth.py goes through the page.
    """
    email = user.email
    db.session.rollback()
    contextvars.Context().run(_begin_session, client, email, password)
    db.session.expire_all()
    return client


def _begin_session(client: FlaskClient, email: str, password: str) -> None:
    with client.application.app_context(), client.session_transaction() as session:
        token = sign_ins.begin(
            email,
            password,
            address="127.0.0.1",
            user_agent=f"Werkzeug/{version('werkzeug')}",
            previous_token=session.get(TOKEN_KEY),
        )
        session.clear()
        session[TOKEN_KEY] = token


def words(page: TestResponse | str) -> str:
    """Return what a page, or a piece of one, says: its text in one line, without markup, scripts and styles."""
    text = page if isinstance(page, str) else page.text
    return " ".join(html.unescape(re.sub(r"(?s)<(style|script).*?</\1>|<[^>]+>", " ", text)).split())

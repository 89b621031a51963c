"""What every answer tells the browser it may do: FlexDash's own policy, wherever an answer comes from."""

from dataclasses import replace

import pytest
from flask import Flask

from flexdash.models import Role
from tests.factories import make_user

POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
OTHERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
ANSWERS = {
    "/orders": (200, "text/html"),
    "/configuration-log.csv": (200, "text/csv"),
    "/no/such/page": (404, "text/html"),
    "/static/css/theme.css": (200, "text/css"),
    "/bootstrap/static/css/bootstrap.min.css": (200, "text/css"),
}


@pytest.mark.parametrize("environment_name", ["testing", "production"])
def test_every_answer_carries_the_whole_policy(
    app: Flask, workspace, signed_in, monkeypatch: pytest.MonkeyPatch, environment_name: str
) -> None:
    client = signed_in(make_user(workspace, Role.ADMIN))
    settings = replace(app.config["SETTINGS"], flexdash_env=environment_name)
    monkeypatch.setitem(app.config, "SETTINGS", settings)
    for path, expected in ANSWERS.items():
        answer = client.get(path)
        assert (answer.status_code, answer.mimetype) == expected
        [policy] = answer.headers.getlist("Content-Security-Policy")
        told = [directive.split() for directive in policy.split(";")]
        assert {name: sources for name, *sources in told} == POLICY, path
        assert len(told) == len(POLICY), "of a directive that stands there twice browsers take the first"
        assert {name: answer.headers.get(name) for name in OTHERS} == OTHERS, path
        is_https_kept = answer.headers.get("Strict-Transport-Security") == "max-age=31536000"
        assert is_https_kept == (environment_name == "production"), path

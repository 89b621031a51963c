"""Every refusal, fault and absence is a page for people, with its status, and tells nothing it should not."""

import re
from collections.abc import Callable, Iterator

import pytest
import redis
from flask import Flask, abort, jsonify
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from config import Settings
from flexdash import create_app
from flexdash.blueprints.guard import public
from flexdash.extensions import db
from flexdash.models import Role
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, NotAllowed, NotVisible
from flexdash.vault import UnreadableSecret
from tests.factories import make_user, make_workspace
from tests.support.web import SeparateClient

SECRET = "a secret of the inside"
RAISED: dict[str, Callable[[], object]] = {
    "fault": lambda: {}[SECRET],
    "traceback": lambda: _raise(RuntimeError("refused Atza|canary0123456 of canary@company.example")),
    "not-visible": lambda: _raise(NotVisible("order")),
    "not-allowed": lambda: _raise(NotAllowed("Only admins may do this.")),
    "changed": lambda: _raise(ChangedMeanwhile("Asha changed this store a moment ago.")),
    "field": lambda: _raise(FieldRefused("name", "This name is taken.")),
    "database": lambda: _raise(OperationalError("SELECT 1", {}, Exception(f"server closed the connection {SECRET}"))),
    "no-connection": lambda: _raise(PoolTimeout("QueuePool limit")),
    "no-table": lambda: _raise(OperationalError("SELECT 1", {}, Exception("no such table: nothing"))),
    "key-missing": lambda: _raise(UnreadableSecret(SECRET)),
    "redis": lambda: _raise(redis.ConnectionError(SECRET)),
    **{str(code): (lambda code=code: abort(code)) for code in (400, 401, 403, 404, 409, 413, 415, 429, 500, 502, 503)},
}


def _raise(error: Exception) -> None:
    raise error


@pytest.fixture(scope="module")
def faulty_app(settings: Settings, database, redis_server) -> Flask:
    """An app of its own with one address per fault; the tested app keeps its routes to itself."""
    app = create_app(settings)
    app.test_client_class = SeparateClient
    app.config["PROPAGATE_EXCEPTIONS"] = False

    @app.get("/fail/<name>")
    @public
    def fail(name: str) -> object:
        return RAISED[name]()

    @app.post("/only-by-post")
    @public
    def only_by_post() -> object:
        return jsonify(done=True)

    return app


@pytest.fixture
def client(app, faulty_app) -> Iterator[FlaskClient]:
    """A browser on the faulty app; `app` gives and clears the database."""
    yield faulty_app.test_client()
    with faulty_app.app_context():
        db.session.remove()
        db.engine.dispose()  # the database file is exchanged between tests


@pytest.mark.parametrize(
    ("name", "status", "title"),
    [
        ("400", 400, "The request could not be read"),
        ("401", 401, "Sign in first"),
        ("403", 403, "Your role does not include this"),
        ("404", 404, "Page not found"),
        ("409", 409, "That cannot be done now"),
        ("413", 413, "That was too large"),
        ("415", 415, "That did not work"),
        ("429", 429, "Too many attempts"),
        ("500", 500, "Something went wrong in FlexDash"),
        ("502", 502, "Something went wrong in FlexDash"),
        ("503", 503, "FlexDash cannot reach its database"),
        ("fault", 500, "Something went wrong in FlexDash"),
        ("not-visible", 404, "Page not found"),
        ("not-allowed", 403, "Only admins may do this."),
        ("changed", 409, "Asha changed this store a moment ago."),
        ("field", 409, "This name is taken."),
        ("database", 503, "FlexDash cannot reach its database"),
        ("no-connection", 503, "FlexDash cannot reach its database"),
        ("no-table", 500, "Something went wrong in FlexDash"),
        ("redis", 503, "FlexDash cannot reach Redis"),
        ("key-missing", 503, "put the key back into ENCRYPTION_KEYS"),
    ],
)
def test_each_failure_has_its_page(client: FlaskClient, name: str, status: int, title: str) -> None:
    answer = client.get(f"/fail/{name}")
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert title in answer.text
    assert "<main" in answer.text
    assert "Traceback" not in answer.text
    assert SECRET not in answer.text
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("name", ["fault", "database", "redis", "key-missing"])
def test_a_fault_shows_the_reference_that_is_logged(client: FlaskClient, name: str) -> None:
    with capture_logs() as lines:
        answer = client.get(f"/fail/{name}")
    [reference] = {line["reference"] for line in lines if "reference" in line}
    assert f">{reference}</strong>" in answer.text
    assert reference == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("name", [name for name in RAISED if name not in ("no-table", "traceback")])
def test_the_reference_of_every_error_page_leads_to_its_line_in_the_log(client: FlaskClient, log_lines, name) -> None:
    lines = log_lines()
    answer = client.get(f"/fail/{name}")
    [reference] = re.findall(r'class="code">([0-9a-f]{16})<', answer.text)
    found = [line for line in lines() if line.get("request_id") == reference]
    assert len(found) >= 2  # what happened, and the request itself
    assert (found[-1]["path"], found[-1]["status"]) == (f"/fail/{name}", answer.status_code)


def test_the_reference_of_a_fault_leads_to_its_traceback_without_secrets(client: FlaskClient, log_lines) -> None:
    lines = log_lines()
    answer = client.get("/fail/traceback")
    assert answer.status_code == 500
    [reference] = re.findall(r'class="code">([0-9a-f]{16})<', answer.text)
    [line] = [line for line in lines() if line.get("reference") == reference]
    assert "Traceback (most recent call last)" in line["exception"]
    assert "RuntimeError: refused Atza[hidden]" in line["exception"] or "[hidden]" in line["exception"]
    assert "canary" not in str(lines())


def test_a_given_request_id_is_the_reference(client: FlaskClient) -> None:
    answer = client.get("/fail/fault", headers={"X-Request-Id": "from-the-proxy-1"})
    assert ">from-the-proxy-1</strong>" in answer.text


def test_a_missing_database_says_when_to_come_back(client: FlaskClient) -> None:
    assert client.get("/fail/database").headers["Retry-After"] == "30"


def test_a_wrong_method_says_which_is_right(client: FlaskClient) -> None:
    answer = client.get("/only-by-post")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert "cannot be used that way" in answer.text


@pytest.mark.parametrize("token", [None, "made-up"])
def test_a_form_without_its_token_is_refused_in_plain_words(client: FlaskClient, token: str | None) -> None:
    answer = client.post("/only-by-post", data={"csrf_token": token} if token else {}, with_csrf_token=False)
    assert answer.status_code == 400
    assert "This form is no longer valid" in answer.text
    assert "Nothing was changed." in answer.text


def test_a_body_beyond_the_limit_is_refused(client: FlaskClient, settings: Settings) -> None:
    answer = client.post("/only-by-post", data={"text": "x" * (settings.max_body_bytes + 1)})
    assert answer.status_code == 413
    assert "That was too large" in answer.text


def test_a_signed_in_person_keeps_the_menu(app, signed_in) -> None:
    answer = signed_in(make_user(make_workspace("Northwind"), Role.SUPPORT)).get("/no/such/page")
    assert answer.status_code == 404
    assert "Northwind" in answer.text
    assert 'aria-label="Main"' in answer.text


def test_a_stranger_sees_the_page_without_the_menu(client: FlaskClient) -> None:
    answer = client.get("/no/such/page")
    assert answer.status_code == 404
    assert 'aria-label="Main"' not in answer.text


def test_pages_answer_503_when_the_database_is_gone(app, signed_in, monkeypatch) -> None:
    browser = signed_in(make_user(make_workspace()))

    def away(*_arguments: object, **_values: object) -> None:
        raise OperationalError("SELECT", {}, Exception("could not connect to server"))

    monkeypatch.setattr("sqlalchemy.orm.session.Session.execute", away)
    monkeypatch.setattr("sqlalchemy.orm.session.Session.scalars", away)
    monkeypatch.setattr("sqlalchemy.orm.session.Session.get", away)
    for path in ("/", "/no/such/page"):
        answer = browser.get(path)
        assert answer.status_code in (503, 404)
        assert "<main" in answer.text
    assert browser.get("/").status_code == 503

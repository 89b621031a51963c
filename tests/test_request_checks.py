"""What is refused before any page looks at it, and what an installation behind https gets along with."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from flexdash import create_app
from flexdash.extensions import db
from tests.factories import PASSWORD, make_user, make_workspace
from tests.support.web import SeparateClient

HTTPS = "https://flexdash.company.example"


@pytest.fixture
def https_client(app, settings):
    """A browser on the same installation as it is behind a proxy that speaks https."""
    behind_proxy = create_app(replace(settings, public_url=HTTPS, trusted_proxies=1))
    behind_proxy.test_client_class = SeparateClient
    yield behind_proxy.test_client()
    with behind_proxy.app_context():
        db.session.remove()
        db.engine.dispose()  # the database file is exchanged between tests


def test_people_can_sign_in_behind_https_though_no_browser_sends_a_referer(https_client) -> None:
    user = make_user(make_workspace())
    way = {"base_url": HTTPS, "headers": {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}}
    token = re.search(r'name="csrf_token" value="([^"]+)"', https_client.get("/sign-in", **way).text)[1]
    form = {"email": user.email, "password": PASSWORD, "csrf_token": token}
    answer = https_client.post("/sign-in", data=form, **way)
    assert answer.status_code == 303
    cookies = answer.headers.getlist("Set-Cookie")
    assert sorted(cookie.partition("=")[0] for cookie in cookies) == ["__Host-known", "__Host-session"]
    assert all("; Secure; HttpOnly; Path=/; SameSite=Lax" in cookie for cookie in cookies)
    assert not any("Domain" in cookie for cookie in cookies)


@pytest.mark.parametrize("body", [{"email": 5, "password": "x"}, [1, 2], {"email": {"a": 1}}, "text"])
def test_json_is_refused_before_it_gets_into_a_form(client, body) -> None:
    assert client.post("/sign-in", json=body).status_code == 415


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_trial_on_this_machine_answers_to_no_other_name(client, host) -> None:
    answer = client.get("/sign-in", headers={"Host": host})
    assert answer.status_code == 403
    assert "for this machine only" in answer.text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_a_trial_on_this_machine_answers_to_its_own_names(client, host) -> None:
    assert client.get("/sign-in", headers={"Host": host}).status_code == 200


def test_what_other_machines_reach_is_not_bound_to_names(app, settings) -> None:
    reachable = create_app(replace(settings, bind_address="192.0.2.1", secret_key="x" * 40))
    assert reachable.test_client().get("/healthz", headers={"Host": "10.0.0.7"}).status_code == 200


def test_the_name_in_public_url_is_one_of_them(https_client) -> None:
    assert https_client.get("/sign-in", headers={"Host": urlsplit(HTTPS).netloc}).status_code == 200

"""Sign-in, sign-out and the account pages, as a browser meets them."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
import time_machine
from sqlalchemy import select

from flexdash import clock
from flexdash.blueprints.auth.browsers import browser_name
from flexdash.extensions import db, limiter
from flexdash.models import ConfigEvent, UserSession
from flexdash.services import passwords
from tests.factories import PASSWORD, make_user, make_workspace
from tests.support.web import sign_in

NEW = "correct horse battery staple"


@pytest.fixture
def ravi(app):
    limiter.reset()
    return make_user(make_workspace(), name="Ravi", email="ravi@company.example")


def try_password(client, password, email="ravi@company.example", **more):
    return client.post("/sign-in", data={"email": email, "password": password}, **more)


def test_the_sign_in_page_is_open_to_all(client, app):
    page = client.get("/sign-in")
    assert page.status_code == 200
    assert ">Password</label>" in page.text


def test_signing_in_leads_home_and_sets_a_careful_cookie(client, ravi):
    answer = try_password(client, PASSWORD)
    assert (answer.status_code, answer.location) == (303, "/")
    cookie = next(cookie for cookie in answer.headers.getlist("Set-Cookie") if cookie.startswith("session="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # the tested app is served over http; with https in PUBLIC_URL it is there
    assert client.get("/account").status_code == 200


def test_the_session_is_another_one_after_signing_in(client, ravi):
    client.get("/sign-in")
    with client.session_transaction() as session:
        session["planted"] = "by someone else"
        before = session["csrf_token"]
    try_password(client, PASSWORD)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != before


def test_unknown_email_and_wrong_password_look_the_same(client, ravi):
    wrong = try_password(client, "not-his-password")
    unknown = try_password(client, "not-his-password", "nobody@company.example")
    assert wrong.status_code == unknown.status_code == 422
    assert "is not right" in wrong.text
    assert wrong.text.replace("ravi@", "nobody@").split("csrf_token")[0] == unknown.text.split("csrf_token")[0]
    assert "not-his-password" not in wrong.text
    assert 'value="ravi@company.example"' in wrong.text


def test_empty_fields_are_named(client, app):
    page = try_password(client, "", "")
    assert page.status_code == 422
    assert "Give the e-mail you sign in with." in page.text
    assert "Give your password." in page.text


def test_a_page_asked_for_comes_after_signing_in(client, ravi):
    sent_away = client.get("/account/password?from=mail")
    assert sent_away.status_code == 302
    assert parse_qs(urlsplit(sent_away.location).query)["next"] == ["/account/password?from=mail"]
    assert "Sign in to open this page." in client.get(sent_away.location).text
    answer = client.post(sent_away.location, data={"email": "ravi@company.example", "password": PASSWORD})
    assert answer.location == "/account/password?from=mail"


def test_what_only_takes_a_form_is_not_gone_back_to(client, app):
    assert "next" not in client.post("/orders/saved").location


def test_a_script_gets_401_instead_of_a_page(client, app):
    assert client.get("/account", headers={"Sec-Fetch-Dest": "empty"}).status_code == 401


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "/" + "x" * 3000,
        "",
    ],
)
def test_next_never_leads_to_another_site(client, ravi, target):
    answer = client.post(
        "/sign-in", query_string={"next": target}, data={"email": "ravi@company.example", "password": PASSWORD}
    )
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/sign-in", query_string={"next": target}).location == "/"


def test_guessing_one_account_is_slowed_down_wherever_it_comes_from(client, ravi):
    for n in range(5):
        assert try_password(client, "wrong", environ_base={"REMOTE_ADDR": f"192.0.2.{n}"}).status_code == 422
    page = try_password(client, PASSWORD, environ_base={"REMOTE_ADDR": "192.0.2.99"})
    assert page.status_code == 429
    assert "Try again in 1 minute." in page.text
    assert 0 < int(page.headers["Retry-After"]) <= 61


def test_guessing_many_accounts_from_one_address_is_slowed_down(client, ravi):
    for n in range(5):
        assert try_password(client, "wrong", f"person{n}@company.example").status_code == 422
    assert try_password(client, PASSWORD).status_code == 429
    assert try_password(client, PASSWORD, environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 303


def test_guesses_at_the_same_moment_get_no_more_looks_than_one_after_the_other(app, ravi, monkeypatch):
    n_together, n_looked_at, all_there = 12, 0, threading.Event()
    counting = threading.Lock()

    def look(_hash, _password):
        nonlocal n_looked_at
        with counting:
            n_looked_at += 1
        all_there.wait(2)  # no answer, and no count, before every guess has come in
        return False

    monkeypatch.setattr(passwords, "verify", look)
    answers = []

    def guess():
        with app.app_context():
            answers.append(try_password(app.test_client(), "wrong").status_code)
        if answers.count(429) == n_together - 5:
            all_there.set()

    guesses = [threading.Thread(target=guess) for _ in range(n_together)]
    for thread in guesses:
        thread.start()
    for thread in guesses:
        thread.join()
    assert n_looked_at == 5
    assert sorted(answers) == [422] * 5 + [429] * 7


def test_what_was_no_wrong_password_does_not_count(app, ravi):
    for _ in range(8):
        assert try_password(app.test_client(), "").status_code == 422
    for _ in range(4):
        assert try_password(app.test_client(), "wrong").status_code == 422
    for _ in range(3):
        assert try_password(app.test_client(), PASSWORD).status_code == 303
    assert [try_password(app.test_client(), "wrong").status_code for _ in range(3)] == [422, 429, 429]


def test_refused_guesses_at_one_account_do_not_lock_their_address_out_of_others(app, ravi):
    for n in range(10):
        try_password(app.test_client(), "wrong", environ_base={"REMOTE_ADDR": f"192.0.2.{n % 5}"})
    other = make_user(ravi.workspace, email="asha@company.example")
    for n in range(5):
        address = {"REMOTE_ADDR": f"192.0.2.{n}"}
        assert try_password(app.test_client(), PASSWORD, other.email, environ_base=address).status_code == 303


def test_signing_in_well_does_not_use_up_attempts(app, ravi):
    for _ in range(8):
        assert try_password(app.test_client(), PASSWORD).status_code == 303


def test_strangers_lock_nobody_out_of_a_browser_that_signed_in_before(app, ravi):
    def of(n: int) -> dict[str, str]:
        return {"REMOTE_ADDR": f"192.0.2.{n}"}

    ravis, thief = app.test_client(), app.test_client()
    assert try_password(ravis, PASSWORD, environ_base=of(1)).status_code == 303
    ravis.post("/sign-out")
    guesses = [try_password(app.test_client(), "wrong", environ_base=of(n)).status_code for n in range(10, 16)]
    assert guesses == [422] * 5 + [429]
    assert try_password(app.test_client(), PASSWORD, environ_base=of(2)).status_code == 429, "not known there"
    assert try_password(ravis, PASSWORD, environ_base=of(1)).status_code == 303
    thief.set_cookie("known", ravis.get_cookie("known").value)
    assert [try_password(thief, "wrong", environ_base=of(n)).status_code for n in range(20, 26)] == [422] * 5 + [429]


@pytest.mark.parametrize("whose", ["nobody's", "another person's"])
def test_a_browser_is_not_known_by_a_cookie_that_is_not_of_this_person(app, ravi, workspace, whose):
    browser = app.test_client()
    if whose == "nobody's":
        browser.set_cookie("known", "W10.made.up")
    else:
        assert try_password(browser, PASSWORD, email=make_user(workspace).email).status_code == 303
        browser.post("/sign-out")
    guesses = [
        try_password(client, "wrong", environ_base={"REMOTE_ADDR": f"192.0.2.{n}"}).status_code
        for n, client in enumerate([app.test_client(), browser] * 3)
    ]
    assert guesses == [422] * 5 + [429]


def test_signing_in_works_and_is_throttled_while_redis_is_away(client, ravi, monkeypatch):
    def away(*_args, **_kwargs):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(limiter._storage, "get", away)
    monkeypatch.setattr(limiter._storage, "incr", away)
    monkeypatch.setattr(limiter._storage, "check", lambda: False)
    try:
        assert [try_password(client, "wrong").status_code for _ in range(6)] == [422] * 5 + [429]
        limiter._fallback_storage.reset()
        assert try_password(client, PASSWORD).status_code == 303
    finally:
        limiter._fallback_storage.reset()
        limiter._storage_dead = False


def test_signing_out_ends_the_session_for_every_copy_of_the_cookie(client, app, ravi):
    sign_in(client, ravi)
    thief = app.test_client()
    thief.set_cookie("session", client.get_cookie("session").value)
    assert thief.get("/account").status_code == 200

    assert client.post("/sign-out").status_code == 303
    assert "You are signed out." in client.get("/sign-in").text
    assert thief.get("/account").status_code == 302
    assert db.session.scalars(select(UserSession.revoked_at)).one() is not None


def ended(ravi):
    db.session.scalars(select(UserSession)).one().revoked_at = clock.now()


def deactivated(ravi):
    ravi.is_active = False


def forgotten(ravi):
    db.session.delete(db.session.scalars(select(UserSession)).one())


@pytest.mark.parametrize(
    ("happens", "words"),
    [(ended, "this session was ended"), (deactivated, "was deactivated"), (forgotten, "does not know this session")],
)
def test_the_next_request_is_refused_with_a_sentence(client, ravi, happens, words):
    sign_in(client, ravi)
    happens(ravi)
    db.session.commit()
    answer = client.get("/account")
    assert answer.status_code == 302
    page = client.get(answer.location).text
    assert words in page
    assert "Sign in to open this page." not in page
    assert words not in client.get("/sign-in").text


def test_a_session_past_its_time_is_refused_with_a_sentence(client, ravi):
    sign_in(client, ravi)
    with time_machine.travel(clock.now() + timedelta(hours=13), tick=False):
        answer = client.get("/account")
        assert "had run its time" in client.get(answer.location).text


def test_the_account_page_lists_where_one_is_signed_in(client, signed_in, ravi):
    sign_in(client, ravi)
    other = signed_in(ravi)
    row = db.session.scalars(select(UserSession).order_by(UserSession.id.desc())).first()
    row.user_agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/605"
    db.session.commit()
    page = client.get("/account").text
    assert "This browser" in page
    assert "Safari on iPhone" in page
    assert 'href="/account/sessions/revoke-others">Sign out everywhere else …</a>' in page

    asked = client.get("/account/sessions/revoke-others").text
    assert "One other browser is signed out at once. You stay signed in here." in asked
    assert 'href="/account#sessions">Keep them signed in</a>' in asked
    assert other.get("/account").status_code == 200
    assert client.post("/account/sessions/revoke-others").status_code == 303
    assert "One other session is signed out." in client.get("/account").text
    assert other.get("/account").status_code == 302
    assert client.get("/account").status_code == 200


def test_one_session_is_ended_by_its_button_and_no_other_persons(client, signed_in, ravi):
    sign_in(client, ravi)
    other = signed_in(ravi)
    asha = signed_in(make_user(make_workspace(), "admin"))
    ids = db.session.scalars(select(UserSession.id).order_by(UserSession.id)).all()

    theirs, own = f"/account/sessions/{ids[2]}/revoke", f"/account/sessions/{ids[1]}/revoke"
    assert {client.get(theirs).status_code, client.post(theirs).status_code} == {404}
    assert asha.get("/account").status_code == 200
    assert f'href="{own}">Sign out …' in client.get("/account").text
    asked = client.get(own).text
    assert "Sign out An unknown browser, 127.0.0.1?" in asked
    assert 'href="/account#sessions">Keep it signed in</a>' in asked
    assert other.get("/account").status_code == 200
    assert client.post(own).status_code == 303
    assert other.get("/account").status_code == 302
    assert client.get(own).status_code == 404


def test_changing_the_password_ends_the_other_sessions_and_is_logged_without_it(client, signed_in, ravi):
    sign_in(client, ravi)
    other = signed_in(ravi)
    answer = client.post("/account/password", data={"current": PASSWORD, "new": NEW, "repeated": NEW})
    assert answer.status_code == 303
    assert "You are signed out everywhere else." in client.get("/account").text
    assert other.get("/account").status_code == 302
    assert passwords.verify(ravi.password_hash, NEW)

    row = db.session.scalars(select(ConfigEvent)).one()
    assert row.sentence == "Ravi changed their own password"
    assert NEW not in str(row.old_value) + str(row.new_value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"current": "wrong", "new": NEW, "repeated": NEW}, "This is not your present password."),
        ({"current": PASSWORD, "new": NEW, "repeated": "other"}, "The two new passwords differ."),
        ({"current": PASSWORD, "new": "short", "repeated": "short"}, "Use at least 12 characters"),
        ({"current": PASSWORD, "new": PASSWORD, "repeated": PASSWORD}, "the password you already have"),
        ({"current": PASSWORD, "new": "password1234", "repeated": "password1234"}, "first that people guess"),
        (
            {"current": PASSWORD, "new": "ravi@company.example", "repeated": "ravi@company.example"},
            "the name or e-mail of the account",
        ),
    ],
)
def test_a_password_that_cannot_be_is_a_field_error(client, ravi, data, words):
    sign_in(client, ravi)
    page = client.post("/account/password", data=data)
    assert page.status_code == 422
    assert page.text.count(words) == 2  # in the summary and beside the field
    assert passwords.verify(ravi.password_hash, PASSWORD)


def test_all_that_is_wrong_with_a_new_password_is_said_at_once(client, ravi):
    sign_in(client, ravi)
    page = client.post("/account/password", data={"current": "wrong", "new": "short", "repeated": "other"})
    for words in ("This is not your present password.", "Use at least 12 characters", "The two new passwords differ."):
        assert page.text.count(words) == 2
    for _ in range(4):  # and it counts as a guess
        client.post("/account/password", data={"current": "wrong", "new": "short", "repeated": "other"})
    assert client.post("/account/password", data={"current": "wrong"}).status_code == 429


def test_guessing_the_password_of_an_open_session_is_slowed_down(client, ravi):
    sign_in(client, ravi)
    data = {"current": "wrong", "new": NEW, "repeated": NEW}
    assert [client.post("/account/password", data=data).status_code for _ in range(6)] == [422] * 5 + [429]


def test_a_stranger_posting_to_the_password_page_is_sent_to_sign_in(client, app):
    assert client.post("/account/password", data={"current": "x"}).status_code == 302


def test_times_are_shown_in_the_zone_one_chooses(client, ravi):
    sign_in(client, ravi)
    assert "Asia/Kolkata (the workspace&#39;s)" in client.get("/account").text
    assert client.post("/account/time-zone", data={"time_zone": "Europe/Berlin"}).status_code == 303
    assert ravi.time_zone == "Europe/Berlin"
    assert "CE" in client.get("/account").text
    assert client.post("/account/time-zone", data={"time_zone": "Mars/Olympus"}).status_code == 422
    assert client.post("/account/time-zone", data={"time_zone": ""}).status_code == 303
    assert ravi.time_zone is None


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-out", "/account/password", "/account/time-zone", "/account/sessions/revoke-others"]
)
def test_a_form_without_the_csrf_token_is_refused(client, ravi, path):
    sign_in(client, ravi)
    assert client.post(path, data={}, with_csrf_token=False).status_code == 400
    assert client.get("/account").status_code == 200


def test_browsers_have_names_people_know():
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
    assert browser_name(chrome) == "Chrome on Windows"
    assert browser_name(chrome + " Edg/140.0") == "Edge on Windows"
    assert browser_name("curl/8") == "An unknown browser"

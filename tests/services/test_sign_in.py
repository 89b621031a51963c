"""Signing in: who is let in, what the session is worth afterwards, and what the throttle counts by."""

from datetime import timedelta

import pytest
import time_machine
from argon2 import PasswordHasher
from sqlalchemy import event, inspect, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Role, UserSession
from flexdash.services import passwords, sign_in
from flexdash.services.errors import FieldRefused, NotVisible
from flexdash.services.sign_in import SignInRefused, Standing
from tests.factories import PASSWORD, make_actor, make_seller, make_user, make_workspace


@pytest.fixture
def ravi(app):
    return make_user(make_workspace(), name="Ravi", email="ravi@company.example")


def test_the_right_password_opens_a_session_whose_token_is_not_stored(ravi):
    token = sign_in.begin("ravi@company.example", PASSWORD, address="192.0.2.7", user_agent="Firefox")

    row = db.session.scalars(select(UserSession)).one()
    assert row.user_id == ravi.id
    assert (row.address, row.user_agent) == ("192.0.2.7", "Firefox")
    assert token not in row.token_hash
    assert row.expires_at - row.created_at == timedelta(hours=12)
    assert sign_in.visit(token).user is ravi
    assert ravi.last_sign_in_at == row.created_at


def test_the_case_of_the_email_does_not_matter(ravi):
    assert sign_in.visit(sign_in.begin(" Ravi@Company.Example ", PASSWORD)).standing is Standing.GOOD


def test_unknown_email_and_wrong_password_get_the_same_words(ravi):
    with pytest.raises(SignInRefused) as unknown:
        sign_in.begin("nobody@company.example", PASSWORD)
    with pytest.raises(SignInRefused) as wrong:
        sign_in.begin("ravi@company.example", "not-his-password")
    assert unknown.value.sentence == wrong.value.sentence
    assert db.session.scalars(select(UserSession)).all() == []


def test_an_unknown_email_costs_a_hash_like_any_other(ravi, monkeypatch):
    verified = []
    real = PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda *given: verified.append(given[1]) or real(*given))
    for email in ("nobody@company.example", "ravi@company.example"):
        with pytest.raises(SignInRefused):
            sign_in.begin(email, "not-his-password")
    assert len(verified) == 2
    assert verified[0].split("$")[:4] == verified[1].split("$")[:4]  # the same parameters


def test_a_deactivated_account_is_named_only_to_who_knows_its_password(ravi):
    ravi.is_active = False
    db.session.commit()
    with pytest.raises(SignInRefused, match="deactivated"):
        sign_in.begin("ravi@company.example", PASSWORD)
    with pytest.raises(SignInRefused) as wrong:
        sign_in.begin("ravi@company.example", "not-his-password")
    assert wrong.value.sentence == sign_in.WRONG_EMAIL_OR_PASSWORD


def test_a_hash_with_weaker_parameters_is_renewed_at_sign_in(ravi):
    ravi.password_hash = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1).hash(PASSWORD)
    db.session.commit()
    sign_in.begin("ravi@company.example", PASSWORD)
    assert not passwords.needs_rehash(ravi.password_hash)
    assert passwords.verify(ravi.password_hash, PASSWORD)


def test_a_damaged_hash_lets_nobody_in(ravi):
    ravi.password_hash = "not a hash"
    db.session.commit()
    with pytest.raises(SignInRefused):
        sign_in.begin("ravi@company.example", PASSWORD)


def test_a_new_sign_in_ends_the_session_the_browser_had(ravi):
    first = sign_in.begin("ravi@company.example", PASSWORD)
    second = sign_in.begin("ravi@company.example", PASSWORD, previous_token=first)
    assert sign_in.visit(first).standing is Standing.ENDED
    assert sign_in.visit(second).standing is Standing.GOOD


def test_a_password_changed_while_it_is_checked_lets_nobody_in(ravi, monkeypatch):
    real = passwords.verify

    def change_then_verify(password_hash, password):
        ravi.password_hash = passwords.hash_password("another password altogether")
        db.session.commit()
        return real(password_hash, password)

    monkeypatch.setattr(passwords, "verify", change_then_verify)
    with pytest.raises(SignInRefused):
        sign_in.begin("ravi@company.example", PASSWORD)
    assert db.session.scalars(select(UserSession)).all() == []


def test_long_ended_sessions_are_forgotten(ravi):
    other = make_user(ravi.workspace, email="asha@company.example")
    for email in (ravi.email, other.email):
        sign_in.begin(email, PASSWORD)
    for days, kept in ((20, 2), (60, 1)):
        with time_machine.travel(clock.now() + timedelta(days=days), tick=False):
            sign_in.begin(ravi.email, PASSWORD)
        rows = db.session.scalars(select(UserSession).where(UserSession.user_id == ravi.id)).all()
        assert len(rows) == kept
    assert db.session.scalars(select(UserSession).where(UserSession.user_id == other.id)).one()


def test_a_session_ends_by_itself(ravi):
    token = sign_in.begin("ravi@company.example", PASSWORD)
    with time_machine.travel(clock.now() + timedelta(hours=12, seconds=1), tick=False):
        assert sign_in.visit(token).standing is Standing.EXPIRED


def test_a_made_up_token_is_unknown(ravi):
    sign_in.begin("ravi@company.example", PASSWORD)
    assert sign_in.visit("made-up").standing is Standing.UNKNOWN


def test_a_visit_is_one_query_with_workspace_and_sellers(app):
    workspace = make_workspace()
    sellers = [make_seller(workspace, name) for name in ("Nova Home", "Alpine Goods")]
    make_user(workspace, Role.MERCHANT, email="ravi@company.example", sellers=sellers)
    token = sign_in.begin("ravi@company.example", PASSWORD)
    db.session.expunge_all()

    statements = []

    def note(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    user = sign_in.visit(token).user
    event.remove(db.engine, "before_cursor_execute", note)
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1
    assert not inspect(user).unloaded & {"workspace", "sellers"}
    assert len(make_actor(user).seller_ids) == 2


def test_the_last_use_is_noted_once_a_minute(ravi):
    token = sign_in.begin("ravi@company.example", PASSWORD)
    visit = sign_in.visit(token)
    began = visit.last_seen_at
    for seconds, expected in ((59, 0), (61, 61), (90, 61)):
        with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
            visit = sign_in.visit(token)
            sign_in.touch(visit.session_id, visit.last_seen_at)
            db.session.rollback()
        assert sign_in.visit(token).last_seen_at == began + timedelta(seconds=expected)


def test_people_end_their_own_sessions_and_nobody_elses(ravi):
    other = make_user(ravi.workspace, email="asha@company.example")
    tokens = [sign_in.begin("ravi@company.example", PASSWORD) for _ in range(3)]
    theirs = sign_in.begin("asha@company.example", PASSWORD)
    kept = sign_in.visit(tokens[0]).session_id

    with pytest.raises(NotVisible):
        sign_in.end_session(make_actor(ravi), sign_in.visit(theirs).session_id)
    sign_in.end_session(make_actor(ravi), sign_in.visit(tokens[1]).session_id)
    assert [row.id for row in sign_in.sessions_of(make_actor(ravi))] == [sign_in.visit(tokens[2]).session_id, kept]
    assert sign_in.end_other_sessions(make_actor(ravi), kept) == 1
    assert [sign_in.visit(token).standing for token in tokens] == [Standing.GOOD, Standing.ENDED, Standing.ENDED]
    assert sign_in.visit(theirs).user is other


def test_throttle_keys_hide_the_email_and_join_one_networks_addresses():
    assert sign_in.email_key("Ravi@Company.example ") == sign_in.email_key("ravi@company.example")
    assert "ravi" not in sign_in.email_key("ravi@company.example")
    assert sign_in.address_key("2001:db8:1:2:3:4:5:6") == sign_in.address_key("2001:db8:1:2::1")
    assert sign_in.address_key("2001:db8:1:3::1") != sign_in.address_key("2001:db8:1:2::1")
    assert sign_in.address_key("::ffff:192.0.2.7") == sign_in.address_key("192.0.2.7") == "address:192.0.2.7"
    assert sign_in.address_key("192.0.2.8") != sign_in.address_key("192.0.2.7")
    assert sign_in.address_key("") == "address:unknown"


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 12"),
        ("x" * 201, "at most 200"),
        ("Password1234", "first that people guess"),
        ("aaaaaaaaaaaaaaa", "first that people guess"),
        ("ravi.kumar@company.example", "name or e-mail"),
        ("Ravi Kumar 2026", "name or e-mail"),
        ("ravi-kumar-ravi-kumar", "name or e-mail"),
    ],
)
def test_weak_passwords_are_refused_with_what_to_do(password, words):
    with pytest.raises(FieldRefused, match=words) as refusal:
        passwords.refuse_weak(password, field="new", email="ravi.kumar@company.example", name="Ravi Kumar")
    assert refusal.value.field == "new"


def test_generated_passwords_pass_the_rules_and_differ(app):
    made = {passwords.generate() for _ in range(50)}
    assert len(made) == 50
    for password in made:
        passwords.refuse_weak(password, field="password", email="a@b.example", name="A")


def test_a_password_is_the_same_however_its_accents_were_typed(app):
    stored = passwords.hash_password("caf\N{LATIN SMALL LETTER E WITH ACUTE} au lait")
    assert passwords.verify(stored, "cafe\N{COMBINING ACUTE ACCENT} au lait")


def test_an_endless_password_is_not_hashed(app, monkeypatch):
    hashed = []
    real = PasswordHasher.verify
    monkeypatch.setattr(PasswordHasher, "verify", lambda *given: hashed.append(given[2]) or real(*given))
    assert not passwords.verify(passwords.hash_password(PASSWORD), "x" * 1_000_000)
    assert hashed == [""]

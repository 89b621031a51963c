"""The access log: what leaves a row, that nobody can change one, and that rows go when their time has come."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import AccessEvent, AccessKind, Role
from flexdash.services import access_log, account, orders, sign_in, users
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import documents
from tests.factories import (
    PASSWORD,
    make_actor,
    make_document,
    make_order,
    make_seller,
    make_store,
    make_user,
)

OTHER_PASSWORD = "another-password-for-tests"


@pytest.fixture
def ada(workspace):
    return make_user(workspace, Role.ADMIN, name="Ada", email="ada@company.example")


@pytest.fixture
def admin(ada):
    return make_actor(ada, "203.0.113.9")


def rows() -> list[AccessEvent]:
    db.session.rollback()
    return list(db.session.scalars(db.select(AccessEvent).order_by(AccessEvent.id)))


def said() -> list[tuple[AccessKind, str]]:
    return [(row.kind, row.sentence) for row in rows()]


def write(actor: Actor, sentence: str = "Ada signed in", days_ago: float = 0) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=days_ago)), transaction():
        access_log.record(actor, AccessKind.SIGNED_IN, sentence)


# What leaves a row ----------------------------------------------------------------------------------------------------


def test_signing_in_and_out_leave_a_row_each_with_where_from(ada) -> None:
    token = sign_in.begin("ADA@company.example ", PASSWORD, address="198.51.100.7")
    sign_in.end(make_actor(ada, "198.51.100.7"), token)
    sign_in.end(make_actor(ada, "198.51.100.7"), token)
    assert said() == [(AccessKind.SIGNED_IN, "Ada signed in"), (AccessKind.SIGNED_OUT, "Ada signed out")]
    assert {(row.address, row.actor_id, row.workspace_id) for row in rows()} == {
        ("198.51.100.7", ada.id, ada.workspace_id)
    }


def test_a_wrong_password_leaves_a_row_without_what_was_typed(ada) -> None:
    with pytest.raises(sign_in.SignInRefused):
        sign_in.begin(ada.email, "my-secret-typed-wrong", address="198.51.100.7")
    (row,) = rows()
    assert (row.kind, row.sentence) == (
        AccessKind.REFUSED,
        "Somebody tried to sign in as Ada with a wrong password",
    )
    assert (row.workspace_id, row.actor_id, row.address) == (ada.workspace_id, ada.id, "198.51.100.7")


def test_an_email_that_nobody_has_leaves_a_row_of_no_workspace_that_does_not_say_it(app) -> None:
    with pytest.raises(sign_in.SignInRefused):
        sign_in.begin("my-password@in-the-wrong.field", "x", address="198.51.100.7")
    (row,) = rows()
    assert row.workspace_id is None
    assert row.sentence == "Somebody tried to sign in with an e-mail that nobody has, with a wrong password"


def test_a_deactivated_account_leaves_a_row_when_somebody_tries_it(ada, workspace) -> None:
    ravi = make_user(workspace, name="Ravi", is_active=False)
    with pytest.raises(sign_in.SignInRefused, match="deactivated"):
        sign_in.begin(ravi.email, PASSWORD)
    assert said() == [
        (AccessKind.REFUSED, "Somebody tried to sign in as Ravi whose account is deactivated or changed meanwhile")
    ]


def test_the_throttle_leaves_one_row_in_ten_minutes(ada) -> None:
    start = datetime(2026, 11, 23, 9, tzinfo=UTC)
    for minutes in (0, 1, 9, 11):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False):
            access_log.throttled(ada.email, "198.51.100.7")
            access_log.throttled("nobody@company.example", "198.51.100.7")
    kinds = [(row.kind, row.workspace_id) for row in rows()]
    assert kinds == [(AccessKind.HELD_BACK, ada.workspace_id), (AccessKind.HELD_BACK, None)] * 2


def test_ended_sessions_leave_a_row(ada, admin) -> None:
    for n in range(3):
        sign_in.begin(ada.email, PASSWORD, address=f"198.51.100.{n}")
    newest, *_ = sign_in.sessions_of(admin)
    sign_in.end_session(admin, newest.id)
    sign_in.end_other_sessions(admin, None)
    sign_in.end_other_sessions(admin, None)
    assert said()[3:] == [
        (AccessKind.SESSION_ENDED, "Ada ended one of their own sessions, begun from 198.51.100.2"),
        (AccessKind.SESSION_ENDED, "Ada ended 2 other sessions of their own"),
    ]


def test_roles_passwords_and_deactivation_leave_rows_that_lead_to_the_person(admin, ada) -> None:
    ravi = users.add(
        admin, name="Ravi", email="ravi@company.example", role=Role.MERCHANT, seller_ids=None, password=OTHER_PASSWORD
    )
    how = {"name": "Ravi", "email": ravi.email, "seller_ids": None}
    users.edit(admin, ravi.id, **how, role=Role.SUPPORT)
    users.edit(admin, ravi.id, **{**how, "name": "Ravi K"}, role=Role.SUPPORT)  # a name is no access
    users.deactivate(admin, ravi.id)
    users.reactivate(admin, ravi.id)
    users.reset_password(admin, ravi.id, PASSWORD)
    account.change_password(admin, PASSWORD, OTHER_PASSWORD, keep_session_id=None)
    with pytest.raises(FieldRefused):
        account.change_password(admin, "wrong", PASSWORD, keep_session_id=None)
    assert said() == [
        (AccessKind.ROLE, "Ada added Ravi as merchant"),
        (AccessKind.ROLE, "Ada changed Ravi's role from merchant to support"),
        (AccessKind.ROLE, "Ada deactivated Ravi K"),
        (AccessKind.ROLE, "Ada reactivated Ravi K"),
        (AccessKind.PASSWORD, "Ada reset Ravi K's password"),
        (AccessKind.PASSWORD, "Ada changed their own password"),
        (AccessKind.PASSWORD, "Ada wanted to change their own password and gave a wrong present one"),
    ]
    assert [row.user_id for row in rows()] == [ravi.id] * 5 + [ada.id, None]


def test_looking_at_a_buyer_and_taking_a_document_leave_rows_that_lead_to_the_order(admin, seller) -> None:
    order = make_order(make_store(seller), buyer='{"name": "Buyer Canary"}')
    document = make_document(order)
    orders.reveal_buyer(admin, order.id)
    documents.open_document(admin, order.id, document.id)
    number = number_of(order.id)
    assert said() == [
        (AccessKind.BUYER_DATA, f"Ada looked at the buyer's data of {number}"),
        (AccessKind.DOCUMENT, f"Ada downloaded the label of {number}"),
    ]
    assert {(row.order_id, row.store_id) for row in rows()} == {(order.id, order.store_id)}
    assert "Canary" not in str(said())


def test_what_is_rolled_back_leaves_no_row(admin) -> None:
    def die() -> None:
        with transaction():
            access_log.record(admin, AccessKind.EXPORT, "never")
            raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        die()
    assert rows() == []


def test_a_row_of_a_draft_does_not_keep_it_from_being_thrown_away(admin, seller) -> None:
    access_log.exported(admin, "the Configuration Log", store=make_store(seller, "draft", name="Draft"))
    (row,) = rows()
    assert (row.sentence, row.store_id) == ("Ada exported the Configuration Log of Draft", None)


# Append-only ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["UPDATE access_events SET sentence = 'nothing'", "DELETE FROM access_events"])
def test_the_database_refuses_to_change_the_access_log(admin, statement) -> None:
    write(admin)
    write(admin, days_ago=364)
    with pytest.raises(DatabaseError, match="append-only"), transaction() as session:
        session.execute(text(statement))
    assert len(rows()) == 2


def test_an_old_row_can_go_but_not_change(admin) -> None:
    write(admin, days_ago=366)
    with pytest.raises(DatabaseError, match="append-only"), transaction() as session:
        session.execute(text("UPDATE access_events SET sentence = 'nothing'"))
    with transaction() as session:
        session.execute(text("DELETE FROM access_events"))
    assert rows() == []


def test_rows_go_when_their_time_has_come_and_not_a_day_before(admin, monkeypatch) -> None:
    for days in (0, 399, 401, 500):
        write(admin, f"{days} days", days_ago=days)
    monkeypatch.setattr(access_log, "BATCH", 1)
    assert access_log.forget_old(clock.now(), 400) == 1
    assert [row.sentence for row in rows()] == ["0 days", "399 days", "401 days"]
    dispatch.tick()
    dispatch.tick()
    assert [row.sentence for row in rows()] == ["0 days", "399 days"]


def test_a_wish_to_keep_less_than_a_year_is_refused_by_the_database(admin) -> None:
    write(admin, days_ago=300)
    with pytest.raises(DatabaseError, match="append-only"):
        access_log.forget_old(clock.now(), 200)
    assert len(rows()) == 1


def test_sellers_store_names_in_a_row_stay_on_one_line(admin, workspace) -> None:
    store = make_store(make_seller(workspace), name="A\nB")
    access_log.exported(admin, "the catalog", store=store)
    assert said() == [(AccessKind.EXPORT, "Ada exported the catalog of A B")]

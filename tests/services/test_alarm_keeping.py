"""Alarms open once, are repeated quietly, are cleared when they have stayed away, and are told to the right people."""

import dataclasses
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select, update

from flexdash import clock
from flexdash.extensions import db, vault
from flexdash.models import (
    Alarm,
    AlarmKind,
    AlarmMessage,
    AlarmSettings,
    Channel,
    MessageEvent,
    Role,
    Store,
    StoreStatus,
    Workspace,
)
from flexdash.services.alarms import content, keeping, reading
from flexdash.services.alarms.findings import Parts
from flexdash.services.errors import ServiceError
from tests import factories
from tests.factories import make_actor, make_store, make_user

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def travel():
    """A clock that stands still until it is moved."""
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def mail(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """E-mail is set up; nothing here sends any."""
    changed = dataclasses.replace(
        app.config["SETTINGS"], smtp_url="smtp://127.0.0.1:1", mail_from="flexdash@company.example"
    )
    monkeypatch.setitem(app.config, "SETTINGS", changed)


@pytest.fixture
def admin(travel, workspace):
    return make_user(workspace, Role.ADMIN, name="Asha", email="asha@company.example")


@pytest.fixture
def store(travel, admin, seller) -> Store:
    """A store that Amazon refuses: as good a problem as any."""
    return make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name="Pune Store")


def look(traveller, **later: float) -> list[AlarmMessage]:
    """Let time pass, look around, and return the messages that this made."""
    traveller.shift(timedelta(**later))
    last = db.session.scalar(select(AlarmMessage.id).order_by(AlarmMessage.id.desc()).limit(1)) or 0
    keeping.evaluate(Parts())
    return list(db.session.scalars(select(AlarmMessage).where(AlarmMessage.id > last).order_by(AlarmMessage.id)))


def mended(store: Store) -> None:
    store.status, store.reauthorization_reason = StoreStatus.CONNECTED, ""
    store.authorization_expires_at = clock.now() + timedelta(days=365)
    db.session.commit()


def broken(store: Store) -> None:
    store.status = StoreStatus.NEEDS_REAUTHORIZATION
    db.session.commit()


def wishes(workspace: Workspace, **values: object) -> AlarmSettings:
    row = AlarmSettings(workspace_id=workspace.id, **values)
    db.session.add(row)
    db.session.commit()
    return row


def test_an_alarm_is_told_once_when_it_opens(travel, store) -> None:
    (message,) = look(travel)
    assert (message.channel, message.recipient, message.event) == (
        Channel.EMAIL,
        "asha@company.example",
        MessageEvent.OPENED,
    )
    assert content.subject_of(message) == "[FlexDash] Amazon's authorization, Pune Store"
    assert content.text_of(message).startswith(
        "FlexDash has noticed something that needs a person: 1 alarm.\n\n"
        "Critical: Pune Store: Amazon refuses FlexDash's access, so all its syncs wait. Amazon refused the token: "
        "invalid_grant\n"
        "Since 23 Nov 2026, 14:30 IST. What to do: A merchant or an admin authorizes the store again. Its settings, "
        "mappings and catalog stay.\n"
    )
    assert "Authorize the store again: http://127.0.0.1:" in content.text_of(message)
    assert look(travel, minutes=1) == []


def test_reminders_come_after_four_hours_and_then_daily(travel, store) -> None:
    look(travel)
    assert look(travel, hours=3, minutes=59) == []
    (reminder,) = look(travel, minutes=1)
    assert reminder.event is MessageEvent.REMINDER
    assert content.subject_of(reminder) == "[FlexDash] Still open: Amazon's authorization, Pune Store"
    assert look(travel, hours=23) == []
    (again,) = look(travel, hours=1)
    assert again.event is MessageEvent.REMINDER


def test_no_reminder_comes_once_somebody_is_on_it_and_the_all_clear_does(travel, store, admin) -> None:
    look(travel)
    alarm = db.session.scalars(select(Alarm)).one()
    taken = reading.take(make_actor(admin), alarm.id)
    assert (taken.acknowledged_by_name, taken.next_reminder_at) == ("Asha", None)
    assert look(travel, hours=30) == []
    mended(store)
    assert look(travel, minutes=1) == []
    (message,) = look(travel, minutes=3)
    assert message.event is MessageEvent.CLEARED
    assert content.subject_of(message) == "[FlexDash] All clear: Amazon's authorization, Pune Store"
    assert "It was open from 23 Nov 2026, 14:30 IST to 24 Nov 2026, 20:34 IST." in content.text_of(message)
    with pytest.raises(ServiceError, match="This alarm is over"):
        reading.take(make_actor(admin), alarm.id)


def test_who_was_first_to_be_on_it_stays(travel, store, admin, workspace) -> None:
    look(travel)
    alarm = db.session.scalars(select(Alarm)).one()
    reading.take(make_actor(admin), alarm.id)
    later = reading.take(make_actor(make_user(workspace, Role.SUPPORT, name="Ravi")), alarm.id)
    assert later.acknowledged_by_name == "Asha"


def test_what_comes_and_goes_is_one_alarm_and_no_all_clear(travel, store) -> None:
    look(travel)
    for _ in range(5):
        mended(store)
        assert look(travel, minutes=1) == []
        assert look(travel, minutes=1) == []
        broken(store)
        assert look(travel, minutes=1) == []
    assert [alarm.cleared_at for alarm in db.session.scalars(select(Alarm))] == [None]


def test_a_problem_that_comes_back_later_is_a_new_alarm(travel, store) -> None:
    look(travel)
    mended(store)
    look(travel, minutes=1)
    look(travel, minutes=4)
    broken(store)
    (message,) = look(travel, hours=1)
    assert message.event is MessageEvent.OPENED
    assert len(db.session.scalars(select(Alarm)).all()) == 2


def test_an_authorization_is_told_of_at_thirty_seven_and_one_days_and_at_its_end(travel, admin, seller) -> None:
    store = make_store(seller, name="Pune Store", authorization_expires_at=START + timedelta(days=30))
    told = {}
    for day in range(31):
        for message in look(travel, days=1 if day else 0):
            told[day] = (message.event, message.content["alarms"][0]["sentence"].partition(": ")[2][:52])
    assert told == {
        0: (MessageEvent.OPENED, "the authorization at Amazon ends within 30 days. Aft"),
        23: (MessageEvent.OPENED, "the authorization at Amazon ends within 7 days. Afte"),
        29: (MessageEvent.OPENED, "the authorization at Amazon ends within a day. After"),
        30: (MessageEvent.OPENED, "the authorization at Amazon has ended after 365 days"),
    }
    assert len(db.session.scalars(select(Alarm).where(Alarm.store_id == store.id)).all()) == 1


def test_one_that_gets_worse_asks_anew_who_is_on_it(travel, admin, seller) -> None:
    make_store(seller, authorization_expires_at=START + timedelta(days=8))
    look(travel)
    reading.take(make_actor(admin), db.session.scalars(select(Alarm)).one().id)
    (message,) = look(travel, days=2)
    assert message.event is MessageEvent.OPENED
    assert db.session.scalars(select(Alarm)).one().acknowledged_by_name == ""


def test_many_alarms_at_once_are_one_message_to_each_person(travel, admin, workspace, seller) -> None:
    wishes(workspace, addresses=["ops@company.example"])
    for number in range(60):
        make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name=f"Store {number}")
    messages = look(travel)
    assert sorted(message.recipient for message in messages) == ["asha@company.example", "ops@company.example"]
    assert content.subject_of(messages[0]) == f"[FlexDash] 60 alarms in {workspace.name}"
    assert "And 10 more." in content.text_of(messages[0])


def test_a_webhook_gets_every_alarm(travel, admin, workspace, seller) -> None:
    url, secret = vault.encrypt("https://hooks.company.example/x"), vault.encrypt("fdwh_secret")
    wishes(workspace, is_to_admins=False, webhook_url_encrypted=url, webhook_secret_encrypted=secret)
    for _ in range(60):
        make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION)
    messages = look(travel)
    assert {(message.channel, message.recipient) for message in messages} == {
        (Channel.WEBHOOK, "hooks.company.example")
    }
    bodies = [content.as_json(message) for message in messages]
    assert len({alarm["id"] for body in bodies for alarm in body["alarms"]}) == 60
    assert {body["event"] for body in bodies} == {"alarm.opened"}


def test_what_is_not_wanted_stands_on_the_page_and_is_told_to_nobody(travel, store, workspace) -> None:
    wishes(workspace, muted_kinds=[AlarmKind.AUTHORIZATION.value])
    assert look(travel) == []
    assert look(travel, hours=5) == []
    mended(store)
    assert look(travel, minutes=1) + look(travel, minutes=4) == []
    assert db.session.scalars(select(Alarm)).one().cleared_at is not None


def test_only_critical_ones_are_told_where_that_was_asked_for(travel, admin, workspace, seller) -> None:
    wishes(workspace, least_severity=2)
    make_store(seller, authorization_expires_at=clock.now() + timedelta(days=20))
    assert look(travel) == []
    make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION)
    assert len(look(travel)) == 1


def test_a_workspace_without_reminders_gets_none(travel, store, workspace) -> None:
    wishes(workspace, reminder_hours=0)
    assert len(look(travel)) == 1
    assert look(travel, days=3) == []


def test_admins_get_only_what_they_may_see(travel, store, workspace) -> None:
    other = factories.make_seller(workspace)
    make_user(workspace, Role.ADMIN, email="limited@company.example", sellers=[other])
    make_user(workspace, Role.ADMIN, email="gone@company.example", is_active=False)
    make_user(workspace, Role.MERCHANT, email="merchant@company.example")
    make_store(other, StoreStatus.NEEDS_REAUTHORIZATION, name="Theirs")
    keeping.evaluate(Parts(is_scheduler_away=True))
    told = {
        message.recipient: {alarm["store"] and alarm["store"]["name"] for alarm in message.content["alarms"]}
        for message in db.session.scalars(select(AlarmMessage))
    }
    assert told == {"asha@company.example": {"Pune Store", "Theirs", None}, "limited@company.example": {"Theirs"}}


def test_without_a_mail_server_no_e_mail_is_made(app: Flask, travel, store, monkeypatch) -> None:
    changed = dataclasses.replace(app.config["SETTINGS"], smtp_url="")
    monkeypatch.setitem(app.config, "SETTINGS", changed)
    assert look(travel) == []
    assert db.session.scalars(select(Alarm)).one().told_at is None


def test_a_webhook_whose_key_is_lost_keeps_nobody_elses_alarms_in(travel, store, workspace) -> None:
    wishes(workspace, webhook_url_encrypted=b"gAAAAunreadable", webhook_secret_encrypted=b"gAAAAunreadable")
    assert [message.channel for message in look(travel)] == [Channel.EMAIL]


def test_several_watchers_at_once_open_remind_and_clear_once(app: Flask, store, travel) -> None:
    def all_at_once() -> None:
        barrier = threading.Barrier(4)

        def watch() -> None:
            with app.app_context():
                barrier.wait()
                keeping.evaluate(Parts(is_scheduler_away=False))
                db.session.remove()

        threads = [threading.Thread(target=watch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    all_at_once()
    travel.shift(timedelta(hours=4))
    all_at_once()
    mended(store)
    all_at_once()
    travel.shift(timedelta(minutes=4))
    all_at_once()
    made = Counter(db.session.scalars(select(AlarmMessage.event)))
    assert made == {MessageEvent.OPENED: 1, MessageEvent.REMINDER: 1, MessageEvent.CLEARED: 1}


def test_what_is_wrong_is_said_anew(travel, store) -> None:
    look(travel)
    store.reauthorization_reason = "Amazon refused the token: another reason"
    db.session.commit()
    assert look(travel, minutes=1) == []
    assert "another reason" in db.session.scalars(select(Alarm.sentence)).one()


@pytest.mark.parametrize("meanwhile", [{"stage": 9}, {"cleared_at": START}])
def test_what_another_watcher_has_written_meanwhile_is_not_said_anew(travel, store, monkeypatch, meanwhile) -> None:
    look(travel)
    read = keeping._open_alarms

    def read_and_overtaken() -> dict[keeping.Problem, object]:
        known = read()
        db.session.execute(update(Alarm).values(sentence="What the other one has found.", **meanwhile))
        db.session.commit()
        return known

    store.reauthorization_reason = "Amazon refused the token: another reason"
    db.session.commit()
    monkeypatch.setattr(keeping, "_open_alarms", read_and_overtaken)
    look(travel, minutes=1)
    assert db.session.scalars(select(Alarm.sentence)).all() == ["What the other one has found."]


def test_a_name_with_line_ends_cannot_add_a_header(travel, admin, seller) -> None:
    make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name="Pune\r\nBcc: thief@elsewhere.example")
    (message,) = look(travel)
    assert content.subject_of(message) == "[FlexDash] Amazon's authorization, Pune Bcc: thief@elsewhere.example"
    assert "\nBcc" not in content.text_of(message)

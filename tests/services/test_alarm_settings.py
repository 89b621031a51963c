"""Who is told of alarms: set by admins, checked, logged without any secret."""

import dataclasses
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from flexdash import clock
from flexdash.extensions import db, vault
from flexdash.models import (
    AlarmKind,
    AlarmMessage,
    AlarmSettings,
    Channel,
    ConfigEvent,
    MessageEvent,
    Role,
    Section,
    Severity,
)
from flexdash.services import key_rotation
from flexdash.services.alarms import changing, wishes
from flexdash.services.alarms.changing import Asked
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.vault import Vault
from tests.factories import make_actor, make_user

URL = "https://hooks.company.example/services/T00/canary-in-the-path"


@pytest.fixture
def admin(workspace):
    return make_actor(make_user(workspace, Role.ADMIN, name="Asha", email="asha@company.example"))


def asked(**values: object) -> Asked:
    defaults = {
        "is_to_admins": True,
        "addresses": "",
        "webhook_url": "",
        "least_severity": Severity.WARNING,
        "told_kinds": tuple(KINDS),
        "reminder_hours": 24,
    }
    return Asked(**{**defaults, **values})


def the_event() -> ConfigEvent:
    return db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc()).limit(1)).one()


def test_a_workspace_begins_with_e_mails_to_its_admins(workspace) -> None:
    assert wishes.of(workspace.id) == wishes.Wishes()
    assert wishes.of(workspace.id).is_to_admins


def test_what_was_asked_for_is_kept_and_logged(admin, workspace) -> None:
    told = [kind for kind in KINDS if kind is not AlarmKind.CONFLICTS]
    secret = changing.change(
        admin,
        asked(addresses="Ops@company.example, duty@company.example\n", told_kinds=told, reminder_hours=0),
        version=0,
        reason="The new team",
    )
    assert secret == ""
    kept = wishes.of(workspace.id)
    assert kept.addresses == ("ops@company.example", "duty@company.example")
    assert (kept.muted_kinds, kept.reminder_hours, kept.version) == (frozenset({AlarmKind.CONFLICTS}), 0, 1)
    event = the_event()
    assert (event.section, event.reason) == (Section.ALARMS, "The new team")
    assert event.sentence == "Asha changed who is told of alarms: further addresses, which alarms and reminders"
    assert event.old_value == {"addresses": "none", "kinds_not_told": "none", "reminder_hours": "every 24 hours"}
    assert event.new_value == {
        "addresses": "ops@company.example and duty@company.example",
        "kinds_not_told": "Conflicts",
        "reminder_hours": "none",
    }


def test_a_webhook_gets_a_secret_that_is_kept_encrypted_and_never_logged(admin) -> None:
    secret = changing.change(admin, asked(webhook_url=URL), version=0)
    assert secret.startswith("fdwh_")
    assert len(secret) > 40
    row = db.session.scalars(select(AlarmSettings)).one()
    assert secret.encode() not in row.webhook_secret_encrypted
    assert b"canary" not in row.webhook_url_encrypted
    assert vault.decrypt(row.webhook_secret_encrypted) == secret
    assert the_event().new_value == {"webhook": "hooks.company.example"}
    for event in db.session.scalars(select(ConfigEvent)):
        said = f"{event.sentence} {event.old_value} {event.new_value}"
        assert "canary" not in said
        assert secret not in said


def test_another_address_at_the_same_host_keeps_the_secret_and_is_logged(admin) -> None:
    changing.change(admin, asked(webhook_url=URL), version=0)
    before = db.session.scalars(select(AlarmSettings.webhook_secret_encrypted)).one()
    assert changing.change(admin, asked(webhook_url=f"{URL}/2"), version=1) == ""
    assert db.session.scalars(select(AlarmSettings.webhook_secret_encrypted)).one() == before
    assert the_event().new_value == {"webhook": "hooks.company.example (another address there)"}


def test_another_host_gets_a_secret_that_the_receiver_before_does_not_know(admin) -> None:
    first = changing.change(admin, asked(webhook_url=URL), version=0)
    second = changing.change(admin, asked(webhook_url="https://alarms.other.example/x"), version=1)
    assert second.startswith("fdwh_")
    assert second != first
    row = db.session.scalars(select(AlarmSettings).execution_options(populate_existing=True)).one()
    assert vault.decrypt(row.webhook_secret_encrypted) == second
    assert changing.change(admin, asked(webhook_url="https://ALARMS.other.example/x"), version=2) == ""
    assert (
        changing.change(admin, asked(webhook_url="https://alarms.other.example/x", reminder_hours=4), version=3) == ""
    )


def test_a_webhook_that_is_taken_away_takes_its_secret_along(admin) -> None:
    changing.change(admin, asked(webhook_url=URL), version=0)
    changing.change(admin, asked(), version=1)
    row = db.session.scalars(select(AlarmSettings).execution_options(populate_existing=True)).one()
    assert (row.webhook_url_encrypted, row.webhook_secret_encrypted) == (None, None)


def test_another_secret_is_made_and_logged(admin) -> None:
    first = changing.change(admin, asked(webhook_url=URL), version=0)
    second = changing.renew_secret(admin, version=1)
    assert second != first
    assert the_event().sentence == "Asha made another secret for the webhook at hooks.company.example"
    with pytest.raises(ChangedByOther):
        changing.renew_secret(admin, version=1)


def test_without_a_webhook_there_is_no_secret(admin) -> None:
    with pytest.raises(ServiceError, match="There is no webhook"):
        changing.renew_secret(admin, version=0)


def test_nothing_changed_is_nothing_logged(admin) -> None:
    changing.change(admin, asked(), version=0)
    assert db.session.scalars(select(ConfigEvent)).all() == []


def test_a_form_from_before_a_change_is_refused(admin) -> None:
    changing.change(admin, asked(reminder_hours=4), version=0)
    with pytest.raises(ChangedByOther, match="You changed this yourself since the page was opened"):
        changing.change(admin, asked(reminder_hours=12), version=0)


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"addresses": "ops"}, "addresses", "“ops” is no e-mail address."),
        ({"addresses": "öps@company.example"}, "addresses", "is no e-mail address."),
        ({"addresses": " ".join(f"a{n}@company.example" for n in range(21))}, "addresses", "there is room for 20"),
        ({"webhook_url": "https://192.168.0.1/"}, "webhook_url", "inside a private network"),
        ({"webhook_url": "https://localhost/x"}, "webhook_url", "inside a private network"),
        ({"reminder_hours": 5}, "reminder_hours", "Choose one of the pauses"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(admin, values, field, words) -> None:
    with pytest.raises(FieldRefused) as caught:
        changing.change(admin, asked(**values), version=0)
    assert caught.value.field == field
    assert words in caught.value.sentence


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.SUPPORT])
def test_only_admins_change_who_is_told(workspace, role) -> None:
    other = make_actor(make_user(workspace, role))
    with pytest.raises(NotAllowed):
        changing.change(other, asked(), version=0)
    with pytest.raises(NotAllowed):
        changing.renew_secret(other, version=0)
    with pytest.raises(NotAllowed):
        changing.send_test(other, Channel.EMAIL)


def test_a_test_goes_to_the_person_who_asks_and_not_twice_at_once(app, admin, monkeypatch, time_machine) -> None:
    with pytest.raises(ServiceError, match="E-mail is not set up"):
        changing.send_test(admin, Channel.EMAIL)
    with pytest.raises(ServiceError, match="There is no webhook yet"):
        changing.send_test(admin, Channel.WEBHOOK)
    changed = dataclasses.replace(app.config["SETTINGS"], smtp_url="smtp://mail.example", mail_from="a@b.example")
    monkeypatch.setitem(app.config, "SETTINGS", changed)
    changing.send_test(admin, Channel.EMAIL)
    message = db.session.scalars(select(AlarmMessage)).one()
    assert (message.event, message.recipient) == (MessageEvent.TEST, "asha@company.example")
    with pytest.raises(ServiceError, match="A test was sent a moment ago"):
        changing.send_test(admin, Channel.EMAIL)
    time_machine.move_to(clock.now() + timedelta(seconds=31), tick=False)
    changing.send_test(admin, Channel.EMAIL)


def test_the_webhooks_address_and_secret_go_under_a_new_key(admin) -> None:
    changing.change(admin, asked(webhook_url=URL), version=0)
    columns = {count.column: count.n_seen for count in key_rotation.rotate()}
    assert columns["alarm_settings.webhook_url_encrypted"] == 1
    assert columns["alarm_settings.webhook_secret_encrypted"] == 1


def test_a_webhook_whose_key_is_missing_is_kept_when_something_else_is_changed(app, admin, monkeypatch) -> None:
    changing.change(admin, asked(webhook_url=URL), version=0)
    kept = wishes.of(admin.workspace_id)
    sealed = db.session.scalars(select(AlarmSettings.webhook_url_encrypted)).one()
    with monkeypatch.context() as patch:
        patch.setitem(app.extensions, "flexdash_vault", Vault([Fernet.generate_key().decode()]))
        without_key = wishes.of(admin.workspace_id)
        assert (without_key.webhook_url, without_key.is_webhook_unreadable) == ("", True)
        changing.change(admin, asked(webhook_url="", reminder_hours=4), version=kept.version)
    assert db.session.scalars(select(AlarmSettings.webhook_url_encrypted)).one() == sealed
    assert wishes.of(admin.workspace_id).webhook_url == kept.webhook_url
    changing.change(admin, asked(webhook_url=""), version=wishes.of(admin.workspace_id).version)
    assert wishes.of(admin.workspace_id).webhook_url == ""

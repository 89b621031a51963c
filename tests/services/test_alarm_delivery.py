"""Messages about alarms reach a real mail server and a real receiver, signed; what cannot be sent holds nobody up."""

import dataclasses
import hashlib
import hmac
import ipaddress
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from flask import Flask

from config import Settings
from flexdash import clock
from flexdash.extensions import db, vault
from flexdash.models import Alarm, AlarmMessage, AlarmSettings, Channel, MessageEvent, MessageState, RunState, Workspace
from flexdash.services.alarms import delivering, keeping, mail, webhook
from flexdash.services.alarms.addresses import BadAddress, checked_url, is_public, places_of
from flexdash.services.alarms.findings import Parts
from flexdash.services.alarms.in_time import in_time
from flexdash.services.alarms.refusals import NotDelivered
from flexdash.vault import Vault
from tests import factories
from tests.support.receivers import MailBox, Receiver, mail_server, webhook_receiver
from tests.support.servers import wait_for

SECRET = "fdwh_of-the-tests"


@pytest.fixture
def mailbox() -> Iterator[MailBox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as running:
        yield running


@pytest.fixture
def with_settings(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Changes settings of the app until the test ends."""

    def change(**values: object) -> Settings:
        changed = dataclasses.replace(app.config["SETTINGS"], **values)
        monkeypatch.setitem(app.config, "SETTINGS", changed)
        return changed

    return change


@pytest.fixture
def by_mail(with_settings, mailbox) -> MailBox:
    with_settings(smtp_url=mailbox.url, mail_from="flexdash@company.example")
    return mailbox


@pytest.fixture
def by_webhook(with_settings, workspace, receiver) -> Receiver:
    with_settings(webhook_private_hosts=("127.0.0.1",))
    db.session.add(
        AlarmSettings(
            workspace_id=workspace.id,
            is_to_admins=False,
            webhook_url_encrypted=vault.encrypt(receiver.url),
            webhook_secret_encrypted=vault.encrypt(SECRET),
        )
    )
    db.session.commit()
    return receiver


def alarm_message(workspace: Workspace, channel: Channel = Channel.EMAIL, **values: object) -> AlarmMessage:
    """A message that waits, about a scheduler that is away."""
    content = {
        "workspace": {"id": workspace.id, "name": workspace.name},
        "time_zone": "Asia/Kolkata",
        "n_alarms": 1,
        "alarms": [
            {
                "id": 7,
                "kind": "scheduler_away",
                "label": "Scheduler not seen",
                "severity": "critical",
                "store": None,
                "sentence": "The scheduler has not been seen lately.",
                "remedy": "Start it.",
                "url": "https://flexdash.example/alarms/7",
                "page": "https://flexdash.example/alarms/7",
                "opened_at": "2026-11-23T09:00:00+00:00",
                "cleared_at": None,
            }
        ],
    }
    return factories.make_alarm_message(workspace, "waiting", channel=channel, content=content, **values)


def fresh(message: AlarmMessage) -> AlarmMessage:
    """Read the message anew: what sends it takes it out of the session, and commits elsewhere."""
    db.session.rollback()
    return db.session.get_one(AlarmMessage, message.id, populate_existing=True)


# E-mail ---------------------------------------------------------------------------------------------------------------


def test_an_e_mail_arrives_with_words_and_a_link(workspace, by_mail) -> None:
    message = alarm_message(workspace)
    assert delivering.deliver_next(Channel.EMAIL)
    assert not delivering.deliver_next(Channel.EMAIL)
    (arrived,) = by_mail.mails
    assert by_mail.recipients == ["asha@company.example"]
    assert arrived["From"] == "flexdash@company.example"
    assert arrived["Subject"] == f"[FlexDash] Scheduler not seen, {workspace.name}"
    assert arrived["Message-ID"].startswith(f"<{message.delivery_id}@")
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert "https://flexdash.example/alarms/7" in arrived.get_content()
    message = fresh(message)
    assert (message.state, message.n_attempts, message.error_sentence) == (MessageState.SENT, 1, "")


def test_a_mail_server_that_cannot_be_reached_is_tried_for_a_day_and_then_given_up_in_words(
    workspace, with_settings, time_machine
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with_settings(smtp_url=f"smtp://127.0.0.1:{taken.getsockname()[1]}", mail_from="flexdash@company.example")
        message = alarm_message(workspace)
        began = clock.now()
        tries = []
        while (message := fresh(message)).state is MessageState.WAITING:
            time_machine.move_to(message.next_try_at, tick=False)
            assert delivering.deliver_next(Channel.EMAIL)
            tries.append(round((clock.now() - began).total_seconds() / 60))
            assert not delivering.deliver_next(Channel.EMAIL)
    assert tries == [0, 1, 6, 21, 81, 261, 621, 1341]
    assert message.state is MessageState.GIVEN_UP
    assert message.error_sentence == ("The mail server could not be reached. It was tried 8 times and is given up.")


def test_a_refused_address_is_given_up_at_once(workspace, by_mail) -> None:
    by_mail.refuses = "550 no such person"
    message = alarm_message(workspace)
    assert delivering.deliver_next(Channel.EMAIL)
    message = fresh(message)
    assert (message.state, message.error_sentence) == (
        MessageState.GIVEN_UP,
        "The mail server refused the address: 550 no such person",
    )


def test_a_password_is_not_sent_over_an_open_line(workspace, mailbox, with_settings) -> None:
    url = mailbox.url.replace("smtp://", "smtp://flexdash:canary-password@")
    with_settings(smtp_url=url, mail_from="flexdash@company.example")
    message = alarm_message(workspace)
    delivering.deliver_next(Channel.EMAIL)
    assert fresh(message).error_sentence.startswith("The mail server offers no encryption, so FlexDash did not send")
    assert mailbox.mails == []


def test_a_mail_server_that_hangs_holds_up_neither_the_looking_nor_a_sync(
    app: Flask, workspace, seller, by_mail, monkeypatch
) -> None:
    monkeypatch.setattr(mail, "ANSWER_SECONDS", 20.0)
    by_mail.is_silent = True
    message = alarm_message(workspace)

    def send() -> None:
        with app.app_context():
            delivering.deliver_next(Channel.EMAIL)
            db.session.remove()

    thread = threading.Thread(target=send)
    thread.start()
    wait_for(lambda: fresh(message).n_attempts, "the try to begin", timeout=10)
    began = time.monotonic()
    factories.make_run(factories.make_store(seller), RunState.QUEUED)  # a sync writes …
    keeping.evaluate(Parts(is_scheduler_away=True))  # … and the watcher looks, while the mail server is waited for
    assert time.monotonic() - began < 5
    assert thread.is_alive()
    by_mail.released.set()
    thread.join(10)
    assert fresh(message).error_sentence == "The mail server did not answer in time."
    assert fresh(message).state is MessageState.WAITING


def test_an_answer_that_never_ends_is_cut_off() -> None:
    ours, theirs = socket.socketpair()

    def read() -> None:
        with in_time(0.05, lambda: ours):
            if not ours.recv(1):
                raise ConnectionError("closed")

    with ours, theirs, pytest.raises(TimeoutError):
        read()


def test_the_parts_of_a_mail_servers_address_are_read() -> None:
    server = mail.MailServer.of_url("smtps://me%40company:p%2Fss@mail.example")
    assert (server.host, server.port, server.user, server.password) == ("mail.example", 465, "me@company", "p/ss")
    assert mail.MailServer.of_url("smtp://mail.example").port == 25


# Webhook --------------------------------------------------------------------------------------------------------------


def test_a_webhook_gets_json_whose_signature_it_can_check(workspace, by_webhook) -> None:
    message = alarm_message(workspace, Channel.WEBHOOK)
    assert delivering.deliver_next(Channel.WEBHOOK)
    (request,) = by_webhook.requests
    timestamp = request.headers["X-FlexDash-Timestamp"]
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-FlexDash-Signature"] == f"v1={expected}"
    assert abs(int(timestamp) - time.time()) < 60
    assert request.headers["X-FlexDash-Delivery"] == message.delivery_id
    assert request.path == "/hook?team=1"
    body = json.loads(request.body)
    assert (body["id"], body["event"], body["alarms"][0]["kind"]) == (
        message.delivery_id,
        "alarm.opened",
        "scheduler_away",
    )
    assert fresh(message).state is MessageState.SENT


def test_a_webhook_that_fails_is_tried_again_under_the_same_id(workspace, by_webhook, time_machine) -> None:
    by_webhook.answers = [500, 429]
    message = alarm_message(workspace, Channel.WEBHOOK)
    delivering.deliver_next(Channel.WEBHOOK)
    assert fresh(message).error_sentence == "127.0.0.1 answered 500 instead of a number from 200 to 299."
    assert not delivering.deliver_next(Channel.WEBHOOK)
    for _ in range(2):
        time_machine.move_to(fresh(message).next_try_at, tick=False)
        delivering.deliver_next(Channel.WEBHOOK)
    assert [request.headers["X-FlexDash-Delivery"] for request in by_webhook.requests] == [message.delivery_id] * 3
    message = fresh(message)
    assert (message.state, message.n_attempts) == (MessageState.SENT, 3)


def test_a_redirect_is_not_followed(workspace, by_webhook) -> None:
    by_webhook.answers, by_webhook.location = [302], "http://169.254.169.254/latest/meta-data"
    message = alarm_message(workspace, Channel.WEBHOOK)
    delivering.deliver_next(Channel.WEBHOOK)
    assert fresh(message).error_sentence == (
        "127.0.0.1 answered 302, a redirect, which FlexDash does not follow. Give the address it leads to."
    )
    assert len(by_webhook.requests) == 1


def test_a_name_that_leads_into_the_own_network_gets_nothing(workspace, by_webhook, with_settings) -> None:
    with_settings(webhook_private_hosts=())
    message = alarm_message(workspace, Channel.WEBHOOK)
    delivering.deliver_next(Channel.WEBHOOK)
    assert fresh(message).error_sentence.startswith("127.0.0.1 leads into a private network, where FlexDash sends")
    assert by_webhook.requests == []


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch) -> None:
    def found(*places: str) -> None:
        answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, 443)) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_values: answers)

    found("93.184.215.14", "10.0.0.5")
    with pytest.raises(NotDelivered, match="leads into a private network"):
        places_of("rebind.example", 443, ())
    assert len(places_of("rebind.example", 443, ("rebind.example",))) == 2
    found("93.184.215.14")
    assert [str(place) for place in places_of("good.example", 443, ())] == ["93.184.215.14"]


def test_the_address_that_was_checked_is_the_one_connected_to(receiver, monkeypatch) -> None:
    """A name that leads elsewhere when asked a second time gains nothing."""
    port = int(receiver.url.split(":")[2].split("/")[0])
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, *arguments: object, **values: object):
        asked.append(host)
        return real("127.0.0.1" if host == "hooks.test" else host, *arguments, **values)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    webhook.post(f"http://hooks.test:{port}/x", SECRET, {"id": "1", "event": "test"}, ("hooks.test",))
    assert asked.count("hooks.test") == 1
    assert receiver.requests[0].headers["Host"] == f"hooks.test:{port}"


@pytest.mark.parametrize(
    "place",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "fec0::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_places_that_are_not_the_internets(place: str) -> None:
    assert not is_public(ipaddress.ip_address(place))
    assert is_public(ipaddress.ip_address("93.184.215.14"))
    assert is_public(ipaddress.ip_address("2606:2800:21f:cb07:6820:80da:af6b:8b2c"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("hooks.example", "This is no web address"),
        ("ftp://hooks.example", "This is no web address"),
        ("http://hooks.example", "has to begin with https://"),
        ("https://me:secret@hooks.example", "Leave user name and password out"),
        ("https://hooks.example/#x", "Leave out what stands behind the #"),
        ("https://127.0.0.1/x", "lies inside a private network"),
        ("https://[::ffff:10.0.0.1]/", "lies inside a private network"),
        ("https://10.0.0.1:8443/x", "10.0.0.1 lies inside a private network"),
        ("https://10.0.0.1./x", "lies inside a private network"),
        ("https://127.1/x", "127.1 lies inside a private network"),
        ("https://2130706433/x", "lies inside a private network"),
        ("https://localhost/x", "localhost lies inside a private network"),
        ("https://LocalHost./x", "lies inside a private network"),
        ("https://hooks.localhost/x", "lies inside a private network"),
        ("https://printer.local/x", "lies inside a private network"),
        ("https://hooks.internal/x", "name the host in WEBHOOK_PRIVATE_HOSTS"),
        ("https://intranet/x", "lies inside a private network"),
        ("https://hooks.example/a b", "This is no web address"),
        ("https://hooks.example:99999/", "This is no web address"),
        ("https://hooks.example/" + "x" * 500, "there is room for 500"),
    ],
)
def test_an_address_that_no_webhook_can_have_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(BadAddress) as caught:
        checked_url(url, is_https_needed=True, private_hosts=())
    assert words in caught.value.sentence


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/x",
        "https://hooks.internal/x",
        "https://intranet/x",
        "https://10.0.0.1/x",
        "https://hooks.company.example/x",
        "https://localhost.company.example/x",
        "https://93.184.215.14/x",
        "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/x",
    ],
)
def test_a_private_host_that_is_named_and_any_public_one_can_be_saved(url: str) -> None:
    named = ("localhost", "hooks.internal", "intranet", "10.0.0.1")
    assert checked_url(url, is_https_needed=True, private_hosts=named) == url


# The outbox -----------------------------------------------------------------------------------------------------------


def test_a_message_whose_watcher_died_is_sent_by_another_later(workspace, by_mail, monkeypatch, time_machine) -> None:
    message = alarm_message(workspace)

    class Died(BaseException):
        pass

    def die(_taken: object) -> None:
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(delivering, "_send", die)
        with pytest.raises(Died):
            delivering.deliver_next(Channel.EMAIL)
    assert not delivering.deliver_next(Channel.EMAIL)
    time_machine.move_to(clock.now() + delivering.IN_HAND, tick=False)
    assert delivering.deliver_next(Channel.EMAIL)
    message = fresh(message)
    assert (message.state, message.n_attempts) == (MessageState.SENT, 2)


def test_a_late_answer_says_nothing_of_a_newer_try(workspace, by_mail) -> None:
    message = alarm_message(workspace, n_attempts=2)
    old = delivering._take(Channel.EMAIL, workspace.id).message
    message = fresh(message)
    message.n_attempts += 1
    db.session.commit()
    delivering._end(old, MessageState.SENT)
    assert fresh(message).state is MessageState.WAITING


def test_a_test_message_is_tried_once(workspace, by_webhook) -> None:
    by_webhook.answers = [500]
    message = alarm_message(workspace, Channel.WEBHOOK, event=MessageEvent.TEST)
    delivering.deliver_next(Channel.WEBHOOK)
    assert fresh(message).state is MessageState.GIVEN_UP


def test_a_message_to_a_webhook_that_is_gone_is_given_up(workspace) -> None:
    message = alarm_message(workspace, Channel.WEBHOOK)
    delivering.deliver_next(Channel.WEBHOOK)
    message = fresh(message)
    assert (message.state, message.error_sentence) == (MessageState.GIVEN_UP, "There is no webhook any more.")


def test_a_message_waits_for_the_key_that_opens_its_webhooks_address(
    app: Flask, workspace, by_webhook, time_machine, monkeypatch
) -> None:
    message = alarm_message(workspace, Channel.WEBHOOK)
    with monkeypatch.context() as without_key:
        without_key.setitem(app.extensions, "flexdash_vault", Vault([Fernet.generate_key().decode()]))
        assert delivering.deliver_next(Channel.WEBHOOK)
    message = fresh(message)
    assert message.state is MessageState.WAITING
    assert message.error_sentence == (
        "The key that the webhook's address is encrypted with is missing from ENCRYPTION_KEYS. Tell whoever runs "
        "FlexDash to put it back."
    )
    time_machine.move_to(message.next_try_at, tick=False)
    assert delivering.deliver_next(Channel.WEBHOOK)
    assert fresh(message).state is MessageState.SENT
    assert len(by_webhook.requests) == 1


def test_old_messages_and_alarms_are_forgotten(workspace, time_machine) -> None:
    alarm_message(workspace)
    factories.make_alarm_message(workspace, "sent")
    factories.make_alarm(workspace)
    factories.make_alarm(workspace, cleared_at=clock.now())
    time_machine.move_to(clock.now() + timedelta(days=91), tick=False)
    delivering.forget_old()
    assert [message.state for message in db.session.scalars(db.select(AlarmMessage))] == [MessageState.WAITING]
    time_machine.move_to(clock.now() + timedelta(days=310), tick=False)
    delivering.forget_old()
    assert [alarm.cleared_at for alarm in db.session.scalars(db.select(Alarm))] == [None]

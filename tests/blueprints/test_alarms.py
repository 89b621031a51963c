"""The alarm pages: the bell, the list, one alarm, who is on it, and who is told."""

import dataclasses
import re
import socket
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.connection import AbstractConnection
from rq import Worker
from sqlalchemy import event

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import presence, queues
from flexdash.jobs.presence import show_watcher
from flexdash.jobs.schedule import QUEUES
from flexdash.jobs.scheduling import SEEN_KEY
from flexdash.models import Alarm, AlarmKind, Role, Severity, Sync, User
from flexdash.services.alarms import queue_load, wishes
from flexdash.services.alarms.kinds import KINDS
from flexdash.templating.redis_watch import RedisWatch
from tests import factories
from tests.factories import make_alarm, make_alarm_message, make_batch, make_order, make_run, make_store, make_user
from tests.support.web import words

SignedIn = Callable[[User], FlaskClient]
FORM = {
    "version": "0",
    "is_to_admins": "y",
    "addresses": "",
    "webhook_url": "",
    "least_severity": "1",
    "told_kinds": [kind.value for kind in KINDS],
    "reminder_hours": "24",
}


@pytest.fixture
def store(seller):
    return make_store(seller, name="Pune Store")


@pytest.fixture
def merchant(workspace, signed_in: SignedIn) -> FlaskClient:
    return signed_in(make_user(workspace, Role.MERCHANT, name="Meera"))


@pytest.fixture
def admin(workspace, signed_in: SignedIn) -> FlaskClient:
    return signed_in(make_user(workspace, Role.ADMIN, name="Asha"))


def after(client: FlaskClient, path: str, data: object = None) -> str:
    """Post, and return the page that it leads to."""
    return client.get(client.post(path, data=data).location).text


def bell_of(client: FlaskClient) -> str:
    found = re.search(r'<a class="bell.*?</a>', client.get("/orders").text, re.DOTALL)
    return words(found.group()).strip()


# The bell -------------------------------------------------------------------------------------------------------------


def test_the_bell_says_how_many_alarms_are_open(merchant, store) -> None:
    assert bell_of(merchant) == "No alarm is open"
    make_alarm(store, severity=Severity.WARNING.value)
    make_alarm(store, cleared_at=clock.now())
    assert bell_of(merchant) == "1 alarm open"
    make_alarm(store)
    make_alarm(store.seller.workspace, AlarmKind.WORKER_AWAY)
    assert bell_of(merchant) == "3 alarms open, 2 critical"


def test_the_bell_counts_what_the_person_may_see(workspace, store, signed_in) -> None:
    make_alarm(store)
    make_alarm(workspace, AlarmKind.SCHEDULER_AWAY)
    theirs = factories.make_seller(workspace)
    make_alarm(make_store(theirs))
    limited = signed_in(make_user(workspace, sellers=[theirs]))
    assert bell_of(limited) == "1 alarm open, 1 critical"
    assert "Pune Store" not in limited.get("/alarms").text


def test_the_bell_costs_no_further_query(workspace, store, signed_in) -> None:
    client = signed_in(make_user(workspace))

    def n_statements() -> int:
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", watch := lambda *args: seen.append(args[2]))
        try:
            client.get("/account")
        finally:
            event.remove(db.engine, "before_cursor_execute", watch)
        return sum("alarms" in statement for statement in seen)

    assert n_statements() == 1
    for _ in range(20):
        make_alarm(store)
    assert n_statements() == 1


# FlexDash itself ------------------------------------------------------------------------------------------------------


def house_of(client: FlaskClient) -> str:
    found = re.search(r'<section class="box" id="flexdash-itself">.*?</section>', client.get("/alarms").text, re.DOTALL)
    return words(found.group())


@pytest.mark.parametrize("role", Role)
def test_the_page_says_how_flexdash_itself_is_doing(workspace, signed_in, redis_connection, role) -> None:
    served = [queues.queue(name, redis_connection) for name in QUEUES if name != "upload"]
    Worker(served, connection=redis_connection).register_birth()
    redis_connection.set(SEEN_KEY, "1", ex=60)
    client = signed_in(make_user(workspace, role))
    said = house_of(client)
    assert "Scheduler Lets the clock begin the syncs Seen lately" in said
    assert "Watcher Looks for alarms and tells people Not seen lately" in said
    assert "Worker of the queue sync Does the syncs Seen lately Nothing waits" in said
    assert "Worker of the queue upload Checks and applies uploaded files Not seen lately Nothing waits" in said


def test_of_what_waits_the_page_counts_ones_own_workspace(workspace, signed_in, store, monkeypatch) -> None:
    def ago(minutes: int) -> datetime:
        return clock.now() - timedelta(minutes=minutes)

    elsewhere = make_store(factories.make_seller(factories.make_workspace("Elsewhere")))
    person = make_user(workspace, Role.MERCHANT)
    for sync in (Sync.ORDER_PULL, Sync.INVENTORY_PUSH):
        make_run(elsewhere, "queued", sync=sync, queued_at=ago(90))
    factories.make_upload(elsewhere, "received", uploaded_at=ago(90))
    own = signed_in(person)
    assert house_of(own).count("Nothing waits") == 3

    for n, sync in enumerate((Sync.ORDER_PULL, Sync.INVENTORY_PUSH, Sync.PRICE_PUSH)):
        make_run(store, "queued", sync=sync, queued_at=ago(20 - n))
    make_run(store, "queued", sync=Sync.RETURN_PULL, queued_at=ago(60), retry_at=ago(-5))  # it waits for no worker
    factories.make_upload(store, "received", uploaded_at=ago(4))
    make_batch(make_order(store), person)
    said = house_of(own)
    assert "Does the syncs Not seen lately 3 syncs; the oldest came 20 minutes ago Too long" in said
    assert "1 file; it came 4 minutes ago" in said
    assert "1 action; it came" in said
    monkeypatch.setattr(queue_load, "MOST_COUNTED", 2)
    assert "more than 2 syncs; the oldest came 20 minutes ago" in house_of(own)

    limited = house_of(signed_in(make_user(workspace, Role.MERCHANT, sellers=[store.seller])))
    assert "Worker of the queue sync Does the syncs Not seen lately Worker" in limited


def test_the_look_at_redis_is_short_however_many_workers_there_are(
    workspace, redis_connection, merchant, monkeypatch
) -> None:
    for number in range(3):
        served = [queues.queue(name, redis_connection) for name in QUEUES]
        Worker(served, name=f"worker-{number}", connection=redis_connection).register_birth()
    sent = []
    send = AbstractConnection.send_packed_command
    monkeypatch.setattr(
        AbstractConnection,
        "send_packed_command",
        lambda self, command, **options: (sent.append(command), send(self, command, **options))[1],
    )
    redis_connection.ping()
    sent.clear()
    assert [state.n_workers for state in presence.look(redis_connection).queues] == [3] * len(QUEUES)
    assert len(sent) == 2


def test_while_redis_does_not_answer_the_page_says_so_and_shows_its_alarms(
    app: Flask, merchant, store, monkeypatch
) -> None:
    make_alarm(store, sentence="The bad one")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        watch = RedisWatch(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        monkeypatch.setattr(watch, "is_away", lambda: False)  # it answered a second ago
        monkeypatch.setitem(app.extensions, "flexdash_redis_watch", watch)
        assert "Redis does not answer So it is not known which parts are at work" in house_of(merchant)
        page = merchant.get("/alarms").text
    assert "The bad one" in page
    assert "The watcher has not been seen lately" not in page


# The list -------------------------------------------------------------------------------------------------------------


def test_when_nothing_is_wrong_the_page_says_what_to_do(merchant, admin) -> None:
    assert "Nothing is wrong." in merchant.get("/alarms").text
    assert "Set who is told" in admin.get("/alarms").text


def test_the_worst_stand_first_and_the_past_ones_below(merchant, store) -> None:
    make_alarm(store, severity=Severity.CRITICAL.value, sentence="The bad one")
    make_alarm(store, severity=Severity.WARNING.value, sentence="The mild one")
    make_alarm(store, cleared_at=clock.now(), sentence="The past one")
    html = merchant.get("/alarms").text
    places = [html.index(words) for words in ("The bad one", "The mild one", "Over lately", "The past one")]
    assert places == sorted(places)
    assert f'href="/stores/{store.id}"' in html
    past = merchant.get("/alarms?show=past").text
    assert "The past one" in past
    assert "The bad one" not in past


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("severity=2", {"bad"}),
        ("severity=1", {"mild"}),
        ("kind=conflicts", {"mild"}),
        ("kind=nonsense&severity=9&store=x", {"bad", "mild"}),
    ],
)
def test_the_list_is_narrowed_by_the_address(merchant, store, query, shown) -> None:
    make_alarm(store, sentence="It is bad.")
    make_alarm(store, AlarmKind.CONFLICTS, severity=Severity.WARNING.value, sentence="It is mild.")
    html = merchant.get(f"/alarms?{query}").text
    assert {word for word in ("bad", "mild") if f"It is {word}." in html} == shown


def test_filters_that_fit_nothing_lead_back(merchant, store) -> None:
    make_alarm(store)
    assert "No open alarm fits these filters." in merchant.get("/alarms?kind=conflicts").text


def test_many_alarms_are_paged(merchant, store) -> None:
    for number in range(55):
        make_alarm(store, sentence=f"Number {number}.")
    first = merchant.get("/alarms").text
    following = re.search(r'rel="next" href="(\?page=[^"]+)"', first).group(1)
    assert first.count("Number ") == 50
    assert merchant.get(f"/alarms{following}").text.count("Number ") == 5


def test_the_page_says_when_nobody_watches(app: Flask, merchant) -> None:
    assert "The watcher has not been seen lately" in merchant.get("/alarms").text
    show_watcher(app.extensions["flexdash_redis"])
    assert "The watcher has not been seen lately" not in merchant.get("/alarms").text


def test_a_name_cannot_run_in_the_page(merchant, seller) -> None:
    make_alarm(make_store(seller, name="<svg onload=alert(1)>"), sentence="<svg onload=alert(1)>")
    assert "<svg onload" not in merchant.get("/alarms").text


# One alarm ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AlarmKind)
def test_each_kind_says_what_to_do(merchant, store, kind) -> None:
    alarm = make_alarm(store, kind, sentence="What is wrong.")
    page = words(merchant.get(f"/alarms/{alarm.id}"))
    for said in ("What is wrong.", KINDS[kind].label, KINDS[kind].remedy):
        assert said in page


def test_the_link_leads_where_the_persons_role_may_go(merchant, workspace, store, signed_in) -> None:
    alarm = make_alarm(store, AlarmKind.AUTHORIZATION, path=f"/stores/{store.id}/reconnect")
    support = signed_in(make_user(workspace, Role.SUPPORT))
    for page in (f"/alarms/{alarm.id}", "/alarms"):
        assert f'{alarm.path}"' in merchant.get(page).text
        assert f'{alarm.path}"' not in support.get(page).text
    assert "Look at the store" in support.get(f"/alarms/{alarm.id}").text


def test_a_person_says_i_am_on_it(merchant, store) -> None:
    alarm = make_alarm(store, next_reminder_at=clock.now())
    answer = merchant.post(f"/alarms/{alarm.id}/take")
    assert answer.location.endswith(f"/alarms/{alarm.id}")
    assert "You are on it: no reminder comes about this alarm." in merchant.get(answer.location).text
    kept = db.session.get(Alarm, alarm.id)
    assert (kept.acknowledged_by_name, kept.next_reminder_at) == ("Meera", None)
    assert "Meera" in merchant.get("/alarms").text


def test_somebody_else_is_on_it_already(merchant, admin, store) -> None:
    alarm = make_alarm(store)
    merchant.post(f"/alarms/{alarm.id}/take")
    assert "Meera is on it already" in after(admin, f"/alarms/{alarm.id}/take")


def test_an_alarm_that_is_over_is_nobodys(merchant, store) -> None:
    alarm = make_alarm(store, cleared_at=clock.now())
    assert "This alarm is over" in after(merchant, f"/alarms/{alarm.id}/take")
    assert "I am on it" not in merchant.get(f"/alarms/{alarm.id}").text


# Who is told ----------------------------------------------------------------------------------------------------------


WEBHOOK = FORM | {"is_to_admins": "", "webhook_url": "https://hooks.company.example/x"}
UNTOLD_BEFORE = "Nobody was told yet: no e-mail or webhook was set up for it when it was noticed."


def test_an_alarm_from_before_the_webhook_says_that_its_next_reminder_will_be_sent(admin, store) -> None:
    page = f"/alarms/{make_alarm(store, next_reminder_at=clock.now()).id}"
    assert "Nobody was told: no e-mail or webhook is set up for it" in admin.get(page).text
    admin.post("/alarms/settings", data=WEBHOOK)
    assert f"{UNTOLD_BEFORE} The next reminder will be sent" in admin.get(page).text


def test_an_alarm_from_before_the_webhook_says_when_no_reminder_comes(admin, store) -> None:
    taken, over = make_alarm(store), make_alarm(store, cleared_at=clock.now())
    late = make_alarm(store, next_reminder_at=clock.now())
    admin.post("/alarms/settings", data=WEBHOOK | {"reminder_hours": "0"})
    before = "Nobody was told: no e-mail or webhook was set up for it when it was noticed"
    for alarm in (taken, late):
        assert f"{before}, and no reminder is due<" in admin.get(f"/alarms/{alarm.id}").text
    assert f"{before}<" in admin.get(f"/alarms/{over.id}").text


def test_an_alarm_that_the_settings_leave_out_says_that_nothing_is_set_up_for_it(admin, store) -> None:
    alarm = make_alarm(store, severity=Severity.WARNING.value, next_reminder_at=clock.now())
    admin.post("/alarms/settings", data=WEBHOOK | {"least_severity": "2"})
    assert "no e-mail or webhook is set up for it<" in admin.get(f"/alarms/{alarm.id}").text


def test_e_mails_to_admins_count_once_this_flexdash_can_send_them(
    app: Flask, admin, store, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = f"/alarms/{make_alarm(store, next_reminder_at=clock.now()).id}"
    assert "no e-mail or webhook is set up for it" in admin.get(page).text
    with_mail = dataclasses.replace(app.config["SETTINGS"], smtp_url="smtp://mail.example:25", mail_from="a@b.example")
    monkeypatch.setitem(app.config, "SETTINGS", with_mail)
    assert UNTOLD_BEFORE in admin.get(page).text


def test_the_settings_say_where_a_webhook_can_go_and_who_reads_what(admin) -> None:
    html = admin.get("/alarms/settings").text
    assert "limited to some sellers" not in html
    assert "Public https addresses only (http:// is taken in development alone)" in html
    answer = admin.post("/alarms/settings", data=FORM | {"webhook_url": "https://localhost/x"})
    assert answer.status_code == 422
    assert '<a href="#webhook_url">localhost lies inside a private network' in answer.text


def test_the_settings_are_saved_and_shown(admin, workspace) -> None:
    values = FORM | {"addresses": "ops@company.example", "least_severity": "2", "reminder_hours": "0"}
    html = after(admin, "/alarms/settings", data=values)
    assert "The alarm settings are saved." in html
    assert "ops@company.example" in html
    kept = wishes.of(workspace.id)
    assert (kept.least_severity, kept.reminder_hours) == (Severity.CRITICAL, 0)


def test_the_webhooks_secret_is_shown_once(admin) -> None:
    values = FORM | {"webhook_url": "https://hooks.company.example/x"}
    html = after(admin, "/alarms/settings", data=values)
    secret = re.search(r"fdwh_[\w-]+", html).group()
    assert secret not in admin.get("/alarms/settings").text
    assert 'href="/alarms/settings/secret">Make another secret …</a>' in admin.get("/alarms/settings").text
    asked = admin.get("/alarms/settings/secret").text
    assert "What FlexDash sends to hooks.company.example from then on is signed with the new secret." in asked
    assert '<input type="hidden" name="version" value="1">' in asked
    assert 'href="/alarms/settings">Keep the present one</a>' in asked
    html = after(admin, "/alarms/settings/secret", data={"version": "1"})
    assert re.search(r"fdwh_[\w-]+", html).group() != secret
    log = admin.get("/configuration-log?section=Alarms").text
    assert "changed who is told of alarms: the webhook" in log
    assert "fdwh_" not in log


def test_an_older_cookie_does_not_show_the_webhooks_secret_later_or_after_it_was_renewed(admin, time_machine) -> None:
    def put_back(cookie: str) -> str:
        admin.set_cookie("session", cookie)
        return admin.get("/alarms/settings").text

    admin.post("/alarms/settings", data=FORM | {"webhook_url": "https://hooks.company.example/x"})
    first = admin.get_cookie("session").value
    secret = re.search(r"fdwh_[\w-]+", admin.get("/alarms/settings").text).group()
    admin.post("/alarms/settings/secret", data={"version": "1"})
    second = admin.get_cookie("session").value
    assert secret not in put_back(first)
    assert "fdwh_" in put_back(second)
    time_machine.move_to(clock.now() + timedelta(minutes=5, seconds=1), tick=False)
    assert "fdwh_" not in put_back(second)


def test_a_wrong_address_stays_typed_with_the_error_at_its_field(admin) -> None:
    answer = admin.post("/alarms/settings", data=FORM | {"addresses": "nobody", "reason": "why"})
    assert answer.status_code == 422
    assert '<a href="#addresses">“nobody” is no e-mail address.' in answer.text
    assert 'value="why"' in answer.text
    assert ">\nnobody</textarea>" in answer.text or ">\r\nnobody</textarea>" in answer.text


def test_all_that_is_wrong_with_the_settings_is_said_at_once(admin) -> None:
    typed = FORM | {"addresses": "nobody", "webhook_url": "ftp://hooks.company.example", "reason": "x" * 301}
    page = admin.post("/alarms/settings", data=typed).text
    for field in ("addresses", "webhook_url", "reason"):
        assert f'href="#{field}"' in page


def test_an_older_form_is_refused_with_who_changed_it(admin) -> None:
    admin.post("/alarms/settings", data=FORM | {"reminder_hours": "4"})
    answer = admin.post("/alarms/settings", data=FORM | {"reminder_hours": "12"})
    assert answer.status_code == 409
    assert "Changed by Asha meanwhile" in answer.text
    answer = admin.post("/alarms/settings/secret", data={"version": "0"})
    assert answer.status_code == 409
    # The page stands at the secret's address then: what is saved there must not make another one.
    assert re.search(r'<form [^>]*action="/alarms/settings"', answer.text)


def test_without_a_webhook_nothing_is_asked_about_its_secret(admin) -> None:
    answer = admin.get("/alarms/settings/secret")
    assert (answer.status_code, answer.location) == (303, "/alarms/settings")


def test_a_test_says_how_it_went(admin, workspace) -> None:
    html = after(admin, "/alarms/settings/test", data=FORM | {"channel": "email"})
    assert "E-mail is not set up on this FlexDash" in html
    make_alarm_message(workspace, "waiting", event="test")
    assert "is on its way" in admin.get("/alarms/settings").text
    assert "data-live-url" in admin.get("/alarms/settings/test/live").text
    make_alarm_message(workspace, "given_up", event="test", error_sentence="The mail server could not be reached.")
    part = admin.get("/alarms/settings/test/live").text
    assert "could not be sent. The mail server could not be reached." in part
    assert "data-live-url" not in part
    assert admin.post("/alarms/settings/test", data={"channel": "pigeon"}).status_code == 400


def test_a_test_keeps_what_was_typed_and_says_that_it_is_not_saved(admin, workspace) -> None:
    buttons = re.findall(r'<button [^>]*name="channel"[^>]*>', admin.get("/alarms/settings").text)
    assert len(buttons) == 2
    assert all('form="alarm-settings" formaction="/alarms/settings/test#test"' in button for button in buttons)
    typed = FORM | {
        "addresses": "ops@company.example",
        "reason": "why",
        "webhook_url": "https://hooks.company.example/x",
    }
    for channel, status, said in (
        ("email", 200, "What you typed is kept here, but not saved yet"),
        ("webhook", 422, '<a href="#webhook_url">This address is not saved yet. Save the alarm settings first'),
    ):
        answer = admin.post("/alarms/settings/test", data=typed | {"channel": channel})
        assert answer.status_code == status
        assert said in answer.text
        for kept in ("ops@company.example</textarea>", 'value="why"', 'value="https://hooks.company.example/x"'):
            assert kept in answer.text
    assert wishes.of(workspace.id).addresses == ()


def test_what_was_sent_is_listed(admin, workspace) -> None:
    assert "No message has been made" in admin.get("/alarms/messages").text
    make_alarm_message(workspace)
    make_alarm_message(workspace, "waiting", n_attempts=2, error_sentence="The mail server did not answer in time.")
    html = words(admin.get("/alarms/messages").text)
    assert "Order Sync stale, Pune Store" in html
    assert "The mail server did not answer in time. The next try is" in html


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.SUPPORT])
def test_others_see_alarms_and_not_who_is_told(workspace, signed_in, role) -> None:
    client = signed_in(make_user(workspace, role))
    assert client.get("/alarms").status_code == 200
    assert "Alarm settings" not in client.get("/alarms").text
    for path in ("/alarms/settings", "/alarms/messages", "/alarms/settings/test/live"):
        assert client.get(path).status_code == 403

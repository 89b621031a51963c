"""One workspace's slow webhook holds up nobody else's alarms."""

import dataclasses
import threading
from collections.abc import Iterator

import pytest
from flask import Flask

from flexdash.extensions import db, vault
from flexdash.models import AlarmMessage, AlarmSettings, Channel, MessageState, Workspace
from flexdash.services.alarms import delivering, webhook
from flexdash.services.alarms.turns import BUDGET_SECONDS, WINDOW_SECONDS, Turns
from tests import factories
from tests.support.receivers import Receiver, webhook_receiver
from tests.support.servers import wait_for

SLOW, QUICK, OTHER = 1, 2, 3


class Watch:
    """A clock that a test moves by hand."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def turns(watch) -> Turns:
    return Turns(watch)


def take_turn(turns: Turns, watch: Watch, workspace_id: int, seconds: float) -> None:
    assert turns.begin([workspace_id]) == workspace_id
    watch.seconds += seconds
    turns.end(workspace_id)


def test_the_one_that_waits_longest_comes_first(turns) -> None:
    assert turns.begin([QUICK, SLOW]) == QUICK


def test_a_workspace_has_one_message_in_hand(turns) -> None:
    assert turns.begin([SLOW, QUICK]) == SLOW
    assert turns.begin([SLOW, QUICK]) == QUICK
    assert turns.begin([SLOW, QUICK]) is None
    turns.end(SLOW)
    assert turns.begin([SLOW, QUICK]) == SLOW


def test_whose_budget_is_spent_goes_after_all_others_and_has_it_again_a_minute_later(turns, watch) -> None:
    take_turn(turns, watch, SLOW, BUDGET_SECONDS / 2)
    take_turn(turns, watch, SLOW, BUDGET_SECONDS / 2)
    take_turn(turns, watch, QUICK, 0.1)
    assert turns.begin([SLOW, QUICK]) == QUICK
    assert turns.begin([SLOW], is_for_quick=True) is None
    assert turns.begin([SLOW]) == SLOW
    watch.seconds += WINDOW_SECONDS
    turns.end(SLOW)  # this turn alone took a minute
    assert turns.begin([SLOW, OTHER]) == OTHER
    watch.seconds += WINDOW_SECONDS
    assert turns.begin([SLOW], is_for_quick=True) == SLOW


@pytest.fixture
def slow_receiver() -> Iterator[Receiver]:
    with webhook_receiver() as running:
        running.is_silent = True
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def private_hosts_allowed(request, monkeypatch) -> None:
    if "app" in request.fixturenames:
        app = request.getfixturevalue("app")
        changed = dataclasses.replace(app.config["SETTINGS"], webhook_private_hosts=("127.0.0.1",))
        monkeypatch.setitem(app.config, "SETTINGS", changed)


def messages_to(receiver: Receiver, n: int) -> list[AlarmMessage]:
    """Make a workspace with this receiver, and `n` messages that wait for it."""
    workspace: Workspace = factories.make_workspace()
    db.session.add(
        AlarmSettings(
            workspace_id=workspace.id,
            webhook_url_encrypted=vault.encrypt(receiver.url),
            webhook_secret_encrypted=vault.encrypt("fdwh_x"),
        )
    )
    db.session.commit()
    return [factories.make_alarm_message(workspace, "waiting", channel=Channel.WEBHOOK) for _ in range(n)]


def test_a_receiver_that_hangs_holds_up_no_other_workspace(app: Flask, slow_receiver, receiver, monkeypatch) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 20.0)
    messages_to(slow_receiver, 3)
    messages_to(receiver, 2)
    turns = Turns()

    def send() -> None:
        with app.app_context():
            delivering.deliver_next(Channel.WEBHOOK, turns)
            db.session.remove()

    thread = threading.Thread(target=send)
    thread.start()
    wait_for(lambda: slow_receiver.requests, "the slow receiver to have a message in hand", timeout=10)
    assert delivering.deliver_next(Channel.WEBHOOK, turns, is_for_quick=True)
    assert delivering.deliver_next(Channel.WEBHOOK, turns, is_for_quick=True)
    assert len(receiver.requests) == 2
    assert not delivering.deliver_next(Channel.WEBHOOK, turns, is_for_quick=True)  # no second one for who hangs
    assert thread.is_alive()
    assert len(slow_receiver.requests) == 1
    slow_receiver.released.set()
    thread.join(10)
    assert not thread.is_alive()
    for _ in range(2):
        assert delivering.deliver_next(Channel.WEBHOOK, turns)
    db.session.rollback()
    assert {one.state for one in db.session.scalars(db.select(AlarmMessage))} == {MessageState.SENT}


def test_the_turn_is_given_back_when_sending_breaks(receiver, app: Flask, monkeypatch) -> None:
    messages_to(receiver, 1)
    turns = Turns()

    class Died(BaseException):
        pass

    def die(_taken: object) -> None:
        raise Died

    monkeypatch.setattr(delivering, "_send", die)
    with pytest.raises(Died):
        delivering.deliver_next(Channel.WEBHOOK, turns)
    assert turns.begin([db.session.scalar(db.select(AlarmMessage.workspace_id))]) is not None

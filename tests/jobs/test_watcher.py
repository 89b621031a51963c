"""The watcher process: it tells who is away only after a while, and works with Redis, workers and scheduler away."""

import dataclasses
import json
import signal

import pytest
import redis
from flask import Flask
from rq import Queue
from rq.worker import Worker
from sqlalchemy import select

from flexdash.extensions import db, vault
from flexdash.jobs.presence import WATCHER_KEY
from flexdash.jobs.schedule import QUEUES
from flexdash.jobs.scheduling import SEEN_KEY
from flexdash.jobs.watching import PartsWatch, Watcher
from flexdash.models import Alarm, AlarmKind, AlarmMessage, AlarmSettings, MessageState
from flexdash.services.alarms.findings import Parts
from tests.factories import make_store
from tests.support.receivers import webhook_receiver
from tests.support.servers import flexdash_process, free_port, wait_for

ALL_AWAY = Parts(unserved_queues=QUEUES, is_scheduler_away=True)


@pytest.fixture
def connection(app: Flask) -> redis.Redis:
    return app.extensions["flexdash_redis"]


def all_there(connection: redis.Redis) -> None:
    Worker([Queue(name, connection=connection) for name in QUEUES], connection=connection).register_birth()
    connection.set(SEEN_KEY, "1", ex=60)


def message_states() -> list[MessageState]:
    db.session.rollback()
    return list(db.session.scalars(select(AlarmMessage.state)))


def test_who_is_away_for_a_moment_is_not_missed(connection) -> None:
    watch = PartsWatch(connection, patience=60)
    assert watch.look() == Parts()
    watch._away_since = {name: at - 60 for name, at in watch._away_since.items()}
    assert watch.look() == ALL_AWAY
    all_there(connection)
    assert watch.look() == Parts()
    connection.delete(SEEN_KEY)
    assert watch.look() == Parts()


def test_while_redis_is_away_only_redis_is_missed(connection) -> None:
    away = redis.Redis.from_url(f"redis://127.0.0.1:{free_port()}/0", retry=None)
    assert PartsWatch(away, patience=0).look() == Parts(
        is_redis_away=True, unserved_queues=None, is_scheduler_away=None
    )
    patient = PartsWatch(away, patience=60)
    assert patient.look().is_redis_away is False
    patient._connection = connection
    assert patient.look() == Parts()  # what Redis forgot meanwhile gets its minute as well


def test_a_look_that_fails_does_not_end_the_watcher(app: Flask, monkeypatch) -> None:
    watcher = Watcher(app)
    shown = []

    def fail() -> None:
        raise RuntimeError("the database is away")

    monkeypatch.setattr(watcher, "look", fail)
    monkeypatch.setattr(watcher, "_show", lambda: (shown.append(1), watcher.stop()))
    monkeypatch.setattr("flexdash.jobs.watching.SENDERS", ())
    watcher.run()
    assert shown == [1]


def test_the_watcher_opens_an_alarm_and_tells_a_webhook_of_it(app: Flask, environment, workspace, seller) -> None:
    """A process of its own, with Redis away: nobody else could say so."""
    make_store(seller, "needs_reauthorization", name="Pune Store")
    with webhook_receiver() as receiver:
        db.session.add(
            AlarmSettings(
                workspace_id=workspace.id,
                webhook_url_encrypted=vault.encrypt(receiver.url),
                webhook_secret_encrypted=vault.encrypt("fdwh_secret"),
            )
        )
        db.session.commit()
        own = {"WEBHOOK_PRIVATE_HOSTS": "127.0.0.1", "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
        with flexdash_process({**environment, **own}, "watcher") as process:
            wait_for(lambda: message_states() == [MessageState.SENT], "the webhook's message")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    (alarm,) = json.loads(receiver.requests[0].body)["alarms"]
    assert alarm["sentence"].startswith("Pune Store: Amazon refuses FlexDash's access")
    assert db.session.scalars(select(Alarm.kind)).all() == [AlarmKind.AUTHORIZATION]


def test_the_watcher_shows_itself(app: Flask, connection) -> None:
    Watcher(app)._show()
    assert 0 < connection.ttl(WATCHER_KEY) <= 60
    away = dataclasses.replace(app.config["SETTINGS"], redis_url=f"redis://127.0.0.1:{free_port()}/0")
    other = Watcher(app)
    other._connection = redis.Redis.from_url(away.redis_url, retry=None)
    other._show()  # says nothing and goes on

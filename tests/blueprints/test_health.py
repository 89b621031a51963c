"""/healthz and /readyz: what a load balancer, `make run` and a person on call rely on."""

import json
import re

import pytest
import redis
from rq import Queue
from rq.worker import Worker
from sqlalchemy import text

from config import PROJECT_DIR
from flexdash.extensions import db
from flexdash.jobs.presence import WORKER_SEEN_WITHIN, show_watcher
from flexdash.jobs.schedule import QUEUES
from flexdash.jobs.scheduling import SEEN_KEY


@pytest.fixture
def all_parts_up(app):
    """A worker registered for every queue, and a scheduler and a watcher that have just been seen."""
    connection = app.extensions["flexdash_redis"]
    worker = Worker([Queue(name, connection=connection) for name in QUEUES], connection=connection)
    worker.register_birth()
    connection.set(SEEN_KEY, "1", ex=60)
    show_watcher(connection)
    return worker


def parts_of(response):
    return {name: part["is_up"] for name, part in response.json["parts"].items()}


def test_healthz_answers_a_stranger(client):
    response = client.get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "up"})
    assert response.headers["Cache-Control"] == "no-store"


def test_readyz_is_ready_when_every_part_is_up(client, all_parts_up):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json["status"] == "ready"
    assert list(response.json["parts"]) == ["database", "migrations", "redis", "scheduler", "watcher", "worker"]
    assert all(parts_of(response).values())


def test_readyz_names_the_missing_worker_and_scheduler(client):
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json["status"] == "not ready"
    assert parts_of(response) == {
        "database": True, "migrations": True, "redis": True, "worker": False, "scheduler": False, "watcher": False,
    }  # fmt: skip
    assert response.json["parts"]["worker"]["detail"] == "No worker has been seen lately for: tick, sync, work, upload."


def test_readyz_waits_once_for_a_redis_that_does_not_answer(client, app, monkeypatch):
    asked = []

    def silent(*command, **_):
        asked.append(command)
        raise redis.TimeoutError

    monkeypatch.setattr(app.extensions["flexdash_redis"], "execute_command", silent)
    response = client.get("/readyz")
    assert parts_of(response) == {
        "database": True, "migrations": True, "redis": False, "worker": False, "scheduler": False, "watcher": False,
    }  # fmt: skip
    assert len(asked) == 1


def test_readyz_wants_a_worker_for_every_queue(client, app, all_parts_up):
    all_parts_up.register_death()
    connection = app.extensions["flexdash_redis"]
    Worker([Queue("tick", connection=connection)], connection=connection).register_birth()
    response = client.get("/readyz")
    assert response.json["parts"]["worker"]["detail"] == "No worker has been seen lately for: sync, work, upload."


def test_a_worker_that_fell_silent_is_not_counted(client, all_parts_up, time_machine):
    from datetime import timedelta

    from flexdash import clock

    time_machine.move_to(clock.now() + WORKER_SEEN_WITHIN + timedelta(seconds=1), tick=False)
    assert parts_of(client.get("/readyz"))["worker"] is False


def test_readyz_sees_a_schema_that_is_behind(client, all_parts_up):
    versions = db.session.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    db.session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    db.session.commit()
    try:
        response = client.get("/readyz")
    finally:
        for version in versions:
            db.session.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        db.session.commit()
    assert response.status_code == 503
    assert parts_of(response)["migrations"] is False
    assert "python -m flexdash migrate" in response.json["parts"]["migrations"]["detail"]


def test_readyz_stays_calm_and_silent_about_secrets_when_redis_is_away(client, app, monkeypatch):
    import redis

    away = redis.Redis.from_url("redis://:canary0123@127.0.0.1:1/0")
    monkeypatch.setitem(app.extensions, "flexdash_redis", away)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert parts_of(response) == {
        "database": True, "migrations": True, "redis": False, "worker": False, "scheduler": False, "watcher": False,
    }  # fmt: skip
    assert response.json["parts"]["redis"]["detail"] == "Redis: does not answer."
    told = json.dumps(response.json)
    assert not re.search(r"canary|127\.0\.0\.1|Traceback|Error|" + re.escape(str(PROJECT_DIR)), told)


def test_readyz_says_so_when_the_database_is_away(client, all_parts_up, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def refuse(*_arguments, **_keywords):
        raise OperationalError("SELECT 1", {}, Exception("canary: no route to host"))

    monkeypatch.setattr("flexdash.blueprints.health.checks.db.session.execute", refuse)
    monkeypatch.setattr("flexdash.blueprints.health.checks.db.session.connection", refuse)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert parts_of(response) == {
        "database": False, "migrations": False, "redis": True, "worker": True, "scheduler": True, "watcher": True,
    }  # fmt: skip
    assert "canary" not in json.dumps(response.json)

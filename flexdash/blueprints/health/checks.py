"""Looks at each part FlexDash needs, and says in a plain sentence what is missing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import redis
import structlog
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from config import PROJECT_DIR
from flexdash.extensions import db, redis_client
from flexdash.jobs import presence

_SEEN_IN_REDIS = ("worker", "scheduler", "watcher")  # each would wait as long for a Redis that hangs

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PartState:
    """Whether a part is up, and a sentence on it that gives nothing away."""

    is_up: bool
    detail: str


def check_parts() -> dict[str, PartState]:
    """Return the state of database, migrations, redis, worker, scheduler and watcher, in this order."""
    checks: dict[str, Callable[[], PartState]] = {
        "database": _database,
        "migrations": _migrations,
        "redis": _redis,
        "worker": _worker,
        "scheduler": _scheduler,
        "watcher": _watcher,
    }
    states: dict[str, PartState] = {}
    try:
        for name, check in checks.items():
            is_worth_asking = name not in _SEEN_IN_REDIS or states["redis"].is_up
            states[name] = _look(name, check) if is_worth_asking else _unseen(name)
    finally:
        db.session.rollback()
    return states


def _look(name: str, check: Callable[[], PartState]) -> PartState:
    try:
        return check()
    except (SQLAlchemyError, redis.RedisError) as error:
        db.session.rollback()
        log.warning("a part does not answer", part=name, error=type(error).__name__)
        return PartState(False, f"{name.capitalize()}: does not answer.")


def _unseen(name: str) -> PartState:
    return PartState(False, f"{name.capitalize()}: cannot be seen while Redis does not answer.")


def _database() -> PartState:
    db.session.execute(text("SELECT 1"))
    return PartState(True, "The database answers.")


def _migrations() -> PartState:
    has = set(MigrationContext.configure(db.session.connection()).get_current_heads())
    if has == _migration_heads():
        return PartState(True, "The database has the present schema.")
    return PartState(False, "The database lacks migrations; run: python -m flexdash migrate")


@cache
def _migration_heads() -> frozenset[str]:
    config = current_app.extensions["migrate"].migrate.get_config(str(PROJECT_DIR / "migrations"))
    return frozenset(ScriptDirectory.from_config(config).get_heads())


def _redis() -> PartState:
    redis_client.ping()
    return PartState(True, "Redis answers.")


def _worker() -> PartState:
    unserved = presence.unserved_queues(redis_client)
    if unserved:
        return PartState(False, f"No worker has been seen lately for: {', '.join(unserved)}.")
    return PartState(True, "Workers serve every queue.")


def _scheduler() -> PartState:
    if presence.is_scheduler_seen(redis_client):
        return PartState(True, "The scheduler has been seen lately.")
    return PartState(False, "The scheduler has not been seen lately.")


def _watcher() -> PartState:
    if presence.is_watcher_seen(redis_client):
        return PartState(True, "The watcher has been seen lately.")
    return PartState(False, "The watcher has not been seen lately, so nobody is told of alarms.")

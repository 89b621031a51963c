"""Writing Configuration Logs, from many processes too, and damaging them as somebody with the database could."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import Connection, text

from config import PROJECT_DIR
from flexdash import create_app
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Section
from flexdash.services import config_log
from flexdash.services.actors import Actor
from tests.support import nursery
from tests.support.servers import wait_for

_READY = b"ready to write\n"


def append(workspace_id: int, n_rows: int, name: str = "FlexDash") -> None:
    """Append rows, each in a transaction of its own."""
    actor = Actor(workspace_id, None, name, address="192.0.2.1")
    for n in range(n_rows):
        with transaction():
            config_log.record(
                actor, Section.SETTINGS, f"{name} made change {n}", old={"n": n - 1}, new={"n": n, "è": [True, "é"]}
            )


def append_from_processes(environment: Mapping[str, str], workspace_id: int, n_writers: int, n_rows: int) -> None:
    """Append `n_rows` rows from each of `n_writers` processes, which all begin at the same moment."""
    with tempfile.TemporaryFile() as said, tempfile.NamedTemporaryFile() as start:
        fcntl.flock(start, fcntl.LOCK_EX)  # each writer waits for a share of it
        writers = [
            nursery.fork(
                "tests.support.chains",
                [start.name, str(workspace_id), str(n_rows), f"Writer {n}"],
                {**os.environ, **environ_of(environment)},
                said,
            )
            for n in range(n_writers)
        ]
        try:
            wait_for(lambda: os.pread(said.fileno(), 1 << 16, 0).count(_READY) == n_writers, "the writers")
            fcntl.flock(start, fcntl.LOCK_UN)
            assert [writer.wait(600) for writer in writers] == [0] * n_writers
        finally:
            for writer in writers:
                writer.kill()


def environ_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with the project importable."""
    return {**environment, "PYTHONPATH": str(PROJECT_DIR)}


@contextmanager
def tampering(app: Flask) -> Iterator[Connection]:
    """Give a connection on which the log's rows can be changed, as its owner could by taking the triggers away."""
    db.session.remove()
    with app.app_context(), db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            triggers = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'config_events'")
            ).all()
            for name, _ in triggers:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            yield connection
            for _, statement in triggers:
                connection.exec_driver_sql(statement)
        else:
            connection.exec_driver_sql("ALTER TABLE config_events DISABLE TRIGGER USER")
            yield connection
            connection.exec_driver_sql("ALTER TABLE config_events ENABLE TRIGGER USER")
        connection.commit()


def main(start: str, workspace_id: str, n_rows: str, name: str) -> None:
    """Be one of the writers of `append_from_processes`."""
    app = create_app(has_pages=False)
    with app.app_context(), open(start) as signal:
        os.write(sys.stdout.fileno(), _READY)
        fcntl.flock(signal, fcntl.LOCK_SH)
        append(int(workspace_id), int(n_rows), name)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The Configuration Log under many writers at once, under kills, and under every kind of damage, counted."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from config import PROJECT_DIR
from flexdash.extensions import db
from flexdash.models import ConfigChainHead, ConfigEvent, Store
from flexdash.services import config_log_verify
from tests.factories import make_seller, make_store, make_user, make_workspace
from tests.support.chains import append, append_from_processes, environ_of, tampering

pytestmark = pytest.mark.faults

N_ROWS = 200
SEED = 20261123
EDITS = {
    "sentence": "somebody else did it",
    "actor_name": "Nobody",
    "address": "192.0.2.99",
    "section": "Users",
    "reason": "another reason",
    "occurred_at": "2020-01-01 00:00:00.000000",
    "hash": "f" * 64,
    "previous_hash": "e" * 64,
}
# One process that knows the app forks a writer per line it reads, so that a kill costs no start of Python.
_TOGGLER = """
import itertools, os, sys
from flexdash import create_app
from flexdash.extensions import db
from flexdash.models import Store, User
from flexdash.services import store_settings
from flexdash.services.actors import Actor
app = create_app(has_pages=False)

def write():
    with app.app_context():
        actor = Actor.of_user(db.session.get(User, int(sys.argv[2])))
        for n in itertools.count():
            store = db.session.get(Store, int(sys.argv[1]), populate_existing=True)
            is_on, version = store.is_order_sync_on, store.settings_version
            store_settings.set_toggle(
                actor, store.id, store_settings.Toggle.ORDER_SYNC, turn_on=not is_on, version=version
            )
            if n == 0:
                print(os.getpid(), flush=True)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        write()
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


def test_eight_writers_of_a_thousand_rows_make_one_line(app, environment, figure, scaled) -> None:
    workspace_id, n_rows = make_workspace().id, scaled(1_000)
    began = time.monotonic()
    append_from_processes(environment, workspace_id, n_writers=8, n_rows=n_rows)
    seconds = time.monotonic() - began
    db.session.rollback()
    n_parents = db.session.scalar(db.select(db.func.count(ConfigEvent.previous_hash.distinct())))
    verification = config_log_verify.verify(workspace_id)
    forks = 8 * n_rows - n_parents
    figure("appends", f"8 × {n_rows:,}: {forks} forks, {verification.n_rows:,} rows in one line, {seconds:.0f} s")
    assert (forks, verification.is_intact, verification.n_rows) == (0, True, 8 * n_rows)


def test_a_thousand_mutations_are_all_found(app, figure, scaled) -> None:
    """Each is made on an intact chain, verified, and taken back; the row named is the first that is wrong."""
    workspace_id = make_workspace().id
    append(workspace_id, N_ROWS)
    chance = random.Random(SEED)
    n_mutations = scaled(1_000)
    kinds = dict.fromkeys(("edit", "delete", "insert", "swap", "cut", "value"), 0)
    missed = []
    with tampering(app) as connection:
        connection.commit()
        for n in range(n_mutations):
            kind = list(kinds)[n % len(kinds)]
            sequence = chance.randrange(2, N_ROWS)
            expected = _mutate(connection, chance, kind, sequence)
            connection.commit()
            found = config_log_verify.verify(workspace_id)
            if found.bad_sequence != expected:
                missed.append((kind, sequence, expected, found))
            kinds[kind] += not found.is_intact
            _restore(connection)
        connection.exec_driver_sql("DROP TABLE kept_events")
        connection.commit()
        assert config_log_verify.verify(workspace_id).is_intact
    n_found = sum(kinds.values())
    figure("mutations", f"{n_found:,} of {n_mutations:,} found")
    assert missed == []
    assert n_found == n_mutations


def test_a_writer_killed_at_any_moment_leaves_no_change_without_its_row(app, environment, figure, scaled) -> None:
    workspace = make_workspace()
    user, store = make_user(workspace), make_store(make_seller(workspace))
    workspace_id, store_id, user_id = workspace.id, store.id, user.id
    db.session.remove()
    chance = random.Random(SEED)
    n_kills, unlogged = scaled(500), 0
    writer = subprocess.Popen(
        [sys.executable, "-c", _TOGGLER, str(store_id), str(user_id)],
        env={**os.environ, **environ_of(environment)},
        cwd=PROJECT_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for _ in range(n_kills):
            writer.stdin.write("next\n")
            writer.stdin.flush()
            child = int(writer.stdout.readline())
            time.sleep(chance.random() / 20)  # the moment of the kill, not a wait for anything
            os.kill(child, signal.SIGKILL)
            assert writer.stdout.readline() == "gone\n"
            row = db.session.get(Store, store_id, populate_existing=True)
            n_changes = row.settings_version - 1
            db.session.rollback()
            head = db.session.get(ConfigChainHead, workspace_id, populate_existing=True)
            unlogged += head.sequence != n_changes
            db.session.rollback()
        verification = config_log_verify.verify(workspace_id)
    finally:
        writer.kill()
        writer.wait()
        writer.stdin.close()
        writer.stdout.close()
    figure("unlogged", f"{n_kills} kills: {unlogged} unlogged of {n_changes:,} changes")
    assert (unlogged, verification.is_intact, verification.n_rows) == (0, True, n_changes)
    assert n_changes > 0


def _mutate(connection, chance: random.Random, kind: str, sequence: int) -> int:
    """Damage the log at `sequence` in one way and return the number of the first row that is then wrong."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS kept_events")
    connection.exec_driver_sql("CREATE TABLE kept_events AS SELECT * FROM config_events")
    at = {"sequence": sequence}
    match kind:
        case "edit":
            column = chance.choice(list(EDITS))
            statement = text(f"UPDATE config_events SET {column} = :value WHERE sequence = :sequence")
            if column == "occurred_at" and connection.dialect.name == "postgresql":
                statement = text(f"UPDATE config_events SET {column} = now() WHERE sequence = :sequence")
                connection.execute(statement, at)
            else:
                connection.execute(statement, at | {"value": EDITS[column]})
        case "value":
            column = chance.choice(("old_value", "new_value"))
            connection.exec_driver_sql(
                f"UPDATE config_events SET {column} = '{{\"n\": -7}}' WHERE sequence = {sequence}"
            )
        case "delete":
            connection.execute(text("DELETE FROM config_events WHERE sequence = :sequence"), at)
        case "insert":
            _shift(connection, sequence)
            columns = ", ".join(
                column.name for column in ConfigEvent.__table__.columns if column.name not in ("id", "sequence")
            )
            connection.exec_driver_sql(
                f"INSERT INTO config_events (id, sequence, {columns}) "
                f"SELECT 900000, {sequence}, {columns} FROM config_events WHERE sequence = {sequence - 1}"
            )
        case "swap":
            other = chance.choice([n for n in range(1, N_ROWS + 1) if n != sequence])
            for old, new in ((sequence, 1_000_000), (other, sequence), (1_000_000, other)):
                connection.exec_driver_sql(f"UPDATE config_events SET sequence = {new} WHERE sequence = {old}")
            return min(sequence, other)
        case "cut":
            connection.execute(text("DELETE FROM config_events WHERE sequence >= :sequence"), at)
    return sequence


def _shift(connection, sequence: int) -> None:
    # In two steps, through negative numbers: a unique index looks at every row of a statement at once.
    connection.exec_driver_sql(f"UPDATE config_events SET sequence = -sequence WHERE sequence >= {sequence}")
    connection.exec_driver_sql("UPDATE config_events SET sequence = 1 - sequence WHERE sequence < 0")


def _restore(connection) -> None:
    connection.exec_driver_sql("DELETE FROM config_events")
    connection.exec_driver_sql("INSERT INTO config_events SELECT * FROM kept_events")
    connection.commit()

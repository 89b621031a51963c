"""The database locked by another, and its disk full: nothing half written, said in words, and well again afterwards."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError

from flexdash import database
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import ConfigEvent, Order, Role, RunState, Store
from flexdash.services import config_log_verify
from flexdash.services.run_context import RunContext
from flexdash.services.store_settings import Toggle
from tests.factories import make_user
from tests.support.databases import is_postgres
from tests.support.pulls import MAPPED, SELLER, assert_all_is_well, do_attempt, make_due, new_run, row, take_up

PATIENCE_MS = 300
LOST_AFTER = timedelta(seconds=45)
long = pytest.mark.faults
_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@pytest.fixture(autouse=True)
def quick(no_pace, app, monkeypatch) -> Iterator[None]:
    """Wait for a lock for less than a second instead of 30."""
    monkeypatch.setattr(database, "LOCK_PATIENCE_MS", PATIENCE_MS)
    db.session.remove()
    db.engine.dispose()  # new connections are set up anew
    yield
    db.session.remove()
    db.engine.dispose()


@contextmanager
def locked_by_another(settings) -> Iterator[None]:
    """Let another process hold SQLite's write lock, another session of PostgreSQL the tables of orders."""
    if is_postgres():
        engine = sqlalchemy.create_engine(settings.database_url)
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(text("LOCK TABLE orders, order_events, config_events IN ACCESS EXCLUSIVE MODE"))
            yield
        engine.dispose()
        return
    path = sqlalchemy.make_url(settings.database_url).database
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate("go\n", timeout=10)


@contextmanager
def disk_full() -> Iterator[None]:
    """Let every row that needs new room be refused: SQLite by its own limit of pages, PostgreSQL as it would itself."""
    db.session.remove()
    if is_postgres():
        _on_postgres(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file \"base/16384/24576\": No space left on device'"
            " USING ERRCODE = '53100'; END $$",
            *(
                f"CREATE TRIGGER no_room_{table} BEFORE INSERT ON {table} EXECUTE FUNCTION no_room()"
                for table in _TABLES
            ),
        )
        try:
            yield
        finally:
            db.session.remove()
            _on_postgres("DROP FUNCTION no_room CASCADE")
        return

    def limit(connection, _record) -> None:
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {n_pages}")

    db.engine.dispose()
    with closing(sqlite3.connect(str(db.engine.url.database))) as connection:
        connection.execute("VACUUM")  # what other tests have left free would be room
    event.listen(db.engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(db.engine, "connect", limit)
        db.session.remove()
        db.engine.dispose()


_TABLES = ("orders", "config_events")


def _on_postgres(*statements: str) -> None:
    with db.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def corrupt_rows(workspace_id: int) -> int:
    """Return how many faults the database and the Configuration Log find in themselves."""
    db.session.rollback()
    n_faults = not config_log_verify.verify(workspace_id).is_intact
    if not is_postgres():
        with db.engine.connect() as connection:
            n_faults += connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() != ["ok"]
            n_faults += len(connection.exec_driver_sql("PRAGMA foreign_key_check").all())
    return n_faults


@pytest.mark.parametrize("lasts", ["for the attempt", "beyond it"])
@pytest.mark.parametrize(("fault", "code"), [("locked", "database_busy"), ("full", "disk_full")])
@pytest.mark.parametrize("n_times", [1, pytest.param(4, marks=long)])
def test_a_pull_that_cannot_write_says_so_and_is_made_again(
    app, store, sandbox, pages_of, settings, figure, scaled, monkeypatch, n_times, fault, code, lasts
) -> None:
    """In the middle of the pull: one page is in, the next cannot be written, nor its failure, where it lasts."""
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], run_heartbeat_seconds=60))
    n_of_page = 100 if n_times > 1 else 20
    n_times = scaled(n_times) if n_times > 1 else n_times
    pages_of(n_of_page)
    store_id, workspace_id = store.id, store.workspace_id
    for _ in range(n_times):
        sandbox.control.create_orders(n_of_page + 10, location_id=MAPPED, seller_id=SELLER)
        run_id = new_run(store_id)
        n_before = db.session.scalar(select(func.count(Order.id)))
        db.session.remove()  # a transaction of the test's own would stand in the way of the other's lock
        with _from_the_second_page_on(monkeypatch, fault, settings, lasts):
            _attempt_as_a_worker(run_id)
        assert n_before <= db.session.scalar(select(func.count(Order.id))) <= n_before + n_of_page
        if row(run_id).state is RunState.RUNNING:
            assert lasts == "beyond it"  # its failure could not be written either: the next tick finds it silent
            take_up(run_id, LOST_AFTER)
        else:
            assert (row(run_id).state, row(run_id).error_code) == (RunState.QUEUED, code)
            assert row(run_id).is_retrying
            make_due(run_id)
        assert do_attempt(run_id).state is RunState.SUCCEEDED
        assert corrupt_rows(workspace_id) == 0
    words = assert_all_is_well(db.session.get(Store, store_id), sandbox)
    figure(fault, f"{n_times} pulls, {lasts}: done at the next try, 0 corrupt rows; {words}")


def _attempt_as_a_worker(run_id: int) -> None:
    """Do an attempt; what the runner cannot write ends a worker's job, and no more than that."""
    with suppress(OperationalError):
        do_attempt(run_id)


@contextmanager
def _from_the_second_page_on(monkeypatch, fault: str, settings, lasts: str) -> Iterator[None]:
    """Let the fault begin between the first page and the second; end it with the attempt's work, or after all."""
    n_pages = 0
    with ExitStack() as stack, monkeypatch.context() as patch:
        stop_here, end_failed = RunContext.stop_here, runner._end_failed

        def before_page(run: RunContext) -> None:
            nonlocal n_pages
            n_pages += 1
            if n_pages == 2:
                stack.enter_context(locked_by_another(settings) if fault == "locked" else disk_full())
            stop_here(run)

        def after_failure(run: RunContext, error: Exception) -> None:
            if lasts == "for the attempt":
                stack.close()
            end_failed(run, error)

        patch.setattr(RunContext, "stop_here", before_page)
        patch.setattr(runner, "_end_failed", after_failure)
        yield
        db.session.remove()


@pytest.mark.parametrize("fault", ["locked", "full"])
def test_a_change_that_cannot_be_written_is_refused_in_words_and_leaves_nothing(
    store, settings, signed_in, fault
) -> None:
    """A toggle is switched on its page until it is refused: a full SQLite may have room for a few rows yet."""
    merchant = signed_in(make_user(store.seller.workspace, Role.ADMIN))
    store_id, workspace_id = store.id, store.workspace_id
    address = f"/stores/{store_id}/settings"
    db.session.remove()
    with locked_by_another(settings) if fault == "locked" else disk_full():
        # On PostgreSQL the log is locked too, and with it the page: its form is made without asking.
        for version in range(1, 40):
            form = {
                "toggle": Toggle.ORDER_SYNC.value,
                f"{Toggle.ORDER_SYNC.value}-turn_on": "" if version % 2 else "1",
                f"{Toggle.ORDER_SYNC.value}-version": str(version),
                f"{Toggle.ORDER_SYNC.value}-is_confirmed": "1",
                f"{Toggle.ORDER_SYNC.value}-reason": "x" * 300,
            }
            answer = merchant.post(address, data=form)
            if answer.status_code != 303:
                break
        assert answer.status_code == 503
        assert "What you just sent was not saved" in answer.text
        if fault == "full":
            assert merchant.get(address).status_code == 200  # what is stored can still be read
    _assert_changes_are_logged(store_id, version)
    assert merchant.post(address, data=form).status_code == 303
    _assert_changes_are_logged(store_id, version + 1)
    assert corrupt_rows(workspace_id) == 0


def _assert_changes_are_logged(store_id: int, version: int) -> None:
    db.session.rollback()
    n_rows = db.session.scalar(select(func.count(ConfigEvent.id)).where(ConfigEvent.store_id == store_id))
    assert db.session.scalar(select(Store.settings_version)) == version == n_rows + 1
    db.session.remove()

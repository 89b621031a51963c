"""`flexdash run` with everything real: what it says, that it is whole, and that nothing is left of it."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import ExitStack, suppress
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest
import sqlalchemy

from config import PROJECT_DIR
from tests.support import nursery
from tests.support.databases import is_postgres, make_database
from tests.support.servers import free_port, wait_for

MARK = "FLEXDASH_TEST_MARK"
NOT_PASSED_ON = re.compile(r"AMAZON_|SANDBOX_|DATABASE_URL|REDIS_URL|DATA_DIR|PORT$|PUBLIC_URL|FLEXDASH_|SECRET_KEY")
_open = build_opener(ProxyHandler({})).open


class Run:
    """One `flexdash run` in a session of its own, as a terminal has it.

    One that only has something to say is forked with everything imported; its parts, if it has any, are real commands.
    """

    def __init__(self, folder, *, is_forked=False, **environ):
        self.folder = folder
        self.port = environ.pop("port", None) or free_port()
        self.environ = environ
        self.database_url = environ.get("DATABASE_URL", f"sqlite:///{folder}/data/flexdash.db")
        self.mark = uuid.uuid4().hex
        self._output_path = folder / f"output-{self.mark}"
        inherited = {name: value for name, value in os.environ.items() if not NOT_PASSED_ON.match(name)}
        own = {"PORT": str(self.port), "DATA_DIR": str(folder / "data"), MARK: self.mark}
        env = {**inherited, **own, **environ}
        with self._output_path.open("wb") as output:
            if is_forked:
                self.process = nursery.fork("flexdash", ["run"], env, output)
                return
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flexdash", "run"],
                env=env,
                cwd=PROJECT_DIR,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self):
        return self._output_path.read_text()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self):
        def is_ready():
            assert self.process.poll() is None, self.output
            return "Ctrl-C stops FlexDash." in self.output

        wait_for(is_ready, "FlexDash to be ready", timeout=150)
        return self

    def ends_with(self, code, timeout=60):
        try:
            assert self.process.wait(timeout=timeout) == code, self.output
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running: {self.output}")
        return self.output

    def processes(self):
        """Every living process that has this run's mark in its environment, and its first, which may be a fork."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.pid == self.process.pid or process.environ().get(MARK) == self.mark
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def part(self, command):
        """The living process below this run whose command line names `command`; None when there is none."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.pid).children(recursive=True):
                if any(command in word for word in process.cmdline()):
                    return process
        return None

    def clear_away(self):
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):  # one ends with the one before
                process.kill()
        self.process.wait()


def get(url):
    try:
        with _open(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def password_hashes(database_url):
    engine = sqlalchemy.create_engine(database_url)
    try:
        with engine.connect() as database:
            return database.execute(sqlalchemy.text("SELECT id, password_hash FROM users ORDER BY id")).all()
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def place(tmp_path_factory, worker_id):
    """The folder that the runs of this file share, and what names their database: PostgreSQL where the suite is."""
    folder = tmp_path_factory.mktemp("run")
    if not is_postgres():
        yield folder, {}
        return
    database = make_database(folder, f"run_{worker_id}")
    yield folder, {"DATABASE_URL": database.url}
    database.drop()


@pytest.fixture(scope="module")
def broken(place):
    """The first run in its place, which was never ready: Redis was killed when the web server began to start."""
    folder, environ = place
    run = Run(folder, is_forked=True, AMAZON_LWA_URL="http://127.0.0.1:1/token", **environ)
    with ExitStack() as cleaning:
        cleaning.callback(run.clear_away)
        wait_for(lambda: run.part("gunicorn") or run.process.poll() is not None, "its web server", timeout=150)
        run.had_sandbox = run.part("amazon_sandbox") is not None
        run.part("redis-server").kill()
        run.ends_with(1)
        run.left_hashes = password_hashes(run.database_url)
        yield run


@pytest.fixture(scope="module")
def shared(place, broken):
    """Holds the run that the tests of this file share; it goes on with the data of one that broke down."""
    folder, environ = place
    runs = []

    def living():
        if not runs or runs[-1].process.poll() is not None:
            runs.append(Run(folder, **environ))
            cleaning.callback(runs[-1].clear_away)
            runs[-1].wait_until_ready()
        return runs[-1]

    with ExitStack() as cleaning:
        yield living


@pytest.fixture
def running(shared):
    """A FlexDash that is ready. A test may end it: the next one that asks gets another."""
    return shared()


@pytest.fixture
def start(tmp_path):
    """Starts further runs that come to an end by themselves, each with its own mark, in this test's folder."""
    runs = []

    def begin(folder=tmp_path, **environ):
        runs.append(Run(folder, is_forked=True, **environ))
        return runs[-1]

    yield begin
    for run in runs:
        run.clear_away()


def test_it_tells_the_address_a_sign_in_per_role_the_sandbox_and_how_to_stop(running):
    told = running.output
    assert "FlexDash is ready after" in told
    assert f"seconds: {running.address}\n" in told
    for role in ("merchant", "admin", "support"):
        assert re.search(rf"^  {role} +\S+@\S+ +password: \S+$", told, re.MULTILINE)
    sandbox = re.search(r"switch faults on\): (http://127\.0\.0\.1:\d+)\n", told).group(1)
    assert get(f"{sandbox}/healthz")[0] == 200
    assert get(sandbox)[0] == 200
    place = f"{running.folder}/data"
    where = f"the database that DATABASE_URL names, and in {place}" if is_postgres() else place
    assert f"The data is kept in {where}.\n" in told
    assert "Traceback" not in told


def test_every_part_is_up_and_says_its_lines_under_its_name(running):
    status, answer = get(f"{running.address}/readyz")
    assert status == 200
    parts = json.loads(answer)["parts"]
    assert sorted(parts) == ["database", "migrations", "redis", "scheduler", "watcher", "worker"]
    assert all(part["is_up"] for part in parts.values())
    for name in ("web", "sync-worker", "tick-worker", "upload-worker", "scheduler", "watcher", "sandbox"):
        assert re.search(rf"^ {name} +\| \S", running.output, re.MULTILINE)
    assert get(f"{running.address}/sign-in")[0] == 200


def test_the_whole_listens_on_this_machine_only(running):
    listening = {
        connection.laddr.ip
        for process in running.processes()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_second_one_beside_it_says_what_holds_the_port_and_disturbs_nothing(running, start):
    told = start(running.folder, port=running.port, DATA_DIR=str(running.folder / "data")).ends_with(1)
    line = told.strip()
    assert "\n" not in line
    assert line.startswith(f"Port {running.port} is held by FlexDash, which is already running here (process ")
    assert f"process {running.process.pid}, process " in line
    assert "gunicorn" in line
    assert f"open {running.address}" in line
    assert re.search(r"PORT=\d+ DATA_DIR=\S+ make run$", line)
    assert get(f"{running.address}/readyz")[0] == 200


def test_another_port_on_the_same_data_is_told_where_flexdash_already_runs(running, start):
    told = start(running.folder, DATA_DIR=str(running.folder / "data")).ends_with(1)
    assert "\n" not in told.strip()
    assert f"already running with the data in {running.folder}/data (process {running.process.pid})" in told
    assert running.address in told


def test_other_data_on_a_held_port_is_told_who_holds_it(running, start):
    told = start(port=running.port).ends_with(1)
    assert told.startswith(f"Port {running.port} is held by process ")
    assert "gunicorn" in told
    assert re.search(r"PORT=\d+ make run$", told.strip())


def test_a_part_that_dies_is_named_with_its_last_lines_and_the_next_run_finds_the_data(broken, running):
    assert "its part redis ended by itself (signal 9)" in broken.output
    assert "  redis | " in broken.output.partition("Its last lines:")[2]
    wait_for(lambda: not broken.processes(), "every process to be gone")
    assert not broken.had_sandbox
    assert "sandbox" not in broken.output
    assert broken.left_hashes
    assert password_hashes(running.database_url) == broken.left_hashes, "salted anew, had the people been made anew"


def test_ctrl_c_stops_all_and_keeps_the_data(running):
    kept = password_hashes(running.database_url)
    assert len(running.processes()) >= 8
    os.killpg(running.process.pid, signal.SIGINT)
    told = running.ends_with(0)
    assert told.strip().splitlines()[-1].startswith("FlexDash has stopped. Its data stays in ")
    assert "Traceback" not in told
    wait_for(lambda: not running.processes(), "every process to be gone")
    with pytest.raises(URLError):
        _open(running.address, timeout=2)
    assert kept
    assert password_hashes(running.database_url) == kept


def test_a_database_that_cannot_be_reached_is_said_without_a_stack_trace(start):
    told = start(DATABASE_URL="postgresql://me:canary123@127.0.0.1:1/flexdash").ends_with(1)
    assert "FlexDash cannot use the database that DATABASE_URL names" in told
    assert "Traceback" not in told
    assert "canary123" not in told


def test_a_redis_that_cannot_be_reached_is_said_before_anything_starts(start):
    told = start(REDIS_URL="redis://:canary123@127.0.0.1:1/0").ends_with(1)
    assert told.startswith("FlexDash cannot use the Redis that REDIS_URL names"), "no part has said a line before"
    assert "Traceback" not in told


def test_settings_that_need_mending_end_it_with_code_two(start):
    told = start(LOG_FORMAT="xml", AMAZON_TIMEOUT_SECONDS="soon").ends_with(2)
    assert told.startswith("FlexDash cannot start: 2 settings need mending.\n  - AMAZON_TIMEOUT_SECONDS: “soon”")
    assert "Traceback" not in told


def test_production_is_not_run_on_a_sandbox(start):
    told = start(
        FLEXDASH_ENV="production",
        SECRET_KEY="a-secret-of-forty-characters-0123456789ab",
        ENCRYPTION_KEYS="b25seSB0aGUgdGVzdHMga25vdyB0aGlzIGtleSAgICA=",
        PUBLIC_URL="https://flexdash.example.com",
        AMAZON_APPLICATION_ID="amzn1.sp.solution.1",
        AMAZON_CLIENT_ID="amzn1.application-oa2-client.1",
        AMAZON_CLIENT_SECRET="amzn1.oa2-cs.v1.1",
    ).ends_with(2)
    assert "does not go with `make run`" in told


def test_a_folder_that_cannot_be_written_is_said(start, tmp_path):
    (tmp_path / "file").write_text("")
    told = start(DATA_DIR=str(tmp_path / "file" / "below")).ends_with(1)
    assert "FlexDash cannot keep its data in" in told
    assert "Traceback" not in told

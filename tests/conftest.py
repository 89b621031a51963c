"""The fixtures every test may use. What they are made of is in tests/support."""

import gc
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain, groupby, islice

import pytest
import redis
import structlog
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from jinja2 import FileSystemBytecodeCache

from amazon_sandbox import serving
from amazon_sandbox.web import returns_api, shipments_api
from config import Settings, load_settings
from flexdash import create_app, logs
from flexdash.extensions import db, limiter
from flexdash.models import Seller, User, Workspace
from tests.factories import make_seller, make_workspace
from tests.support.browsers import launch_arguments
from tests.support.databases import Database, make_database
from tests.support.pace import begin_soon
from tests.support.servers import flexdash_process, free_port, reserved_socket, running_redis, serving_app
from tests.support.web import SeparateClient, sign_in

# Where tests take seconds, mostly of waiting: for real browsers, processes and faults.
SLOW = (
    "tests/browser/",
    "tests/faults/",
    "tests/cli/",
    "tests/jobs/",
    "tests/sandbox/test_sandbox_browser",
    "tests/test_roles",
    "tests/test_foreign_ids",
)
QUICK_FILES_BETWEEN_SLOW_ONES = 3

# A busy machine is no fault of what is tested.
hypothesis_settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("untimed")

# What is left in circles stays, half a gigabyte by the end, and what it holds is not closed by itself: clearing it away
# takes a twelfth of the suite's time.
gc.disable()


def pytest_sessionfinish() -> None:
    """Keep the garbage out of pytest's own last look, which would take seconds over it."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow files between quick ones, which have work for the processors while a slow one waits.

    What is left for the end are quick ones, so that no test process idles while another is still browsing.
    """
    files = {path: list(tests) for path, tests in groupby(items, key=lambda item: item.path)}
    is_slow = {path: tests[0].nodeid.startswith(SLOW) for path, tests in files.items()}
    quick = (path for path in files if not is_slow[path])
    order = [path for slow in files if is_slow[slow] for path in (slow, *islice(quick, QUICK_FILES_BETWEEN_SLOW_ONES))]
    items[:] = chain.from_iterable(files[path] for path in (*order, *quick))


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory):
    """A folder of this test process alone."""
    return tmp_path_factory.mktemp("flexdash")


@pytest.fixture(scope="session")
def database(session_folder, worker_id) -> Iterator[Database]:
    """The database of this test process; see tests/support/databases.py."""
    made = make_database(session_folder, worker_id)
    yield made
    made.drop()


@pytest.fixture(scope="session")
def redis_server(session_folder) -> Iterator[str]:
    """The address of a real Redis of this test process alone; emptied after each test that uses `app`."""
    with running_redis(session_folder / "redis") as url:
        yield url


@pytest.fixture(scope="session")
def redis_cleaner(redis_server) -> Iterator[redis.Redis]:
    """The connection over which Redis is emptied after each test."""
    with redis.Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def redis_connection(redis_server) -> Iterator[redis.Redis]:
    """A client of the test process's Redis, which is empty before and after."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
        yield client
        client.flushall()


@pytest.fixture(scope="session")
def web_socket():
    """The socket that `live_server` listens on; held from the start, for PUBLIC_URL names its port."""
    with reserved_socket() as held:
        yield held


@pytest.fixture(scope="session")
def sandbox_port() -> int:
    """The port of the sandbox, which starts once a test asks for it; the settings name it from the start."""
    return free_port()


@pytest.fixture(scope="session")
def sandbox_server(sandbox_port) -> Iterator[serving.Running]:
    """The sandbox for the rest of the session. Tests use `sandbox`."""
    with serving.running(port=sandbox_port) as running:
        yield running


@pytest.fixture
def sandbox(sandbox_server) -> serving.Running:
    """A real sandbox over HTTP in its first state, at the addresses the app's settings name; see amazon_sandbox."""
    sandbox_server.control.reset()
    return sandbox_server


@pytest.fixture
def pages_of(sandbox, monkeypatch) -> Callable[[int], None]:
    """Lets the sandbox list at most so many shipments or returns on a page, so that a few of them fill several."""

    def cap(most: int) -> None:
        for api in (shipments_api, returns_api):
            wanted = api._max_results
            monkeypatch.setattr(api, "_max_results", lambda given, wanted=wanted: min(most, wanted(given)))

    return cap


@pytest.fixture(scope="session")
def environment(session_folder, database, redis_server, web_socket, sandbox_port) -> dict[str, str]:
    """The environment that the tested app, and processes started beside it, read their settings from."""
    port = web_socket.getsockname()[1]
    amazon = f"http://127.0.0.1:{sandbox_port}"
    return {
        "FLEXDASH_ENV": "testing",
        "DATA_DIR": str(session_folder),
        "DATABASE_URL": database.url,
        "REDIS_URL": redis_server,
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "AMAZON_LWA_URL": f"{amazon}/auth/o2/token",
        "AMAZON_API_URL": amazon,
        "AMAZON_SELLER_CENTRAL_URL": amazon,
        # tests/amazon hold the pace; everywhere else the first call of every test would only wait for its turn.
        "SHIPMENTS_REQUESTS_PER_SECOND": "500",
        "LOG_LEVEL": "WARNING",
    }


@pytest.fixture(scope="session")
def settings(environment) -> Settings:
    """The settings of the tested app."""
    return load_settings(environment)


@pytest.fixture(scope="session")
def built_app(settings, database, tmp_path_factory) -> Flask:
    """The app, made once per test process. Tests use `app`, which cleans up behind them."""
    app = create_app(settings)
    compiled = tmp_path_factory.getbasetemp().parent / "templates"  # once for all test processes: 50 ms a template
    compiled.mkdir(exist_ok=True)
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(compiled))
    app.test_client_class = SeparateClient
    database.prepare(app)
    app.extensions["limiter_of_tests"] = dict(vars(limiter))
    return app


@pytest.fixture
def soon() -> Iterator[None]:
    """Lets the client of Amazon begin at once and try again soon; see tests/support/pace.py."""
    with pytest.MonkeyPatch.context() as patch:
        begin_soon(patch.setattr)
        yield


@pytest.fixture
def app(built_app, database, redis_cleaner, soon) -> Iterator[Flask]:
    """The app on an empty database and an empty Redis, with an app context for the test to work in."""
    # The throttle is one object for all apps of a process: one made by another test would have taken it over.
    vars(limiter).update(built_app.extensions["limiter_of_tests"])
    with built_app.app_context():
        yield built_app
        db.session.remove()
    redis_cleaner.flushall()
    database.reset()


@pytest.fixture
def client(app) -> FlaskClient:
    """A browser without a page: keeps cookies, runs each request as a server would."""
    return app.test_client()


@pytest.fixture
def workspace(app) -> Workspace:
    """A company that uses FlexDash."""
    return make_workspace()


@pytest.fixture
def seller(workspace) -> Seller:
    """The seller Sunrise of that company."""
    return make_seller(workspace, "Sunrise")


@pytest.fixture
def signed_in(app) -> Callable[[User], FlaskClient]:
    """Gives a browser in which the given person is signed in; each call a further one with cookies of its own."""
    return lambda user: sign_in(app.test_client(), user)


@pytest.fixture
def log_lines():
    """Configures logging as JSON into memory; calling it gives the lines so far, parsed."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configured = structlog.get_config()
    stream = io.StringIO()

    def configure(**overrides):
        logs.configure(load_settings({}, log_format="json", **overrides), stream)
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    yield configure
    root.handlers, root.level = before
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def live_server(app, live_address) -> str:
    """The address of the app over real HTTP, on the database and Redis the test sees."""
    return live_address


@pytest.fixture(scope="session")
def live_address(built_app, web_socket) -> Iterator[str]:
    """Serves the app for the rest of the session. Tests use `live_server`."""
    with serving_app(built_app, web_socket) as address:
        yield address


@pytest.fixture
def flexdash(app, environment) -> Iterator[Callable[..., object]]:
    """Starts `python -m flexdash ARGUMENTS` beside the test, on its database and Redis; ended with the test."""
    with ExitStack() as processes:
        yield lambda *arguments: processes.enter_context(flexdash_process(environment, *arguments))


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """How pytest-playwright starts the browser."""
    return launch_arguments()


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args) -> dict[str, object]:
    """How pytest-playwright opens a window: English, and a zone that is not the machine's."""
    return {**browser_context_args, "locale": "en-GB", "timezone_id": "Asia/Kolkata"}

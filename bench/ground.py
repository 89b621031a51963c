"""What the benchmarks stand on: an app on a fresh database, a private Redis, and the sandbox as a process."""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
import sqlalchemy
from alembic import command
from flask import Flask

from amazon_sandbox import serving
from config import PROJECT_DIR, load_settings
from flexdash import create_app
from flexdash.cli import embedded_redis
from flexdash.extensions import db, settings

_NUMBERS = itertools.count(1)
SANDBOX_SELLER = "A3SBXSUNRISEIN"


def databases() -> list[str]:
    """Return the databases to measure on: SQLite, and PostgreSQL when TEST_DATABASE_URL names a server."""
    return ["SQLite", "PostgreSQL"] if os.environ.get("TEST_DATABASE_URL") else ["SQLite"]


@contextmanager
def app_on(database: str, sandbox: serving.Running | None = None, **settings: object) -> Iterator[Flask]:
    """Yield the app inside its context, on a fresh `database`, with a private Redis and, if given, the sandbox."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flexdash-bench-")))
        redis_url = stack.enter_context(_redis(folder / "redis"))
        database_url = stack.enter_context(_postgres()) if database == "PostgreSQL" else f"sqlite:///{folder}/bench.db"
        environment = {
            "FLEXDASH_ENV": "testing",
            "DATA_DIR": str(folder),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "LOG_LEVEL": "ERROR",
        }
        if sandbox is not None:
            environment |= {
                "AMAZON_LWA_URL": sandbox.lwa_url,
                "AMAZON_API_URL": sandbox.api_url,
                "AMAZON_SELLER_CENTRAL_URL": sandbox.seller_central_url,
            }
        app = create_app(load_settings(environment, **settings))
        with app.app_context():
            command.upgrade(app.extensions["migrate"].migrate.get_config(str(PROJECT_DIR / "migrations")), "head")
            yield app
            db.session.remove()
            db.engine.dispose()


def environment(**more: str) -> dict[str, str]:
    """Return the environment under which a process beside this one works on the present app's database and Redis."""
    return {
        **os.environ,
        "FLEXDASH_ENV": "testing",
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "AMAZON_LWA_URL": settings.amazon_lwa_url,
        "AMAZON_API_URL": settings.amazon_api_url,
        "AMAZON_SELLER_CENTRAL_URL": settings.amazon_seller_central_url,
        "SHIPMENTS_REQUESTS_PER_SECOND": str(settings.shipments_requests_per_second),
        "LOG_LEVEL": "ERROR",
        **more,
    }


@contextmanager
def sandbox() -> Iterator[serving.Running]:
    """Yield the sandbox as a process of its own, without usage plans."""
    with serving.running(in_process=False) as running:
        running.control.plans({"*": None})
        yield running


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    server = embedded_redis.prepare(folder)
    process = subprocess.Popen(server.command, stdout=subprocess.DEVNULL)
    try:
        with redis.Redis.from_url(
            server.url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 100)
        ) as client:
            client.ping()
        yield server.url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _postgres() -> Iterator[str]:
    server = os.environ["TEST_DATABASE_URL"]
    for short in ("postgres://", "postgresql://"):
        if server.startswith(short):
            server = f"postgresql+psycopg://{server.removeprefix(short)}"
    name = f"flexdash_bench_{os.getpid()}_{next(_NUMBERS)}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        yield sqlalchemy.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        engine.dispose()

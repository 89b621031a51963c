"""`flexdash run`: the whole of FlexDash on this machine, with a private Redis and a sandbox in Amazon's place."""

import json
import os
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any

import click

from config import Settings, SettingsError, load_settings
from flexdash.cli import unusable_database
from flexdash.cli.embedded_redis import NoRedis
from flexdash.cli.run_checks import AlreadyRunning, DataFolderLock, free_port, holder_of, is_free
from flexdash.cli.run_parts import PART_NAMES, Plan, plan_parts
from flexdash.cli.run_supervisor import PartEnded, StopRequested, Supervisor, silence_output
from flexdash.redaction import redacted_text

_SECONDS_TO_GET_READY = 60
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy: it is this machine


class CannotRun(click.ClickException):
    """FlexDash cannot start, or had to stop; the message says why and what to do."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=True)


@click.command("run")
def command() -> None:
    """Start FlexDash with a sandbox Amazon and a demo workspace; Ctrl-C stops it and keeps the data."""
    settings = load_settings()
    if settings.is_production:
        raise SettingsError(
            [
                "FLEXDASH_ENV: “production” does not go with `make run`, which tries FlexDash out with a sandbox. "
                "In production start web server, workers and scheduler one by one, as the README says."
            ]
        )
    lock = _take_place(settings)
    try:
        _run(settings)
    finally:
        lock.release()


def _take_place(settings: Settings) -> DataFolderLock:
    """Make sure that port and data folder are ours alone; raise CannotRun saying who holds them."""
    lock = DataFolderLock(settings.data_dir)
    try:
        lock.acquire(_address(settings))
    except AlreadyRunning as running:
        raise CannotRun(_already_running(settings, running)) from None
    except OSError as error:
        raise CannotRun(
            f"FlexDash cannot keep its data in {settings.data_dir}: {error.strerror}. Make the folder writable, or "
            "set DATA_DIR to another one."
        ) from None
    try:
        has_port = is_free(settings.bind_address, settings.port)
    except OSError as error:
        lock.release()
        raise CannotRun(
            f"FlexDash cannot listen on {settings.bind_address} port {settings.port}: {error.strerror}. Set "
            "BIND_ADDRESS and PORT to what this machine and user may use."
        ) from None
    if not has_port:
        lock.release()
        raise CannotRun(
            f"Port {settings.port} is held by {holder_of(settings.port)}; stop that, or start FlexDash on another "
            f"port: PORT={free_port(settings.bind_address, settings.port + 2)} make run"
        )
    return lock


def _already_running(settings: Settings, running: AlreadyRunning) -> str:
    other_port = free_port(settings.bind_address, settings.port + 2)
    elsewhere = f"start a second one beside it with its own data: PORT={other_port} DATA_DIR=var-second make run"
    if running.instance is None:
        return f"FlexDash is already running with the data in {settings.data_dir}; stop it, or {elsewhere}"
    instance = running.instance
    if instance.address == _address(settings):
        return (
            f"Port {settings.port} is held by FlexDash, which is already running here (process {instance.pid}, "
            f"{holder_of(settings.port)}); open {instance.address}, stop it with: kill {instance.pid}, or {elsewhere}"
        )
    return (
        f"FlexDash is already running with the data in {settings.data_dir} (process {instance.pid}) at "
        f"{instance.address}; open that, stop it with: kill {instance.pid}, or {elsewhere}"
    )


def _run(settings: Settings) -> None:
    began = time.monotonic()
    supervisor = Supervisor(PART_NAMES)
    try:
        try:
            plan = _plan(settings)
            for part in plan.first:
                supervisor.start(part)
            sign_ins = _prepare_database(plan.settings)
            supervisor.start(plan.web)
            # The parts without a page wait, so that the first page is there as soon as the machine can make it.
            supervisor.wait_until(lambda: bool(_readiness(settings)), timeout=_SECONDS_TO_GET_READY)
            for part in plan.behind:
                supervisor.start(part)
            _wait_until_ready(supervisor, settings)
            _greet(settings, plan, sign_ins, time.monotonic() - began)
            supervisor.wait_until(lambda: False)
        finally:
            supervisor.stop(last="redis")
    except StopRequested:
        _say(f"FlexDash has stopped. Its data stays in {_place_of_data(settings)}; the next start goes on from there.")
    except PartEnded as ended:
        raise CannotRun(_part_ended(ended)) from None


def _plan(settings: Settings) -> Plan:
    try:
        plan = plan_parts(settings, os.environ)
    except NoRedis as error:
        raise CannotRun(str(error)) from None
    if not any(part.name == "redis" for part in plan.first):
        _check_redis(settings)
    return plan


def _check_redis(settings: Settings) -> None:
    """Raise CannotRun when the Redis that REDIS_URL names does not answer."""
    import redis  # not at the top, as below

    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5, retry=None) as client:
            client.ping()
    except redis.RedisError as error:
        why = redacted_text(str(error)).rstrip(".")
        raise CannotRun(
            f"FlexDash cannot use the Redis that REDIS_URL names: {why}. See that it runs, that it may be reached from "
            "here, and that its password is right; or unset REDIS_URL, and FlexDash starts its own."
        ) from None


def _prepare_database(settings: Settings) -> list[tuple[str, str, str]]:
    """Bring the database up to date, fill an empty one with the demo workspace, and return its sign-ins."""
    # Not at the top: this is most of FlexDash, and a held port or a wrong setting is to be said at once.
    from sqlalchemy.exc import OperationalError

    from flexdash import create_app
    from flexdash.cli.migrate import upgrade_database
    from flexdash.cli.seed import seed_demo
    from flexdash.extensions import db

    app = create_app(settings, has_pages=False)
    with app.app_context():
        try:
            upgrade_database()
            return seed_demo(app)
        except OperationalError as error:
            raise CannotRun(unusable_database(error.orig)) from None
        finally:
            db.engine.dispose()


def _wait_until_ready(supervisor: Supervisor, settings: Settings) -> None:
    answer: dict[str, Any] = {}

    def is_ready() -> bool:
        answer.update(_readiness(settings))
        return answer.get("status") == "ready"

    if not supervisor.wait_until(is_ready, timeout=_SECONDS_TO_GET_READY):
        missing = [part["detail"] for part in answer.get("parts", {}).values() if not part["is_up"]]
        raise CannotRun(
            f"FlexDash did not get ready within {_SECONDS_TO_GET_READY} seconds. "
            + (" ".join(missing) or "The web server did not answer.")
            + " The lines above say more."
        )


def _readiness(settings: Settings) -> dict[str, Any]:
    """Return what /readyz says; an empty dict while the web server does not answer."""
    try:
        with _DIRECT.open(f"{_local_address(settings)}/readyz", timeout=2) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:  # 503 carries the same JSON
        with suppress(ValueError):
            return json.load(error)
    except (OSError, ValueError):
        pass
    return {}


def _greet(settings: Settings, plan: Plan, sign_ins: list[tuple[str, str, str]], seconds: float) -> None:
    lines = [f"FlexDash is ready after {seconds:.1f} seconds: {_address(settings)}", ""]
    if sign_ins:
        width = max(len(email) for _, email, _ in sign_ins)
        lines += ["Sign in as"]
        lines += [f"  {role:<10}{email:<{width + 2}}password: {password}" for role, email, password in sign_ins]
        lines += [""]
    if plan.sandbox_url:
        lines += [
            f"The sandbox that plays Amazon (make orders, cancel as a buyer, switch faults on): {plan.sandbox_url}"
        ]
    lines += [f"The data is kept in {_place_of_data(settings)}.", "Ctrl-C stops FlexDash."]
    rule = "-" * 72
    _say("\n".join(["", rule, *lines, rule, ""]))


def _part_ended(ended: PartEnded) -> str:
    how = f"exit code {ended.returncode}" if ended.returncode >= 0 else f"signal {-ended.returncode}"
    last_lines = "\n".join(f"  {ended.name} | {line}" for line in ended.last_lines) or "  (it said nothing)"
    return (
        f"FlexDash has stopped, because its part {ended.name} ended by itself ({how}). Its last lines:\n{last_lines}\n"
        "The data is kept. Mend what the lines name and start again."
    )


def _place_of_data(settings: Settings) -> str:
    if settings.database_url.startswith(f"sqlite:///{settings.data_dir}/"):
        return str(settings.data_dir)
    return f"the database that DATABASE_URL names, and in {settings.data_dir}"


def _address(settings: Settings) -> str:
    """Where people open this FlexDash."""
    return settings.public_url


def _local_address(settings: Settings) -> str:
    """Where this machine reaches the web server, whatever address people use."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.bind_address, settings.bind_address)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _say(text: str) -> None:
    try:
        click.echo(text)
    except OSError:  # the terminal may be closed already
        silence_output()

"""The parts of `flexdash run`: which programs, with which settings, in which order."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from config import PROJECT_DIR, Settings, load_settings
from flexdash.cli import embedded_redis
from flexdash.cli.run_checks import free_port
from flexdash.cli.run_supervisor import Part

PART_NAMES = ("redis", "sandbox", "web", "sync-worker", "tick-worker", "upload-worker", "scheduler", "watcher")
_AMAZON_ADDRESSES = ("AMAZON_LWA_URL", "AMAZON_API_URL", "AMAZON_SELLER_CENTRAL_URL")


@dataclass(frozen=True)
class Plan:
    """What to start: `first` before the database is prepared, then `web`, then the parts `behind` it.

    `settings` are in force for all of them; `sandbox_url` is empty when Amazon's addresses were given.
    """

    settings: Settings
    first: list[Part]
    web: Part
    behind: list[Part]
    sandbox_url: str


def plan_parts(settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Return the parts to run under `environ`, from which `settings` were read.

    A Redis of its own is left out when `environ` names one, the sandbox when it names any address of Amazon's.
    Raises embedded_redis.NoRedis when one is needed and there is none.
    """
    env = {
        **environ,
        "PYTHONUNBUFFERED": "1",
        "DATA_DIR": str(settings.data_dir),
        # Parts speak to each other on this machine; a proxy set for the outer world must not get in between.
        **{name: _with_this_machine(environ.get(name, "")) for name in ("NO_PROXY", "no_proxy")},
    }
    first: list[Part] = []
    sandbox_url = ""

    if not environ.get("REDIS_URL", "").strip():
        redis = embedded_redis.prepare(settings.data_dir / "redis")
        env["REDIS_URL"] = redis.url
        first.append(Part("redis", redis.command, env, PROJECT_DIR, is_quiet=True))

    if not any(environ.get(name, "").strip() for name in _AMAZON_ADDRESSES):
        port = free_port("127.0.0.1", settings.port + 1)
        sandbox_url = f"http://127.0.0.1:{port}"
        env["AMAZON_LWA_URL"] = f"{sandbox_url}/auth/o2/token"
        env["AMAZON_API_URL"] = env["AMAZON_SELLER_CENTRAL_URL"] = sandbox_url
        sandbox_env = {**env, **_sandbox_settings(settings, port)}
        first.append(Part("sandbox", [sys.executable, "-m", "amazon_sandbox"], sandbox_env, PROJECT_DIR))

    def python(name: str, *arguments: str, dies_with: signal.Signals = signal.SIGTERM) -> Part:
        return Part(name, [sys.executable, "-m", *arguments], env, PROJECT_DIR, dies_with)

    web = python("web", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app")
    behind = [
        # A worker told to end gently waits for its job; killed, the job is taken up again at the next start.
        python("sync-worker", "flexdash", "worker", "--queues", "sync", dies_with=signal.SIGKILL),
        python("tick-worker", "flexdash", "worker", "--queues", "tick", dies_with=signal.SIGKILL),
        python("upload-worker", "flexdash", "worker", "--queues", "work,upload", dies_with=signal.SIGKILL),
        python("scheduler", "flexdash", "scheduler"),
        python("watcher", "flexdash", "watcher"),
    ]
    return Plan(load_settings(env), first, web, behind, sandbox_url)


def _sandbox_settings(settings: Settings, port: int) -> dict[str, str]:
    """The sandbox's own variables: it knows this FlexDash as Amazon would know a registered app."""
    return {
        "SANDBOX_PORT": str(port),
        "SANDBOX_DATA_DIR": str(settings.data_dir / "sandbox"),
        "SANDBOX_CLIENT_ID": settings.amazon_client_id,
        "SANDBOX_CLIENT_SECRET": settings.amazon_client_secret,
        "SANDBOX_APPLICATION_ID": settings.amazon_application_id,
        "SANDBOX_REDIRECT_URIS": settings.amazon_redirect_uri,
        "SANDBOX_APP_LOGIN_URI": f"{settings.public_url}/amazon/login",
        "SANDBOX_APP_IS_DRAFT": "true" if settings.amazon_app_is_draft else "false",
    }


def _with_this_machine(hosts: str) -> str:
    return ",".join(filter(None, [hosts, "127.0.0.1", "localhost"]))

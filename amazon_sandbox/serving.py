"""Runs the sandbox for a test or a bench and stops it afterwards."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from amazon_sandbox.app import create_app
from amazon_sandbox.config import Config
from amazon_sandbox.control_client import Control
from amazon_sandbox.server import ThreadServer

PROJECT_DIR = Path(__file__).resolve().parent.parent
START_SECONDS = 30
STOP_SECONDS = 10
N_ATTEMPTS = 3


@dataclass(frozen=True)
class Running:
    """A running sandbox: its addresses, the app's credentials in `config`, and its controls."""

    url: str
    config: Config
    control: Control
    process: subprocess.Popen[bytes] | None = None

    @property
    def lwa_url(self) -> str:
        """The token service."""
        return f"{self.url}/auth/o2/token"

    @property
    def api_url(self) -> str:
        """The Selling Partner API's host."""
        return self.url

    @property
    def seller_central_url(self) -> str:
        """Seller Central's host."""
        return self.url


@contextlib.contextmanager
def running(
    data_dir: Path | str | None = None,
    port: int = 0,
    *,
    in_process: bool = True,
    clock: Callable[[], float] | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """A sandbox on a free loopback port (or `port`), from threads of this process or as a process of its own.
    `settings` are fields of `Config`; `clock` (in this process only) gives seconds since 1970. Without `data_dir`
    nothing outlives the block."""
    config = replace(Config(), data_dir=Path(data_dir) if data_dir else None, port=port, **settings)
    with _in_threads(config, clock) if in_process else _as_process(config) as sandbox:
        try:
            yield sandbox
        finally:
            sandbox.control.close()


@contextlib.contextmanager
def _in_threads(config: Config, clock: Callable[[], float] | None) -> Iterator[Running]:
    server = ThreadServer(create_app(config, clock=clock), config.port)
    try:
        url = f"http://127.0.0.1:{server.port}"
        yield Running(url, config, Control(url))
    finally:
        server.close()


@contextlib.contextmanager
def _as_process(config: Config) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="amazon-sandbox-") as own_dir:
        config = replace(config, data_dir=config.data_dir or Path(own_dir))
        process, url = _start(config)
        try:
            yield Running(url, config, Control(url), process)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ends a sandbox process and waits for it; its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        if process.stdin:
            process.stdin.close()


def _start(config: Config) -> tuple[subprocess.Popen[bytes], str]:
    """Starts the process and waits until it answers; another free port when one was taken meanwhile."""
    for _ in range(N_ATTEMPTS):
        port = config.port or _free_port()
        instance = secrets.token_hex(8)
        process = subprocess.Popen(
            [sys.executable, "-m", "amazon_sandbox"],
            env=_environment(replace(config, port=port, instance=instance)),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        url = f"http://127.0.0.1:{port}"
        if _is_up(process, url, instance):
            return process, url
        stop(process)
    raise RuntimeError("The sandbox did not start; its messages are above.")


def _is_up(process: subprocess.Popen[bytes], url: str, instance: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False, timeout=2, verify=False) as http:  # noqa: S501 - plain http
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(httpx.TransportError):  # not listening yet
                if http.get(f"{url}/healthz").json().get("instance") == instance:
                    return True
            time.sleep(0.05)
    return False


def _environment(config: Config) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SANDBOX_")}
    paths = [str(PROJECT_DIR), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {
        "PYTHONPATH": os.pathsep.join(paths),
        "SANDBOX_PORT": str(config.port),
        "SANDBOX_BIND": config.bind,
        "SANDBOX_DATA_DIR": str(config.data_dir),
        "SANDBOX_PUBLIC_URL": config.public_url,
        "SANDBOX_CLIENT_ID": config.client_id,
        "SANDBOX_CLIENT_SECRET": config.client_secret,
        "SANDBOX_APPLICATION_ID": config.application_id,
        "SANDBOX_APP_NAME": config.app_name,
        "SANDBOX_REDIRECT_URIS": ",".join(config.redirect_uris),
        "SANDBOX_APP_LOGIN_URI": config.app_login_uri,
        "SANDBOX_APP_IS_DRAFT": "true" if config.app_is_draft else "",
        "SANDBOX_INSTANCE": config.instance,
        "SANDBOX_IS_TIED_TO_STDIN": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

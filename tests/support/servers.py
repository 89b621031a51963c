"""Servers the tests use: a private Redis, the app over HTTP, and FlexDash's own processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis
from flask import Flask
from werkzeug.serving import make_server

from config import PROJECT_DIR
from flexdash.cli import embedded_redis
from tests.support import nursery


def wait_for(is_so: Callable[[], bool], what: str, timeout: float = 60.0) -> None:
    """Return as soon as `is_so()`; fail, naming `what` was waited for, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.01
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} seconds in vain for {what}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)  # asking costs the processor that what is waited for needs


def reserved_socket() -> socket.socket:
    """Return a socket bound to a free port of this machine, which nobody else gets while it is open."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def free_port() -> int:
    """Return a port that is free now."""
    with reserved_socket() as held:
        return held.getsockname()[1]


def _dying_with_us(command: list[str]) -> list[str]:
    """Return `command` so that it ends when the test process is killed and can clean up nothing."""
    launcher = PROJECT_DIR / "flexdash" / "parent_death.py"
    return [sys.executable, "-I", "-S", str(launcher), str(os.getpid()), str(int(signal.SIGKILL)), *command]


@contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Run a real Redis of its own in `folder`; gives its URL."""
    server = embedded_redis.prepare(folder)
    process = subprocess.Popen(_dying_with_us(server.command), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    client = redis.Redis.from_url(server.url)

    def answers() -> bool:
        try:
            return client.ping()
        except redis.ConnectionError:
            assert process.poll() is None, f"redis-server ended with code {process.returncode}"
            return False

    try:
        wait_for(answers, "Redis")
        yield server.url
    finally:
        client.close()
        process.kill()
        process.wait()


@contextmanager
def serving_app(app: Flask, listener: socket.socket) -> Iterator[str]:
    """Serve `app` over HTTP in threads of this process on `listener`; gives the address."""
    listener.listen(128)
    host, port = listener.getsockname()
    server = make_server(host, port, app, threaded=True, fd=listener.fileno())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def flexdash_process(environ: Mapping[str, str], *arguments: str) -> Iterator[nursery.Child]:
    """Run `python -m flexdash ARGUMENTS` under `environ`; stopped, and killed if need be, at the end."""
    process = nursery.fork("flexdash", arguments, {**os.environ, **environ})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            pass
        finally:
            kill_session(process.pid)
            process.wait()


def kill_session(leader: int) -> None:
    """Kill every process of the session that `leader` began, children that changed their group included."""
    import psutil

    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue

"""Two ways to serve the sandbox: gunicorn for a program of its own, a thread for tests."""

import logging
import threading
from typing import Any

import gunicorn.util
from flask import Flask
from gunicorn.app.base import BaseApplication
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from amazon_sandbox.app import create_app
from amazon_sandbox.config import Config

N_THREADS = 32


class Program(BaseApplication):
    """gunicorn with one worker process, since the world is kept in its memory, and many threads."""

    def __init__(self, config: Config):
        self._sandbox_config = config
        super().__init__()

    def load_config(self) -> None:
        """gunicorn's settings; no file of the current folder is read."""
        host = f"[{self._sandbox_config.bind}]" if ":" in self._sandbox_config.bind else self._sandbox_config.bind
        settings = {
            "bind": f"{host}:{self._sandbox_config.port}",
            "workers": 1,
            "threads": N_THREADS,
            "worker_class": "gthread",
            "keepalive": 60,
            "timeout": 120,
            "graceful_timeout": 1,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application, made within the worker so that the database file is opened there."""
        app = create_app(self._sandbox_config)
        # gunicorn writes the Date header itself; callers take Amazon's time from it, so it follows our clock.
        gunicorn.util.http_date = lambda timestamp=None: app.extensions["sandbox_world"].clock.http_date()
        return app


class ThreadServer:
    """Serves an application from threads of this process until closed. `port` 0 takes a free one."""

    def __init__(self, app: Flask, port: int = 0):
        clock = app.extensions["sandbox_world"].clock

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def date_time_string(self, timestamp: float | None = None) -> str:
                return clock.http_date()

            def log(self, type: str, message: str, *args: Any) -> None:
                logging.getLogger("amazon_sandbox").debug(message, *args)

        self._app = app
        self._server: BaseWSGIServer = make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler)
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops taking requests and closes the world."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._app.extensions["sandbox_world"].close()

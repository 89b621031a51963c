"""How gunicorn serves FlexDash, in `make run` and in production alike: `gunicorn wsgi:app` from this folder.

Read by gunicorn itself; options on its command line win over this file.
"""

import os
import sys

from gunicorn import glogging

from config import SettingsError, load_settings

try:
    _settings = load_settings()
except SettingsError as error:
    print(error, file=sys.stderr)  # noqa: T201 - nothing is running yet that could log
    sys.exit(2)


class Logger(glogging.Logger):
    """Hands gunicorn's lines to FlexDash's log, which gives them their form and masks what must not be seen."""

    def setup(self, cfg):
        """Set the level only: no handlers of gunicorn's own."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


_host = f"[{_settings.bind_address}]" if ":" in _settings.bind_address else _settings.bind_address
bind = f"{_host}:{_settings.port}"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
worker_class = "gthread"
threads = 4
timeout = 60
graceful_timeout = 4
keepalive = 5
preload_app = True  # one import for all processes: a quicker start and less memory
accesslog = None  # FlexDash logs each request itself, with its id
logger_class = Logger
control_socket_disable = True
forwarder_headers = ""  # no header names the path: a proxy on this machine may hand on what anyone put into one


def post_fork(server, worker):
    """Leave the parent's database connections to the parent: two processes must not share one."""
    from flexdash.extensions import db
    from wsgi import app

    with app.app_context():
        db.engine.dispose(close=False)

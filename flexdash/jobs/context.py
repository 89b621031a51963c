"""The app that jobs run in: made once per worker, before it forks, so that a job starts at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Flask, current_app, has_app_context

from flexdash.extensions import db

_app: Flask | None = None


def use(app: Flask) -> None:
    """Let the jobs of this process run in `app`."""
    global _app
    _app = app


def app() -> Flask:
    """Return the app that jobs run in; made now if need be."""
    if _app is None:
        from flexdash import create_app  # a worker that was started by RQ's own command

        use(create_app(has_pages=False))
    return _app  # type: ignore[return-value]


@contextmanager
def job_context(**facts: Any) -> Iterator[Flask]:
    """Run the block in a fresh app context, with `facts` on each of its log lines."""
    of_jobs = current_app._get_current_object() if has_app_context() else app()  # type: ignore[attr-defined]
    with of_jobs.app_context(), structlog.contextvars.bound_contextvars(**facts):
        try:
            yield of_jobs
        finally:
            db.session.remove()

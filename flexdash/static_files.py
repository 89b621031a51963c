"""Stylesheets, scripts and pictures that browsers keep: an address names what is in the file, and changes with it."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

_ENDPOINTS = ("static", "bootstrap.static")
_KEPT_SECONDS = 365 * 24 * 3600
_VERSION_LENGTH = 12


class _SessionsBesideFiles(SecureCookieSessionInterface):
    """Flask's sessions, which leave a file alone that is kept for good: it is the same for everybody.

    Flask-Login looks into the session with every answer, and Flask then tells caches that the answer depends on it.
    """

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not response.cache_control.immutable:
            super().save_session(app, session, response)


def init_app(app: Flask) -> None:
    """Give the addresses of `app`'s static files, and Bootstrap's, a version, and let browsers keep what it names.

    Otherwise a browser asks for each of a page's ten files, with each page, whether it has changed.
    """

    def version(endpoint: str, name: str) -> str | None:
        owner = app if endpoint == "static" else app.blueprints["bootstrap"]
        path = Path(owner.static_folder or "") / name
        try:
            stat = path.stat()
        except OSError:
            return None  # the address leads to "not found", as it would without
        return _version(path, stat.st_mtime_ns, stat.st_size)

    app.session_interface = _SessionsBesideFiles()

    @app.url_defaults
    def _name_content(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint in _ENDPOINTS:
            values.setdefault("v", version(endpoint, values["filename"]))

    @app.after_request
    def _keep(response: Response) -> Response:
        # Asked with another version, by a page of another release, the file must not be kept under that name.
        asked = request.args.get("v")
        if (
            asked
            and request.endpoint in _ENDPOINTS
            and response.status_code in (200, 304)
            and asked == version(request.endpoint, (request.view_args or {})["filename"])
        ):
            response.headers["Cache-Control"] = f"public, max-age={_KEPT_SECONDS}, immutable"
        return response


@lru_cache(maxsize=256)
def _version(path: Path, _changed_at: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_VERSION_LENGTH]

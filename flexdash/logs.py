"""Logging: one structured line per event, redacted before anything else sees it.

Code logs with `structlog.get_logger(__name__)`: a short sentence and keyword values. What a request or a run
is about (`request_id`, `run_id`, `store_id`) is bound once with `structlog.contextvars` and stands on every
line until it ends.
"""

import logging
import re
import sys
import time
import uuid
from collections.abc import Callable, MutableMapping
from functools import wraps
from typing import Any, TextIO
from urllib.parse import unquote

import structlog
from flask import Flask, Response, g, request
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from config import Settings
from flexdash.redaction import redacted, redacted_text

# These say at INFO what our own lines say better, or print addresses with secrets in the query.
_QUIET_LOGGERS = (
    "httpx",
    "httpcore",
    "rq",
    "rq.worker",
    "rq_scheduler",
    "alembic",
    "werkzeug",
    "urllib3",
    "asyncio",
)
_MIN_SECRET_LENGTH = 8
_TIME_FORMATS = {"json": "iso", "console": "%Y-%m-%d %H:%M:%SZ"}
_REQUEST_ID_LENGTH = 16
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics", "/static/", "/bootstrap/static/")


def new_request_id() -> str:
    """Return an id that no other request has, short enough to be read out on the telephone."""
    return uuid.uuid4().hex[:_REQUEST_ID_LENGTH]


def with_present_ids(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` for use in a thread of ours: its lines carry the ids that are bound here and now.

    Only the ids go along, not the whole context: the app context with its database session belongs to one thread.
    """
    ids = structlog.contextvars.get_contextvars()

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with structlog.contextvars.bound_contextvars(**ids):
            return function(*args, **kwargs)

    return call


class Redactor:
    """A structlog processor that masks secrets: by their name, their look and their value."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = secrets

    def __call__(self, _logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        private = {key: event_dict.pop(key) for key in ("exc_info", "_record", "_from_structlog") if key in event_dict}
        clean = redacted(dict(event_dict), self._secrets)
        clean.update(private)
        return clean


class _Printable:
    """Writes out what a terminal would carry out instead of showing; line ends stay, of which tracebacks are made."""

    _UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

    def __call__(self, _logger: Any, _method: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in event_dict.items():
            if isinstance(value, str):
                event_dict[name] = self._UNSHOWN.sub(lambda found: repr(found[0])[1:-1], value)
        return event_dict


class _LastLook:
    """Redacts the finished line, for a traceback is written out only by the renderer."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def __call__(self, _logger: Any, _method: str, line: str) -> str:
        return redacted_text(line, self._secrets)


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log line, ours and the libraries', to `stream` (by default stderr) as `settings` ask for."""
    secrets = _secrets_of(settings)
    first: list[Any] = [
        Redactor(secrets),
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt=_TIME_FORMATS[settings.log_format], utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *first,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=first,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                Redactor(secrets),  # while a traceback has lines: in JSON, what stands at the start of one is not seen
                *_rendering(settings, stream),
                _LastLook(secrets),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def init_app(app: Flask) -> None:
    """Give every request an id, which stands on its log lines and in its answer, and one log line."""
    logger = structlog.get_logger("flexdash.web")

    @app.before_request
    def _begin() -> None:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else new_request_id()
        g.request_began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def _end(response: Response) -> Response:
        if "request_id" not in g:
            return response
        response.headers["X-Request-Id"] = g.request_id
        log = logger.debug if request.path.startswith(_QUIET_PATHS) else logger.info
        log(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            duration_ms=round((time.perf_counter() - g.request_began) * 1000, 1),
        )
        return response

    @app.teardown_request
    def _forget(_error: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()


def _rendering(settings: Settings, stream: TextIO) -> list[Any]:
    if settings.log_format == "json":
        return [
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [_Printable(), structlog.dev.ConsoleRenderer(colors=stream.isatty(), pad_event_to=0)]


_ANY_PASSWORD = re.compile(r"://[^:/]*:([^@]+)@")


def _secrets_of(settings: Settings) -> tuple[str, ...]:
    candidates = (
        settings.secret_key,
        settings.amazon_client_secret,
        settings.metrics_token,
        *settings.encryption_keys,
        *_passwords_in(settings.database_url),
        *_passwords_in(settings.redis_url),
        *_passwords_in(settings.smtp_url),
    )
    return tuple(secret for secret in candidates if len(secret) >= _MIN_SECRET_LENGTH)


def _passwords_in(url: str) -> tuple[str, ...]:
    """Return the passwords in an address, each as it stands there and as it is.

    Read as SQLAlchemy reads addresses: a password there may have signs that a browser would not let pass.
    """
    try:
        parts = make_url(url) if url else None
    except ArgumentError:
        return ()  # config.py says what is wrong with it; it is no address that could be used
    if parts is None:
        return ()
    found = {parts.password, *_ANY_PASSWORD.findall(url), *map(unquote, _ANY_PASSWORD.findall(url))}
    # The user's own name hides nothing, and masking it would blot out much of the log.
    return tuple(str(word) for word in found if word and word != parts.username)

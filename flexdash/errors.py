"""The pages for everything that goes wrong: what happened, what it means, what to do. Never a stack trace."""

from dataclasses import dataclass, replace

import redis
import structlog
from flask import Flask, Response, current_app, g, make_response, render_template, request
from flask_limiter import RateLimitExceeded
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from jinja2 import TemplateError
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, InternalServerError, RequestEntityTooLarge

from flexdash import limits
from flexdash.logs import new_request_id
from flexdash.services.errors import NotAllowed, NotVisible, ServiceError
from flexdash.vault import UnreadableSecret

logger = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS = "30"
_TEMPLATE = "errors/page.html"


@dataclass(frozen=True)
class ErrorPage:
    """The words of one page."""

    title: str
    happened: str
    means: str
    todo: str


PAGES: dict[int, ErrorPage] = {
    400: ErrorPage(
        "The request could not be read",
        "Your browser sent something FlexDash does not understand.",
        "Nothing was changed.",
        "Go back, reload the page and try again. If you followed a link, it may have been cut short.",
    ),
    401: ErrorPage(
        "Sign in first",
        "This page is for people who are signed in, and you are not, or no longer.",
        "Nothing was changed.",
        "Sign in, then open the page again.",
    ),
    403: ErrorPage(
        "Your role does not include this",
        "You are signed in, but your role may not open this page or do this.",
        "Nothing was changed.",
        "If you need it for your work, ask an admin of your workspace to do it or to change your role.",
    ),
    404: ErrorPage(
        "Page not found",
        "There is no page at this address, or none for you.",
        "The address may be mistyped, what it showed may be gone, or it is not yours to see.",
        "Check the address, or start again from the home page.",
    ),
    405: ErrorPage(
        "This address cannot be used that way",
        "The address exists, but not for what your browser asked of it.",
        "Nothing was changed. This happens when a form's address is opened as a page, for instance by reloading.",
        "Go to the page the form stands on and send it from there.",
    ),
    409: ErrorPage(
        "That cannot be done now",
        "Something else changed in the meantime.",
        "Nothing was changed by you.",
        "Go back, reload the page to see how things stand, and decide again.",
    ),
    413: ErrorPage(
        "That was too large",
        "What you sent is larger than FlexDash takes in one go.",
        "It was not read, and nothing was changed.",
        "Send less at once.",
    ),
    429: ErrorPage(
        "Too many attempts",
        "This was tried too often in a short time.",
        "To keep guessing out, FlexDash waits before it takes the next attempt. Nothing was changed.",
        "Wait a minute, then try again once.",
    ),
    500: ErrorPage(
        "Something went wrong in FlexDash",
        "FlexDash ran into a fault of its own while it made this page.",
        "What you had saved before is safe. What you just sent may not have been saved.",
        "Look whether it was saved, and try again. If it happens again, tell whoever runs FlexDash this reference:",
    ),
    503: ErrorPage(
        "FlexDash cannot reach its database",
        "The database does not answer, or has no room or connection free.",
        "What was saved before is safe. What you just sent was not saved.",
        "Try again in a minute. If it stays, tell whoever runs FlexDash this reference:",
    ),
}

FORM_TOO_OLD = ErrorPage(
    "This form is no longer valid",
    "The form was sent without the mark that shows it came from your own page.",
    "Nothing was changed. It happens when you signed out or in again in another tab, or when cookies are blocked.",
    "Go back, reload the page, and send the form again.",
)
REDIS_AWAY = ErrorPage(
    "FlexDash cannot reach Redis",
    "Redis, which hands work to the background, does not answer.",
    "Pages still show what is stored. Syncs wait, and start again by themselves when Redis is back.",
    "Try again in a minute. If it stays, tell whoever runs FlexDash this reference:",
)
KEY_MISSING = ErrorPage(
    "FlexDash cannot read what it keeps encrypted",
    "The key that this was encrypted with is missing from ENCRYPTION_KEYS.",
    "What is stored is safe, but nobody can read it without that key. Nothing was changed.",
    "Tell whoever runs FlexDash to put the key back into ENCRYPTION_KEYS, with this reference:",
)
ASKED_TOO_OFTEN = ErrorPage(
    "Too many look-ups at once",
    "You asked for more answers, evidence packs or verifications than FlexDash gives one person in so short a time.",
    "Each may call Amazon and reads much of what is kept, and others want to work meanwhile. Nothing is lost: what you "
    "asked for stands in the address of this page, and a verification goes on where it was.",
    "Wait a minute, then reload this page; where the browser asks whether to send the form again, it should.",
)
STILL_ANSWERING = ErrorPage(
    "Another of your questions is still being answered",
    "FlexDash answers one question of a person at a time, and another of yours is under way, perhaps in another tab.",
    "Each may wait for Amazon, and others want to work meanwhile. Nothing is lost: what you asked for stands in the "
    "address of this page, and a verification goes on where it was.",
    "Wait until the other answer is there, half a minute at most, then reload this page; where the browser asks "
    "whether to send the form again, it should.",
)
OTHER = ErrorPage(
    "That did not work",
    "FlexDash could not answer this request.",
    "Nothing was changed.",
    "Go back, reload the page and try again.",
)


def init_app(app: Flask) -> None:
    """Answer refusals, faults and absences in `app` with pages for people."""
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(CSRFError, _form_too_old)
    app.register_error_handler(RateLimitExceeded, _asked_too_often)
    app.register_error_handler(limits.StillAnswering, _still_answering)
    app.register_error_handler(NotVisible, _not_visible)
    app.register_error_handler(NotAllowed, lambda error: _refusal(403, error))
    app.register_error_handler(ServiceError, lambda error: _refusal(409, error))
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(PoolTimeout, _database_away)
    app.register_error_handler(redis.ConnectionError, _redis_away)
    app.register_error_handler(redis.TimeoutError, _redis_away)
    app.register_error_handler(UnreadableSecret, _key_missing)
    app.register_error_handler(InternalServerError, _fault)


def reference() -> str:
    """Return what a page shows for support: the request's id, which stands on all its log lines."""
    if "request_id" not in g:
        g.request_id = new_request_id()
    return g.request_id


def _http_error(error: HTTPException) -> Response:
    code = error.code or 500
    _note(code, error)
    words = PAGES.get(code, PAGES[500] if code >= 500 else OTHER)
    if isinstance(error, RequestEntityTooLarge) and error.description != RequestEntityTooLarge.description:
        words = replace(words, happened=error.description or "")
    answer = _page(code, words)
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def _not_visible(error: NotVisible) -> Response:
    _note(404, error)
    return _page(404, PAGES[404])


def _refusal(code: int, error: ServiceError) -> Response:
    _note(code, error)
    return _page(code, replace(PAGES[code], happened=error.sentence))


def _note(code: int, error: Exception) -> None:
    """Leave in the log what the reference on the page leads to. Only kinds, for words may name somebody."""
    log = logger.info if code < 500 else logger.error
    log("page refused", status=code, endpoint=request.endpoint, error=type(error).__name__)


def _form_too_old(error: CSRFError) -> Response:
    logger.info("form refused", reason=error.description)
    return _page(400, FORM_TOO_OLD)


def _asked_too_often(error: RateLimitExceeded) -> Response:
    _note(429, error)
    answer = _page(429, ASKED_TOO_OFTEN)
    answer.headers["Retry-After"] = str(limits.seconds_to_wait())
    return answer


def _still_answering(error: limits.StillAnswering) -> Response:
    _note(429, error)
    answer = _page(429, STILL_ANSWERING)
    answer.headers["Retry-After"] = str(limits.ANSWER_SECONDS)
    return answer


def _database_away(error: SQLAlchemyError) -> Response:
    if isinstance(error, DBAPIError) and "no such" in str(error.orig):
        raise error  # SQLite's word for a missing table or column: a fault of ours, not an absence
    logger.error("database away", reference=reference(), error=type(error).__name__, exc_info=error)
    return _away(PAGES[503])


def _redis_away(error: redis.RedisError) -> Response:
    logger.error("redis away", reference=reference(), error=type(error).__name__)
    return _away(REDIS_AWAY)


def _key_missing(error: UnreadableSecret) -> Response:
    logger.error("a stored value cannot be decrypted", reference=reference(), error=str(error))
    return _page(503, KEY_MISSING)


def _away(words: ErrorPage) -> Response:
    answer = _page(503, words)
    answer.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return answer


def _fault(error: InternalServerError) -> Response:
    logger.error("page failed", reference=reference(), path=request.path, exc_info=error.original_exception)
    return _page(500, PAGES[500])


def _page(code: int, words: ErrorPage) -> Response:
    """Return the page, with the menu around it below 500 and while the database answers."""
    values = {"words": words, "code": code, "reference": reference()}
    if code < 500 and _is_signed_in():
        try:
            return make_response(render_template(_TEMPLATE, layout="layouts/app.html", **values), code)
        except (SQLAlchemyError, TemplateError) as error:
            logger.warning("error page without its menu", reason=str(error))
    # Not by render_template: the context processors would ask the database who is signed in.
    plain = current_app.jinja_env.get_template(_TEMPLATE)
    return make_response(plain.render(layout="layouts/plain.html", **values), code)


def _is_signed_in() -> bool:
    try:
        return bool(current_user and current_user.is_authenticated)
    except SQLAlchemyError:
        return False

"""What is refused before any page looks at it: bodies that are no forms, and names that are not this machine's.

Bodies are bounded by MAX_BODY_BYTES; a view that takes files says so with `takes_large_body`.
"""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

from flexdash.blueprints.guard import current_actor
from flexdash.extensions import login_manager

View = TypeVar("View", bound=Callable[..., Any])

_DRAINED_AT_MOST = 1 << 31
_NAMES_OF_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def init_app(app: Flask) -> None:
    """Check every request of `app`."""
    app.before_request(_refuse_json)
    settings = app.config["SETTINGS"]
    if settings.is_for_this_machine:
        _keep_other_names_out(app)
    app.before_request(_let_large_bodies_in)


def takes_large_body(largest: Callable[[], int], sentence: Callable[[], str]) -> Callable[[View], View]:
    """Let POSTs to the view have bodies of up to `largest()` bytes, from those who may open it.

    `sentence` is what a larger one is refused with. The body goes to disk, not into memory.
    """

    def mark(view: View) -> View:
        view.largest_body = largest
        view.sentence_of_too_large = sentence
        return view

    return mark


def _let_large_bodies_in() -> ResponseReturnValue | None:
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method != "POST" or not hasattr(view, "largest_body"):
        return None
    # Before the body is read: who may not send it anyway shall not fill the disk with it.
    if not current_user.is_authenticated:
        return login_manager.unauthorized()
    if not current_actor().may(view.access):
        abort(403)
    largest = view.largest_body()
    request.max_content_length = largest
    if (request.content_length or 0) > largest:
        _drain()
        raise RequestEntityTooLarge(view.sentence_of_too_large())
    return None


def _drain() -> None:
    """Read the body and forget it: a browser that is still sending would never see the answer."""
    if (request.content_length or 0) <= _DRAINED_AT_MOST:
        request.max_content_length = _DRAINED_AT_MOST
        while request.stream.read(1 << 16):
            pass


def _keep_other_names_out(app: Flask) -> None:
    settings = app.config["SETTINGS"]
    names = {*_NAMES_OF_THIS_MACHINE, settings.bind_address, urlsplit(settings.public_url).hostname}

    @app.before_request
    def _refuse_other_names() -> Response | None:
        """Refuse a page from elsewhere that gave its own name this machine's address (DNS rebinding)."""
        if urlsplit(request.host_url).hostname in names:
            return None
        words = f"This FlexDash is for this machine only. Open it at {settings.public_url}, or set PUBLIC_URL.\n"
        return Response(words, 403, mimetype="text/plain")


def _refuse_json() -> None:
    """Refuse what Flask-WTF would fill a form's text fields with: numbers, lists and objects."""
    if request.is_json:
        abort(415)

"""What is refused before any page looks at it: bodies that are no forms, and names that are not this machine's."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

_NAMES_OF_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def init_app(app: Flask) -> None:
    """Check every request of `app`."""
    app.before_request(_refuse_json)
    settings = app.config["SETTINGS"]
    if not settings.is_for_this_machine:
        return
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

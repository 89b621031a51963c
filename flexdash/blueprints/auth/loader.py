"""Who is behind a request: the cookie's token, held against the server-side session at every request."""

import structlog
from flask import Response, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.exc import OperationalError

from flexdash.blueprints.auth import blueprint
from flexdash.blueprints.auth.next_page import page_to_return_to
from flexdash.extensions import login_manager
from flexdash.models import User
from flexdash.services import sign_in
from flexdash.services.sign_in import Standing

# Flask-Login hands what stands under this key to the user loader; here it is the session's token, not a user's id.
TOKEN_KEY = "_user_id"  # noqa: S105

_SENTENCES = {
    Standing.UNKNOWN: "You have been signed out: FlexDash does not know this session any more. Sign in again.",
    Standing.ENDED: "You have been signed out: this session was ended. Sign in again to go on.",
    Standing.EXPIRED: "You have been signed out: your sign-in had run its time. Sign in again to go on.",
    Standing.DEACTIVATED: "You have been signed out: your account was deactivated. Ask an admin of your workspace.",
}

logger = structlog.get_logger(__name__)

login_manager.login_view = "auth.sign_in"
# The server-side session is ours; Flask-Login's own check would sign out a phone that changes networks.
login_manager.session_protection = None


@login_manager.user_loader
def load(token: str) -> User | None:
    """Return the person signed in with `token`; otherwise drop it from the cookie and say why on the next page."""
    visit = sign_in.visit(token)
    if visit.user is None:
        session.pop(TOKEN_KEY, None)
        g.sign_out_told = True
        flash(_SENTENCES[visit.standing], "warning")
        return None
    g.visit = visit
    return visit.user


def current_session_id() -> int | None:
    """Return the id of the UserSession behind this request, None when nobody is signed in."""
    return g.visit.session_id if current_user.is_authenticated else None


@login_manager.unauthorized_handler
def ask_to_sign_in() -> ResponseReturnValue:
    """Send the browser to the sign-in page, with the way back; a script gets 401, for it could not use that page."""
    if request.headers.get("Sec-Fetch-Dest") == "empty":
        return (
            "You are signed out. Load the page again and sign in.",
            401,
            {"Content-Type": "text/plain; charset=utf-8"},
        )
    if not g.get("sign_out_told") and request.path != "/":
        flash("Sign in to open this page.", "info")
    return redirect(url_for("auth.sign_in", next=page_to_return_to()))


@blueprint.after_app_request
def note_use(response: Response) -> Response:
    """Keep `last_seen_at` of the session fresh to the minute."""
    if visit := g.get("visit"):
        try:
            sign_in.touch(visit.session_id, visit.last_seen_at)
        except OperationalError as error:
            # The answer is ready; that the minute was not noted must not take it from the person.
            logger.warning("could not note when a session was last used", error=str(error.orig))
    return response

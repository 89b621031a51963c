"""Who may open which page: every view says so with one of the two decorators here, and a test holds them to it."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import abort, g, request
from flask_login import current_user

from flexdash.extensions import login_manager
from flexdash.services.actors import Actor, Permission

View = TypeVar("View", bound=Callable[..., Any])


def public(view: View) -> View:
    """Mark a view that anyone may open without a sign-in."""
    view.access = "public"
    return view


def requires(permission: Permission) -> Callable[[View], View]:
    """Let only signed-in people whose role has `permission` open the view; others see the sign-in page or 403."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not current_user.is_authenticated:
                return login_manager.unauthorized()
            if not current_actor().may(permission):
                abort(403)
            return view(*args, **kwargs)

        guarded.access = permission
        return guarded

    return decorate


def signed_in(view: View) -> View:
    """Let every signed-in person open the view, whatever their role."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if not current_user.is_authenticated:
            return login_manager.unauthorized()
        return view(*args, **kwargs)

    guarded.access = "signed_in"
    return guarded


def current_actor() -> Actor:
    """Return the signed-in person as services know them; made once per request."""
    if "actor" not in g:
        g.actor = Actor.of_user(current_user, request.remote_addr or "")
    return g.actor

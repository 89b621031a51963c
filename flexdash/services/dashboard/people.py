"""Who works here lately: for admins."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import User, UserSession
from flexdash.services import access
from flexdash.services.actors import Actor

SHOWN = 5


@dataclass(frozen=True)
class People:
    """`lately` are those who signed in last, with how many sessions each has open."""

    lately: Sequence[tuple[User, int]]
    n_active: int
    n_deactivated: int
    n_never_signed_in: int  # of the active ones
    n_sessions: int


def of(actor: Actor) -> People:
    """Return the people of the workspace of `actor`."""
    own = User.workspace_id == actor.workspace_id
    is_open = (UserSession.revoked_at.is_(None), UserSession.expires_at > clock.now())
    n_active, n_deactivated, n_never = db.session.execute(
        select(
            func.count().filter(User.is_active),
            func.count().filter(~User.is_active),
            func.count().filter(User.is_active, User.last_sign_in_at.is_(None)),
        ).where(own)
    ).one()
    n_sessions = db.session.scalar(
        select(func.count())
        .select_from(UserSession)
        .join(User, User.id == UserSession.user_id)
        .where(own, User.is_active, *is_open)
    )
    of_person = (
        select(func.count())
        .select_from(UserSession)
        .where(UserSession.user_id == User.id, *is_open)
        .correlate(User)
        .scalar_subquery()
    )
    lately = (
        access.visible(actor, User)
        .where(User.is_active, User.last_sign_in_at.is_not(None))
        .add_columns(of_person)
        .order_by(User.last_sign_in_at.desc(), User.id)
        .limit(SHOWN)
    )
    return People(
        lately=[(user, n) for user, n in db.session.execute(lately)],
        n_active=n_active,
        n_deactivated=n_deactivated,
        n_never_signed_in=n_never,
        n_sessions=n_sessions or 0,
    )

"""What people change about themselves, whatever their role: their password and the zone they see times in."""

from flexdash import clock
from flexdash.database import release_connection, transaction
from flexdash.models import AccessKind, Section, User
from flexdash.services import access, access_log, config_log, passwords, sign_in
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused
from flexdash.services.places import check_time_zone


def change_password(actor: Actor, current: str, new: str, *, keep_session_id: int | None) -> int:
    """Change the actor's password, end their sessions but `keep_session_id`, and return how many were ended.

    Raises FieldRefused for `current` when it is not the present password, and for `new` when it cannot be.
    """
    present_hash = check_password(actor, current)
    refuse_weak(actor, new)
    release_connection()
    if passwords.verify(present_hash, new):
        raise FieldRefused("new", "This is the password you already have. Choose another one.")
    password_hash = passwords.hash_password(new)
    with transaction():
        user = access.get(actor, User, actor.user_id, lock=True)
        if user.password_hash != present_hash:
            raise FieldRefused("current", "Your password was changed meanwhile. Type the present one.")
        user.password_hash, user.password_changed_at = password_hash, clock.now()
        n_ended = sign_in.end_all_of(user.id, keep_session_id)
        sentence = f"{actor.name} changed their own password"
        access_log.record(actor, AccessKind.PASSWORD, sentence, user=user)
        config_log.record(actor, Section.USERS, sentence)
        return n_ended


def check_password(actor: Actor, current: str) -> str:
    """Return the hash of the actor's password; raise FieldRefused for `current`, and log it, when that is another."""
    present_hash = access.get(actor, User, actor.user_id).password_hash
    release_connection()
    if not passwords.verify(present_hash, current):
        with transaction():
            sentence = f"{actor.name} wanted to change their own password and gave a wrong present one"
            access_log.record(actor, AccessKind.PASSWORD, sentence)
        raise FieldRefused("current", "This is not your present password. Type the one you signed in with.")
    return present_hash


def refuse_weak(actor: Actor, new: str) -> None:
    """Raise FieldRefused for `new` when the actor cannot have it as password."""
    user = access.get(actor, User, actor.user_id)
    passwords.refuse_weak(new, field="new", email=user.email, name=user.name)


def change_time_zone(actor: Actor, time_zone: str) -> None:
    """Set the zone in which the actor sees times; empty for the workspace's. A matter of taste, so it is not logged."""
    if time_zone:
        check_time_zone(time_zone)
    with transaction():
        access.get(actor, User, actor.user_id, lock=True).time_zone = time_zone or None

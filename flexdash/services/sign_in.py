"""Signing in and out: the server-side session behind each cookie, made here and ended here."""

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.orm import contains_eager, joinedload

from flexdash import clock, metrics
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings
from flexdash.models import AccessKind, AuthorizationAttempt, User, UserSession
from flexdash.services import access_log, passwords
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible, ServiceError

SEEN_EVERY = timedelta(minutes=1)
KEPT_FOR = timedelta(days=30)  # ended sessions, with their addresses, to look into what happened
WRONG_EMAIL_OR_PASSWORD = "The e-mail or the password is not right. Check both and try again."  # noqa: S105

logger = structlog.get_logger(__name__)


class SignInRefused(ServiceError):
    """The person is not let in."""


class Standing(StrEnum):
    """What a session is worth now."""

    GOOD = "good"
    UNKNOWN = "unknown"
    ENDED = "ended"
    EXPIRED = "expired"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True)
class Visit:
    """The answer to a cookie: the standing, and with a good one the person and their session."""

    standing: Standing
    user: User | None = None
    session_id: int | None = None
    last_seen_at: datetime | None = None


def begin(
    email: str, password: str, *, address: str = "", user_agent: str = "", previous_token: str | None = None
) -> str:
    """Sign a person in and return the token for their cookie; only its hash is kept.

    `previous_token` is what the browser held before: that session ends. Raises SignInRefused, with the same sentence
    for an unknown e-mail and a wrong password; that an account is deactivated is told only to who knows its password.
    """
    found = db.session.execute(
        select(User.id, User.password_hash).where(User.email == normal_email(email))
    ).one_or_none()
    user_id, password_hash = found or (None, None)
    release_connection()  # argon2 takes its time on purpose
    if not passwords.verify(password_hash, password):
        logger.warning("sign-in refused", user_id=user_id, address=address)
        access_log.refused(normal_email(email), address, "with a wrong password")
        metrics.count("sign_ins", outcome="refused")
        raise SignInRefused(WRONG_EMAIL_OR_PASSWORD)
    new_hash = passwords.hash_password(password) if passwords.needs_rehash(password_hash) else None

    try:
        token = _begin(user_id, password_hash, new_hash, address, user_agent, previous_token)
    except SignInRefused:
        access_log.refused(normal_email(email), address, "whose account is deactivated or changed meanwhile")
        metrics.count("sign_ins", outcome="refused")
        raise
    return token


def _begin(
    user_id: int, password_hash: str, new_hash: str | None, address: str, user_agent: str, previous_token: str | None
) -> str:
    token = secrets.token_urlsafe(32)
    now = clock.now()
    with transaction():
        user = db.session.get(User, user_id, with_for_update=True, populate_existing=True)
        if user is None or user.password_hash != password_hash:
            raise SignInRefused(WRONG_EMAIL_OR_PASSWORD)
        if not user.is_active:
            raise SignInRefused(
                "This account is deactivated, so nobody can sign in with it. Ask an admin of your workspace to "
                "activate it again."
            )
        if new_hash:
            user.password_hash = new_hash
        user.last_sign_in_at = now
        _forget_old(user.id, now)
        if previous_token:
            _end(UserSession.token_hash == _hash(previous_token))
        db.session.add(
            UserSession(
                user_id=user.id,
                token_hash=_hash(token),
                address=address[:45],
                user_agent=user_agent[:200],
                created_at=now,
                last_seen_at=now,
                expires_at=now + timedelta(hours=settings.session_lifetime_hours),
            )
        )
        access_log.record(Actor.of_user(user, address), AccessKind.SIGNED_IN, f"{user.name} signed in")
    logger.info("signed in", user_id=user_id, address=address)
    metrics.count("sign_ins", outcome="signed_in")
    return token


def visit(token: str) -> Visit:
    """Return what the session behind `token` is worth now. One query, with the person, workspace and sellers."""
    row = (
        db.session.execute(
            select(UserSession)
            .join(UserSession.user)
            .where(UserSession.token_hash == _hash(token))
            .options(
                contains_eager(UserSession.user).options(
                    joinedload(User.workspace, innerjoin=True), joinedload(User.sellers)
                )
            )
        )
        .unique()
        .scalar_one_or_none()
    )
    if row is None:
        return Visit(Standing.UNKNOWN)
    if not row.user.is_active:
        return Visit(Standing.DEACTIVATED)
    if row.revoked_at is not None:
        return Visit(Standing.ENDED)
    if row.expires_at <= clock.now():
        return Visit(Standing.EXPIRED)
    return Visit(Standing.GOOD, row.user, row.id, row.last_seen_at)


def touch(session_id: int, last_seen_at: datetime) -> None:
    """Note that the session is in use, at most once a minute.

    On a connection of its own: the page that is being answered keeps what it has loaded.
    """
    now = clock.now()
    if now - last_seen_at < SEEN_EVERY:
        return
    with db.engine.begin() as connection:
        connection.execute(
            update(UserSession)
            .where(UserSession.id == session_id, UserSession.last_seen_at <= now - SEEN_EVERY)
            .values(last_seen_at=now)
        )


def end(actor: Actor, token: str) -> None:
    """Sign out: the session behind `token` is worth nothing from now on."""
    with transaction():
        if _end(UserSession.token_hash == _hash(token)):
            access_log.record(actor, AccessKind.SIGNED_OUT, f"{actor.name} signed out")


def sessions_of(actor: Actor) -> list[UserSession]:
    """Return the actor's own sessions that are still good, the last used first."""
    query = select(UserSession).where(
        UserSession.user_id == actor.user_id,
        UserSession.revoked_at.is_(None),
        UserSession.expires_at > clock.now(),
    )
    return list(db.session.scalars(query.order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())))


def session_of(actor: Actor, session_id: int) -> UserSession:
    """Return one of the actor's own sessions that are still good; raises NotVisible for any other."""
    found = next((row for row in sessions_of(actor) if row.id == session_id), None)
    if found is None:
        raise NotVisible("session")
    return found


def end_session(actor: Actor, session_id: int) -> None:
    """End one of the actor's own sessions; raises NotVisible for anyone else's."""
    with transaction():
        row = db.session.get(UserSession, session_id, populate_existing=True)
        if row is None or row.user_id != actor.user_id:
            raise NotVisible("session")
        if _end(UserSession.id == row.id):
            sentence = f"{actor.name} ended one of their own sessions, begun from {row.address or 'nowhere known'}"
            access_log.record(actor, AccessKind.SESSION_ENDED, sentence)


def end_other_sessions(actor: Actor, keep_session_id: int | None) -> int:
    """End all of the actor's own sessions but `keep_session_id` and return how many that were."""
    with transaction():
        n_ended = end_all_of(actor.user_id, keep_session_id)
        if n_ended:
            many = "session" if n_ended == 1 else "sessions"
            sentence = f"{actor.name} ended {n_ended} other {many} of their own"
            access_log.record(actor, AccessKind.SESSION_ENDED, sentence)
        return n_ended


def end_all_of(user_id: int | None, keep_session_id: int | None = None) -> int:
    """End the person's sessions, but `keep_session_id`, inside the caller's transaction; return how many."""
    conditions = [UserSession.user_id == user_id]
    if keep_session_id is not None:
        conditions.append(UserSession.id != keep_session_id)
    return _end(*conditions)


def normal_email(email: str) -> str:
    """Return `email` as it is kept and compared: without spaces around it, in lower case."""
    return email.strip().lower()


def email_key(email: str) -> str:
    """Return the throttle key of an e-mail: its hash, so that no address lands in Redis or a log."""
    return "email:" + hashlib.sha256(normal_email(email).encode()).hexdigest()[:32]


def address_key(address: str) -> str:
    """Return the throttle key of a network address; of IPv6 the first 64 bits, for one customer has them all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "address:unknown"
    if ip.version == 6 and ip.ipv4_mapped is None:
        return f"address:{ipaddress.ip_network((ip, 64), strict=False)}"
    return f"address:{getattr(ip, 'ipv4_mapped', None) or ip}"


def _forget_old(user_id: int, now: datetime) -> None:
    """Delete the person's long ended sessions, but those that an authorization of a store at Amazon started from.

    Trips to Amazon for drafts that were discarded since hold a session no longer than that: they go first.
    """
    db.session.execute(
        delete(AuthorizationAttempt).where(
            AuthorizationAttempt.user_id == user_id,
            AuthorizationAttempt.store_id.is_(None),
            AuthorizationAttempt.created_at < now - KEPT_FOR,
        )
    )
    db.session.execute(
        delete(UserSession).where(
            UserSession.user_id == user_id,
            UserSession.expires_at < now - KEPT_FOR,
            UserSession.id.not_in(select(AuthorizationAttempt.user_session_id)),
        )
    )


def _end(*conditions: object) -> int:
    result = db.session.execute(
        update(UserSession).where(UserSession.revoked_at.is_(None), *conditions).values(revoked_at=clock.now())
    )
    return result.rowcount


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

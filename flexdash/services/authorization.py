"""Trips to Amazon's consent page: the random `state` each carries, whom it belongs to, and how it ended."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import cast

import structlog
from sqlalchemy import select, update

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import AuthorizationAttempt, Store
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible, ServiceError

# Long enough to sign in at Amazon with a one-time password, short enough that a forgotten tab is worth nothing.
STATE_LIFETIME = timedelta(minutes=15)
# A return is handled within seconds; one that has no outcome after this was cut off.
HANDLING_TIME = timedelta(minutes=2)
STATE_BYTES = 32

# Without letters and digits that are mixed up when a person reads them out.
_REFERENCE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_REFERENCE = re.compile(rf"[{_REFERENCE_ALPHABET}]{{4}}-[{_REFERENCE_ALPHABET}]{{4}}")

logger = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """How a trip ended, or why a return from Amazon was refused."""

    CONNECTED = "connected"
    DENIED = "denied"
    STATE_MISSING = "state_missing"
    STATE_UNKNOWN = "state_unknown"
    STATE_USED = "state_used"
    STATE_EXPIRED = "state_expired"
    OTHER_USER = "other_user"
    OTHER_SESSION = "other_session"
    SIGNED_OUT = "signed_out"
    INCOMPLETE = "incomplete"  # Amazon came back without a code or an account
    CODE_REFUSED = "code_refused"
    APP_REFUSED = "app_refused"
    UNREACHABLE = "unreachable"
    ALREADY_CONNECTED = "already_connected"
    OTHER_ACCOUNT = "other_account"
    NOT_SELLING_HERE = "not_selling_here"
    WITHDRAWN = "withdrawn"  # the draft was discarded or the store disconnected while the person was at Amazon
    BEING_HANDLED = "being_handled"  # the same return arrived twice; the first one is still at work
    INTERRUPTED = "interrupted"  # FlexDash was stopped while handling the return


class ReturnRefused(ServiceError):
    """A return from Amazon that connects nothing. `reference` is what the page shows and the log holds.

    `other_store_id` is the store that has the account already, when that is the reason.
    """

    def __init__(
        self,
        outcome: Outcome,
        reference: str,
        store_id: int | None = None,
        detail: str = "",
        other_store_id: int | None = None,
    ) -> None:
        super().__init__(f"The return from Amazon was refused: {outcome.value}.")
        self.outcome, self.reference, self.store_id, self.detail = outcome, reference, store_id, detail
        self.other_store_id = other_store_id


@dataclass(frozen=True)
class Claim:
    """A return that may be handled, by this caller alone."""

    attempt_id: int
    reference: str
    store_id: int


@dataclass(frozen=True)
class Trip:
    """A person's own trip to Amazon, as its page tells it."""

    reference: str
    outcome: Outcome
    store_id: int | None
    is_over: bool


def add(actor: Actor, user_session_id: int, store: Store) -> tuple[str, str]:
    """Begin a trip for `store` inside the caller's transaction and return its secret state and its reference."""
    if actor.user_id is None:
        raise ValueError("only a person can go to Amazon's consent page")
    state = secrets.token_urlsafe(STATE_BYTES)
    now = clock.now()
    attempt = AuthorizationAttempt(
        workspace_id=actor.workspace_id,
        store_id=store.id,
        user_id=actor.user_id,
        user_session_id=user_session_id,
        state_hash=_hash(state),
        created_at=now,
        expires_at=now + STATE_LIFETIME,
        reference=new_reference(),
    )
    db.session.add(attempt)
    db.session.flush()
    return state, attempt.reference


def claim(actor: Actor, user_session_id: int | None, state: str) -> Claim:
    """Take the trip that `state` belongs to, so that nobody can take it again, and return what it was for.

    Raises ReturnRefused when the state is missing, unknown, used, expired, another person's or another browser
    session's. A state shown by somebody else stays good for its owner.
    """
    if not state:
        raise ReturnRefused(Outcome.STATE_MISSING, new_reference())
    with transaction() as session:
        attempt = session.scalars(
            select(AuthorizationAttempt)
            .where(AuthorizationAttempt.state_hash == _hash(state))
            .execution_options(populate_existing=True)
        ).one_or_none()
        if attempt is None:
            raise ReturnRefused(Outcome.STATE_UNKNOWN, new_reference())
        if attempt.user_id != actor.user_id or attempt.workspace_id != actor.workspace_id:
            # The owner's reference would lead support to the wrong person, so this return gets its own.
            raise ReturnRefused(Outcome.OTHER_USER, new_reference(), detail=f"the state belongs to {attempt.reference}")
        if attempt.user_session_id != user_session_id:
            raise ReturnRefused(Outcome.OTHER_SESSION, attempt.reference, attempt.store_id)
        now = clock.now()
        taken = session.execute(
            update(AuthorizationAttempt)
            .where(
                AuthorizationAttempt.id == attempt.id,
                AuthorizationAttempt.used_at.is_(None),
                AuthorizationAttempt.expires_at > now,
            )
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        if taken.rowcount == 0:
            session.refresh(attempt)
            why = Outcome.STATE_EXPIRED if attempt.used_at is None else Outcome.STATE_USED
            if attempt.outcome == Outcome.WITHDRAWN:
                why = Outcome.WITHDRAWN
            raise ReturnRefused(why, attempt.reference, attempt.store_id)
        return Claim(attempt.id, attempt.reference, cast(int, attempt.store_id))  # only a withdrawn one has none


def set_outcome(attempt_id: int, outcome: Outcome) -> None:
    """Note how a claimed trip ended, inside the caller's transaction; one that was withdrawn meanwhile stays so."""
    db.session.execute(
        update(AuthorizationAttempt)
        .where(AuthorizationAttempt.id == attempt_id, AuthorizationAttempt.outcome == "")
        .values(outcome=outcome.value)
    )


def withdraw(store: Store) -> None:
    """End all trips of `store` that are still open, inside the caller's transaction: their returns connect nothing."""
    db.session.execute(
        update(AuthorizationAttempt)
        .where(AuthorizationAttempt.store_id == store.id, AuthorizationAttempt.outcome == "")
        .values(used_at=clock.now(), outcome=Outcome.WITHDRAWN.value)
        .execution_options(synchronize_session=False)
    )


def forget_store(store: Store) -> None:
    """Cut all trips of `store`, a draft about to be deleted, from it inside the caller's transaction.

    They are kept for as long as ended sessions are. Who comes back from one that was open is told that the draft was
    discarded.
    """
    withdraw(store)
    db.session.execute(
        update(AuthorizationAttempt)
        .where(AuthorizationAttempt.store_id == store.id)
        .values(store_id=None)
        .execution_options(synchronize_session=False)
    )


def reference_of(state: str) -> str:
    """Return the reference of the trip with this state, or a new one; for a return whose person is signed out."""
    query = select(AuthorizationAttempt.reference).where(AuthorizationAttempt.state_hash == _hash(state))
    return db.session.scalar(query) or new_reference()


def find_trip(actor: Actor, reference: str) -> Trip | None:
    """Return the actor's own trip with this reference, or None when there is none.

    `outcome` is STATE_EXPIRED for a trip nobody came back from in time, and BEING_HANDLED or INTERRUPTED for one that
    came back and has no end yet. `is_over` is False while the trip can still connect something.
    """
    attempt = db.session.scalars(
        select(AuthorizationAttempt)
        .where(
            AuthorizationAttempt.reference == reference,
            AuthorizationAttempt.user_id == actor.user_id,
            AuthorizationAttempt.workspace_id == actor.workspace_id,
        )
        .order_by(AuthorizationAttempt.id.desc())
        .limit(1)
    ).one_or_none()
    if attempt is None:
        return None
    now = clock.now()
    is_over = True
    if attempt.outcome:
        outcome = Outcome(attempt.outcome)
    elif attempt.used_at is None:
        outcome, is_over = Outcome.STATE_EXPIRED, attempt.expires_at <= now
    elif attempt.used_at + HANDLING_TIME > now:
        outcome, is_over = Outcome.BEING_HANDLED, False
    else:
        outcome = Outcome.INTERRUPTED
    return Trip(attempt.reference, outcome, attempt.store_id, is_over)


def latest_store(actor: Actor) -> Store | None:
    """Return the store of the actor's newest trip of the last hour, for a *Try again* when the return names none."""
    store_id = db.session.scalar(
        select(AuthorizationAttempt.store_id)
        .where(
            AuthorizationAttempt.user_id == actor.user_id,
            AuthorizationAttempt.created_at > clock.now() - timedelta(hours=1),
        )
        .order_by(AuthorizationAttempt.id.desc())
        .limit(1)
    )
    if store_id is None:
        return None
    try:
        return access.get(actor, Store, store_id)
    except NotVisible:
        return None


def new_reference() -> str:
    """Return a reference such as K7QX-4M2P: shown on a failure page and written to the log beside the reason."""
    letters = [secrets.choice(_REFERENCE_ALPHABET) for _ in range(8)]
    return "".join(letters[:4]) + "-" + "".join(letters[4:])


def is_reference(text: str) -> bool:
    """Say whether `text` has the form of a reference."""
    return bool(_REFERENCE.fullmatch(text))


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()

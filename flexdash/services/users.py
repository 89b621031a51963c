"""People of a workspace: adding, changing and deactivating them. What each changes themselves: services.account."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import selectinload

from flexdash import clock
from flexdash.database import release_connection, transaction
from flexdash.extensions import db
from flexdash.models import AccessKind, Role, Section, Seller, User, Workspace
from flexdash.services import access, access_log, config_log, names, passwords, sign_in, workspaces
from flexdash.services.actors import Actor, Permission
from flexdash.services.email_addresses import is_address
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.places import check_time_zone
from flexdash.services.uniqueness import flush_or_refuse
from flexdash.services.words import listed, one_line, quoted, shortened

_EMAIL_TAKEN = "This e-mail already belongs to a FlexDash account. Use another one."
_NO_SELLER = "Tick at least one seller of this workspace, or remove the limit."
_LAST_ADMIN = (
    "{name} is the last active admin of this workspace, so nobody could manage people any more. "
    "Make someone else an admin first."
)


def listing(
    actor: Actor, search: str = "", role: Role | None = None, is_active: bool | None = None
) -> Select[tuple[User]]:
    """Return a SELECT of the people whose name or e-mail contains `search`, with their sellers; unordered."""
    require_manager(actor)
    query = access.visible(actor, User).options(selectinload(User.sellers))
    if role is not None:
        query = query.where(User.role == role)
    if is_active is not None:
        query = query.where(User.is_active == is_active)
    if search := search.strip():
        query = query.where(
            or_(User.name.icontains(search, autoescape=True), User.email.icontains(search, autoescape=True))
        )
    return query


def get(actor: Actor, user_id: int) -> User:
    """Return one person of the workspace; raises NotVisible."""
    require_manager(actor)
    return access.get(actor, User, user_id)


def add(actor: Actor, *, name: str, email: str, role: Role, seller_ids: Collection[int] | None, password: str) -> User:
    """Add a person who can sign in with `password` at once. `seller_ids` None means all sellers.

    Raises FieldRefused for `name`, `email`, `role`, `seller_ids` or `password`.
    """
    require_manager(actor)
    name, email = names.checked(name), checked_email(email)
    passwords.refuse_weak(password, field="password", email=email, name=name)
    password_hash = passwords.hash_password(password)
    with transaction():
        return _add(actor, name, email, role, seller_ids, password_hash)


def add_from_command_line(
    workspace_name: str, time_zone: str, *, name: str, email: str, password: str, role: Role = Role.ADMIN
) -> User:
    """Add a person from the command line; the workspace called `workspace_name` is made when there is none.

    Raises FieldRefused for what cannot be; the first person of a workspace must be an admin.
    """
    workspace_name = one_line(workspace_name)
    if not workspace_name or len(workspace_name) > 100:
        raise FieldRefused("workspace", "Give the workspace a name of 1 to 100 characters.")
    check_time_zone(time_zone)
    name, email = names.checked(name), checked_email(email)
    passwords.refuse_weak(password, field="password", email=email, name=name)
    password_hash = passwords.hash_password(password)
    with transaction():
        workspace = db.session.scalars(select(Workspace).where(Workspace.name == workspace_name)).one_or_none()
        workspace = workspace or workspaces.add(workspace_name, time_zone)
        actor = Actor.system(workspace.id)
        if role is not Role.ADMIN and not _other_active_admins(actor, None):
            raise FieldRefused("role", "The first person of a workspace must be an admin, who can then add others.")
        return _add(actor, name, email, role, None, password_hash)


def edit(
    actor: Actor,
    user_id: int,
    *,
    name: str,
    email: str,
    role: Role,
    seller_ids: Collection[int] | None,
    reason: str = "",
) -> User:
    """Change a person; what changed goes into one sentence of the Configuration Log, nothing changed into none.

    Raises NotVisible, FieldRefused; the last active admin stays one.
    """
    require_manager(actor)
    name, email = names.checked(name), checked_email(email)
    reason = config_log.clean_reason(reason)
    with transaction():
        _lock_people(actor)
        user = access.get(actor, User, user_id, lock=True)
        before, before_ids = described(user), identified(user)
        is_demoted = user.role is Role.ADMIN and role is not Role.ADMIN and user.is_active
        if is_demoted and not _other_active_admins(actor, user.id):
            raise FieldRefused("role", _LAST_ADMIN.format(name=user.name))
        sellers = _checked_sellers(actor, role, seller_ids)
        if email != user.email and _email_is_taken(email):
            raise FieldRefused("email", _EMAIL_TAKEN)
        old_name = user.name
        # The sellers first: replacing them reads the present ones, and that would write the e-mail too early.
        user.is_limited_to_sellers, user.sellers = sellers is not None, sellers or []
        user.name, user.email, user.role = name, email, role
        flush_or_refuse("email", _EMAIL_TAKEN)
        after = described(user)
        if changed := [key for key in after if before[key] != after[key]]:
            sentence = _changes_sentence(actor, user, old_name, before, after, changed)
            if changed != ["name"]:
                access_log.record(actor, AccessKind.ROLE, sentence, user=user)
            config_log.record(
                actor,
                Section.USERS,
                sentence,
                old=before_ids | {key: before[key] for key in changed},
                new=identified(user) | {key: after[key] for key in changed},
                reason=reason,
            )
        return user


def deactivate(actor: Actor, user_id: int, reason: str = "") -> User:
    """Keep a person out: their sessions end and they cannot sign in. The last active admin cannot be deactivated."""
    require_manager(actor)
    reason = config_log.clean_reason(reason)
    with transaction():
        _lock_people(actor)
        user = access.get(actor, User, user_id, lock=True)
        if not user.is_active:
            return user
        if user.role is Role.ADMIN and not _other_active_admins(actor, user.id):
            raise ServiceError(_LAST_ADMIN.format(name=user.name))
        user.is_active = False
        sign_in.end_all_of(user.id)
        _log_activity(actor, user, reason)
        return user


def reactivate(actor: Actor, user_id: int) -> User:
    """Let a deactivated person sign in again, with the password they had."""
    require_manager(actor)
    with transaction():
        user = access.get(actor, User, user_id, lock=True)
        if not user.is_active:
            user.is_active = True
            _log_activity(actor, user, "")
        return user


def reset_password(actor: Actor, user_id: int, password: str, reason: str = "") -> User:
    """Give a person another password and end all their sessions. Raises FieldRefused for `password` and `reason`."""
    require_manager(actor)
    reason = config_log.clean_reason(reason)
    user = access.get(actor, User, user_id)
    passwords.refuse_weak(password, field="password", email=user.email, name=user.name)
    release_connection()
    password_hash = passwords.hash_password(password)
    with transaction():
        user = access.get(actor, User, user_id, lock=True)
        user.password_hash, user.password_changed_at = password_hash, clock.now()
        sign_in.end_all_of(user.id)
        sentence = f"{actor.name} reset {_whose(actor, user)} password"
        access_log.record(actor, AccessKind.PASSWORD, sentence, user=user)
        config_log.record(actor, Section.USERS, sentence, new={"user_id": user.id}, reason=reason)
        return user


def require_manager(actor: Actor) -> None:
    """Raise NotAllowed unless the actor may manage users, sellers and hubs."""
    if not actor.may(Permission.MANAGE_PEOPLE):
        raise NotAllowed("Only admins can manage users, sellers and hubs. Ask an admin of your workspace.")


def _add(
    actor: Actor, name: str, email: str, role: Role, seller_ids: Collection[int] | None, password_hash: str
) -> User:
    if _email_is_taken(email):
        raise FieldRefused("email", _EMAIL_TAKEN)
    sellers = _checked_sellers(actor, role, seller_ids)
    user = User(
        workspace_id=actor.workspace_id,
        name=name,
        email=email,
        role=role,
        password_hash=password_hash,
        password_changed_at=clock.now(),
        is_limited_to_sellers=sellers is not None,
        sellers=sellers or [],
    )
    db.session.add(user)
    flush_or_refuse("email", _EMAIL_TAKEN)
    sentence = f"{actor.name} added {shortened(user.name, 80)} as {user.role.value}"
    access_log.record(actor, AccessKind.ROLE, sentence, user=user)
    config_log.record(actor, Section.USERS, sentence, new=identified(user) | described(user))
    return user


def _email_is_taken(email: str) -> bool:
    # In every workspace: who signs in names no workspace, the e-mail alone says who it is.
    return db.session.scalar(select(User.id).where(User.email == email)) is not None


def _checked_sellers(actor: Actor, role: Role, seller_ids: Collection[int] | None) -> list[Seller] | None:
    """Return the sellers a person is limited to, None for no limit."""
    check_limit(role, seller_ids)
    if seller_ids is None:
        return None
    wanted = set(seller_ids)
    sellers = list(db.session.scalars(access.visible(actor, Seller).where(Seller.id.in_(wanted)).order_by(Seller.name)))
    if len(sellers) != len(wanted):
        raise FieldRefused("seller_ids", _NO_SELLER)
    return sellers


def check_limit(role: Role, seller_ids: Collection[int] | None) -> None:
    """Raise FieldRefused for `seller_ids` when a person of `role` cannot be limited to so many; None is no limit."""
    if seller_ids is None:
        return
    if role is not Role.MERCHANT:
        raise FieldRefused("seller_ids", "Only merchants can be limited to some sellers. Untick the limit.")
    if not seller_ids:
        raise FieldRefused("seller_ids", _NO_SELLER)


def _lock_people(actor: Actor) -> None:
    """Let one change of roles and activity happen at a time: who is the last admin must not change under the check."""
    # FOR NO KEY UPDATE, so that new rows that point at the workspace are not held up.
    db.session.execute(select(Workspace.id).where(Workspace.id == actor.workspace_id).with_for_update(key_share=True))


def _other_active_admins(actor: Actor, user_id: int | None) -> int:
    query = select(func.count()).select_from(User)
    query = query.where(User.workspace_id == actor.workspace_id, User.role == Role.ADMIN, User.is_active)
    return db.session.scalar(query.where(User.id != user_id) if user_id is not None else query) or 0


def described(user: User) -> dict[str, Any]:
    """Return what the Configuration Log keeps of a person; never the password."""
    return {
        "name": user.name,
        "email": user.email,
        "role": user.role.value,
        "sellers": [seller.name for seller in user.sellers] if user.is_limited_to_sellers else "all sellers",
    }


def identified(user: User) -> dict[str, Any]:
    """Return the ids beside the names of `described`: by them a change can be taken back; None for all sellers."""
    limit = [seller.id for seller in user.sellers] if user.is_limited_to_sellers else None
    return {"user_id": user.id, "seller_ids": limit}


def _changes_sentence(
    actor: Actor, user: User, old_name: str, before: dict[str, Any], after: dict[str, Any], changed: list[str]
) -> str:
    labels = {"name": "name", "email": "e-mail", "role": "role", "sellers": "sellers"}

    def shown(key: str, value: Any) -> str:
        if isinstance(value, list):
            return shortened(listed(value), 60) if len(value) <= 3 else f"{len(value)} sellers"
        return quoted(value) if key in {"name", "email"} else value

    parts = [f"{labels[key]} from {shown(key, before[key])} to {shown(key, after[key])}" for key in changed]
    whose = "their own" if actor.user_id == user.id else f"{shortened(old_name, 80)}'s"
    return shortened(f"{actor.name} changed {whose} {listed(parts)}")


def _whose(actor: Actor, user: User) -> str:
    return "their own" if actor.user_id == user.id else f"{shortened(user.name, 80)}'s"


def _log_activity(actor: Actor, user: User, reason: str) -> None:
    verb = "reactivated" if user.is_active else "deactivated"
    whom = "their own account" if actor.user_id == user.id else shortened(user.name, 80)
    access_log.record(actor, AccessKind.ROLE, f"{actor.name} {verb} {whom}", user=user)
    config_log.record(
        actor,
        Section.USERS,
        f"{actor.name} {verb} {whom}",
        old={"user_id": user.id, "name": user.name, "is_active": not user.is_active},
        new={"user_id": user.id, "name": user.name, "is_active": user.is_active},
        reason=reason,
    )


def checked_email(email: str) -> str:
    """Return the e-mail as it is kept; raise FieldRefused for `email` when it is none."""
    email = sign_in.normal_email(email)
    if not is_address(email):
        raise FieldRefused("email", "Give an e-mail address, such as asha@company.example.")
    return email

"""Lists of orders that a person comes back to: the filters of the address, under a name of their own."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import SavedFilter
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused, NotVisible
from flexdash.services.words import one_line

MAX_NAME, MAX_QUERY, AT_MOST = 60, 500, 20


def of(actor: Actor) -> Sequence[SavedFilter]:
    """Return the actor's own saved lists, by name."""
    return db.session.scalars(
        select(SavedFilter).where(SavedFilter.user_id == actor.user_id).order_by(SavedFilter.name)
    ).all()


def get(actor: Actor, filter_id: int) -> SavedFilter:
    """Return one of the actor's own saved lists; raises NotVisible for any other."""
    own = (SavedFilter.id == filter_id, SavedFilter.user_id == actor.user_id)
    if (found := db.session.scalars(select(SavedFilter).where(*own)).one_or_none()) is None:
        raise NotVisible("saved list")
    return found


def save(actor: Actor, name: str, query: str) -> SavedFilter:
    """Keep `query` (of an address, without the page) under `name`; a list of the same name is replaced.

    Raises FieldRefused for `name`.
    """
    name = one_line(name)
    if not name:
        raise FieldRefused("name", "Give the list a name, such as “Pune, overdue”.")
    if len(name) > MAX_NAME:
        raise FieldRefused("name", f"The name has {len(name)} characters. Shorten it to {MAX_NAME} or fewer.")
    if not query or len(query) > MAX_QUERY:
        raise FieldRefused("name", "Choose at least one filter first: without one, this is simply the list of orders.")
    with transaction() as session:
        known = session.scalars(
            select(SavedFilter).where(SavedFilter.user_id == actor.user_id, SavedFilter.name == name).with_for_update()
        ).one_or_none()
        if known is None:
            n = session.scalar(select(func.count()).where(SavedFilter.user_id == actor.user_id)) or 0
            if n >= AT_MOST:
                raise FieldRefused("name", f"You have {AT_MOST} saved lists. Remove one before you save another.")
            known = SavedFilter(workspace_id=actor.workspace_id, user_id=actor.user_id, name=name)
            session.add(known)
        known.filters = query
        session.flush()
        return known


def remove(actor: Actor, filter_id: int) -> None:
    """Forget one of the actor's own saved lists; raises NotVisible for any other."""
    with transaction() as session:
        own = (SavedFilter.id == filter_id, SavedFilter.user_id == actor.user_id)
        if session.execute(delete(SavedFilter).where(*own)).rowcount == 0:  # type: ignore[attr-defined]
            raise NotVisible("saved list")

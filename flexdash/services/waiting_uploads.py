"""The uploads that wait for a person: checked and not applied yet, or not usable, with nothing newer after them."""

from datetime import timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Upload, UploadState
from flexdash.services import access
from flexdash.services.actors import Actor

LOOKED_AT = 200  # the newest of the workspace; what is older and was never applied is not waited for any more
SHOWN = 10
FORGOTTEN_AFTER = timedelta(days=7)  # a file that could not be used
_UNUSABLE = (UploadState.REFUSED, UploadState.FAILED)


def of(actor: Actor) -> list[Upload]:
    """Return those that `actor` may see, newest first, SHOWN at most, each with its seller and store."""
    of_newest = (Upload.id, Upload.kind, Upload.store_id, Upload.seller_id)
    newest = access.visible(actor, Upload).with_only_columns(*of_newest).order_by(Upload.id.desc()).limit(LOOKED_AT)
    some = newest.subquery()
    last_of_each_place = select(func.max(some.c.id)).group_by(some.c.kind, some.c.store_id, some.c.seller_id)
    is_unusable = and_(Upload.state.in_(_UNUSABLE), Upload.uploaded_at >= clock.now() - FORGOTTEN_AFTER)
    query = select(Upload).where(
        Upload.id.in_(last_of_each_place), or_(Upload.state == UploadState.CHECKED, is_unusable)
    )
    query = query.options(joinedload(Upload.seller), joinedload(Upload.store))
    return list(db.session.scalars(query.order_by(Upload.id.desc()).limit(SHOWN)))

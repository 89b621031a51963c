"""The uploads that wait for a person: checked and not applied yet, or not usable, with nothing newer after them."""

from datetime import timedelta

from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Upload, UploadState
from flexdash.services import access
from flexdash.services.actors import Actor

LOOKED_AT = 200  # the newest of the workspace; what is older and was never applied is not waited for any more
SHOWN = 10
FORGOTTEN_AFTER = timedelta(days=7)  # a file that could not be used
_UNUSABLE = {UploadState.REFUSED, UploadState.FAILED}


def of(actor: Actor) -> list[Upload]:
    """Return those that `actor` may see, newest first, SHOWN at most, each with its seller and store."""
    newest = access.visible(actor, Upload).order_by(Upload.id.desc()).limit(LOOKED_AT)
    since = clock.now() - FORGOTTEN_AFTER
    seen: set[tuple[str, int | None, int]] = set()
    found = []
    for upload in db.session.scalars(newest.options(joinedload(Upload.seller), joinedload(Upload.store))):
        place = (upload.kind, upload.store_id, upload.seller_id)
        if place in seen:
            continue
        seen.add(place)
        is_unusable = upload.state in _UNUSABLE and upload.uploaded_at >= since
        if upload.state is UploadState.CHECKED or is_unusable:
            found.append(upload)
    return found[:SHOWN]

"""The place a file is for: of a store its catalog or its prices, of a seller its stock.

One file at a time is applied to a place, and the newest that arrived takes the place of those before it. Whoever
decides by that holds the seller's row first: else two people, each looking before the other has written, would both
find the place free.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, select

from flexdash.extensions import db
from flexdash.models import Seller, Upload, UploadPlace, UploadState
from flexdash.services import access
from flexdash.services.actors import Actor

# Has its place to itself, from a person's yes to the end.
UNDER_WAY = (UploadState.ACCEPTED, UploadState.APPLYING)
# Before anybody said yes: what a newer file puts aside. There is one at most in a place.
WAITING = (UploadState.RECEIVED, UploadState.CHECKING, UploadState.CHECKED)


def same_place(one: Any, other: Any) -> ColumnElement[bool]:
    """Say, in SQL, whether two uploads are for the same place: `one` as columns, `other` as columns or with values."""
    return and_(
        one.kind == other.kind,
        one.seller_id == other.seller_id,
        one.store_id.is_not_distinct_from(other.store_id),  # stock has none
    )


def is_newer(one: Any, other: Any) -> ColumnElement[bool]:
    """Say, in SQL, whether `one` arrived whole for the place of `other` and after it, which is thereby out of date."""
    return and_(one.id > other.id, same_place(one, other), one.sha256 != "")


def hold_seller(actor: Actor, seller_id: int) -> None:
    """Let nobody else decide about files of the seller until the transaction ends. To be called before it locks any."""
    access.get(actor, Seller, seller_id, lock=True)


def hold(actor: Actor, upload_id: int) -> Upload:
    """Return an upload, held together with its place until the transaction ends. Raises NotVisible."""
    hold_seller(actor, access.get(actor, Upload, upload_id).seller_id)
    return access.get(actor, Upload, upload_id, lock=True)


def under_way(upload: Upload) -> Upload | None:
    """Return another upload that has the place of `upload` at the moment; None when it is free."""
    query = select(Upload).where(same_place(Upload, upload), Upload.id != upload.id, Upload.state.in_(UNDER_WAY))
    return db.session.scalars(query.limit(1)).one_or_none()


def waiting(place: UploadPlace, *, lock: bool = False) -> Upload | None:
    """Return the upload that waits to be decided on in `place`, and that a new file would put aside; None without one.

    With `lock` nobody else changes it until the transaction ends.
    """
    query = select(Upload).where(
        Upload.kind == place.kind,
        Upload.seller_id == place.seller.id,
        Upload.store_id.is_not_distinct_from(place.store.id if place.store else None),
        Upload.state.in_(WAITING),
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return db.session.scalars(query.order_by(Upload.id.desc()).limit(1)).one_or_none()


def newest_after(upload: Upload) -> Upload | None:
    """Return the newest upload that took the place of `upload`; None when it is the newest itself."""
    query = select(Upload).where(is_newer(Upload, upload)).order_by(Upload.id.desc())
    return db.session.scalars(query.limit(1)).one_or_none()

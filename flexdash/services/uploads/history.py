"""Uploads as people meet them: the list of all, and one with what stands around it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from flexdash.extensions import db
from flexdash.models import RowOutcome, Upload, UploadKind, UploadRow, UploadState, User
from flexdash.services import access
from flexdash.services.actors import Actor


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; None means not at all. `since` and `until` are moments, `until` not included."""

    kind: UploadKind | None = None
    state: UploadState | None = None
    seller_id: int | None = None
    store_id: int | None = None
    person_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


def listing(actor: Actor, filters: Filters) -> Select[tuple[Upload]]:
    """Return the SELECT of the uploads that `actor` may see and the filters leave, unordered and unpaged."""
    query = access.visible(actor, Upload, are_few=filters.person_id is not None)
    query = query.options(joinedload(Upload.store), joinedload(Upload.seller))
    if filters.kind is not None:
        query = query.where(Upload.kind == filters.kind)
    if filters.state is not None:
        query = query.where(Upload.state == filters.state)
    if filters.seller_id is not None:
        query = query.where(Upload.seller_id == filters.seller_id)
    if filters.store_id is not None:
        query = query.where(Upload.store_id == filters.store_id)
    if filters.person_id is not None:
        query = query.where(Upload.uploaded_by_id == filters.person_id)
    if filters.since is not None:
        query = query.where(Upload.uploaded_at >= filters.since)
    if filters.until is not None:
        query = query.where(Upload.uploaded_at < filters.until)
    return query


def people(actor: Actor) -> list[tuple[int, str]]:
    """Return those who uploaded what `actor` may see, by name: (id, name).

    Each person of the workspace is looked up by the index of their uploads, however many there are of these.
    """
    own = access.visible(actor, Upload, are_few=True).where(Upload.uploaded_by_id == User.id)
    query = select(User.id, User.name).where(User.workspace_id == actor.workspace_id, own.exists())
    return [(user_id, name) for user_id, name in db.session.execute(query.order_by(User.name, User.id))]


def load(actor: Actor, upload_id: int) -> Upload:
    """Return one upload with its store and seller; raise NotVisible."""
    return access.get(actor, Upload, upload_id)


def replaced_by(upload: Upload) -> Upload | None:
    """Return the waiting upload that was put aside for this one; None when nothing waited in its place."""
    return db.session.get(Upload, upload.took_place_of_id) if upload.took_place_of_id else None


def refused_rows(upload: Upload) -> Select[tuple[UploadRow]]:
    """Return the SELECT of the rows that were refused, unordered and unpaged."""
    return select(UploadRow).where(UploadRow.upload_id == upload.id, UploadRow.outcome == RowOutcome.REFUSED)

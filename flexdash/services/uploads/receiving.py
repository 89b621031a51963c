"""Taking a file in: looked at while it arrives, and kept in the database in pieces, where any worker finds it."""

import hashlib
from typing import BinaryIO

from sqlalchemy import delete, insert, update

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import (
    Seller,
    StockMode,
    Store,
    StoreStatus,
    Upload,
    UploadChunk,
    UploadKind,
    UploadPlace,
    UploadState,
)
from flexdash.services import access, config_log
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.uploads import places
from flexdash.services.uploads.encodings import FirstLook, NotUsable
from flexdash.services.uploads.registry import KINDS
from flexdash.services.words import one_line, quoted

CHUNK = 256 * 1024  # bytes; also how much is read, checked and decoded at once
_CHUNKS_AT_ONCE = 64  # in one transaction
_NEVER_ARRIVED = "The file did not arrive whole, so nothing of it is used. Upload it again."


def place(actor: Actor, kind: UploadKind, *, store_id: int | None = None, seller_id: int | None = None) -> UploadPlace:
    """Return what a file of `kind` would be for.

    Raises NotVisible, NotAllowed, and ServiceError for a store that is not connected yet.
    """
    if not actor.may(Permission.MANAGE_STOCK):
        raise NotAllowed("Your role does not include uploading files. Ask a merchant or an admin.")
    if kind is UploadKind.STOCK:
        return UploadPlace(kind, access.get(actor, Seller, seller_id or 0), None)
    store = access.get(actor, Store, store_id or 0)
    if store.status is StoreStatus.DRAFT:
        raise ServiceError("This store is not connected yet. Finish connecting it first, then upload files for it.")
    return UploadPlace(kind, store.seller, store)


def receive(
    actor: Actor,
    kind: UploadKind,
    file_name: str,
    file: BinaryIO,
    *,
    store_id: int | None = None,
    seller_id: int | None = None,
    stock_mode: StockMode | None = None,
) -> int:
    """Keep `file` and return the id of its upload, which waits to be checked; the caller enqueues it.

    A file of the same kind that waits in the same place is put aside, and the upload keeps which. Raises NotVisible,
    NotAllowed, ServiceError as `place` does, and FieldRefused for the field `file`: it is empty, too large, or no CSV.
    """
    target = place(actor, kind, store_id=store_id, seller_id=seller_id)
    name = one_line(file_name.replace("\\", "/").rpartition("/")[2])[:200] or "without a name"
    upload = Upload(
        workspace_id=actor.workspace_id,
        seller_id=target.seller.id,
        store_id=target.store.id if target.store else None,
        kind=kind,
        stock_mode=(stock_mode or StockMode.SET) if kind is UploadKind.STOCK else None,
        file_name=name,
        n_bytes=0,
        sha256="",
        uploaded_by_id=actor.user_id,
        uploaded_by_name=actor.name,
        uploaded_from=actor.address[:45],
        # Until the last piece is kept. If this process dies before, that is how it stays.
        state=UploadState.FAILED,
        error_sentence=_NEVER_ARRIVED,
    )
    largest = settings.max_upload_megabytes * 1024 * 1024
    look, digest, n_bytes, position = FirstLook(), hashlib.sha256(), 0, 0
    pieces: list[bytes] = []
    try:
        while piece := file.read(CHUNK):
            look.at(piece)
            digest.update(piece)
            n_bytes += len(piece)
            if n_bytes > largest:
                raise NotUsable(too_large(settings.max_upload_megabytes))
            pieces.append(piece)
            if len(pieces) == _CHUNKS_AT_ONCE:
                position += _keep(upload, pieces, position)
                pieces = []
        if not n_bytes:
            raise NotUsable("The file is empty. Save it again in the program that made it, and upload that file.")
    except NotUsable as refusal:
        if upload.id is not None:
            _forget(upload.id)
        raise FieldRefused("file", refusal.sentence) from None
    _keep(upload, pieces, position)
    with transaction() as session:
        # From here on older files are out of date: nobody may be in the middle of taking one of them up again.
        places.hold_seller(actor, upload.seller_id)
        older = _put_older_aside(target, name)
        session.execute(
            update(Upload)
            .where(Upload.id == upload.id)
            .values(
                state=UploadState.RECEIVED,
                error_sentence="",
                n_bytes=n_bytes,
                sha256=digest.hexdigest(),
                uploaded_at=clock.now(),
                took_place_of_id=older.id if older else None,
            )
        )
        _record(actor, upload.id)
    return upload.id


def too_large(megabytes: int) -> str:
    """Return the sentence that refuses a file for its size."""
    return (
        f"The file is larger than {megabytes} MB, the most that is taken at once. Split it into several files, each "
        "with the row that names the columns, and apply one after the other."
    )


def _record(actor: Actor, upload_id: int) -> None:
    upload = db.session.get_one(Upload, upload_id, populate_existing=True)
    kind, name = KINDS[upload.kind], quoted(upload.file_name)
    config_log.record(
        actor,
        kind.section,
        f"{actor.name} uploaded the {kind.label} file {name} for {upload.place.name}, to be checked",
        store=upload.store,
        seller=upload.seller,
        new={"upload_id": upload.id, "file": upload.file_name},
    )


def _keep(upload: Upload, pieces: list[bytes], position: int) -> int:
    with transaction() as session:
        if upload.id is None:
            session.add(upload)
            session.flush()
        if pieces:
            session.execute(
                insert(UploadChunk),
                [
                    {"upload_id": upload.id, "position": position + n, "content": piece}
                    for n, piece in enumerate(pieces)
                ],
            )
    return len(pieces)


def _forget(upload_id: int) -> None:
    with transaction() as session:
        session.execute(delete(UploadChunk).where(UploadChunk.upload_id == upload_id))
        session.execute(delete(Upload).where(Upload.id == upload_id))


def _put_older_aside(place: UploadPlace, name: str) -> Upload | None:
    """Put the file aside that waits in `place`, and return it: the one called `name` is here."""
    older = places.waiting(place, lock=True)
    if older is not None:
        older.state, older.attempt_token, older.finished_at = UploadState.DISCARDED, "", clock.now()
        older.error_sentence = f"A newer file, {quoted(name)}, took its place before this one was applied."
    return older

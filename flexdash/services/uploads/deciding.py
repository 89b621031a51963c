"""What a person decides about an uploaded file: read it another way, apply it, try again, or put it aside."""

from dataclasses import dataclass

from sqlalchemy import or_, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import StockMode, Upload, UploadChunk, UploadKind, UploadState
from flexdash.services import access, config_log
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.uploads import places
from flexdash.services.uploads.checking import NOTHING_COUNTED
from flexdash.services.uploads.encodings import ENCODINGS
from flexdash.services.uploads.records import DELIMITERS
from flexdash.services.words import quoted

# What may be read again or put aside.
UNDECIDED = (*places.WAITING, UploadState.REFUSED)


@dataclass(frozen=True)
class Earlier:
    """The same file, letter by letter, applied to the same place before."""

    upload: Upload
    needs_consent: bool  # applying it again would add its quantities again

    @property
    def is_partial(self) -> bool:
        """Whether it was given up in the middle: its first `n_applied` rows are in, the others are not."""
        return self.upload.state not in (*places.UNDER_WAY, UploadState.APPLIED)


def accept(
    actor: Actor,
    upload_id: int,
    *,
    is_big_confirmed: bool = False,
    is_another_delivery: bool = False,
    reason: str = "",
) -> bool:
    """Let a checked file be applied; the caller enqueues it. False when that was said already, as by a double click.

    Raises NotVisible, NotAllowed, FieldRefused for `is_big_confirmed` or `is_another_delivery` (a box that has to be
    ticked) or `reason`, and ServiceError when there is nothing to apply, or not now.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    with transaction():
        upload = places.hold(actor, upload_id)
        if upload.state in (*places.UNDER_WAY, UploadState.APPLIED):
            return False
        if upload.state is not UploadState.CHECKED:
            raise ServiceError("This file is not ready to be applied any more. Its page says how it stands.")
        if not upload.n_new + upload.n_changed:
            raise ServiceError("Nothing in this file would change anything, so there is nothing to apply.")
        if upload.n_big_changes and not is_big_confirmed:
            raise FieldRefused(
                "is_big_confirmed",
                "Some prices change by more than 30 %. Look at them, and tick the box if they are meant.",
            )
        if (earlier := same_file_applied(upload)) and earlier.needs_consent and not is_another_delivery:
            raise FieldRefused("is_another_delivery", _applied_before(earlier))
        _check_place_is_free(upload)
        upload.state, upload.n_attempts, upload.n_applied = UploadState.ACCEPTED, 0, 0
        upload.heartbeat_at = clock.now()
        upload.applied_by_id, upload.applied_by_name = actor.user_id, actor.name
        upload.applied_from, upload.applied_reason = actor.address[:45], reason
        return True


def read_again(actor: Actor, upload_id: int, *, encoding: str, delimiter: str) -> None:
    """Have the file checked anew, read with this encoding and delimiter; the caller enqueues it.

    Raises NotVisible, NotAllowed, FieldRefused for `encoding` or `delimiter`, and ServiceError when it is too late.
    """
    _check_may(actor)
    if encoding not in ENCODINGS:
        raise FieldRefused("encoding", "Pick one of the encodings.")
    if delimiter and delimiter not in DELIMITERS:
        raise FieldRefused("delimiter", "Pick one of the delimiters.")
    with transaction():
        upload = places.hold(actor, upload_id)
        if not may_be_read_again(upload):
            raise ServiceError(
                "This file cannot be read again: it was applied or put aside, or a newer one took its place. Upload it "
                "once more."
            )
        _to_be_checked(upload)
        upload.encoding, upload.delimiter = encoding, delimiter


def try_again(actor: Actor, upload_id: int) -> None:
    """Take up a file that was given up, where it ended; the caller enqueues it.

    Raises NotVisible, NotAllowed, and ServiceError when it is not such a file, when a newer one took its place, or when
    another one is being applied there.
    """
    _check_may(actor)
    with transaction():
        upload = places.hold(actor, upload_id)
        if upload.state is UploadState.FAILED and (newer := places.newest_after(upload)):
            raise ServiceError(
                f"A newer file, {quoted(newer.file_name)}, took the place of this one, so it cannot be taken up again. "
                "If it is still meant, upload it once more."
            )
        if not may_be_tried_again(upload):
            raise ServiceError("This file cannot be taken up again. Upload it once more.")
        if upload.applied_by_name:
            _check_place_is_free(upload)
            upload.state, upload.n_attempts, upload.error_sentence = UploadState.ACCEPTED, 0, ""
            upload.heartbeat_at = clock.now()
            upload.finished_at = None
        else:
            _to_be_checked(upload)


def discard(actor: Actor, upload_id: int) -> bool:
    """Put a file aside that was not applied; its rows go, its place in the history stays. False when it was already.

    Raises NotVisible, NotAllowed, and ServiceError when it is being applied or was.
    """
    _check_may(actor)
    with transaction():
        upload = access.get(actor, Upload, upload_id, lock=True)
        if upload.state is UploadState.DISCARDED:
            return False
        is_failed_unapplied = upload.state is UploadState.FAILED and not upload.n_applied
        if upload.state not in UNDECIDED and not is_failed_unapplied:
            raise ServiceError("This file is being applied or was, so it cannot be put aside any more.")
        upload.state, upload.attempt_token, upload.finished_at = UploadState.DISCARDED, "", clock.now()
        upload.error_sentence = f"{actor.name} put it aside."
        return True


def may_be_read_again(upload: Upload) -> bool:
    """Say whether a file can still be checked anew, read another way."""
    return upload.state in UNDECIDED and has_file(upload) and places.newest_after(upload) is None


def may_be_tried_again(upload: Upload) -> bool:
    """Say whether a file that was given up can be taken up again."""
    is_given_up = upload.state is UploadState.FAILED and bool(upload.sha256)
    return is_given_up and has_file(upload) and places.newest_after(upload) is None


def same_file_applied(upload: Upload) -> Earlier | None:
    """Return the newest upload of the very same file that was applied to the same place, if only in part, or None."""
    query = (
        select(Upload)
        .where(
            places.same_place(Upload, upload),
            Upload.sha256 == upload.sha256,
            Upload.id != upload.id,
            # Whatever became of it, the pieces that were applied stand in the stock.
            or_(Upload.state.in_((*places.UNDER_WAY, UploadState.APPLIED)), Upload.n_applied > 0),
        )
        .order_by(Upload.id.desc())
    )
    is_adding = upload.kind is UploadKind.STOCK and upload.stock_mode is StockMode.ADD
    if is_adding:
        query = query.where(Upload.stock_mode == StockMode.ADD)
    found = db.session.scalars(query.limit(1)).one_or_none()
    return Earlier(found, needs_consent=is_adding) if found else None


def _applied_before(earlier: Earlier) -> str:
    if earlier.is_partial:
        n = earlier.upload.n_applied
        return (
            f"The first {'row' if n == 1 else f'{n:,} rows'} of this very file came in before, then it was given up. "
            "Tick the box if all its quantities came in once more; otherwise put it aside, and upload the other rows "
            "as a file of their own."
        )
    return (
        "This very file was applied before. Tick the box if its quantities came in once more; otherwise put it aside."
    )


def _check_may(actor: Actor) -> None:
    if not actor.may(Permission.MANAGE_STOCK):
        raise NotAllowed("Your role does not include uploading files. Ask a merchant or an admin.")


def _check_place_is_free(upload: Upload) -> None:
    if other := places.under_way(upload):
        raise ServiceError(
            f"{quoted(other.file_name)} is being applied to the same place at the moment. Wait until it is done, "
            "then apply this file."
        )


def _to_be_checked(upload: Upload) -> None:
    upload.state, upload.attempt_token, upload.n_attempts = UploadState.RECEIVED, "", 0
    upload.error_sentence, upload.finished_at, upload.heartbeat_at = "", None, clock.now()
    for name, value in NOTHING_COUNTED.items():
        setattr(upload, name, value)


def has_file(upload: Upload) -> bool:
    """Say whether the file itself is still kept."""
    is_there = select(UploadChunk.position).where(UploadChunk.upload_id == upload.id, UploadChunk.position == 0)
    return db.session.scalar(is_there) is not None

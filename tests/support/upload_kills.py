"""Real workers of uploads, killed at moments that differ from each other."""

import random
from datetime import timedelta

from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import queues, uploads
from flexdash.models import Upload, UploadChunk, UploadRow, UploadState
from tests.support.pulls import Workers
from tests.support.servers import wait_for
from tests.support.uploads import fresh

LOST_AFTER = timedelta(seconds=45)
WAITING = (UploadState.RECEIVED, UploadState.ACCEPTED)


def kill_while(
    fleet: Workers, upload_id: int, step: UploadState, chance: random.Random, n_rows: int, n_times: int = 2
) -> int:
    """Kill worker after worker while it is at `step`, and take its upload up again; return how many died at it.

    They die before half of the `n_rows` of the file are through.
    """
    n_died = 0
    for _ in range(n_times):
        worker = fleet.start("upload")
        queues.enqueue_upload(upload_id)
        wait_for(lambda: fresh(upload_id).state not in WAITING, "a worker", 60)
        wanted = chance.randrange(0, n_rows // 2)
        wait_for(lambda: _is_beyond(upload_id, step, wanted), "progress", 60)  # noqa: B023 - called at once
        fleet.kill(worker)
        if fresh(upload_id).state is not step:
            break
        n_died += 1
        uploads.take_up(clock.now() + LOST_AFTER * 2)
        assert fresh(upload_id).state in WAITING
    return n_died


def finish(fleet: Workers, upload_id: int, state: UploadState) -> None:
    """Let a worker bring the upload to `state`, cleaning included."""
    worker = fleet.start("upload")
    queues.enqueue_upload(upload_id)
    wait_for(lambda: fresh(upload_id).state is state, f"{state} in place of {fresh(upload_id).state}", 120)
    if state is UploadState.APPLIED:
        wait_for(lambda: n_left(upload_id)[1] == 0, "the cleaning", 30)
    fleet.kill(worker)


def n_left(upload_id: int) -> tuple[int, int]:
    """Return how many rows and pieces of the file are still kept."""
    db.session.rollback()
    rows = db.session.scalar(select(func.count()).select_from(UploadRow).where(UploadRow.upload_id == upload_id))
    chunks = db.session.scalar(select(func.count()).select_from(UploadChunk).where(UploadChunk.upload_id == upload_id))
    return rows, chunks


def _is_beyond(upload_id: int, step: UploadState, wanted: int) -> bool:
    upload: Upload = fresh(upload_id)
    progress = upload.n_rows if upload.state is UploadState.CHECKING else upload.n_applied
    return progress >= wanted or upload.state is not step

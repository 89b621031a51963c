"""The header of a checked file, as it is kept beside the rows, and what it says about them."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Upload
from flexdash.services.csv_export import MARK
from flexdash.services.uploads.columns import Column
from flexdash.services.uploads.kinds import Target
from flexdash.services.uploads.records import name_of
from flexdash.services.uploads.registry import KINDS
from flexdash.services.uploads.staging import rows

HEADER_ROW = 1


def cells_of(upload: Upload) -> list[str]:
    """Return the header's cells; none when the file was never read that far, or its rows are gone."""
    text = db.session.scalar(
        select(rows.c.refused_text).where(rows.c.upload_id == upload.id, rows.c.row_number == HEADER_ROW)
    )
    return json.loads(text) if text else []


def columns_of(upload: Upload) -> list[Column]:
    """Return those columns of the kind that the file has."""
    names = {name_of(cell) for cell in cells_of(upload)}
    return [column for column in KINDS[upload.kind].columns(Target.of(upload)) if column.name in names]


def fields_of(upload: Upload) -> list[str]:
    """Return the fields of UploadRow that the file gives."""
    return [column.field for column in columns_of(upload) if column.field]


def ignored(upload: Upload, cells: Sequence[str]) -> list[str]:
    """Return the header's cells that name no column of the kind."""
    known = {column.name for column in KINDS[upload.kind].columns(Target.of(upload))} | {MARK}
    return [cell.strip() for cell in cells if cell.strip() and name_of(cell) not in known]

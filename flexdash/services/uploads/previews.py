"""What a checked file would do, shown by its first rows: old and new beside each other."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import (
    Hub,
    Listing,
    RowOutcome,
    StockLevel,
    StockMode,
    Upload,
    UploadKind,
    UploadRow,
)
from flexdash.services.uploads import encodings, headers
from flexdash.services.uploads.checking import chunks_of
from flexdash.services.words import shortened

SHOWN_ROWS = 10
_LABELS = {
    "asin": "ASIN",
    "name": "name",
    "barcode": "barcode",
    "mrp": "MRP",
    "weight_g": "weight in g",
    "length_cm": "length in cm",
    "width_cm": "width in cm",
    "height_cm": "height in cm",
    "price": "selling price",
    "quantity": "on hand",
}
_CHUNKS_LOOKED_AT = 8
_SHOWN_LINE = 120


@dataclass(frozen=True)
class Value:
    """One value of a row; `old` is None where nothing was stored before, "" where it was stored as nothing."""

    label: str
    new: str
    old: str | None = None


@dataclass(frozen=True)
class Row:
    """A row of the file as a person reads it: what it is about, and what it gives or changes."""

    row_number: int
    sku_code: str
    hub_code: str
    values: list[Value]


@dataclass(frozen=True)
class Reading:
    """How one line of the file reads in one encoding."""

    encoding: str
    text: str


def first_rows(upload: Upload, outcome: RowOutcome, at_most: int = SHOWN_ROWS) -> list[Row]:
    """Return the first rows with this outcome; changed ones say what changes, the others all that they give."""
    query = (
        select(UploadRow)
        .where(UploadRow.upload_id == upload.id, UploadRow.outcome == outcome)
        .order_by(UploadRow.row_number)
        .limit(at_most)
    )
    found = db.session.scalars(query).all()
    fields = [name for name in headers.fields_of(upload) if name in _LABELS] if found else []
    is_change = outcome in (RowOutcome.CHANGED, RowOutcome.BIG_CHANGE)
    stored = _stored(upload, found) if is_change else {}
    hubs = _hub_codes(found)
    return [
        Row(
            row.row_number,
            row.sku_code or "",
            hubs.get(row.hub_id or 0, ""),
            _values(upload, row, fields, stored.get((row.hub_id, row.sku_code))),
        )
        for row in found
    ]


def cells_of_refused(upload: Upload, found: Sequence[UploadRow]) -> dict[int, list[str]]:
    """Return the cells of refused rows by row number: as they stood in the file, or the values that were kept of them.

    Only values are kept of a row that is refused for what others say, such as the orders that reserve its stock.
    """
    fields, hubs = headers.fields_of(upload), _hub_codes(found)

    def kept(row: UploadRow) -> list[str]:
        return [hubs.get(row.hub_id or 0, "") if name == "hub_id" else text_of(getattr(row, name)) for name in fields]

    return {row.row_number: json.loads(row.refused_text) if row.refused_text else kept(row) for row in found}


def readings(upload: Upload) -> list[Reading]:
    """Return how the first line with letters beyond ASCII reads in each encoding that takes it; often there is none.

    Of a file that shows itself to be UTF-16, how its first line reads in that.
    """
    carried = b""
    for position, chunk in enumerate(islice(chunks_of(db.engine, upload.id), _CHUNKS_LOOKED_AT)):
        if not position and (name := encodings.unmarked_utf_16(chunk)):
            line = chunk[:1_000].decode(name, "ignore").partition("\n")[0].strip()
            return [Reading(name, shortened(line, _SHOWN_LINE))]
        *lines, carried = (carried + chunk).split(b"\n")
        for line in lines:
            if not line.isascii():
                return [Reading(name, shortened(text, _SHOWN_LINE)) for name, text in encodings.readings(line[:500])]
    if carried and not carried.isascii():
        return [Reading(name, shortened(text, _SHOWN_LINE)) for name, text in encodings.readings(carried[:500])]
    return []


def _values(upload: Upload, row: UploadRow, fields: Sequence[str], stored: Any) -> list[Value]:
    if stored is None:
        return [Value(_LABELS[name], text) for name in fields if (text := text_of(getattr(row, name)))]
    values = []
    for name in fields:
        old = stored.on_hand if name == "quantity" else getattr(stored, name)
        new = getattr(row, name)
        if name == "quantity" and upload.stock_mode is StockMode.ADD:
            new += old
        if (new or "") != (old or ""):
            values.append(Value(_LABELS[name], text_of(new), text_of(old)))
    return values


def _stored(upload: Upload, found: Sequence[UploadRow]) -> dict[tuple[int | None, str | None], Any]:
    """Return what is stored now under the hub and SKU of each row."""
    codes = [row.sku_code for row in found]
    if upload.kind is UploadKind.STOCK:
        levels = select(StockLevel).where(
            StockLevel.seller_id == upload.seller_id,
            StockLevel.hub_id.in_({row.hub_id for row in found}),
            StockLevel.sku_code.in_(codes),
        )
        return {(level.hub_id, level.sku_code): level for level in db.session.scalars(levels)}
    listings = select(Listing).where(Listing.store_id == upload.store_id, Listing.sku_code.in_(codes))
    return {(None, listing.sku_code): listing for listing in db.session.scalars(listings)}


def _hub_codes(found: Sequence[UploadRow]) -> dict[int, str]:
    ids = {row.hub_id for row in found if row.hub_id is not None}
    return dict(db.session.execute(select(Hub.id, Hub.code).where(Hub.id.in_(ids))).all()) if ids else {}


def text_of(value: Any) -> str:
    """Return a value as it stands in a file, "" for nothing."""
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)

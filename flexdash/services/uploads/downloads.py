"""Files that people take with them: the refused rows of an upload, and templates to fill in."""

import json
from collections.abc import Iterable, Iterator, Set
from typing import Any

from sqlalchemy import func, select

from flexdash.database import release_connection
from flexdash.extensions import db
from flexdash.models import Hub, Listing, RowOutcome, Seller, Sku, Store, Upload, UploadKind
from flexdash.services.csv_export import MARK
from flexdash.services.uploads import headers
from flexdash.services.uploads.kinds import Target
from flexdash.services.uploads.previews import text_of
from flexdash.services.uploads.records import name_of
from flexdash.services.uploads.registry import KINDS
from flexdash.services.uploads.staging import rows

# The mark stands before the row's own cells: of these there may be too few or too many.
REFUSED_HEADINGS = ("row_number", "reason", MARK)
_AT_A_TIME = 1_000


def refused(upload: Upload) -> tuple[list[str], Iterator[list[Any]]]:
    """Return the headings of the file of refusals, and its rows: number, reason, and the cells as they were.

    Mended, the file can be uploaded as it is, and so can the file of what is refused of that: what it has on top of the
    original's columns is ignored.
    """
    cells = headers.cells_of(upload)
    names = [name_of(cell) for cell in cells]
    # No column may be there twice: not those of an earlier file of refusals, and not a seller's own "reason".
    left_out = {position for position, name in enumerate(names) if name in REFUSED_HEADINGS}
    fields = {column.name: column.field for column in KINDS[upload.kind].columns(Target.of(upload))}
    wanted = [fields.get(name) for name in names]
    return [*REFUSED_HEADINGS, *_without(left_out, cells)], _refused_rows(upload.id, wanted, left_out)


def template_headings(kind: UploadKind) -> list[str]:
    """Return the names of the columns of `kind`, those that may be left out last."""
    return [column.name for column in KINDS[kind].columns(Target(0, 0, 0, None, "", None))]


def template_rows(kind: UploadKind, store: Store | None, seller: Seller | None) -> Iterator[list[Any]]:
    """Yield rows to fill in.

    For a store's catalog, the SKUs of its seller that it does not list yet; for its prices, the listings without one;
    for a seller's stock, its SKUs in every active hub when there is one hub only, and nothing otherwise.
    """
    if kind is UploadKind.CATALOG and store:
        listed = select(Listing.id).where(Listing.store_id == store.id, Listing.sku_code == Sku.sku_code)
        query = select(Sku.id, Sku.sku_code, Sku.name).where(Sku.seller_id == store.seller_id, ~listed.exists())
        for row in _in_portions(query, Sku.id):
            yield [row.sku_code, "", row.name, *[""] * (len(template_headings(kind)) - 3)]
    elif kind is UploadKind.PRICES and store:
        currency = store.currency
        query = select(Listing.id, Listing.sku_code).where(Listing.store_id == store.id, Listing.price.is_(None))
        for row in _in_portions(query, Listing.id):
            yield [row.sku_code, "", currency]
    elif kind is UploadKind.STOCK and seller:
        hubs = select(func.min(Hub.code), func.count()).where(Hub.workspace_id == seller.workspace_id, Hub.is_active)
        code, n_hubs = db.session.execute(hubs).one()
        query = select(Sku.id, Sku.sku_code).where(Sku.seller_id == seller.id)
        for row in _in_portions(query, Sku.id) if n_hubs == 1 else ():
            yield [code, row.sku_code, ""]


def _without(positions: Set[int], cells: Iterable[Any]) -> list[Any]:
    return [cell for position, cell in enumerate(cells) if position not in positions]


def _refused_rows(upload_id: int, wanted: list[str | None], left_out: Set[int]) -> Iterator[list[Any]]:
    query = select(rows).where(rows.c.upload_id == upload_id, rows.c.outcome == RowOutcome.REFUSED)
    last = 0
    codes: dict[int, str] = {}
    while True:
        found = db.session.execute(
            query.where(rows.c.row_number > last).order_by(rows.c.row_number).limit(_AT_A_TIME)
        ).all()
        if unknown := {row.hub_id for row in found if row.hub_id is not None} - codes.keys():
            codes |= dict(db.session.execute(select(Hub.id, Hub.code).where(Hub.id.in_(unknown))).all())
        lines = [[row.row_number, row.reason, "", *_cells(row, wanted, codes, left_out)] for row in found]
        last = found[-1].row_number if found else last
        release_connection()
        yield from lines
        if len(lines) < _AT_A_TIME:
            return


def _cells(row: Any, wanted: list[str | None], codes: dict[int, str], left_out: Set[int]) -> list[Any]:
    if row.refused_text:
        cells = json.loads(row.refused_text)
        # In a row of another width nobody knows which cell is under which heading.
        return _without(left_out, cells) if len(cells) == len(wanted) else cells
    # Refused for what others say, such as a row before it: its cells could be read, and their values were kept.
    return [
        codes.get(row.hub_id or 0, "") if name == "hub_id" else text_of(getattr(row, name)) if name else ""
        for name in _without(left_out, wanted)
    ]


def _in_portions(query: Any, key: Any) -> Iterator[Any]:
    last = 0
    while True:
        found = db.session.execute(query.where(key > last).order_by(key).limit(_AT_A_TIME)).all()
        release_connection()
        yield from found
        if len(found) < _AT_A_TIME:
            return
        last = found[-1].id

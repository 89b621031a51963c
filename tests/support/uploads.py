"""Uploaded files in tests: handed in as a browser would, and worked on as a worker would, in this process."""

import io
from collections.abc import Sequence

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import RowOutcome, Seller, StockMode, Store, Upload, UploadKind, UploadRow
from flexdash.services.actors import Actor
from flexdash.services.uploads import cleaning, deciding, receiving, working

CATALOG_HEADER = "sku_code,asin,name"


def catalog(*rows: str, header: str = CATALOG_HEADER) -> bytes:
    """Return a catalog file."""
    return "\r\n".join([header, *rows, ""]).encode()


def many_listings(n: int, first: int = 1) -> list[str]:
    """Return `n` good rows of a catalog."""
    return [f"SKU-{number},B{number:09d},Item {number}" for number in range(first, first + n)]


def hand_in(
    actor: Actor,
    place: Store | Seller,
    content: bytes,
    kind: UploadKind | str = UploadKind.CATALOG,
    *,
    mode: StockMode | None = None,
    name: str = "autumn.csv",
) -> int:
    """Hand a file in for a store or, stock, for a seller; return the upload's id."""
    where = {"seller_id" if isinstance(place, Seller) else "store_id": place.id}
    return receiving.receive(actor, UploadKind(kind), name, io.BytesIO(content), stock_mode=mode, **where)


def work(upload_id: int) -> Upload:
    """Do what is next for the upload, as a worker does, and return it."""
    if attempt := working.begin(upload_id):
        working.work(attempt)
        cleaning.clean(upload_id)
    return fresh(upload_id)


def checked(actor: Actor, place: Store | Seller, content: bytes, kind: UploadKind | str = "catalog", **how) -> Upload:
    """Hand a file in and check it."""
    return work(hand_in(actor, place, content, kind, **how))


def applied(actor: Actor, place: Store | Seller, content: bytes, kind: UploadKind | str = "catalog", **how) -> Upload:
    """Hand a file in, check it and apply it, every box ticked."""
    upload = checked(actor, place, content, kind, **how)
    deciding.accept(actor, upload.id, is_big_confirmed=True, is_another_delivery=True)
    return work(upload.id)


def fresh(upload_id: int) -> Upload:
    """Return the upload as the database has it now."""
    db.session.rollback()
    return db.session.get_one(Upload, upload_id, populate_existing=True)


def outcomes(upload_id: int) -> dict[int, RowOutcome]:
    """Return the outcome of each row by its number."""
    db.session.rollback()
    query = select(UploadRow.row_number, UploadRow.outcome).where(
        UploadRow.upload_id == upload_id, UploadRow.outcome.is_not(None)
    )
    return dict(db.session.execute(query.order_by(UploadRow.row_number)).all())


def reasons(upload_id: int) -> dict[int, str]:
    """Return why rows are refused, by their numbers."""
    db.session.rollback()
    query = select(UploadRow.row_number, UploadRow.reason).where(
        UploadRow.upload_id == upload_id, UploadRow.outcome == RowOutcome.REFUSED
    )
    return dict(db.session.execute(query.order_by(UploadRow.row_number)).all())


def counts(upload: Upload) -> tuple[int, int, int, int]:
    """Return how many rows are new, changed, unchanged and refused."""
    return (upload.n_new, upload.n_changed, upload.n_unchanged, upload.n_refused)


def columns(values: Sequence[str]) -> str:
    """Return a row of a file."""
    return ",".join(values)

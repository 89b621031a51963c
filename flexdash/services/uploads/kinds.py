"""What the kinds of files have in common; which there are is in `registry`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Float, Integer, ScalarSelect, String, and_, case, cast, func, literal, select
from sqlalchemy.orm import Session

from flexdash.extensions import db
from flexdash.models import Listing, RowOutcome, Section, StockMode, Upload, UploadKind
from flexdash.services.uploads.columns import Column
from flexdash.services.uploads.staging import Comparison, rows, stage

listings = Listing.__table__
# What applying has to do something for.
APPLICABLE = (RowOutcome.NEW, RowOutcome.CHANGED, RowOutcome.BIG_CHANGE)
_BIG_CHANGE = (3, 10)  # by more than three tenths


@dataclass(frozen=True)
class Target:
    """What an upload is for, in plain values."""

    upload_id: int
    workspace_id: int
    seller_id: int
    store_id: int | None
    currency: str  # of the store; "" where there is none
    stock_mode: StockMode | None

    @classmethod
    def of(cls, upload: Upload) -> "Target":
        """Return what `upload` is for."""
        currency = upload.store.currency if upload.store else ""
        return cls(upload.id, upload.workspace_id, upload.seller_id, upload.store_id, currency, upload.stock_mode)


class Kind(Protocol):
    """One kind of file: its columns, how its rows compare with what is stored, and how they are written."""

    kind: UploadKind
    label: str  # "catalog", as in "the catalog file"
    section: Section
    identity: tuple[str, ...]  # the fields of UploadRow that may stand in the file once
    brings_orders_on: bool  # whether orders On Hold may wait for what it brings
    table: str  # what it adds rows to; "" where it only changes them

    def columns(self, target: Target) -> list[Column]:
        """Return the columns, those that are required first."""

    def comparison(self, target: Target, fields: Sequence[str]) -> Comparison:
        """Return how the stage, filled with `fields`, compares with what is stored."""

    def reason_of_double(self, first_row: ColumnElement[int]) -> ColumnElement[str]:
        """Return the sentence that refuses a row of `upload_rows` whose like stands in row `first_row`."""

    def apply(self, session: Session, upload: Upload, first: int, last: int, fields: Sequence[str]) -> None:
        """Write the applicable rows from row number `first` to `last`, and refuse those that cannot be written now."""

    def finish(self, upload: Upload) -> None:
        """Do, in the transaction that ends the upload, what the written rows ask for."""


def outcome_of(
    refusals: Sequence[tuple[ColumnElement[bool], ColumnElement[str] | str]],
    *outcomes: tuple[ColumnElement[bool], RowOutcome],
    otherwise: RowOutcome,
) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """Return the outcome and the reason of a row of the stage: the first of the conditions that holds decides."""
    is_refused = stage.c.outcome.is_not(None)
    outcome = case(
        (is_refused, stage.c.outcome),
        *((condition, RowOutcome.REFUSED.value) for condition, _ in refusals),
        *((condition, one.value) for condition, one in outcomes),
        else_=otherwise.value,
    )
    reason = case((is_refused, stage.c.reason), *refusals) if refusals else stage.c.reason
    return outcome, reason


def exact(number: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an amount or a length as something to compare and to reckon with.

    SQLite keeps them as texts and knows only floats; ten-thousandths as whole numbers are exact.
    """
    if db.engine.dialect.name == "postgresql":
        return number
    return cast(func.round(cast(number, Float) * 10_000), Integer)


def is_same(name: str, given: ColumnElement[Any], stored: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say, in SQL, whether two columns called `name` hold the same; nothing is the same as nothing."""
    if name in {"mrp", "price", "length_cm", "width_cm", "height_cm"}:
        return exact(given).is_not_distinct_from(exact(stored))
    if name == "barcode":
        return func.coalesce(given, "") == stored
    return given.is_not_distinct_from(stored)


def is_big_change(new: ColumnElement[Any], old: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say, in SQL, whether an amount differs from the old one by more than 30 %."""
    part, whole = _BIG_CHANGE
    return and_(old.is_not(None), func.abs(exact(new) - exact(old)) * whole > exact(old) * part)


def shown(number: ColumnElement[Any]) -> ColumnElement[str]:
    """Return a number as text for a sentence."""
    return cast(number, String)


def listing_of_row(store_id: int | None, column: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Return, in SQL, a column of the store's listing that a row of `upload_rows` is about; NULL without one."""
    is_it = (listings.c.store_id == store_id, listings.c.sku_code == rows.c.sku_code)
    return select(column).where(*is_it).correlate(rows).scalar_subquery()


def hold_listings(session: Session, store_id: int | None, chosen: ColumnElement[bool]) -> None:
    """Hold the store's listings that the `chosen` rows are about until the transaction ends.

    By their ids, as everybody does who changes many at once: nobody waits in a circle. On SQLite one writes at a time.
    """
    if db.engine.dialect.name == "postgresql":
        ids = select(listing_of_row(store_id, listings.c.id)).where(chosen)
        held = select(listings.c.id).where(listings.c.id.in_(ids)).order_by(listings.c.id)
        session.execute(select(func.count()).select_from(held.with_for_update(key_share=True).subquery()))


def already_in(first_row: ColumnElement[int], what_else: str = "") -> ColumnElement[str]:
    """Return the sentence that refuses a row whose SKU stands in an earlier one."""
    return (
        literal("The SKU ")
        + rows.c.sku_code
        + literal(" is already in row ")
        + shown(first_row)
        + literal(f"{what_else}.")
    )

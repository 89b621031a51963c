"""Catalog files: which items a store lists, each under its ASIN."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, func, literal, not_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import RowOutcome, Section, Upload, UploadKind
from flexdash.services.uploads import columns
from flexdash.services.uploads.columns import Column
from flexdash.services.uploads.kinds import (
    APPLICABLE,
    Target,
    already_in,
    exact,
    is_same,
    listing_of_row,
    listings,
    outcome_of,
    shown,
)
from flexdash.services.uploads.staging import Comparison, beside_stage, of_upload, rows, stage


class CatalogFile:
    """See kinds.Kind."""

    kind = UploadKind.CATALOG
    label = "catalog"
    section = Section.CATALOG
    identity = ("sku_code",)
    brings_orders_on = True
    table = listings.name

    def columns(self, target: Target) -> list[Column]:
        """Return the columns: three that every row needs, six that may be left out."""
        return [
            columns.sku_code(),
            columns.asin(),
            columns.name(),
            columns.barcode(),
            columns.money(
                "mrp", "mrp", "The maximum retail price, in the store's currency.", is_required=False, example="599.00"
            ),
            columns.weight_g(),
            columns.centimetres("length_cm", "length", "30"),
            columns.centimetres("width_cm", "width", "22.5"),
            columns.centimetres("height_cm", "height", "4"),
        ]

    def comparison(self, target: Target, fields: Sequence[str]) -> Comparison:
        """Compare with the store's listings; what the file does not give is left as it is."""
        is_it = and_(listings.c.store_id == target.store_id, listings.c.sku_code == stage.c.sku_code)
        source, listing = beside_stage(listings, is_it)
        refusals = []
        if "mrp" in fields:
            refusals.append((exact(stage.c.mrp) < exact(listing.c.price), _below(listing.c.price)))
        is_unchanged = and_(*(is_same(name, stage.columns[name], listing.columns[name]) for name in fields))
        outcome, reason = outcome_of(
            refusals,
            (listing.c.id.is_(None), RowOutcome.NEW),
            (is_unchanged, RowOutcome.UNCHANGED),
            otherwise=RowOutcome.CHANGED,
        )
        return Comparison(source, outcome, reason)

    def reason_of_double(self, first_row: ColumnElement[int]) -> ColumnElement[str]:
        """Say where the SKU stands already."""
        return already_in(first_row)

    def apply(self, session: Session, upload: Upload, first: int, last: int, fields: Sequence[str]) -> None:
        """Add what is new to the store's listings and change the others, at once."""
        chosen = and_(*of_upload(upload.id, first, last), rows.c.outcome.in_(APPLICABLE))
        is_new = rows.c.outcome == RowOutcome.NEW
        n_written = _upsert(session, upload, and_(chosen, not_(is_new)), fields)
        n_written += _add(session, upload, and_(chosen, is_new), fields)
        n_chosen = session.scalars(select(func.count()).select_from(rows).where(chosen)).one()
        if "mrp" in fields and n_written != n_chosen:
            price = listing_of_row(upload.store_id, listings.c.price)
            session.execute(
                update(rows)
                .where(chosen, exact(rows.c.mrp) < exact(price))
                .values(outcome=RowOutcome.REFUSED, reason=_below(price))
                .execution_options(synchronize_session=False)
            )

    def finish(self, upload: Upload) -> None:
        """Nothing: the next inventory push finds by itself what it has to tell."""


def _add(session: Session, upload: Upload, chosen: ColumnElement[bool], fields: Sequence[str]) -> int:
    """Add the `chosen` rows to the listings, and return how many were written.

    An upsert costs PostgreSQL a quarter more for each row that is new. So there it is done only when one of them was
    listed by somebody else since the file was checked. SQLite's costs less than the savepoint that this takes.
    """
    if db.engine.dialect.name != "postgresql":
        return _upsert(session, upload, chosen, fields)
    statement = _insert(upload, chosen, fields)
    try:
        with session.begin_nested():
            return _n_written(session, statement)
    except IntegrityError:
        return _upsert(session, upload, chosen, fields)


def _upsert(session: Session, upload: Upload, chosen: ColumnElement[bool], fields: Sequence[str]) -> int:
    """Add the `chosen` rows to the listings or change those that are there, and return how many were written."""
    statement = _insert(upload, chosen, fields)
    values = [name for name in fields if name != "sku_code"]
    may_be = [or_(*(not_(is_same(name, statement.excluded[name], listings.columns[name])) for name in values))]
    if "mrp" in fields:
        # A price may have come in since the file was checked.
        may_be.append(not_(func.coalesce(exact(listings.c.price) > exact(statement.excluded.mrp), false())))
    return _n_written(
        session,
        statement.on_conflict_do_update(
            index_elements=["store_id", "sku_code"],
            set_={
                **{name: statement.excluded[name] for name in values},
                "changed_at": statement.excluded.changed_at,
                "version": listings.c.version + 1,
            },
            where=and_(*may_be),
        ),
    )


def _insert(upload: Upload, chosen: ColumnElement[bool], fields: Sequence[str]) -> Any:
    now = literal(clock.now(), listings.c.changed_at.type)
    given = {
        "workspace_id": literal(upload.workspace_id),
        "store_id": literal(upload.store_id),
        **{name: func.coalesce(rows.c.barcode, "") if name == "barcode" else rows.columns[name] for name in fields},
        "created_at": now,
        "changed_at": now,
    }
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    return dialect.insert(listings).from_select(
        list(given), select(*given.values()).where(chosen).order_by(*_order(upload.store_id))
    )


def _n_written(session: Session, statement: Any) -> int:
    # Unless it is told to keep it, SQLAlchemy does not know the number of an INSERT on PostgreSQL any more.
    return session.execute(statement, execution_options={"preserve_rowcount": True}).rowcount  # type: ignore[attr-defined,no-any-return]


def _order(store_id: int | None) -> list[ColumnElement[Any]]:
    """Return the order of writing: listings that are there by their ids, as everybody does who changes many at once.

    So nobody waits in a circle. On SQLite, where one writes at a time, the order of the file is the quickest.
    """
    if db.engine.dialect.name != "postgresql":
        return [rows.c.row_number]
    listing_id = case((rows.c.outcome == RowOutcome.CHANGED, listing_of_row(store_id, listings.c.id)))
    return [listing_id, rows.c.row_number]


def _below(price: ColumnElement[Any]) -> ColumnElement[str]:
    return (
        literal("mrp: The selling price in the store is ")
        + shown(price)
        + literal(", and an MRP cannot be below it. Raise the MRP, or lower the price first.")
    )

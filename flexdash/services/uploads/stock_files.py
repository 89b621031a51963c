"""Stock files: how many units of a seller's SKUs lie in which hub, or came in on top."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.orm import Session

from flexdash.extensions import db
from flexdash.models import Hub, RowOutcome, Section, StockLevel, StockMode, Upload, UploadKind
from flexdash.services import stock
from flexdash.services.catalog_values import BadValue
from flexdash.services.uploads import columns
from flexdash.services.uploads.columns import Column
from flexdash.services.uploads.kinds import APPLICABLE, Target, already_in, outcome_of, shown
from flexdash.services.uploads.staging import Comparison, beside_stage, of_upload, rows, stage
from flexdash.services.words import listed, quoted

_CODES_SHOWN = 6
levels, hubs = StockLevel.__table__, Hub.__table__


class StockFile:
    """See kinds.Kind."""

    kind = UploadKind.STOCK
    label = "stock"
    section = Section.STOCK
    identity = ("hub_id", "sku_code")
    brings_orders_on = True
    table = StockLevel.__tablename__

    def columns(self, target: Target) -> list[Column]:
        """Return the columns, all of them required."""
        ids = _hub_ids(target.workspace_id)
        known = _known_codes(list(ids))

        def clean_hub_code(text: str) -> int:
            code = text.strip()
            if not code:
                raise BadValue(f"The hub is missing. {known}")
            if code.upper() not in ids:
                raise BadValue(f"No hub has the code {quoted(code, 30)}. {known}")
            return ids[code.upper()]

        return [
            Column(
                "hub_code",
                "hub_id",
                clean_hub_code,
                "The code of the hub the units lie in.",
                example=next(iter(ids), "PUNE"),
            ),
            columns.sku_code(),
            columns.quantity(
                "The units that came in, on top of what is there."
                if target.stock_mode is StockMode.ADD
                else "The units that lie in the hub, those reserved for orders counted."
            ),
        ]

    def comparison(self, target: Target, fields: Sequence[str]) -> Comparison:
        """Compare with the seller's stock."""
        is_it = and_(
            levels.c.hub_id == stage.c.hub_id,
            levels.c.seller_id == target.seller_id,
            levels.c.sku_code == stage.c.sku_code,
        )
        source, level = beside_stage(levels, is_it)
        is_add = target.stock_mode is StockMode.ADD
        outcome, reason = outcome_of(
            [] if is_add else [(stage.c.quantity < level.c.reserved, _reserved(level.c.reserved))],
            (level.c.id.is_(None), RowOutcome.NEW),
            (stage.c.quantity == (0 if is_add else level.c.on_hand), RowOutcome.UNCHANGED),
            otherwise=RowOutcome.CHANGED,
        )
        return Comparison(source, outcome, reason, {"seen_on_hand": func.coalesce(level.c.on_hand, 0)})

    def reason_of_double(self, first_row: ColumnElement[int]) -> ColumnElement[str]:
        """Say where the SKU stands already with this hub."""
        return already_in(first_row, " with the same hub")

    def apply(self, session: Session, upload: Upload, first: int, last: int, fields: Sequence[str]) -> None:
        """Write stock and ledger; a quantity that orders or others do not let be any more is refused.

        Of a file that sets quantities, so are rows that would have changed nothing when the file was checked.
        """
        is_chosen = rows.c.outcome.in_(APPLICABLE)
        if upload.stock_mode is StockMode.SET:
            was_seen = rows.c.seen_on_hand.is_not(None)  # not so in files that were checked before that was kept
            is_unchanged = and_(rows.c.outcome == RowOutcome.UNCHANGED, was_seen)
            is_chosen = or_(is_chosen, and_(is_unchanged, _is_otherwise_now(upload)))
        chosen = (
            select(rows.c.row_number, rows.c.hub_id, rows.c.sku_code, rows.c.quantity, rows.c.seen_on_hand)
            .where(*of_upload(upload.id, first, last), is_chosen)
            .order_by(rows.c.row_number)
        )
        quantities = [stock.UploadedQuantity(*row) for row in session.execute(chosen)]
        refused = stock.apply_uploaded(session, upload, quantities) if quantities else []
        if refused:
            session.connection().execute(
                update(rows)
                .where(rows.c.upload_id == upload.id, rows.c.row_number == bindparam("number"))
                .values(outcome=RowOutcome.REFUSED, reason=bindparam("why")),
                [{"number": number, "why": reason} for number, reason in refused],
            )

    def finish(self, upload: Upload) -> None:
        """Nothing: the next inventory push finds by itself what it has to tell."""


def _is_otherwise_now(upload: Upload) -> ColumnElement[bool]:
    """Say, in SQL, whether another quantity is on hand now than the row of `upload_rows` sets."""
    return (
        select(levels.c.id)
        .where(
            levels.c.hub_id == rows.c.hub_id,
            levels.c.seller_id == upload.seller_id,
            levels.c.sku_code == rows.c.sku_code,
            levels.c.on_hand != rows.c.quantity,
        )
        .correlate(rows)
        .exists()
    )


def _hub_ids(workspace_id: int) -> dict[str, int]:
    query = select(func.upper(hubs.c.code), hubs.c.id).where(hubs.c.workspace_id == workspace_id).order_by(hubs.c.id)
    with db.engine.connect() as connection:
        return dict(connection.execute(query).all())


def _known_codes(codes: list[str]) -> str:
    """Return which codes there are: only admins open the page Hubs."""
    if not codes:
        return "This workspace has no hub yet: ask an admin to add one."
    if len(codes) == 1:
        return f"The only hub has the code {codes[0]}."
    if len(codes) > _CODES_SHOWN:
        codes = [*codes[: _CODES_SHOWN - 1], f"{len(codes) - _CODES_SHOWN + 1:,} more"]
    return f"The codes of your hubs are {listed(codes)}."


def _reserved(n_reserved: ColumnElement[int]) -> ColumnElement[str]:
    number = shown(n_reserved)
    who = case(
        (n_reserved == 1, literal("1 unit is reserved for orders")),
        else_=number + literal(" units are reserved for orders"),
    )
    return (
        who
        + literal(", so the stock cannot be less than ")
        + number
        + literal(". Set it to ")
        + number
        + literal(" to sell no more.")
    )

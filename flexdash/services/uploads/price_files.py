"""Price files: what the items of a store's catalog are sold for."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, false, func, literal, not_, or_, select, update
from sqlalchemy.orm import Session

from flexdash import clock
from flexdash.models import PriceState, RowOutcome, Section, Upload, UploadKind
from flexdash.services import prices
from flexdash.services.catalog_values import BadValue
from flexdash.services.uploads import columns
from flexdash.services.uploads.columns import Column
from flexdash.services.uploads.kinds import (
    APPLICABLE,
    Target,
    already_in,
    exact,
    hold_listings,
    is_big_change,
    is_same,
    listing_of_row,
    listings,
    outcome_of,
    shown,
)
from flexdash.services.uploads.staging import Comparison, beside_stage, of_upload, rows, stage
from flexdash.services.words import quoted


class PriceFile:
    """See kinds.Kind."""

    kind = UploadKind.PRICES
    label = "price"
    section = Section.PRICES
    identity = ("sku_code",)
    brings_orders_on = False
    table = ""

    def columns(self, target: Target) -> list[Column]:
        """Return the columns; the currency is only held against the store's."""

        def clean_currency(text: str) -> None:
            if text.strip().upper() != target.currency:
                raise BadValue(
                    f"{quoted(text.strip(), 20)} is not the store's currency. The store sells in {target.currency}: "
                    "give the price in it, or leave the column out."
                )

        return [
            columns.sku_code(),
            columns.selling_price(target.currency),
            Column(
                "currency",
                None,
                clean_currency,
                f"The store's currency, {target.currency}; it guards against the wrong file.",
                is_required=False,
                kept=target.currency,
                example=target.currency,
            ),
        ]

    def comparison(self, target: Target, fields: Sequence[str]) -> Comparison:
        """Compare with the prices of the store's listings."""
        is_it = and_(listings.c.store_id == target.store_id, listings.c.sku_code == stage.c.sku_code)
        source, listing = beside_stage(listings, is_it)
        outcome, reason = outcome_of(
            [
                (listing.c.id.is_(None), _not_listed(stage.c.sku_code)),
                (exact(stage.c.price) > exact(listing.c.mrp), _above(listing.c.mrp)),
            ],
            (listing.c.price.is_(None), RowOutcome.NEW),
            (is_same("price", stage.c.price, listing.c.price), RowOutcome.UNCHANGED),
            (is_big_change(stage.c.price, listing.c.price), RowOutcome.BIG_CHANGE),
            otherwise=RowOutcome.CHANGED,
        )
        return Comparison(source, outcome, reason, {"seen_price": listing.c.price})

    def reason_of_double(self, first_row: ColumnElement[int]) -> ColumnElement[str]:
        """Say where the SKU stands already."""
        return already_in(first_row)

    def apply(self, session: Session, upload: Upload, first: int, last: int, fields: Sequence[str]) -> None:
        """Set the prices; the next price push tells Amazon.

        A price that somebody changed since the check may make the change a big one. Such a row is refused, unless a
        person confirmed a big change that reaches over the price as it is now.
        """
        chosen = and_(*of_upload(upload.id, first, last), rows.c.outcome.in_(APPLICABLE))
        hold_listings(session, upload.store_id, chosen)
        listing_id = listing_of_row(upload.store_id, listings.c.id)
        values = (rows.c.price, rows.c.outcome, rows.c.seen_price)
        given = select(listing_id.label("listing_id"), *values).where(chosen).subquery("given")
        written = session.execute(
            update(listings)
            .where(
                listings.c.id == given.c.listing_id,
                or_(listings.c.price.is_(None), exact(given.c.price) != exact(listings.c.price)),
                or_(listings.c.mrp.is_(None), exact(given.c.price) <= exact(listings.c.mrp)),
                not_(_is_unasked(given.c, listings.c.price)),
            )
            .values(
                price=given.c.price,
                price_state=PriceState.WAITING,
                price_changed_at=clock.now(),
                price_message="",
                version=listings.c.version + 1,
            )
            .execution_options(synchronize_session=False)
        )
        n_chosen = session.scalars(select(func.count()).select_from(rows).where(chosen)).one()
        if written.rowcount != n_chosen:  # type: ignore[attr-defined]
            # The catalog has changed since the file was checked.
            mrp, now = (listing_of_row(upload.store_id, column) for column in (listings.c.mrp, listings.c.price))
            refusals = [
                (listing_id.is_(None), _not_listed(rows.c.sku_code)),
                (exact(rows.c.price) > exact(mrp), _above(mrp)),
                (_is_unasked(rows.c, now), _changed_meanwhile(now)),
            ]
            session.execute(
                update(rows)
                .where(chosen, or_(*(condition for condition, _ in refusals)))
                .values(outcome=RowOutcome.REFUSED, reason=case(*refusals))
                .execution_options(synchronize_session=False)
            )

    def finish(self, upload: Upload) -> None:
        """Let the next tick start a price push."""
        if upload.store is not None:
            prices.push_soon(upload.store)


def _not_listed(sku_code: ColumnElement[str]) -> ColumnElement[str]:
    return sku_code + literal(
        " is not in the store's catalog, so there is nothing its price could be for. Upload the catalog first."
    )


def _is_unasked(row: Any, now: ColumnElement[Any]) -> ColumnElement[bool]:
    """Say, in SQL, whether a row would change a price by more than 30 % and nobody confirmed that.

    Who confirmed a big change confirmed all of it: from a price between the one seen and the new one it goes less far.
    """
    new, seen = exact(row.price), exact(row.seen_price)
    is_between = or_(exact(now).between(seen, new), exact(now).between(new, seen))
    # A row changes a price that it has seen; one without is of a file that was checked before that was kept.
    is_of_before = and_(row.outcome != RowOutcome.NEW, row.seen_price.is_(None))
    is_confirmed = or_(and_(row.outcome == RowOutcome.BIG_CHANGE, func.coalesce(is_between, false())), is_of_before)
    return and_(is_big_change(row.price, now), not_(is_confirmed))


def _changed_meanwhile(now: ColumnElement[Any]) -> ColumnElement[str]:
    was = case(
        (rows.c.seen_price.is_(None), literal("There was no price")),
        else_=literal("The price was ") + shown(rows.c.seen_price),
    )
    return (
        literal("selling_price: ")
        + was
        + literal(" when the file was checked and is ")
        + shown(now)
        + literal(" now: this would change it by more than 30 %. Look at it, and upload the row again if it is meant.")
    )


def _above(mrp: ColumnElement[Any]) -> ColumnElement[str]:
    return (
        literal("selling_price: The MRP is ")
        + shown(mrp)
        + literal(", and a price cannot be above it. Lower the price, or raise the MRP in the catalog first.")
    )

"""What is sent to Amazon and what came back, in the database: numbered before it leaves, answered afterwards.

A line is a SKU at a location. Its number is committed, with the state `sending`, before the request leaves, and an
answer is written only where its number is still the row's: an older push that ends after a newer one overwrites
nothing. After a crash the lines that are still `sending` are simply sent again, under higher numbers.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, or_, select, text, update

from flexdash import clock
from flexdash.bulk import insert_rows
from flexdash.extensions import db, settings
from flexdash.models import Listing, PublishedStock, PushState, StockLevel
from flexdash.services.inventory.places import Location, active_locations
from flexdash.services.inventory.plan import StoreFacts
from flexdash.services.inventory.quantities import is_among, wanted

_LOCK_CLASS = 7_201  # our own name for PostgreSQL's advisory locks on a store's published stock
_TABLE = PublishedStock.__table__
IS_STILL_OURS = (
    _TABLE.c.id == bindparam("b_id"),
    _TABLE.c.sequence_number == bindparam("b_number"),
    _TABLE.c.sent_at == bindparam("b_sent_at"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity on its way to Amazon, as it was committed. `has_adopted`: numbered anew after a refusal."""

    published_id: int
    listing_id: int
    location: Location
    sku_code: str
    quantity: int
    sequence_number: int
    sent_at: datetime
    has_adopted: bool = False


class Row(NamedTuple):
    """A listing at a location: what Amazon should show, and the row that says what it was told."""

    listing_id: int
    sku_code: str
    quantity: int
    published_id: int
    number: int  # the highest used or seen, 0 for none


def lock(store_id: int) -> None:
    """Let nobody else write the store's published stock until the open transaction ends."""
    if db.engine.dialect.name == "postgresql":  # SQLite has one writer anyway
        db.session.execute(select(func.pg_advisory_xact_lock(_LOCK_CLASS, store_id)))


def forget_refusals(store_id: int) -> None:
    """Let go of what Amazon refused at locations, or of SKUs, that are sent no more: nobody has to mend that.

    Inside the caller's transaction, which takes `lock` here.
    """
    lock(store_id)
    is_listed = select(Listing.id).where(
        Listing.store_id == PublishedStock.store_id, Listing.sku_code == PublishedStock.sku_code
    )
    known = [location.seller_flex_hub_id for location in active_locations(store_id)]
    db.session.execute(
        update(PublishedStock)
        .where(
            PublishedStock.store_id == store_id,
            text("state = 'refused'"),  # in the words of the partial index
            or_(PublishedStock.seller_flex_hub_id.not_in(known), ~is_listed.exists()),
        )
        .values(state=None, error_code="", error_message="")
        .execution_options(synchronize_session=False)
    )


def number_lines(
    store: StoreFacts, location: Location, listing_ids: Sequence[int], *, is_zero_left_out: bool = False
) -> list[Line]:
    """Commit to sending: read the present quantities of the listings at the location, number them and mark them.

    Inside the caller's transaction, which holds `lock`. Returns the lines, lowest quantities first; with
    `is_zero_left_out` without those of quantity 0. Listings that are gone by now are left out.
    """
    now = clock.now()
    lines = [
        Line(row.published_id, row.listing_id, location, row.sku_code, row.quantity, _next_number(row.number, now), now)
        for row in rows_of(store, location, listing_ids)
        if row.quantity or not is_zero_left_out
    ]
    lines.sort(key=lambda line: line.quantity)
    _mark_sending(lines, now)
    return lines


def rows_of(store: StoreFacts, location: Location, listing_ids: Sequence[int]) -> list[Row]:
    """Return the listings' present quantities and rows at the location; rows that are missing are made.

    Inside the caller's transaction, which holds `lock`. The other tables are asked per listing, in subqueries: how to
    join tables that have just been filled the database would have to guess, and its guesses are bad.
    """
    level = (
        select(wanted(store.stock_buffer))
        .where(
            StockLevel.hub_id == location.hub_id,
            StockLevel.seller_id == store.seller_id,
            StockLevel.sku_code == Listing.sku_code,
        )
        .correlate(Listing)
        .scalar_subquery()
    )
    query = select(
        Listing.id,
        Listing.sku_code,
        func.coalesce(level, 0),
        _of_row(_TABLE.c.id, store, location),
        _of_row(_TABLE.c.sequence_number, store, location),
    )
    found = db.session.execute(query.where(is_among(Listing.id, listing_ids))).all()
    rows = [Row(*values) for values in found if values[3] is not None]
    if missing := {values[0]: values[1] for values in found if values[3] is None}:
        _add_rows(store, location, missing.values())
        # Not with RETURNING: reading the ids is faster than one statement with all the values.
        added = db.session.execute(query.where(is_among(Listing.id, list(missing)))).all()
        rows += [Row(*values) for values in added if values[3] is not None]
    return rows


def number_again(seen: Iterable[tuple[Line, int | None]]) -> list[Line]:
    """Number lines anew after Amazon refused their numbers, above the one it was seen to have (or with it: `echo`).

    Inside the caller's transaction, which holds `lock`. Lines that a newer push has numbered meanwhile are left to it.
    """
    now = clock.now()
    again = []
    for line, number in seen:
        higher = max(_milliseconds(now), line.sequence_number + 1, (number or 0) + 1)
        if settings.amazon_inventory_sequence == "echo" and number is not None:
            higher = number
        changed = db.session.execute(
            update(_TABLE).where(*IS_STILL_OURS).values(sequence_number=higher, sent_at=now),
            key_of(line),
        )
        if changed.rowcount == 1:  # type: ignore[attr-defined]
            again.append(replace(line, sequence_number=higher, sent_at=now, has_adopted=True))
    return again


def _of_row(column: Any, store: StoreFacts, location: Location) -> Any:
    return (
        select(column)
        .where(
            _TABLE.c.store_id == store.store_id,
            _TABLE.c.seller_flex_hub_id == location.seller_flex_hub_id,
            _TABLE.c.sku_code == Listing.sku_code,
        )
        .correlate(Listing)
        .scalar_subquery()
    )


def _add_rows(store: StoreFacts, location: Location, sku_codes: Iterable[str]) -> None:
    """Insert rows of which nothing is known yet."""
    new = {
        "workspace_id": store.workspace_id,
        "store_id": store.store_id,
        "seller_flex_hub_id": location.seller_flex_hub_id,
    }
    insert_rows(_TABLE, [new | {"sku_code": sku_code} for sku_code in sku_codes])


def _mark_sending(lines: Sequence[Line], now: datetime) -> None:
    """Write what the lines are numbered with. They come sorted by quantity, so that mostly a few statements do."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for line in lines:
        alike[line.quantity, line.sequence_number].append(line.published_id)
    values = {"state": PushState.SENDING, "sent_at": now, "must_push": False}
    if len(alike) * 8 <= len(lines):
        for (quantity, number), ids in alike.items():
            statement = update(_TABLE).where(is_among(_TABLE.c.id, ids))
            db.session.execute(statement.values(sent_quantity=quantity, sequence_number=number, **values))
    elif lines:
        db.session.connection().execute(
            update(_TABLE)
            .where(_TABLE.c.id == bindparam("b_id"))
            .values(sent_quantity=bindparam("b_quantity"), sequence_number=bindparam("b_number"), **values),
            [
                {"b_id": line.published_id, "b_quantity": line.quantity, "b_number": line.sequence_number}
                for line in lines
            ],
        )


def _next_number(known: int, now: datetime) -> int:
    """Return the number to send after `known`, the highest used or seen (0: none)."""
    if known > 0 and settings.amazon_inventory_sequence == "echo":
        return known
    return max(_milliseconds(now), known + 1)


def key_of(line: Line) -> dict[str, Any]:
    """Return the values for IS_STILL_OURS: the row, and the number it went out with."""
    return {"b_id": line.published_id, "b_number": line.sequence_number, "b_sent_at": line.sent_at}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)

"""Encrypting anew what older keys encrypted, while FlexDash goes on serving.

To change the key: put the new one first in ENCRYPTION_KEYS everywhere and restart, run this, then remove the old key.
It can be stopped at any time; started again it passes over what is under the newest key already.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute

from flexdash.database import release_connection, transaction
from flexdash.extensions import db, vault
from flexdash.models import AlarmSettings, Order, OrderDocument, QuarantinedShipment, Store
from flexdash.vault import UnreadableSecret

BATCH = 200
COLUMNS: tuple[InstrumentedAttribute[Any], ...] = (
    Store.refresh_token_encrypted,
    Order.buyer_encrypted,
    QuarantinedShipment.payload_encrypted,
    OrderDocument.content_encrypted,
    AlarmSettings.webhook_url_encrypted,
    AlarmSettings.webhook_secret_encrypted,
)


@dataclass
class RotationCount:
    """What became of the values of one column."""

    column: str
    n_rotated: int = 0
    n_current: int = 0  # under the newest key already
    n_changed_meanwhile: int = 0  # written or deleted by someone else between our reading and writing
    unreadable_ids: list[int] = field(default_factory=list)  # no key opens them

    @property
    def n_seen(self) -> int:
        """How many values were looked at."""
        return self.n_rotated + self.n_current + self.n_changed_meanwhile + len(self.unreadable_ids)


def rotate(on_batch: Callable[[RotationCount], None] | None = None) -> list[RotationCount]:
    """Put every encrypted value under the newest key and return the counts, one per column.

    Each batch is a transaction of its own, so writers wait for milliseconds. A value that someone else changes
    meanwhile is left as they wrote it and looked at again. `on_batch` is called after each batch.
    """
    return [_rotate_column(column, on_batch) for column in COLUMNS]


def _rotate_column(
    column: InstrumentedAttribute[Any], on_batch: Callable[[RotationCount], None] | None
) -> RotationCount:
    count = RotationCount(f"{column.class_.__tablename__}.{column.key}")
    again = _pass(column, count, on_batch, None)
    if again:
        # Whoever wrote these used the newest key, unless their process still runs with the old setting.
        count.n_changed_meanwhile = 0
        _pass(column, count, on_batch, again)
    return count


def _pass(
    column: InstrumentedAttribute[Any],
    count: RotationCount,
    on_batch: Callable[[RotationCount], None] | None,
    only_ids: list[int] | None,
) -> list[int]:
    """Go through the column once, or through `only_ids`; return the ids of rows that changed under our hands."""
    model, last_id, changed = column.class_, 0, []
    while True:
        query = select(model.id, column).where(model.id > last_id, column.is_not(None)).order_by(model.id).limit(BATCH)
        rows = db.session.execute(query if only_ids is None else query.where(model.id.in_(only_ids))).all()
        release_connection()
        if not rows:
            return changed
        last_id = rows[-1].id
        changed += _rotate_batch(column, [(row_id, bytes(value)) for row_id, value in rows], count)
        if on_batch:
            on_batch(count)


def _rotate_batch(column: InstrumentedAttribute[Any], rows: list[tuple[int, bytes]], count: RotationCount) -> list[int]:
    renewed = []
    for row_id, value in rows:
        if vault.is_current(value):
            count.n_current += 1
            continue
        try:
            renewed.append((row_id, value, vault.rotate(value)))
        except UnreadableSecret:
            count.unreadable_ids.append(row_id)
    if not renewed:
        return []
    model, changed = column.class_, []
    with transaction():
        for row_id, old, new in renewed:
            # Only over the very value that was read: a reconnect or a deletion in between must win.
            statement = update(model).where(model.id == row_id, column == old).values({column: new})
            if not db.session.execute(statement.execution_options(synchronize_session=False)).rowcount:
                changed.append(row_id)
    count.n_rotated += len(renewed) - len(changed)
    count.n_changed_meanwhile += len(changed)
    return changed

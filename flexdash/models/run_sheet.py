"""What became of each item of a sync run, a hundred items to a row: a push of 50,000 SKUs is 500 rows, not 50,000."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.types import Choice, UtcDateTime


class ItemFate(StrEnum):
    """What a run did with an order, a return, a SKU or a price."""

    CREATED = "created"
    HELD = "held"  # created, On Hold
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    NOT_TAKEN = "not_taken"  # no work of the store's hubs: cancelled or gone before it was here
    ACKNOWLEDGED = "acknowledged"
    SENT = "sent"  # Amazon took it
    TOLD = "told"  # Amazon said how it stands there
    APPLIED = "applied"  # Amazon shows it
    UNDER_WAY = "under_way"  # Amazon has it, and does not show it yet
    DONE = "done"
    WAITS = "waits"  # tried again by itself
    DIFFERS = "differs"
    REFUSED = "refused"
    FAILED = "failed"  # could not be read or written here
    NO_ANSWER = "no_answer"


class RunSheet(db.Model):
    """Up to a hundred items of a run that ended alike; `services.run_sheets` packs and reads them."""

    __tablename__ = "run_sheets"
    __table_args__ = (
        Index("ix_run_sheets_run_id_id", "run_id", "id"),
        Index("ix_run_sheets_run_id_fate_id", "run_id", "fate", "id"),
        Index("ix_run_sheets_store_id_id", "store_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    fate: Mapped[ItemFate] = mapped_column(Choice(ItemFate))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    n_items: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)

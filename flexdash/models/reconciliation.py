"""Comparing with Amazon: orders asked for by hand, and the nightly reconciliation of a store."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.order import Order
from flexdash.models.store import Store
from flexdash.models.sync import SyncRun
from flexdash.models.types import Choice, JsonValue, UtcDateTime


class Recovery(db.Model):
    """Orders that a person wants brought in: by a span of days, or by a list of Amazon's ids. Done by sync runs."""

    __tablename__ = "recoveries"
    __table_args__ = (Index("ix_recoveries_store_id_id", "store_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)  # the latest that works on it
    asked_by_name: Mapped[str] = mapped_column(String(100))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    updated_from: Mapped[datetime | None] = mapped_column(UtcDateTime)  # both None: by ids
    updated_to: Mapped[datetime | None] = mapped_column(UtcDateTime)  # not included
    n_ids: Mapped[int] = mapped_column(default=0)  # asked for; 0: by days
    # How far Amazon's lists were read, so that a killed worker's successor goes on there.
    reached_leg: Mapped[int] = mapped_column(default=0)
    page_token: Mapped[str] = mapped_column(Text, default="")
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # How many ids came to what, once all were looked at: a month's shipments are too many to count on each page.
    counts: Mapped[dict[str, int] | None] = mapped_column(JsonValue)

    store: Mapped[Store] = relationship()
    run: Mapped[SyncRun | None] = relationship()

    @property
    def is_by_days(self) -> bool:
        """Whether it was asked for by days, not by ids."""
        return self.updated_from is not None

    @property
    def last_moment(self) -> datetime | None:
        """The last moment of the last day asked for."""
        return self.updated_to - timedelta(seconds=1) if self.updated_to else None


class RecoveryOutcome(StrEnum):
    IMPORTED = "imported"
    HERE_ALREADY = "here_already"
    NOT_IMPORTED = "not_imported"  # found, but it cannot or need not come in; `sentence` says why
    MISSING = "missing"  # Amazon does not know it, or it was not among what Amazon listed
    NO_ANSWER = "no_answer"  # Amazon was asked and did not answer: nothing is known


class RecoveryItem(db.Model):
    """One of Amazon's ids and what became of it."""

    __tablename__ = "recovery_items"
    __table_args__ = (
        UniqueConstraint("recovery_id", "amazon_id"),
        Index("ix_recovery_items_recovery_id_id", "recovery_id", "id"),
        Index("ix_recovery_items_recovery_id_outcome_id", "recovery_id", "outcome", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recovery_id: Mapped[int] = mapped_column(ForeignKey("recoveries.id"))
    amazon_id: Mapped[str] = mapped_column(String(100))  # a shipment id, or an order id
    outcome: Mapped[RecoveryOutcome | None] = mapped_column(Choice(RecoveryOutcome))  # None: not looked at yet
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"), index=True)
    sentence: Mapped[str] = mapped_column(String(300), default="")

    order: Mapped[Order | None] = relationship()


class DifferenceKind(StrEnum):
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    STATE_DIFFERS = "state_differs"
    STOCK_DIFFERS = "stock_differs"


class Difference(db.Model):
    """Something that FlexDash and Amazon have otherwise, found by a reconciliation; open until it is gone or closed.

    One row per subject: what comes back after it was gone opens the row again. What a person closed stays closed while
    it stays as it is.
    """

    __tablename__ = "differences"
    __table_args__ = (
        UniqueConstraint("store_id", "kind", "subject", "seller_flex_hub_id"),
        Index("ix_differences_store_id_id", "store_id", "id"),
        Index(
            "ix_differences_open",
            "store_id",
            "kind",
            "id",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)  # which saw it last
    kind: Mapped[DifferenceKind] = mapped_column(Choice(DifferenceKind))
    subject: Mapped[str] = mapped_column(String(100))  # Amazon's shipment id, or a SKU
    seller_flex_hub_id: Mapped[str] = mapped_column(String(36), default="")  # of a SKU
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"), index=True)
    here: Mapped[str] = mapped_column(String(100), default="")
    there: Mapped[str] = mapped_column(String(100), default="")
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_name: Mapped[str] = mapped_column(String(100), default="")  # "" when it went away by itself
    gone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when a run, or a recovery, saw it no more

    store: Mapped[Store] = relationship()
    order: Mapped[Order | None] = relationship()

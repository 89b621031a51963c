"""The calls to Amazon: as much of each as support needs, and for a set time only."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash.extensions import db
from flexdash.models.store import Store
from flexdash.models.types import Choice, UtcDateTime


class CallOutcome(StrEnum):
    """How one call ended, as people tell calls apart."""

    SUCCESS = "success"
    REFUSED = "refused"  # Amazon read it and will not do it
    THROTTLED = "throttled"
    FAULT = "fault"  # Amazon's own, or an answer that nobody can read
    NO_ANSWER = "no_answer"


HAS_SKU = "sku_code IS NOT NULL"
HAS_REQUEST_ID = "amazon_request_id <> ''"


class ApiCall(db.Model):
    """One call to Amazon, redacted: no token, no buyer data."""

    __tablename__ = "api_calls"
    __table_args__ = (
        # The log is read by time, whatever narrows it; who looks for one id finds few rows by that.
        Index("ix_api_calls_workspace_id_started_at_id", "workspace_id", "started_at", "id"),
        Index("ix_api_calls_workspace_id_outcome_started_at_id", "workspace_id", "outcome", "started_at", "id"),
        Index("ix_api_calls_workspace_id_operation_started_at_id", "workspace_id", "operation", "started_at", "id"),
        Index("ix_api_calls_store_id_started_at_id", "store_id", "started_at", "id"),
        Index("ix_api_calls_store_id_outcome_started_at_id", "store_id", "outcome", "started_at", "id"),
        Index("ix_api_calls_store_id_operation_started_at_id", "store_id", "operation", "started_at", "id"),
        Index("ix_api_calls_run_id_id", "run_id", "id"),
        Index(
            "ix_api_calls_amazon_request_id",
            "amazon_request_id",
            sqlite_where=text(HAS_REQUEST_ID),
            postgresql_where=text(HAS_REQUEST_ID),
        ),
        Index(
            "ix_api_calls_sku_code",
            "sku_code",
            sqlite_where=text(HAS_SKU),
            postgresql_where=text(HAS_SKU),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"))
    amazon_shipment_id: Mapped[str | None] = mapped_column(String(100), index=True)
    sku_code: Mapped[str | None] = mapped_column(String(100))  # of a call about one SKU; a batch has ten
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    operation: Mapped[str] = mapped_column(String(60))
    method: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(String(300))
    outcome: Mapped[CallOutcome] = mapped_column(Choice(CallOutcome), default=CallOutcome.SUCCESS)
    status: Mapped[int | None]  # None: no answer
    duration_ms: Mapped[int]
    waited_ms: Mapped[int] = mapped_column(default=0)  # for Amazon's allowance, before the call
    attempt: Mapped[int] = mapped_column(default=1)
    is_throttled: Mapped[bool] = mapped_column(default=False)
    amazon_request_id: Mapped[str] = mapped_column(String(100), default="")
    error_code: Mapped[str] = mapped_column(String(60), default="")
    error_message: Mapped[str] = mapped_column(Text, default="")
    sent: Mapped[str] = mapped_column(Text, default="", deferred=True)  # as flexdash.amazon.excerpts keeps it
    answered: Mapped[str] = mapped_column(Text, default="", deferred=True)  # of a call that went wrong

    store: Mapped[Store] = relationship()

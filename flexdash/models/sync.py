"""Sync runs, what each store's syncs have reached, the calls they made to Amazon, and what they could not read."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.store import Store
from flexdash.models.types import Choice, UtcDateTime


class Sync(StrEnum):
    ORDER_PULL = "order_pull"


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"  # ended, with items that failed
    FAILED = "failed"
    SKIPPED = "skipped"  # this slot was not run; `error_sentence` says why


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"  # one run for all slots missed while the scheduler was away
    MANUAL = "manual"


class SyncState(db.Model):
    """Where one sync of one store stands: the next slot due, and how far Amazon's changes were read."""

    __tablename__ = "sync_states"
    __table_args__ = (UniqueConstraint("store_id", "sync"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    sync: Mapped[Sync] = mapped_column(Choice(Sync))
    next_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # None: not scheduled
    on_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when it was last turned on, or scheduled again
    watermark: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    store: Mapped[Store] = relationship()


class SyncRun(db.Model):
    """One execution of one sync of one store. The two unique indexes are the claim: one run per slot, one at a time."""

    __tablename__ = "sync_runs"
    __table_args__ = (
        UniqueConstraint("store_id", "sync", "slot_at"),
        Index(
            "uq_sync_runs_one_at_a_time",
            "store_id",
            "sync",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_sync_runs_workspace_id_id", "workspace_id", "id"),
        Index("ix_sync_runs_workspace_id_queued_at_id", "workspace_id", "queued_at", "id"),
        Index("ix_sync_runs_workspace_id_state_id", "workspace_id", "state", "id"),
        Index("ix_sync_runs_store_id_id", "store_id", "id"),
        Index(
            "ix_sync_runs_open",
            "heartbeat_at",
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    sync: Mapped[Sync] = mapped_column(Choice(Sync))
    slot_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: started by a person
    trigger: Mapped[Trigger] = mapped_column(Choice(Trigger))
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    state: Mapped[RunState] = mapped_column(Choice(RunState), default=RunState.QUEUED)
    n_attempts: Mapped[int] = mapped_column(default=0)
    attempt_token: Mapped[str] = mapped_column(String(32), default="")  # who runs it now; a superseded worker stops
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # queued again after a failure, not before this
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    window_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    window_to: Mapped[datetime | None] = mapped_column(UtcDateTime)
    progress: Mapped[str] = mapped_column(String(200), default="")  # what it is doing, in words, while running

    n_pages: Mapped[int] = mapped_column(default=0)
    n_fetched: Mapped[int] = mapped_column(default=0)
    n_created: Mapped[int] = mapped_column(default=0)
    n_held: Mapped[int] = mapped_column(default=0)  # of the created
    n_updated: Mapped[int] = mapped_column(default=0)
    n_skipped: Mapped[int] = mapped_column(default=0)  # already here and unchanged
    n_failed: Mapped[int] = mapped_column(default=0)  # quarantined or refused
    n_acknowledged: Mapped[int] = mapped_column(default=0)
    n_api_calls: Mapped[int] = mapped_column(default=0)
    n_throttled: Mapped[int] = mapped_column(default=0)
    error_code: Mapped[str] = mapped_column(String(60), default="")
    error_sentence: Mapped[str] = mapped_column(String(1000), default="")

    store: Mapped[Store] = relationship()


class AttemptOutcome(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"  # and the run with it
    TO_RETRY = "to_retry"  # failed with something that may pass
    LOST = "lost"  # no sign of life from its worker
    HANDED_BACK = "handed_back"  # its worker was asked to stop


class SyncAttempt(db.Model):
    """One attempt at a run, by one worker, with how it ended."""

    __tablename__ = "sync_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    attempt_token: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[AttemptOutcome] = mapped_column(Choice(AttemptOutcome), default=AttemptOutcome.RUNNING)
    error_code: Mapped[str] = mapped_column(String(60), default="")
    error_sentence: Mapped[str] = mapped_column(String(1000), default="")


class ApiCall(db.Model):
    """One call to Amazon, redacted: no token, no buyer data."""

    __tablename__ = "api_calls"
    __table_args__ = (Index("ix_api_calls_workspace_id_id", "workspace_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    amazon_shipment_id: Mapped[str | None] = mapped_column(String(100), index=True)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    operation: Mapped[str] = mapped_column(String(60))
    method: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(String(300))
    status: Mapped[int | None]  # None: no answer
    duration_ms: Mapped[int]
    waited_ms: Mapped[int] = mapped_column(default=0)  # for Amazon's allowance, before the call
    attempt: Mapped[int] = mapped_column(default=1)
    is_throttled: Mapped[bool] = mapped_column(default=False)
    amazon_request_id: Mapped[str] = mapped_column(String(100), default="")
    error_code: Mapped[str] = mapped_column(String(60), default="")
    error_message: Mapped[str] = mapped_column(Text, default="")


class QuarantinedShipment(db.Model):
    """A shipment that could not be read or written, with its payload (encrypted), until a later pull brings it in."""

    __tablename__ = "quarantined_shipments"
    __table_args__ = (UniqueConstraint("store_id", "amazon_shipment_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    # Amazon's id, or "unreadable:" and the payload's SHA-256 when the payload has none.
    amazon_shipment_id: Mapped[str] = mapped_column(String(100))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    error_sentence: Mapped[str] = mapped_column(String(500))
    payload_encrypted: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    n_times_seen: Mapped[int] = mapped_column(default=1)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    store: Mapped[Store] = relationship()

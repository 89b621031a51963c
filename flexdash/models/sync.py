"""Sync runs, what each store's syncs have reached, and what they could not read."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.store import Store
from flexdash.models.types import Choice, UtcDateTime


class Sync(StrEnum):
    ORDER_PULL = "order_pull"
    INVENTORY_PUSH = "inventory_push"
    INVENTORY_FETCH = "inventory_fetch"  # what Amazon says the stock is; by hand only
    PRICE_PUSH = "price_push"
    ORDER_STEPS = "order_steps"  # what orders being worked need of Amazon: packages, labels, cancellations …
    RETURN_PULL = "return_pull"
    ORDER_RECOVERY = "order_recovery"  # orders asked for by hand
    RECONCILE = "reconcile"


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
    __table_args__ = (
        UniqueConstraint("store_id", "sync"),
        Index(
            "ix_sync_states_freshness",
            "workspace_id",
            "fresh_until",
            "id",
            "sync",
            sqlite_where=text("fresh_until IS NOT NULL"),
            postgresql_where=text("fresh_until IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    sync: Mapped[Sync] = mapped_column(Choice(Sync))
    next_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # None: not scheduled
    on_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when it was last turned on, or scheduled again
    watermark: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_full_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # inventory: when everything was last pushed
    last_success_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When its silence gets too long unless a run goes well before; orders the stores by that. None: nothing expected.
    fresh_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

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
        Index("ix_sync_runs_store_id_sync_id", "store_id", "sync", "id"),
        *(
            Index(
                f"ix_sync_runs_ended_of_{owner}",
                f"{owner}_id",
                "state",
                "finished_at",
                sqlite_where=text("finished_at IS NOT NULL"),
                postgresql_where=text("finished_at IS NOT NULL"),
            )
            for owner in ("workspace", "store")
        ),
        Index("ix_sync_runs_workspace_id_sync_state_id", "workspace_id", "sync", "state", "id"),
        Index("ix_sync_runs_workspace_id_sync_id", "workspace_id", "sync", "id"),
        Index("ix_sync_runs_workspace_id_trigger_id", "workspace_id", "trigger", "id"),
        Index("ix_sync_runs_store_id_state_id", "store_id", "state", "id"),
        Index(
            "ix_sync_runs_open",
            "heartbeat_at",
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "ix_sync_runs_failed",
            "finished_at",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    sync: Mapped[Sync] = mapped_column(Choice(Sync))
    slot_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: started by a person
    trigger: Mapped[Trigger] = mapped_column(Choice(Trigger))
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    # The run whose failed items this one takes up, and nothing else; None: it does all there is to do.
    retry_of_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    state: Mapped[RunState] = mapped_column(Choice(RunState), default=RunState.QUEUED)
    n_attempts: Mapped[int] = mapped_column(default=0)
    attempt_token: Mapped[str] = mapped_column(String(32), default="")  # who runs it now; a superseded worker stops
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    retry_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # queued again after a failure, not before this
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Its worker's last sign of life; of one in line, when it was last put there. See services.waiting_runs.
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    is_full: Mapped[bool] = mapped_column(default=False)  # inventory: all SKUs, not only the changed ones
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
    error_sentence: Mapped[str] = mapped_column(String(1000), default="")  # plain, for every page
    error_detail: Mapped[str] = mapped_column(
        String(1000), default=""
    )  # Amazon's words and ids, for the run's own page

    store: Mapped[Store] = relationship()

    @property
    def is_retrying(self) -> bool:
        """Whether an attempt at it failed and it waits for the next one."""
        return self.state is RunState.QUEUED and bool(self.error_sentence)


class ItemOutcome(StrEnum):
    SKIPPED = "skipped"
    REFUSED = "refused"


class LeftOut(StrEnum):
    """Why a push did not send SKUs, for the page that lists them."""

    INACTIVE = "inactive"  # the whole catalog at a hub that is switched off
    UNMAPPED = "unmapped"  # the stock of a hub without a Seller Flex Hub ID in the store
    NO_LISTING = "no_listing"  # stock that the catalog does not have
    DELISTED = "delisted"  # taken out of the catalog while Amazon showed stock
    LEFT_BEHIND = "left_behind"  # what Amazon still sells at a location that no hub has any more


class SyncRunItem(db.Model):
    """What a run left out or Amazon refused: one SKU at one location, or `n_items` of one kind together."""

    __tablename__ = "sync_run_items"
    __table_args__ = (
        Index("ix_sync_run_items_run_id_outcome_id", "run_id", "outcome", "id"),
        Index("ix_sync_run_items_run_id_sku_code_id", "run_id", "sku_code", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_runs.id"))
    outcome: Mapped[ItemOutcome] = mapped_column(Choice(ItemOutcome))
    sku_code: Mapped[str] = mapped_column(String(100), default="")
    seller_flex_hub_id: Mapped[str] = mapped_column(String(36), default="")
    n_items: Mapped[int] = mapped_column(default=1)
    reason: Mapped[str] = mapped_column(String(500))  # with Amazon's words, where they are Amazon's
    remedy: Mapped[str] = mapped_column(String(300), default="")
    left_out: Mapped[LeftOut | None] = mapped_column(Choice(LeftOut))
    hub_id: Mapped[int | None]  # of what was left out, where it is about one hub


class AttemptOutcome(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"  # and the run with it
    TO_RETRY = "to_retry"  # failed with something that may pass
    LOST = "lost"  # no sign of life from its worker
    HANDED_BACK = "handed_back"  # its worker was asked to stop
    SKIPPED = "skipped"  # a person has to decide something first


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
    error_detail: Mapped[str] = mapped_column(String(1000), default="")


class QuarantinedShipment(db.Model):
    """A shipment that could not be read or written, with its payload (encrypted), until a later pull brings it in."""

    __tablename__ = "quarantined_shipments"
    __table_args__ = (
        UniqueConstraint("store_id", "amazon_shipment_id"),
        Index(
            "ix_quarantined_shipments_waiting",
            "workspace_id",
            "id",
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index(
            "ix_quarantined_shipments_open",
            "store_id",
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    # Amazon's id, or "unreadable:" and the payload's SHA-256 when the payload has none.
    amazon_shipment_id: Mapped[str] = mapped_column(String(100))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    error_sentence: Mapped[str] = mapped_column(String(500))
    payload_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)  # None: deleted for its age
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)  # or asked for in vain
    n_times_seen: Mapped[int] = mapped_column(default=1)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    store: Mapped[Store] = relationship()

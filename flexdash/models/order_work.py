"""Working an order: what is to be done at Amazon for it, its packages and documents, and what does not fit together."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.order import Order
from flexdash.models.types import Choice, ExactDecimal, JsonValue, UtcDateTime


class StepKind(StrEnum):
    """What FlexDash does at Amazon for an order, in the order in which it is done."""

    CANCEL = "cancel"  # REJECT the shipment
    PACKAGES = "packages"
    SHIPPING_OPTION = "shipping_option"
    INVOICE = "invoice"
    LABELS = "labels"
    SHIP = "ship"  # say that the packages were handed over

    @property
    def words(self) -> str:
        """Its short name for people, on pages and in sentences."""
        return _STEP_WORDS[self]


_STEP_WORDS = {
    StepKind.CANCEL: "Cancellation",
    StepKind.PACKAGES: "Packages",
    StepKind.SHIPPING_OPTION: "Shipping option",
    StepKind.INVOICE: "Invoice",
    StepKind.LABELS: "Labels",
    StepKind.SHIP: "Hand-over",
}


class StepState(StrEnum):
    WAITING = "waiting"  # for its turn, or for `not_before`
    DONE = "done"
    NOT_NEEDED = "not_needed"
    FAILED = "failed"  # given up, or a person has to give something first; a person may retry it


# The error code of packages that lack what a person has to give: trying again changes nothing.
LACKS_SOMETHING = "missing"
# What a worker has to look at, as SQL for the partial index.
IS_STEP_WAITING = "order_steps.state = 'waiting'"
# What a person has to look at, likewise.
IS_STEP_FAILED = "order_steps.state = 'failed'"
# What tells Amazon of a cancellation by a person here, likewise.
IS_CANCELLATION = "order_steps.kind = 'cancel'"


class OrderStep(db.Model):
    """One thing to do at Amazon for an order. Doing it twice is doing it once: Amazon's state is read first."""

    __tablename__ = "order_steps"
    __table_args__ = (
        UniqueConstraint("order_id", "kind"),
        Index(
            "ix_order_steps_waiting",
            "store_id",
            "order_id",
            sqlite_where=text(IS_STEP_WAITING.removeprefix("order_steps.")),
            postgresql_where=text(IS_STEP_WAITING.removeprefix("order_steps.")),
        ),
        *(
            Index(
                f"ix_order_steps_failed{of_owner}",
                f"{owner}_id",
                "order_id",
                sqlite_where=text(IS_STEP_FAILED.removeprefix("order_steps.")),
                postgresql_where=text(IS_STEP_FAILED.removeprefix("order_steps.")),
            )
            for owner, of_owner in (("workspace", ""), ("store", "_of_store"))
        ),
        Index(
            "ix_order_steps_cancellations_of_store",
            "store_id",
            "made_at",
            sqlite_where=text(IS_CANCELLATION.removeprefix("order_steps.")),
            postgresql_where=text(IS_CANCELLATION.removeprefix("order_steps.")),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    kind: Mapped[StepKind] = mapped_column(Choice(StepKind))
    state: Mapped[StepState] = mapped_column(Choice(StepState), default=StepState.WAITING)
    n_attempts: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_code: Mapped[str] = mapped_column(String(60), default="")
    error_sentence: Mapped[str] = mapped_column(String(500), default="")  # with Amazon's words
    detail: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)  # such as the reason of a cancellation
    asked_by_name: Mapped[str] = mapped_column(String(100), default="FlexDash")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    order: Mapped[Order] = relationship()

    @property
    def is_lacking(self) -> bool:
        """Whether it waits for what a person has to give, so that trying it again changes nothing."""
        return self.error_code == LACKS_SOMETHING


class OrderPackage(db.Model):
    """One parcel of an order. `package_id` is FlexDash's own name of it, which Amazon keeps."""

    __tablename__ = "order_packages"
    __table_args__ = (UniqueConstraint("order_id", "package_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    package_id: Mapped[str] = mapped_column(String(40))
    length_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)  # None: a person has to give it
    width_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    height_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    weight_g: Mapped[int | None]
    # Each {"line_id", "n_units"} and, where Amazon asks for them, "serial_numbers", "country_of_origin", "item_value".
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)
    is_at_amazon: Mapped[bool] = mapped_column(default=False)
    shipping_option_id: Mapped[str] = mapped_column(String(200), default="")
    carrier_name: Mapped[str] = mapped_column(String(100), default="")
    tracking_number: Mapped[str] = mapped_column(String(100), default="", index=True)

    order: Mapped[Order] = relationship()


class DocumentKind(StrEnum):
    INVOICE = "invoice"
    LABEL = "label"


class OrderDocument(db.Model):
    """An invoice or a label as Amazon made it, encrypted: it names the buyer."""

    __tablename__ = "order_documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    kind: Mapped[DocumentKind] = mapped_column(Choice(DocumentKind))
    package_id: Mapped[str] = mapped_column(String(40), default="")  # of a label
    content_type: Mapped[str] = mapped_column(String(60))
    n_bytes: Mapped[int]
    content_encrypted: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # a reprint took its place

    order: Mapped[Order] = relationship()


class OrderConflict(db.Model):
    """Amazon and FlexDash say what does not fit together; a person looks and closes it."""

    __tablename__ = "order_conflicts"
    __table_args__ = (
        Index("ix_order_conflicts_order_id", "order_id"),
        Index(
            "ix_order_conflicts_open",
            "workspace_id",
            "id",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    event: Mapped[str] = mapped_column(String(40))  # services.order_states.Event
    sentence: Mapped[str] = mapped_column(String(500))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_by_name: Mapped[str] = mapped_column(String(100), default="")
    note: Mapped[str] = mapped_column(String(300), default="")

    order: Mapped[Order] = relationship()


class BatchAction(StrEnum):
    """What people do with many orders at once."""

    PICK = "pick"
    PACK = "pack"
    MAKE_READY = "make_ready"
    SHIP = "ship"


class BatchState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"


# What a worker still has to do, as SQL for the partial index.
IS_BATCH_WORK = "state IN ('waiting', 'running')"


class WorkBatch(db.Model):
    """One action on many orders, done by a worker, with a result per order."""

    __tablename__ = "work_batches"
    __table_args__ = (
        Index("ix_work_batches_workspace_id_id", "workspace_id", "id"),
        Index(
            "ix_work_batches_to_do",
            "id",
            sqlite_where=text(IS_BATCH_WORK),
            postgresql_where=text(IS_BATCH_WORK),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    action: Mapped[BatchAction] = mapped_column(Choice(BatchAction))
    state: Mapped[BatchState] = mapped_column(Choice(BatchState), default=BatchState.WAITING)
    asked_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    asked_by_name: Mapped[str] = mapped_column(String(100))
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempt_token: Mapped[str] = mapped_column(String(32), default="")
    n_attempts: Mapped[int] = mapped_column(default=0)  # without those of workers that were only asked to stop
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    n_items: Mapped[int] = mapped_column(default=0)
    n_done: Mapped[int] = mapped_column(default=0)
    n_refused: Mapped[int] = mapped_column(default=0)


class WorkBatchItem(db.Model):
    """One order of a batch; `sentence` says what became of it."""

    __tablename__ = "work_batch_items"
    __table_args__ = (UniqueConstraint("batch_id", "order_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("work_batches.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    is_done: Mapped[bool | None]  # None: not yet its turn
    sentence: Mapped[str] = mapped_column(String(500), default="")

    order: Mapped[Order] = relationship()


class SavedFilter(db.Model):
    """A list of orders that a person comes back to, under a name."""

    __tablename__ = "saved_filters"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(60))
    filters: Mapped[str] = mapped_column(String(500))  # as in the address, without the page
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

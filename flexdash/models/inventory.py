"""What Amazon was told about stock, per SKU and location; and mass zeros that wait for a person."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.store import Store
from flexdash.models.types import Choice, UtcDateTime


class PushState(StrEnum):
    """How the last quantity sent for a SKU and location ended."""

    SENDING = "sending"  # the answer is not written yet; after a crash its outcome is unknown, and it is sent again
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # Amazon's answer had no line for it


class PublishedStock(db.Model):
    """A SKU at a location (Seller Flex Hub ID) of a store, as Amazon was last told, and as Amazon last said."""

    __tablename__ = "published_stock"
    __table_args__ = (
        UniqueConstraint("store_id", "seller_flex_hub_id", "sku_code"),
        Index("ix_published_stock_store_id_sku_code_id", "store_id", "sku_code", "id"),
        Index(
            "ix_published_stock_refused",
            "store_id",
            "sku_code",
            "id",
            sqlite_where=text("state = 'refused'"),
            postgresql_where=text("state = 'refused'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    seller_flex_hub_id: Mapped[str] = mapped_column(String(36))
    sku_code: Mapped[str] = mapped_column(String(100))
    quantity: Mapped[int | None]  # the last one Amazon accepted; None: never
    sent_quantity: Mapped[int | None]  # the last one sent, whatever became of it
    sequence_number: Mapped[int] = mapped_column(BigInteger, default=0)  # the highest used or seen; never goes back
    state: Mapped[PushState | None] = mapped_column(Choice(PushState))  # None: fetched only, never sent
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_code: Mapped[str] = mapped_column(String(120), default="")  # Amazon's errorType/errorSubType
    error_message: Mapped[str] = mapped_column(String(500), default="")  # Amazon's words
    must_push: Mapped[bool] = mapped_column(default=False)  # a person asked for it, whatever the numbers say
    amazon_sellable: Mapped[int | None]
    amazon_reserved: Mapped[int | None]
    fetched_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when Amazon's two numbers were read

    store: Mapped[Store] = relationship()


class BrakeState(StrEnum):
    WAITING = "waiting"
    APPROVED = "approved"  # the next push may zero this many
    USED = "used"  # a push went through with it
    DECLINED = "declined"
    OVER = "over"  # the stock changed, so that nothing is left to decide


class ZeroBrake(db.Model):
    """A push that would have set more SKUs to zero than the store allows; it waits for a person."""

    __tablename__ = "zero_brakes"
    __table_args__ = (
        Index(
            "uq_zero_brakes_one_open",
            "store_id",
            unique=True,
            sqlite_where=text("state IN ('waiting', 'approved')"),
            postgresql_where=text("state IN ('waiting', 'approved')"),
        ),
        Index("ix_zero_brakes_store_id_id", "store_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    state: Mapped[BrakeState] = mapped_column(Choice(BrakeState), default=BrakeState.WAITING)
    n_to_zero: Mapped[int]
    n_published: Mapped[int]  # SKUs at locations that Amazon shows with stock now, or of which nobody knows
    n_unknown: Mapped[int] = mapped_column(default=0, server_default="0")  # of n_to_zero, those of which nobody knows
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by_name: Mapped[str] = mapped_column(String(100), default="")

    store: Mapped[Store] = relationship()

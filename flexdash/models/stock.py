"""Stock: how much of a SKU lies in a hub, how much of that is promised to orders, and every change with its cause."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.hub import Hub
from flexdash.models.seller import Seller
from flexdash.models.types import Choice, UtcDateTime

# Nothing left to promise, as SQL: partial indexes serve it only where query and index say the same words.
IS_NONE_LEFT = "stock_levels.on_hand = stock_levels.reserved"
_NONE_LEFT = text(IS_NONE_LEFT.replace("stock_levels.", ""))


class StockLevel(db.Model):
    """One SKU of one seller in one hub. What may be sold is `on_hand` less `reserved`, never below zero."""

    __tablename__ = "stock_levels"
    __table_args__ = (
        UniqueConstraint("hub_id", "seller_id", "sku_code"),
        CheckConstraint("on_hand >= 0", name="on_hand"),
        CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="reserved"),
        Index("ix_stock_levels_workspace_id_sku_code_id", "workspace_id", "sku_code", "id"),
        Index("ix_stock_levels_seller_id_sku_code_id", "seller_id", "sku_code", "id"),
        Index("ix_stock_levels_hub_id_sku_code_id", "hub_id", "sku_code", "id"),
        *(
            Index(
                f"ix_stock_levels_none_left_{column}",
                f"{column}_id",
                "sku_code",
                "id",
                sqlite_where=_NONE_LEFT,
                postgresql_where=_NONE_LEFT,
            )
            for column in ("workspace", "seller", "hub")
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    hub_id: Mapped[int] = mapped_column(ForeignKey("hubs.id"))
    seller_id: Mapped[int] = mapped_column(ForeignKey("sellers.id"))
    sku_code: Mapped[str] = mapped_column(String(100))
    on_hand: Mapped[int] = mapped_column(default=0)
    reserved: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    hub: Mapped[Hub] = relationship()
    seller: Mapped[Seller] = relationship()

    @property
    def available(self) -> int:
        """What may still be sold."""
        return self.on_hand - self.reserved


class StockCause(StrEnum):
    """Why stock changed."""

    UPLOAD = "upload"
    EDIT = "edit"  # typed on the page: units that came in or are gone
    RESERVATION = "reservation"  # an order became New Order
    RELEASE = "release"  # an order was cancelled or put On Hold
    SHIPMENT = "shipment"  # an order left the hub
    CORRECTION = "correction"  # somebody counted, and it was another number than here


class StockMovement(db.Model):
    """One change of a stock level, written by `services.stock`; triggers refuse UPDATE and DELETE."""

    __tablename__ = "stock_movements"
    __table_args__ = (
        Index("ix_stock_movements_level_id_id", "stock_level_id", "id"),
        Index("ix_stock_movements_order_id", "order_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    stock_level_id: Mapped[int] = mapped_column(ForeignKey("stock_levels.id"))
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    cause: Mapped[StockCause] = mapped_column(Choice(StockCause))
    on_hand_change: Mapped[int]
    reserved_change: Mapped[int]
    on_hand_after: Mapped[int]
    reserved_after: Mapped[int]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    upload_id: Mapped[int | None] = mapped_column(ForeignKey("uploads.id"))
    actor_name: Mapped[str] = mapped_column(String(100), default="FlexDash")
    note: Mapped[str] = mapped_column(String(300), default="")

"""Orders: one per Amazon shipment and store, with lines, hold reasons and a timeline."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.hub import Hub
from flexdash.models.store import Store
from flexdash.models.types import Choice, ExactDecimal, JsonValue, UtcDateTime


class OrderState(StrEnum):
    NEW = "New Order"
    ON_HOLD = "On Hold"
    PICKED = "Picked"
    PACKED = "Packed"
    READY_TO_SHIP = "Ready to Ship"
    SHIPPED = "Shipped"
    DELIVERED = "Delivered"
    CANCELLED = "Cancelled"

    @property
    def after_is(self) -> str:
        """The state as it stands behind "is" in a sentence: one of them is a noun."""
        return f"a {self.value}" if self is OrderState.NEW else self.value


# What a hub still has to work, as SQL: a partial index serves it only where query and index say the same words.
IS_OPEN = "orders.state IN ('New Order', 'On Hold', 'Picked', 'Packed', 'Ready to Ship')"

# To be worked, while Amazon refused to take note that it was accepted.
IS_ACKNOWLEDGEMENT_REFUSED = f"orders.acknowledgement = 'refused' AND {IS_OPEN}"

# Cancelled by a person here, or meant to be, while Amazon was not told or refused and still expects it. An order that
# Amazon refused to cancel is done with once it was shipped, or once somebody closed the conflict about it.
IS_CANCELLATION_OPEN = (
    "orders.amazon_status NOT IN ('SHIPPED', 'DELIVERED', 'CANCELLED') AND (orders.cancellation = 'not_sent' OR "
    "(orders.cancellation = 'refused' AND orders.state NOT IN ('Shipped', 'Delivered') AND "
    "(orders.state <> 'Cancelled' OR orders.has_conflict)))"
)


class HoldReason(StrEnum):
    NO_HUB_MAPPED = "no_hub_mapped"
    HUB_INACTIVE = "hub_inactive"  # the mapping or the hub itself is switched off
    SKU_UNKNOWN = "sku_unknown"  # neither in the store's catalog nor among the seller's SKUs
    NO_ASIN = "no_asin"  # the seller's SKU, but the store's catalog has no ASIN for it
    NOT_ENOUGH_STOCK = "not_enough_stock"


class OrderStock(StrEnum):
    """What the order has of the hub's stock. Each step is taken once, while the order's row is locked."""

    NONE = "none"
    RESERVED = "reserved"  # at `hub_id`
    DEDUCTED = "deducted"  # it left the hub


class Acknowledgement(StrEnum):
    """Where the CONFIRM to Amazon stands."""

    NOT_YET = "not_yet"  # On Hold: Amazon is not told
    PENDING = "pending"  # New Order, committed here, Amazon still to be told
    DONE = "done"
    NOT_NEEDED = "not_needed"  # Amazon had it confirmed, cancelled or moved on without us
    REFUSED = "refused"  # Amazon refused; a person has to look


class OrderCancellation(StrEnum):
    """How far a cancellation by a person here is on its way to Amazon."""

    NONE = "none"
    CANCELLING = "cancelling"  # Amazon is to be told; the order waits for its answer
    NOT_SENT = "not_sent"  # cancelled here only: Automated Order Cancellation on Sales Channel was off
    REFUSED = "refused"  # Amazon refused; `cancellation_message` has its words
    DONE = "done"  # Amazon cancelled it


class Order(db.Model):
    """One Amazon shipment to work. Buyer data is JSON encrypted by the vault, read only through `services.orders`."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("store_id", "amazon_shipment_id"),
        Index("ix_orders_workspace_id_id", "workspace_id", "id"),
        Index("ix_orders_workspace_id_state_id", "workspace_id", "state", "id"),
        Index("ix_orders_workspace_id_store_id_id", "workspace_id", "store_id", "id"),
        Index("ix_orders_workspace_id_hub_id_id", "workspace_id", "hub_id", "id"),
        Index(
            "ix_orders_open_by_deadline",
            "workspace_id",
            "ship_by_at",
            "id",
            sqlite_where=text(IS_OPEN.removeprefix("orders.")),
            postgresql_where=text(IS_OPEN.removeprefix("orders.")),
        ),
        Index("ix_orders_workspace_id_imported_at", "workspace_id", "imported_at", "store_id"),
        Index("ix_orders_workspace_id_store_id_imported_at", "workspace_id", "store_id", "imported_at"),
        Index("ix_orders_workspace_id_amazon_order_id", "workspace_id", "amazon_order_id"),
        Index("ix_orders_workspace_id_amazon_shipment_id", "workspace_id", "amazon_shipment_id"),
        *(
            Index(
                f"ix_orders_{flag.removeprefix('is_')}{of_owner}",
                f"{owner}_id",
                "id",
                sqlite_where=text(flag),
                postgresql_where=text(flag),
            )
            for flag in ("is_invoice_waiting", "has_conflict")
            for owner, of_owner in (("workspace", ""), ("store", "_of_store"))
        ),
        *(
            Index(
                f"ix_orders_open_cancellations_of_{owner}",
                f"{owner}_id",
                "id",
                sqlite_where=text(IS_CANCELLATION_OPEN.replace("orders.", "")),
                postgresql_where=text(IS_CANCELLATION_OPEN.replace("orders.", "")),
            )
            for owner in ("workspace", "store")
        ),
        *(
            Index(
                f"ix_orders_{moment}_with_buyer",
                moment,
                sqlite_where=text(f"buyer_deleted_at IS NULL AND {moment} IS NOT NULL"),
                postgresql_where=text(f"buyer_deleted_at IS NULL AND {moment} IS NOT NULL"),
            )
            for moment in ("delivered_at", "cancelled_at", "shipped_at")
        ),
        Index(
            "ix_orders_to_acknowledge",
            "store_id",
            "id",
            sqlite_where=text("acknowledgement = 'pending'"),
            postgresql_where=text("acknowledgement = 'pending'"),
        ),
        *(
            Index(
                f"ix_orders_acknowledgement_refused{of_owner}",
                f"{owner}_id",
                "id",
                sqlite_where=text(IS_ACKNOWLEDGEMENT_REFUSED.replace("orders.", "")),
                postgresql_where=text(IS_ACKNOWLEDGEMENT_REFUSED.replace("orders.", "")),
            )
            for owner, of_owner in (("workspace", "_of_workspace"), ("store", ""))
        ),
        Index(
            "ix_orders_on_hold",
            "store_id",
            "seller_flex_hub_id",
            sqlite_where=text("state = 'On Hold'"),
            postgresql_where=text("state = 'On Hold'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    amazon_shipment_id: Mapped[str] = mapped_column(String(100))
    amazon_order_id: Mapped[str] = mapped_column(String(100), default="")
    seller_flex_hub_id: Mapped[str] = mapped_column(String(36))
    hub_id: Mapped[int | None] = mapped_column(ForeignKey("hubs.id"))
    state: Mapped[OrderState] = mapped_column(Choice(OrderState))
    stock: Mapped[OrderStock] = mapped_column(Choice(OrderStock), default=OrderStock.NONE)
    acknowledgement: Mapped[Acknowledgement] = mapped_column(Choice(Acknowledgement))
    acknowledgement_message: Mapped[str] = mapped_column(String(500), default="")
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    amazon_status: Mapped[str] = mapped_column(String(60))  # Amazon's raw word
    amazon_sub_status: Mapped[str] = mapped_column(String(60), default="")
    amazon_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    amazon_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    placed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ship_by_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    n_units: Mapped[int] = mapped_column(default=0)
    n_lines: Mapped[int] = mapped_column(default=0)
    total: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    currency: Mapped[str] = mapped_column(String(3), default="")
    shipment_type: Mapped[str] = mapped_column(String(30), default="")
    payment_method: Mapped[str] = mapped_column(String(30), default="")
    priority: Mapped[str] = mapped_column(String(30), default="")
    processing_source: Mapped[str] = mapped_column(String(40), default="")
    rejectable_statuses: Mapped[list[str]] = mapped_column(JsonValue, default=list)
    buyer_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)

    picked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    packed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ready_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    shipped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    moved_by: Mapped[str] = mapped_column(String(100), default="")  # who brought it to its state: a person, or Amazon
    invoice_requirement: Mapped[str] = mapped_column(String(20), default="")  # Amazon's REQUIRED or NOT_REQUIRED
    invoice_status: Mapped[str] = mapped_column(String(20), default="")  # Amazon's PENDING, AVAILABLE, NOT_AVAILABLE
    is_invoice_waiting: Mapped[bool] = mapped_column(default=False)  # stands in the invoice to-do list
    cancellation: Mapped[OrderCancellation] = mapped_column(Choice(OrderCancellation), default=OrderCancellation.NONE)
    cancellation_message: Mapped[str] = mapped_column(String(500), default="")

    cancelled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancelled_by: Mapped[str] = mapped_column(String(40), default="")  # Amazon's cancellationType
    cancellation_reason: Mapped[str] = mapped_column(String(300), default="")
    has_conflict: Mapped[bool] = mapped_column(default=False)  # has an OrderConflict that nobody has closed yet
    buyer_deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # buyer and documents, as Amazon demands

    store: Mapped[Store] = relationship()
    hub: Mapped[Hub | None] = relationship()
    lines: Mapped[list["OrderLine"]] = relationship(order_by="OrderLine.id", back_populates="order")
    holds: Mapped[list["OrderHold"]] = relationship(order_by="OrderHold.id", back_populates="order")
    events: Mapped[list["OrderEvent"]] = relationship(order_by="OrderEvent.id", back_populates="order")


class OrderLine(db.Model):
    __tablename__ = "order_lines"
    __table_args__ = (Index("ix_order_lines_sku_code_order_id", "sku_code", "order_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    amazon_line_id: Mapped[str] = mapped_column(String(100))
    sku_code: Mapped[str] = mapped_column(String(100))
    n_units: Mapped[int]
    item_total: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    tax_total: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    total: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    currency: Mapped[str] = mapped_column(String(3), default="")
    charges: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue, default=list)  # as Amazon sent them
    compliance: Mapped[dict[str, Any]] = mapped_column(JsonValue, default=dict)

    order: Mapped[Order] = relationship(back_populates="lines")


class OrderHold(db.Model):
    """One reason why an order cannot be worked; the row goes when the reason does (the timeline keeps the story)."""

    __tablename__ = "order_holds"
    __table_args__ = (
        UniqueConstraint("order_id", "reason"),
        Index("ix_order_holds_workspace_id_reason_order_id", "workspace_id", "reason", "order_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    reason: Mapped[HoldReason] = mapped_column(Choice(HoldReason))
    detail: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    order: Mapped[Order] = relationship(back_populates="holds")


class OrderEvent(db.Model):
    """One entry of an order's timeline, in a sentence."""

    __tablename__ = "order_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    kind: Mapped[str] = mapped_column(
        String(30)
    )  # imported, held, released, acknowledged, changed, cancelled, revealed …
    sentence: Mapped[str] = mapped_column(String(500))
    actor_name: Mapped[str] = mapped_column(String(100), default="FlexDash")
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)

    order: Mapped[Order] = relationship(back_populates="events")

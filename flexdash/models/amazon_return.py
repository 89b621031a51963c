"""Returns, as Amazon tells them: read-only here, linked to the order they belong to.

No one-time password and no buyer data is in these tables; see flexdash/amazon/return_reader.py.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.order import Order
from flexdash.models.store import Store
from flexdash.models.types import JsonValue, UtcDateTime

# As SQL: a partial index serves a query only where both say the same words.
HAS_NO_ORDER = "order_id IS NULL"
IS_UNLISTED = "is_unlisted"


class AmazonReturn(db.Model):
    """One return item of Amazon's, one row per store and return id."""

    __tablename__ = "amazon_returns"
    __table_args__ = (
        UniqueConstraint("store_id", "amazon_return_id"),
        Index("ix_amazon_returns_workspace_id_id", "workspace_id", "id"),
        Index("ix_amazon_returns_workspace_id_store_id_id", "workspace_id", "store_id", "id"),
        Index("ix_amazon_returns_workspace_id_store_id_status_id", "workspace_id", "store_id", "amazon_status", "id"),
        Index("ix_amazon_returns_workspace_id_status_id", "workspace_id", "amazon_status", "id"),
        Index("ix_amazon_returns_workspace_id_sku_code_id", "workspace_id", "sku_code", "id"),
        Index("ix_amazon_returns_workspace_id_amazon_return_id", "workspace_id", "amazon_return_id"),
        Index("ix_amazon_returns_workspace_id_amazon_shipment_id", "workspace_id", "amazon_shipment_id"),
        Index("ix_amazon_returns_workspace_id_amazon_order_id", "workspace_id", "amazon_order_id"),
        Index("ix_amazon_returns_workspace_id_tracking_id", "workspace_id", "tracking_id"),
        Index("ix_amazon_returns_store_id_location_id", "store_id", "return_location_id"),
        Index(
            "ix_amazon_returns_without_order",
            "store_id",
            "id",
            sqlite_where=text(HAS_NO_ORDER),
            postgresql_where=text(HAS_NO_ORDER),
        ),
        Index(
            "ix_amazon_returns_unlisted",
            "store_id",
            "read_at",
            sqlite_where=text(IS_UNLISTED),
            postgresql_where=text(IS_UNLISTED),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"), index=True)
    amazon_return_id: Mapped[str] = mapped_column(String(100))

    amazon_status: Mapped[str] = mapped_column(String(60))  # Amazon's raw word
    return_type: Mapped[str] = mapped_column(String(60), default="")  # Amazon's raw words, these two
    return_sub_type: Mapped[str] = mapped_column(String(60), default="")
    sku_code: Mapped[str] = mapped_column(String(100), default="")
    channel_sku: Mapped[str] = mapped_column(String(100), default="")
    n_units: Mapped[int | None]
    reason: Mapped[str] = mapped_column(String(300), default="")
    rma_id: Mapped[str] = mapped_column(String(100), default="")
    invoice_id: Mapped[str] = mapped_column(String(100), default="")

    # Amazon's ids of the order it belongs to: of the External Fulfillment shipment, of the marketplace's own shipment,
    # and of the buyer's order; any of them may be missing.
    amazon_shipment_id: Mapped[str] = mapped_column(String(100), default="")
    channel_shipment_id: Mapped[str] = mapped_column(String(100), default="")
    amazon_order_id: Mapped[str] = mapped_column(String(100), default="")
    exchange_order_id: Mapped[str] = mapped_column(String(100), default="")

    # Seller Flex Hub IDs: where it is handed in, and where the order left from.
    return_location_id: Mapped[str] = mapped_column(String(100), default="")
    fulfillment_location_id: Mapped[str] = mapped_column(String(100), default="")
    amazon_merchant_id: Mapped[str] = mapped_column(String(100), default="")
    marketplace_name: Mapped[str] = mapped_column(String(60), default="")
    channel_name: Mapped[str] = mapped_column(String(60), default="")

    carrier: Mapped[str] = mapped_column(String(60), default="")  # of the way back
    tracking_id: Mapped[str] = mapped_column(String(100), default="")
    outbound_carrier: Mapped[str] = mapped_column(String(60), default="")
    outbound_tracking_id: Mapped[str] = mapped_column(String(100), default="")
    # [carrier, tracking id] of the way back before the delivery was planned anew, as Amazon lists them.
    earlier_trackings: Mapped[list[list[str]]] = mapped_column(JsonValue, default=list)
    delivery_mode: Mapped[str] = mapped_column(String(60), default="")  # Amazon's raw word
    otp_valid_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the password itself is never kept

    amazon_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    amazon_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    picked_up_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    imported_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)  # when news last came in
    # No list of Amazon's brings its changes (its location or status cannot be asked for), so it is asked for by its id.
    is_unlisted: Mapped[bool] = mapped_column(default=False)
    read_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)  # when it was last asked for by it

    store: Mapped[Store] = relationship()
    order: Mapped[Order | None] = relationship()


class ReturnLocation(db.Model):
    """A location whose returns a store reads, and how far its changes were read."""

    __tablename__ = "return_locations"
    __table_args__ = (UniqueConstraint("store_id", "location_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    location_id: Mapped[str] = mapped_column(String(100))
    watermark: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: not read yet


class QuarantinedReturn(db.Model):
    """A return that could not be read or written, until a later run can; nothing of it is kept but its id."""

    __tablename__ = "quarantined_returns"
    __table_args__ = (
        UniqueConstraint("store_id", "amazon_return_id"),
        Index(
            "ix_quarantined_returns_waiting",
            "store_id",
            "last_seen_at",
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    amazon_return_id: Mapped[str] = mapped_column(String(100))
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    error_sentence: Mapped[str] = mapped_column(String(500))
    first_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)  # or asked for in vain
    n_times_seen: Mapped[int] = mapped_column(default=1)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    store: Mapped[Store] = relationship()

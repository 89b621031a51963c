"""Stores: a seller's Amazon Seller Flex account in one country, and the authorizations on the way to it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.seller import Seller
from flexdash.models.types import Choice, UtcDateTime


class StoreStatus(StrEnum):
    DRAFT = "draft"  # the wizard is under way
    CONNECTED = "connected"
    NEEDS_REAUTHORIZATION = "needs_reauthorization"  # Amazon refused the token; `reauthorization_reason` says why
    DISCONNECTED = "disconnected"  # by a person; tokens deleted, history kept


# Stores of which nothing is expected, as SQL: a partial index serves it only where query and index say the same words.
IS_AT_REST = (
    "(stores.status IN ('draft', 'disconnected') OR NOT (stores.is_order_sync_on OR stores.is_inventory_sync_on))"
)


class Store(db.Model):
    """One connection. `settings_version` counts changes of the toggles: a form made from an older one is refused."""

    __tablename__ = "stores"
    __table_args__ = (
        # One Amazon account and country is connected once in a workspace, by the database's word.
        Index(
            "uq_stores_live_account",
            "workspace_id",
            "amazon_selling_partner_id",
            "marketplace_id",
            unique=True,
            sqlite_where=text("status IN ('connected', 'needs_reauthorization')"),
            postgresql_where=text("status IN ('connected', 'needs_reauthorization')"),
        ),
        Index("ix_stores_workspace_id_seller_id", "workspace_id", "seller_id"),
        Index("ix_stores_workspace_id_id", "workspace_id", "id", unique=True),  # which listings point at
        Index("ix_stores_workspace_id_name_id", "workspace_id", "name", "id"),
        Index(
            "ix_stores_refused",
            "workspace_id",
            "name",
            "id",
            sqlite_where=text("status = 'needs_reauthorization'"),
            postgresql_where=text("status = 'needs_reauthorization'"),
        ),
        Index(
            "ix_stores_at_rest",
            "workspace_id",
            "name",
            "id",
            sqlite_where=text(IS_AT_REST.replace("stores.", "")),
            postgresql_where=text(IS_AT_REST.replace("stores.", "")),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    seller_id: Mapped[int] = mapped_column(ForeignKey("sellers.id"), index=True)
    name: Mapped[str] = mapped_column(String(100), default="")
    country_code: Mapped[str] = mapped_column(String(2))
    marketplace_id: Mapped[str] = mapped_column(String(20))
    currency: Mapped[str] = mapped_column(String(3))
    status: Mapped[StoreStatus] = mapped_column(Choice(StoreStatus), default=StoreStatus.DRAFT)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))

    amazon_selling_partner_id: Mapped[str | None] = mapped_column(String(40))
    refresh_token_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    authorized_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    authorization_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reauthorization_reason: Mapped[str] = mapped_column(String(500), default="")
    connected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the first time
    disconnected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    is_order_sync_on: Mapped[bool] = mapped_column(default=False)
    is_inventory_sync_on: Mapped[bool] = mapped_column(default=False)
    is_automated_cancellation_on: Mapped[bool] = mapped_column(default=False)
    settings_version: Mapped[int] = mapped_column(default=1)
    stock_buffer: Mapped[int] = mapped_column(default=0)  # units of each SKU and hub that Amazon is not told of
    zero_brake_percent: Mapped[int] = mapped_column(default=30)  # a push that zeroes a larger share waits for a person

    seller: Mapped[Seller] = relationship()


class AuthorizationAttempt(db.Model):
    """One trip to Amazon's consent page: the random `state`, whom it belongs to, and how it ended."""

    __tablename__ = "authorization_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    # None once its draft was discarded: who comes back from it is still told so.
    store_id: Mapped[int | None] = mapped_column(ForeignKey("stores.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    user_session_id: Mapped[int] = mapped_column(ForeignKey("user_sessions.id"))
    state_hash: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of the state
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(40), default="")  # connected, denied, code_refused …
    reference: Mapped[str] = mapped_column(String(12), index=True)  # what the failure page shows for support

    store: Mapped[Store | None] = relationship()

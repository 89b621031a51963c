"""The Configuration Log: append-only, each row carrying the hash of the one before."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flexdash.extensions import db
from flexdash.models.types import Choice, JsonValue, UtcDateTime


class Section(StrEnum):
    CONNECTION = "Connection"
    SETTINGS = "Settings"
    HUB_MAPPING = "Hub Mapping"
    CATALOG = "Catalog"
    PRICES = "Prices"
    STOCK = "Stock"
    HUBS = "Hubs"
    SELLERS = "Sellers"
    USERS = "Users"
    ALARMS = "Alarms"


class ConfigEvent(db.Model):
    """One change, in a sentence, written by `services.config_log.record` only.

    Triggers, made by the migration, refuse UPDATE and DELETE.
    """

    __tablename__ = "config_events"
    __table_args__ = (
        UniqueConstraint("workspace_id", "sequence"),
        Index("ix_config_events_store", "workspace_id", "store_id", "occurred_at", "id"),
        Index(
            "ix_config_events_workspace_id_store_id_section_sequence", "workspace_id", "store_id", "section", "sequence"
        ),
        Index("ix_config_events_section", "workspace_id", "section", "occurred_at", "id"),
        Index("ix_config_events_actor", "workspace_id", "actor_id", "occurred_at", "id"),
        Index("ix_config_events_newest", "workspace_id", "occurred_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    sequence: Mapped[int]  # 1, 2, 3 … within the workspace, without gaps
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    actor_name: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(45))
    section: Mapped[Section] = mapped_column(Choice(Section))
    seller_id: Mapped[int | None] = mapped_column(ForeignKey("sellers.id"))
    store_id: Mapped[int | None] = mapped_column(ForeignKey("stores.id"))
    sentence: Mapped[str] = mapped_column(String(500))
    old_value: Mapped[dict[str, Any]] = mapped_column(JsonValue)
    new_value: Mapped[dict[str, Any]] = mapped_column(JsonValue)
    reason: Mapped[str] = mapped_column(String(300))
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class ConfigChainHead(db.Model):
    """The newest link of a workspace's chain, kept outside the log so that a cut end is noticed; locked to append."""

    __tablename__ = "config_chain_heads"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(default=0)
    hash: Mapped[str] = mapped_column(String(64), default="")
    # How the latest verification of the chain ended; `verified_fault` is empty when all was well. `verified_at` is when
    # it began to read: of what was changed later it knows nothing.
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verified_sequence: Mapped[int] = mapped_column(default=0)
    verified_fault: Mapped[str] = mapped_column(String(500), default="")
    # The furthest link that any verification found in order. The chain must have it for ever: without it the end was
    # cut off, and with another hash it was written anew, even where the head fits.
    known_sequence: Mapped[int] = mapped_column(default=0)
    known_hash: Mapped[str] = mapped_column(String(64), default="")
    # How far the verification by the clock has come, in steps: since when it reads, None while none is under way, and
    # the last link that was in order.
    walk_began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    walk_sequence: Mapped[int] = mapped_column(default=0)
    walk_hash: Mapped[str] = mapped_column(String(64), default="")


class ConfigRevert(db.Model):
    """Which row took back which, to look it up by. What holds is the chain: the row that took back says so itself."""

    __tablename__ = "config_reverts"
    __table_args__ = (Index("ix_config_reverts_reverted", "workspace_id", "reverted_sequence"),)

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reverted_sequence: Mapped[int]

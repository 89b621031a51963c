"""Hubs (warehouses) and the Seller Flex Hub IDs they have in each store."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.types import Choice, UtcDateTime


class Hub(db.Model):
    __tablename__ = "hubs"
    __table_args__ = (UniqueConstraint("workspace_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    code: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(100))
    city: Mapped[str] = mapped_column(String(100), default="")
    country_code: Mapped[str] = mapped_column(String(2), default="")
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)


class VerifyResult(StrEnum):
    """What Amazon said when a Seller Flex Hub ID was verified."""

    FOUND = "found"  # Amazon answered, with shipments of this location
    EMPTY = "empty"  # Amazon answered, with no shipment of this location (Amazon does not say whether the id exists)
    REFUSED = "refused"  # Amazon refused the id


class HubMapping(db.Model):
    """The Seller Flex Hub ID that a hub has in one store: one hub, one id."""

    __tablename__ = "hub_mappings"
    __table_args__ = (
        UniqueConstraint("store_id", "hub_id"),
        UniqueConstraint("store_id", "seller_flex_hub_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"))
    hub_id: Mapped[int] = mapped_column(ForeignKey("hubs.id"), index=True)
    seller_flex_hub_id: Mapped[str] = mapped_column(String(36))
    is_active: Mapped[bool] = mapped_column(default=True)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verify_result: Mapped[VerifyResult | None] = mapped_column(Choice(VerifyResult))
    verify_message: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    version: Mapped[int] = mapped_column(default=1)  # counts changes: a form made from an older one is refused

    hub: Mapped[Hub] = relationship()

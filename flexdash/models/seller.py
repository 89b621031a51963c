"""Sellers (the brands a workspace serves) and their SKUs."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.types import UtcDateTime
from flexdash.models.workspace import Workspace


class Seller(db.Model):
    __tablename__ = "sellers"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str] = mapped_column(String(100))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    workspace: Mapped[Workspace] = relationship()


class Sku(db.Model):
    """One thing a seller sells, under the code printed on it."""

    __tablename__ = "skus"
    __table_args__ = (UniqueConstraint("seller_id", "sku_code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    seller_id: Mapped[int] = mapped_column(ForeignKey("sellers.id"))
    sku_code: Mapped[str] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(250))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)

    seller: Mapped[Seller] = relationship()

"""People who sign in, their roles, and the sessions they are signed in with."""

from datetime import datetime
from enum import StrEnum

from flask_login import UserMixin
from sqlalchemy import Column, ForeignKey, String, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.seller import Seller
from flexdash.models.types import Choice, UtcDateTime
from flexdash.models.workspace import Workspace


class Role(StrEnum):
    MERCHANT = "merchant"
    ADMIN = "admin"
    SUPPORT = "support"


user_sellers = Table(
    "user_sellers",
    db.metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("seller_id", ForeignKey("sellers.id", ondelete="CASCADE"), primary_key=True),
)


class User(UserMixin, db.Model):
    """A person with one role in one workspace. `is_limited_to_sellers` makes `sellers` the only ones they may see."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(String(200))
    role: Mapped[Role] = mapped_column(Choice(Role))
    time_zone: Mapped[str | None] = mapped_column(String(64))
    # A plain column: Flask-Login's UserMixin has a property of this name, and a deactivated user must fail at once.
    is_active: Mapped[bool] = mapped_column(default=True)  # type: ignore[assignment]
    is_limited_to_sellers: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    password_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    workspace: Mapped[Workspace] = relationship()
    sellers: Mapped[list[Seller]] = relationship(secondary=user_sellers, order_by=Seller.name)


class UserSession(db.Model):
    """One signed-in browser. The cookie holds a random token, this row its SHA-256; a revoked row ends the session."""

    __tablename__ = "user_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    address: Mapped[str] = mapped_column(String(45), default="")
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship()

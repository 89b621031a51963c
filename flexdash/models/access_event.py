"""The access log: who came in, who may do what, and who took data out. Append-only."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from flexdash.extensions import db
from flexdash.models.types import Choice, UtcDateTime


class AccessKind(StrEnum):
    SIGNED_IN = "Signed in"
    REFUSED = "Sign-in refused"
    HELD_BACK = "Sign-in held back"
    SIGNED_OUT = "Signed out"
    SESSION_ENDED = "Session ended"
    PASSWORD = "Password"  # noqa: S105 - the name of a kind
    ROLE = "Role and access"
    BUYER_DATA = "Buyer data"
    DOCUMENT = "Document"
    EXPORT = "Export"


class AccessEvent(db.Model):
    """One access, in a sentence, written by `services.access_log` only.

    Triggers, made by the migration, refuse UPDATE, and DELETE of what is younger than a year.
    """

    __tablename__ = "access_events"
    __table_args__ = (
        Index("ix_access_events_newest", "workspace_id", "occurred_at", "id"),
        Index("ix_access_events_kind", "workspace_id", "kind", "occurred_at", "id"),
        Index("ix_access_events_actor", "workspace_id", "actor_id", "occurred_at", "id"),
        Index("ix_access_events_occurred_at", "occurred_at"),  # for what has had its time
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # None: somebody tried to sign in with an e-mail that nobody has. No page shows these.
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspaces.id"))
    occurred_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[AccessKind] = mapped_column(Choice(AccessKind))
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))  # with a refused sign-in, whose account it was
    actor_name: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(45))
    sentence: Mapped[str] = mapped_column(String(500))
    # What it was about, where that has a page.
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    store_id: Mapped[int | None] = mapped_column(ForeignKey("stores.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("orders.id"))
    # Without foreign keys: a listing may go and its row here stays. A SKU with a store is that store's listing.
    sku_code: Mapped[str | None] = mapped_column(String(100))
    stock_level_id: Mapped[int | None]

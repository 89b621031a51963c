"""Listings: a seller's SKUs as they stand in one store, and what became of their prices at Amazon."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.store import Store
from flexdash.models.types import Choice, ExactDecimal, UtcDateTime


class PriceState(StrEnum):
    """How far a listing's price is on its way to Amazon."""

    NONE = "none"  # no price was given here
    WAITING = "waiting"  # given here, Amazon not told yet
    SENT = "sent"  # Amazon took it and has not shown it yet
    APPLIED = "applied"  # Amazon shows it
    REFUSED = "refused"  # Amazon refused it; `price_message` has its words


# What the next price push has to look at, as SQL: a partial index serves it where query and index say the same words.
PRICE_IS_UNDER_WAY = "price_state IN ('waiting', 'sent')"
# The same for listings that can be searched by their barcode.
HAS_BARCODE = "barcode <> ''"


class Listing(db.Model):
    """A SKU's entry in one store. It cannot be without an ASIN. Its SKU is the seller's own code, as text."""

    __tablename__ = "listings"
    __table_args__ = (
        # One check and not two for each of a million new rows, and it holds that the store is of the workspace.
        ForeignKeyConstraint(["workspace_id", "store_id"], ["stores.workspace_id", "stores.id"]),
        UniqueConstraint("store_id", "sku_code"),
        Index("ix_listings_store_id_asin", "store_id", "asin"),
        Index(
            "ix_listings_store_id_barcode",
            "store_id",
            "barcode",
            sqlite_where=text(HAS_BARCODE),
            postgresql_where=text(HAS_BARCODE),
        ),
        Index(
            "ix_listings_price_under_way",
            "store_id",
            "sku_code",
            sqlite_where=text(PRICE_IS_UNDER_WAY),
            postgresql_where=text(PRICE_IS_UNDER_WAY),
        ),
        Index(
            "ix_listings_price_feed_id",
            "price_feed_id",
            sqlite_where=text("price_feed_id IS NOT NULL"),
            postgresql_where=text("price_feed_id IS NOT NULL"),
        ),
        Index(
            "ix_listings_price_applied",
            "store_id",
            "sku_code",
            sqlite_where=text("price_state = 'applied'"),
            postgresql_where=text("price_state = 'applied'"),
        ),
        Index(
            "ix_listings_price_refused",
            "store_id",
            "sku_code",
            sqlite_where=text("price_state = 'refused'"),
            postgresql_where=text("price_state = 'refused'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int]
    store_id: Mapped[int]
    sku_code: Mapped[str] = mapped_column(String(100))
    asin: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(250))
    barcode: Mapped[str] = mapped_column(String(50), default="")
    mrp: Mapped[Decimal | None] = mapped_column(ExactDecimal)  # maximum retail price, in the store's currency
    weight_g: Mapped[int | None]
    length_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    width_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    height_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    version: Mapped[int] = mapped_column(default=1)  # counts changes by hand and by upload

    price: Mapped[Decimal | None] = mapped_column(ExactDecimal)  # selling price, in the store's currency
    price_state: Mapped[PriceState] = mapped_column(Choice(PriceState), default=PriceState.NONE)
    price_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    price_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    price_checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when Amazon last said something of it
    price_applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    price_message: Mapped[str] = mapped_column(String(500), default="")  # Amazon's words
    price_feed_id: Mapped[int | None] = mapped_column(ForeignKey("price_feeds.id"))

    store: Mapped[Store] = relationship(primaryjoin=lambda: foreign(Listing.store_id) == Store.id)


class PriceFeed(db.Model):
    """A feed with which many prices went to Amazon at once, until its report is read."""

    __tablename__ = "price_feeds"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int] = mapped_column(ForeignKey("stores.id"), index=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("sync_runs.id"), index=True)
    amazon_feed_id: Mapped[str] = mapped_column(String(100), default="")  # "" until Amazon has taken it
    amazon_status: Mapped[str] = mapped_column(String(30), default="")  # IN_QUEUE, IN_PROGRESS, DONE, FATAL, CANCELLED
    n_messages: Mapped[int] = mapped_column(default=0)
    n_accepted: Mapped[int] = mapped_column(default=0)
    n_refused: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: its report is still to be read
    message: Mapped[str] = mapped_column(String(500), default="")

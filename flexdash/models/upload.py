"""CSV files that people upload: the file itself, its rows once checked, and how far applying them is."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.seller import Seller
from flexdash.models.store import Store
from flexdash.models.types import Choice, ExactDecimal, UtcDateTime


class UploadKind(StrEnum):
    CATALOG = "catalog"
    PRICES = "prices"
    STOCK = "stock"


class StockMode(StrEnum):
    """What the quantities of a stock file mean."""

    SET = "set"  # what lies in the hub
    ADD = "add"  # what came in on top


class UploadState(StrEnum):
    RECEIVED = "received"  # stored, waits to be checked
    CHECKING = "checking"
    CHECKED = "checked"  # the preview stands, a person decides
    ACCEPTED = "accepted"  # a person said yes; waits for a worker
    APPLYING = "applying"
    APPLIED = "applied"
    REFUSED = "refused"  # the file as a whole cannot be used; `error_sentence` says why
    FAILED = "failed"  # given up after several attempts
    DISCARDED = "discarded"  # by a person, or because a newer file of the same kind came


@dataclass(frozen=True)
class UploadPlace:
    """What a file is for: a store, or for stock a seller."""

    kind: UploadKind
    seller: Seller
    store: Store | None

    @property
    def name(self) -> str:
        """The name people know it by."""
        return self.store.name if self.store else self.seller.name


# What a worker still has to do, as SQL for the partial index.
IS_WORK = "state IN ('received', 'checking', 'accepted', 'applying')"


class Upload(db.Model):
    """One file, of a store (catalog, prices) or of a seller (stock).

    While it is applied, what stands in the first `n_applied` rows below the header, blank ones counted, is committed:
    an attempt that dies goes on behind them.
    """

    __tablename__ = "uploads"
    __table_args__ = (
        Index("ix_uploads_workspace_id_id", "workspace_id", "id"),
        Index("ix_uploads_store_id_kind_id", "store_id", "kind", "id"),
        Index("ix_uploads_seller_id_kind_id", "seller_id", "kind", "id"),
        Index("ix_uploads_uploaded_by_id_id", "uploaded_by_id", "id"),
        Index("ix_uploads_uploaded_by_id_seller_id", "uploaded_by_id", "seller_id"),
        Index("ix_uploads_to_do", "id", sqlite_where=text(IS_WORK), postgresql_where=text(IS_WORK)),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    seller_id: Mapped[int] = mapped_column(ForeignKey("sellers.id"))
    store_id: Mapped[int | None] = mapped_column(ForeignKey("stores.id"))  # None: stock, which is the seller's
    kind: Mapped[UploadKind] = mapped_column(Choice(UploadKind))
    stock_mode: Mapped[StockMode | None] = mapped_column(Choice(StockMode))
    file_name: Mapped[str] = mapped_column(String(200))
    n_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    encoding: Mapped[str] = mapped_column(String(20), default="")  # "" until it is found or chosen
    delimiter: Mapped[str] = mapped_column(String(1), default="")
    uploaded_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    uploaded_by_name: Mapped[str] = mapped_column(String(100))
    uploaded_from: Mapped[str] = mapped_column(String(45), default="")  # address
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    # The waiting upload that was put aside for this one. No foreign key: SQLite adds one by making the table anew only.
    took_place_of_id: Mapped[int | None]

    state: Mapped[UploadState] = mapped_column(Choice(UploadState), default=UploadState.RECEIVED)
    attempt_token: Mapped[str] = mapped_column(String(32), default="")
    n_attempts: Mapped[int] = mapped_column(default=0)  # at the present step
    # The last sign of life of its worker, or since when it waits for one; None: since it was uploaded.
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_sentence: Mapped[str] = mapped_column(String(1000), default="")

    n_rows: Mapped[int] = mapped_column(default=0)  # rows read so far
    n_bytes_read: Mapped[int] = mapped_column(BigInteger, default=0)
    n_new: Mapped[int] = mapped_column(default=0)
    n_changed: Mapped[int] = mapped_column(default=0)
    n_unchanged: Mapped[int] = mapped_column(default=0)
    n_refused: Mapped[int] = mapped_column(default=0)
    n_big_changes: Mapped[int] = mapped_column(default=0)  # prices that change by more than 30 %
    n_applied: Mapped[int] = mapped_column(default=0)
    applied_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    applied_by_name: Mapped[str] = mapped_column(String(100), default="")
    applied_from: Mapped[str] = mapped_column(String(45), default="")  # address
    applied_reason: Mapped[str] = mapped_column(String(300), default="", server_default=text("''"))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    seller: Mapped[Seller] = relationship()
    store: Mapped[Store | None] = relationship()

    @property
    def place(self) -> UploadPlace:
        """What the file is for."""
        return UploadPlace(self.kind, self.seller, self.store)


class UploadChunk(db.Model):
    """A piece of the file as it came. In the database, so that any worker finds it; gone once the file is applied."""

    __tablename__ = "upload_chunks"

    upload_id: Mapped[int] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class RowOutcome(StrEnum):
    """What a row of a file would do, or why it does nothing."""

    NEW = "new"
    CHANGED = "changed"
    BIG_CHANGE = "big_change"  # of a price, by more than 30 %: a person confirms it
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class UploadRow(db.Model):
    """A checked row of a file: of a catalog, of prices or of stock. Refused rows keep their text and the reason.

    The header stands beside them as row 1, without an outcome, its cells in `refused_text`. Without foreign keys, which
    would cost as much as the insert itself for each of a million rows; `services.uploads` deletes the rows of an
    upload.
    """

    __tablename__ = "upload_rows"
    __table_args__ = (Index("ix_upload_rows_upload_id_outcome_row_number", "upload_id", "outcome", "row_number"),)

    upload_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    # As a spreadsheet counts.
    row_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[RowOutcome | None] = mapped_column(Choice(RowOutcome, 10))
    sku_code: Mapped[str | None] = mapped_column(String(100))
    asin: Mapped[str | None] = mapped_column(String(10))
    name: Mapped[str | None] = mapped_column(String(250))
    barcode: Mapped[str | None] = mapped_column(String(50))
    mrp: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    weight_g: Mapped[int | None]
    length_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    width_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    height_cm: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    price: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    hub_id: Mapped[int | None]
    quantity: Mapped[int | None]
    # What was stored when the row was compared: applying asks whether somebody changed it since. None: there was none.
    seen_price: Mapped[Decimal | None] = mapped_column(ExactDecimal)
    seen_on_hand: Mapped[int | None]
    reason: Mapped[str | None] = mapped_column(String(300))
    refused_text: Mapped[str | None] = mapped_column(String(2000))  # the row's cells as JSON, for the file of refusals

"""Alarms: what is wrong now or was, whom each workspace wants told of it, and the messages on their way."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from flexdash import clock
from flexdash.extensions import db
from flexdash.models.store import Store
from flexdash.models.types import Choice, JsonValue, UtcDateTime
from flexdash.models.workspace import Workspace


class AlarmKind(StrEnum):
    ORDER_SYNC_STALE = "order_sync_stale"
    INVENTORY_SYNC_STALE = "inventory_sync_stale"
    SYNC_FAILING = "sync_failing"
    ALL_REFUSED = "all_refused"  # a push of which Amazon took nothing
    ACKNOWLEDGEMENT_REFUSED = "acknowledgement_refused"
    AUTHORIZATION = "authorization"  # ends soon, has ended, or was refused
    ZERO_BRAKE = "zero_brake"
    CONFLICTS = "conflicts"
    QUARANTINE = "quarantine"
    QUEUE_WAITING = "queue_waiting"
    WORKER_AWAY = "worker_away"
    SCHEDULER_AWAY = "scheduler_away"
    REDIS_AWAY = "redis_away"
    LOG_BROKEN = "log_broken"


class Severity(IntEnum):
    """How bad it is; a number, so that the worst can stand first."""

    WARNING = 1
    CRITICAL = 2


class Alarm(db.Model):
    """One problem from when it was seen first until it was over. `subject` tells two of a kind apart."""

    __tablename__ = "alarms"
    __table_args__ = (
        # One open alarm per problem, by the database's word: two watchers open it once.
        Index(
            "uq_alarms_one_open",
            "workspace_id",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
        Index(
            "ix_alarms_open",
            "workspace_id",
            "severity",
            "id",
            sqlite_where=text("cleared_at IS NULL"),
            postgresql_where=text("cleared_at IS NULL"),
        ),
        Index(
            "ix_alarms_past",
            "workspace_id",
            "cleared_at",
            "id",
            sqlite_where=text("cleared_at IS NOT NULL"),
            postgresql_where=text("cleared_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    store_id: Mapped[int | None] = mapped_column(ForeignKey("stores.id"), index=True)  # None: the whole workspace
    kind: Mapped[AlarmKind] = mapped_column(Choice(AlarmKind))
    subject: Mapped[str] = mapped_column(String(100))
    severity: Mapped[int]  # a Severity
    stage: Mapped[int] = mapped_column(default=0)  # grows where the same problem gets worse, which is told anew
    sentence: Mapped[str] = mapped_column(String(500))
    path: Mapped[str] = mapped_column(String(200), default="")  # the page that mends it; "": its own page says how
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    clear_since: Mapped[datetime | None] = mapped_column(UtcDateTime)  # no longer seen, and not yet believed
    cleared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when a message about it was last made
    next_reminder_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    acknowledged_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    acknowledged_by_name: Mapped[str] = mapped_column(String(100), default="")

    store: Mapped[Store | None] = relationship()


class AlarmSettings(db.Model):
    """Whom one workspace wants told of alarms. A workspace without a row has its admins told by e-mail."""

    __tablename__ = "alarm_settings"

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), unique=True)
    version: Mapped[int] = mapped_column(default=1)  # counts changes: a form made from an older one is refused
    is_to_admins: Mapped[bool] = mapped_column(default=True)
    addresses: Mapped[list[str]] = mapped_column(JsonValue, default=list)
    # Encrypted, for the addresses of many services are as good as a password.
    webhook_url_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    webhook_secret_encrypted: Mapped[bytes | None] = mapped_column(LargeBinary)
    least_severity: Mapped[int] = mapped_column(default=Severity.WARNING.value)
    muted_kinds: Mapped[list[str]] = mapped_column(JsonValue, default=list)
    reminder_hours: Mapped[int] = mapped_column(default=24)  # 0: no reminders


class Channel(StrEnum):
    EMAIL = "email"
    WEBHOOK = "webhook"


class MessageEvent(StrEnum):
    OPENED = "opened"
    REMINDER = "reminder"
    CLEARED = "cleared"
    TEST = "test"


class MessageState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"


class AlarmMessage(db.Model):
    """One message to one recipient about one or many alarms, written in the transaction that changed the alarms."""

    __tablename__ = "alarm_messages"
    __table_args__ = (
        Index("ix_alarm_messages_workspace_id_id", "workspace_id", "id"),
        Index(
            "ix_alarm_messages_waiting",
            "channel",
            "next_try_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    channel: Mapped[Channel] = mapped_column(Choice(Channel))
    recipient: Mapped[str] = mapped_column(String(254))  # an e-mail address, or the webhook's host
    event: Mapped[MessageEvent] = mapped_column(Choice(MessageEvent))
    delivery_id: Mapped[str] = mapped_column(String(32), unique=True)  # the same at every try
    content: Mapped[dict[str, Any]] = mapped_column(JsonValue)  # as services.alarms.content makes it
    state: Mapped[MessageState] = mapped_column(Choice(MessageState), default=MessageState.WAITING)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)
    n_attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime, default=clock.now)  # while it is tried: not before this
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_sentence: Mapped[str] = mapped_column(String(500), default="")  # of the last try that failed

    workspace: Mapped[Workspace] = relationship()

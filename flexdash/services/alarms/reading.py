"""What pages show of alarms, within what the person may see, and saying that one takes care of an alarm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Alarm, AlarmKind, AlarmMessage, Channel, MessageEvent, MessageState, Severity
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.alarms import outbox, wishes
from flexdash.services.errors import NotAllowed, ServiceError

WORST_FIRST = [(Alarm.severity, "desc"), (Alarm.id, "desc")]
NEWEST, OLDEST = "newest", "oldest"
# A workspace has hundreds of open alarms at most, so by age they are sorted where they are found.
_OPEN = {NEWEST: [(Alarm.id, "desc")], OLDEST: [(Alarm.id, "asc")]}
_PAST = {OLDEST: [(Alarm.cleared_at, "asc"), (Alarm.id, "asc")]}
LATEST_PAST_FIRST = [(Alarm.cleared_at, "desc"), (Alarm.id, "desc")]
MESSAGE_ORDER = ((AlarmMessage.id, "desc"),)


@dataclass(frozen=True)
class AlarmFilters:
    """What the list is narrowed to; None narrows nothing."""

    severity: Severity | None = None
    kind: AlarmKind | None = None
    store_id: int | None = None


@dataclass(frozen=True)
class MessageFilters:
    """What the list of messages is narrowed to; None narrows nothing."""

    state: MessageState | None = None
    channel: Channel | None = None


def order_of(*, is_past: bool, by_age: str) -> list[Any]:
    """Return the order of the open or of the past alarms: by `by_age`, NEWEST or OLDEST, or as they are told else."""
    return _PAST.get(by_age, LATEST_PAST_FIRST) if is_past else _OPEN.get(by_age, WORST_FIRST)


def listing(actor: Actor, filters: AlarmFilters, *, is_open: bool) -> Select[tuple[Alarm]]:
    """Return the SELECT of the open alarms, or of those that are over, that `actor` may see."""
    query = access.visible(actor, Alarm).options(joinedload(Alarm.store))
    query = query.where(Alarm.cleared_at.is_(None) if is_open else Alarm.cleared_at.is_not(None))
    if filters.severity is not None:
        query = query.where(Alarm.severity == filters.severity.value)
    if filters.kind is not None:
        query = query.where(Alarm.kind == filters.kind)
    if filters.store_id is not None:
        query = query.where(Alarm.store_id == filters.store_id)
    return query


def newest_past(actor: Actor, filters: AlarmFilters, n: int) -> Sequence[Alarm]:
    """Return the `n` alarms that were over last."""
    query = listing(actor, filters, is_open=False)
    return db.session.scalars(query.order_by(Alarm.cleared_at.desc(), Alarm.id.desc()).limit(n)).all()


def why_untold(alarm: Alarm) -> str:
    """Return why nobody was told of `alarm`, and whether the next reminder will be sent; "" when somebody was told.

    Who is told may have been set since it opened: then that it was opened before is why.
    """
    if alarm.told_at is not None:
        return ""
    asked = wishes.of(alarm.workspace_id)
    if not outbox.reaches_anybody(alarm, asked):
        return "Nobody was told: no e-mail or webhook is set up for it"
    before = "no e-mail or webhook was set up for it when it was noticed"
    if alarm.cleared_at is not None:
        return f"Nobody was told: {before}"
    if alarm.next_reminder_at is None or not asked.reminder_hours:
        return f"Nobody was told: {before}, and no reminder is due"
    return f"Nobody was told yet: {before}. The next reminder will be sent"


def take(actor: Actor, alarm_id: int) -> Alarm:
    """Note that `actor` is on it, so that nobody is reminded; who said so first stays. Returns the alarm.

    Raises NotVisible, NotAllowed, and ServiceError for an alarm that is over.
    """
    if not actor.may(Permission.TAKE_ALARMS):
        raise NotAllowed("Your role does not include taking care of alarms. Ask an admin.")
    with transaction():
        alarm = access.get(actor, Alarm, alarm_id, lock=True)
        if alarm.cleared_at is not None:
            raise ServiceError("This alarm is over: nothing is left to do about it.")
        if alarm.acknowledged_at is None:
            alarm.acknowledged_at, alarm.acknowledged_by_id = clock.now(), actor.user_id
            alarm.acknowledged_by_name, alarm.next_reminder_at = actor.name, None
        return alarm


def messages(actor: Actor, filters: MessageFilters = MessageFilters()) -> Select[tuple[AlarmMessage]]:
    """Return the SELECT of the workspace's messages, tests included."""
    query = access.visible(actor, AlarmMessage)
    if filters.state is not None:
        query = query.where(AlarmMessage.state == filters.state)
    if filters.channel is not None:
        query = query.where(AlarmMessage.channel == filters.channel)
    return query


def latest_test(actor: Actor) -> AlarmMessage | None:
    """Return the newest test message of the workspace, None when there was none."""
    query = messages(actor).where(AlarmMessage.event == MessageEvent.TEST)
    return db.session.scalars(query.order_by(AlarmMessage.id.desc()).limit(1)).one_or_none()


def exists(actor: Actor) -> bool:
    """Say whether there is or was any alarm that `actor` may see."""
    return db.session.scalar(access.visible(actor, Alarm).with_only_columns(Alarm.id).limit(1)) is not None

"""Writing messages about alarms, in the transaction that changes the alarms. Who sends them is another matter."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import joinedload, selectinload

from flexdash.database import one_of
from flexdash.extensions import db, settings
from flexdash.models import Alarm, AlarmMessage, Channel, MessageEvent, Role, User, Workspace
from flexdash.services.alarms import content
from flexdash.services.alarms.wishes import Wishes

ALL_SELLERS = None


def write(events: Mapping[MessageEvent, Collection[int]], wishes: Mapping[int, Wishes], now: datetime) -> int:
    """Write the messages about the alarms whose ids `events` has, and note on each alarm that it was told.

    One message to each recipient and of each event, however many alarms it is about. An end is told only of what was
    told before. Inside the caller's transaction. Returns the number of messages.
    """
    ids = {alarm_id for some in events.values() for alarm_id in some}
    if not ids:
        return 0
    alarms = {
        alarm.id: alarm
        for alarm in db.session.scalars(
            select(Alarm)
            .where(one_of(Alarm.id, ids))
            .options(joinedload(Alarm.store))
            .execution_options(populate_existing=True)
        )
    }
    workspace_ids = {alarm.workspace_id for alarm in alarms.values()}
    workspaces = {
        one.id: one for one in db.session.scalars(select(Workspace).where(one_of(Workspace.id, workspace_ids)))
    }
    readers = _readers(workspace_ids, wishes)
    told: set[int] = set()
    messages: list[AlarmMessage] = []
    for event, some in events.items():
        for workspace_id, wanted in _by_workspace(event, (alarms[one] for one in some), wishes).items():
            workspace = workspaces[workspace_id]
            made = [
                *_emails(workspace, event, wanted, readers[workspace_id], now),
                *_webhooks(workspace, event, wanted, wishes[workspace_id], now),
            ]
            messages += made
            if made:
                told |= {alarm.id for alarm in wanted}
    db.session.add_all(messages)
    if told:
        db.session.execute(
            update(Alarm).where(one_of(Alarm.id, told)).values(told_at=now).execution_options(synchronize_session=False)
        )
    return len(messages)


def reaches_anybody(alarm: Alarm, wishes: Wishes) -> bool:
    """Say whether a message about `alarm`, written now, would go to anybody."""
    if not wishes.wants(alarm):
        return False
    return bool(wishes.webhook_url or _readers([alarm.workspace_id], {alarm.workspace_id: wishes})[alarm.workspace_id])


def _by_workspace(event: MessageEvent, alarms: Iterable[Alarm], wishes: Mapping[int, Wishes]) -> dict[int, list[Alarm]]:
    found: dict[int, list[Alarm]] = defaultdict(list)
    for alarm in sorted(alarms, key=lambda one: (-one.severity, one.id)):
        if wishes[alarm.workspace_id].wants(alarm) and (event is not MessageEvent.CLEARED or alarm.told_at):
            found[alarm.workspace_id].append(alarm)
    return found


def _readers(
    workspace_ids: Collection[int], wishes: Mapping[int, Wishes]
) -> dict[int, dict[str, frozenset[int] | None]]:
    """Return who gets e-mails: the address, and the sellers it may read of; ALL_SELLERS for every one."""
    found: dict[int, dict[str, frozenset[int] | None]] = {one: {} for one in workspace_ids}
    if not settings.smtp_url:
        return found
    to_admins = [one for one in workspace_ids if wishes[one].is_to_admins]
    admins = db.session.scalars(
        select(User)
        .where(one_of(User.workspace_id, to_admins), User.role == Role.ADMIN, User.is_active.is_(True))
        .options(selectinload(User.sellers))
        .order_by(User.id)
    )
    for admin in admins:
        limited = frozenset(seller.id for seller in admin.sellers) if admin.is_limited_to_sellers else ALL_SELLERS
        found[admin.workspace_id][admin.email.lower()] = limited
    for workspace_id in workspace_ids:
        found[workspace_id].update(dict.fromkeys(wishes[workspace_id].addresses, ALL_SELLERS))
    return found


def _emails(
    workspace: Workspace,
    event: MessageEvent,
    alarms: Sequence[Alarm],
    readers: Mapping[str, frozenset[int] | None],
    now: datetime,
) -> Iterable[AlarmMessage]:
    for address, seller_ids in readers.items():
        own = [
            alarm
            for alarm in alarms
            if seller_ids is ALL_SELLERS or (alarm.store is not None and alarm.store.seller_id in seller_ids)
        ]
        if own:
            yield new(workspace.id, Channel.EMAIL, address, event, content.of_alarms(workspace, own), now)


def _webhooks(
    workspace: Workspace, event: MessageEvent, alarms: Sequence[Alarm], wishes: Wishes, now: datetime
) -> Iterable[AlarmMessage]:
    if wishes.webhook_url:
        for some in _portions(alarms, content.MOST_LISTED):  # a program wants every one
            values = content.of_alarms(workspace, some)
            yield new(workspace.id, Channel.WEBHOOK, wishes.webhook_host[:254], event, values, now)


def _portions(alarms: Sequence[Alarm], size: int) -> Iterable[Sequence[Alarm]]:
    return (alarms[start : start + size] for start in range(0, len(alarms), size))


def new(
    workspace_id: int, channel: Channel, recipient: str, event: MessageEvent, values: dict[str, Any], now: datetime
) -> AlarmMessage:
    """Return a message that is due now; the caller adds it to the session."""
    return AlarmMessage(
        workspace_id=workspace_id,
        channel=channel,
        recipient=recipient,
        event=event,
        delivery_id=uuid.uuid4().hex,
        content=values,
        made_at=now,
        next_try_at=now,
    )

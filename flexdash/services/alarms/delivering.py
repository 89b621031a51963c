"""Sending what stands in the outbox: each message until it is taken, with longer and longer pauses, for about a day.

Nothing here is called by a sync or a page, and no transaction is open while a server is waited for.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog
from sqlalchemy import case, delete, func, select, text, update

from flexdash import clock
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings, vault
from flexdash.models import Alarm, AlarmMessage, AlarmSettings, Channel, MessageEvent, MessageState
from flexdash.services.alarms import content, mail, webhook
from flexdash.services.alarms.refusals import NotDelivered
from flexdash.services.alarms.turns import Turns
from flexdash.services.words import shortened
from flexdash.vault import UnreadableSecret

# Before the second try, the third …; 22 hours in all.
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720))
IN_HAND = timedelta(minutes=2)  # longer than any try takes; whose watcher died is tried again after this
KEEP_MESSAGES = timedelta(days=90)
KEEP_ALARMS = timedelta(days=400)
_IS_WAITING = text("alarm_messages.state = 'waiting'")

logger = structlog.get_logger(__name__)


class _InHand(NamedTuple):
    message: AlarmMessage
    url: bytes | None  # this and the next as they are kept, encrypted
    secret: bytes | None


def deliver_next(channel: Channel, turns: Turns | None = None, *, is_for_quick: bool = False) -> bool:
    """Send the message of `channel` whose turn it is, the one due for the longest unless `turns` has others first.

    False when none is due, or each that is has to wait for another of its workspace. Two callers never have the same
    message in hand. One that cannot be sent is put off, or given up in words.
    """
    turns = turns or Turns()
    workspace_id = turns.begin(_due_workspaces(channel), is_for_quick=is_for_quick)
    if workspace_id is None:
        return False
    try:
        return _deliver(channel, workspace_id)
    finally:
        turns.end(workspace_id)


def _deliver(channel: Channel, workspace_id: int) -> bool:
    taken = _take(channel, workspace_id)
    if taken is None:
        return False
    message = taken.message
    try:
        _send(taken)
    except NotDelivered as refusal:
        logger.warning("message not delivered", channel=channel.value, message_id=message.id, reason=refusal.sentence)
        _put_off(message, refusal)
    except Exception as error:
        logger.exception("message not delivered", channel=channel.value, message_id=message.id)
        _put_off(message, NotDelivered(f"FlexDash could not send it ({type(error).__name__})."))
    else:
        _end(message, MessageState.SENT)
    return True


def forget_old() -> None:
    """Delete messages that ended three months ago, and alarms that were over more than a year ago."""
    now = clock.now()
    with transaction() as session:
        session.execute(
            delete(AlarmMessage).where(
                AlarmMessage.state != MessageState.WAITING, AlarmMessage.ended_at < now - KEEP_MESSAGES
            )
        )
        session.execute(delete(Alarm).where(Alarm.cleared_at < now - KEEP_ALARMS))


def _due_workspaces(channel: Channel) -> list[int]:
    """Return the workspaces with a message due, whose has waited longest first, and mere tests after all others."""
    due = (
        select(AlarmMessage.workspace_id)
        .where(_IS_WAITING, AlarmMessage.channel == channel, AlarmMessage.next_try_at <= clock.now())
        .group_by(AlarmMessage.workspace_id)
        .order_by(
            func.min(case((AlarmMessage.event == MessageEvent.TEST, 1), else_=0)), func.min(AlarmMessage.next_try_at)
        )
    )
    found = list(db.session.scalars(due))
    db.session.rollback()
    return found


def _take(channel: Channel, workspace_id: int) -> _InHand | None:
    now = clock.now()
    with transaction() as session:
        message = session.scalars(
            select(AlarmMessage)
            .where(
                _IS_WAITING,
                AlarmMessage.channel == channel,
                AlarmMessage.workspace_id == workspace_id,
                AlarmMessage.next_try_at <= now,
            )
            .order_by(AlarmMessage.event == MessageEvent.TEST, AlarmMessage.next_try_at, AlarmMessage.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if message is None:
            return None
        message.n_attempts += 1
        message.next_try_at = now + IN_HAND
        asked = session.scalars(
            select(AlarmSettings).where(AlarmSettings.workspace_id == message.workspace_id)
        ).one_or_none()
        url = asked.webhook_url_encrypted if asked else None
        secret = asked.webhook_secret_encrypted if asked else None
    db.session.refresh(message)
    db.session.expunge(message)
    release_connection()
    return _InHand(message, url, secret)


def _send(taken: _InHand) -> None:
    message = taken.message
    if message.channel is Channel.EMAIL:
        if not settings.smtp_url:
            raise NotDelivered("E-mail is not set up any more: SMTP_URL is empty.", is_final=True)
        host = urlsplit(settings.public_url).hostname or "flexdash"
        mail.send(
            mail.MailServer.of_url(settings.smtp_url),
            settings.mail_from,
            message.recipient,
            content.subject_of(message),
            content.text_of(message),
            f"<{message.delivery_id}@{host}>",
        )
        return
    if not taken.url or not taken.secret:
        raise NotDelivered("There is no webhook any more.", is_final=True)
    try:
        url, secret = vault.decrypt(taken.url), vault.decrypt(taken.secret)
    except UnreadableSecret:
        raise NotDelivered(
            "The key that the webhook's address is encrypted with is missing from ENCRYPTION_KEYS. Tell whoever runs "
            "FlexDash to put it back."
        ) from None
    webhook.post(url, secret, content.as_json(message), settings.webhook_private_hosts)


def _put_off(message: AlarmMessage, refusal: NotDelivered) -> None:
    n = message.n_attempts
    if refusal.is_final or n > len(PAUSES) or message.event is MessageEvent.TEST:
        tried = f" It was tried {n} times and is given up." if n > 1 else ""
        _end(message, MessageState.GIVEN_UP, refusal.sentence + tried)
        return
    _write(message, next_try_at=clock.now() + PAUSES[n - 1], error_sentence=shortened(refusal.sentence))


def _end(message: AlarmMessage, state: MessageState, sentence: str = "") -> None:
    _write(message, state=state, ended_at=clock.now(), error_sentence=shortened(sentence))


def _write(message: AlarmMessage, **values: MessageState | datetime | str) -> None:
    """Write how the try ended, unless the message was taken in hand anew meanwhile."""
    with transaction() as session:
        session.execute(
            update(AlarmMessage)
            .where(
                AlarmMessage.id == message.id,
                AlarmMessage.state == MessageState.WAITING,
                AlarmMessage.n_attempts == message.n_attempts,
            )
            .values(**values)
            .execution_options(synchronize_session=False)
        )

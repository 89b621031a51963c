"""Changing whom a workspace wants told of alarms, and trying it out; every change is in the Configuration Log."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, settings, vault
from flexdash.models import (
    AlarmKind,
    AlarmMessage,
    AlarmSettings,
    Channel,
    ConfigEvent,
    MessageEvent,
    Section,
    Severity,
    User,
    Workspace,
)
from flexdash.services import access, config_log
from flexdash.services.actors import Actor, Permission
from flexdash.services.alarms import content, outbox, webhook, wishes
from flexdash.services.alarms.addresses import BadAddress, checked_url
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.alarms.wishes import REMINDER_HOURS, Wishes
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.email_addresses import is_address
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.words import listed, quoted

MOST_ADDRESSES = 20
TEST_EVERY = timedelta(seconds=30)
LABELS = {
    "is_to_admins": "e-mails to every admin",
    "addresses": "further addresses",
    "webhook": "the webhook",
    "least_severity": "how bad it has to be",
    "kinds_not_told": "which alarms",
    "reminder_hours": "reminders",
}


@dataclass(frozen=True)
class Asked:
    """What a person typed; the webhook's address "" for none."""

    is_to_admins: bool
    addresses: str
    webhook_url: str
    least_severity: Severity
    told_kinds: Collection[AlarmKind]
    reminder_hours: int


def change(actor: Actor, asked: Asked, *, version: int, reason: str = "") -> str:
    """Set all of it and log what changed, in one transaction; return the secret of a webhook at a new host, else "".

    `version` is that of the wishes the form was made from. The secret can be had here only: it is kept encrypted.
    Raises NotAllowed, FieldRefused for `addresses`, `webhook_url`, `reminder_hours` or `reason`, and ChangedByOther.
    """
    _require(actor)
    reason = config_log.clean_reason(reason)
    new = Wishes(
        is_to_admins=asked.is_to_admins,
        addresses=checked_addresses(asked.addresses),
        webhook_url=checked_webhook(asked.webhook_url),
        least_severity=asked.least_severity,
        muted_kinds=frozenset(KINDS) - frozenset(asked.told_kinds),
        reminder_hours=_checked_hours(asked.reminder_hours),
    )
    with transaction() as session:
        row, old = _locked(actor, version)
        before, after = described(old), described(new)
        changed = [key for key in after if before[key] != after[key]]
        is_other_path = not changed and old.webhook_url != new.webhook_url
        if is_other_path:
            changed = ["webhook"]
        if not changed:
            return ""
        # Another host is another receiver: with the old secret, the one before could sign alarms for it.
        secret = webhook.new_secret() if new.webhook_host and new.webhook_host != old.webhook_host else ""
        row.is_to_admins, row.addresses = new.is_to_admins, list(new.addresses)
        row.least_severity, row.reminder_hours = new.least_severity.value, new.reminder_hours
        row.muted_kinds = sorted(kind.value for kind in new.muted_kinds)
        # A form from while the key was missing shows no webhook; it must not take away the one that is kept.
        if new.webhook_url or not old.is_webhook_unreadable:
            row.webhook_url_encrypted = vault.encrypt(new.webhook_url) if new.webhook_url else None
            if secret or not new.webhook_url:
                row.webhook_secret_encrypted = vault.encrypt(secret) if secret else None
        row.version += 1
        session.flush()
        config_log.record(
            actor,
            Section.ALARMS,
            f"{actor.name} changed who is told of alarms: {listed([LABELS[key] for key in changed])}",
            old={key: before[key] for key in changed},
            new={key: after[key] + (" (another address there)" if is_other_path else "") for key in changed},
            reason=reason,
        )
        return secret


def renew_secret(actor: Actor, *, version: int, reason: str = "") -> str:
    """Give the webhook another secret, log that, and return it; the old one signs nothing any more.

    Raises NotAllowed, ServiceError without a webhook, FieldRefused for `reason`, and ChangedByOther.
    """
    _require(actor)
    reason = config_log.clean_reason(reason)
    with transaction() as session:
        row, old = _locked(actor, version)
        if not old.webhook_url:
            raise ServiceError("There is no webhook, so there is no secret. Give the webhook's address first.")
        secret = webhook.new_secret()
        row.webhook_secret_encrypted = vault.encrypt(secret)
        row.version += 1
        session.flush()
        sentence = f"{actor.name} made another secret for the webhook at {old.webhook_host}"
        config_log.record(actor, Section.ALARMS, sentence, new={"webhook": old.webhook_host}, reason=reason)
        return secret


def send_test(actor: Actor, channel: Channel) -> AlarmMessage:
    """Put a test message into the outbox, tried once: an e-mail to the person who asks, or one to the webhook.

    Raises NotAllowed, and ServiceError when the channel is not set up or a test was asked for a moment ago.
    """
    _require(actor)
    now = clock.now()
    with transaction() as session:
        workspace = session.get_one(Workspace, actor.workspace_id, with_for_update={"key_share": True})
        asked = wishes.of(actor.workspace_id)
        if channel is Channel.EMAIL:
            if not settings.smtp_url:
                raise ServiceError(
                    "E-mail is not set up on this FlexDash: whoever runs it sets SMTP_URL and MAIL_FROM."
                )
            recipient = session.get_one(User, actor.user_id).email
        else:
            if not asked.webhook_url:
                raise ServiceError("There is no webhook yet. Give its address and save it, then try it out.")
            recipient = asked.webhook_host[:254]
        latest = session.scalars(
            select(AlarmMessage.made_at)
            .where(AlarmMessage.workspace_id == actor.workspace_id, AlarmMessage.event == MessageEvent.TEST)
            .order_by(AlarmMessage.id.desc())
            .limit(1)
        ).one_or_none()
        if latest is not None and latest > now - TEST_EVERY:
            raise ServiceError(
                "A test was sent a moment ago. Look at how it went below, and try again in half a minute."
            )
        values = content.of_test(workspace, actor.name)
        message = outbox.new(actor.workspace_id, channel, recipient, MessageEvent.TEST, values, now)
        session.add(message)
        return message


def last_change(actor: Actor) -> ConfigEvent | None:
    """Return the log's newest row about the alarm settings; None when there is none."""
    query = access.visible(actor, ConfigEvent).where(ConfigEvent.section == Section.ALARMS)
    return db.session.scalars(query.order_by(ConfigEvent.sequence.desc()).limit(1)).one_or_none()


def _require(actor: Actor) -> None:
    if not actor.may(Permission.MANAGE_ALARMS):
        raise NotAllowed("Your role does not include setting who is told of alarms. Ask an admin.")


def _locked(actor: Actor, version: int) -> tuple[AlarmSettings, Wishes]:
    """Return the workspace's row, made if need be and locked, and what it says; refuse a form from before a change."""
    # Two who save for the first time meet at the workspace's row: there is none of the settings to lock yet.
    db.session.get_one(Workspace, actor.workspace_id, with_for_update={"key_share": True})
    old = wishes.of(actor.workspace_id)
    if old.version != version:
        raise changed_by_other(actor, last_change(actor))
    row = db.session.scalars(
        select(AlarmSettings).where(AlarmSettings.workspace_id == actor.workspace_id)
    ).one_or_none()
    if row is None:
        row = AlarmSettings(workspace_id=actor.workspace_id, version=0)
        db.session.add(row)
    return row, old


def checked_addresses(typed: str) -> tuple[str, ...]:
    """Return the e-mail addresses that were typed, each once; raise FieldRefused for `addresses`."""
    addresses = tuple(dict.fromkeys(part.lower() for part in typed.replace(",", " ").replace(";", " ").split()))
    for address in addresses:
        if not is_address(address) or not address.isascii():
            raise FieldRefused(
                "addresses", f"{quoted(address)} is no e-mail address. Write each like asha@company.example."
            )
    if len(addresses) > MOST_ADDRESSES:
        raise FieldRefused(
            "addresses", f"These are {len(addresses)} addresses; there is room for {MOST_ADDRESSES}. Use a group's."
        )
    return addresses


def checked_webhook(typed: str) -> str:
    """Return the webhook's address, "" for none; raise FieldRefused for `webhook_url`."""
    url = typed.strip()
    if not url:
        return ""
    try:
        return checked_url(url, is_https_needed=settings.is_production, private_hosts=settings.webhook_private_hosts)
    except BadAddress as refusal:
        raise FieldRefused("webhook_url", refusal.sentence) from None


def _checked_hours(hours: int) -> int:
    if hours not in REMINDER_HOURS:
        raise FieldRefused("reminder_hours", "Choose one of the pauses between reminders.")
    return hours


def described(asked: Wishes) -> Mapping[str, Any]:
    """Return the wishes as the log keeps them; of the webhook the host alone, for the rest may be a secret."""
    return {
        "is_to_admins": "on" if asked.is_to_admins else "off",
        "addresses": listed(list(asked.addresses)) or "none",
        "webhook": asked.webhook_host or "none",
        "least_severity": "critical ones only" if asked.least_severity is Severity.CRITICAL else "all",
        "kinds_not_told": listed([KINDS[kind].label for kind in KINDS if kind in asked.muted_kinds]) or "none",
        "reminder_hours": f"every {asked.reminder_hours} hours" if asked.reminder_hours else "none",
    }

"""Whom each workspace wants told of alarms, and of which: read by the watcher, changed by admins."""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select

from flexdash.database import one_of
from flexdash.extensions import db, vault
from flexdash.models import Alarm, AlarmKind, AlarmSettings, Severity
from flexdash.services.alarms.kinds import KINDS
from flexdash.vault import UnreadableSecret

REMINDER_HOURS = (4, 12, 24, 72, 0)
DEFAULT_REMINDER_HOURS = 24


@dataclass(frozen=True)
class Wishes:
    """What one workspace asked for. `webhook_url` is "" without a webhook; `reminder_hours` 0 means no reminders."""

    is_to_admins: bool = True
    addresses: tuple[str, ...] = ()
    webhook_url: str = ""
    least_severity: Severity = Severity.WARNING
    muted_kinds: frozenset[AlarmKind] = frozenset()
    reminder_hours: int = DEFAULT_REMINDER_HOURS
    version: int = 0  # of a workspace that never changed them
    is_webhook_unreadable: bool = False  # there is one, whose address no key of today opens

    @property
    def webhook_host(self) -> str:
        """The host of the webhook, which may be shown and logged, unlike the rest of its address."""
        return urlsplit(self.webhook_url).hostname or ""

    def wants(self, alarm: Alarm) -> bool:
        """Say whether messages about `alarm` are wanted; on the page it stands in any case."""
        return alarm.severity >= self.least_severity and alarm.kind not in self.muted_kinds


def of(workspace_id: int) -> Wishes:
    """Return the wishes of one workspace."""
    return of_each([workspace_id])[workspace_id]


def of_each(workspace_ids: Collection[int]) -> dict[int, Wishes]:
    """Return the wishes of each of the workspaces; a workspace without a row has the defaults."""
    rows = db.session.scalars(
        select(AlarmSettings)
        .where(one_of(AlarmSettings.workspace_id, workspace_ids))
        .execution_options(populate_existing=True)
    )
    found = {row.workspace_id: _of_row(row) for row in rows}
    return {workspace_id: found.get(workspace_id, Wishes()) for workspace_id in workspace_ids}


def _of_row(row: AlarmSettings) -> Wishes:
    webhook_url = _opened(row.webhook_url_encrypted)
    return Wishes(
        is_to_admins=row.is_to_admins,
        addresses=tuple(row.addresses),
        webhook_url=webhook_url,
        least_severity=Severity(row.least_severity),
        muted_kinds=frozenset(kind for kind in KINDS if kind.value in row.muted_kinds),
        reminder_hours=row.reminder_hours,
        version=row.version,
        is_webhook_unreadable=bool(row.webhook_url_encrypted) and not webhook_url,
    )


def _opened(sealed: bytes | None) -> str:
    """Return the webhook's address; "" where its key is lost: one workspace's must not keep the others' alarms in."""
    try:
        return vault.decrypt(sealed) if sealed else ""
    except UnreadableSecret:
        return ""

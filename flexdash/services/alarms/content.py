"""What a message says: kept with it as plain values, and written as an e-mail or as JSON when it is sent."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flexdash.extensions import settings
from flexdash.models import Alarm, AlarmKind, AlarmMessage, MessageEvent, Severity, Workspace
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.words import one_line, shortened, zone_name

MOST_LISTED = 50  # alarms in one message
SEVERITY_WORDS = {Severity.CRITICAL: "Critical", Severity.WARNING: "Warning"}
_SUBJECTS = {
    MessageEvent.OPENED: "",
    MessageEvent.REMINDER: "Still open: ",
    MessageEvent.CLEARED: "All clear: ",
}


def of_alarms(workspace: Workspace, alarms: Sequence[Alarm]) -> dict[str, Any]:
    """Return what a message about `alarms` keeps, the first MOST_LISTED of them in detail."""
    return {
        "workspace": {"id": workspace.id, "name": workspace.name},
        "time_zone": workspace.time_zone,
        "n_alarms": len(alarms),
        "alarms": [_alarm(alarm) for alarm in alarms[:MOST_LISTED]],
    }


def of_test(workspace: Workspace, asked_by: str) -> dict[str, Any]:
    """Return what a test message keeps."""
    return {
        "workspace": {"id": workspace.id, "name": workspace.name},
        "time_zone": workspace.time_zone,
        "n_alarms": 0,
        "alarms": [],
        "asked_by": asked_by,
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    facts = KINDS[alarm.kind]
    return {
        "id": alarm.id,
        "kind": alarm.kind.value,
        "label": facts.label,
        "severity": Severity(alarm.severity).name.lower(),
        "store": {"id": alarm.store.id, "name": alarm.store.name} if alarm.store else None,
        "sentence": alarm.sentence,
        "remedy": facts.remedy,
        "url": f"{settings.public_url}{alarm.path or page_of(alarm.id)}",
        "page": f"{settings.public_url}{page_of(alarm.id)}",
        "opened_at": _iso(alarm.opened_at),
        "cleared_at": _iso(alarm.cleared_at) if alarm.cleared_at else None,
    }


def page_of(alarm_id: int) -> str:
    """Return the path of the alarm's own page."""
    return f"/alarms/{alarm_id}"


def as_json(message: AlarmMessage) -> dict[str, Any]:
    """Return the body of a webhook's request."""
    content = message.content
    return {
        "id": message.delivery_id,
        "event": "test" if message.event is MessageEvent.TEST else f"alarm.{message.event.value}",
        "made_at": _iso(message.made_at),
        "workspace": content["workspace"],
        "alarms": content["alarms"],
    }


def subject_of(message: AlarmMessage) -> str:
    """Return the subject of an e-mail: short, on one line, with the store where there is one."""
    alarms, workspace = message.content["alarms"], message.content["workspace"]["name"]
    if message.event is MessageEvent.TEST:
        return f"[FlexDash] Test of the alarms of {shortened(one_line(workspace), 60)}"
    n = message.content["n_alarms"]
    if n == 1:
        (alarm,) = alarms
        where = alarm["store"]["name"] if alarm["store"] else workspace
        what = f"{alarm['label']}, {where}"
    else:
        what = f"{n:,} alarms in {workspace}"
    return f"[FlexDash] {_SUBJECTS[message.event]}{shortened(one_line(what), 120)}"


def text_of(message: AlarmMessage) -> str:
    """Return the body of an e-mail, as plain text."""
    content = message.content
    if message.event is MessageEvent.TEST:
        return (
            f"This is a test. {content['asked_by']} asked FlexDash to send it from the alarm settings of "
            f"{content['workspace']['name']}. E-mails about alarms come to this address in the same way.\n\n"
            f"Settings: {settings.public_url}/alarms/settings\n"
        )
    zone = ZoneInfo(content["time_zone"])
    parts = [_heading(message.event, content["n_alarms"])]
    parts += [_paragraph(message.event, alarm, zone) for alarm in content["alarms"]]
    if (n_more := content["n_alarms"] - len(content["alarms"])) > 0:
        parts.append(f"And {n_more:,} more.")
    parts.append(
        f"All alarms: {settings.public_url}/alarms\n"
        "Press “I am on it” there, and no more reminders come about that alarm. An admin sets who gets these e-mails: "
        f"{settings.public_url}/alarms/settings"
    )
    return "\n\n".join(parts) + "\n"


def _heading(event: MessageEvent, n: int) -> str:
    what = "1 alarm" if n == 1 else f"{n:,} alarms"
    match event:
        case MessageEvent.CLEARED:
            return f"Over by now: {what}. Nothing is left to do about {'it' if n == 1 else 'them'}."
        case MessageEvent.REMINDER:
            return f"Still open, and nobody has said that they are on it: {what}."
        case _:
            return f"FlexDash has noticed something that needs a person: {what}."


def _paragraph(event: MessageEvent, alarm: dict[str, Any], zone: ZoneInfo) -> str:
    began = _in_words(alarm["opened_at"], zone)
    if event is MessageEvent.CLEARED:
        ended = _in_words(alarm["cleared_at"], zone)
        return f"{alarm['label']} – {alarm['sentence']}\nIt was open from {began} to {ended}."
    severity = SEVERITY_WORDS[Severity[alarm["severity"].upper()]]
    return (
        f"{severity}: {alarm['sentence']}\nSince {began}. What to do: {alarm['remedy']}\n"
        f"{KINDS[AlarmKind(alarm['kind'])].link}: {alarm['url']}"
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _in_words(moment: str, zone: ZoneInfo) -> str:
    here = datetime.fromisoformat(moment).astimezone(zone)
    return f"{here.day} {here:%b %Y, %H:%M} {zone_name(here)}"

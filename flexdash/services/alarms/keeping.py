"""Keeping the alarms as what is wrong now: opened once, reminded of quietly, and cleared when it has stayed away.

Any number of watchers may do this at once. Each change is written only over the state it was decided on, so that what
two of them decide happens, and is told, once.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, select, update

from flexdash import clock
from flexdash.database import one_of, transaction
from flexdash.extensions import db
from flexdash.models import Alarm, MessageEvent
from flexdash.services.alarms import looking, outbox, wishes
from flexdash.services.alarms.findings import Finding, Parts, Problem
from flexdash.services.alarms.wishes import Wishes
from flexdash.services.sync_schedule import insert_new

CLEAR_AFTER = timedelta(minutes=3)  # what goes and comes is one alarm, not many
FIRST_REMINDER = timedelta(hours=4)
SEEN_EVERY = timedelta(minutes=5)  # how exact “last seen” is: not a write for each look
_CHANGES_AT_ONCE = 500
_IDS_AT_ONCE = 5_000
_ROWS_AT_ONCE = 500
_NO_SYNC = {"synchronize_session": False}


@dataclass
class Changes:
    """What is to be written for one workspace, or for some together."""

    new: list[Finding] = field(default_factory=list)
    worse: list[tuple[int, Finding]] = field(default_factory=list)
    reworded: list[tuple[int, int, Finding]] = field(default_factory=list)  # alarm, the stage it is at
    back: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    over: list[int] = field(default_factory=list)
    due: list[tuple[int, int]] = field(default_factory=list)  # workspace, alarm

    def __len__(self) -> int:
        return sum(map(len, vars(self).values()))

    def add(self, other: "Changes") -> None:
        """Take in the changes of another workspace."""
        for name, values in vars(other).items():
            getattr(self, name).extend(values)


@dataclass(frozen=True)
class Kept:
    """What one look around led to."""

    n_open: int
    n_opened: int = 0
    n_cleared: int = 0
    n_messages: int = 0


def evaluate(seen: Parts) -> Kept:
    """Look around once, and open, change, remind of and clear alarms accordingly.

    A transaction for each few hundred changes, whole workspaces at a time; none when nothing changed.
    """
    now = clock.now()
    found, judged = looking.around(seen, now)
    known = _open_alarms()
    changes = _compare({finding.problem: finding for finding in found}, known, judged, now)
    n_opened = n_cleared = n_messages = 0
    for some in _together(changes):
        opened, cleared, messages = _write(some, now)
        n_opened, n_cleared, n_messages = n_opened + opened, n_cleared + cleared, n_messages + messages
    _note_seen(known, now)
    return Kept(len(known) + n_opened - n_cleared, n_opened, n_cleared, n_messages)


def _open_alarms() -> dict[Problem, Row[Any]]:
    rows = db.session.execute(
        select(
            Alarm.id,
            Alarm.workspace_id,
            Alarm.kind,
            Alarm.subject,
            Alarm.severity,
            Alarm.stage,
            Alarm.sentence,
            Alarm.path,
            Alarm.clear_since,
            Alarm.last_seen_at,
            Alarm.next_reminder_at,
        ).where(Alarm.cleared_at.is_(None))
    ).all()
    db.session.rollback()
    return {Problem(row.workspace_id, row.kind, row.subject): row for row in rows}


def _compare(
    found: dict[Problem, Finding], known: dict[Problem, Row[Any]], judged: Collection[str], now: datetime
) -> dict[int, Changes]:
    changes: dict[int, Changes] = defaultdict(Changes)
    for problem, finding in found.items():
        mine, alarm = changes[problem.workspace_id], known.get(problem)
        if alarm is None:
            mine.new.append(finding)
            continue
        if alarm.clear_since is not None:
            mine.back.append(alarm.id)
        if finding.stage > alarm.stage:
            mine.worse.append((alarm.id, finding))
        elif (finding.sentence[:500], finding.path, finding.severity) != (alarm.sentence, alarm.path, alarm.severity):
            mine.reworded.append((alarm.id, alarm.stage, finding))
        elif alarm.next_reminder_at is not None and alarm.next_reminder_at <= now:
            mine.due.append((problem.workspace_id, alarm.id))
    for problem, alarm in known.items():
        if problem in found or problem.kind not in judged:
            continue
        if alarm.clear_since is None:
            changes[problem.workspace_id].missing.append(alarm.id)
        elif alarm.clear_since <= now - CLEAR_AFTER:
            changes[problem.workspace_id].over.append(alarm.id)
    return changes


def _together(changes: dict[int, Changes]) -> Iterator[Changes]:
    """Yield the changes of some workspaces together, never those of one apart: they become one message."""
    some = Changes()
    for mine in changes.values():
        some.add(mine)
        if len(some) >= _CHANGES_AT_ONCE:
            yield some
            some = Changes()
    if len(some):
        yield some


def _write(changes: Changes, now: datetime) -> tuple[int, int, int]:
    with transaction():
        concerned = {finding.workspace_id for finding in changes.new}
        concerned |= {finding.workspace_id for _, finding in changes.worse}
        concerned |= {workspace_id for workspace_id, _ in changes.due}
        over = _update(
            changes.over,
            Alarm.cleared_at.is_(None) & (Alarm.clear_since <= now - CLEAR_AFTER),
            cleared_at=now,
            next_reminder_at=None,
        )
        concerned |= set(over.values())
        asked = wishes.of_each(concerned)
        opened = _open(changes.new, asked, now)
        worse = {one for one, finding in changes.worse if _worsen(one, finding, asked, now)}
        _reword(changes.reworded)
        _update(changes.back, Alarm.cleared_at.is_(None), clear_since=None, last_seen_at=now)
        _update(changes.missing, Alarm.cleared_at.is_(None) & Alarm.clear_since.is_(None), clear_since=now)
        reminded = _remind(changes.due, asked, now)
        n_messages = outbox.write(
            {
                MessageEvent.OPENED: opened | worse,
                MessageEvent.REMINDER: reminded,
                MessageEvent.CLEARED: set(over),
            },
            asked,
            now,
        )
        return len(opened), len(over), n_messages


def _open(findings: list[Finding], asked: dict[int, Wishes], now: datetime) -> set[int]:
    """Open an alarm for each finding that nobody else has opened meanwhile; return the ids."""
    rows = [
        {
            "workspace_id": finding.workspace_id,
            "store_id": finding.store_id,
            "kind": finding.kind,
            "subject": finding.subject,
            "severity": finding.severity.value,
            "stage": finding.stage,
            "sentence": finding.sentence[:500],
            "path": finding.path,
            "opened_at": now,
            "last_seen_at": now,
            "next_reminder_at": _first_reminder(finding, asked, now),
            "acknowledged_by_name": "",
        }
        for finding in findings
    ]
    opened: set[int] = set()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        statement = insert_new(Alarm.__table__).values(rows[start : start + _ROWS_AT_ONCE])
        opened |= set(db.session.scalars(statement.returning(Alarm.__table__.c.id)))
    return opened


def _first_reminder(finding: Finding, asked: dict[int, Wishes], now: datetime) -> datetime | None:
    hours = asked[finding.workspace_id].reminder_hours
    if not hours or not finding.is_reminded_of:
        return None
    return now + min(FIRST_REMINDER, timedelta(hours=hours))


def _worsen(alarm_id: int, finding: Finding, asked: dict[int, Wishes], now: datetime) -> bool:
    """Take the alarm a stage on; whoever took care of it is asked anew. False when somebody else has done it."""
    values = {
        "stage": finding.stage,
        "sentence": finding.sentence[:500],
        "severity": finding.severity.value,
        "path": finding.path,
        "acknowledged_at": None,
        "acknowledged_by_id": None,
        "acknowledged_by_name": "",
        "next_reminder_at": _first_reminder(finding, asked, now),
    }
    return bool(_update([alarm_id], Alarm.cleared_at.is_(None) & (Alarm.stage < finding.stage), **values))


def _reword(changed: list[tuple[int, int, Finding]]) -> None:
    """Say anew what is wrong, but not of an alarm that somebody else has taken a stage on or cleared meanwhile."""
    if not changed:
        return
    alarms = Alarm.__table__
    db.session.execute(
        update(alarms)
        .where(alarms.c.id == bindparam("of_id"), alarms.c.stage == bindparam("at"), alarms.c.cleared_at.is_(None))
        .values({name: bindparam(name) for name in ("sentence", "severity", "path")}),
        [
            {
                "of_id": alarm_id,
                "at": stage,
                "sentence": finding.sentence[:500],
                "severity": finding.severity.value,
                "path": finding.path,
            }  # the stage never goes back: what swings between two of them is told once
            for alarm_id, stage, finding in changed
        ],
    )


def _remind(due: list[tuple[int, int]], asked: dict[int, Wishes], now: datetime) -> set[int]:
    """Put the next reminder of each off, as its workspace wants it; return those to be reminded of now."""
    by_hours: dict[int, list[int]] = defaultdict(list)
    for workspace_id, alarm_id in due:
        by_hours[asked[workspace_id].reminder_hours].append(alarm_id)
    reminded: set[int] = set()
    is_due = Alarm.cleared_at.is_(None) & Alarm.acknowledged_at.is_(None) & (Alarm.next_reminder_at <= now)
    for hours, ids in by_hours.items():
        moved = _update(ids, is_due, next_reminder_at=now + timedelta(hours=hours) if hours else None)
        if hours:
            reminded |= set(moved)
    return reminded


def _note_seen(known: dict[Problem, Row[Any]], now: datetime) -> None:
    """Note that what is open was seen now, where that was last written a while ago."""
    if not any(row.clear_since is None and row.last_seen_at < now - SEEN_EVERY for row in known.values()):
        return
    with transaction() as session:
        session.execute(
            update(Alarm)
            .where(Alarm.cleared_at.is_(None), Alarm.clear_since.is_(None), Alarm.last_seen_at < now - SEEN_EVERY)
            .values(last_seen_at=now)
            .execution_options(**_NO_SYNC)
        )


def _update(ids: Collection[int], condition: ColumnElement[bool], **values: Any) -> dict[int, int]:
    """Write `values` on those of the alarms that `condition` still holds for; return their ids with the workspace."""
    written: dict[int, int] = {}
    ids = sorted(ids)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        rows = db.session.execute(
            update(Alarm)
            .where(one_of(Alarm.id, ids[start : start + _IDS_AT_ONCE]), condition)
            .values(**values)
            .returning(Alarm.id, Alarm.workspace_id)
            .execution_options(**_NO_SYNC)
        )
        written.update({row.id: row.workspace_id for row in rows})
    return written

"""Reading the Configuration Log: filtered, scoped to what a person may see, and as rows for an export."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, or_, select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Section, Store, User
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.config_log import INTERNAL_KEYS
from flexdash.services.errors import NotVisible
from flexdash.services.log_portions import rows_in_portions
from flexdash.services.words import zone_name

FLEXDASH_ITSELF = "flexdash"  # the filter's value for changes no person made
ROWS_AT_A_TIME = 1_000
EXPORT_HEADINGS = (
    "number",
    "when_utc",
    "who",
    "from_address",
    "section",
    "store",
    "what",
    "old",
    "new",
    "reason",
    "hash",
)

# Columns and keys of old and new values, in the words of the pages. What is not named here is shown as it is written.
LABELS = {
    "is_order_sync_on": "Order Sync",
    "is_inventory_sync_on": "Inventory Sync",
    "is_automated_cancellation_on": "Automated Order Cancellation on Sales Channel",
    "seller_flex_hub_id": "Seller Flex Hub ID",
    "amazon_selling_partner_id": "Amazon seller ID",
    "is_limited_to_sellers": "Limited to sellers",
    "country_code": "Country",
    "email": "E-mail address",
    "sku_code": "SKU",
    "asin": "ASIN",
    "mrp": "MRP",
    "weight_g": "Weight in g",
    "length_cm": "Length in cm",
    "width_cm": "Width in cm",
    "height_cm": "Height in cm",
    "is_to_admins": "E-mails to admins",
    "least_severity": "Alarms told",
    "kinds_not_told": "Alarms not told",
    "reminder_hours": "Reminders",
}
WORDS = {"needs_reauthorization": "needs re-authorization"}  # values that are no words of the pages
# By time and not by the chain's number, so that one set of indexes serves every filter, days included. The two differ
# only in rows written while a clock was wrong.
NEWEST_FIRST = ((ConfigEvent.occurred_at, "desc"), (ConfigEvent.id, "desc"))
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+\d\d:\d\d")  # as the rows keep a time


@dataclass(frozen=True)
class Filters:
    """What a person asked for; every part may be missing. The days are the person's own, first and last included."""

    first_day: date | None = None
    last_day: date | None = None
    person: str = ""  # a user's id, or FLEXDASH_ITSELF
    section: Section | None = None
    store_id: int | None = None


@dataclass(frozen=True)
class Change:
    """One value before and after, in words; an empty text where there was or is none."""

    label: str
    old: str
    new: str


def events(actor: Actor, filters: Filters, zone: ZoneInfo) -> Select[tuple[ConfigEvent]]:
    """Return the SELECT of the rows that `actor` may see and `filters` let through; the caller orders and pages it.

    A person limited to some sellers sees the rows of those and the rows of no seller (users, hubs).
    """
    query = access.visible(actor, ConfigEvent)
    if actor.seller_ids is not None:
        query = query.where(or_(ConfigEvent.seller_id.is_(None), ConfigEvent.seller_id.in_(actor.seller_ids)))
    if filters.first_day:
        query = query.where(ConfigEvent.occurred_at >= start_of_day(filters.first_day, zone))
    if filters.last_day and filters.last_day < date.max:
        query = query.where(ConfigEvent.occurred_at < start_of_day(filters.last_day + timedelta(days=1), zone))
    if filters.person == FLEXDASH_ITSELF:
        query = query.where(ConfigEvent.actor_id.is_(None))
    elif filters.person:
        query = query.where(ConfigEvent.actor_id == int(filters.person))
    if filters.section:
        query = query.where(ConfigEvent.section == filters.section)
    if filters.store_id is not None:
        query = query.where(ConfigEvent.store_id == filters.store_id)
    return query


def get(actor: Actor, event_id: int) -> ConfigEvent:
    """Return one row: for who may audit any of the workspace, for others one of a store that they see.

    Raises NotVisible.
    """
    query = access.visible(actor, ConfigEvent).where(ConfigEvent.id == event_id)
    if not actor.may(Permission.AUDIT):
        query = query.where(ConfigEvent.store_id.in_(access.visible(actor, Store).with_only_columns(Store.id)))
    event = db.session.scalars(query).one_or_none()
    if event is None:
        raise NotVisible("row of the Configuration Log")
    return event


def people(actor: Actor) -> list[tuple[str, str]]:
    """Return the choices of the person filter: (value, name) of FlexDash itself and every user of the workspace."""
    users = db.session.execute(
        select(User.id, User.name).where(User.workspace_id == actor.workspace_id).order_by(User.name, User.id)
    )
    return [(FLEXDASH_ITSELF, "FlexDash itself"), *((str(user_id), name) for user_id, name in users)]


def stores(actor: Actor) -> list[tuple[int, str]]:
    """Return the choices of the store filter: (id, name) of every store that `actor` may see."""
    return [
        (store.id, store.name or f"Draft store {store.id}")
        for store in db.session.scalars(access.visible(actor, Store).order_by(Store.name, Store.id))
    ]


def newest(store: Store, section: Section, key: str | None = None, value: int | None = None) -> ConfigEvent | None:
    """Return the newest row of the store and section, or None.

    With `key`, the newest that says something about that value; with `value` too, about that value being the number.
    """
    query = (
        select(ConfigEvent)
        .where(
            ConfigEvent.workspace_id == store.workspace_id,
            ConfigEvent.store_id == store.id,
            ConfigEvent.section == section,
        )
        .order_by(ConfigEvent.sequence.desc())
        .limit(1)
    )
    if key is not None:
        query = query.where(_says_something_of(key, value))
    return db.session.scalars(query).one_or_none()


def newest_of_each(store_ids: Sequence[int], section: Section, key: str) -> dict[int, ConfigEvent]:
    """Return what `newest` returns with `key`, of each of these stores that has such a row, by store id; one query."""
    newest_id = (
        select(ConfigEvent.id)
        .where(
            ConfigEvent.workspace_id == Store.workspace_id,
            ConfigEvent.store_id == Store.id,
            ConfigEvent.section == section,
            _says_something_of(key),
        )
        .order_by(ConfigEvent.sequence.desc())
        .limit(1)
        .correlate(Store)
        .scalar_subquery()
    )
    found = db.session.scalars(
        select(ConfigEvent).where(ConfigEvent.id.in_(select(newest_id).where(Store.id.in_(store_ids))))
    )
    return {event.store_id: event for event in found if event.store_id is not None}


def _says_something_of(key: str, value: int | None = None) -> ColumnElement[bool]:
    said = [column[str(key)] for column in (ConfigEvent.old_value, ConfigEvent.new_value)]
    # As text or number, never as plain JSON: SQLite's element is the text "null" where there is none.
    if value is None:
        return or_(*(element.as_string().is_not(None) for element in said))
    return or_(*(element.as_integer() == value for element in said))


def changes(event: ConfigEvent, zone: tzinfo = UTC) -> list[Change]:
    """Return what `event` changed, value by value, in the order of their labels; times in `zone`."""
    keys = (event.old_value.keys() | event.new_value.keys()) - INTERNAL_KEYS
    values = [(label(key), event.old_value.get(key), event.new_value.get(key)) for key in keys]
    return [
        Change(label, in_words(old, zone), in_words(new, zone))
        for label, old, new in sorted(values, key=itemgetter(0))
        if old != new
    ]


def export_rows(
    actor: Actor, filters: Filters, zone: ZoneInfo, *, is_oldest_first: bool = False
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that `events` selects, newest or oldest first, under EXPORT_HEADINGS; a thousand at a time."""
    names: dict[int, str] = {}

    def cells_of(found: Sequence[ConfigEvent]) -> list[tuple[Any, ...]]:
        unknown = {event.store_id for event in found if event.store_id is not None} - names.keys()
        if unknown:
            found_stores = db.session.execute(select(Store.id, Store.name).where(Store.id.in_(unknown)))
            names.update(dict(found_stores.all()))
        return [_cells(event, names) for event in found]

    query = events(actor, filters, zone)
    return rows_in_portions(query, NEWEST_FIRST, cells_of, at_a_time=ROWS_AT_A_TIME, is_oldest_first=is_oldest_first)


def _cells(event: ConfigEvent, store_names: dict[int, str]) -> tuple[Any, ...]:
    said = changes(event)
    return (
        event.sequence,
        event.occurred_at.isoformat(timespec="seconds"),
        event.actor_name,
        event.address,
        event.section.value,
        store_names.get(event.store_id, "") if event.store_id is not None else "",
        event.sentence,
        "; ".join(f"{change.label}: {change.old}" for change in said if change.old),
        "; ".join(f"{change.label}: {change.new}" for change in said if change.new),
        event.reason,
        event.hash,
    )


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """Return the moment in UTC at which `day` begins in `zone`."""
    # Through UTC: where a night has a change of the clock, the day still starts at its own midnight.
    try:
        return datetime.combine(day, time.min, zone).astimezone(UTC)
    except OverflowError:  # the first and the last day there is lie partly outside of what UTC can say
        return datetime.min.replace(tzinfo=UTC) if day.year == 1 else datetime.max.replace(tzinfo=UTC)


def label(key: str) -> str:
    """Return the name of a value, by its key, in the words of the pages."""
    return LABELS.get(key) or key.removeprefix("is_").replace("_", " ").capitalize()


def in_words(value: Any, zone: tzinfo = UTC) -> str:
    """Return a value as pages and exports write it, a time in `zone`; "" for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        moment = datetime.fromisoformat(value).astimezone(zone)
        return f"{moment.day} {moment:%b %Y, %H:%M} {zone_name(moment)}"
    if isinstance(value, list):
        return ", ".join(in_words(part, zone) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{label(key)}: {in_words(part, zone)}" for key, part in value.items())
    return WORDS.get(value, str(value)) if isinstance(value, str) else str(value)

"""Reading the access log: filtered, within the workspace, and as rows for an export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select, tuple_

from flexdash.extensions import db
from flexdash.models import AccessEvent, AccessKind, Listing
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.config_log_queries import FLEXDASH_ITSELF, start_of_day
from flexdash.services.errors import NotAllowed
from flexdash.services.log_portions import rows_in_portions

ROWS_AT_A_TIME = 1_000
EXPORT_HEADINGS = ("when_utc", "kind", "who", "from_address", "what")
NEWEST_FIRST = ((AccessEvent.occurred_at, "desc"), (AccessEvent.id, "desc"))


@dataclass(frozen=True)
class Filters:
    """What a person asked for; every part may be missing. The days are the person's own, first and last included."""

    first_day: date | None = None
    last_day: date | None = None
    person: str = ""  # a user's id, or FLEXDASH_ITSELF
    kind: AccessKind | None = None


def events(actor: Actor, filters: Filters, zone: ZoneInfo) -> Select[tuple[AccessEvent]]:
    """Return the SELECT of the rows that `filters` let through; the caller orders and pages it. Raises NotAllowed."""
    if not actor.may(Permission.AUDIT_ACCESS):
        raise NotAllowed("Only admins can read the access log. Ask an admin of your workspace.")
    query = access.visible(actor, AccessEvent)
    if filters.first_day:
        query = query.where(AccessEvent.occurred_at >= start_of_day(filters.first_day, zone))
    if filters.last_day and filters.last_day < date.max:
        query = query.where(AccessEvent.occurred_at < start_of_day(filters.last_day + timedelta(days=1), zone))
    if filters.person == FLEXDASH_ITSELF:
        query = query.where(AccessEvent.actor_id.is_(None))
    elif filters.person:
        query = query.where(AccessEvent.actor_id == int(filters.person))
    if filters.kind:
        query = query.where(AccessEvent.kind == filters.kind)
    return query


def listings_of(events: Sequence[AccessEvent]) -> dict[tuple[int, str], int]:
    """Return the ids of the listings that these rows are about and that are still there, by store and SKU; one query.

    Rows of a stock level are none of them.
    """
    wanted = {
        (event.store_id, event.sku_code)
        for event in events
        if event.sku_code and event.store_id and not event.stock_level_id
    }
    if not wanted:
        return {}
    query = select(Listing.store_id, Listing.sku_code, Listing.id)
    found = db.session.execute(query.where(tuple_(Listing.store_id, Listing.sku_code).in_(wanted)))
    return {(store_id, sku_code): listing_id for store_id, sku_code, listing_id in found}


def export_rows(
    actor: Actor, filters: Filters, zone: ZoneInfo, *, is_oldest_first: bool = False
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that `events` selects, newest or oldest first, under EXPORT_HEADINGS; a thousand at a time."""
    query = events(actor, filters, zone)
    return rows_in_portions(query, NEWEST_FIRST, _cells, at_a_time=ROWS_AT_A_TIME, is_oldest_first=is_oldest_first)


def _cells(events: Sequence[AccessEvent]) -> list[tuple[Any, ...]]:
    return [
        (
            event.occurred_at.isoformat(timespec="seconds"),
            event.kind.value,
            event.actor_name,
            event.address,
            event.sentence,
        )
        for event in events
    ]

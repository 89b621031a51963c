"""Taking a change of the configuration back: a new change, by the verb a person would use, that names the old one."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flexdash.models import ConfigEvent, Section
from flexdash.services import config_log, config_log_queries
from flexdash.services.actors import Actor, Permission
from flexdash.services.config_log import INTERNAL_KEYS
from flexdash.services.errors import ChangedMeanwhile, NotAllowed, NotVisible, ServiceError
from flexdash.services.reverting import of_alarms, of_catalogs, of_stores, of_workspaces
from flexdash.services.reverting.ways import NoWayBack, Values, Way, changed_keys, new_values

_WAYS: dict[Section, Callable[[Actor, ConfigEvent, Values], Way]] = {
    Section.CONNECTION: of_stores.connection,
    Section.SETTINGS: of_stores.settings,
    Section.HUB_MAPPING: of_stores.mapping,
    Section.CATALOG: of_catalogs.catalog,
    Section.PRICES: of_catalogs.price,
    Section.STOCK: of_catalogs.stock,
    Section.HUBS: of_workspaces.hub,
    Section.SELLERS: of_workspaces.seller,
    Section.USERS: of_workspaces.user,
    Section.ALARMS: of_alarms.settings,
}


@dataclass(frozen=True)
class Line:
    """One value: before and after the change, as it is now, and as it would be; "" where there is none."""

    label: str
    before: str
    after: str
    now: str
    then: str

    @property
    def was_changed_since(self) -> bool:
        """Say whether the value is not any more what the change had made of it."""
        return self.now != self.after


@dataclass(frozen=True)
class Plan:
    """What reverting a row would do now. `seen` goes back with the form: it stands for the present values shown."""

    event: ConfigEvent
    lines: list[Line]
    effect: str
    seen: str
    is_done_already: bool

    @property
    def was_changed_since(self) -> bool:
        """Say whether somebody changed the same thing after the row."""
        return not self.is_done_already and any(line.was_changed_since for line in self.lines)


def why_not(actor: Actor, event: ConfigEvent) -> str:
    """Return why `event` cannot be reverted, by `actor` or at all; "" when it can."""
    try:
        _way(actor, event)
    except (ServiceError, NotAllowed) as refusal:
        return refusal.sentence
    return ""


def plan(actor: Actor, event_id: int) -> Plan:
    """Return what reverting the row would change now. Raises NotVisible, NotAllowed and NoWayBack."""
    event = config_log_queries.get(actor, event_id)
    way = _way(actor, event)
    return Plan(
        event=event,
        lines=[_line(event, way, key) for key in changed_keys(event)],
        effect=way.effect,
        seen=_fingerprint(way.present),
        is_done_already=_is_done(event, way),
    )


def revert(actor: Actor, event_id: int, *, seen: str, reason: str = "") -> ConfigEvent:
    """Take the row's change back and return the row that says so: of that verb, in its one transaction.

    `seen` is that of the plan the person was shown. Raises NotVisible, NotAllowed, NoWayBack, ChangedMeanwhile when the
    present values are others by now, ServiceError when there is nothing to take back, and what the verb itself refuses,
    FieldRefused for `reason` among it.
    """
    reason = config_log.clean_reason(reason)
    event = config_log_queries.get(actor, event_id)
    way = _way(actor, event)
    sequence = event.sequence
    if _fingerprint(way.present) != seen:
        raise ChangedMeanwhile(
            "Somebody changed this while the page was open. Nothing was reverted. The page shows how it is now; revert "
            "again if you still want to."
        )
    if _is_done(event, way):
        raise ServiceError("It is as it was before this change already, so there is nothing to revert.")
    with config_log.reverting(sequence, way.present, reason) as done:
        way.apply()
    if done.event is None:
        raise ServiceError("It is as it was before this change already, so there is nothing to revert.")
    way.afterwards()
    return done.event


def _way(actor: Actor, event: ConfigEvent) -> Way:
    if not actor.may(Permission.REVERT_CHANGES):
        raise NotAllowed("Only admins can revert a change. Ask an admin of your workspace.")
    way = _WAYS.get(event.section)
    if way is None:
        raise NoWayBack("FlexDash takes no change of this section back. Change it again on its own page.")
    try:
        return way(actor, event, new_values(event))
    except NotVisible:
        raise NoWayBack("What this row is about is not here any more, so nothing can be set back.") from None


def _is_done(event: ConfigEvent, way: Way) -> bool:
    return all(way.present.get(key) == way.wanted.get(key) for key in changed_keys(event))


def _line(event: ConfigEvent, way: Way, key: str) -> Line:
    values = (event.old_value, new_values(event), way.present, way.wanted)
    return Line(config_log_queries.label(key), *(config_log_queries.in_words(part.get(key)) for part in values))


def _fingerprint(present: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in present.items() if key not in INTERNAL_KEYS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:32]

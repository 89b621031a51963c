"""What taking a change back is made of, for every kind of change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flexdash.models import ConfigEvent, Store
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.config_log import INTERNAL_KEYS, REVERTS
from flexdash.services.errors import ServiceError

Values = Mapping[str, Any]


class NoWayBack(ServiceError):
    """The change cannot be reverted; the sentence says why, and what to do instead."""


@dataclass(frozen=True)
class Way:
    """How one change is taken back. `present` and `wanted` are values under the log's keys, now and afterwards."""

    present: Values
    wanted: Values
    apply: Callable[[], object]
    effect: str = ""  # what doing it means, where that is worth a sentence
    afterwards: Callable[[], object] = field(default=lambda: None)


def new_values(event: ConfigEvent) -> dict[str, Any]:
    """Return the values after the change, without the name of a row that it took back itself."""
    return {key: value for key, value in event.new_value.items() if key != REVERTS}


def changed_keys(event: ConfigEvent) -> list[str]:
    """Return the keys of the values that `event` changed, added or took away; ids are none."""
    old, new = event.old_value, new_values(event)
    return [key for key in (old | new) if key not in INTERNAL_KEYS and old.get(key) != new.get(key)]


def store_of(actor: Actor, event: ConfigEvent) -> Store:
    """Return the store that `event` is about."""
    if event.store_id is None:
        raise NoWayBack("This row names no store, so there is nothing to set back.")
    return access.get(actor, Store, event.store_id)


def id_of(event: ConfigEvent, key: str, what: str) -> int:
    """Return the id under `key` that `event` keeps of `what` it was about; older rows have none."""
    found = (event.old_value or event.new_value).get(key)
    if not isinstance(found, int):
        raise NoWayBack(f"This row is from before the log kept which {what} it was about. Change it on its own page.")
    return found

"""Taking back what was changed about whom a workspace wants told of alarms, where the log keeps enough for that."""

from typing import Any

from flexdash.models import AlarmKind, ConfigEvent, Severity
from flexdash.services.actors import Actor
from flexdash.services.alarms import changing, wishes
from flexdash.services.alarms.changing import Asked
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.reverting.ways import NoWayBack, Values, Way, changed_keys

NONE = "none"


def settings(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Set what the row changed as it was. A webhook can be taken away again, and not brought back."""
    changed, old = changed_keys(event), event.old_value
    if not old:
        raise NoWayBack(
            "The secret before is kept nowhere any more, so it cannot come back. Make another one in Alarm settings."
        )
    if "webhook" in changed and old["webhook"] != NONE:
        raise NoWayBack(
            "The log keeps a webhook's host alone, for the rest of its address may be a secret. So the one before "
            "cannot be brought back: give its address in Alarm settings, and set there what else the row changed."
        )
    now = wishes.of(actor.workspace_id)
    present = dict(changing.described(now))
    wanted = present | {key: old[key] for key in changed}
    asked = Asked(
        is_to_admins=wanted["is_to_admins"] == "on",
        addresses="" if wanted["addresses"] == NONE else " ".join(_parts(wanted["addresses"])),
        webhook_url="" if wanted["webhook"] == NONE else now.webhook_url,
        least_severity=Severity.CRITICAL if wanted["least_severity"] == "critical ones only" else Severity.WARNING,
        told_kinds=frozenset(KINDS) - _muted(wanted["kinds_not_told"]),
        reminder_hours=_hours(wanted["reminder_hours"]),
    )
    return Way(
        present,
        wanted,
        lambda: changing.change(actor, asked, version=now.version),
        "Messages about alarms follow it from then on.",
    )


def _parts(words: str) -> list[str]:
    """Return the parts of a list as `words.listed` writes it; none of them has a comma or an "and" of its own."""
    return words.replace(" and ", ", ").split(", ")


def _muted(words: Any) -> frozenset[AlarmKind]:
    kinds = {facts.label: kind for kind, facts in KINDS.items()}
    labels = [] if words == NONE else _parts(words)
    if unknown := [label for label in labels if label not in kinds]:
        raise NoWayBack(f"There is no alarm called {unknown[0]} any more. Choose the alarms in Alarm settings.")
    return frozenset(kinds[label] for label in labels)


def _hours(words: str) -> int:
    return 0 if words == NONE else int(words.split()[1])

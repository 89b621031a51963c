"""The two numbers of a store's stock rules: units held back, and how many zeros go without asking."""

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Section, Store, StoreStatus
from flexdash.services import access, config_log, config_log_queries
from flexdash.services.actors import Actor, Permission
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.words import listed

MOST_UNITS = 100_000


def set_rules(
    actor: Actor, store_id: int, *, stock_buffer: str, zero_brake_percent: str, version: int, reason: str = ""
) -> Store:
    """Set both numbers from what was typed and log what changed, in one transaction; return the store.

    `stock_buffer` counts units of each SKU at each hub that Amazon is not told of; `zero_brake_percent` is the share
    of the quantities Amazon shows with stock that one push may set to zero without asking. `version` is the
    `settings_version` the form was made from. Raises NotVisible, NotAllowed, ServiceError (a draft), FieldRefused, and
    ChangedByOther when any setting was changed since.
    """
    if not actor.may(Permission.CONFIGURE_STORES):
        raise NotAllowed("Your role does not include changing a store's settings. Ask a merchant or an admin.")
    new = {
        "stock_buffer": clean_buffer(stock_buffer),
        "zero_brake_percent": clean_percent(zero_brake_percent),
    }
    reason = config_log.clean_reason(reason)
    with transaction():
        store = access.get(actor, Store, store_id, lock=True)
        if store.status is StoreStatus.DRAFT:
            raise ServiceError("This store is not connected yet. Finish connecting it first, then set its stock rules.")
        if store.settings_version != version:
            raise changed_by_other(actor, config_log_queries.newest(store, Section.SETTINGS))
        old = {name: getattr(store, name) for name in new}
        changed = [name for name in new if old[name] != new[name]]
        if not changed:
            return store
        for name in changed:
            setattr(store, name, new[name])
        store.settings_version += 1
        db.session.flush()
        config_log.record(
            actor,
            Section.SETTINGS,
            f"{actor.name} set {listed([_words(name, new[name]) for name in changed])} for {store.name}",
            store=store,
            old={name: old[name] for name in changed},
            new={name: new[name] for name in changed},
            reason=reason,
        )
        return store


def clean_buffer(typed: str) -> int:
    """Return how many units are held back; raise FieldRefused for `stock_buffer`."""
    return _whole("stock_buffer", typed, MOST_UNITS, "The stock buffer is a number of units", "such as 2")


def clean_percent(typed: str) -> int:
    """Return the share that may go to zero without asking; raise FieldRefused for `zero_brake_percent`."""
    return _whole("zero_brake_percent", typed, 100, "The share is a number of percent", "such as 30")


def _whole(field: str, typed: str, most: int, what: str, example: str) -> int:
    text = typed.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= most):
        raise FieldRefused(field, f"{what} from 0 to {most:,}, without anything else, {example}.")
    return int(text)


def _words(name: str, value: int) -> str:
    if name == "stock_buffer":
        return f"the stock buffer to {value:,} unit{'' if value == 1 else 's'}"
    return f"the share that may go to zero without asking to {value} %"

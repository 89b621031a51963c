"""Taking back what was changed about a store: its name, toggles, stock rules and hub mappings."""

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Hub, HubMapping
from flexdash.services import access, hub_mapping, order_holds, store_settings, stores
from flexdash.services.actors import Actor
from flexdash.services.inventory import left_behind, rules
from flexdash.services.reverting.ways import NoWayBack, Values, Way, changed_keys, id_of, store_of
from flexdash.services.store_settings import Toggle

RULES = frozenset({"stock_buffer", "zero_brake_percent"})


def connection(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Give the store its name back; a connection itself has no way back."""
    store, old = store_of(actor, event), event.old_value
    if "name" in new and "name" in old:
        store_id, name = store.id, old["name"]
        return Way({"name": store.name}, {"name": name}, lambda: stores.rename(actor, store_id, name))
    if new.get("status") == "disconnected":
        raise NoWayBack(
            "The tokens were deleted when the store was disconnected, so only Amazon can connect it again: use "
            "Reconnect on the store's page. Toggles, mappings and catalog are kept."
        )
    raise NoWayBack(
        "A connection is made and ended at Amazon, so FlexDash cannot take it back by itself. Disconnect or "
        "re-authorize the store on its page."
    )


def settings(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Set a toggle, or the stock rules, as they were."""
    store = store_of(actor, event)
    old, store_id, version = event.old_value, store.id, store.settings_version
    if toggle := next((toggle for toggle in Toggle if toggle in new and toggle in old), None):
        turn_on = bool(old[toggle])
        if toggle is Toggle.INVENTORY_SYNC and turn_on and store_settings.needs_preview(store):
            raise NoWayBack("Inventory Sync is turned on for the first time from its preview. Open it in Settings.")
        view = store_settings.view(store, toggle)
        return Way(
            {toggle.value: view.is_on},
            {toggle.value: turn_on},
            lambda: store_settings.set_toggle(actor, store_id, toggle, turn_on=turn_on, version=version),
            view.effect.replace("at {at}", "within a minute") if view.is_on != turn_on else "",
        )
    if RULES & new.keys() and RULES & old.keys():
        present = {name: getattr(store, name) for name in sorted(RULES)}
        wanted = present | {name: old[name] for name in RULES & old.keys()}
        typed = {name: str(value) for name, value in wanted.items()}
        return Way(present, wanted, lambda: rules.set_rules(actor, store_id, **typed, version=version))
    raise NoWayBack(
        "What was decided about a held-back push is done with: it cannot be undone. The store's Inventory tab shows "
        "what waits now."
    )


def mapping(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Take a hub's id away that was added, bring one back that was removed, or set it as it was."""
    store, old = store_of(actor, event), event.old_value
    hub = access.get(actor, Hub, id_of(event, "hub_id", "hub"))
    store_id, hub_id = store.id, hub.id
    present_one = db.session.scalars(
        select(HubMapping).where(HubMapping.store_id == store.id, HubMapping.hub_id == hub.id)
    ).one_or_none()
    present: Values = {}
    version = 0
    if present_one is not None:
        present = {
            "hub": hub.name,
            "seller_flex_hub_id": present_one.seller_flex_hub_id,
            "is_active": present_one.is_active,
        }
        version = present_one.version
    if not old:
        return Way(
            present,
            {},
            lambda: hub_mapping.remove(actor, store_id, hub_id, version=version),
            _left_behind(store_id, present, {}),
        )
    location, is_active = old["seller_flex_hub_id"], bool(old["is_active"])
    if not new:
        wanted = {"hub": hub.name, "seller_flex_hub_id": location, "is_active": is_active}
        verb = lambda: hub_mapping.add(actor, store_id, hub_id, location, is_active=is_active)  # noqa: E731
    elif present_one is None:
        raise NoWayBack(f"{hub.name} has no Seller Flex Hub ID in this store any more. Map it on the Hub Mapping tab.")
    else:
        wanted = dict(present) | {key: old[key] for key in changed_keys(event) if key != "hub"}
        location, is_active = wanted["seller_flex_hub_id"], wanted["is_active"]
        verb = lambda: hub_mapping.change(  # noqa: E731
            actor, store_id, hub_id, location, is_active=is_active, version=version
        )
    effect = "Orders On Hold are looked at again, and those that this helps are released."
    return Way(
        present,
        wanted,
        verb,
        " ".join(filter(None, (effect, _left_behind(store_id, present, wanted)))),
        lambda: order_holds.release_fixed(store_id),
    )


def _left_behind(store_id: int, present: Values, wanted: Values) -> str:
    """Say what Amazon goes on selling where the hub is now, if the way back takes it away from there."""
    if not present.get("is_active"):
        return ""
    location = present["seller_flex_hub_id"]
    if wanted.get("is_active") and wanted["seller_flex_hub_id"].casefold() == location.casefold():
        return ""
    sold = left_behind.sold_at(store_id, location)
    return sold.warning if sold is not None else ""

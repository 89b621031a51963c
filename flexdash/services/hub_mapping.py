"""Hub Mapping: the Seller Flex Hub ID of each hub in a store. One hub, one id; ids are compared whatever their case."""

import re

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Hub, HubMapping, Section, Store, StoreStatus
from flexdash.services import access, config_log, config_log_queries
from flexdash.services.actors import Actor, Permission
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.inventory import outbox
from flexdash.services.uniqueness import flush_or_refuse

USUAL_ID_LENGTH = 4  # what Amazon gives Seller Flex warehouses; other programs have other lengths
_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


def clean_id(seller_flex_hub_id: str) -> str:
    """Return the Seller Flex Hub ID as it is kept: without blanks around it, its case as typed.

    Raises FieldRefused for `seller_flex_hub_id` when it cannot be one.
    """
    text = seller_flex_hub_id.strip()
    if not text:
        raise FieldRefused(
            "seller_flex_hub_id",
            "Type the Seller Flex Hub ID of this hub. Seller Central shows it as the code of the warehouse.",
        )
    if not _ID.fullmatch(text):
        length = f" This one has {len(text)} characters." if len(text) > 36 else ""
        raise FieldRefused(
            "seller_flex_hub_id",
            f"A Seller Flex Hub ID has 1 to 36 letters (A to Z), digits, hyphens or underscores.{length} Type it as "
            "Amazon shows it.",
        )
    return text


def is_unusual(seller_flex_hub_id: str) -> bool:
    """Say whether the id has another length than Seller Flex ids usually have: worth a second look, not an error."""
    return len(seller_flex_hub_id) != USUAL_ID_LENGTH


def add(
    actor: Actor, store_id: int, hub_id: int, seller_flex_hub_id: str, *, is_active: bool = True, reason: str = ""
) -> HubMapping:
    """Map a hub to a Seller Flex Hub ID in the store and log it; return the mapping.

    Orders waiting for it are let go by `order_holds.release_fixed`, which the caller runs after this commit. Raises
    NotVisible, NotAllowed, ServiceError (a draft), ChangedByOther when the hub got an id meanwhile, and FieldRefused
    for `seller_flex_hub_id` (wrong form, or another hub has it), `hub_id` (inactive) and `reason`.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    with transaction() as session:
        store = _store(actor, store_id)
        hub = _hub(actor, hub_id)
        mapping = session.scalars(_of(store).where(HubMapping.hub_id == hub.id)).one_or_none()
        if mapping is not None:
            raise changed_by_other(actor, _last_change(store, hub.id))
        location = clean_id(seller_flex_hub_id)
        _check_hub_is_active(hub)
        _check_is_free(store, hub, location)
        mapping = HubMapping(store_id=store.id, hub_id=hub.id, seller_flex_hub_id=location, is_active=is_active)
        session.add(mapping)
        flush_or_refuse("seller_flex_hub_id", _taken(location, "another hub"))
        switched_off = "" if is_active else ", switched off"
        event = config_log.record(
            actor,
            Section.HUB_MAPPING,
            f"{actor.name} mapped {hub.name} to {location} in {store.name}{switched_off}",
            store=store,
            new=_values(hub, mapping),
            reason=reason,
        )
        # Counted on from the log's number, not from 1: a form made from a mapping that was removed since stays refused.
        mapping.version = event.sequence
        session.flush()
        return mapping


def change(
    actor: Actor,
    store_id: int,
    hub_id: int,
    seller_flex_hub_id: str,
    *,
    is_active: bool,
    version: int,
    reason: str = "",
) -> HubMapping:
    """Change a hub's Seller Flex Hub ID, switch the mapping on or off, or both, and log it; return the mapping.

    A changed id is unverified again, and what Amazon refused at the old one is nobody's work any more. `version` is
    the mapping's when the form was made. Raises as `add` does, and ChangedByOther when the mapping was changed or
    removed since.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    with transaction():
        store = _store(actor, store_id)
        hub = _hub(actor, hub_id)
        mapping = _mapping(actor, store, hub, version)
        location = clean_id(seller_flex_hub_id)
        old = _values(hub, mapping)
        if (location, is_active) == (mapping.seller_flex_hub_id, mapping.is_active):
            return mapping
        if is_active:
            _check_hub_is_active(hub)
        if location != mapping.seller_flex_hub_id:
            _check_is_free(store, hub, location)
            mapping.verified_at, mapping.verify_result, mapping.verify_message = None, None, ""
        mapping.seller_flex_hub_id, mapping.is_active = location, is_active
        mapping.version += 1
        flush_or_refuse("seller_flex_hub_id", _taken(location, "another hub"))
        outbox.forget_refusals(store.id)
        config_log.record(
            actor,
            Section.HUB_MAPPING,
            _change_sentence(actor, store, hub, old, mapping),
            store=store,
            old=old,
            new=_values(hub, mapping),
            reason=reason,
        )
        return mapping


def remove(actor: Actor, store_id: int, hub_id: int, *, version: int, reason: str = "") -> str:
    """Take the hub's Seller Flex Hub ID away and log it; return the id. Orders already at the hub stay there.

    Raises NotVisible, NotAllowed, FieldRefused for `reason`, and ChangedByOther as `change` does.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    with transaction() as session:
        store = _store(actor, store_id)
        hub = _hub(actor, hub_id)
        mapping = _mapping(actor, store, hub, version)
        old, location = _values(hub, mapping), mapping.seller_flex_hub_id
        session.delete(mapping)
        session.flush()
        outbox.forget_refusals(store.id)
        config_log.record(
            actor,
            Section.HUB_MAPPING,
            f"{actor.name} removed the Seller Flex Hub ID {location} from {hub.name} in {store.name}",
            store=store,
            old=old,
            reason=reason,
        )
        return location


def get(actor: Actor, store_id: int, hub_id: int) -> HubMapping:
    """Return the hub's mapping in the store; raise NotVisible when there is none that `actor` may see."""
    store = access.get(actor, Store, store_id)
    mapping = db.session.scalars(_of(store).where(HubMapping.hub_id == hub_id)).one_or_none()
    if mapping is None:
        raise NotVisible("hub mapping")
    return mapping


def _check_may(actor: Actor) -> None:
    if not actor.may(Permission.CONFIGURE_STORES):
        raise NotAllowed("Your role does not include changing hub mappings. Ask a merchant or an admin.")


def _store(actor: Actor, store_id: int) -> Store:
    # Held until the transaction ends: the mappings of one store are changed one after the other.
    store = access.get(actor, Store, store_id, lock=True)
    if store.status is StoreStatus.DRAFT:
        raise ServiceError("This store is not connected yet. Finish connecting it first, then map its hubs.")
    return store


def _hub(actor: Actor, hub_id: int) -> Hub:
    # Held too, so that the hub is not switched off between the check and the commit.
    return access.get(actor, Hub, hub_id, lock=True)


def _of(store: Store) -> Select[tuple[HubMapping]]:
    return (
        select(HubMapping)
        .where(HubMapping.store_id == store.id)
        .options(joinedload(HubMapping.hub))
        .execution_options(populate_existing=True)
    )


def _mapping(actor: Actor, store: Store, hub: Hub, version: int) -> HubMapping:
    mapping = db.session.scalars(_of(store).where(HubMapping.hub_id == hub.id)).one_or_none()
    if mapping is None or mapping.version != version:
        raise changed_by_other(actor, _last_change(store, hub.id))
    return mapping


def _last_change(store: Store, hub_id: int) -> ConfigEvent | None:
    return config_log_queries.newest(store, Section.HUB_MAPPING, "hub_id", hub_id)


def _check_hub_is_active(hub: Hub) -> None:
    if not hub.is_active:
        raise FieldRefused(
            "hub_id",
            f"{hub.name} is inactive, so no order can be routed to it. An admin can activate it under Workspace, Hubs.",
        )


def _check_is_free(store: Store, hub: Hub, location: str) -> None:
    for other in db.session.scalars(_of(store).where(HubMapping.hub_id != hub.id)):
        if other.seller_flex_hub_id.casefold() == location.casefold():
            raise FieldRefused("seller_flex_hub_id", _taken(other.seller_flex_hub_id, other.hub.name))


def _taken(location: str, owner: str) -> str:
    return (
        f"{location} is the Seller Flex Hub ID of {owner} in this store. Each id belongs to one hub: type another one, "
        f"or take it from {owner} first."
    )


def _values(hub: Hub, mapping: HubMapping) -> dict[str, object]:
    return {
        "hub": hub.name,
        "hub_id": hub.id,
        "seller_flex_hub_id": mapping.seller_flex_hub_id,
        "is_active": mapping.is_active,
    }


def _change_sentence(actor: Actor, store: Store, hub: Hub, old: dict[str, object], mapping: HubMapping) -> str:
    parts = []
    location = mapping.seller_flex_hub_id
    if old["seller_flex_hub_id"] != location:
        parts.append(f"changed the Seller Flex Hub ID of {hub.name} from {old['seller_flex_hub_id']} to {location}")
    if old["is_active"] != mapping.is_active:
        what = "it" if parts else f"the mapping of {hub.name} to {location}"
        parts.append(f"switched {what} {'on' if mapping.is_active else 'off'}")
    return f"{actor.name} {' and '.join(parts)} in {store.name}"

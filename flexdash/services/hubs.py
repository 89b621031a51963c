"""Hubs: the warehouses of a workspace. Which Seller Flex Hub ID a hub has in a store: services.hub_mapping."""

import re
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import contains_eager

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, Section, Seller, Store
from flexdash.services import access, config_log
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused
from flexdash.services.inventory import left_behind, outbox
from flexdash.services.inventory.left_behind import Sold
from flexdash.services.places import check_country, check_time_zone, country_name
from flexdash.services.uniqueness import flush_or_refuse
from flexdash.services.users import require_manager
from flexdash.services.words import listed, one_line, quoted, shortened

_CODE = re.compile(r"[A-Z0-9][A-Z0-9_-]{0,19}")
_CODE_TAKEN = "Another hub of this workspace has this code. Use another one."
_LABELS = {"code": "code", "name": "name", "city": "city", "country": "country", "time_zone": "time zone"}


def listing(actor: Actor, search: str = "", is_active: bool | None = None) -> Select[tuple[Hub]]:
    """Return a SELECT of the hubs whose code, name or city contains `search`; unordered."""
    require_manager(actor)
    query = access.visible(actor, Hub)
    if is_active is not None:
        query = query.where(Hub.is_active == is_active)
    if search := search.strip():
        fields = (Hub.code, Hub.name, Hub.city)
        query = query.where(or_(*(field.icontains(search, autoescape=True) for field in fields)))
    return query


def get(actor: Actor, hub_id: int) -> Hub:
    """Return one hub of the workspace; raises NotVisible."""
    require_manager(actor)
    return access.get(actor, Hub, hub_id)


def mappings(actor: Actor, hub_id: int) -> list[tuple[Store, HubMapping]]:
    """Return the stores that map the hub, each with its mapping, by seller and name."""
    query = (
        access.visible(actor, Store)
        .add_columns(HubMapping)
        .join(HubMapping, HubMapping.store_id == Store.id)
        .join(Store.seller)
        .options(contains_eager(Store.seller))
        .where(HubMapping.hub_id == hub_id)
        .order_by(Seller.name, Store.name, Store.id)
    )
    return [(store, mapping) for store, mapping in db.session.execute(query)]


def sold_at_amazon(actor: Actor, hub_id: int) -> list[tuple[str, Sold]]:
    """Return what Amazon sells from the hub now where it is switched on, each with its store's name."""
    active = [(store, mapping) for store, mapping in mappings(actor, hub_id) if mapping.is_active]
    found = [(store.name, left_behind.sold_at(store.id, mapping.seller_flex_hub_id)) for store, mapping in active]
    return [(name, sold) for name, sold in found if sold is not None]


def n_mappings(actor: Actor, hub_ids: list[int]) -> dict[int, int]:
    """Return in how many stores each of the hubs is mapped; a hub that is mapped nowhere is left out."""
    query = (
        select(HubMapping.hub_id, func.count())
        .join(Hub, Hub.id == HubMapping.hub_id)
        .where(Hub.workspace_id == actor.workspace_id, HubMapping.hub_id.in_(hub_ids))
        .group_by(HubMapping.hub_id)
    )
    return dict(db.session.execute(query).all())


def add(actor: Actor, *, code: str, name: str, city: str, country_code: str, time_zone: str) -> Hub:
    """Add a hub, active at once. Raises FieldRefused for the field that cannot be."""
    require_manager(actor)
    values = _checked(code, name, city, country_code, time_zone)
    with transaction():
        _refuse_taken_code(actor, values["code"], None)
        hub = Hub(workspace_id=actor.workspace_id, **values)
        db.session.add(hub)
        flush_or_refuse("code", _CODE_TAKEN)
        sentence = f"{actor.name} added the hub {quoted(hub.name)} with the code {hub.code}"
        config_log.record(actor, Section.HUBS, shortened(sentence), new={"hub_id": hub.id, **described(hub)})
        return hub


def edit(
    actor: Actor,
    hub_id: int,
    *,
    code: str,
    name: str,
    city: str,
    country_code: str,
    time_zone: str,
    reason: str = "",
) -> Hub:
    """Change a hub; what changed goes into one sentence of the Configuration Log. Raises NotVisible, FieldRefused."""
    require_manager(actor)
    values = _checked(code, name, city, country_code, time_zone)
    reason = config_log.clean_reason(reason)
    with transaction():
        hub = access.get(actor, Hub, hub_id, lock=True)
        _refuse_taken_code(actor, values["code"], hub.id)
        before = described(hub)
        for field, value in values.items():
            setattr(hub, field, value)
        flush_or_refuse("code", _CODE_TAKEN)
        after = described(hub)
        if changed := [key for key in after if before[key] != after[key]]:
            parts = [f"{_LABELS[key]} from {quoted(before[key], 40)} to {quoted(after[key], 40)}" for key in changed]
            config_log.record(
                actor,
                Section.HUBS,
                shortened(f"{actor.name} changed the hub {quoted(before['name'])}: {listed(parts)}"),
                old={"hub_id": hub.id} | {key: before[key] for key in changed},
                new={"hub_id": hub.id} | {key: after[key] for key in changed},
                reason=reason,
            )
        return hub


def deactivate(actor: Actor, hub_id: int, reason: str = "") -> Hub:
    """Switch a hub off: orders that come in for it go On Hold from now on, those it has stay as they are."""
    return _set_active(actor, hub_id, False, reason)


def reactivate(actor: Actor, hub_id: int) -> Hub:
    """Switch a hub on again.

    Orders On Hold for it are let go by `order_holds.release_fixed`, which the caller runs after this commit for each
    store of `mappings`.
    """
    return _set_active(actor, hub_id, True, "")


def _set_active(actor: Actor, hub_id: int, is_active: bool, reason: str) -> Hub:
    require_manager(actor)
    reason = config_log.clean_reason(reason)
    with transaction():
        hub = access.get(actor, Hub, hub_id, lock=True)
        if hub.is_active is not is_active:
            hub.is_active = is_active
            db.session.flush()
            mapped = select(HubMapping.store_id).where(HubMapping.hub_id == hub.id).order_by(HubMapping.store_id)
            for store_id in db.session.scalars(mapped).all():
                outbox.forget_refusals(store_id)
            verb = "reactivated" if is_active else "deactivated"
            config_log.record(
                actor,
                Section.HUBS,
                f"{actor.name} {verb} the hub {quoted(hub.name)}",
                old={"hub_id": hub.id, "code": hub.code, "is_active": not is_active},
                new={"hub_id": hub.id, "code": hub.code, "is_active": is_active},
                reason=reason,
            )
        return hub


def _refuse_taken_code(actor: Actor, code: str, hub_id: int | None) -> None:
    query = access.visible(actor, Hub).where(func.upper(Hub.code) == code)
    if any(hub.id != hub_id for hub in db.session.scalars(query)):
        raise FieldRefused("code", _CODE_TAKEN)


def described(hub: Hub) -> dict[str, Any]:
    """Return the hub's values as the Configuration Log keeps them."""
    return {
        "code": hub.code,
        "name": hub.name,
        "city": hub.city,
        "country": country_name(hub.country_code),
        "time_zone": hub.time_zone,
    }


def clean_code(code: str) -> str:
    """Return the code as it is kept, in capital letters; raise FieldRefused for `code` when it cannot be one."""
    code = code.strip().upper()
    if not _CODE.fullmatch(code):
        raise FieldRefused("code", "Give a code of 1 to 20 letters A to Z, digits, hyphens or underscores, like PUNE.")
    return code


def clean_name(name: str) -> str:
    """Return the name on one line; raise FieldRefused for `name` when it cannot be one."""
    name = one_line(name)
    if not name or len(name) > 100:
        raise FieldRefused("name", "Give a name of 1 to 100 characters, like Pune Warehouse.")
    return name


def clean_city(city: str) -> str:
    """Return the city on one line, "" for none; raise FieldRefused for `city` when it is too long."""
    city = one_line(city)
    if len(city) > 100:
        raise FieldRefused("city", "Use at most 100 characters.")
    return city


def _checked(code: str, name: str, city: str, country_code: str, time_zone: str) -> dict[str, str]:
    values = {"code": clean_code(code), "name": clean_name(name), "city": clean_city(city)}
    check_country(country_code)
    check_time_zone(time_zone)
    return {**values, "country_code": country_code, "time_zone": time_zone}

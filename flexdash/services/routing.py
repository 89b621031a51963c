"""Which hub an order goes to, and what stands in the way there. What else may: `order_checks`."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import HoldReason, Hub, HubMapping


@dataclass(frozen=True)
class Hold:
    """One reason why an order cannot be worked, with a sentence for a person."""

    reason: HoldReason
    detail: str


@dataclass(frozen=True)
class Route:
    """Where an order goes. With `holds` it waits; `hub_id` may be known all the same."""

    hub_id: int | None
    hub_name: str
    holds: tuple[Hold, ...] = ()


class Routes:
    """The hub mappings of one store, read once and asked for many orders."""

    def __init__(self, by_location: dict[str, Route]) -> None:
        self._by_location = by_location

    @classmethod
    def of_store(cls, store_id: int) -> "Routes":
        """Read the store's mappings as they are now."""
        return cls.of_stores([store_id])[store_id]

    @classmethod
    def of_stores(cls, store_ids: Collection[int]) -> dict[int, "Routes"]:
        """Read the mappings of several stores as they are now."""
        rows = db.session.execute(
            select(
                HubMapping.store_id,
                HubMapping.seller_flex_hub_id,
                HubMapping.is_active,
                Hub.id,
                Hub.name,
                Hub.is_active,
            )
            .join(Hub, Hub.id == HubMapping.hub_id)
            .where(HubMapping.store_id.in_(store_ids))
        )
        found: dict[int, dict[str, Route]] = {store_id: {} for store_id in store_ids}
        for store_id, location, is_mapping_active, hub_id, hub_name, is_hub_active in rows:
            route = _route(location, is_mapping_active, hub_id, hub_name, is_hub_active)
            found[store_id][location.casefold()] = route
        return {store_id: cls(by_location) for store_id, by_location in found.items()}

    def to(self, seller_flex_hub_id: str) -> Route:
        """Return the route of an order that Amazon placed at this location; ids are compared whatever their case."""
        known = self._by_location.get(seller_flex_hub_id.casefold())
        if known is not None:
            return known
        detail = f"No hub has the Seller Flex Hub ID {seller_flex_hub_id}. Map one on the store's Hub Mapping page."
        return Route(None, "", (Hold(HoldReason.NO_HUB_MAPPED, detail),))


def _route(location: str, is_mapping_active: bool, hub_id: int, hub_name: str, is_hub_active: bool) -> Route:
    if not is_hub_active:
        detail = f"{hub_name} is inactive. Activate the hub, or map {location} to another one."
    elif not is_mapping_active:
        detail = f"The mapping of {location} to {hub_name} is inactive. Activate it on the Hub Mapping page."
    else:
        return Route(hub_id, hub_name)
    return Route(hub_id, hub_name, (Hold(HoldReason.HUB_INACTIVE, detail),))

"""Where a store's stock goes: the locations of its active mapped hubs."""

from dataclasses import dataclass

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Hub, HubMapping


@dataclass(frozen=True)
class Location:
    """A hub of the store with the id Amazon knows it by."""

    mapping_id: int
    hub_id: int
    hub_name: str
    seller_flex_hub_id: str

    @property
    def key(self) -> tuple[int, int, str]:
        """What makes it the same place: not the hub's name."""
        return self.mapping_id, self.hub_id, self.seller_flex_hub_id


def active_locations(store_id: int) -> list[Location]:
    """Return the locations that stock is sent to: mapping and hub both active; in the order of their mappings."""
    query = (
        select(HubMapping.id, HubMapping.hub_id, Hub.name, HubMapping.seller_flex_hub_id)
        .join(Hub, Hub.id == HubMapping.hub_id)
        .where(HubMapping.store_id == store_id, HubMapping.is_active, Hub.is_active)
        .order_by(HubMapping.id)
    )
    return [Location(*row) for row in db.session.execute(query)]

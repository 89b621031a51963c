"""Where the SKUs stand that a push left out: its run and the preview count them, and lead there."""

from collections.abc import Callable

from flask import url_for

from flexdash.models import LeftOut, Store
from flexdash.services.inventory.drift import Only
from flexdash.services.inventory.places import active_locations


def pages_of(store: Store) -> Callable[[LeftOut | None, int | None], str]:
    """Return the function that says on which page the SKUs are listed, by kind and hub; "" for none."""
    mapping_ids = {location.hub_id: location.mapping_id for location in active_locations(store.id)}

    def page_of(left_out: LeftOut | None, hub_id: int | None) -> str:
        match left_out:
            case LeftOut.INACTIVE:
                return url_for("stores.catalog", store_id=store.id)
            case LeftOut.UNMAPPED:
                return url_for("stock.index", seller=store.seller_id, hub=hub_id)
            case LeftOut.NO_LISTING:
                mapping_id = mapping_ids.get(hub_id)
                return url_for("stores.inventory", store_id=store.id, only=Only.NO_LISTING.value, hub=mapping_id)
            case LeftOut.DELISTED:
                return url_for("stores.inventory", store_id=store.id, only=Only.DELISTED.value)
            case LeftOut.LEFT_BEHIND:
                return url_for("stores.inventory", store_id=store.id, only=Only.LEFT_BEHIND.value)
        return ""

    return page_of

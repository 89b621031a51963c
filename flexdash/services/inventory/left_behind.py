"""What Amazon goes on selling at locations that it is told nothing of any more.

A mapping that is removed, switched off or given another id ends what Amazon is told of its location, and nothing else:
Amazon keeps the quantities it was told last. So they are counted here, for the pages that lead there and those after.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from flexdash.extensions import db
from flexdash.models import PublishedStock
from flexdash.services.inventory.places import active_locations
from flexdash.services.inventory.quantities import shown


@dataclass(frozen=True)
class Sold:
    """What Amazon sells at a location of a store, as far as FlexDash knows."""

    seller_flex_hub_id: str
    n_skus: int
    n_units: int

    @property
    def words(self) -> str:
        """Return how much that is: "13 SKUs (240 units)"."""
        skus = f"{self.n_skus:,} SKU{'' if self.n_skus == 1 else 's'}"
        return f"{skus} ({self.n_units:,} unit{'' if self.n_units == 1 else 's'})"

    @property
    def warning(self) -> str:
        """Return what becomes of it once the location is not an active one any more, in a sentence."""
        place = self.seller_flex_hub_id
        return f"Amazon is told nothing of {place} any more after this, and goes on selling {self.words} there."


def sold_at(store_id: int, seller_flex_hub_id: str) -> Sold | None:
    """Return what Amazon sells at the location, None when it shows no stock there."""
    return next(iter(_sold(store_id, [seller_flex_hub_id])), None)


def of_store(store_id: int) -> list[Sold]:
    """Return what Amazon sells at each location that is not an active one of the store, by the location."""
    locations = _untold(store_id)
    return _sold(store_id, locations) if locations else []


def of_sku(store_id: int, sku_code: str) -> dict[str, int]:
    """Return how many units of one SKU Amazon sells at locations that are not active ones, by the location."""
    place = PublishedStock.seller_flex_hub_id
    query = select(place, shown()).where(
        PublishedStock.store_id == store_id, PublishedStock.sku_code == sku_code, is_left_behind(store_id)
    )
    return dict(db.session.execute(query.order_by(place)).all())


def is_left_behind(store_id: int) -> ColumnElement[bool]:
    """Return the condition on PublishedStock that Amazon sells it at a location that is not an active one."""
    return (shown() > 0) & PublishedStock.seller_flex_hub_id.in_(_untold(store_id))


def _untold(store_id: int) -> list[str]:
    """Return the locations that Amazon was told of, or asked about, and that are not active ones whatever the case."""
    active = {location.seller_flex_hub_id.casefold() for location in active_locations(store_id)}
    return [location for location in db.session.scalars(_known(store_id)) if location.casefold() not in active]


def _known(store_id: int) -> Select[Any]:
    """Return the SELECT of the store's locations, one look into an index for each: no row of a SKU is read."""
    own = PublishedStock.store_id == store_id
    least = func.min(PublishedStock.seller_flex_hub_id)
    known = select(select(least).where(own).scalar_subquery().label("location")).cte("known", recursive=True)
    following = select(least).where(own, PublishedStock.seller_flex_hub_id > known.c.location).correlate(known)
    known = known.union_all(select(following.scalar_subquery()).where(known.c.location.is_not(None)))
    return select(known.c.location).where(known.c.location.is_not(None))


def _sold(store_id: int, locations: list[str]) -> list[Sold]:
    place = PublishedStock.seller_flex_hub_id
    query = (
        select(place, func.count(), func.sum(shown()))
        .where(PublishedStock.store_id == store_id, place.in_(locations), shown() > 0)
        .group_by(place)
        .order_by(place)
    )
    return [Sold(location, n_skus, int(n_units)) for location, n_skus, n_units in db.session.execute(query)]

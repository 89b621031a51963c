"""The SKUs that an order wants: their names, their listings in its store, and their stock at its hub."""

from dataclasses import dataclass

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Listing, Order, Sku, StockLevel
from flexdash.services import stock_queries


@dataclass(frozen=True)
class SkuFacts:
    """One SKU of an order."""

    sku_code: str
    n_wanted: int  # in all its lines together
    name: str  # "" where nobody has named it
    listing_id: int | None  # None: the order's store does not list it
    level: StockLevel | None  # None: its hub, if it has one, never had it

    @property
    def n_available(self) -> int:
        """How many units the hub could still promise."""
        return self.level.available if self.level is not None else 0


def facts(order: Order) -> dict[str, SkuFacts]:
    """Return what is known of each SKU of the order, by SKU code. Takes three queries for however many lines."""
    wanted: dict[str, int] = {}
    for line in order.lines:
        wanted[line.sku_code] = wanted.get(line.sku_code, 0) + line.n_units
    seller_id = order.store.seller_id
    names = dict(
        db.session.execute(
            select(Sku.sku_code, Sku.name).where(Sku.seller_id == seller_id, Sku.sku_code.in_(wanted))
        ).all()
    )
    query = select(Listing).where(Listing.store_id == order.store_id, Listing.sku_code.in_(wanted))
    listings = {listing.sku_code: listing for listing in db.session.scalars(query)}
    levels = stock_queries.at_hub(seller_id, order.hub_id, wanted)
    found = {}
    for code, n_wanted in wanted.items():
        listing = listings.get(code)
        name = listing.name if listing is not None else names.get(code, "")
        found[code] = SkuFacts(
            code, n_wanted, "" if name == code else name, listing.id if listing else None, levels.get(code)
        )
    return found

"""Reading a store's catalog: the list with its search and filters, what Amazon was told of it, and its export."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, literal, select, text, union
from sqlalchemy.orm import InstrumentedAttribute, aliased, joinedload

from flexdash.database import begins_with, release_connection
from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, Listing, PriceState, PublishedStock, PushState, StockLevel, Store
from flexdash.models.listing import HAS_BARCODE
from flexdash.services import access, store_contents
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible

EXPORT_HEADINGS = (
    "sku_code",
    "asin",
    "name",
    "barcode",
    "mrp",
    "weight_g",
    "length_cm",
    "width_cm",
    "height_cm",
)
HAS_NO_PRICE = Listing.price_state == PriceState.NONE
ROWS_AT_A_TIME = 1_000


class Only(StrEnum):
    """What the list can be narrowed to."""

    REFUSED_STOCK = "error"  # Amazon refused the quantity sent last, at one location or more
    NO_PRICE = "no_price"
    REFUSED_PRICE = "refused_price"


@dataclass(frozen=True)
class Filters:
    """What a person asked for; "" and None mean not at all."""

    text: str = ""  # the beginning of a SKU code, or a whole ASIN or barcode
    only: Only | None = None


@dataclass(frozen=True)
class Refusal:
    """What Amazon said to the quantity of a listing at one location."""

    seller_flex_hub_id: str
    words: str


@dataclass(frozen=True)
class Pushed:
    """What Amazon was told of a listing's stock, over all its locations."""

    quantity: int | None  # what Amazon took last, added up; None: it never took one
    sent_at: datetime | None  # the newest sent, whatever became of it
    accepted_at: datetime | None
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class HubStock:
    """A listing's stock in one hub, and what Amazon was told for its location. Any of the parts may be missing."""

    hub: Hub | None  # None: no hub has the location any more
    mapping: HubMapping | None
    level: StockLevel | None
    published: PublishedStock | None

    @property
    def seller_flex_hub_id(self) -> str:
        """The location, "" where the hub has none in this store."""
        if self.mapping is not None:
            return self.mapping.seller_flex_hub_id
        return self.published.seller_flex_hub_id if self.published else ""

    @property
    def is_pushed_to(self) -> bool:
        """Whether Amazon is told this hub's stock."""
        return self.mapping is not None and self.mapping.is_active and self.hub is not None and self.hub.is_active


def get(actor: Actor, store_id: int, listing_id: int) -> Listing:
    """Return one listing of the store, read fresh; raise NotVisible when there is none that `actor` may see."""
    listing = access.get(actor, Listing, listing_id)
    if listing.store_id != store_id:
        raise NotVisible("listing")
    return listing


def is_empty(store: Store) -> bool:
    """Say whether the store has no listing at all."""
    return store_contents.is_catalog_empty(store)


def of_store(
    actor: Actor, store: Store, filters: Filters
) -> tuple[Select[tuple[Listing]], InstrumentedAttribute[str] | None]:
    """Return the SELECT of the store's listings that `filters` let through, unordered and unpaged.

    For NO_PRICE it has all of them: no index knows which have none, so that `HAS_NO_PRICE` is for `paging.sifted_page`.
    Beside it the column whose index holds the order by SKU, where that is another table's: `paging.keyset_page` wants
    it as `index`. None: `Listing.sku_code` itself.
    """
    query, walked = access.visible(actor, Listing), None
    match filters.only:
        case Only.REFUSED_STOCK:
            query, walked = _with_refused_stock(query, store), PublishedStock.sku_code
        case Only.REFUSED_PRICE:
            query = query.where(text("price_state = 'refused'"))  # in the words of the partial index
    if sought := filters.text.strip():
        return _matching(query, store, sought, Listing.sku_code if walked is None else walked), walked
    return query.where(Listing.store_id == store.id), walked


def pushed(store: Store, listings: Sequence[Listing]) -> dict[str, Pushed]:
    """Return what Amazon was told of each of `listings`, by SKU code; one it was told nothing of is left out."""
    rows = db.session.scalars(
        select(PublishedStock).where(
            PublishedStock.store_id == store.id,
            PublishedStock.sku_code.in_([listing.sku_code for listing in listings]),
            PublishedStock.state.is_not(None),
        )
    )
    by_sku: dict[str, list[PublishedStock]] = {}
    # Sorted here: asked to sort them, SQLite reads all of the store in the order of the locations.
    for row in sorted(rows, key=lambda row: row.seller_flex_hub_id):
        by_sku.setdefault(row.sku_code, []).append(row)
    return {sku_code: _added_up(found) for sku_code, found in by_sku.items()}


def stock(store: Store, listing: Listing) -> list[HubStock]:
    """Return the listing's stock in each hub of its seller or of the store's mapping, by the hub's name.

    Locations that no hub has any more come last, where Amazon took something, was asked, or has not answered.
    """
    mappings = list(
        db.session.scalars(
            select(HubMapping).where(HubMapping.store_id == store.id).options(joinedload(HubMapping.hub))
        )
    )
    levels = {
        level.hub_id: level
        for level in db.session.scalars(
            select(StockLevel)
            .where(StockLevel.seller_id == store.seller_id, StockLevel.sku_code == listing.sku_code)
            .options(joinedload(StockLevel.hub))
        )
    }
    published = {
        row.seller_flex_hub_id: row
        for row in db.session.scalars(
            select(PublishedStock).where(
                PublishedStock.store_id == store.id, PublishedStock.sku_code == listing.sku_code
            )
        )
    }
    found = []
    for mapping in mappings:
        told = published.pop(mapping.seller_flex_hub_id, None)
        found.append(HubStock(mapping.hub, mapping, levels.pop(mapping.hub_id, None), told))
    found += [HubStock(level.hub, None, level, None) for level in levels.values()]
    found.sort(key=lambda row: (row.hub.name, row.hub.id))
    others = (published[location] for location in sorted(published))
    return found + [
        HubStock(None, None, None, row)
        for row in others
        if not (row.state is None and row.quantity is None and row.fetched_at is None)
    ]


def export_rows(store: Store) -> Iterator[tuple[Any, ...]]:
    """Yield every listing of the store by SKU, under EXPORT_HEADINGS; a thousand at a time.

    The database connection is given back between the portions: a slow download holds nothing.
    """
    columns = [getattr(Listing, heading) for heading in EXPORT_HEADINGS]
    query = select(*columns).where(Listing.store_id == store.id).order_by(Listing.sku_code).limit(ROWS_AT_A_TIME)
    portion = query
    while True:
        found = db.session.execute(portion).all()
        release_connection()
        for row in found:
            yield tuple(format(cell, "f") if isinstance(cell, Decimal) else cell for cell in row)
        if len(found) < ROWS_AT_A_TIME:
            return
        portion = query.where(Listing.sku_code > literal(found[-1].sku_code))


def _with_refused_stock(query: Select[tuple[Listing]], store: Store) -> Select[tuple[Listing]]:
    """Return `query` narrowed to the listings with a refused quantity, read along the index of the refused ones."""
    earlier = aliased(PublishedStock)
    is_second_location = select(earlier.id).where(
        earlier.store_id == store.id,
        earlier.sku_code == PublishedStock.sku_code,
        earlier.state == PushState.REFUSED,
        earlier.id < PublishedStock.id,
    )
    return query.join(
        PublishedStock,
        and_(PublishedStock.store_id == Listing.store_id, PublishedStock.sku_code == Listing.sku_code),
    ).where(
        PublishedStock.store_id == store.id,
        text("published_stock.state = 'refused'"),  # in the words of the partial index
        ~is_second_location.exists(),
    )


def _matching(
    query: Select[tuple[Listing]], store: Store, sought: str, walked: InstrumentedAttribute[str]
) -> Select[tuple[Listing]]:
    """Return `query` narrowed to the listings that `sought` names: by SKU and ASIN, else by barcode."""
    own = Listing.store_id == store.id
    begins = begins_with(Listing.sku_code, sought)
    of_asin = select(Listing.id).where(own, Listing.asin == sought.upper())
    has_sku, has_asin = db.session.execute(
        select(select(Listing.id).where(own, begins).exists(), of_asin.exists())
    ).one()
    if has_asin:
        # Without the store once more, or SQLite walks all its listings in their order instead of looking these few up.
        return query.where(Listing.id.in_(union(select(Listing.id).where(own, begins), of_asin)))
    if has_sku:
        return query.where(own, begins_with(walked, sought))
    # Without the store as a condition of its own, as above.
    of_barcode = select(Listing.id).where(own, text(HAS_BARCODE), Listing.barcode == sought)
    return query.where(Listing.id.in_(of_barcode))


def _added_up(rows: Sequence[PublishedStock]) -> Pushed:
    quantities = [row.quantity for row in rows if row.quantity is not None]
    return Pushed(
        quantity=sum(quantities) if quantities else None,
        sent_at=max((row.sent_at for row in rows if row.sent_at), default=None),
        accepted_at=max((row.accepted_at for row in rows if row.accepted_at), default=None),
        refusals=tuple(
            Refusal(row.seller_flex_hub_id, row.error_message or row.error_code or "Amazon gave no reason.")
            for row in rows
            if row.state is PushState.REFUSED
        ),
    )

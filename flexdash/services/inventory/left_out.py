"""What a push leaves out, and why: counted for its run, each kind with what to do about it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Select, and_, func, select

from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, ItemOutcome, LeftOut, Listing, PublishedStock, StockLevel
from flexdash.services.inventory import left_behind
from flexdash.services.inventory.left_behind import Sold
from flexdash.services.inventory.places import Location
from flexdash.services.inventory.plan import StoreFacts


def left_out(store: StoreFacts, locations: list[Location]) -> list[dict[str, Any]]:
    """Return what the push of the store does not send and why, as values of SyncRunItem without the run."""
    n_listings = db.session.scalar(select(func.count()).where(Listing.store_id == store.store_id)) or 0
    sold = left_behind.of_store(store.store_id)
    items = [
        *_at_inactive(store, n_listings, sold),
        *_at_unmapped(store),
        *_left_behind(store, sold),
        *_without_listing(store, locations),
        *_listed_no_more(store),
    ]
    return [{"outcome": ItemOutcome.SKIPPED, "sku_code": "", **item} for item in items if item["n_items"]]


def _at_inactive(store: StoreFacts, n_listings: int, sold: list[Sold]) -> Iterator[dict[str, Any]]:
    query = (
        select(Hub.id, Hub.name, Hub.is_active, HubMapping.seller_flex_hub_id)
        .join(HubMapping, HubMapping.hub_id == Hub.id)
        .where(HubMapping.store_id == store.store_id, ~and_(HubMapping.is_active, Hub.is_active))
        .order_by(HubMapping.id)
    )
    words_of = {one.seller_flex_hub_id.casefold(): one.words for one in sold}
    for hub_id, name, is_hub_active, seller_flex_hub_id in db.session.execute(query):
        still = words_of.get(seller_flex_hub_id.casefold(), "")
        if is_hub_active:
            reason = f"{name} is switched off in this store's Hub Mapping, so Amazon is told nothing of it."
            remedy = "Switch it on on the Hub Mapping tab to send its stock."
        else:
            reason = f"{name} is an inactive hub, so Amazon is told nothing of it."
            remedy = "Activate the hub under Hubs to send its stock."
        yield {
            "seller_flex_hub_id": seller_flex_hub_id,
            "n_items": n_listings,
            "left_out": LeftOut.INACTIVE,
            "hub_id": hub_id,
            "reason": f"{reason} It goes on selling there what it was told last{': ' if still else ''}{still}.",
            "remedy": remedy,
        }


def _at_unmapped(store: StoreFacts) -> Iterator[dict[str, Any]]:
    n_skus = (
        select(func.count())
        .where(StockLevel.hub_id == Hub.id, StockLevel.seller_id == store.seller_id)
        .correlate(Hub)
        .scalar_subquery()
    )
    is_mapped = select(HubMapping.id).where(HubMapping.store_id == store.store_id, HubMapping.hub_id == Hub.id).exists()
    query = select(Hub.id, Hub.name, n_skus).where(Hub.workspace_id == store.workspace_id, Hub.is_active, ~is_mapped)
    for hub_id, name, n_items in db.session.execute(query.order_by(Hub.name, Hub.id)):
        yield {
            "seller_flex_hub_id": "",
            "n_items": n_items,
            "left_out": LeftOut.UNMAPPED,
            "hub_id": hub_id,
            "reason": f"{name} has stock and no Seller Flex Hub ID in this store, so Amazon cannot be told of it.",
            "remedy": "Type its Seller Flex Hub ID on the Hub Mapping tab, if it sells in this store.",
        }


def _left_behind(store: StoreFacts, sold: list[Sold]) -> Iterator[dict[str, Any]]:
    """Yield what Amazon sells at locations that no hub has any more; of those switched off, `_at_inactive` tells."""
    query = select(HubMapping.seller_flex_hub_id).where(HubMapping.store_id == store.store_id)
    mapped = {location.casefold() for location in db.session.scalars(query)}
    for one in sold:
        if one.seller_flex_hub_id.casefold() not in mapped:
            yield {
                "seller_flex_hub_id": one.seller_flex_hub_id,
                "n_items": one.n_skus,
                "left_out": LeftOut.LEFT_BEHIND,
                "hub_id": None,
                "reason": f"No hub has {one.seller_flex_hub_id} any more, so Amazon is told nothing of it and goes on "
                f"selling what it was told last: {one.words}.",
                "remedy": "To stop that, give the id to a hub again on the Hub Mapping tab, set the stock there to 0, "
                "push, and remove it then.",
            }


def _without_listing(store: StoreFacts, locations: list[Location]) -> Iterator[dict[str, Any]]:
    for location in locations:
        stocked = select(StockLevel.sku_code).where(
            StockLevel.hub_id == location.hub_id, StockLevel.seller_id == store.seller_id
        )
        yield {
            "seller_flex_hub_id": location.seller_flex_hub_id,
            "n_items": _n_not_listed(store, stocked),
            "left_out": LeftOut.NO_LISTING,
            "hub_id": location.hub_id,
            "reason": f"Not on Amazon: no listing. {location.hub_name} has stock of SKUs that this store's catalog "
            "does not have.",
            "remedy": "Upload a catalog with these SKUs and their ASINs, if they are to be sold in this store.",
        }


def _listed_no_more(store: StoreFacts) -> Iterator[dict[str, Any]]:
    shown = select(PublishedStock.sku_code).where(
        PublishedStock.store_id == store.store_id, PublishedStock.quantity > 0
    )
    yield {
        "seller_flex_hub_id": "",
        "n_items": _n_not_listed(store, shown),
        "left_out": LeftOut.DELISTED,
        "hub_id": None,
        "reason": "Taken out of the catalog while Amazon showed stock. Amazon is told nothing of them any more, and "
        "goes on selling what it was told last.",
        "remedy": "Put them back into the catalog, or close their listings in Seller Central.",
    }


def _n_not_listed(store: StoreFacts, sku_codes: Select[tuple[str]]) -> int:
    """Return how many of the SKUs the store's catalog does not have.

    As the difference of two sets, which a database reads once each whatever it guesses of their sizes. A look for each
    row goes by an index of all the store's listings where PostgreSQL has no statistics yet; NOT IN goes through the
    whole catalog for each row once that is too large for its memory of one step (8 MB, some 200,000 SKUs).
    """
    listed = select(Listing.sku_code).where(Listing.store_id == store.store_id)
    return db.session.scalar(select(func.count()).select_from(sku_codes.except_(listed).subquery())) or 0

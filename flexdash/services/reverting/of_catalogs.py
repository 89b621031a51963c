"""Taking back what was changed in a store's catalog, and prices. Uploaded files have no way back as a whole."""

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, Store
from flexdash.services import access, listings, order_holds, prices
from flexdash.services.actors import Actor
from flexdash.services.reverting.ways import NoWayBack, Values, Way, changed_keys, store_of

AT_MOST = 500  # orders looked at again at once; the next pull goes on


def catalog(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Remove a listing that was added, add one that was removed, or set its values as they were."""
    store, old = store_of(actor, event), event.old_value
    if "upload_id" in new:
        raise NoWayBack("A catalog file is not taken back as a whole. Upload a file with the values you want.")
    sku_code = (old or new).get("sku_code", "")
    listing = _listing(actor, store, sku_code)
    store_id, seller_id = store.id, store.seller_id
    present = {"sku_code": sku_code, **listings.typed(listing)} if listing else {}
    listing_id, version = (listing.id, listing.version) if listing else (0, 0)
    if not old:
        effect = "Its stock stays in the hubs, and Amazon keeps the quantity it was told last."
        return Way(present, {}, lambda: listings.remove(actor, store_id, listing_id, version=version), effect)
    effect = ""
    if not new:
        wanted = {"sku_code": sku_code} | {name: old.get(name, "") for name in listings.FIELDS}
        effect = "Its price does not come back with it: give it again on the Prices tab."
        verb = lambda: listings.add(actor, store_id, sku_code, wanted)  # noqa: E731
    elif listing is None:
        raise NoWayBack(f"{sku_code} is not in the catalog of this store any more. Add it again on the Catalog tab.")
    else:
        wanted = present | {key: old.get(key, "") for key in changed_keys(event)}
        verb = lambda: listings.change(actor, store_id, listing_id, wanted, version=version)  # noqa: E731
    return Way(
        present,
        wanted,
        verb,
        effect,
        lambda: order_holds.release_for_seller(seller_id, sku_code=sku_code, at_most=AT_MOST),
    )


def price(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Give one price its old amount."""
    store, old = store_of(actor, event), event.old_value
    if "upload_id" in new:
        raise NoWayBack("A price file is not taken back as a whole. Upload a file with the prices you want.")
    if "price" not in new or "price" not in old:
        raise NoWayBack(
            "There was no price before, and a price cannot be taken away, only changed. Type the right one on the "
            "Prices tab."
            if "price" in new and "sku_code" in old
            else "Prices that were sent to Amazon again cannot be called back. Change them on the Prices tab."
        )
    sku_code, old_price = new["sku_code"], old["price"]
    listing = _listing(actor, store, sku_code)
    if listing is None:
        raise NoWayBack(f"{sku_code} is not in the catalog of this store any more, so it has no price to revert.")
    soon = "Amazon is told with the next price push, which starts within a minute."
    present = {"sku_code": sku_code, "price": f"{listing.price:f}" if listing.price is not None else ""}
    listing_id, version = listing.id, listing.version
    return Way(
        present,
        present | {"price": old_price},
        lambda: prices.change(actor, listing_id, old_price, version=version),
        prices.big_change(listing, old_price) or soon,
    )


def stock(_actor: Actor, _event: ConfigEvent, _new: Values) -> Way:
    """Say why a stock file stays applied."""
    raise NoWayBack(
        "A stock file is not taken back as a whole: orders have reserved from it since. Set the right quantities on "
        "the Stock page or with another file; each change stays in the ledger."
    )


def _listing(actor: Actor, store: Store, sku_code: str) -> Listing | None:
    query = access.visible(actor, Listing).where(Listing.store_id == store.id, Listing.sku_code == sku_code)
    return db.session.scalars(query).one_or_none()

"""A person wants Amazon to be told again: one SKU, or all that differ. The next push sends what is marked here."""

from collections.abc import Sequence

from sqlalchemy import update

from flexdash.database import joining_whole_tables, release_connection, transaction
from flexdash.extensions import db
from flexdash.models import Listing, PublishedStock, Store
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import NotAllowed, NotVisible, ServiceError
from flexdash.services.inventory import outbox
from flexdash.services.inventory.places import active_locations
from flexdash.services.inventory.plan import StoreFacts
from flexdash.services.inventory.quantities import is_among, lines, wanted

_BATCH = 1_000


def correct_one(actor: Actor, store_id: int, listing_id: int, mapping_id: int) -> None:
    """Mark one SKU at one location, so that the next push sends it whatever the numbers say.

    Raises NotVisible, NotAllowed, and ServiceError when Inventory Sync is off: then nothing would send it.
    """
    store = _checked(actor, store_id)
    listing = access.get(actor, Listing, listing_id)
    location = next((one for one in active_locations(store_id) if one.mapping_id == mapping_id), None)
    if listing.store_id != store.id or location is None:
        raise NotVisible("listing")
    facts = StoreFacts.of(store)
    with transaction():
        outbox.lock(store_id)
        _mark([row.published_id for row in outbox.rows_of(facts, location, [listing_id])])


def correct_all(actor: Actor, store_id: int) -> int:
    """Mark every line of which Amazon said something else than ours; return how many those are.

    What differs from what Amazon was told last is sent by the next push anyway. Raises as `correct_one` does.
    """
    store = _checked(actor, store_id)
    locations = active_locations(store_id)
    ids: list[int] = []
    if locations:
        query = lines(
            [PublishedStock.id],
            store_id=store.id,
            seller_id=store.seller_id,
            mapping_ids=[location.mapping_id for location in locations],
        ).where(PublishedStock.amazon_sellable != wanted(store.stock_buffer))
        with joining_whole_tables():
            ids = list(db.session.scalars(query))
    release_connection()
    for start in range(0, len(ids), _BATCH):
        with transaction():
            outbox.lock(store_id)
            _mark(ids[start : start + _BATCH])
    return len(ids)


def _checked(actor: Actor, store_id: int) -> Store:
    if not actor.may(Permission.START_SYNCS):
        raise NotAllowed("Your role may not start a sync. Ask a merchant or an admin of your workspace.")
    store = access.get(actor, Store, store_id)
    if not store.is_inventory_sync_on:
        raise ServiceError(
            f"Inventory Sync is off for {store.name}, so nothing is sent to Amazon. A merchant or an admin can turn it "
            "on in the store's settings."
        )
    return store


def _mark(ids: Sequence[int]) -> None:
    db.session.execute(
        update(PublishedStock)
        .where(is_among(PublishedStock.id, ids))
        .values(must_push=True)
        .execution_options(synchronize_session=False)
    )

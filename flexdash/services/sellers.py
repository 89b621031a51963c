"""Sellers: the brands a workspace serves, each with SKUs and stores."""

from sqlalchemy import Select, func, or_, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Listing, Section, Seller, Sku, Store, StoreStatus
from flexdash.services import access, config_log, names
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused
from flexdash.services.uniqueness import flush_or_refuse
from flexdash.services.users import require_manager
from flexdash.services.words import quoted

_NAME_TAKEN = "Another seller of this workspace has this name. Use another one."


def listing(actor: Actor, search: str = "", is_active: bool | None = None) -> Select[tuple[Seller]]:
    """Return a SELECT of the sellers whose name contains `search`; unordered."""
    require_manager(actor)
    query = access.visible(actor, Seller)
    if is_active is not None:
        query = query.where(Seller.is_active == is_active)
    if search := search.strip():
        query = query.where(Seller.name.icontains(search, autoescape=True))
    return query


def all_by_name(actor: Actor) -> list[Seller]:
    """Return every seller the actor may see, by name."""
    return list(db.session.scalars(access.visible(actor, Seller).order_by(Seller.name, Seller.id)))


def get(actor: Actor, seller_id: int) -> Seller:
    """Return one seller of the workspace; raises NotVisible."""
    require_manager(actor)
    return access.get(actor, Seller, seller_id)


def stores(actor: Actor, seller_id: int, search: str = "", status: StoreStatus | None = None) -> Select[tuple[Store]]:
    """Return a SELECT of the seller's stores, drafts too, whose name contains `search`; unordered."""
    query = access.visible(actor, Store).where(Store.seller_id == seller_id)
    if status is not None:
        query = query.where(Store.status == status)
    if search := search.strip():
        query = query.where(Store.name.icontains(search, autoescape=True))
    return query


def syncing_stores(actor: Actor, seller_id: int) -> list[Store]:
    """Return those of the seller's stores that are connected, or would be again with a new authorization, by name."""
    live = stores(actor, seller_id).where(Store.status.in_((StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)))
    return list(db.session.scalars(live.order_by(Store.name, Store.id)))


def n_stores(actor: Actor, seller_ids: list[int]) -> dict[int, int]:
    """Return how many stores that are not drafts each of the sellers has; one without any is left out."""
    query = (
        select(Store.seller_id, func.count())
        .where(
            Store.workspace_id == actor.workspace_id,
            Store.seller_id.in_(seller_ids),
            Store.status != StoreStatus.DRAFT,
        )
        .group_by(Store.seller_id)
    )
    return dict(db.session.execute(query).all())


def skus(actor: Actor, seller_id: int, search: str = "") -> Select[tuple[Sku]]:
    """Return a SELECT of the seller's SKUs whose code or name contains `search`; unordered."""
    query = access.visible(actor, Sku).where(Sku.seller_id == seller_id)
    if search := search.strip():
        query = query.where(
            or_(Sku.sku_code.icontains(search, autoescape=True), Sku.name.icontains(search, autoescape=True))
        )
    return query


def listed_in(actor: Actor, seller_id: int, sku_codes: list[str]) -> dict[str, list[Store]]:
    """Return the seller's stores whose catalog has each of the SKUs, by name; a SKU that none has is left out."""
    query = (
        access.visible(actor, Store)
        .add_columns(Listing.sku_code)
        .join(Listing, Listing.store_id == Store.id)
        .where(Store.seller_id == seller_id, Listing.sku_code.in_(sku_codes))
        .order_by(Store.name, Store.id)
    )
    found: dict[str, list[Store]] = {}
    for store, sku_code in db.session.execute(query):
        found.setdefault(sku_code, []).append(store)
    return found


def add(actor: Actor, *, name: str) -> Seller:
    """Add a seller, active at once. Raises FieldRefused for `name`."""
    require_manager(actor)
    name = names.checked(name)
    with transaction():
        _refuse_taken_name(actor, name, None)
        seller = Seller(workspace_id=actor.workspace_id, name=name)
        db.session.add(seller)
        flush_or_refuse("name", _NAME_TAKEN)
        sentence = f"{actor.name} added the seller {quoted(name)}"
        config_log.record(actor, Section.SELLERS, sentence, seller=seller, new={"name": name})
        return seller


def rename(actor: Actor, seller_id: int, *, name: str, reason: str = "") -> Seller:
    """Give a seller another name. Raises NotVisible, FieldRefused for `name` and `reason`."""
    require_manager(actor)
    name = names.checked(name)
    reason = config_log.clean_reason(reason)
    with transaction():
        seller = access.get(actor, Seller, seller_id, lock=True)
        _refuse_taken_name(actor, name, seller.id)
        old_name = seller.name
        if name != old_name:
            seller.name = name
            flush_or_refuse("name", _NAME_TAKEN)
            sentence = f"{actor.name} renamed the seller {quoted(old_name)} to {quoted(name)}"
            old, new = {"name": old_name}, {"name": name}
            config_log.record(actor, Section.SELLERS, sentence, seller=seller, old=old, new=new, reason=reason)
        return seller


def deactivate(actor: Actor, seller_id: int, reason: str = "") -> Seller:
    """Take a seller out of use: no store can be added for it; stores that are connected go on until disconnected."""
    return _set_active(actor, seller_id, False, reason)


def reactivate(actor: Actor, seller_id: int) -> Seller:
    """Put a seller to use again."""
    return _set_active(actor, seller_id, True, "")


def _set_active(actor: Actor, seller_id: int, is_active: bool, reason: str) -> Seller:
    require_manager(actor)
    reason = config_log.clean_reason(reason)
    with transaction():
        seller = access.get(actor, Seller, seller_id, lock=True)
        if seller.is_active is not is_active:
            seller.is_active = is_active
            verb = "reactivated" if is_active else "deactivated"
            config_log.record(
                actor,
                Section.SELLERS,
                f"{actor.name} {verb} the seller {quoted(seller.name)}",
                seller=seller,
                old={"is_active": not is_active},
                new={"is_active": is_active},
                reason=reason,
            )
        return seller


def _refuse_taken_name(actor: Actor, name: str, seller_id: int | None) -> None:
    # Names that differ only in case would be mistaken for one another.
    query = access.visible(actor, Seller).where(func.lower(Seller.name) == name.lower())
    if any(seller.id != seller_id for seller in db.session.scalars(query)):
        raise FieldRefused("name", _NAME_TAKEN)

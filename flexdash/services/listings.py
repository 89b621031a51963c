"""Changing a store's catalog by hand: add, change and remove one listing. Reading it: services.listing_queries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from flexdash import clock
from flexdash.database import transaction
from flexdash.models import ConfigEvent, Listing, Section, Store, StoreStatus
from flexdash.services import access, catalog_values, config_log, config_log_queries
from flexdash.services.actors import Actor, Permission
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.uniqueness import flush_or_refuse
from flexdash.services.words import listed, quoted, shortened


@dataclass(frozen=True)
class Field:
    """One value of a listing that a person types. `label` is its name within a sentence."""

    label: str
    clean: Callable[[str], Any]
    is_optional: bool = True
    unit: str = ""
    nothing: Any = None  # what is kept when an optional one is left empty


FIELDS = {
    "name": Field("name", catalog_values.clean_name, is_optional=False),
    "asin": Field("ASIN", catalog_values.clean_asin, is_optional=False),
    "barcode": Field("barcode", catalog_values.clean_barcode, nothing=""),
    "mrp": Field("MRP", catalog_values.clean_money),
    "weight_g": Field("weight", catalog_values.clean_weight_g, unit="g"),
    "length_cm": Field("length", catalog_values.clean_cm, unit="cm"),
    "width_cm": Field("width", catalog_values.clean_cm, unit="cm"),
    "height_cm": Field("height", catalog_values.clean_cm, unit="cm"),
}


def clean(name: str, text: str) -> Any:
    """Return `text` as the listing keeps the value `name`, a key of FIELDS or `sku_code`.

    Raises FieldRefused for `name` when it cannot be one.
    """
    try:
        if name == "sku_code":
            return catalog_values.clean_sku_code(text)
        field = FIELDS[name]
        if field.is_optional and not text.strip():
            return field.nothing
        return field.clean(text)
    except catalog_values.BadValue as refusal:
        raise FieldRefused(name, refusal.sentence) from refusal


def typed(listing: Listing) -> dict[str, str]:
    """Return the listing's values as they stand in its form."""
    return {name: _plain(getattr(listing, name)) for name in FIELDS}


def add(actor: Actor, store_id: int, sku_code: str, values: Mapping[str, str], reason: str = "") -> Listing:
    """Add one listing to the store's catalog and log it; return it. `values` are texts under the keys of FIELDS.

    Orders that waited for it are let go by `order_holds.release_for_seller`, which the caller runs after this commit.
    Raises NotVisible, NotAllowed, ServiceError (a draft), and FieldRefused for a value, `sku_code` (also when the
    catalog has it already) and `reason`.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    sku_code = clean("sku_code", sku_code)
    kept = _cleaned(values)
    taken = f"The catalog of this store has the SKU {sku_code} already. Open that listing to change it."
    with transaction() as session:
        store = _store(actor, store_id)
        same = select(Listing.id).where(Listing.store_id == store.id, Listing.sku_code == sku_code)
        if session.scalar(same) is not None:
            raise FieldRefused("sku_code", taken)
        listing = Listing(workspace_id=store.workspace_id, store_id=store.id, sku_code=sku_code, **kept)
        session.add(listing)
        flush_or_refuse("sku_code", taken)
        config_log.record(
            actor,
            Section.CATALOG,
            f"{actor.name} added {sku_code} with the ASIN {listing.asin} to the catalog of {store.name}",
            store=store,
            new=_described(listing),
            reason=reason,
        )
        return listing


def change(
    actor: Actor, store_id: int, listing_id: int, values: Mapping[str, str], *, version: int, reason: str = ""
) -> Listing:
    """Change one listing's values and log what changed, old and new; return it. Its SKU code stays.

    `version` is the listing's when the form was made. Raises NotVisible, NotAllowed, ServiceError (a draft),
    FieldRefused for a value (an MRP below the price, too) and `reason`, and ChangedByOther when the listing was
    changed since.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    kept = _cleaned(values)
    with transaction() as session:
        store = _store(actor, store_id)
        listing = _listing(actor, store, listing_id, version)
        old = {name: getattr(listing, name) for name in FIELDS}
        changed = [name for name in FIELDS if old[name] != kept[name]]
        if not changed:
            return listing
        if "mrp" in changed:
            _check_mrp(store, listing, kept["mrp"])
        for name in changed:
            setattr(listing, name, kept[name])
        listing.version += 1
        listing.changed_at = clock.now()
        session.flush()
        parts = [_change_words(name, old[name], kept[name]) for name in changed]
        config_log.record(
            actor,
            Section.CATALOG,
            shortened(f"{actor.name} changed {listing.sku_code} in the catalog of {store.name}: {listed(parts)}"),
            store=store,
            old=_identified(listing) | {name: _plain(old[name]) for name in changed},
            new=_identified(listing) | {name: _plain(kept[name]) for name in changed},
            reason=reason,
        )
        return listing


def remove(actor: Actor, store_id: int, listing_id: int, *, version: int, reason: str = "") -> str:
    """Take one listing out of the store's catalog and log it; return its SKU code.

    Its stock stays in the hubs, and Amazon keeps the quantity it was told last. Raises NotVisible, NotAllowed,
    ServiceError (a draft), FieldRefused for `reason`, and ChangedByOther as `change` does.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    with transaction() as session:
        store = _store(actor, store_id)
        listing = _listing(actor, store, listing_id, version)
        old, sku_code = _described(listing), listing.sku_code
        session.delete(listing)
        session.flush()
        config_log.record(
            actor,
            Section.CATALOG,
            f"{actor.name} removed {sku_code} from the catalog of {store.name}",
            store=store,
            old=old,
            reason=reason,
        )
        return sku_code


def _check_may(actor: Actor) -> None:
    if not actor.may(Permission.MANAGE_STOCK):
        raise NotAllowed("Your role does not include changing the catalog. Ask a merchant or an admin.")


def _cleaned(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: clean(name, values.get(name, "")) for name in FIELDS}


def _store(actor: Actor, store_id: int) -> Store:
    store = access.get(actor, Store, store_id)
    if store.status is StoreStatus.DRAFT:
        raise ServiceError("This store is not connected yet. Finish connecting it first, then fill its catalog.")
    return store


def _listing(actor: Actor, store: Store, listing_id: int, version: int) -> Listing:
    listing = access.get(actor, Listing, listing_id, lock=True)
    if listing.store_id != store.id:
        raise NotVisible("listing")
    if listing.version != version:
        raise changed_by_other(actor, last_change(store, listing))
    return listing


def last_change(store: Store, listing: Listing) -> ConfigEvent | None:
    """Return the log's row of the listing's newest change; None when that was made by an upload, for many at once."""
    events = [
        event
        for section in (Section.CATALOG, Section.PRICES)
        if (event := config_log_queries.newest(store, section, "listing_id", listing.id))
    ]
    newest = max(events, key=lambda event: event.sequence, default=None)
    changed_at = max(filter(None, (listing.changed_at, listing.price_changed_at)))
    return newest if newest is not None and newest.occurred_at >= changed_at else None


def _check_mrp(store: Store, listing: Listing, mrp: Decimal | None) -> None:
    if mrp is not None and listing.price is not None and mrp < listing.price:
        raise FieldRefused(
            "mrp",
            f"The selling price is {listing.price:f} {store.currency}, and an MRP cannot be below it. Type "
            f"{listing.price:f} or more, or lower the price first.",
        )


def _change_words(name: str, old: Any, new: Any) -> str:
    field = FIELDS[name]
    before, after = (_with_unit(value, field.unit) or "nothing" for value in (old, new))
    return f"{field.label} from {before} to {after}"


def _with_unit(value: Any, unit: str) -> str:
    text = _plain(value)
    if not text:
        return ""
    return f"{text} {unit}" if unit else quoted(text) if isinstance(value, str) else text


def _identified(listing: Listing) -> dict[str, Any]:
    return {"sku_code": listing.sku_code, "listing_id": listing.id}


def _described(listing: Listing) -> dict[str, Any]:
    return _identified(listing) | {name: text for name, text in typed(listing).items() if text}


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)

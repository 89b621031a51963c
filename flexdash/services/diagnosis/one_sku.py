"""The SKU that a question is about: in which store it is looked at, and whether that store lists it."""

from dataclasses import dataclass

from sqlalchemy import select, union_all

from flexdash.database import begins_with
from flexdash.extensions import db
from flexdash.models import Listing, Sku, StockLevel, Store, StoreStatus
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.diagnosis.checks import Finding, Fix, FixKind, failed, passed
from flexdash.services.diagnosis.common import Parts, connection, parts_at_work
from flexdash.services.errors import FieldRefused
from flexdash.services.words import listed, quoted

MAX_LENGTH = 100  # as long as a SKU can be
_STORES_NAMED = 10
_ALIKE_NAMED = 3
_ALIKE_LOOKED_IN = 20  # catalogs, and sellers' lists, that are looked through for a SKU like the one typed


@dataclass
class Case:
    """One SKU as it was typed, the stores it is looked for in, and its listing once that is found."""

    actor: Actor
    sku_code: str
    parts: Parts
    stores: list[Store]
    is_store_chosen: bool
    listing: Listing | None = None

    @property
    def found(self) -> Listing:
        """The listing; there is one once the steps about it have passed."""
        if self.listing is None:
            raise LookupError("the listing is known once the step about it has passed")
        return self.listing

    @property
    def store(self) -> Store:
        """The listing's store."""
        return self.found.store


def of(actor: Actor, text: str, store_id: int | None, parts: Parts) -> Case:
    """Return the case of a typed SKU; raise FieldRefused for `q` when there is none, and NotVisible for the store."""
    chosen = access.get(actor, Store, store_id) if store_id is not None else None
    code = text.strip().strip("\"'“”‘’`").strip()
    if not code:
        raise FieldRefused("q", "Type the SKU, as the seller's own code is written in the catalog.")
    if len(code) > MAX_LENGTH:
        raise FieldRefused("q", f"This has {len(code)} characters, and a SKU has {MAX_LENGTH} at most.")
    query = access.visible(actor, Store).where(Store.status != StoreStatus.DRAFT).order_by(Store.name, Store.id)
    if chosen is not None:
        query = query.where(Store.id == chosen.id)
    stores = list(db.session.scalars(query))
    return Case(actor, code, parts, stores, chosen is not None)


def is_known(case: Case) -> Finding:
    """Say whether any catalog, SKU list or stock that the person may see has the SKU."""
    if any(
        db.session.scalar(select(access.visible(case.actor, model).where(model.sku_code == case.sku_code).exists()))
        for model in (Listing, Sku, StockLevel)
    ):
        return passed(f"FlexDash knows the SKU {case.sku_code}.")
    if alike := _alike(case):
        instead = [Fix(FixKind.ASK_INSTEAD, {"q": code}, quoted(code)) for code in alike]
        if alike[0].casefold() == case.sku_code.casefold():
            return failed(
                f"No catalog has the SKU {quoted(case.sku_code)}, but there is {quoted(alike[0])}: capital and small "
                "letters tell SKUs apart. Look for that one, or correct the catalog.",
                *instead,
            )
        return failed(
            f"FlexDash does not know the SKU {quoted(case.sku_code)}. Did you mean "
            f"{' or '.join(quoted(code) for code in alike)}?",
            *instead,
        )
    store = case.stores[0] if len(case.stores) == 1 else None
    return failed(
        f"FlexDash does not know the SKU {quoted(case.sku_code)}: no catalog, no stock and no seller has it. Upload "
        "the catalog with its ASIN.",
        Fix(FixKind.UPLOAD_CATALOG, {"store": store.id if store else None}, store.name if store else ""),
    )


def has_listing(case: Case) -> Finding:
    """Find the store that lists the SKU; say so where none does, or where the person has to pick one of several."""
    if not case.stores:
        never = "The store you chose was never connected" if case.is_store_chosen else "No store is connected"
        return failed(f"{never} to Amazon, so nothing is sent there.", Fix(FixKind.CONNECT_STORE))
    query = access.visible(case.actor, Listing).where(
        Listing.sku_code == case.sku_code, Listing.store_id.in_([store.id for store in case.stores])
    )
    found = list(db.session.scalars(query.order_by(Listing.store_id)))
    if len(found) > 1:
        names = {store.id: store.name for store in case.stores}
        choices = [Fix(FixKind.OTHER_STORE, {"store_id": one.store_id}, names[one.store_id]) for one in found]
        return failed(f"{len(found)} stores list this SKU. Choose which of them you mean.", *choices[:_STORES_NAMED])
    if found:
        case.listing = found[0]
        link = Fix(FixKind.LISTING, {"store_id": case.store.id, "listing_id": found[0].id}, case.sku_code)
        return passed(f"{case.store.name} lists it with the ASIN {found[0].asin}.", link)
    names = [store.name for store in case.stores[:_STORES_NAMED]]
    fixes = [Fix(FixKind.UPLOAD_CATALOG, {"store": store.id}, store.name) for store in case.stores[:3]]
    return failed(
        f"The SKU has no ASIN in {listed(names)}: no catalog there lists it, so Amazon is told nothing of it. Upload "
        "the catalog with its ASIN.",
        *fixes,
    )


def is_connected(case: Case) -> Finding:
    """Say whether Amazon lets FlexDash in for the store."""
    return connection(case.store)


def parts(case: Case) -> Finding:
    """Say whether what starts and runs pushes has been seen lately."""
    return parts_at_work(case.parts)


def _alike(case: Case) -> list[str]:
    """Return a few SKUs that are the typed one in other letters, or begin with it; those in other letters come first.

    Each is the beginning of a range of an index, so only the usual ways to write are tried: as typed, in capitals, in
    small letters, and with a capital first letter.
    """
    typed = case.sku_code
    found: set[str] = set()
    for written in dict.fromkeys((typed, typed.upper(), typed.lower(), typed.capitalize(), typed.title())):
        of_catalogs = ((Listing.sku_code, Listing.store_id == store.id) for store in case.stores[:_ALIKE_LOOKED_IN])
        seller_ids = list(dict.fromkeys(store.seller_id for store in case.stores))[:_ALIKE_LOOKED_IN]
        of_sellers = ((Sku.sku_code, Sku.seller_id == seller_id) for seller_id in seller_ids)
        firsts = [
            select(code.label("code")).where(own, begins_with(code, written)).order_by(code).limit(_ALIKE_NAMED)
            for code, own in (*of_catalogs, *of_sellers)
        ]
        if firsts:
            found.update(db.session.scalars(union_all(*(select(first.subquery().c.code) for first in firsts))))
    return sorted(found, key=lambda code: (code.casefold() != typed.casefold(), code))[:_ALIKE_NAMED]

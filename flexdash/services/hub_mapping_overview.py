"""What the Hub Mapping page shows: each hub with its id, the orders that wait for it, and ids that no hub has."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, case, func, literal, literal_column, or_, select, union_all
from sqlalchemy.orm import aliased

from flexdash.extensions import db
from flexdash.models import HoldReason, Hub, HubMapping, Order, OrderHold, Store
from flexdash.services import access
from flexdash.services.actors import Actor

ORDERS_LOOKED_AT = 100  # of each hub, the newest, for how Amazon writes its id
MENDED_BY_MAPPING = (HoldReason.NO_HUB_MAPPED, HoldReason.HUB_INACTIVE)


@dataclass(frozen=True)
class Held:
    """Orders On Hold at one location for a reason that a mapping mends; `n_only` of them for no other reason."""

    n_held: int = 0
    n_only: int = 0
    reason: HoldReason = HoldReason.NO_HUB_MAPPED  # that of most of them


@dataclass(frozen=True)
class HubRow:
    """One hub of the workspace, its mapping in the store if it has one, and the orders On Hold that wait for it."""

    hub: Hub
    mapping: HubMapping | None
    held: Held = Held()

    @property
    def is_routing(self) -> bool:
        """Say whether orders go to this hub now."""
        return self.mapping is not None and self.mapping.is_active and self.hub.is_active


@dataclass(frozen=True)
class UnmappedId:
    """A Seller Flex Hub ID that orders On Hold came with and no hub has."""

    seller_flex_hub_id: str
    n_held: int


@dataclass(frozen=True)
class Overview:
    """The page: a row per hub, and what arrives for nobody, most orders first."""

    rows: list[HubRow] = field(default_factory=list)
    unmapped: list[UnmappedId] = field(default_factory=list)

    @property
    def n_unmapped_orders(self) -> int:
        """Return how many orders On Hold wait for an id that no hub has."""
        return sum(unmapped.n_held for unmapped in self.unmapped)


def listing(actor: Actor, store: Store, text: str = "", is_mapped: bool | None = None) -> Select[tuple[Hub]]:
    """Return the SELECT of the hubs of the page whose code, name, city or id contains `text`, unordered and unpaged.

    `is_mapped` leaves those that have an id in the store, or those that have none.
    """
    own = select(HubMapping.id).where(HubMapping.store_id == store.id, HubMapping.hub_id == Hub.id)
    query = access.visible(actor, Hub).where(or_(Hub.is_active, own.exists()))
    if is_mapped is not None:
        query = query.where(own.exists() if is_mapped else ~own.exists())
    if text := text.strip():
        has_id = own.where(HubMapping.seller_flex_hub_id.icontains(text, autoescape=True)).exists()
        fields = (Hub.code, Hub.name, Hub.city)
        query = query.where(or_(has_id, *(field.icontains(text, autoescape=True) for field in fields)))
    return query


def overview(actor: Actor, store: Store) -> Overview:
    """Return the page of the store: every active hub, and inactive ones that still have an id here; three queries."""
    mappings = {
        mapping.hub_id: mapping
        for mapping in db.session.scalars(select(HubMapping).where(HubMapping.store_id == store.id))
    }
    hubs = db.session.scalars(
        access.visible(actor, Hub).where(or_(Hub.is_active, Hub.id.in_(mappings))).order_by(Hub.name, Hub.id)
    )
    held = _held(store)
    rows = []
    for hub in hubs:
        mapping = mappings.get(hub.id)
        _, of_hub = held.pop(mapping.seller_flex_hub_id.casefold(), ("", Held())) if mapping else ("", Held())
        rows.append(HubRow(hub, mapping, of_hub))
    unmapped = [UnmappedId(location, of_id.n_held) for location, of_id in held.values()]
    return Overview(rows, sorted(unmapped, key=lambda one: (-one.n_held, one.seller_flex_hub_id)))


def other_spellings(store: Store, mappings: Sequence[HubMapping]) -> dict[int, str]:
    """Return, by hub, how Amazon writes the id on the newest orders there, where the mapping writes it otherwise.

    Orders find their hub whatever the case; stock is told and asked about in the mapping's letters. One statement.
    """
    if not mappings:
        return {}
    parts = []
    for mapping in mappings:
        newest = (
            select(Order.seller_flex_hub_id, Order.store_id, Order.id)
            .where(Order.workspace_id == store.workspace_id, Order.hub_id == mapping.hub_id)
            .order_by(Order.id.desc())
            .limit(ORDERS_LOOKED_AT)
            .subquery()
        )
        parts.append(
            select(literal(mapping.hub_id), newest.c.seller_flex_hub_id, func.max(newest.c.id).label("newest_id"))
            .where(
                newest.c.store_id == store.id,
                func.lower(newest.c.seller_flex_hub_id) == mapping.seller_flex_hub_id.lower(),
            )
            .group_by(newest.c.seller_flex_hub_id)
        )
    written = {hub_id: spelling for hub_id, spelling, _ in db.session.execute(union_all(*parts).order_by("newest_id"))}
    own = {mapping.hub_id: mapping.seller_flex_hub_id for mapping in mappings}
    return {hub_id: spelling for hub_id, spelling in written.items() if spelling != own[hub_id]}


def _held(store: Store) -> dict[str, tuple[str, Held]]:
    """Return the locations that orders wait for, by the id whatever its case, with the id as Amazon writes it."""
    other = aliased(OrderHold)
    is_only = ~select(other.id).where(other.order_id == Order.id, other.id != OrderHold.id).exists()
    # Written out, not bound: only a literal state lets the planner use the partial index of orders On Hold.
    is_held = Order.state == literal_column("'On Hold'")
    counts = db.session.execute(
        select(Order.seller_flex_hub_id, OrderHold.reason, func.count(), func.sum(case((is_only, 1), else_=0)))
        .join(OrderHold, OrderHold.order_id == Order.id)
        .where(Order.store_id == store.id, is_held, OrderHold.reason.in_(MENDED_BY_MAPPING))
        .group_by(Order.seller_flex_hub_id, OrderHold.reason)
        .order_by(func.count())
    )
    held: dict[str, tuple[str, Held]] = {}
    for location, reason, n_held, n_only in counts:
        _, known = held.get(location.casefold(), ("", Held()))
        held[location.casefold()] = location, Held(known.n_held + n_held, known.n_only + n_only, reason)
    return held

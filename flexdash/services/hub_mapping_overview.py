"""What the Hub Mapping page shows: each hub with its id, the orders that wait for it, and ids that no hub has."""

from dataclasses import dataclass, field

from sqlalchemy import func, literal_column, or_, select

from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, Order, Store
from flexdash.services import access
from flexdash.services.actors import Actor


@dataclass(frozen=True)
class HubRow:
    """One hub of the workspace, its mapping in the store if it has one, and how many orders On Hold wait for it."""

    hub: Hub
    mapping: HubMapping | None
    n_held: int = 0

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
        n_held = held.pop(mapping.seller_flex_hub_id.casefold(), UnmappedId("", 0)).n_held if mapping else 0
        rows.append(HubRow(hub, mapping, n_held))
    return Overview(rows, sorted(held.values(), key=lambda one: (-one.n_held, one.seller_flex_hub_id)))


def _held(store: Store) -> dict[str, UnmappedId]:
    # Written out, not bound: only a literal state lets the planner use the partial index of orders On Hold.
    is_held = Order.state == literal_column("'On Hold'")
    counts = db.session.execute(
        select(Order.seller_flex_hub_id, func.count())
        .where(Order.store_id == store.id, is_held)
        .group_by(Order.seller_flex_hub_id)
    )
    held: dict[str, UnmappedId] = {}
    for location, n_held in counts:
        known = held.get(location.casefold())
        held[location.casefold()] = UnmappedId(location, n_held + (known.n_held if known else 0))
    return held

"""The order that is missed: the id, the store it should come from, and what Amazon says once it is asked."""

from dataclasses import dataclass, field

from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db
from flexdash.models import Order, QuarantinedShipment, Store, StoreStatus
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import asking
from flexdash.services.diagnosis.asking import AmazonSays, Patience
from flexdash.services.diagnosis.checks import Finding, Fix, FixKind, failed, passed
from flexdash.services.diagnosis.common import Parts, account_of
from flexdash.services.diagnosis.pasted import Pasted
from flexdash.services.order_pages import QUARANTINE_ID_LENGTH
from flexdash.services.words import listed

ASKED_AT_MOST = 5  # stores, where none was chosen; the person waits


@dataclass
class Case:
    """One id, what is here of it, and what Amazon said once it was asked."""

    actor: Actor
    pasted: Pasted
    parts: Parts
    orders: list[Order]
    stores: list[Store]  # those that ever were connected, the likeliest first
    is_store_chosen: bool
    store: Store | None = None
    patience: Patience = field(default_factory=Patience)
    said: dict[int, AmazonSays] = field(default_factory=dict)  # by store

    @property
    def known_store(self) -> Store:
        """The store that is looked at; there is one once the step about it has passed."""
        if self.store is None:
            raise LookupError("the store is known once the step about it has passed")
        return self.store

    @property
    def shipment(self) -> Shipment | None:
        """What Amazon has in the account of the store that is looked at."""
        says = self.said.get(self.store.id) if self.store else None
        return says.shipment if says else None

    @property
    def shipment_ids(self) -> list[str]:
        """The shipment ids that are known of it: the one that was pasted, else those that Amazon named."""
        if not self.pasted.is_order_id:
            return [self.pasted.amazon_id] if self.pasted.amazon_id else []
        named = (says.shipment.id if says.shipment else says.shipment_id for says in self.said.values())
        return [shipment_id for shipment_id in dict.fromkeys(named) if shipment_id]

    def ask(self, store: Store) -> AmazonSays:
        """Ask Amazon in the account of `store`, once."""
        if store.id not in self.said:
            amazon_id = self.pasted.amazon_id
            self.said[store.id] = (
                asking.of_order(store, amazon_id, self.patience)
                if self.pasted.is_order_id
                else asking.of_shipment(store, amazon_id)
            )
        return self.said[store.id]

    def recover(self, store: Store) -> Fix:
        """Return what looks the id up with all patience, and brings the order in."""
        return Fix(FixKind.RECOVER, {"store_id": store.id, "ids": self.pasted.amazon_id}, store.name)


def likelihood(store: Store) -> tuple[bool, bool, int]:
    """Return what stores are sorted by so that the likeliest to have an order comes first."""
    return store.status is not StoreStatus.CONNECTED, not store.is_order_sync_on, store.id


def which_store(case: Case) -> Finding:
    """Find the store that the order should come from; without a choice, the one whose account has it."""
    if not case.stores:
        where = "The store you chose" if case.is_store_chosen else "No store"
        never = "was never connected" if case.is_store_chosen else "is connected"
        return failed(
            f"{where} {never} to Amazon, so no order can come in. Connect one first.", Fix(FixKind.CONNECT_STORE)
        )
    waiting = in_quarantine(case)
    if waiting is not None:
        case.store = next((store for store in case.stores if store.id == waiting.store_id), None)
    if case.store is None and len(case.stores) == 1:
        case.store = case.stores[0]
    if case.store is not None:
        return passed(f"Looked at: {account_of(case.store)}.")
    return _found_among_several(case)


def _found_among_several(case: Case) -> Finding:
    """Ask in every account there is, as far as a person can wait."""
    connected = [store for store in case.stores if store.status is StoreStatus.CONNECTED]
    others = [store for store in case.stores if store.status is not StoreStatus.CONNECTED]
    asked: list[Store] = []
    left = list(connected)
    for store in connected[:ASKED_AT_MOST]:
        if case.patience.is_over:
            break
        left.remove(store)
        asked.append(store)
        says = case.ask(store)
        if says.shipment is not None or says.unreadable:
            case.store = _of_its_country(case, store, says)
            return passed(f"Amazon has it in the account of {account_of(case.store)}.")
    no_answer = [store for store in asked if case.said[store.id].trouble or case.said[store.id].is_unfinished]
    sure = [store for store in asked if store not in no_answer]
    words = []
    if sure:
        words.append(f"Amazon knows no such order in the accounts of {listed([store.name for store in sure])}.")
    if no_answer:
        words.append(f"There was no full answer for {listed([store.name for store in no_answer])}.")
    if others:
        words.append(f"Amazon could not be asked for {listed([store.name for store in others])}: not connected.")
    if left:
        words.append("Not all stores could be asked while you wait: choose the store.")
    if case.pasted.is_order_id:
        words.append("An order id is found only among the orders of the last 30 days; a shipment id always.")
    if sure and not (no_answer or others or left):
        words.append("Compare the id with Seller Central, capital and small letters included.")
    choices = [
        Fix(FixKind.OTHER_STORE, {"store_id": store.id}, store.name) for store in [*others, *no_answer, *left][:10]
    ]
    return failed(" ".join(words), *choices)


def _of_its_country(case: Case, store: Store, says: AmazonSays) -> Store:
    """Return the store of the shipment's country, where one account is connected in several; each of them sees it."""
    for other in case.stores:
        is_same_account = other.amazon_selling_partner_id == store.amazon_selling_partner_id
        if is_same_account and says.shipment is not None and other.marketplace_id == says.shipment.marketplace_id:
            case.said[other.id] = says
            return other
    return store


def in_quarantine(case: Case) -> QuarantinedShipment | None:
    """Return what waits in quarantine in one of the stores looked at.

    Quarantine is kept by shipment id, so an order id is found there only once Amazon has named its shipment.
    """
    row = QuarantinedShipment
    query = access.visible(case.actor, row).where(
        row.amazon_shipment_id.in_([shipment_id[:QUARANTINE_ID_LENGTH] for shipment_id in case.shipment_ids]),
        row.store_id.in_([store.id for store in case.stores]),
        row.resolved_at.is_(None),
    )
    return db.session.scalars(query.limit(1)).first() if case.shipment_ids else None

"""Reading returns: the list with its filters, one return, those of an order, and those that could not be read."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, or_, select, union
from sqlalchemy.orm import joinedload

from flexdash.amazon import return_statuses
from flexdash.amazon.return_statuses import RETURN_STATUS_TABLE, ReturnStatus
from flexdash.extensions import db
from flexdash.models import AmazonReturn, Hub, HubMapping, Order, QuarantinedReturn, Sku
from flexdash.services import access
from flexdash.services.actors import Actor
from flexdash.services.errors import NotVisible

SHOWN_AT_MOST = 50  # of an order's returns; an order has few lines, and each seldom comes back twice
UNREADABLE_SHOWN = 5

STATUS_WORDS: dict[str, str] = {entry.status: entry.label for entry in RETURN_STATUS_TABLE}


@dataclass(frozen=True)
class ReturnFilters:
    """What the list is narrowed to; None and "" mean not at all."""

    store_id: int | None = None
    status: str = ""  # Amazon's raw word
    text: str = ""  # a whole id of Amazon's (of the return, shipment, order or parcel) or a whole SKU


@dataclass(frozen=True)
class Unreadable:
    """Returns that could not be read yet: the latest of them, and whether there are more."""

    latest: Sequence[QuarantinedReturn]
    is_more: bool


def status_of(amazon_status: str) -> ReturnStatus:
    """Return the word, colour and meaning of one of Amazon's statuses; the page shows Amazon's own beside it."""
    return return_statuses.lookup_return(amazon_status)


def type_words(item: AmazonReturn) -> str:
    """Return what kind of return it is, in words: "Customer return, exchange"."""
    kind = return_statuses.RETURN_TYPES.get(item.return_type) or return_statuses.in_words(item.return_type)
    sub_type = return_statuses.RETURN_SUB_TYPES.get(item.return_sub_type) or return_statuses.in_words(
        item.return_sub_type
    )
    return ", ".join(words for words in (kind, sub_type.lower()) if words)


def delivery_words(item: AmazonReturn) -> str:
    """Return how it was handed over at the location, in words; "" before that."""
    return return_statuses.DELIVERY_MODES.get(item.delivery_mode) or return_statuses.in_words(item.delivery_mode)


def listing(actor: Actor, filters: ReturnFilters) -> Select[tuple[AmazonReturn]]:
    """Return the SELECT of the returns that `actor` may see and the filters leave, unordered and unpaged."""
    query = access.visible(actor, AmazonReturn).options(joinedload(AmazonReturn.store))
    if filters.store_id is not None:
        query = query.where(AmazonReturn.store_id == filters.store_id)
    sought = filters.text.strip()
    if filters.status:
        # Beside a text the status is no way to the rows: SQLite would walk all of one status for the few of a SKU.
        status = AmazonReturn.amazon_status.concat("") if sought else AmazonReturn.amazon_status
        query = query.where(status == filters.status)
    return _matching(query, actor.workspace_id, sought) if sought else query


def load(actor: Actor, return_id: int) -> AmazonReturn:
    """Return one return with its store and its order; raise NotVisible."""
    whole = (joinedload(AmazonReturn.store), joinedload(AmazonReturn.order).joinedload(Order.hub))
    query = access.visible(actor, AmazonReturn).where(AmazonReturn.id == return_id).options(*whole)
    found = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise NotVisible("return")
    return found


def of_order(order: Order) -> Sequence[AmazonReturn]:
    """Return the returns of one order, the oldest first."""
    query = select(AmazonReturn).where(AmazonReturn.order_id == order.id)
    return db.session.scalars(query.order_by(AmazonReturn.id).limit(SHOWN_AT_MOST)).all()


def hub_names(items: Sequence[AmazonReturn]) -> dict[tuple[int, str], str]:
    """Return the names of the hubs that have the Seller Flex Hub IDs of `items`, by (store id, location id)."""
    stores = {item.store_id for item in items}
    locations = {place for item in items for place in (item.return_location_id, item.fulfillment_location_id) if place}
    if not locations:
        return {}
    query = (
        select(HubMapping.store_id, HubMapping.seller_flex_hub_id, Hub.name)
        .join(Hub, Hub.id == HubMapping.hub_id)
        .where(HubMapping.store_id.in_(stores), HubMapping.seller_flex_hub_id.in_(locations))
    )
    return {(store_id, location_id): name for store_id, location_id, name in db.session.execute(query)}


def sku_name(item: AmazonReturn) -> str:
    """Return the name of the return's SKU, "" when it is not among the seller's."""
    query = select(Sku.name).where(Sku.seller_id == item.store.seller_id, Sku.sku_code == item.sku_code)
    return db.session.scalar(query) or ""


def unreadable(actor: Actor) -> Unreadable:
    """Return the returns that Amazon sent and FlexDash could not take in so far."""
    query = (
        access.visible(actor, QuarantinedReturn)
        .where(QuarantinedReturn.resolved_at.is_(None))
        .options(joinedload(QuarantinedReturn.store))
        .order_by(QuarantinedReturn.id.desc())
        .limit(UNREADABLE_SHOWN + 1)
    )
    found = db.session.scalars(query).all()
    return Unreadable(found[:UNREADABLE_SHOWN], len(found) > UNREADABLE_SHOWN)


def _matching(query: Select[tuple[AmazonReturn]], workspace_id: int, sought: str) -> Select[tuple[AmazonReturn]]:
    """Narrow `query` to the returns that `sought` names, each way through an index of its own.

    One SKU can be in very many returns, and is then read in the order of the list; ids name few.
    """
    own = AmazonReturn.workspace_id == workspace_id
    ids = (
        AmazonReturn.amazon_return_id,
        AmazonReturn.amazon_shipment_id,
        AmazonReturn.amazon_order_id,
        AmazonReturn.tracking_id,
    )
    few = [select(AmazonReturn.id).where(own, column == sought) for column in ids]
    if db.session.scalar(select(or_(*(named.exists() for named in few)))):
        return query.where(AmazonReturn.id.in_(union(*few)))
    return query.where(AmazonReturn.sku_code == sought)

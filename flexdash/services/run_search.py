"""What one run did with one order, return or SKU: looked for by any name that people have of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import or_, select, union

from flexdash import clock
from flexdash.database import one_of
from flexdash.extensions import db
from flexdash.models import (
    AmazonReturn,
    ApiCall,
    ItemFate,
    Listing,
    Order,
    OrderEvent,
    OrderLine,
    RunSheet,
    RunState,
    Sync,
    SyncRun,
    SyncRunItem,
)
from flexdash.services import access, api_log, run_sheets
from flexdash.services.actors import Actor
from flexdash.services.amazon_ids import is_order_id, read_ids
from flexdash.services.order_numbers import id_of
from flexdash.services.run_sheets import Kept

SHOWN_AT_MOST = 50
MET_AT_MOST = 10_000  # items of a run among which a SKU is looked for
MET_AT_A_TIME = 500
MAX_TEXT = 100
OF_SKUS = frozenset({Sync.INVENTORY_PUSH, Sync.INVENTORY_FETCH, Sync.PRICE_PUSH})


@dataclass(frozen=True)
class Found:
    """What a run did with what somebody looked for. `sentence` says what it means that nothing of it is kept.

    `text` is what was looked for, an id as Amazon writes it; `is_order` says that it names an order or shipment.
    """

    text: str
    is_order: bool
    orders: Sequence[Order]
    kept: Sequence[Kept]
    items: Sequence[SyncRunItem]  # refused or left out, with what to do
    events: Sequence[OrderEvent]
    calls: Sequence[ApiCall]
    sentence: str

    @property
    def is_nothing(self) -> bool:
        """Whether the run had nothing to do with it."""
        return not (self.kept or self.items or self.events or self.calls)

    @property
    def is_cut(self) -> bool:
        """Whether there may be more of it than is given."""
        return len(self.kept) >= SHOWN_AT_MOST or len(self.orders) >= SHOWN_AT_MOST


@dataclass(frozen=True)
class Places:
    """Where the items of a run have pages of their own, by their names."""

    orders: Mapping[str, int]
    returns: Mapping[str, int]
    listings: Mapping[str, int]


def search(actor: Actor, run: SyncRun, text: str) -> Found:
    """Return what `run` did with the order, shipment, return or SKU that `text` names whole.

    Ids are read as Help reads them; a SKU names what the run did with the orders or returns that it stands in, too.
    """
    text = text.strip()[:MAX_TEXT]
    pasted = read_ids(text)
    amazon_id = pasted.ids[0] if len(pasted.ids) == 1 and not pasted.unreadable else ""
    names = {text, *pasted.ids[:1]}
    orders = _orders(actor, run, names, [text, *(word for word, _ in pasted.unreadable[:1])])
    is_known = bool(orders)
    if not orders:
        with_sku = _with_sku(actor, run, text)
        names |= with_sku
        orders = _orders(actor, run, with_sku, []) if run.sync is not Sync.RETURN_PULL else []
    names |= {order.amazon_shipment_id for order in orders}
    kept = run_sheets.search(run, names, SHOWN_AT_MOST)
    items = db.session.scalars(
        select(SyncRunItem)
        .where(SyncRunItem.run_id == run.id, SyncRunItem.sku_code == text, SyncRunItem.sku_code != "")
        .order_by(SyncRunItem.id)
        .limit(SHOWN_AT_MOST)
    ).all()
    events = db.session.scalars(
        select(OrderEvent)
        .where(OrderEvent.run_id == run.id, OrderEvent.order_id.in_([order.id for order in orders]))
        .order_by(OrderEvent.id)
        .limit(SHOWN_AT_MOST)
    ).all()
    about = or_(ApiCall.amazon_shipment_id.in_(names), ApiCall.amazon_request_id == text, ApiCall.sku_code == text)
    calls = access.visible(actor, ApiCall).where(ApiCall.run_id == run.id, about).order_by(ApiCall.id)
    return Found(
        text=amazon_id or text,
        is_order=is_known or bool(amazon_id),
        orders=orders,
        kept=kept,
        items=items,
        events=events,
        calls=db.session.scalars(calls.limit(SHOWN_AT_MOST)).all(),
        sentence=_nothing(run, text, is_known=is_known or is_order_id(amazon_id)),
    )


def places_of(actor: Actor, run: SyncRun, names: Collection[str]) -> Places:
    """Return the ids of the orders, returns or listings of the run's store that are called one of `names`."""
    if run.sync in OF_SKUS:
        listings = select(Listing.sku_code, Listing.id).where(
            Listing.store_id == run.store_id, Listing.sku_code.in_(names)
        )
        return Places({}, {}, dict(db.session.execute(listings).all()))
    if run.sync is Sync.RETURN_PULL:
        returns = access.visible(actor, AmazonReturn).where(
            AmazonReturn.store_id == run.store_id, AmazonReturn.amazon_return_id.in_(names)
        )
        columns = (AmazonReturn.amazon_return_id, AmazonReturn.id)
        return Places({}, dict(db.session.execute(returns.with_only_columns(*columns)).all()), {})
    orders = access.visible(actor, Order, are_few=True)
    orders = orders.where(Order.store_id == run.store_id, Order.amazon_shipment_id.in_(names))
    columns = (Order.amazon_shipment_id, Order.id)
    return Places(dict(db.session.execute(orders.with_only_columns(*columns)).all()), {}, {})


def _orders(actor: Actor, run: SyncRun, names: set[str], words: Sequence[str]) -> Sequence[Order]:
    # Each kind of name by its own index.
    ways = [
        select(Order.id).where(Order.workspace_id == actor.workspace_id, Order.amazon_order_id.in_(names)),
        select(Order.id).where(Order.store_id == run.store_id, Order.amazon_shipment_id.in_(names)),
    ]
    ways += [select(Order.id).where(Order.id == own_id) for word in words if (own_id := id_of(word)) is not None]
    found = union(*ways).subquery()
    own = access.visible(actor, Order, are_few=True).where(
        Order.store_id + 0 == run.store_id, Order.id.in_(select(found.c.id))
    )
    return db.session.scalars(own.order_by(Order.id).limit(SHOWN_AT_MOST)).all()


def _with_sku(actor: Actor, run: SyncRun, sku_code: str) -> set[str]:
    """Return the shipments or returns of the run in which the SKU stands, by their ids, at most SHOWN_AT_MOST.

    They are looked for among what the run met and not among all that the SKU stands in, of which there may be
    millions.
    """
    if run.sync in OF_SKUS or not sku_code:
        return set()
    of_returns = run.sync is Sync.RETURN_PULL
    named = AmazonReturn.amazon_return_id if of_returns else Order.amazon_shipment_id
    query = (
        access.visible(actor, AmazonReturn).where(
            AmazonReturn.store_id == run.store_id, AmazonReturn.sku_code == sku_code
        )
        if of_returns
        else access.visible(actor, Order, are_few=True)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(Order.store_id == run.store_id, OrderLine.sku_code == sku_code)
    )
    found: set[str] = set()
    if (
        not of_returns
        and db.session.scalar(select(OrderLine.id).where(OrderLine.sku_code == sku_code).limit(1)) is None
    ):
        return found  # in no order at all, as with most that is typed wrong: nothing of the run has to be gone through
    met = run_sheets.names_of(run.id, list(ItemFate), MET_AT_MOST)
    for start in range(0, len(met), MET_AT_A_TIME):
        portion = query.with_only_columns(named).where(one_of(named, met[start : start + MET_AT_A_TIME]))
        found |= set(db.session.scalars(portion.limit(SHOWN_AT_MOST)))
        if len(found) >= SHOWN_AT_MOST:
            break
    return set(sorted(found)[:SHOWN_AT_MOST])


def _nothing(run: SyncRun, text: str, *, is_known: bool) -> str:
    """Return what it means that a run kept nothing of what `text` names; `is_known`: an order, beyond doubt."""
    if run.state is RunState.SKIPPED:
        return f"This run was skipped, so it did nothing with it. {run.error_sentence}".strip()
    if run.state in (RunState.QUEUED, RunState.RUNNING):
        return "Nothing so far: this run is not over yet."
    if clock.now() - run.queued_at > api_log.kept_for():
        days = api_log.kept_for().days
        return f"What became of single items is kept for {days} days, and this run is older: it is not known any more."
    if run.n_fetched and not _has_sheets(run):
        return "What became of single items was not kept by this run: it is from before FlexDash did so."
    over = "" if run.state is not RunState.FAILED else " It ended early, so it may not have come to it."
    return f"{_not_met(run, text, is_known)}{over}"


def _not_met(run: SyncRun, text: str, is_known: bool) -> str:
    if run.retry_of_id is not None:
        return f"This run took up only what failed in run {run.retry_of_id}, and that was not among it."
    if run.sync is Sync.INVENTORY_PUSH:
        listed = select(Listing.created_at).where(Listing.store_id == run.store_id, Listing.sku_code == text)
        since = db.session.scalar(listed)
        if since is None:
            return "No SKU of this store's catalog is called that now, so this run had nothing to send for it."
        if run.started_at is not None and since > run.started_at:
            return "This SKU came into the catalog only after this run began, so the run did not send it."
        return (
            "This run did not send it: Amazon had taken the quantity it had then, or its hub is among what the run "
            "left out as a whole."
        )
    if run.sync is Sync.PRICE_PUSH:
        return "No price of that SKU was due in this run: none waited to be sent, and none was still to be shown."
    if run.sync is Sync.INVENTORY_FETCH:
        return "This run did not ask Amazon for it: it was not in the catalog then, or no active hub had an id."
    if run.sync is Sync.RECONCILE:
        return "Nothing about it differed in this run, as far as the run compared it."
    if run.sync is Sync.ORDER_STEPS:
        return "Nothing was due at Amazon for it in this run."
    if run.sync is Sync.ORDER_PULL and is_known:
        return "Amazon did not list it in this run, neither as new nor as changed in the run's time span."
    what = "return" if run.sync is Sync.RETURN_PULL else "order or shipment"
    return (
        f"Nothing was found: no {what} that this run met has this id, and none of those that are here has this SKU. "
        "Ids and SKUs are looked up whole, with capital and small letters as Amazon writes them."
    )


def _has_sheets(run: SyncRun) -> bool:
    return db.session.scalar(select(RunSheet.id).where(RunSheet.run_id == run.id).limit(1)) is not None

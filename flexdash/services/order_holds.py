"""Orders On Hold: let go by themselves when the reason is mended, or by hand.

One whose cancellation is on its way to Amazon stays as it is until Amazon answers: it takes no stock that others wait
for, and no CONFIRM of ours makes the cancellation come too late.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session, selectinload

from flexdash import clock
from flexdash.database import one_of, transaction
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    HoldReason,
    Hub,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderState,
    Store,
)
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.order_rows import hold_rows
from flexdash.services.order_states import BEING_CANCELLED
from flexdash.services.order_stock import Request, StockDesk
from flexdash.services.routing import Route, Routes
from flexdash.services.words import listed, shortened

BATCH = 500
_WAITS = (Order.state == OrderState.ON_HOLD, Order.cancellation != OrderCancellation.CANCELLING)


def release_fixed(store_id: int, run_id: int | None = None) -> list[int]:
    """Look at every order On Hold of the store again and release those whose reasons are gone, oldest first.

    Reasons that changed are brought up to date. Works in batches, each a transaction of its own. Returns the ids of
    the orders that became New Order; Amazon is told of them by the next run.
    """
    return _release_of([store_id], run_id=run_id)


def release_for_seller(
    seller_id: int, *, sku_code: str | None = None, at_most: int | None = None, run_id: int | None = None
) -> list[int]:
    """Do as `release_fixed` for all stores of the seller, the oldest order of them all first.

    Call it after a commit that brought stock or listings. `sku_code` narrows it to the orders that want this SKU;
    `at_most` to so many of the oldest: the rest is looked at by the next pull.
    """
    store_ids = db.session.scalars(select(Store.id).where(Store.seller_id == seller_id)).all()
    return _release_of(store_ids, sku_code=sku_code, at_most=at_most, run_id=run_id)


def release_to(actor: Actor, order_id: int, hub_id: int) -> Order:
    """Release one order by hand to a hub that the person picked, whatever its Seller Flex Hub ID is mapped to.

    Its stock is reserved there. Raises NotVisible, NotAllowed, FieldRefused for `hub_id` (the hub is inactive, or has
    not enough stock) and ServiceError (the order is not On Hold, or is being cancelled at Amazon, or the store does not
    list what was ordered).
    """
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include releasing orders. Ask a merchant or an admin.")
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        hub = access.get(actor, Hub, hub_id)
        if order.state is not OrderState.ON_HOLD:
            raise ServiceError(
                f"This order is {order.state.after_is} and not On Hold any more, so there is nothing to release."
            )
        if order.cancellation is OrderCancellation.CANCELLING:
            raise ServiceError(BEING_CANCELLED)
        if not hub.is_active:
            raise FieldRefused("hub_id", f"{hub.name} is inactive. Pick an active hub, or activate this one first.")
        desk = StockDesk(workspace_id=order.workspace_id, seller_id=order.store.seller_id)
        request = desk.ask(
            Route(hub.id, hub.name),
            store_id=order.store_id,
            created_at=order.amazon_created_at,
            order=order,
            actor_name=actor.name,
        )
        desk.settle()
        if request.route.holds:
            raise _why_not(request.route)
        sentence = f"{actor.name} released it by hand to {hub.name}. It is a New Order there, with its stock reserved."
        _release(session, [order], [hub.id])
        session.add(OrderEvent(order_id=order.id, kind="released", sentence=sentence, actor_name=actor.name))
        session.flush()
        desk.write()
        return order


def _why_not(route: Route) -> ServiceError:
    reasons = {hold.reason for hold in route.holds}
    sentence = " ".join(["It was not released.", *(hold.detail for hold in route.holds)])
    if reasons == {HoldReason.NOT_ENOUGH_STOCK}:
        return FieldRefused("hub_id", f"{sentence} Or pick another hub.")
    return ServiceError(sentence)


def _release_of(
    store_ids: Collection[int],
    *,
    sku_code: str | None = None,
    at_most: int | None = None,
    run_id: int | None = None,
) -> list[int]:
    held = _held(store_ids, sku_code, at_most)
    released: list[int] = []
    for start in range(0, len(held), BATCH):
        with transaction() as session:
            orders = _locked(session, held[start : start + BATCH])
            if orders:
                released += _look_again(session, orders, run_id)
    return released


def _held(store_ids: Collection[int], sku_code: str | None, at_most: int | None) -> Sequence[int]:
    """Return the ids of the orders On Hold that may be let go, the oldest at Amazon first."""
    query = (
        select(Order.id)
        .where(Order.store_id.in_(store_ids), *_WAITS)
        .order_by(func.coalesce(Order.amazon_created_at, Order.imported_at), Order.id)
        .limit(at_most)
    )
    if sku_code is not None:
        query = query.where(Order.lines.any(OrderLine.sku_code == sku_code))
    held = db.session.scalars(query).all()
    db.session.rollback()  # nothing is held while the batches come and go
    return held


def _locked(session: Session, order_ids: Sequence[int]) -> list[Order]:
    """Return those that still may be let go, locked in the order of their ids."""
    query = (
        select(Order)
        .where(one_of(Order.id, order_ids), *_WAITS)
        .order_by(Order.id)
        .options(selectinload(Order.holds), selectinload(Order.store))
        .with_for_update(of=Order, key_share=True)
    )
    return list(session.scalars(query))


def _look_again(session: Session, orders: Sequence[Order], run_id: int | None) -> list[int]:
    """Release the orders that nothing holds any more, and bring the reasons of the others up to date."""
    store = orders[0].store
    desk = StockDesk(workspace_id=store.workspace_id, seller_id=store.seller_id, run_id=run_id)
    routes = Routes.of_stores({order.store_id for order in orders})
    requests = [
        (
            order,
            desk.ask(
                routes[order.store_id].to(order.seller_flex_hub_id),
                store_id=order.store_id,
                created_at=order.amazon_created_at or order.imported_at,
                order=order,
            ),
        )
        for order in orders
    ]
    desk.settle()
    _keep_holding(session, [(order, request.route) for order, request in requests if request.route.holds])
    free = sorted(
        ((order, request) for order, request in requests if not request.route.holds), key=lambda pair: pair[1].age
    )
    if free:
        events = [_released_event(order, request, run_id) for order, request in free]
        _release(session, [order for order, _ in free], [request.route.hub_id for _, request in free])
        session.execute(insert(OrderEvent), events)
        session.flush()
        desk.write()
    return [order.id for order, _ in free]


def _release(session: Session, orders: Sequence[Order], hub_ids: Sequence[int | None]) -> None:
    now = clock.now()
    for order, hub_id in zip(orders, hub_ids, strict=True):
        order.state, order.hub_id, order.changed_at = OrderState.NEW, hub_id, now
        if order.acknowledgement is Acknowledgement.NOT_YET:
            order.acknowledgement = Acknowledgement.PENDING
    session.execute(delete(OrderHold).where(one_of(OrderHold.order_id, [order.id for order in orders])))


def _released_event(order: Order, request: Request, run_id: int | None) -> dict[str, object]:
    hub_name = request.route.hub_name
    mended = {
        HoldReason.NO_HUB_MAPPED: f"{order.seller_flex_hub_id} is now mapped to {hub_name}",
        HoldReason.HUB_INACTIVE: f"{hub_name} is active for it",
        HoldReason.SKU_UNKNOWN: "the store's catalog has its SKUs",
        HoldReason.NO_ASIN: "the store's catalog has an ASIN for each of its SKUs",
        HoldReason.NOT_ENOUGH_STOCK: f"there is enough stock at {hub_name}",
    }
    why = listed([mended[hold.reason] for hold in order.holds])
    sentence = f"Released by itself: {why}. It is a New Order at {hub_name}, with its stock reserved."
    return {
        "order_id": order.id,
        "occurred_at": clock.now(),
        "kind": "released",
        "sentence": shortened(sentence, 500),
        "actor_name": "FlexDash",
        "run_id": run_id,
    }


def _keep_holding(session: Session, held: Sequence[tuple[Order, Route]]) -> None:
    changed = []
    for order, route in held:
        if order.hub_id != route.hub_id:
            order.hub_id = route.hub_id
        known = {(hold.reason, hold.detail) for hold in order.holds}
        if known != {(hold.reason, hold.detail) for hold in route.holds}:
            changed.append((order, route))
    if not changed:
        return
    session.execute(delete(OrderHold).where(one_of(OrderHold.order_id, [order.id for order, _ in changed])))
    rows = [row for order, route in changed for row in hold_rows(route, order.id, order.workspace_id)]
    session.execute(insert(OrderHold), rows)

"""Orders On Hold: let go by themselves when the reason is mended, or by hand."""

from sqlalchemy import delete, select
from sqlalchemy.orm import selectinload

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    Hub,
    Order,
    OrderEvent,
    OrderHold,
    OrderState,
)
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.order_rows import hold_rows
from flexdash.services.routing import Route, Routes

BATCH = 500


def release_fixed(store_id: int, run_id: int | None = None) -> list[int]:
    """Look at every order On Hold of the store again and release those whose reasons are gone, oldest first.

    Reasons that changed are brought up to date. Works in batches, each a transaction of its own. Returns the ids of
    the orders that became New Order; Amazon is told of them by the next run.
    """
    released: list[int] = []
    last_id = 0
    while True:
        with transaction() as session:
            query = (
                select(Order)
                .where(Order.store_id == store_id, Order.state == OrderState.ON_HOLD, Order.id > last_id)
                .order_by(Order.id)
                .limit(BATCH)
                .options(selectinload(Order.holds))
                .with_for_update(of=Order, key_share=True)
            )
            orders = session.scalars(query).all()
            if not orders:
                return released
            last_id = orders[-1].id
            routes = Routes.of_store(store_id)
            for order in orders:
                route = routes.to(order.seller_flex_hub_id)
                if route.holds:
                    _keep_holding(order, route)
                else:
                    sentence = (
                        f"Released by itself: {order.seller_flex_hub_id} is now mapped to {route.hub_name}. "
                        f"It is a New Order there."
                    )
                    _release(order, route.hub_id, sentence, actor_name="FlexDash", run_id=run_id)
                    released.append(order.id)


def release_to(actor: Actor, order_id: int, hub_id: int) -> Order:
    """Release one order by hand to a hub that the person picked, whatever its Seller Flex Hub ID is mapped to.

    Raises NotVisible, NotAllowed, FieldRefused (the hub is inactive) and ServiceError (the order is not On Hold).
    """
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include releasing orders. Ask a merchant or an admin.")
    with transaction():
        order = access.get(actor, Order, order_id, lock=True)
        hub = access.get(actor, Hub, hub_id)
        if order.state is not OrderState.ON_HOLD:
            raise ServiceError(f"This order is {order.state} and not On Hold any more, so there is nothing to release.")
        if not hub.is_active:
            raise FieldRefused("hub_id", f"{hub.name} is inactive. Pick an active hub, or activate this one first.")
        sentence = f"{actor.name} released it by hand to {hub.name}. It is a New Order there."
        _release(order, hub.id, sentence, actor_name=actor.name)
        return order


def _release(order: Order, hub_id: int | None, sentence: str, *, actor_name: str, run_id: int | None = None) -> None:
    order.state, order.hub_id, order.changed_at = OrderState.NEW, hub_id, clock.now()
    if order.acknowledgement is Acknowledgement.NOT_YET:
        order.acknowledgement = Acknowledgement.PENDING
    db.session.execute(delete(OrderHold).where(OrderHold.order_id == order.id))
    db.session.add(
        OrderEvent(order_id=order.id, kind="released", sentence=sentence, actor_name=actor_name, run_id=run_id)
    )


def _keep_holding(order: Order, route: Route) -> None:
    order.hub_id = route.hub_id
    known = {(hold.reason, hold.detail) for hold in order.holds}
    if known != {(hold.reason, hold.detail) for hold in route.holds}:
        db.session.execute(delete(OrderHold).where(OrderHold.order_id == order.id))
        db.session.execute(db.insert(OrderHold), hold_rows(route, order.id, order.workspace_id))

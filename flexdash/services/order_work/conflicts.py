"""Where Amazon and FlexDash say what does not fit together: kept, shown, and closed by a person."""

from collections.abc import Collection, Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import Order, OrderCancellation, OrderConflict, OrderEvent
from flexdash.services import access
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, NotAllowed
from flexdash.services.order_states import Event
from flexdash.services.words import one_line, shortened

MAX_NOTE = 300
# All of one cause: it is Cancelled here, and Amazon, which refused the cancellation or never got one, goes on with it.
GOES_ON_AT_AMAZON = (
    Event.CANCEL,
    Event.AMAZON_PICKED,
    Event.AMAZON_PACKED,
    Event.AMAZON_SHIPPED,
    Event.AMAZON_DELIVERED,
)
_REFUSED = " Amazon refused the cancellation."


def note(order: Order, event: str, sentence: str, *, run_id: int | None = None) -> bool:
    """Keep a conflict of `order`, inside the caller's transaction; return whether it is a new one.

    The same event is told once: what a person has closed does not come back with Amazon's next word about it. That an
    order is cancelled here and goes on at Amazon is one conflict while it is open, however often Amazon says so.
    """
    known = select(OrderConflict.id).where(OrderConflict.order_id == order.id, OrderConflict.event == event)
    if db.session.scalars(known.limit(1)).first() is not None:
        return False
    order.has_conflict, order.changed_at = True, clock.now()
    if event in GOES_ON_AT_AMAZON and (open_one := _open_one(order, GOES_ON_AT_AMAZON)) is not None:
        refusal = _REFUSED if order.cancellation is OrderCancellation.REFUSED else ""
        if event != Event.CANCEL:
            open_one.event, open_one.sentence = event, sentence + refusal
        elif _REFUSED not in open_one.sentence:
            open_one.sentence += _REFUSED
        words = shortened(sentence, 500)
        db.session.add(OrderEvent(order_id=order.id, kind="conflict", sentence=words, run_id=run_id))
        return False
    db.session.add(
        OrderConflict(
            workspace_id=order.workspace_id, order_id=order.id, event=event, sentence=shortened(sentence, 500)
        )
    )
    words = shortened(f"{sentence} A person must decide.", 500)
    db.session.add(OrderEvent(order_id=order.id, kind="conflict", sentence=words, run_id=run_id))
    return True


def close(actor: Actor, conflict_id: int, words: str) -> OrderConflict:
    """Close a conflict with a note that says how it was settled; one that is closed stays as it is.

    Raises NotVisible, NotAllowed, and FieldRefused for `note`.
    """
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include working orders. Ask a merchant or an admin.")
    words = one_line(words)
    if not words:
        raise FieldRefused("note", "Say how it was settled, so that the next person knows.")
    if len(words) > MAX_NOTE:
        raise FieldRefused("note", f"The note has {len(words)} characters; there is room for {MAX_NOTE}.")
    order_id = access.get(actor, OrderConflict, conflict_id).order_id
    with transaction() as session:
        order = access.get(actor, Order, order_id, lock=True)
        conflict = session.get_one(OrderConflict, conflict_id, populate_existing=True)
        if conflict.closed_at is not None:
            return conflict
        conflict.closed_at, conflict.closed_by_name, conflict.note = clock.now(), actor.name, words
        others = select(OrderConflict.id).where(
            OrderConflict.order_id == order.id, OrderConflict.closed_at.is_(None), OrderConflict.id != conflict.id
        )
        order.has_conflict = session.scalars(others.limit(1)).first() is not None
        order.changed_at = clock.now()
        sentence = shortened(f"{actor.name} closed the conflict: {words}", 500)
        session.add(OrderEvent(order_id=order.id, kind="conflict", sentence=sentence, actor_name=actor.name))
        return conflict


def _open_one(order: Order, events: Collection[Event]) -> OrderConflict | None:
    query = select(OrderConflict).where(
        OrderConflict.order_id == order.id, OrderConflict.event.in_(events), OrderConflict.closed_at.is_(None)
    )
    return db.session.scalars(query.limit(1)).first()


def of_order(order: Order) -> Sequence[OrderConflict]:
    """Return the order's conflicts, the open ones first."""
    query = select(OrderConflict).where(OrderConflict.order_id == order.id)
    return db.session.scalars(query.order_by(OrderConflict.closed_at.is_not(None), OrderConflict.id.desc())).all()


def listing(actor: Actor, *, is_open: bool = True) -> Select[tuple[OrderConflict]]:
    """Return the SELECT of the conflicts that `actor` may see: the open ones, or those that were closed."""
    query = access.visible(actor, OrderConflict).options(
        joinedload(OrderConflict.order).joinedload(Order.store), joinedload(OrderConflict.order).joinedload(Order.hub)
    )
    return query.where(OrderConflict.closed_at.is_(None) if is_open else OrderConflict.closed_at.is_not(None))

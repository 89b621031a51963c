"""Writing the access log: who came in, whose role changed, who saw a buyer, and who took data out."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import AccessEvent, AccessKind, Listing, Order, StockLevel, Store, StoreStatus, User
from flexdash.services.actors import Actor
from flexdash.services.words import one_line, shortened

BATCH = 1_000
# While the throttle holds somebody back, one row says so: the throttle must not become a way to fill the table.
HELD_BACK_EVERY = timedelta(minutes=10)


def record(
    actor: Actor,
    kind: AccessKind,
    sentence: str,
    *,
    user: User | None = None,
    store: Store | None = None,
    order: Order | None = None,
    listing: Listing | None = None,
    level: StockLevel | None = None,
) -> None:
    """Append one row inside the caller's open transaction: with what it tells of, or not at all.

    `sentence` names the actor and never holds a secret or a buyer's data. `user`, `store`, `order`, `listing` or
    stock `level` is what it was about; the row leads there.
    """
    sku, of_store = listing or level, order or listing
    if store is None and of_store is not None:
        store = of_store.store
    if store is not None and store.status is StoreStatus.DRAFT:
        store = None  # a draft may be thrown away, and no row would let it go
    _add(
        kind,
        sentence,
        workspace_id=actor.workspace_id,
        actor_id=actor.user_id,
        actor_name=actor.name,
        address=actor.address,
        user_id=user.id if user else None,
        store_id=store.id if store else None,
        order_id=order.id if order else None,
        sku_code=sku.sku_code if sku else None,
        stock_level_id=level.id if level else None,
    )


def exported(
    actor: Actor,
    what: str,
    *,
    store: Store | None = None,
    order: Order | None = None,
    listing: Listing | None = None,
    level: StockLevel | None = None,
) -> None:
    """Keep that `actor` downloads `what`, such as "the Configuration Log": a verb of its own, before the file is sent.

    With `store` or `listing`, the row and its sentence name the store; the row leads to whichever of these is given.
    """
    store = listing.store if listing else store
    sentence = f"{actor.name} exported {what}" + (f" of {store.name}" if store else "")
    with transaction():
        record(actor, AccessKind.EXPORT, sentence, store=store, order=order, listing=listing, level=level)


def refused(email: str, address: str, why: str) -> None:
    """Keep that somebody tried to sign in with `email` and was refused: `why` ends the sentence.

    What was typed is not kept: people type a password into the wrong field. An e-mail that nobody has costs the same
    and leaves a row too, of no workspace, so that neither the page nor its time tells which accounts there are.
    """
    with transaction():
        _not_let_in(AccessKind.REFUSED, _owner(email), address, why)


def throttled(email: str, address: str) -> None:
    """Keep that the throttle holds a sign-in back; once in ten minutes for an account, or for an address."""
    if _is_known_as_held_back(_owner(email), address):
        return  # without a write lock: whoever is held back may try very often
    with transaction():
        user = _owner(email)
        if not _is_known_as_held_back(user, address):
            _not_let_in(AccessKind.HELD_BACK, user, address, "too often within a short time")


def _is_known_as_held_back(user: User | None, address: str) -> bool:
    known = select(AccessEvent.id).where(
        AccessEvent.workspace_id == user.workspace_id if user else AccessEvent.workspace_id.is_(None),
        AccessEvent.kind == AccessKind.HELD_BACK,
        AccessEvent.occurred_at > clock.now() - HELD_BACK_EVERY,
        AccessEvent.actor_id == user.id if user else AccessEvent.address == address[:45],
    )
    return db.session.scalars(known.limit(1)).first() is not None


def forget_old(now: datetime, keep_days: int) -> int:
    """Delete rows older than `keep_days` and return how many; at most a batch, the next tick goes on.

    The table's trigger lets only rows go that are older than a year, whatever is asked for here.
    """
    old = select(AccessEvent.id).where(AccessEvent.occurred_at < now - timedelta(days=keep_days))
    found = db.session.scalars(old.order_by(AccessEvent.occurred_at).limit(BATCH)).all()
    db.session.rollback()
    if not found:
        return 0
    with transaction() as session:
        session.execute(
            delete(AccessEvent).where(AccessEvent.id.in_(found)), execution_options={"synchronize_session": False}
        )
    return len(found)


def _owner(email: str) -> User | None:
    return db.session.scalars(select(User).where(User.email == email)).one_or_none()


def _not_let_in(kind: AccessKind, user: User | None, address: str, why: str) -> None:
    whom = f"as {user.name}" if user else "with an e-mail that nobody has,"
    _add(
        kind,
        f"Somebody tried to sign in {whom} {why}",
        workspace_id=user.workspace_id if user else None,
        actor_id=user.id if user else None,
        actor_name=user.name if user else "",
        address=address,
    )


def _add(kind: AccessKind, sentence: str, *, address: str, **values: object) -> None:
    db.session.add(
        AccessEvent(
            kind=kind,
            occurred_at=clock.now(),
            sentence=shortened(one_line(sentence)),
            address=one_line(address)[:45],
            **values,
        )
    )

"""Prices as people set them: change one, and send again what Amazon refused. Reading them: services.price_queries.

A price given here waits until the next price push tells Amazon; nothing else starts one than that.
"""

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, text, update
from sqlalchemy.orm import Session

from flexdash import clock
from flexdash.database import one_of, transaction
from flexdash.models import Listing, PriceState, Section, Store, StoreStatus, Sync
from flexdash.services import access, catalog_values, config_log, price_rows, sync_schedule
from flexdash.services.actors import Actor, Permission
from flexdash.services.changed_meanwhile import changed_by_other
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.services.listings import last_change

BIG_CHANGE_PERCENT = 30  # a change by more is asked about first, as in an upload


def clean(price_text: str, currency: str = "") -> Decimal:
    """Return a price above zero as it is kept; raise FieldRefused for `price` when the text is none in `currency`."""
    try:
        return catalog_values.clean_price(price_text, currency)
    except catalog_values.BadValue as refusal:
        raise FieldRefused("price", refusal.sentence) from refusal


def change(actor: Actor, listing_id: int, price_text: str, *, version: int, reason: str = "") -> Listing:
    """Set the selling price of one listing, in the store's currency, and log it; return the listing.

    The price waits for the next push, which starts within a minute. One that Amazon refused is sent again, changed or
    not; one that is as it was otherwise changes nothing. `version` is the listing's when the form was made. Raises
    NotVisible, NotAllowed, ServiceError (a draft), FieldRefused for `price` (above the MRP, too) and `reason`, and
    ChangedByOther when the listing was changed since.
    """
    _check_may(actor)
    reason = config_log.clean_reason(reason)
    with transaction() as session:
        listing = access.get(actor, Listing, listing_id, lock=True)
        store = _store(actor, listing.store_id)
        price = clean(price_text, store.currency)
        if listing.version != version:
            raise changed_by_other(actor, last_change(store, listing))
        if listing.mrp is not None and price > listing.mrp:
            raise FieldRefused("price", _above_mrp(listing.mrp, store.currency))
        old, was = listing.price, listing.price_state
        if price == old and was not in (PriceState.NONE, PriceState.REFUSED):
            return listing
        _let_wait(listing, price)
        push_soon(store)
        session.flush()
        config_log.record(
            actor,
            Section.PRICES,
            _sentence(actor, listing, store, old),
            store=store,
            old=_logged(listing, old),
            new=_logged(listing, price),
            reason=reason,
        )
        return listing


def big_change(listing: Listing, price_text: str) -> str:
    """Return the sentence to ask before `price_text` takes the place of a very different price, "" when it need not.

    Raises FieldRefused when the text is no price.
    """
    old, new = listing.price, clean(price_text)
    if not old or abs(new - old) * 100 <= old * BIG_CHANGE_PERCENT:
        return ""
    percent = int(abs(new - old) * 100 / old)
    how = f"{percent:,} % {'more' if new > old else 'less'} than the {old:,f} {listing.store.currency} it has now"
    return f"{new:,f} {listing.store.currency} is {how}. Save it if that is what buyers are to pay."


def send_again(actor: Actor, listing_id: int) -> Listing:
    """Let a price that Amazon refused, or showed and shows no more, wait for the next push once more, and log it.

    Returns the listing. Raises NotVisible, NotAllowed, and ServiceError when it is on its way, or none was given.
    """
    _check_may(actor)
    with transaction() as session:
        listing = access.get(actor, Listing, listing_id, lock=True)
        store = _store(actor, listing.store_id)
        if listing.price_state not in (PriceState.REFUSED, PriceState.APPLIED) or listing.price is None:
            raise ServiceError(
                f"The price of {listing.sku_code} is not refused any more, so there is nothing to send again. The page "
                "shows how it stands now."
            )
        what = "the refused price" if listing.price_state is PriceState.REFUSED else "the price"
        _let_wait(listing, listing.price)
        push_soon(store)
        session.flush()
        config_log.record(
            actor,
            Section.PRICES,
            f"{actor.name} sent {what} of {listing.sku_code} in {store.name} to Amazon again",
            store=store,
            new=_logged(listing, listing.price),
        )
        return listing


def send_all_again(actor: Actor, store_id: int) -> int:
    """Let every price of the store that Amazon refused wait for the next push once more; return how many, and log it.

    Raises NotVisible, NotAllowed, and ServiceError when there is none.
    """
    _check_may(actor)
    with transaction() as session:
        store = _store(actor, store_id)
        n_prices = _let_refused_wait(session, store)
        if not n_prices:
            raise ServiceError("No price of this store is refused any more, so there is nothing to send again.")
        prices = "the refused price" if n_prices == 1 else f"all {n_prices:,} refused prices"
        _sent_again(actor, store, n_prices, prices)
        return n_prices


def send_some_again(actor: Actor, store_id: int, sku_codes: Sequence[str]) -> int:
    """Let those of the SKUs' prices that are still refused wait for the next push; return how many, and log it.

    Raises NotVisible, NotAllowed, and ServiceError when none is refused any more.
    """
    _check_may(actor)
    with transaction() as session:
        store = _store(actor, store_id)
        n_prices = _let_refused_wait(session, store, one_of(Listing.sku_code, sku_codes))
        if not n_prices:
            raise ServiceError("None of these prices is refused any more, so there is nothing to send again.")
        prices = "a refused price" if n_prices == 1 else f"{n_prices:,} refused prices"
        _sent_again(actor, store, n_prices, prices)
        return n_prices


def _let_refused_wait(session: Session, store: Store, *which: ColumnElement[bool]) -> int:
    """Let the store's refused prices, or `which` of them, wait for the next push; return how many."""
    is_refused = and_(Listing.store_id == store.id, text("price_state = 'refused'"), Listing.price.is_not(None), *which)
    price_rows.lock(is_refused)
    return _let_all_wait(session, is_refused)


def _sent_again(actor: Actor, store: Store, n_prices: int, prices: str) -> None:
    """Start a push soon, and log that `prices` go again."""
    push_soon(store)
    config_log.record(
        actor,
        Section.PRICES,
        f"{actor.name} sent {prices} of {store.name} to Amazon again",
        store=store,
        new={"n_prices": n_prices},
    )


def push_soon(store: Store) -> None:
    """Let the next tick start a price push of the store. Inside the caller's transaction, before the log's row."""
    sync_schedule.begin_again(store, Sync.PRICE_PUSH)


def _let_all_wait(session: Session, condition: ColumnElement[bool]) -> int:
    result = session.execute(
        update(Listing)
        .where(condition)
        .values(
            price_state=PriceState.WAITING,
            price_message="",
            price_changed_at=clock.now(),
            version=Listing.version + 1,
        )
        .execution_options(synchronize_session=False)
    )
    return result.rowcount  # type: ignore[attr-defined]


def _let_wait(listing: Listing, price: Decimal) -> None:
    listing.price, listing.price_state, listing.price_message = price, PriceState.WAITING, ""
    listing.price_changed_at = clock.now()
    listing.version += 1


def _check_may(actor: Actor) -> None:
    if not actor.may(Permission.MANAGE_STOCK):
        raise NotAllowed("Your role does not include changing prices. Ask a merchant or an admin.")


def _store(actor: Actor, store_id: int) -> Store:
    store = access.get(actor, Store, store_id)
    if store.status is StoreStatus.DRAFT:
        raise ServiceError("This store is not connected yet. Finish connecting it first, then set its prices.")
    return store


def _above_mrp(mrp: Decimal, currency: str) -> str:
    return (
        f"The MRP is {mrp:f} {currency}, and a price cannot be above it. Type {mrp:f} or less, or raise the MRP in the "
        "catalog first."
    )


def _sentence(actor: Actor, listing: Listing, store: Store, old: Decimal | None) -> str:
    new = f"{listing.price:f} {store.currency}"
    if old is None:
        return f"{actor.name} set the price of {listing.sku_code} in {store.name} to {new}"
    if old == listing.price:
        return f"{actor.name} sent the refused price of {listing.sku_code} in {store.name} to Amazon again"
    return f"{actor.name} changed the price of {listing.sku_code} in {store.name} from {old:f} to {new}"


def _logged(listing: Listing, price: Decimal | None) -> dict[str, object]:
    identified = {"sku_code": listing.sku_code, "listing_id": listing.id}
    return identified if price is None else {**identified, "price": f"{price:f}"}

"""Why is my order not here?

The checks run in the order of the guide's FAQ: is Order Sync on, is the store connected, how does the order stand at
Amazon, does a hub have its Seller Flex Hub ID, does it wait in quarantine, how did the last run go. Where Amazon cannot
be asked, or what it says cannot be read, the checks after it go on. A hub that is missing keeps no order away: it comes
in On Hold. So it is the cause of an order that is here and held, where the check "Is it here already?" names it with
what mends it; of one that is not here it is only something to see to, for mapping the hub would not bring it in.
"""

from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import Order, OrderState, Store, StoreStatus, Sync
from flexdash.services import access, sync_status
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import at_amazon
from flexdash.services.diagnosis.checks import (
    Diagnosis,
    Finding,
    Fix,
    FixKind,
    Outcome,
    Step,
    answered,
    diagnose,
    failed,
    note,
    passed,
    unknown,
)
from flexdash.services.diagnosis.common import (
    Parts,
    account_of,
    connection,
    last_run,
    parts_at_work,
    sync_now,
    toggle_off,
)
from flexdash.services.diagnosis.holds import fixes_of
from flexdash.services.diagnosis.missed import Case, in_quarantine, likelihood, which_store
from flexdash.services.diagnosis.pasted import orders_here, read
from flexdash.services.order_numbers import number_of
from flexdash.services.store_settings import Toggle
from flexdash.services.words import listed


def why_missing(actor: Actor, text: str, *, store_id: int | None = None, parts: Parts) -> Diagnosis:
    """Return why the order with the pasted id is not here, or that it is. Call it outside a transaction.

    Without `store_id` all stores that `actor` may see are looked at. Raises FieldRefused for `q`, and NotVisible for
    the store.
    """
    chosen = access.get(actor, Store, store_id) if store_id is not None else None
    pasted = read(text)
    query = access.visible(actor, Store).where(Store.status != StoreStatus.DRAFT)
    if chosen is not None:
        query = query.where(Store.id == chosen.id)
    case = Case(
        actor=actor,
        pasted=pasted,
        parts=parts,
        orders=orders_here(actor, pasted),
        stores=sorted(db.session.scalars(query), key=likelihood),
        is_store_chosen=chosen is not None,
    )
    return diagnose(pasted.shown, STEPS, case)


def _is_an_id(case: Case) -> Finding:
    if case.pasted.meant:
        return failed(case.pasted.problem, *case.pasted.ask_meant)
    if case.pasted.problem:
        return failed(f"{case.pasted.problem} Copy the id again from Seller Central, or from the mail or sheet.")
    if case.pasted.own_id is not None:
        return passed("It is a number of FlexDash's own.")
    if case.pasted.is_order_id:
        return passed("It is the id of an Amazon order, which may be several shipments.")
    return passed("It can be a shipment id of Amazon's.")


def _is_here(case: Case) -> Finding:
    found = case.orders
    if not found and case.pasted.own_id is not None:
        return failed(
            f"You have no order with the number {case.pasted.shown}. Paste Amazon's order or shipment id of the one "
            "that you miss."
        )
    if not found:
        return passed("It is not among your orders, so something else keeps it away.")
    several = (
        " An Amazon order can be several shipments: paste the shipment id of one that you miss."
        if case.pasted.is_order_id
        else ""
    )
    links = [Fix(FixKind.ORDER, {"order_id": order.id}, number_of(order.id)) for order in found]
    held = [order for order in found if order.state is OrderState.ON_HOLD]
    if held:
        mends, reasons = [], []
        for order in held:
            reasons += [hold.detail for hold in order.holds]
            mends += [fix for fix in fixes_of(order) if fix not in mends]
        why = " ".join(dict.fromkeys(reasons))
        return failed(f"It is here and On Hold: {_here_words(held)}. {why}{several}", *mends, *links)
    return answered(f"It is here: {_here_words(found)}.{several}", *links)


def _here_words(found: list[Order]) -> str:
    return listed(
        [
            f"{number_of(order.id)} of {order.store.name} is {order.state.after_is}"
            + (f" at {order.hub.name}" if order.hub else "")
            for order in found
        ]
    )


def _is_order_sync_on(case: Case) -> Finding:
    store = case.known_store
    if store.is_order_sync_on:
        return passed(f"Order Sync is on for {store.name}.")
    consequence = "so no order comes in by itself. Turn it on, or recover this one by hand."
    return toggle_off(store, Toggle.ORDER_SYNC, consequence, case.recover(store))


def _is_connected(case: Case) -> Finding:
    return connection(case.known_store)


def _could_be_read(case: Case) -> Finding | None:
    store = case.known_store
    if (waiting := in_quarantine(case)) is not None:
        return failed(
            f"Amazon sent it, and it could not be read: {waiting.error_sentence.rstrip('.')}. It waits in quarantine "
            "and is read again with each sync.",
            Fix(FixKind.QUARANTINE, {"store": waiting.store_id}),
            moments=[("Last tried", waiting.last_seen_at)],
        )
    if unreadable := case.ask(store).unreadable:
        return failed(
            f"Amazon has it, and it cannot be read: {unreadable}. It goes into quarantine with the next run, and is "
            "read again with each.",
            sync_now(store, Sync.ORDER_PULL),
        )
    # An order id is no name that quarantine knows, and Amazon may not have named its shipment.
    return passed("It does not wait in quarantine.") if case.shipment_ids else None


def _does_amazon_have_it(case: Case) -> Finding:
    store = case.known_store
    store_id, account = store.id, account_of(store)
    says = case.ask(store)
    store = case.store = db.session.get_one(Store, store_id, populate_existing=True)
    if says.shipment is not None:
        return passed(f"Amazon has it in the account of {account}.")
    if says.unreadable:
        return passed(f"Amazon has it in the account of {account}, and what it says of it cannot be read.")
    if says.is_unknown and in_quarantine(case) is not None:
        return note(f"Amazon sent it before, and does not know it any more for {account}.")
    if store.status is not StoreStatus.CONNECTED:
        return connection(store)
    if says.trouble:
        return unknown(says.trouble)
    if says.is_unfinished:
        return unknown(
            "Amazon cannot be asked for an order id, and its lists are longer than you would wait. Recover orders "
            "reads them to the end; or paste the shipment id here.",
            case.recover(store),
        )
    if case.pasted.is_order_id:
        words = (
            f"No list of Amazon's has this order for {account}. It belongs to another account, changed last more than "
            "30 days ago, or the id is mistyped. Compare it with Seller Central; a shipment id is found however old it "
            "is."
        )
    else:
        words = (
            f"Amazon knows no shipment with this id for {account}. It belongs to another account or country, or the id "
            "is mistyped. Compare it with Seller Central, capital and small letters included."
        )
    return failed(words, *_other_stores(case))


def _other_stores(case: Case) -> list[Fix]:
    """Return the way to look at all stores, where only one was looked at because it was chosen."""
    if not case.is_store_chosen:
        return []
    another = access.visible(case.actor, Store).where(
        Store.status != StoreStatus.DRAFT, Store.id != case.known_store.id
    )
    if db.session.scalar(select(another.exists())):
        return [Fix(FixKind.OTHER_STORE, {"store_id": None}, "all stores")]
    return []


def _is_seller_flex(case: Case) -> Finding | None:
    return at_amazon.belongs(case.known_store, case.shipment) if case.shipment else None


def _status(case: Case) -> Finding | None:
    store = case.known_store
    return at_amazon.status(store, case.shipment, case.recover(store)) if case.shipment else None


def _has_hub(case: Case) -> Finding | None:
    return at_amazon.hub(case.known_store, case.shipment) if case.shipment else None


def _parts(case: Case) -> Finding:
    return parts_at_work(case.parts)


def _last_run(case: Case) -> Finding:
    store = case.known_store
    status = sync_status.of_sync(store, Sync.ORDER_PULL)
    found = last_run(store, status)
    if found is not None and (case.shipment is not None or found.outcome is Outcome.FAILED):
        return found
    again = sync_now(store, Sync.ORDER_PULL)
    moments = [("Next run", status.next_due_at), ("Last good run", status.last_success_at)]
    if case.shipment is None:
        return unknown(
            "Nothing here stands in its way, but Amazon did not say how it stands there. Look again in a few minutes.",
            again,
            case.recover(store),
            moments=moments,
        )
    if at_amazon.was_passed_by(case.shipment, status.last_success_at):
        return failed(
            "Amazon had it already when the last good run looked, and it did not come in. Recover it by its id.",
            case.recover(store),
            moments=moments,
        )
    return answered(
        "Nothing stands in its way: the runs before were too early for it, and the next one brings it in.",
        again,
        moments=moments,
    )


STEPS: tuple[Step[Case], ...] = (
    Step("Can it be the id of an order?", _is_an_id),
    Step("Is it here already?", _is_here),
    Step("Is a store connected that it can come from?", which_store),
    Step("Is Order Sync on?", _is_order_sync_on),
    Step("Does Amazon let FlexDash in?", _is_connected),
    Step("Does Amazon have it?", _does_amazon_have_it),
    Step("Is it a Seller Flex order of the store's country?", _is_seller_flex),
    Step("Is it waiting to be worked on Amazon: neither pending nor past that?", _status),
    Step("Does a hub have its Seller Flex Hub ID?", _has_hub),
    Step("Could it be read?", _could_be_read),
    Step("Are the scheduler and the workers at work?", _parts),
    Step("How did the last run go?", _last_run),
)

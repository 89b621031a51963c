"""Why is my SKU not updated? Its stock."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from flexdash.amazon.inventory import InventoryResult
from flexdash.extensions import db
from flexdash.models import Hub, HubMapping, PublishedStock, PushState, RunState, StockLevel, Store, Sync, SyncRun
from flexdash.services import access, sync_status
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import asking, one_sku
from flexdash.services.diagnosis.checks import (
    Diagnosis,
    Finding,
    Fix,
    FixKind,
    Step,
    answered,
    diagnose,
    failed,
    note,
    passed,
    unknown,
)
from flexdash.services.diagnosis.common import Parts, last_run, sync_now, toggle_off
from flexdash.services.diagnosis.one_sku import Case
from flexdash.services.inventory import answers, brake, drift, left_behind
from flexdash.services.inventory.drift import DriftLine
from flexdash.services.inventory.places import active_locations
from flexdash.services.inventory.remedies import remedy_of
from flexdash.services.store_settings import Toggle
from flexdash.services.words import after_refusals, as_sentence, listed

_NO_ANSWER = (PushState.UNKNOWN, PushState.SENDING)  # the second after a crash, for no push is at work by then
_BROKEN_OFF = "A push was broken off while this was being sent, so whether Amazon took it is not known."


def why_not_updated(actor: Actor, text: str, *, store_id: int | None = None, parts: Parts) -> Diagnosis:
    """Return why Amazon does not show the stock of the SKU, or that it does. Call it outside a transaction.

    Raises FieldRefused for `q`, and NotVisible for the store.
    """
    case = one_sku.of(actor, text, store_id, parts)
    return diagnose(case.sku_code, STEPS, case)


def _is_inventory_sync_on(case: Case) -> Finding:
    if case.store.is_inventory_sync_on:
        return passed(f"Inventory Sync is on for {case.store.name}.")
    consequence = "so Amazon is told no stock. Turn it on; before its first push, a preview shows what that changes."
    return toggle_off(case.store, Toggle.INVENTORY_SYNC, consequence)


def _does_a_hub_sell_it(case: Case) -> Finding:
    store, mapping = case.store, Fix(FixKind.HUB_MAPPING, {"store_id": case.store.id})
    rows = db.session.execute(
        select(HubMapping, Hub)
        .join(Hub, Hub.id == HubMapping.hub_id)
        .where(HubMapping.store_id == store.id)
        .order_by(HubMapping.id)
    ).all()
    if not rows:
        return failed(
            f"No hub is mapped in {store.name}, so there is no stock to tell Amazon of. Map one.{_left_behind(case)}",
            mapping,
        )
    levels = _levels(case)
    active = {hub.id for entry, hub in rows if entry.is_active and hub.is_active}
    elsewhere = [level for level in levels if level.hub_id not in active and level.on_hand]
    if not active:
        mends = [mapping] if any(hub.is_active for _, hub in rows) else [Fix(FixKind.HUBS)]
        named = listed([f"{hub.name} ({entry.seller_flex_hub_id})" for entry, hub in rows[:5]])
        return failed(
            f"Every mapped hub is switched off, so Amazon is told nothing: {named}.{_left_behind(case)}", *mends
        )
    here = [level for level in levels if level.hub_id in active]
    if not here and elsewhere:
        named = listed([f"{level.hub.name} ({level.available:,} available)" for level in elsewhere[:5]])
        return failed(
            f"Its stock lies in {named}, which Amazon is told nothing of: not mapped in {store.name}, or switched off.",
            mapping,
        )
    if not here:
        return failed(
            "No mapped hub has ever had stock of it, so Amazon is told that there is none. Add stock.",
            Fix(FixKind.STOCK, {"seller": store.seller_id, "q": case.sku_code}, case.sku_code),
        )
    if elsewhere:
        named = listed([level.hub.name for level in elsewhere[:5]])
        return note(
            f"What lies in {named} is not told to Amazon: not mapped in {store.name}, or switched off.", mapping
        )
    return passed("An active mapped hub has it.")


def _levels(case: Case) -> Sequence[StockLevel]:
    query = access.visible(case.actor, StockLevel).where(
        StockLevel.seller_id == case.store.seller_id, StockLevel.sku_code == case.sku_code
    )
    return db.session.scalars(query.order_by(StockLevel.hub_id)).all()


def _is_brake_on(case: Case) -> Finding:
    held = brake.holding(case.store)
    if held is None:
        return passed("No push waits for a person.")
    return failed(
        f"A push that would set {held.n_to_zero:,} of {held.n_published:,} quantities to zero is held back until "
        "somebody approves it, or the stock is put right. Nothing is sent until then.",
        Fix(FixKind.ZEROS, {"store_id": case.store.id, "brake_id": held.id}),
        moments=[("Held back", held.made_at)],
    )


def _has_amazon_refused(case: Case) -> Finding:
    lines = [line for line in _lines(case) if line.told is not None and line.told.error_code]
    refused = next((line for line in lines if _state(line) is PushState.REFUSED), None)
    if refused is not None:
        return failed(_refusal(refused), _listing(case), moments=_sent([refused]))
    warned = next((line for line in lines if _state(line) is PushState.ACCEPTED), None)
    if warned is not None:
        return note(f"{_words(warned)} {warned.remedy}", _listing(case))
    return passed("Amazon has refused nothing of it.")


def _state(line: DriftLine) -> PushState | None:
    return line.told.state if line.told is not None else None


def _words(line: DriftLine) -> str:
    """Return what is kept of Amazon's answer to the line, or of why there is none."""
    return as_sentence(line.told.error_message or line.told.error_code) if line.told is not None else ""


def _refusal(line: DriftLine) -> str:
    return (
        f"Amazon refused its stock at {line.seller_flex_hub_id} ({line.hub_name}): {after_refusals(_words(line))} "
        f"{line.remedy}"
    )


def _is_buffer_in_the_way(case: Case) -> Finding | None:
    buffer = case.store.stock_buffer
    if not buffer:
        return None
    eaten = [line for line in _lines(case) if line.level is not None and line.level.available > 0 and line.ours == 0]
    rules = Fix(FixKind.STOCK_RULES, {"store_id": case.store.id}, case.store.name)
    if not eaten:
        return passed(f"The stock buffer of {buffer:,} units leaves something to sell.")
    named = listed([f"{line.hub_name} ({line.level.available:,} available)" for line in eaten if line.level])
    if all(line.ours == 0 for line in _lines(case)):
        return failed(
            f"The stock buffer holds it all back: {buffer:,} units of each SKU and hub are kept from Amazon, and "
            f"{named} has "
            "no more than that. So Amazon shows 0.",
            rules,
        )
    return note(f"The stock buffer of {buffer:,} units holds back all of it at {named}.", rules)


def _parts(case: Case) -> Finding | None:
    return one_sku.parts(case) if _waiting(case) else None


def _last_run(case: Case) -> Finding | None:
    if not _waiting(case):
        return None
    status = sync_status.of_sync(case.store, Sync.INVENTORY_PUSH)
    but = ", though Amazon did not take everything" if status.state == "Partial" else ""
    return last_run(case.store, status) or passed(
        f"The last push went through{but}.", moments=[("Last good run", status.last_success_at)]
    )


def _was_it_sent(case: Case) -> Finding:
    """Say whether Amazon was told what there is now, and answered; what it did not take goes with the next push."""
    waiting = _waiting(case)
    if not waiting:
        return passed("Amazon took exactly what there is now.", moments=_sent(_lines(case)))
    if any(_state(line) is PushState.SENDING for line in waiting) and _is_push_at_work(case.store):
        return answered("It is being sent right now. Look again in a minute.")
    status = sync_status.of_sync(case.store, Sync.INVENTORY_PUSH)
    mends = sync_now(case.store, Sync.INVENTORY_PUSH), _listing(case)
    moments = [*_sent(waiting), ("Next push", status.next_due_at)]
    if all(_is_unanswered(line) for line in waiting):
        named = listed([f"{line.ours:,} at {line.hub_name}" for line in waiting[:5]])
        said = _BROKEN_OFF if _state(waiting[0]) is PushState.SENDING else _words(waiting[0])
        return failed(f"{said} It goes again with the next push: {named}.", *mends, moments=moments)
    named = listed([_difference(line) for line in waiting[:5]])
    is_new = all(line.told is None or line.told.sent_at is None for line in waiting)
    why = "No push has sent it yet. It" if is_new else "It changed since the last push and"
    return answered(f"{why} goes with the next one: {named}.", *mends, moments=moments)


def _is_unanswered(line: DriftLine) -> bool:
    """Say whether what there is now was sent, and Amazon did not say whether it took it."""
    told = line.told
    return told is not None and told.state in _NO_ANSWER and told.sent_quantity == line.ours


def _is_push_at_work(store: Store) -> bool:
    """Say whether a push is at work, be it one that takes up what failed in another."""
    at_work = select(SyncRun.id).where(
        SyncRun.store_id == store.id, SyncRun.state == RunState.RUNNING, SyncRun.sync == Sync.INVENTORY_PUSH
    )
    return db.session.scalars(at_work.limit(1)).first() is not None


def _what_amazon_shows(case: Case) -> Finding:
    """Ask Amazon whether it shows what it took."""
    lines, store_id = _lines(case), case.store.id
    ours = {line.seller_flex_hub_id: line.ours for line in lines}
    sent, listing = _sent(lines), _listing(case)
    told = listed([f"{n_units:,} at {location}" for location, n_units in ours.items()])
    results, trouble = asking.of_stock(case.store, list(ours), case.sku_code)
    db.session.get_one(Store, store_id, populate_existing=True)
    refused = next((result for result in results.values() if _is_refused(result)), None)
    if refused is not None:
        said = answers.words_of(refused)
        why = f"{after_refusals(as_sentence(said.message))} {remedy_of(said.code)}"
        return failed(f"Amazon took {told}, and refuses to tell of it now: {why}", listing, moments=sent)
    others = [
        f"{result.sellable_quantity:,} at {location}"
        for location, result in results.items()
        if result.sellable_quantity is not None and result.sellable_quantity != ours[location]
    ]
    if others:
        return failed(
            f"Amazon took {told}, and shows {listed(others)} now: orders that are not here yet, or somebody changed it "
            "there. Push it again on the Inventory page, if no new order explains it.",
            Fix(FixKind.INVENTORY, {"store_id": store_id, "q": case.sku_code}, case.sku_code),
            moments=sent,
        )
    silent = [location for location in ours if location not in results or results[location].sellable_quantity is None]
    if silent and not trouble:
        trouble = f"Amazon gave no number just now for {listed(silent)}. Look again in a few minutes."
    if trouble:
        return unknown(
            f"Amazon was told exactly this: {told}. Whether it shows it is not known: {trouble}{_left_behind(case)}",
            listing,
            moments=sent,
        )
    if also := _left_behind(case):
        mapping = Fix(FixKind.HUB_MAPPING, {"store_id": store_id})
        return failed(f"Amazon shows what there is to sell, {told}.{also}", mapping, moments=sent)
    return answered(f"It is up to date: Amazon shows what there is to sell, {told}.", listing, moments=sent)


def _left_behind(case: Case) -> str:
    """Return a sentence about what Amazon sells of it where it is told nothing any more, "" when there is none."""
    places = left_behind.of_sku(case.store.id, case.sku_code)
    if not places:
        return ""
    named = listed([f"{n_units:,} at {location}" for location, n_units in places.items()])
    return (
        f" Amazon goes on selling {named}, which no active hub has, so it is told nothing of that any more. To stop "
        "that, give the id to a hub again or switch it on, set the stock there to 0, push, and take it away then."
    )


def _is_refused(result: InventoryResult) -> bool:
    """Say whether Amazon answered that it does not tell; a fault of its own is no such answer."""
    return not result.is_accepted and answers.state_of(result) is PushState.REFUSED


def _lines(case: Case) -> list[DriftLine]:
    """Return the SKU at every active location: ours, and what Amazon was told."""
    return drift.of_listing(case.store, active_locations(case.store.id), case.found)


def _waiting(case: Case) -> list[DriftLine]:
    """Return where Amazon did not take exactly ours last."""
    return [line for line in _lines(case) if not line.is_told]


def _difference(line: DriftLine) -> str:
    told: PublishedStock | None = line.told
    here = f"{line.ours:,} at {line.hub_name}"
    if told is not None and told.state in _NO_ANSWER and told.sent_quantity is not None:
        return f"{here}, and whether Amazon took the {told.sent_quantity:,} sent last is not known"
    known = "nothing yet" if told is None or told.quantity is None else f"{told.quantity:,}"
    return f"{here}, and Amazon was told {known}"


def _sent(lines: Sequence[DriftLine]) -> list[tuple[str, datetime | None]]:
    return [("Sent", max((line.told.sent_at for line in lines if line.told and line.told.sent_at), default=None))]


def _listing(case: Case) -> Fix:
    return Fix(FixKind.LISTING, {"store_id": case.store.id, "listing_id": case.found.id}, case.sku_code)


STEPS: tuple[Step[Case], ...] = (
    Step("Does FlexDash know the SKU?", one_sku.is_known),
    Step("Does the store list it with an ASIN?", one_sku.has_listing),
    Step("Is Inventory Sync on?", _is_inventory_sync_on),
    Step("Does Amazon let FlexDash in?", one_sku.is_connected),
    Step("Has an active mapped hub stock of it?", _does_a_hub_sell_it),
    Step("Does a push wait for a person?", _is_brake_on),
    Step("Has Amazon refused it?", _has_amazon_refused),
    Step("Does the stock buffer hold it back?", _is_buffer_in_the_way),
    Step("Are the scheduler and the workers at work?", _parts),
    Step("How did the last push go?", _last_run),
    Step("Was Amazon told what there is now?", _was_it_sent),
    Step("Does Amazon show it?", _what_amazon_shows),
)

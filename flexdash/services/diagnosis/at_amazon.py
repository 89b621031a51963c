"""What an order's state on Amazon means for its coming in: whose it is, how far it is, and where it goes."""

from datetime import datetime, timedelta

from sqlalchemy import select

from flexdash import clock
from flexdash.amazon import statuses
from flexdash.amazon.shipment_reader import Shipment
from flexdash.extensions import db, settings
from flexdash.models import OrderState, Store, Sync, SyncState
from flexdash.services import countries, order_pull
from flexdash.services.diagnosis.checks import Finding, Fix, FixKind, answered, failed, note, passed
from flexdash.services.order_changes import CANCELLED_BY
from flexdash.services.order_import import had_left
from flexdash.services.order_pull import SELLER_FLEX_CHANNEL
from flexdash.services.order_states import HAS_LEFT
from flexdash.services.routing import Routes

_ACKNOWLEDGED = statuses.lookup("CONFIRMED").rank
_CLOCKS_APART = timedelta(minutes=5)  # as far as Amazon's clock and ours may differ


def belongs(store: Store, shipment: Shipment) -> Finding:
    """Say whether it is an order that the store's pulls ask for: of Seller Flex, in the store's country."""
    if shipment.channel_name and shipment.channel_name != SELLER_FLEX_CHANNEL:
        return failed(
            f"It is an order of Amazon's channel {shipment.channel_name} and not of Seller Flex, so FlexDash leaves it "
            "where it is. Work it in Seller Central."
        )
    if shipment.marketplace_id and shipment.marketplace_id != store.marketplace_id:
        where = next((one.name for one in countries.search() if one.marketplace_id == shipment.marketplace_id), "")
        return failed(
            f"It was sold in {where or 'another country'} ({shipment.marketplace_id}), and {store.name} brings in "
            "orders "
            f"of {countries.name_of(store.country_code)}. Connect a store of that country.",
            Fix(FixKind.CONNECT_STORE),
        )
    return passed("It is a Seller Flex order of this country.")


def status(store: Store, shipment: Shipment, recover: Fix) -> Finding:
    """Say whether it is to be fetched, as Amazon has it now."""
    entry = statuses.lookup(shipment.status)
    words, moments = f"{entry.label} ({shipment.status})", [("Last changed on Amazon", shipment.updated_at)]
    if entry is statuses.UNKNOWN:
        return failed(
            f"Amazon has it as {shipment.status}, a status that FlexDash does not know. Tell whoever runs FlexDash; "
            "until then work it in Seller Central.",
            moments=moments,
        )
    if entry.order_state is None:
        return answered(
            f"It is still pending: Amazon has it as {words}. {entry.meaning}. It comes in by itself once Amazon has.",
            moments=moments,
        )
    if entry.order_state == OrderState.CANCELLED:
        kind = shipment.cancellation.kind if shipment.cancellation else ""
        by = CANCELLED_BY.get(kind, "on Amazon")
        return answered(
            f"It was cancelled {by} before it ever came here, so there is nothing to work.", moments=moments
        )
    is_passed_by = entry.pull == "changed" and _is_passed_by(store, shipment, entry.order_state)
    if entry.rank > _ACKNOWLEDGED:
        comes = (
            "no run brings it any more. Recover it, if you want it here"
            if is_passed_by
            else f"the next run brings it in as {entry.order_state}, or recover it now"
        )
        return failed(
            f"It is past that already: Amazon has it as {words}. Somebody worked it in Amazon's own tool before "
            "FlexDash "
            f"fetched it, and {comes}.",
            recover,
            moments=moments,
        )
    if is_passed_by:
        return failed(
            f"Amazon has it as {words}: it was accepted in Amazon's own tool, and that was before the time that the "
            "runs look back to. Recover it by its id.",
            recover,
            moments=moments,
        )
    return passed(f"Amazon has it as {words}: it is to be fetched.", moments=moments)


def hub(store: Store, shipment: Shipment) -> Finding:
    """Say which hub it will go to; one that cannot take it is no reason to stay away, for it comes in On Hold."""
    route = Routes.of_store(store.id).to(shipment.location_id)
    if not route.holds:
        return passed(f"{route.hub_name} has its Seller Flex Hub ID {shipment.location_id}.")
    return note(
        f"It will come in On Hold: {' '.join(hold.detail for hold in route.holds)}",
        Fix(FixKind.HUB_MAPPING, {"store_id": store.id}),
    )


def was_passed_by(shipment: Shipment, last_success_at: datetime | None) -> bool:
    """Say whether a good run ended so long after the shipment last changed that it should have brought it in."""
    changed_at = shipment.updated_at
    return changed_at is not None and last_success_at is not None and changed_at + 2 * _CLOCKS_APART < last_success_at


def _is_passed_by(store: Store, shipment: Shipment, order_state: str) -> bool:
    """Say whether the next pull asks only for what changed later than this shipment."""
    if shipment.updated_at is None:
        return False
    watermark = db.session.scalar(
        select(SyncState.watermark).where(SyncState.store_id == store.id, SyncState.sync == Sync.ORDER_PULL)
    )
    begun_at = order_pull.begun_at(store.id) if order_state in HAS_LEFT else None
    if begun_at is not None and had_left(shipment, begun_at):
        return True  # nor does any later one take it in
    if watermark is not None:
        return shipment.updated_at < watermark - timedelta(minutes=settings.order_pull_overlap_minutes)
    if order_state in HAS_LEFT:
        return True  # a store's first pull leaves out what has left its hub
    return shipment.updated_at < clock.now() - timedelta(days=settings.order_pull_first_lookback_days)

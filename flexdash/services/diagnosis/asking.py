"""Asking Amazon while a person waits for the page: what it has of an order, or why it could not be asked."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import structlog

from flexdash import clock
from flexdash.amazon import errors
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import UnreadableShipment
from flexdash.amazon.inventory import MAX_BATCH, InventoryItem, InventoryResult
from flexdash.amazon.listings import ListingsItem
from flexdash.amazon.shipment_reader import Shipment, read_shipment
from flexdash.amazon.statuses import STATUS_TABLE
from flexdash.models import Store
from flexdash.services.amazon_access import StoreNotConnected, amazon_for
from flexdash.services.order_pages import order_id_of
from flexdash.services.words import after_refusals, as_sentence
from flexdash.vault import UnreadableSecret

LOOK_BACK = timedelta(days=30)  # how far Amazon's lists are read for an order id, which Amazon cannot be asked for
PATIENCE_SECONDS = 12.0  # no further call to Amazon begins after this: somebody waits
# Amazon's statuses in the order in which an order that is not here is the most likely to be met.
_SOUGHT_IN = sorted(
    (entry for entry in STATUS_TABLE), key=lambda entry: (entry.rank > 2 and entry.status != "CANCELLED", entry.rank)
)

Found = TypeVar("Found")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AmazonSays:
    """What Amazon said of an id. At most one of `shipment`, `is_unknown`, `unreadable` and `trouble` is given.

    `shipment_id` is that of a shipment which was found and could not be read, where that much was readable. `trouble`
    says in sentences why there is no answer. `is_unfinished`: its lists were not read to their end.
    """

    shipment: Shipment | None = None
    is_unknown: bool = False
    unreadable: str = ""
    shipment_id: str = ""
    trouble: str = ""
    is_unfinished: bool = False


class Patience:
    """How long a person is kept waiting for all calls of one diagnosis together."""

    def __init__(self) -> None:
        self._until = time.monotonic() + PATIENCE_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether no further call should begin."""
        return time.monotonic() >= self._until


def of_shipment(store: Store, shipment_id: str) -> AmazonSays:
    """Return what Amazon says of a shipment id in the account of `store`. Call it outside a transaction."""

    def look(client: AmazonClient) -> AmazonSays:
        try:
            return AmazonSays(read_shipment(client.shipments.get(shipment_id)))
        except errors.NotFound:
            return AmazonSays(is_unknown=True)
        except errors.RequestRefused:
            return AmazonSays(is_unknown=True)  # its form is none that a shipment's id has
        except UnreadableShipment as error:
            return AmazonSays(unreadable=error.reason, shipment_id=error.shipment_id or "")

    found, trouble = _ask(store, look)
    return found or AmazonSays(trouble=trouble)


def of_order(store: Store, order_id: str, patience: Patience) -> AmazonSays:
    """Return what Amazon's lists have of an order id; Amazon cannot be asked for one. Call it outside a transaction."""

    def look(client: AmazonClient) -> AmazonSays:
        since = clock.now() - LOOK_BACK
        for entry in _SOUGHT_IN:
            # Neither channel nor country is given: an order of another one is to be found, too.
            changed_after = None if entry.rank < 2 else since
            if patience.is_over:
                return AmazonSays(is_unfinished=True)
            for page in client.shipments.pages(entry.status, updated_after=changed_after):
                for raw in page.shipments:
                    if order_id_of(raw) != order_id:
                        continue
                    try:
                        return AmazonSays(read_shipment(raw))
                    except UnreadableShipment as error:
                        return AmazonSays(unreadable=error.reason, shipment_id=error.shipment_id or "")
                if page.next_token is not None and patience.is_over:
                    return AmazonSays(is_unfinished=True)
        return AmazonSays(is_unknown=True)

    found, trouble = _ask(store, look)
    return found or AmazonSays(trouble=trouble)


def of_stock(store: Store, locations: Sequence[str], sku_code: str) -> tuple[dict[str, InventoryResult], str]:
    """Return Amazon's numbers for a SKU by location, and why it could not be asked ("" when it was).

    Locations are missing in the answer where they were too many to be asked while somebody waits.
    """
    items = [InventoryItem(location, sku_code, store.marketplace_id) for location in locations]
    results: dict[str, InventoryResult] = {}

    def look(client: AmazonClient) -> None:
        patience = Patience()
        for begin in range(0, len(items), MAX_BATCH):
            if begin and patience.is_over:
                return
            results.update((one.location_id, one) for one in client.inventory.fetch(items[begin : begin + MAX_BATCH]))

    _, trouble = _ask(store, look)
    return results, trouble


def of_listing(store: Store, sku_code: str) -> tuple[ListingsItem | None, str]:
    """Return a SKU's listing as Amazon has it, and why it could not be asked ("" when it was); None: it has none."""

    def look(client: AmazonClient) -> ListingsItem | None:
        try:
            return client.listings.get(sku_code, store_marketplace_id)
        except errors.NotFound:
            return None

    store_marketplace_id = store.marketplace_id
    return _ask(store, look)


def _ask(store: Store, look: Callable[[AmazonClient], Found]) -> tuple[Found | None, str]:
    """Return what `look` finds and "", or None and why Amazon could not be asked."""
    store_id = store.id
    try:
        with amazon_for(store) as client:
            return look(client), ""
    except StoreNotConnected as error:
        return None, error.sentence
    except UnreadableSecret:
        return None, (
            "Amazon was not asked: the key that opens this store's authorization is missing from ENCRYPTION_KEYS. Tell "
            "whoever runs FlexDash to put it back."
        )
    except errors.AmazonError as error:
        log.info("diagnosis_got_no_answer", store_id=store_id, error=error.code)
        return None, words_of(error)


def words_of(error: errors.AmazonError) -> str:
    """Return why Amazon gave no answer, with what to do."""
    match error:
        case errors.AuthorizationRefused():
            return "Amazon no longer accepts this store's authorization, so it did not answer. Re-authorize the store."
        case errors.AppCredentialsRefused():
            return "Amazon does not accept FlexDash's own credentials. Tell whoever runs FlexDash to renew them."
        case errors.TokenRefused():
            return (
                f"Amazon was not asked, for it gave no access token. {as_sentence(error.message)} Tell whoever runs "
                "FlexDash; re-authorizing the store may help."
            )
        case errors.AccessDenied():
            return (
                "Amazon does not let FlexDash read this here: a role is missing, or Amazon has not opened External "
                "Fulfillment for the account yet. Ask your Amazon contact."
            )
        case errors.RedisUnavailable():
            return "Amazon was not asked: Redis, which keeps Amazon's pace, is away. Tell whoever runs FlexDash."
        case errors.Throttled():
            return "Amazon gave no answer: this store's allowance is used up at the moment. Look again in a minute."
        case _ if error.is_retryable:
            return "Amazon does not answer at the moment. Look again in a few minutes."
        case _:
            said = f" (Amazon's request id: {error.request_id})" if error.request_id else ""
            return f"Amazon answered with an error: {after_refusals(error.message).rstrip('.')}{said}."

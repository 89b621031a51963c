"""The operations FlexDash calls, each with the usage plan it starts from, as data.

Rates: https://developer-docs.amazon.com/sp-api/docs/external-fulfillment-apis-rate-limits (inventory, returns) and the
models of the other APIs. For the shipment operations no plan is published; they start from the rate in the settings
with a burst of one, and follow what `x-amzn-RateLimit-Limit` says.
"""

from dataclasses import dataclass

from flexdash.amazon.pacing import Plan

SHIPMENTS_PATH = ("externalFulfillment", "2024-09-11", "shipments")
INVENTORY_PATH = ("externalFulfillment", "inventory", "2024-09-11", "inventories")
RETURNS_PATH = ("externalFulfillment", "2024-09-11", "returns")
PARTICIPATIONS_PATH = ("sellers", "v1", "marketplaceParticipations")
LISTINGS_PATH = ("listings", "2021-08-01", "items")
FEEDS_PATH = ("feeds", "2021-06-30", "feeds")
FEED_DOCUMENTS_PATH = ("feeds", "2021-06-30", "documents")


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API. `plan` paces it; `is_repeatable` says that doing it twice is doing it once."""

    method: str
    plan: Plan
    is_repeatable: bool = False

    @property
    def name(self) -> str:
        """Amazon's name of the operation."""
        return self.plan.operation

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing at Amazon."""
        return self.method == "GET"


BATCH_INVENTORY = Operation("POST", Plan("batchInventory", 50, 100), is_repeatable=True)
LIST_RETURNS = Operation("GET", Plan("listReturns", 10, 20), is_repeatable=True)
GET_RETURN = Operation("GET", Plan("getReturn", 10, 20), is_repeatable=True)
GET_PARTICIPATIONS = Operation("GET", Plan("getMarketplaceParticipations", 0.016, 15))
GET_LISTING = Operation("GET", Plan("getListingsItem", 5, 10), is_repeatable=True)
PATCH_LISTING = Operation("PATCH", Plan("patchListingsItem", 5, 5), is_repeatable=True)  # what it sets is absolute
CREATE_FEED_DOCUMENT = Operation("POST", Plan("createFeedDocument", 0.5, 15), is_repeatable=True)  # an unused one ends
CREATE_FEED = Operation("POST", Plan("createFeed", 0.0083, 15))
GET_FEED = Operation("GET", Plan("getFeed", 2, 15), is_repeatable=True)
GET_FEED_DOCUMENT = Operation("GET", Plan("getFeedDocument", 0.0222, 10), is_repeatable=True)

# Name: (method, is_repeatable). transport.py says what being repeatable leads to.
_SHIPMENT_OPERATIONS = {
    "getShipments": ("GET", True),
    "getShipment": ("GET", True),
    "processShipment": ("POST", True),
    "createPackages": ("POST", False),
    "updatePackage": ("PUT", True),
    "updatePackageStatus": ("PATCH", True),
    "retrieveShippingOptions": ("GET", True),
    "generateInvoice": ("POST", False),
    "retrieveInvoice": ("GET", True),
    "generateShipLabels": ("PUT", False),
}


def shipment_operations(rate: float) -> dict[str, Operation]:
    """Return the shipment operations by name, each starting from `rate` requests per second."""
    return {
        name: Operation(method, Plan(name, rate), is_repeatable)
        for name, (method, is_repeatable) in _SHIPMENT_OPERATIONS.items()
    }


# Every name that the record of a call may have: the operations above, Amazon's token service, and its document storage.
NAMES: tuple[str, ...] = tuple(
    sorted(
        {
            *_SHIPMENT_OPERATIONS,
            *(kept.name for kept in list(globals().values()) if isinstance(kept, Operation)),
            "exchangeCode",
            "refreshToken",
            "uploadFeedDocument",
            "downloadFeedDocument",
        },
        key=str.lower,
    )
)

"""The operations FlexDash calls, each with the usage plan it starts from, as data.

Rates: https://developer-docs.amazon.com/sp-api/docs/external-fulfillment-apis-rate-limits (inventory) and the model of
the Sellers API. For the shipment operations no plan is published; they start from the rate in the settings with a burst
of one, and follow what `x-amzn-RateLimit-Limit` says.
"""

from dataclasses import dataclass

from flexdash.amazon.pacing import Plan

SHIPMENTS_PATH = ("externalFulfillment", "2024-09-11", "shipments")
INVENTORY_PATH = ("externalFulfillment", "inventory", "2024-09-11", "inventories")
PARTICIPATIONS_PATH = ("sellers", "v1", "marketplaceParticipations")


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
GET_PARTICIPATIONS = Operation("GET", Plan("getMarketplaceParticipations", 0.016, 15))

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

"""Usage plans: one token bucket per selling partner and operation, as Amazon paces callers.

Rates Amazon publishes are used as they are. For the External Fulfillment shipment operations none could be read,
so 5 a second with a burst of 10 is the sandbox's own choice.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

SHIPMENT_OPERATIONS = (
    "getShipments",
    "getShipment",
    "processShipment",
    "createPackages",
    "updatePackage",
    "updatePackageStatus",
    "retrieveShippingOptions",
    "generateInvoice",
    "retrieveInvoice",
    "generateShipLabels",
)
LISTING_OPERATIONS = ("getListingsItem", "patchListingsItem")
RETURN_OPERATIONS = ("listReturns", "getReturn")
FEED_OPERATIONS = ("createFeedDocument", "createFeed", "getFeed", "getFeedDocument")
OPERATIONS = (
    *SHIPMENT_OPERATIONS,
    "batchInventory",
    "getMarketplaceParticipations",
    *LISTING_OPERATIONS,
    *FEED_OPERATIONS,
    *RETURN_OPERATIONS,
)


@dataclass(frozen=True)
class Plan:
    """Requests per second, and how many may come at once after a rest."""

    rate: float
    burst: float

    def __post_init__(self) -> None:
        for value in (self.rate, self.burst):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
                raise ValueError(f"{value!r} is not a number above 0")


DEFAULT_PLANS: dict[str, Plan | None] = {
    **dict.fromkeys(SHIPMENT_OPERATIONS, Plan(5, 10)),
    "batchInventory": Plan(50, 100),
    "getMarketplaceParticipations": Plan(0.016, 15),
    "getListingsItem": Plan(5, 10),
    "patchListingsItem": Plan(5, 5),
    "createFeedDocument": Plan(0.5, 15),
    "createFeed": Plan(0.0083, 15),
    "getFeed": Plan(2, 15),
    "getFeedDocument": Plan(0.0222, 10),
    **dict.fromkeys(RETURN_OPERATIONS, Plan(10, 20)),
}


class Plans:
    """The plan of each operation (None: unlimited) and the state of every bucket."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic):
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self.use_defaults()

    def use_defaults(self) -> None:
        """Back to Amazon's rates, with full buckets."""
        self.set(DEFAULT_PLANS)

    def set(self, plans: dict[str, Plan | None]) -> None:
        """Sets these operations' plans; their buckets start full. KeyError for an unknown operation."""
        unknown = set(plans) - set(OPERATIONS)
        if unknown:
            raise KeyError(f"unknown operation {sorted(unknown)[0]}")
        with self._lock:
            self.current = {**getattr(self, "current", {}), **plans}
            self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def is_allowed(self, seller_id: str, operation: str) -> bool:
        """Takes one request from the bucket; False when it is empty."""
        plan = self.current[operation]
        if plan is None:
            return True
        with self._lock:
            now = self._monotonic()
            n_left, then = self._buckets.get((seller_id, operation), (plan.burst, now))
            n_left = min(plan.burst, n_left + (now - then) * plan.rate)
            self._buckets[seller_id, operation] = (n_left - 1 if n_left >= 1 else n_left, now)
            return n_left >= 1

    def rate_limit(self, operation: str) -> str | None:
        """The value of `x-amzn-RateLimit-Limit`, or None when there is no plan."""
        plan = self.current[operation]
        return str(float(plan.rate)) if plan else None

    def as_json(self) -> dict[str, dict[str, float] | None]:
        """The plans as control calls show and take them."""
        return {name: {"rate": plan.rate, "burst": plan.burst} if plan else None for name, plan in self.current.items()}

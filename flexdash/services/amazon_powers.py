"""What a merchant lets FlexDash do at Amazon, in plain words: each line with the operations that it stands for."""

from typing import NamedTuple


class Power(NamedTuple):
    """One line of what is consented to, and the operations of Amazon's that it covers, by Amazon's names."""

    sentence: str
    operations: frozenset[str]


READS: tuple[Power, ...] = (
    Power(
        "The orders that your Seller Flex warehouses are to ship, with the buyer's name and address for the parcel, "
        "its invoice, and how Amazon offers to collect it.",
        frozenset({"getShipments", "getShipment", "retrieveShippingOptions", "retrieveInvoice"}),
    ),
    Power(
        "How many units of a SKU Amazon shows at a warehouse.",
        frozenset({"batchInventory"}),
    ),
    Power(
        "Your listing of a SKU with its price, and what Amazon says of the prices it was sent.",
        frozenset({"getListingsItem", "getFeed", "getFeedDocument", "downloadFeedDocument"}),
    ),
    Power(
        "Your returns: of which order, how far each is, and to which warehouse it goes.",
        frozenset({"listReturns", "getReturn"}),
    ),
    Power(
        "In which countries your account sells.",
        frozenset({"getMarketplaceParticipations"}),
    ),
)
CHANGES: tuple[Power, ...] = (
    Power(
        "How far an order is: that it was accepted, packed or shipped, or that it cannot be shipped.",
        frozenset({"processShipment", "createPackages", "updatePackage", "updatePackageStatus"}),
    ),
    Power(
        "The papers of an order: Amazon is asked to make its invoice and shipping labels.",
        frozenset({"generateInvoice", "generateShipLabels"}),
    ),
    Power(
        "How many units of a SKU a warehouse has to sell.",
        frozenset({"batchInventory"}),
    ),
    Power(
        "The selling price of a SKU, once you give one in FlexDash, with the MRP of your catalog where Amazon has no "
        "price yet. A SKU without a price here keeps the one that Amazon has.",
        frozenset({"patchListingsItem", "createFeedDocument", "uploadFeedDocument", "createFeed"}),
    ),
)
# No operation of FlexDash's could do any of it.
NEVER: tuple[str, ...] = (
    "Looks at payments or bank details.",
    "Writes to buyers, accepts returns or pays anything back.",
    "Makes or removes listings, or changes anything in one but its price.",
)

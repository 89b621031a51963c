"""What to do about what Amazon says of a SKU's stock.

Amazon publishes no list of these errors, only examples, so they are recognised by the words in them
(https://developer-docs.amazon.com/sp-api/docs/publish-location-level-inventory).
"""

# Words looked for in Amazon's error, in this order: the first that is found says what to do.
_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("WEIGHT", "DIMENSION"),
        "Add the weight and the package's dimensions to the product in Seller Central.",
    ),
    (
        ("SEQUENCE", "VERSION"),
        "Another program sends stock for this SKU too. Let only FlexDash send it; it takes up Amazon's number by "
        "itself with the next run.",
    ),
    (
        ("LOCATION", "NODE", "WAREHOUSE"),
        "Compare the Seller Flex Hub ID on the Hub Mapping tab with the one Seller Central shows, and verify it there.",
    ),
    (
        ("SKU", "LISTING", "ASIN", "OFFER"),
        "Check that Seller Central has a listing with exactly this SKU, capital and small letters included, for "
        "Seller Flex in this country. If the SKU is wrong here, correct the catalog.",
    ),
    (
        ("MARKETPLACE", "CHANNEL"),
        "Check in Seller Central that this location is enabled for Seller Flex in the store's country.",
    ),
    (("QUANTITY",), "Look at the SKU's stock on the Stock page: Amazon does not take this quantity."),
    (
        ("ATTRIBUTE", "PRODUCT"),
        "Complete the product's details in Seller Central.",
    ),
    (
        ("THROTTL", "INTERNAL", "UNAVAILABLE", "TIMEOUT", "NO_ANSWER"),
        "Nothing: it is sent again with the next run.",
    ),
)
_OTHERWISE = (
    "Look the SKU up in Seller Central. It is sent again with each run; if Amazon keeps refusing it, ask Amazon's "
    "support with the request id on the run's page."
)


def remedy_of(error_code: str) -> str:
    """Return what a person can do about Amazon's error, "" when there is none."""
    if not error_code:
        return ""
    said = error_code.upper()
    for words, remedy in _REMEDIES:
        if any(word in said for word in words):
            return remedy
    return _OTHERWISE


def is_about_sequence(error_code: str, status_code: int | None) -> bool:
    """Say whether a line was refused for its sequence number: Amazon does not document how it says so."""
    return "SEQUENCE" in error_code.upper() or status_code in (409, 412)

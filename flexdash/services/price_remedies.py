"""What to do about what Amazon says of a price.

Amazon publishes no list of these issues, so they are recognised by their codes and by the words in them.
"""

# Words looked for in what Amazon said, in this order: the first that is found says what to do.
_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("MRP", "MAXIMUM RETAIL", "MAXIMUM_RETAIL"),
        "Lower the price, or correct the MRP in Seller Central and in the catalog; then send the price again.",
    ),
    (
        ("NOTHING WAS SENT",),
        "Correct the price, or the SKU in the catalog; a corrected price is sent by itself.",
    ),
    (
        ("13013", "NOT FOUND", "NOT_FOUND", "DOES NOT EXIST", "NO LISTING"),
        "Check that Seller Central has a listing with exactly this SKU, capital and small letters included, in the "
        "store's country. If the SKU is wrong here, correct the catalog.",
    ),
    (
        ("MINIMUM", "BELOW", "TOO LOW", "MAXIMUM SELLER"),
        "Look at the limits for this listing's price in Seller Central, correct them or the price, and send it again.",
    ),
    (("DECIMAL", "CURRENCY"), "Correct the price in the store's currency; it is sent by itself after that."),
    (
        ("4000001", "SCHEMA"),
        "Tell whoever runs FlexDash: Amazon wants the price in another form. Set it in Seller Central until then.",
    ),
    (("STILL SHOWS", "FATAL", "CANCELLED"), "Look at the listing in Seller Central, then send the price again."),
)
_OTHERWISE = (
    "Look at the listing in Seller Central and correct what Amazon names, or the price; then send it again. If Amazon "
    "keeps refusing it, ask Amazon's support with the request id on the run's page."
)


def remedy_of(words: str) -> str:
    """Return what a person can do about Amazon's words on a price."""
    said = words.upper()
    for parts, remedy in _REMEDIES:
        if any(part in said for part in parts):
            return remedy
    return _OTHERWISE

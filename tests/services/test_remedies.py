"""What to do about Amazon's words on stock and on prices: each entry, and which one wins where the words fit many."""

import pytest

from flexdash.services import price_remedies
from flexdash.services.inventory import remedies


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("PRODUCT_ATTRIBUTE_VALIDATION_FAILURE/MISSING_WEIGHT", "Add the weight and the package's dimensions"),
        ("VALIDATION_FAILURE/INVALID_DIMENSIONS_OF_SKU", "Add the weight and the package's dimensions"),
        ("WEIGHT_OF_OLDER_VERSION", "Add the weight and the package's dimensions"),
        ("CONFLICT/SEQUENCE_NUMBER_TOO_LOW_FOR_SKU", "Another program sends stock for this SKU too."),
        ("VersionMismatch", "Another program sends stock for this SKU too."),
        ("SEQUENCE_OF_LOCATION", "Another program sends stock for this SKU too."),
        ("INVALID_LOCATION/SKU_NOT_AT_LOCATION", "Compare the Seller Flex Hub ID on the Hub Mapping tab"),
        ("UNKNOWN_NODE", "Compare the Seller Flex Hub ID on the Hub Mapping tab"),
        ("WAREHOUSE_CLOSED", "Compare the Seller Flex Hub ID on the Hub Mapping tab"),
        ("INVALID_SKU", "Check that Seller Central has a listing with exactly this SKU"),
        ("UNKNOWN_ASIN", "Check that Seller Central has a listing with exactly this SKU"),
        ("NO_OFFER", "Check that Seller Central has a listing with exactly this SKU"),
        ("LISTING_NOT_IN_MARKETPLACE", "Check that Seller Central has a listing with exactly this SKU"),
        ("MARKETPLACE_NOT_ENABLED", "Check in Seller Central that this location is enabled for Seller Flex"),
        ("CHANNEL_NOT_ENABLED/QUANTITY", "Check in Seller Central that this location is enabled for Seller Flex"),
        ("INVALID_QUANTITY", "Look at the SKU's stock on the Stock page"),
        ("QUANTITY_ATTRIBUTE_TOO_LARGE", "Look at the SKU's stock on the Stock page"),
        ("MISSING_ATTRIBUTE/INTERNAL_NAME", "Complete the product's details in Seller Central."),
        ("INCOMPLETE_PRODUCT", "Complete the product's details in Seller Central."),
        ("no_answer", "Nothing: it is sent again with the next run."),
        ("INTERNAL_ERROR", "Nothing: it is sent again with the next run."),
        ("REQUEST_THROTTLED", "Nothing: it is sent again with the next run."),
        ("SERVICE_UNAVAILABLE", "Nothing: it is sent again with the next run."),
        ("TIMEOUT", "Nothing: it is sent again with the next run."),
        ("SOMETHING_NEW", "Look the SKU up in Seller Central."),
    ],
)
def test_amazons_error_about_stock_has_a_remedy(said, remedy) -> None:
    assert remedies.remedy_of(said).startswith(remedy)


def test_where_amazon_refused_nothing_there_is_no_remedy() -> None:
    assert remedies.remedy_of("") == ""


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("The price is above the MRP. (PRICE_ABOVE_MRP)", "Lower the price, or correct the MRP"),
        ("It is below the minimum of the maximum retail price.", "Lower the price, or correct the MRP"),
        ("maximum_retail_price", "Lower the price, or correct the MRP"),
        ("Nothing was sent: above the MRP.", "Lower the price, or correct the MRP"),
        ("Nothing was sent: the currency is unknown.", "Correct the price, or the SKU in the catalog;"),
        ("Nothing was sent: Amazon has no listing.", "Correct the price, or the SKU in the catalog;"),
        ("SKU not found below this seller.", "Check that Seller Central has a listing with exactly this SKU"),
        ("It does not exist.", "Check that Seller Central has a listing with exactly this SKU"),
        ("No listing.", "Check that Seller Central has a listing with exactly this SKU"),
        ("NOT_FOUND", "Check that Seller Central has a listing with exactly this SKU"),
        ("13013", "Check that Seller Central has a listing with exactly this SKU"),
        ("Not the minimum seller allowed price.", "Look at the limits for this listing's price in Seller Central"),
        ("Below the lowest price.", "Look at the limits for this listing's price in Seller Central"),
        ("Above the maximum seller allowed price, in EUR.", "Look at the limits for this listing's price"),
        ("Too low for this currency.", "Look at the limits for this listing's price"),
        ("At most two decimal places are allowed.", "Correct the price in the store's currency;"),
        ("The currency does not fit the schema.", "Correct the price in the store's currency;"),
        ("The message does not fit. (4000001)", "Tell whoever runs FlexDash: Amazon wants the price in"),
        ("FATAL: schema violation", "Tell whoever runs FlexDash: Amazon wants the price in"),
        ("Amazon still shows 499.00.", "Look at the listing in Seller Central, then send the price again."),
        ("The feed was CANCELLED.", "Look at the listing in Seller Central, then send the price again."),
        ("The feed ended FATAL.", "Look at the listing in Seller Central, then send the price again."),
        ("Something new.", "Look at the listing in Seller Central and correct what Amazon names"),
    ],
)
def test_amazons_words_about_a_price_have_a_remedy(said, remedy) -> None:
    assert price_remedies.remedy_of(said).startswith(remedy)

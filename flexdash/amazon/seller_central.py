"""Addresses of Seller Central's own pages, for a person to open."""

from urllib.parse import quote

from flexdash.amazon.countries import Country


def order_address(country: Country, order_id: str, seller_central_url: str = "") -> str:
    """Return the address of the page of one order, by Amazon's order id.

    `seller_central_url`, when given, is an origin that stands in for the country's Seller Central (the sandbox).
    """
    origin = (seller_central_url or f"https://{country.seller_central_host}").rstrip("/")
    return f"{origin}/orders-v3/order/{quote(order_id, safe='')}"

"""The demo sellers a person can sign in as, and the marketplaces they sell in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Marketplace:
    """A marketplace with the tax its orders carry: (tax type, per cent) parts that add up."""

    id: str
    country_code: str
    name: str
    currency: str
    language: str
    domain: str
    taxes: tuple[tuple[str, int], ...]
    n_decimals: int = 2


@dataclass(frozen=True)
class Account:
    """A seller: its selling partner id, where it sells, and the locations Amazon knows it by."""

    selling_partner_id: str
    name: str
    marketplace: Marketplace
    location_ids: tuple[str, ...]
    city: str
    postal_code: str
    tax_number: str


INDIA = Marketplace("A21TJRUUN4KGV", "IN", "Marketplace India", "INR", "en_IN", "www.amazon.in", (("IGST", 18),))
UAE = Marketplace("A2VIGQ35RCS4UG", "AE", "Marketplace UAE", "AED", "en_AE", "www.amazon.ae", (("VAT", 5),))
GERMANY = Marketplace("A1PA6795UKMFR9", "DE", "Marketplace Germany", "EUR", "de_DE", "www.amazon.de", (("VAT", 19),))
UNITED_STATES = Marketplace(
    "ATVPDKIKX0DER", "US", "Marketplace United States", "USD", "en_US", "www.amazon.com", (("OTHER", 7),)
)
JAPAN = Marketplace(
    "A1VC38T7YXB528", "JP", "Marketplace Japan", "JPY", "ja_JP", "www.amazon.co.jp", (("OTHER", 10),), 0
)

ACCOUNTS = (
    Account(
        "A3SBXSUNRISEIN",
        "Sunrise Retail (India)",
        INDIA,
        ("EXSB", "PNQ1", "BLR2"),
        "Pune",
        "411001",
        "27SANDBOX0000Z1",
    ),
    Account("A3SBXNOVAHOMAE", "Nova Home (UAE)", UAE, ("DXB3",), "Dubai", "00000", "100SANDBOX00003"),
    Account("A3SBXALPINEGDE", "Alpine Goods (Germany)", GERMANY, ("MUC1",), "München", "80331", "DESANDBOX01"),
    Account(
        "A3SBXHARBORSUS",
        "Harbor Supply (United States)",
        UNITED_STATES,
        ("ONT9",),
        "Ontario",
        "91761",
        "00-SANDBOX",
    ),
    Account("A3SBXKITALIVJP", "Kita Living (Japan)", JAPAN, ("NRT5",), "Chiba", "260-0001", "T0SANDBOX00000"),
)
BY_ID = {account.selling_partner_id: account for account in ACCOUNTS}


def for_country(country_code: str) -> Account | None:
    """The demo seller of a country, or None when there is none."""
    return next((a for a in ACCOUNTS if a.marketplace.country_code == country_code.upper()), None)


def for_location(location_id: str) -> Account | None:
    """The demo seller that has this location, or None."""
    return next((a for a in ACCOUNTS if location_id in a.location_ids), None)

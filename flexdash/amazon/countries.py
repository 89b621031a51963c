"""Where Amazon's marketplaces are, which Seller Central serves them, and where Seller Flex runs.

Marketplace ids and regions: https://developer-docs.amazon.com/sp-api/docs/marketplace-ids and
https://developer-docs.amazon.com/sp-api/docs/sp-api-endpoints. The currency is the usual one; what counts for a
seller is what `Sellers.marketplace_participations` answers.
"""

from dataclasses import dataclass
from typing import Literal

REGIONS = {
    "NA": "https://sellingpartnerapi-na.amazon.com",
    "EU": "https://sellingpartnerapi-eu.amazon.com",
    "FE": "https://sellingpartnerapi-fe.amazon.com",
}

_ASK = "Ask Amazon whether Seller Flex is offered to you here."
_KNOWN = "Amazon runs Seller Flex here."
_REPORTED = "Integration partners report Seller Flex here. Ask Amazon whether it is offered to you."
_EUROPE = (
    "Seller Flex is reported in Europe, mainly for heavy and bulky goods; in which countries is not published. " + _ASK
)
_ONSITE = "Amazon has the related programme FBA Onsite here. " + _ASK


@dataclass(frozen=True, slots=True)
class Country:
    """A country Amazon sells in. `code` is ISO 3166-1 (the United Kingdom is GB, found as UK too).

    `seller_flex` is "known", "reported" or "ask"; `seller_flex_note` says the same in a sentence.
    """

    code: str
    name: str
    marketplace_id: str
    region: Literal["NA", "EU", "FE"]
    seller_central_host: str
    currency: str
    seller_flex: Literal["known", "reported", "ask"] = "ask"
    seller_flex_note: str = _ASK
    aliases: tuple[str, ...] = ()


class UnknownCountry(LookupError):
    """No Amazon marketplace is known for what was asked."""


_EUROPE_HOST = "sellercentral-europe.amazon.com"

COUNTRIES: tuple[Country, ...] = (
    Country("AU", "Australia", "A39IBJ37TRP1C6", "FE", "sellercentral.amazon.com.au", "AUD", aliases=("Oz",)),
    Country(
        "BE",
        "Belgium",
        "AMEN7PMS3EDWL",
        "EU",
        "sellercentral.amazon.com.be",
        "EUR",
        seller_flex_note=_EUROPE,
        aliases=("België", "Belgique", "Belgien"),
    ),
    Country(
        "BR",
        "Brazil",
        "A2Q3Y263D00KWC",
        "NA",
        "sellercentral.amazon.com.br",
        "BRL",
        seller_flex_note=_ONSITE,
        aliases=("Brasil",),
    ),
    Country("CA", "Canada", "A2EUQ1WTGCTBG2", "NA", "sellercentral.amazon.ca", "CAD"),
    Country("EG", "Egypt", "ARBP9OOSHTCHU", "EU", "sellercentral.amazon.eg", "EGP", aliases=("Misr", "مصر")),
    Country("FR", "France", "A13V1IB3VIYZZH", "EU", _EUROPE_HOST, "EUR", seller_flex_note=_EUROPE),
    Country(
        "DE",
        "Germany",
        "A1PA6795UKMFR9",
        "EU",
        _EUROPE_HOST,
        "EUR",
        seller_flex_note=_EUROPE,
        aliases=("Deutschland",),
    ),
    Country(
        "IN",
        "India",
        "A21TJRUUN4KGV",
        "EU",
        "sellercentral.amazon.in",
        "INR",
        "known",
        _KNOWN,
        ("Bharat", "भारत"),
    ),
    Country(
        "IE",
        "Ireland",
        "A28R8C7NBKEWEA",
        "EU",
        "sellercentral.amazon.ie",
        "EUR",
        seller_flex_note=_EUROPE,
        aliases=("Éire",),
    ),
    Country(
        "IT",
        "Italy",
        "APJ6JRA9NG5V4",
        "EU",
        _EUROPE_HOST,
        "EUR",
        seller_flex_note=_EUROPE,
        aliases=("Italia",),
    ),
    Country("JP", "Japan", "A1VC38T7YXB528", "FE", "sellercentral.amazon.co.jp", "JPY", aliases=("Nippon", "日本")),
    Country("MX", "Mexico", "A1AM78C64UM0Y8", "NA", "sellercentral.amazon.com.mx", "MXN", aliases=("México",)),
    Country(
        "NL",
        "Netherlands",
        "A1805IZSGTT6HS",
        "EU",
        "sellercentral.amazon.nl",
        "EUR",
        seller_flex_note=_EUROPE,
        aliases=("Holland", "Nederland"),
    ),
    Country(
        "PL",
        "Poland",
        "A1C3SOZRARQ6R3",
        "EU",
        "sellercentral.amazon.pl",
        "PLN",
        seller_flex_note=_EUROPE,
        aliases=("Polska",),
    ),
    Country(
        "SA",
        "Saudi Arabia",
        "A17E79C6D8DWNP",
        "EU",
        "sellercentral.amazon.sa",
        "SAR",
        "reported",
        _REPORTED,
        ("KSA", "Kingdom of Saudi Arabia", "السعودية"),
    ),
    Country("SG", "Singapore", "A19VAU5U5O7RUS", "FE", "sellercentral.amazon.sg", "SGD"),
    Country("ZA", "South Africa", "AE08WJ6YKNBMC", "EU", "sellercentral.amazon.co.za", "ZAR", aliases=("RSA",)),
    Country(
        "ES",
        "Spain",
        "A1RKKUPIHCS9HS",
        "EU",
        _EUROPE_HOST,
        "EUR",
        seller_flex_note=_EUROPE,
        aliases=("España",),
    ),
    Country(
        "SE",
        "Sweden",
        "A2NODRKZP88ZB9",
        "EU",
        "sellercentral.amazon.se",
        "SEK",
        seller_flex_note=_EUROPE,
        aliases=("Sverige",),
    ),
    Country(
        "TR",
        "Turkey",
        "A33AVAJ2PDY3EV",
        "EU",
        "sellercentral.amazon.com.tr",
        "TRY",
        aliases=("Türkiye", "Turkiye"),
    ),
    Country(
        "AE",
        "United Arab Emirates",
        "A2VIGQ35RCS4UG",
        "EU",
        "sellercentral.amazon.ae",
        "AED",
        "known",
        _KNOWN,
        ("UAE", "Emirates", "Dubai", "الإمارات"),
    ),
    Country(
        "GB",
        "United Kingdom",
        "A1F83G8C2ARO7P",
        "EU",
        _EUROPE_HOST,
        "GBP",
        seller_flex_note=_EUROPE,
        aliases=("UK", "Great Britain", "Britain", "England"),
    ),
    Country(
        "US",
        "United States",
        "ATVPDKIKX0DER",
        "NA",
        "sellercentral.amazon.com",
        "USD",
        seller_flex_note=_ONSITE,
        aliases=("USA", "America", "United States of America"),
    ),
)

_BY_WORD = {word.casefold(): entry for entry in COUNTRIES for word in (*entry.aliases, entry.name, entry.code)}
_BY_MARKETPLACE = {entry.marketplace_id: entry for entry in COUNTRIES}


def country(code: str) -> Country:
    """Return the country with this code, name or alias, in any case; raise UnknownCountry when there is none."""
    try:
        return _BY_WORD[code.strip().casefold()]
    except KeyError:
        raise UnknownCountry(f"Amazon has no marketplace known to FlexDash for “{code}”") from None


def country_of_marketplace(marketplace_id: str) -> Country:
    """Return the country of a marketplace id; raise UnknownCountry when it is not in the table."""
    try:
        return _BY_MARKETPLACE[marketplace_id]
    except KeyError:
        raise UnknownCountry(f"no country is known for the marketplace “{marketplace_id}”") from None

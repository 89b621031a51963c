"""The countries a store can be in, for the pages to choose from."""

import unicodedata
from dataclasses import fields

from flexdash.amazon.countries import COUNTRIES, Country, UnknownCountry, country
from flexdash.services.errors import FieldRefused

SELLER_FLEX_WORDS = {
    "known": "Seller Flex is known here",
    "reported": "Seller Flex is reported here",
    "ask": "Ask Amazon about Seller Flex",
}
_USUAL_NOTE = next(field.default for field in fields(Country) if field.name == "seller_flex_note")
_ORDER = {"known": 0, "reported": 1, "ask": 2}


def search(text: str = "") -> list[Country]:
    """Return the countries that `text` finds by name, other name, code, currency or marketplace id.

    Where Seller Flex is known to run comes first, then by name. Case and accents do not matter; an empty text finds
    all.
    """
    wanted = _plain(text)
    found = [entry for entry in COUNTRIES if any(wanted in _plain(word) for word in _words(entry))]
    return sorted(found, key=lambda entry: (_ORDER[entry.seller_flex], entry.name))


def get(code: str, field: str = "country") -> Country:
    """Return the country with this code; raise FieldRefused for `field` when Amazon has no marketplace there."""
    try:
        return country(code)
    except UnknownCountry:
        raise FieldRefused(field, "Choose one of the countries in the list.") from None


def name_of(code: str) -> str:
    """Return the country's name, or the code itself when the table does not know it."""
    try:
        return country(code).name
    except UnknownCountry:
        return code


def note_on(entry: Country) -> str:
    """Return what there is to say of Seller Flex in this country beyond its `SELLER_FLEX_WORDS`, or ""."""
    return "" if entry.seller_flex == "known" or entry.seller_flex_note == _USUAL_NOTE else entry.seller_flex_note


def _words(entry: Country) -> tuple[str, ...]:
    return (entry.name, entry.code, entry.currency, entry.marketplace_id, *entry.aliases)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))

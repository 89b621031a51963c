"""What people write into catalogs, price lists and stock, read strictly: the same for CSV files and for forms.

Each function returns the value as it is kept, or raises `BadValue` with a sentence for the person who wrote it. A text
is kept as text: the ASIN `0012345678` keeps its zeros, the SKU `1E5` is no number.
"""

import re
from decimal import Decimal
from typing import NoReturn

from flexdash.currencies import decimals_of
from flexdash.services.words import quoted

MAX_SKU_LENGTH = 100
MAX_NAME_LENGTH = 250
MAX_BARCODE_LENGTH = 50
MAX_WHOLE_DIGITS_OF_MONEY = 10  # with four decimals, what a double still holds exactly on SQLite
MAX_QUANTITY = 99_999_999
MAX_WEIGHT_G = 99_999_999
MAX_WHOLE_DIGITS_OF_CM = 5

_ASIN = re.compile(r"[A-Z0-9]{10}")
_PLAIN_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_SHORTENED_NUMBER = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]{1,2}")


class BadValue(ValueError):
    """What was written cannot be kept; `sentence` says why and what to write instead."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def clean_sku_code(text: str) -> str:
    """Return the SKU code without blanks around it; capital and small letters differ."""
    code = text.strip()
    if not code:
        raise BadValue("The SKU is missing. Give the code that the seller uses for this item.")
    if len(code) > MAX_SKU_LENGTH:
        raise BadValue(f"The SKU has {len(code):,} characters. It may have {MAX_SKU_LENGTH} at most.")
    if not code.isprintable():
        raise BadValue(
            f"The SKU {_shown(code)} has a line break or a character that cannot be seen. Type it again without it."
        )
    return code


def clean_asin(text: str) -> str:
    """Return the ASIN: ten capital letters or digits."""
    asin = text.strip()
    if _ASIN.fullmatch(asin):
        return asin
    if not asin:
        raise BadValue("The ASIN is missing. Every item needs the ASIN that Amazon shows on its product page.")
    if _ASIN.fullmatch(asin.upper()):
        raise BadValue(f"{_shown(asin)} is no ASIN: the letters of an ASIN are capitals. Write {asin.upper()}.")
    if asin.isascii() and asin.isdigit() and len(asin) < 10:
        raise BadValue(
            f"{_shown(asin)} is no ASIN: it has {len(asin)} of 10 characters. A spreadsheet may have cut off the zeros "
            f"at its beginning; format the column as text and write {asin:0>10}, if that is what Amazon shows."
        )
    raise BadValue(f"{_shown(asin)} is no ASIN. An ASIN has exactly 10 characters, digits or capitals from A to Z.")


def clean_name(text: str) -> str:
    """Return the name on one line, with single blanks."""
    name = " ".join(text.split())
    if not name:
        raise BadValue("The name is missing. Give the item's name as people know it.")
    if len(name) > MAX_NAME_LENGTH:
        raise BadValue(f"The name has {len(name):,} characters. Shorten it to {MAX_NAME_LENGTH} or fewer.")
    # Not `isprintable`: several Indian scripts need joiners, which that counts as unprintable.
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in name):
        raise BadValue(f"The name {_shown(name)} has a character that cannot be seen. Type it again without it.")
    return name


def clean_barcode(text: str) -> str:
    """Return the barcode as text, "" for none."""
    barcode = text.strip()
    if len(barcode) > MAX_BARCODE_LENGTH:
        raise BadValue(f"The barcode has {len(barcode):,} characters. It may have {MAX_BARCODE_LENGTH} at most.")
    if not barcode.isprintable():
        raise BadValue(f"The barcode {_shown(barcode)} has a character that cannot be seen. Type it again without it.")
    if _SHORTENED_NUMBER.fullmatch(barcode):
        raise BadValue(
            f"The barcode {_shown(barcode)} was shortened by a spreadsheet, and its last digits are lost. Format the "
            "column as text and enter it again."
        )
    return barcode


def clean_money(text: str) -> Decimal:
    """Return an amount of zero or more, with two to four decimals: 499 becomes 499.00."""
    amount = text.strip()
    if not amount:
        raise BadValue("The amount is missing. Write it as digits with a point for decimals, such as 499.00.")
    if not _PLAIN_NUMBER.fullmatch(amount):
        _refuse_number(amount, "amount", "499.00")
    whole, _, decimals = amount.partition(".")
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0").ljust(2, "0")
    if len(decimals) > 4:
        raise BadValue(f"{_shown(amount)} has more than four decimals. Round it to four or fewer.")
    if len(whole) > MAX_WHOLE_DIGITS_OF_MONEY:
        raise BadValue(f"{_shown(amount)} is larger than any amount FlexDash keeps. Check its digits.")
    return Decimal(f"{whole}.{decimals}")


def clean_price(text: str, currency: str = "") -> Decimal:
    """Return what a buyer pays: an amount above zero, with no more decimals than its currency has."""
    price, most = clean_money(text), decimals_of(currency)
    if price != round(price, most):
        raise BadValue(
            f"{_shown(text.strip())} has more decimals than a price in {currency or 'this currency'} has: "
            f"{most or 'none'}. Round it."
        )
    if price == 0:
        raise BadValue(
            "A price of zero cannot be. Amazon sells nothing for free; write what a buyer pays, such as 499.00."
        )
    return price


def clean_weight_g(text: str) -> int | None:
    """Return a weight in whole grams, None for an empty text."""
    weight = text.strip()
    if not weight:
        return None
    if not _PLAIN_NUMBER.fullmatch(weight):
        _refuse_number(weight, "weight", "250")
    grams = Decimal(weight)
    if grams != grams.to_integral_value():
        raise BadValue(f"{_shown(weight)} is no whole number. Give the weight in whole grams, such as 250.")
    if grams == 0:
        raise BadValue("A weight of zero cannot be. Give the weight in grams, or leave it empty.")
    if grams > MAX_WEIGHT_G:
        raise BadValue(f"{_shown(weight)} is heavier than any item. Give the weight in grams.")
    return int(grams)


def clean_cm(text: str) -> Decimal | None:
    """Return a length in centimetres with up to two decimals, None for an empty text."""
    length = text.strip()
    if not length:
        return None
    if not _PLAIN_NUMBER.fullmatch(length):
        _refuse_number(length, "length", "30.5")
    whole, _, decimals = length.partition(".")
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0")
    if len(decimals) > 2:
        raise BadValue(f"{_shown(length)} has more than two decimals. Round it to two or fewer.")
    if len(whole) > MAX_WHOLE_DIGITS_OF_CM:
        raise BadValue(f"{_shown(length)} is longer than any item. Give the length in centimetres.")
    centimetres = Decimal(f"{whole}.{decimals}" if decimals else whole)
    if centimetres == 0:
        raise BadValue("A length of zero cannot be. Give the length in centimetres, or leave it empty.")
    return centimetres


def clean_quantity(text: str) -> int:
    """Return a number of units, zero or more."""
    quantity = text.strip()
    if not quantity:
        raise BadValue("The quantity is missing. Write the number of units; 0 means none.")
    if not _PLAIN_NUMBER.fullmatch(quantity):
        _refuse_number(quantity, "quantity", "15")
    units = Decimal(quantity)
    if units != units.to_integral_value():
        raise BadValue(f"{_shown(quantity)} is no whole number. Units are counted whole.")
    if units > MAX_QUANTITY:
        raise BadValue(f"{_shown(quantity)} is more than FlexDash keeps. The most is {MAX_QUANTITY:,}.")
    return int(units)


def _refuse_number(text: str, what: str, example: str) -> NoReturn:
    if text[0] in "-−" and _PLAIN_NUMBER.fullmatch(text[1:].strip()):
        raise BadValue(f"{_shown(text)} is less than zero. The {what} cannot be negative.")
    if "," in text:
        raise BadValue(
            f"{_shown(text)} has a comma, which may mean decimals or thousands. Write the {what} with a point for "
            f"decimals and nothing for thousands, such as {example}."
        )
    raise BadValue(f"{_shown(text)} is no number. Write the {what} as digits only, such as {example}.")


def _shown(text: str) -> str:
    return quoted("".join(character if character.isprintable() else "�" for character in text), 40)

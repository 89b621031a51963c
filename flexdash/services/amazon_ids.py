"""Amazon's ids as people paste them: out of a mail, a sheet or a page, with anything between them."""

import re
import unicodedata
from dataclasses import dataclass

from flexdash.services.order_numbers import is_number

_BETWEEN = re.compile(r"[\s,;|/\\\"'`´“”‘’„«»()\[\]{}<>*•·、，；]+")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−﹣－"), "-")
_ORDER_ID = re.compile(r"[A-Z0-9]{3}-[0-9]{7}-[0-9]{7}")
_ORDER_ID_WITHOUT_DASHES = re.compile(r"([0-9]{3})([0-9]{7})([0-9]{7})")
_LOOK_ALIKES = str.maketrans("OoIil", "00111")  # letters that are taken for digits
_SHIPMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,99}")


@dataclass(frozen=True)
class PastedIds:
    """What a pasted text holds: ids, each once, in their order, and what is none, each with the reason."""

    ids: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


def read_ids(text: str) -> PastedIds:
    """Return the Amazon shipment and order ids in `text`, whatever stands between them.

    Shipment ids keep their capital and small letters, which tell them apart. An order id may come without its dashes.
    """
    ids: dict[str, None] = {}
    unreadable: dict[str, str] = {}
    for word in _BETWEEN.split(_plain(text)):
        word = word.strip(".:!?#=")
        if not word:
            continue
        if reason := _problem(word):
            unreadable[word] = reason
        else:
            ids[_with_dashes(word)] = None
    return PastedIds(tuple(ids), tuple(unreadable.items()))


def is_order_id(amazon_id: str) -> bool:
    """Say whether an id is that of an Amazon order, which may be several shipments; else it is a shipment's."""
    return bool(_ORDER_ID.fullmatch(amazon_id))


def order_id_meant(word: str) -> str:
    """Return the order id of digits that `word` is but for letters that look like digits; "" where it is none."""
    meant = _with_dashes(word.translate(_LOOK_ALIKES))
    is_digits = meant.replace("-", "").isdecimal()
    return meant if is_digits and is_order_id(meant) and meant != _with_dashes(word) else ""


def _plain(text: str) -> str:
    """Without what no eye sees, and with plain dashes: mail programs and word processors put in both."""
    shown = (" " if unicodedata.category(sign) == "Cc" else sign for sign in text.translate(_DASHES))
    return "".join(sign for sign in shown if unicodedata.category(sign) != "Cf")


def _problem(word: str) -> str:
    if is_number(word):
        return "is a number of FlexDash's own, so that order is here already"
    if meant := order_id_meant(word):
        return f"has letters, and Amazon order ids have digits only: perhaps {meant} is meant"
    if _ORDER_ID.fullmatch(_with_dashes(word)):
        return ""
    if re.fullmatch(r"[0-9]+(-[0-9]+)+", word):
        return "looks like an Amazon order id, and those have 3, 7 and 7 digits"
    if re.fullmatch(r"[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]+", word):
        return "is a number that a spreadsheet has shortened"
    if not _SHIPMENT_ID.fullmatch(word):
        return "is not an id of Amazon's"
    return ""


def _with_dashes(word: str) -> str:
    digits = _ORDER_ID_WITHOUT_DASHES.fullmatch(word)
    return "-".join(digits.groups()) if digits else word

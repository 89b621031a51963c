"""What is known of a buyer, taken out of any text: Amazon's words and people's notes may quote one.

Buyers' data is kept encrypted and shown masked; a sentence that names the buyer would lead round both.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from flexdash.models import Order
from flexdash.redaction import MASK
from flexdash.vault import UnreadableSecret, Vault

_PLACES = frozenset({"city", "state", "country_code"})  # a hub plans by them, and they may be part of its own name
_TELEPHONES = frozenset({"phone"})
_LEAST_OF_VALUE = 3  # letters; a shorter one would be in any sentence
_LEAST_OF_WORD = 4
_LEAST_DIGITS = 6
_NOBODYS = frozenset({"amazon", "buyer", "marketplace"})  # in the made-up e-mails by which Amazon hides the real ones
_NATIONAL_DIGITS = 10
_BETWEEN_DIGITS = r"[\s().-]{0,2}"


class BuyerMask:
    """Takes one buyer's data out of texts, in any order of its words and however a telephone number is written."""

    def __init__(self, buyer: Mapping[str, Any] | None) -> None:
        patterns = dict.fromkeys(pattern for pattern in _patterns(buyer or {}))
        ordered = sorted(patterns, key=len, reverse=True)  # a whole value before a word of it
        self._found = re.compile("|".join(ordered), re.IGNORECASE) if ordered else None

    def __call__(self, text: str) -> str:
        """Return `text` with [hidden] wherever the buyer stood."""
        return self._found.sub(MASK, text) if self._found is not None and text else text


def hides_everything(text: str) -> str:
    """Return nothing of `text`: the mask where the buyer cannot be read, and might stand in it."""
    return MASK if text else ""


def mask_of(buyer_encrypted: bytes | None, vault: Vault) -> BuyerMask:
    """Return the mask of the buyer kept as `buyer_encrypted`; raise UnreadableSecret when no key opens it."""
    return BuyerMask(None if buyer_encrypted is None else json.loads(vault.decrypt(buyer_encrypted)))


def masks_of_shipments(engine: Engine, vault: Vault, store_id: int) -> Callable[[str], Callable[[str], str]]:
    """Return what gives the mask of a shipment's buyer, by Amazon's id of the shipment.

    It reads on a connection of its own and needs no app context, so that threads can call it. While the buyer cannot be
    read, the mask it gives hides everything.
    """

    def mask(shipment_id: str) -> Callable[[str], str]:
        of_shipment = select(Order.buyer_encrypted).where(
            Order.store_id == store_id, Order.amazon_shipment_id == shipment_id
        )
        try:
            with engine.connect() as connection:
                return mask_of(connection.scalar(of_shipment), vault)
        except (SQLAlchemyError, UnreadableSecret):
            return hides_everything

    return mask


def _patterns(buyer: Mapping[str, Any]) -> Iterator[str]:
    for name, member in buyer.items():
        if name in _PLACES:
            continue
        for value in _texts(member):
            if name in _TELEPHONES:
                yield from _of_telephone(value)
            words = value.split()
            if len(value) >= _LEAST_OF_VALUE:
                yield _whole(r"\s+".join(map(re.escape, words)))
            for word in re.findall(r"\w+", value.partition("@")[0]):  # the host of an e-mail is nobody's name
                if len(word) >= _LEAST_OF_WORD and word.lower() not in _NOBODYS:
                    yield _whole(re.escape(word))


def _whole(pattern: str) -> str:
    return rf"(?<!\w){pattern}(?!\w)"


def _of_telephone(value: str) -> Iterator[str]:
    digits = re.sub(r"\D", "", value)[-_NATIONAL_DIGITS:]
    if len(digits) >= _LEAST_DIGITS:
        country = rf"(?:\+?\d{{1,4}}{_BETWEEN_DIGITS})?"
        yield rf"(?<!\w){country}{_BETWEEN_DIGITS.join(digits)}(?!\w)"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)

"""`purchasable_offer`: the attribute of a listing that holds its prices, and how one price in it is changed.

It is a list of instances, told apart by marketplace, currency and audience. Each holds prices as lists of schedules,
`[{"schedule": [{"value_with_tax": 599.0}]}]`. Only `our_price` is ever changed here; whatever else there is (maximum
retail price, discounted price, quantity discounts, other audiences, what Amazon adds one day) goes back as it came.
https://developer-docs.amazon.com/sp-api/docs/manage-purchasable-offer
"""

import copy
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flexdash.amazon import lenient, strict

ATTRIBUTE = "purchasable_offer"
PATH = f"/attributes/{ATTRIBUTE}"
EVERYBODY = "ALL"  # the audience of an offer that names none

Offer = dict[str, Any]


def new_offer(marketplace_id: str, currency: str, price: Decimal, mrp: Decimal | None = None) -> Offer:
    """Return an offer to everybody with a price and, when given, a maximum retail price, and nothing else."""
    offer = {
        "marketplace_id": strict.text("marketplace_id", marketplace_id),
        "currency": strict.text("currency", currency, 3),
        "audience": EVERYBODY,
        "our_price": _priced("price", price),
    }
    return offer if mrp is None else {**offer, "maximum_retail_price": _priced("mrp", mrp)}


def with_price(
    offers: Sequence[Offer], marketplace_id: str, currency: str, price: Decimal, mrp: Decimal | None = None
) -> list[Offer]:
    """Return the offers of the marketplace with `our_price` of the offer to everybody set to `price`.

    Where there is no such offer yet, one is added, with the maximum retail price `mrp` when it is known.
    """
    own = [
        copy.deepcopy(offer) for offer in offers if lenient.text(offer.get("marketplace_id")) in ("", marketplace_id)
    ]
    fresh = new_offer(marketplace_id, currency, price, mrp)
    ours = [offer for offer in own if _is_ours(offer, marketplace_id, currency)]
    for offer in ours:
        # The selectors are named even where Amazon left them out: they say which instance the patch is about.
        offer |= {name: fresh[name] for name in ("marketplace_id", "currency", "audience")}
        offer["our_price"] = _changed(offer.get("our_price"), fresh["our_price"])
    return own if ours else [*own, fresh]


def price_of(offers: Sequence[Offer], marketplace_id: str, currency: str, name: str = "our_price") -> Decimal | None:
    """Return a price of the offer to everybody, or None where it has none that can be read."""
    for offer in offers:
        if _is_ours(offer, marketplace_id, currency) and (entry := _entry(offer.get(name))) is not None:
            return lenient.amount(entry.get("value_with_tax"))
    return None


def _is_ours(offer: Offer, marketplace_id: str, currency: str) -> bool:
    return (
        lenient.text(offer.get("marketplace_id")) in ("", marketplace_id)
        and lenient.text(offer.get("currency")) in ("", currency)
        and lenient.text(offer.get("audience")) in ("", EVERYBODY)
    )


def _entry(price: Any) -> dict[str, Any] | None:
    """Return the first entry of the first schedule of a price."""
    for part in lenient.items(price):
        for entry in lenient.items(lenient.members(part).get("schedule")):
            return lenient.members(entry)
    return None


def _changed(kept: Any, fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `kept`, a price as Amazon has it, with the amount of `fresh`; `fresh` itself where it cannot be read."""
    entry = _entry(kept)
    if entry is None or len(kept) > 1 or len(kept[0]["schedule"]) > 1:
        return fresh  # several schedules of one price: the new one holds from now on, without end
    entry["value_with_tax"] = fresh[0]["schedule"][0]["value_with_tax"]
    return kept


def _priced(name: str, price: Decimal) -> list[dict[str, Any]]:
    return [{"schedule": [{"value_with_tax": strict.amount(name, price)}]}]

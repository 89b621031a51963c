"""What a listing's attributes are made of, how a patch changes them, and what Amazon has against a price.

`purchasable_offer` is a list of instances told apart by marketplace, currency and audience. `replace` (and `add`) put
the given instance in the place of the kept one, whole; `merge` changes the fields it names; `delete` takes it out.
Codes of issues are the sandbox's own but for 4000001, which Amazon gives for attributes nested in another way than its
schema says, and 13013, for a SKU it does not know.
"""

import copy
import hashlib
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from amazon_sandbox.world import people
from amazon_sandbox.world.accounts import Account

OFFER = "purchasable_offer"
PREFIX = "/attributes/"
OPERATIONS = ("add", "replace", "merge", "delete")
SELECTORS = ("marketplace_id", "currency", "audience")
PRICES = ("our_price", "discounted_price", "maximum_retail_price", "minimum_seller_allowed_price")
PRODUCT_TYPES = ("SHIRT", "KITCHEN", "HOME", "OFFICE_PRODUCTS")
WITH_MRP = frozenset({"IN"})  # countries whose offers carry a maximum retail price
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Issue:
    """Something Amazon has to say of a submission. An ERROR keeps it from being taken."""

    code: str
    message: str
    severity: str = "ERROR"
    category: str = "INVALID_ATTRIBUTE"

    def body(self) -> dict[str, Any]:
        """The issue as a submission's answer has it."""
        return {
            "code": self.code,
            "message": self.message,
            "severity": self.severity,
            "attributeNames": [OFFER],
            "categories": [self.category],
        }


class BadPatch(ValueError):
    """A patch that is no patch: another operation, path or value than the model knows."""


def is_listed(sku_code: str) -> bool:
    """Whether a SKU has a listing from the start: every one but those whose code begins with `NOT-LISTED-`."""
    return bool(sku_code) and not sku_code.startswith("NOT-LISTED-")


def asin_of(account: Account, sku_code: str) -> str:
    """The made-up ASIN of a SKU, always the same one. Some are all digits, as those of books are."""
    number = _number(account, sku_code, "asin")
    if sku_code == "NOTE-A5" or number % 17 == 0:
        return f"00{number % 10**8:08d}"
    letters = ""
    for _ in range(8):
        number, digit = divmod(number, 36)
        letters += DIGITS[digit]
    return f"B0{letters}"


def product_type_of(account: Account, sku_code: str) -> str:
    """The product type of a SKU."""
    return PRODUCT_TYPES[_number(account, sku_code, "type") % len(PRODUCT_TYPES)]


def name_of(sku_code: str) -> str:
    """What the article is called."""
    return f"Sandbox article {sku_code}"


def first_attributes(account: Account, sku_code: str) -> Attributes:
    """The attributes of a listing before anybody changes it: its price as in orders, and for India a maximum retail
    price. Every third has a discounted price until 2030, every fourth a business offer with quantity discounts."""
    market = account.marketplace
    chance = _number(account, sku_code, "price")
    times, per = people.RATES[market.currency]
    hundredths = people.PRICES.get(sku_code, 9_900 + chance % 2_000 * 100)
    unit = Decimal(1).scaleb(-market.n_decimals)
    price = (Decimal(hundredths * times) / per / 100).quantize(unit)
    offer: dict[str, Any] = {
        "marketplace_id": market.id,
        "currency": market.currency,
        "audience": "ALL",
        "our_price": priced(price),
        "start_at": {"value": "2024-01-01T00:00:00.000Z"},
    }
    if market.country_code in WITH_MRP:
        offer["maximum_retail_price"] = priced((price * Decimal("1.4")).quantize(Decimal(1)))
    if chance % 3 == 0:
        schedule = {
            "start_at": "2024-01-01T00:00:00.000Z",
            "end_at": "2030-12-31T00:00:00.000Z",
            "value_with_tax": float((price * Decimal("0.9")).quantize(unit)),
        }
        offer["discounted_price"] = [{"schedule": [schedule]}]
    offers = [offer]
    if chance % 4 == 0:
        offers.append(
            {
                "marketplace_id": market.id,
                "currency": market.currency,
                "audience": "B2B",
                "our_price": priced(price),
                "quantity_discount_plan": [
                    {
                        "schedule": [
                            {
                                "discount_type": "fixed",
                                "levels": [
                                    {"lower_bound": 10, "value": float((price * Decimal("0.8")).quantize(unit))}
                                ],
                            }
                        ]
                    }
                ],
            }
        )
    return {
        "item_name": [{"value": name_of(sku_code), "marketplace_id": market.id}],
        "condition_type": [{"value": "new_new", "marketplace_id": market.id}],
        OFFER: offers,
    }


def priced(price: Decimal) -> list[dict[str, Any]]:
    """A price as the attributes nest it."""
    return [{"schedule": [{"value_with_tax": float(price)}]}]


def amount_in(offer: dict[str, Any] | None, name: str) -> Decimal | None:
    """The amount of a price of an offer; None where it has none."""
    try:
        return Decimal(repr(offer[name][0]["schedule"][0]["value_with_tax"])) if offer else None
    except (KeyError, IndexError, TypeError, InvalidOperation):
        return None


def offer_in(attributes: Attributes, account: Account, audience: str = "ALL") -> dict[str, Any] | None:
    """The instance of the seller's own marketplace and currency for an audience."""
    wanted = (account.marketplace.id, account.marketplace.currency, audience)
    return next((offer for offer in attributes.get(OFFER, []) if _key(offer) == wanted), None)


def patched(attributes: Attributes, patches: Any) -> Attributes:
    """The attributes as the patches make them. BadPatch for what no patch can be."""
    if not isinstance(patches, list) or not patches:
        raise BadPatch("patches must be a list with at least one patch.")
    attributes = copy.deepcopy(attributes)
    for patch in patches:
        name, op, value = _read(patch)
        kept = attributes.get(name, [])
        if op == "delete" and value is None:
            attributes.pop(name, None)
        elif op == "delete":
            gone = {_key(instance) for instance in value}
            attributes[name] = [instance for instance in kept if _key(instance) not in gone]
        else:
            attributes[name] = _put(kept, value, is_merge=op == "merge")
    return attributes


def issues_of(account: Account, patches: list[dict[str, Any]], result: Attributes) -> list[Issue]:
    """What Amazon has against the offers that the patches give, and against what comes of them."""
    given = [
        offer
        for patch in patches
        if patch["path"] == PREFIX + OFFER and patch["op"] != "delete"
        for offer in patch["value"]
    ]
    issues = [issue for offer in given for issue in _issues_of_form(account, offer)]
    if given and not issues:
        issues = _issues_of_result(account, result)
    return issues


def _issues_of_form(account: Account, offer: dict[str, Any]) -> list[Issue]:
    market, found = account.marketplace, []
    if "marketplace_id" not in offer:
        found.append(Issue("90220", "'marketplace_id' is required but missing.", category="MISSING_ATTRIBUTE"))
    elif offer["marketplace_id"] != market.id:
        found.append(Issue("90244", f"'{offer['marketplace_id']}' is no marketplace of this seller."))
    if offer.get("currency", market.currency) != market.currency:
        found.append(
            Issue("90244", f"The currency '{offer['currency']}' is not '{market.currency}'.", category="INVALID_PRICE")
        )
    for name in PRICES:
        if name in offer:
            found += _issues_of_price(name, offer[name], market.n_decimals)
    return found


def _issues_of_price(name: str, price: Any, n_decimals: int) -> list[Issue]:
    if not _is_nested(price):
        words = f"The provided value for '{OFFER}/{name}' does not match the schema: an array of schedules is expected."
        return [Issue("4000001", words)]
    for part in price:
        for entry in part["schedule"]:
            value = entry["value_with_tax"]
            if not isinstance(value, int | float) or isinstance(value, bool):
                return [
                    Issue("4000001", f"The provided value for '{OFFER}/{name}' does not match the schema: a number.")
                ]
            digits = -int(Decimal(repr(value)).normalize().as_tuple().exponent)
            if value <= 0 or digits > n_decimals:
                words = f"'{value}' is no price: above zero, with at most {n_decimals} decimals."
                return [Issue("90244", words, category="INVALID_PRICE")]
    return []


def _is_nested(price: Any) -> bool:
    return (
        isinstance(price, list)
        and bool(price)
        and all(
            isinstance(part, dict)
            and isinstance(part.get("schedule"), list)
            and part["schedule"]
            and all(isinstance(entry, dict) and "value_with_tax" in entry for entry in part["schedule"])
            for part in price
        )
    )


def _issues_of_result(account: Account, result: Attributes) -> list[Issue]:
    found, market = [], account.marketplace
    for offer in result.get(OFFER, []):
        price, highest = amount_in(offer, "our_price"), amount_in(offer, "maximum_retail_price")
        if price is not None and highest is not None and price > highest:
            words = (
                f"The price {price} is above the maximum retail price {highest}. Lower the price, or correct the MRP."
            )
            found.append(Issue("PRICE_ABOVE_MRP", words, category="INVALID_PRICE"))
    own = offer_in(result, account)
    if market.country_code in WITH_MRP and own is not None and "maximum_retail_price" not in own:
        words = "The offer has no maximum retail price, which this marketplace asks for."
        found.append(Issue("MRP_MISSING", words, severity="WARNING", category="MISSING_PRICE"))
    return found


def _read(patch: Any) -> tuple[str, str, list[dict[str, Any]] | None]:
    if not isinstance(patch, dict) or patch.get("op") not in OPERATIONS:
        raise BadPatch(f"Each patch needs an op of {', '.join(OPERATIONS)}.")
    path, value = patch.get("path"), patch.get("value")
    if not isinstance(path, str) or not path.startswith(PREFIX) or "/" in path[len(PREFIX) :] or path == PREFIX:
        raise BadPatch("Only top-level attributes can be patched, such as /attributes/purchasable_offer.")
    if value is None and patch["op"] == "delete":
        return path[len(PREFIX) :], "delete", None
    if not isinstance(value, list) or not all(isinstance(instance, dict) for instance in value):
        raise BadPatch("The value of a patch must be an array of objects.")
    return path[len(PREFIX) :], patch["op"], value


def _put(kept: list[Any], given: list[dict[str, Any]], *, is_merge: bool) -> list[Any]:
    result = list(kept)
    for instance in copy.deepcopy(given):
        place = next((n for n, old in enumerate(result) if _key(old) == _key(instance)), None)
        if place is None:
            result.append(instance)
        else:
            result[place] = {**result[place], **instance} if is_merge else instance
    return result


def _key(instance: dict[str, Any]) -> tuple[Any, ...]:
    defaults = {"audience": "ALL"}
    return tuple(instance.get(name, defaults.get(name)) for name in SELECTORS)


def _number(account: Account, sku_code: str, what: str) -> int:
    text = f"{what}|{account.selling_partner_id}|{sku_code}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")

"""Listings Items, version 2021-08-01: reading what a seller offers, and patching its price.

https://developer-docs.amazon.com/sp-api/docs/listings-items-api. What is sent is checked first (InvalidArgument,
nothing leaves); besides, each method raises the errors of `Transport.call`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flexdash.amazon import lenient, offers, strict
from flexdash.amazon.offers import Offer
from flexdash.amazon.operations import GET_LISTING, LISTINGS_PATH, PATCH_LISTING
from flexdash.amazon.records import redacted
from flexdash.amazon.transport import Transport

ANY_PRODUCT_TYPE = "PRODUCT"  # what Amazon's own pricing sample patches with
PATCH_OPERATIONS = ("add", "replace", "merge", "delete")
_READ = "summaries,attributes,issues,offers,productTypes"
_MAX_SKU = 255
_MAX_WORDS = 400


@dataclass(frozen=True, slots=True)
class Issue:
    """What Amazon has to say of a submission or a listing. `severity` is ERROR, WARNING, INFO or a later word."""

    code: str
    message: str
    severity: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it kept the submission from being taken."""
        return self.severity == "ERROR"

    @property
    def words(self) -> str:
        """The message with its code, as a person reads it to Amazon's support."""
        return f"{self.message or 'Amazon gave no reason'} ({self.code})" if self.code else self.message


@dataclass(frozen=True, slots=True)
class ListingsItem:
    """One listing in one marketplace as Amazon has it. "" and None stand for what Amazon did not say.

    `offers` are the instances of its `purchasable_offer` as they came; None when the answer had no attributes at all,
    so that nothing is known of them. `live_price` is what buyers see now.
    """

    sku_code: str
    asin: str
    product_type: str
    offers: tuple[Offer, ...] | None = field(repr=False)
    live_price: Decimal | None
    issues: tuple[Issue, ...]

    def price(self, marketplace_id: str, currency: str) -> Decimal | None:
        """Return the price that the offer to everybody has in its attributes."""
        return offers.price_of(self.offers or (), marketplace_id, currency)

    def shows(self, price: Decimal, marketplace_id: str, currency: str) -> bool:
        """Say whether Amazon shows `price`: in the attributes, and to buyers where nothing hides it from them.

        What buyers see differs while a discount runs, and is unknown while the listing cannot be bought.
        """
        if self.price(marketplace_id, currency) != price:
            return False
        has_discount = offers.price_of(self.offers or (), marketplace_id, currency, "discounted_price") is not None
        return self.live_price in (None, price) or has_discount


@dataclass(frozen=True, slots=True)
class Submission:
    """Amazon's answer to a patch. `status` is ACCEPTED (taken, and not applied yet), INVALID, VALID or a later word."""

    status: str
    submission_id: str
    issues: tuple[Issue, ...]

    @property
    def is_refused(self) -> bool:
        """Whether Amazon did not take it."""
        return self.status == "INVALID"

    @property
    def words(self) -> str:
        """What Amazon has against it, errors first; "" when nothing."""
        return words_of(self.issues)


class Listings:
    """The listings of one selling partner."""

    def __init__(self, transport: Transport, partner_id: str) -> None:
        self._transport = transport
        self._partner_id = partner_id

    def get(self, sku_code: str, marketplace_id: str) -> ListingsItem:
        """Return a listing. Raises NotFound when Amazon has none for this SKU in the marketplace.

        https://developer-docs.amazon.com/sp-api/reference/getlistingsitem
        """
        query = [("marketplaceIds", strict.text("marketplace_id", marketplace_id)), ("includedData", _READ)]
        data = self._transport.call(GET_LISTING, self._path(sku_code), query, sku_code=sku_code).data
        return read_item(data, marketplace_id, sku_code)

    def patch_offers(
        self,
        sku_code: str,
        marketplace_id: str,
        values: Sequence[Offer],
        *,
        op: str = "replace",
        product_type: str = "",
        is_preview: bool = False,
    ) -> Submission:
        """Patch the listing's `purchasable_offer`; `is_preview` only asks whether Amazon would take it.

        `replace` rewrites each instance given, so give it whole, as `get` and `offers.with_price` make it; `merge`
        changes what it names and keeps the rest. Setting a price twice is setting it once: repeating is harmless.
        https://developer-docs.amazon.com/sp-api/reference/patchlistingsitem
        """
        query = [("marketplaceIds", strict.text("marketplace_id", marketplace_id)), ("includedData", "issues")]
        if is_preview:
            query.append(("mode", "VALIDATION_PREVIEW"))
        body = {
            "productType": strict.text("product_type", product_type or ANY_PRODUCT_TYPE),
            "patches": [patch(values, op)],
        }
        path = self._path(sku_code)
        return read_submission(self._transport.call(PATCH_LISTING, path, query, body, sku_code=sku_code).data)

    def _path(self, sku_code: str) -> tuple[str, ...]:
        return (*LISTINGS_PATH, strict.segment("partner_id", self._partner_id), sku_segment(sku_code))


def sku_segment(sku_code: str) -> str:
    """Return the SKU as a part of the path; raise InvalidArgument for one that no path can hold."""
    return strict.text("sku_code", strict.segment("sku_code", sku_code), _MAX_SKU)


def patch(values: Sequence[Offer], op: str) -> dict[str, Any]:
    """Return the patch that does `op` with these instances of `purchasable_offer`."""
    if isinstance(values, dict) or not values or not all(isinstance(value, dict) for value in values):
        raise strict.refuse("values", "must be a list with at least one offer")
    return {"op": strict.choice("op", op, PATCH_OPERATIONS), "path": offers.PATH, "value": list(values)}


def read_item(data: Any, marketplace_id: str, sku_code: str = "") -> ListingsItem:
    """Read a listing as `getListingsItem` answers it; what cannot be read is left out, never a reason to fail."""
    data = lenient.members(data)
    summary = _of_marketplace(data.get("summaries"), marketplace_id)
    kind = _of_marketplace(data.get("productTypes"), marketplace_id)
    attributes = data.get("attributes")
    return ListingsItem(
        sku_code=lenient.text(data.get("sku")) or sku_code,
        asin=lenient.text(summary.get("asin"), 20),
        product_type=lenient.text(kind.get("productType")) or lenient.text(summary.get("productType")),
        offers=_read_offers(attributes) if isinstance(attributes, dict) else None,
        live_price=_read_live_price(data.get("offers"), marketplace_id),
        issues=read_issues(data.get("issues")),
    )


def read_submission(data: Any) -> Submission:
    """Read the answer to a patch. One without a status has status "": whether Amazon took it is then not known."""
    data = lenient.members(data)
    return Submission(
        status=lenient.text(data.get("status"), 40).upper(),
        submission_id=lenient.text(data.get("submissionId")),
        issues=read_issues(data.get("issues")),
    )


def read_issues(value: Any) -> tuple[Issue, ...]:
    """Read a list of issues; one that is not even an object is left out."""
    return tuple(read_issue(raw) for raw in lenient.items(value) if isinstance(raw, dict))


def read_issue(raw: dict[str, Any]) -> Issue:
    """Read one issue, of a submission, a listing or a feed's report."""
    message = redacted(lenient.text(raw.get("message"), 2000), _MAX_WORDS)
    return Issue(lenient.text(raw.get("code"), 64), message, lenient.text(raw.get("severity"), 20).upper())


def words_of(issues: Sequence[Issue]) -> str:
    """Return what Amazon says in `issues`, errors first and nothing twice; "" when there are none."""
    found = sorted(issues, key=lambda issue: not issue.is_error)
    return " ".join(dict.fromkeys(issue.words for issue in found if issue.words))


def _of_marketplace(value: Any, marketplace_id: str) -> dict[str, Any]:
    """Return the member of a list that is about the marketplace; the only one where it does not say."""
    found = [lenient.members(raw) for raw in lenient.items(value)]
    for member in found:
        if lenient.text(member.get("marketplaceId")) == marketplace_id:
            return member
    return found[0] if len(found) == 1 and not found[0].get("marketplaceId") else {}


def _read_offers(attributes: dict[str, Any]) -> tuple[Offer, ...]:
    value = attributes.get(offers.ATTRIBUTE)
    found = [value] if isinstance(value, dict) else lenient.items(value)
    return tuple(offer for offer in found if isinstance(offer, dict))


def _read_live_price(value: Any, marketplace_id: str) -> Decimal | None:
    for raw in lenient.items(value):
        offer = lenient.members(raw)
        audience = lenient.text(lenient.members(offer.get("audience")).get("value"))
        if (
            lenient.text(offer.get("marketplaceId")) == marketplace_id
            and lenient.text(offer.get("offerType")) in ("", "B2C")
            and audience in ("", offers.EVERYBODY)
        ):
            return lenient.amount(lenient.members(offer.get("price")).get("amount"))
    return None

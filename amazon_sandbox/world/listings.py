"""The sellers' listings: every SKU has one, made when it is first asked for, and changed by patches a while later.

A patch that is ACCEPTED is not applied yet: it is after `listing_delay_seconds`, as Amazon takes its time. Until then
the listing shows what it showed before. Only listings that somebody changed are kept; the others come out the same
each time.
"""

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from amazon_sandbox.world import accounts, offers, people
from amazon_sandbox.world.accounts import Account
from amazon_sandbox.world.clock import Clock, iso, parse_iso
from amazon_sandbox.world.database import Database
from amazon_sandbox.world.errors import invalid_input
from amazon_sandbox.world.faults import Faults
from amazon_sandbox.world.offers import Attributes, Issue
from amazon_sandbox.world.options import Options

ODD_LISTINGS = ("bare_listing", "listing_issue", "offer_behind")
MADE_AT = "2024-01-01T00:00:00.000Z"
REFUSED = Issue("SANDBOX_PRICE_REFUSED", "A fault set in the sandbox: this price is refused.", category="INVALID_PRICE")
STRANGE = Issue("SANDBOX_ISSUE", "A fault set in the sandbox: this listing has an issue.")
UNKNOWN = Issue("13013", "This SKU does not exist in the catalog. Your data was not processed.")


@dataclass(frozen=True)
class Listing:
    """One listing as it shows, and the patches that are accepted and not applied: (when due, patches)."""

    account: Account
    sku_code: str
    attributes: Attributes
    changed_ms: int
    pending: tuple[tuple[int, list[dict[str, Any]]], ...] = ()

    @property
    def asin(self) -> str:
        """Its ASIN."""
        return offers.asin_of(self.account, self.sku_code)

    def price(self, name: str = "our_price") -> Decimal | None:
        """An amount of the offer to everybody, None where it has none."""
        amount = offers.amount_in(offers.offer_in(self.attributes, self.account), name)
        return None if amount is None else amount.quantize(Decimal(1).scaleb(-self.account.marketplace.n_decimals))

    def after_all(self) -> Attributes:
        """The attributes once every pending patch is applied."""
        attributes = self.attributes
        for _, patches in self.pending:
            attributes = offers.patched(attributes, patches)
        return attributes


class Listings:
    """All listings. Times are the sandbox's clock."""

    def __init__(self, database: Database, clock: Clock, faults: Faults, options: Options):
        self._database, self._clock, self._faults, self._options = database, clock, faults, options
        self.load()

    def load(self) -> None:
        """Reads anew which listings were taken away."""
        self._removed = set(self._database.rows("select seller_id, sku_code from removed_listings"))

    def is_listed(self, seller_id: str, sku_code: str) -> bool:
        """Whether the seller has a listing for the SKU."""
        return offers.is_listed(sku_code) and (seller_id, sku_code) not in self._removed

    def get(self, account: Account, sku_code: str) -> Listing:
        """The listing as it shows now. KeyError for a SKU that is not listed."""
        if not self.is_listed(account.selling_partner_id, sku_code):
            raise KeyError(sku_code)
        rows = self._database.rows(
            "select attributes, changed_ms, pending from listings where seller_id = ? and sku_code = ?",
            account.selling_partner_id,
            sku_code,
        )
        if not rows:
            return Listing(account, sku_code, offers.first_attributes(account, sku_code), parse_iso(MADE_AT))
        return self._as_of_now(_listing(account, sku_code, *rows[0]))

    def all(self, account: Account) -> list[Listing]:
        """The listings of a seller that are worth showing: the demo's SKUs, those with stock, those changed."""
        seller_id = account.selling_partner_id
        rows = self._database.rows(
            "select sku_code, attributes, changed_ms, pending from listings where seller_id = ?", seller_id
        )
        found = {row[0]: self._as_of_now(_listing(account, *row)) for row in rows}
        stocked = self._database.rows("select distinct sku_code from stock where seller_id = ?", seller_id)
        for sku_code in (*people.SKU_CODES, *(row[0] for row in stocked)):
            if sku_code not in found and self.is_listed(seller_id, sku_code):
                found[sku_code] = self.get(account, sku_code)
        return [found[sku_code] for sku_code in sorted(found)]

    def submit(
        self, account: Account, sku_code: str, patches: Any, *, operation: str, is_preview: bool = False
    ) -> list[Issue]:
        """Checks the patches and, unless it is a preview or an issue is an ERROR, lets them take effect later.
        BadPatch for what no patch can be."""
        offers.patched({}, patches)
        if not self.is_listed(account.selling_partner_id, sku_code):
            return [UNKNOWN]
        with self._database.transaction():
            listing = self.get(account, sku_code)
            issues = offers.issues_of(account, patches, offers.patched(listing.after_all(), patches))
            seller_id = account.selling_partner_id
            about = {"seller_id": seller_id, "sku_codes": (sku_code,)}
            if not is_preview and self._faults.fires(("price_refused",), operation, **about):
                issues = [*issues, REFUSED]
            is_taken = not is_preview and all(issue.severity != "ERROR" for issue in issues)
            if is_taken and not self._faults.fires(("price_ignored",), operation, **about):
                due_ms = self._clock.now_ms() + int(self._options.listing_delay_seconds * 1000)
                self._keep(replace(listing, pending=(*listing.pending, (due_ms, patches))))
        return issues

    def remove(self, account: Account, sku_code: str) -> None:
        """Takes a listing away, as the seller would in Seller Central. KeyError for a SKU that is not listed."""
        with self._database.transaction() as connection:
            self.get(account, sku_code)
            place = (account.selling_partner_id, sku_code)
            connection.execute("delete from listings where seller_id = ? and sku_code = ?", place)
            connection.execute("insert into removed_listings values (?, ?)", place)
            self._removed.add(place)

    def set_price(self, account: Account, sku_code: str, price: Decimal | None) -> Listing:
        """Changes the price at once, as the seller would in Seller Central; without one the listing is offered no
        more. KeyError for a SKU that is not listed."""
        with self._database.transaction():
            listing = self.get(account, sku_code)
            market = account.marketplace
            offer = {"marketplace_id": market.id, "currency": market.currency, "audience": "ALL"}
            value = [offer | ({} if price is None else {"our_price": offers.priced(price)})]
            op = "delete" if price is None else "merge"
            patches = [{"op": op, "path": offers.PREFIX + offers.OFFER, "value": value}]
            attributes = offers.patched(listing.attributes, patches)
            listing = replace(listing, attributes=attributes, changed_ms=self._clock.now_ms())
            self._keep(listing)
        return listing

    def _as_of_now(self, listing: Listing) -> Listing:
        now = self._clock.now_ms()
        attributes, changed_ms, left = listing.attributes, listing.changed_ms, []
        for due_ms, patches in listing.pending:
            if due_ms > now or left:  # in the order they came
                left.append((due_ms, patches))
            else:
                attributes, changed_ms = offers.patched(attributes, patches), due_ms
        return replace(listing, attributes=attributes, changed_ms=changed_ms, pending=tuple(left))

    def _keep(self, listing: Listing) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "insert or replace into listings values (?, ?, ?, ?, ?)",
                (
                    listing.account.selling_partner_id,
                    listing.sku_code,
                    json.dumps(listing.attributes),
                    listing.changed_ms,
                    json.dumps(listing.pending),
                ),
            )


def item_body(listing: Listing, included: Collection[str], now_ms: int, faults: Collection[str] = ()) -> dict[str, Any]:
    """A listing as getListingsItem answers it, with the data sets asked for, and odd as these of ODD_LISTINGS say."""
    if "bare_listing" in faults:
        included = set(included) - {"attributes", "offers"}
    market = listing.account.marketplace
    product_type = offers.product_type_of(listing.account, listing.sku_code)
    body: dict[str, Any] = {"sku": listing.sku_code}
    if "summaries" in included:
        summary = {
            "marketplaceId": market.id,
            "asin": listing.asin,
            "productType": product_type,
            "conditionType": "new_new",
            "status": ["BUYABLE", "DISCOVERABLE"],
            "itemName": offers.name_of(listing.sku_code),
            "createdDate": MADE_AT,
            "lastUpdatedDate": iso(listing.changed_ms),
        }
        body["summaries"] = [summary]
    if "attributes" in included:
        body["attributes"] = listing.attributes
    if "issues" in included:
        body["issues"] = [STRANGE.body()] if "listing_issue" in faults else []
    if "offers" in included:
        shown = listing
        if "offer_behind" in faults:
            shown = replace(listing, attributes=offers.first_attributes(listing.account, listing.sku_code))
        body["offers"] = _live_offers(shown, now_ms)
    if "fulfillmentAvailability" in included:
        body["fulfillmentAvailability"] = [{"fulfillmentChannelCode": "DEFAULT"}]
    if "productTypes" in included:
        body["productTypes"] = [{"marketplaceId": market.id, "productType": product_type}]
    return body


def submission_body(sku_code: str, issues: list[Issue], *, is_preview: bool) -> dict[str, Any]:
    """The answer to a patch."""
    status = "VALID" if is_preview else "ACCEPTED"
    if any(issue.severity == "ERROR" for issue in issues):
        status = "INVALID"
    return {
        "sku": sku_code,
        "status": status,
        "submissionId": uuid.uuid4().hex,
        "issues": [issue.body() for issue in issues],
    }


def account_of(seller_id: str, marketplace_ids: list[str]) -> Account:
    """The seller's account, when all of these are its marketplaces. ApiError 400 else."""
    account = accounts.BY_ID[seller_id]
    for marketplace_id in marketplace_ids:
        if marketplace_id != account.marketplace.id:
            raise invalid_input(f"{marketplace_id} is no marketplace of this seller.")
    return account


def _live_offers(listing: Listing, now_ms: int) -> list[dict[str, Any]]:
    market, found = listing.account.marketplace, []
    for audience, kind in (("ALL", "B2C"), ("B2B", "B2B")):
        offer = offers.offer_in(listing.attributes, listing.account, audience)
        amount = offers.amount_in(offer, "our_price")
        if amount is None or offer is None:
            continue
        for part in offer.get("discounted_price", []):
            for entry in part["schedule"]:
                if _is_on(entry, now_ms):
                    amount = min(amount, Decimal(repr(entry["value_with_tax"])))
        price = {"currencyCode": market.currency, "amount": f"{amount:.{market.n_decimals}f}"}
        found.append({"marketplaceId": market.id, "offerType": kind, "price": price, "audience": {"value": audience}})
    return found


def _is_on(entry: dict[str, Any], now_ms: int) -> bool:
    begins, ends = entry.get("start_at"), entry.get("end_at")
    try:
        return (not begins or parse_iso(begins) <= now_ms) and (not ends or now_ms <= parse_iso(ends))
    except (ValueError, TypeError):
        return False


def _listing(account: Account, sku_code: str, attributes: str, changed_ms: int, pending: str) -> Listing:
    kept = tuple((due_ms, patches) for due_ms, patches in json.loads(pending))
    return Listing(account, sku_code, json.loads(attributes), changed_ms, kept)

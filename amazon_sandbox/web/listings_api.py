"""Two operations of Listings Items 2021-08-01: reading a listing, and patching it."""

from typing import Any

from flask import Blueprint

from amazon_sandbox.web.gate import Answer, amazon_operation, json_body, query, world
from amazon_sandbox.world import errors
from amazon_sandbox.world.accounts import Account
from amazon_sandbox.world.errors import ApiError, invalid_input
from amazon_sandbox.world.listings import ODD_LISTINGS, account_of, item_body, submission_body
from amazon_sandbox.world.offers import BadPatch

blueprint = Blueprint("listings_api", __name__)
# `rest`, for a SKU may hold slashes, even at its beginning.
ITEM = "/listings/2021-08-01/items/<partner_id>/<rest:sku_code>"
DATA_SETS = (
    "summaries",
    "attributes",
    "issues",
    "offers",
    "fulfillmentAvailability",
    "procurement",
    "relationships",
    "productTypes",
)


@blueprint.get(ITEM)
@amazon_operation("getListingsItem")
def get_listing(seller_id: str, partner_id: str, sku_code: str) -> Answer:
    """A listing, with the data sets of `includedData`."""
    given = query("marketplaceIds", "issueLocale", "includedData")
    account = _account(seller_id, partner_id, given)
    included = _listed(given, "includedData", DATA_SETS) or ["summaries"]
    here = world()
    here.feeds.advance()
    try:
        listing = here.listings.get(account, sku_code)
    except KeyError as error:
        market = account.marketplace.id
        raise ApiError(404, "NOT_FOUND", f"SKU '{sku_code}' not found in marketplace {market}.") from error
    about = {"seller_id": seller_id, "sku_codes": (sku_code,)}
    faults = {kind for kind in ODD_LISTINGS if here.faults.fires((kind,), "getListingsItem", **about)}
    return 200, item_body(listing, included, here.clock.now_ms(), faults)


@blueprint.patch(ITEM)
@amazon_operation("patchListingsItem")
def patch_listing(seller_id: str, partner_id: str, sku_code: str) -> Answer:
    """Takes patches to apply later, or says what is wrong with them; with `mode=VALIDATION_PREVIEW` nothing else."""
    given = query("marketplaceIds", "issueLocale", "includedData", "mode")
    account = _account(seller_id, partner_id, given)
    is_preview = given.get("mode") == "VALIDATION_PREVIEW"
    if given.get("mode") not in (None, "VALIDATION_PREVIEW"):
        raise invalid_input("mode must be VALIDATION_PREVIEW.")
    included = _listed(given, "includedData", ("identifiers", "issues"))
    body = json_body(is_required=True)
    if not isinstance(body, dict) or not isinstance(body.get("productType"), str) or not body["productType"]:
        raise invalid_input("The body needs a productType.")
    here = world()
    here.feeds.advance()
    try:
        issues = here.listings.submit(
            account, sku_code, body.get("patches"), operation="patchListingsItem", is_preview=is_preview
        )
    except BadPatch as refusal:
        raise invalid_input(str(refusal)) from refusal
    answer: dict[str, Any] = submission_body(sku_code, issues, is_preview=is_preview)
    if "identifiers" in included and is_preview and answer["status"] == "VALID":
        asin = here.listings.get(account, sku_code).asin
        answer["identifiers"] = [{"marketplaceId": account.marketplace.id, "asin": asin}]
    return 200, answer


def _account(seller_id: str, partner_id: str, given: dict[str, str]) -> Account:
    if partner_id != seller_id:
        raise errors.access_denied("The seller in the path is not the one who authorized the app.")
    marketplace_ids = _listed(given, "marketplaceIds")
    if not marketplace_ids:
        raise invalid_input("marketplaceIds is required.")
    return account_of(seller_id, marketplace_ids)


def _listed(given: dict[str, str], name: str, known: tuple[str, ...] = ()) -> list[str]:
    found = [part for part in given.get(name, "").split(",") if part]
    for part in found:
        if known and part not in known:
            raise invalid_input(f"{name}: {part} is none of {', '.join(known)}.")
    return found

"""getMarketplaceParticipations of the Sellers API v1."""

from flask import Blueprint

from amazon_sandbox.web.gate import Answer, amazon_operation, query
from amazon_sandbox.world import accounts

blueprint = Blueprint("sellers_api", __name__)


@blueprint.get("/sellers/v1/marketplaceParticipations")
@amazon_operation("getMarketplaceParticipations")
def get_marketplace_participations(seller_id: str) -> Answer:
    """The one marketplace each demo seller takes part in."""
    query()
    account = accounts.BY_ID[seller_id]
    marketplace = account.marketplace
    entry = {
        "marketplace": {
            "id": marketplace.id,
            "name": marketplace.name,
            "countryCode": marketplace.country_code,
            "defaultCurrencyCode": marketplace.currency,
            "defaultLanguageCode": marketplace.language,
            "domainName": marketplace.domain,
        },
        "participation": {"isParticipating": True, "hasSuspendedListings": False},
        "storeName": account.name,
    }
    return 200, {"payload": [entry]}

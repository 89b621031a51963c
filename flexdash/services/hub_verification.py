"""Verify: asking Amazon, with a read-only query, about a Seller Flex Hub ID that somebody typed."""

import structlog

from flexdash import clock
from flexdash.amazon import errors as amazon_errors
from flexdash.amazon.client import AmazonClient
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import HubMapping, Store, VerifyResult
from flexdash.services import access, hub_mapping
from flexdash.services.actors import Actor, Permission
from flexdash.services.amazon_access import StoreNotConnected, amazon_for
from flexdash.services.errors import ChangedMeanwhile, NotAllowed, ServiceError
from flexdash.services.words import after_refusals, as_sentence
from flexdash.vault import UnreadableSecret

# One call each, the first that has a shipment ends it: new ones prove the most, accepted ones stand once FlexDash has
# taken the new ones in, and delivered ones every hub at work has.
STATUSES = {"ACCEPTED": "new", "CONFIRMED": "accepted", "DELIVERED": "delivered"}
MAX_PAGES = 3  # of one status: Amazon may send empty pages before a full one

logger = structlog.get_logger(__name__)


class VerifyFailed(ServiceError):
    """Amazon could not be asked or did not answer about the id: what was known about it before still stands."""


# What `verify` refuses with in the course of things: worth a sentence on the page, not a page of its own.
REFUSALS = (VerifyFailed, StoreNotConnected, ChangedMeanwhile)


def verify(actor: Actor, store_id: int, hub_id: int) -> HubMapping:
    """Ask Amazon for shipments of the hub's Seller Flex Hub ID, keep what it said, and return the mapping.

    Amazon does not tell whether an id exists: an answer without shipments proves nothing either way, and the kept
    sentence says so. Raises NotVisible, NotAllowed, StoreNotConnected, VerifyFailed with a sentence, and
    ChangedMeanwhile when the id was changed while Amazon was asked. Call it outside a transaction.
    """
    if not actor.may(Permission.CONFIGURE_STORES):
        raise NotAllowed("Your role does not include verifying hub mappings. Ask a merchant or an admin.")
    store = access.get(actor, Store, store_id)
    mapping_id, location = (mapping := hub_mapping.get(actor, store_id, hub_id)).id, mapping.seller_flex_hub_id
    marketplace_id = store.marketplace_id
    try:
        with amazon_for(store) as client:
            result, message = _ask(client, marketplace_id, location)
    except (amazon_errors.RequestRefused, amazon_errors.NotFound) as error:
        result, message = VerifyResult.REFUSED, _refusal(location, error)
    except UnreadableSecret as error:
        logger.error("the store's token cannot be decrypted", store_id=store_id)
        raise VerifyFailed(
            f"{location} was not verified. The key that opens this store's authorization is missing from "
            "ENCRYPTION_KEYS: tell whoever runs FlexDash to put it back. If it is lost, re-authorize the store."
        ) from error
    except amazon_errors.AmazonError as error:
        logger.warning("hub mapping not verified", store_id=store_id, hub_id=hub_id, error=str(error))
        raise VerifyFailed(f"{location} was not verified. {_in_words(error)}") from error
    with transaction():
        mapping = hub_mapping.get(actor, store_id, hub_id)
        if mapping.id != mapping_id or mapping.seller_flex_hub_id != location:
            raise ChangedMeanwhile(
                f"The Seller Flex Hub ID was changed from {location} while Amazon was asked, so the answer was thrown "
                "away. Verify the new id."
            )
        mapping.verified_at, mapping.verify_result, mapping.verify_message = clock.now(), result, message[:300]
        db.session.flush()
        return mapping


def _ask(client: AmazonClient, marketplace_id: str, location: str) -> tuple[VerifyResult, str]:
    for status, word in STATUSES.items():
        pages = client.shipments.pages(
            status=status, marketplace_id=marketplace_id, location_id=location, max_results=1
        )
        for n_pages, page in enumerate(pages, start=1):
            if page.shipments:
                return VerifyResult.FOUND, f"Amazon has {word} shipments for {location}: the id is in use."
            if n_pages == MAX_PAGES:
                break
    return VerifyResult.EMPTY, (
        f"Amazon took the question and has no new, accepted or delivered shipments for {location}. It does not say "
        "whether the id exists: compare it with Seller Central, or wait for the first order."
    )


def _refusal(location: str, error: amazon_errors.AmazonError) -> str:
    return (
        as_sentence(f"Amazon refused {location}: {after_refusals(error.message)}")
        + " Compare the id with Seller Central."
    )


def _in_words(error: amazon_errors.AmazonError) -> str:
    match error:
        case amazon_errors.AuthorizationRefused():
            return "Amazon no longer accepts this store's authorization. Re-authorize the store, then verify again."
        case amazon_errors.AppCredentialsRefused():
            return "Amazon does not accept FlexDash's own credentials. Ask whoever runs FlexDash to renew them."
        case amazon_errors.TokenRefused():
            return (
                "Amazon gave FlexDash no access token for this store, which says nothing of the id. "
                f"{as_sentence(error.message)} Tell whoever runs FlexDash; re-authorizing the store may "
                "help."
            )
        case amazon_errors.AccessDenied():
            return (
                "Amazon does not let FlexDash read this account's shipments: a role is missing, or Amazon has not "
                "opened External Fulfillment for the account yet. Ask your Amazon contact."
            )
        case amazon_errors.Throttled():
            return "Amazon is answering too many requests of this store already. Try again in a minute."
        case _ if error.is_retryable:
            return "Amazon did not answer. Nothing changed here; try again in a few minutes."
        case _:
            reference = f" (Amazon's request id: {error.request_id})" if error.request_id else ""
            said = as_sentence(f"Amazon answered with an error: {error.message.rstrip('.')}{reference}")
            return f"{said} Try again, and tell support if it stays."

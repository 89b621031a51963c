"""Where an account sells, as Amazon says. What it said lately stands in for an answer that does not come."""

import json
from dataclasses import asdict

import structlog
from redis.exceptions import RedisError

from flexdash.amazon.client import AmazonClient
from flexdash.amazon.countries import country
from flexdash.amazon.errors import AmazonError, AuthorizationRefused
from flexdash.amazon.sellers import Participation
from flexdash.extensions import redis_client
from flexdash.services.amazon_access import StoreAtAmazon

# Amazon's allowance for this question is the smallest of all: who tries again and again soon has used it up.
REMEMBERED_SECONDS = 3_600

logger = structlog.get_logger(__name__)


def ask(client: AmazonClient, store: StoreAtAmazon) -> list[Participation] | None:
    """Return the marketplaces of the store's account; None when Amazon tells nothing, and told nothing within the hour.

    Raises AuthorizationRefused.
    """
    try:
        found = client.sellers.marketplace_participations()
    except AuthorizationRefused:
        raise
    except (AmazonError, RedisError) as error:
        logger.warning("participations not known", store_id=store.store_id, error=str(error))
        return _remembered(store)
    _remember(store, found)
    return found


def _key(store: StoreAtAmazon) -> str:
    # The account is what the browser brought back, and its owner may have altered it: that misleads only the same
    # workspace, for an hour, while Amazon tells nothing.
    region = country(store.country_code).region
    return f"flexdash:participations:{store.workspace_id}:{region}:{store.amazon_selling_partner_id}"


def _remember(store: StoreAtAmazon, found: list[Participation]) -> None:
    kept = [asdict(one) | {"name": "", "store_name": ""} for one in found]
    try:
        redis_client.set(_key(store), json.dumps(kept), ex=REMEMBERED_SECONDS)
    except RedisError as error:
        logger.warning("participations not remembered", store_id=store.store_id, error=str(error))


def _remembered(store: StoreAtAmazon) -> list[Participation] | None:
    try:
        kept = redis_client.get(_key(store))
    except RedisError:
        return None
    try:
        return [Participation(**one) for one in json.loads(kept)] if kept else None
    except (TypeError, ValueError):  # kept by another version of FlexDash
        return None

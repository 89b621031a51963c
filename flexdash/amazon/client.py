"""The door to Amazon: one selling partner's API with tokens, pace, retries and records behind it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx
import redis

from flexdash.amazon.countries import REGIONS
from flexdash.amazon.feeds import Feeds
from flexdash.amazon.http_pool import PoolPerThread, shared_pool
from flexdash.amazon.inventory import Inventory
from flexdash.amazon.listings import Listings
from flexdash.amazon.lwa import LoginWithAmazon, TokenGrant
from flexdash.amazon.pacing import DEFAULT_MAX_WAIT_SECONDS, Pacer
from flexdash.amazon.records import CallRecord
from flexdash.amazon.returns import Returns
from flexdash.amazon.sellers import Sellers
from flexdash.amazon.shipments import Shipments
from flexdash.amazon.stored_documents import StoredDocuments
from flexdash.amazon.tokens import AccessTokens, Cipher
from flexdash.amazon.transport import MAX_ATTEMPTS, MAX_PAUSE_SECONDS, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class AmazonSettings:
    """How to reach Amazon, and as whom.

    `api_url` and `seller_central_url`, when set, stand in for every region's and country's own (the sandbox).
    `shipments_rps` is the pace of the shipment operations until Amazon names another.
    """

    client_id: str
    client_secret: str = field(repr=False)
    application_id: str = ""
    lwa_url: str = "https://api.amazon.com/auth/o2/token"
    api_url: str = ""
    seller_central_url: str = ""
    is_draft: bool = False
    timeout_seconds: float = 20
    shipments_rps: float = 1
    app_version: str = "1.0"

    @property
    def user_agent(self) -> str:
        """What FlexDash calls itself, in the form Amazon asks for."""
        return f"FlexDash/{self.app_version} (Language=Python)"


class AmazonClient:
    """One selling partner's API: `shipments`, `inventory`, `returns`, `listings`, `feeds` and `sellers`.

    Cheap to make, and safe to share between threads.

    `partner_id` is Amazon's selling partner id and `region` NA, EU or FE; together they name the usage plans that all
    workers share. `cipher` encrypts the access token in Redis. `on_call` gets a CallRecord after every attempt, in the
    thread that made it, so it must be safe to call from several; what it raises reaches the caller. `mask_for` is as
    Transport has it, and just as safe. `max_wait_seconds`
    bounds the wait for a turn under a usage plan (Throttled beyond it). The connections are the process's shared pool
    unless `http` is given; closing the client leaves them open.
    """

    def __init__(
        self,
        settings: AmazonSettings,
        redis_client: redis.Redis,
        cipher: Cipher,
        *,
        partner_id: str,
        region: str,
        refresh_token: str,
        on_call: Callable[[CallRecord], None] | None = None,
        on_new_refresh_token: Callable[[str], None] | None = None,
        mask_for: Callable[[str], Callable[[str], str]] | None = None,
        max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS,
        max_attempts: int = MAX_ATTEMPTS,
        max_pause_seconds: float = MAX_PAUSE_SECONDS,
        http: httpx.Client | PoolPerThread | None = None,
    ) -> None:
        if region not in REGIONS:
            raise ValueError(f"region must be one of {', '.join(REGIONS)}, not {region!r}")
        http = http or shared_pool()
        api_url = settings.api_url or REGIONS[region]
        self._tokens = AccessTokens(
            redis_client,
            cipher,
            _login(settings, http, on_call, max_attempts),
            refresh_token,
            on_new_refresh_token=on_new_refresh_token,
        )
        transport = Transport(
            http=http,
            base_url=api_url,
            tokens=self._tokens,
            pacer=Pacer(redis_client, max_wait_seconds=max_wait_seconds),
            partner=f"{region}:{partner_id}",
            user_agent=settings.user_agent,
            timeout_seconds=settings.timeout_seconds,
            on_call=on_call,
            mask_for=mask_for,
            max_attempts=max_attempts,
            max_pause_seconds=max_pause_seconds,
        )
        self.shipments = Shipments(transport, settings.shipments_rps)
        self.inventory = Inventory(transport)
        self.sellers = Sellers(transport)
        self.returns = Returns(transport)
        self.listings = Listings(transport, partner_id)
        documents = StoredDocuments(
            http=http,
            api_url=api_url,
            user_agent=settings.user_agent,
            timeout_seconds=settings.timeout_seconds,
            on_call=on_call,
        )
        self.feeds = Feeds(transport, documents)

    @staticmethod
    def exchange_code(
        settings: AmazonSettings,
        code: str,
        redirect_uri: str,
        *,
        on_call: Callable[[CallRecord], None] | None = None,
        http: httpx.Client | None = None,
    ) -> TokenGrant:
        """Turn the one-time code of Amazon's consent page into tokens.

        `redirect_uri` is the one the consent was asked with. Raises the errors of `LoginWithAmazon.exchange_code`.
        """
        return _login(settings, http or shared_pool(), on_call).exchange_code(code, redirect_uri)

    def forget_token(self) -> None:
        """Delete the access token from Redis, as when a store is disconnected."""
        self._tokens.forget()

    def close(self) -> None:
        """End the use of this client. The shared connections stay open for the next one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _login(
    settings: AmazonSettings,
    http: httpx.Client,
    on_call: Callable[[CallRecord], None] | None,
    max_attempts: int = MAX_ATTEMPTS,
) -> LoginWithAmazon:
    return LoginWithAmazon(
        settings.lwa_url,
        settings.client_id,
        settings.client_secret,
        http,
        timeout_seconds=settings.timeout_seconds,
        user_agent=settings.user_agent,
        on_call=on_call,
        max_attempts=max_attempts,
    )

"""The way from a store to Amazon: opens the client with the store's token and keeps a record of every call."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

from sqlalchemy import update

from flexdash import metrics
from flexdash.amazon.client import AmazonClient, AmazonSettings
from flexdash.amazon.countries import country
from flexdash.amazon.errors import AuthorizationRefused
from flexdash.amazon.http_pool import PoolPerThread
from flexdash.amazon.records import CallRecord
from flexdash.bulk import insert_rows
from flexdash.database import after_commit, release_connection, transaction
from flexdash.extensions import db, redis_client, settings, vault
from flexdash.models import ApiCall, Store, StoreStatus, SyncRun
from flexdash.services import stores
from flexdash.services.buyer_words import masks_of_shipments
from flexdash.services.call_outcomes import outcome_of
from flexdash.services.errors import ServiceError

# A thread of the web server that waits serves nobody else: what Amazon does not answer soon is said instead.
LONGEST_WAIT_OF_A_PAGE_SECONDS = 5
LONGEST_PAUSE_OF_A_PAGE_SECONDS = 2
ATTEMPTS_OF_A_PAGE = 2


class StoreNotConnected(ServiceError):
    """The store has no authorization that Amazon accepts; nothing was sent."""


@dataclass(frozen=True)
class StoreAtAmazon:
    """What is needed of a store while no database connection is held."""

    store_id: int
    workspace_id: int
    name: str
    marketplace_id: str
    country_code: str
    amazon_selling_partner_id: str
    refresh_token: str

    @classmethod
    def of(cls, store: Store, refresh_token: str, amazon_selling_partner_id: str | None = None) -> Self:
        """Return what is needed of `store`; the account is the store's own unless another is given, as for a draft."""
        return cls(
            store_id=store.id,
            workspace_id=store.workspace_id,
            name=store.name,
            marketplace_id=store.marketplace_id,
            country_code=store.country_code,
            amazon_selling_partner_id=amazon_selling_partner_id or store.amazon_selling_partner_id or "",
            refresh_token=refresh_token,
        )

    def __repr__(self) -> str:
        return f"StoreAtAmazon(store_id={self.store_id})"


class CallLog:
    """Collects what calls to Amazon leave behind, from any thread, until a transaction that writes it is committed.

    That is a record of each call, and the refresh token where Amazon handed out another one meanwhile.
    """

    def __init__(self, store: StoreAtAmazon, run_id: int | None = None) -> None:
        self._store, self._run_id = store, run_id
        self._records: list[CallRecord] = []
        self._lock = threading.Lock()
        self.refresh_token = store.refresh_token  # the newest one known

    def add(self, record: CallRecord) -> None:
        """Keep `record` for the next write."""
        with self._lock:
            self._records.append(record)

    def take_refresh_token(self, refresh_token: str) -> None:
        """Keep the refresh token that Amazon returned in place of the store's, for the next write."""
        self.refresh_token = refresh_token

    def request_ids(self) -> dict[str, str]:
        """Return Amazon's id of the last call about each shipment, by shipment id, of those not written yet."""
        with self._lock:
            return {
                record.shipment_id: record.amazon_request_id
                for record in self._records
                if record.shipment_id and record.amazon_request_id
            }

    def write(self) -> None:
        """Write what was collected, and the counts of the run, inside the caller's transaction; once in each."""
        with self._lock:
            records = list(self._records)
        if not records:
            return
        after_commit(lambda: self._forget(len(records)))
        if self.refresh_token != self._store.refresh_token:
            stores.replace_refresh_token(self._store.store_id, self._store.refresh_token, self.refresh_token)
        insert_rows(ApiCall.__table__, [self._row(record) for record in records])
        _count(records)
        if self._run_id is not None:
            db.session.execute(
                update(SyncRun)
                .where(SyncRun.id == self._run_id)
                .values(
                    n_api_calls=SyncRun.n_api_calls + len(records),
                    n_throttled=SyncRun.n_throttled + sum(record.is_throttled for record in records),
                ),
                execution_options={"synchronize_session": False},
            )

    def flush(self) -> None:
        """Write what is left in a transaction of its own."""
        if self._records:
            with transaction():
                self.write()

    def _forget(self, n_records: int) -> None:
        with self._lock:
            del self._records[:n_records]

    def _row(self, record: CallRecord) -> dict[str, object]:
        return {
            "workspace_id": self._store.workspace_id,
            "store_id": self._store.store_id,
            "run_id": self._run_id,
            "amazon_shipment_id": record.shipment_id,
            "started_at": record.started_at,
            "operation": record.operation,
            "method": record.method,
            "path": record.path[:300],
            "status": record.status,
            "duration_ms": record.duration_ms,
            "waited_ms": record.waited_ms,
            "attempt": record.attempt,
            "is_throttled": record.is_throttled,
            "amazon_request_id": (record.amazon_request_id or "")[:100],
            "error_code": (record.error_code or "")[:60],
            "error_message": record.error_message or "",
            "outcome": outcome_of(record),
            "sku_code": record.sku_code[:100] or None,
            "sent": record.sent,
            "answered": record.response_excerpt,
        }


def _count(records: Sequence[CallRecord]) -> None:
    """Let `/metrics` have what was written of these calls."""
    ended = Counter((record.operation, _ended(record)) for record in records)
    for (operation, outcome), n in ended.items():
        metrics.count("amazon_calls", n, operation=operation, outcome=outcome)
    for operation in {record.operation for record in records}:
        own = [record for record in records if record.operation == operation]
        metrics.count("amazon_call_seconds", sum(record.duration_ms for record in own), operation=operation)
        metrics.count("amazon_wait_seconds", sum(record.waited_ms for record in own), operation=operation)
        metrics.count("amazon_throttled", sum(record.is_throttled for record in own), operation=operation)


def _ended(record: CallRecord) -> metrics.CallOutcome:
    if record.is_refused_within:
        return metrics.CallOutcome.REFUSED
    return metrics.call_outcome(record.status, record.error_code)


def amazon_settings() -> AmazonSettings:
    """Return the settings of the Amazon client as this installation is configured."""
    return AmazonSettings(
        lwa_url=settings.amazon_lwa_url,
        api_url=settings.amazon_api_url,
        client_id=settings.amazon_client_id,
        client_secret=settings.amazon_client_secret,
        application_id=settings.amazon_application_id,
        seller_central_url=settings.amazon_seller_central_url,
        is_draft=settings.amazon_app_is_draft,
        timeout_seconds=settings.amazon_timeout_seconds,
        shipments_rps=settings.shipments_requests_per_second,
    )


def store_at_amazon(store_id: int) -> StoreAtAmazon:
    """Return what is needed to call Amazon for the store; raise StoreNotConnected when it has no good authorization."""
    store = db.session.get(Store, store_id, populate_existing=True)
    if (
        store is None
        or store.status is not StoreStatus.CONNECTED
        or store.refresh_token_encrypted is None
        or store.amazon_selling_partner_id is None
    ):
        raise StoreNotConnected(
            "This store is not connected to Amazon, so Amazon was not asked. Connect it again on the store's page."
        )
    return StoreAtAmazon.of(store, vault.decrypt(store.refresh_token_encrypted))


def new_client(
    store: StoreAtAmazon, calls: CallLog, *, is_person_waiting: bool = False, http: PoolPerThread | None = None
) -> AmazonClient:
    """Return a client for `store` whose calls go to `calls`; the caller closes it and writes the calls.

    While a person waits for the page, a call that Amazon does not answer, or has no room for, is given up sooner.
    `http` are connections to use in place of those that the process shares.
    """
    at_amazon, longest_wait = amazon_settings(), {}
    if is_person_waiting:
        at_amazon = replace(at_amazon, timeout_seconds=min(at_amazon.timeout_seconds, LONGEST_WAIT_OF_A_PAGE_SECONDS))
        longest_wait = {
            "max_wait_seconds": LONGEST_WAIT_OF_A_PAGE_SECONDS,
            "max_attempts": ATTEMPTS_OF_A_PAGE,
            "max_pause_seconds": LONGEST_PAUSE_OF_A_PAGE_SECONDS,
        }
    return AmazonClient(
        at_amazon,
        # The objects behind the proxies: the client also works in threads, which have no app context.
        redis_client._get_current_object(),
        vault._get_current_object(),
        partner_id=store.amazon_selling_partner_id,
        region=country(store.country_code).region,
        refresh_token=store.refresh_token,
        on_call=calls.add,
        on_new_refresh_token=calls.take_refresh_token,
        mask_for=masks_of_shipments(db.engine, vault._get_current_object(), store.store_id),
        http=http,
        **longest_wait,
    )


@contextmanager
def open_amazon(
    store: StoreAtAmazon,
    calls: CallLog,
    *,
    is_person_waiting: bool = False,
    makes_many_calls: bool = False,
) -> Iterator[AmazonClient]:
    """Yield a client as `new_client` makes it; what is left of its calls is written at the end.

    `makes_many_calls` gives each thread that uses the client a connection of its own. The database connection is given
    back first. When Amazon refuses the authorization, the store becomes Needs re-authorization, with Amazon's reason,
    before the error goes on to the caller.
    """
    release_connection()
    http = PoolPerThread() if makes_many_calls else None
    client = new_client(store, calls, is_person_waiting=is_person_waiting, http=http)
    try:
        with client:
            yield client
    except AuthorizationRefused as error:
        db.session.rollback()
        stores.needs_reauthorization(store.store_id, str(error), refused_token=store.refresh_token)
        raise
    finally:
        if http is not None:
            http.close()
        db.session.rollback()
        calls.flush()


@contextmanager
def amazon_for(store: Store) -> Iterator[AmazonClient]:
    """Yield a client for a page of a connected `store`, keeping every call. Enter it outside a transaction.

    Raises StoreNotConnected before anything is sent, and whatever flexdash.amazon.errors the calls raise.
    """
    at_amazon = store_at_amazon(store.id)
    with open_amazon(at_amazon, CallLog(at_amazon), is_person_waiting=True) as client:
        yield client

"""Disconnecting a store: its tokens go, its settings and history stay."""

import structlog
from redis.exceptions import RedisError
from sqlalchemy import select, update

from flexdash import clock, metrics
from flexdash.database import transaction
from flexdash.models import (
    AttemptOutcome,
    RunState,
    Section,
    Store,
    StoreStatus,
    SyncAttempt,
    SyncRun,
    SyncState,
)
from flexdash.services import access, authorization, config_log, stores
from flexdash.services.actors import Actor
from flexdash.services.amazon_access import CallLog, StoreAtAmazon, new_client
from flexdash.services.errors import ChangedMeanwhile, ServiceError

_ENDED_SENTENCE = (
    "The store was disconnected from Amazon while this run was at work, so it ended there. "
    "What it had brought in is kept."
)
logger = structlog.get_logger(__name__)


def disconnect(actor: Actor, store_id: int, reason: str = "") -> Store:
    """Cut a store off from Amazon and log it.

    The tokens are deleted and nothing is scheduled; settings, mappings and history stay.
    Trips to Amazon and runs that are under way for the store end. Raises NotAllowed, ServiceError for a draft,
    ChangedMeanwhile when the store is disconnected already, and FieldRefused for `reason`.
    """
    stores.check_may_connect(actor)
    reason = config_log.clean_reason(reason)
    with transaction() as session:
        store = access.get(actor, Store, store_id, lock=True)
        if store.status is StoreStatus.DRAFT:
            raise ServiceError("This store is a draft: it was never connected. You can discard it instead.")
        if store.status is StoreStatus.DISCONNECTED:
            raise ChangedMeanwhile(f"{store.name} is disconnected already. There is nothing left to do.")
        was, at_amazon = store.status, _at_amazon(store)
        store.status = StoreStatus.DISCONNECTED
        store.refresh_token_encrypted = None
        store.authorization_expires_at = None
        store.reauthorization_reason = ""
        store.disconnected_at = clock.now()
        authorization.withdraw(store)
        session.execute(update(SyncState).where(SyncState.store_id == store.id).values(next_due_at=None))
        session.flush()
        config_log.record(
            actor,
            Section.CONNECTION,
            f"{actor.name} disconnected {store.name} from Amazon",
            store=store,
            old={"status": was.value},
            new={"status": store.status.value},
            reason=reason,
        )
    logger.info("store disconnected", store_id=store_id)
    _end_running(store_id)
    if at_amazon is not None:
        _forget_access_token(at_amazon)
    return store


def _end_running(store_id: int) -> None:
    """End the runs that are at work: each finds out at its next check-in, and writes nothing more.

    In a transaction of its own: a run at work holds its row while it waits for the store's, the other way round than
    disconnecting would.
    """
    now = clock.now()
    with transaction() as session:
        running = session.execute(
            select(SyncRun.id, SyncRun.attempt_token, SyncRun.sync)
            .where(SyncRun.store_id == store_id, SyncRun.state == RunState.RUNNING)
            .with_for_update()
        ).all()
        for run_id, token, sync in running:
            metrics.count("sync_runs_ended", sync=sync.value, outcome=RunState.FAILED.value)
            ending = {
                "finished_at": now,
                "error_code": "disconnected",
                "error_sentence": _ENDED_SENTENCE,
                "error_detail": "",
            }
            session.execute(
                update(SyncRun).where(SyncRun.id == run_id).values(state=RunState.FAILED, progress="", **ending)
            )
            session.execute(
                update(SyncAttempt)
                .where(SyncAttempt.run_id == run_id, SyncAttempt.attempt_token == token)
                .values(outcome=AttemptOutcome.FAILED, **ending)
            )


def _at_amazon(store: Store) -> StoreAtAmazon | None:
    token = stores.refresh_token(store)
    if token is None or store.amazon_selling_partner_id is None:
        return None
    return StoreAtAmazon.of(store, token)


def _forget_access_token(at_amazon: StoreAtAmazon) -> None:
    try:
        with new_client(at_amazon, CallLog(at_amazon)) as client:
            client.forget_token()
    except RedisError as error:
        # Redis holds it encrypted, and it dies within the hour: no reason to tell the person that something failed.
        logger.warning("access token not forgotten", store_id=at_amazon.store_id, error=str(error))

"""Connecting a store: out to Amazon's consent page, back with a code, and the tokens for it."""

import re
from dataclasses import dataclass, replace

import structlog
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flexdash import clock
from flexdash.amazon import consent
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import (
    AmazonError,
    AppCredentialsRefused,
    UntrustedCallback,
)
from flexdash.amazon.sellers import Participation
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings, vault
from flexdash.models import AuthorizationAttempt, Section, Store, StoreStatus
from flexdash.services import access, authorization, config_log, countries, participations, stores
from flexdash.services.actors import Actor
from flexdash.services.amazon_access import CallLog, StoreAtAmazon, amazon_settings, new_client
from flexdash.services.authorization import Claim, Outcome, ReturnRefused
from flexdash.services.errors import NotVisible, ServiceError

_SELLING_PARTNER_ID = re.compile(r"[A-Za-z0-9._-]{1,40}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DEEDS = {
    StoreStatus.DRAFT: "connected",
    StoreStatus.CONNECTED: "re-authorized",
    StoreStatus.NEEDS_REAUTHORIZATION: "re-authorized",
    StoreStatus.DISCONNECTED: "reconnected",
}

logger = structlog.get_logger(__name__)


class UntrustedAddress(ServiceError):
    """The login-first address does not lead to Amazon."""


@dataclass(frozen=True)
class AmazonAnswer:
    """What Amazon's return carries, as it came. All may be empty."""

    state: str = ""
    code: str = ""
    amazon_selling_partner_id: str = ""
    error: str = ""
    error_description: str = ""

    def __repr__(self) -> str:
        return "AmazonAnswer()"  # state and code are secrets


@dataclass(frozen=True)
class Connected:
    """A store that is connected now. `note` says what could not be checked, or is empty."""

    store_id: int
    is_first_time: bool
    note: str = ""


def begin(actor: Actor, user_session_id: int, store_id: int) -> str:
    """Begin a trip to Amazon for a named draft or any other store, and return the consent page's address.

    Raises NotAllowed, and FieldRefused for `name` when the store has none yet or another store took it meanwhile.
    """
    with transaction():
        store = _ready_store(actor, store_id)
        state, reference = authorization.add(actor, user_session_id, store)
        country = countries.get(store.country_code)
    logger.info("sent to Amazon's consent page", store_id=store_id, reference=reference)
    return consent.consent_url(
        country,
        application_id=settings.amazon_application_id,
        state=state,
        redirect_uri=settings.amazon_redirect_uri,
        is_draft=settings.amazon_app_is_draft,
        seller_central_url=settings.amazon_seller_central_url,
    )


def begin_login_first(
    actor: Actor, user_session_id: int, store_id: int, amazon_callback_uri: str, amazon_state: str
) -> str:
    """Do the same for a person whom Amazon sent here first, and return the address Amazon waits at.

    Raises UntrustedAddress when that address is not on one of Amazon's hosts, and the errors of `begin`.
    """
    check_login_first(amazon_callback_uri)
    with transaction():
        store = _ready_store(actor, store_id)
        state, reference = authorization.add(actor, user_session_id, store)
    logger.info("sent back to Amazon, which asked first", store_id=store_id, reference=reference)
    return _login_first_target(amazon_callback_uri, amazon_state, state)


def check_login_first(amazon_callback_uri: str) -> None:
    """Raise UntrustedAddress unless the address is one that Amazon waits at."""
    _login_first_target(amazon_callback_uri, "", "")


def consent_origin(store: Store) -> str:
    """Return scheme and host of the Seller Central that a form of this store ends at."""
    return settings.amazon_seller_central_url or f"https://{countries.get(store.country_code).seller_central_host}"


def finish(actor: Actor, user_session_id: int | None, answer: AmazonAnswer) -> Connected:
    """Take Amazon's return: check its state, trade the code for tokens, and connect the store.

    Either all of it is stored, with its row in the Configuration Log, or nothing. Raises ReturnRefused, whose outcome
    says why; the store then is what it was before. Call it outside a transaction: it talks to Amazon.
    """
    try:
        claim = authorization.claim(actor, user_session_id, answer.state)
        try:
            connected = _handle(actor, claim, answer)
        except ReturnRefused as refusal:
            with transaction():
                authorization.set_outcome(claim.attempt_id, refusal.outcome)
            raise
    except ReturnRefused as refusal:
        logger.warning(
            "return from Amazon refused",
            reference=refusal.reference,
            outcome=refusal.outcome.value,
            store_id=refusal.store_id,
            detail=refusal.detail,
        )
        raise
    logger.info("store connected", store_id=connected.store_id, reference=claim.reference)
    return connected


def _handle(actor: Actor, claim: Claim, answer: AmazonAnswer) -> Connected:
    partner_id = answer.amazon_selling_partner_id
    if answer.error:
        outcome = Outcome.DENIED if answer.error == "access_denied" else Outcome.INCOMPLETE
        raise _refused(claim, outcome, f"{answer.error}: {answer.error_description}")
    if not answer.code:
        raise _refused(claim, Outcome.INCOMPLETE, "no code")
    if not _SELLING_PARTNER_ID.fullmatch(partner_id):
        raise _refused(claim, Outcome.INCOMPLETE, "no usable selling_partner_id")

    store = _store_of(actor, claim)
    # Asked before the code is spent, and again when the tokens are written.
    _check_account(claim, store, partner_id)
    at_amazon = StoreAtAmazon.of(store, "", partner_id)
    at_amazon, participation, note = _ask_amazon(claim, at_amazon, answer.code)
    return _write(actor, claim, at_amazon, participation, note)


def _ask_amazon(claim: Claim, store: StoreAtAmazon, code: str) -> tuple[StoreAtAmazon, Participation | None, str]:
    """Trade the code for a token and ask where the account sells. No database connection is held meanwhile."""
    release_connection()
    calls = CallLog(store)
    try:
        grant = AmazonClient.exchange_code(amazon_settings(), code, settings.amazon_redirect_uri, on_call=calls.add)
        store = replace(store, refresh_token=grant.refresh_token)
        calls.take_refresh_token(grant.refresh_token)
        participation, note = _participation(claim, store, calls)
    except AppCredentialsRefused as error:
        raise _refused(claim, Outcome.APP_REFUSED, str(error)) from error
    except AmazonError as error:
        outcome = Outcome.UNREACHABLE if error.is_retryable else Outcome.CODE_REFUSED
        raise _refused(claim, outcome, str(error)) from error
    finally:
        # A draft discarded meanwhile takes its calls with it.
        if db.session.get(Store, store.store_id) is not None:
            calls.flush()
    return replace(store, refresh_token=calls.refresh_token), participation, note


def _participation(claim: Claim, store: StoreAtAmazon, calls: CallLog) -> tuple[Participation | None, str]:
    """Return the account's participation in the store's country, or None and why that could not be asked.

    The grant is worth more than this answer: whatever is not a clear "does not sell there" lets the store connect.
    """
    country = countries.name_of(store.country_code)
    could_not_ask = (
        f"Amazon could not be asked whether this account sells in {country}, so the usual currency of the country is "
        "taken. If no orders come in, check the country first."
    )
    with new_client(store, calls, is_person_waiting=True) as client:
        try:
            # Amazon may return the same refresh token again: what was remembered of its refusal is over now.
            client.forget_token()
            found = participations.ask(client, store)
        except RedisError as error:
            logger.warning("refusal of a token not forgotten", store_id=store.store_id, error=str(error))
            found = None
    if found is None:
        logger.warning("connected unasked", reference=claim.reference, store_id=store.store_id)
        return None, could_not_ask
    for participation in found:
        if participation.marketplace_id == store.marketplace_id and participation.is_participating:
            return participation, ""
    sells_in = ", ".join(sorted(entry.country_code for entry in found if entry.is_participating)) or "no country"
    raise _refused(claim, Outcome.NOT_SELLING_HERE, f"the account sells in {sells_in}, not in {store.country_code}")


def _write(
    actor: Actor, claim: Claim, at_amazon: StoreAtAmazon, participation: Participation | None, note: str
) -> Connected:
    """Connect the store and log it, in one transaction."""
    partner_id = at_amazon.amazon_selling_partner_id
    with transaction() as session:
        store = _store_of(actor, claim, lock=True)
        attempt = session.get(AuthorizationAttempt, claim.attempt_id, populate_existing=True)
        if attempt is None or attempt.outcome:  # discarded or disconnected while Amazon was asked
            raise _refused(claim, Outcome.WITHDRAWN)
        _check_account(claim, store, partner_id)
        if store.marketplace_id != at_amazon.marketplace_id:
            raise _refused(claim, Outcome.WITHDRAWN, "the draft's country was changed meanwhile")
        was = store.status
        now = clock.now()
        store.status = StoreStatus.CONNECTED
        store.amazon_selling_partner_id = partner_id
        store.refresh_token_encrypted = vault.encrypt(at_amazon.refresh_token)
        store.authorized_at = now
        store.authorization_expires_at = now + stores.AUTHORIZATION_LIFETIME
        store.connected_at = store.connected_at or now
        store.disconnected_at = None
        store.reauthorization_reason = ""
        if participation is not None and _CURRENCY.fullmatch(participation.currency or ""):
            store.currency = participation.currency
        try:
            session.flush()
        except IntegrityError as error:
            raise _refused(claim, Outcome.ALREADY_CONNECTED, "by the database's index") from error
        authorization.set_outcome(claim.attempt_id, Outcome.CONNECTED)
        is_first_time = was is StoreStatus.DRAFT
        config_log.record(
            actor,
            Section.CONNECTION,
            f"{actor.name} {_DEEDS[was]} {store.name} ({countries.name_of(store.country_code)}) "
            f"{'as' if is_first_time else 'with'} the Amazon account {partner_id}",
            store=store,
            old={"status": was.value},
            new={
                "status": store.status.value,
                "amazon_selling_partner_id": partner_id,
                "authorization_expires_at": store.authorization_expires_at.isoformat(timespec="seconds"),
                "currency": store.currency,
            },
            reason=note,
        )
        return Connected(store.id, is_first_time, note)


def _check_account(claim: Claim, store: Store, partner_id: str) -> None:
    if store.amazon_selling_partner_id not in (None, partner_id):
        raise _refused(claim, Outcome.OTHER_ACCOUNT, f"expected {store.amazon_selling_partner_id}, got {partner_id}")
    other_id = db.session.scalar(
        select(Store.id).where(
            Store.workspace_id == store.workspace_id,
            Store.amazon_selling_partner_id == partner_id,
            Store.marketplace_id == store.marketplace_id,
            Store.status.in_(stores.LIVE),
            Store.id != store.id,
        )
    )
    if other_id is not None:
        raise ReturnRefused(
            Outcome.ALREADY_CONNECTED, claim.reference, claim.store_id, f"as store {other_id}", other_id
        )


def _store_of(actor: Actor, claim: Claim, *, lock: bool = False) -> Store:
    try:
        return access.get(actor, Store, claim.store_id, lock=lock)
    except NotVisible:
        raise ReturnRefused(Outcome.WITHDRAWN, claim.reference, detail="the draft is gone") from None


def _ready_store(actor: Actor, store_id: int) -> Store:
    stores.check_may_connect(actor)
    store = access.get(actor, Store, store_id, lock=True)
    stores.check_name_is_free(actor, store, stores.clean_name(store.name))
    return store


def _refused(claim: Claim, outcome: Outcome, detail: str = "") -> ReturnRefused:
    return ReturnRefused(outcome, claim.reference, claim.store_id, detail)


def _login_first_target(amazon_callback_uri: str, amazon_state: str, state: str) -> str:
    own_seller_central = [settings.amazon_seller_central_url] if settings.amazon_seller_central_url else []
    try:
        return consent.login_first_target(
            amazon_callback_uri,
            amazon_state,
            state,
            settings.amazon_redirect_uri,
            settings.amazon_app_is_draft,
            extra_hosts=own_seller_central,
        )
    except UntrustedCallback as error:
        raise UntrustedAddress(
            "The link that brought you here asks FlexDash to send you on to an address that is not Amazon's."
        ) from error

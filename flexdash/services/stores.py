"""Stores: the wizard's draft, the name, and Amazon's refusal. See also `connecting` and `disconnecting`."""

from datetime import timedelta

import structlog
from sqlalchemy import delete, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import ApiCall, Section, Seller, Store, StoreStatus
from flexdash.services import access, authorization, config_log, countries
from flexdash.services.actors import Actor, Permission
from flexdash.services.errors import FieldRefused, NotAllowed, ServiceError
from flexdash.vault import UnreadableSecret

MAX_NAME_LENGTH = 100
AUTHORIZATION_LIFETIME = timedelta(days=365)
EXPIRY_WARNING = timedelta(days=30)
LIVE = (StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION)

logger = structlog.get_logger(__name__)


class NotADraft(ServiceError):
    """The wizard is over for this store: its page is the place for it now."""


def start_draft(actor: Actor, seller_id: int, country_code: str, name: str | None = None) -> Store:
    """Begin a store of this seller in a country, with or without its name. Nothing is asked of Amazon.

    Asked for twice in a minute without a name (a double click), it is begun once. Raises NotVisible for a foreign
    seller, and FieldRefused for a country without a marketplace or a `name` that cannot be.
    """
    check_may_connect(actor)
    country = countries.get(country_code)
    name = clean_name(name) if name is not None else ""
    with transaction() as session:
        seller = access.get(actor, Seller, seller_id)
        if not name and (begun := _just_begun(actor, seller, country.code)) is not None:
            return begun
        store = Store(
            workspace_id=seller.workspace_id,
            seller_id=seller.id,
            name=name,
            country_code=country.code,
            marketplace_id=country.marketplace_id,
            currency=country.currency,
            created_by_id=actor.user_id,
        )
        session.add(store)
        session.flush()
        if name:
            check_name_is_free(actor, store, name)
        return store


def _just_begun(actor: Actor, seller: Seller, country_code: str) -> Store | None:
    """Return the draft that a click a moment ago began; of clicks at once the first is let through, then the others."""
    db.session.execute(select(Seller.id).where(Seller.id == seller.id).with_for_update(key_share=True))
    return db.session.scalars(
        select(Store)
        .where(
            Store.seller_id == seller.id,
            Store.status == StoreStatus.DRAFT,
            Store.created_by_id == actor.user_id,
            Store.country_code == country_code,
            Store.name == "",
            Store.created_at > clock.now() - timedelta(minutes=1),
        )
        .order_by(Store.id)
    ).first()


def change_country(actor: Actor, store_id: int, country_code: str) -> Store:
    """Put a draft into another country; raises NotADraft once the store has been connected."""
    check_may_connect(actor)
    country = countries.get(country_code)
    with transaction():
        store = _draft(actor, store_id)
        store.country_code = country.code
        store.marketplace_id = country.marketplace_id
        store.currency = country.currency
        return store


def rename(actor: Actor, store_id: int, name: str, reason: str = "") -> Store:
    """Name a draft, or rename a store and log it.

    A name is unique among the seller's stores that are not disconnected. Raises FieldRefused for `name` and `reason`.
    """
    check_may_connect(actor)
    name = clean_name(name)
    reason = config_log.clean_reason(reason)
    with transaction():
        store = access.get(actor, Store, store_id, lock=True)
        check_name_is_free(actor, store, name)
        old = store.name
        if name == old:
            return store
        store.name = name
        if store.status is not StoreStatus.DRAFT:
            config_log.record(
                actor,
                Section.CONNECTION,
                f"{actor.name} renamed the store {old} to {name}",
                store=store,
                old={"name": old},
                new={"name": name},
                reason=reason,
            )
        return store


def discard_draft(actor: Actor, store_id: int) -> None:
    """Throw a draft away and end its trips to Amazon; raises NotADraft once the store has been connected."""
    check_may_connect(actor)
    with transaction() as session:
        store = _draft(actor, store_id)
        authorization.forget_store(store)
        session.execute(delete(ApiCall).where(ApiCall.store_id == store.id))
        session.delete(store)
    logger.info("draft discarded", store_id=store_id)


def needs_reauthorization(store_id: int, reason: str, refused_token: str | None = None) -> bool:
    """Note that Amazon refuses the store's token, with Amazon's `reason`; returns whether anything changed.

    Toggles stay as they are. With `refused_token`, the refresh token that was refused, nothing changes when the store
    has been authorized anew since: a late refusal of the old token says nothing about the new one.
    """
    with transaction():
        store = db.session.get(Store, store_id, with_for_update={"key_share": True}, populate_existing=True)
        if store is None or store.status is not StoreStatus.CONNECTED:
            return False
        if refused_token is not None and refresh_token(store) not in (refused_token, None):
            return False
        store.status = StoreStatus.NEEDS_REAUTHORIZATION
        store.reauthorization_reason = (reason or "Amazon gave no reason.")[:500]
        db.session.flush()
        config_log.record(
            Actor.system(store.workspace_id),
            Section.CONNECTION,
            f"Amazon refused the authorization of {store.name}: it needs re-authorization",
            store=store,
            old={"status": StoreStatus.CONNECTED.value},
            new={"status": store.status.value},
            reason=store.reauthorization_reason[:300],
        )
    logger.warning("store needs re-authorization", store_id=store_id, reason=reason)
    return True


def replace_refresh_token(store_id: int, known: str, new: str) -> None:
    """Keep the refresh token that Amazon handed out in place of `known`, inside the caller's transaction.

    Nothing changes when the store has been authorized anew or disconnected since.
    """
    store = db.session.get(Store, store_id, with_for_update={"key_share": True}, populate_existing=True)
    if store is not None and refresh_token(store) == known:
        store.refresh_token_encrypted = vault.encrypt(new)


def check_may_connect(actor: Actor) -> None:
    """Raise NotAllowed when the actor's role does not include connecting stores."""
    if not actor.may(Permission.CONNECT_STORES):
        raise NotAllowed("Your role does not include connecting stores. Ask a merchant or an admin of your workspace.")


def clean_name(name: str) -> str:
    """Return the name as it is kept, without spare spaces; raise FieldRefused for `name` when it cannot be one."""
    name = " ".join(name.split())
    if not name:
        raise FieldRefused("name", "Give the store a name, for example the city of its warehouse.")
    if len(name) > MAX_NAME_LENGTH:
        raise FieldRefused("name", f"The name has {len(name)} characters. Use {MAX_NAME_LENGTH} at most.")
    if not name.isprintable():
        raise FieldRefused("name", "The name holds characters that cannot be shown. Type it anew.")
    return name


def check_name_is_free(actor: Actor, store: Store, name: str) -> None:
    """Raise FieldRefused for `name` when another live store of the seller has it. Call it inside a transaction.

    The seller's row is held until the transaction ends, so two people cannot take the same name at once.
    """
    access.get(actor, Seller, store.seller_id, lock=True)
    others = db.session.scalars(
        select(Store.name).where(
            Store.workspace_id == store.workspace_id,
            Store.seller_id == store.seller_id,
            Store.status != StoreStatus.DISCONNECTED,
            Store.id != store.id,
        )
    )
    if name.casefold() in {other.casefold() for other in others}:
        raise FieldRefused("name", f"This seller has a store named {name} already. Choose another name.")


def list_of_account(actor: Actor, amazon_selling_partner_id: str) -> list[Store]:
    """Return the stores the actor may see that belong to this Amazon account, whatever their status."""
    query = access.visible(actor, Store).where(Store.amazon_selling_partner_id == amazon_selling_partner_id)
    return list(db.session.scalars(query.order_by(Store.name, Store.id)))


def refresh_token(store: Store) -> str | None:
    """Return the store's refresh token in the clear; None when there is none or no key opens it any more."""
    if store.refresh_token_encrypted is None:
        return None
    try:
        return vault.decrypt(store.refresh_token_encrypted)
    except UnreadableSecret:
        # Then nobody can use it either, and a new authorization is what helps.
        return None


def _draft(actor: Actor, store_id: int) -> Store:
    store = access.get(actor, Store, store_id, lock=True)
    if store.status is not StoreStatus.DRAFT:
        raise NotADraft(f"{store.name} has been connected already. You find it among the stores.")
    return store

"""Rows for tests: plain functions that commit what they make and return it. Call them inside an app context."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any

from flexdash import clock
from flexdash.extensions import db, vault
from flexdash.models import (
    Acknowledgement,
    HoldReason,
    Hub,
    HubMapping,
    Order,
    OrderHold,
    OrderLine,
    OrderState,
    Role,
    RunState,
    Seller,
    Sku,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    Trigger,
    User,
    Workspace,
)
from flexdash.services import passwords, workspaces
from flexdash.services.actors import Actor

PASSWORD = "a-password-for-tests"
# Country: Amazon's marketplace id and currency, as amazon.md section 2 has them.
MARKETPLACES = {
    "IN": ("A21TJRUUN4KGV", "INR"),
    "US": ("ATVPDKIKX0DER", "USD"),
    "AE": ("A2VIGQ35RCS4UG", "AED"),
    "GB": ("A1F83G8C2ARO7P", "GBP"),
}
_numbers = count(1)


def number() -> int:
    """Return a number not given out before in this process."""
    return next(_numbers)


def make_workspace(name: str | None = None, time_zone: str = "Asia/Kolkata") -> Workspace:
    """Return a new workspace with its empty Configuration Log."""
    return workspaces.create(name or f"Company {number()}", time_zone)


def make_user(
    workspace: Workspace,
    role: Role | str = Role.MERCHANT,
    *,
    password: str = PASSWORD,
    name: str | None = None,
    email: str | None = None,
    sellers: list[Seller] | None = None,
    **values: Any,
) -> User:
    """Return a new person who can sign in with `password`; with `sellers` they see only those."""
    n = number()
    user = User(
        workspace_id=workspace.id,
        role=Role(role),
        name=name or f"Person {n}",
        email=(email or f"person{n}@company.example").lower(),
        password_hash=_password_hash(password),
        is_limited_to_sellers=sellers is not None,
        **values,
    )
    user.sellers = sellers or []
    return _kept(user)


def make_actor(user: User, address: str = "127.0.0.1") -> Actor:
    """Return `user` as services know them."""
    return Actor.of_user(user, address)


def make_seller(workspace: Workspace, name: str | None = None, **values: Any) -> Seller:
    """Return a new seller."""
    return _kept(Seller(workspace_id=workspace.id, name=name or f"Seller {number()}", **values))


def make_sku(seller: Seller, sku_code: str | None = None, name: str | None = None) -> Sku:
    """Return a new SKU of `seller`."""
    code = sku_code or f"SKU-{number()}"
    return _kept(Sku(workspace_id=seller.workspace_id, seller_id=seller.id, sku_code=code, name=name or f"Item {code}"))


def make_hub(workspace: Workspace, code: str | None = None, name: str | None = None, **values: Any) -> Hub:
    """Return a new active hub; by default in India."""
    code = code or f"HUB{number()}"
    values = {"country_code": "IN", "time_zone": "Asia/Kolkata", **values}
    return _kept(Hub(workspace_id=workspace.id, code=code, name=name or f"{code} Warehouse", **values))


def make_store(
    seller: Seller,
    status: StoreStatus | str = StoreStatus.CONNECTED,
    *,
    name: str | None = None,
    country_code: str = "IN",
    refresh_token: str | None = None,
    **values: Any,
) -> Store:
    """Return a new store; one that is or was connected has an account, one that is connected a refresh token too."""
    n, now, status = number(), clock.now(), StoreStatus(status)
    marketplace_id, currency = MARKETPLACES[country_code]
    if status is not StoreStatus.DRAFT:
        values = {
            "amazon_selling_partner_id": f"A{n:013d}",
            "authorized_at": now,
            "authorization_expires_at": now + timedelta(days=365),
            "connected_at": now,
            **values,
        }
    if status is StoreStatus.NEEDS_REAUTHORIZATION:
        values = {"reauthorization_reason": "Amazon refused the token: invalid_grant", **values}
    if status is StoreStatus.DISCONNECTED:
        values = {"disconnected_at": now, **values}
    if status in {StoreStatus.CONNECTED, StoreStatus.NEEDS_REAUTHORIZATION}:
        values = {"refresh_token_encrypted": vault.encrypt(refresh_token or f"Atzr|refresh-{n}"), **values}
    return _kept(
        Store(
            workspace_id=seller.workspace_id,
            seller_id=seller.id,
            name=name or f"Store {n}",
            country_code=country_code,
            marketplace_id=marketplace_id,
            currency=currency,
            status=status,
            **values,
        )
    )


def make_mapping(store: Store, hub: Hub, seller_flex_hub_id: str | None = None, **values: Any) -> HubMapping:
    """Return a new mapping of `hub` to a Seller Flex Hub ID (four characters unless given)."""
    location = seller_flex_hub_id or f"Z{number():03d}"
    return _kept(HubMapping(store_id=store.id, hub_id=hub.id, seller_flex_hub_id=location, **values))


def make_order(
    store: Store,
    state: OrderState | str = OrderState.NEW,
    *,
    hub: Hub | None = None,
    n_lines: int = 1,
    buyer: str | None = None,
    hold_reason: HoldReason | None = None,
    **values: Any,
) -> Order:
    """Return a new order of `n_lines` lines, one unit at 499.00 each; On Hold ones have a reason. `buyer` is JSON."""
    n, now, state = number(), clock.now(), OrderState(state)
    is_held = state is OrderState.ON_HOLD
    defaults: dict[str, Any] = {
        "amazon_shipment_id": f"SHIP{n:010d}",
        "amazon_order_id": f"403-{n:07d}-{n:07d}",
        "seller_flex_hub_id": "ZZZZ" if is_held else "PNQ1",
        "hub_id": hub.id if hub else None,
        "acknowledgement": Acknowledgement.NOT_YET if is_held else Acknowledgement.DONE,
        "acknowledged_at": None if is_held else now,
        "amazon_status": "ACCEPTED" if is_held else "CONFIRMED",
        "amazon_created_at": now,
        "amazon_updated_at": now,
        "placed_at": now,
        "ship_by_at": now + timedelta(days=1),
        "n_units": n_lines,
        "n_lines": n_lines,
        "total": Decimal("499.00") * n_lines,
        "currency": store.currency,
        "buyer_encrypted": vault.encrypt(buyer) if buyer is not None else None,
    }
    order = Order(workspace_id=store.workspace_id, store_id=store.id, state=state, **{**defaults, **values})
    order.lines = [
        OrderLine(
            amazon_line_id=str(line),
            sku_code=f"SKU-{n}-{line}",
            n_units=1,
            item_total=Decimal("499.00"),
            total=Decimal("499.00"),
            currency=store.currency,
        )
        for line in range(1, n_lines + 1)
    ]
    if is_held or hold_reason:
        reason = hold_reason or HoldReason.NO_HUB_MAPPED
        detail = f"No hub has the Seller Flex Hub ID {order.seller_flex_hub_id}."
        order.holds = [OrderHold(workspace_id=store.workspace_id, reason=reason, detail=detail)]
    return _kept(order)


def make_run(
    store: Store,
    state: RunState | str = RunState.SUCCEEDED,
    *,
    sync: Sync = Sync.ORDER_PULL,
    trigger: Trigger | str = Trigger.SCHEDULE,
    slot_at: datetime | None = None,
    **values: Any,
) -> SyncRun:
    """Return a new run; a finished one took a minute and ended now, a manual one has no slot."""
    now, state, trigger = clock.now(), RunState(state), Trigger(trigger)
    if slot_at is None and trigger is not Trigger.MANUAL:
        # Two minutes apart: a minute that ends between two calls must not give both the same slot.
        slot_at = now.replace(second=0, microsecond=0) - timedelta(minutes=2 * number())
    if state not in {RunState.QUEUED, RunState.SKIPPED}:
        values = {"started_at": now - timedelta(minutes=1), "n_attempts": 1, **values}
    if state not in {RunState.QUEUED, RunState.RUNNING}:
        values = {"finished_at": now, **values}
    if state is RunState.FAILED:
        values = {"error_code": "unavailable", "error_sentence": "Amazon did not answer.", **values}
    return _kept(
        SyncRun(
            workspace_id=store.workspace_id,
            store_id=store.id,
            sync=sync,
            trigger=trigger,
            slot_at=slot_at,
            state=state,
            **values,
        )
    )


@lru_cache
def _password_hash(password: str) -> str:
    return passwords.hash_password(password)


def _kept(row: Any) -> Any:
    db.session.add(row)
    db.session.commit()
    return row

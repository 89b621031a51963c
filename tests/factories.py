"""Rows for tests: plain functions that commit what they make and return it. Call them inside an app context."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import count
from typing import Any

from sqlalchemy import select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, settings, vault
from flexdash.models import (
    Acknowledgement,
    Alarm,
    AlarmKind,
    AlarmMessage,
    AmazonReturn,
    ApiCall,
    BatchAction,
    CallOutcome,
    Channel,
    ConfigEvent,
    Difference,
    DifferenceKind,
    DocumentKind,
    HoldReason,
    Hub,
    HubMapping,
    ItemOutcome,
    Listing,
    MessageEvent,
    MessageState,
    Order,
    OrderConflict,
    OrderDocument,
    OrderHold,
    OrderLine,
    OrderState,
    OrderStep,
    Recovery,
    RecoveryItem,
    RecoveryOutcome,
    Role,
    RunState,
    Section,
    Seller,
    Severity,
    Sku,
    StepKind,
    StepState,
    StockCause,
    StockLevel,
    StockMode,
    StockMovement,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncRunItem,
    SyncState,
    Trigger,
    Upload,
    UploadKind,
    UploadState,
    User,
    WorkBatch,
    WorkBatchItem,
    Workspace,
    ZeroBrake,
)
from flexdash.services import config_log, passwords, workspaces
from flexdash.services.actors import Actor
from flexdash.services.syncs import FACTS

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


def make_listing(store: Store, sku_code: str | None = None, asin: str | None = None, **values: Any) -> Listing:
    """Return a new entry of the store's catalog, without a price unless given."""
    return _kept(_listing(sku_code, asin, workspace_id=store.workspace_id, store_id=store.id, **values))


def _listing(sku_code: str | None = None, asin: str | None = None, **values: Any) -> Listing:
    n = number()
    code = sku_code or f"SKU-{n}"
    return Listing(sku_code=code, **{"name": f"Item {code}", "asin": asin or f"B0{n:08d}", **values})


def make_stock(seller: Seller, hub: Hub, sku_code: str, on_hand: int = 10, reserved: int = 0) -> StockLevel:
    """Return a new stock level, without a ledger row."""
    return _kept(
        StockLevel(
            workspace_id=seller.workspace_id,
            hub_id=hub.id,
            seller_id=seller.id,
            sku_code=sku_code,
            on_hand=on_hand,
            reserved=reserved,
        )
    )


def make_sellable(store: Store, hub: Hub, *sku_codes: str, on_hand: int = 1_000_000) -> list[StockLevel]:
    """Let the store sell the SKUs from `hub`: a catalog entry where there is none, and stock with a ledger row."""
    wanted = dict.fromkeys(sku_codes)
    own, store_id = {"workspace_id": store.workspace_id}, store.id
    place = {**own, "seller_id": store.seller_id, "hub_id": hub.id}
    with _writing():
        has = select(Listing.sku_code).where(Listing.store_id == store_id, Listing.sku_code.in_(wanted))
        listed = set(db.session.scalars(has))
        levels = [StockLevel(**place, sku_code=code, on_hand=on_hand, reserved=0) for code in wanted]
        db.session.add_all(_listing(sku_code=code, store_id=store_id, **own) for code in wanted if code not in listed)
        db.session.add_all(levels)
        db.session.flush()
        db.session.add_all(
            StockMovement(
                **own,
                stock_level_id=level.id,
                cause=StockCause.UPLOAD,
                on_hand_change=on_hand,
                reserved_change=0,
                on_hand_after=on_hand,
                reserved_after=0,
            )
            for level in levels
        )
    return levels


def make_run_item(run: SyncRun, outcome: ItemOutcome = ItemOutcome.REFUSED, **values: Any) -> SyncRunItem:
    """Return something that a run lists: what Amazon refused, unless told otherwise."""
    return _kept(SyncRunItem(run_id=run.id, outcome=outcome, **{"reason": "INVALID_SKU", **values}))


def make_zero_brake(store: Store, n_to_zero: int = 8, n_published: int = 9, **values: Any) -> ZeroBrake:
    """Return a new push of zeros that waits for a person."""
    own = {"workspace_id": store.workspace_id, "store_id": store.id}
    return _kept(ZeroBrake(**own, n_to_zero=n_to_zero, n_published=n_published, **values))


def make_upload(place: Store | Seller, state: UploadState | str = UploadState.CHECKED, **values: Any) -> Upload:
    """Return a new upload without file and rows: of a store's catalog, or of a seller's stock."""
    store = place if isinstance(place, Store) else None
    given = {
        "kind": UploadKind.CATALOG if store else UploadKind.STOCK,
        "stock_mode": None if store else StockMode.SET,
        "file_name": "autumn.csv",
        "n_bytes": 1_000,
        "sha256": f"{number():064d}",
        "uploaded_by_name": "Asha",
    }
    owner = {"seller_id": store.seller_id, "store_id": store.id} if store else {"seller_id": place.id}
    return _kept(Upload(workspace_id=place.workspace_id, state=UploadState(state), **{**owner, **given, **values}))


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


def make_workable(hub: Hub, *orders: Order) -> None:
    """Let the stores of `orders` list what was ordered, and `hub` have plenty of it."""
    for order in orders:
        make_sellable(order.store, hub, *(line.sku_code for line in order.lines))


def make_return(
    store: Store, amazon_status: str = "IN_TRANSIT", *, order: Order | None = None, **values: Any
) -> AmazonReturn:
    """Return a new return of one unit, linked to `order` and naming it when one is given."""
    n, now = number(), clock.now()
    defaults: dict[str, Any] = {
        "amazon_return_id": f"RET{n:010d}",
        "order_id": order.id if order else None,
        "amazon_shipment_id": order.amazon_shipment_id if order else f"SHIP{n:010d}",
        "amazon_order_id": order.amazon_order_id if order else f"403-{n:07d}-{n:07d}",
        "return_type": "CUSTOMER",
        "return_sub_type": "NORMAL",
        "sku_code": f"SKU-{n}",
        "n_units": 1,
        "reason": "CR-DEFECTIVE",
        "rma_id": f"RMA{n:07d}",
        "return_location_id": "PNQ1",
        "fulfillment_location_id": "PNQ1",
        "carrier": "ATS",
        "tracking_id": f"REV{n:010d}",
        "amazon_created_at": now,
        "amazon_updated_at": now,
    }
    return _kept(
        AmazonReturn(
            workspace_id=store.workspace_id, store_id=store.id, amazon_status=amazon_status, **{**defaults, **values}
        )
    )


def make_step(
    order: Order, kind: StepKind | str, state: StepState | str = StepState.WAITING, **values: Any
) -> OrderStep:
    """Return a new step of what is done at Amazon for the order."""
    return _kept(
        OrderStep(
            workspace_id=order.workspace_id,
            store_id=order.store_id,
            order_id=order.id,
            kind=StepKind(kind),
            state=StepState(state),
            **values,
        )
    )


def make_document(
    order: Order, kind: DocumentKind | str = DocumentKind.LABEL, content: bytes = b"%PDF-1.4 label", **values: Any
) -> OrderDocument:
    """Return a new document of the order, encrypted as all are."""
    return _kept(
        OrderDocument(
            workspace_id=order.workspace_id,
            order_id=order.id,
            kind=DocumentKind(kind),
            content_type="application/pdf",
            n_bytes=len(content),
            content_encrypted=vault.encrypt_bytes(content),
            **values,
        )
    )


def make_conflict(order: Order, event: str = "cancelled on Amazon", **values: Any) -> OrderConflict:
    """Return a new open conflict of the order."""
    order.has_conflict = True
    sentence = f"Amazon cancelled it, but here it is {order.state} already."
    values = {"sentence": sentence, **values}
    return _kept(OrderConflict(workspace_id=order.workspace_id, order_id=order.id, event=event, **values))


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
    if state is RunState.QUEUED and "queued_at" in values:
        values = {"heartbeat_at": values["queued_at"], **values}
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


def make_sync_state(
    store: Store, sync: Sync = Sync.ORDER_PULL, *, minutes_since_good: float = 5, **values: Any
) -> SyncState:
    """Return where a sync of the store stands: its last good run so long ago, the next due in a moment."""
    now = clock.now()
    last_success_at = now - timedelta(minutes=minutes_since_good)
    allowed = FACTS[sync].silence_allowed(settings)
    given = {
        "next_due_at": now + timedelta(minutes=1),
        "on_since": now - timedelta(days=9),
        "last_success_at": last_success_at,
        "fresh_until": last_success_at + allowed if allowed else None,
    }
    return _kept(SyncState(workspace_id=store.workspace_id, store_id=store.id, sync=sync, **given | values))


def make_call(
    store: Store, outcome: CallOutcome | str = CallOutcome.SUCCESS, *, run: SyncRun | None = None, **values: Any
) -> ApiCall:
    """Return a new call to Amazon, made now; by `run`, where one is given."""
    n, outcome = number(), CallOutcome(outcome)
    status = {"success": 200, "refused": 400, "throttled": 429, "fault": 503, "no_answer": None}[outcome]
    defaults: dict[str, Any] = {
        "run_id": run.id if run else None,
        "started_at": clock.now(),
        "operation": "getShipments",
        "method": "GET",
        "path": "/externalFulfillment/2024-09-11/shipments",
        "status": status,
        "is_throttled": outcome is CallOutcome.THROTTLED,
        "duration_ms": 231,
        "amazon_request_id": f"request-{n}",
    }
    own = {"workspace_id": store.workspace_id, "store_id": store.id}
    return _kept(ApiCall(outcome=outcome, **own, **{**defaults, **values}))


def make_batch(order: Order, user: User, action: BatchAction = BatchAction.PACK) -> WorkBatch:
    """Return a new batch of one order, asked for by `user`."""
    batch = _kept(
        WorkBatch(
            workspace_id=order.workspace_id,
            action=action,
            asked_by_id=user.id,
            asked_by_name=user.name,
            n_items=1,
        )
    )
    _kept(WorkBatchItem(batch_id=batch.id, order_id=order.id))
    return batch


def make_config_event(
    store: Store, sentence: str = "Asha turned Order Sync on", section: Section = Section.SETTINGS, **values: Any
) -> ConfigEvent:
    """Return a new row of the Configuration Log: of a toggle of the store, unless told otherwise."""
    values = {"old": {"is_order_sync_on": False}, "new": {"is_order_sync_on": True}, **values}
    with transaction():
        return config_log.record(Actor.system(store.workspace_id), section, sentence, store=store, **values)


def make_alarm(
    place: Store | Workspace,
    kind: AlarmKind | str = AlarmKind.ORDER_SYNC_STALE,
    subject: str | None = None,
    **values: Any,
) -> Alarm:
    """Return a new open alarm: of a store, or of the whole workspace."""
    store = place if isinstance(place, Store) else None
    defaults: dict[str, Any] = {
        "workspace_id": store.workspace_id if store else place.id,
        "store_id": store.id if store else None,
        "severity": Severity.CRITICAL.value,
        "sentence": f"{store.name if store else 'FlexDash'}: something is wrong.",
        "path": f"/stores/{store.id}" if store else "",
    }
    return _kept(Alarm(kind=AlarmKind(kind), subject=subject or f"test:{number()}", **{**defaults, **values}))


def make_alarm_message(
    workspace: Workspace, state: MessageState | str = MessageState.SENT, **values: Any
) -> AlarmMessage:
    """Return a new message about an alarm; a sent one ended now."""
    state = MessageState(state)
    alarm = {"label": "Order Sync stale", "store": {"id": 1, "name": "Pune Store"}}
    defaults: dict[str, Any] = {
        "channel": Channel.EMAIL,
        "recipient": "asha@company.example",
        "event": MessageEvent.OPENED,
        "delivery_id": f"{number():032d}",
        "content": {"workspace": {"id": workspace.id, "name": workspace.name}, "n_alarms": 1, "alarms": [alarm]},
        "ended_at": None if state is MessageState.WAITING else clock.now(),
    }
    return _kept(AlarmMessage(workspace_id=workspace.id, state=state, **{**defaults, **values}))


def make_difference(
    store: Store, kind: DifferenceKind = DifferenceKind.MISSING_HERE, subject: str | None = None, **values: Any
) -> Difference:
    """Return a new open difference, seen by a run of its own."""
    run = make_run(store, sync=Sync.RECONCILE)
    values = {"there": "Confirmed (ACCEPTED) at EXSB", "run_id": run.id, **values}
    own = {"workspace_id": store.workspace_id, "store_id": store.id}
    return _kept(Difference(**own, kind=kind, subject=subject or f"SHIP{number():010d}", **values))


def make_recovery(
    store: Store,
    outcomes: dict[str, RecoveryOutcome | None] | None = None,
    *,
    run: SyncRun | None = None,
    **values: Any,
) -> Recovery:
    """Return a new recovery of ids, with what became of each; finished, unless some were not looked at yet."""
    found = {"SB1234567": None} if outcomes is None else outcomes
    is_finished = None not in found.values()
    state = RunState.SUCCEEDED if is_finished else RunState.QUEUED
    run = run or make_run(store, state, sync=Sync.ORDER_RECOVERY, trigger=Trigger.MANUAL)
    values = {
        "asked_by_name": "Asha",
        "n_ids": len(found),
        "finished_at": clock.now() if is_finished else None,
        **values,
    }
    recovery = _kept(Recovery(workspace_id=store.workspace_id, store_id=store.id, run_id=run.id, **values))
    for amazon_id, outcome in found.items():
        _kept(RecoveryItem(recovery_id=recovery.id, amazon_id=amazon_id, outcome=outcome))
    return recovery


@lru_cache
def _password_hash(password: str) -> str:
    return passwords.hash_password(password)


@contextmanager
def _writing() -> Iterator[None]:
    session = db.session()
    # What a test has in hand stays as it was read: else each row made would have all rows before it read once more.
    session.expire_on_commit = False
    try:
        # From a fresh state: on SQLite what was read before a worker wrote could not be written from.
        session.commit()
        session.connection(execution_options={"sqlite_begin": "IMMEDIATE"})
        yield
        session.commit()
    finally:
        session.expire_on_commit = True


def _kept(row: Any) -> Any:
    with _writing():
        db.session.add(row)
    return row

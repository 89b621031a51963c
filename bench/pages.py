"""Every list page with a million rows behind it, beside the same page with a thousand."""

import contextvars
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Boolean, DateTime, Engine, Integer, event, func, select, text
from werkzeug.test import TestResponse

from bench import ground
from bench.results import Figure, percentile
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    AccessEvent,
    Alarm,
    AlarmMessage,
    AmazonReturn,
    ApiCall,
    ConfigEvent,
    ItemFate,
    Listing,
    Order,
    OrderConflict,
    OrderEvent,
    OrderHold,
    OrderLine,
    OrderStep,
    PublishedStock,
    QuarantinedShipment,
    StockLevel,
    StockMovement,
    Store,
    SyncRun,
    SyncState,
    Upload,
    WorkBatch,
    WorkBatchItem,
    Workspace,
)
from flexdash.models.types import JsonValue, UtcDateTime
from flexdash.services import run_sheets
from tests import factories

FEW = 1_000
MANY = int(os.environ.get("BENCH_ROWS", "1000000"))
N_REQUESTS = 60
WANTED_MS = 60
WANTED_RATIO = 1.5

PAGES = {
    "orders, newest first": "/orders",
    "orders, by state": "/orders?state=New+Order",
    "orders, by hold reason": "/orders?hold=no_hub_mapped",
    "orders, most urgent first": "/orders?sort=deadline",
    "orders, overdue": "/orders?deadline=overdue&sort=deadline",
    "orders, by store": "/orders?store={store}",
    "orders, by hub": "/orders?hub={hub}",
    "orders, search by Amazon id": "/orders?q=403-0000500",
    "orders, search by SKU": "/orders?q=SKU-7",
    "orders, needing a retry": "/orders?needs=step",
    "orders, in conflict": "/orders?needs=conflict",
    "orders, to be cancelled on Amazon": "/orders?needs=cancellation",
    "orders, acknowledgement refused": "/orders?needs=acknowledgement",
    "orders, acknowledgement refused, of a store": "/orders?needs=acknowledgement&store={store}",
    "orders, in conflict, of a store, most urgent first": "/orders?needs=conflict&store={store}&sort=deadline",
    "shipments to fix": "/orders/to-fix",
    "invoices to do": "/orders/invoices",
    "conflicts": "/orders/conflicts",
    "quarantine": "/orders/quarantine",
    "actions on many orders": "/orders/batches",
    "one action on many orders": "/orders/batches/500",
    "returns": "/returns",
    "returns, by status": "/returns?status=CREATED",
    "returns, search by order": "/returns?q=403-0000500-0000001",
    "uploads": "/uploads",
    "alarms": "/alarms",
    "alarms, past ones": "/alarms?show=past",
    "messages about alarms": "/alarms/messages",
    "sync runs": "/sync-runs",
    "sync runs, failed": "/sync-runs?state=failed",
    "sync runs, of one sync": "/sync-runs?sync=order_pull",
    "sync runs, started by hand": "/sync-runs?trigger=manual",
    "one run of 50,000 items": "/sync-runs/{run}",
    "one run, searched for an item": "/sync-runs/{run}/search?q=SKU-0049999",
    "one run, its outcomes": "/sync-runs/{run}/outcomes",
    "API log": "/api-log",
    "API log, by store": "/api-log?store={store}",
    "API log, by operation": "/api-log?operation=processShipment",
    "API log, refused": "/api-log?outcome=refused",
    "API log, refused calls of an operation": "/api-log?operation=processShipment&outcome=refused",
    "API log, of days": "/api-log?from=2020-01-01",
    "API log, search by shipment": "/api-log?q=D500",
    "API log, search by request id": "/api-log?q=r-500",
    "Configuration Log": "/configuration-log",
    "Configuration Log, by section": "/configuration-log?section=Hubs",
    "Configuration Log, of all days by a person with no rows": "/configuration-log?from=2000-01-01&person=flexdash",
    "one row of the Configuration Log": "/configuration-log/500",
    "reverting a row, asked first": "/configuration-log/500/revert",
    "access log": "/access-log",
    "access log, by kind": "/access-log?kind=Export",
    "access log, of all days by a person with no rows": "/access-log?from=2000-01-01&person=flexdash",
    "stock": "/stock",
    "stock, by seller": "/stock?seller={seller}",
    "stock, by hub": "/stock?hub={other_hub}",
    "stock, by hub and seller": "/stock?hub={other_hub}&seller={seller}",
    "stock, none left": "/stock?only=none_left",
    "stock, none left in a hub": "/stock?only=none_left&hub={hub}",
    "stock, without a listing": "/stock?only=not_listed",
    "stock, search by SKU": "/stock?q=sku-00001",
    "stock of one SKU, with its ledger": "/stock/{level}",
    "catalog of a store": "/stores/{store}/catalog",
    "catalog, search by SKU": "/stores/{store}/catalog?q=SKU-00001",
    "catalog, search by ASIN": "/stores/{store}/catalog?q=B000000250",
    "catalog, search by barcode": "/stores/{store}/catalog?q=890250",
    "catalog, search that finds nothing": "/stores/{store}/catalog?q=zzz",
    "catalog, stock refused": "/stores/{store}/catalog?only=error",
    "catalog, without a price": "/stores/{store}/catalog?only=no_price",
    "catalog, price refused": "/stores/{store}/catalog?only=refused_price",
    "one listing": "/stores/{store}/catalog/250",
    "prices of a store": "/stores/{store}/prices",
    "prices, refused": "/stores/{store}/prices?state=refused",
    "inventory of a store": "/stores/{store}/inventory",
    "inventory, where ours and Amazon's differ": "/stores/{store}/inventory?only=differs",
    "inventory, where Amazon shows more": "/stores/{store}/inventory?only=oversell",
    "inventory, refused": "/stores/{store}/inventory?only=refused",
    "inventory, never sent": "/stores/{store}/inventory?only=never_sent",
    "inventory, without a listing": "/stores/{store}/inventory?only=no_listing",
    "inventory, search by SKU": "/stores/{store}/inventory?q=SKU-00001",
    "store settings": "/stores/{store}/settings",
    "store overview": "/stores/{store}",
}
# The dashboards, each opened by a person of another role: (role, whose stores).
DASHBOARDS = {
    "dashboard of a merchant": ("merchant", "few"),
    "dashboard of support": ("support", "few"),
    "dashboard of an admin": ("admin", "few"),
    "dashboard of a merchant, a store to each hundred rows": ("merchant", "many"),
    "dashboard of support, a store to each hundred rows": ("support", "many"),
    "dashboard of an admin, a store to each hundred rows": ("admin", "many"),
}
LEAST_STORES = 50


@dataclass(frozen=True)
class Ground:
    """A database with its app: by a page's name, what asks for it, and the engine that it asks."""

    asks: dict[str, Callable[[], TestResponse]]
    engine: Engine


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table: one per page and database."""
    for database in ground.databases():
        with _ground(database, FEW) as few, _ground(database, MANY) as many:
            for page in few.asks:
                (p95_few, queries_few), (p95_many, queries_many) = _in_turns(page, few, many)
                same = (
                    "same number of queries"
                    if queries_few == queries_many
                    else f"{queries_few} → {queries_many} queries"
                )
                yield Figure(
                    f"page “{page}” with {MANY:,} rows",
                    database,
                    f"p95 {p95_many:.1f} ms, {same}",
                    f"p95 ≤ {WANTED_MS} ms, ≤ {WANTED_RATIO} ×",
                    f"{FEW:,} rows: p95 {p95_few:.1f} ms",
                    f"{p95_many / p95_few:.2f} ×",
                )


@contextmanager
def _ground(database: str, n_rows: int) -> Iterator[Ground]:
    with ground.app_on(database, sign_in_attempts="1000 per minute") as app:
        places = _fill(n_rows)
        workspaces = {"few": places["workspace"], "many": _fill_stores(max(LEAST_STORES, n_rows // 100))}
        _tidy_up()
        client = _signed_in(app, places["email"])
        asks = {name: partial(_alone, client.get, url.format(**places)) for name, url in PAGES.items()}
        for name, (role, whose) in DASHBOARDS.items():
            person = factories.make_user(workspaces[whose], role)
            asks[name] = partial(_alone, _signed_in(app, person.email).get, "/")
        db.session.rollback()
        yield Ground(asks, db.engine)


def _in_turns(page: str, *grounds: Ground) -> list[tuple[float, int]]:
    """Return p95 in ms and the number of queries of the page on each ground.

    They are asked in turns, so that what else the machine does meets all of them.
    """
    times: list[list[float]] = [[] for _ in grounds]
    n_queries: list[list[int]] = [[] for _ in grounds]
    for _ in range(N_REQUESTS + 3):
        for one, own_times, own_queries in zip(grounds, times, n_queries, strict=True):
            asked = []
            note = partial(_note, asked)
            event.listen(one.engine, "before_cursor_execute", note)
            began = time.perf_counter()
            response = one.asks[page]()
            own_times.append((time.perf_counter() - began) * 1000)
            event.remove(one.engine, "before_cursor_execute", note)
            own_queries.append(len(asked))
            assert response.status_code == 200, (page, response.status_code)
    # What most of them took: once a minute one of them notes besides that the session is in use.
    return [
        (percentile(own[3:], 0.95), statistics.mode(queries[3:])) for own, queries in zip(times, n_queries, strict=True)
    ]


def _note(asked: list[int], *_: Any) -> None:
    asked.append(1)


def _alone(ask: Callable[..., TestResponse], url: str, **values: Any) -> TestResponse:
    """Make a request in a context of its own, as a server does: else each would be that of the first who signed in."""
    return contextvars.Context().run(ask, url, **values)


def _signed_in(app: Flask, email: str) -> FlaskClient:
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    answer = _alone(client.post, "/sign-in", data={"email": email, "password": factories.PASSWORD})
    assert answer.status_code == 303, answer.status_code
    return client


def _fill(n_rows: int) -> dict[str, Any]:
    """Make a workspace with `n_rows` orders, lines, timeline entries, runs and log rows; made inside the database."""
    workspace = factories.make_workspace()
    user = factories.make_user(workspace, "admin")
    hub, other_hub = factories.make_hub(workspace), factories.make_hub(workspace)
    store = factories.make_store(factories.make_seller(workspace), is_order_sync_on=True)
    mapping = factories.make_mapping(store, hub)
    places = {"store": store.id, "seller": store.seller_id, "hub": hub.id, "other_hub": other_hub.id, "level": 1}
    places |= {"email": user.email, "workspace": workspace}
    own = {"workspace_id": str(workspace.id), "store_id": str(store.id)}
    # Shares large enough that each filter fills a page with a thousand rows too: the pages compared look the same.
    state = (
        "CASE WHEN i % 19 = 0 THEN 'On Hold' WHEN i % 15 = 0 THEN 'New Order' "
        "WHEN i % 31 = 0 THEN 'Cancelled' ELSE 'Delivered' END"
    )
    _insert(
        Order,
        n_rows,
        own
        | {
            "id": "i",
            "hub_id": str(hub.id),
            "amazon_shipment_id": "'D' || i",
            "amazon_order_id": _padded("403-", 7) + " || '-0000001'",
            "seller_flex_hub_id": "'EXSB'",
            "state": state,
            "stock": "CASE WHEN i % 15 = 0 THEN 'reserved' ELSE 'none' END",
            "acknowledgement": "CASE WHEN i % 15 = 0 THEN 'refused' ELSE 'done' END",
            "cancellation": "'none'",
            "amazon_status": "'CONFIRMED'",
            "ship_by_at": _moment("n.i - 500"),
            "imported_at": _moment("-60 * n.i"),
            "total": _amount("499.00"),
            "currency": "'INR'",
            "n_units": "1",
            "n_lines": "1",
            "is_invoice_waiting": "i % 17 = 0",
        },
    )
    _insert(OrderLine, n_rows, {"order_id": "i", "sku_code": "'SKU-' || (i % 15)", "n_units": "1"})
    _insert(OrderEvent, n_rows, {"order_id": "i", "kind": "'imported'", "actor_name": "'FlexDash'"})
    held = own | {"order_id": "i * 19", "reason": "'no_hub_mapped'"}
    del held["store_id"]
    _insert(OrderHold, n_rows // 19, held)
    _fill_to_dos(n_rows, own, user.id)
    run_state = "CASE WHEN i % 15 = 0 THEN 'failed' ELSE 'succeeded' END"
    _insert(
        SyncRun,
        n_rows,
        own
        | {
            "sync": "'order_pull'",
            "trigger": "CASE WHEN i % 17 = 0 THEN 'manual' ELSE 'schedule' END",
            "state": run_state,
            "slot_at": _moment("-1800 * n.i"),
            "queued_at": _moment("-1800 * n.i"),
            "started_at": _moment("-1800 * n.i"),
            "finished_at": _moment("-1800 * n.i + 20"),
        },
    )
    section = "CASE WHEN i % 15 = 0 THEN 'Hubs' ELSE 'Settings' END"
    log_row = own | {
        "store_id": f"CASE WHEN i % 10 = 0 AND i < 10000 THEN {store.id} END",  # a thousand changes of one store
        "sequence": "i",
        "section": section,
        "actor_id": str(user.id),
        "actor_name": "'Asha'",
        "old_value": _json('{"is_order_sync_on": false}'),
        "new_value": _json('{"is_order_sync_on": true}'),
        "sentence": "'Asha turned Order Sync on for Pune Store.'",
        "occurred_at": _moment("-60 * n.i"),
    }
    _insert(ConfigEvent, n_rows, log_row)
    access_row = own | {
        "kind": "CASE WHEN i % 15 = 0 THEN 'Export' ELSE 'Signed in' END",
        "actor_id": str(user.id),
        "actor_name": "'Asha'",
        "sentence": "'Asha signed in'",
        "occurred_at": _moment("-60 * n.i"),
    }
    _insert(AccessEvent, n_rows, access_row)
    _fill_stock(n_rows // 2, own, places, mapping.seller_flex_hub_id)
    places["run"] = db.session.scalar(select(func.min(SyncRun.id)).where(SyncRun.store_id == store.id))
    _fill_calls(n_rows, own, places["run"])
    return places


def _tidy_up() -> None:
    """Do what happens by itself soon after so many rows came in, and would else be measured with the first pages.

    PostgreSQL counts its tables, SQLite brings its log into the file, and the system writes both to the disk.
    """
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)" if _is_sqlite() else "VACUUM (ANALYZE)"))
    os.sync()


def _fill_to_dos(n_rows: int, own: dict[str, str], user_id: int) -> None:
    """Make what waits for people and what they did about it: a share of it open, the rest its history."""
    workspace = {"workspace_id": own["workspace_id"]}
    one_in_fifteen = "CASE WHEN i % 15 = 0 THEN NULL ELSE {} END".format
    step_state = "CASE WHEN i % 15 = 0 THEN 'failed' ELSE 'done' END"
    _insert(OrderStep, n_rows, own | {"order_id": "i", "kind": "'ship'", "state": step_state})
    conflict = {"order_id": "i", "event": "'cancelled on Amazon'", "sentence": "'Amazon cancelled it.'"}
    _insert(OrderConflict, n_rows, workspace | conflict | {"closed_at": one_in_fifteen(_moment("0"))})
    shipment = {"amazon_shipment_id": "'Q' || i", "resolved_at": one_in_fifteen(_moment("0"))}
    _insert(QuarantinedShipment, n_rows, own | shipment)
    batch = {"action": "'pick'", "state": "'done'", "asked_by_id": str(user_id), "asked_by_name": "'Asha'"}
    n_actions = max(1_000, n_rows // 100)  # of people: an action or a file to each hundred orders
    _insert(WorkBatch, n_actions, workspace | batch | {"id": "i", "n_items": "1", "n_done": "1"})
    _insert(WorkBatchItem, n_actions, {"batch_id": "i", "order_id": "i", "is_done": "true"})
    status = "CASE WHEN i % 15 = 0 THEN 'CREATED' ELSE 'PROCESSED' END"
    returned = {"order_id": "i", "amazon_return_id": "'R' || i", "amazon_status": status, "sku_code": "'SKU-7'"}
    returned |= {"amazon_order_id": _padded("403-", 7) + " || '-0000001'"}
    _insert(AmazonReturn, n_rows, own | returned)
    upload = {"kind": "'catalog'", "state": "'applied'", "file_name": "'catalog.csv'", "seller_id": "{seller}"}
    upload["seller_id"] = f"(SELECT seller_id FROM stores WHERE id = {own['store_id']})"
    _insert(Upload, n_actions, own | upload | {"uploaded_by_name": "'Asha'"})
    alarm = {"kind": "'conflicts'", "subject": "'store:' || i", "severity": "1", "sentence": "'1 conflict.'"}
    _insert(Alarm, n_rows, own | alarm | {"id": "i", "cleared_at": one_in_fifteen(_moment("0"))})
    message = {"channel": "'email'", "event": "'opened'", "state": "'sent'", "delivery_id": "'m-' || i"}
    message |= {"recipient": "'asha@example.com'", "content": _json('{"n_alarms": 2}'), "ended_at": _moment("0")}
    _insert(AlarmMessage, n_rows, workspace | message)


def _fill_stores(n_stores: int) -> Workspace:
    """Make a workspace with `n_stores` stores, both syncs of each on, and a run of each."""
    workspace = factories.make_workspace()
    seller = factories.make_seller(workspace)
    first = factories.make_store(seller)
    own = {"workspace_id": str(workspace.id)}
    store = own | {
        "id": f"{first.id} + i",
        "seller_id": str(seller.id),
        "name": "'Store ' || i",
        "status": "'connected'",
        "country_code": "'IN'",
        "marketplace_id": "'A21TJRUUN4KGV'",
        "currency": "'INR'",
        "is_order_sync_on": "true",
        "is_inventory_sync_on": "true",
        "amazon_selling_partner_id": "'A' || i",
        "authorized_at": _moment("-86400 * 30"),
        "authorization_expires_at": _moment("86400 * 300"),
    }
    _insert(Store, n_stores, store)
    for sync, allowed in (("order_pull", 2_700), ("inventory_push", 5_400)):
        of_store = own | {"store_id": f"{first.id} + i", "sync": f"'{sync}'"}
        age = f"n.i * 7919 % {allowed + 600}"  # a few are stale
        state = {"last_success_at": _moment(f"-({age})"), "fresh_until": _moment(f"{allowed} - ({age})")}
        _insert(SyncState, n_stores, of_store | state | {"next_due_at": _moment("600"), "on_since": _moment("-864000")})
        run = {"trigger": "'schedule'", "state": "'succeeded'", "n_api_calls": "1"}
        times = dict.fromkeys(("slot_at", "queued_at", "started_at", "finished_at"), _moment(f"-({age})"))
        _insert(SyncRun, n_stores, of_store | run | times)
    return workspace


def _fill_calls(n_rows: int, own: dict[str, str], run_id: int) -> None:
    """Make `n_rows` calls to Amazon, one in fifteen refused, and what became of 50,000 items of one run."""
    _insert(
        ApiCall,
        n_rows,
        own
        | {
            "run_id": f"{run_id} + i % 1000",
            "amazon_shipment_id": "'D' || i",
            "started_at": _moment("-n.i"),
            "operation": "CASE WHEN i % 3 = 0 THEN 'processShipment' ELSE 'getShipments' END",
            "outcome": "CASE WHEN i % 15 = 0 THEN 'refused' WHEN i % 20 = 0 THEN 'throttled' ELSE 'success' END",
            "status": "CASE WHEN i % 15 = 0 THEN 400 ELSE 200 END",
            "amazon_request_id": "'r-' || i",
            "attempt": "1",
        },
    )
    with transaction():
        items = (run_sheets.Item(ItemFate.SENT, f"SKU-{n:07d}", place="EXSB", words="5 units") for n in range(50_000))
        run_sheets.keep(run_id, items)


def _fill_stock(n_rows: int, own: dict[str, str], places: dict[str, Any], location: str) -> None:
    """Make `n_rows` SKUs with stock and ledger, all but a seventh of them listed, each told to Amazon."""
    workspace = {"workspace_id": own["workspace_id"]}
    code = _padded("SKU-", 7)
    level = workspace | {
        "id": "i",
        "seller_id": str(places["seller"]),
        "hub_id": f"CASE WHEN i % 7 = 3 THEN {places['other_hub']} ELSE {places['hub']} END",
        "sku_code": code,
        "on_hand": "CASE WHEN i % 7 = 0 THEN 0 ELSE 10 END",
        "reserved": "CASE WHEN i = 1 THEN 7 ELSE 0 END",
    }
    _insert(StockLevel, n_rows, level)
    listed = f"CASE WHEN i % 7 = 1 THEN 'UNKNOWN-' || i ELSE {code} END"
    asin = _padded("B00", 7)
    price = {
        "price": f"CASE WHEN i % 8 <> 0 THEN {_amount('499.00')} END",
        "price_state": "CASE WHEN i % 8 = 0 THEN 'none' WHEN i % 9 = 0 THEN 'refused' ELSE 'applied' END",
        "price_changed_at": _moment("0"),
        "price_sent_at": _moment("0"),
        "version": "1",
    }
    item = {"sku_code": listed, "asin": asin, "name": "'Item ' || i", "barcode": "'890' || i"}
    _insert(Listing, n_rows, own | price | item)
    state = "CASE WHEN i % 15 = 0 THEN 'refused' ELSE 'accepted' END"
    told = {"seller_flex_hub_id": f"'{location}'", "sku_code": code, "quantity": "10", "sent_quantity": "10"}
    _insert(PublishedStock, n_rows, own | told | {"state": state, "accepted_at": _moment("0")})
    row = workspace | {
        "stock_level_id": "1",
        "cause": "CASE WHEN i % 7 = 0 THEN 'reservation' ELSE 'edit' END",
        "order_id": "CASE WHEN i % 7 = 0 THEN i END",
        "on_hand_after": "10",
        "reserved_after": "7",
        "actor_name": "'FlexDash'",
    }
    _insert(StockMovement, n_rows, row)


def _insert(model: type[db.Model], n_rows: int, values: dict[str, str]) -> None:
    """Insert `n_rows` rows with each column's SQL from `values` (over i = 1, 2, …), else something harmless."""
    table = model.__table__
    columns = {
        column.name: values.get(column.name) or _harmless(column.type)
        for column in table.columns
        if column.name in values or not (column.nullable or column.primary_key)
    }
    names = ", ".join(f'"{name}"' for name in columns)
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n_rows}) "
    source = f"SELECT {', '.join(columns.values())} FROM n"
    insert = f"INSERT INTO {table.name} ({names}) "
    statement = insert + numbers + source if _is_sqlite() else numbers + insert + source
    db.session.connection().exec_driver_sql(statement.replace("%", "%%") if not _is_sqlite() else statement)
    if not _is_sqlite():
        newest = f"SELECT max(id) FROM {table.name}"
        db.session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), ({newest}))"))
    db.session.commit()


def _harmless(kind: Any) -> str:
    if isinstance(kind, Boolean):
        return "false"
    if isinstance(kind, Integer):
        return "0"
    if isinstance(kind, UtcDateTime | DateTime):
        return _moment("0")
    if kind is JsonValue:
        return _json("{}")
    return "''"


def _json(text: str) -> str:
    return f"'{text}'" if _is_sqlite() else f"CAST('{text}' AS jsonb)"


def _moment(seconds: str) -> str:
    """Return SQL for now and `seconds` (an SQL expression)."""
    if _is_sqlite():
        return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', ({seconds}) || ' seconds')"
    return f"now() + ({seconds}) * interval '1 second'"


def _amount(number: str) -> str:
    """Return SQL for an amount."""
    return f"'{number}'" if _is_sqlite() else number


def _padded(before: str, width: int) -> str:
    return (
        f"'{before}' || substr('0000000' || i, -{width})"
        if _is_sqlite()
        else f"'{before}' || lpad(CAST(i AS text), {width}, '0')"
    )


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"

"""Every list page with a million rows behind it, beside the same page with a thousand."""

import os
import time
from collections.abc import Iterator
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Boolean, DateTime, Integer, event, text

from bench import ground
from bench.results import Figure, percentile
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Order, OrderEvent, OrderHold, OrderLine, SyncRun
from flexdash.models.types import JsonValue, UtcDateTime
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
    "sync runs": "/sync-runs",
    "sync runs, failed": "/sync-runs?state=failed",
    "Configuration Log": "/configuration-log",
    "Configuration Log, by section": "/configuration-log?section=Hubs",
    "Configuration Log, of all days by a person with no rows": "/configuration-log?from=2000-01-01&person=flexdash",
    "store settings": "/stores/{store}/settings",
    "store overview": "/stores/{store}",
    "home": "/",
}


def figures() -> Iterator[Figure]:
    """Measure and yield the lines of the table: one per page and database."""
    for database in ground.databases():
        few, many = _measure(database, FEW), _measure(database, MANY)
        for page in PAGES:
            (p95_few, queries_few), (p95_many, queries_many) = few[page], many[page]
            same = (
                "same number of queries" if queries_few == queries_many else f"{queries_few} → {queries_many} queries"
            )
            yield Figure(
                f"page “{page}” with {MANY:,} rows",
                database,
                f"p95 {p95_many:.1f} ms, {same}",
                f"p95 ≤ {WANTED_MS} ms, ≤ {WANTED_RATIO} ×",
                f"{FEW:,} rows: p95 {p95_few:.1f} ms",
                f"{p95_many / p95_few:.2f} ×",
            )


def _measure(database: str, n_rows: int) -> dict[str, tuple[float, int]]:
    """Return p95 in ms and the number of queries of each page."""
    with ground.app_on(database, sign_in_attempts="1000 per minute") as app:
        places = _fill(n_rows)
        client = app.test_client()
        _sign_in(app, client, places["email"])
        return {name: _page(app, client, url.format(**places)) for name, url in PAGES.items()}


def _page(app: Flask, client: FlaskClient, url: str) -> tuple[float, int]:
    n_queries = 0

    def counted(*_: Any) -> None:
        nonlocal n_queries
        n_queries += 1

    db.session.rollback()
    event.listen(db.engine, "before_cursor_execute", counted)
    times = []
    try:
        for _ in range(N_REQUESTS + 3):
            n_queries = 0
            began = time.perf_counter()
            response = client.get(url)
            times.append((time.perf_counter() - began) * 1000)
            assert response.status_code == 200, (url, response.status_code)
    finally:
        event.remove(db.engine, "before_cursor_execute", counted)
    return percentile(times[3:], 0.95), n_queries


def _sign_in(app: Flask, client: FlaskClient, email: str) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    answer = client.post("/sign-in", data={"email": email, "password": factories.PASSWORD})
    assert answer.status_code == 303, answer.status_code


def _fill(n_rows: int) -> dict[str, Any]:
    """Make a workspace with `n_rows` orders, lines, timeline entries, runs and log rows; made inside the database."""
    workspace = factories.make_workspace()
    user = factories.make_user(workspace, "admin")
    hub = factories.make_hub(workspace)
    store = factories.make_store(factories.make_seller(workspace), is_order_sync_on=True)
    factories.make_mapping(store, hub)
    places = {"store": store.id, "hub": hub.id, "email": user.email}
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
            "acknowledgement": "'done'",
            "amazon_status": "'CONFIRMED'",
            "ship_by_at": _moment("n.i - 500"),
            "total": "'499.00'" if _is_sqlite() else "499.00",
            "currency": "'INR'",
            "n_units": "1",
            "n_lines": "1",
        },
    )
    _insert(OrderLine, n_rows, {"order_id": "i", "sku_code": "'SKU-' || (i % 15)", "n_units": "1"})
    _insert(OrderEvent, n_rows, {"order_id": "i", "kind": "'imported'", "actor_name": "'FlexDash'"})
    held = own | {"order_id": "i * 19", "reason": "'no_hub_mapped'"}
    del held["store_id"]
    _insert(OrderHold, n_rows // 19, held)
    run_state = "CASE WHEN i % 15 = 0 THEN 'failed' ELSE 'succeeded' END"
    _insert(
        SyncRun,
        n_rows,
        own
        | {
            "sync": "'order_pull'",
            "trigger": "'schedule'",
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
        "new_value": _json('{"is_order_sync_on": true}'),
        "sentence": "'Asha turned Order Sync on for Pune Store.'",
        "occurred_at": _moment("-60 * n.i"),
    }
    _insert(ConfigEvent, n_rows, log_row)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    return places


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
        db.session.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {n_rows + 1})"))
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


def _padded(before: str, width: int) -> str:
    return (
        f"'{before}' || substr('0000000' || i, -{width})"
        if _is_sqlite()
        else f"'{before}' || lpad(CAST(i AS text), {width}, '0')"
    )


def _is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"

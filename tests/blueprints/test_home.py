"""The home page: each store in plain words, what needs a person, and the way in for a new workspace."""

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    BrakeState,
    HoldReason,
    OrderState,
    PriceState,
    PublishedStock,
    PushState,
    Role,
    RunState,
    Store,
    StoreStatus,
    Sync,
    Upload,
    UploadKind,
    UploadState,
    User,
    Workspace,
    ZeroBrake,
)
from flexdash.services import store_needs, store_summaries
from tests.factories import (
    make_hub,
    make_listing,
    make_mapping,
    make_order,
    make_run,
    make_seller,
    make_stock,
    make_store,
    make_user,
    make_workspace,
)

SignedIn = Callable[[User], FlaskClient]


@pytest.fixture
def workspace(app: Flask) -> Workspace:
    return make_workspace()


def page_for(
    signed_in: SignedIn, workspace: Workspace, role: Role = Role.MERCHANT, at: str = "/", **values: object
) -> str:
    return signed_in(make_user(workspace, role, **values)).get(at).text


def working_store(workspace: Workspace, name: str = "Pune Store") -> Store:
    """A store that lacks nothing."""
    seller, hub = make_seller(workspace), make_hub(workspace)
    store = make_store(seller, name=name, is_order_sync_on=True)
    make_mapping(store, hub)
    make_listing(store, "TEE")
    make_stock(seller, hub, "TEE")
    return store


def test_a_stranger_is_asked_to_sign_in(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 302
    assert "/sign-in" in answer.location


def test_a_new_workspace_is_led_to_the_wizard(workspace: Workspace, signed_in: SignedIn) -> None:
    seller = make_seller(workspace)
    html = page_for(signed_in, workspace)
    assert "Welcome to FlexDash" in html
    assert f'href="/apps/amazon-seller-flex/new?seller={seller.id}">Connect your first store' in html


def test_with_several_sellers_the_choice_comes_first(workspace: Workspace, signed_in: SignedIn) -> None:
    make_seller(workspace)
    make_seller(workspace)
    assert 'href="/apps/amazon-seller-flex">Connect your first store' in page_for(signed_in, workspace)


def test_without_a_seller_an_admin_is_sent_to_add_one_and_others_to_an_admin(
    workspace: Workspace, signed_in: SignedIn
) -> None:
    assert "Add a seller first" in page_for(signed_in, workspace, Role.ADMIN)
    html = page_for(signed_in, workspace)
    assert "Connect your first store" not in html
    assert "An admin of your workspace makes sellers" in html


def test_support_is_told_who_connects(workspace: Workspace, signed_in: SignedIn) -> None:
    make_seller(workspace)
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "A merchant or an admin of your workspace can connect one" in html
    assert "Connect your first store" not in html


def test_a_store_that_works_says_so(workspace: Workspace, signed_in: SignedIn) -> None:
    store = working_store(workspace)
    make_run(store)
    html = page_for(signed_in, workspace)
    assert f'href="/stores/{store.id}">Pune Store</a>' in html
    assert "All is well: nothing here needs a person." in html
    assert "Nothing needs a person." in html
    assert ">Healthy</span>" in html
    assert "India" in html


def test_what_is_missing_is_named_with_the_link_that_mends_it(workspace: Workspace, signed_in: SignedIn) -> None:
    store = make_store(make_seller(workspace), authorization_expires_at=clock.now() + timedelta(days=9, hours=23))
    make_order(store, OrderState.ON_HOLD)
    make_order(store, OrderState.ON_HOLD)
    html = page_for(signed_in, workspace)
    assert "1 store needs a person." in html
    assert f'href="/stores/{store.id}/hubs">Map a hub</a>' in html
    assert f'href="/stores/{store.id}/settings">Turn on Order Sync</a>' in html
    assert "2 orders On Hold</a>" in html
    assert "it ends in 10 days" in html


def test_support_sees_the_same_needs_without_what_they_may_not_do(workspace: Workspace, signed_in: SignedIn) -> None:
    store = make_store(make_seller(workspace), StoreStatus.NEEDS_REAUTHORIZATION)
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "A merchant or an admin can re-authorize it." in html
    assert "Amazon refused the token: invalid_grant" in html
    assert f"/stores/{store.id}/reconnect" not in html
    assert "Add Store" not in html


def test_a_failed_run_is_shown_with_its_sentence(workspace: Workspace, signed_in: SignedIn) -> None:
    run = make_run(working_store(workspace), RunState.FAILED)
    html = page_for(signed_in, workspace)
    assert f'href="/sync-runs/{run.id}">Look at the last Order Sync run</a>' in html
    assert "Amazon did not answer." in html


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (StoreStatus.DRAFT, "Finish connecting it to Amazon"),
        (StoreStatus.NEEDS_REAUTHORIZATION, "Re-authorize it at Amazon"),
        (StoreStatus.DISCONNECTED, "Nothing is sent or fetched."),
    ],
)
def test_every_state_of_a_store_has_its_words(
    workspace: Workspace, signed_in: SignedIn, status: StoreStatus, words: str
) -> None:
    make_store(make_seller(workspace), status)
    assert words in page_for(signed_in, workspace)


def test_other_workspaces_and_other_sellers_stores_are_not_shown(workspace: Workspace, signed_in: SignedIn) -> None:
    mine, other = make_seller(workspace), make_seller(workspace)
    make_store(mine, name="Mine")
    make_store(other, name="Colleague's")
    make_store(make_seller(make_workspace()), name="Stranger's")
    html = page_for(signed_in, workspace, sellers=[mine])
    assert "Mine" in html
    assert "Colleague" not in html
    assert "Stranger" not in html
    assert "Stranger" not in page_for(signed_in, workspace, Role.ADMIN)


def kept(row):
    """`row`, committed."""
    db.session.add(row)
    db.session.commit()
    return row


def make_upload(store: Store, state: UploadState, kind: UploadKind = UploadKind.CATALOG, **values: object) -> Upload:
    return kept(
        Upload(
            workspace_id=store.workspace_id,
            seller_id=store.seller_id,
            store_id=None if kind is UploadKind.STOCK else store.id,
            kind=kind,
            file_name=f"{kind}.csv",
            n_bytes=1,
            sha256="",
            state=state,
            uploaded_by_name="Ravi",
            **values,
        )
    )


def text_of(html: str) -> str:
    """The words of a page, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_store_without_catalog_or_stock_is_led_to_them(workspace: Workspace, signed_in: SignedIn) -> None:
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    make_mapping(store, make_hub(workspace))
    html = page_for(signed_in, workspace)
    assert f'href="/stores/{store.id}/catalog">Upload the catalog</a>' in html
    assert f'href="/uploads/new?kind=stock&amp;seller={store.seller_id}">Add stock</a>' in html
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "There is no catalog" in html
    assert "/uploads/new" not in html


def test_orders_on_hold_are_counted_by_reason_each_with_its_list(workspace: Workspace, signed_in: SignedIn) -> None:
    store, other = working_store(workspace), working_store(workspace, "Other Store")
    for reason in (HoldReason.NO_ASIN, HoldReason.NO_ASIN, HoldReason.NOT_ENOUGH_STOCK):
        make_order(store, OrderState.ON_HOLD, hold_reason=reason)
    make_order(other, OrderState.ON_HOLD, hold_reason=HoldReason.HUB_INACTIVE)
    html = page_for(signed_in, workspace)
    assert "3 orders On Hold" in html
    assert "No ASIN : 2 Not enough stock : 1" in text_of(html)
    assert f"/orders?store={store.id}&amp;state=On+Hold&amp;hold=no_asin" in html
    assert "Hub inactive : 1" in text_of(html)


def test_what_amazon_refused_is_counted_with_the_list_that_says_why(workspace: Workspace, signed_in: SignedIn) -> None:
    store = working_store(workspace)
    for n, state in enumerate((PushState.REFUSED, PushState.REFUSED, PushState.ACCEPTED)):
        kept(
            PublishedStock(
                workspace_id=workspace.id, store_id=store.id, seller_flex_hub_id="EXSB", sku_code=f"S{n}", state=state
            )
        )
    make_listing(store, price=Decimal("5.00"), price_state=PriceState.REFUSED)
    make_listing(store, price=Decimal("5.00"), price_state=PriceState.APPLIED)
    for role in (Role.MERCHANT, Role.SUPPORT):
        html = page_for(signed_in, workspace, role)
        refused = f'<a href="/stores/{store.id}/catalog?only=error">2 quantities refused by Amazon</a>'
        assert f"{refused}: Amazon did not take them." in html
        assert f'href="/stores/{store.id}/prices?state=refused">1 price refused by Amazon</a>' in html


def test_a_push_that_waits_for_a_person_says_so(workspace: Workspace, signed_in: SignedIn) -> None:
    store = working_store(workspace)
    brake = kept(ZeroBrake(workspace_id=workspace.id, store_id=store.id, n_to_zero=50, n_published=60))
    line = f'href="/stores/{store.id}/inventory/zeros/{brake.id}">50 quantities would go to zero on Amazon</a>'
    for address in ("/", f"/stores/{store.id}"):  # in the same words on both pages
        for role, who in ((Role.MERCHANT, "you look"), (Role.SUPPORT, "a merchant or an admin looks")):
            page = page_for(signed_in, workspace, role, address)
            assert line in page
            assert f"so nothing is sent until {who} at the list" in text_of(page)
    brake.state, brake.decided_at, brake.decided_by_name = BrakeState.DECLINED, clock.now(), "Ravi"
    db.session.commit()
    assert "Ravi declined it, so no stock is sent" in text_of(page_for(signed_in, workspace))
    brake.state = BrakeState.OVER
    db.session.commit()
    assert "would go to zero" not in page_for(signed_in, workspace)


def test_a_failed_inventory_run_is_shown_with_its_sentence(workspace: Workspace, signed_in: SignedIn) -> None:
    store = working_store(workspace)
    store.is_inventory_sync_on = True
    run = make_run(store, RunState.FAILED, sync=Sync.INVENTORY_PUSH)
    html = page_for(signed_in, workspace)
    assert f'href="/sync-runs/{run.id}">Look at the last Inventory Sync run</a>' in html


def test_an_upload_that_waits_is_shown_until_a_newer_one_is_applied(workspace: Workspace, signed_in: SignedIn) -> None:
    store = working_store(workspace)
    checked = make_upload(store, UploadState.CHECKED)
    refused = make_upload(store, UploadState.REFUSED, UploadKind.STOCK, error_sentence="This is a <b>spreadsheet</b>.")
    make_upload(store, UploadState.REFUSED, UploadKind.PRICES, uploaded_at=clock.now() - timedelta(days=8))
    html = page_for(signed_in, workspace)
    assert f'href="/uploads/{checked.id}">Catalog of Pune Store: catalog.csv</a>' in html
    assert f'href="/uploads/{refused.id}">Stock of {store.seller.name}: stock.csv</a>' in html
    assert "This is a &lt;b&gt;spreadsheet&lt;/b&gt;." in html
    assert "prices.csv" not in html
    assert "2 uploads wait for a person." in html
    assert "a merchant or an admin decides" in page_for(signed_in, workspace, Role.SUPPORT)
    make_upload(store, UploadState.APPLIED)
    make_upload(store, UploadState.APPLIED, UploadKind.STOCK)
    assert "Uploads that wait" not in page_for(signed_in, workspace)


def test_other_peoples_uploads_are_not_shown(workspace: Workspace, signed_in: SignedIn) -> None:
    make_upload(working_store(workspace), UploadState.CHECKED)
    assert "catalog.csv" not in page_for(signed_in, workspace, sellers=[make_seller(workspace)])
    assert "catalog.csv" not in page_for(signed_in, make_workspace())


def test_more_stores_than_fit_go_on_the_next_page(workspace: Workspace, signed_in: SignedIn) -> None:
    seller = make_seller(workspace)
    for n in range(13):
        make_store(seller, name=f"Store {n:02d}")
    html = page_for(signed_in, workspace)
    assert "Store 11" in html
    assert "Store 12" not in html
    assert "Next page" in html
    assert "12 stores need a person on this page." in html


def test_counting_stops_where_more_says_enough(workspace: Workspace, signed_in: SignedIn, monkeypatch) -> None:
    monkeypatch.setattr(store_needs, "MOST_COUNTED", 2)
    store = working_store(workspace)
    for _ in range(5):
        make_order(store, OrderState.ON_HOLD)
    [summary] = store_summaries.of([store])
    assert summary.counts.n_held == 3
    assert summary.counts.held == ((HoldReason.NO_HUB_MAPPED, 2),)
    assert "More than 2 orders On Hold" in page_for(signed_in, workspace)


@pytest.mark.parametrize(
    ("words", "index", "n_statements"),
    [
        ("state = 'On Hold'", "ix_orders_on_hold", 2),
        ("cancellation = 'not_sent'", "ix_orders_open_cancellations_of_store", 1),
        ("acknowledgement = 'refused'", "ix_orders_acknowledgement_refused", 1),
        ("orders.has_conflict", "ix_orders_has_conflict_of_store", 1),
        ("order_steps.state = 'waiting'", "ix_order_steps_waiting", 1),
        ("order_steps.state = 'failed'", "ix_order_steps_failed_of_store", 1),
        ("orders.is_invoice_waiting", "ix_orders_invoice_waiting_of_store", 1),
        ("differences.closed_at IS NULL", "ix_differences_open", 1),
        ("published_stock.state = 'refused'", "ix_published_stock_refused", 1),
        ("price_state = 'refused'", "ix_listings_price_refused", 1),
    ],
)
def test_what_waits_is_counted_from_its_index(
    app: Flask, workspace: Workspace, words: str, index: str, n_statements: int
) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the statement's plan is asked in SQLite's words")
    statements: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement: str, values: object, *_rest: object) -> None:
        statements.append((statement, values))

    stores = [working_store(workspace), working_store(workspace)]
    for store in stores:
        make_order(store, OrderState.ON_HOLD)
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        store_summaries.of(stores)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    counting = [found for found in statements if words in found[0]]
    assert len(counting) == n_statements
    for statement, values in counting:
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
        assert sum(f"INDEX {index}" in step.detail for step in plan) >= 1


def test_the_last_run_of_each_sync_is_found_by_an_index(app: Flask, workspace: Workspace) -> None:
    """A store whose orders were pulled for years and whose stock was never pushed is shown as quickly as another."""
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the statement's plan is asked in SQLite's words")
    statements: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement: str, values: object, *_rest: object) -> None:
        statements.append((statement, values))

    store = working_store(workspace)
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        store_summaries.of([store])
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    newest = [found for found in statements if "ORDER BY sync_runs.sync DESC, sync_runs.id DESC" in found[0]]
    assert len(newest) == 1
    statement, values = newest[0]
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    steps = [step.detail for step in plan]
    assert (
        sum("INDEX ix_sync_runs_store_id_sync_id (store_id=? AND sync=?)" in step for step in steps) == 12
    )  # the newest and the first of each sync
    assert not any("TEMP B-TREE" in step for step in steps)  # nothing is sorted

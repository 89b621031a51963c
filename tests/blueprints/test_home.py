"""The home page: each store in plain words, what needs a person, and the way in for a new workspace."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import OrderState, Role, RunState, Store, StoreStatus, User, Workspace
from flexdash.services import store_summaries
from tests.factories import (
    make_hub,
    make_mapping,
    make_order,
    make_run,
    make_seller,
    make_store,
    make_user,
    make_workspace,
)

SignedIn = Callable[[User], FlaskClient]


@pytest.fixture
def workspace(app: Flask) -> Workspace:
    return make_workspace()


def page_for(signed_in: SignedIn, workspace: Workspace, role: Role = Role.MERCHANT, **values: object) -> str:
    return signed_in(make_user(workspace, role, **values)).get("/").text


def working_store(workspace: Workspace, name: str = "Pune Store") -> Store:
    """A store that lacks nothing."""
    store = make_store(make_seller(workspace), name=name, is_order_sync_on=True)
    make_mapping(store, make_hub(workspace))
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
    monkeypatch.setattr(store_summaries, "MOST_COUNTED", 2)
    store = working_store(workspace)
    for _ in range(5):
        make_order(store, OrderState.ON_HOLD)
    [summary] = store_summaries.of([store])
    assert summary.n_held == 3
    assert "More than 2 orders On Hold" in page_for(signed_in, workspace)


def test_held_orders_are_counted_from_their_index(app: Flask, workspace: Workspace) -> None:
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
    [(counting, values)] = [found for found in statements if "On Hold" in found[0]]
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {counting}", values).all()
    assert any("INDEX ix_orders_on_hold" in step.detail for step in plan)

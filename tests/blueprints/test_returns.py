"""The pages of returns: the list with its filters, one return, and the order's page they belong to."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from flexdash import clock
from flexdash.amazon.return_statuses import RETURN_STATUS_TABLE
from flexdash.extensions import db
from flexdash.models import AmazonReturn, ItemOutcome, QuarantinedReturn, Role, RunState, Sync, SyncRun, SyncRunItem
from tests import factories


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store", is_order_sync_on=True)


@pytest.fixture
def merchant(workspace, signed_in):
    return signed_in(factories.make_user(workspace, Role.MERCHANT))


@pytest.fixture
def queries(app):
    """Counts the statements sent to the database."""
    seen = []

    def note(conn, cursor, statement, parameters, context, executemany):
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield seen
    event.remove(db.engine, "before_cursor_execute", note)


def shown(answer, *items):
    """Return which of `items` the page links to."""
    assert answer.status_code == 200
    return [item for item in items if f'href="/returns/{item.id}"' in answer.text]


def test_an_empty_list_says_where_returns_come_from(merchant, store):
    text = merchant.get("/returns").text
    assert "No return has come in yet" in text
    assert "every 60 minutes" in text


def test_the_list_shows_the_newest_first_with_order_hub_and_words(merchant, store, workspace):
    hub = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_mapping(store, hub, "PNQ1")
    order = factories.make_order(store, "Delivered")
    first = factories.make_return(store, "IN_TRANSIT", order=order)
    second = factories.make_return(store, "WAITING_FOR_DRONE", return_location_id="ZZZZ", n_units=None, sku_code="")
    text = merchant.get("/returns").text
    assert text.index(f"/returns/{second.id}") < text.index(f"/returns/{first.id}")
    for words in ("In transit", f'href="/orders/{order.id}"', "Pune Warehouse", "CR-DEFECTIVE", first.sku_code):
        assert words in text
    for words in ("Waiting for drone", "No hub: ZZZZ", "Not here"):
        assert words in text


@pytest.mark.parametrize("entry", RETURN_STATUS_TABLE, ids=lambda entry: entry.status)
def test_the_list_narrows_to_any_status(merchant, store, entry):
    wanted = factories.make_return(store, entry.status)
    other = factories.make_return(store, "REPLANNED" if entry.status != "REPLANNED" else "CREATED")
    assert shown(merchant.get(f"/returns?status={entry.status}"), wanted, other) == [wanted]


def test_the_list_narrows_to_a_store_and_offers_to_fetch_its_returns(merchant, store):
    other = factories.make_store(store.seller, name="Other Store")
    mine, theirs = factories.make_return(store), factories.make_return(other)
    answer = merchant.get(f"/returns?store={store.id}")
    assert shown(answer, mine, theirs) == [mine]
    assert "Fetch this store" in answer.text
    assert "Fetch this store" not in merchant.get("/returns").text
    merchant.post(f"/stores/{store.id}/sync-now", data={"sync": "return_pull"})
    run = db.session.scalars(db.select(SyncRun)).one()
    assert (run.sync, run.state, run.store_id) == (Sync.RETURN_PULL, RunState.QUEUED, store.id)


@pytest.mark.parametrize(
    "column", ["amazon_return_id", "amazon_shipment_id", "amazon_order_id", "tracking_id", "sku_code"]
)
def test_a_whole_id_or_sku_finds_its_returns(merchant, store, column):
    wanted, other = factories.make_return(store), factories.make_return(store)
    sought = getattr(wanted, column)
    assert shown(merchant.get("/returns", query_string={"q": f" {sought} "}), wanted, other) == [wanted]
    assert shown(merchant.get("/returns", query_string={"q": sought[:-1]}), wanted, other) == []


@pytest.mark.parametrize("query", ["status=NEW", "store=999999", "store=abc", "sort=up", "page=abc", "q=%27%3B--"])
def test_what_is_no_choice_narrows_nothing_and_breaks_nothing(merchant, store, query):
    wanted = factories.make_return(store)
    answer = merchant.get(f"/returns?{query}")
    assert answer.status_code == 200
    assert bool(shown(answer, wanted)) is not query.startswith("q=")


def test_pages_go_on_and_back_and_keep_the_filters(merchant, store):
    rows = [factories.make_return(store, "DELIVERED") for _ in range(51)]
    factories.make_return(store, "CREATED")
    first = merchant.get("/returns?status=DELIVERED")
    assert len(shown(first, *rows)) == 50
    address = first.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "status=DELIVERED" in address
    second = merchant.get(f"/returns{address}")
    assert shown(second, *rows) == rows[:1]
    assert 'rel="prev"' in second.text
    assert shown(merchant.get("/returns?status=DELIVERED&sort=oldest"), *rows) == rows[:50]


def test_the_number_of_queries_does_not_grow_with_the_list(merchant, store, queries, workspace):
    factories.make_mapping(store, factories.make_hub(workspace), "PNQ1")
    factories.make_return(store)
    merchant.get("/returns")
    queries.clear()
    merchant.get("/returns")
    n_with_one = len(queries)
    for _ in range(40):
        factories.make_return(store, order=factories.make_order(store, "Delivered"))
    queries.clear()
    merchant.get("/returns")
    assert len(queries) == n_with_one


def test_the_statements_of_the_list_are_served_by_indexes(merchant, store, queries):
    wanted = factories.make_return(store)
    if db.engine.dialect.name != "sqlite":
        pytest.skip("the plan of a table with few rows says nothing on PostgreSQL")
    for query in ("", f"?store={store.id}", "?status=CREATED", f"?q={wanted.sku_code}", f"?q={wanted.tracking_id}"):
        with db.engine.connect() as connection:
            seen = []

            def note(conn, cursor, statement, parameters, context, executemany, seen=seen):
                if "FROM amazon_returns" in statement and "LIMIT" in statement:
                    seen.append((statement, parameters))

            event.listen(db.engine, "before_cursor_execute", note)
            merchant.get(f"/returns{query}")
            event.remove(db.engine, "before_cursor_execute", note)
            assert seen
            for statement, parameters in seen:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                steps = " | ".join(row[-1] for row in plan)
                assert "SCAN amazon_returns" not in steps, (query, steps)
                assert "TEMP B-TREE" not in steps or "q=REV" in query, (query, steps)


def test_unreadable_returns_are_named_above_the_list_until_they_can_be_read(merchant, store):
    row = QuarantinedReturn(
        workspace_id=store.workspace_id,
        store_id=store.id,
        amazon_return_id="SR-BROKEN",
        error_sentence="It could not be read: it has no readable status.",
    )
    db.session.add(row)
    db.session.commit()
    text = merchant.get("/returns").text
    assert "SR-BROKEN" in text
    assert "no readable status" in text
    row.resolved_at = clock.now()
    db.session.commit()
    assert "SR-BROKEN" not in merchant.get("/returns").text


# One return -----------------------------------------------------------------------------------------------------------


def test_the_page_of_a_return_shows_all_that_is_kept(merchant, store, workspace):
    factories.make_mapping(store, factories.make_hub(workspace, name="Pune Warehouse"), "PNQ1")
    order = factories.make_order(store, "Delivered")
    now = clock.now()
    texts = {
        "channel_sku": "X00-CHANNEL",
        "invoice_id": "INV-77",
        "channel_shipment_id": "DmMarket1",
        "exchange_order_id": "6cb83006",
        "fulfillment_location_id": "BLR2",
        "amazon_merchant_id": "A1SELLER",
        "marketplace_name": "AMAZON_IN",
        "outbound_carrier": "Outbound Ltd",
        "outbound_tracking_id": "FWD1",
    }
    item = factories.make_return(
        store,
        "DELIVERED",
        order=order,
        return_sub_type="EXCHANGE",
        earlier_trackings=[["ATS", "REV-EARLIER"]],
        delivery_mode="WITH_OTP",
        otp_valid_until=now + timedelta(days=1),
        picked_up_at=now,
        delivered_at=now,
        **texts,
    )
    factories.make_sku(store.seller, item.sku_code, "Oak lamp")
    text = merchant.get(f"/returns/{item.id}").text
    kept = (item.amazon_return_id, item.sku_code, item.reason, item.rma_id, item.tracking_id, *texts.values())
    for words in (*kept, "DELIVERED", "Customer return, exchange", "Oak lamp", "REV-EARLIER with ATS"):
        assert words in text
    for words in ("Pune Warehouse", "No hub has this id", f'href="/orders/{order.id}"', "With a one-time password"):
        assert words in text
    assert "FlexDash does not keep it" in text


def test_a_return_of_which_little_is_known_has_its_page_too(merchant, store):
    item = AmazonReturn(
        workspace_id=store.workspace_id, store_id=store.id, amazon_return_id="R1", amazon_status="WAITING_FOR_DRONE"
    )
    db.session.add(item)
    db.session.commit()
    text = merchant.get(f"/returns/{item.id}").text
    assert "Waiting for drone" in text
    assert "Amazon does not say which order it belongs to." in text
    assert "One-time password" in text
    assert "Valid until" not in text


def test_a_return_without_its_order_says_that_it_waits_for_it(merchant, store):
    item = factories.make_return(store)
    assert "linked by itself" in merchant.get(f"/returns/{item.id}").text


def test_what_a_buyer_wrote_runs_nowhere(merchant, store):
    evil = "<svg onload=alert(1)>"
    order = factories.make_order(store, "Delivered")
    item = factories.make_return(store, evil, order=order, reason=evil, sku_code=evil, return_location_id=evil)
    for path in ("/returns", f"/returns/{item.id}", f"/orders/{order.id}"):
        answer = merchant.get(path)
        assert answer.status_code == 200
        assert evil not in answer.text


def test_nothing_can_be_sent_to_these_pages(merchant, store):
    item = factories.make_return(store)
    assert merchant.post("/returns").status_code == 405
    assert merchant.post(f"/returns/{item.id}").status_code == 405


def test_everybody_finds_returns_in_the_menu(workspace, signed_in, store):
    for role in Role:
        client = signed_in(factories.make_user(workspace, role))
        assert 'href="/returns"' in client.get("/").text
        assert 'href="/returns" aria-current="page"' in client.get("/returns").text


# The order's page -----------------------------------------------------------------------------------------------------


def test_an_orders_page_lists_its_returns_and_no_others(merchant, store):
    order, other = factories.make_order(store, "Delivered"), factories.make_order(store, "Delivered")
    mine = [factories.make_return(store, status, order=order) for status in ("IN_TRANSIT", "PROCESSED")]
    theirs = factories.make_return(store, order=other)
    text = merchant.get(f"/orders/{order.id}").text
    assert "Returns of this order" in text
    for item in mine:
        assert f'href="/returns/{item.id}"' in text
    assert f'href="/returns/{theirs.id}"' not in text
    assert "Processed" in text


def test_an_order_without_returns_does_not_speak_of_them(merchant, store):
    order = factories.make_order(store)
    assert "Returns of this order" not in merchant.get(f"/orders/{order.id}").text


# The run's page -------------------------------------------------------------------------------------------------------


def test_the_page_of_a_run_counts_returns_and_leads_to_what_could_not_be_read(merchant, store):
    run = factories.make_run(store, RunState.PARTIAL, sync=Sync.RETURN_PULL, n_created=3, n_failed=2)
    refused = {"run_id": run.id, "outcome": ItemOutcome.REFUSED, "remedy": "Look in Seller Central."}
    db.session.add(SyncRunItem(reason="Return SR-BROKEN: It could not be read.", **refused))
    db.session.add(
        SyncRunItem(reason="Amazon does not list the returns of ZZZZ.", seller_flex_hub_id="ZZZZ", **refused)
    )
    db.session.commit()
    text = merchant.get(f"/sync-runs/{run.id}").text
    for words in ("1 return", "SR-BROKEN", "1 location", "ZZZZ", "Look in Seller Central."):
        assert words in text
    assert "New returns" in text
    assert f'href="/returns?store={store.id}"' in text
    for words_of_orders in ("New orders", "Acknowledged", "/orders/quarantine", "1 SKU"):
        assert words_of_orders not in text

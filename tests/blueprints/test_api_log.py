"""The pages of the API log."""

import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from flexdash import clock
from flexdash.extensions import db
from tests import factories


@pytest.fixture
def store(workspace):
    return factories.make_store(factories.make_seller(workspace), name="Pune Store")


@pytest.fixture
def web(signed_in, workspace):
    return signed_in(factories.make_user(workspace, "support"))


def test_an_empty_log_says_how_the_first_call_is_made(web):
    assert "The first calls are made when a store is connected" in web.get("/api-log").text


def test_the_log_shows_each_call_with_amazons_request_id_and_how_long_it_is_kept(web, store):
    call = factories.make_call(store, "throttled", waited_ms=1204, attempt=3, error_message="The plan is used up")
    page = web.get("/api-log").text
    assert "Kept for 90 days" in page
    for words in (call.amazon_request_id, "Throttled", "429", "try 3", "1,204 ms", "Pune Store", "The plan is used up"):
        assert words in page
    assert f'href="/api-log/{call.id}"' in page


def test_filters_stand_in_the_address_and_narrow_the_list(web, store):
    kept = factories.make_call(store, "refused", operation="processShipment")
    others = [factories.make_call(store, "refused"), factories.make_call(store, operation="processShipment")]
    page = web.get(f"/api-log?store={store.id}&operation=processShipment&outcome=refused").text
    assert f'/api-log/{kept.id}"' in page
    assert not any(f'/api-log/{call.id}"' in page for call in others)


@pytest.mark.parametrize("query", ["store=x&operation=y&outcome=z", "from=rubbish", "page=rubbish", "q=" + "x" * 500])
def test_filters_that_cannot_be_read_break_nothing(web, store, query):
    factories.make_call(store)
    assert web.get(f"/api-log?{query}").status_code == 200


def test_an_id_that_no_call_is_about_is_answered_in_words(web, store):
    factories.make_call(store)
    assert "No call of the last 90 days is about that id" in web.get("/api-log?q=nothing").text


@pytest.mark.parametrize("sort", ["", "&sort=oldest"])
@pytest.mark.parametrize("by", ["operation=getShipments", "q=SB1"])
def test_the_log_pages_in_the_order_of_time(web, store, by, sort):
    now, about = clock.now(), {"amazon_shipment_id": "SB1"}
    calls = [factories.make_call(store, started_at=now - timedelta(seconds=n // 2), **about) for n in range(59, -1, -1)]
    calls.reverse()
    first = web.get(f"/api-log?{by}{sort}").text
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first).group(1))
    second = web.get(f"/api-log{following}").text
    back = html.unescape(re.search(r'rel="prev" href="([^"]+)"', second).group(1))
    assert re.findall(r'href="/api-log/(\d+)"', web.get(f"/api-log{back}").text) == re.findall(
        r'href="/api-log/(\d+)"', first
    )
    in_order = calls[::-1] if sort else calls
    shown = [int(found) for found in re.findall(r'href="/api-log/(\d+)"', first + second)]
    assert shown == [call.id for call in in_order]


def test_the_page_of_a_call_shows_what_was_sent_and_what_amazon_answered(web, store):
    order = factories.make_order(store)
    run = factories.make_run(store)
    call = factories.make_call(
        store,
        "refused",
        run=run,
        amazon_shipment_id=order.amazon_shipment_id,
        sent="operation=CONFIRM",
        answered='{"errors": [{"code": "SC_00002", "message": "<svg onload=alert(1)>"}]}',
        error_code="SC_00002",
        error_message="Amazon refused the request",
    )
    page = web.get(f"/api-log/{call.id}").text
    for words in ("operation=CONFIRM", "SC_00002", "&lt;svg", "same request would be refused again", "deleted"):
        assert words in page
    assert "<svg onload" not in page
    assert f'href="/sync-runs/{run.id}"' in page
    assert f'href="/orders/{order.id}"' in page


@pytest.mark.parametrize("outcome", ["success", "no_answer", "fault"])
def test_a_call_without_bodies_says_why_there_are_none(web, store, outcome):
    call = factories.make_call(store, outcome, operation="batchInventory")
    page = web.get(f"/api-log/{call.id}").text
    assert {"success": "not kept", "no_answer": "Nothing.", "fault": "Nothing that may be kept"}[outcome] in page


def test_runs_and_orders_lead_to_their_calls(web, store):
    order = factories.make_order(store)
    run = factories.make_run(store)
    call = factories.make_call(store, run=run, amazon_shipment_id=order.amazon_shipment_id)
    assert f'href="/api-log/{call.id}"' in web.get(f"/sync-runs/{run.id}").text
    page = web.get(f"/orders/{order.id}").text
    assert f'href="/api-log/{call.id}"' in page
    assert f"/api-log?q={order.amazon_shipment_id}" in page


@pytest.mark.parametrize("query", ["", "?outcome=refused", "?operation=getShipments&outcome=success"])
def test_the_number_of_queries_does_not_grow_with_the_rows(web, store, query):
    def n_queries() -> int:
        statements = []
        listen = lambda *args: statements.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listen)
        try:
            assert web.get(f"/api-log{query}").status_code == 200
        finally:
            event.remove(db.engine, "before_cursor_execute", listen)
        return len(statements)

    factories.make_call(store)
    factories.make_call(store, "refused")
    few = n_queries()
    for _ in range(20):
        factories.make_call(factories.make_store(store.seller))
        factories.make_call(store, "refused")
    assert n_queries() == few

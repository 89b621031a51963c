"""The pages of sync runs, and starting one by hand."""

import base64
import html
import json
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import redis
import time_machine
from sqlalchemy import event

from flexdash import clock
from flexdash.blueprints.sync import routes
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import (
    ApiCall,
    AttemptOutcome,
    ItemFate,
    ItemOutcome,
    OrderEvent,
    QuarantinedShipment,
    RunState,
    StoreStatus,
    Sync,
    SyncAttempt,
    SyncRun,
    Trigger,
)
from flexdash.services import quarantine, run_sheets
from tests.factories import (
    make_config_event,
    make_order,
    make_run,
    make_run_item,
    make_seller,
    make_store,
    make_sync_state,
    make_user,
    make_workspace,
)
from tests.support.web import words


@pytest.fixture
def workspace(app):
    return make_workspace()


@pytest.fixture
def store(workspace):
    return make_store(make_seller(workspace), name="Pune Store", is_order_sync_on=True)


@pytest.fixture
def web(signed_in, workspace):
    return signed_in(make_user(workspace, "merchant", name="Asha"))


def make_call(run, **values):
    call = ApiCall(
        workspace_id=run.workspace_id,
        store_id=run.store_id,
        run_id=run.id,
        started_at=clock.now(),
        operation="getShipments",
        method="GET",
        path="/externalFulfillment/2024-09-11/shipments",
        duration_ms=231,
        **{"status": 200, "amazon_request_id": "req-1", **values},
    )
    db.session.add(call)
    db.session.commit()
    return call


# The list ---------------------------------------------------------------------------------------------------------


def test_an_empty_list_says_how_the_first_run_comes(web, store):
    page = web.get("/sync-runs").text
    assert "No sync has run yet" in page


def test_the_list_shows_each_state_in_words(web, store):
    for state in (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.SKIPPED, RunState.RUNNING):
        make_run(store, state)
    page = web.get("/sync-runs").text
    for word in ("Healthy", "Partial", "Failed", "Skipped", "Running", "Pune Store", "1 min 0 s"):
        assert word in page


def test_filters_narrow_the_list_and_stand_in_the_address(web, workspace, store):
    other = make_store(make_seller(workspace), name="Delhi Store")
    kept = make_run(store, RunState.FAILED)
    left_out = [make_run(store), make_run(other, RunState.FAILED), make_run(store, RunState.FAILED, trigger="catch_up")]
    page = web.get(f"/sync-runs?store={store.id}&state=failed&trigger=schedule").text
    assert f'/sync-runs/{kept.id}"' in page
    assert not any(f'/sync-runs/{run.id}"' in page for run in left_out)


def test_the_list_can_be_narrowed_to_days_of_the_viewers_zone(web, store):
    run = make_run(store, queued_at=clock.now() - timedelta(days=10))
    today = make_run(store)
    day = (clock.now() - timedelta(days=10)).date()
    page = web.get(f"/sync-runs?from={day - timedelta(days=1)}&to={day + timedelta(days=1)}").text
    assert f'/sync-runs/{run.id}"' in page
    assert f'/sync-runs/{today.id}"' not in page


@pytest.mark.parametrize("days", ["", "&from=2026-01-01"])
def test_the_oldest_run_can_come_first_on_every_page(web, store, days):
    runs = [make_run(store) for _ in range(60)]
    first = web.get(f"/sync-runs?sort=oldest{days}").text
    assert [f'/sync-runs/{run.id}"' in first for run in runs] == [True] * 50 + [False] * 10
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first).group(1))
    assert "sort=oldest" in following
    second = web.get(f"/sync-runs{following}").text
    assert [f'/sync-runs/{run.id}"' in second for run in runs] == [False] * 50 + [True] * 10
    assert '<option selected value="oldest">' in second


@pytest.mark.parametrize("query", ["from=rubbish", "from=0001-01-01&to=9999-12-31", "store=x&state=y&trigger=z"])
def test_filters_that_cannot_be_read_break_nothing(web, store, query):
    make_run(store)
    assert web.get(f"/sync-runs?{query}").status_code == 200


def test_days_in_the_wrong_order_are_named(web, store):
    page = web.get("/sync-runs?from=2026-11-23&to=2026-11-22").text
    assert "There is a problem" in page
    assert "The last day is before the first" in page


def test_the_list_pages_by_key(web, store):
    runs = [make_run(store, slot_at=clock.now() - timedelta(hours=n)) for n in range(60)]
    first = web.get("/sync-runs")
    assert f'/sync-runs/{runs[59].id}"' in first.text
    assert f'/sync-runs/{runs[0].id}"' not in first.text
    assert "Next page" in first.text


# One run ----------------------------------------------------------------------------------------------------------


SEEN_SINCE = {"last_seen_at": clock.now() + timedelta(days=1)}  # the order was here by then


@pytest.mark.parametrize(
    ("values", "has_order", "sentence"),
    [
        ({"resolved_at": None}, False, "Still in quarantine"),
        ({"resolved_at": None}, True, "Still in quarantine"),  # a change of an order that is here could not be read
        ({}, True, "Came in just now as FD-"),
        (SEEN_SINCE, True, "Could be read just now : a change of FD-"),
        ({"error_sentence": quarantine.GONE}, True, "Left quarantine just now , for there is nothing left to read"),
        ({"error_sentence": quarantine.GONE}, False, "Left quarantine just now , for there is nothing left to read"),
        ({}, False, "Could be read just now and was not taken in: it was cancelled or had left its hub by then"),
    ],
)
def test_the_page_of_a_run_says_truly_what_became_of_a_quarantined_shipment(web, store, values, has_order, sentence):
    run = make_run(store)
    own = {"workspace_id": store.workspace_id, "store_id": store.id, "run_id": run.id, "amazon_shipment_id": "Q1"}
    given = {"error_sentence": "The shipment has no lines.", "resolved_at": clock.now()}
    db.session.add(QuarantinedShipment(**own, **given | values))
    make_order(make_store(store.seller), amazon_shipment_id="Q1")  # another store's
    if has_order:
        make_order(store, amazon_shipment_id="Q1")
    page = words(web.get(f"/sync-runs/{run.id}"))
    assert sentence in page
    assert page.count("Came in") == (sentence.startswith("Came in"))


def test_the_page_of_a_run_shows_counts_attempts_calls_orders_and_quarantine(web, store):
    run = make_run(
        store, RunState.PARTIAL, n_fetched=1250, n_created=3, n_held=1, n_failed=1, n_api_calls=7, n_attempts=2
    )
    order = make_order(store)
    shipment = QuarantinedShipment(
        workspace_id=run.workspace_id,
        store_id=store.id,
        amazon_shipment_id="DQ1",
        run_id=run.id,
        error_sentence="It has no lines.",
        payload_encrypted=b"x",
    )
    db.session.add_all(
        [
            shipment,
            OrderEvent(order_id=order.id, kind="imported", sentence="Came in.", run_id=run.id),
            SyncAttempt(
                run_id=run.id, attempt_token="a", outcome=AttemptOutcome.LOST, error_sentence="Its worker vanished."
            ),
            SyncAttempt(run_id=run.id, attempt_token="b", outcome=AttemptOutcome.PARTIAL),
        ]
    )
    db.session.commit()
    make_call(run, outcome="throttled", is_throttled=True, status=429, waited_ms=1500, error_message="Slow down")
    page = web.get(f"/sync-runs/{run.id}").text
    for said in (
        "Partial",
        "1,250",
        "1 shipment did not go through",
        "DQ1",
        "It has no lines.",
        "Its worker vanished.",
        "Worker lost",
        "getShipments",
        "Throttled",
        "1,500 ms",
        "req-1",
        f"FD-{order.id:06d}",
        "Run again now",
    ):
        assert said in page, words


def test_a_run_whose_turn_had_passed_before_its_sync_was_on_says_when_it_was_begun(web, store):
    begun = clock.now().replace(hour=12, minute=0)
    late = make_run(store, trigger="schedule", slot_at=begun - timedelta(minutes=27), queued_at=begun)
    listed = words(web.get("/sync-runs"))
    assert "Schedule, begun" in listed
    assert "due" not in listed.split("What it counted")[1].split("Healthy")[0]
    assert "which had passed: the sync was turned on, or the schedule looked at again, only later" in words(
        web.get(f"/sync-runs/{late.id}")
    )
    on_time = make_run(store, trigger="schedule", slot_at=begun, queued_at=begun + timedelta(seconds=40))
    assert "Schedule, due" in words(web.get("/sync-runs"))
    assert "which had passed" not in words(web.get(f"/sync-runs/{on_time.id}"))


def test_a_failed_run_says_why_in_words(web, store):
    run = make_run(store, RunState.FAILED, error_sentence="Amazon did not answer <b>today</b>.")
    page = web.get(f"/sync-runs/{run.id}").text
    assert "This run failed" in page
    assert "Amazon did not answer &lt;b&gt;today&lt;/b&gt;." in page
    assert "Traceback" not in page


DETAIL = "InternalFailure; HTTP 500; request id r-77"
FAULT = {"error_sentence": "Amazon had a fault of its own.", "error_detail": DETAIL}


def test_what_is_for_support_stands_on_the_runs_own_page_only(web, store):
    run = make_run(store, RunState.FAILED, **FAULT)
    assert f"In detail: {DETAIL}." in web.get(f"/sync-runs/{run.id}").text
    event = make_config_event(store)
    for path in ("/sync-runs", "/", f"/stores/{store.id}", f"/configuration-log/{event.id}"):
        page = web.get(path).text
        assert "Amazon had a fault of its own." in page, path
        assert "r-77" not in page, path


def test_a_run_that_waits_for_its_next_attempt_says_so_everywhere_in_one_word(web, store, settings):
    at = clock.now() + timedelta(minutes=2)
    run = make_run(store, RunState.QUEUED, n_attempts=2, started_at=clock.now(), retry_at=at, **FAULT)
    make_sync_state(store)
    event = make_config_event(store)
    here = at.astimezone(ZoneInfo("Asia/Kolkata"))
    said = f"tries again by itself at {here:%H:%M} IST (attempt 3 of {settings.run_max_attempts})."
    for path in (f"/sync-runs/{run.id}", "/sync-runs", "/", f"/stores/{store.id}", f"/configuration-log/{event.id}"):
        page = web.get(path).text
        assert "Retrying</span>" in page, path
        assert ">Queued</span>" not in page, path
        assert "Failed</span>" not in page.split('id="figures"')[0], path
        assert said in words(page), path
    with time_machine.travel(at + timedelta(seconds=1)):
        assert "tries again as soon as a worker takes it" in web.get("/sync-runs").text


def test_calls_are_found_inside_their_run_by_shipment_or_request_id(web, store):
    run = make_run(store)
    make_call(run, amazon_shipment_id="D1", amazon_request_id="req-a")
    make_call(run, amazon_shipment_id="D2", amazon_request_id="req-b")
    for text in ("D2", "req-b"):
        page = web.get(f"/sync-runs/{run.id}/search?q={text}").text
        assert "<code>req-b</code>" in page
        assert "<code>req-a</code>" not in page
        assert "Nothing was found" not in page
        assert "did not list it" not in page


def test_the_page_follows_a_run_and_stops_when_it_ends(web, store):
    run = make_run(store, RunState.RUNNING, progress="Fetching what is Confirmed (ACCEPTED) on Amazon.")
    whole, fragment = web.get(f"/sync-runs/{run.id}").text, web.get(f"/sync-runs/{run.id}/live").text
    for text in (whole, fragment):
        assert f'data-live-url="/sync-runs/{run.id}/live"' in text
        assert "Fetching what is Confirmed" in text
    assert "<html" not in fragment
    assert "Run again now" not in whole
    run = db.session.get(SyncRun, run.id)
    run.state = RunState.SUCCEEDED
    db.session.commit()
    ended = web.get(f"/sync-runs/{run.id}/live").text
    assert "data-live-url" not in ended
    assert "Healthy" in ended


def test_another_workspaces_run_is_not_found(web, app):
    foreign = make_run(make_store(make_seller(make_workspace())))
    for path in (f"/sync-runs/{foreign.id}", f"/sync-runs/{foreign.id}/live"):
        assert web.get(path).status_code == 404
    assert web.post(f"/sync-runs/{foreign.id}/again").status_code == 404
    assert f'/sync-runs/{foreign.id}"' not in web.get("/sync-runs").text


def test_a_merchant_limited_to_other_sellers_does_not_see_the_run(signed_in, workspace, store):
    run = make_run(store)
    web = signed_in(make_user(workspace, "merchant", sellers=[make_seller(workspace)]))
    assert web.get(f"/sync-runs/{run.id}").status_code == 404
    assert web.post(f"/stores/{store.id}/sync-now").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_runs(web, store, app):
    def queries_of_list():
        n = []
        listener = lambda *args: n.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listener)
        web.get("/sync-runs")
        event.remove(db.engine, "before_cursor_execute", listener)
        return len(n)

    make_run(store)
    few = queries_of_list()
    for _ in range(30):
        make_run(make_store(store.seller))
    assert queries_of_list() == few


# What a run left out and what Amazon refused ------------------------------------------------------------------------


def test_the_page_of_a_push_counts_in_words_of_its_own_and_lists_what_was_left_out(web, store):
    run = make_run(
        store,
        RunState.PARTIAL,
        sync=Sync.INVENTORY_PUSH,
        n_fetched=1200,
        n_updated=40,
        n_skipped=1158,
        n_failed=2,
        is_full=True,
    )
    make_run_item(run, ItemOutcome.SKIPPED, n_items=17, reason="Not on Amazon: no listing.", remedy="Upload a catalog.")
    make_run_item(run, sku_code="A<b>1", seller_flex_hub_id="EXSB", reason="Amazon refused it", remedy="Check the SKU.")
    page = web.get(f"/sync-runs/{run.id}").text
    for said in (
        "Quantities looked at",
        "1,158",
        "Taken by Amazon",
        "Left out",
        "17 SKUs",
        "Not on Amazon: no listing.",
        "A&lt;b&gt;1",
        "Check the SKU.",
        "Everything, changed or not",
        "2 quantities did not go through",
    ):
        assert said in page, said
    assert "New orders" not in page
    assert page.index("A&lt;b&gt;1") < page.index("17 SKUs"), "what was refused comes first"
    assert "Taken by Amazon 40" in html.unescape(web.get("/sync-runs").text)


@pytest.mark.parametrize(
    ("sync", "n_through", "said"),
    [
        (Sync.INVENTORY_PUSH, 4, "13 quantities did not go through All others did. What Amazon refused"),
        (Sync.INVENTORY_PUSH, 0, "Amazon took none that this run sent. What Amazon refused"),
        (Sync.INVENTORY_FETCH, 4, "13 SKUs gave no numbers All others did."),
        (Sync.INVENTORY_FETCH, 0, "13 SKUs gave no numbers Amazon gave none that this run asked for."),
        (Sync.ORDER_PULL, 4, "13 shipments did not go through All others did."),
        (Sync.ORDER_PULL, 0, "13 shipments did not go through What could not be read"),
    ],
)
def test_the_others_are_said_to_have_gone_through_only_where_there_are_some(web, store, sync, n_through, said):
    counts = {"n_fetched": 13 + n_through, "n_updated": n_through, "n_failed": 13}
    run = make_run(store, RunState.PARTIAL, sync=sync, **counts)
    page = words(web.get(f"/sync-runs/{run.id}"))
    assert said in page
    assert ("All others did" in page) == (n_through > 0)


def test_many_items_have_a_page_of_their_own_with_a_search_by_sku(web, store):
    run = make_run(store, RunState.PARTIAL, sync=Sync.INVENTORY_PUSH, n_failed=70)
    for n in range(70):
        make_run_item(run, sku_code=f"SKU-{n:02d}", seller_flex_hub_id="EXSB")
    make_run_item(run, ItemOutcome.SKIPPED, n_items=3, reason="Left out.")
    assert f'href="/sync-runs/{run.id}/items"' in web.get(f"/sync-runs/{run.id}").text
    first = web.get(f"/sync-runs/{run.id}/items").text
    assert first.count("INVALID_SKU") == 50
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first).group(1))
    second = web.get(f"/sync-runs/{run.id}/items{following}").text
    assert (second.count("INVALID_SKU"), "Left out." in second) == (20, True)
    found = web.get(f"/sync-runs/{run.id}/items?q=SKU-1").text
    assert found.count("INVALID_SKU") == 10
    assert "No SKU that was refused" in web.get(f"/sync-runs/{run.id}/items?q=sku-1").text
    for sort, ends in (("sku", ("SKU-00", "SKU-48")), ("z", ("SKU-69", "SKU-20"))):
        page = web.get(f"/sync-runs/{run.id}/items?sort={sort}").text
        # What was left out names no SKU: it stands before the first of the alphabet.
        found = re.findall(r"SKU-\d\d", page)
        assert (found[0], found[-1]) == ends
        assert f"sort={sort}&amp;page=" in page
    empty = make_run(store)
    assert "This run left nothing out" in web.get(f"/sync-runs/{empty.id}/items").text


def test_the_outcomes_of_a_run_are_read_from_either_end(web, store, monkeypatch):
    monkeypatch.setattr(routes, "SHEETS_PER_PAGE", 2)
    run = make_run(store)
    for n in range(3):
        fate = ItemFate.FAILED if n == 1 else ItemFate.CREATED
        with transaction():
            run_sheets.keep(run.id, [run_sheets.Item(fate, f"SB{n}A"), run_sheets.Item(fate, f"SB{n}B")])

    def found(query: str) -> list[str]:
        return re.findall(r"SB\d[AB]", web.get(f"/sync-runs/{run.id}/outcomes{query}").text)

    assert found("") == ["SB0A", "SB0B", "SB1A", "SB1B"]
    assert found("?sort=newest") == ["SB2B", "SB2A", "SB1B", "SB1A"]
    assert found("?sort=newest&fate=created") == ["SB2B", "SB2A", "SB0B", "SB0A"]


def test_a_cursor_made_up_by_somebody_leads_to_the_first_page(web, store):
    run = make_run(store, RunState.PARTIAL, sync=Sync.INVENTORY_PUSH, n_failed=70)
    for n in range(60):
        make_run_item(run, sku_code=f"SKU-{n:02d}")
    first = web.get(f"/sync-runs/{run.id}/items").text
    cursor = re.search(r"page=([^\"&]+)", first).group(1)
    way, fingerprint, _, last = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    forged = json.dumps([way, fingerprint, "no such outcome", last]).encode()
    page = web.get(f"/sync-runs/{run.id}/items?page={base64.urlsafe_b64encode(forged).decode()}")
    assert page.status_code == 200
    assert "SKU-00" in page.text


def test_a_run_that_waits_for_a_person_says_so(web, store):
    run = make_run(store, RunState.SKIPPED, sync=Sync.INVENTORY_PUSH, error_sentence="It would set 8 of 9 to zero.")
    db.session.add(SyncAttempt(run_id=run.id, attempt_token="a", outcome=AttemptOutcome.SKIPPED))
    db.session.commit()
    page = web.get(f"/sync-runs/{run.id}").text
    assert "It would set 8 of 9 to zero." in page
    assert "Waits for a person" in page


# Sync now ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["merchant", "admin", "support"])
def test_each_role_can_sync_now(signed_in, workspace, store, role):
    web = signed_in(make_user(workspace, role, name="Asha"))
    answer = web.post(f"/stores/{store.id}/sync-now", data={"sync": "order_pull"})
    (run,) = db.session.scalars(db.select(SyncRun)).all()
    assert (answer.status_code, answer.location) == (303, f"/sync-runs/{run.id}")
    assert (run.trigger, run.state, run.slot_at) == (Trigger.MANUAL, RunState.QUEUED, None)
    assert [job.args for job in queues.queue("sync").jobs] == [[run.id]]
    page = web.get(answer.location).text
    assert "The sync is started" in page
    assert "By hand: Asha" in page


def test_a_second_click_leads_to_the_run_that_is_open(web, store):
    first = web.post(f"/stores/{store.id}/sync-now")
    second = web.post(f"/stores/{store.id}/sync-now")
    assert second.location == first.location
    assert "no second one was started" in web.get(second.location).text
    assert db.session.scalar(db.select(db.func.count(SyncRun.id))) == 1


@pytest.mark.parametrize(
    ("status", "is_on", "words"),
    [
        (StoreStatus.CONNECTED, False, "Order Sync is off for Pune Store"),
        (StoreStatus.NEEDS_REAUTHORIZATION, True, "Pune Store needs re-authorization"),
        (StoreStatus.DISCONNECTED, True, "Pune Store is not connected to Amazon"),
    ],
)
def test_a_store_that_cannot_sync_is_refused_in_words(web, store, status, is_on, words):
    store.status, store.is_order_sync_on = status, is_on
    db.session.commit()
    answer = web.post(f"/stores/{store.id}/sync-now")
    assert (answer.status_code, answer.location) == (303, f"/stores/{store.id}")
    assert words in web.get(answer.location).text
    assert db.session.scalar(db.select(db.func.count(SyncRun.id))) == 0


def test_sync_now_of_something_that_is_no_sync_is_refused(web, store):
    assert web.post(f"/stores/{store.id}/sync-now", data={"sync": "coffee"}).status_code == 400


def test_run_again_makes_a_new_run_of_the_same_store(web, store):
    old = make_run(store, RunState.FAILED)
    answer = web.post(f"/sync-runs/{old.id}/again")
    new = db.session.scalars(db.select(SyncRun).order_by(SyncRun.id.desc())).first()
    assert answer.location == f"/sync-runs/{new.id}"
    assert new.id != old.id


def test_sync_now_is_kept_while_redis_is_away(web, store, monkeypatch):
    def away(*_):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(queues, "enqueue_runs", away)
    answer = web.post(f"/stores/{store.id}/sync-now")
    assert "It begins by itself within a minute" in web.get(answer.location).text
    assert db.session.scalars(db.select(SyncRun)).one().state is RunState.QUEUED

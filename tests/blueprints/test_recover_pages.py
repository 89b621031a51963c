"""The pages of recovering orders: asking, what became of each id, the file, the way there."""

import csv
import html
import io
import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import OrderState, Recovery, RecoveryItem, RecoveryOutcome, Role, RunState, StoreStatus, SyncRun
from flexdash.services import recovery
from tests.factories import (
    make_order,
    make_recovery,
    make_run,
    make_seller,
    make_store,
    make_user,
    make_workspace,
)
from tests.support.web import words

OUTCOMES = {
    "SB1111111": RecoveryOutcome.IMPORTED,
    "SB2222222": RecoveryOutcome.HERE_ALREADY,
    "SB3333333": RecoveryOutcome.NOT_IMPORTED,
    "SB4444444": RecoveryOutcome.MISSING,
}


@pytest.fixture
def workspace(app):
    return make_workspace()


@pytest.fixture
def store(workspace):
    return make_store(make_seller(workspace), name="Pune Store", is_order_sync_on=True)


@pytest.fixture
def asha(signed_in, workspace):
    return signed_in(make_user(workspace, name="Asha", time_zone="Asia/Kolkata"))


@pytest.fixture
def page_url(store):
    return f"/stores/{store.id}/recover"


def n_recoveries() -> int:
    db.session.rollback()
    return db.session.query(Recovery).count()


# Asking ---------------------------------------------------------------------------------------------------------------


def test_the_page_explains_both_ways(asha, page_url) -> None:
    text = words(asha.get(page_url))
    for sentence in ("Amazon's shipment or order ids", "First day", "Asia/Kolkata", "at most 31"):
        assert sentence in text


def test_pasted_ids_start_a_recovery_and_lead_to_its_page(asha, store, page_url) -> None:
    answer = asha.post(page_url, data={"by": "ids", "ids": "SB1234567, 402-1234567-7654321\nSB1234567"})
    asked = db.session.query(Recovery).one()
    assert (answer.status_code, answer.location) == (303, f"{page_url}/{asked.id}")
    items = [item.amazon_id for item in db.session.query(RecoveryItem).order_by(RecoveryItem.id)]
    assert items == ["SB1234567", "402-1234567-7654321"]
    assert (asked.n_ids, asked.asked_by_name) == (2, "Asha")
    assert [job.args for job in queues.queue("sync").jobs] == [[asked.run_id]]
    text = words(asha.get(answer.location))
    assert "The search has started" in text
    assert "Waiting for a worker" in text
    assert text.count("Not looked at yet") == 2


def test_days_start_a_recovery_in_the_viewers_zone(asha, page_url) -> None:
    answer = asha.post(page_url, data={"by": "days", "first_day": "2026-10-01", "last_day": "2026-10-02"})
    assert answer.status_code == 303
    asked = db.session.query(Recovery).one()
    assert asked.updated_from.isoformat() == "2026-09-30T18:30:00+00:00"
    assert asked.updated_to.isoformat() == "2026-10-02T18:30:00+00:00"
    assert "1 Oct 2026 to 2 Oct 2026" in words(asha.get(page_url)).replace("\xa0", " ")


def test_unreadable_ids_are_a_field_error_and_stay(asha, page_url) -> None:
    page = asha.post(page_url, data={"by": "ids", "ids": "SB1234567 402-12-3 <svg/onload=alert(1)>"})
    assert page.status_code == 422
    assert "“402-12-3” looks like an Amazon order id" in words(page)
    assert "SB1234567 402-12-3 &lt;svg/onload=alert(1)&gt;</textarea>" in page.text
    assert 'href="#ids"' in page.text
    assert n_recoveries() == 0


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ({"first_day": "", "last_day": ""}, "Give the first day."),
        ({"first_day": "2026-10-01", "last_day": ""}, "Give the last day."),
        ({"first_day": "2026-10-02", "last_day": "2026-10-01"}, "The last day is before the first"),
        ({"first_day": "2026-08-01", "last_day": "2026-10-01"}, "These are 62 days, and 31"),
        ({"first_day": "rubbish", "last_day": "2026-10-01"}, "This is no date."),
        ({"first_day": "0001-01-01", "last_day": "0001-01-02"}, "Give a first day since 2000."),
        ({"first_day": "9999-12-31", "last_day": "9999-12-31"}, "lies in the future"),
    ],
)
def test_days_that_cannot_be_are_a_field_error_and_stay(asha, page_url, days, sentence) -> None:
    page = asha.post(page_url, data={"by": "days", **days})
    assert page.status_code == 422
    assert sentence in words(page)
    for name, value in days.items():
        assert not value or re.search(rf'name="{name}"[^>]*value="{value}"', page.text)
    assert n_recoveries() == 0


def test_a_second_one_is_refused_with_the_way_to_the_first(asha, store, page_url) -> None:
    first = make_recovery(store)
    page = asha.post(page_url, data={"by": "ids", "ids": "SB7654321"})
    assert page.status_code == 422
    assert "Another recovery of Pune Store is under way" in words(page)
    assert f'href="{page_url}/{first.id}"' in page.text
    assert "SB7654321</textarea>" in page.text
    assert n_recoveries() == 1


def test_a_store_without_amazon_says_so(asha, store, page_url) -> None:
    store.status = StoreStatus.NEEDS_REAUTHORIZATION
    db.session.commit()
    page = asha.get(page_url)
    assert "Nothing can be recovered now" in words(page)
    assert "<textarea" not in page.text
    refused = asha.post(page_url, data={"by": "ids", "ids": "SB7654321"})
    assert refused.status_code == 422
    assert "needs re-authorization" in words(refused)


def test_order_sync_may_be_off(asha, store, page_url) -> None:
    store.is_order_sync_on = False
    db.session.commit()
    assert "Order Sync is off" in words(asha.get(page_url))
    assert asha.post(page_url, data={"by": "ids", "ids": "SB7654321"}).status_code == 303


def test_an_id_in_the_address_is_put_into_the_field(asha, page_url) -> None:
    assert "402-1234567-7654321</textarea>" in asha.get(f"{page_url}?ids=402-1234567-7654321").text


def test_support_may_start_one(signed_in, workspace, page_url) -> None:
    support = signed_in(make_user(workspace, Role.SUPPORT))
    assert support.post(page_url, data={"by": "ids", "ids": "SB7654321"}).status_code == 303


def test_a_draft_has_no_such_page(asha, workspace) -> None:
    draft = make_store(make_seller(workspace), "draft")
    assert asha.get(f"/stores/{draft.id}/recover").location == f"/stores/{draft.id}"


# The result -----------------------------------------------------------------------------------------------------------


def test_the_result_counts_and_names_each_id(asha, store, page_url) -> None:
    order = make_order(store, OrderState.NEW, amazon_shipment_id="SB1111111")
    asked = make_recovery(store, OUTCOMES)
    db.session.query(RecoveryItem).filter_by(amazon_id="SB1111111").update({"order_id": order.id})
    db.session.query(RecoveryItem).filter_by(amazon_id="SB3333333").update({"sentence": "It was cancelled before."})
    db.session.commit()
    page = asha.get(f"{page_url}/{asked.id}")
    text = words(page)
    assert "Recovery of 4 ids" in text
    assert "Found 3 Imported 1 Here already 1 Not imported 1 Missing 1" in text
    assert "It was cancelled before." in text
    assert f'href="/orders/{order.id}"' in page.text
    assert "data-live-url" not in page.text
    assert "Go on with what is left" not in text


def test_it_can_be_narrowed_and_paged(asha, store, page_url) -> None:
    found = {f"SB{n:07d}": RecoveryOutcome.MISSING if n % 3 == 0 else RecoveryOutcome.IMPORTED for n in range(180)}
    asked = make_recovery(store, found)
    address = f"{page_url}/{asked.id}"
    page = asha.get(f"{address}?outcome=missing")
    shown = re.findall(r"SB\d{7}", page.text)
    assert shown == [amazon_id for amazon_id, outcome in found.items() if outcome is RecoveryOutcome.MISSING][:50]
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', page.text).group(1))
    assert "outcome=missing" in following
    assert len(re.findall(r"SB\d{7}", asha.get(f"{address}{following}").text)) == 10
    assert "No id of this recovery has come to this" in words(asha.get(f"{address}?outcome=no_answer"))


def test_while_it_runs_the_page_follows_it(asha, store, page_url) -> None:
    run = make_run(store, RunState.RUNNING, sync="order_recovery", trigger="manual", progress="Asking Amazon: 1 of 2.")
    asked = make_recovery(store, {"SB1111111": RecoveryOutcome.IMPORTED, "SB2222222": None}, run=run)
    page = asha.get(f"{page_url}/{asked.id}?outcome=imported")
    assert f'data-live-url="{page_url}/{asked.id}/live?outcome=imported"' in page.text
    live = asha.get(f"{page_url}/{asked.id}/live")
    assert live.text.lstrip().startswith('<div id="recovery"')
    assert "Asking Amazon: 1 of 2." in words(live)
    assert "Still to look at 1" in words(live)
    run.state, asked.finished_at = RunState.SUCCEEDED, clock.now()
    db.session.query(RecoveryItem).update({"outcome": "imported"})
    db.session.commit()
    assert "data-live-url" not in asha.get(f"{page_url}/{asked.id}/live").text


def test_what_is_left_of_a_failed_one_can_be_gone_on_with(asha, store, page_url) -> None:
    run = make_run(store, RunState.FAILED, sync="order_recovery", trigger="manual")
    asked = make_recovery(store, {"SB1111111": RecoveryOutcome.IMPORTED, "SB2222222": None}, run=run)
    page = asha.get(f"{page_url}/{asked.id}")
    assert "Amazon did not answer." in words(page)
    answer = asha.post(re.search(r'action="([^"]+go-on)"', page.text).group(1))
    assert answer.location == f"{page_url}/{asked.id}"
    assert asked.run_id != run.id
    assert [job.args for job in queues.queue("sync").jobs] == [[asked.run_id]]
    assert "Another recovery" in words(asha.get(asha.post(f"{page_url}/{asked.id}/go-on").location))


def test_the_file_holds_every_id_and_runs_no_formula(asha, store, page_url) -> None:
    order = make_order(store, OrderState.ON_HOLD, amazon_shipment_id="SB1111111")
    asked = make_recovery(store, {**OUTCOMES, "unreadable:abc": RecoveryOutcome.NOT_IMPORTED, "SB9": None})
    db.session.query(RecoveryItem).filter_by(amazon_id="SB1111111").update({"order_id": order.id, "sentence": "=1+1"})
    db.session.commit()
    file = asha.get(f"{page_url}/{asked.id}/ids.csv")
    assert file.mimetype == "text/csv"
    assert "attachment" in file.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert rows[0] == ["amazon_id", "outcome", "order", "order_state", "note"]
    assert rows[1] == ["SB1111111", "Imported", f"FD-{order.id:06d}", "On Hold", "'=1+1"]
    assert [row[1] for row in rows[2:]] == [
        "Here already",
        "Not imported",
        "Missing",
        "Not imported",
        "Not looked at yet",
    ]
    assert rows[5][0] == ""


def test_a_recovery_of_another_store_is_not_here(asha, workspace, store, page_url) -> None:
    other = make_store(make_seller(workspace))
    asked = make_recovery(other, OUTCOMES)
    for address in (f"{page_url}/{asked.id}", f"{page_url}/{asked.id}/live", f"{page_url}/{asked.id}/ids.csv"):
        assert asha.get(address).status_code == 404
    assert asha.post(f"{page_url}/{asked.id}/go-on").status_code == 404


def test_those_before_are_listed_newest_first_in_pages(asha, store, page_url) -> None:
    made = [make_recovery(store, OUTCOMES) for _ in range(25)]
    page = asha.get(page_url)
    ids = [int(n) for n in re.findall(rf'href="{page_url}/(\d+)"', page.text)]
    assert ids == [asked.id for asked in reversed(made)][:20]
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', page.text).group(1))
    assert len(re.findall(rf'href="{page_url}/(\d+)"', asha.get(f"{page_url}{following}").text)) == 5


def test_the_number_of_queries_does_not_grow(asha, store, page_url) -> None:
    small = make_recovery(store, OUTCOMES)
    large = make_recovery(store, {f"SB{n:07d}": RecoveryOutcome.IMPORTED for n in range(60)})
    few, many = (n_queries(lambda url=f"{page_url}/{asked.id}": asha.get(url)) for asked in (small, large))
    assert few == many


def n_queries(open_page) -> int:
    """Return how many statements the page takes."""
    seen = []

    def listener(*arguments) -> None:
        seen.append(arguments)

    event.listen(db.engine, "before_cursor_execute", listener)
    try:
        open_page()
    finally:
        event.remove(db.engine, "before_cursor_execute", listener)
    return len(seen)


# The way there --------------------------------------------------------------------------------------------------------


def test_the_store_and_the_orders_lead_there(asha, store, page_url) -> None:
    assert f'href="{page_url}"' in asha.get(f"/stores/{store.id}").text
    nothing = asha.get("/orders?q=402-1234567-7654321")
    assert f'href="{page_url}?ids=402-1234567-7654321"' in nothing.text
    assert f'href="{page_url}' in asha.get("/orders").text
    make_order(store, amazon_order_id="402-1234567-7654321")
    assert page_url not in asha.get("/orders?q=402-1234567-7654321").text


def test_a_run_leads_to_its_recovery_and_is_not_started_without_one(asha, store, page_url) -> None:
    asked = make_recovery(store, OUTCOMES)
    page = asha.get(f"/sync-runs/{asked.run_id}")
    assert f'href="{page_url}/{asked.id}"' in page.text
    assert "Run again now" not in page.text
    answer = asha.post(f"/stores/{store.id}/sync-now", data={"sync": "order_recovery"})
    assert "Start it on the store's Recover page" in words(asha.get(answer.location))
    assert db.session.query(SyncRun).count() == 1


def test_the_days_may_reach_to_today(asha, page_url) -> None:
    today = clock.now().astimezone(ZoneInfo("Asia/Kolkata")).date()
    first = today - timedelta(days=recovery.MAX_DAYS - 2)
    answer = asha.post(page_url, data={"by": "days", "first_day": first.isoformat(), "last_day": today.isoformat()})
    assert answer.status_code == 303

"""The page of differences from Amazon: counts, filters, one-click recovery, closing, and the way there."""

import html
import re

import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import (
    Difference,
    DifferenceKind,
    ItemOutcome,
    OrderState,
    Recovery,
    RecoveryItem,
    Role,
    RunState,
    StoreStatus,
    Sync,
    SyncRun,
    SyncRunItem,
    SyncState,
)
from tests.factories import make_difference, make_order, make_recovery, make_run, make_seller, make_store, make_user
from tests.support.web import words

MISSING_HERE, MISSING_THERE = DifferenceKind.MISSING_HERE, DifferenceKind.MISSING_THERE
STATE, STOCK = DifferenceKind.STATE_DIFFERS, DifferenceKind.STOCK_DIFFERS


@pytest.fixture
def store(workspace):
    return make_store(make_seller(workspace), name="Pune Store", is_order_sync_on=True)


@pytest.fixture
def asha(signed_in, workspace):
    return signed_in(make_user(workspace, name="Asha"))


@pytest.fixture
def support(signed_in, workspace):
    return signed_in(make_user(workspace, Role.SUPPORT))


@pytest.fixture
def page_url(store):
    return f"/stores/{store.id}/reconcile"


def make_one_of_each(store) -> dict[DifferenceKind, Difference]:
    order = make_order(store, OrderState.PICKED)
    return {
        MISSING_HERE: make_difference(store, MISSING_HERE, "SB1111111"),
        MISSING_THERE: make_difference(
            store, MISSING_THERE, order.amazon_shipment_id, order_id=order.id, here="Picked", there=""
        ),
        STATE: make_difference(
            store, STATE, order.amazon_shipment_id, order_id=order.id, here="Picked", there="Cancelled (CANCELLED)"
        ),
        STOCK: make_difference(
            store, STOCK, "TEE-1", seller_flex_hub_id="EXSB", here="5 accepted", there="3 for sale, 0 reserved"
        ),
    }


def test_a_store_never_compared_says_so(asha, store, page_url) -> None:
    text = words(asha.get(page_url))
    assert "This store was not compared with Amazon yet." in text
    assert "After the first order pull that goes through" in text
    store.is_order_sync_on = False
    db.session.commit()
    assert "None while Order Sync is off" in words(asha.get(page_url))


def test_a_store_that_agrees_says_so(asha, store, page_url) -> None:
    now = clock.now()
    run = make_run(store, sync=Sync.RECONCILE)
    state = SyncState(workspace_id=store.workspace_id, store_id=store.id, sync=Sync.RECONCILE, last_success_at=now)
    db.session.add(state)
    db.session.commit()
    page = asha.get(page_url)
    assert "This store and Amazon agree" in words(page)
    assert f'href="/sync-runs/{run.id}"' in page.text


def test_each_kind_is_counted_shown_and_led_to_its_remedy(asha, store, page_url) -> None:
    one = make_one_of_each(store)
    page = asha.get(page_url)
    text = words(page)
    for sentence in (
        "1 order missing here",
        "1 order missing on Amazon",
        "1 state that differs",
        "1 stock that differs",
        "Confirmed (ACCEPTED) at EXSB",
        "Amazon does not know it",
        "Cancelled (CANCELLED)",
        "5 accepted",
        "3 for sale, 0 reserved",
    ):
        assert sentence in text
    assert page.text.count(f'href="/orders/{one[STATE].order_id}"') == 2
    assert f'href="/stores/{store.id}/inventory?q=TEE-1"' in page.text
    assert page.text.count(">Import<") == 1


def test_the_list_is_narrowed_by_kind_and_by_closed(asha, store, page_url) -> None:
    one = make_one_of_each(store)
    page = words(asha.get(f"{page_url}?kind=stock_differs"))
    assert "TEE-1" in page
    assert "SB1111111" not in page
    one[STOCK].closed_at = one[STOCK].gone_at = clock.now()
    one[MISSING_HERE].closed_at, one[MISSING_HERE].closed_by_name = clock.now(), "Ben"
    db.session.commit()
    assert "Nothing fits these filters" in words(asha.get(f"{page_url}?kind=stock_differs"))
    closed = words(asha.get(f"{page_url}?show=closed"))
    assert "by itself: it is gone" in closed
    assert "by Ben" in closed
    assert "Import" not in closed
    assert asha.get(f"{page_url}?kind=rubbish&show=x&page=y").status_code == 200


def test_it_pages_by_key(asha, store, page_url) -> None:
    run = make_run(store, sync=Sync.RECONCILE)
    own = {"workspace_id": store.workspace_id, "store_id": store.id, "run_id": run.id, "kind": MISSING_HERE}
    db.session.add_all(Difference(**own, subject=f"SB{n:07d}") for n in range(60))
    db.session.commit()
    first = asha.get(f"{page_url}?kind=missing_here")
    assert "60 orders missing here" in words(first)
    following = html.unescape(re.search(r'rel="next" href="([^"]+)"', first.text).group(1))
    assert "kind=missing_here" in following
    in_a_heading = re.compile(r'<th scope="row"[^>]*><div class="cell">\s*(SB\d{7})')
    shown = in_a_heading.findall(first.text) + in_a_heading.findall(asha.get(f"{page_url}{following}").text)
    assert shown == [f"SB{n:07d}" for n in reversed(range(60))]


def test_compare_now_starts_a_run_and_leads_to_it(asha, store, page_url) -> None:
    answer = asha.post(page_url)
    run = db.session.query(SyncRun).one()
    assert (run.sync, run.trigger.value, answer.location) == (Sync.RECONCILE, "manual", f"/sync-runs/{run.id}")
    assert [job.args for job in queues.queue("sync").jobs] == [[run.id]]
    assert f'href="{page_url}"' in asha.get(answer.location).text
    page = asha.get(page_url)
    assert "A comparison is under way" in words(page)
    assert "Compare now" not in page.text
    assert asha.post(page_url).location == f"/sync-runs/{run.id}"


def test_one_click_recovers_one_or_all_of_a_kind(asha, store, page_url) -> None:
    one = make_one_of_each(store)
    make_difference(store, MISSING_HERE, "SB2222222")
    answer = asha.post(f"{page_url}/recover", data={"difference": one[MISSING_HERE].id})
    asked = db.session.query(Recovery).one()
    assert answer.location == f"/stores/{store.id}/recover/{asked.id}"
    assert [item.amazon_id for item in db.session.query(RecoveryItem)] == ["SB1111111"]
    assert [job.args for job in queues.queue("sync").jobs] == [[asked.run_id]]

    again = asha.post(f"{page_url}/recover", data={"kind": "missing_here"})
    assert again.location == f"/stores/{store.id}/recover/{asked.id}"  # one at a time: this is the one under way
    asked.run.state = RunState.SUCCEEDED
    db.session.commit()
    asha.post(f"{page_url}/recover", data={"kind": "missing_here"})
    newest = db.session.query(Recovery).order_by(Recovery.id.desc()).first()
    items = db.session.query(RecoveryItem).filter_by(recovery_id=newest.id)
    assert {item.amazon_id for item in items} == {"SB1111111", "SB2222222"}


@pytest.mark.parametrize("values", [{}, {"kind": "stock_differs"}, {"kind": "rubbish"}, {"difference": "x"}])
def test_what_no_recovery_can_mend_is_not_begun(asha, store, page_url, values) -> None:
    make_one_of_each(store)
    assert asha.post(f"{page_url}/recover", data=values).status_code == 400


def test_nothing_left_to_recover_is_said(asha, store, page_url) -> None:
    answer = asha.post(f"{page_url}/recover", data={"kind": "missing_here"})
    assert "Nothing of it is left to bring in" in words(asha.get(answer.location))
    stock = make_one_of_each(store)[STOCK]
    answer = asha.post(f"{page_url}/recover", data={"difference": stock.id})
    assert "Nothing of it is left to bring in" in words(asha.get(answer.location))


def test_a_click_closes_one(asha, store, page_url) -> None:
    one = make_one_of_each(store)[MISSING_THERE]
    answer = asha.post(f"{page_url}/{one.id}/close", data={"kind": "missing_there"})
    assert answer.location == f"{page_url}?kind=missing_there"
    assert "is closed. It comes back if it changes" in words(asha.get(answer.location))
    assert one.closed_by_name == "Asha"
    again = asha.post(f"{page_url}/{one.id}/close")
    assert "Asha closed it meanwhile" in words(asha.get(again.location))


def test_support_compares_and_recovers_and_closes_nothing(support, store, page_url) -> None:
    one = make_one_of_each(store)[MISSING_HERE]
    page = support.get(page_url)
    assert ">Import<" in page.text
    assert "/close" not in page.text
    assert support.post(f"{page_url}/{one.id}/close").status_code == 403
    assert support.post(f"{page_url}/recover", data={"difference": one.id}).status_code == 303


def test_a_difference_of_another_store_is_not_here(asha, workspace, store, page_url) -> None:
    other = make_difference(make_store(make_seller(workspace)))
    assert asha.post(f"{page_url}/{other.id}/close").status_code == 404
    assert asha.post(f"{page_url}/recover", data={"difference": other.id}).status_code == 404
    assert other.subject not in asha.get(page_url).text


def test_a_disconnected_store_shows_what_was_found_and_starts_nothing(asha, store, page_url) -> None:
    make_one_of_each(store)
    store.status = StoreStatus.DISCONNECTED
    db.session.commit()
    page = asha.get(page_url)
    assert "SB1111111" in page.text
    assert "Compare now" not in page.text
    assert ">Import" not in page.text


def test_what_the_last_run_left_out_is_said(asha, store, page_url) -> None:
    run = make_run(store, sync=Sync.RECONCILE)
    item = SyncRunItem(run_id=run.id, outcome=ItemOutcome.SKIPPED, n_items=12, reason="They differ.", remedy="Wait.")
    db.session.add(item)
    db.session.commit()
    assert "Left out of the last comparison: 12 They differ. Wait." in words(asha.get(page_url))
    assert "12 items" in words(asha.get(f"/sync-runs/{run.id}"))


def test_the_overview_counts_them_and_leads_there(asha, store, page_url) -> None:
    make_one_of_each(store)
    make_difference(store, MISSING_HERE, "SB2222222")
    page = asha.get(f"/stores/{store.id}")
    text = words(page)
    assert "What needs a person" in text
    assert "2 orders missing here , 1 order missing on Amazon , 1 state that differs and 1 stock that differs" in text
    assert f'href="{page_url}?kind=missing_here"' in page.text
    db.session.query(Difference).update({"closed_at": clock.now()})
    db.session.commit()
    page = asha.get(f"/stores/{store.id}")
    assert "missing here" not in page.text
    assert f'href="{page_url}"' in page.text


def test_a_run_says_what_it_compared(asha, store, page_url) -> None:
    run = make_run(store, sync=Sync.RECONCILE, n_fetched=1_204, n_created=3, n_updated=2)
    text = words(asha.get(f"/sync-runs/{run.id}"))
    assert "Compared 1,204 New differences 3 Gone 2" in text
    make_recovery(store)
    assert "New orders" not in text

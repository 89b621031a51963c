"""The dashboard of each role: what it must see first, the charts with their numbers, and a constant cost."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    Acknowledgement,
    OrderCancellation,
    OrderState,
    Role,
    RunState,
    Section,
    StoreStatus,
    Sync,
    User,
    Workspace,
)
from flexdash.services import config_log
from flexdash.services.dashboard import freshness
from tests.factories import (
    make_actor,
    make_alarm,
    make_call,
    make_config_event,
    make_conflict,
    make_hub,
    make_listing,
    make_mapping,
    make_order,
    make_run,
    make_stock,
    make_store,
    make_sync_state,
    make_user,
    make_zero_brake,
)
from tests.support.statements import statements
from tests.support.web import words

SignedIn = Callable[[User], FlaskClient]


@pytest.fixture
def store(seller):
    return working(seller, "Pune Store")


def working(seller, name: str, minutes: float = 5, **values):
    given = {"is_order_sync_on": True, "authorized_at": clock.now() - timedelta(days=30)}
    store = make_store(seller, name=name, **given | values)
    make_sync_state(store, minutes_since_good=minutes)
    return store


def sound_store(seller):
    """A store that lacks nothing."""
    store, hub = working(seller, "Sound Store"), make_hub(db.session.get(Workspace, seller.workspace_id))
    make_mapping(store, hub)
    make_listing(store, "TEE")
    make_stock(seller, hub, "TEE")
    make_run(store)
    return store


def page_for(signed_in: SignedIn, workspace, role: Role, path: str = "/", **values) -> str:
    answer = signed_in(make_user(workspace, role, **values)).get(path)
    assert answer.status_code == 200
    return answer.text


# What each role sees first --------------------------------------------------------------------------------------------


def test_a_merchant_sees_orders_to_work_each_number_with_its_list(workspace, store, signed_in) -> None:
    urgent = make_order(store, "Picked", ship_by_at=clock.now() + timedelta(hours=3, minutes=1))
    make_order(store, ship_by_at=clock.now() - timedelta(hours=1), state="On Hold")
    make_order(store, ship_by_at=None)
    html = page_for(signed_in, workspace, Role.MERCHANT)
    assert html.index("Orders to work") < html.index("To do<") < html.index(">Stores</h2>") < html.index("How it went")
    assert '<a href="/orders?state=Picked&amp;sort=deadline">1</a>' in html
    assert '<a href="/orders?state=New+Order">1</a>' in html
    assert 'href="/orders?deadline=overdue&amp;sort=deadline">1</a>' in html
    assert f'href="/orders/{urgent.id}">{urgent.amazon_order_id}</a> of Pune Store, Picked' in html
    assert "in 3 hours" in words(html)


def test_a_merchants_to_dos_lead_to_where_they_are_done(workspace, store, signed_in) -> None:
    make_order(store, "On Hold")
    make_order(store, "Packed", is_invoice_waiting=True)
    make_conflict(make_order(store, "Shipped"))
    brake = make_zero_brake(store)
    html = page_for(signed_in, workspace, Role.MERCHANT)
    for link in (
        '<a href="/orders?hold=no_hub_mapped">1 order On Hold: No hub mapped</a>',
        '<a href="/orders/invoices">1 invoice to upload on Amazon</a>',
        '<a href="/orders/conflicts">1 conflict between Amazon and FlexDash</a>',
        f'<a href="/stores/{store.id}/inventory/zeros/{brake.id}">8 quantities of Pune Store would go to zero',
    ):
        assert link in html


def test_an_order_that_amazon_still_expects_is_to_do_until_amazon_cancels_it(workspace, store, signed_in) -> None:
    order = make_order(store, "Cancelled", cancellation=OrderCancellation.NOT_SENT)
    needed = f'href="/orders?store={store.id}&amp;needs=cancellation">1 order not cancelled on Amazon</a>'
    to_do = '<a href="/orders?needs=cancellation">1 order not cancelled on Amazon</a>'
    pages = {role: signed_in(make_user(workspace, role)) for role in Role}
    for role, person in pages.items():
        html = person.get("/").text
        assert needed in html
        assert (to_do in html) is (role is not Role.SUPPORT)
    order.cancellation, order.amazon_status = OrderCancellation.DONE, "CANCELLED"
    db.session.commit()
    for person in pages.values():
        assert "not cancelled on Amazon" not in person.get("/").text


def test_an_acknowledgement_that_amazon_refused_is_to_do_while_the_order_is_worked(workspace, store, signed_in) -> None:
    orders = [make_order(store, acknowledgement=Acknowledgement.REFUSED) for _ in range(2)]
    words_of_it = "2 orders whose acknowledgement Amazon refused</a>"
    pages = {role: signed_in(make_user(workspace, role)) for role in Role}
    for role, person in pages.items():
        html = person.get("/").text
        assert f'href="/orders?store={store.id}&amp;needs=acknowledgement">{words_of_it}' in html
        assert (f'<a href="/orders?needs=acknowledgement">{words_of_it}' in html) is (role is not Role.SUPPORT)
    orders[0].acknowledgement, orders[1].state = Acknowledgement.DONE, OrderState.SHIPPED
    db.session.commit()
    for person in pages.values():
        assert "whose acknowledgement Amazon refused" not in person.get("/").text


def test_with_nothing_to_do_the_page_is_calm(workspace, store, signed_in) -> None:
    html = page_for(signed_in, workspace, Role.MERCHANT)
    assert "No order waits to be worked." in html
    assert "To do<" not in html
    assert "No order came in over the last 24 hours." in html
    assert "<svg viewBox" not in html.split("How it went")[1].split("Sync runs per day")[0]


def test_support_sees_the_freshness_of_every_store_worst_first(workspace, seller, signed_in) -> None:
    working(seller, "Good Store")
    late = working(seller, "Late Store", 52)
    run = make_run(late, RunState.FAILED)
    working(seller, "Refused Store", status=StoreStatus.NEEDS_REAUTHORIZATION)
    make_store(seller, name="Off Store")
    html = page_for(signed_in, workspace, Role.SUPPORT)
    text = words(html)
    assert "No good Order Sync for 52 minutes; the last run failed because Amazon did not answer." in text
    assert f'href="/sync-runs/{run.id}">Look at the last Order Sync run</a>' in html
    places = [text.index(name) for name in ("Refused Store", "Late Store", "Good Store", "Off Store")]
    assert places == sorted(places)
    assert "Orders to work" not in text
    assert "Recent changes" not in text


def test_a_store_whose_syncs_are_off_still_needs_a_person(workspace, seller, signed_in) -> None:
    off = working(seller, "Off Store", is_order_sync_on=False)
    make_order(off, "On Hold")
    for role in (Role.SUPPORT, Role.ADMIN):
        html = page_for(signed_in, workspace, role)
        text = words(html)
        assert "1 store needs a person." in text
        assert "All is well" not in text
        assert "things need a person" in text.split("No sync is expected of these")[1]
        assert f'href="/orders?store={off.id}&amp;state=On+Hold">1 order On Hold</a>' in html


def test_a_store_that_is_off_says_who_turned_it_off_with_the_row_of_the_log(workspace, seller, signed_in) -> None:
    off, resting = working(seller, "Off Store", is_order_sync_on=False), make_store(seller, name="Never On")
    with_stock = make_store(seller, name="Stock Only", is_inventory_sync_on=True)
    make_sync_state(with_stock, Sync.INVENTORY_PUSH)
    rows = {}
    for store in (off, with_stock):
        make_config_event(store)
        row = make_config_event(store, old={"is_order_sync_on": True}, new={"is_order_sync_on": False})
        rows[store.name] = row.id
        make_config_event(store, old={"is_inventory_sync_on": True}, new={"is_inventory_sync_on": False})
    html = page_for(signed_in, workspace, Role.SUPPORT)
    text = words(html)
    assert text.count("FlexDash turned Order Sync off just now") == 2
    assert re.search(r"so nothing runs\.\s+FlexDash turned Order Sync off", html)
    for row_id in rows.values():
        assert html.count(f'href="/configuration-log/{row_id}"') == 1
    assert "turned Order Sync off" not in text.split(resting.name)[1].split("Off Store")[0]
    assert f'href="/configuration-log/{rows["Off Store"]}"' in page_for(signed_in, workspace, Role.MERCHANT)


def test_an_open_alarm_is_not_all_well(workspace, seller, signed_in) -> None:
    store = sound_store(seller)
    assert "All is well" in page_for(signed_in, workspace, Role.SUPPORT)
    make_alarm(store)
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "All is well" not in html
    assert re.search(r'The stores are well\.\s+<a href="/alarms">1 alarm is open</a>', html)


def test_of_stores_that_are_not_shown_nothing_good_is_said(workspace, seller, signed_in, monkeypatch) -> None:
    monkeypatch.setattr(freshness, "SHOWN_APART", 1)
    for name in ("Gone", "Gone too"):
        make_store(seller, StoreStatus.DISCONNECTED, name=name)
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "All is well" not in html
    assert "The stores on this page are well." in html


def test_the_list_goes_on_with_the_next_worst_on_the_next_page(workspace, seller, signed_in) -> None:
    for n in range(13):
        working(seller, f"Store {n:02d}", minutes=60 - n)
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "Store 11" in html
    assert "Store 12" not in html
    following = re.search(r'rel="next" href="([^"]+)"', html)[1].replace("&amp;", "&")
    html = page_for(signed_in, workspace, Role.SUPPORT, "/" + following)
    assert "Store 12" in html
    assert "Store 11" not in html


def test_an_admin_sees_all_of_it_in_short_with_changes_and_people(workspace, store, signed_in) -> None:
    asha = make_user(workspace, name="Asha")
    make_user(workspace, is_active=False)
    signed_in(asha)
    with transaction():
        config_log.record(
            make_actor(asha), Section.SETTINGS, "Asha turned Order Sync on for Pune Store", store=store, reason="Season"
        )
    html = page_for(signed_in, workspace, Role.ADMIN)
    text = words(html)
    for part in ("Orders to work", "Stores, worst first", "Recent changes", "People", "How it went"):
        assert part in text
    assert "Asha turned Order Sync on for Pune Store" in text
    assert f'href="/stores/{store.id}/configuration-log"' in html
    assert "2 people can sign in, with 2 open sessions." in text.replace(" ,", ",").replace(" .", ".")
    assert 'href="/admin/users?status=inactive">1 is deactivated</a>' in html
    assert f'href="/admin/users/{asha.id}">Asha</a>' in html
    for role in (Role.MERCHANT, Role.SUPPORT):
        assert "Recent changes" not in page_for(signed_in, workspace, role)


def test_a_hostile_name_is_shown_as_text_everywhere(workspace, seller, signed_in) -> None:
    store = working(seller, "<svg onload=alert(1)>", 60)
    make_order(store, "On Hold")
    make_call(store, operation="<svg onload=alert(2)>")
    for role in Role:
        assert "<svg onload" not in page_for(signed_in, workspace, role)


# Charts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_charts_stand_beside_tables_with_their_numbers(workspace, store, signed_in, role) -> None:
    make_order(store)
    make_call(store, "throttled")
    run = make_run(store, RunState.PARTIAL)
    make_sync_state(store, Sync.INVENTORY_PUSH)
    html = page_for(signed_in, workspace, role)
    for chart in ("chart-orders", "chart-runs", "chart-lag", "chart-calls"):
        picture = html[html.index(f'aria-labelledby="{chart}-title {chart}-desc"') - 60 :]
        assert 'role="img"' in picture[:120]
        assert f'<title id="{chart}-title">' in picture
        assert f'<desc id="{chart}-desc">' in picture
    for title in (
        "Orders per hour, in numbers",
        "Sync runs per day, in numbers",
        "Calls to Amazon per hour, in numbers",
    ):
        assert title in html
    day = run.finished_at.astimezone(clock.now().tzinfo)
    assert re.search(rf'href="/sync-runs\?state=partial&amp;from={day.year}-\d\d-\d\d&amp;to=[\d-]+">1</a>', html)
    assert "style=" not in html
    assert "1 call to Amazon in the last 24 hours; none failed, 1 was throttled (answered 429)." in html


def test_calls_that_failed_have_their_own_columns_and_numbers(workspace, store, signed_in) -> None:
    for outcome in ("success", "fault", "no_answer", "refused"):
        make_call(store, outcome)
    html = page_for(signed_in, workspace, Role.SUPPORT)
    assert "4 calls to Amazon in the last 24 hours; 3 failed, none was throttled." in html
    table = words(html[html.index("Calls to Amazon per hour, in numbers") :])
    assert re.search(r"Answered Throttled Failed \w{3} \d\d:\d\d 1 0 3 ", table), table[:300]


def test_a_store_has_the_charts_of_its_own(workspace, seller, store, signed_in) -> None:
    make_order(store)
    make_order(working(seller, "Other"))
    now = clock.now()
    for minutes in (70, 10):
        at = now - timedelta(minutes=minutes)
        make_run(store, sync=Sync.INVENTORY_PUSH, started_at=at, finished_at=at + timedelta(minutes=2))
    make_call(store, operation="batchInventory")
    html = page_for(signed_in, workspace, Role.SUPPORT, f"/stores/{store.id}")
    assert "1 order came in over the last 24 hours" in html
    assert "waited 62 minutes at most until Amazon took it" in html
    assert '<polyline class="chart-line"' in html
    assert f"&amp;store={store.id}" in html
    assert "180,100" in html


# Cost -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_the_number_of_queries_does_not_grow_with_the_stores(workspace, seller, signed_in, role) -> None:
    person = signed_in(make_user(workspace, role))
    make_user(workspace, is_active=False)

    def add(n: int) -> None:
        store = working(seller, f"Store {n}", is_inventory_sync_on=True, is_automated_cancellation_on=True)
        make_sync_state(store, Sync.INVENTORY_PUSH)
        make_run(store)
        make_run(store, sync=Sync.INVENTORY_PUSH)
        make_order(store, "On Hold")
        make_zero_brake(store)
        off = make_store(seller, name=f"Store {n} at rest")
        make_order(off, "On Hold")
        make_config_event(off, old={"is_order_sync_on": True}, new={"is_order_sync_on": False})

    add(0)
    with statements() as with_one:
        assert person.get("/").status_code == 200
    for n in range(1, 50):
        add(n)
    with statements() as with_fifty:
        assert "Store 1" in person.get("/").text
    assert len(with_fifty) == len(with_one)
    assert len(with_one) < 50

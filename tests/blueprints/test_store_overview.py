"""The pages of a store's connection: overview, reconnect, disconnect, rename, and the banner."""

import html
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    BrakeState,
    HoldReason,
    OrderState,
    PublishedStock,
    PushState,
    QuarantinedShipment,
    Role,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncState,
)
from flexdash.services import store_summaries
from flexdash.services.store_needs import Need
from tests import factories
from tests.factories import make_seller, make_store, make_user, make_workspace
from tests.support.web import words

FLEX = "/apps/amazon-seller-flex"


@pytest.fixture
def workspace(app):
    return make_workspace()


@pytest.fixture
def seller(workspace):
    return make_seller(workspace, "Sunrise")


@pytest.fixture
def asha(signed_in, workspace):
    return signed_in(make_user(workspace, name="Asha"))


@pytest.fixture
def support(signed_in, workspace):
    return signed_in(make_user(workspace, Role.SUPPORT))


STEPS = ("Map a hub", "Upload the catalog", "Add stock", "Turn on Order Sync", "Turn on Inventory Sync")


def set_up_whole(workspace, seller, **values) -> Store:
    """A store whose orders can be worked."""
    store, hub = make_store(seller, is_order_sync_on=True, **values), factories.make_hub(workspace)
    factories.make_mapping(store, hub)
    factories.make_listing(store, "TEE")
    factories.make_stock(seller, hub, "TEE")
    return store


def test_a_new_store_shows_its_checklist(asha, seller) -> None:
    store = make_store(seller, name="Pune")
    page = asha.get(f"/stores/{store.id}")
    text = words(page)
    for sentence in ("What is left to do", "No sync has run in the last seven days"):
        assert sentence in text
    for step in STEPS:
        assert f"To do: {step}" in text
    for address in (
        f"/stores/{store.id}/hubs",
        f"/stores/{store.id}/catalog",
        f"/uploads/new?kind=stock&amp;seller={seller.id}",
        f"/stores/{store.id}/settings",
    ):
        assert (
            f'btn btn-outline-primary" href="{address}"' in page.text or f'btn-primary" href="{address}"' in page.text
        )
    assert page.text.count('class="btn btn-primary"') == 1


def test_each_step_is_done_by_itself(asha, workspace, seller) -> None:
    store, hub = make_store(seller), factories.make_hub(workspace)
    factories.make_listing(store)
    text = words(asha.get(f"/stores/{store.id}"))
    assert "Done: Upload the catalog" in text
    assert "To do: Map a hub" in text
    factories.make_mapping(store, hub)
    factories.make_stock(seller, hub, "TEE")
    store.is_inventory_sync_on = True
    db.session.commit()
    text = words(asha.get(f"/stores/{store.id}"))
    for step in STEPS:
        assert f"{'To do' if step == 'Turn on Order Sync' else 'Done'}: {step}" in text


def test_support_sees_the_checklist_without_its_buttons(support, seller) -> None:
    page = support.get(f"/stores/{make_store(seller).id}")
    assert "To do: Upload the catalog" in words(page)
    assert "/uploads/new" not in page.text


def test_the_checklist_goes_when_orders_can_be_worked(asha, workspace, seller) -> None:
    text = words(asha.get(f"/stores/{set_up_whole(workspace, seller).id}"))
    assert "What is left to do" not in text
    assert "Nothing needs a person" in text


def test_a_store_at_work_shows_runs_and_times(asha, workspace, seller) -> None:
    store = make_store(seller, is_order_sync_on=True, name="Pune")
    run = factories.make_run(store)
    factories.make_run(store, RunState.PARTIAL)
    factories.make_run(store, RunState.FAILED)
    last = factories.make_run(store)
    db.session.add(
        SyncState(
            workspace_id=store.workspace_id,
            store_id=store.id,
            sync=Sync.ORDER_PULL,
            next_due_at=clock.now() + timedelta(minutes=20),
            last_success_at=clock.now(),
        )
    )
    db.session.commit()
    page = asha.get(f"/stores/{store.id}")
    assert f'href="/sync-runs/{last.id}"' in page.text
    assert f'action="/stores/{store.id}/sync-now"' in page.text
    runs = page.text[page.text.index('id="chart-runs-title"') : page.text.index('class="chart-legend"')]
    for bar in ("chart-good", "chart-partial", "chart-failed"):
        assert runs.count(f'<rect class="{bar}" x=') == 1
    assert "Today 2 1 1 0" in words(page)
    assert run.id != last.id


def test_what_needs_a_person_leads_to_it(asha, seller) -> None:
    store = make_store(seller, is_order_sync_on=True)
    for location in ("AAA1", "BBB2", "BBB2"):
        factories.make_order(store, OrderState.ON_HOLD, seller_flex_hub_id=location)
    factories.make_order(store, OrderState.ON_HOLD, hold_reason=HoldReason.HUB_INACTIVE)
    db.session.add(
        QuarantinedShipment(
            workspace_id=store.workspace_id,
            store_id=store.id,
            amazon_shipment_id="S1",
            error_sentence="no lines",
            payload_encrypted=b"x",
        )
    )
    db.session.commit()
    page = asha.get(f"/stores/{store.id}")
    text = words(page)
    for sentence in (
        "3 orders On Hold",
        "BBB2 (2 orders)",
        "AAA1 (1 order)",
        "1 order On Hold",
        "1 shipment in quarantine",
    ):
        assert sentence in text
    link = re.search(r'href="(/orders\?[^"]*hold=no_hub_mapped[^"]*)"', page.text)[1].replace("&amp;", "&")
    listed = asha.get(link)
    assert listed.status_code == 200
    assert listed.text.count("On Hold") >= 3


def quarantined(store: Store) -> None:
    own = {"workspace_id": store.workspace_id, "store_id": store.id}
    db.session.add(QuarantinedShipment(**own, amazon_shipment_id="S1", error_sentence="no lines"))


def paused(store: Store, **values) -> str:
    """A push of zeros holds Inventory Sync, which is on, back; the page that it leads to."""
    store.is_inventory_sync_on = True
    return f"/stores/{store.id}/inventory/zeros/{factories.make_zero_brake(store, **values).id}"


def failed(store: Store, sync: Sync = Sync.ORDER_PULL, state: str = "failed", **values) -> str:
    """The sync is on, and its last run ended so; the page of that run."""
    store.is_inventory_sync_on = True
    if sync in (Sync.PRICE_PUSH, Sync.ORDER_STEPS, Sync.RETURN_PULL, Sync.RECONCILE):
        factories.make_sync_state(store, sync)
    return f"/sync-runs/{factories.make_run(store, state, sync=sync, **values).id}"


def stale(store: Store, sync: Sync) -> str:
    factories.make_sync_state(store, sync, minutes_since_good=100)
    store.authorized_at = clock.now() - timedelta(days=30)
    return failed(store, sync, "succeeded")


def never_run(store: Store) -> str:
    """Order Sync is on for hours, and the scheduler is away."""
    factories.make_sync_state(store, last_success_at=None, on_since=clock.now() - timedelta(hours=2))
    store.authorized_at = clock.now() - timedelta(days=30)
    return f"/stores/{store.id}#syncs"


def hung(store: Store) -> str:
    factories.make_sync_state(store, minutes_since_good=100)
    store.authorized_at = clock.now() - timedelta(days=30)
    return failed(store, state="running")


def failed_with_a_step(store: Store) -> str:
    factories.make_step(make_order(store, "Packed"), "labels", "waiting")
    return failed(store, Sync.ORDER_STEPS)


def refused_stock(store: Store) -> None:
    own = {"workspace_id": store.workspace_id, "store_id": store.id}
    db.session.add(PublishedStock(**own, seller_flex_hub_id="EXSB", sku_code="TEE", state=PushState.REFUSED))


RETRYING = {"state": "queued", "error_sentence": "Amazon is away.", "retry_at": clock.now() + timedelta(hours=1)}
DECLINED = {"state": BrakeState.DECLINED, "decided_at": clock.now(), "decided_by_name": "Ravi"}
make_order = factories.make_order
# What a store needs a person for beside the banner and the checklist: how that comes about, the words of its line, and
# where they lead to unless making it says so.
NEEDS = [
    (Need.LOOK_AT_SYNC, failed, "Look at the last Order Sync run", ""),
    (Need.LOOK_AT_SYNC, lambda s: failed(s, **RETRYING), "Look at the last Order Sync run", ""),
    (Need.LOOK_AT_SYNC, lambda s: stale(s, Sync.ORDER_PULL), "Look at the last Order Sync run", ""),
    (Need.LOOK_AT_SYNC, never_run, "Look at Order Sync", ""),
    (Need.LOOK_AT_SYNC, hung, "Look at the last Order Sync run", ""),
    (Need.LOOK_AT_STEPS, failed_with_a_step, "Look at the last run of order updates", ""),
    (Need.LOOK_AT_RETURNS, lambda s: failed(s, Sync.RETURN_PULL), "Look at the last run that fetched returns", ""),
    (
        Need.LOOK_AT_RETURNS,
        lambda s: failed(s, Sync.RETURN_PULL, "partial"),
        "Look at the last run that fetched returns",
        "",
    ),
    (Need.LOOK_AT_RECONCILIATION, lambda s: failed(s, Sync.RECONCILE), "Look at the last comparison with Amazon", ""),
    (Need.LOOK_AT_INVENTORY, lambda s: failed(s, Sync.INVENTORY_PUSH), "Look at the last Inventory Sync run", ""),
    (Need.LOOK_AT_INVENTORY, lambda s: stale(s, Sync.INVENTORY_PUSH), "Look at the last Inventory Sync run", ""),
    (Need.LOOK_AT_PRICES, lambda s: failed(s, Sync.PRICE_PUSH), "Look at the last price push", ""),
    (Need.ZERO_BRAKE, paused, "8 quantities would go to zero on Amazon", ""),
    (Need.ZERO_BRAKE, lambda s: paused(s, **DECLINED), "8 quantities would go to zero on Amazon", ""),
    (
        Need.HELD_ORDERS,
        lambda s: make_order(s, "On Hold"),
        "1 order On Hold: No hub mapped",
        "/orders?store={}&state=On+Hold&hold=no_hub_mapped",
    ),
    (
        Need.ACKNOWLEDGEMENTS,
        lambda s: make_order(s, acknowledgement="refused"),
        "1 order whose acknowledgement Amazon refused",
        "/orders?store={}&needs=acknowledgement",
    ),
    (
        Need.CANCELLATIONS,
        lambda s: make_order(s, "Cancelled", cancellation="not_sent"),
        "1 order not cancelled on Amazon",
        "/orders?store={}&needs=cancellation",
    ),
    (
        Need.CONFLICTS,
        lambda s: factories.make_conflict(make_order(s, "Shipped")),
        "1 order in conflict",
        "/orders?store={}&needs=conflict",
    ),
    (
        Need.STEPS,
        lambda s: factories.make_step(make_order(s, "Packed"), "labels", "failed"),
        "1 shipment to fix",
        "/orders/to-fix?store={}",
    ),
    (
        Need.INVOICES,
        lambda s: make_order(s, "Packed", is_invoice_waiting=True),
        "1 invoice to upload on Amazon",
        "/orders/invoices?store={}",
    ),
    (Need.QUARANTINE, quarantined, "1 shipment in quarantine", "/orders/quarantine?store={}"),
    (
        Need.DIFFERENCES,
        lambda s: factories.make_difference(s),
        "1 order missing here",
        "/stores/{}/reconcile?kind=missing_here",
    ),
    (Need.REFUSED_STOCK, refused_stock, "1 quantity refused by Amazon", "/stores/{}/catalog?only=error"),
    (
        Need.REFUSED_PRICES,
        lambda s: factories.make_listing(s, price=Decimal("5.00"), price_state="refused"),
        "1 price refused by Amazon",
        "/stores/{}/prices?state=refused",
    ),
]


@pytest.mark.parametrize(("need", "make", "line", "address"), NEEDS)
def test_each_thing_that_needs_a_person_is_a_line_that_leads_to_it(asha, workspace, seller, need, make, line, address):
    store = set_up_whole(workspace, seller)
    assert "Nothing needs a person" in asha.get(f"/stores/{store.id}").text
    made = make(store)
    address = address.format(store.id) if address else made
    db.session.commit()
    (summary,) = store_summaries.of([store])
    assert summary.needs == [need]
    page = asha.get(f"/stores/{store.id}").text
    assert "Nothing needs a person" not in page
    assert f'href="{html.escape(address)}">{line}</a>' in page[page.index("What needs a person") :]
    assert "Nothing needs a person" not in asha.get("/").text


@pytest.mark.parametrize(
    ("need", "values"),
    [
        (Need.REAUTHORIZE, {"status": "needs_reauthorization"}),
        (Need.RENEW, {"authorization_expires_at": clock.now() + timedelta(days=9)}),
    ],
)
def test_what_the_banner_says_is_not_well_and_is_said_once(asha, workspace, seller, need, values) -> None:
    store = set_up_whole(workspace, seller, **values)
    (summary,) = store_summaries.of([store])
    assert summary.needs == [need]
    page = asha.get(f"/stores/{store.id}").text
    assert "Nothing needs a person" not in page
    assert "What needs a person" not in page
    assert page.count(f"/stores/{store.id}/reconnect") == 2  # of the banner and of the connection


def test_no_need_is_left_out(asha, seller) -> None:
    in_checklist = {Need.MAP_A_HUB, Need.UPLOAD_CATALOG, Need.ADD_STOCK, Need.TURN_ON_ORDER_SYNC}
    in_banner = {Need.FINISH_CONNECTING, Need.REAUTHORIZE, Need.RENEW}
    assert {need for need, *_ in NEEDS} | in_checklist | in_banner == set(Need)


CATALOG, NONE_LEFT = "/uploads/new?kind=catalog&amp;store={store}", "/stock?seller={seller}&amp;only=none_left"


@pytest.mark.parametrize(
    ("reason", "sentence", "address"),
    [
        (HoldReason.SKU_UNKNOWN, "Neither this store's catalog nor the seller's SKUs", CATALOG),
        (HoldReason.NO_ASIN, "this store's catalog has no ASIN for it", CATALOG),
        (HoldReason.NOT_ENOUGH_STOCK, "Their hub has less than what was ordered", NONE_LEFT),
    ],
)
def test_each_hold_reason_names_what_mends_it(asha, support, seller, reason, sentence, address) -> None:
    store = make_store(seller)
    factories.make_order(store, OrderState.ON_HOLD, hold_reason=reason)
    page = asha.get(f"/stores/{store.id}")
    assert sentence in html.unescape(words(page))
    assert f'href="{address.format(store=store.id, seller=seller.id)}"' in page.text
    assert "A merchant or an admin can" in support.get(f"/stores/{store.id}").text


def test_the_connection_counts_down(asha, seller) -> None:
    store = make_store(seller)
    text = words(asha.get(f"/stores/{store.id}"))
    assert store.amazon_selling_partner_id in text
    assert "in 365 days" in text
    assert "The authorization at Amazon ends" not in text


@pytest.mark.parametrize(
    ("days", "sentence"),
    [(29.5, "ends in 30 days"), (0.5, "ends in 1 day"), (-1, "The authorization at Amazon has ended")],
)
def test_the_banner_stands_on_every_page_of_the_store(asha, support, seller, days, sentence) -> None:
    store = make_store(seller, name="Pune", authorization_expires_at=clock.now() + timedelta(days=days))
    for path in (f"/stores/{store.id}", f"/stores/{store.id}/rename", f"{FLEX}?seller={seller.id}", "/apps"):
        page = asha.get(path)
        assert sentence in words(page)
        assert f'href="/stores/{store.id}/reconnect"' in page.text
    page = support.get(f"/stores/{store.id}")
    assert sentence in words(page)
    assert "/reconnect" not in page.text


def test_a_refused_store_shows_amazons_reason(asha, support, seller) -> None:
    store = make_store(
        seller, "needs_reauthorization", reauthorization_reason="revoked <svg onload=x>", is_order_sync_on=True
    )
    page = asha.get(f"/stores/{store.id}")
    assert "revoked &lt;svg onload=x&gt;" in page.text
    assert "Paused" in words(page)
    assert f'href="/stores/{store.id}/reconnect"' in page.text
    assert "/sync-now" not in page.text
    assert "A merchant or an admin of your workspace can re-authorize it" in words(support.get(f"/stores/{store.id}"))


def test_support_looks_and_changes_nothing(support, seller) -> None:
    store = make_store(seller, name="Pune")
    page = support.get(f"/stores/{store.id}").text
    for way in ("/reconnect", "/disconnect", "/rename"):
        assert way not in page
    for way in ("reconnect", "disconnect", "rename"):
        assert support.get(f"/stores/{store.id}/{way}").status_code == 403
        assert support.post(f"/stores/{store.id}/{way}").status_code == 403
    assert db.session.get(Store, store.id).status is StoreStatus.CONNECTED


@pytest.mark.parametrize("way", ["", "/reconnect", "/disconnect", "/rename"])
def test_strangers_and_limited_merchants_find_nothing(signed_in, workspace, seller, way) -> None:
    store = make_store(seller)
    for person in (make_user(make_workspace(), Role.ADMIN), make_user(workspace, sellers=[make_seller(workspace)])):
        assert signed_in(person).get(f"/stores/{store.id}{way}").status_code == 404


def test_support_sees_a_draft_without_its_wizard(support, seller) -> None:
    draft = make_store(seller, "draft", name="Half done")
    page = support.get(f"/stores/{draft.id}")
    assert page.status_code == 200
    assert "This store is a draft" in words(page)
    assert FLEX + f"/{draft.id}" not in page.text


# Reconnect, disconnect, rename ----------------------------------------------------------------------------------------


def test_reconnecting_leads_to_amazon(asha, settings, seller) -> None:
    store = make_store(seller, name="Pune")
    page = asha.get(f"/stores/{store.id}/reconnect")
    assert store.amazon_selling_partner_id in page.text
    assert f"form-action 'self' {settings.amazon_seller_central_url}" in page.headers["Content-Security-Policy"]
    answer = asha.post(f"/stores/{store.id}/reconnect")
    assert answer.status_code == 303
    assert answer.location.startswith(f"{settings.amazon_seller_central_url}/apps/authorize/consent?")


def test_reconnecting_needs_a_free_name(asha, seller) -> None:
    store = make_store(seller, "disconnected", name="Pune")
    make_store(seller, name="Pune")
    answer = asha.post(f"/stores/{store.id}/reconnect")
    assert answer.location == f"/stores/{store.id}/rename"
    assert "Rename this store, then connect it again" in asha.get(answer.location).text


def test_disconnecting_asks_first_and_says_what_happens(asha, seller) -> None:
    store = make_store(seller, name="Pune")
    text = words(asha.get(f"/stores/{store.id}/disconnect"))
    for sentence in ("No new orders come in", "deletes its access", "are kept", "reconnect the same Amazon account"):
        assert sentence in text
    assert db.session.get(Store, store.id).status is StoreStatus.CONNECTED
    answer = asha.post(f"/stores/{store.id}/disconnect", data={"reason": "x" * 301})
    assert answer.status_code == 422
    assert "x" * 301 in answer.text
    answer = asha.post(f"/stores/{store.id}/disconnect", data={"reason": "Season over"})
    assert (answer.status_code, answer.location) == (303, f"/stores/{store.id}")
    page = asha.get(answer.location)
    assert "This store is disconnected" in words(page)
    assert "Reconnect" in page.text
    assert "/sync-now" not in page.text
    answer = asha.post(f"/stores/{store.id}/disconnect")
    assert "is not connected, so there is nothing to disconnect" in words(asha.get(answer.location))


def test_renaming_keeps_what_was_typed(asha, seller) -> None:
    store = make_store(seller, name="Pune")
    make_store(seller, name="Mumbai")
    answer = asha.post(f"/stores/{store.id}/rename", data={"name": "mumbai"})
    assert answer.status_code == 422
    assert 'value="mumbai"' in answer.text
    assert "named mumbai already" in answer.text
    answer = asha.post(f"/stores/{store.id}/rename", data={"name": "Pune West"})
    assert "The store is named Pune West now" in words(asha.get(answer.location))


@pytest.mark.parametrize(
    ("way", "target"),
    [("reconnect", f"{FLEX}/{{}}/integrate"), ("rename", f"{FLEX}/{{}}/name"), ("disconnect", "/stores/{}")],
)
def test_a_draft_is_sent_to_its_wizard(asha, seller, way, target) -> None:
    draft = make_store(seller, "draft")
    assert asha.get(f"/stores/{draft.id}/{way}").location == target.format(draft.id)


def test_a_hostile_name_is_shown_as_text(asha, seller) -> None:
    store = make_store(seller, name="<svg onload=alert(1)>")
    for path in (f"/stores/{store.id}", f"/stores/{store.id}/disconnect", f"{FLEX}?seller={seller.id}", "/apps"):
        assert "<svg onload" not in asha.get(path).text

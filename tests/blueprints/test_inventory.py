"""The Inventory tab, the preview and the held-back push, as a browser without JavaScript meets them."""

import html
import re
from datetime import timedelta

import pytest
from sqlalchemy import event

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import (
    BrakeState,
    ConfigEvent,
    HubMapping,
    PushState,
    Role,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncRunItem,
    ZeroBrake,
)
from flexdash.services.inventory import drift
from flexdash.services.inventory.left_out import left_out
from flexdash.services.inventory.places import active_locations
from flexdash.services.inventory.plan import StoreFacts
from tests import factories
from tests.support.inventory_pages import path, runs, skus, tell
from tests.support.stock import make_stocked_store, stock_up
from tests.support.web import words

XSS = "<svg onload=alert(1)>"


@pytest.fixture
def place(app):
    return make_stocked_store()


@pytest.fixture
def store(place):
    return place[0]


@pytest.fixture
def web(signed_in, store):
    return signed_in(factories.make_user(store.seller.workspace, "merchant", name="Asha"))


@pytest.fixture
def support(signed_in, store):
    return signed_in(factories.make_user(store.seller.workspace, Role.SUPPORT))


def fields(answer, action: str) -> dict[str, str]:
    """Return the hidden fields of the form that posts to `action`."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}"(?:(?!</form>).)*</form>', answer.text, re.DOTALL).group()
    found = {}
    for tag in re.findall(r"<input[^>]+>", form):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes["name"] != "csrf_token":
            found[attributes["name"]] = html.unescape(attributes.get("value", ""))
    return found


# The list -----------------------------------------------------------------------------------------------------------


def test_a_store_without_catalog_or_hub_says_what_to_do(signed_in, app):
    store = factories.make_store(factories.make_seller(factories.make_workspace()))
    web = signed_in(factories.make_user(store.seller.workspace))
    assert "This store has no catalog yet" in words(web.get(path(store)))
    factories.make_listing(store)
    page = web.get(path(store))
    assert "No hub of this store has an active Seller Flex Hub ID" in words(page)
    assert f'href="/stores/{store.id}/hubs"' in page.text


def test_ours_what_amazon_was_told_and_what_it_says_stand_beside_each_other(web, place):
    store, hub = place
    store.stock_buffer = 2
    factories.make_listing(store, "A")
    factories.make_stock(store.seller, hub, "A", on_hand=12, reserved=3)
    tell(store, "A", 9, amazon_sellable=8, amazon_reserved=1, fetched_at=clock.now())
    page = words(web.get(path(store)))
    assert "7 12 on hand, 3 reserved , 2 held back" in page
    assert "9 taken just now" in page
    assert "8 1 reserved, just now" in page
    assert "Amazon shows more" in page


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("", ["EQUAL", "LESS", "MORE", "NEVER", "OUTSIDE", "REFUSED"]),
        ("differs", ["LESS", "MORE", "NEVER", "OUTSIDE", "REFUSED"]),
        ("oversell", ["MORE", "OUTSIDE"]),
        ("refused", ["REFUSED"]),
        ("never_sent", ["NEVER"]),
        ("nonsense", ["EQUAL", "LESS", "MORE", "NEVER", "OUTSIDE", "REFUSED"]),
    ],
)
def test_filters_narrow_the_list(web, place, only, expected):
    store, hub = place
    stock_up(store, hub, dict.fromkeys(["EQUAL", "LESS", "MORE", "NEVER", "OUTSIDE", "REFUSED"], 5))
    tell(store, "EQUAL", 5)
    tell(store, "LESS", 3)
    tell(store, "MORE", 8)
    tell(store, "OUTSIDE", 5, amazon_sellable=6, fetched_at=clock.now() + timedelta(seconds=1))
    tell(store, "REFUSED", 5, PushState.REFUSED, error_code="INVALID_SKU", error_message=f"Amazon said {XSS}")
    page = web.get(path(store, f"?only={only}"))
    assert skus(page) == expected
    assert XSS not in page.text
    if "REFUSED" in expected:
        assert "Check that Seller Central has a listing with exactly this SKU" in words(page)


@pytest.mark.parametrize(
    ("n_counted", "oversold", "said"),
    [
        (14, [], "none"),
        (14, ["S1"], "1 quantity"),
        (14, ["S1", "S6"], "2 quantities"),
        (10, ["S1", "S6"], "at least 1 quantity"),
        (10, ["S6"], "none among the first 5 SKUs"),
        (1, ["S0"], "at least 1 quantity"),
    ],
)
def test_the_risk_of_overselling_is_said_first(web, place, monkeypatch, n_counted, oversold, said):
    store, hub = place
    monkeypatch.setattr(drift, "COUNTED_LINES", n_counted)
    factories.make_mapping(store, factories.make_hub(store.seller.workspace), "PNQ1")
    stock_up(store, hub, {f"S{n}": 5 for n in range(7)})
    for n in range(7):
        tell(store, f"S{n}", 8 if f"S{n}" in oversold else 5)
    tell(store, "DELISTED", 8)
    page = web.get(path(store))
    assert f"Amazon shows more than there is {said} Refused by Amazon none" in words(page)
    assert (f'href="{path(store)}?only=oversell"' in page.text) == (said != "none")
    assert skus(web.get(path(store, "?only=oversell"))) == oversold


def test_without_a_hub_nothing_is_said_of_overselling(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    db.session.execute(db.update(HubMapping).values(is_active=False))
    db.session.commit()
    assert "Amazon shows more than there is – Refused by Amazon none" in words(web.get(path(store)))


def test_what_amazon_sells_where_no_active_hub_is_does_not_vanish(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 5, "B": 5})
    tell(store, "A", 5)
    tell(store, "A", 7, seller_flex_hub_id="PNQ1")
    tell(store, "B", 0, seller_flex_hub_id="PNQ1")
    factories.make_run(store, sync=Sync.RECONCILE)
    said = "Amazon sells stock that it is told nothing of any more 1 SKU (7 units) at PNQ1 : no active hub"
    for address in (f"/stores/{store.id}", path(store), f"/stores/{store.id}/reconcile"):
        page = web.get(address)
        assert said in words(page)
        assert f'href="{path(store)}?only=left_behind"' in page.text
    assert "agree" not in words(page)
    page = web.get(path(store, "?only=left_behind"))
    assert (skus(page), "No active hub · PNQ1" in words(page)) == (["A"], True)
    db.session.execute(db.delete(HubMapping))
    db.session.commit()
    assert skus(web.get(path(store, "?only=left_behind"))) == ["A", "A"]


def test_stock_without_a_listing_is_shown_by_its_filter(web, place):
    store, hub = place
    stock_up(store, hub, {"LISTED": 5})
    factories.make_stock(store.seller, hub, "UNLISTED", on_hand=4)
    page = words(web.get(path(store, "?only=no_listing")))
    assert "UNLISTED" in page
    assert "Not on Amazon: no listing" in page
    assert " LISTED" not in page


def test_a_sku_is_found_by_its_beginning_as_written_and_by_hub(web, place):
    store, hub = place
    other = factories.make_hub(store.seller.workspace, name="Delhi")
    mapping = factories.make_mapping(store, other, "PNQ1")
    stock_up(store, hub, {"AB-1": 1, "AB-2": 2, "ab-3": 3, "B%_": 4})
    assert skus(web.get(path(store, "?q=AB"))) == ["AB-1", "AB-1", "AB-2", "AB-2"]
    assert skus(web.get(path(store, "?q=B%25_"))) == ["B%_", "B%_"]
    page = web.get(path(store, f"?q=AB&hub={mapping.id}"))
    assert skus(page) == ["AB-1", "AB-2"]
    assert "Pune Warehouse ·" not in words(page)
    assert "No SKU fits these filters" in words(web.get(path(store, "?q=nothing")))


@pytest.mark.parametrize("sort", ["", "z"])
def test_the_list_pages_by_key_through_skus_and_hubs_in_either_order(web, place, sort):
    store, hub = place
    factories.make_mapping(store, factories.make_hub(store.seller.workspace), "PNQ1")
    stock_up(store, hub, {f"S{n:02d}": n for n in range(40)})
    seen, address = [], path(store, f"?sort={sort}")
    while address:
        page = web.get(address)
        seen += skus(page)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        address = path(store) + html.unescape(following.group(1)) if following else None
    assert seen == sorted([f"S{n:02d}" for n in range(40)] * 2, reverse=bool(sort))
    assert "Previous page" in page.text


@pytest.mark.parametrize(("sort", "odd_one"), [("", 17), ("z", 7)])
def test_a_large_catalog_is_looked_at_in_parts(web, place, monkeypatch, sort, odd_one):
    store, hub = place
    monkeypatch.setattr(drift, "WINDOW", 10)
    stock_up(store, hub, {f"S{n:02d}": 5 for n in range(25)})
    for n in range(25):
        tell(store, f"S{n:02d}", 5 if n != odd_one else 4)
    first = web.get(path(store, f"?only=differs&sort={sort}"))
    assert skus(first) == []
    assert "Nothing fits in this part of the catalog" in words(first)
    further = re.search(r'href="([^"]+)">Look at the next part', first.text).group(1)
    second = web.get(html.unescape(further))
    assert skus(second) == [f"S{odd_one:02d}"]
    assert "Begin at the start again" in words(second)
    last = web.get(html.unescape(re.search(r'href="([^"]+)">Look at the next part', second.text).group(1)))
    assert "Look at the next part" not in last.text


@pytest.mark.parametrize("query", ["from=%FF", "hub=999999", "only=x&hub=y&q=%EF%BF%BF", "page=rubbish"])
def test_an_address_that_cannot_be_read_breaks_nothing(web, place, query):
    stock_up(*place, {"A": 1})
    assert web.get(path(place[0], f"?{query}")).status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_skus(web, place):
    store, hub = place

    def queries():
        n = []
        listener = lambda *args: n.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", listener)
        web.get(path(store, "?only=differs"))
        event.remove(db.engine, "before_cursor_execute", listener)
        return len(n)

    stock_up(store, hub, {"A": 1})
    few = queries()
    stock_up(store, hub, {f"S{n}": 1 for n in range(60)})
    assert queries() == few


def test_a_draft_leads_back_and_a_foreign_store_does_not_exist(web, store, signed_in):
    draft = factories.make_store(store.seller, StoreStatus.DRAFT)
    for rest in ("", "/preview"):
        assert web.get(path(draft, rest)).status_code == 303
    stranger = signed_in(factories.make_user(factories.make_workspace()))
    for rest in ("", "/preview"):
        assert stranger.get(path(store, rest)).status_code == 404


# Left out -------------------------------------------------------------------------------------------------------------


def test_what_a_push_left_out_leads_to_its_skus(web, place):
    store, hub = place
    stock_up(store, hub, {"KEPT": 5})
    factories.make_stock(store.seller, hub, "UNLISTED")
    tell(store, "GONE", 5)
    tell(store, "GONE-AT-ZERO", 0)
    off = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_mapping(store, off, "PNQ1").is_active = False
    unmapped = factories.make_hub(store.seller.workspace, name="Agra Warehouse")
    factories.make_stock(store.seller, unmapped, "KEPT")
    run = factories.make_run(store, RunState.SUCCEEDED, sync=Sync.INVENTORY_PUSH)
    items = left_out(StoreFacts.of(store), active_locations(store.id))
    db.session.add_all(SyncRunItem(run_id=run.id, **item) for item in items)
    db.session.commit()
    pages = [web.get(f"/sync-runs/{run.id}"), web.get(f"/sync-runs/{run.id}/items"), web.get(path(store, "/preview"))]
    links = [set(re.findall(r'<a href="([^"]+)">1(?: SKU)?</a>', page.text)) for page in pages]
    assert links[0] == links[1]
    assert links[0] <= links[2]
    found = {url: web.get(html.unescape(url)) for url in links[0]}
    assert {html.unescape(url).split("?")[0] for url in found} == {
        f"/stores/{store.id}/catalog",
        "/stock",
        path(store),
    }
    listed = {html.unescape(url).rpartition("?")[2]: words(page) for url, page in found.items()}
    gone = listed["only=delisted"]
    assert "GONE" in gone
    assert "GONE-AT-ZERO" not in gone
    assert "KEPT" not in gone
    (unlisted,) = (page for query, page in listed.items() if "no_listing" in query)
    assert "UNLISTED" in unlisted
    assert f"seller={store.seller_id}&hub={unmapped.id}" in listed


# The preview --------------------------------------------------------------------------------------------------------


@pytest.fixture
def off(place):
    """The same store with Inventory Sync never on yet."""
    store, hub = place
    store.is_inventory_sync_on = False
    db.session.commit()
    return store, hub


def settings_fields(page) -> dict[str, str]:
    form = re.search(r'<form(?:(?!</form>).)*value="is_inventory_sync_on".*?</form>', page.text, re.DOTALL).group()
    tags = [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<input[^>]+>", form)]
    return {tag["name"]: html.unescape(tag.get("value", "")) for tag in tags if tag["name"] != "csrf_token"}


def test_turning_inventory_sync_on_for_the_first_time_leads_through_the_preview(web, off):
    store, hub = off
    stock_up(store, hub, {"UP": 9, "DOWN": 2, "ZERO": 0, "SAME": 4, "UNKNOWN": 7})
    for code, sellable in (("UP", 1), ("DOWN", 5), ("ZERO", 3), ("SAME", 4)):
        tell(
            store, code, None, None, sent_at=None, sent_quantity=None, amazon_sellable=sellable, fetched_at=clock.now()
        )
    settings = web.get(f"/stores/{store.id}/settings")
    assert re.search(
        r"Turning this on pushes 5 SKUs at \d\d:\d\d IST ?, and then what changed every hour", words(settings)
    )
    data = settings_fields(settings) | {"is_inventory_sync_on-reason": "Season starts"}
    answer = web.post(f"/stores/{store.id}/settings", data=data)
    assert answer.status_code == 303
    assert answer.location.startswith(path(store, "/preview"))
    assert not db.session.get(Store, store.id).is_inventory_sync_on
    page = web.get(answer.location)
    text = words(page)
    assert re.search(r"Go to zero 1 Go down 1 Go up 1 Stay as they are 1 Not known 1", text)
    assert "What Amazon shows now is not known of 1 quantity" in text
    assert skus(page) == ["DOWN", "UNKNOWN", "UP", "ZERO"]
    assert "5 → 2" in text
    assert "3 → 0" in text
    assert skus(web.get(path(store, "/preview?change=raise"))) == ["UP"]
    data = settings_fields(page)
    assert data["is_inventory_sync_on-reason"] == "Season starts"
    answer = web.post(f"/stores/{store.id}/settings", data=data)
    assert (answer.status_code, answer.location) == (303, f"/stores/{store.id}/settings")
    assert db.session.get(Store, store.id).is_inventory_sync_on
    assert db.session.scalars(db.select(ConfigEvent.reason)).all() == ["Season starts"]


def test_the_second_time_it_is_turned_on_at_once(web, off):
    store, hub = off
    stock_up(store, hub, {"A": 1})
    web.post(f"/stores/{store.id}/settings", data=settings_fields(web.get(path(store, "/preview"))))
    settings = web.get(f"/stores/{store.id}/settings")
    asked = web.post(f"/stores/{store.id}/settings", data=settings_fields(settings))
    assert "Turn Inventory Sync off for Pune Store?" in words(asked)
    web.post(f"/stores/{store.id}/settings", data=settings_fields(asked))
    assert not db.session.get(Store, store.id).is_inventory_sync_on
    settings = web.get(f"/stores/{store.id}/settings")
    assert "What it would change on Amazon is shown first" not in words(settings)
    answer = web.post(f"/stores/{store.id}/settings", data=settings_fields(settings))
    assert answer.location == f"/stores/{store.id}/settings"
    assert db.session.get(Store, store.id).is_inventory_sync_on


def test_the_preview_says_when_the_push_would_be_held_back_and_what_is_left_out(web, off):
    store, hub = off
    stock_up(store, hub, {f"S{n}": 0 for n in range(9)})
    for n in range(9):
        tell(store, f"S{n}", 5)
    factories.make_stock(store.seller, hub, "UNLISTED")
    text = words(web.get(path(store, "/preview")))
    assert "Whoever turns Inventory Sync on here approves that" in text
    assert "9 of the 9 quantities" in text
    assert "Turn Inventory Sync on and let 9 go to zero" in text
    assert "Not on Amazon: no listing." in text


def test_stock_that_changed_since_the_preview_is_looked_at_again(web, off):
    store, hub = off
    stock_up(store, hub, {"A": 5, "B": 0})
    data = settings_fields(web.get(path(store, "/preview")))
    stock_up(store, hub, {"A": 0, "B": 0})
    answer = web.post(f"/stores/{store.id}/settings", data=data)
    assert answer.location.startswith(path(store, "/preview"))
    assert "more would go to zero now, 2 instead of 1. Inventory Sync is still off" in words(web.get(answer.location))
    assert not db.session.get(Store, store.id).is_inventory_sync_on


def test_a_form_that_claims_to_be_confirmed_leads_to_the_preview_too(web, off):
    store, hub = off
    stock_up(store, hub, {"A": 5})
    data = settings_fields(web.get(f"/stores/{store.id}/settings")) | {"is_inventory_sync_on-is_confirmed": "1"}
    answer = web.post(f"/stores/{store.id}/settings", data=data)
    assert answer.location.startswith(path(store, "/preview"))
    assert not db.session.get(Store, store.id).is_inventory_sync_on


def test_the_preview_of_a_store_with_nothing_to_send_says_so(web, off):
    assert "There is nothing to send" in words(web.get(path(off[0], "/preview")))


def test_support_sees_the_preview_and_turns_nothing_on(support, off):
    store, hub = off
    stock_up(store, hub, {"A": 1})
    page = support.get(path(store, "/preview"))
    assert "Merchants and admins turn Inventory Sync on" in words(page)
    assert "is_inventory_sync_on" not in page.text


# A push of zeros ------------------------------------------------------------------------------------------------------


@pytest.fixture
def held(place):
    """A push of eight zeros that waits."""
    store, hub = place
    stock_up(store, hub, {f"S{n}": 0 for n in range(8)} | {"KEPT": 5})
    for code in (*(f"S{n}" for n in range(8)), "KEPT"):
        tell(store, code, 5)
    run = factories.make_run(store, RunState.SKIPPED, sync=Sync.INVENTORY_PUSH)
    return factories.make_zero_brake(store, n_to_zero=8, n_published=9, run_id=run.id)


def test_zeros_of_which_nobody_knows_what_amazon_shows_lead_to_asking(web, place):
    store, hub = place
    stock_up(store, hub, {f"S{n}": 0 for n in range(8)} | {"KEPT": 5})
    brake = factories.make_zero_brake(store, n_to_zero=8, n_published=9, n_unknown=8)
    page = web.get(path(store, f"/zeros/{brake.id}"))
    assert "8 of the 9 quantities that Amazon shows, or may show, with stock to zero" in words(page)
    assert "What Amazon shows is not known of 8 of them" in words(page)
    assert skus(page) == [f"S{n}" for n in range(8)]
    assert fields(page, f"/stores/{store.id}/sync-now")["sync"] == "inventory_fetch"


def test_a_held_back_push_is_shown_where_people_look(web, store, held):
    link = f'href="{path(store, f"/zeros/{held.id}")}"'
    assert link in web.get(path(store)).text
    overview = web.get(f"/stores/{store.id}")
    assert link in overview.text
    assert "8 quantities would go to zero on Amazon" in words(overview)
    assert "waits for somebody to approve or decline it" in words(overview)
    page = web.get(path(store, f"/zeros/{held.id}"))
    assert skus(page) == [f"S{n}" for n in range(8)]
    assert "Fetch Amazon’s numbers" not in page.text, "they are known"
    assert "8 of the 9 quantities" in words(page)


def test_approving_starts_a_push(web, store, held):
    address = path(store, f"/zeros/{held.id}")
    data = fields(web.get(address), address) | {"decision": "approve", "reason": "Sold out"}
    answer = web.post(address, data=data)
    run = runs()[-1]
    assert answer.location == f"/sync-runs/{run.id}"
    assert (run.sync, run.state) == (Sync.INVENTORY_PUSH, RunState.QUEUED)
    assert db.session.get(ZeroBrake, held.id).state is BrakeState.APPROVED
    assert "Asha approved it; the next push goes through" in words(web.get(address))


def test_declining_keeps_it_held_back_and_can_be_taken_back(web, store, held):
    address = path(store, f"/zeros/{held.id}")
    answer = web.post(address, data=fields(web.get(address), address) | {"decision": "decline"})
    assert answer.location == address
    page = web.get(address)
    assert "Declined. Nothing is sent until the stock is put right" in words(page)
    assert 'value="decline"' not in page.text
    assert "Asha declined it, so no stock is sent" in words(web.get(f"/stores/{store.id}"))
    web.post(address, data=fields(page, address) | {"decision": "approve"})
    assert db.session.get(ZeroBrake, held.id).state is BrakeState.APPROVED


def test_a_list_that_changed_meanwhile_and_too_long_a_reason_are_refused_with_what_was_typed(web, store, held):
    address = path(store, f"/zeros/{held.id}")
    data = fields(web.get(address), address)
    held.n_to_zero = 9
    db.session.commit()
    answer = web.post(address, data=data | {"decision": "approve", "reason": "my words"})
    assert answer.status_code == 409
    assert "9 quantities would go to zero now, and not 8" in words(answer)
    assert 'value="my words"' in answer.text
    answer = web.post(address, data=data | {"n_to_zero": "9", "decision": "approve", "reason": "x" * 301})
    assert answer.status_code == 422
    assert "There is a problem" in words(answer)
    assert db.session.get(ZeroBrake, held.id).state is BrakeState.WAITING
    assert web.post(address, data=data).status_code == 400


def test_support_looks_at_it_and_decides_nothing(support, store, held):
    address = path(store, f"/zeros/{held.id}")
    assert "Merchants and admins approve or decline it" in words(support.get(address))
    assert support.post(address, data={"decision": "approve", "n_to_zero": "8"}).status_code == 403


def test_a_brake_of_another_store_is_not_found_under_this_one(web, store, held):
    other = factories.make_store(store.seller)
    assert web.get(path(other, f"/zeros/{held.id}")).status_code == 404
    assert web.post(path(other, f"/zeros/{held.id}"), data={"decision": "approve"}).status_code == 404


def test_a_brake_that_is_over_says_so(web, store, held):
    held.state = BrakeState.OVER
    db.session.commit()
    page = words(web.get(path(store, f"/zeros/{held.id}")))
    assert "the stock changed, and the push is not held back any more" in page
    assert "Approve:" not in page

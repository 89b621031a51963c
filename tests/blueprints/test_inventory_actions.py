"""Acting on the Inventory tab: pushing, correcting and asking Amazon, and the way back to the page one was on."""

import html
import re
from functools import partial

import pytest

from flexdash import clock
from flexdash.blueprints.paging import keyset_page
from flexdash.blueprints.stores import inventory
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import PublishedStock, Role, Sync
from flexdash.services import stores
from flexdash.services.inventory.places import active_locations
from tests import factories
from tests.support.inventory_pages import action_of, path, runs, skus, tell
from tests.support.stock import make_stocked_store, stock_up
from tests.support.web import words


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


def test_changes_or_everything_are_pushed_and_amazon_is_asked_on_demand(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    page = web.get(path(store))
    for label in ("Push changes now", "Push everything now", "Fetch Amazon’s numbers", "Correct all that differ"):
        assert label in page.text
    sent = {"sync": "inventory_push", "full": "1"}
    answer = web.post(f"/stores/{store.id}/sync-now", data=sent)
    (run,) = runs()
    assert (answer.location, run.sync, run.is_full) == (f"/sync-runs/{run.id}", Sync.INVENTORY_PUSH, True)
    web.post(f"/stores/{store.id}/sync-now", data={"sync": "inventory_fetch"})
    assert runs()[1].sync is Sync.INVENTORY_FETCH
    assert {job.args[0] for job in queues.queue("sync").jobs} == {run.id for run in runs()}


def test_with_the_toggle_off_only_asking_is_offered_and_a_push_is_refused_in_words(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    store.is_inventory_sync_on = False
    db.session.commit()
    page = web.get(path(store))
    assert "Push changes now" not in page.text
    assert "Fetch Amazon’s numbers" in page.text
    assert "See what a push would change on Amazon" in words(page)
    answer = web.post(f"/stores/{store.id}/sync-now", data={"sync": "inventory_push"})
    assert answer.location == path(store)
    assert "Inventory Sync is off for Pune Store" in words(web.get(answer.location))
    listing = factories.make_listing(store, "B")
    mapping = active_locations(store.id)[0].mapping_id
    for rest in ("/correct", f"/{listing.id}/{mapping}/correct"):
        answer = web.post(path(store, rest))
        assert "so nothing is sent to Amazon" in words(web.get(answer.location))
    assert runs() == []


def test_one_line_is_corrected_by_the_next_push_and_the_list_stays_as_it_was(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 5, "B": 5})
    tell(store, "A", 5)
    line_action = action_of(web.get(path(store, "?only=&q=A")), "Correct", "A at Pune Warehouse")
    answer = web.post(line_action)
    assert answer.location == path(store, "?only=&q=A")
    (run,) = runs()
    assert (run.sync, run.is_full) == (Sync.INVENTORY_PUSH, False)
    assert f"Run {run.id} does it now" in words(web.get(answer.location))
    marked = {row.sku_code: row.must_push for row in db.session.scalars(db.select(PublishedStock))}
    assert marked == {"A": True}
    web.post(line_action)
    assert len(runs()) == 1


def test_all_that_differ_at_amazon_are_marked_and_pushed(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 5, "B": 5, "C": 5})
    tell(store, "A", 5, amazon_sellable=4, fetched_at=clock.now())
    tell(store, "B", 5, amazon_sellable=5, fetched_at=clock.now())
    tell(store, "C", 5)
    answer = web.post(path(store, "/correct"))
    assert "1 quantity of which Amazon said something else" in words(web.get(answer.location))
    marked = {row.sku_code: row.must_push for row in db.session.scalars(db.select(PublishedStock))}
    assert marked == {"A": True, "B": False, "C": False}
    assert len(runs()) == 1


def test_one_line_is_asked_about_on_the_spot(signed_in, app, sandbox):
    sandbox.control.plans({"*": None})
    store, hub = make_stocked_store(sandbox)
    web = signed_in(factories.make_user(store.seller.workspace))
    stock_up(store, hub, {"A": 5, "NOT-LISTED-1": 5})
    page = web.get(path(store, "?hub=&sort=asc"))
    answer = web.post(action_of(page, "Fetch", "A at Pune Warehouse"))
    where, _, line = answer.location.partition("#")
    page = web.get(where)
    assert where == path(store, "?hub=&sort=asc")
    assert "Amazon shows 0 units of A to sell, and 0 reserved." in words(page)
    assert f'<tr id="{line}"' in page.text
    answer = web.post(action_of(page, "Fetch", "NOT-LISTED-1 at Pune Warehouse"))
    assert answer.location == path(store, "?hub=&sort=asc")  # to the top, where the refusal is said
    assert "INVALID_SKU" in words(web.get(answer.location))


def test_every_action_and_every_refusal_leads_back_to_the_page_it_was_on(web, place, monkeypatch):
    store, hub = place
    monkeypatch.setattr(inventory, "keyset_page", partial(keyset_page, size=1))
    stock_up(store, hub, {"A1": 5, "A2": 5, "B": 5})
    first = web.get(path(store, "?only=never_sent&q=A"))
    there = path(store) + html.unescape(re.search(r'href="([^"]*page=[^"]*)"', first.text).group(1))
    page = web.get(there)
    assert skus(page) == ["A2"]
    buttons = [("Correct", "A2 at Pune Warehouse"), ("Fetch", "A2 at Pune Warehouse"), ("Correct all that differ", "")]
    actions = [action_of(page, *button) for button in buttons]
    pushes = [action_of(page, label) for label in ("Push changes now", "Push everything now")]
    assert web.post(actions[0]).location == there
    assert web.post(actions[2]).location == there  # a run is under way
    stores.needs_reauthorization(store.id, "invalid_grant")
    for action in actions:
        assert web.post(action).location == there
    for action in pushes:
        assert web.post(action, data={"sync": "inventory_push"}).location == there
    assert "Pune Store needs re-authorization" in words(web.get(there))


def test_a_form_cannot_lead_elsewhere(web, place):
    store, hub = place
    stock_up(store, hub, {"A": 5})
    for there in ("//evil.example", "x%0d%0aLocation:%20y", "%C3%A9", "q=%22%3E%3Cb%3E"):
        answer = web.post(path(store, f"/correct?{there}"))
        assert answer.location.startswith(path(store, "?"))
        assert "\r" not in answer.location
        assert f'action="{path(store, "/correct")}?' in web.get(path(store, f"?{there}")).text
        assert "<b>" not in web.get(path(store, f"?{there}")).text


def test_support_looks_and_starts_syncs(support, place):
    store, hub = place
    stock_up(store, hub, {"A": 5})
    assert "Push changes now" in support.get(path(store)).text
    assert support.post(path(store, "/correct")).status_code == 303

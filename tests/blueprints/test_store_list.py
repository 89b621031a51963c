"""The list of all stores: each one there, the worst first, found by filters, at the same cost however many."""

import re
from datetime import timedelta

import pytest

from flexdash import clock
from flexdash.blueprints.stores import listing
from flexdash.models import Role, StoreStatus, Sync
from tests.factories import make_run, make_seller, make_store, make_sync_state, make_user, make_workspace
from tests.support.statements import statements
from tests.support.web import words


@pytest.fixture
def support(workspace, signed_in):
    """A browser of somebody of support."""
    return signed_in(make_user(workspace, Role.SUPPORT))


def working(seller, name: str, minutes: float = 5, **values):
    """A store whose Order Sync went well so many minutes ago."""
    given = {"is_order_sync_on": True, "authorized_at": clock.now() - timedelta(days=30)}
    store = make_store(seller, name=name, **given | values)
    make_sync_state(store, minutes_since_good=minutes)
    return store


def some_of_each(seller) -> None:
    """Stores in every state, each named for it."""
    make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name="Refused", is_order_sync_on=True)
    make_store(seller, name="Without turn", is_order_sync_on=True)
    working(seller, "Later", 300)
    working(seller, "Late", 100)
    working(seller, "Good", 5)
    make_store(seller, name="Off")
    make_store(seller, StoreStatus.DRAFT, name="Draft")
    make_store(seller, StoreStatus.DISCONNECTED, name="Gone")


def names(html: str) -> list[str]:
    """Return the stores of the table, in their order."""
    return re.findall(r'<th scope="row"[^>]*><div class="cell"><a href="/stores/\d+">([^<]+)</a>', html)


def walked(person, path: str) -> list[str]:
    """Return the stores of all pages."""
    found = names(html := person.get(path).text)
    while following := re.search(r'rel="next" href="([^"]+)"', html):
        found += names(html := person.get("/stores" + following[1].replace("&amp;", "&")).text)
    return found


WORST_FIRST = ["Refused", "Without turn", "Later", "Late", "Good", "Draft", "Gone", "Off"]


@pytest.mark.parametrize("size", [50, 3, 1])
@pytest.mark.parametrize(("order", "shown"), [("", WORST_FIRST), ("name", sorted(WORST_FIRST))])
def test_every_store_is_in_the_list_once_the_worst_first_or_by_name(
    support, seller, monkeypatch, size, order, shown
) -> None:
    monkeypatch.setattr(listing, "STORES_PER_PAGE", size)
    some_of_each(seller)
    assert walked(support, f"/stores?sort={order}") == shown


def test_stores_that_the_dashboard_has_no_room_for_are_in_the_list(support, seller) -> None:
    for n in range(14):
        make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name=f"Refused {n:02d}")
    page = support.get("/").text
    assert "Refused 13" not in page
    assert 'href="/stores">See all 14 stores</a>' in page
    assert names(support.get("/stores").text) == [f"Refused {n:02d}" for n in range(14)]


def test_a_merchant_and_an_admin_get_there_from_the_dashboard_too(workspace, seller, signed_in) -> None:
    for name in ("One", "Two"):
        make_store(seller, name=name)
    for role in (Role.MERCHANT, Role.ADMIN):
        assert 'href="/stores">See all 2 stores</a>' in signed_in(make_user(workspace, role)).get("/").text


def test_each_store_says_how_fresh_it_is_and_leads_to_its_run(support, seller) -> None:
    store = working(seller, "Late", 100, country_code="GB")
    run = make_run(store, "failed", error_sentence="Amazon is down.")
    html = support.get("/stores").text
    assert "Late Stale No good Order Sync for 100 minutes; the last run failed because Amazon is down." in words(html)
    assert f'href="/sync-runs/{run.id}"' in html
    assert "Sunrise United Kingdom" in words(html)


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        ("refused", ["Refused"]),
        ("stale", ["Later", "Late"]),
        ("waiting", ["Without turn"]),
        ("fresh", ["Good"]),
        ("off", ["Off"]),
        ("draft", ["Draft"]),
        ("disconnected", ["Gone"]),
        ("nonsense", WORST_FIRST),
    ],
)
def test_the_list_is_narrowed_to_a_state(support, seller, state, shown) -> None:
    some_of_each(seller)
    assert names(support.get(f"/stores?state={state}").text) == shown


def test_the_list_is_narrowed_to_a_seller_a_country_and_a_piece_of_the_name(support, workspace, seller) -> None:
    nova = make_seller(workspace, "Nova")
    make_store(seller, name="Pune Store")
    make_store(nova, name="Pune Nova")
    make_store(nova, name="Delhi 100%", country_code="AE")
    assert names(support.get(f"/stores?seller={nova.id}").text) == ["Delhi 100%", "Pune Nova"]
    assert names(support.get("/stores?country=AE").text) == ["Delhi 100%"]
    assert names(support.get("/stores?q=pune").text) == ["Pune Nova", "Pune Store"]
    assert names(support.get("/stores?q=0%25").text) == ["Delhi 100%"]
    page = support.get(f"/stores?q=agra&seller={nova.id}").text
    assert "No store fits these filters." in page
    assert 'value="agra"' in page


@pytest.mark.parametrize("query", ["seller=x", "seller=99999999999", "country=zz", "sort=x", "page=x", "state=%F0"])
def test_an_address_that_cannot_be_read_breaks_nothing(support, seller, query) -> None:
    make_store(seller, name="Pune Store")
    assert names(support.get(f"/stores?{query}").text) == ["Pune Store"]


def test_nobody_sees_another_workspaces_or_another_sellers_stores(workspace, seller, signed_in) -> None:
    make_store(make_seller(make_workspace(), "Foreign"), name="Foreign Store", country_code="US")
    make_store(seller, name="Other Store")
    mine = make_seller(workspace, "Mine")
    make_store(mine, name="My Store")
    limited = signed_in(make_user(workspace, sellers=[mine]))
    html = limited.get("/stores").text
    assert names(html) == ["My Store"]
    for word in ("Foreign", "United States", "Sunrise"):
        assert word not in html
    assert names(limited.get(f"/stores?seller={seller.id}").text) == ["My Store"], "no choice of theirs"


def test_without_a_store_the_page_says_what_to_do(workspace, support, signed_in) -> None:
    assert "A merchant or an admin of your workspace can connect one." in words(support.get("/stores"))
    assert "Add Store" in words(signed_in(make_user(workspace)).get("/stores"))


def test_the_number_of_queries_does_not_grow_with_the_stores(support, seller) -> None:
    def add(n: int) -> None:
        store = working(seller, f"Store {n}", is_inventory_sync_on=True, is_automated_cancellation_on=True)
        make_sync_state(store, Sync.INVENTORY_PUSH)
        make_run(store)
        make_store(seller, StoreStatus.NEEDS_REAUTHORIZATION, name=f"Refused {n}")
        make_store(seller, name=f"Off {n}")

    add(0)
    with statements() as with_few:
        assert support.get("/stores").status_code == 200
    for n in range(1, 12):
        add(n)
    with statements() as with_many:
        assert len(names(support.get("/stores").text)) == 36
    assert len(with_many) == len(with_few)

"""The stock pages as people use them."""

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, select

from flexdash import clock
from flexdash.blueprints.stock import routes
from flexdash.extensions import db
from flexdash.models import (
    Hub,
    OrderState,
    OrderStock,
    PublishedStock,
    PushState,
    Role,
    Seller,
    StockCause,
    StockLevel,
    StockMovement,
    Store,
    StoreStatus,
    User,
)
from flexdash.services.order_numbers import number_of
from tests import factories
from tests.support.web import words

SignIn = Callable[[User], FlaskClient]


@pytest.fixture
def hub(seller: Seller) -> Hub:
    return factories.make_hub(seller.workspace, "PUNE", name="Pune Warehouse")


@pytest.fixture
def store(seller: Seller, hub: Hub) -> Store:
    store = factories.make_store(seller, name="Pune Store")
    factories.make_mapping(store, hub, "EXSB")
    return store


@pytest.fixture
def merchant(seller: Seller, signed_in: SignIn) -> FlaskClient:
    return signed_in(factories.make_user(seller.workspace, name="Asha"))


@pytest.fixture
def support(seller: Seller, signed_in: SignIn) -> FlaskClient:
    return signed_in(factories.make_user(seller.workspace, Role.SUPPORT))


def shown(client: FlaskClient, query: str = "") -> list[str]:
    """Return the SKUs that the list shows for this query, in its order."""
    return re.findall(r'<a href="/stock/\d+">([^<]+)</a>', client.get(f"/stock?{query}").text)


def row_of(client: FlaskClient, sku_code: str, query: str = "") -> str:
    page = client.get(f"/stock?{query}").text
    return words(next(row for row in page.split("<tr ") if f">{sku_code}</a>" in row))


def n_queries(client: FlaskClient, url: str) -> int:
    seen: list[object] = []
    event.listen(db.engine, "before_cursor_execute", watch := lambda *args: seen.append(args))
    try:
        assert client.get(url).status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", watch)
    return len(seen)


def tell_amazon(store: Store, sku_code: str, quantity: int | None, **values: object) -> None:
    now = clock.now()
    row = PublishedStock(
        **{
            "workspace_id": store.workspace_id,
            "store_id": store.id,
            "seller_flex_hub_id": "EXSB",
            "sku_code": sku_code,
            "quantity": quantity,
            "sent_quantity": quantity,
            "state": PushState.ACCEPTED,
            "sent_at": now,
            "accepted_at": now,
            **values,
        }
    )
    db.session.add(row)
    db.session.commit()


# The list -------------------------------------------------------------------------------------------------------------


def test_an_empty_list_says_how_stock_comes_in(merchant: FlaskClient, support: FlaskClient, seller: Seller) -> None:
    page = merchant.get("/stock").text
    assert "There is no stock yet" in page
    assert f'href="/uploads/new?kind=stock&amp;seller={seller.id}"' in page
    assert 'href="/uploads/templates/stock.csv"' in page
    page = support.get("/stock").text
    assert "A merchant or an admin of your workspace can upload it." in page
    assert "/uploads/new" not in page


def test_the_list_shows_numbers_names_and_what_amazon_was_told(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    factories.make_listing(store, "TEE", name="T-shirt, black")
    factories.make_stock(store.seller, hub, "TEE", on_hand=1_204, reserved=4)
    tell_amazon(store, "TEE", 1_190, amazon_sellable=1_188, amazon_reserved=2, fetched_at=clock.now())
    factories.make_sku(store.seller, "MUG", "Mug, 300 ml")
    factories.make_stock(store.seller, hub, "MUG", on_hand=3, reserved=3)

    row = row_of(merchant, "TEE")
    for part in (
        "T-shirt, black",
        "Pune Warehouse",
        "Sunrise",
        "1,204",
        "1,200",
        "1,190",
        "1,188 to sell",
        "2 reserved",
    ):
        assert part in row
    row = row_of(merchant, "MUG")
    assert "Mug, 300 ml" in row
    assert "Not on Amazon: no listing" in row
    assert shown(merchant) == ["MUG", "TEE"]
    assert shown(merchant, "sort=z") == ["TEE", "MUG"]


def test_each_store_of_the_seller_says_its_own(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    other = factories.make_store(store.seller, name="Dubai Store", country_code="AE")
    factories.make_mapping(other, hub, "DXBA")
    factories.make_listing(store, "TEE")
    factories.make_stock(store.seller, hub, "TEE")
    tell_amazon(store, "TEE", None, state=PushState.REFUSED, error_code="INVALID_SKU", accepted_at=None)
    row = row_of(merchant, "TEE")
    assert "Dubai Store: No listing" in row
    assert "Pune Store: no quantity taken yet Refused INVALID_SKU" in row


def test_a_listing_of_a_disconnected_store_is_none(merchant: FlaskClient, seller: Seller, hub: Hub) -> None:
    gone = factories.make_store(seller, StoreStatus.DISCONNECTED)
    factories.make_listing(gone, "TEE", name="T-shirt")
    factories.make_stock(seller, hub, "TEE")
    assert "Not on Amazon: no listing" in row_of(merchant, "TEE")
    assert shown(merchant, "only=not_listed") == ["TEE"]


def test_a_hub_that_no_store_has_an_id_for_says_so(merchant: FlaskClient, store: Store) -> None:
    other = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_listing(store, "TEE")
    factories.make_stock(store.seller, other, "TEE")
    assert "No connected store has an id for this hub" in row_of(merchant, "TEE")


def test_filters_leave_what_they_say(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    other_hub, other_seller = (
        factories.make_hub(hub_workspace := store.seller.workspace),
        factories.make_seller(store.seller.workspace, "Nova"),
    )
    assert hub_workspace
    factories.make_sellable(store, hub, "TEE-1", "TEE-2", on_hand=5)
    factories.make_stock(store.seller, other_hub, "TEE-3", on_hand=2, reserved=2)
    factories.make_stock(other_seller, hub, "MUG", on_hand=0)

    assert shown(merchant) == ["MUG", "TEE-1", "TEE-2", "TEE-3"]
    assert shown(merchant, f"seller={other_seller.id}") == ["MUG"]
    assert shown(merchant, f"hub={other_hub.id}") == ["TEE-3"]
    assert shown(merchant, f"hub={hub.id}&seller={store.seller_id}") == ["TEE-1", "TEE-2"]
    assert shown(merchant, "only=none_left") == ["MUG", "TEE-3"]
    assert shown(merchant, f"only=none_left&hub={hub.id}") == ["MUG"]
    assert shown(merchant, f"only=none_left&seller={store.seller_id}") == ["TEE-3"]
    assert shown(merchant, "only=not_listed") == ["MUG", "TEE-3"]
    assert shown(merchant, "only=not_listed&sort=z") == ["TEE-3", "MUG"]
    assert shown(merchant, "q=TEE-") == ["TEE-1", "TEE-2", "TEE-3"]
    assert shown(merchant, "q=tee-2") == ["TEE-2"]
    assert shown(merchant, "q=EE") == []
    assert "No stock fits these filters" in merchant.get("/stock?q=NOTHING").text
    assert shown(merchant, "seller=x&hub=99999999999&only=nonsense") == ["MUG", "TEE-1", "TEE-2", "TEE-3"]


@pytest.mark.parametrize("query", ["q=%25_'\"", "page=nonsense", "only=not_listed&page=nonsense", "q=" + "x" * 300])
def test_a_strange_address_is_answered_with_a_page(merchant: FlaskClient, store: Store, hub: Hub, query: str) -> None:
    factories.make_sellable(store, hub, "TEE")
    assert merchant.get(f"/stock?{query}").status_code == 200


def test_the_list_pages_and_keeps_its_filters(merchant: FlaskClient, seller: Seller, hub: Hub) -> None:
    for n in range(55):
        factories.make_stock(seller, hub, f"SKU-{n:03d}", on_hand=0)
    first = shown(merchant, "only=none_left")
    page = merchant.get("/stock?only=none_left").text
    next_url = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "only=none_left" in next_url
    assert first + shown(merchant, next_url.split("?")[1]) == [f"SKU-{n:03d}" for n in range(55)]


def test_skus_without_a_listing_are_looked_for_a_window_at_a_time(
    merchant: FlaskClient, store: Store, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "LOOKED_AT", (4, 6))
    codes = [f"SKU-{n:03d}" for n in range(35)]
    for code in codes:
        factories.make_stock(store.seller, hub, code)
        if code not in ("SKU-003", "SKU-012", "SKU-034"):
            factories.make_listing(store, code)

    found, query, n_pages = [], "only=not_listed", 0
    while True:
        n_pages += 1
        page = merchant.get(f"/stock?{query}").text
        found += re.findall(r'<a href="/stock/\d+">([^<]+)</a>', page)
        if "Look further" not in page:
            break
        assert "Looked through 10 rows so far" in words(page)
        query = re.search(r'href="\?([^"]+)"[^>]*>.*?Look further', page)[1].replace("&amp;", "&")
    assert found == ["SKU-003", "SKU-012", "SKU-034"]
    assert n_pages == 4


def test_the_list_asks_the_database_the_same_number_of_times(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    factories.make_sellable(store, hub, "SKU-00")
    urls = ("/stock", "/stock?only=not_listed", "/stock?q=SKU")
    factories.make_stock(store.seller, hub, "SKU-99")
    few = [n_queries(merchant, url) for url in urls]
    for n in range(1, 30):
        seller = factories.make_seller(store.seller.workspace)
        factories.make_stock(seller, factories.make_hub(seller.workspace), f"SKU-{n:02d}")
        factories.make_store(seller)
    assert [n_queries(merchant, url) for url in urls] == few


def test_the_export_has_every_row_of_the_filters_and_runs_no_formula(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    factories.make_listing(store, "=1+1", name="@evil")
    factories.make_stock(store.seller, hub, "=1+1", on_hand=5, reserved=2)
    factories.make_stock(store.seller, hub, "0012", on_hand=1)
    answer = merchant.get("/stock/export.csv")
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows == [
        ["seller", "hub_code", "sku_code", "name", "on_hand", "reserved", "available", "on_amazon", "flexdash_export"],
        ["Sunrise", "PUNE", "0012", "", "1", "0", "1", "no listing", ""],
        ["Sunrise", "PUNE", "'=1+1", "'@evil", "5", "2", "3", "yes", ""],
    ]
    text = merchant.get("/stock/export.csv?only=not_listed").text
    assert "0012" in text
    assert "=1+1" not in text


def test_a_long_export_reads_in_portions(merchant: FlaskClient, seller: Seller, hub: Hub, monkeypatch) -> None:
    from flexdash.services import stock_queries

    monkeypatch.setattr(stock_queries, "ROWS_AT_A_TIME", 4)
    for n in range(10):
        factories.make_stock(seller, hub, f"SKU-{n}")
    text = merchant.get("/stock/export.csv").text
    assert re.findall(r"SKU-\d", text) == [f"SKU-{n}" for n in range(10)]


def test_markup_in_a_sku_or_a_name_never_runs(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    evil = "<svg onload=alert(1)>"
    factories.make_listing(store, evil, name=evil)
    level = factories.make_stock(store.seller, hub, evil)
    merchant.post(f"/stock/{level.id}", data={"way": "add", "quantity": "1", "seen": "10", "note": evil})
    for url in ("/stock", f"/stock/{level.id}", f"/stock?q={evil}", f"/stock/new?sku={evil}"):
        assert evil not in merchant.get(url).text


# One level ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def level(store: Store, hub: Hub) -> StockLevel:
    factories.make_listing(store, "TEE", name="T-shirt")
    return factories.make_stock(store.seller, hub, "TEE", on_hand=7)


def test_a_level_shows_its_ledger_newest_first(merchant: FlaskClient, level: StockLevel) -> None:
    for n in range(3):
        answer = merchant.post(
            f"/stock/{level.id}", data={"way": "add", "quantity": "2", "seen": str(7 + 2 * n), "note": f"delivery {n}"}
        )
        assert answer.status_code == 303
    page = words(merchant.get(f"/stock/{level.id}"))
    assert "TEE has 13 on hand now." in page
    assert page.index("delivery 2") < page.index("delivery 1") < page.index("delivery 0")
    assert "Changed by hand +2 makes 13" in page
    assert page.count("Asha") > 2
    merchant.post(f"/stock/{level.id}", data={"way": "set", "quantity": "12", "seen": "13"})
    assert "Corrected after a count −1 makes 12" in words(merchant.get(f"/stock/{level.id}"))
    assert "EXSB" in page
    assert "nothing sent yet" in page


def test_setting_and_removing(merchant: FlaskClient, level: StockLevel) -> None:
    merchant.post(f"/stock/{level.id}", data={"way": "set", "quantity": "12", "seen": "7"})
    merchant.post(f"/stock/{level.id}", data={"way": "remove", "quantity": "2", "seen": "12"})
    assert level.on_hand == 10
    assert "−2 makes 10" in words(merchant.get(f"/stock/{level.id}"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"quantity": ""}, "The quantity is missing."),
        ({"quantity": "lots"}, "“lots” is no number."),
        ({"way": "steal"}, "Not a valid choice"),
        ({"way": "remove", "quantity": "8"}, "8 cannot be removed: only 7 are on hand."),
        ({"note": "x" * 301}, "The note has 301 characters."),
    ],
)
def test_what_cannot_be_is_said_and_what_was_typed_is_kept(
    merchant: FlaskClient, level: StockLevel, values: dict[str, str], sentence: str
) -> None:
    data = {"way": "set", "quantity": "5", "seen": "7", "note": "counted again"} | values
    answer = merchant.post(f"/stock/{level.id}", data=data)
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert words(answer).count(sentence) == 2
    assert f'value="{data["note"]}"' in answer.text
    assert level.on_hand == 7


def test_a_number_that_changed_meanwhile_is_shown_and_nothing_is_saved(
    merchant: FlaskClient, level: StockLevel
) -> None:
    data = {"way": "add", "quantity": "2", "seen": "7"}
    assert merchant.post(f"/stock/{level.id}", data=data).status_code == 303
    answer = merchant.post(f"/stock/{level.id}", data=data)
    assert answer.status_code == 409
    assert "Someone changed it meanwhile: it is 9 now." in answer.text
    assert re.search(r'name="seen"[^>]*value="9"', answer.text)
    assert re.search(r'name="quantity"[^>]*value="2"', answer.text)
    assert merchant.post(f"/stock/{level.id}", data=data | {"seen": "9"}).status_code == 303
    assert level.on_hand == 11
    assert merchant.post(f"/stock/{level.id}", data={"way": "add", "quantity": "2"}).status_code == 409


def test_stock_that_comes_in_lets_the_orders_go_that_waited_for_it(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    factories.make_listing(store, "MUG")
    level = factories.make_stock(store.seller, hub, "MUG", on_hand=0)
    order = factories.make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="EXSB")
    order.lines[0].sku_code = "MUG"
    db.session.commit()

    page = merchant.post(f"/stock/{level.id}", data={"way": "set", "quantity": "3", "seen": "0"})
    page = words(merchant.get(page.location))

    assert "MUG has 3 on hand now. 1 order On Hold became a New Order; Amazon is told with the next Order Sync." in page
    assert (order.state, order.stock) == (OrderState.NEW, OrderStock.RESERVED)
    assert number_of(order.id) in page
    assert "Reserved for an order" in page


def test_only_orders_that_still_have_it_reserved_are_listed(
    merchant: FlaskClient, store: Store, level: StockLevel
) -> None:
    kept, gone, released = (factories.make_order(store, hub=level.hub) for _ in range(3))
    for order, stock in ((kept, OrderStock.RESERVED), (gone, OrderStock.DEDUCTED), (released, OrderStock.NONE)):
        order.stock = stock
        db.session.add(
            StockMovement(
                workspace_id=store.workspace_id,
                stock_level_id=level.id,
                cause=StockCause.RESERVATION,
                on_hand_change=0,
                reserved_change=1,
                on_hand_after=7,
                reserved_after=1,
                order_id=order.id,
            )
        )
    level.reserved = 1
    db.session.commit()
    page = merchant.get(f"/stock/{level.id}").text
    card = page[page.index('id="orders"') : page.index('id="ledger"')]
    assert number_of(kept.id) in card
    assert number_of(gone.id) not in card
    assert number_of(released.id) not in card


def test_the_ledger_pages(merchant: FlaskClient, level: StockLevel) -> None:
    for n in range(60):
        db.session.add(
            StockMovement(
                workspace_id=level.workspace_id,
                stock_level_id=level.id,
                cause=StockCause.CORRECTION,
                occurred_at=clock.now() + timedelta(seconds=n),
                on_hand_change=1,
                reserved_change=0,
                on_hand_after=n,
                reserved_after=0,
                note=f"row {n:02d}",
            )
        )
    db.session.commit()
    first = merchant.get(f"/stock/{level.id}").text
    next_url = first.split('rel="next" href="')[1].split('"')[0]
    second = merchant.get(f"/stock/{level.id}{next_url}").text
    assert "row 59" in first
    assert "row 09" in second
    assert "row 59" not in second


def test_support_looks_and_changes_nothing(support: FlaskClient, level: StockLevel) -> None:
    page = support.get(f"/stock/{level.id}").text
    assert "Change what is on hand" not in page
    assert support.post(f"/stock/{level.id}", data={"way": "set", "quantity": "1", "seen": "7"}).status_code == 403
    assert support.get("/stock/new").status_code == 403


# A new one ------------------------------------------------------------------------------------------------------------


def test_a_sku_is_added_at_a_hub(merchant: FlaskClient, seller: Seller, store: Store, hub: Hub) -> None:
    page = merchant.get(f"/stock/new?seller={seller.id}&hub={hub.id}&sku=NEW-1").text
    assert f'<option selected value="{hub.id}"' in page
    assert 'value="NEW-1"' in page
    answer = merchant.post(
        "/stock/new", data={"seller": seller.id, "hub": hub.id, "sku_code": "NEW-1", "quantity": "4", "note": "first"}
    )
    level = db.session.scalars(select(StockLevel)).one()
    assert answer.location == f"/stock/{level.id}"
    page = words(merchant.get(answer.location))
    assert "NEW-1 is at Pune Warehouse now, with 4 on hand." in page
    assert "Not on Amazon: no listing" in page


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seller": ""}, "Pick the seller of this SKU."),
        ({"hub": "no number"}, "Pick the hub it lies in."),
        ({"sku_code": " "}, "The SKU is missing."),
        ({"sku_code": "TEE"}, "“TEE” of Sunrise is at Pune Warehouse already."),
        ({"quantity": "-4"}, "The quantity cannot be negative."),
    ],
)
def test_what_cannot_be_added_is_said(
    merchant: FlaskClient, level: StockLevel, values: dict[str, str], sentence: str
) -> None:
    factories.make_seller(level.seller.workspace)
    factories.make_hub(level.seller.workspace)
    data = {"seller": str(level.seller_id), "hub": str(level.hub_id), "sku_code": "MUG", "quantity": "4"} | values
    answer = merchant.post("/stock/new", data=data)
    assert answer.status_code == 422
    assert words(answer).count(sentence) == 2
    assert db.session.scalars(select(StockLevel.id)).all() == [level.id]


def test_all_that_is_missing_of_what_is_added_is_said_at_once(
    merchant: FlaskClient, seller: Seller, hub: Hub, workspace
) -> None:
    factories.make_seller(workspace)
    factories.make_hub(workspace)
    page = merchant.post("/stock/new", data={"note": "x" * 400}).text
    for field in ("seller", "hub", "sku_code", "quantity", "note"):
        assert f'href="#{field}"' in page


def test_without_a_seller_there_is_nothing_to_add(app: Flask, signed_in: SignIn) -> None:
    merchant = signed_in(factories.make_user(factories.make_workspace()))
    assert "there is no active one you may work for" in merchant.get("/stock/new").text

"""The Catalog tab of a store and the pages of one listing."""

import re
from decimal import Decimal

import pytest
from sqlalchemy import event, select

from flexdash import clock
from flexdash.blueprints.stores import catalog as catalog_pages
from flexdash.extensions import db
from flexdash.models import (
    ConfigEvent,
    HoldReason,
    Listing,
    Order,
    OrderLine,
    OrderState,
    PriceState,
    PublishedStock,
    PushState,
    Role,
)
from tests import factories
from tests.support.uploads import checked, counts
from tests.support.web import words

VALUES = {"asin": "B0CX23V2ZK", "name": "T-shirt", "mrp": "799.00"}


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def asha(signed_in, workspace):
    return signed_in(factories.make_user(workspace, name="Asha"))


@pytest.fixture
def support(signed_in, workspace):
    return signed_in(factories.make_user(workspace, Role.SUPPORT))


def rows(page) -> list[str]:
    """The SKUs of the table, in its order."""
    return re.findall(r'<th scope="row"[^>]*><div class="cell"><a href="[^"]+">([^<]+)</a>', page.text)


def address(store, listing=None, rest: str = "") -> str:
    return f"/stores/{store.id}/catalog" + (f"/{listing.id}" if listing else "") + rest


def published(store, sku_code: str, state=PushState.ACCEPTED, **values) -> None:
    now = clock.now()
    values = {"seller_flex_hub_id": "EXSB", "sent_at": now, "quantity": 5, "accepted_at": now, **values}
    db.session.add(
        PublishedStock(workspace_id=store.workspace_id, store_id=store.id, sku_code=sku_code, state=state, **values)
    )
    db.session.commit()


# The list -------------------------------------------------------------------------------------------------------------


def test_an_empty_catalog_says_what_to_do_and_why(asha, store) -> None:
    page = asha.get(address(store))
    text = words(page)
    for sentence in ("has no catalog yet", "ASIN", "Fetching the catalog from Amazon is not offered", "On Hold"):
        assert sentence in text
    assert f"/uploads/new?kind=catalog&amp;store={store.id}" in page.text
    assert f"/uploads/templates/catalog.csv?store={store.id}" in page.text
    assert f"{address(store)}/new" in page.text


def test_the_list_shows_each_listing_with_its_price_and_its_last_push(asha, store) -> None:
    factories.make_listing(store, "MUG", "B0CX23V2ZK", name="Mug", barcode="8901", mrp=Decimal("1299.00"))
    factories.make_listing(
        store,
        "TEE",
        name="Tee",
        price=Decimal("599.00"),
        price_state=PriceState.REFUSED,
        price_message="The price is too low.",
    )
    published(store, "MUG", quantity=5)
    published(store, "MUG", seller_flex_hub_id="PNQ1", quantity=7)
    published(
        store, "TEE", PushState.REFUSED, quantity=None, accepted_at=None, error_message="INVALID_SKU: no such SKU"
    )
    text = words(asha.get(address(store)))
    for sentence in ("MUG", "B0CX23V2ZK", "Barcode 8901", "1,299.00", "12 units", "No price", "599.00"):
        assert sentence in text
    for sentence in (
        "Refused",
        "The price is too low.",
        "EXSB : INVALID_SKU: no such SKU",
        "No quantity taken",
    ):
        assert sentence in text
    assert "Amounts are in INR" in text


def test_search_filters_and_sort_live_in_the_address(asha, store) -> None:
    for code in ("TEE-1", "TEE-2", "MUG"):
        factories.make_listing(store, code, barcode=f"890{code}")
    published(store, "TEE-2", PushState.REFUSED)
    assert rows(asha.get(address(store))) == ["MUG", "TEE-1", "TEE-2"]
    assert rows(asha.get(address(store) + "?sort=z")) == ["TEE-2", "TEE-1", "MUG"]
    assert rows(asha.get(address(store) + "?q=TEE")) == ["TEE-1", "TEE-2"]
    assert rows(asha.get(address(store) + "?q=890MUG")) == ["MUG"]
    assert rows(asha.get(address(store) + "?only=error")) == ["TEE-2"]
    assert rows(asha.get(address(store) + "?only=nonsense&sort=nonsense")) == ["MUG", "TEE-1", "TEE-2"]
    page = asha.get(address(store) + "?q=nothing")
    assert "No listing of this store fits" in words(page)
    assert 'value="nothing"' in page.text


def test_pages_go_on_and_back(asha, store) -> None:
    for n in range(55):
        factories.make_listing(store, f"SKU-{n:03d}")
    first = asha.get(address(store))
    assert len(rows(first)) == 50
    following = asha.get(address(store) + re.search(r'rel="next" href="([^"]+)"', first.text)[1].replace("&amp;", "&"))
    assert rows(following) == [f"SKU-{n:03d}" for n in range(50, 55)]


def test_listings_without_a_price_are_looked_for_a_part_at_a_time(asha, store, monkeypatch) -> None:
    monkeypatch.setattr(catalog_pages, "LOOKED_AT", (2, 3))
    for n in range(12):
        has_price = n not in (3, 4, 11)
        factories.make_listing(
            store,
            f"S{n:02d}",
            price=Decimal("5.00") if has_price else None,
            price_state=PriceState.APPLIED if has_price else PriceState.NONE,
        )
    found, address_now = [], address(store) + "?only=no_price"
    for _ in range(9):
        page = asha.get(address_now)
        found.append(rows(page))
        if "Look further" not in page.text:
            break
        query = re.search(r'href="(\?[^"]+)"[^>]*>.*?Look further', page.text)[1].replace("&amp;", "&")
        address_now = address(store) + query
    assert found == [["S03", "S04"], [], ["S11"]]
    assert "only=no_price" in address_now


def test_the_number_of_queries_does_not_grow_with_the_listings(asha, store) -> None:
    page = address(store)

    def n_queries() -> int:
        statements = []

        def note(_connection, _cursor, statement, *_rest) -> None:
            statements.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            assert asha.get(page).status_code == 200
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        of_listings = [statement for statement in statements if "listings" in statement]
        assert not [statement for statement in of_listings if "count(" in statement]
        return len(statements)

    factories.make_listing(store, "A")
    few = n_queries()
    for n in range(20):
        factories.make_listing(store, f"SKU-{n}")
        published(store, f"SKU-{n}")
    assert n_queries() == few


def test_a_hostile_listing_is_shown_as_text(asha, store) -> None:
    hostile = "<svg onload=alert(1)>"
    listing = factories.make_listing(store, hostile, name=hostile, barcode=hostile, price_message=hostile)
    published(store, hostile, PushState.REFUSED, error_message=hostile)
    for rest in ("", "/edit", "/remove"):
        assert "<svg onload" not in asha.get(address(store, listing, rest)).text
    assert "<svg onload" not in asha.get(address(store)).text
    assert "<svg onload" not in asha.get(address(store) + "?q=%3Csvg+onload%3D").text


def test_the_export_is_a_file_of_the_templates_columns(asha, support, store) -> None:
    factories.make_listing(store, "=TEE", "0012345678", mrp=Decimal("799.00"))
    for person in (asha, support):
        answer = person.get(address(store) + "/export.csv")
        assert answer.mimetype == "text/csv"
        assert f'filename="catalog-store-{store.id}-' in answer.headers["Content-Disposition"]
        assert "'=TEE,0012345678," in answer.text
    upload = checked(factories.make_actor(factories.make_user(store.seller.workspace)), store, answer.get_data())
    assert counts(upload) == (0, 0, 1, 0)


def test_a_draft_is_sent_to_where_it_is_connected(asha, seller) -> None:
    draft = factories.make_store(seller, "draft")
    for rest in ("", "/new", "/export.csv"):
        assert asha.get(address(draft) + rest).location == f"/stores/{draft.id}"


# One listing ----------------------------------------------------------------------------------------------------------


def test_a_listings_page_has_its_stock_and_what_amazon_was_told(asha, workspace, seller, store) -> None:
    listing = factories.make_listing(store, "TEE", mrp=Decimal("799.00"), weight_g=250, length_cm=Decimal("30.5"))
    pune = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_mapping(store, pune, "EXSB")
    level = factories.make_stock(seller, pune, "TEE", 10, 3)
    factories.make_stock(seller, factories.make_hub(workspace, name="Dubai Warehouse"), "TEE", 4)
    published(
        store, "TEE", PushState.REFUSED, quantity=6, sent_quantity=7, error_message="Location is closed <b>today</b>"
    )
    page = asha.get(address(store, listing))
    text = words(page)
    for sentence in (
        "799.00 INR",
        "250 g",
        "30.5 × – × – cm",
        "Pune Warehouse",
        "EXSB",
        "6 units",
        "7 units",
        "Not mapped",
    ):
        assert sentence in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Location is closed &lt;b&gt;today&lt;/b&gt;" in page.text
    assert "No price was given here" in text
    assert f'href="/stock/{level.id}"' in page.text


def test_what_amazon_said_of_a_listing_comes_with_what_to_do(asha, workspace, store) -> None:
    listing = factories.make_listing(store, "TEE")
    for location, state in (("EXSB", PushState.ACCEPTED), ("PNQ1", PushState.UNKNOWN)):
        factories.make_mapping(store, factories.make_hub(workspace), location)
        published(
            store, "TEE", state, seller_flex_hub_id=location, error_code="MISSING_WEIGHT", error_message="No weight"
        )
    text = words(asha.get(address(store, listing)))
    assert text.count("No weight") == 1
    assert text.count("Add the weight and the package's dimensions") == 2
    assert "Outcome not known" in text


def test_a_price_shows_how_far_it_is(asha, store) -> None:
    listing = factories.make_listing(
        store, price=Decimal("599.00"), price_state=PriceState.REFUSED, price_message="Below the minimum price."
    )
    text = words(asha.get(address(store, listing)))
    assert "Amazon refused this price" in text
    assert "Below the minimum price." in text


def test_a_listing_is_added_by_hand_and_lets_orders_go(asha, workspace, seller, store) -> None:
    hub = factories.make_hub(workspace)
    factories.make_mapping(store, hub, "EXSB")
    factories.make_stock(seller, hub, "TEE", 10)
    order = factories.make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="EXSB", hold_reason=HoldReason.NO_ASIN)
    db.session.scalars(select(OrderLine).where(OrderLine.order_id == order.id)).one().sku_code = "TEE"
    db.session.commit()
    answer = asha.post(address(store) + "/new", data={**VALUES, "sku_code": "TEE"})
    listing = db.session.scalars(select(Listing)).one()
    assert (answer.status_code, answer.location) == (303, address(store, listing))
    assert "TEE is in the catalog. 1 order On Hold became a New Order" in words(asha.get(answer.location))
    assert db.session.get(Order, order.id).state is OrderState.NEW


def test_what_was_typed_is_kept_and_every_fault_named(asha, store) -> None:
    typed = {"sku_code": "", "asin": "B0<x>", "name": "Kept name", "mrp": "7,99", "weight_g": "heavy"}
    answer = asha.post(address(store) + "/new", data=typed)
    text = words(answer)
    assert answer.status_code == 422
    assert "There is a problem" in text
    for sentence in ("The SKU is missing", "is no ASIN", "has a comma", "is no number"):
        assert text.count(sentence) == 2  # in the summary and beside the field
    for value in ("B0&lt;x&gt;", "Kept name", "7,99", "heavy"):
        assert f'value="{value}"' in answer.text
    assert db.session.scalar(select(Listing.id)) is None


def test_a_sku_that_is_there_already_is_refused_beside_its_field(asha, store) -> None:
    factories.make_listing(store, "TEE")
    answer = asha.post(address(store) + "/new", data={**VALUES, "sku_code": "TEE"})
    assert answer.status_code == 422
    assert 'id="sku_code-error"' in answer.text
    assert "has the SKU TEE already" in words(answer)


def test_a_listing_is_changed_and_logged(asha, store) -> None:
    listing = factories.make_listing(store, "TEE", "B0CX23V2ZK", name="Tee", mrp=Decimal("799.00"))
    page = asha.get(address(store, listing, "/edit"))
    for value in ("B0CX23V2ZK", "Tee", "799.00"):
        assert f'value="{value}"' in page.text
    answer = asha.post(
        address(store, listing, "/edit"), data={**VALUES, "name": "T-shirt", "version": "1", "reason": "Typo"}
    )
    assert (answer.status_code, answer.location) == (303, address(store, listing))
    assert "TEE is changed." in words(asha.get(answer.location))
    log = words(asha.get(f"/stores/{store.id}/configuration-log"))
    assert "Asha changed TEE in the catalog of Pune Store: name from “Tee” to “T-shirt”" in log
    assert "Reason: Typo" in log
    assert "Listing id" not in log
    answer = asha.post(address(store, listing, "/edit"), data={**VALUES, "name": "T-shirt", "version": "2"})
    assert "nothing was changed" in words(asha.get(answer.location))


def test_an_mrp_below_the_price_is_refused_beside_its_field(asha, store) -> None:
    listing = factories.make_listing(store, price=Decimal("599.00"))
    answer = asha.post(address(store, listing, "/edit"), data={**VALUES, "mrp": "500", "version": "1"})
    assert answer.status_code == 422
    assert 'id="mrp-error"' in answer.text
    assert "The selling price is 599.00 INR" in words(answer)
    assert 'value="500"' in answer.text


def test_a_change_meanwhile_is_shown_and_nothing_is_lost(asha, signed_in, workspace, store) -> None:
    listing = factories.make_listing(store, "TEE", name="Tee")
    ravi = signed_in(factories.make_user(workspace, name="Ravi"))
    page = address(store, listing, "/edit")
    assert ravi.post(page, data={**VALUES, "name": "His", "version": "1"}).status_code == 303
    answer = asha.post(page, data={**VALUES, "name": "Hers", "version": "1"})
    assert answer.status_code == 409
    text = words(answer)
    assert "Changed by Ravi meanwhile" in text
    assert "His" in text
    assert 'value="Hers"' in answer.text
    version = re.search(r'name="version"[^>]*value="(\d+)"', answer.text)[1]
    answer = asha.post(page, data={**VALUES, "name": "Hers", "version": version})
    assert answer.status_code == 303
    assert db.session.get(Listing, listing.id).name == "Hers"


def test_removing_asks_first_and_says_what_it_means(asha, store) -> None:
    listing = factories.make_listing(store, "TEE")
    published(store, "TEE", quantity=5)
    whole, page = address(store, listing), address(store, listing, "/remove")
    text = words(asha.get(page))
    for sentence in ("Remove TEE from the catalog?", "Amazon shows 5 units", "set the stock to 0 first", "On Hold"):
        assert sentence in text
    assert db.session.scalar(select(Listing.id)) is not None
    assert asha.post(page, data={"version": "9"}).status_code == 409
    assert asha.post(page, data={"version": "1", "reason": "x" * 301}).status_code == 422
    answer = asha.post(page, data={"version": "1", "reason": "Season over"})
    assert (answer.status_code, answer.location) == (303, address(store))
    assert "TEE is not in the catalog any more" in words(asha.get(answer.location))
    assert db.session.scalar(select(Listing.id)) is None
    assert asha.get(whole).status_code == 404


def test_support_sees_everything_and_changes_nothing(support, store) -> None:
    listing = factories.make_listing(store, "TEE")
    for path in (address(store), address(store, listing)):
        page = support.get(path)
        assert page.status_code == 200
        for way in ("/edit", "/remove", "/catalog/new", "/uploads/new"):
            assert way not in page.text
    for rest in ("/edit", "/remove"):
        assert support.get(address(store, listing, rest)).status_code == 403
        assert support.post(address(store, listing, rest), data={"version": "1"}).status_code == 403
    assert support.post(address(store) + "/new", data={**VALUES, "sku_code": "X"}).status_code == 403
    assert [listing.sku_code for listing in db.session.scalars(select(Listing))] == ["TEE"]
    assert db.session.scalar(select(ConfigEvent.id)) is None


def test_strangers_and_other_sellers_merchants_find_nothing(signed_in, workspace, store, seller) -> None:
    listing = factories.make_listing(store)
    strangers = (
        factories.make_user(factories.make_workspace(), Role.ADMIN),
        factories.make_user(workspace, sellers=[factories.make_seller(workspace)]),
    )
    for person in strangers:
        client = signed_in(person)
        for path in (address(store), address(store) + "/export.csv", address(store, listing)):
            assert client.get(path).status_code == 404
        for rest in ("/edit", "/remove"):
            assert client.post(address(store, listing, rest), data={"version": "1"}).status_code == 404
    own = signed_in(factories.make_user(workspace, sellers=[seller]))
    assert own.get(address(store, listing)).status_code == 200


def test_a_listing_under_another_stores_address_is_not_there(asha, seller, store) -> None:
    other = factories.make_listing(factories.make_store(seller))
    for rest in ("", "/edit", "/remove"):
        assert asha.get(address(store, other, rest)).status_code == 404
    assert asha.post(address(store, other, "/remove"), data={"version": "1"}).status_code == 404

"""The Prices tab of a store: the list, one price changed, refused ones sent again, the file."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, select

from flexdash import clock
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, PriceFeed, PriceState, Role, RunState, Sync
from tests import factories
from tests.support.web import words


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def asha(signed_in, workspace):
    return signed_in(factories.make_user(workspace, name="Asha"))


@pytest.fixture
def support(signed_in, workspace):
    return signed_in(factories.make_user(workspace, Role.SUPPORT))


def priced(store, sku_code="MUG-STD", price="499.00", state=PriceState.APPLIED, **values):
    now = clock.now()
    times = {"price_changed_at": now - timedelta(hours=3), "price_sent_at": now - timedelta(hours=2)}
    if state is PriceState.APPLIED:
        times["price_applied_at"] = now - timedelta(hours=1)
    return factories.make_listing(store, sku_code, **{"price": Decimal(price), "price_state": state, **times, **values})


def rows(page) -> list[str]:
    """The SKUs of the table, in its order."""
    return re.findall(r'<th scope="row"[^>]*><div class="cell"><a href="[^"]+">([^<]+)</a>', page.text)


def address(store, listing=None, rest="") -> str:
    return f"/stores/{store.id}/prices" + (f"/{listing.id}" if listing else "") + rest


def again(listing) -> Listing:
    db.session.expire_all()
    return db.session.get(Listing, listing.id)


# The list -------------------------------------------------------------------------------------------------------------


def test_without_a_catalog_the_page_says_what_comes_first(asha, store) -> None:
    page = asha.get(address(store))
    assert "catalog is empty. Upload the catalog first" in words(page)
    assert f"/stores/{store.id}/catalog" in page.text


def test_each_price_says_where_it_stands_and_since_when(asha, store) -> None:
    factories.make_listing(store, "A-NONE")
    priced(store, "B-WAITING", state=PriceState.WAITING)
    priced(store, "C-SENT", state=PriceState.SENT, price_message="Mind the discount. (W1)")
    priced(store, "D-APPLIED", mrp=Decimal("1299.00"))
    priced(store, "E-REFUSED", state=PriceState.REFUSED, price_message="Above the <b>MRP</b>. (PRICE_ABOVE_MRP)")
    page = asha.get(address(store))
    text = words(page)
    assert rows(page) == ["A-NONE", "B-WAITING", "C-SENT", "D-APPLIED", "E-REFUSED"]
    assert "Waiting set 3 hours ago" in text
    assert "Sent Amazon took it 2 hours ago" in text
    assert "Mind the discount. (W1)" in text
    assert "On Amazon seen 1 hour ago" in text
    assert "Refused 2 hours ago" in text
    assert "Above the &lt;b&gt;MRP&lt;/b&gt;. (PRICE_ABOVE_MRP)" in page.text
    assert "1,299.00" in text
    assert "No price" in text
    assert "Amounts are in INR" in text


def test_it_says_that_prices_go_by_themselves_and_when(asha, store) -> None:
    priced(store)
    assert "Prices go to Amazon by themselves. None is on its way now" in words(asha.get(address(store)))
    listing = priced(store, "LAMP", state=PriceState.WAITING)
    run = factories.make_run(store, sync=Sync.PRICE_PUSH, finished_at=clock.now() - timedelta(minutes=5))
    page = asha.get(address(store))
    assert "The next push starts within a minute." in words(page)
    assert "The last push was 5 minutes ago" in words(page)
    assert f"/sync-runs/{run.id}" in page.text
    feed = PriceFeed(workspace_id=store.workspace_id, store_id=store.id, amazon_feed_id="50123", n_messages=1204)
    db.session.add(feed)
    feed.amazon_status = "IN_PROGRESS"
    run.state, run.progress = RunState.RUNNING, "Amazon works on feed 50123: IN_PROGRESS."
    db.session.commit()
    text = words(asha.get(address(store)))
    assert "A push is at work. Amazon works on feed 50123" in text
    assert "feed 50123 with 1,204 prices" in text
    assert listing is not None


def test_the_figures_lead_to_the_filtered_list(asha, store) -> None:
    priced(store, "OK-1")
    for n in range(3):
        priced(store, f"BAD-{n}", state=PriceState.REFUSED)
    page = asha.get(address(store))
    assert f'href="{address(store)}?state=refused">3</a>' in page.text
    assert rows(asha.get(address(store, rest="?state=refused"))) == ["BAD-0", "BAD-1", "BAD-2"]
    assert rows(asha.get(address(store, rest="?state=applied"))) == ["OK-1"]
    assert rows(asha.get(address(store, rest="?q=BAD-1"))) == ["BAD-1"]
    assert rows(asha.get(address(store, rest="?sort=z"))) == ["OK-1", "BAD-2", "BAD-1", "BAD-0"]
    nothing = words(asha.get(address(store, rest="?q=bad&state=sent")))
    assert "No price of this store fits" in nothing


@pytest.mark.parametrize("odd", ["?state=nonsense", "?page=x", "?sort=1", "?q=%F0%9F%8E%82", "?q=" + "x" * 500])
def test_odd_filters_are_no_fault(asha, store, odd) -> None:
    priced(store)
    assert asha.get(address(store, rest=odd)).status_code == 200


def test_pages_follow_each_other_and_keep_the_filters(asha, store) -> None:
    codes = [f"S-{n:03d}" for n in range(120)]
    for code in codes:
        priced(store, code)
    found, rest = [], "?state=applied&q=S-"
    while rest:
        page = asha.get(address(store, rest=rest))
        found += rows(page)
        match = re.search(r'rel="next" href="([^"]+)"', page.text)
        rest = match.group(1).replace("&amp;", "&") if match else ""
        assert not rest or "state=applied" in rest
    assert found == codes


def test_the_number_of_queries_does_not_grow_with_the_prices(asha, store) -> None:
    page = address(store)

    def n_queries() -> int:
        seen = []

        def count(*_args) -> None:
            seen.append(1)

        event.listen(db.engine, "before_cursor_execute", count)
        assert asha.get(page).status_code == 200
        event.remove(db.engine, "before_cursor_execute", count)
        return len(seen)

    priced(store, "FIRST")
    asha.get(page)
    before = n_queries()
    for n in range(40):
        priced(store, f"S-{n}", state=PriceState.REFUSED, price_message="x")
    assert n_queries() == before


def test_uploads_and_the_template_are_linked(asha, support, store) -> None:
    priced(store)
    page = asha.get(address(store)).text
    assert f"/uploads/new?kind=prices&amp;store={store.id}" in page
    assert f"/uploads/templates/prices.csv?store={store.id}" in page
    shown = support.get(address(store))
    assert "/uploads/new" not in shown.text
    assert "merchants and admins change them" in words(shown)
    assert address(store, rest="/export.csv") in shown.text


def test_a_draft_leads_to_its_own_page(asha, seller) -> None:
    draft = factories.make_store(seller, "draft")
    assert asha.get(address(draft)).status_code == 303
    assert asha.get(address(draft, rest="/export.csv")).status_code == 303


# Changing one ---------------------------------------------------------------------------------------------------------


def form(listing, price, **more) -> dict[str, str]:
    return {"price": price, "version": str(listing.version), **more}


def test_a_price_is_changed_and_waits(asha, store) -> None:
    listing = priced(store, mrp=Decimal("799.00"))
    shown = asha.get(address(store, listing))
    assert 'value="499.00"' in shown.text
    assert "At most the MRP" in words(shown)
    answer = asha.post(address(store, listing), data=form(listing, "529.50", reason="festival"))
    assert answer.status_code == 303
    assert answer.location == f"{address(store)}?q=MUG-STD"
    assert "It goes to Amazon by itself." in words(asha.get(answer.location))
    changed = again(listing)
    assert (changed.price, changed.price_state) == (Decimal("529.50"), PriceState.WAITING)
    [logged] = db.session.scalars(select(ConfigEvent).where(ConfigEvent.store_id == store.id))
    assert (logged.section.value, logged.reason) == ("Prices", "festival")


@pytest.mark.parametrize("price", ["", "cheap", "0", "-1", "1,299", "900.00"])
def test_a_refused_entry_is_kept_with_the_sentence_beside_it(asha, store, price) -> None:
    listing = priced(store, mrp=Decimal("799.00"))
    page = asha.post(address(store, listing), data=form(listing, price, reason="why", is_confirmed=price))
    assert page.status_code == 422
    assert "There is a problem" in page.text
    assert f'value="{price}"' in page.text
    assert 'value="why"' in page.text
    assert 'href="#price"' in page.text
    assert again(listing).price == Decimal("499.00")


def test_a_big_change_is_asked_about_and_saved_when_confirmed(asha, store) -> None:
    listing = priced(store)
    page = asha.post(address(store, listing), data=form(listing, "99.00"))
    assert page.status_code == 200
    assert "99.00 INR is 80 % less than the 499.00 INR it has now" in words(page)
    assert "Save this price" in page.text
    assert 'name="is_confirmed" type="hidden" value="99.00"' in page.text
    assert again(listing).price == Decimal("499.00")
    other = asha.post(address(store, listing), data=form(listing, "9.90", is_confirmed="99.00"))
    assert "9.90 INR is 98 % less" in words(other), "another price was confirmed"
    assert asha.post(address(store, listing), data=form(listing, "99.00", is_confirmed="99.00")).status_code == 303
    assert again(listing).price == Decimal("99.00")


def test_a_form_made_before_anothers_change_shows_it_and_can_be_saved_then(asha, store) -> None:
    listing = priced(store)
    stale = form(listing, "520.00")
    listing.price, listing.version = Decimal("450.00"), 2
    db.session.commit()
    page = asha.post(address(store, listing), data=stale)
    assert page.status_code == 409
    assert "meanwhile" in words(page)
    assert "450.00" in words(page)
    assert 'value="520.00"' in page.text
    assert asha.post(address(store, listing), data={**stale, "version": "2"}).status_code == 303


def test_saving_what_it_is_already_says_so(asha, store) -> None:
    listing = priced(store)
    answer = asha.post(address(store, listing), data=form(listing, "499.00"))
    assert "has that price already" in words(asha.get(answer.location))


def test_a_listing_of_another_store_is_not_here(asha, store, seller) -> None:
    other = priced(factories.make_store(seller), "THEIRS", state=PriceState.REFUSED)
    assert asha.get(address(store, other)).status_code == 404
    assert asha.post(address(store, other), data=form(other, "5")).status_code == 404
    assert asha.post(address(store, other, "/send-again")).status_code == 404
    assert again(other).price_state is PriceState.REFUSED


def test_support_changes_nothing(support, store) -> None:
    listing = priced(store, state=PriceState.REFUSED)
    assert support.get(address(store, listing)).status_code == 403
    assert support.post(address(store, listing), data=form(listing, "5")).status_code == 403
    assert support.post(address(store, listing, "/send-again")).status_code == 403
    assert support.post(address(store, rest="/send-again")).status_code == 403
    assert "Send again" not in support.get(address(store)).text


# Sending again --------------------------------------------------------------------------------------------------------


def test_a_refused_price_is_sent_again_from_its_row(asha, store) -> None:
    listing = priced(store, state=PriceState.REFUSED, price_message="No. (X)")
    assert "Send again" in asha.get(address(store)).text
    answer = asha.post(address(store, listing, "/send-again"), data={"state": "refused", "q": "MUG"})
    assert answer.location == f"{address(store)}?q=MUG&state=refused"
    assert again(listing).price_state is PriceState.WAITING
    twice = asha.post(address(store, listing, "/send-again"))
    assert "not refused any more" in words(asha.get(twice.location))


def test_all_refused_prices_are_sent_again(asha, store) -> None:
    refused = [priced(store, f"R-{n}", state=PriceState.REFUSED) for n in range(2)]
    assert "Send all refused prices again" in asha.get(address(store)).text
    answer = asha.post(address(store, rest="/send-again"))
    page = asha.get(answer.location)
    assert "2 prices go to Amazon again with the next push." in words(page)
    assert "Send all refused prices again" not in page.text
    assert {again(listing).price_state for listing in refused} == {PriceState.WAITING}


# The file -------------------------------------------------------------------------------------------------------------


def test_the_file_has_every_price_and_runs_no_formula(asha, store) -> None:
    priced(store, "=SUM(A1)", "499.50", PriceState.REFUSED, price_message="+1 reason")
    priced(store, "MUG-STD")
    factories.make_listing(store, "NO-PRICE")
    answer = asha.get(address(store, rest="/export.csv"))
    assert answer.mimetype == "text/csv"
    assert f'filename="prices-store-{store.id}-' in answer.headers["Content-Disposition"]
    lines = answer.text.lstrip("\ufeff").splitlines()
    assert lines == [
        "sku_code,selling_price,currency,state,amazon_says,flexdash_export",
        "'=SUM(A1),499.50,INR,refused,'+1 reason,",
        "MUG-STD,499.00,INR,applied,,",
    ]
    narrowed = asha.get(address(store, rest="/export.csv?state=applied")).text
    assert "MUG-STD" in narrowed
    assert "SUM" not in narrowed


# Where else it shows --------------------------------------------------------------------------------------------------


def test_the_page_of_a_run_counts_prices_and_leads_to_the_refused_ones(asha, store) -> None:
    run = factories.make_run(
        store, RunState.PARTIAL, sync=Sync.PRICE_PUSH, n_fetched=12, n_updated=9, n_acknowledged=1, n_failed=2
    )
    page = asha.get(f"/sync-runs/{run.id}")
    text = words(page)
    for sentence in ("Prices looked at 12", "Sent to Amazon 9", "Shown by Amazon 1", "2 prices did not go through"):
        assert sentence in text
    assert f'{address(store)}?state=refused"' in page.text
    assert "New orders" not in text


def test_the_overview_shows_the_prices_sync_of_stores_that_have_prices(asha, store) -> None:
    def labels() -> list[str]:
        table = asha.get(f"/stores/{store.id}").text.split("Syncs of Pune Store", 1)[1]
        return re.findall(r'<th scope="row"[^>]*><div class="cell">([^<]+)<', table.split("</table>")[0])

    factories.make_listing(store)
    assert "Prices" not in labels()
    listing = priced(store, state=PriceState.REFUSED)
    page = asha.get(f"/stores/{store.id}")
    assert "1 price refused by Amazon" in words(page)
    assert f'{address(store)}?state=refused"' in page.text
    asha.post(address(store, listing, "/send-again"))
    assert labels()[-1] == "Prices"

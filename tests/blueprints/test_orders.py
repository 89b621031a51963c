import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event

from flexdash import clock
from flexdash.blueprints.orders.forms import HOLD_WORDS
from flexdash.extensions import db
from flexdash.models import (
    AccessEvent,
    AccessKind,
    Acknowledgement,
    HoldReason,
    Hub,
    Order,
    OrderCancellation,
    OrderEvent,
    OrderHold,
    OrderState,
    OrderStock,
    QuarantinedShipment,
    Role,
    Store,
    User,
)
from flexdash.services.order_numbers import number_of
from tests import factories

BUYER = json.dumps(
    {
        "name": "Meera Fictional",
        "phone": "+91 00000 00042",
        "email": "meera@buyers.example",
        "address_lines": ["12 Imaginary Road"],
        "city": "Pune",
        "postal_code": "411001",
        "country_code": "IN",
    }
)
SignIn = Callable[[User], FlaskClient]


@pytest.fixture
def store(app: Flask) -> Store:
    workspace = factories.make_workspace()
    return factories.make_store(factories.make_seller(workspace), name="Pune Store")


@pytest.fixture
def hub(store: Store) -> Hub:
    return factories.make_hub(store.seller.workspace, name="Pune Warehouse")


@pytest.fixture
def as_role(store: Store, signed_in: SignIn) -> Callable[[str], FlaskClient]:
    return lambda role: signed_in(factories.make_user(store.seller.workspace, role, name="Asha"))


@pytest.fixture
def merchant(as_role: Callable[[str], FlaskClient]) -> FlaskClient:
    return as_role(Role.MERCHANT)


def shown(client: FlaskClient, query: str) -> set[int]:
    """Return the ids of the orders that the list shows for this query."""
    text = client.get(f"/orders?{query}").text
    return {order_id for order_id in range(1, 60) if f">{number_of(order_id)}<" in text}


def test_an_empty_list_says_how_orders_come_in(merchant: FlaskClient) -> None:
    page = merchant.get("/orders").text
    assert "No order has come in yet" in page
    assert 'href="/apps"' in page


def test_the_list_has_amazons_raw_status_beside_the_word(merchant: FlaskClient, store: Store) -> None:
    factories.make_order(store, amazon_status="SHIPLABEL_GENERATED")
    assert '<span class="cell-note">SHIPLABEL_<wbr>GENERATED</span>' in merchant.get("/orders").text


def test_filters_leave_what_they_say(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    late = factories.make_order(store, hub=hub, ship_by_at=clock.now() - timedelta(hours=1)).id
    soon = factories.make_order(store, OrderState.PICKED, ship_by_at=clock.now() + timedelta(hours=5)).id
    held = factories.make_order(store, OrderState.ON_HOLD, ship_by_at=clock.now() + timedelta(days=9)).id
    done = factories.make_order(store, OrderState.SHIPPED, ship_by_at=clock.now() - timedelta(days=1)).id

    assert shown(merchant, "") == {late, soon, held, done}
    assert shown(merchant, "state=On+Hold") == {held}
    assert shown(merchant, f"hub={hub.id}") == {late}
    assert shown(merchant, "hold=no_hub_mapped") == {held}
    assert shown(merchant, "hold=hub_inactive") == set()
    assert shown(merchant, "deadline=overdue") == {late}
    assert shown(merchant, "deadline=24h") == {soon}
    assert shown(merchant, f"store={store.id}&state=Picked") == {soon}
    assert "No order fits these filters" in merchant.get("/orders?state=Delivered").text


def test_search_finds_by_each_id_a_person_may_have(merchant: FlaskClient, store: Store) -> None:
    factories.make_order(store)
    wanted = factories.make_order(store, amazon_order_id="403-777-1", amazon_shipment_id="DXYZ1")
    for text in ("403-777-1", "403-77", "DXYZ1", number_of(wanted.id), wanted.lines[0].sku_code):
        assert shown(merchant, f"q={text}") == {wanted.id}, text


def test_an_id_is_found_in_small_letters_too_and_the_empty_list_says_what_is_searched(merchant, store) -> None:
    wanted = factories.make_order(store, amazon_shipment_id="SBV5SRDMG")
    small = factories.make_order(store, amazon_shipment_id="sbv5other")
    assert shown(merchant, "q=sbv5srdmg") == shown(merchant, "q=sbv5sr") == {wanted.id}
    assert shown(merchant, "q=sbv5") == {small.id}
    said = "The search takes FlexDash&#39;s number, the beginning of Amazon&#39;s order or shipment id, or a whole SKU."
    assert said in merchant.get("/orders?q=kett").text
    assert said not in merchant.get("/orders?state=Delivered").text


def test_a_search_by_sku_pages_through_its_orders_each_once(merchant: FlaskClient, store: Store) -> None:
    wanted = [factories.make_order(store, n_lines=2) for _ in range(60)]
    for order in wanted:
        for line in order.lines:
            line.sku_code = "TWICE"  # both lines of each order
    factories.make_order(store)
    db.session.commit()
    first = merchant.get("/orders?q=TWICE").text
    onward = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    pages = first + merchant.get(f"/orders{onward}").text
    places = [pages.find(f">{number_of(order.id)}<") for order in reversed(wanted)]
    assert -1 not in places
    assert places == sorted(places)
    assert all(pages.count(f">{number_of(order.id)}<") == 1 for order in wanted)


def test_a_list_with_a_filter_that_is_none_is_not_offered_for_saving(merchant: FlaskClient, store: Store) -> None:
    order = factories.make_order(store)
    assert shown(merchant, "state=Nonsense") == {order.id}
    assert "Save this list as" not in merchant.get("/orders?state=Nonsense").text
    assert "Save this list as" in merchant.get("/orders?state=New+Order").text


@pytest.mark.parametrize("query", ["state=Nonsense", "hub=x", "store=99999999999999999999", "q=%25_'\""])
def test_a_strange_address_is_answered_with_a_page(merchant: FlaskClient, store: Store, query: str) -> None:
    factories.make_order(store)
    assert merchant.get(f"/orders?{query}").status_code == 200


def test_most_urgent_first(merchant: FlaskClient, store: Store) -> None:
    later = factories.make_order(store, ship_by_at=clock.now() + timedelta(hours=9)).id
    sooner = factories.make_order(store, ship_by_at=clock.now() + timedelta(hours=1)).id
    page = merchant.get("/orders?sort=deadline").text
    assert page.index(number_of(sooner)) < page.index(number_of(later))


def test_the_list_pages_and_keeps_its_filters(merchant: FlaskClient, store: Store) -> None:
    ids = {factories.make_order(store).id for _ in range(55)}
    first = shown(merchant, "state=New+Order")
    page = merchant.get("/orders?state=New+Order").text
    next_url = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "state=New" in next_url
    second = shown(merchant, next_url.split("?")[1])
    assert first | second == ids
    assert not first & second


def test_the_list_asks_the_database_the_same_number_of_times(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    def n_queries() -> int:
        seen: list[object] = []
        counted = lambda *args: seen.append(args)  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", counted)
        merchant.get("/orders")
        event.remove(db.engine, "before_cursor_execute", counted)
        return len(seen)

    factories.make_order(store, hub=hub)
    few = n_queries()
    for _ in range(20):
        factories.make_order(store, OrderState.ON_HOLD)
    assert n_queries() == few


def test_the_page_of_an_order_shows_its_lines_and_decimal_amounts(merchant: FlaskClient, store: Store) -> None:
    order = factories.make_order(store, n_lines=2)
    page = merchant.get(f"/orders/{order.id}").text
    assert order.lines[1].sku_code in page
    assert "998.00" in page


def test_markup_in_what_amazon_sends_never_runs(merchant: FlaskClient, store: Store) -> None:
    evil = "<svg onload=alert(1)>"
    order = factories.make_order(
        store, OrderState.CANCELLED, amazon_order_id=evil, cancellation_reason=evil, buyer=BUYER.replace("Meera", evil)
    )
    for url in ("/orders", f"/orders/{order.id}", f"/orders?q={evil}"):
        assert evil not in merchant.get(url).text
    assert evil not in merchant.post(f"/orders/{order.id}/reveal").text


def test_buyer_data_is_masked_until_it_is_asked_for_and_the_look_is_kept(merchant: FlaskClient, store: Store) -> None:
    order = factories.make_order(store, buyer=BUYER)
    page = merchant.get(f"/orders/{order.id}").text
    for secret in ("Meera", "Fictional", "Imaginary", "meera@", "00 00042"):
        assert secret not in page

    page = merchant.post(f"/orders/{order.id}/reveal").text

    assert "Meera Fictional" in page
    assert "12 Imaginary Road" in page
    assert "Asha looked at the buyer&#39;s data from 127.0.0.1." in merchant.get(f"/orders/{order.id}").text


def test_a_missing_key_costs_the_buyer_and_not_the_page(merchant: FlaskClient, store: Store) -> None:
    order = factories.make_order(store, buyer=BUYER)
    order.buyer_encrypted = Fernet(Fernet.generate_key()).encrypt(BUYER.encode())
    db.session.commit()
    page = merchant.get(f"/orders/{order.id}")
    assert page.status_code == 200
    assert "missing from <code>ENCRYPTION_KEYS</code>" in page.text
    assert "Show buyer data" not in page.text

    answer = merchant.post(f"/orders/{order.id}/reveal")

    assert answer.status_code == 303
    page = merchant.get(answer.location).text
    assert "Tell whoever runs FlexDash to put the key back" in page
    assert "looked at the buyer" not in page


def test_support_never_sees_buyer_data(as_role: Callable[[str], FlaskClient], store: Store) -> None:
    support = as_role(Role.SUPPORT)
    order = factories.make_order(store, buyer=BUYER)
    page = support.get(f"/orders/{order.id}").text
    assert "Show buyer data" not in page
    assert support.post(f"/orders/{order.id}/reveal").status_code == 403


def test_a_held_order_says_why_and_can_be_released_by_hand(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = factories.make_order(store, OrderState.ON_HOLD)
    page = merchant.get(f"/orders/{order.id}").text
    assert "No hub has the Seller Flex Hub ID ZZZZ." in page
    assert f"/stores/{store.id}/hubs" in page

    factories.make_workable(hub, order)
    merchant.post(f"/orders/{order.id}/release", data={"hub_id": hub.id})

    assert (order.state, order.hub_id) == (OrderState.NEW, hub.id)
    assert order.acknowledgement is Acknowledgement.PENDING
    assert order.holds == []
    assert order.events[-1].sentence == (
        "Asha released it by hand to Pune Warehouse. It is a New Order there, with its stock reserved."
    )


def test_a_held_order_that_is_being_cancelled_offers_no_release(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = factories.make_order(store, OrderState.ON_HOLD)
    assert "Release by hand" in merchant.get(f"/orders/{order.id}").text
    order.cancellation = OrderCancellation.CANCELLING
    db.session.commit()
    page = merchant.get(f"/orders/{order.id}").text
    assert "Release by hand" not in page
    assert "It is not released while Amazon is asked to cancel it." in page


@pytest.mark.parametrize("chosen", [{}, {"hub_id": ""}, {"hub_id": "no number"}])
def test_releasing_without_a_hub_is_a_field_error(
    merchant: FlaskClient, store: Store, hub: Hub, chosen: dict[str, str]
) -> None:
    order = factories.make_order(store, OrderState.ON_HOLD)
    assert '<option selected value="">Pick a hub</option>' in merchant.get(f"/orders/{order.id}").text
    answer = merchant.post(f"/orders/{order.id}/release", data=chosen)
    assert answer.status_code == 422
    assert "Pick the hub that will work this order." in answer.text
    assert order.state is OrderState.ON_HOLD


def test_an_order_that_is_not_held_cannot_be_released(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = factories.make_order(store, OrderState.SHIPPED)
    merchant.post(f"/orders/{order.id}/release", data={"hub_id": hub.id})
    assert order.state is OrderState.SHIPPED
    assert "nothing to release" in merchant.get(f"/orders/{order.id}").text


def test_a_refused_acknowledgement_is_shown_and_can_be_sent_again(merchant: FlaskClient, store: Store) -> None:
    words = "Amazon refused the acknowledgement: locked"
    order = factories.make_order(store, acknowledgement=Acknowledgement.REFUSED, acknowledgement_message=words)
    assert words in merchant.get(f"/orders/{order.id}").text

    merchant.post(f"/orders/{order.id}/acknowledge")

    assert order.acknowledgement is Acknowledgement.PENDING


def test_an_order_leads_to_its_store_its_hub_and_the_run_that_brought_it_in(merchant, store: Store, hub: Hub) -> None:
    run = factories.make_run(store)
    order = factories.make_order(store, hub=hub)
    order.events.append(OrderEvent(kind="imported", sentence="Imported from Amazon.", run_id=run.id))
    db.session.commit()
    page = merchant.get(f"/orders/{order.id}").text
    assert f'<a href="/stores/{store.id}">{store.name}</a>' in page
    assert f'<a href="/stores/{store.id}/hubs#hub-{hub.id}">{hub.name}</a>' in page
    assert f', with <a href="/sync-runs/{run.id}">run {run.id}</a>' in page
    by_hand = merchant.get(f"/orders/{factories.make_order(store).id}").text
    assert "no hub" in by_hand
    assert ", with <a" not in by_hand


def test_the_access_log_leads_from_an_evidence_pack_to_its_order(merchant, store: Store) -> None:
    order = factories.make_order(store)
    assert merchant.get(f"/orders/{order.id}/evidence.zip").status_code == 200
    kept = db.session.scalars(db.select(AccessEvent).where(AccessEvent.kind == AccessKind.EXPORT)).one()
    assert (kept.order_id, kept.store_id) == (order.id, store.id)


def test_the_quarantine_says_what_is_wrong(app: Flask, merchant: FlaskClient, store: Store) -> None:
    assert "Nothing is in quarantine" in merchant.get("/orders/quarantine").text
    row = QuarantinedShipment(
        workspace_id=store.workspace_id,
        store_id=store.id,
        amazon_shipment_id="UNREADABLE9",
        error_sentence="it has no lines",
        payload_encrypted=app.extensions["flexdash_vault"].encrypt("{}"),
    )
    db.session.add(row)
    db.session.commit()
    page = merchant.get("/orders/quarantine").text
    assert "UNREADABLE9" in page
    assert "It has no lines" in page
    assert "1 shipment from Amazon could not be read" in merchant.get("/orders").text

    other = factories.make_store(store.seller, country_code="AE")
    assert "UNREADABLE9" in merchant.get(f"/orders/quarantine?store={store.id}").text
    nothing = merchant.get(f"/orders/quarantine?store={other.id}").text
    assert "UNREADABLE9" not in nothing
    assert f"Nothing of {other.name} is in quarantine." in nothing
    assert f'<option selected value="{other.id}">{other.name}</option>' in nothing
    foreign = factories.make_store(factories.make_seller(factories.make_workspace()))
    assert merchant.get(f"/orders/quarantine?store={foreign.id}").status_code == 404


def test_a_row_of_the_quarantine_names_the_order_and_leads_on(app: Flask, merchant: FlaskClient, store: Store) -> None:
    run = factories.make_run(store)
    sealed = app.extensions["flexdash_vault"].encrypt
    named = sealed('{"shipmentInfo": {"buyerOrderId": "402-1234567-7654321"}}')
    for name, payload in (
        ("SBODD1", named),
        ("SBODD2", b"no key opens this"),
        (f"unreadable:{'0123' * 16}", sealed("[1]")),
    ):
        db.session.add(
            QuarantinedShipment(
                workspace_id=store.workspace_id,
                store_id=store.id,
                amazon_shipment_id=name,
                error_sentence="it has no lines",
                payload_encrypted=payload,
                run_id=run.id,
            )
        )
    db.session.commit()

    page = merchant.get("/orders/quarantine").text

    assert page.count("Amazon order ") == 1
    assert "Amazon order 402-1234567-7654321" in page
    assert f'href="/help/order-missing?q=SBODD1&amp;store={store.id}"' in page
    assert page.count("/help/order-missing?q=") == 2
    assert page.count(f'href="/sync-runs/{run.id}"') == 3
    packs = re.findall(r'href="(/help/order-missing/evidence\.zip\?q=[^"]+)"', page)
    assert len(packs) == 3
    for address in packs:
        pack = merchant.get(unescape(address))
        assert (pack.status_code, pack.mimetype) == (200, "application/zip")
    kept = db.session.scalars(db.select(AccessEvent).order_by(AccessEvent.id.desc())).first()
    assert "vidence for SBODD1, which is no order in FlexDash" in kept.sentence


def test_the_oldest_shipment_of_the_quarantine_can_come_first(app: Flask, merchant: FlaskClient, store: Store) -> None:
    for name in ("FIRST1", "SECOND2"):
        payload = app.extensions["flexdash_vault"].encrypt("{}")
        values = {"error_sentence": "it has no lines", "payload_encrypted": payload}
        db.session.add(
            QuarantinedShipment(workspace_id=store.workspace_id, store_id=store.id, amazon_shipment_id=name, **values)
        )
        db.session.commit()
    newest = merchant.get("/orders/quarantine").text
    assert newest.index("SECOND2") < newest.index("FIRST1")
    oldest = merchant.get(f"/orders/quarantine?store={store.id}&sort=oldest").text
    assert oldest.index("FIRST1") < oldest.index("SECOND2")
    assert f'<option selected value="{store.id}">{store.name}</option>' in oldest


def test_each_hold_reason_leads_to_what_mends_it(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = factories.make_order(store, OrderState.ON_HOLD, hub=hub, n_lines=2)
    known, unknown = (line.sku_code for line in order.lines)
    level = factories.make_stock(store.seller, hub, known, on_hand=0)
    for reason in set(HoldReason) - {HoldReason.NO_HUB_MAPPED}:
        order.holds.append(OrderHold(workspace_id=store.workspace_id, reason=reason, detail=f"About {reason}."))
    db.session.commit()

    page = merchant.get(f"/orders/{order.id}").text

    for reason in HoldReason:
        assert HOLD_WORDS[reason] in page
    assert "About not_enough_stock." in page
    assert f'href="/stores/{store.id}/hubs"' in page
    assert f'href="/uploads/new?kind=catalog&amp;store={store.id}"' in page
    assert f'href="/stores/{store.id}/catalog/new"' in page
    assert f'href="/stock/{level.id}"' in page
    assert f'href="/stock/new?seller={store.seller_id}&amp;hub={hub.id}&amp;sku={unknown}"' in page
    for reason in HoldReason:
        assert shown(merchant, f"hold={reason.value}") == {order.id}


def test_support_is_led_to_nothing_that_it_may_not_do(
    as_role: Callable[[str], FlaskClient], store: Store, hub: Hub
) -> None:
    order = factories.make_order(store, OrderState.ON_HOLD, hub=hub, hold_reason=HoldReason.SKU_UNKNOWN)
    page = as_role(Role.SUPPORT).get(f"/orders/{order.id}").text
    assert "/uploads/new" not in page
    assert "A merchant or an admin can add to it." in page


def test_the_page_of_an_order_shows_what_its_hub_has(merchant: FlaskClient, store: Store, hub: Hub) -> None:
    order = factories.make_order(store, hub=hub, n_lines=2, stock=OrderStock.RESERVED)
    listed, other = (line.sku_code for line in order.lines)
    listing = factories.make_listing(store, listed, name="T-shirt, black")
    factories.make_stock(store.seller, hub, listed, on_hand=1_205, reserved=1)
    factories.make_sku(store.seller, other, "Mug")
    page = merchant.get(f"/orders/{order.id}").text
    assert "Its stock is reserved at Pune Warehouse." in page
    assert "T-shirt, black" in page
    assert f'href="/stores/{store.id}/catalog/{listing.id}"' in page
    assert "1,204 available" in page
    assert "Mug" in page
    assert page.count("Not in the store&#39;s catalog") == 1
    order.state, order.stock = OrderState.SHIPPED, OrderStock.DEDUCTED
    db.session.commit()
    page = merchant.get(f"/orders/{order.id}").text
    assert "Its stock was taken off when it left Pune Warehouse." in page
    assert "available" not in page


def test_releasing_by_hand_to_a_hub_without_the_goods_is_a_field_error(
    merchant: FlaskClient, store: Store, hub: Hub
) -> None:
    order = factories.make_order(store, OrderState.ON_HOLD)
    answer = merchant.post(f"/orders/{order.id}/release", data={"hub_id": hub.id})
    assert answer.status_code == 303
    assert "is unknown" in merchant.get(answer.location).text

    factories.make_listing(store, order.lines[0].sku_code)
    answer = merchant.post(f"/orders/{order.id}/release", data={"hub_id": hub.id})
    assert answer.status_code == 422
    assert answer.text.count("Not enough stock at Pune Warehouse") == 2
    assert f'<option selected value="{hub.id}">' in answer.text
    assert order.state is OrderState.ON_HOLD


def test_every_hold_reason_has_words(app: Flask) -> None:
    assert set(HOLD_WORDS) == set(HoldReason)


def test_most_urgent_first_leaves_out_what_has_left_the_hub(merchant: FlaskClient, store: Store) -> None:
    urgent = factories.make_order(store).id
    factories.make_order(store, OrderState.DELIVERED)
    assert shown(merchant, "sort=deadline") == {urgent}
    assert len(shown(merchant, "")) == 2


# The timeline ---------------------------------------------------------------------------------------------------------


def happened(order: Order, minutes: int, sentence: str) -> OrderEvent:
    at = clock.now() - timedelta(minutes=minutes)
    return OrderEvent(order_id=order.id, kind="changed", sentence=sentence, occurred_at=at)


def called(order: Order, minutes: int, **values) -> None:
    at = clock.now() - timedelta(minutes=minutes)
    own = {"amazon_shipment_id": order.amazon_shipment_id, "started_at": at}
    factories.make_call(order.store, **{**own, **values})


def test_events_and_calls_stand_in_one_timeline_in_the_order_of_time(merchant: FlaskClient, store: Store) -> None:
    order = factories.make_order(store)
    db.session.add_all([happened(order, 50, "It came in."), happened(order, 10, "It was picked.")])
    db.session.commit()
    called(order, 30, operation="processShipment", amazon_request_id="r-30")
    called(order, 5, operation="getShipment", outcome="refused", error_message="Not now", amazon_request_id="r-5")
    factories.make_call(store, operation="getShipments", amazon_shipment_id="ANOTHER")

    page = merchant.get(f"/orders/{order.id}").text

    timeline = page[page.index('id="timeline"') :]
    parts = ["It came in.", "processShipment", "r-30", "It was picked.", "getShipment", "Not now", "r-5"]
    places = [timeline.index(part) for part in parts]
    assert places == sorted(places)
    assert timeline.count("Call to Amazon") == 2
    assert "getShipments" not in timeline


def test_the_timeline_stays_light_however_often_amazon_was_called(
    merchant: FlaskClient, store: Store, monkeypatch
) -> None:
    monkeypatch.setattr("flexdash.services.order_timeline.MOST_ENTRIES", 20)
    order = factories.make_order(store)
    address = f"/orders/{order.id}"
    db.session.add(happened(order, 90, "It came in."))
    db.session.commit()
    called(order, 80)

    def n_queries() -> int:
        statements: list[str] = []
        counted = lambda *args: statements.append(args[2])  # noqa: E731
        event.listen(db.engine, "before_cursor_execute", counted)
        page = merchant.get(address).text
        event.remove(db.engine, "before_cursor_execute", counted)
        assert page.count('class="timeline-call"') <= 20
        return len(statements)

    assert "the newest" not in merchant.get(address).text
    few = n_queries()
    for minutes in range(30, 0, -1):
        called(order, minutes)
    assert n_queries() == few
    page = merchant.get(f"/orders/{order.id}").text
    assert "These are the newest 20; the evidence pack has the older ones." in page
    assert "It came in." not in page

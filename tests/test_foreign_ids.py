"""Ids of another workspace in bodies, queries and filters: nothing is shown and nothing is changed."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import (
    AuthorizationAttempt,
    Hub,
    HubMapping,
    Listing,
    Order,
    OrderState,
    Recovery,
    Role,
    Section,
    Seller,
    StockLevel,
    Store,
)
from flexdash.services import config_log
from tests import factories

FOREIGN = "Foreign"
WIZARD = "/apps/amazon-seller-flex"


@dataclass
class World:
    """A workspace with one of everything that another one's pages could be asked for."""

    seller: Seller
    store: Store
    hub: Hub
    held: Order


def make_world(name: str) -> World:
    workspace = factories.make_workspace(f"{name} Company")
    seller = factories.make_seller(workspace, f"{name} Seller")
    store = factories.make_store(seller, name=f"{name} Store", amazon_selling_partner_id=f"A{name.upper()}")
    hub = factories.make_hub(workspace, name=f"{name} Hub")
    held = factories.make_order(store, OrderState.ON_HOLD, amazon_shipment_id=f"{name}Shipment")
    factories.make_return(store, order=held, amazon_return_id=f"{name}Return")
    factories.make_run(store)
    factories.make_alarm(store, sentence=f"{name} Store has no good run")
    factories.make_alarm(store, sentence=f"{name} Store was refused", cleared_at=clock.now())
    person = factories.make_user(workspace, name=f"{name} Person")
    with transaction():
        config_log.record(
            factories.make_actor(person), Section.SETTINGS, f"{name} Person changed {name} Store", store=store
        )
    return World(seller, store, hub, held)


@pytest.fixture
def own(app) -> World:
    return make_world("Own")


@pytest.fixture
def foreign(app) -> World:
    return make_world(FOREIGN)


@pytest.fixture
def merchant(own, signed_in) -> FlaskClient:
    return signed_in(factories.make_user(own.seller.workspace, Role.MERCHANT))


@pytest.fixture
def admin(own, signed_in) -> FlaskClient:
    return signed_in(factories.make_user(own.seller.workspace, Role.ADMIN))


def n_of(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model))


def refused(answer, *statuses: int) -> None:
    """Hold an answer to one of `statuses` and to saying nothing of the other workspace."""
    assert answer.status_code in (statuses or (404,))
    assert FOREIGN not in answer.text


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_a_foreign_hub_gets_no_id_in_an_own_store(merchant, own, foreign) -> None:
    page, hub_id = f"/stores/{own.store.id}/hubs", foreign.hub.id
    refused(merchant.post(page, data={"hub": hub_id, f"hub{hub_id}-seller_flex_hub_id": "EXSB"}))
    refused(
        merchant.post(
            page, data={"hub": hub_id, f"hub{hub_id}-seller_flex_hub_id": "EXSB", f"hub{hub_id}-version": "1"}
        )
    )
    refused(merchant.post(page, data={"unmapped": "ZZZZ", "unmapped-hub_id": hub_id}))
    assert n_of(HubMapping) == 0
    assert own.held.state is OrderState.ON_HOLD


def test_an_order_is_not_released_to_a_foreign_hub(merchant, own, foreign) -> None:
    refused(merchant.post(f"/orders/{own.held.id}/release", data={"hub_id": foreign.hub.id}), 422)
    assert (own.held.state, own.held.hub_id) == (OrderState.ON_HOLD, None)


def test_a_foreign_order_is_not_released_to_an_own_hub(merchant, own, foreign) -> None:
    refused(merchant.post(f"/orders/{foreign.held.id}/release", data={"hub_id": own.hub.id}))
    assert foreign.held.state is OrderState.ON_HOLD


@pytest.mark.parametrize("kind", ["store", "seller"])
def test_a_visit_from_amazon_begins_nothing_for_somebody_else(merchant, own, foreign, settings, kind) -> None:
    address = "/amazon/login?" + urlencode(
        {
            "amazon_callback_uri": f"{settings.amazon_seller_central_url}/apps/authorize/confirm/app",
            "amazon_state": "amazons-own-state",
            "selling_partner_id": foreign.store.amazon_selling_partner_id,
        }
    )
    refused(merchant.get(address), 200)
    values = {
        "store": {"store": foreign.store.id},
        "seller": {"store": "new", "seller": foreign.seller.id, "country": "IN", "name": "Mine now"},
    }[kind]
    n_stores = n_of(Store)
    refused(merchant.post(address, data=values), 422)
    assert n_of(Store) == n_stores
    assert n_of(AuthorizationAttempt) == 0


def test_a_foreign_listing_is_out_of_reach_through_an_own_store(merchant, own, foreign) -> None:
    listing = factories.make_listing(foreign.store, "ForeignSku", name="Foreign Listing")
    for store in (own.store, foreign.store):
        page = f"/stores/{store.id}/catalog/{listing.id}"
        refused(merchant.get(page))
        refused(merchant.post(f"{page}/edit", data={"asin": "B0CX23V2ZK", "name": "Mine now", "version": "1"}))
        refused(merchant.post(f"{page}/remove", data={"version": "1"}))
    kept = db.session.get(Listing, listing.id, populate_existing=True)
    assert (kept.name, kept.version) == ("Foreign Listing", 1)


def test_stock_is_not_put_into_a_foreign_hub_nor_for_a_foreign_seller(merchant, own, foreign) -> None:
    values = {"sku_code": "TEE", "quantity": "5"}
    for seller, hub in ((foreign.seller, own.hub), (own.seller, foreign.hub), (foreign.seller, foreign.hub)):
        refused(merchant.post("/stock/new", data=values | {"seller": seller.id, "hub": hub.id}), 422)
    refused(merchant.get(f"/stock/new?seller={foreign.seller.id}&hub={foreign.hub.id}"), 200)
    assert n_of(StockLevel) == 0


def test_foreign_stock_stays_as_it_is(merchant, own, foreign) -> None:
    level = factories.make_stock(foreign.seller, foreign.hub, "ForeignSku", on_hand=3)
    refused(merchant.get(f"/stock/{level.id}"))
    refused(merchant.post(f"/stock/{level.id}", data={"way": "set", "quantity": "9", "seen": "3"}))
    assert db.session.get(StockLevel, level.id, populate_existing=True).on_hand == 3
    for query in (f"seller={foreign.seller.id}", f"hub={foreign.hub.id}", "q=ForeignSku", "only=not_listed"):
        for page in ("/stock", "/stock/export.csv"):
            shown = merchant.get(f"{page}?{query}").text
            assert "Foreign Seller" not in shown
            assert f"/stock/{level.id}" not in shown


def test_a_foreign_recovery_or_difference_is_out_of_reach_through_an_own_store(merchant, own, foreign) -> None:
    asked = factories.make_recovery(foreign.store, {"ForeignShipment": None}, asked_by_name="Foreign Person")
    difference = factories.make_difference(foreign.store, subject="ForeignShipment")
    page = f"/stores/{own.store.id}"
    for address in ("", "/live", "/ids.csv"):
        refused(merchant.get(f"{page}/recover/{asked.id}{address}"))
    refused(merchant.post(f"{page}/recover/{asked.id}/go-on"))
    refused(merchant.post(f"{page}/reconcile/recover", data={"difference": difference.id}))
    refused(merchant.post(f"/stores/{foreign.store.id}/reconcile/recover", data={"kind": "missing_here"}))
    refused(merchant.post(f"{page}/reconcile/{difference.id}/close"))
    assert difference.closed_at is None
    for address in (f"{page}/recover", f"{page}/reconcile", f"{page}/reconcile?kind=missing_here", page):
        refused(merchant.get(address), 200)
    assert n_of(Recovery) == 1


def test_a_person_is_not_limited_to_a_foreign_seller(admin, own, foreign) -> None:
    person = factories.make_user(own.seller.workspace, sellers=[own.seller])
    values = {"name": "Asha", "email": "asha@company.example", "role": "merchant", "is_limited": "y"}
    refused(admin.post(f"/admin/users/{person.id}", data={**values, "seller_ids": [foreign.seller.id]}), 422)
    assert [seller.id for seller in person.sellers] == [own.seller.id]


# The wizard -----------------------------------------------------------------------------------------------------------


def test_the_wizard_makes_no_store_for_a_foreign_seller(merchant, foreign) -> None:
    page, n_stores = f"{WIZARD}/new?seller={foreign.seller.id}", n_of(Store)
    refused(merchant.get(page))
    refused(merchant.post(page, data={"country": "IN"}))
    refused(merchant.get(f"{WIZARD}?seller={foreign.seller.id}"))
    refused(merchant.get(f"/apps?seller={foreign.seller.id}"))
    assert n_of(Store) == n_stores


@pytest.mark.parametrize("step", ["country", "name", "integrate", "discard"])
def test_a_foreign_draft_stays_as_it_is(merchant, foreign, step) -> None:
    draft = factories.make_store(foreign.seller, "draft", name="Foreign Draft")
    refused(merchant.get(f"{WIZARD}/{draft.id}/{step}"))
    refused(merchant.post(f"{WIZARD}/{draft.id}/{step}", data={"country": "AE", "name": "Mine now"}))
    kept = db.session.get(Store, draft.id, populate_existing=True)
    assert (kept.name, kept.country_code) == ("Foreign Draft", "IN")
    assert n_of(AuthorizationAttempt) == 0


def test_a_failed_return_does_not_name_a_foreign_store(merchant, foreign) -> None:
    address = f"/amazon/return/ABCD-EFGH?problem=already_connected&other={foreign.store.id}"
    refused(merchant.get(address), 404)
    refused(merchant.get(address.replace("already_connected", "state_unknown")), 200)


# Filters --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "/orders?store={store}",
        "/orders?hub={hub}",
        "/orders?store={store}&hub={hub}&state=On+Hold",
        "/orders?q=ForeignShipment",
        "/returns?store={store}",
        "/returns?q=ForeignReturn",
        "/returns?q=ForeignShipment",
        "/sync-runs?store={store}",
        "/alarms?store={store}",
        "/alarms?store={store}&show=past",
        "/configuration-log?store={store}",
        "/configuration-log.csv?store={store}",
        "/stores/{own_store}/configuration-log?store={store}",
        "/stores/{own_store}/configuration-log.csv?store={store}",
        "/stores/{own_store}/catalog?q=ForeignSku",
        "/stores/{own_store}/catalog/export.csv",
    ],
)
def test_a_list_narrowed_to_something_foreign_shows_nothing_of_it(admin, own, foreign, address) -> None:
    factories.make_listing(foreign.store, "ForeignSku", name="Foreign Listing")
    factories.make_listing(own.store)
    ids = {"store": foreign.store.id, "hub": foreign.hub.id, "own_store": own.store.id}
    answer = admin.get(address.format(**ids))
    shown = re.sub(
        r'(?:value="|\?(?:ids|q)=)Foreign(?:Shipment|Sku|Return)"', "", answer.text
    )  # what was typed is given back
    assert answer.status_code == 200
    assert FOREIGN not in shown
    assert f'/orders/{foreign.held.id}"' not in shown


@pytest.mark.parametrize("question", ["order-missing", "cancellation", "sku", "order-open"])
def test_a_diagnosis_says_of_something_foreign_what_it_says_of_what_is_nowhere(admin, own, foreign, question) -> None:
    factories.make_listing(foreign.store, "ForeignSku")
    names = {"sku": ("ForeignSku", "NowhereSku")}.get(question, ("ForeignShipment", "NowhereShipment"))
    pages = (admin.get(f"/help/{question}?q={name}&store={foreign.store.id}").text.replace(name, "…") for name in names)
    theirs, nowhere = (
        page[page.index('id="answer"') : page.index("</ol>", page.index('id="checks"'))] for page in pages
    )
    assert theirs == nowhere
    assert FOREIGN not in theirs
    number = admin.get(f"/help/{question}?q=FD-{foreign.held.id:06d}").text
    assert FOREIGN not in number


def test_the_quarantine_of_a_foreign_store_does_not_exist(admin, foreign) -> None:
    refused(admin.get(f"/orders/quarantine?store={foreign.store.id}"))

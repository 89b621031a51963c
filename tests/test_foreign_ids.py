"""Ids of another workspace in bodies, queries and filters: nothing is shown and nothing is changed."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import AuthorizationAttempt, Hub, HubMapping, Order, OrderState, Role, Section, Seller, Store
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
    factories.make_run(store)
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
        "/sync-runs?store={store}",
        "/configuration-log?store={store}",
        "/configuration-log.csv?store={store}",
        "/stores/{own_store}/configuration-log?store={store}",
        "/stores/{own_store}/configuration-log.csv?store={store}",
    ],
)
def test_a_list_narrowed_to_something_foreign_shows_nothing_of_it(admin, own, foreign, address) -> None:
    ids = {"store": foreign.store.id, "hub": foreign.hub.id, "own_store": own.store.id}
    answer = admin.get(address.format(**ids))
    shown = re.sub(r'value="ForeignShipment"', "", answer.text)  # what was typed is given back
    assert answer.status_code == 200
    assert FOREIGN not in shown
    assert f'/orders/{foreign.held.id}"' not in shown


def test_the_quarantine_of_a_foreign_store_does_not_exist(admin, foreign) -> None:
    refused(admin.get(f"/orders/quarantine?store={foreign.store.id}"))

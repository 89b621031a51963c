"""The checklist after connecting: each step is done when the database says so."""

import pytest

from flexdash.extensions import db
from flexdash.models import StoreStatus
from flexdash.services import store_overview
from tests import factories


@pytest.fixture
def store(seller):
    return factories.make_store(seller)


def test_a_new_store_has_everything_to_do_but_connecting(store) -> None:
    left = store_overview.set_up(store)
    assert left.is_connected
    assert not any((left.is_hub_mapped, left.has_catalog, left.has_stock))
    assert not any((left.is_order_sync_on, left.is_inventory_sync_on, left.is_complete))


@pytest.mark.parametrize(
    ("status", "is_connected"),
    [
        (StoreStatus.DRAFT, False),
        (StoreStatus.CONNECTED, True),
        (StoreStatus.NEEDS_REAUTHORIZATION, True),
        (StoreStatus.DISCONNECTED, False),
    ],
)
def test_a_store_that_has_its_account_is_connected(seller, status, is_connected) -> None:
    assert store_overview.set_up(factories.make_store(seller, status)).is_connected is is_connected


def test_only_a_mapping_that_works_counts(workspace, store) -> None:
    factories.make_mapping(store, factories.make_hub(workspace), is_active=False)
    factories.make_mapping(store, factories.make_hub(workspace, is_active=False))
    assert not store_overview.set_up(store).is_hub_mapped
    factories.make_mapping(store, factories.make_hub(workspace))
    assert store_overview.set_up(store).is_hub_mapped


def test_the_catalog_is_the_stores_own(seller, store) -> None:
    factories.make_listing(factories.make_store(seller))
    assert not store_overview.set_up(store).has_catalog
    factories.make_listing(store)
    assert store_overview.set_up(store).has_catalog


def test_stock_counts_where_it_is_the_sellers_and_its_hub_is_mapped(workspace, seller, store) -> None:
    mapped, other = factories.make_hub(workspace), factories.make_hub(workspace)
    mapping = factories.make_mapping(store, mapped)
    factories.make_stock(seller, other, "TEE")
    factories.make_stock(factories.make_seller(workspace), mapped, "TEE")
    assert not store_overview.set_up(store).has_stock
    factories.make_stock(seller, mapped, "TEE", on_hand=0)
    assert store_overview.set_up(store).has_stock
    mapping.is_active = False
    db.session.commit()
    assert not store_overview.set_up(store).has_stock


def test_the_checklist_is_complete_once_orders_can_be_worked(workspace, seller, store) -> None:
    hub = factories.make_hub(workspace)
    steps = (
        lambda: factories.make_mapping(store, hub),
        lambda: factories.make_listing(store, "TEE"),
        lambda: factories.make_stock(seller, hub, "TEE"),
    )
    for step in steps:
        step()
        assert not store_overview.set_up(store).is_complete
    store.is_order_sync_on = True
    db.session.commit()
    left = store_overview.set_up(store)
    assert left.is_complete
    assert not left.is_inventory_sync_on

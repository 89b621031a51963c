"""The stock part of a comparison with Amazon, against the sandbox over real HTTP."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.amazon.inventory import InventoryUpdate
from flexdash.extensions import db
from flexdash.models import Difference, DifferenceKind, Hub, Listing, PublishedStock, RunState, Store, SyncRunItem
from flexdash.services import amazon_access, stock_comparison
from tests.support.pulls import MAPPED
from tests.support.reconciliations import compare, open_ones
from tests.support.recoveries import lift_pace
from tests.support.stock import do_push, make_stocked_store, published, stock_up

STOCK = DifferenceKind.STOCK_DIFFERS


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for Amazon's pace."""
    lift_pace(monkeypatch)


@pytest.fixture
def stocked(app: Flask, sandbox: Running) -> tuple[Store, Hub]:
    """A store with three SKUs that Amazon was told of."""
    sandbox.control.plans({"*": None})
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {"TEE": 5, "MUG": 7, "CAP": 0})
    do_push(store)
    return store, hub


@pytest.fixture
def store(stocked: tuple[Store, Hub]) -> Store:
    """That store."""
    return stocked[0]


def tell_amazon(store: Store, sku_code: str, quantity: int) -> None:
    """Let another program set the quantity, behind FlexDash's back."""
    with amazon_access.amazon_for(store) as client:
        number = int((clock.now() + timedelta(days=2)).timestamp() * 1000)
        [result] = client.inventory.update(
            [InventoryUpdate(MAPPED, sku_code, store.marketplace_id, quantity=quantity, sequence_number=number)]
        )
    assert result.is_accepted


def test_what_amazon_accepted_and_still_sells_is_no_difference(store) -> None:
    run = compare(store)
    assert open_ones(store) == {}
    assert (run.state, run.n_fetched) == (RunState.SUCCEEDED, 3)


def test_another_quantity_is_named_with_both_numbers(store, sandbox) -> None:
    tell_amazon(store, "TEE", 9)
    compare(store)
    assert open_ones(store) == {(STOCK, "TEE"): ("5 accepted", "9 for sale, 0 reserved")}
    assert db.session.scalars(select(Difference.seller_flex_hub_id)).one() == MAPPED
    assert published(store)["TEE"].amazon_sellable == 9  # the inventory page shows what was read


def test_it_closes_by_itself_when_it_is_put_right(store, sandbox) -> None:
    tell_amazon(store, "TEE", 9)
    tell_amazon(store, "MUG", 1)
    compare(store)
    tell_amazon(store, "TEE", 5)
    run = compare(store)
    assert run.n_updated == 1
    assert open_ones(store).keys() == {(STOCK, "MUG")}


def test_stock_on_its_way_is_in_flight(stocked, sandbox) -> None:
    store, _ = stocked
    tell_amazon(store, "TEE", 9)
    compare(store, after=timedelta(minutes=5))  # accepted five minutes ago
    assert open_ones(store) == {}
    db.session.execute(update(PublishedStock).values(state="sending"))
    db.session.commit()
    compare(store)
    assert open_ones(store) == {}


def test_what_buyers_have_ordered_explains_less(stocked, monkeypatch) -> None:
    answer = stock_comparison.InventoryResult(
        MAPPED, "TEE", True, True, 200, "", sellable_quantity=3, reserved_quantity=2, sequence_number=1, errors=()
    )
    assert stock_comparison._is_explained(5, answer)
    assert stock_comparison._is_explained(3, answer)
    assert not stock_comparison._is_explained(6, answer)
    assert not stock_comparison._is_explained(2, answer)


def test_it_is_compared_only_while_inventory_sync_is_on(store, sandbox) -> None:
    tell_amazon(store, "TEE", 9)
    compare(store)
    db.session.execute(update(Store).values(is_inventory_sync_on=False))
    db.session.commit()
    sandbox.control.clear_stats()
    compare(store)
    assert "batchInventory" not in sandbox.control.stats()["calls"]
    assert open_ones(store) == {}  # FlexDash does not tell Amazon any stock, so there is nothing to differ from


def test_a_sku_that_left_the_catalog_is_compared_no_more(store) -> None:
    tell_amazon(store, "TEE", 9)
    compare(store)
    db.session.execute(Listing.__table__.delete().where(Listing.sku_code == "TEE"))
    db.session.commit()
    compare(store)
    assert open_ones(store) == {}


def test_a_difference_that_is_gone_at_the_second_look_does_not_count(store, monkeypatch) -> None:
    tell_amazon(store, "TEE", 9)
    real, n_looks = stock_comparison._look, []

    def look(work, lines, **named):
        n_looks.append(len(lines))
        if len(n_looks) == 3:
            tell_amazon_directly(work, store)
        return real(work, lines, **named)

    def tell_amazon_directly(work, store) -> None:
        number = int((clock.now() + timedelta(days=9)).timestamp() * 1000)
        work.client.inventory.update(
            [InventoryUpdate(MAPPED, "TEE", store.marketplace_id, quantity=5, sequence_number=number)]
        )

    monkeypatch.setattr(stock_comparison, "_look", look)
    compare(store)
    assert n_looks == [0, 3, 1]
    assert open_ones(store) == {}


def test_an_outage_leaves_what_was_known_and_does_not_cost_the_orders(store, sandbox) -> None:
    tell_amazon(store, "TEE", 9)
    compare(store)
    sandbox.control.fault("error_503", operation="batchInventory", count=500)
    run = compare(store)
    assert (run.state, run.n_failed) == (RunState.PARTIAL, 3)
    assert "Amazon did not answer" in db.session.scalars(select(SyncRunItem.reason)).one()
    assert open_ones(store).keys() == {(STOCK, "TEE")}


def test_amazon_away_for_good_leaves_the_stock_alone(stocked, sandbox) -> None:
    store, hub = stocked
    stock_up(store, hub, {f"SKU{n:02d}": n for n in range(40)})
    do_push(store)
    tell_amazon(store, "TEE", 9)
    compare(store)
    sandbox.control.fault("error_503", operation="batchInventory", count=500)
    assert compare(store).n_failed == 1
    assert "Stock was not compared" in db.session.scalars(select(SyncRunItem.reason)).one()
    assert open_ones(store).keys() == {(STOCK, "TEE")}


def test_a_line_that_amazon_refuses_says_nothing_of_it(store, sandbox) -> None:
    tell_amazon(store, "TEE", 9)
    compare(store)
    sandbox.control.fault("inventory_refused", operation="batchInventory", count=1)
    compare(store)
    assert open_ones(store).keys() == {(STOCK, "TEE")}


def test_one_run_asks_about_so_many_and_all_come_round(stocked, sandbox, monkeypatch) -> None:
    store, hub = stocked
    stock_up(store, hub, {f"SKU{n:02d}": n for n in range(30)})
    do_push(store)
    monkeypatch.setattr(stock_comparison, "ASKED_ABOUT", 12)
    for sku_code in ("SKU03", "SKU17", "SKU28"):
        tell_amazon(store, sku_code, 99)
    n_asked = []
    for n in range(4):
        n_asked.append(compare(store, after=timedelta(hours=12 + n)).n_fetched)
    assert len(open_ones(store)) == 3
    assert all(n <= 12 + 3 for n in n_asked)  # twelve, and each that differs once more


def test_more_than_one_run_looks_at_again_is_said(store, sandbox, monkeypatch) -> None:
    monkeypatch.setattr(stock_comparison, "LOOKED_AT_AGAIN", 1)
    tell_amazon(store, "TEE", 9)
    tell_amazon(store, "MUG", 9)
    compare(store)
    assert len(open_ones(store)) == 1
    assert db.session.scalars(select(SyncRunItem.n_items)).one() == 1
    compare(store)
    assert len(open_ones(store)) == 2

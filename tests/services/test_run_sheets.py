"""What became of each item of a run: kept in few rows, found again, and deleted in time."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, settings
from flexdash.models import ItemFate, RunSheet
from flexdash.services import run_sheets
from flexdash.services.run_sheets import Item
from tests import factories


@pytest.fixture
def run(workspace):
    return factories.make_run(factories.make_store(factories.make_seller(workspace)))


def keep(run, *items, **values) -> None:
    run_id = run.id
    with transaction():
        run_sheets.keep(run_id, items, **values)


def found(run, *names) -> list[Item]:
    return [kept.item for kept in run_sheets.search(run, names)]


def test_items_are_found_by_each_of_their_names_and_by_no_part_of_one(run):
    order = Item(ItemFate.CREATED, "SHIP1", also="403-1", place="PNQ1", words="ACCEPTED")
    sku = Item(ItemFate.REFUSED, 'A "quoted" ü', place="EXSB", words="5 units: no", request_id="r-1")
    keep(run, order, sku)
    assert found(run, "SHIP1") == found(run, "403-1") == [order]
    assert found(run, 'A "quoted" ü') == [sku]
    assert found(run, "SHIP") == found(run, "PNQ1") == found(run, "ACCEPTED") == found(run, "") == []


def test_what_happened_to_an_item_twice_comes_in_its_order(run):
    keep(run, Item(ItemFate.NO_ANSWER, "A"))
    keep(run, Item(ItemFate.SENT, "A"))
    assert [item.fate for item in found(run, "A")] == [ItemFate.NO_ANSWER, ItemFate.SENT]


def test_another_run_is_not_looked_into(run):
    other = factories.make_run(run.store)
    keep(other, Item(ItemFate.SENT, "A"))
    assert found(run, "A") == []
    store_id = run.store_id
    kept = run_sheets.search_store(store_id, ["A"], 10, 100)
    assert [(one.run_id, one.item.name) for one in kept] == [(other.id, "A")]


def test_fifty_thousand_items_are_few_rows_and_found_quickly(run):
    keep(run, *(Item(ItemFate.SENT, f"SKU-{n:06d}", place="EXSB", words="5 units") for n in range(50_000)))
    n_rows, n_bytes = db.session.execute(select(func.count(), func.sum(func.length(RunSheet.content)))).one()
    assert n_rows == 500
    assert n_bytes < 1_000_000
    began = time.perf_counter()
    assert [item.name for item in found(run, "SKU-049999")] == ["SKU-049999"]
    assert time.perf_counter() - began < 2  # a bound against a slip, far above what it takes
    assert run_sheets.n_by_fate(run) == {ItemFate.SENT: 50_000}


def test_without_a_run_nothing_is_kept(run):
    with transaction():
        run_sheets.keep(None, [Item(ItemFate.SENT, "A")])
    assert db.session.scalar(select(func.count(RunSheet.id))) == 0


def test_outcomes_are_deleted_once_they_were_kept_long_enough(run):
    keep(run, Item(ItemFate.SENT, "A"))
    now = clock.now()
    assert run_sheets.delete_old(now + timedelta(days=settings.api_log_days) - timedelta(minutes=1)) == 0
    assert run_sheets.delete_old(now + timedelta(days=settings.api_log_days, minutes=1)) == 1
    assert db.session.scalar(select(func.count(RunSheet.id))) == 0

"""Stock under real workers that race, and through long stories: nothing oversold, nothing moved twice."""

import pytest
import redis
from flask import Flask
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rq import Worker
from sqlalchemy import func, select

from amazon_sandbox.world.people import SKU_CODES
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import Order, OrderLine, OrderState, StockLevel
from tests.support.ledgers import stock_problems
from tests.support.pulls import ENDED_WELL, MAPPED, QUICK, SELLER, make_pulled_store, new_run, wait_for_end, workers
from tests.support.servers import wait_for
from tests.support.stock_stories import QUIET, live, steps

long = pytest.mark.faults
N_STORIES = 400


@pytest.mark.parametrize("n_orders", [200, pytest.param(4_000, marks=long)])
def test_two_workers_race_for_the_last_units_of_a_seller(app, sandbox, environment, figure, scaled, n_orders) -> None:
    """Two stores of one seller, a real worker for each: together they want about four times what lies in the hub."""
    n_orders = scaled(n_orders) if n_orders > 200 else n_orders
    sandbox.control.plans({"*": None})
    first = make_pulled_store(sandbox, on_hand=max(1, n_orders // len(SKU_CODES) // 2))
    second = make_pulled_store(sandbox, partner="ASECOND", beside=first)
    sandbox.control.create_orders(n_orders, location_id=MAPPED, seller_id=SELLER)
    store_ids = (first.id, second.id)
    with workers({**environment, **QUICK}) as fleet:
        for _ in store_ids:
            fleet.start()
        with redis.Redis.from_url(environment["REDIS_URL"]) as connection:
            wait_for(lambda: Worker.count(connection=connection) == 2, "two workers that are ready")
        run_ids = [new_run(store_id) for store_id in store_ids]
        for run_id in run_ids:
            queues.enqueue_run(run_id)
        assert {wait_for_end(run_id).state for run_id in run_ids} <= set(ENDED_WELL)

    db.session.rollback()
    n_new = dict(
        db.session.execute(
            select(Order.store_id, func.count()).where(Order.state == OrderState.NEW).group_by(Order.store_id)
        ).all()
    )
    assert db.session.scalar(select(func.count(Order.id))) == 2 * n_orders
    assert stock_problems() == []
    assert _held_without_need() == 0
    n_sold_out = db.session.scalar(select(func.count()).where(StockLevel.reserved == StockLevel.on_hand))
    assert n_sold_out
    assert set(n_new) <= set(store_ids)
    words = " and ".join(f"{n_new.get(store_id, 0):,}" for store_id in store_ids)
    figure("oversold", f"{2 * n_orders:,} orders, {words} got their stock, the rest On Hold: 0 oversold")


def _held_without_need() -> int:
    """Return how many held orders of one line could be served now."""
    wanted = (
        select(OrderLine.sku_code, func.sum(OrderLine.n_units).label("n"))
        .join(Order)
        .where(Order.state == OrderState.ON_HOLD, Order.n_lines == 1)
        .group_by(Order.id, OrderLine.sku_code)
        .subquery()
    )
    return db.session.scalar(
        select(func.count())
        .select_from(wanted)
        .join(StockLevel, StockLevel.sku_code == wanted.c.sku_code)
        .where(StockLevel.on_hand - StockLevel.reserved >= wanted.c.n)
    )


@long
def test_stock_moves_once_through_long_stories(app: Flask, figure, scaled) -> None:
    n_stories = scaled(N_STORIES)

    @given(st.lists(steps, min_size=10, max_size=60))
    @hypothesis_settings(max_examples=n_stories, **QUIET)
    def tell(script: list[tuple]) -> None:
        live(script)

    tell()
    figure("stories", f"{n_stories} stories: ledger = levels, nothing moved twice")

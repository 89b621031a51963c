"""Recovering orders by days, against the sandbox over real HTTP: every status, moves, odd pages, kills."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from flexdash import clock
from flexdash.amazon.shipments import Shipments
from flexdash.extensions import db
from flexdash.models import (
    Order,
    Recovery,
    RecoveryOutcome,
    RunState,
)
from flexdash.services import recovering, recovery
from tests.support.pulls import MAPPED, SELLER, row
from tests.support.recoveries import (
    DAY_MINUTES,
    ZONE,
    Died,
    done,
    killed_in,
    outcomes,
    recover_days,
    recover_ids,
    take_up,
    today,
)

# Only people bring orders in.
pytestmark = pytest.mark.usefixtures("order_sync_off")

IMPORTED, HERE, MISSING = RecoveryOutcome.IMPORTED, RecoveryOutcome.HERE_ALREADY, RecoveryOutcome.MISSING
NOT_IMPORTED, NO_ANSWER = RecoveryOutcome.NOT_IMPORTED, RecoveryOutcome.NO_ANSWER


def test_days_bring_in_every_status_that_changed_in_them(store, sandbox, actor, pages_of) -> None:
    pages_of(20)
    here = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    recover_ids(actor, store, *here)
    ago = 3 * DAY_MINUTES
    new = sandbox.control.create_orders(
        26, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=ago, same_time=True
    )
    shipped = sandbox.control.create_orders(
        2, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=ago, status="SHIPPED"
    )
    [older] = sandbox.control.create_orders(1, seller_id=SELLER, updated_minutes_ago=6 * DAY_MINUTES)
    day = (clock.now() - timedelta(minutes=ago)).astimezone(ZONE).date()

    asked = recover_days(actor, store, day, day)

    assert outcomes(asked) == dict.fromkeys(new, IMPORTED) | dict.fromkeys(shipped, NOT_IMPORTED)
    run = row(asked.run_id)
    assert (run.state, run.n_created, run.n_acknowledged) == (RunState.SUCCEEDED, 26, 26)

    asked = recover_days(actor, store, day - timedelta(days=10), today())
    assert outcomes(asked)[older] is IMPORTED
    assert {outcomes(asked)[shipment_id] for shipment_id in here} == {HERE}


def test_the_days_are_those_of_the_viewers_zone(store, sandbox, actor) -> None:
    minutes_today = (clock.now() - clock.now().astimezone(ZONE).replace(hour=0, minute=0, second=0)).seconds / 60
    [yesterday] = sandbox.control.create_orders(
        1, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=minutes_today + 5
    )
    assert outcomes(recover_days(actor, store, today(), today())).keys() == set()
    day = today() - timedelta(days=1)
    assert outcomes(recover_days(actor, store, day, day)) == {yesterday: IMPORTED}


def test_a_shipment_that_moves_on_while_the_lists_are_read_is_not_missed(store, sandbox, actor, monkeypatch) -> None:
    ago = 2 * DAY_MINUTES
    [moving] = sandbox.control.create_orders(
        1, location_id=MAPPED, seller_id=SELLER, updated_minutes_ago=ago, status="CONFIRMED"
    )
    sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)  # made since: not of those days
    day = (clock.now() - timedelta(minutes=ago)).astimezone(ZONE).date()
    real = Shipments.page

    def page_after_a_move(self, status, *arguments, **named):
        if status == "CONFIRMED" and sandbox.control.shipment(moving)["status"] == "CONFIRMED":
            sandbox.control.move(moving, "PACKAGE_CREATED")  # its last change leaves the days that were asked for
        return real(self, status, *arguments, **named)

    monkeypatch.setattr(Shipments, "page", page_after_a_move)
    assert outcomes(recover_days(actor, store, day, day)) == {moving: IMPORTED}


def test_a_killed_worker_goes_on_at_the_page_it_reached(store, sandbox, actor, pages_of) -> None:
    pages_of(20)
    ids = sandbox.control.create_orders(70, location_id=MAPPED, seller_id=SELLER)
    asked = recovery.request_days(actor, store.id, today() - timedelta(days=1), today(), ZONE)
    # A page of CREATED, empty, comes first.
    with killed_in(recovering, "keep_listed", at=5), pytest.raises(Died):
        done(asked)
    assert len(outcomes(asked)) == 60
    take_up(asked)
    sandbox.control.clear_stats()

    asked = done(asked)

    assert outcomes(asked) == dict.fromkeys(ids, IMPORTED)
    assert db.session.scalar(select(func.count(Order.id))) == 70
    assert sandbox.control.stats()["calls"]["getShipments"] <= 1 + 9  # the fourth page, then the other statuses


def test_a_page_token_that_amazon_does_not_take_any_more_costs_one_list(store, sandbox, actor) -> None:
    ids = sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    asked = recovery.request_days(actor, store.id, today() - timedelta(days=1), today(), ZONE)
    db.session.execute(update(Recovery).values(reached_leg=1, page_token="stale"))
    db.session.commit()
    assert outcomes(done(asked)) == dict.fromkeys(ids, IMPORTED)


def test_repeated_and_empty_pages_change_nothing(store, sandbox, actor, pages_of) -> None:
    pages_of(20)
    ids = sandbox.control.create_orders(30, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("empty_page", operation="getShipments", count=1, skip=1)
    sandbox.control.fault("repeated_page", operation="getShipments", count=1, skip=1)
    asked = recover_days(actor, store, today() - timedelta(days=1), today())
    assert outcomes(asked) == dict.fromkeys(ids, IMPORTED)
    assert row(asked.run_id).n_created == 30

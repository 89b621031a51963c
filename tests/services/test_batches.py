"""One action on many orders: a result for each, whatever happens to the worker and to the person meanwhile."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import redis
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.jobs import work_batches
from flexdash.models import BatchAction, BatchState, Order, OrderState, Role, Store, User, WorkBatch, WorkBatchItem
from flexdash.services import amazon_access
from flexdash.services.actors import Actor
from flexdash.services.errors import NotAllowed, NotVisible, ServiceError
from flexdash.services.order_states import Event
from flexdash.services.order_work import at_amazon, batches, moves
from flexdash.services.run_context import HandBack, Superseded
from tests import factories
from tests.support.pulls import MAPPED, SELLER, do_run, make_pulled_store


@pytest.fixture
def store(app: Flask) -> Store:
    return factories.make_store(factories.make_seller(factories.make_workspace()))


@pytest.fixture
def asha(store: Store) -> Actor:
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))


def asked(actor: Actor, orders: list[Order], action: BatchAction = BatchAction.PACK) -> int:
    return batches.ask(actor, action, [order.id for order in orders]).id


def results(batch_id: int) -> list[tuple[bool | None, str]]:
    db.session.rollback()
    query = select(WorkBatchItem.is_done, WorkBatchItem.sentence).where(WorkBatchItem.batch_id == batch_id)
    return [(is_done, sentence) for is_done, sentence in db.session.execute(query.order_by(WorkBatchItem.id))]


def row(batch_id: int) -> WorkBatch:
    db.session.rollback()
    return db.session.get_one(WorkBatch, batch_id, populate_existing=True)


def test_each_order_gets_its_result(store: Store, asha: Actor) -> None:
    picked = [factories.make_order(store, OrderState.PICKED) for _ in range(2)]
    held = factories.make_order(store, OrderState.ON_HOLD)
    packed = factories.make_order(store, OrderState.PACKED)
    batch_id = asked(asha, [*picked, held, packed])
    work_batches.run(batch_id)
    done = row(batch_id)
    assert (done.state, done.n_items, done.n_done, done.n_refused) == (BatchState.DONE, 4, 3, 1)
    assert [is_done for is_done, _ in results(batch_id)] == [True, True, False, True]
    assert "On Hold" in results(batch_id)[2][1]
    assert {db.session.get(Order, order.id).state for order in picked} == {OrderState.PACKED}
    assert batches.refused_ids(done) == [held.id]


def test_thirty_are_picked_but_the_two_that_buyers_cancelled(app: Flask, sandbox: Running, monkeypatch) -> None:
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox)
    asha = factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT))
    sandbox.control.create_orders(30, location_id=MAPPED, seller_id=SELLER)
    do_run(store)
    orders = list(db.session.scalars(select(Order).where(Order.store_id == store.id).order_by(Order.id)))
    for order in orders[10:12]:
        sandbox.control.cancel(order.amazon_shipment_id)
    batch_id = asked(asha, orders, BatchAction.PICK)
    work_batches.run(batch_id)
    done = row(batch_id)
    assert (done.n_done, done.n_refused) == (28, 2)
    assert batches.refused_ids(done) == [order.id for order in orders[10:12]]
    for is_done, sentence in results(batch_id)[10:12]:
        assert not is_done
        assert "cancelled" in sentence
    states = [state for (state,) in db.session.execute(select(Order.state).order_by(Order.id))]
    assert (states.count(OrderState.PICKED), states.count(OrderState.CANCELLED)) == (28, 2)


def test_a_batch_whose_worker_stops_goes_on_where_it_was(store: Store, asha: Actor) -> None:
    orders = [factories.make_order(store, OrderState.PICKED) for _ in range(4)]
    batch_id = asked(asha, orders)
    answers = iter([False, False, True])
    hold = batches.begin(batch_id, lambda: next(answers))
    with pytest.raises(HandBack):
        batches.work(hold, lambda *_: None)
    batches.hand_back(hold)
    assert [is_done for is_done, _ in results(batch_id)] == [True, True, None, None]
    work_batches.run(batch_id)
    assert (row(batch_id).state, row(batch_id).n_done) == (BatchState.DONE, 4)


def test_an_order_moved_right_before_the_worker_died_counts_as_done(store: Store, asha: Actor) -> None:
    order = factories.make_order(store, OrderState.PICKED)
    batch_id = asked(asha, [order])
    batches.begin(batch_id, lambda: False)  # a worker that moves the order and is never heard of again
    moves.move(asha, order.id, batches.EVENTS[BatchAction.PACK])
    work_batches.run(batch_id)
    assert row(batch_id).state is BatchState.RUNNING  # not taken from a worker that may still live
    lost = row(batch_id).heartbeat_at
    work_batches.take_up(lost + timedelta(hours=1))
    work_batches.run(batch_id)
    assert results(batch_id) == [(True, "Packed.")]


def broken_by(monkeypatch: pytest.MonkeyPatch, order_id: int, error: Exception) -> None:
    """Let moving this order raise `error`."""
    real = moves.move

    def move(actor: Actor, moved_id: int, event: Event) -> None:
        if moved_id == order_id:
            raise error
        real(actor, moved_id, event)

    monkeypatch.setattr(moves, "move", move)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("UPDATE orders", {}, Exception("check")),
        DataError("UPDATE orders", {}, Exception("too long")),
        StaleDataError("no row"),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_database_refuses_of_one_order_is_told_there_and_the_others_are_done(
    store: Store, asha: Actor, monkeypatch, error: Exception
) -> None:
    orders = [factories.make_order(store, OrderState.PICKED) for _ in range(3)]
    broken_by(monkeypatch, orders[0].id, error)
    batch_id = asked(asha, orders)
    work_batches.run(batch_id)
    assert (row(batch_id).state, row(batch_id).n_attempts) == (BatchState.DONE, 1)
    assert results(batch_id) == [
        (False, "FlexDash ran into a fault of its own with this order. The log has the details."),
        (True, "Packed."),
        (True, "Packed."),
    ]


GIVEN_UP = (
    "Not done: the work on this batch broke off 3 times, so FlexDash gave it up. Try again; if that breaks off too, "
    "tell whoever runs FlexDash: the log has the details under batch {}."
)


@pytest.fixture
def three_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_batches, "settings", SimpleNamespace(run_max_attempts=3, run_lost_after_seconds=45))


@pytest.mark.usefixtures("three_attempts")
@pytest.mark.parametrize(
    "error",
    [OperationalError("BEGIN", {}, Exception("away")), PoolTimeout("no connection"), redis.ConnectionError()],
    ids=lambda error: type(error).__name__,
)
def test_a_batch_that_finds_no_database_is_tried_again_and_in_the_end_given_up(
    store: Store, asha: Actor, monkeypatch, error: Exception
) -> None:
    orders = [factories.make_order(store, OrderState.PICKED) for _ in range(3)]
    broken_by(monkeypatch, orders[1].id, error)
    batch_id = asked(asha, orders)
    for n in (1, 2):
        with pytest.raises(type(error)):
            work_batches.run(batch_id)
        assert (row(batch_id).state, row(batch_id).n_attempts) == (BatchState.WAITING, n)
        assert results(batch_id) == [(True, "Packed."), (None, ""), (None, "")]
    with pytest.raises(type(error)):
        work_batches.run(batch_id)
    ended = row(batch_id)
    assert (ended.state, ended.n_done, ended.n_refused, ended.attempt_token) == (BatchState.DONE, 1, 2, "")
    assert ended.finished_at is not None
    assert results(batch_id) == [(True, "Packed."), *[(False, GIVEN_UP.format(batch_id))] * 2]
    assert batches.waiting() == []
    assert batches.refused_ids(row(batch_id)) == [orders[1].id, orders[2].id], "they can be tried again"


@pytest.mark.usefixtures("three_attempts")
def test_a_batch_that_kills_its_workers_is_given_up(store: Store, asha: Actor) -> None:
    batch_id = asked(asha, [factories.make_order(store, OrderState.PICKED)])
    for n in (1, 2, 3):
        hold = batches.begin(batch_id, lambda: False)  # never heard of again
        assert hold is not None
        assert hold.number == n
        work_batches.take_up(row(batch_id).heartbeat_at + timedelta(seconds=44))
        assert row(batch_id).state is BatchState.RUNNING, "it may still live"
        work_batches.take_up(row(batch_id).heartbeat_at + timedelta(seconds=46))
    assert (row(batch_id).state, row(batch_id).n_refused) == (BatchState.DONE, 1)
    assert results(batch_id) == [(False, GIVEN_UP.format(batch_id))]
    with pytest.raises(Superseded):  # the worker lives after all
        batches.work(hold, lambda *_: None)
    assert (row(batch_id).state, row(batch_id).n_done) == (BatchState.DONE, 0)


def test_a_worker_that_was_asked_to_stop_counts_as_no_attempt(store: Store, asha: Actor, monkeypatch) -> None:
    batch_id = asked(asha, [factories.make_order(store, OrderState.PICKED)])
    monkeypatch.setattr(work_batches.stopping, "is_asked", lambda: True)
    for _ in range(7):
        work_batches.run(batch_id)
        assert (row(batch_id).state, row(batch_id).n_attempts) == (BatchState.WAITING, 0)


def test_a_worker_that_was_given_up_writes_nothing_more(store: Store, asha: Actor) -> None:
    batch_id = asked(asha, [factories.make_order(store, OrderState.PICKED)])
    hold = batches.begin(batch_id, lambda: False)
    batches.hand_back(hold)
    with pytest.raises(Superseded):
        batches.work(hold, lambda *_: None)
    assert results(batch_id) == [(None, "")]


def test_two_workers_do_not_share_a_batch(store: Store, asha: Actor) -> None:
    batch_id = asked(asha, [factories.make_order(store, OrderState.PICKED)])
    assert batches.begin(batch_id, lambda: False) is not None
    assert batches.begin(batch_id, lambda: False) is None


def test_when_amazon_is_silent_the_rest_is_not_tried(store: Store, asha: Actor, monkeypatch) -> None:
    n_asked = 0

    def silent(order: Order) -> None:
        nonlocal n_asked
        n_asked += 1
        raise at_amazon.AmazonNotAsked("Amazon did not answer.")

    monkeypatch.setattr(at_amazon, "ask_and_apply", silent)
    orders = [factories.make_order(store, OrderState.NEW) for _ in range(6)]
    batch_id = asked(asha, orders, BatchAction.PICK)
    work_batches.run(batch_id)
    assert n_asked == 3
    assert row(batch_id).n_refused == 6
    assert "Not tried" in results(batch_id)[-1][1]


def test_a_person_who_may_no_longer_moves_nothing(store: Store, asha: Actor) -> None:
    order = factories.make_order(store, OrderState.PICKED)
    batch_id = asked(asha, [order])
    db.session.get(User, asha.user_id).is_active = False
    db.session.commit()
    work_batches.run(batch_id)
    assert row(batch_id).n_refused == 1
    assert db.session.get(Order, order.id).state is OrderState.PICKED


def test_only_those_who_work_orders_ask_and_only_for_what_they_see(store: Store, asha: Actor) -> None:
    own = factories.make_order(store, OrderState.PICKED)
    foreign = factories.make_order(factories.make_store(factories.make_seller(factories.make_workspace())))
    support = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    with pytest.raises(NotAllowed):
        asked(support, [own])
    with pytest.raises(ServiceError, match="No order was chosen"):
        asked(asha, [foreign])
    assert batches.ask(asha, BatchAction.PACK, [own.id, foreign.id, own.id]).n_items == 1


def test_a_person_limited_to_sellers_sees_their_own_batches_only(store: Store, asha: Actor) -> None:
    batch_id = asked(asha, [factories.make_order(store, OrderState.PICKED)])
    limited = factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, sellers=[store.seller]))
    with pytest.raises(NotVisible):
        batches.get(limited, batch_id)
    assert list(db.session.scalars(batches.listing(limited))) == []

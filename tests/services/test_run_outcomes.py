"""Every kind of run says of each of its items what became of it, and takes up on its own only what failed."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from flexdash import clock
from flexdash.blueprints.sync.words import figures_of
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import (
    AmazonReturn,
    ApiCall,
    ConfigEvent,
    ItemFate,
    Listing,
    Order,
    OrderLine,
    OrderStep,
    PriceState,
    QuarantinedShipment,
    Role,
    RunState,
    StepKind,
    StepState,
    Store,
    Sync,
    SyncRun,
    SyncState,
    Trigger,
)
from flexdash.services import amazon_access, order_pull, return_pull, run_retries, run_search, run_sheets, sync_status
from flexdash.services.errors import ServiceError
from flexdash.services.inventory.fetch import fetch
from flexdash.services.inventory.push import push
from tests import factories
from tests.support.pulls import MAPPED, SELLER, UNMAPPED, do_run, make_pulled_store, row
from tests.support.returns import here, make_returning_store, returned, run_returns
from tests.support.stock import do_fetch, do_push, make_stocked_store, stock_up
from tests.support.web import words


@pytest.fixture(autouse=True)
def no_plans(sandbox, monkeypatch):
    sandbox.control.plans({"*": None})
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))


def actor_of(store, role=Role.SUPPORT):
    return factories.make_actor(factories.make_user(store.seller.workspace, role))


def fates(run: SyncRun, name: str) -> list[ItemFate]:
    return [kept.item.fate for kept in run_sheets.search(run, [name])]


def do_retry(run: SyncRun, work) -> SyncRun:
    """Ask for the retry of `run` as support and do it as a worker would."""
    store = db.session.get(Store, run.store_id)
    retry_id = run_retries.request_retry(actor_of(store), run.id).id
    runner.execute(retry_id, work)
    return row(retry_id)


def test_an_order_pull_says_what_became_of_each_shipment(app, sandbox):
    store = make_pulled_store(sandbox)
    [new] = sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    [held] = sandbox.control.create_orders(1, location_id=UNMAPPED, seller_id=SELLER)
    first = do_run(store)
    assert fates(first, new) == [ItemFate.CREATED, ItemFate.ACKNOWLEDGED]
    assert fates(first, held) == [ItemFate.HELD]
    order = db.session.scalars(select(Order).where(Order.amazon_shipment_id == new)).one()
    assert fates(first, order.amazon_order_id) == [ItemFate.CREATED]

    second = do_run(store)
    assert fates(second, held) == [ItemFate.UNCHANGED]
    [came_in, _] = [kept.item.words for kept in run_sheets.search(first, [new])]
    assert came_in == "Amazon has it as Confirmed (ACCEPTED)."
    [is_held] = [kept.item.words for kept in run_sheets.search(first, [held])]
    assert is_held.startswith("Amazon has it as Confirmed (ACCEPTED). No hub has the Seller Flex Hub ID PNQ1.")
    assert words_kept(second, new) == ["Amazon has it as Accepted (CONFIRMED)."]
    assert words_kept(second, held) == ["Amazon has it as Confirmed (ACCEPTED)."]

    actor = actor_of(store)
    by_number = run_search.search(actor, first, f"fd-{order.id:06d}")
    assert [kept.item.fate for kept in by_number.kept] == [ItemFate.CREATED, ItemFate.ACKNOWLEDGED]
    assert [event.order_id for event in by_number.events][:1] == [order.id]
    assert by_number.calls
    nothing = run_search.search(actor, first, "402-0000001-0000001")
    assert nothing.is_nothing
    assert nothing.sentence.startswith("Amazon did not list it in this run")


def test_a_sku_finds_the_orders_of_a_run_that_it_stands_in(app, sandbox, monkeypatch):
    monkeypatch.setattr(run_search, "MET_AT_A_TIME", 2)
    store = make_pulled_store(sandbox)
    shipment_ids = sandbox.control.create_orders(5, location_id=MAPPED, seller_id=SELLER)
    first = do_run(store)
    of_sku: dict[str, set[str]] = {}
    for line, shipment_id in db.session.execute(select(OrderLine, Order.amazon_shipment_id).join(Order)):
        of_sku.setdefault(line.sku_code, set()).add(shipment_id)
    actor = actor_of(store)
    for sku_code, expected in of_sku.items():
        found = run_search.search(actor, first, f" {sku_code} ")
        assert {kept.item.name for kept in found.kept} == expected
        assert {order.amazon_shipment_id for order in found.orders} == expected
    assert set().union(*of_sku.values()) == set(shipment_ids)

    factories.make_order(store, n_lines=1)  # of the same store, and not of the run
    [line] = db.session.scalars(select(OrderLine).order_by(OrderLine.id.desc()).limit(1))
    for name in (line.sku_code, "NO-SUCH-SKU"):
        nothing = run_search.search(actor, first, name)
        assert nothing.is_nothing
        assert nothing.orders == []
        assert nothing.sentence.startswith("Nothing was found: no order or shipment that this run met has this id")
        assert "Amazon did not" not in nothing.sentence


def test_ids_are_read_as_people_paste_them(app, sandbox):
    store = make_pulled_store(sandbox)
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    run = do_run(store)
    order = db.session.scalars(select(Order)).one()
    actor = actor_of(store)
    dashless = order.amazon_order_id.replace("-", "")
    for text in (dashless, f' "{order.amazon_order_id}", ', f"({order.amazon_shipment_id})", f"“FD-{order.id}”"):
        found = run_search.search(actor, run, text)
        assert [one.id for one in found.orders] == [order.id], text
        assert found.kept, text
    missing = run_search.search(actor, run, "40200000010000001")
    assert (missing.text, missing.is_order) == ("402-0000001-0000001", True)


def test_a_sku_finds_the_returns_of_a_run_that_it_stands_in(app, sandbox):
    store = make_returning_store(sandbox)
    [return_id] = returned(sandbox, 1)
    run = run_returns(store)
    sku_code = db.session.scalars(select(AmazonReturn.sku_code)).one()
    found = run_search.search(actor_of(store), run, sku_code)
    assert {kept.item.name for kept in found.kept} == {return_id}


def words_kept(run, name):
    return [kept.item.words for kept in run_sheets.search(run, [name])]


def test_what_never_was_here_is_not_said_to_be(app, sandbox):
    store = make_pulled_store(sandbox)
    cancelled, shipped = sandbox.control.create_orders(2, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.cancel(cancelled)
    sandbox.control.move(shipped, "SHIPPED")
    run = do_run(store)
    assert run_sheets.n_by_fate(run) == {ItemFate.NOT_TAKEN: 2}
    assert words_kept(run, cancelled) == ["It was Cancelled (CANCELLED) before it came here."]
    assert words_kept(run, shipped) == ["It was Shipped (SHIPPED) before Order Sync began here."]
    assert ("Nothing to do", 2) in figures_of(run)
    assert "Already here" not in dict(figures_of(run))


def test_a_shipment_that_could_not_be_taken_in_is_asked_for_again_alone(app, sandbox):
    store = make_pulled_store(sandbox)
    sandbox.control.create_orders(3, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("odd_no_lines", operation="getShipments", count=1)
    run = do_run(store)
    assert run.state is RunState.PARTIAL
    failed = run_retries.names_of(run.id, run_retries.FAILED)
    assert len(failed) == run.n_failed
    good_since = good_run(store, Sync.ORDER_PULL)
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)

    retry = do_retry(run, order_pull.pull)

    assert (retry.state, retry.retry_of_id, retry.n_fetched) == (RunState.SUCCEEDED, run.id, len(failed))
    assert {fates(retry, name)[0] for name in failed} == {ItemFate.CREATED}
    waiting = select(QuarantinedShipment.id).where(QuarantinedShipment.resolved_at.is_(None))
    assert db.session.scalars(waiting).all() == []
    assert good_run(store, Sync.ORDER_PULL) == good_since, "a few items say nothing of the store being up to date"


def good_run(store, sync):
    db.session.rollback()
    query = select(SyncState.last_success_at).where(SyncState.store_id == store.id, SyncState.sync == sync)
    return db.session.scalar(query)


def test_a_push_says_of_each_sku_what_was_sent_and_sends_only_the_refused_again(app, sandbox):
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {"A": 5, "B": 6, "NOT-LISTED-1": 7})
    run = do_push(store)
    assert run.state is RunState.PARTIAL
    [sent] = [kept.item for kept in run_sheets.search(run, ["A"])]
    assert (sent.fate, sent.place, sent.words) == (ItemFate.SENT, "EXSB", "5 units")
    assert sent.request_id
    [refused] = [kept.item for kept in run_sheets.search(run, ["NOT-LISTED-1"])]
    assert refused.fate is ItemFate.REFUSED
    assert "7 units: Amazon refused it" in refused.words

    stock_up(store, hub, {"B": 60})
    retry = do_retry(run, push)
    assert (retry.n_fetched, retry.n_updated, retry.n_failed, retry.is_full) == (1, 0, 1, False)
    assert fates(retry, "NOT-LISTED-1") == [ItemFate.REFUSED]
    assert fates(retry, "B") == []
    assert "only what failed" in run_search.search(actor_of(store), retry, "B").sentence

    unchanged = do_push(store)
    found = run_search.search(actor_of(store), unchanged, "A")
    assert found.is_nothing
    assert "Amazon had taken the quantity it had then" in found.sentence
    assert "No SKU of this store's catalog" in run_search.search(actor_of(store), unchanged, "NOBODY").sentence


def test_asking_for_amazons_stock_again_asks_only_for_what_gave_none(app, sandbox):
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {"A": 5, "NOT-LISTED-1": 5})
    run = do_fetch(store)
    assert fates(run, "A") == [ItemFate.TOLD]
    retry = do_retry(run, fetch)
    assert (retry.n_fetched, fates(retry, "A"), fates(retry, "NOT-LISTED-1")) == (1, [], [ItemFate.REFUSED])


def test_a_pull_of_returns_says_what_became_of_each_return(app, sandbox):
    store = make_returning_store(sandbox)
    [return_id] = returned(sandbox, 1)
    run = run_returns(store)
    assert Counter(fates(run, return_id))[ItemFate.CREATED] == 1


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.RUNNING, RunState.SKIPPED])
def test_where_nothing_failed_nothing_is_offered(app, workspace, state):
    store = factories.make_store(factories.make_seller(workspace))
    run = factories.make_run(store, state, sync=Sync.INVENTORY_PUSH)
    assert run_retries.offer(run) is None
    with pytest.raises(ServiceError, match="Nothing failed"):
        run_retries.request_retry(actor_of(store), run.id)


def test_a_run_that_is_too_old_or_was_skipped_says_so(app, workspace):
    store = factories.make_store(factories.make_seller(workspace))
    actor = actor_of(store)
    old = factories.make_run(store, queued_at=clock.now() - timedelta(days=91), n_fetched=3)
    skipped = factories.make_run(store, RunState.SKIPPED, error_sentence="The run before was still at work.")
    before = factories.make_run(store, n_fetched=3)
    running = factories.make_run(store, RunState.RUNNING)
    for run, sentence in (
        (old, "kept for 90 days"),
        (skipped, "still at work"),
        (before, "not kept by this run"),
        (running, "not over yet"),
    ):
        assert sentence in run_search.search(actor, run, "X1").sentence


def test_a_retry_that_gets_no_answer_has_failed_and_is_not_the_last_run_of_the_sync(app, sandbox):
    store = make_pulled_store(sandbox)
    sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER)
    sandbox.control.fault("odd_no_lines", operation="getShipments", count=1)
    run = do_run(store)
    [failed] = run_retries.names_of(run.id, run_retries.FAILED)
    sandbox.control.fault("error_503", operation="getShipment")
    retry = do_retry(run, order_pull.pull)
    assert (retry.state, retry.n_failed) == (RunState.PARTIAL, 1)
    assert fates(retry, failed) == [ItemFate.NO_ANSWER]
    status = next(one for one in sync_status.of(db.session.get(Store, store.id)) if one.sync is Sync.ORDER_PULL)
    assert status.last_run.id == run.id


def test_a_return_that_could_not_be_read_is_asked_for_again_alone(app, sandbox):
    store = make_returning_store(sandbox)
    good, odd = returned(sandbox, 2)
    in_every_list = {"shipment_id": sandbox.control.return_item(odd)["shipment_id"]}
    sandbox.control.fault("odd_return_no_status", operation="listReturns", **in_every_list)
    run = run_returns(store)
    assert (run.n_failed, run_retries.names_of(run.id, run_retries.FAILED)) == (1, [odd])
    assert set(here(store)) == {good}
    retry = do_retry(run, return_pull.pull)
    assert (retry.state, retry.n_failed) == (RunState.SUCCEEDED, 0)
    assert set(here(store)) == {good, odd}
    calls = db.session.scalars(select(ApiCall.operation).where(ApiCall.run_id == retry.id)).all()
    assert calls == ["getReturn"]


def test_prices_that_amazon_refused_wait_for_the_next_push(app, signed_in):
    store = factories.make_store(factories.make_seller(factories.make_workspace()))
    for code, state in (("TEE-S", "refused"), ("TEE-M", "refused"), ("TEE-L", "applied")):
        factories.make_listing(store, code, price=Decimal("499"), price_state=state)
    run = factories.make_run(store, RunState.PARTIAL, sync=Sync.PRICE_PUSH, n_failed=1)
    factories.make_run_item(run, sku_code="TEE-S")
    merchant = signed_in(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))
    assert "wait for the next price push" in words(merchant.get(f"/sync-runs/{run.id}"))
    answer = merchant.get(merchant.post(f"/sync-runs/{run.id}/retry").location)
    assert "1 price waits for the next price push, which starts within a minute." in words(answer)
    db.session.rollback()
    assert dict(db.session.execute(select(Listing.sku_code, Listing.price_state)).all()) == {
        "TEE-S": PriceState.WAITING,
        "TEE-M": PriceState.REFUSED,
        "TEE-L": PriceState.APPLIED,
    }
    assert "Asha" in db.session.scalars(select(ConfigEvent.sentence).order_by(ConfigEvent.id.desc())).first()
    again = merchant.get(merchant.post(f"/sync-runs/{run.id}/retry").location)
    assert "None of these prices is refused any more" in words(again)
    support = signed_in(factories.make_user(store.seller.workspace, Role.SUPPORT))
    assert support.post(f"/sync-runs/{run.id}/retry").status_code == 403


def test_steps_that_amazon_refused_are_put_back_in_line_and_a_run_begins(app, signed_in):
    store = factories.make_store(factories.make_seller(factories.make_workspace()), is_order_sync_on=True)
    orders = [factories.make_order(store, amazon_shipment_id=f"SB{n}") for n in range(3)]
    refused, cancelled, other = (
        factories.make_step(order, kind, StepState.FAILED, error_sentence="Amazon refused it.")
        for order, kind in zip(orders, (StepKind.SHIP, StepKind.CANCEL, StepKind.SHIP), strict=True)
    )
    run = factories.make_run(store, RunState.PARTIAL, sync=Sync.ORDER_STEPS, n_failed=2)
    run_sheets.keep(run.id, [run_sheets.Item(ItemFate.REFUSED, name) for name in ("SB0", "SB1")])
    db.session.commit()
    merchant = signed_in(factories.make_user(store.seller.workspace, Role.MERCHANT))
    answer = merchant.post(f"/sync-runs/{run.id}/retry")
    db.session.rollback()
    newest = db.session.scalars(select(SyncRun).order_by(SyncRun.id.desc())).first()
    assert (newest.sync, newest.state, newest.trigger) == (Sync.ORDER_STEPS, RunState.QUEUED, Trigger.MANUAL)
    assert answer.location.endswith(f"/sync-runs/{newest.id}")
    states = [db.session.get(OrderStep, step.id).state for step in (refused, cancelled, other)]
    assert states == [StepState.WAITING, StepState.FAILED, StepState.FAILED]
    again = merchant.get(merchant.post(f"/sync-runs/{run.id}/retry").location)
    assert "No step that this run got refused still waits for somebody" in words(again)

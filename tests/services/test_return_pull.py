"""The return pull against the sandbox over real HTTP: nothing lost, nothing doubled, no password kept."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from flexdash import clock
from flexdash.amazon import transport
from flexdash.amazon.errors import AmazonError, AuthorizationRefused, Throttled
from flexdash.amazon.returns import Returns
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import (
    AmazonReturn,
    ApiCall,
    HubMapping,
    ItemFate,
    ItemOutcome,
    QuarantinedReturn,
    ReturnLocation,
    RunState,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncRunItem,
    SyncState,
)
from flexdash.services import return_import, return_pull, return_singles, run_sheets, sync_attempts
from flexdash.services.return_import import ReturnImporter
from flexdash.services.run_context import HandBack
from tests import factories
from tests.support.returns import (
    MAPPED,
    OTHER,
    SELLER,
    UNMAPPED,
    at_amazon,
    here,
    make_returning_store,
    returned,
    run_returns,
)
from tests.support.schedules import scheduled

A_MONTH = 30 * 24 * 60


@pytest.fixture
def store(app, sandbox):
    return make_returning_store(sandbox)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    """Let the client try again soon after a 429 too: these tests are about returns, tests/amazon about the pauses."""
    monkeypatch.setattr(transport, "_FIRST_REST_SECONDS", 0.01)


def statuses(store):
    return {return_id: row.amazon_status for return_id, row in here(store).items()}


def watermarks(store):
    db.session.rollback()
    query = select(ReturnLocation.location_id, ReturnLocation.watermark).where(ReturnLocation.store_id == store.id)
    return dict(db.session.execute(query).all())


def items_of(run):
    return db.session.scalars(select(SyncRunItem).where(SyncRunItem.run_id == run.id).order_by(SyncRunItem.id)).all()


def give_up(run_id=None):
    """Let no run of the store be open, as after one that failed."""
    db.session.rollback()
    db.session.execute(update(SyncRun).values(state=RunState.FAILED))
    db.session.commit()


# What comes in --------------------------------------------------------------------------------------------------------


def test_returns_of_every_location_come_in_over_several_pages_with_an_empty_one(store, sandbox, pages_of):
    pages_of(20)
    made = returned(sandbox, 26) + returned(sandbox, 24, location_id=UNMAPPED)
    sandbox.control.fault("empty_page", operation="listReturns", page=1, count=1)

    run = run_returns(store)

    assert statuses(store) == dict.fromkeys(made, "CREATED")
    assert (run.state, run.n_created, run.n_updated, run.n_failed) == (RunState.SUCCEEDED, 50, 0, 0)
    assert run.n_fetched == run.n_created + run.n_skipped
    assert run.n_pages >= 4 + 2 * 15  # the new ones, then each location in each status
    assert run.n_api_calls == db.session.scalar(select(func.count(ApiCall.id)).where(ApiCall.run_id == run.id))
    assert watermarks(store).keys() == {MAPPED, UNMAPPED}


def test_every_field_but_the_password_is_kept(store, sandbox):
    [return_id] = returned(
        sandbox, reason="CR-DEFECTIVE", return_sub_type="EXCHANGE", status="OUT_FOR_DELIVERY", otp="739182"
    )
    sandbox.control.move_return(return_id, "REPLANNED")
    sandbox.control.move_return(return_id, "DELIVERED")
    run_returns(store)
    row, told = here(store)[return_id], sandbox.control.return_item(return_id)["body"]
    channel, shipping = told["marketplaceChannelDetails"], told["returnShippingInfo"]
    assert (row.amazon_status, row.return_type, row.return_sub_type) == ("DELIVERED", "CUSTOMER", "EXCHANGE")
    assert (row.sku_code, row.n_units, row.reason) == (told["merchantSku"], told["numberOfUnits"], "CR-DEFECTIVE")
    assert (row.return_location_id, row.fulfillment_location_id) == (MAPPED, MAPPED)
    assert row.amazon_shipment_id == told["returnMetadata"]["fulfillmentOrderId"]
    assert (row.channel_shipment_id, row.amazon_order_id) == (channel["shipmentId"], channel["customerOrderId"])
    assert (row.rma_id, row.invoice_id) == (
        told["returnMetadata"]["rmaId"],
        told["returnMetadata"]["invoiceInformation"]["id"],
    )
    assert (row.amazon_merchant_id, row.marketplace_name, row.channel_name) == (SELLER, "AMAZON_IN", "FBA")
    assert row.tracking_id == shipping["reverseTrackingInfo"]["trackingId"]
    assert row.outbound_tracking_id == shipping["forwardTrackingInfo"]["trackingId"]
    [earlier] = told["replanningDetails"]["previousTrackingInfo"]
    assert row.earlier_trackings == [[earlier["carrierName"], earlier["trackingId"]]]
    assert (row.delivery_mode, row.otp_valid_until is not None) == ("WITH_OTP", True)
    assert row.picked_up_at
    assert row.delivered_at
    assert row.amazon_created_at <= row.amazon_updated_at


def test_a_second_pull_asks_only_for_what_changed_since(store, sandbox):
    made = returned(sandbox, 20, updated_minutes_ago=120)
    assert run_returns(store).n_created == 20

    quiet = run_returns(store)
    assert (quiet.n_fetched, quiet.n_created, quiet.n_updated) == (0, 0, 0)

    sandbox.control.move_return(made[3], "IN_TRANSIT")
    before = here(store)[made[3]]
    run = run_returns(store)
    assert (run.n_fetched, run.n_updated) == (1, 1)
    after = here(store)[made[3]]
    assert after.amazon_status == "IN_TRANSIT"
    assert after.amazon_updated_at > before.amazon_created_at
    assert after.changed_at > after.imported_at


def test_the_first_pull_looks_back_a_month_for_new_ones_and_for_changes(store, sandbox):
    [young] = returned(sandbox, updated_minutes_ago=A_MONTH - 60)
    [old] = returned(sandbox, updated_minutes_ago=A_MONTH + 60)
    [old_but_changed] = returned(sandbox, updated_minutes_ago=A_MONTH + 60)
    sandbox.control.move_return(old_but_changed, "DELIVERED")
    run = run_returns(store)
    assert here(store).keys() == {young, old_but_changed}
    assert run.window_to - run.window_from == timedelta(days=30)
    assert old not in here(store)


def test_a_location_mapped_later_is_looked_back_on_as_at_first(store, sandbox):
    run_returns(store)
    [return_id] = returned(sandbox, location_id=OTHER, updated_minutes_ago=A_MONTH + 60)
    sandbox.control.move_return(return_id, "IN_TRANSIT")
    run_returns(store)
    assert here(store) == {}, "its creation lies too far back, and nobody knows its location"
    factories.make_mapping(store, factories.make_hub(store.seller.workspace), OTHER)
    run_returns(store)
    assert statuses(store) == {return_id: "IN_TRANSIT"}


def test_a_location_no_hub_has_is_read_once_a_return_names_it(store, sandbox):
    [return_id] = returned(sandbox, location_id=UNMAPPED, updated_minutes_ago=120)
    run_returns(store)
    sandbox.control.move_return(return_id, "IN_TRANSIT")
    assert run_returns(store).n_updated == 1
    assert statuses(store) == {return_id: "IN_TRANSIT"}


def test_a_location_without_a_hub_and_without_a_return_is_forgotten(store, sandbox):
    factories.make_mapping(store, factories.make_hub(store.seller.workspace), OTHER)
    returned(sandbox, location_id=UNMAPPED)
    run_returns(store)
    assert watermarks(store).keys() == {MAPPED, OTHER, UNMAPPED}
    db.session.execute(HubMapping.__table__.delete().where(HubMapping.seller_flex_hub_id == OTHER))
    db.session.commit()
    run_returns(store)
    assert watermarks(store).keys() == {MAPPED, UNMAPPED}


def test_only_the_stores_own_account_is_read(store, sandbox):
    [foreign] = sandbox.control.create_orders(1, status="DELIVERED", lines=1, seller_id="A3SBXNOVAHOMAE")
    sandbox.control.create_returns(foreign)
    run_returns(store)
    assert here(store) == {}


# Changes --------------------------------------------------------------------------------------------------------------


def test_a_change_within_one_tick_of_amazons_clock_is_not_overlooked(store, sandbox):
    [return_id] = returned(sandbox)
    run_returns(store)
    before = here(store)[return_id].amazon_updated_at
    sandbox.control.move_return(return_id, "PICKED_FROM_CUSTOMER", same_time=True)
    run = run_returns(store)
    assert run.n_updated == 1
    row = here(store)[return_id]
    assert (row.amazon_status, row.amazon_updated_at) == ("PICKED_FROM_CUSTOMER", before)
    assert run_returns(store).n_updated == 0


def test_a_return_that_moves_while_the_run_is_under_way_ends_right(store, sandbox, monkeypatch):
    [return_id] = returned(sandbox, updated_minutes_ago=120, status="IN_TRANSIT")
    real = Returns.page
    moves = {"IN_TRANSIT": "OUT_FOR_DELIVERY", "PROCESSED": "CREATED"}

    def page(returns, wanted, *more):
        found = real(returns, wanted, *more)
        if wanted.status in moves:
            sandbox.control.move_return(return_id, moves.pop(wanted.status))
        return found

    monkeypatch.setattr(Returns, "page", page)
    run_returns(store)
    run_returns(store)
    assert moves == {}
    assert statuses(store) == at_amazon(sandbox) == {return_id: "CREATED"}


def test_an_answer_older_than_what_is_here_changes_nothing(store, sandbox):
    [return_id] = returned(sandbox, updated_minutes_ago=60)
    old = sandbox.control.return_item(return_id)["body"]
    sandbox.control.move_return(return_id, "DELIVERED")
    run_returns(store)
    run = factories.make_run(store, RunState.RUNNING, sync=Sync.RETURN_PULL)
    importer = return_import.ReturnImporter(workspace_id=store.workspace_id, store_id=store.id, run_id=run.id)
    counts = importer.write(return_import.read_page([old]))
    db.session.commit()
    assert (counts.n_updated, counts.n_skipped) == (0, 1)
    assert statuses(store) == {return_id: "DELIVERED"}


def test_of_two_entries_of_one_page_the_newer_counts_and_of_equal_ones_the_later(sandbox):
    def entry(status, minute):
        return {"id": "R1", "status": status, "lastUpdatedDateTime": f"2026-11-24T10:{minute:02d}:00Z"}

    [newer] = return_import.read_page([entry("DELIVERED", 5), entry("CREATED", 4)]).items
    [later] = return_import.read_page([entry("CREATED", 5), entry("IN_TRANSIT", 5)]).items
    assert (newer.status, later.status) == ("DELIVERED", "IN_TRANSIT")


@pytest.mark.parametrize("n_rounds", [3, pytest.param(12, marks=pytest.mark.faults)])
def test_rounds_of_chance_lose_and_double_nothing(store, sandbox, monkeypatch, n_rounds):
    """Returns are made and moved between runs and within them, at equal times too; pages are empty or repeated."""
    chance = random.Random(4)
    known = returned(sandbox, 6) + returned(sandbox, 6, location_id=UNMAPPED) + returned(sandbox, 3, location_id="")
    ways = ["CARRIER_NOTIFIED_TO_PICK_UP_FROM_CUSTOMER", "PICKED_FROM_CUSTOMER", "IN_TRANSIT", "REPLANNED", "DELIVERED"]
    real = Returns.page

    def something_happens():
        if chance.random() < 0.3:
            known.extend(returned(sandbox, 1, location_id=chance.choice((MAPPED, UNMAPPED, OTHER))))
        same_time = chance.random() < 0.3
        sandbox.control.move_return(chance.choice(known), chance.choice(ways), same_time=same_time)

    def page(returns, wanted, *more):
        if chance.random() < 0.05:
            something_happens()
        return real(returns, wanted, *more)

    monkeypatch.setattr(Returns, "page", page)
    for _ in range(n_rounds):
        for _ in range(3):
            something_happens()
        if chance.random() < 0.5:
            kind = chance.choice(("empty_page", "repeated_page"))
            sandbox.control.fault(kind, operation="listReturns", count=2, skip=chance.randrange(20))
        run_returns(store)
    monkeypatch.undo()
    sandbox.control.clear_faults()
    run_returns(store)
    assert statuses(store) == at_amazon(sandbox)


# Its order ------------------------------------------------------------------------------------------------------------


def order_of(store, sandbox, return_id, **values):
    """Bring the order of a return in, as the order pull or a person would."""
    shipment_id = sandbox.control.return_item(return_id)["shipment_id"]
    info = sandbox.control.shipment(shipment_id)["body"]["shipmentInfo"]
    facts = {"amazon_shipment_id": shipment_id, "amazon_order_id": info["buyerOrderId"], **values}
    return factories.make_order(store, "Delivered", **facts)


@pytest.mark.parametrize("link", ["all", "shipment", "channel", "order"])
def test_a_return_is_linked_to_its_order_however_amazon_names_it(store, sandbox, link):
    [return_id] = returned(sandbox, link=link)
    order = order_of(store, sandbox, return_id)
    factories.make_order(store, "Delivered")
    run_returns(store)
    assert here(store)[return_id].order_id == order.id


@pytest.mark.parametrize("link", ["all", "channel", "order"])
def test_a_return_that_comes_before_its_order_is_linked_later(store, sandbox, link):
    [return_id] = returned(sandbox, link=link, updated_minutes_ago=120)
    run_returns(store)
    assert here(store)[return_id].order_id is None
    order = order_of(store, sandbox, return_id)
    assert run_returns(store).n_fetched == 0
    assert here(store)[return_id].order_id == order.id


def test_a_return_that_names_no_order_stays_alone(store, sandbox):
    [return_id] = returned(sandbox, link="none")
    order_of(store, sandbox, return_id)
    run_returns(store)
    assert here(store)[return_id].order_id is None


def test_of_several_orders_of_one_buyer_the_sku_decides_and_nothing_is_guessed(store, sandbox):
    [return_id] = returned(sandbox, link="order", updated_minutes_ago=120)
    first = order_of(store, sandbox, return_id, amazon_shipment_id="S-ONE")
    second = order_of(store, sandbox, return_id, amazon_shipment_id="S-TWO")
    run_returns(store)
    row = here(store)[return_id]
    assert row.order_id is None
    second.lines[0].sku_code = row.sku_code
    db.session.commit()
    run_returns(store)
    assert here(store)[return_id].order_id == second.id
    assert first.id != second.id


def test_another_stores_order_of_the_same_ids_is_not_its_order(store, sandbox):
    [return_id] = returned(sandbox)
    order_of(factories.make_store(store.seller), sandbox, return_id)
    run_returns(store)
    assert here(store)[return_id].order_id is None


# What no list brings --------------------------------------------------------------------------------------------------


def test_a_return_without_a_location_is_asked_for_by_its_id_until_it_is_over(store, sandbox):
    [return_id] = returned(sandbox, location_id="", updated_minutes_ago=120)
    run_returns(store)
    assert (here(store)[return_id].return_location_id, here(store)[return_id].is_unlisted) == ("", True)
    sandbox.control.move_return(return_id, "IN_TRANSIT")
    assert run_returns(store).n_updated == 1
    sandbox.control.move_return(return_id, "PROCESSED")
    run_returns(store)
    assert statuses(store) == {return_id: "PROCESSED"}
    sandbox.control.clear_stats()
    run_returns(store)
    assert "getReturn" not in sandbox.control.stats()["calls"]


def test_a_return_in_a_status_amazon_invented_comes_in_and_on(store, sandbox):
    [return_id] = returned(sandbox, updated_minutes_ago=120)
    sandbox.control.fault("odd_return_forms", operation="listReturns", count=1)
    run = run_returns(store)
    assert (run.state, statuses(store)) == (RunState.SUCCEEDED, {return_id: "CREATED"}), "the second list was sound"
    sandbox.control.fault("odd_return_forms", operation="listReturns")
    db.session.execute(update(ReturnLocation).values(watermark=None))
    db.session.commit()
    sandbox.control.move_return(return_id, "IN_TRANSIT")
    run_returns(store)
    assert statuses(store) == {return_id: "WAITING_FOR_DRONE"}
    sandbox.control.clear_faults()
    db.session.execute(update(ReturnLocation).values(watermark=clock.now() + timedelta(hours=1)))
    db.session.commit()
    run_returns(store)
    assert statuses(store) == {return_id: "IN_TRANSIT"}


def test_few_are_asked_for_by_id_in_one_run_and_all_get_their_turn(store, sandbox):
    made = returned(sandbox, 25, location_id="", updated_minutes_ago=120)
    run_returns(store)
    for return_id in made:
        sandbox.control.move_return(return_id, "DELIVERED")
    assert run_returns(store).n_updated == 20
    assert run_returns(store).n_updated == 5
    assert statuses(store) == dict.fromkeys(made, "DELIVERED")


def test_a_return_amazon_no_longer_knows_keeps_what_is_here_and_does_not_stand_in_the_way(store, sandbox):
    returned(sandbox, location_id="", updated_minutes_ago=120)
    run_returns(store)
    db.session.execute(update(AmazonReturn).values(amazon_return_id="SR-GONE"))
    db.session.commit()
    run = run_returns(store)
    assert run.state is RunState.SUCCEEDED
    assert here(store)["SR-GONE"].amazon_status == "CREATED"


# What cannot be read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["odd_return_no_status", "odd_return_not_a_dict", "odd_return_no_id"])
def test_a_broken_entry_is_counted_and_kept_out_and_the_page_comes_in(store, sandbox, kind):
    made = returned(sandbox, 6)
    shipment_id = sandbox.control.return_item(made[0])["shipment_id"]
    sandbox.control.fault(kind, operation="listReturns", shipment_id=shipment_id)  # in every list that has it

    run = run_returns(store)

    assert (run.state, run.n_created, run.n_failed) == (RunState.PARTIAL, 5, 1)
    assert here(store).keys() == set(made[1:])
    [item] = items_of(run)
    assert item.outcome is ItemOutcome.REFUSED
    assert "could not be read" in item.reason
    quarantined = db.session.scalars(select(QuarantinedReturn.amazon_return_id)).all()
    assert quarantined == (made[:1] if kind == "odd_return_no_status" else [])


def test_an_unreadable_return_is_asked_for_again_even_when_no_list_brings_it_back(store, sandbox):
    [return_id] = returned(sandbox, updated_minutes_ago=120)
    sandbox.control.fault("odd_return_no_status", operation="listReturns")
    run_returns(store)
    sandbox.control.clear_faults()
    sandbox.control.fault("odd_return_no_status", operation="getReturn", count=1)
    again = run_returns(store)
    assert (again.state, again.n_failed, here(store)) == (RunState.PARTIAL, 1, {})
    assert db.session.scalars(select(QuarantinedReturn.n_times_seen)).one() >= 2

    run = run_returns(store)

    assert (run.state, run.n_created, run.n_failed) == (RunState.SUCCEEDED, 1, 0)
    assert statuses(store) == {return_id: "CREATED"}
    assert db.session.scalars(select(QuarantinedReturn)).one().resolved_at is not None


def test_an_unreadable_return_that_amazon_no_longer_knows_leaves_the_quarantine(store, sandbox):
    run = run_returns(store)
    row = QuarantinedReturn(
        workspace_id=store.workspace_id,
        store_id=store.id,
        amazon_return_id="SR-GONE",
        run_id=run.id,
        error_sentence="It could not be read.",
    )
    db.session.add(row)
    db.session.commit()
    assert run_returns(store).state is RunState.SUCCEEDED
    kept = db.session.get(QuarantinedReturn, row.id, populate_existing=True)
    assert kept.resolved_at is not None
    assert "does not know" in kept.error_sentence


@pytest.mark.parametrize("bad", ["RET-1", "RET\u200b1"])  # the second is no id that FlexDash sends
def test_a_quarantined_return_that_cannot_be_looked_up_costs_no_other_anything(store, sandbox, monkeypatch, bad):
    monkeypatch.setattr(return_singles, "AT_A_TIME", 1)
    seen_by = factories.make_run(store, sync=Sync.RETURN_PULL, trigger="manual")
    for return_id in (bad, "SR-GONE"):
        with transaction():
            ReturnImporter(workspace_id=store.workspace_id, store_id=store.id, run_id=seen_by.id).write(
                return_import.read_page([{"id": return_id}])
            )
    if bad.isprintable():
        sandbox.control.fault("error_400", operation="getReturn", count=1)

    run = run_returns(store)

    assert run.state is RunState.SUCCEEDED
    assert [kept.item.fate for kept in run_sheets.search(run, [bad])] == [ItemFate.REFUSED]
    run_returns(store)
    waiting = select(QuarantinedReturn.amazon_return_id).where(QuarantinedReturn.resolved_at.is_(None))
    assert db.session.scalars(waiting).all() == [bad], "the other one had its turn next"


def test_one_return_the_database_refuses_never_costs_the_page(store, sandbox, monkeypatch):
    made = returned(sandbox, 5)
    real = return_import.from_amazon

    def from_amazon(item):
        if item.id == made[2]:
            raise ValueError("refused")
        return real(item)

    monkeypatch.setattr(return_import, "from_amazon", from_amazon)
    run = run_returns(store)
    store = db.session.get(Store, run.store_id)
    assert here(store).keys() == set(made) - {made[2]}
    assert run.state is RunState.PARTIAL
    monkeypatch.undo()
    assert run_returns(store).state is RunState.SUCCEEDED
    assert here(store).keys() == set(made)


# Amazon's bad days ----------------------------------------------------------------------------------------------------


def test_a_throttled_run_waits_and_goes_on(store, sandbox):
    made = returned(sandbox, 3)
    sandbox.control.fault("throttle", operation="listReturns", count=2)
    run = run_returns(store)
    assert (run.state, run.n_throttled) == (RunState.SUCCEEDED, 2)
    assert here(store).keys() == set(made)


def test_a_run_throttled_throughout_fails_and_the_next_one_brings_all(store, sandbox):
    made = returned(sandbox, 3)
    sandbox.control.fault("throttle", operation="listReturns", skip=1)
    with pytest.raises(Throttled):
        run_returns(store)
    assert here(store).keys() == set(made), "what was in is kept"
    assert watermarks(store).get(MAPPED) is None
    give_up()
    sandbox.control.clear_faults()
    assert run_returns(store).state is RunState.SUCCEEDED


def test_amazons_published_pace_is_kept(app, sandbox):
    store = make_returning_store(sandbox, partner="A-PACED", mapped=(MAPPED, OTHER))
    sandbox.control.plans({"listReturns": {"rate": 10, "burst": 20}})
    returned(sandbox, 3)
    run = run_returns(store)
    assert run.n_api_calls >= 31
    assert (run.n_throttled, sandbox.control.stats()["n_429"]) == (0, 0)


def test_a_location_that_gets_no_answer_does_not_keep_the_others_waiting(app, sandbox):
    store = make_returning_store(sandbox, mapped=(MAPPED, OTHER))
    [slow] = returned(sandbox, location_id=OTHER, updated_minutes_ago=A_MONTH + 60)
    [quick] = returned(sandbox, updated_minutes_ago=A_MONTH + 60)
    for return_id in (slow, quick):
        sandbox.control.move_return(return_id, "IN_TRANSIT")
    sandbox.control.fault("error_500", operation="listReturns", skip=1, count=5)  # BLR2 comes first

    with pytest.raises(AmazonError):
        run_returns(store)

    assert here(store).keys() == {quick}
    assert (watermarks(store).get(OTHER), watermarks(store)[MAPPED] is not None) == (None, True)
    give_up()
    assert run_returns(store).state is RunState.SUCCEEDED
    assert here(store).keys() == {slow, quick}


@pytest.mark.parametrize("n_odd", [3, 6])
def test_however_many_locations_get_no_answer_the_others_are_read(app, sandbox, monkeypatch, n_odd):
    monkeypatch.setattr(transport, "_FIRST_PAUSE_SECONDS", 0.01)
    store = make_returning_store(sandbox, mapped=(MAPPED, *(f"A-ODD-{n}" for n in range(n_odd))))
    [return_id] = returned(sandbox, updated_minutes_ago=A_MONTH + 60)
    sandbox.control.move_return(return_id, "IN_TRANSIT")
    for n in range(n_odd // 3):  # what is asked between every three of them is answered
        sandbox.control.fault("error_500", operation="listReturns", skip=1 + n, count=3 * transport.MAX_ATTEMPTS)

    with pytest.raises(AmazonError):
        run_returns(store)

    assert statuses(store) == {return_id: "IN_TRANSIT"}


def test_where_amazon_is_away_the_run_ends_and_does_not_ask_for_each_location(app, sandbox, monkeypatch):
    monkeypatch.setattr(transport, "_FIRST_PAUSE_SECONDS", 0.01)
    store = make_returning_store(sandbox, mapped=[f"A-FAR-{n}" for n in range(9)])
    sandbox.control.fault("error_500", operation="listReturns", skip=1)
    sandbox.control.clear_stats()

    with pytest.raises(AmazonError):
        run_returns(store)

    assert sandbox.control.stats()["calls"]["listReturns"] == 1 + (3 + 1) * transport.MAX_ATTEMPTS


def test_a_location_amazon_refuses_is_named_and_left_out(store, sandbox):
    factories.make_mapping(store, factories.make_hub(store.seller.workspace), "BAD\x01ID")
    made = returned(sandbox, 2)
    run = run_returns(store)
    assert here(store).keys() == set(made)
    assert (run.state, run.n_failed) == (RunState.PARTIAL, 1)
    [item] = items_of(run)
    assert (item.outcome, item.seller_flex_hub_id) == (ItemOutcome.REFUSED, "BAD\x01ID")
    assert "Hub Mapping" in item.remedy
    assert "BAD\x01ID" not in {key for key, value in watermarks(store).items() if value}


def test_a_location_amazon_denies_is_left_out_too(store, sandbox):
    sandbox.control.fault("access_denied", operation="listReturns", skip=1, count=2)
    run = run_returns(store)
    assert run.state is RunState.PARTIAL
    assert watermarks(store).get(MAPPED) is None


def test_the_watermarks_move_only_when_all_pages_of_their_question_are_in(store, sandbox):
    returned(sandbox, 3)
    sandbox.control.fault("error_500", operation="listReturns", count=20)
    with pytest.raises(AmazonError):
        run_returns(store)
    state = db.session.scalars(select(SyncState).where(SyncState.sync == Sync.RETURN_PULL)).one()
    assert state.watermark is None
    give_up()
    sandbox.control.clear_faults()
    sandbox.control.fault("error_500", operation="listReturns", skip=8)
    with pytest.raises(AmazonError):
        run_returns(store)
    db.session.refresh(state)
    assert state.watermark is not None
    assert watermarks(store).get(MAPPED) is None


def test_where_our_clock_runs_ahead_amazons_counts(store, sandbox):
    sandbox.control.clock(shift_seconds=-7200)
    run_returns(store)
    assert watermarks(store)[MAPPED] < clock.now() - timedelta(hours=1, minutes=59)


def test_a_refused_authorization_stops_the_store(store, sandbox):
    sandbox.control.revoke_tokens(SELLER)
    with pytest.raises(AuthorizationRefused):
        run_returns(store)
    db.session.refresh(store)
    assert store.status is StoreStatus.NEEDS_REAUTHORIZATION


def test_a_worker_asked_to_stop_hands_the_run_back_and_nothing_is_lost(store, sandbox):
    made = returned(sandbox, 5)
    run = factories.make_run(store, RunState.QUEUED, sync=Sync.RETURN_PULL, trigger="manual")
    context = sync_attempts.begin(run.id, lambda: bool(here(store)))
    with pytest.raises(HandBack):
        return_pull.pull(context)
    assert sync_attempts.hand_back(db.engine, context)
    give_up()
    run_returns(store)
    assert here(store).keys() == set(made)


# When it runs ---------------------------------------------------------------------------------------------------------


def test_connected_stores_with_order_sync_on_have_a_turn_every_hour(store, sandbox):
    off = factories.make_store(store.seller)
    draft = factories.make_store(store.seller, "draft", is_order_sync_on=True)
    with scheduled(Sync.RETURN_PULL):
        dispatch.dispatch()
    runs = db.session.scalars(select(SyncRun)).all()
    assert [(run.store_id, run.sync) for run in runs] == [(store.id, Sync.RETURN_PULL)]
    assert {off.id, draft.id}.isdisjoint({run.store_id for run in runs})
    state = db.session.scalars(select(SyncState).where(SyncState.store_id == store.id)).one()
    assert state.next_due_at - runs[0].slot_at == timedelta(hours=1)

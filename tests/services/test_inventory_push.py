"""The inventory push against a real sandbox: what is sent, what is left out, and what Amazon said."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import Mock

import pytest
from sqlalchemy import delete, event, update

from flexdash import clock
from flexdash.amazon import lwa
from flexdash.amazon.errors import AmazonUnavailable
from flexdash.amazon.inventory import Inventory, InventoryResult, InventoryUpdate
from flexdash.amazon.wire import Reply
from flexdash.extensions import db
from flexdash.jobs import runner, stopping
from flexdash.models import (
    ApiCall,
    Hub,
    HubMapping,
    ItemOutcome,
    LeftOut,
    Listing,
    PublishedStock,
    PushState,
    RunState,
    StockLevel,
    Store,
    SyncState,
)
from flexdash.services.amazon_access import amazon_for
from flexdash.services.inventory import answers, drift, left_behind, left_out, places, sending
from flexdash.services.inventory.plan import StoreFacts
from flexdash.services.inventory.push import push
from tests import factories
from tests.support.databases import is_postgres
from tests.support.pulls import row
from tests.support.stock import (
    at_amazon,
    attempt,
    do_push,
    items_of,
    make_stocked_store,
    new_run,
    published,
    stock_up,
)


@pytest.fixture(autouse=True)
def no_plans(sandbox):
    sandbox.control.plans({"*": None})


@pytest.fixture
def place(app, sandbox):
    """A store with Inventory Sync on and its one mapped hub."""
    return make_stocked_store(sandbox)


@pytest.fixture
def calls(monkeypatch):
    """Remembers what was sent: (SKU, quantity, number) of every line, a list per call."""
    made: list[list[tuple[str, int, int | None]]] = []
    real = Inventory.update

    def remembered(self, items):
        made.append([(item.sku_code, item.quantity, item.sequence_number) for item in items])
        return real(self, items)

    monkeypatch.setattr(Inventory, "update", remembered)
    return made


def sku_codes(calls) -> set[str]:
    return {sku_code for call in calls for sku_code, _, _ in call}


def test_every_listing_goes_with_what_may_be_sold_less_the_buffer(place, sandbox):
    store, hub = place
    store.stock_buffer = 2
    db.session.commit()
    stock_up(store, hub, {"A": 10, "B": 2, "C": 1})
    factories.make_listing(store, "NO-STOCK")
    factories.make_stock(store.seller, hub, "D", on_hand=9, reserved=4)
    factories.make_listing(store, "D")
    run = do_push(store)
    assert (run.state, run.error_sentence) == (RunState.SUCCEEDED, "")
    assert at_amazon(sandbox) == {"A": 8, "B": 0, "C": 0, "D": 3, "NO-STOCK": 0}
    assert (run.n_fetched, run.n_updated, run.n_skipped, run.n_failed) == (5, 5, 0, 0)


def test_skus_and_locations_are_kept_apart(place, sandbox):
    store, hub = place
    other = factories.make_hub(store.seller.workspace)
    factories.make_mapping(store, other, "PNQ1")
    stock_up(store, hub, {"A": 10, "a": 3, "1E5": 4})
    factories.make_stock(store.seller, other, "A", on_hand=7)
    factories.make_stock(factories.make_seller(store.seller.workspace), hub, "1E5", on_hand=90)
    assert do_push(store).state is RunState.SUCCEEDED
    told = {(item["location_id"], item["sku_code"]): item["n_units"] for item in sandbox.control.stock()}
    assert told == {
        ("EXSB", "A"): 10,
        ("EXSB", "a"): 3,
        ("EXSB", "1E5"): 4,
        ("PNQ1", "A"): 7,
        ("PNQ1", "a"): 0,
        ("PNQ1", "1E5"): 0,
    }


def test_an_hourly_push_sends_only_what_changed(place, sandbox, calls):
    store, hub = place
    stock_up(store, hub, {f"S{n}": n for n in range(40)})
    first = do_push(store)
    assert first.is_full
    assert do_push(store).n_skipped == 40
    calls.clear()
    stock_up(store, hub, {"S7": 70, "S8": 0})
    run = do_push(store)
    assert [call[:2] for call in calls[0]] == [("S8", 0), ("S7", 70)]
    assert (len(calls), run.is_full, run.n_updated, run.n_skipped) == (1, False, 2, 38)
    assert at_amazon(sandbox)["S7"] == 70


def test_zeros_go_first_and_then_the_lowest_ten_at_a_time(place, calls, monkeypatch):
    store, hub = place
    monkeypatch.setattr(sending, "IN_FLIGHT", 1)
    stock_up(store, hub, {f"S{n:02d}": n % 5 for n in range(35)})
    do_push(store)
    sent = [quantity for call in calls for _, quantity, _ in call]
    assert [len(call) for call in calls] == [10, 10, 10, 5]
    assert sent == sorted(sent)


def test_zeros_of_the_whole_push_go_before_the_first_unit(place, calls, monkeypatch):
    store, hub = place
    in_small_portions(monkeypatch, 10)
    stock_up(store, hub, {f"S{n:02d}": 9 - n // 10 if n < 60 else 0 for n in range(64)})
    do_push(store)
    quantities = [quantity for call in calls for _, quantity, _ in call]
    assert quantities == sorted(quantities), "the lowest ones are the last of the catalog"
    assert quantities[:5] == [0, 0, 0, 0, 4]


def test_what_amazon_refused_of_skus_and_hubs_that_are_gone_is_nobodys_work_any_more(place, sandbox):
    store, hub = place
    gone = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    mapping = factories.make_mapping(store, gone, "PNQ1")
    stock_up(store, hub, {"NOT-LISTED-1": 5, "NOT-LISTED-2": 5})
    assert do_push(store).state is RunState.FAILED
    assert drift.n_refused(store) == 4
    mapping.is_active = False
    db.session.execute(delete(Listing).where(Listing.sku_code == "NOT-LISTED-2"))
    db.session.commit()
    do_push(store)
    db.session.rollback()
    refused = db.session.scalars(db.select(PublishedStock).where(PublishedStock.state == PushState.REFUSED))
    assert [(row.sku_code, row.seller_flex_hub_id) for row in refused] == [("NOT-LISTED-1", "EXSB")]
    assert drift.n_refused(store) == 1


def test_what_amazon_sells_where_a_mapping_was_taken_away_is_on_the_run(place, sandbox):
    store, hub = place
    gone = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    mapping = factories.make_mapping(store, gone, "PNQ1")
    stock_up(store, hub, {"A": 5, "B": 5})
    stock_up(store, gone, {"A": 7, "B": 0})
    do_push(store)
    assert left_behind.of_store(store.id) == []
    mapping.is_active = False
    db.session.commit()
    run = do_push(store)
    assert "It goes on selling there what it was told last: 1 SKU (7 units)." in items_of(run)[0].reason
    db.session.delete(mapping)
    db.session.commit()
    item = next(item for item in items_of(do_push(store)) if item.seller_flex_hub_id == "PNQ1")
    assert (item.n_items, item.left_out) == (1, LeftOut.LEFT_BEHIND)
    assert item.reason.startswith("No hub has PNQ1 any more")
    at_gone = {line["sku_code"]: line["n_units"] for line in sandbox.control.stock() if line["location_id"] == "PNQ1"}
    assert at_gone == {"A": 7, "B": 0}
    factories.make_mapping(store, gone, "pnq1", is_active=False)
    assert left_behind.of_store(store.id) == [left_behind.Sold("PNQ1", 1, 7)]


def test_what_left_the_catalog_while_amazon_showed_it_is_on_the_run(place):
    store, hub = place
    stock_up(store, hub, {"KEPT": 5, "GONE": 5, "GONE-TOO": 5, "GONE-AT-ZERO": 0})
    do_push(store)
    db.session.execute(delete(Listing).where(Listing.sku_code.like("GONE%")))
    db.session.commit()
    found = {item.reason: (item.n_items, item.remedy) for item in items_of(do_push(store))}
    n_items, remedy = next(
        found[reason] for reason in found if reason.startswith("Taken out of the catalog while Amazon showed stock.")
    )
    assert n_items == 2
    assert "Put them back into the catalog, or close their listings" in remedy


def test_a_full_push_is_due_once_a_day_and_on_demand(place, calls, settings):
    store, hub = place
    stock_up(store, hub, {"A": 1, "B": 2})
    do_push(store)
    calls.clear()
    assert not do_push(store).is_full
    assert calls == []
    asked_for = do_push(store, is_full=True)
    assert asked_for.is_full
    assert sku_codes(calls) == {"A", "B"}
    long_ago = clock.now() - timedelta(hours=settings.inventory_full_push_hours + 1)
    db.session.execute(update(SyncState).where(SyncState.store_id == store.id).values(last_full_at=long_ago))
    db.session.commit()
    calls.clear()
    assert do_push(store).is_full
    assert sku_codes(calls) == {"A", "B"}


def test_three_of_ten_refused_leave_seven_stored_and_are_sent_again_with_the_next_run(place, sandbox, calls):
    store, hub = place
    stock_up(store, hub, {f"S{n}": 5 for n in range(7)} | {f"NOT-LISTED-{n}": 4 for n in range(3)})
    run = do_push(store)
    assert (run.state, run.n_updated, run.n_failed) == (RunState.PARTIAL, 7, 3)
    assert at_amazon(sandbox) == {f"S{n}": 5 for n in range(7)}
    told = published(store)
    for n in range(3):
        line = told[f"NOT-LISTED-{n}"]
        assert (line.state, line.quantity, line.sent_quantity) == (PushState.REFUSED, None, 4)
        assert line.error_code == "INVALID_SKU"
        assert "INVALID_SKU" in line.error_message
    assert {told[f"S{n}"].state for n in range(7)} == {PushState.ACCEPTED}
    refused = [item for item in items_of(run) if item.outcome is ItemOutcome.REFUSED]
    assert {item.sku_code for item in refused} == {f"NOT-LISTED-{n}" for n in range(3)}
    assert {item.seller_flex_hub_id for item in refused} == {"EXSB"}
    assert all("INVALID_SKU" in item.reason and "Seller Central" in item.remedy for item in refused)
    calls.clear()
    again = do_push(store)
    assert sku_codes(calls) == {f"NOT-LISTED-{n}" for n in range(3)}
    assert (again.n_failed, again.n_skipped) == (3, 7)


def test_answers_in_another_order_reach_their_own_skus(place, sandbox):
    store, hub = place
    sandbox.control.fault("shuffled_batch")
    stock_up(store, hub, {"A": 1, "B": 2, "NOT-LISTED-1": 3, "C": 4})
    do_push(store)
    assert {code: line.quantity for code, line in published(store).items()} == {
        "A": 1,
        "B": 2,
        "C": 4,
        "NOT-LISTED-1": None,
    }


def test_a_line_that_is_taken_and_needs_mending_is_accepted_with_the_error_shown(place, sandbox, calls):
    store, hub = place
    stock_up(store, hub, {"NO-WEIGHT-1": 3})
    run = do_push(store)
    assert run.state is RunState.SUCCEEDED
    line = published(store)["NO-WEIGHT-1"]
    assert (line.state, line.quantity, line.amazon_sellable) == (PushState.ACCEPTED, 3, 3)
    assert line.error_code == "PRODUCT_ATTRIBUTE_VALIDATION_FAILURE/MISSING_WEIGHT"
    calls.clear()
    do_push(store)
    assert calls == [], "it is accepted, so it is not sent again"


def test_what_amazon_says_of_reserved_units_is_kept(place, sandbox):
    store, hub = place
    sandbox.control.create_orders(2, lines=1, units=3, sku_codes=["A"], location_id="EXSB")
    stock_up(store, hub, {"A": 9, "B": 9})
    do_push(store)
    told = published(store)
    assert (told["A"].amazon_sellable, told["A"].amazon_reserved) == (9, 6)
    assert (told["B"].amazon_sellable, told["B"].amazon_reserved) == (9, 0)


@pytest.mark.skipif(not is_postgres(), reason="SQLite looks each SKU up in an index whatever it has to guess")
def test_the_listings_are_read_once_for_what_is_left_out_and_not_for_each_sku(place):
    """A look for each SKU took minutes for a store that was just filled, and hours for a catalog beyond some size."""
    store, _ = place
    asked = []

    def note(_connection, _cursor, statement, parameters, *_rest):
        if "stock" in statement and "listings" in statement:
            asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        left_out.left_out(StoreFacts.of(store), places.active_locations(store.id))
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(asked) == 2
    for statement, parameters in asked:
        plan = db.session.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
        assert any("SetOp Except" in line for line in plan), plan


def test_what_is_left_out_is_on_the_run_with_the_reason(place):
    store, hub = place
    workspace = store.seller.workspace
    stock_up(store, hub, {"A": 1, "B": 2})
    factories.make_stock(store.seller, hub, "UNLISTED-1")
    factories.make_stock(store.seller, hub, "UNLISTED-2")
    unmapped = factories.make_hub(workspace, name="Delhi")
    factories.make_stock(store.seller, unmapped, "A")
    factories.make_hub(workspace, name="Empty")
    factories.make_mapping(store, factories.make_hub(workspace, name="Off"), "OFFF", is_active=False)
    factories.make_mapping(store, factories.make_hub(workspace, name="Closed", is_active=False), "CLSD")
    run = do_push(store)
    found = {(item.seller_flex_hub_id, item.n_items): item.reason for item in items_of(run)}
    assert {item.outcome for item in items_of(run)} == {ItemOutcome.SKIPPED}
    assert "Delhi has stock and no Seller Flex Hub ID" in found["", 1]
    assert "Off is switched off" in found["OFFF", 2]
    assert "Closed is an inactive hub" in found["CLSD", 2]
    assert found["EXSB", 2].startswith("Not on Amazon: no listing.")
    assert len(found) == 4
    assert run.n_updated == 2


def test_a_store_without_a_catalog_or_a_hub_ends_well_with_nothing_sent(app, sandbox):
    store, hub = make_stocked_store(sandbox)
    assert do_push(store).state is RunState.SUCCEEDED
    stock_up(store, hub, {"A": 1})
    db.session.execute(update(HubMapping).values(is_active=False))
    db.session.commit()
    run = do_push(store)
    assert (run.state, run.n_fetched, run.n_updated) == (RunState.SUCCEEDED, 0, 0)
    assert at_amazon(sandbox) == {}


def test_a_person_can_ask_for_a_line_whatever_the_numbers_say(place, calls):
    store, hub = place
    stock_up(store, hub, {"A": 1, "B": 2})
    do_push(store)
    published(store)["A"].must_push = True
    db.session.commit()
    calls.clear()
    do_push(store)
    assert sku_codes(calls) == {"A"}
    assert not published(store)["A"].must_push


def test_calls_are_kept_and_counted(place):
    store, hub = place
    stock_up(store, hub, {f"S{n}": 1 for n in range(25)})
    run = do_push(store)
    kept = db.session.scalars(db.select(ApiCall).where(ApiCall.run_id == run.id)).all()
    assert [call.operation for call in kept].count("batchInventory") == 3
    assert run.n_api_calls == len(kept)


def test_under_amazons_plan_nothing_is_throttled_and_every_number_is_equal(place, sandbox):
    store, hub = place
    wanted = {f"S{n:04d}": n % 30 for n in range(1_500)}
    stock_up(store, hub, wanted)
    sandbox.control.plans({"batchInventory": {"rate": 50, "burst": 100}})
    sandbox.control.options(latency_ms=100)
    sandbox.control.clear_stats()
    run = do_push(store)
    stats = sandbox.control.stats()
    assert (run.state, run.n_updated, run.n_throttled) == (RunState.SUCCEEDED, 1_500, 0)
    assert stats["statuses"]["batchInventory"] == {"207": 150}
    assert stats["max_concurrent_per_operation"]["batchInventory"] > 2, "several are in flight"
    assert at_amazon(sandbox) == wanted


# Sequence numbers ---------------------------------------------------------------------------------------------------


def test_numbers_grow_from_push_to_push_even_when_the_clock_goes_back(place, calls):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    do_push(store)
    far_ahead = published(store)["A"].sequence_number + 10**9
    published(store)["A"].sequence_number = far_ahead
    db.session.commit()
    stock_up(store, hub, {"A": 2})
    do_push(store)
    assert calls[-1] == [("A", 2, far_ahead + 1)]
    assert published(store)["A"].sequence_number == far_ahead + 1


def test_a_line_refused_for_its_number_adopts_amazons_and_goes_again_once(place, sandbox, calls):
    store, hub = place
    stock_up(store, hub, {"A": 5, "B": 6})
    do_push(store)
    ahead = clock.now().timestamp() * 1000 + 10**10
    with_client(store, lambda client: client.inventory.update([update_of("A", 99, int(ahead))]))
    stock_up(store, hub, {"A": 7, "B": 8})
    calls.clear()
    run = do_push(store)
    assert run.state is RunState.SUCCEEDED
    assert at_amazon(sandbox) == {"A": 7, "B": 8}
    assert [sorted(sku for sku, _, _ in call) for call in calls] == [["A", "B"], ["A"]]
    assert published(store)["A"].sequence_number == int(ahead) + 1
    calls.clear()
    stock_up(store, hub, {"A": 3})
    do_push(store)
    assert calls == [[("A", 3, int(ahead) + 2)]]


def test_the_echo_reading_sends_the_number_last_answered(place, sandbox, calls, monkeypatch, app):
    store, hub = place
    use_sequence(app, monkeypatch, "echo")
    sandbox.control.options(inventory_sequence="echo")
    stock_up(store, hub, {"A": 5})
    do_push(store)
    answered = published(store)["A"].sequence_number
    stock_up(store, hub, {"A": 6})
    assert do_push(store).state is RunState.SUCCEEDED
    assert calls[-1] == [("A", 6, answered)]
    with_client(store, lambda client: client.inventory.update([update_of("A", 99, answered + 1)]))
    stock_up(store, hub, {"A": 7})
    run = do_push(store)
    assert (run.state, at_amazon(sandbox)) == (RunState.SUCCEEDED, {"A": 7})


def test_numbers_can_be_left_out(place, sandbox, calls, monkeypatch, app):
    store, hub = place
    use_sequence(app, monkeypatch, "omit")
    stock_up(store, hub, {"A": 5})
    do_push(store)
    stock_up(store, hub, {"A": 6})
    do_push(store)
    assert [call[0] for call in calls] == [("A", 5, None), ("A", 6, None)]
    assert at_amazon(sandbox) == {"A": 6}


# Failures -----------------------------------------------------------------------------------------------------------


def test_a_batch_that_gets_no_answer_is_sent_again_within_the_run(place, sandbox):
    store, hub = place
    stock_up(store, hub, {f"S{n}": n for n in range(60)})
    sandbox.control.fault("drop_after_effect", operation="batchInventory", count=2)
    run = do_push(store)
    assert (run.state, run.n_updated, run.n_failed) == (RunState.SUCCEEDED, 60, 0)
    assert at_amazon(sandbox) == {f"S{n}": n for n in range(60)}


def test_lines_that_never_get_an_answer_count_as_failed_and_go_with_the_next_run(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n}": n for n in range(30)})
    real = Inventory.update

    def deaf(self, items):
        if any(item.sku_code == "S7" for item in items):
            raise AmazonUnavailable("no answer in time", is_outcome_unknown=True)
        return real(self, items)

    monkeypatch.setattr(Inventory, "update", deaf)
    run = do_push(store)
    assert run.state is RunState.PARTIAL
    line = published(store)["S7"]
    assert (line.state, line.quantity) == (PushState.UNKNOWN, None)
    assert "Amazon did not answer" in line.error_message
    assert run.n_updated + run.n_failed == 30
    monkeypatch.undo()
    assert do_push(store).state is RunState.SUCCEEDED
    assert at_amazon(sandbox)["S7"] == 7


def test_a_token_that_amazon_does_not_give_refuses_no_quantity(place, monkeypatch):
    store, hub = place
    stock_up(store, hub, {"A": 1, "B": 2})
    refused = lwa._error("refreshToken", Reply(status=400, body=b'{"error": "invalid_scope"}'))
    monkeypatch.setattr(Inventory, "update", Mock(side_effect=refused))
    run = attempt(new_run(store))
    assert (run.state, run.error_code) == (RunState.FAILED, "token_refused")
    assert PushState.REFUSED not in {line.state for line in published(store).values()}


def test_a_line_that_amazon_fails_at_is_not_said_to_be_refused():
    failed = InventoryResult("EXSB", "A", True, False, 500, "Internal Server Error", None, None, None, ())
    assert answers.state_of(failed) is PushState.UNKNOWN
    assert answers.words_of(failed).message == (
        "Amazon had a fault of its own (500 Internal Server Error), so what became of it is not known."
    )


def test_one_line_that_spoils_its_batch_does_not_take_the_others_with_it(place, sandbox):
    store, hub = place
    stock_up(store, hub, {"A": 1, "B": 2, "C\u00a0D": 3})
    run = do_push(store)
    assert (run.state, run.n_updated, run.n_failed) == (RunState.PARTIAL, 2, 1)
    assert at_amazon(sandbox) == {"A": 1, "B": 2}
    assert "invisible characters" in published(store)["C\u00a0D"].error_message


def test_amazon_away_fails_the_attempt_and_the_next_goes_on(place, sandbox):
    store, hub = place
    stock_up(store, hub, {f"S{n}": n for n in range(20)})
    sandbox.control.fault("error_500", operation="batchInventory")
    run_id = new_run(store)
    run = attempt(run_id)
    assert (run.state, run.error_code) == (RunState.QUEUED, "amazon_unavailable")
    sandbox.control.clear_faults()
    run.retry_at = None
    db.session.commit()
    run = attempt(run_id)
    assert (run.state, run.n_updated, run.n_fetched) == (RunState.SUCCEEDED, 20, 20)


def test_a_second_attempt_sends_only_what_is_not_answered_even_in_a_full_push(place, calls, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n:02d}": 1 for n in range(30)})
    do_push(store)
    run_id = new_run(store, is_full=True)
    real, seen = sending.Sending._sort, []

    def stop_after_one(self, answered):
        real(self, answered)
        seen.append(answered)
        if len(seen) == 1:
            self._end(KeyError("a defect"))

    monkeypatch.setattr(sending, "IN_FLIGHT", 1)
    monkeypatch.setattr(sending.Sending, "_sort", stop_after_one)
    assert attempt(run_id).state is RunState.FAILED
    n_first = sum(len(answered.answers) for answered in seen)
    monkeypatch.setattr(sending.Sending, "_sort", real)
    calls.clear()
    again = row(run_id)
    again.state, again.finished_at = RunState.QUEUED, None
    db.session.commit()
    run = attempt(run_id)
    assert run.state is RunState.SUCCEEDED
    assert len(sku_codes(calls)) == 30 - n_first
    assert run.n_updated == 30


def test_what_amazon_refused_is_not_asked_again_by_another_attempt_of_the_run(place, calls):
    store, hub = place
    stock_up(store, hub, {"A": 1, "NOT-LISTED-1": 2})
    run_id = new_run(store)
    attempt(run_id)
    again = row(run_id)
    again.state, again.finished_at = RunState.QUEUED, None
    db.session.commit()
    calls.clear()
    run = attempt(run_id)
    assert calls == []
    assert run.n_failed == 1
    assert [item.sku_code for item in items_of(run)] == ["NOT-LISTED-1"]


def in_small_portions(monkeypatch, size=20):
    """Let the push number `size` lines at a time, and the next ones only when these are answered."""
    monkeypatch.setattr(sending, "PORTION", size)
    monkeypatch.setattr(sending, "IN_FLIGHT", 1)
    monkeypatch.setattr(sending, "IN_LINE", 0)


def after_the_first_answers(monkeypatch, change):
    """Commit `change`, a statement, when the push has written its first answers."""
    real, seen = sending.Sending._write, []

    def changed_after_one(self):
        real(self)
        if not seen:
            seen.append(1)
            db.session.execute(change)
            db.session.commit()

    monkeypatch.setattr(sending.Sending, "_write", changed_after_one)


def test_turning_the_toggle_off_ends_a_push_under_way_in_words(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n:03d}": 1 for n in range(100)})
    in_small_portions(monkeypatch)
    after_the_first_answers(monkeypatch, update(Store).values(is_inventory_sync_on=False))
    run = do_push(store)
    assert run.state is RunState.SKIPPED
    assert "Inventory Sync was turned off for Pune Store while this run was at work" in run.error_sentence
    assert 0 < len(at_amazon(sandbox)) < 100
    states = {line.state for line in published(store).values()}
    assert PushState.SENDING not in states, "what was answered is written before the run ends"


@pytest.mark.parametrize(
    "change",
    [
        update(HubMapping).where(HubMapping.seller_flex_hub_id == "EXSB").values(is_active=False),
        update(HubMapping).where(HubMapping.seller_flex_hub_id == "EXSB").values(seller_flex_hub_id="XSBE"),
        update(Hub).where(Hub.name == "Pune Warehouse").values(is_active=False),
    ],
    ids=["mapping off", "another id", "hub off"],
)
def test_a_location_that_goes_while_the_push_is_under_way_is_told_no_more(place, sandbox, monkeypatch, change):
    store, hub = place
    other = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_mapping(store, other, "PNQ1")
    stock_up(store, other, {f"S{n:03d}": 20 + n for n in range(50)})
    stock_up(store, hub, {f"S{n:03d}": 1 + n for n in range(50)})
    in_small_portions(monkeypatch)
    after_the_first_answers(monkeypatch, change)
    run = do_push(store)
    n_told = len(at_amazon(sandbox))
    assert 0 < n_told < 50
    assert (run.state, run.n_updated) == (RunState.SUCCEEDED, n_told + 50), "the other hub goes on"
    (item,) = items_of(run)
    assert (item.outcome, item.n_items, item.seller_flex_hub_id) == (ItemOutcome.SKIPPED, 50 - n_told, "EXSB")
    assert "Pune Warehouse was taken out of this store's active hubs" in item.reason
    assert "so the rest was not sent" in item.reason


def test_being_asked_to_stop_hands_the_run_back_with_what_was_answered(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n:03d}": 1 for n in range(100)})
    monkeypatch.setattr(sending, "IN_FLIGHT", 1)
    run_id = new_run(store)
    real, seen = sending.Sending._sort, []

    def stop_soon(self, answered):
        real(self, answered)
        seen.append(1)
        if len(seen) == 3:
            stopping.ask()

    monkeypatch.setattr(sending.Sending, "_sort", stop_soon)
    try:
        run = attempt(run_id)
    finally:
        stopping.forget()
    assert run.state is RunState.QUEUED
    accepted = [line for line in published(store).values() if line.state is PushState.ACCEPTED]
    assert len(accepted) == len(at_amazon(sandbox)) == run.n_updated > 0
    run = attempt(run_id)
    assert (run.state, run.n_updated) == (RunState.SUCCEEDED, 100)


def test_hub_and_mapping_of_another_store_are_not_touched(place, sandbox):
    store, hub = place
    other, _ = make_stocked_store(sandbox, partner="A0OTHER")
    stock_up(store, hub, {"A": 1})
    do_push(store)
    assert published(other) == {}
    assert db.session.get(Hub, hub.id) is not None
    assert db.session.scalar(db.select(db.func.count(StockLevel.id))) == 1


def test_a_push_of_a_run_that_another_worker_took_writes_nothing(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    run_id = new_run(store)
    real = sending.Sending._write

    def taken(self):
        db.session.execute(update(type(row(run_id))).values(attempt_token="another"))
        db.session.commit()
        real(self)

    monkeypatch.setattr(sending.Sending, "_write", taken)
    runner.execute(run_id, push)
    assert published(store)["A"].state is PushState.SENDING


def use_sequence(app, monkeypatch, mode):
    monkeypatch.setitem(app.config, "SETTINGS", replace(app.config["SETTINGS"], amazon_inventory_sequence=mode))


def with_client(store, act):
    with amazon_for(db.session.get(Store, store.id)) as client:
        return act(client)


def update_of(sku_code, quantity, number):
    return InventoryUpdate("EXSB", sku_code, "A21TJRUUN4KGV", quantity=quantity, sequence_number=number)

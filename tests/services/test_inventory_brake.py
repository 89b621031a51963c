"""The brake: a push that would zero too much waits for a person, and says so."""

import pytest
from sqlalchemy import update

from flexdash.extensions import db
from flexdash.models import (
    BrakeState,
    ConfigEvent,
    ItemOutcome,
    Role,
    RunState,
    StockLevel,
    Store,
    SyncAttempt,
    ZeroBrake,
)
from flexdash.services import store_settings
from flexdash.services.errors import ChangedMeanwhile, NotAllowed, NotVisible, ServiceError
from flexdash.services.inventory import brake, sending
from flexdash.services.store_settings import NotPreviewed, Toggle
from tests import factories
from tests.support.pulls import row
from tests.support.stock import at_amazon, attempt, do_fetch, do_push, items_of, make_stocked_store, new_run, stock_up


@pytest.fixture(autouse=True)
def no_plans(sandbox):
    sandbox.control.plans({"*": None})


@pytest.fixture
def place(app, sandbox):
    """A store whose 20 SKUs Amazon shows with stock."""
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {f"S{n:02d}": 9 for n in range(20)})
    do_push(store)
    return store, hub


@pytest.fixture
def asha(place):
    return factories.make_actor(factories.make_user(place[0].seller.workspace, name="Asha"))


def zero(place, n, others=None):
    """Let the first `n` SKUs run out, and change the last one so that there is something else to send."""
    store, hub = place
    stock_up(store, hub, {f"S{i:02d}": 0 if i < n else 9 for i in range(20)} | (others or {}))


def brakes(store):
    db.session.rollback()
    query = db.select(ZeroBrake).where(ZeroBrake.store_id == store.id).order_by(ZeroBrake.id)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def sentences(store):
    db.session.rollback()
    query = db.select(ConfigEvent.sentence).where(ConfigEvent.store_id == store.id).order_by(ConfigEvent.sequence)
    return list(db.session.scalars(query))


def test_a_push_that_would_zero_too_much_sends_nothing_and_waits(place, sandbox):
    store, _ = place
    zero(place, 7, {"S19": 4})
    run = do_push(store)
    assert run.state is RunState.SKIPPED
    assert "would set 7 of the 20 quantities that Amazon shows with stock to zero" in run.error_sentence
    assert "more than the 30 % that Pune Store lets go" in run.error_sentence
    assert set(at_amazon(sandbox).values()) == {9}, "nothing was sent, not even what is no zero"
    (waiting,) = brakes(store)
    assert (waiting.state, waiting.n_to_zero, waiting.n_published) == (BrakeState.WAITING, 7, 20)
    assert sentences(store) == [
        "FlexDash held back a push of Pune Store: it would set 7 of 20 quantities to zero on Amazon"
    ]
    assert [a.outcome for a in db.session.scalars(db.select(SyncAttempt).where(SyncAttempt.run_id == run.id))] == [
        "skipped"
    ]


@pytest.mark.parametrize(("n", "percent"), [(6, 30), (4, 0), (20, 100)])
def test_a_share_the_store_allows_goes_through(place, sandbox, n, percent):
    store, _ = place
    store.zero_brake_percent = percent
    db.session.commit()
    zero(place, n)
    assert do_push(store).state is RunState.SUCCEEDED
    assert sorted(at_amazon(sandbox).values()) == [0] * n + [9] * (20 - n)
    assert brakes(store) == []


def test_what_amazon_was_only_seen_to_have_counts_too(app, sandbox):
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {f"S{n}": 9 for n in range(10)})
    do_push(store)
    other, other_hub = make_stocked_store(sandbox, partner="A0OTHER")  # the same Amazon account, told nothing yet
    stock_up(other, other_hub, {f"S{n}": 0 for n in range(10)})
    do_fetch(other)
    assert do_push(other).state is RunState.SKIPPED
    assert brakes(other)[0].n_to_zero == 10


@pytest.fixture
def new_hub(place):
    """A second hub, mapped while Inventory Sync is on; its stock is not here yet."""
    store, _ = place
    hub = factories.make_hub(store.seller.workspace, name="Delhi Warehouse")
    factories.make_mapping(store, hub, "PNQ1")
    return hub


def shown_at(sandbox, location_id):
    return {one["sku_code"]: one["n_units"] for one in sandbox.control.stock() if one["location_id"] == location_id}


def test_a_hub_mapped_before_its_stock_is_here_takes_nothing_off_sale(place, new_hub, sandbox):
    store, _ = place
    stock_up(store, new_hub, {f"S{n:02d}": 7 for n in range(20)})
    do_push(store)
    other, other_hub = make_stocked_store(sandbox, partner="A0OTHER")  # the same Amazon account, with a new FlexDash
    stock_up(other, other_hub, {f"S{n:02d}": 9 for n in range(20)})
    do_push(other)
    factories.make_mapping(other, factories.make_hub(other.seller.workspace, name="Delhi"), "PNQ1")
    run = do_push(other)
    assert run.state is RunState.SKIPPED
    assert (
        "would send 0 for 20 of the 20 SKUs at Delhi, more than the 30 % that Pune Store lets go" in run.error_sentence
    )
    assert "Amazon was never told of them there, nor asked what it shows" in run.error_sentence
    assert "Fetch Amazon's numbers first" in run.error_sentence
    assert set(shown_at(sandbox, "PNQ1").values()) == {7}
    (waiting,) = brakes(other)
    assert (waiting.n_to_zero, waiting.n_unknown, waiting.n_published) == (20, 20, 40)
    do_fetch(other)
    run = do_push(other)
    assert "would set 20 of the 40 quantities that Amazon shows with stock to zero" in run.error_sentence
    (waiting,) = brakes(other)
    assert (waiting.n_to_zero, waiting.n_unknown) == (20, 0), "Amazon was asked: now it is known"
    assert set(shown_at(sandbox, "PNQ1").values()) == {7}


def test_zeros_that_amazon_turns_out_to_show_anyway_go_without_asking(place, new_hub, sandbox):
    store, _ = place
    assert do_push(store).state is RunState.SKIPPED
    do_fetch(store)  # Amazon has nothing there
    assert do_push(store).state is RunState.SUCCEEDED
    assert brakes(store)[0].state is BrakeState.OVER


def test_unknown_zeros_are_approved_once(place, asha, new_hub, sandbox):
    store, _ = place
    do_push(store)
    brake.approve(asha, brakes(store)[0].id, n_to_zero=20)
    assert do_push(store).state is RunState.SUCCEEDED
    assert brakes(store)[0].state is BrakeState.USED
    assert do_push(store, is_full=True).state is RunState.SUCCEEDED


def test_an_approved_zero_that_amazon_refuses_is_not_asked_about_every_hour(place, asha, new_hub, sandbox):
    store, hub = place
    stock_up(store, hub, {f"NOT-LISTED-{n}": 0 for n in range(20)})
    do_push(store)
    brake.approve(asha, brakes(store)[0].id, n_to_zero=brakes(store)[0].n_to_zero)
    assert do_push(store).state is RunState.PARTIAL
    assert do_push(store).state is not RunState.SKIPPED


def test_a_few_new_skus_without_stock_are_everyday_business(place, sandbox):
    store, hub = place
    zero(place, 4)
    do_push(store)
    stock_up(store, hub, {f"NEW{n}": 0 for n in range(8)})
    run = do_push(store)
    assert (run.state, run.n_updated) == (RunState.SUCCEEDED, 8), "8 of 28 are less than 30 %"
    stock_up(store, hub, {f"MORE{n:02d}": 0 for n in range(16)})
    assert do_push(store).state is RunState.SKIPPED, "16 of 44 are more"


def test_the_first_push_of_nothing_but_zeros_waits(app, sandbox):
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {f"S{n}": 0 for n in range(4)})
    assert do_push(store).state is RunState.SUCCEEDED, "so few never ask"
    store, hub = make_stocked_store(sandbox)
    stock_up(store, hub, {f"S{n}": 0 for n in range(5)})
    assert do_push(store).state is RunState.SKIPPED


def test_every_further_run_waits_with_the_same_brake_and_its_present_numbers(place):
    store, _ = place
    zero(place, 7)
    do_push(store)
    zero(place, 9)
    run = do_push(store)
    (waiting,) = brakes(store)
    assert (waiting.n_to_zero, waiting.run_id) == (9, run.id)
    assert len(sentences(store)) == 1


def test_an_approval_lets_one_push_through_and_is_used_up(place, asha, sandbox):
    store, _ = place
    zero(place, 7)
    do_push(store)
    (waiting,) = brakes(store)
    brake.approve(asha, waiting.id, n_to_zero=7, reason="Season is over")
    run = do_push(store)
    assert (run.state, sorted(at_amazon(sandbox).values())) == (RunState.SUCCEEDED, [0] * 7 + [9] * 13)
    (used,) = brakes(store)
    assert (used.state, used.run_id, used.decided_by_name) == (BrakeState.USED, run.id, "Asha")
    assert sentences(store)[1:] == [
        "Asha approved setting 7 of 20 quantities to zero on Amazon for Pune Store",
        f"FlexDash let the push of Pune Store through that Asha had approved, with run {run.id}",
    ]
    zero(place, 13)
    assert do_push(store).state is RunState.SKIPPED, "the next one waits again"


def test_an_approval_is_for_so_many_and_no_more(place, asha, sandbox):
    store, _ = place
    zero(place, 7)
    do_push(store)
    brake.approve(asha, brakes(store)[0].id, n_to_zero=7)
    zero(place, 12)
    run = do_push(store)
    assert run.state is RunState.SKIPPED
    assert set(at_amazon(sandbox).values()) == {9}
    over, waiting = brakes(store)
    assert (over.state, waiting.state, waiting.n_to_zero) == (BrakeState.OVER, BrakeState.WAITING, 12)


def test_approving_a_list_that_changed_meanwhile_is_refused(place, asha):
    store, _ = place
    zero(place, 7)
    do_push(store)
    zero(place, 9)
    do_push(store)
    with pytest.raises(ChangedMeanwhile, match="9 quantities would go to zero now, and not 7"):
        brake.approve(asha, brakes(store)[0].id, n_to_zero=7)
    assert brakes(store)[0].state is BrakeState.WAITING


def test_a_declined_push_keeps_waiting_without_asking_every_hour(place, asha, sandbox):
    store, _ = place
    zero(place, 7)
    do_push(store)
    brake.decline(asha, brakes(store)[0].id, n_to_zero=7)
    for _ in range(2):
        run = do_push(store)
        assert run.state is RunState.SKIPPED
        assert "Asha declined it, so pushes wait" in run.error_sentence
    assert [one.state for one in brakes(store)] == [BrakeState.DECLINED]
    assert brake.holding(store).id == brakes(store)[0].id
    zero(place, 8)
    do_push(store)
    assert [one.state for one in brakes(store)] == [BrakeState.DECLINED, BrakeState.WAITING], "more than was declined"
    zero(place, 0, {"S19": 5})
    assert do_push(store).state is RunState.SUCCEEDED
    assert [one.state for one in brakes(store)] == [BrakeState.DECLINED, BrakeState.OVER]
    assert brake.holding(store) is None


def test_a_declined_push_can_be_approved_after_all_while_it_stands(place, asha):
    store, _ = place
    zero(place, 7)
    do_push(store)
    (declined,) = brakes(store)
    brake.decline(asha, declined.id, n_to_zero=7)
    brake.approve(asha, declined.id, n_to_zero=7)
    assert do_push(store).state is RunState.SUCCEEDED
    assert brakes(store)[0].state is BrakeState.USED


def test_a_stale_refusal_does_not_hold_anything_back(place, asha):
    store, _ = place
    zero(place, 7)
    do_push(store)
    brake.decline(asha, brakes(store)[0].id, n_to_zero=7)
    zero(place, 0)
    do_push(store)
    zero(place, 7)
    do_push(store)
    assert [one.state for one in brakes(store)] == [BrakeState.DECLINED, BrakeState.WAITING]


def test_a_brake_nobody_needs_any_more_closes_by_itself(place):
    store, _ = place
    zero(place, 7)
    do_push(store)
    zero(place, 3)
    assert do_push(store).state is RunState.SUCCEEDED
    assert brakes(store)[0].state is BrakeState.OVER
    assert "closed the held-back push of Pune Store" in sentences(store)[-1]


def test_a_push_that_dies_after_its_approval_was_used_still_goes_through(place, asha, monkeypatch):
    store, _ = place
    zero(place, 7)
    do_push(store)
    brake.approve(asha, brakes(store)[0].id, n_to_zero=7)
    run_id = new_run(store)

    def die(self):
        raise KeyError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(sending.Sending, "send", die)
        attempt(run_id)
    again = row(run_id)
    again.state, again.finished_at = RunState.QUEUED, None
    db.session.commit()
    assert attempt(run_id).state is RunState.SUCCEEDED


def test_mass_zeros_that_come_while_the_push_is_under_way_are_left_out(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n:02d}": 20 + n for n in range(20)})
    real, seen = sending.Sending._commit, []

    def wiped_meanwhile(self, portion, *args, **kwargs):
        if not seen:
            seen.append(1)
            db.session.rollback()
            db.session.execute(update(StockLevel).where(StockLevel.sku_code >= "S10").values(on_hand=0))
            db.session.commit()
        return real(self, portion, *args, **kwargs)

    monkeypatch.setattr(sending.Sending, "_commit", wiped_meanwhile)
    run = do_push(store)
    told = at_amazon(sandbox)
    assert [told[f"S{n:02d}"] for n in range(20)] == [20 + n for n in range(10)] + [9] * 10
    (item,) = items_of(run)
    assert (item.outcome, item.n_items) == (ItemOutcome.SKIPPED, 10)
    assert "went to zero while the push was under way" in item.reason
    monkeypatch.undo()
    assert do_push(store).state is RunState.SKIPPED
    assert brakes(store)[0].n_to_zero == 10


def test_a_few_that_sell_out_while_the_push_is_under_way_go_along(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n:02d}": 20 + n for n in range(20)})
    real = sending.Sending._commit

    def sold_meanwhile(self, portion, *args, **kwargs):
        db.session.rollback()
        db.session.execute(update(StockLevel).where(StockLevel.sku_code >= "S17").values(on_hand=0))
        db.session.commit()
        return real(self, portion, *args, **kwargs)

    monkeypatch.setattr(sending.Sending, "_commit", sold_meanwhile)
    assert do_push(store).state is RunState.SUCCEEDED
    assert [at_amazon(sandbox)[f"S{n}"] for n in (17, 18, 19)] == [0, 0, 0]


def test_only_who_manages_stock_of_this_workspace_decides(place):
    store, _ = place
    zero(place, 7)
    do_push(store)
    (waiting,) = brakes(store)
    support = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    stranger = factories.make_actor(factories.make_user(factories.make_workspace()))
    for decide in (brake.approve, brake.decline):
        with pytest.raises(NotAllowed):
            decide(support, waiting.id, n_to_zero=7)
        with pytest.raises(NotVisible):
            decide(stranger, waiting.id, n_to_zero=7)
    assert brakes(store)[0].state is BrakeState.WAITING


def test_what_is_decided_is_not_decided_again(place, asha):
    store, _ = place
    zero(place, 7)
    do_push(store)
    (waiting,) = brakes(store)
    brake.approve(asha, waiting.id, n_to_zero=7)
    with pytest.raises(ServiceError, match="Asha approved it, and the next push goes through"):
        brake.decline(asha, waiting.id, n_to_zero=7)
    do_push(store)
    with pytest.raises(ServiceError, match="a push went through with it"):
        brake.approve(asha, waiting.id, n_to_zero=7)


def test_a_retry_of_a_few_refused_skus_decides_nothing_about_the_whole_stock(place):
    store, _ = place
    zero(place, 7)
    do_push(store)
    (waiting,) = brakes(store)
    n_sentences = len(sentences(store))
    refused = factories.make_run(store, RunState.PARTIAL, sync="inventory_push", n_failed=1)
    factories.make_run_item(refused, sku_code="S19", seller_flex_hub_id="EXSB")
    retry = attempt(new_run(store, retry_of_id=refused.id))
    assert retry.state is RunState.SKIPPED
    assert "waits for a person or for the next Inventory Sync" in retry.error_sentence
    assert [one.state for one in brakes(store)] == [BrakeState.WAITING]
    assert waiting.id == brakes(store)[0].id
    assert len(sentences(store)) == n_sentences


# Approved when Inventory Sync is turned on for the first time --------------------------------------------------------


@pytest.fixture
def never_on(app, sandbox):
    """A store whose Inventory Sync was never on, with 10 SKUs that are not in stock, and its merchant."""
    store, hub = make_stocked_store(sandbox, is_inventory_sync_on=False)
    stock_up(store, hub, {f"S{n}": 0 for n in range(10)})
    return store, hub, factories.make_actor(factories.make_user(store.seller.workspace, name="Asha"))


def turn_on(store, actor, **seen):
    db.session.rollback()
    version = db.session.get_one(Store, store.id, populate_existing=True).settings_version
    store_settings.set_toggle(actor, store.id, Toggle.INVENTORY_SYNC, turn_on=True, version=version, **seen)


def test_the_zeros_seen_on_the_preview_are_not_asked_about_again(never_on, sandbox):
    store, _, asha = never_on
    turn_on(store, asha, zeros_seen=10, is_approval=True)
    assert sentences(store)[-1] == "Asha approved setting 10 of 10 quantities to zero on Amazon for Pune Store"
    assert do_push(store).state is RunState.SUCCEEDED
    (used,) = brakes(store)
    assert (used.state, used.decided_by_name, used.n_unknown) == (BrakeState.USED, "Asha", 10)


def test_zeros_that_the_preview_did_not_ask_for_are_asked_about(never_on):
    store, _, asha = never_on
    turn_on(store, asha, zeros_seen=10)
    assert brakes(store) == []
    assert do_push(store).state is RunState.SKIPPED


def test_an_approval_that_no_push_used_ends_when_inventory_sync_is_turned_off(never_on):
    store, _, asha = never_on
    turn_on(store, asha, zeros_seen=10, is_approval=True)
    version = db.session.get_one(Store, store.id, populate_existing=True).settings_version
    store_settings.set_toggle(asha, store.id, Toggle.INVENTORY_SYNC, turn_on=False, version=version)
    turn_on(store, asha)
    assert do_push(store).state is RunState.SKIPPED, "weeks later it may be other stock that would go to zero"


def test_more_zeros_than_were_seen_are_asked_about(never_on):
    store, hub, asha = never_on
    turn_on(store, asha, zeros_seen=10, is_approval=True)
    stock_up(store, hub, {"ONE-MORE": 0})
    assert do_push(store).state is RunState.SKIPPED


@pytest.mark.parametrize("seen", [{}, {"zeros_seen": 9}])
def test_inventory_sync_is_not_turned_on_over_what_nobody_saw(never_on, seen):
    store, _, asha = never_on
    with pytest.raises(NotPreviewed):
        turn_on(store, asha, **seen)
    db.session.rollback()
    assert not db.session.get_one(Store, store.id).is_inventory_sync_on
    assert brakes(store) == []


def test_a_preview_of_few_zeros_approves_nothing(never_on):
    store, hub, asha = never_on
    stock_up(store, hub, {f"S{n}": 5 for n in range(8)})
    turn_on(store, asha, zeros_seen=2)
    assert brakes(store) == []

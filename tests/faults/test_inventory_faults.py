"""Pushes that are killed, overtaken, throttled and cut: Amazon ends with exactly our numbers, and none goes back."""

import random
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import psutil
import pytest
from sqlalchemy import func, select

from amazon_sandbox.world import accounts
from amazon_sandbox.world.world import World
from flexdash import clock
from flexdash.amazon.inventory import Inventory, InventoryResult
from flexdash.amazon.transport import Answer
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import ApiCall, Listing, PublishedStock, PushState, RunState, StockLevel, Store
from flexdash.services.inventory import answers, outbox, sending
from flexdash.services.inventory.calls import Batch, Caller
from flexdash.services.inventory.outbox import Line
from flexdash.services.inventory.places import active_locations
from flexdash.services.inventory.plan import StoreFacts, is_due
from flexdash.services.inventory.quantities import lines
from flexdash.services.inventory.remedies import is_about_sequence
from tests.support.pulls import OPEN, QUICK, SELLER, make_due, row, take_up, wait_for_end, workers
from tests.support.servers import wait_for
from tests.support.stock import at_amazon, attempt, do_push, make_stocked_store, new_run, published, stock_up

LOST_AFTER = timedelta(seconds=3)
long = pytest.mark.faults


# Jobs that end out of order ------------------------------------------------------------------------------------------


class DirectTransport:
    """Hands requests to a sandbox's world without HTTP: nothing but the order of things is at stake here."""

    def __init__(self, world: World) -> None:
        self._world = world

    def call(self, _operation: Any, _path: Any, *, body: Any) -> Answer:
        """Answer as the sandbox would."""
        return Answer(207, self._world.inventory.batch(SELLER, body), None, "")


@dataclass
class Job:
    """A batch on its way: numbered, then perhaps answered, then perhaps written."""

    lines: list[Line]
    answers: list[InventoryResult] | None = None


class Story:
    """One interleaving of pushes, deliveries, answers, deaths and sales over a few SKUs."""

    def __init__(self, store_id: int, world: World, chance: random.Random) -> None:
        self._store_id, self._world, self._chance = store_id, world, chance
        self._amazon = Caller(Inventory(DirectTransport(world)), accounts.ACCOUNTS[0].marketplace.id)
        self._jobs: list[Job] = []
        self._numbers: dict[str, int] = {}  # the highest that Amazon was seen to have
        self.n_overtaken = 0

    def run(self, n_steps: int) -> None:
        """Let `n_steps` things happen in any order, then everything that is still under way end in any order."""
        often = (self._number, self._deliver, self._write)
        steps = (self._sell, self._die, *often, *often)
        for _ in range(n_steps):
            self._chance.choice(steps)()
        while self._jobs:
            self._chance.choice((self._deliver, self._write, self._die))()
        self._push_what_is_due()
        self._check_equal()

    def _sell(self) -> None:
        with transaction() as session:
            level = self._chance.choice(session.scalars(select(StockLevel)).all())
            level.on_hand = self._chance.randrange(50)

    def _number(self) -> None:
        ids = db.session.scalars(select(Listing.id)).all()
        self._send(self._chance.sample(ids, self._chance.randint(1, len(ids))))

    def _send(self, listing_ids: list[int]) -> None:
        with transaction():
            outbox.lock(self._store_id)
            facts = StoreFacts.of(db.session.get_one(Store, self._store_id))
            (location,) = active_locations(self._store_id)
            before = self._kept_numbers()
            numbered = outbox.number_lines(facts, location, listing_ids)
        for line in numbered:
            assert line.sequence_number > before.get(line.published_id, 0), "a number was used twice or went back"
        self._jobs.append(Job(numbered))

    def _deliver(self) -> None:
        """Let Amazon have a request: perhaps one that was numbered long ago, perhaps one it had already."""
        if not self._jobs:
            return
        job = self._chance.choice(self._jobs)
        answered = self._amazon(Batch(job.lines)).answers
        job.answers = job.answers or list(answered)
        shown = self._shown()
        for line, answer in zip(job.lines, answered, strict=True):
            quantity, number = shown[line.sku_code]
            assert number >= self._numbers.get(line.sku_code, 0), "Amazon's number went back"
            self._numbers[line.sku_code] = number
            if answer.is_accepted:
                assert (quantity, number) == (line.quantity, line.sequence_number)
            else:
                self.n_overtaken += 1

    def _write(self) -> None:
        answered = [job for job in self._jobs if job.answers is not None]
        if not answered:
            return
        job = self._chance.choice(answered)
        self._jobs.remove(job)
        before = self._kept_numbers()
        pairs = list(zip(job.lines, job.answers, strict=True))
        good = [(line, answer) for line, answer in pairs if answer.is_accepted]
        bad = [line for line, answer in pairs if not answer.is_accepted]
        assert all(
            is_about_sequence(answers.words_of(answer).code, answer.status_code)
            for _, answer in pairs
            if not answer.is_accepted
        )
        with transaction():
            outbox.lock(self._store_id)
            answers.write_accepted(good)
            again = outbox.number_again([(line, self._shown()[line.sku_code][1]) for line in bad])
        for row_id, number in self._kept_numbers().items():
            assert number >= before[row_id], "a kept number went back"
        for kept in db.session.scalars(select(PublishedStock)):
            if kept.state is PushState.ACCEPTED:
                assert kept.quantity == kept.sent_quantity, "an older answer was written over a newer push"
        db.session.rollback()
        if again:
            self._jobs.append(Job(again))

    def _die(self) -> None:
        """A worker is killed: before its request left, or before its answer was written."""
        if self._jobs:
            self._jobs.remove(self._chance.choice(self._jobs))

    def _push_what_is_due(self) -> None:
        for _ in range(3):
            store = db.session.get_one(Store, self._store_id)
            (location,) = active_locations(self._store_id)
            due = db.session.scalars(
                lines(
                    [Listing.id],
                    store_id=self._store_id,
                    seller_id=store.seller_id,
                    mapping_ids=[location.mapping_id],
                ).where(is_due(store.stock_buffer))
            ).all()
            if not due:
                return
            self._send(list(due))
            while self._jobs:
                for job in self._jobs:
                    job.answers = list(self._amazon(Batch(job.lines)).answers)
                self._write()
        raise AssertionError("it never came to rest")

    def _check_equal(self) -> None:
        shown = self._shown()
        for level in db.session.scalars(select(StockLevel)):
            assert shown[level.sku_code][0] == level.on_hand, "Amazon shows a stale quantity"
        for kept in db.session.scalars(select(PublishedStock)):
            assert (kept.state, kept.quantity) == (PushState.ACCEPTED, shown[kept.sku_code][0])
        db.session.rollback()

    def _shown(self) -> dict[str, tuple[int, int]]:
        stock = self._world.inventory.all(SELLER)
        return {item["sku_code"]: (item["n_units"], item["sequence_number"]) for item in stock}

    def _kept_numbers(self) -> dict[int, int]:
        query = select(PublishedStock.id, PublishedStock.sequence_number)
        return {row_id: number for row_id, number in db.session.execute(query)}  # noqa: C416 - rows are no pairs


@pytest.mark.parametrize("n_stories", [20, pytest.param(10_000, marks=long)])
def test_jobs_that_end_out_of_order_never_leave_an_older_quantity(app, figure, scaled, n_stories) -> None:
    n_stories = scaled(n_stories) if n_stories > 100 else n_stories
    store, hub = make_stocked_store()
    stock_up(store, hub, {"A": 1, "B": 2, "C": 3})
    store_id, chance, n_overtaken = store.id, random.Random(n_stories), 0
    db.session.rollback()
    world = World(None)
    for _ in range(n_stories):
        story = Story(store_id, world, chance)
        story.run(chance.randint(4, 14))
        n_overtaken += story.n_overtaken
    world.close()
    assert n_overtaken > n_stories / 20, "too few requests were overtaken to prove anything"
    figure("stock_order", f"{n_stories:,} interleavings, {n_overtaken:,} lines overtaken: 0 stale")


# Death --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def place(app, sandbox):
    """A store with Inventory Sync on at the sandbox, which has no usage plans."""
    sandbox.control.plans({"*": None})
    return make_stocked_store(sandbox)


class Killed(BaseException):
    """Stands for kill -9 where the process must live on to look at what is left."""


def test_death_between_amazons_answer_and_our_commit_is_sent_again_to_the_same_effect(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {f"S{n:03d}": n % 9 for n in range(100)})
    run_id = new_run(store)

    def die(self):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(sending.Sending, "_write", die)
        with suppress(Killed):
            attempt(run_id)
    db.session.rollback()
    assert len(at_amazon(sandbox)) == 100, "Amazon has it, and nobody here knows"
    assert {line.state for line in published(store).values()} == {PushState.SENDING}
    take_up(run_id, LOST_AFTER)
    run = attempt(run_id)
    assert (run.state, run.n_updated) == (RunState.SUCCEEDED, 100)
    assert at_amazon(sandbox) == {f"S{n:03d}": n % 9 for n in range(100)}


@pytest.mark.parametrize(("n_kills", "n_skus"), [(2, 600), pytest.param(50, 3_000, marks=long)])
def test_a_worker_killed_at_random_moments_of_a_push_leaves_exactly_our_numbers(
    place, sandbox, environment, figure, scaled, n_kills, n_skus
) -> None:
    store, hub = place
    chance = random.Random(n_kills)
    n_kills = scaled(n_kills) if n_kills > 2 else n_kills
    sandbox.control.plans({"batchInventory": {"rate": 200, "burst": 20}})
    n_done, n_runs = 0, 0
    with workers({**environment, **QUICK}) as fleet:
        fleet.start()
        while n_done < n_kills:
            stock_up(store, hub, {f"S{n:04d}": chance.randrange(1, 50) for n in range(n_skus)})
            run_id = new_run(store, is_full=True)
            queues.enqueue_run(run_id)
            n_runs += 1
            while n_done < n_kills and row(run_id).state in OPEN:
                _wait_for_worker(fleet, run_id)
                time.sleep(chance.random() * 1.2)  # the moment of the kill, not a wait for anything
                if found := fleet.busy():
                    with suppress(psutil.NoSuchProcess):
                        found[1].kill()
                    n_done += 1
                    take_up(run_id, LOST_AFTER)
            wait_for_end(run_id)
        last_id = new_run(store)
        queues.enqueue_run(last_id)
        assert wait_for_end(last_id).state is RunState.SUCCEEDED
    db.session.rollback()
    ours = dict(db.session.execute(select(StockLevel.sku_code, StockLevel.on_hand)).all())
    assert at_amazon(sandbox) == ours
    assert {line.state for line in published(store).values()} == {PushState.ACCEPTED}
    figure("stock_kills", f"{n_done} kills in {n_runs} pushes of {n_skus:,} SKUs: every number equal, none stuck")


def _wait_for_worker(fleet, run_id: int) -> None:
    wait_for(lambda: fleet.busy() or row(run_id).state not in OPEN, "a worker to begin", 30)


# Amazon's faults -----------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(app, monkeypatch) -> None:
    """A call that Amazon leaves without answer is given up after a second."""
    settings = replace(app.config["SETTINGS"], amazon_timeout_seconds=1, run_max_attempts=2)
    monkeypatch.setitem(app.config, "SETTINGS", settings)


STORMS = {
    "error_503": "had a fault of its own",
    "error_500": "had a fault of its own",
    "throttle": "slow down",
    "html_instead_of_json": "could not be read",
    "cut": "could not be reached",
    "cut_body": "could not be reached",
    "drop_after_effect": "could not be reached",
    "slow": "could not be reached",
}


@pytest.mark.parametrize(
    "kind",
    [kind if kind in ("error_500", "html_instead_of_json") else pytest.param(kind, marks=long) for kind in STORMS],
)
def test_a_storm_without_end_fails_the_push_in_words_and_the_next_attempt_brings_the_rest(
    place, sandbox, figure, impatient, kind
) -> None:
    store, hub = place
    stock_up(store, hub, {f"S{n:03d}": n % 9 for n in range(400)})
    sandbox.control.fault(kind, operation="batchInventory", skip=10, ms=2_000)
    run_id = new_run(store)
    run = attempt(run_id)
    assert run.state is RunState.QUEUED, (run.state, run.error_sentence)
    assert STORMS[kind] in run.error_sentence
    n_calls = db.session.scalar(select(func.count(ApiCall.id)).where(ApiCall.run_id == run_id))
    n_written = run.n_updated
    sandbox.control.clear_faults()
    make_due(run_id)
    run = attempt(run_id)
    assert (run.state, run.n_failed) == (RunState.SUCCEEDED, 0)
    assert at_amazon(sandbox) == {f"S{n:03d}": n % 9 for n in range(400)}
    assert run.n_updated == 400
    figure("stock_storm", f"{kind}: {n_calls} calls, {n_written} of 400 answered; the next attempt brought the rest")


@pytest.mark.parametrize("n_skus", [600, pytest.param(20_000, marks=long)])
def test_faults_at_random_through_a_push_cost_calls_and_nothing_else(place, sandbox, figure, scaled, impatient, n_skus):
    store, hub = place
    n_skus = scaled(n_skus) if n_skus > 1_000 else n_skus
    wanted = {f"S{n:05d}": n % 30 for n in range(n_skus)}
    stock_up(store, hub, wanted)
    sandbox.control.plans({"batchInventory": {"rate": 200, "burst": 50}})
    for kind in ("error_503", "error_500", "cut", "cut_body", "drop_after_effect", "html_instead_of_json"):
        sandbox.control.fault(kind, operation="batchInventory", probability=0.01)
    run_id = new_run(store)
    run = attempt(run_id)
    n_attempts = 1
    while run.state is RunState.QUEUED and n_attempts < 5:
        make_due(run_id)
        run, n_attempts = attempt(run_id), n_attempts + 1
    sandbox.control.clear_faults()
    if run.state is not RunState.SUCCEEDED:
        run = do_push(store)
    assert run.state is RunState.SUCCEEDED
    assert at_amazon(sandbox) == wanted
    figure("stock_mixed", f"{n_skus:,} SKUs, 6 % of the calls, {n_attempts} attempts: every number equal")


@pytest.mark.parametrize(("n_skus", "rate"), [(600, 40), pytest.param(30_000, 20, marks=long)])
def test_a_plan_below_the_configured_pace_is_learnt_and_kept(place, sandbox, figure, scaled, n_skus, rate) -> None:
    store, hub = place
    n_skus = scaled(n_skus) if n_skus > 1_000 else n_skus
    stock_up(store, hub, {f"S{n:05d}": n % 30 for n in range(n_skus)})
    sandbox.control.plans({"batchInventory": {"rate": rate, "burst": 2 * rate}})
    sandbox.control.clear_stats()
    run = do_push(store)
    assert run.state is RunState.SUCCEEDED
    stats = sandbox.control.stats()
    n_throttled = stats["statuses"]["batchInventory"].get("429", 0)
    n_calls = stats["calls"]["batchInventory"]
    assert n_throttled <= n_calls * 0.01
    figure("stock_pace", f"{n_calls:,} calls under {rate} requests/s, {n_throttled} answers 429")


def test_a_toggle_turned_off_by_a_person_stops_what_waits_and_nothing_else(place, sandbox):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    run_id = new_run(store)
    store.is_inventory_sync_on = False
    db.session.commit()
    run = attempt(run_id)
    assert run.state is RunState.SKIPPED
    assert at_amazon(sandbox) == {}


def test_a_clock_set_back_by_a_year_still_numbers_upwards(place, sandbox, monkeypatch):
    store, hub = place
    stock_up(store, hub, {"A": 1})
    do_push(store)
    first = published(store)["A"].sequence_number
    real = clock.now
    with monkeypatch.context() as patch:
        patch.setattr(outbox.clock, "now", lambda: real() - timedelta(days=365))
        stock_up(store, hub, {"A": 2})
        assert do_push(store).state is RunState.SUCCEEDED
    assert published(store)["A"].sequence_number == first + 1
    assert at_amazon(sandbox) == {"A": 2}

"""Why is my order not here? What the parts of FlexDash and the runs say, and the sentence that a person reads."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import redis
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.extensions import settings
from flexdash.jobs import dispatch
from flexdash.models import RunState
from flexdash.services.diagnosis.checks import FixKind, Outcome
from tests.support.diagnoses import fixes, nobody_syncs, outcome, parts_seen, sentence
from tests.support.missed_orders import Scene, make_scene
from tests.support.pulls import UNMAPPED, Workers, do_run, row, workers
from tests.support.recoveries import lift_pace
from tests.support.servers import running_redis, wait_for


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


@pytest.fixture
def fleet(environment: Mapping[str, str]) -> Iterator[Workers]:
    with workers(environment) as fleet:
        yield fleet


# The parts ------------------------------------------------------------------------------------------------------------


def test_a_scheduler_or_worker_that_is_not_at_work_is_named(scene: Scene, environment: Mapping[str, str]) -> None:
    missed = scene.make()
    nobody = scene.why(missed, parts=parts_seen())
    assert sentence(nobody).startswith("The scheduler has not been seen lately, so no sync starts by itself.")
    assert outcome(nobody) is Outcome.FAILED

    with nobody_syncs(environment) as parts:
        idle = scene.why(missed, parts=parts)
    assert sentence(idle).startswith("No worker has been seen lately for sync, so runs wait.")
    assert outcome(idle) is Outcome.FAILED


def test_redis_that_is_away_is_named(scene: Scene, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missed = scene.make()
    with running_redis(tmp_path) as url:
        monkeypatch.setitem(app.extensions, "flexdash_redis", redis.Redis.from_url(url, socket_timeout=5))
        assert not parts_seen().is_redis_away
    found = scene.why(missed, parts=parts_seen())
    assert sentence(found).startswith("Redis is away, so no work reaches a worker")
    assert outcome(found) is Outcome.FAILED


# A run that is at work ------------------------------------------------------------------------------------------------


def test_a_run_is_at_work_and_waits_for_another_worker_once_its_own_was_killed(scene: Scene, fleet: Workers) -> None:
    missed = scene.make()
    scene.sandbox.control.fault("held", operation="getShipments")
    worker = fleet.start()
    run_id = scene.begin_run()
    wait_for(lambda: "getShipments" in scene.sandbox.control.stats()["calls"], "the run to ask Amazon")
    at_work = scene.why(missed)
    assert sentence(at_work).startswith("A run of Order Sync is at work now.")
    assert (outcome(at_work), fixes(at_work)) == (Outcome.ANSWERED, [FixKind.RUN])

    fleet.kill(worker)
    scene.sandbox.control.clear_faults()
    wait_for(lambda: "getShipments" in scene.sandbox.control.stats()["statuses"], "Amazon to let go of the call")
    assert row(run_id).state is RunState.RUNNING  # nobody has noticed yet
    assert sentence(scene.why(missed)).startswith("A run of Order Sync is at work now.")

    scene.later(seconds=settings.run_lost_after_seconds + 1)
    dispatch.dispatch()
    lost = scene.why(missed)
    assert sentence(lost) == "Order Sync is on its way: A run waits for a worker."
    assert (outcome(lost), fixes(lost)) == (Outcome.ANSWERED, [FixKind.SYNC_NOW])


# The last run ---------------------------------------------------------------------------------------------------------


def failed_run(scene: Scene) -> None:
    scene.sandbox.control.fault("access_denied", operation="getShipments")
    assert scene.do_due_run().state is RunState.FAILED
    scene.sandbox.control.clear_faults()


def run_to_be_tried_again(scene: Scene) -> None:
    scene.sandbox.control.fault("error_503", operation="getShipments")
    assert scene.do_due_run().is_retrying
    scene.sandbox.control.clear_faults()


def stale(scene: Scene) -> None:
    scene.do_due_run()
    scene.later(hours=3)


def never_run(scene: Scene) -> None:
    pass


def run_overdue(scene: Scene) -> None:
    scene.later(minutes=5)


def run_overdue_for_long(scene: Scene) -> None:
    scene.later(hours=1)


def run_in_line(scene: Scene) -> None:
    scene.begin_run()


def not_due(scene: Scene) -> None:
    scene.do_due_run()


@pytest.mark.parametrize(
    ("state", "words", "ends", "offered"),
    [
        (
            failed_run,
            "The last run of Order Sync failed: Amazon",
            Outcome.FAILED,
            [FixKind.RUN, FixKind.SYNC_NOW],
        ),
        (
            run_to_be_tried_again,
            "The last run of Order Sync failed: Amazon",
            Outcome.FAILED,
            [FixKind.RUN, FixKind.SYNC_NOW],
        ),
        (stale, "There was no good run for more than 45 minutes.", Outcome.FAILED, [FixKind.RUN, FixKind.SYNC_NOW]),
        (
            never_run,
            "Order Sync is on its way: The first run starts within a minute.",
            Outcome.ANSWERED,
            [FixKind.SYNC_NOW],
        ),
        *(
            (
                overdue,
                "No run has begun, though its turn has come. The scheduler or the worker may be away.",
                Outcome.FAILED,
                [FixKind.SYNC_NOW],
            )
            for overdue in (run_overdue, run_overdue_for_long)
        ),
        (
            run_in_line,
            "Order Sync is on its way: A run waits for a worker.",
            Outcome.ANSWERED,
            [FixKind.SYNC_NOW],
        ),
        (
            not_due,
            "Nothing stands in its way: the runs before were too early for it, and the next one brings it in.",
            Outcome.ANSWERED,
            [FixKind.SYNC_NOW],
        ),
    ],
)
def test_the_last_run_says_why(scene: Scene, state, words, ends, offered) -> None:
    state(scene)
    found = scene.why(scene.make())
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_the_next_run_is_named_with_its_time(scene: Scene) -> None:
    not_due(scene)
    finding = scene.why(scene.make()).cause.finding
    assert finding is not None
    assert [label for label, _ in finding.moments] == ["Next run", "Last good run"]


def test_an_order_that_a_good_run_left_behind_is_recovered(scene: Scene) -> None:
    shipment_id = scene.make(updated_minutes_ago=60)
    scene.sandbox.control.fault("vanished")  # Amazon's list leaves it out just then
    scene.do_due_run()
    scene.sandbox.control.clear_faults()
    found = scene.why(shipment_id)
    assert sentence(found).startswith("Amazon had it already when the last good run looked")
    assert fixes(found) == [FixKind.RECOVER]


def test_a_hub_that_is_missing_is_noted_before_it_holds_the_order(scene: Scene) -> None:
    not_due(scene)
    found = scene.why(scene.make(location_id=UNMAPPED))
    assert sentence(found).startswith("Nothing stands in its way")
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence.startswith(f"It will come in On Hold: No hub has the Seller Flex Hub ID {UNMAPPED}.")


def test_what_was_promised_comes_true(scene: Scene) -> None:
    shipment_id = scene.make()
    assert outcome(scene.why(shipment_id)) is Outcome.ANSWERED
    do_run(scene.store)
    found = scene.why(shipment_id)
    assert sentence(found).startswith("It is here: FD-")

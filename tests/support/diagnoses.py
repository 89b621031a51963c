"""Reading a diagnosis as a person does: the sentence that says why, and what there is to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flexdash.blueprints.parts import parts_seen
from flexdash.extensions import redis_client
from flexdash.jobs import presence
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.diagnosis.common import Parts
from tests.support.pulls import workers
from tests.support.servers import flexdash_process, wait_for

AT_WORK = Parts()
TICKLESS = Parts(is_scheduler_seen=False)


@contextmanager
def nobody_syncs(environment: Mapping[str, str]) -> Iterator[Parts]:
    """Run a scheduler, and a worker of every queue but `sync`; gives which parts a page sees at work."""
    with flexdash_process(environment, "scheduler"), workers(environment) as fleet:
        fleet.start("tick,work,upload")
        wait_for(lambda: presence.is_scheduler_seen(redis_client), "the scheduler")
        wait_for(lambda: presence.unserved_queues(redis_client) == ["sync"], "the worker")
        yield parts_seen()


def sentence(found: Diagnosis) -> str:
    """What a person reads first."""
    assert found.cause.finding is not None
    return found.cause.finding.sentence


def outcome(found: Diagnosis) -> Outcome:
    """How the check that says why ended."""
    return found.cause.outcome


def fixes(found: Diagnosis) -> list[FixKind]:
    """What is offered with it."""
    assert found.cause.finding is not None
    return [fix.kind for fix in found.cause.finding.fixes]


def by_name(found: Diagnosis) -> dict[str, Outcome]:
    """How each check ended."""
    return {check.name: check.outcome for check in found.checks}

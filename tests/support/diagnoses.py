"""Reading a diagnosis as a person does: the sentence that says why, and what there is to do."""

from flexdash.blueprints.help import routes
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.diagnosis.common import Parts

AT_WORK = Parts()
TICKLESS = Parts(is_scheduler_seen=False)


def parts_seen() -> Parts:
    """Which parts a page sees at work at this moment."""
    return routes._parts()


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

"""The parts of `flexdash run`: nothing that is enqueued waits for a worker that nobody starts."""

from flexdash.cli.run_parts import PART_NAMES, plan_parts
from flexdash.jobs import schedule


def test_every_queue_has_a_worker(settings, environment) -> None:
    plan = plan_parts(settings, environment)
    workers = [part.command for part in plan.behind if "--queues" in part.command]
    served = ",".join(command[command.index("--queues") + 1] for command in workers).split(",")
    assert sorted(served) == sorted(schedule.QUEUES)
    assert {part.name for part in (*plan.first, plan.web, *plan.behind)} <= set(PART_NAMES)

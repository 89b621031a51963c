"""The parts of `flexdash run`: which there are, and that nothing that is enqueued waits for a worker nobody starts."""

import pytest

from config import load_settings
from flexdash.cli import run
from flexdash.cli.run_parts import PART_NAMES, plan_parts
from flexdash.jobs import schedule

AMAZON = ("AMAZON_LWA_URL", "AMAZON_API_URL", "AMAZON_SELLER_CENTRAL_URL")


def test_every_queue_has_a_worker(settings, environment) -> None:
    plan = plan_parts(settings, environment)
    workers = [part.command for part in plan.behind if "--queues" in part.command]
    served = ",".join(command[command.index("--queues") + 1] for command in workers).split(",")
    assert sorted(served) == sorted(schedule.QUEUES)


@pytest.mark.parametrize(
    ("unset", "own"),
    [
        ((), ()),
        (AMAZON[1:], ()),  # one address of Amazon's is enough
        (("REDIS_URL",), ("redis",)),
        (AMAZON, ("sandbox",)),
        (("REDIS_URL", *AMAZON), ("redis", "sandbox")),
    ],
)
def test_what_the_environment_names_is_not_started_beside_it(environment, tmp_path, unset, own) -> None:
    given = {**environment, "DATA_DIR": str(tmp_path)}
    environ = {name: value for name, value in given.items() if name not in unset}
    plan = plan_parts(load_settings(environ), environ)
    parts = [part.name for part in (*plan.first, plan.web, *plan.behind)]
    assert parts == [name for name in PART_NAMES if name in own or name not in ("redis", "sandbox")]
    assert bool(plan.sandbox_url) == ("sandbox" in own)
    assert plan.settings.amazon_api_url == (plan.sandbox_url or load_settings(environ).amazon_api_url)
    assert (plan.settings.redis_url == environment["REDIS_URL"]) == ("redis" not in own)


@pytest.mark.parametrize("has_sandbox", [True, False])
def test_who_is_greeted_is_told_of_a_sandbox_where_one_runs(environment, tmp_path, capsys, has_sandbox) -> None:
    given = {**environment, "DATA_DIR": str(tmp_path)}
    environ = {name: value for name, value in given.items() if not (has_sandbox and name in AMAZON)}
    settings = load_settings(environ)
    run._greet(settings, plan_parts(settings, environ), [("admin", "asha@demo.example", "a password")], 3.2)
    told = capsys.readouterr().out
    assert "FlexDash is ready after 3.2 seconds" in told
    assert ("sandbox" in told) == has_sandbox

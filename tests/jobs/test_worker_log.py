"""What workers write into the log: each line with the run it is about, tracebacks included, secrets not."""

import json
import os
from pathlib import Path

import pytest

from config import PROJECT_DIR
from flexdash.jobs import queues
from flexdash.models import RunState
from tests.factories import make_run, make_seller, make_store
from tests.support import nursery
from tests.support.servers import kill_session, wait_for

FLEXDASH = PROJECT_DIR / "flexdash"


@pytest.mark.parametrize(
    ("job_id", "ids"),
    [
        ("run-7-1-abc123", {"run_id": 7, "job": "run-7-1-abc123"}),
        ("upload-12-0-abc123", {"upload_id": 12, "job": "upload-12-0-abc123"}),
        ("batch-3-0-abc123", {"batch_id": 3, "job": "batch-3-0-abc123"}),
        ("flexdash-tick", {"job": "flexdash-tick"}),
    ],
)
def test_a_jobs_id_says_what_its_lines_are_about(job_id, ids):
    assert queues.ids_of(job_id) == ids


def test_every_thread_carries_the_ids_of_who_started_it():
    without = [
        str(path.relative_to(PROJECT_DIR))
        for path in FLEXDASH.rglob("*.py")
        if not path.is_relative_to(FLEXDASH / "cli")  # the supervisor runs other programs, and serves no request
        and any(word in path.read_text() for word in ("threading.Thread(", "ThreadPoolExecutor("))
        and "with_present_ids" not in path.read_text()
    ]
    assert without == []


def test_each_line_about_a_run_names_it_and_the_store(app, workspace, environment, tmp_path: Path):
    store = make_store(make_seller(workspace), is_order_sync_on=True)
    run = make_run(store, RunState.QUEUED)
    run_id, store_id, workspace_id = run.id, store.id, workspace.id
    queues.enqueue_run(run_id)
    queues.queue("sync").enqueue("flexdash.jobs.order_pull.nothing", 5, job_id="run-5-1-abc123")
    log = tmp_path / "worker.log"
    with log.open("wb") as written:
        environ = {**os.environ, **environment, "LOG_LEVEL": "INFO", "LOG_FORMAT": "json"}
        process = nursery.fork("tests.jobs.worker_process", ["talks"], environ, written)
        try:
            wait_for(lambda: "attempt failed" in log.read_text() and "run-5-1" in log.read_text(), "both jobs", 30)
        finally:
            kill_session(process.pid)
            process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    about = {line["message"]: line for line in lines if line.get("run_id") == run_id}
    assert {"run begun", "said by the pull", "said by a thread", "attempt failed"} <= set(about)
    for line in about.values():
        assert (line["store_id"], line["workspace_id"], line["sync"]) == (store_id, workspace_id, "order_pull")
    assert "ValueError: password=[hidden]" in about["attempt failed"]["exception"]
    assert "canary0123" not in log.read_text()
    of_rq = [line for line in lines if "run-5-1-abc123" in line["message"]]
    assert of_rq
    assert all(line["run_id"] == 5 for line in of_rq)

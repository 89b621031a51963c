"""The sandbox as a program: restarts, kills, signals, settings, and what it may import."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from amazon_sandbox import config, serving
from amazon_sandbox.serving import running

HTTP = httpx.Client(trust_env=False, verify=False)

PACKAGE = Path(config.__file__).parent
PARTICIPATIONS = "/sellers/v1/marketplaceParticipations"
CALLBACK = "http://127.0.0.1:8000/amazon/callback"


def test_everything_answered_outlives_a_kill(tmp_path):
    with running(tmp_path, in_process=False) as first:
        control = first.control
        ids = control.create_orders(5, location_ids=["EXSB", "PNQ1"])
        control.create_orders(1, odd="odd_not_a_dict")
        control.move(ids[0], "CONFIRMED")
        tokens = control.issue_tokens()
        code = control.issue_code(CALLBACK)
        control.fault("throttle", operation="getShipments", count=7)
        control.plans({"getShipments": {"rate": 9, "burst": 9}})
        control.options(label_format="ZPL", clock_shift_seconds=60.0)
        body = {
            "requests": [
                {"method": "POST", "uri": "/inventory/update?locationId=EXSB&skuId=A", "body": {"quantity": 4}}
            ]
        }
        headers = {"x-amz-access-token": tokens["access_token"]}
        url = f"{first.url}/externalFulfillment/inventory/2024-09-11/inventories"
        assert HTTP.post(url, json=body, headers=headers).status_code == 207
        before = control.shipments()
        # Worker and master at once, without a chance to tidy up.
        children = Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children").read_text().split()
        for pid in (first.process.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        first.process.wait()
    with running(tmp_path, in_process=False) as second:
        assert second.control.shipments() == before
        assert second.control.faults()[0]["count"] == 7
        assert second.control.plans()["getShipments"] == {"rate": 9, "burst": 9}
        assert second.control.options()["label_format"] == "ZPL"
        assert second.control.stock()[0]["n_units"] == 4
        assert HTTP.get(f"{second.url}{PARTICIPATIONS}", headers=headers).status_code == 200
        told = {"client_id": second.config.client_id, "client_secret": second.config.client_secret}
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **told}
        assert HTTP.post(second.lwa_url, data=refresh).status_code == 200
        redeem = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, **told}
        assert HTTP.post(second.lwa_url, data=redeem).status_code == 200
        assert second.control.create_orders(1)[0] not in ids, "numbers go on where they stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_leaves_no_child(number):
    with running(in_process=False) as sandbox:
        pid = sandbox.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        sandbox.process.send_signal(number)
        assert sandbox.process.wait(10) == 0
        assert len(children) == 1
        assert not Path(f"/proc/{children[0]}").exists()


def test_it_never_outlives_the_process_that_started_it_for_a_test():
    with running(in_process=False) as sandbox:
        sandbox.process.stdin.close()
        assert sandbox.process.wait(10) == 0


def test_a_cut_connection_and_the_clock_work_under_gunicorn_too():
    with running(in_process=False) as sandbox:
        headers = {"x-amz-access-token": sandbox.control.issue_tokens()["access_token"]}
        for kind in ("cut", "cut_body", "drop_after_effect"):
            sandbox.control.fault(kind, count=1)
            with pytest.raises(httpx.RemoteProtocolError):
                HTTP.get(f"{sandbox.url}{PARTICIPATIONS}", headers=headers)
        sandbox.control.clock(shift_seconds=-86_400 * 365 * 20)
        dates = HTTP.get(f"{sandbox.url}/healthz").headers.get_list("date")
        assert len(dates) == 1
        assert " 200" in dates[0]


def test_a_reset_empties_the_world_but_keeps_it_running(tmp_path):
    with running(tmp_path) as sandbox:
        sandbox.control.create_orders(3)
        token = sandbox.control.issue_tokens()["access_token"]
        sandbox.control.fault("cut", operation="batchInventory")
        sandbox.control.options(latency_ms=5, clock_shift_seconds=99.0)
        sandbox.control.reset()
        assert sandbox.control.shipments() == []
        assert sandbox.control.faults() == []
        assert sandbox.control.options()["latency_ms"] == 0
        assert sandbox.control.stats()["n_calls"] == 0
        response = HTTP.get(f"{sandbox.url}{PARTICIPATIONS}", headers={"x-amz-access-token": token})
        assert response.status_code == 403
        assert len(sandbox.control.create_orders(2)) == 2


def test_an_injected_clock_is_the_sandboxs_time():
    with running(clock=lambda: 1_600_000_000.0) as sandbox:
        [shipment_id] = sandbox.control.create_orders(1)
        assert sandbox.control.shipment(shipment_id)["body"]["lastUpdatedDateTime"].startswith("2020-09-13T12:26:40")


@pytest.mark.parametrize(
    ("environ", "words"),
    [({"SANDBOX_PORT": "http"}, "SANDBOX_PORT is 'http'"), ({"SANDBOX_PUBLIC_URL": "sandbox"}, "SANDBOX_PUBLIC_URL")],
)
def test_a_faulty_setting_is_named_with_its_remedy(environ, words):
    done = subprocess.run(
        [sys.executable, "-m", "amazon_sandbox"],
        env={**os.environ, "PYTHONPATH": str(serving.PROJECT_DIR), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_are_read_from_the_environment():
    environ = {
        "SANDBOX_PORT": "9100",
        "SANDBOX_DATA_DIR": "/data",
        "SANDBOX_REDIRECT_URIS": "https://a.example/x, https://b.example/y",
        "SANDBOX_APP_IS_DRAFT": "true",
        "PORT": "1",
    }
    found = config.from_environment(environ)
    assert (found.port, found.data_dir, found.app_is_draft) == (9100, Path("/data"), True)
    assert found.redirect_uris == ("https://a.example/x", "https://b.example/y")
    assert config.from_environment({}) == config.Config(data_dir=Path("var/sandbox"))


def test_the_sandbox_imports_nothing_of_flexdash_nor_its_world_of_the_web():
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not [name for name in names if name.split(".")[0] in ("flexdash", "config", "config_parsers")], file
        if file.parent.name == "world":
            assert not [name for name in names if name.startswith(("flask", "amazon_sandbox.web"))], file

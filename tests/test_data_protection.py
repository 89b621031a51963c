"""Amazon's data protection rules as an auditor would look for breaches: canaries in, and none found where none belongs.

Buyers' details and tokens whose values appear nowhere else go through the sandbox and the real pull, on a real worker,
the bad days included: a refused acknowledgement, a shipment that cannot be read, a lost authorization.
"""

import json
import zlib
from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import select

from amazon_sandbox.serving import Running
from config import Settings
from flexdash.extensions import db, vault
from flexdash.jobs import queues
from flexdash.models import ApiCall, Order, QuarantinedShipment, Role, Store, StoreStatus
from tests.factories import make_user
from tests.support.canaries import all_of_redis, all_values, files, found_in
from tests.support.pulls import MAPPED, QUICK, SELLER, make_pulled_store, new_run, wait_for_end, workers

N_BUYERS = 10
FIELDS = ("name", "addressLine1", "city", "phoneNumber", "email")


def buyer_canaries() -> list[dict[str, str]]:
    """Return buyers each of whose details is a word of its own, nowhere else in the world."""
    return [{field: f"canary{field}{n:02d}qzx" for field in FIELDS} for n in range(N_BUYERS)]


@pytest.fixture
def pulled(app, sandbox: Running, environment, redis_server, tmp_path) -> Iterator[tuple[Store, list[str], bytes]]:
    """A store after good and bad runs of a real worker: the store, the canaries, and all that the worker logged."""
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox)
    canaries = [vault.decrypt(store.refresh_token_encrypted)]
    for buyer in buyer_canaries():
        sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, buyer=buyer)
        canaries += buyer.values()
    store_id = store.id
    with (tmp_path / "worker.log").open("wb+") as log:
        with workers({**environment, **QUICK, "LOG_FORMAT": "json"}, log=log, level="DEBUG") as fleet:
            fleet.start()
            sandbox.control.fault("odd_no_lines", operation="getShipments", count=1)
            sandbox.control.fault("drop_after_effect", operation="processShipment", count=1)
            _run_to_its_end(store_id)
            canaries += _access_tokens(redis_server)
            sandbox.control.fault("names_buyer", operation="processShipment")
            sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, buyer=buyer_canaries()[1])
            _run_to_its_end(store_id)
            sandbox.control.fault("odd_no_lines", operation="getShipments")
            sandbox.control.create_orders(1, location_id=MAPPED, seller_id=SELLER, buyer=buyer_canaries()[0])
            _run_to_its_end(store_id)
            sandbox.control.revoke_tokens(SELLER)
            _run_to_its_end(store_id)
        log.seek(0)
        yield db.session.get(Store, store_id), canaries, log.read()


def _run_to_its_end(store_id: int) -> None:
    queues.enqueue_run(run_id := new_run(store_id))
    wait_for_end(run_id)


def _access_tokens(redis_url: str) -> list[str]:
    """Return the access tokens in use: what Redis holds encrypted, in clear."""
    with redis.Redis.from_url(redis_url) as connection:
        kept = [connection.get(key) for key in connection.scan_iter() if connection.type(key) == b"string"]
    found = [vault.decrypt(value) for value in kept if value.startswith(b"gAAAA")]
    assert found
    return found


def test_fifty_canaries_are_kept_and_found_nowhere_in_clear(
    pulled, app, settings: Settings, redis_server, capfd, caplog, signed_in
) -> None:
    store, canaries, worker_log = pulled
    assert len(set(canaries)) >= 52
    assert store.status is StoreStatus.NEEDS_REAUTHORIZATION
    refused = select(ApiCall.error_message).where(ApiCall.operation == "processShipment", ApiCall.status == 400)
    assert "Ship-to of [hidden]" in db.session.scalars(refused).first()
    _assert_they_are_kept(canaries)

    client = signed_in(make_user(store.seller.workspace, Role.MERCHANT))
    for path in ("/orders", f"/orders/{db.session.scalar(select(Order.id))}", "/orders/quarantine", "/sync-runs"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        # The masked buyer of an order's page keeps the city and the country: a hub plans by them.
        assert [word for word in found_in(answer.data, canaries) if "city" not in word] == [], path

    output = capfd.readouterr()
    places = {
        "the worker's log": worker_log,
        "this process's output": (output.out + output.err + caplog.text).encode(),
        "the database": b"\n".join(all_values()),
        "the database's files": b"\n".join(files(settings)),
        "Redis": b"\n".join(all_of_redis(redis_server)),
    }
    assert len(worker_log) > 1_000
    _assert_job_arguments_are_numbers(redis_server)
    assert {place: found_in(content, canaries) for place, content in places.items()} == {place: [] for place in places}


def _assert_job_arguments_are_numbers(redis_url: str) -> None:
    """What stands in the queues and what is kept of ended jobs: ids, and no text of any kind."""
    with redis.Redis.from_url(redis_url) as connection:
        jobs = [connection.hget(key, "data") for key in connection.scan_iter("rq:job:*")]
    assert jobs
    for data in jobs:
        function, instance, arguments, named = json.loads(zlib.decompress(data))
        assert function.startswith("flexdash.jobs.")
        assert (instance, named) == (None, {})
        assert all(isinstance(argument, int) for argument in arguments)


def _assert_they_are_kept(canaries: list[str]) -> None:
    """A test that finds nothing because nothing was kept would prove nothing."""
    kept = "".join(
        vault.decrypt(value)
        for value in (
            *db.session.scalars(select(Order.buyer_encrypted).where(Order.buyer_encrypted.is_not(None))),
            *db.session.scalars(select(QuarantinedShipment.payload_encrypted)),
        )
    )
    assert [word for word in canaries if word.startswith("canary") and word not in kept] == []

"""Stores, runs and real workers for tests of whole order pulls, and what must be true afterwards."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import IO

import redis
from rq import Worker
from sqlalchemy import func, select, update

from amazon_sandbox.serving import Running
from amazon_sandbox.world.people import SKU_CODES
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import queues, runner
from flexdash.models import (
    Acknowledgement,
    Hub,
    HubMapping,
    Order,
    OrderEvent,
    OrderLine,
    OrderState,
    RunState,
    Store,
    Sync,
    SyncRun,
)
from flexdash.services import order_pull, sync_attempts
from tests import factories
from tests.support import nursery
from tests.support.ledgers import stock_problems
from tests.support.servers import kill_session, wait_for

SELLER = "A3SBXSUNRISEIN"
MAPPED, UNMAPPED = "EXSB", "PNQ1"
OPEN = (RunState.QUEUED, RunState.RUNNING)
ENDED_WELL = (RunState.SUCCEEDED, RunState.PARTIAL)
QUICK = {"SHIPMENTS_REQUESTS_PER_SECOND": "1000", "RUN_MAX_ATTEMPTS": "20", "AMAZON_TIMEOUT_SECONDS": "5"}


def make_pulled_store(
    sandbox: Running, *, partner: str = SELLER, on_hand: int = 1_000_000, beside: Store | None = None, **values
) -> Store:
    """Return a connected store of the sandbox's Indian seller in a workspace of its own; MAPPED leads to its full hub.

    Amazon's pace is kept per `partner`: stores with partners of their own do not wait for each other. `on_hand` is what
    the hub has of each SKU; a store made `beside` another is of the same seller and sells from the same hub.
    """
    seller = beside.seller if beside is not None else factories.make_seller(factories.make_workspace())
    values = {"is_order_sync_on": True, **values}
    store = factories.make_store(
        seller,
        refresh_token=sandbox.control.issue_tokens(SELLER)["refresh_token"],
        amazon_selling_partner_id=partner,
        **values,
    )
    if beside is not None:
        hub = db.session.scalars(select(Hub).join(HubMapping).where(HubMapping.store_id == beside.id)).one()
        for code in SKU_CODES:
            factories.make_listing(store, code)
    else:
        hub = factories.make_hub(seller.workspace, name="Pune Warehouse")
        factories.make_sellable(store, hub, *SKU_CODES, on_hand=on_hand)
    factories.make_mapping(store, hub, MAPPED)
    return store


def do_run(store: Store) -> SyncRun:
    """Do one run of the store's order pull as a worker would, endings included, and return it."""
    run_id = new_run(store.id)
    return do_attempt(run_id)


def do_attempt(run_id: int) -> SyncRun:
    """Do one attempt at a queued run in this process and return it."""
    runner.execute(run_id, order_pull.pull)
    return row(run_id)


def new_run(store_id: int) -> int:
    """Make a queued run and return its id; it stands in no queue yet."""
    db.session.rollback()
    return factories.make_run(db.session.get(Store, store_id), RunState.QUEUED, trigger="manual").id


def row(run_id: int) -> SyncRun:
    """Return the run as it is now."""
    db.session.rollback()
    run = db.session.get(SyncRun, run_id, populate_existing=True)
    db.session.rollback()
    db.session.refresh(run)
    return run


def make_due(run_id: int) -> None:
    """Let the pause before the run's next attempt be over."""
    db.session.rollback()
    db.session.execute(update(SyncRun).where(SyncRun.id == run_id).values(retry_at=clock.now()))
    db.session.commit()


def take_up(run_id: int, lost_after: timedelta, max_attempts: int = 20) -> None:
    """Do what ticks do once a dead worker's silence has lasted `lost_after`: count it as lost, queue the run again."""
    db.session.rollback()
    sync_attempts.take_up_lost(clock.now() + lost_after, lost_after, max_attempts)
    queues.enqueue_run(run_id)


@contextmanager
def workers(
    environment: Mapping[str, str], *, log: IO[bytes] | None = None, level: str = "ERROR"
) -> Iterator["Workers"]:
    """Give real workers of the queue `sync`, all ended afterwards; what they say goes to `log`, by default ours."""
    with ExitStack() as stack:
        yield Workers({**environment, "LOG_LEVEL": level}, stack, log)


class Workers:
    """Real worker processes beside the test; see tests/support/fault_worker.py."""

    def __init__(self, environment: Mapping[str, str], stack: ExitStack, log: IO[bytes] | None) -> None:
        self._environment = {**os.environ, **environment}
        self._stack, self._log = stack, log
        self.alive: list[nursery.Child] = []

    def start(self, queue_names: str = "sync") -> nursery.Child:
        """Start one more worker and return its process."""
        process = nursery.fork("tests.support.fault_worker", [queue_names], self._environment, self._log)
        self._stack.callback(self.kill, process)
        self.alive.append(process)
        return process

    def kill(self, process: nursery.Child) -> None:
        """Kill a worker and its work horse."""
        if process in self.alive:
            self.alive.remove(process)
            kill_session(process.pid)
            process.wait()

    def busy(self) -> tuple[nursery.Child, "psutil.Process"] | None:  # noqa: F821 - psutil is imported late
        """Return a worker at work with its work horse; None when all are idle."""
        import psutil

        for process in self.alive:
            try:
                horses = psutil.Process(process.pid).children()
            except psutil.NoSuchProcess:
                continue
            if horses:
                return process, horses[0]
        return None

    def run_of(self, worker: nursery.Child, connection: redis.Redis) -> int:
        """Return the id of the run that `worker` is at."""
        for known in Worker.all(connection=connection):
            if known.pid == worker.pid:
                return int(known.get_current_job_id().split("-")[1])
        raise LookupError(f"no worker with the process id {worker.pid} is at work")


def wait_for_end(run_id: int, timeout: float = 120) -> SyncRun:
    """Return the run once it has ended."""
    wait_for(lambda: row(run_id).state not in OPEN, f"the end of run {run_id}", timeout)
    return row(run_id)


def problems(store: Store, sandbox: Running) -> dict[str, int]:
    """Return what is wrong after the last run: shipments lost, doubled, acknowledged twice, or stuck. All 0 is well."""
    db.session.rollback()
    store_id = store.id
    at_amazon = {item["id"]: item for item in all_shipments(sandbox)}
    n_rows = Counter(db.session.scalars(select(Order.amazon_shipment_id).where(Order.store_id == store_id)))
    alive = {shipment_id for shipment_id, item in at_amazon.items() if item["status"] != "CANCELLED"}
    effects = sandbox.control.stats(per_shipment=True)["per_shipment"]
    of_store = select(Order.id).where(Order.store_id == store_id)
    lines = select(OrderLine.order_id, OrderLine.amazon_line_id).where(OrderLine.order_id.in_(of_store))
    told_twice = (
        select(OrderEvent.order_id)
        .where(OrderEvent.order_id.in_(of_store), OrderEvent.kind.in_(("imported", "acknowledged")))
        .group_by(OrderEvent.order_id, OrderEvent.kind)
        .having(func.count() > 1)
    )
    return {
        "lost": len(alive - n_rows.keys()),
        "doubled": sum(n - 1 for n in n_rows.values())
        + db.session.scalar(select(func.count()).select_from(lines.subquery()))
        - db.session.scalar(select(func.count()).select_from(lines.distinct().subquery()))
        + db.session.scalar(select(func.count()).select_from(told_twice.subquery())),
        "without lines": db.session.scalar(
            select(func.count()).select_from(Order).where(Order.store_id == store_id, ~Order.lines.any())
        ),
        "wrong stock": len(stock_problems()),
        "double effects": sum(kinds.get("confirm", 0) > 1 for kinds in effects.values()),
        "stuck": sum(item["status"] == "ACCEPTED" and item["location_id"] == MAPPED for item in at_amazon.values())
        + db.session.scalar(
            select(func.count())
            .select_from(Order)
            .where(
                Order.store_id == store_id,
                (Order.acknowledgement == Acknowledgement.PENDING)
                | ((Order.acknowledgement == Acknowledgement.NOT_YET) & (Order.state != OrderState.ON_HOLD))
                | (Order.acknowledgement == Acknowledgement.REFUSED),
            )
        )
        + db.session.scalar(
            select(func.count())
            .select_from(SyncRun)
            .where(SyncRun.store_id == store_id, SyncRun.sync == Sync.ORDER_PULL, SyncRun.state.in_(OPEN))
        ),
    }


def all_shipments(sandbox: Running) -> list[dict]:
    """Return the summary of every shipment of the seller."""
    found: list[dict] = []
    while page := sandbox.control.shipments(seller_id=SELLER, limit=2_000, offset=len(found)):
        found += page
    return found


def assert_all_is_well(store: Store, sandbox: Running) -> str:
    """Fail unless nothing is lost, doubled or stuck; return the figures in words."""
    found = problems(store, sandbox)
    assert not any(found.values()), found
    return ", ".join(f"{n} {what}" for what, n in found.items())

"""Comparisons of a store with Amazon done as a worker does them, at a time when nothing is in flight any more."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import Difference, DifferenceKind, Order, OrderState, RunState, Store, Sync, SyncRun
from flexdash.services import reconciling
from tests import factories
from tests.support.pulls import MAPPED, SELLER, row


@contextmanager
def later(by: timedelta) -> Iterator[None]:
    """Let FlexDash's clock be ahead by so much."""
    real = clock.now
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: real() + by)
        yield


def compare(store: Store, *, after: timedelta = timedelta(hours=12)) -> SyncRun:
    """Compare the store with Amazon, `after` everything so far, and return the run as it ended."""
    db.session.rollback()
    run_id = factories.make_run(
        db.session.get(Store, store.id), RunState.QUEUED, sync=Sync.RECONCILE, trigger="manual"
    ).id
    with later(after):
        return attempt(run_id)


def attempt(run_id: int) -> SyncRun:
    """Do one attempt at the run, now, and return it."""
    runner.execute(run_id, reconciling.reconcile)
    return row(run_id)


def open_ones(store: Store) -> dict[tuple[DifferenceKind, str], tuple[str, str]]:
    """The open differences of the store: here and there, by kind and subject."""
    db.session.rollback()
    query = select(Difference.kind, Difference.subject, Difference.here, Difference.there)
    query = query.where(Difference.store_id == store.id, Difference.closed_at.is_(None)).order_by(Difference.id)
    return {(kind, subject): (here, there) for kind, subject, here, there in db.session.execute(query)}


def make_shipments(sandbox: Running, n: int = 1, **values: object) -> list[str]:
    """Make shipments at the sandbox for the mapped hub; their ids."""
    return sandbox.control.create_orders(n, **{"location_id": MAPPED, "seller_id": SELLER, **values})


def set_state(shipment_id: str, state: OrderState) -> None:
    """Let somebody have worked the order."""
    db.session.rollback()
    db.session.execute(update(Order).where(Order.amazon_shipment_id == shipment_id).values(state=state))
    db.session.commit()

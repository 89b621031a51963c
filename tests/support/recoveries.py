"""Recoveries done as a worker does them, and what became of their ids."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import runner
from flexdash.models import Recovery, RecoveryItem, RecoveryOutcome, RunState, Store, SyncRun
from flexdash.services import amazon_access, recovering, recovery
from flexdash.services.actors import Actor

ZONE = ZoneInfo("Asia/Kolkata")
DAY_MINUTES = 24 * 60


class Died(BaseException):
    """The worker is killed here: nothing is committed, and nothing is said of it."""


def lift_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client start fast: how it waits is what tests/amazon is about."""
    real = amazon_access.amazon_settings
    monkeypatch.setattr(amazon_access, "amazon_settings", lambda: replace(real(), shipments_rps=500))


def recover_ids(actor: Actor, store: Store, *ids: str) -> Recovery:
    """Recover these ids as a worker does, and return the recovery."""
    return done(recovery.request_ids(actor, store.id, "\n".join(ids)))


def recover_days(actor: Actor, store: Store, first: date, last: date) -> Recovery:
    """Recover these days as a worker does, and return the recovery."""
    return done(recovery.request_days(actor, store.id, first, last, ZONE))


def done(asked: Recovery) -> Recovery:
    """Do an attempt at the recovery's run, and return the recovery as it is then."""
    recovery_id, run_id = asked.id, asked.run_id
    runner.execute(run_id, recovering.recover)
    db.session.rollback()
    return db.session.get(Recovery, recovery_id, populate_existing=True)


def outcomes(asked: Recovery) -> dict[str, RecoveryOutcome | None]:
    """What became of each id."""
    db.session.rollback()
    query = select(RecoveryItem.amazon_id, RecoveryItem.outcome).where(RecoveryItem.recovery_id == asked.id)
    return dict(db.session.execute(query.order_by(RecoveryItem.id)).all())


def sentence_of(asked: Recovery, amazon_id: str) -> str:
    """What is said of one id."""
    query = select(RecoveryItem.sentence).where(
        RecoveryItem.recovery_id == asked.id, RecoveryItem.amazon_id == amazon_id
    )
    return db.session.scalars(query).one()


def order_id_of(sandbox: Running, shipment_id: str) -> str:
    """The Amazon order that a shipment of the sandbox belongs to."""
    return sandbox.control.shipment(shipment_id)["body"]["shipmentInfo"]["buyerOrderId"]


def today() -> date:
    """The present day in ZONE."""
    return clock.now().astimezone(ZONE).date()


@contextmanager
def killed_in(module: ModuleType, name: str, at: int) -> Iterator[None]:
    """Kill the worker in the call number `at` of a function, inside its transaction."""
    real, n_calls = getattr(module, name), []

    def die(*arguments, **named):
        n_calls.append(1)
        if len(n_calls) == at:
            raise Died
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, die)
        yield


def take_up(asked: Recovery) -> None:
    """Do what the tick does once a dead worker has been silent for too long."""
    db.session.rollback()
    db.session.execute(
        update(SyncRun).where(SyncRun.id == asked.run_id).values(state=RunState.QUEUED, attempt_token="")
    )
    db.session.commit()

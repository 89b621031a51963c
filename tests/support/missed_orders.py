"""An order that is missed: a store of the sandbox's seller, and how its runs of Order Sync come about."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from time_machine import TimeMachineFixture

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.jobs import dispatch
from flexdash.models import Hub, Order, Role, Store, Sync, SyncRun
from flexdash.services.actors import Actor
from flexdash.services.diagnosis.checks import Diagnosis
from flexdash.services.diagnosis.common import Parts
from flexdash.services.diagnosis.order_missing import why_missing
from tests import factories
from tests.support.diagnoses import AT_WORK
from tests.support.pulls import MAPPED, SELLER, do_attempt, do_run, make_pulled_store
from tests.support.schedules import scheduled

UNKNOWN_ID = "SBNOSUCH1"


@dataclass
class Scene:
    """A store of the sandbox's seller, an admin of it, and somebody who asks why an order is not here."""

    sandbox: Running
    store: Store
    admin: Actor
    asker: Actor
    time_machine: TimeMachineFixture

    @property
    def hub(self) -> Hub:
        """The one hub, which MAPPED leads to."""
        return db.session.scalars(select(Hub).where(Hub.workspace_id == self.store.workspace_id)).one()

    def make(self, **values) -> str:
        """Make a shipment on Amazon and return its id."""
        values = {"location_id": MAPPED, "seller_id": SELLER, **values}
        return self.sandbox.control.create_orders(1, **values)[0]

    def why(self, text: str, *, store: Store | None = None, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask why the order is not here."""
        return why_missing(self.asker, text, store_id=store.id if store else None, parts=parts)

    def begin_run(self) -> int:
        """Let a tick begin the run of Order Sync that is due, and return its id; it stands in its queue."""
        with scheduled(Sync.ORDER_PULL):
            dispatch.dispatch()
        query = select(SyncRun.id).where(SyncRun.store_id == self.store.id).order_by(SyncRun.id.desc())
        run_id = db.session.scalars(query).first()
        db.session.rollback()
        return run_id

    def do_due_run(self) -> SyncRun:
        """Let a tick begin the run of Order Sync that is due, and do it as a worker does."""
        return do_attempt(self.begin_run())

    def brought_in(self, **values) -> Order:
        """Make a shipment on Amazon and return the order that a run makes of it."""
        shipment_id = self.make(**values)
        do_run(self.store)
        return db.session.scalars(select(Order).where(Order.amazon_shipment_id == shipment_id)).one()

    def later(self, **time: float) -> None:
        """Let so much time go by in which nothing of FlexDash runs."""
        self.time_machine.move_to(clock.now() + timedelta(**time))


def make_scene(sandbox: Running, time_machine: TimeMachineFixture, **values) -> Scene:
    """Return the scene, in which no run has been yet; `values` are the store's."""
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store", **values)
    workspace = store.seller.workspace
    admin, asker = (factories.make_actor(factories.make_user(workspace, role)) for role in (Role.ADMIN, Role.SUPPORT))
    return Scene(sandbox, store, admin, asker, time_machine)

"""Orders that were worked, or cancelled, here: a store of the sandbox's seller, and who works and who asks."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from time_machine import TimeMachineFixture

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.models import Listing, Order, Role, Store
from flexdash.services import store_settings
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import cancellation, order_open
from flexdash.services.diagnosis.checks import Diagnosis
from flexdash.services.diagnosis.common import Parts
from flexdash.services.order_states import Event
from flexdash.services.order_work import cancelling, moves, step_rows
from flexdash.services.order_work.cancelling import Reason
from flexdash.services.store_settings import Toggle
from tests import factories
from tests.support.diagnoses import AT_WORK
from tests.support.order_steps import do_steps, pulled
from tests.support.pulls import make_pulled_store


@dataclass
class Scene:
    """A store of the sandbox's seller, a merchant who works its orders, and support, who asks."""

    sandbox: Running
    store: Store
    asha: Actor
    asker: Actor
    time_machine: TimeMachineFixture

    def pulled(self, **fields) -> Order:
        """An order that came in by a pull."""
        return pulled(self.store, self.sandbox, **fields)

    def cancelled(self) -> Order:
        """An order that came in, and that Asha cancelled."""
        order = self.pulled()
        cancelling.cancel(self.asha, order.id, Reason.OUT_OF_STOCK)
        return order

    def worked(self, *events: Event) -> Order:
        """An order that came in and was worked this far here."""
        order = self.pulled()
        for event in events:
            moves.move(self.asha, order.id, event)
        return order

    def do_steps(self) -> None:
        """Do what is due at Amazon for the orders."""
        do_steps(self.store)

    def try_again(self, order: Order, times: int = 1) -> None:
        """Try what is to be done at Amazon for the order so many times more, each once its pause is over."""
        for _ in range(times):
            due = [step.not_before for step in step_rows.of_order(order) if step.not_before is not None]
            self.time_machine.move_to(max([clock.now(), *due]))
            self.do_steps()

    def later(self, **time: float) -> None:
        """Let so much time go by in which nothing of FlexDash runs."""
        self.time_machine.move_to(clock.now() + timedelta(**time))

    def set_toggle(self, turn_on: bool) -> None:
        """Let Asha set Automated Order Cancellation as its page does."""
        db.session.refresh(self.store)
        version = self.store.settings_version
        toggle = Toggle.AUTOMATED_CANCELLATION
        store_settings.set_toggle(self.asha, self.store.id, toggle, turn_on=turn_on, version=version)

    def why_not_sent(self, order: Order, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask about its cancellation."""
        return cancellation.why_not_sent(self.asker, order.amazon_order_id, parts=parts)

    def why_open(self, order: Order, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask why it is not completed on Amazon."""
        return order_open.why_open(self.asker, order.amazon_shipment_id, parts=parts)


State = Callable[[Scene], Order]  # puts the scene into a state and returns the order that is asked about


def make_scene(sandbox: Running, time_machine: TimeMachineFixture, *, tells_amazon: bool = True) -> Scene:
    """Return the scene; the catalog knows the size of what is sold. `tells_amazon`: of cancellations, by the toggle."""
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store", is_automated_cancellation_on=tells_amazon)
    db.session.execute(db.update(Listing).values(length_cm=20, width_cm=15, height_cm=db.text("'4.5'"), weight_g=180))
    db.session.commit()
    roles = ((Role.MERCHANT, "Asha"), (Role.SUPPORT, "Sam"))
    people = (factories.make_user(store.seller.workspace, role, name=name) for role, name in roles)
    asha, asker = map(factories.make_actor, people)
    return Scene(sandbox, store, asha, asker, time_machine)

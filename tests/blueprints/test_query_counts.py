"""Pages with lists ask the database as often for many rows as for few: none asks once more for each row."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import time_machine

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    AlarmKind,
    DifferenceKind,
    Hub,
    ItemFate,
    ItemOutcome,
    OrderEvent,
    QuarantinedShipment,
    RecoveryOutcome,
    Role,
    RunState,
    Section,
    Store,
    Sync,
    SyncAttempt,
    SyncRun,
    User,
)
from flexdash.services import config_log, run_sheets
from flexdash.services.run_sheets import Item
from tests.factories import (
    make_actor,
    make_alarm,
    make_alarm_message,
    make_batch,
    make_call,
    make_config_event,
    make_conflict,
    make_difference,
    make_hub,
    make_mapping,
    make_order,
    make_recovery,
    make_run,
    make_run_item,
    make_seller,
    make_step,
    make_store,
    make_upload,
    make_user,
)
from tests.support.statements import statements

FEW, MANY = 2, 12


@dataclass
class Scene:
    """Where the rows are put: the second store's seller is another one, so that each row has names of its own."""

    person: User
    store: Store
    hub: Hub
    run: SyncRun
    n: int = 0

    def another_store(self) -> Store:
        """Return a new store of a new seller."""
        return make_store(make_seller(self.person.workspace), name=f"Store {self.n}")

    def another_person(self) -> User:
        """Return somebody new."""
        return make_user(self.person.workspace)


def an_order(scene: Scene, state: str = "Picked", **values):
    hub = make_hub(scene.person.workspace)
    return make_order(scene.another_store(), state, hub=hub, **values)


def an_upload(scene: Scene) -> None:
    store = scene.another_store()
    make_upload(store, uploaded_by_name=f"Person {scene.n}")
    make_upload(store.seller, kind="stock")


def a_conflict(scene: Scene) -> None:
    make_conflict(an_order(scene))


def a_quarantined_shipment(scene: Scene) -> None:
    store = scene.another_store()
    make_order(store, amazon_shipment_id=f"SB{scene.n:07d}")
    db.session.add(
        QuarantinedShipment(
            workspace_id=store.workspace_id,
            store_id=store.id,
            run_id=make_run(store).id,
            amazon_shipment_id=f"SB{scene.n:07d}",
            error_sentence="It could not be read.",
            payload_encrypted=vault.encrypt("{}"),
        )
    )
    db.session.commit()


def a_step_to_fix(scene: Scene) -> None:
    make_step(an_order(scene), "labels", "failed", error_sentence="Amazon said no.")


def an_invoice(scene: Scene) -> None:
    an_order(scene, is_invoice_waiting=True)


def a_batch(scene: Scene) -> None:
    make_batch(an_order(scene), scene.another_person())


def of_the_run(scene: Scene) -> None:
    """What the page of a run shows: attempts, calls, items left out, outcomes, orders it brought in, and quarantine."""
    order = make_order(scene.store, "New Order", amazon_shipment_id=f"SB{scene.n:07d}", amazon_order_id="403-1-1")
    own = {"workspace_id": scene.store.workspace_id, "store_id": scene.store.id}
    db.session.add_all(
        [
            OrderEvent(order_id=order.id, kind="imported", sentence="It came in.", run_id=scene.run.id),
            SyncAttempt(run_id=scene.run.id, attempt_token=f"t{scene.n}"),
            QuarantinedShipment(
                **own,
                run_id=scene.run.id,
                amazon_shipment_id=f"QB{scene.n:07d}",
                error_sentence="It could not be read.",
                payload_encrypted=vault.encrypt("{}"),
            ),
        ]
    )
    db.session.commit()
    make_call(scene.store, run_id=scene.run.id, amazon_shipment_id=order.amazon_shipment_id)
    make_run_item(scene.run, ItemOutcome.REFUSED, sku_code=f"SKU-{scene.n}", n_items=1)
    with transaction():
        run_sheets.keep(scene.run.id, [Item(ItemFate.CREATED, order.amazon_shipment_id)])


def an_alarm(scene: Scene) -> None:
    make_alarm(scene.another_store(), AlarmKind.ORDER_SYNC_STALE)
    make_alarm(scene.another_store(), AlarmKind.CONFLICTS, cleared_at=clock.now())


def a_message(scene: Scene) -> None:
    make_alarm_message(scene.person.workspace)


def a_difference(scene: Scene) -> None:
    order = make_order(scene.store)
    make_difference(scene.store, DifferenceKind.STATE_DIFFERS, order_id=order.id, here=order.state)


def a_recovery(scene: Scene) -> None:
    make_recovery(scene.store, {f"SB{scene.n:07d}": RecoveryOutcome.MISSING})


def a_hub(scene: Scene) -> None:
    hub = make_hub(scene.person.workspace)
    make_mapping(scene.store, hub)
    make_order(scene.store, "On Hold", seller_flex_hub_id=f"U{scene.n:03d}")


def a_store_of_the_seller(scene: Scene) -> None:
    make_store(scene.store.seller)


def a_revert_of_the_row(scene: Scene) -> None:
    """Rows beside the first one of the log, and runs around it."""
    make_config_event(scene.store)
    make_run(scene.store)


PAGES: dict[str, tuple[Callable[[Scene], None], str]] = {
    "uploads": (an_upload, "/uploads"),
    "conflicts": (a_conflict, "/orders/conflicts"),
    "quarantine": (a_quarantined_shipment, "/orders/quarantine"),
    "shipments to fix": (a_step_to_fix, "/orders/to-fix"),
    "invoices": (an_invoice, "/orders/invoices"),
    "batches": (a_batch, "/orders/batches"),
    "a run": (of_the_run, "/sync-runs/{run}"),
    "items of a run": (of_the_run, "/sync-runs/{run}/items"),
    "outcomes of a run": (of_the_run, "/sync-runs/{run}/outcomes"),
    "a search inside a run": (of_the_run, "/sync-runs/{run}/search?q=403-1-1"),
    "alarms": (an_alarm, "/alarms"),
    "past alarms": (an_alarm, "/alarms?show=past"),
    "messages": (a_message, "/alarms/messages"),
    "a row of the log": (a_revert_of_the_row, "/configuration-log/{event}"),
    "help": (an_alarm, "/help"),
    "a question of help": (an_alarm, "/help/order-missing"),
    "differences": (a_difference, "/stores/{store}/reconcile"),
    "recoveries": (a_recovery, "/stores/{store}/recover"),
    "hub mapping": (a_hub, "/stores/{store}/hubs"),
    "a seller": (a_store_of_the_seller, "/admin/sellers/{seller}"),
}


@pytest.mark.parametrize(("add", "path"), PAGES.values(), ids=PAGES)
def test_the_number_of_queries_does_not_grow_with_the_rows(workspace, signed_in, add, path) -> None:
    # The clock stands, so that no visit is noted between the two looks.
    with time_machine.travel(clock.now(), tick=False):
        person = make_user(workspace, Role.ADMIN)
        store = make_store(make_seller(workspace), is_order_sync_on=True)
        scene = Scene(person, store, make_hub(workspace), make_run(store, RunState.PARTIAL, sync=Sync.ORDER_PULL))
        with transaction():
            new = {"is_order_sync_on": True}
            event = config_log.record(
                make_actor(person), Section.SETTINGS, "on", store=store, old={"is_order_sync_on": False}, new=new
            )
        address = path.format(run=scene.run.id, store=store.id, event=event.id, seller=store.seller_id)
        browser = signed_in(person)

        def look() -> tuple[int, int]:
            with statements() as sent:
                answer = browser.get(address)
            assert answer.status_code == 200
            return len(sent), len(answer.text)

        for _ in range(FEW):
            scene.n += 1
            add(scene)
        look()  # what is looked up once for a process
        n_few, length = look()
        for _ in range(MANY - FEW):
            scene.n += 1
            add(scene)
        n_many, longer = look()
    assert n_many == n_few
    assert longer > length or "/help" in path, "the rows are not on the page"

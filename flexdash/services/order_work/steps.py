"""Doing at Amazon what orders being worked need there: several orders at a time, each one step after the other."""

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from sqlalchemy import select

from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, AppCredentialsRefused, AuthorizationRefused, TokenRefused
from flexdash.amazon.shipment_reader import Shipment
from flexdash.database import release_connection, transaction
from flexdash.extensions import db
from flexdash.logs import with_present_ids
from flexdash.models import (
    Order,
    OrderStep,
    RunState,
    StepKind,
    StepState,
    Store,
    StoreStatus,
    Sync,
    SyncRun,
    SyncState,
    Trigger,
)
from flexdash.services import access, order_holds, run_sheets, sync_schedule
from flexdash.services.actors import Actor
from flexdash.services.amazon_access import CallLog, open_amazon, store_at_amazon
from flexdash.services.errors import NotVisible
from flexdash.services.order_work import at_amazon, packing, results, step_rows, tasks, transitions
from flexdash.services.order_work.attempts import Ended, Result, attempt
from flexdash.services.order_work.moves import MoveRefused, check_may_work
from flexdash.services.order_work.overview import WORKED
from flexdash.services.run_context import RunContext

IN_FLIGHT = 8  # enough to use Amazon's whole allowance while answers take their time


def work(run: RunContext) -> None:
    """Do every step of the store whose turn has come, until none is left.

    Each answer is written before the order's next step begins. A step that gets no answer waits for longer each time;
    when several in a row get none, the run is given up with the last AmazonError. Raises StoreNotConnected and
    RunInterrupted; what was under way is waited for and written first.
    """
    store = store_at_amazon(run.store_id)
    calls = CallLog(store, run.run_id)
    with open_amazon(store, calls) as client:
        _do_all(run, client, calls)


def _do_all(run: RunContext, client: AmazonClient, calls: CallLog) -> None:
    under_way: dict[Future[Result], int] = {}
    known: dict[int, Shipment] = {}
    n_unanswered = 0
    lost: AmazonError | None = None
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="order-steps") as pool:
        while True:
            if lost is None and not run.should_stop() and len(under_way) < IN_FLIGHT:
                due = tasks.next_due(run.store_id, tuple(under_way.values()), IN_FLIGHT - len(under_way), known)
                release_connection()
                for task in due:
                    under_way[pool.submit(with_present_ids(attempt), client, task)] = task.order_id
            if not under_way:
                break
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            found = [future.result() for future in done]
            for future in done:
                del under_way[future]
            _write_all(run, found, calls)
            for result in found:
                known.pop(result.task.order_id, None)
                if result.shipment is not None and result.ended in (Ended.DONE, Ended.NOT_NEEDED):
                    known[result.task.order_id] = result.shipment
                n_unanswered = n_unanswered + 1 if result.error is not None else 0
                if _ends_the_run(result.error) or n_unanswered >= IN_FLIGHT:
                    lost = result.error
    if lost is not None:
        raise lost
    run.stop_here()


def _ends_the_run(error: AmazonError | None) -> bool:
    """Say whether Amazon lets nobody in: no other step would fare better, and none is to blame."""
    return isinstance(error, AuthorizationRefused | AppCredentialsRefused | TokenRefused)


def _write_all(run: RunContext, found: Sequence[Result], calls: CallLog) -> None:
    """Write the results, orders in the order of their ids, and let go the orders On Hold that may go by them: an order
    gave stock back, or one of them is not cancelled after all."""
    written, items = [], []
    with transaction():
        desk = at_amazon.desk_of(run.store_id, run.run_id)
        for result in sorted(found, key=lambda result: result.task.order_id):
            if not _ends_the_run(result.error):
                state = results.write(result, run_id=run.run_id, desk=desk)
                written.append(state)
                items.append(results.item_of(result, state))
        desk.settle()
        db.session.flush()
        desk.write()
        run_sheets.keep(run.run_id, items, run.store_id, calls.request_ids())
        calls.write()
        n_again = sum(result.ended in (Ended.NO_ANSWER, Ended.TRY_AGAIN) for result in found)
        run.check_in(
            progress="Preparing shipments at Amazon.",
            n_fetched=len(found),
            n_updated=written.count(StepState.DONE),
            n_failed=written.count(StepState.FAILED) + n_again,
        )
    has_refused = any(result.task.kind is StepKind.CANCEL and result.ended is Ended.FAILED for result in found)
    if desk.has_freed_stock or has_refused:
        order_holds.release_for_seller(desk.seller_id, run_id=run.run_id)


def request(actor: Actor, order_id: int) -> int | None:
    """Make a run that does the steps of the order's store now, and return its id; the caller enqueues it.

    None when no step's turn has come, when a run is under way, which then does it, or when the store is not connected.
    """
    store_id = access.get(actor, Order, order_id).store_id
    with transaction() as session:
        store = session.get_one(Store, store_id)
        if store.status is not StoreStatus.CONNECTED:
            return None
        if not session.scalar(select(step_rows.has_work()).select_from(Store).where(Store.id == store_id)):
            return None
        sync_schedule.ensure_state(store.workspace_id, store.id, Sync.ORDER_STEPS)
        # Held until the commit, so that the clock and a second click wait for this one.
        of_store = (SyncState.store_id == store.id, SyncState.sync == Sync.ORDER_STEPS)
        session.execute(select(SyncState.id).where(*of_store).with_for_update())
        is_open = select(SyncRun.id).where(
            SyncRun.store_id == store.id,
            SyncRun.sync == Sync.ORDER_STEPS,
            SyncRun.state.in_((RunState.QUEUED, RunState.RUNNING)),
        )
        if session.scalars(is_open).first() is not None:
            return None
        run = SyncRun(
            workspace_id=store.workspace_id,
            store_id=store.id,
            sync=Sync.ORDER_STEPS,
            trigger=Trigger.MANUAL,
            requested_by_id=actor.user_id,
        )
        session.add(run)
        session.flush()
        return run.id


def retry(actor: Actor, order_id: int, step_id: int) -> Order:
    """Put a step that failed, or waits for its next try, back in line at once; one that is done stays done.

    Raises NotVisible and NotAllowed.
    """
    check_may_work(actor)
    with transaction():
        order = access.get(actor, Order, order_id, lock=True)
        step = access.get(actor, OrderStep, step_id)
        if step.order_id != order.id:
            raise NotVisible("step")
        if step.kind is StepKind.CANCEL and step.state is not StepState.WAITING:
            return order  # a refused cancellation is asked for anew, with a reason
        if step.state is StepState.WAITING:
            step.not_before = None
        elif step.state is StepState.FAILED:
            step_rows.begin_again(step, asked_by=actor.name)
            if step.kind is StepKind.LABELS:
                _begin_before_labels_again(order, actor.name)
        return order


def _begin_before_labels_again(order: Order, asked_by: str) -> None:
    """Ask anew for what labels may be refused without: an invoice that was passed over, ways of shipping that ended."""
    for step in step_rows.of_order(order):
        if step.kind is StepKind.INVOICE and step.detail.get("is_settled_by_hand"):
            step.detail = {}
            step_rows.begin_again(step, asked_by=asked_by)
        elif step.kind is StepKind.SHIPPING_OPTION and step.detail.get("options"):
            step.detail = {}
            for package in packing.of_order(order):
                package.shipping_option_id = ""
            step_rows.begin_again(step, asked_by=asked_by)


def begin(actor: Actor, order_id: int) -> Order:
    """Fetch the shipment details of an order that is worked in Amazon's own tool: its packages, invoice and labels.

    One that has steps already stays as it is. Raises NotVisible, NotAllowed and MoveRefused.
    """
    check_may_work(actor)
    with transaction():
        order = access.get(actor, Order, order_id, lock=True)
        if order.state not in WORKED:
            raise MoveRefused(
                f"This order is {order.state.after_is}: shipment details are fetched while it is being worked."
            )
        if not transitions.has_steps(order):
            packing.make_default(order)
            step_rows.make(order, transitions.SHIPMENT_STEPS, asked_by=actor.name)
        return order

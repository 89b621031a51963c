"""Telling Amazon that an order was taken in: after the commit, at Amazon's pace, and safe to repeat."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice

from sqlalchemy import select

from flexdash import clock
from flexdash.amazon.client import AmazonClient
from flexdash.amazon.errors import AmazonError, NotFound, RequestRefused, StateConflict, UnreadableShipment
from flexdash.amazon.shipment_reader import Shipment, read_shipment
from flexdash.database import release_connection, transaction
from flexdash.extensions import db, settings
from flexdash.logs import with_present_ids
from flexdash.models import Acknowledgement, ItemFate, Order, OrderCancellation, OrderEvent, Store
from flexdash.services import access, order_changes, order_holds, run_sheets
from flexdash.services.actors import Actor, Permission
from flexdash.services.amazon_access import CallLog
from flexdash.services.errors import NotAllowed, ServiceError
from flexdash.services.order_stock import StockDesk
from flexdash.services.run_context import RunContext
from flexdash.services.words import after_refusals

IN_FLIGHT = 8  # enough to use Amazon's whole allowance while answers take their time
BATCH = 24  # answers per transaction: what a killed worker may have told Amazon without our knowing (read again then)
SHARE_OF_INTERVAL = 0.8  # the rest waits for the next run, so that the next pull is on time


@dataclass(frozen=True)
class Answer:
    """What Amazon said to one CONFIRM. Without `shipment` and `refusal` it said yes."""

    order_id: int
    shipment: Shipment | None = None  # its present state, read again after a conflict
    refusal: str = ""
    error: AmazonError | None = None  # no answer that counts: the order stays to be acknowledged
    shipment_id: str = ""  # Amazon's


def acknowledge_pending(run: RunContext, client: AmazonClient, calls: CallLog) -> None:
    """Acknowledge every order of the store that waits for it, oldest first.

    A few calls are always under way, without a database connection, while the answers so far are written together.
    An answer lost on the way is harmless: the next CONFIRM meets 409, and Amazon's present state is read and taken
    over. An order that gets no answer waits for the next run and counts as failed; when several get none, or none
    gets one, the AmazonError is raised. Raises HandBack when the worker is asked to stop. Either way the calls under
    way are waited for and what they achieved is committed first.
    """
    until = time.monotonic() + settings.order_pull_interval_minutes * 60 * SHARE_OF_INTERVAL
    waiting = _waiting(run)
    under_way: set[Future[Answer]] = set()
    answers: list[Answer] = []
    failures: list[AmazonError] = []
    n_answers = 0
    with ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="acknowledge") as pool:
        while True:
            if not _is_hopeless(failures) and not run.should_stop() and time.monotonic() < until:
                for order_id, shipment_id in islice(waiting, IN_FLIGHT - len(under_way)):
                    under_way.add(pool.submit(with_present_ids(_tell), client, order_id, shipment_id))
            if not under_way:
                break
            done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
            new = [call.result() for call in done]
            failures += [answer.error for answer in new if answer.error]
            n_answers += sum(answer.error is None for answer in new)
            answers += new
            if len(answers) >= BATCH:
                _write_all(run, answers, calls)
                answers = []
        _write_all(run, answers, calls)
    if failures and (n_answers == 0 or _is_hopeless(failures)):
        raise failures[-1]
    if failures:
        with transaction():
            run.check_in(n_failed=len(failures))
    run.stop_here()


def _is_hopeless(failures: Sequence[AmazonError]) -> bool:
    """Say whether to stop asking: Amazon is away or does not let us in, and not only one shipment is odd."""
    return len(failures) >= IN_FLIGHT or any(not failure.is_retryable for failure in failures)


def ask_again(actor: Actor, order_id: int) -> Order:
    """Put an order whose acknowledgement Amazon refused back in line; the next run tells Amazon.

    Raises NotVisible, NotAllowed, and ServiceError when Amazon did not refuse it.
    """
    if not actor.may(Permission.WORK_ORDERS):
        raise NotAllowed("Your role does not include working orders. Ask a merchant or an admin.")
    with transaction():
        order = access.get(actor, Order, order_id, lock=True)
        if order.acknowledgement is not Acknowledgement.REFUSED:
            raise ServiceError(
                "Amazon did not refuse the acknowledgement of this order, so there is nothing to repeat."
            )
        order.acknowledgement, order.acknowledgement_message = Acknowledgement.PENDING, ""
        sentence = f"{actor.name} asked for the acknowledgement to be sent again."
        db.session.add(OrderEvent(order_id=order.id, kind="changed", sentence=sentence, actor_name=actor.name))
        return order


def _waiting(run: RunContext) -> Iterator[tuple[int, str]]:
    """Yield id and shipment id of the orders to acknowledge; the connection is given back before each wait.

    Not those being cancelled: Amazon may take no cancellation of what is confirmed. Few are read at a time, so that one
    that a person cancels meanwhile is left out too.
    """
    last_id = 0
    while True:
        query = (
            select(Order.id, Order.amazon_shipment_id)
            .where(
                Order.store_id == run.store_id,
                Order.acknowledgement == Acknowledgement.PENDING,
                Order.cancellation != OrderCancellation.CANCELLING,
                Order.id > last_id,
            )
            .order_by(Order.id)
            .limit(BATCH)
        )
        rows = [(order_id, shipment_id) for order_id, shipment_id in db.session.execute(query)]
        release_connection()
        if not rows:
            return
        last_id = rows[-1][0]
        yield from rows


def _write_all(run: RunContext, answers: Sequence[Answer], calls: CallLog) -> None:
    if not answers:
        return
    with transaction():
        # Orders are locked in the order of their ids, then stock, the run's row last, as everywhere: no circles.
        desk = _desk(run)
        in_order = sorted(answers, key=lambda answer: answer.order_id)
        written = [_write(run, answer, desk) for answer in in_order]
        desk.settle()
        desk.write()
        run_sheets.keep(run.run_id, map(_item, in_order, written), run.store_id, calls.request_ids())
        calls.write()
        run.check_in(
            progress="Acknowledging new orders to Amazon.",
            n_acknowledged=written.count(Acknowledgement.DONE),
            n_failed=written.count(Acknowledgement.REFUSED),
        )
    if desk.has_freed_stock:
        order_holds.release_for_seller(desk.seller_id, run_id=run.run_id)


def _item(answer: Answer, outcome: Acknowledgement | None) -> run_sheets.Item:
    if answer.error is not None:
        fate, words = ItemFate.NO_ANSWER, f"Not acknowledged: {answer.error.message}"
    elif outcome is Acknowledgement.REFUSED:
        fate, words = ItemFate.REFUSED, answer.refusal or "Amazon has it in a state that does not fit."
    elif outcome is Acknowledgement.DONE:
        fate, words = ItemFate.ACKNOWLEDGED, ""
    else:
        fate, words = ItemFate.UPDATED, "It needed no acknowledgement any more."
    return run_sheets.Item(fate, answer.shipment_id, words=words)


def _tell(client: AmazonClient, order_id: int, shipment_id: str) -> Answer:
    return replace(_confirm(client, order_id, shipment_id), shipment_id=shipment_id)


def _confirm(client: AmazonClient, order_id: int, shipment_id: str) -> Answer:
    try:
        client.shipments.confirm(shipment_id)
    except StateConflict:
        return _read_again(client, order_id, shipment_id)
    except NotFound:
        return Answer(order_id, refusal="Amazon does not know this shipment any more. Look it up in Seller Central.")
    except RequestRefused as error:
        return Answer(order_id, refusal=f"Amazon refused the acknowledgement: {after_refusals(error.message)}")
    except AmazonError as error:
        return Answer(order_id, error=error)
    return Answer(order_id)


def _read_again(client: AmazonClient, order_id: int, shipment_id: str) -> Answer:
    try:
        return Answer(order_id, shipment=read_shipment(client.shipments.get(shipment_id)))
    except UnreadableShipment as error:
        return Answer(order_id, refusal=f"Amazon has it in another state that FlexDash cannot read: {error.reason}")
    except AmazonError as error:
        return Answer(order_id, error=error)


def _desk(run: RunContext) -> StockDesk:
    seller_id = db.session.scalars(select(Store.seller_id).where(Store.id == run.store_id)).one()
    return StockDesk(workspace_id=run.workspace_id, seller_id=seller_id, run_id=run.run_id)


def _write(run: RunContext, answer: Answer, desk: StockDesk) -> Acknowledgement | None:
    """Write what Amazon answered; return what the order's acknowledgement became by it, None when nothing."""
    if answer.error is not None:
        return None
    order = db.session.get(Order, answer.order_id, with_for_update={"key_share": True}, populate_existing=True)
    if order is None or order.acknowledgement is not Acknowledgement.PENDING:
        return None  # decided meanwhile, by a cancellation for instance
    refusal = answer.refusal
    if answer.shipment is not None:
        order_changes.apply(order, answer.shipment, run_id=run.run_id, desk=desk)
        if order.acknowledgement is not Acknowledgement.PENDING:
            return order.acknowledgement
        refusal = f"Amazon answered that the state does not fit ({answer.shipment.status})."
    if not refusal:
        order.amazon_status, order.acknowledged_at = "CONFIRMED", clock.now()
    return _say(order, Acknowledgement.REFUSED if refusal else Acknowledgement.DONE, refusal, run)


def _say(order: Order, outcome: Acknowledgement, refusal: str, run: RunContext) -> Acknowledgement:
    order.acknowledgement, order.acknowledgement_message = outcome, refusal[:500]
    order.changed_at = clock.now()
    sentence = refusal or "Acknowledged to Amazon: it is Accepted (CONFIRMED) there."
    kind = "refused" if refusal else "acknowledged"
    db.session.add(OrderEvent(order_id=order.id, kind=kind, sentence=sentence[:500], run_id=run.run_id))
    return outcome

"""Moving orders on: people's steps and Amazon's news together, each with its times, stock and conflicts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from flexdash.amazon.shipment_reader import read_shipment
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import (
    Order,
    OrderCancellation,
    OrderConflict,
    OrderState,
    OrderStep,
    OrderStock,
    Role,
    StepKind,
    StepState,
    StockCause,
    StockMovement,
    Store,
)
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.order_import import OrderImporter
from flexdash.services.order_pages import read_page
from flexdash.services.order_states import HAS_LEFT, WAY, Event
from flexdash.services.order_work import at_amazon, cancelling, conflicts, counts, moves, transitions
from tests import factories
from tests.support.ledgers import stock_problems
from tests.support.shipments import cancelled, raw_shipment


@pytest.fixture
def store(app: Flask) -> Store:
    workspace = factories.make_workspace()
    store = factories.make_store(factories.make_seller(workspace))
    hub = factories.make_hub(workspace, name="Pune Warehouse")
    factories.make_mapping(store, hub, "EXSB")
    factories.make_sellable(store, hub, "TEE-BLK-M")
    return store


@pytest.fixture
def asha(store: Store) -> Actor:
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))


def pulled(store: Store, *raws: dict) -> Order:
    """Write the shipments as one page of a pull and return the last one's order."""
    importer = OrderImporter(workspace_id=store.workspace_id, store_id=store.id, run_id=None, vault=vault)
    page = read_page(raws, vault)
    with transaction():
        importer.write(page)
    db.session.rollback()
    return db.session.scalars(select(Order).where(Order.amazon_shipment_id == raws[-1]["id"])).one()


def at(raw: dict, status: str, minutes: int) -> dict:
    """Return `raw` as Amazon has it in a later status."""
    moment = datetime(2026, 11, 23, 9, tzinfo=UTC) + timedelta(minutes=minutes)
    return raw | {"status": status, "lastUpdatedDateTime": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def picked(asha: Actor, order: Order) -> Order:
    return moves.move(asha, order.id, Event.PICK)


def label_it(order: Order) -> None:
    """Let the shipment steps be done, as a worker would."""
    of_shipment = OrderStep.kind.in_(transitions.SHIPMENT_STEPS)
    db.session.execute(
        db.update(OrderStep).where(OrderStep.order_id == order.id, of_shipment).values(state=StepState.DONE)
    )
    db.session.commit()


def test_each_step_keeps_who_and_when(store: Store, asha: Actor) -> None:
    order = pulled(store, raw_shipment("D1"))
    picked(asha, order)
    assert (order.state, order.moved_by) == (OrderState.PICKED, "Asha")
    assert order.picked_at is not None
    label_it(order)
    for event, column in ((Event.PACK, "packed_at"), (Event.MAKE_READY, "ready_at"), (Event.SHIP, "shipped_at")):
        moves.move(asha, order.id, event)
        assert getattr(order, column) is not None
    moves.move(asha, order.id, Event.DELIVER)
    assert order.state is OrderState.DELIVERED
    said = [event.sentence for event in order.events if event.kind == "moved"]
    assert said == [
        "Asha picked it.",
        "Asha packed it.",
        "Asha made it ready to ship.",
        "Asha shipped it; Amazon is told.",
        "Asha marked it as delivered.",
    ]
    assert order.stock is OrderStock.DEDUCTED
    assert stock_problems() == []


def test_picking_puts_one_package_and_four_steps_in_line_once(store: Store, asha: Actor) -> None:
    order = pulled(store, raw_shipment("D1"))
    picked(asha, order)
    picked(asha, order)
    kinds = db.session.scalars(select(OrderStep.kind).order_by(OrderStep.id)).all()
    assert kinds == [StepKind.PACKAGES, StepKind.SHIPPING_OPTION, StepKind.INVOICE, StepKind.LABELS]
    assert [event.kind for event in order.events].count("moved") == 1


def test_what_cannot_be_is_refused_with_a_sentence_and_changes_nothing(store: Store, asha: Actor) -> None:
    order = pulled(store, raw_shipment("D1"))
    with pytest.raises(moves.MoveRefused, match="must be Packed before"):
        moves.move(asha, order.id, Event.MAKE_READY)
    assert (order.state, len(order.events)) == (OrderState.NEW, 1)


def test_nothing_is_handed_over_without_its_label(store: Store, asha: Actor) -> None:
    order = pulled(store, raw_shipment("D1"))
    picked(asha, order)
    moves.move(asha, order.id, Event.PACK)
    moves.move(asha, order.id, Event.MAKE_READY)
    with pytest.raises(moves.MoveRefused, match=r"no label of Amazon's yet.*beginning with “Packages”"):
        moves.move(asha, order.id, Event.SHIP)
    assert (order.state, order.stock) == (OrderState.READY_TO_SHIP, OrderStock.RESERVED)
    done = db.update(OrderStep).where(OrderStep.kind == StepKind.PACKAGES).values(state=StepState.DONE)
    db.session.execute(done)
    db.session.commit()
    with pytest.raises(moves.MoveRefused, match="beginning with “Shipping option”"):  # as the order's page has it
        moves.move(asha, order.id, Event.SHIP)


def test_support_and_strangers_move_nothing(store: Store) -> None:
    order = pulled(store, raw_shipment("D1"))
    support = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    with pytest.raises(NotAllowed):
        moves.move(support, order.id, Event.PICK)
    stranger = factories.make_actor(factories.make_user(factories.make_workspace(), Role.ADMIN))
    with pytest.raises(NotVisible):
        moves.move(stranger, order.id, Event.PICK)


# Amazon's progress ----------------------------------------------------------------------------------------------------


def test_work_in_amazons_own_tool_moves_an_order_that_nobody_works_here(store: Store) -> None:
    raw = raw_shipment("D1")
    pulled(store, raw)
    order = pulled(store, at(raw, "PACKAGE_CREATED", 10))
    assert (order.state, order.moved_by) == (OrderState.PICKED, "Amazon")
    order = pulled(store, at(raw, "SHIPLABEL_GENERATED", 20))
    assert order.state is OrderState.PACKED
    order = pulled(store, at(raw, "SHIPPED", 30))
    assert (order.state, order.stock) == (OrderState.SHIPPED, OrderStock.DEDUCTED)
    assert order.shipped_at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert stock_problems() == []


def test_the_echo_of_our_own_steps_does_not_move_an_order_that_is_still_packed_here(store: Store, asha: Actor) -> None:
    raw = raw_shipment("D1")
    order = pulled(store, raw)
    picked(asha, order)
    order = pulled(store, at(raw, "SHIPLABEL_GENERATED", 20))
    assert (order.state, order.moved_by, order.amazon_status) == (OrderState.PICKED, "Asha", "SHIPLABEL_GENERATED")


def test_shipped_on_amazon_ends_what_was_to_do_and_takes_stock_once(store: Store, asha: Actor) -> None:
    raw = raw_shipment("D1")
    order = pulled(store, raw)
    picked(asha, order)
    order = pulled(store, at(raw, "SHIPPED", 20))
    order = pulled(store, at(raw, "DELIVERED", 30))
    assert (order.state, order.moved_by) == (OrderState.DELIVERED, "Amazon")
    assert set(db.session.scalars(select(OrderStep.state))) == {StepState.NOT_NEEDED}
    shipped = select(StockMovement).where(StockMovement.cause == StockCause.SHIPMENT)
    assert len(db.session.scalars(shipped).all()) == 1
    assert stock_problems() == []


def test_a_buyers_cancellation_while_the_hub_packs_stops_the_work(store: Store, asha: Actor) -> None:
    raw = raw_shipment("D1")
    order = pulled(store, raw)
    picked(asha, order)
    moves.move(asha, order.id, Event.PACK)
    order = pulled(store, cancelled(raw))
    assert (order.state, order.stock) == (OrderState.CANCELLED, OrderStock.NONE)
    assert order.events[-1].sentence.endswith("It was being worked: stop, and put the goods back.")
    assert set(db.session.scalars(select(OrderStep.state))) == {StepState.NOT_NEEDED}
    with pytest.raises(moves.MoveRefused, match="Put the goods back"):
        moves.move(asha, order.id, Event.MAKE_READY)
    assert stock_problems() == []


# Conflicts ------------------------------------------------------------------------------------------------------------


def shipped_and_cancelled(store: Store) -> Order:
    raw = raw_shipment()
    pulled(store, at(raw, "SHIPPED", 10))
    return pulled(store, cancelled(raw))


def test_a_conflict_is_kept_until_a_person_closes_it_with_a_note(store: Store, asha: Actor) -> None:
    order = shipped_and_cancelled(store)
    assert (order.state, order.has_conflict, counts.of_actor(asha).n_conflicts) == (OrderState.SHIPPED, True, 1)
    [conflict] = conflicts.of_order(order)
    assert conflict.sentence == "Amazon cancelled it, but here it is Shipped already."

    with pytest.raises(FieldRefused, match="Say how it was settled"):
        conflicts.close(asha, conflict.id, "  ")
    conflicts.close(asha, conflict.id, "The carrier brings it back.")
    conflicts.close(asha, conflict.id, "A second click")

    assert (order.has_conflict, counts.of_actor(asha).n_conflicts) == (False, 0)
    assert (conflict.closed_by_name, conflict.note) == ("Asha", "The carrier brings it back.")
    assert order.events[-1].sentence == "Asha closed the conflict: The carrier brings it back."


def test_a_closed_conflict_does_not_come_back_with_amazons_next_word(store: Store, asha: Actor) -> None:
    raw = raw_shipment("D1")
    pulled(store, at(raw, "SHIPPED", 10))
    order = pulled(store, cancelled(raw))
    conflicts.close(asha, conflicts.of_order(order)[0].id, "Settled.")
    order = pulled(store, cancelled(raw, minutes=90) | {"subStatus": "DAMAGED"})
    assert order.has_conflict is False
    assert len(conflicts.of_order(order)) == 1


def test_amazon_shipping_what_was_cancelled_here_is_a_conflict(store: Store, asha: Actor) -> None:
    raw = raw_shipment("D1")
    order = pulled(store, raw)
    cancelling.cancel(asha, order.id, cancelling.Reason.OUT_OF_STOCK)
    order = pulled(store, at(raw, "SHIPPED", 30))
    assert (order.state, order.has_conflict) == (OrderState.CANCELLED, True)
    assert conflicts.of_order(order)[0].sentence == "It is Cancelled here, but Amazon moved it on to Shipped."


def test_a_merchant_limited_to_another_seller_sees_no_conflict(store: Store) -> None:
    order = shipped_and_cancelled(store)
    other = factories.make_seller(store.seller.workspace)
    limited = factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, sellers=[other]))
    assert counts.of_actor(limited).n_conflicts == 0
    with pytest.raises(NotVisible):
        conflicts.close(limited, conflicts.of_order(order)[0].id, "Mine now")


# Everything in any order ----------------------------------------------------------------------------------------------

PEOPLE = (Event.PICK, Event.PACK, Event.MAKE_READY, Event.SHIP, Event.DELIVER, Event.CANCEL)
AMAZONS = (
    "CONFIRMED",
    "PACKAGE_CREATED",
    "PICKUP_SLOT_RETRIEVED",
    "INVOICE_GENERATED",
    "SHIPLABEL_GENERATED",
    "SHIPPED",
    "DELIVERED",
    "CANCELLED",
)


class Life:
    """One order and all that happens to it, with what must be true after each step."""

    def __init__(self, store: Store, asha: Actor) -> None:
        self.store, self.asha, self.minutes = store, asha, 0
        self.raw = raw_shipment()
        self.order = pulled(store, self.raw)
        self.states = [self.order.state]
        self.refusals: list[str] = []

    def happen(self, what: Event | str, *, is_late: bool, has_label: bool) -> None:
        self.minutes += 1
        if isinstance(what, Event):
            if has_label:
                label_it(self.order)
            try:
                if what is Event.CANCEL:
                    cancelling.cancel(self.asha, self.order.id, cancelling.Reason.OUT_OF_STOCK)
                else:
                    moves.move(self.asha, self.order.id, what)
            except ServiceError as refusal:
                self.refusals.append(refusal.sentence)
        else:
            minutes = 0 if is_late else self.minutes
            raw = cancelled(self.raw, minutes=minutes) if what == "CANCELLED" else at(self.raw, what, minutes)
            if self.minutes % 2:
                pulled(self.store, raw)
            else:
                with transaction():  # as the re-check before picking does
                    at_amazon.apply(self.order.id, read_shipment(raw))
        db.session.rollback()
        db.session.refresh(self.order)
        self.check()

    def check(self) -> None:
        assert all(sentence.endswith(".") for sentence in self.refusals)
        before, now = self.states[-1], self.order.state
        if now is not before:
            assert before is not OrderState.CANCELLED, "a cancelled order came back"
            if now is OrderState.CANCELLED:
                assert before not in HAS_LEFT, "what has left was cancelled"
            else:
                assert WAY.index(now) > WAY.index(before), "an order went back"
            self.states.append(now)
        wanted = {OrderState.CANCELLED: OrderStock.NONE} | dict.fromkeys(HAS_LEFT, OrderStock.DEDUCTED)
        assert self.order.stock is wanted.get(now, OrderStock.RESERVED)
        has_open = any(conflict.closed_at is None for conflict in conflicts.of_order(self.order))
        assert self.order.has_conflict == has_open
        assert (self.order.cancellation is OrderCancellation.CANCELLING) <= (now is not OrderState.CANCELLED)


HAPPENINGS = st.lists(
    st.tuples(st.sampled_from([*PEOPLE, *AMAZONS]), st.booleans(), st.booleans()), min_size=1, max_size=12
)


@pytest.mark.parametrize("n_lives", [12, pytest.param(200, marks=pytest.mark.faults)])
@pytest.mark.parametrize("is_toggle_on", [False, True])
def test_random_interleavings_reach_no_illegal_state_and_move_stock_once(
    store: Store, asha: Actor, is_toggle_on: bool, n_lives: int, scaled_examples: Callable[[int], int]
) -> None:
    store.is_automated_cancellation_on = is_toggle_on
    db.session.commit()

    @settings(max_examples=scaled_examples(n_lives), deadline=None, suppress_health_check=list(HealthCheck))
    @given(HAPPENINGS)
    def live(happenings: list[tuple[Event | str, bool, bool]]) -> None:
        life = Life(store, asha)
        for what, is_late, has_label in happenings:
            life.happen(what, is_late=is_late, has_label=has_label)

    live()
    assert stock_problems() == []
    twice = select(OrderConflict.order_id).group_by(OrderConflict.order_id, OrderConflict.event)
    assert db.session.scalars(twice.having(db.func.count() > 1)).all() == []


@pytest.fixture
def scaled_examples() -> Callable[[int], int]:
    """Gives how many lives are tried: the number, times FAULTS_SCALE (1 unless set)."""
    import os

    return lambda n: max(1, round(n * float(os.environ.get("FAULTS_SCALE", "1"))))

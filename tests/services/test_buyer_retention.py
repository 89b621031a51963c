"""Buyers' data is deleted in time, neither late nor early, from everywhere it is kept."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db, vault
from flexdash.jobs import dispatch
from flexdash.models import (
    ApiCall,
    Order,
    OrderConflict,
    OrderDocument,
    OrderEvent,
    OrderState,
    OrderStep,
    QuarantinedShipment,
    StepKind,
    StepState,
    Store,
)
from flexdash.services import buyer_retention, orders
from tests import factories

NOW = clock.now()


@pytest.fixture
def store(app: Flask) -> Store:
    return factories.make_store(factories.make_seller(factories.make_workspace()))


def kept(order: Order) -> tuple[bool, int]:
    """Return whether the buyer is kept, and how many documents."""
    db.session.rollback()
    is_kept = db.session.scalar(select(Order.buyer_encrypted.is_not(None)).where(Order.id == order.id))
    n = db.session.scalar(select(func.count()).select_from(OrderDocument).where(OrderDocument.order_id == order.id))
    return is_kept, n


def make(store: Store, state: OrderState, **values) -> Order:
    order = factories.make_order(store, state, buyer='{"name": "Meera Fictional"}', **values)
    factories.make_document(order)
    return order


def quarantine(store: Store, shipment_id: str, **values) -> QuarantinedShipment:
    row = QuarantinedShipment(
        workspace_id=store.workspace_id,
        store_id=store.id,
        amazon_shipment_id=shipment_id,
        error_sentence="it has no lines",
        payload_encrypted=vault.encrypt('{"name": "Meera Fictional"}'),
        **values,
    )
    db.session.add(row)
    db.session.commit()
    return row


@pytest.mark.parametrize(("days", "is_deleted"), [(29, False), (30, True), (31, True)])
def test_a_buyer_is_deleted_30_days_after_delivery(store: Store, days: int, is_deleted: bool) -> None:
    order = make(store, OrderState.DELIVERED, delivered_at=NOW - timedelta(days=days))
    payload = quarantine(store, order.amazon_shipment_id, resolved_at=NOW)
    assert buyer_retention.delete_due(NOW) == int(is_deleted)
    assert kept(order) == ((False, 0) if is_deleted else (True, 1))
    assert (payload.payload_encrypted is None) == is_deleted
    if is_deleted:
        assert (order.buyer_deleted_at, order.events[-1].kind) == (NOW, "deleted")
        assert orders.masked_buyer(order) is None
    assert buyer_retention.delete_due(NOW) == 0  # once


def test_nothing_that_was_said_of_the_order_names_the_deleted_buyer(store: Store) -> None:
    said = "Ship-to of MEERA  Fictional is not serviceable"
    values = {"delivered_at": NOW - timedelta(days=31), "acknowledgement_message": said, "cancellation_message": said}
    values["cancellation_reason"] = said
    order, other = (make(store, OrderState.DELIVERED, **values) for _ in range(2))
    other.delivered_at = NOW
    for one in (order, other):
        factories.make_step(one, StepKind.SHIP, StepState.FAILED, error_sentence=said)
        factories.make_conflict(one, sentence=said, note="Ms Fictional called")
        about = {"amazon_shipment_id": one.amazon_shipment_id, "status": 400, "answered": f'{{"message": "{said}"}}'}
        factories.make_call(store, error_message=said, **about)
        db.session.add(OrderEvent(order_id=one.id, kind="note", sentence=said))
    db.session.commit()
    buyer_retention.delete_due(NOW)
    assert words_about(order).lower().count("fictional") == 0
    assert words_about(order).count("Ship-to of [hidden] is not serviceable") == 8
    assert words_about(other).lower().count("fictional") == 9


def words_about(order: Order) -> str:
    """Return all that is kept in words of an order."""
    db.session.rollback()
    db.session.expire_all()
    calls = db.session.scalars(select(ApiCall).where(ApiCall.amazon_shipment_id == order.amazon_shipment_id))
    [step] = db.session.scalars(select(OrderStep).where(OrderStep.order_id == order.id))
    [conflict] = db.session.scalars(select(OrderConflict).where(OrderConflict.order_id == order.id))
    said = [order.acknowledgement_message, order.cancellation_message, order.cancellation_reason, step.error_sentence]
    said += [conflict.sentence, conflict.note, *(event.sentence for event in order.events)]
    return "\n".join([*said, *(f"{call.error_message} {call.answered}" for call in calls)])


@pytest.mark.parametrize(("days", "is_deleted"), [(29, False), (30, True)])
def test_a_buyer_who_cancelled_is_deleted_as_late(store: Store, days: int, is_deleted: bool) -> None:
    order = make(store, OrderState.CANCELLED, cancelled_at=NOW - timedelta(days=days))
    buyer_retention.delete_due(NOW)
    assert kept(order)[0] != is_deleted


@pytest.mark.parametrize(("days", "is_deleted"), [(59, False), (60, True)])
def test_what_amazon_never_said_to_be_delivered_is_taken_as_delivered(
    store: Store, days: int, is_deleted: bool
) -> None:
    order = make(store, OrderState.SHIPPED, shipped_at=NOW - timedelta(days=days))
    buyer_retention.delete_due(NOW)
    assert kept(order)[0] != is_deleted


def test_a_conflict_about_what_has_left_does_not_delete_before_its_time(store: Store) -> None:
    order = make(store, OrderState.SHIPPED, shipped_at=NOW - timedelta(days=40), cancelled_at=NOW - timedelta(days=40))
    buyer_retention.delete_due(NOW)
    assert kept(order) == (True, 1)


def test_an_order_that_is_being_worked_keeps_its_buyer(store: Store) -> None:
    order = make(store, OrderState.PACKED, placed_at=NOW - timedelta(days=300))
    buyer_retention.delete_due(NOW)
    assert kept(order) == (True, 1)


@pytest.mark.parametrize(
    ("values", "is_deleted"),
    [
        ({"resolved_at": NOW - timedelta(days=29)}, False),
        ({"resolved_at": NOW - timedelta(days=30)}, True),
        ({"first_seen_at": NOW - timedelta(days=59)}, False),
        ({"first_seen_at": NOW - timedelta(days=60)}, True),
    ],
)
def test_what_was_sent_in_quarantine_goes_too_and_its_line_stays(store: Store, values: dict, is_deleted: bool) -> None:
    row = quarantine(store, "D9", **values)
    buyer_retention.delete_due(NOW)
    db.session.refresh(row)
    assert (row.payload_encrypted is None) == is_deleted


def test_a_tick_deletes_a_bounded_number_and_the_next_one_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buyer_retention, "BATCH", 2)
    made = [make(store, OrderState.DELIVERED, delivered_at=NOW - timedelta(days=31)) for _ in range(11)]
    dispatch.tick()
    assert sum(not kept(order)[0] for order in made) == 2 * buyer_retention.BATCHES_PER_TICK
    dispatch.tick()
    assert [kept(order) for order in made] == [(False, 0)] * 11


def test_the_page_says_that_the_buyer_was_deleted(store: Store, signed_in) -> None:
    order = make(store, OrderState.DELIVERED, delivered_at=NOW - timedelta(days=31))
    buyer_retention.delete_due(NOW)
    page = signed_in(factories.make_user(store.seller.workspace, "merchant")).get(f"/orders/{order.id}").text
    assert "data was deleted" in page
    assert "Show buyer data" not in page

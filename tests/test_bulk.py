"""Many rows at once: they are as any INSERT would have left them, and what the database refuses leaves none."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import pytest
from sqlalchemy import ColumnDefault, func, select
from sqlalchemy.exc import IntegrityError

from flexdash import bulk
from flexdash.bulk import insert_rows
from flexdash.extensions import db
from flexdash.models import Order, OrderEvent, OrderLine
from tests import factories

ODD = 'tab\t, line\nbreak, back\\slash, \\N, quote\'s "two", naïve 日本 🙂'


@pytest.fixture
def order(workspace, seller) -> Order:
    return factories.make_order(factories.make_store(seller))


def test_values_types_and_defaults_are_those_of_the_model(order, monkeypatch) -> None:
    monkeypatch.setattr(bulk, "_ROWS_AT_A_TIME", 5)
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    events = [
        {"order_id": order.id, "occurred_at": at, "kind": "note", "sentence": f"{n} {ODD}", "run_id": None}
        for n in range(12)
    ]
    insert_rows(OrderEvent.__table__, events)
    db.session.commit()
    found = db.session.scalars(select(OrderEvent).where(OrderEvent.kind == "note").order_by(OrderEvent.id)).all()
    assert [event.sentence for event in found] == [f"{n} {ODD}" for n in range(12)]
    assert {event.occurred_at for event in found} == {at}
    assert {event.actor_name for event in found} == {OrderEvent.__table__.c.actor_name.default.arg}


def test_a_default_that_is_called_is_called_for_each_row(order, monkeypatch) -> None:
    numbers = count(1)
    monkeypatch.setattr(OrderEvent.__table__.c.actor_name, "default", ColumnDefault(lambda: f"the {next(numbers)}."))
    insert_rows(OrderEvent.__table__, [{"order_id": order.id, "kind": "note", "sentence": str(n)} for n in range(3)])
    db.session.commit()
    found = db.session.scalars(select(OrderEvent.actor_name).where(OrderEvent.kind == "note").order_by(OrderEvent.id))
    assert found.all() == ["the 1.", "the 2.", "the 3."]


def test_amounts_keep_every_digit_and_json_its_shape(order) -> None:
    charges = [{"type": "PRINCIPAL", "note": ODD, "amount": None}]
    row = {"order_id": order.id, "amazon_line_id": "another", "sku_code": "0012", "n_units": 2}
    insert_rows(OrderLine.__table__, [row | {"total": Decimal("0.10"), "charges": charges}])
    db.session.commit()
    another = db.session.scalars(select(OrderLine).where(OrderLine.amazon_line_id == "another")).one()
    assert (str(another.total), another.charges, another.compliance) == ("0.10", charges, {})


def test_one_row_that_the_database_refuses_leaves_none(order) -> None:
    good = {"order_id": order.id, "kind": "note", "sentence": "good"}
    with pytest.raises(IntegrityError), db.session.begin_nested():
        insert_rows(OrderEvent.__table__, [good, good | {"sentence": None}])
    insert_rows(OrderEvent.__table__, [good])
    db.session.commit()
    assert db.session.scalar(select(func.count()).where(OrderEvent.kind == "note")) == 1


def test_no_rows_are_no_statement(app) -> None:
    insert_rows(OrderEvent.__table__, [])

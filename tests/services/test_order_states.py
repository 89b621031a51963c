"""Every state × event pair has its line here; `docs/order-states.md` shows the same table to people."""

import re
from pathlib import Path

import pytest

from flexdash.models import OrderState as S
from flexdash.services.order_states import OPEN, STEPS, WAY, Event, Kind, allowed, outcome

# Rows: states. Columns: events in the order of `Event`. A state's short name: the order moves there; "·" nothing
# changes; "✗" a person is refused; "!" a conflict.
TABLE = """
                hold  rel   pick  pack  ready ship  deliv canc  aPick aPack aShip aDel  aCanc
New Order       Hold  ·     Pick  ✗     ✗     ✗     ✗     Canc  Pick  Pack  Ship  Deliv Canc
On Hold         ·     New   ✗     ✗     ✗     ✗     ✗     Canc  Pick  Pack  Ship  Deliv Canc
Picked          ✗     ✗     ·     Pack  ✗     ✗     ✗     Canc  ·     Pack  Ship  Deliv Canc
Packed          ✗     ✗     ✗     ·     Ready ✗     ✗     Canc  ·     ·     Ship  Deliv Canc
Ready to Ship   ✗     ✗     ✗     ✗     ·     Ship  ✗     Canc  ·     ·     Ship  Deliv Canc
Shipped         ✗     ✗     ✗     ✗     ✗     ·     Deliv ✗     ·     ·     ·     Deliv !
Delivered       ✗     ✗     ✗     ✗     ✗     ✗     ·     ✗     ·     ·     ·     ·     !
Cancelled       ✗     ✗     ✗     ✗     ✗     ✗     ✗     ·     !     !     !     !     ·
"""
SHORT = {
    "New": S.NEW,
    "Hold": S.ON_HOLD,
    "Pick": S.PICKED,
    "Pack": S.PACKED,
    "Ready": S.READY_TO_SHIP,
    "Ship": S.SHIPPED,
    "Deliv": S.DELIVERED,
    "Canc": S.CANCELLED,
}
MARKS = {"·": Kind.NOTHING, "✗": Kind.REFUSE, "!": Kind.CONFLICT}


def pairs() -> list[tuple[S, Event, str]]:
    lines = [line for line in TABLE.splitlines() if line.strip()][1:]
    return [
        (S(line[:16].strip()), event, cell)
        for line in lines
        for event, cell in zip(Event, line[16:].split(), strict=True)
    ]


def test_the_table_has_every_pair_once():
    found = [(state, event) for state, event, _ in pairs()]
    assert len(found) == len(set(found)) == len(S) * len(Event)


@pytest.mark.parametrize(("state", "event", "cell"), pairs())
def test_every_pair(state, event, cell):
    found = outcome(state, event)
    if cell in SHORT:
        assert (found.kind, found.to) == (Kind.MOVE, SHORT[cell])
    else:
        assert (found.kind, found.to) == (MARKS[cell], state)


def test_the_drawing_for_people_is_what_people_can_do():
    drawing = (
        (Path(__file__).parents[2] / "docs" / "order-states.md").read_text().split("```mermaid")[1].split("```")[0]
    )
    names = {"New": S.NEW, "Hold": S.ON_HOLD, "Ready": S.READY_TO_SHIP}
    arrows = re.findall(r"^  (\w+) --> (\w+)", drawing, re.MULTILINE)
    drawn = {(names.get(a) or S(a), names.get(b) or S(b)) for a, b in arrows}
    by_people = {*STEPS, Event.HOLD, Event.CANCEL}
    found = {(state, outcome(state, event)) for state in S for event in by_people}
    assert drawn == {(state, what.to) for state, what in found if what.kind is Kind.MOVE}


def test_refusals_and_conflicts_are_sentences_that_name_the_state():
    for state, event, cell in pairs():
        if cell in ("✗", "!"):
            found = outcome(state, event)
            assert state in found.sentence, (state, event)
            assert found.sentence.endswith(".")


def test_a_person_is_offered_only_what_moves_the_order():
    assert allowed(S.NEW) == (Event.PICK, Event.CANCEL)
    assert allowed(S.READY_TO_SHIP) == (Event.SHIP, Event.CANCEL)
    assert allowed(S.DELIVERED) == allowed(S.CANCELLED) == ()


def test_amazons_news_never_moves_an_order_back():
    for state in WAY:
        for event in Event:
            found = outcome(state, event)
            if event.is_amazons and found.to in WAY:
                assert WAY.index(found.to) >= WAY.index(state)


def test_what_can_be_worked_is_what_comes_before_shipping():
    assert {S.NEW, S.ON_HOLD, S.PICKED, S.PACKED, S.READY_TO_SHIP} == OPEN

"""Which order the questions about one order are about: found by a pasted id, or not here at all."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.services.diagnosis import cancellation, order_open
from tests import factories
from tests.support.diagnoses import AT_WORK, fixes, sentence
from tests.support.worked_orders import Scene, make_scene


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


@pytest.mark.parametrize("why", [cancellation.why_not_sent, order_open.why_open])
@pytest.mark.parametrize(
    ("text", "words", "offered"),
    [
        ("SBNOSUCH1", "You have no order with the id SBNOSUCH1. Find out first why it is not here.", ["order_missing"]),
        ("FD-99", "You have no order with the id FD-99. Look it up among your orders.", ["orders"]),
        ("402-12-3", "“402-12-3” looks like an Amazon order id, and those have 3, 7 and 7 digits.", []),
    ],
)
def test_an_order_that_is_not_here_is_another_question(scene: Scene, why, text, words, offered) -> None:
    found = why(scene.asker, text, parts=AT_WORK)
    assert words in sentence(found)
    assert fixes(found) == offered


@pytest.mark.parametrize("why", [cancellation.why_not_sent, order_open.why_open])
def test_an_id_in_small_letters_names_the_order_in_capitals(scene: Scene, why) -> None:
    order = scene.pulled(order_id="S01-0000001-0000001")
    for typed in (order.amazon_shipment_id.lower(), "s01-0000001-0000001"):
        here = why(scene.asker, typed, parts=AT_WORK).checks[0].finding
        assert here is not None
        assert here.sentence.startswith(f"It is FD-{order.id:06d} of Pune Store.")


def test_an_id_as_it_was_typed_goes_before_the_one_in_capitals(scene: Scene) -> None:
    # By hand: the ids of the sandbox are all in capitals, and Amazon does not say that its own are.
    small = factories.make_order(scene.store, amazon_shipment_id="sb241pagj")
    factories.make_order(scene.store, amazon_shipment_id="SB241PAGJ")
    here = cancellation.why_not_sent(scene.asker, "sb241pagj", parts=AT_WORK).checks[0].finding
    assert here is not None
    assert here.sentence.startswith(f"It is FD-{small.id:06d} of Pune Store.")


def test_the_newest_of_several_shipments_is_looked_at_and_the_others_are_named(scene: Scene) -> None:
    first, second = (scene.pulled(order_id="402-0000001-0000001") for _ in range(2))
    found = scene.why_not_sent(first)
    here = found.checks[0].finding
    assert here is not None
    assert here.sentence == (
        f"It is FD-{second.id:06d} of Pune Store. The Amazon order has other shipments, too: FD-{first.id:06d} "
        f"({first.amazon_shipment_id}). Paste one of their ids to look at it instead."
    )

"""Why is my order not here? Because Amazon sent it and it could not be read: it waits in quarantine."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.services.diagnosis.checks import FixKind, Outcome
from tests.support.diagnoses import by_name, fixes, outcome, sentence
from tests.support.missed_orders import Scene, make_scene
from tests.support.pulls import do_run
from tests.support.recoveries import lift_pace, order_id_of


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


def quarantined(scene: Scene) -> str:
    """Let a run meet a shipment that cannot be read, and return its id."""
    shipment_id = scene.make(odd="odd_broken_line")
    do_run(scene.store)
    return shipment_id


def run_that_cannot_read(scene: Scene) -> None:
    """Let a run meet shipments of which Amazon sends no lines just then, so that they go into quarantine."""
    scene.sandbox.control.fault("odd_no_lines")
    do_run(scene.store)
    scene.sandbox.control.clear_faults()


def test_what_waits_in_quarantine_is_found_by_its_order_id_too(scene: Scene) -> None:
    shipment_id = scene.make(odd="odd_no_lines")
    order_id = order_id_of(scene.sandbox, shipment_id)
    assert sentence(scene.why(order_id)).endswith(
        "It goes into quarantine with the next run, and is read again with each."
    )
    do_run(scene.store)
    waits = "Amazon sent it, and it could not be read: it has no lines. It waits in quarantine and is read again"
    for text in (order_id, shipment_id):
        found = scene.why(text)
        assert sentence(found).startswith(waits)
        assert fixes(found) == [FixKind.QUARANTINE]


def test_how_it_stands_at_amazon_comes_before_the_quarantine(scene: Scene) -> None:
    """What is past already would stay out, however well it could be read."""
    shipment_id = scene.make(status="CONFIRMED")
    run_that_cannot_read(scene)
    scene.sandbox.control.move(shipment_id, "SHIPPED")
    found = scene.why(shipment_id)
    assert found.cause.name == "Is it waiting to be worked on Amazon: neither pending nor past that?"
    names = [check.name for check in found.checks]
    assert names[-6:] == [
        "Is it a Seller Flex order of the store's country?",
        "Is it waiting to be worked on Amazon: neither pending nor past that?",
        "Does a hub have its Seller Flex Hub ID?",
        "Could it be read?",
        "Are the scheduler and the workers at work?",
        "How did the last run go?",
    ]


def test_what_waits_in_quarantine_and_amazon_knows_no_more_is_named(scene: Scene) -> None:
    shipment_id = quarantined(scene)
    scene.sandbox.control.fault("vanished")
    found = scene.why(shipment_id)
    assert sentence(found).startswith(
        "Amazon sent it, and it could not be read: line 1 has no readable SKU. It waits in quarantine"
    )
    assert (found.cause.name, outcome(found)) == ("Could it be read?", Outcome.FAILED)
    assert fixes(found) == [FixKind.QUARANTINE]
    assert by_name(found)["Does Amazon have it?"] is Outcome.NOTE


def test_quarantine_is_named_while_amazon_is_away(scene: Scene) -> None:
    shipment_id = quarantined(scene)
    scene.sandbox.control.fault("error_503", operation="getShipment")
    found = scene.why(shipment_id)
    assert found.cause.name == "Could it be read?"
    assert fixes(found) == [FixKind.QUARANTINE]


def test_an_order_id_whose_shipment_amazon_mended_still_waits_in_quarantine(scene: Scene) -> None:
    order_id = order_id_of(scene.sandbox, scene.make())
    run_that_cannot_read(scene)
    found = scene.why(order_id)
    assert sentence(found).startswith("Amazon sent it, and it could not be read: it has no lines.")
    scene.sandbox.control.fault("vanished")
    do_run(scene.store)  # to which Amazon says that there is no such shipment, so that it leaves quarantine
    scene.sandbox.control.clear_faults()
    again = scene.why(order_id)
    assert [check.finding.sentence for check in again.checks if check.name == "Could it be read?"] == [
        "It does not wait in quarantine."
    ]

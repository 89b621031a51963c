"""Why is my order not here? How it stands at Amazon, one state for each cause, and the sentence that a person reads."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.services.diagnosis import asking
from flexdash.services.diagnosis.checks import FixKind, Outcome
from tests import factories
from tests.support.diagnoses import by_name, fixes, outcome, parts_seen, sentence
from tests.support.missed_orders import UNKNOWN_ID, Scene, make_scene
from tests.support.pulls import SELLER, do_run
from tests.support.recoveries import lift_pace, order_id_of


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


def test_amazon_does_not_know_it_in_this_account(scene: Scene) -> None:
    found = scene.why(f' "{UNKNOWN_ID}" ')
    assert sentence(found) == (
        f"Amazon knows no shipment with this id for Pune Store (account {SELLER}, India). It belongs to another "
        "account or country, or the id is mistyped. Compare it with Seller Central, capital and small letters included."
    )
    assert by_name(found)["Does Amazon let FlexDash in?"] is Outcome.PASSED
    assert by_name(found)["How did the last run go?"] is Outcome.NOT_REACHED


@pytest.mark.parametrize(
    ("values", "words", "ends", "offered"),
    [
        (
            {"status": "CREATED"},
            "It is still pending: Amazon has it as Created (CREATED). Amazon has not assigned stock to it yet. It "
            "comes in by itself once Amazon has.",
            Outcome.ANSWERED,
            [],
        ),
        (
            {"status": "SHIPLABEL_GENERATED"},
            "It is past that already: Amazon has it as Label generated (SHIPLABEL_GENERATED). Somebody worked it in "
            "Amazon's own tool before FlexDash fetched it, and the next run brings it in as Packed, or recover it now.",
            Outcome.FAILED,
            [FixKind.RECOVER],
        ),
        (
            {"status": "SHIPPED"},
            "no run brings it any more. Recover it, if you want it here.",
            Outcome.FAILED,
            [FixKind.RECOVER],
        ),
        (
            {"status": "CONFIRMED", "updated_minutes_ago": 8 * 24 * 60},
            "it was accepted in Amazon's own tool, and that was before the time that the runs look back to",
            Outcome.FAILED,
            [FixKind.RECOVER],
        ),
        (
            {"channel_name": "MFN"},
            "It is an order of Amazon's channel MFN and not of Seller Flex",
            Outcome.FAILED,
            [],
        ),
        (
            {"odd": "odd_unknown_status"},
            "Amazon has it as WAITING_FOR_DRONE, a status that FlexDash does not know. Tell whoever runs FlexDash; "
            "until then work it in Seller Central.",
            Outcome.FAILED,
            [],
        ),
        (
            {"odd": "odd_no_lines"},
            "Amazon has it, and it cannot be read: it has no lines.",
            Outcome.FAILED,
            [FixKind.SYNC_NOW],
        ),
    ],
)
def test_how_it_stands_on_amazon_says_why(scene: Scene, values, words, ends, offered) -> None:
    found = scene.why(scene.make(**values))
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_cancelled_before_it_came_is_no_work(scene: Scene) -> None:
    shipment_id = scene.make()
    scene.sandbox.control.cancel(shipment_id)
    found = scene.why(shipment_id)
    assert sentence(found).startswith("It was cancelled by ")
    assert outcome(found) is Outcome.ANSWERED


def test_an_order_that_changed_before_the_runs_look_back_to_is_recovered(scene: Scene) -> None:
    scene.do_due_run()
    found = scene.why(scene.make(status="CONFIRMED", updated_minutes_ago=120))
    assert "Recover it by its id." in sentence(found)
    assert fixes(found) == [FixKind.RECOVER]


def test_what_had_left_before_order_sync_began_is_brought_by_no_run(scene: Scene) -> None:
    shipment_id = scene.make(status="SHIPPED")
    do_run(scene.store)
    found = scene.why(shipment_id)
    assert "no run brings it any more. Recover it, if you want it here." in sentence(found)
    assert fixes(found) == [FixKind.RECOVER]


def test_another_countrys_order_wants_a_store_of_that_country(scene: Scene) -> None:
    dubai = factories.make_store(
        scene.store.seller,
        name="Dubai Store",
        country_code="AE",
        amazon_selling_partner_id=SELLER,  # one account, which sells in both countries
        refresh_token=scene.sandbox.control.issue_tokens(SELLER)["refresh_token"],
        is_order_sync_on=True,
    )
    found = scene.why(scene.make(), store=dubai)
    assert sentence(found) == (
        "It was sold in India (A21TJRUUN4KGV), and Dubai Store brings in orders of United Arab Emirates. Connect a "
        "store of that country."
    )
    assert fixes(found) == [FixKind.CONNECT_STORE]


def test_an_order_id_is_found_in_amazons_lists(scene: Scene) -> None:
    shipment_id = scene.make(status="CREATED")
    found = scene.why(order_id_of(scene.sandbox, shipment_id).replace("-", ""))
    assert sentence(found).startswith("It is still pending")
    missing = scene.why("402-0000001-0000001")
    assert sentence(missing).startswith("No list of Amazon's has this order for Pune Store")


def test_lists_that_are_too_long_to_wait_for_lead_to_a_recovery(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.02)  # twelve seconds would only be waited for
    scene.sandbox.control.fault("slow", operation="getShipments", ms=25)
    found = scene.why("402-0000001-0000001")
    assert outcome(found) is Outcome.UNKNOWN
    assert sentence(found).startswith("Amazon cannot be asked for an order id, and its lists are longer")
    assert fixes(found) == [FixKind.RECOVER]


def test_a_revoked_authorization_is_found_while_asking(scene: Scene) -> None:
    shipment_id = scene.make()
    scene.sandbox.control.revoke_tokens()
    found = scene.why(shipment_id)
    assert sentence(found).startswith("Pune Store needs re-authorization")
    assert fixes(found) == [FixKind.REAUTHORIZE]


def test_the_checks_here_go_on_while_amazon_is_away(scene: Scene) -> None:
    scene.do_due_run()
    shipment_id = scene.make()
    scene.sandbox.control.fault("error_503", operation="getShipment")
    found = scene.why(shipment_id)
    assert (outcome(found), sentence(found)) == (
        Outcome.UNKNOWN,
        "Amazon does not answer at the moment. Look again in a few minutes.",
    )
    assert by_name(found)["Are the scheduler and the workers at work?"] is Outcome.PASSED
    last = found.checks[-1].finding
    assert last is not None
    assert last.sentence.startswith("Nothing here stands in its way, but Amazon did not say how it stands there.")
    stopped = scene.why(shipment_id, parts=parts_seen())  # none was started
    assert sentence(stopped).startswith("The scheduler has not been seen lately")

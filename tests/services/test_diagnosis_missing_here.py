"""Why is my order not here? What is known here, one state for each cause, and the sentence that a person reads."""

from collections.abc import Callable

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import Order, Role
from flexdash.services import disconnecting, hubs, listings, stock, store_settings, stores
from flexdash.services.diagnosis.checks import FixKind, Outcome
from flexdash.services.errors import FieldRefused, NotVisible
from flexdash.services.order_states import Event
from flexdash.services.order_work import moves
from flexdash.services.store_settings import Toggle
from tests import factories
from tests.support.diagnoses import fixes, outcome, sentence
from tests.support.missed_orders import UNKNOWN_ID, Scene, make_scene
from tests.support.pulls import UNMAPPED, do_run
from tests.support.recoveries import lift_pace

State = Callable[[Scene], str]  # puts the scene into a state and returns what is pasted


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


def no_store(scene: Scene) -> str:
    scene.asker = factories.make_actor(factories.make_user(factories.make_workspace(), Role.MERCHANT))
    return UNKNOWN_ID


def only_a_draft(scene: Scene) -> str:
    workspace = factories.make_workspace()
    scene.asker = factories.make_actor(factories.make_user(workspace, Role.MERCHANT))
    stores.start_draft(scene.asker, factories.make_seller(workspace).id, "IN", "Delhi Store")
    return UNKNOWN_ID


def disconnected(scene: Scene) -> str:
    disconnecting.disconnect(scene.admin, scene.store.id)
    return UNKNOWN_ID


def needs_reauthorization(scene: Scene) -> str:
    scene.sandbox.control.revoke_tokens()
    do_run(scene.store)
    return UNKNOWN_ID


def authorization_ended(scene: Scene) -> str:
    scene.later(days=366)
    return UNKNOWN_ID


def held_without_a_hub(scene: Scene) -> str:
    return scene.brought_in(location_id=UNMAPPED).amazon_order_id


def held_by_an_inactive_hub(scene: Scene) -> str:
    hubs.deactivate(scene.admin, scene.hub.id)
    return scene.brought_in().amazon_order_id


def held_for_an_unknown_sku(scene: Scene) -> str:
    return scene.brought_in(sku_codes=["MUG"]).amazon_order_id


def held_without_an_asin(scene: Scene) -> str:
    stock.add(scene.admin, scene.store.seller_id, scene.hub.id, "MUG", "5")
    return scene.brought_in(sku_codes=["MUG"]).amazon_order_id


def held_without_stock(scene: Scene) -> str:
    listings.add(scene.admin, scene.store.id, "MUG", {"name": "A mug", "asin": "B0MUGMUG01"})
    return scene.brought_in(sku_codes=["MUG"]).amazon_order_id


def here(scene: Scene) -> str:
    order = scene.brought_in()
    for event in (Event.PICK, Event.PACK):
        moves.move(scene.admin, order.id, event)
    return order.amazon_shipment_id


def here_by_own_number(scene: Scene) -> str:
    return f"fd-{scene.brought_in().id}"


LOCAL: list[tuple[State, str, Outcome, list[FixKind]]] = [
    (
        lambda _: "402-12-3",
        "“402-12-3” looks like an Amazon order id, and those have 3, 7 and 7 digits. Copy the id again from Seller "
        "Central, or from the mail or sheet.",
        Outcome.FAILED,
        [],
    ),
    (lambda _: "4.03E+16", "is a number that a spreadsheet has shortened", Outcome.FAILED, []),
    (lambda _: "FD-999999", "You have no order with the number FD-999999.", Outcome.FAILED, []),
    (no_store, "No store is connected to Amazon, so no order can come in.", Outcome.FAILED, [FixKind.CONNECT_STORE]),
    (only_a_draft, "No store is connected to Amazon", Outcome.FAILED, [FixKind.CONNECT_STORE]),
    (disconnected, "Pune Store is disconnected from Amazon", Outcome.FAILED, [FixKind.RECONNECT]),
    (
        needs_reauthorization,
        "Pune Store needs re-authorization: Amazon refuses FlexDash's access. Amazon's reason: Amazon does not accept "
        "the seller's consent",
        Outcome.FAILED,
        [FixKind.REAUTHORIZE],
    ),
    (
        authorization_ended,
        "The authorization of Pune Store ended after 365 days. Amazon wants it renewed.",
        Outcome.FAILED,
        [FixKind.REAUTHORIZE],
    ),
    (
        held_without_a_hub,
        f"is On Hold. No hub has the Seller Flex Hub ID {UNMAPPED}.",
        Outcome.FAILED,
        [FixKind.HUB_MAPPING, FixKind.ORDER],
    ),
    (
        held_by_an_inactive_hub,
        "Pune Warehouse is inactive.",
        Outcome.FAILED,
        [FixKind.HUB_MAPPING, FixKind.ORDER],
    ),
    (
        held_for_an_unknown_sku,
        "MUG is unknown: neither this store's catalog",
        Outcome.FAILED,
        [FixKind.UPLOAD_CATALOG, FixKind.STOCK, FixKind.ORDER],  # for no hub has what nobody knows
    ),
    (
        held_without_an_asin,
        "MUG has no ASIN in this store.",
        Outcome.FAILED,
        [FixKind.UPLOAD_CATALOG, FixKind.ORDER],
    ),
    (
        held_without_stock,
        "Not enough stock at Pune Warehouse",
        Outcome.FAILED,
        [FixKind.STOCK, FixKind.ORDER],
    ),
    (here, "of Pune Store is Packed at Pune Warehouse.", Outcome.ANSWERED, [FixKind.ORDER]),
    (here_by_own_number, "of Pune Store is a New Order at Pune Warehouse.", Outcome.ANSWERED, [FixKind.ORDER]),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), LOCAL)
def test_what_is_known_here_is_said_without_asking_amazon(scene: Scene, state, words, ends, offered) -> None:
    text = state(scene)
    before = scene.sandbox.control.stats()
    found = scene.why(text)
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)
    assert scene.sandbox.control.stats() == before


# Order Sync is off ----------------------------------------------------------------------------------------------------


def test_order_sync_that_nobody_turned_on_yet_is_the_cause(app: Flask, sandbox: Running, time_machine) -> None:
    scene = make_scene(sandbox, time_machine, is_order_sync_on=False)  # as a store is once it is connected
    missed = scene.make()
    before = sandbox.control.stats()
    found = scene.why(missed)
    assert sentence(found).startswith("Order Sync is off for Pune Store")
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.TOGGLES, FixKind.RECOVER])
    assert sandbox.control.stats() == before


def turned_off(scene: Scene, reason: str = "") -> str:
    """Let Asha turn Order Sync off, and return the shipment that is missed since."""
    asha = factories.make_actor(factories.make_user(scene.store.seller.workspace, name="Asha Rao"))
    version = scene.store.settings_version
    store_settings.set_toggle(asha, scene.store.id, Toggle.ORDER_SYNC, turn_on=False, version=version, reason=reason)
    return scene.make()


def test_who_turned_order_sync_off_is_named_with_the_row_of_the_log(scene: Scene) -> None:
    cause = scene.why(turned_off(scene)).cause.finding
    row = store_settings.last_change(scene.store, Toggle.ORDER_SYNC)
    assert cause.sentence.startswith("Asha Rao turned Order Sync off for Pune Store, so no order comes in by itself.")
    assert "reason" not in cause.sentence
    assert cause.moments == (("Turned off", row.occurred_at),)
    assert [fix.values for fix in cause.fixes if fix.kind is FixKind.LOG_ROW] == [{"event_id": row.id}]


def test_the_reason_for_turning_order_sync_off_is_told_in_full(scene: Scene) -> None:
    reason = f"Stock count <b>until Monday</b>, {'x' * 260}"
    found = scene.why(turned_off(scene, reason))
    assert sentence(found).endswith(f" The reason given: “{reason}”.")


# Who asks, and what is asked ------------------------------------------------------------------------------------------


def test_another_sellers_order_is_not_told_of(scene: Scene) -> None:
    order = scene.brought_in()
    workspace = scene.store.seller.workspace
    limited = factories.make_user(workspace, Role.MERCHANT, sellers=[factories.make_seller(workspace)])
    scene.asker = factories.make_actor(limited)
    assert sentence(scene.why(order.amazon_shipment_id)).startswith("No store is connected")
    with pytest.raises(NotVisible):
        scene.why(UNKNOWN_ID, store=scene.store)


@pytest.mark.parametrize("text", ["", "  ,; ", "SBONE1 SBTWO2"])
def test_nothing_and_several_ids_are_refused_at_the_field(scene: Scene, text: str) -> None:
    with pytest.raises(FieldRefused) as refused:
        scene.why(text)
    assert refused.value.field == "q"


def test_asking_changes_no_order(scene: Scene) -> None:
    scene.why(scene.make())
    assert db.session.query(Order).count() == 0

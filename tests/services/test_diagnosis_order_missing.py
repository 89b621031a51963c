"""Why is my order not here? One state for each cause, and the sentence that a person reads."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.extensions import db
from flexdash.models import HoldReason, Order, OrderState, QuarantinedShipment, Role, RunState, Store, Sync, SyncState
from flexdash.services import store_settings
from flexdash.services.actors import Actor
from flexdash.services.diagnosis import asking
from flexdash.services.diagnosis.checks import Diagnosis, FixKind, Outcome
from flexdash.services.diagnosis.common import Parts
from flexdash.services.diagnosis.order_missing import why_missing
from flexdash.services.errors import FieldRefused, NotVisible
from flexdash.services.store_settings import Toggle
from tests import factories
from tests.support.diagnoses import AT_WORK, by_name, fixes, outcome, sentence
from tests.support.pulls import MAPPED, SELLER, UNMAPPED, do_run, make_pulled_store
from tests.support.recoveries import lift_pace, order_id_of

UNKNOWN_ID = "SBNOSUCH1"


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)


@dataclass
class Scene:
    """A store of the sandbox's seller, somebody who asks, and a shipment that Amazon has and FlexDash does not."""

    sandbox: Running
    store: Store
    asker: Actor

    def make(self, **values) -> str:
        """Make a shipment on Amazon and return its id."""
        values = {"location_id": MAPPED, "seller_id": SELLER, **values}
        return self.sandbox.control.create_orders(1, **values)[0]

    def why(self, text: str, *, store: Store | None = None, parts: Parts = AT_WORK) -> Diagnosis:
        """Ask why the order is not here."""
        return why_missing(self.asker, text, store_id=store.id if store else None, parts=parts)

    def change(self, **values) -> None:
        """Change the store."""
        for name, value in values.items():
            setattr(self.store, name, value)
        db.session.commit()

    def pulled_until(self, moment) -> None:
        """Let the store's pulls have gone well up to `moment`."""
        factories.make_run(self.store, RunState.SUCCEEDED)
        db.session.add(
            SyncState(
                workspace_id=self.store.workspace_id,
                store_id=self.store.id,
                sync=Sync.ORDER_PULL,
                watermark=moment,
                last_success_at=moment,
                next_due_at=clock.now() + timedelta(minutes=20),
                on_since=moment,
            )
        )
        db.session.commit()


def make_scene(sandbox: Running) -> Scene:
    sandbox.control.plans({"*": None})
    store = make_pulled_store(sandbox, name="Pune Store")
    asker = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    return Scene(sandbox, store, asker)


@pytest.fixture
def scene(app: Flask, sandbox: Running) -> Scene:
    return make_scene(sandbox)


# What needs nobody's answer -------------------------------------------------------------------------------------------

State = Callable[[Scene], str]  # puts the scene into a state and returns what is pasted


def no_store(scene: Scene) -> str:
    scene.asker = factories.make_actor(factories.make_user(factories.make_workspace(), Role.MERCHANT))
    return UNKNOWN_ID


def only_a_draft(scene: Scene) -> str:
    workspace = factories.make_workspace()
    factories.make_store(factories.make_seller(workspace), "draft")
    scene.asker = factories.make_actor(factories.make_user(workspace, Role.MERCHANT))
    return UNKNOWN_ID


def off(scene: Scene) -> str:
    scene.change(is_order_sync_on=False)
    return scene.make()


def disconnected(scene: Scene) -> str:
    scene.change(status="disconnected", refresh_token_encrypted=None, disconnected_at=clock.now())
    return UNKNOWN_ID


def needs_reauthorization(scene: Scene) -> str:
    scene.change(status="needs_reauthorization", reauthorization_reason="Amazon refused the token: invalid_grant.")
    return UNKNOWN_ID


def authorization_ended(scene: Scene) -> str:
    scene.change(authorization_expires_at=clock.now() - timedelta(days=1))
    return UNKNOWN_ID


def quarantined(scene: Scene) -> str:
    db.session.add(
        QuarantinedShipment(
            workspace_id=scene.store.workspace_id,
            store_id=scene.store.id,
            amazon_shipment_id="SBODD1",
            error_sentence="line 1 has no readable SKU",
        )
    )
    db.session.commit()
    return "SBODD1"


def held(reason: HoldReason, detail: str) -> State:
    def put(scene: Scene) -> str:
        order = factories.make_order(scene.store, OrderState.ON_HOLD, hold_reason=reason)
        order.holds[0].detail = detail
        db.session.commit()
        return order.amazon_order_id

    return put


def here(scene: Scene) -> str:
    hub = factories.make_hub(scene.store.seller.workspace, name="Delhi Warehouse")
    return factories.make_order(scene.store, OrderState.PACKED, hub=hub).amazon_shipment_id


def here_by_own_number(scene: Scene) -> str:
    return f"fd-{factories.make_order(scene.store).id}"


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
    (off, "Order Sync is off for Pune Store", Outcome.FAILED, [FixKind.TOGGLES, FixKind.RECOVER]),
    (disconnected, "Pune Store is disconnected from Amazon", Outcome.FAILED, [FixKind.RECONNECT]),
    (
        needs_reauthorization,
        "Pune Store needs re-authorization: Amazon refuses FlexDash's access. Amazon's reason: Amazon refused the "
        "token: invalid_grant.",
        Outcome.FAILED,
        [FixKind.RECONNECT],
    ),
    (
        authorization_ended,
        "The authorization of Pune Store ended after 365 days. Amazon wants it renewed.",
        Outcome.FAILED,
        [FixKind.RECONNECT],
    ),
    (
        held(HoldReason.NO_HUB_MAPPED, "No hub has the Seller Flex Hub ID ZZZZ."),
        "is On Hold. No hub has the Seller Flex Hub ID ZZZZ.",
        Outcome.FAILED,
        [FixKind.HUB_MAPPING, FixKind.ORDER],
    ),
    (
        held(HoldReason.HUB_INACTIVE, "Pune Warehouse is inactive."),
        "Pune Warehouse is inactive.",
        Outcome.FAILED,
        [FixKind.HUB_MAPPING, FixKind.ORDER],
    ),
    (
        held(HoldReason.SKU_UNKNOWN, "TEE is unknown."),
        "TEE is unknown.",
        Outcome.FAILED,
        [FixKind.UPLOAD_CATALOG, FixKind.ORDER],
    ),
    (
        held(HoldReason.NO_ASIN, "TEE has no ASIN in this store."),
        "TEE has no ASIN in this store.",
        Outcome.FAILED,
        [FixKind.UPLOAD_CATALOG, FixKind.ORDER],
    ),
    (
        held(HoldReason.NOT_ENOUGH_STOCK, "Not enough stock at Pune Warehouse."),
        "Not enough stock at Pune Warehouse.",
        Outcome.FAILED,
        [FixKind.STOCK, FixKind.ORDER],
    ),
    (here, "of Pune Store is Packed at Delhi Warehouse.", Outcome.ANSWERED, [FixKind.ORDER]),
    (here_by_own_number, "of Pune Store is a New Order.", Outcome.ANSWERED, [FixKind.ORDER]),
]


@pytest.mark.parametrize(("state", "words", "ends", "offered"), LOCAL)
def test_what_is_known_here_is_said_without_asking_amazon(scene: Scene, state, words, ends, offered) -> None:
    text = state(scene)
    before = scene.sandbox.control.stats()
    found = scene.why(text)
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)
    assert scene.sandbox.control.stats() == before


# What Amazon says -----------------------------------------------------------------------------------------------------


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
    scene.pulled_until(clock.now())
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
    scene.change(marketplace_id="A2VIGQ35RCS4UG", country_code="AE")
    found = scene.why(scene.make())
    assert sentence(found) == (
        "It was sold in India (A21TJRUUN4KGV), and Pune Store brings in orders of United Arab Emirates. Connect a "
        "store of that country."
    )
    assert fixes(found) == [FixKind.CONNECT_STORE]


def test_an_order_id_is_found_in_amazons_lists(scene: Scene) -> None:
    shipment_id = scene.make(status="CREATED")
    found = scene.why(order_id_of(scene.sandbox, shipment_id).replace("-", ""))
    assert sentence(found).startswith("It is still pending")
    missing = scene.why("402-0000001-0000001")
    assert sentence(missing).startswith("No list of Amazon's has this order for Pune Store")


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


def run_that_cannot_read(scene: Scene) -> None:
    """Let a run meet shipments of which Amazon sends no lines just then, so that they go into quarantine."""
    scene.sandbox.control.fault("odd_no_lines")
    do_run(scene.store)
    scene.sandbox.control.clear_faults()


def test_how_it_stands_at_amazon_comes_before_the_quarantine(scene: Scene) -> None:
    """The order of product.md 6: what is past already would stay out, however well it could be read."""
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
    found = scene.why(quarantined(scene))
    assert sentence(found).startswith(
        "Amazon sent it, and it could not be read: line 1 has no readable SKU. It waits in quarantine"
    )
    assert (found.cause.name, outcome(found)) == ("Could it be read?", Outcome.FAILED)
    assert fixes(found) == [FixKind.QUARANTINE]
    assert by_name(found)["Does Amazon have it?"] is Outcome.NOTE


def test_quarantine_is_named_while_amazon_is_away(scene: Scene) -> None:
    shipment_id = quarantined(scene)
    scene.sandbox.control.fault("error_503", operation="getShipment", count=9)
    found = scene.why(shipment_id)
    assert found.cause.name == "Could it be read?"
    assert fixes(found) == [FixKind.QUARANTINE]


def test_an_order_id_whose_shipment_amazon_mended_still_waits_in_quarantine(scene: Scene) -> None:
    shipment_id = scene.make()
    run_that_cannot_read(scene)
    found = scene.why(order_id_of(scene.sandbox, shipment_id))
    assert sentence(found).startswith("Amazon sent it, and it could not be read: it has no lines.")
    db.session.scalars(db.select(QuarantinedShipment)).one().resolved_at = clock.now()
    db.session.commit()
    again = scene.why(order_id_of(scene.sandbox, shipment_id))
    assert [check.finding.sentence for check in again.checks if check.name == "Could it be read?"] == [
        "It does not wait in quarantine."
    ]


def test_lists_that_are_too_long_to_wait_for_lead_to_a_recovery(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(asking.Patience, "is_over", True)
    found = scene.why("402-0000001-0000001")
    assert outcome(found) is Outcome.UNKNOWN
    assert sentence(found).startswith("Amazon cannot be asked for an order id, and its lists are longer")
    assert fixes(found) == [FixKind.RECOVER]


def test_a_revoked_authorization_is_found_while_asking(scene: Scene) -> None:
    shipment_id = scene.make()
    scene.sandbox.control.revoke_tokens()
    found = scene.why(shipment_id)
    assert sentence(found).startswith("Pune Store needs re-authorization")
    assert fixes(found) == [FixKind.RECONNECT]


def test_the_checks_here_go_on_while_amazon_is_away(scene: Scene) -> None:
    scene.pulled_until(clock.now())
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
    stopped = scene.why(shipment_id, parts=Parts(is_scheduler_seen=False))
    assert sentence(stopped).startswith("The scheduler has not been seen lately")


# What the runs and the parts say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (Parts(is_redis_away=True), "Redis is away, so no work reaches a worker"),
        (Parts(is_scheduler_seen=False), "The scheduler has not been seen lately, so no sync starts by itself."),
        (Parts(unserved_queues=("sync", "upload")), "No worker has been seen lately for sync, so runs wait."),
    ],
)
def test_a_part_that_is_away_is_named(scene: Scene, parts, words) -> None:
    found = scene.why(scene.make(), parts=parts)
    assert words in sentence(found)
    assert outcome(found) is Outcome.FAILED


def failed_run(scene: Scene) -> None:
    scene.sandbox.control.fault("access_denied", operation="getShipments")
    assert do_run(scene.store).state is RunState.FAILED
    scene.sandbox.control.clear_faults()


def stale(scene: Scene) -> None:
    long_ago = clock.now() - timedelta(hours=3)
    scene.pulled_until(long_ago)
    db.session.execute(update(Store).values(authorized_at=long_ago))
    db.session.commit()


def running(scene: Scene) -> None:
    factories.make_run(scene.store, RunState.RUNNING)


def never_run(scene: Scene) -> None:
    pass


def not_due(scene: Scene) -> None:
    scene.pulled_until(clock.now())


@pytest.mark.parametrize(
    ("state", "words", "ends", "offered"),
    [
        (
            failed_run,
            "The last run of Order Sync failed: Amazon",
            Outcome.FAILED,
            [FixKind.RUN, FixKind.SYNC_NOW],
        ),
        (stale, "There was no good run for more than 45 minutes.", Outcome.FAILED, [FixKind.RUN, FixKind.SYNC_NOW]),
        (running, "A run of Order Sync is at work now.", Outcome.ANSWERED, [FixKind.RUN]),
        (
            never_run,
            "Order Sync is on its way: The first run starts within a minute.",
            Outcome.ANSWERED,
            [FixKind.SYNC_NOW],
        ),
        (
            not_due,
            "Nothing stands in its way: the runs before were too early for it, and the next one brings it in.",
            Outcome.ANSWERED,
            [FixKind.SYNC_NOW],
        ),
    ],
)
def test_the_last_run_says_why(scene: Scene, state, words, ends, offered) -> None:
    state(scene)
    found = scene.why(scene.make())
    assert words in sentence(found)
    assert (outcome(found), fixes(found)) == (ends, offered)


def test_the_next_run_is_named_with_its_time(scene: Scene) -> None:
    not_due(scene)
    finding = scene.why(scene.make()).cause.finding
    assert finding is not None
    assert [label for label, _ in finding.moments] == ["Next run", "Last good run"]


def test_an_order_that_a_good_run_left_behind_is_recovered(scene: Scene) -> None:
    shipment_id = scene.make(updated_minutes_ago=60)
    scene.pulled_until(clock.now())
    found = scene.why(shipment_id)
    assert sentence(found).startswith("Amazon had it already when the last good run looked")
    assert fixes(found) == [FixKind.RECOVER]


def test_a_hub_that_is_missing_is_noted_before_it_holds_the_order(scene: Scene) -> None:
    not_due(scene)
    found = scene.why(scene.make(location_id=UNMAPPED))
    assert sentence(found).startswith("Nothing stands in its way")
    [noted] = found.notes
    assert noted.finding is not None
    assert noted.finding.sentence.startswith(f"It will come in On Hold: No hub has the Seller Flex Hub ID {UNMAPPED}.")


def test_what_was_promised_comes_true(scene: Scene) -> None:
    shipment_id = scene.make()
    assert outcome(scene.why(shipment_id)) is Outcome.ANSWERED
    do_run(scene.store)
    found = scene.why(shipment_id)
    assert sentence(found).startswith("It is here: FD-")


# Who asks, and what is asked ------------------------------------------------------------------------------------------


def test_another_sellers_order_is_not_told_of(scene: Scene) -> None:
    order = factories.make_order(scene.store)
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


def test_who_turned_order_sync_off_is_named_with_the_row_of_the_log(scene: Scene) -> None:
    merchant = factories.make_actor(factories.make_user(scene.store.seller.workspace, name="Asha Rao"))
    scene.change(is_order_sync_on=True)
    version = scene.store.settings_version
    store_settings.set_toggle(merchant, scene.store.id, Toggle.ORDER_SYNC, turn_on=False, version=version)
    cause = scene.why(scene.make()).cause.finding
    row = store_settings.last_change(scene.store, Toggle.ORDER_SYNC)
    assert cause.sentence.startswith("Asha Rao turned Order Sync off for Pune Store, so no order comes in by itself.")
    assert "reason" not in cause.sentence
    assert cause.moments == (("Turned off", row.occurred_at),)
    assert [fix.values for fix in cause.fixes if fix.kind is FixKind.LOG_ROW] == [{"event_id": row.id}]


def test_the_reason_for_turning_order_sync_off_is_told_in_full(scene: Scene) -> None:
    merchant = factories.make_actor(factories.make_user(scene.store.seller.workspace, name="Asha Rao"))
    scene.change(is_order_sync_on=True)
    reason = f"Stock count <b>until Monday</b>, {'x' * 260}"
    store_settings.set_toggle(
        merchant,
        scene.store.id,
        Toggle.ORDER_SYNC,
        turn_on=False,
        version=scene.store.settings_version,
        reason=reason,
    )
    assert scene.why(scene.make()).cause.finding.sentence.endswith(f" The reason given: “{reason}”.")

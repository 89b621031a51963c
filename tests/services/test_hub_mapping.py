"""Mapping hubs: one hub, one id, inside a store; every refusal is a sentence beside its field."""

import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from sqlalchemy import event as sqlalchemy_event

from flexdash.amazon import errors as amazon_errors
from flexdash.extensions import db
from flexdash.models import ConfigEvent, HoldReason, HubMapping, Order, OrderState, Role, StoreStatus, VerifyResult
from flexdash.services import config_log, hub_mapping, hub_mapping_overview, hub_verification, order_holds
from flexdash.services.amazon_access import StoreNotConnected
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.errors import ChangedMeanwhile, FieldRefused, NotAllowed, NotVisible, ServiceError
from tests.factories import (
    make_actor,
    make_hub,
    make_mapping,
    make_order,
    make_seller,
    make_store,
    make_user,
    make_workable,
)
from tests.factories import make_workspace as new_workspace


@pytest.fixture
def workspace(app):
    return new_workspace()


@pytest.fixture
def asha(workspace):
    return make_actor(make_user(workspace, name="Asha"))


@pytest.fixture
def store(workspace):
    return make_store(make_seller(workspace), name="Pune Store")


@pytest.fixture
def pune(workspace):
    return make_hub(workspace, "PNQ", "Pune Hub")


@pytest.fixture
def delhi(workspace):
    return make_hub(workspace, "DEL", "Delhi Hub")


def sentences() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(db.select(ConfigEvent.sentence).order_by(ConfigEvent.sequence)))


def mappings() -> list[tuple[int, str, bool]]:
    db.session.rollback()
    rows = db.session.scalars(db.select(HubMapping).order_by(HubMapping.id))
    return [(row.hub_id, row.seller_flex_hub_id, row.is_active) for row in rows]


# Add, change, remove --------------------------------------------------------------------------------------------------


def test_a_mapping_is_added_changed_and_removed_each_in_a_sentence(asha, store, pune) -> None:
    mapping = hub_mapping.add(asha, store.id, pune.id, " EXSB ", reason="Opening day")
    mapping = hub_mapping.change(asha, store.id, pune.id, "EXSC", is_active=True, version=mapping.version)
    mapping = hub_mapping.change(asha, store.id, pune.id, "EXSC", is_active=False, version=mapping.version)
    mapping = hub_mapping.change(asha, store.id, pune.id, "EXSD", is_active=True, version=mapping.version)
    assert hub_mapping.remove(asha, store.id, pune.id, version=mapping.version) == "EXSD"
    assert sentences() == [
        "Asha mapped Pune Hub to EXSB in Pune Store",
        "Asha changed the Seller Flex Hub ID of Pune Hub from EXSB to EXSC in Pune Store",
        "Asha switched the mapping of Pune Hub to EXSC off in Pune Store",
        "Asha changed the Seller Flex Hub ID of Pune Hub from EXSC to EXSD and switched it on in Pune Store",
        "Asha removed the Seller Flex Hub ID EXSD from Pune Hub in Pune Store",
    ]
    first = db.session.scalars(db.select(ConfigEvent).order_by(ConfigEvent.sequence)).first()
    assert first.reason == "Opening day"
    assert first.new_value == {"hub": "Pune Hub", "hub_id": pune.id, "seller_flex_hub_id": "EXSB", "is_active": True}
    assert mappings() == []


def test_saving_without_a_change_writes_nothing(asha, store, pune) -> None:
    mapping = make_mapping(store, pune, "EXSB")
    hub_mapping.change(asha, store.id, pune.id, "EXSB", is_active=True, version=1)
    assert sentences() == []
    assert mapping.version == 1


def test_a_changed_id_is_unverified_again(asha, store, pune) -> None:
    make_mapping(store, pune, "EXSB", verify_result=VerifyResult.FOUND, verify_message="in use")
    mapping = hub_mapping.change(asha, store.id, pune.id, "EXSC", is_active=True, version=1)
    assert (mapping.verify_result, mapping.verify_message, mapping.verified_at) == (None, "", None)


@pytest.mark.parametrize(
    "wrong", ["", "   ", "EX SB", "EXSB;", "A" * 37, "ÄXSB", "<svg onload=1>", "EXSB\0", "１２３４"]
)
def test_an_id_of_the_wrong_form_is_a_field_error(asha, store, pune, wrong) -> None:
    with pytest.raises(FieldRefused) as refusal:
        hub_mapping.add(asha, store.id, pune.id, wrong)
    assert refusal.value.field == "seller_flex_hub_id"
    assert mappings() == []


@pytest.mark.parametrize(
    ("location", "is_unusual"), [("EXSB", False), ("ABC", True), ("a_b-C9", True), ("x" * 36, True)]
)
def test_another_length_than_four_is_kept_and_called_unusual(asha, store, pune, location, is_unusual) -> None:
    assert hub_mapping.add(asha, store.id, pune.id, location).seller_flex_hub_id == location
    assert hub_mapping.is_unusual(location) is is_unusual


@pytest.mark.parametrize("same", ["EXSB", "exsb"])
def test_an_id_that_another_hub_has_is_refused_by_that_hubs_name(asha, store, pune, delhi, same) -> None:
    make_mapping(store, pune, "EXSB")
    with pytest.raises(FieldRefused, match="Pune Hub") as refusal:
        hub_mapping.add(asha, store.id, delhi.id, same)
    assert refusal.value.field == "seller_flex_hub_id"
    make_mapping(store, delhi, "DELX")
    with pytest.raises(FieldRefused, match="Pune Hub"):
        hub_mapping.change(asha, store.id, delhi.id, same, is_active=True, version=1)


def test_the_case_of_an_id_can_be_mended(asha, store, pune) -> None:
    make_mapping(store, pune, "exsb")
    assert hub_mapping.change(asha, store.id, pune.id, "EXSB", is_active=True, version=1).seller_flex_hub_id == "EXSB"


def test_the_same_id_may_be_used_in_another_store(asha, store, pune) -> None:
    other = make_store(store.seller)
    hub_mapping.add(asha, store.id, pune.id, "EXSB")
    hub_mapping.add(asha, other.id, pune.id, "EXSB")
    assert len(mappings()) == 2


def test_an_inactive_hub_takes_no_id_but_can_be_let_go(workspace, asha, store) -> None:
    closed = make_hub(workspace, name="Closed Hub", is_active=False)
    with pytest.raises(FieldRefused, match="Closed Hub is inactive") as refusal:
        hub_mapping.add(asha, store.id, closed.id, "EXSB")
    assert refusal.value.field == "hub_id"
    make_mapping(store, closed, "EXSB", is_active=False)
    with pytest.raises(FieldRefused):
        hub_mapping.change(asha, store.id, closed.id, "EXSB", is_active=True, version=1)
    hub_mapping.remove(asha, store.id, closed.id, version=1)


# Others at the same time ----------------------------------------------------------------------------------------------


def test_an_older_form_is_refused_with_who_and_what(workspace, asha, store, pune) -> None:
    ravi = make_actor(make_user(workspace, name="Ravi"))
    make_mapping(store, pune, "EXSB")
    hub_mapping.change(ravi, store.id, pune.id, "EXSC", is_active=True, version=1)
    for attempt in (
        lambda: hub_mapping.change(asha, store.id, pune.id, "EXSD", is_active=True, version=1),
        lambda: hub_mapping.remove(asha, store.id, pune.id, version=1),
        lambda: hub_mapping.add(asha, store.id, pune.id, "EXSD"),
    ):
        with pytest.raises(ChangedByOther, match="Ravi changed the Seller Flex Hub ID of Pune Hub"):
            attempt()
    assert mappings() == [(pune.id, "EXSC", True)]


def test_a_form_from_before_a_removal_does_not_fit_the_new_mapping(asha, store, pune) -> None:
    old = hub_mapping.add(asha, store.id, pune.id, "EXSB").version
    hub_mapping.remove(asha, store.id, pune.id, version=old)
    hub_mapping.add(asha, store.id, pune.id, "EXSC")
    with pytest.raises(ChangedByOther):
        hub_mapping.change(asha, store.id, pune.id, "EXSD", is_active=True, version=old)


def test_two_people_taking_the_same_id_at_once_get_one_mapping_and_one_field_error(
    app, asha, store, pune, delhi
) -> None:
    """Both have passed every check in Python when the second writes: the database decides, in words."""
    store_id, hub_ids = store.id, (pune.id, delhi.id)
    db.session.remove()
    barrier = threading.Barrier(2, timeout=20)
    outcomes: list[object] = []

    def take(hub_id: int) -> None:
        with app.app_context():
            barrier.wait()
            try:
                outcomes.append(hub_mapping.add(asha, store_id, hub_id, "EXSB").seller_flex_hub_id)
            except FieldRefused as refusal:
                outcomes.append(refusal.field)
            finally:
                db.session.remove()

    threads = [threading.Thread(target=take, args=(hub_id,)) for hub_id in hub_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(map(str, outcomes)) == ["EXSB", "seller_flex_hub_id"]
    assert len(mappings()) == len(sentences()) == 1


def test_the_unique_index_has_the_last_word(asha, store, pune, delhi, monkeypatch) -> None:
    make_mapping(store, pune, "EXSB")
    monkeypatch.setattr(hub_mapping, "_check_is_free", lambda *args: None)
    with pytest.raises(FieldRefused, match="EXSB is the Seller Flex Hub ID of another hub"):
        hub_mapping.add(asha, store.id, delhi.id, "EXSB")
    assert mappings() == [(pune.id, "EXSB", True)]
    assert sentences() == []


def test_a_mapping_whose_log_row_fails_is_no_mapping(asha, store, pune, monkeypatch) -> None:
    monkeypatch.setattr(config_log, "hash_of", lambda event: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        hub_mapping.add(asha, store.id, pune.id, "EXSB")
    assert mappings() == []
    assert sentences() == []


def test_support_strangers_and_drafts_map_nothing(workspace, asha, store, pune) -> None:
    with pytest.raises(NotAllowed):
        hub_mapping.add(make_actor(make_user(workspace, Role.SUPPORT)), store.id, pune.id, "EXSB")
    with pytest.raises(NotVisible):
        hub_mapping.add(make_actor(make_user(new_workspace())), store.id, pune.id, "EXSB")
    with pytest.raises(NotVisible):
        hub_mapping.add(asha, store.id, make_hub(new_workspace()).id, "EXSB")
    with pytest.raises(ServiceError, match="not connected yet"):
        hub_mapping.add(asha, make_store(store.seller, StoreStatus.DRAFT).id, pune.id, "EXSB")
    assert mappings() == []


# The page's overview --------------------------------------------------------------------------------------------------


def test_the_overview_counts_held_orders_per_hub_and_for_ids_nobody_has(workspace, asha, store, pune, delhi) -> None:
    make_mapping(store, pune, "exsb", is_active=False)
    closed = make_hub(workspace, name="Closed Hub", is_active=False)
    make_mapping(store, closed, "SHUT")
    make_hub(workspace, name="Gone Hub", is_active=False)
    for location, n_orders in {"EXSB": 2, "NEWX": 3, "newx": 1, "OLDX": 1, "SHUT": 1}.items():
        for _ in range(n_orders):
            make_order(store, OrderState.ON_HOLD, seller_flex_hub_id=location)
    make_order(store, OrderState.NEW, seller_flex_hub_id="NEWX")
    make_order(make_store(store.seller), OrderState.ON_HOLD, seller_flex_hub_id="ELSE")
    make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="EXSB", hold_reason=HoldReason.NOT_ENOUGH_STOCK)
    found = hub_mapping_overview.overview(asha, store)
    assert [(row.hub.name, row.held.n_held, row.is_routing) for row in found.rows] == [
        ("Closed Hub", 1, False),
        ("Delhi Hub", 0, False),
        ("Pune Hub", 2, False),
    ]
    assert [(one.seller_flex_hub_id.upper(), one.n_held) for one in found.unmapped] == [("NEWX", 4), ("OLDX", 1)]
    assert found.n_unmapped_orders == 5


def test_the_overview_takes_three_queries_however_many_hubs_there_are(workspace, asha, store) -> None:
    def n_queries() -> int:
        statements: list[str] = []
        db.session.refresh(store)
        sqlalchemy_event.listen(db.engine, "before_cursor_execute", watch := lambda *args: statements.append(args[2]))
        try:
            found = hub_mapping_overview.overview(asha, store)
            assert all(row.hub.name for row in found.rows)
        finally:
            sqlalchemy_event.remove(db.engine, "before_cursor_execute", watch)
        return len(statements)

    few = n_queries()
    for n in range(8):
        make_mapping(store, make_hub(workspace), f"E{n:03d}")
    assert n_queries() == few == 3


def test_a_mapping_lets_go_the_orders_that_waited_for_it(asha, store, pune) -> None:
    order = make_order(store, OrderState.ON_HOLD, seller_flex_hub_id="EXSB", hold_reason=HoldReason.NO_HUB_MAPPED)
    make_workable(pune, order)
    hub_mapping.add(asha, store.id, pune.id, "EXSB")
    assert order_holds.release_fixed(store.id) == [order.id]
    assert db.session.get(Order, order.id, populate_existing=True).state is OrderState.NEW


# Verify ---------------------------------------------------------------------------------------------------------------


class FakeShipments:
    """Stands in for Amazon's shipments: what it answers per status, and what it was asked."""

    def __init__(self, **answers) -> None:
        self.answers, self.asked = answers, []

    def pages(self, **arguments):
        self.asked.append(arguments)
        answer = self.answers.get(arguments["status"], [[]])
        if isinstance(answer, Exception):
            raise answer
        for shipments in answer:
            yield SimpleNamespace(shipments=shipments)


@pytest.fixture
def amazon(monkeypatch):
    def use(**answers) -> FakeShipments:
        shipments = FakeShipments(**answers)

        @contextmanager
        def amazon_for(store):
            assert not db.session().info.get("in_write_transaction"), "Amazon is never called inside a transaction"
            yield SimpleNamespace(shipments=shipments)

        monkeypatch.setattr(hub_verification, "amazon_for", amazon_for)
        return shipments

    return use


@pytest.mark.parametrize(
    ("answers", "result", "words", "n_calls"),
    [
        ({"ACCEPTED": [[{"id": "D1"}]]}, VerifyResult.FOUND, "has new shipments for EXSB", 1),
        ({"ACCEPTED": [[], [{"id": "D1"}]]}, VerifyResult.FOUND, "has new shipments", 1),
        ({"DELIVERED": [[{"id": "D1"}]]}, VerifyResult.FOUND, "has delivered shipments", 3),
        ({"CONFIRMED": [[{"id": "D1"}]]}, VerifyResult.FOUND, "has accepted shipments", 2),
        ({}, VerifyResult.EMPTY, "does not say whether the id exists", 3),
        ({"ACCEPTED": [[]] * 100}, VerifyResult.EMPTY, "no new, accepted or delivered", 3),
    ],
)
def test_verify_keeps_what_amazon_said(asha, store, pune, amazon, answers, result, words, n_calls) -> None:
    shipments = amazon(**answers)
    make_mapping(store, pune, "EXSB")
    mapping = hub_verification.verify(asha, store.id, pune.id)
    assert mapping.verify_result is result
    assert words in mapping.verify_message
    assert mapping.verified_at is not None
    assert mapping.version == 1
    assert len(shipments.asked) == n_calls
    assert shipments.asked[0] == {
        "status": "ACCEPTED",
        "marketplace_id": store.marketplace_id,
        "location_id": "EXSB",
        "max_results": 1,
    }
    assert sentences() == []


def test_amazons_refusal_of_the_id_is_kept_in_its_words(asha, store, pune, amazon) -> None:
    amazon(ACCEPTED=amazon_errors.RequestRefused("Invalid locationId.", status=400))
    make_mapping(store, pune, "EXSB")
    mapping = hub_verification.verify(asha, store.id, pune.id)
    assert mapping.verify_result is VerifyResult.REFUSED
    assert "Amazon refused EXSB: Invalid locationId." in mapping.verify_message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (amazon_errors.AuthorizationRefused("revoked"), "Re-authorize the store"),
        (amazon_errors.AppCredentialsRefused("no"), "FlexDash's own credentials"),
        (amazon_errors.TokenRefused("bad scope"), "says nothing of the id"),
        (amazon_errors.AccessDenied("no", status=403), "a role is missing"),
        (amazon_errors.Throttled("slow", status=429), "Try again in a minute"),
        (amazon_errors.AmazonUnavailable("gone"), "Amazon did not answer"),
        (amazon_errors.UnreadableAnswer("html"), "Amazon did not answer"),
        (amazon_errors.StateConflict("odd", status=409, request_id="R-1"), "R-1"),
    ],
)
def test_an_amazon_that_cannot_be_asked_is_a_sentence_and_changes_nothing(
    asha, store, pune, amazon, error, words
) -> None:
    amazon(ACCEPTED=error)
    make_mapping(store, pune, "EXSB", verify_result=VerifyResult.FOUND, verify_message="kept")
    with pytest.raises(hub_verification.VerifyFailed, match=words):
        hub_verification.verify(asha, store.id, pune.id)
    mapping = db.session.scalars(db.select(HubMapping)).one()
    assert (mapping.verify_result, mapping.verify_message) == (VerifyResult.FOUND, "kept")


def test_an_answer_about_an_id_that_changed_meanwhile_is_thrown_away(asha, store, pune, amazon, monkeypatch) -> None:
    amazon()
    make_mapping(store, pune, "EXSB")

    def ask(client, marketplace_id, location):
        hub_mapping.change(asha, store_id, pune_id, "EXSC", is_active=True, version=1)
        return VerifyResult.FOUND, "in use"

    store_id, pune_id = store.id, pune.id
    monkeypatch.setattr(hub_verification, "_ask", ask)
    with pytest.raises(ChangedMeanwhile, match="changed from EXSB"):
        hub_verification.verify(asha, store_id, pune_id)
    assert db.session.scalars(db.select(HubMapping)).one().verify_result is None


def test_a_store_that_is_not_connected_is_not_asked_about(asha, workspace, pune) -> None:
    away = make_store(make_seller(workspace), StoreStatus.DISCONNECTED)
    make_mapping(away, pune, "EXSB")
    with pytest.raises(StoreNotConnected):
        hub_verification.verify(asha, away.id, pune.id)


def test_support_does_not_verify_and_nobody_verifies_what_is_not_mapped(workspace, asha, store, pune) -> None:
    with pytest.raises(NotVisible):
        hub_verification.verify(asha, store.id, pune.id)
    make_mapping(store, pune)
    with pytest.raises(NotAllowed):
        hub_verification.verify(make_actor(make_user(workspace, Role.SUPPORT)), store.id, pune.id)

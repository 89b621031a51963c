"""Why is my order not here? Where an asker has several stores, or Amazon gives no answer: what is said of that."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.amazon import transport
from flexdash.models import Store
from flexdash.services import disconnecting, stores
from flexdash.services.diagnosis import asking, missed
from flexdash.services.diagnosis.checks import FixKind, Outcome
from flexdash.vault import Vault
from tests import factories
from tests.support.diagnoses import fixes, outcome, sentence
from tests.support.missed_orders import UNKNOWN_ID, Scene, make_scene
from tests.support.pulls import SELLER
from tests.support.recoveries import lift_pace
from tests.support.servers import running_redis

DUBAI = "A3SBXNOVAHOMAE"  # a seller that the sandbox has in the Emirates
UNKNOWN_ORDER_ID = "402-0000001-0000001"


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)
    monkeypatch.setattr(transport, "_FIRST_REST_SECONDS", 0.01)  # how long it waits is what tests/amazon is about


@pytest.fixture
def scene(app: Flask, sandbox: Running, time_machine) -> Scene:
    return make_scene(sandbox, time_machine)


def other_store(scene: Scene, name: str, account: str = DUBAI) -> Store:
    """Another store of the asker's, of another account."""
    token = scene.sandbox.control.issue_tokens(DUBAI)["refresh_token"]
    return factories.make_store(
        scene.store.seller,
        name=name,
        country_code="AE",
        refresh_token=token,
        amazon_selling_partner_id=account,
        is_order_sync_on=True,
    )


def disconnected_store(scene: Scene, name: str) -> Store:
    """A store that somebody disconnected from Amazon."""
    store = other_store(scene, name)
    disconnecting.disconnect(scene.admin, store.id)
    return store


def test_the_store_whose_account_has_it_is_found(scene: Scene) -> None:
    other_store(scene, "Dubai Store")
    found = scene.why(scene.make(status="CREATED"))
    assert sentence(found).startswith("It is still pending")
    which = next(check for check in found.checks if check.name.startswith("Is a store connected"))
    assert which.finding is not None
    assert which.finding.sentence == f"Amazon has it in the account of Pune Store (account {SELLER}, India)."


def test_the_store_whose_account_has_what_cannot_be_read_is_found(scene: Scene) -> None:
    other_store(scene, "Dubai Store")
    found = scene.why(scene.make(odd="odd_no_lines"))
    assert sentence(found).startswith("Amazon has it, and it cannot be read: it has no lines.")
    assert fixes(found) == [FixKind.SYNC_NOW]


def test_stores_that_cannot_be_asked_are_named_with_a_way_to_look_at_each(scene: Scene) -> None:
    disconnected_store(scene, "Delhi Store")
    found = scene.why(UNKNOWN_ID)
    assert sentence(found) == (
        "Amazon knows no such order in the accounts of Pune Store. Amazon could not be asked for Delhi Store: not "
        "connected."
    )
    assert fixes(found) == [FixKind.OTHER_STORE]


def test_a_chosen_store_is_the_only_one_looked_at(scene: Scene) -> None:
    delhi = disconnected_store(scene, "Delhi Store")
    assert sentence(scene.why(UNKNOWN_ID, store=delhi)).startswith("Delhi Store is disconnected")
    found = scene.why(UNKNOWN_ID, store=scene.store)
    assert sentence(found).startswith("Amazon knows no shipment with this id for Pune Store")
    assert fixes(found) == [FixKind.OTHER_STORE]


def test_the_only_store_there_is_leads_to_no_other_when_it_is_chosen(scene: Scene) -> None:
    found = scene.why(UNKNOWN_ID, store=scene.store)
    assert sentence(found).startswith("Amazon knows no shipment with this id for Pune Store")
    assert fixes(found) == []


def both_are_sure(scene: Scene) -> str:
    return UNKNOWN_ID


def an_order_id(scene: Scene) -> str:
    return UNKNOWN_ORDER_ID


def no_answer_for_the_first(scene: Scene) -> str:
    scene.sandbox.control.fault("error_503", operation="getShipment", seller_id=SELLER)
    return UNKNOWN_ID


@pytest.mark.parametrize(
    ("state", "words", "offered"),
    [
        (
            both_are_sure,
            "Amazon knows no such order in the accounts of Pune Store and Dubai Store. Compare the id with Seller "
            "Central, capital and small letters included.",
            [],
        ),
        (
            an_order_id,
            "Amazon knows no such order in the accounts of Pune Store and Dubai Store. An order id is found only among "
            "the orders of the last 30 days; a shipment id always. Compare the id with Seller Central, capital and "
            "small letters included.",
            [],
        ),
        (
            no_answer_for_the_first,
            "Amazon knows no such order in the accounts of Dubai Store. There was no full answer for Pune Store.",
            [FixKind.OTHER_STORE],
        ),
    ],
)
def test_an_order_that_no_store_has_names_who_was_asked(scene: Scene, state, words, offered) -> None:
    other_store(scene, "Dubai Store")
    found = scene.why(state(scene))
    assert (sentence(found), outcome(found), fixes(found)) == (words, Outcome.FAILED, offered)


def test_no_more_stores_are_asked_than_a_person_waits_for(scene: Scene) -> None:
    names = ["Abu Dhabi", "Ajman", "Dubai", "Fujairah", "Sharjah"]
    assert len(names) == missed.ASKED_AT_MOST
    for number, name in enumerate(names):
        other_store(scene, name, f"{DUBAI}{number}")
    found = scene.why(UNKNOWN_ID)
    assert sentence(found) == (
        "Amazon knows no such order in the accounts of Pune Store, Abu Dhabi, Ajman, Dubai and Fujairah. Not all "
        "stores could be asked while you wait: choose the store."
    )
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.OTHER_STORE])


def test_no_further_store_is_asked_once_a_person_has_waited_long_enough(scene: Scene, monkeypatch) -> None:
    other_store(scene, "Dubai Store")
    monkeypatch.setattr(asking, "PATIENCE_SECONDS", 0.4)  # twelve would only be waited for; less may pass before a call
    scene.sandbox.control.fault("slow", operation="getShipment", ms=450)
    found = scene.why(UNKNOWN_ID)
    assert sentence(found) == (
        "Amazon knows no such order in the accounts of Pune Store. Not all stores could be asked while you wait: "
        "choose the store."
    )
    assert (outcome(found), fixes(found)) == (Outcome.FAILED, [FixKind.OTHER_STORE])


def test_a_chosen_store_that_was_never_connected_is_named_as_such(scene: Scene) -> None:
    draft = stores.start_draft(scene.admin, scene.store.seller_id, "IN", "Delhi Store")
    found = scene.why(UNKNOWN_ID, store=draft)
    assert sentence(found) == (
        "The store you chose was never connected to Amazon, so no order can come in. Connect one first."
    )
    assert fixes(found) == [FixKind.CONNECT_STORE]


# Why Amazon gave no answer --------------------------------------------------------------------------------------------


@dataclass
class Surroundings:
    """What a state changes besides the scene: the app, for the one test only, and a folder."""

    app: Flask
    patch: pytest.MonkeyPatch
    folder: Path


def redis_away(scene: Scene, around: Surroundings) -> None:
    with running_redis(around.folder) as url:
        around.patch.setitem(around.app.extensions, "flexdash_redis", redis.Redis.from_url(url, socket_timeout=5))


def faulty(kind: str, **limits) -> Callable[[Scene, Surroundings], None]:
    def put(scene: Scene, around: Surroundings) -> None:
        scene.sandbox.control.fault(kind, **limits)

    return put


def key_lost(scene: Scene, around: Surroundings) -> None:
    """As FlexDash is when it was started with a new key, and without the one before."""
    around.patch.setitem(around.app.extensions, "flexdash_vault", Vault([Fernet.generate_key().decode()]))


NO_ANSWERS = [
    (redis_away, "Amazon was not asked: Redis, which keeps Amazon's pace, is away. Tell whoever runs FlexDash."),
    (
        key_lost,
        "Amazon was not asked: the key that opens this store's authorization is missing from ENCRYPTION_KEYS. Tell "
        "whoever runs FlexDash to put it back.",
    ),
    (
        faulty("invalid_client"),
        "Amazon does not accept FlexDash's own credentials. Tell whoever runs FlexDash to renew them.",
    ),
    (
        faulty("invalid_scope"),
        "Amazon was not asked, for it gave no access token. Login with Amazon refused the request: The requested scope "
        "is invalid, unknown, or malformed. Tell whoever runs FlexDash; re-authorizing the store may help.",
    ),
    (
        faulty("access_denied", operation="getShipment"),
        "Amazon does not let FlexDash read this here: a role is missing, or Amazon has not opened External Fulfillment "
        "for the account yet. Ask your Amazon contact.",
    ),
    (
        faulty("throttle", operation="getShipment"),
        "Amazon gave no answer: this store's allowance is used up at the moment. Look again in a minute.",
    ),
    (
        faulty("error_503", operation="getShipment"),
        "Amazon does not answer at the moment. Look again in a few minutes.",
    ),
]


@pytest.mark.parametrize(("state", "words"), NO_ANSWERS)
def test_why_amazon_gave_no_answer_is_said_in_words(
    scene: Scene, app: Flask, monkeypatch, tmp_path, state, words
) -> None:
    state(scene, Surroundings(app, monkeypatch, tmp_path))
    found = scene.why(UNKNOWN_ID)
    assert (sentence(found), outcome(found)) == (words, Outcome.UNKNOWN)

"""Why is my order not here? Where an asker has several stores, or Amazon gives no answer: what is said of that."""

from collections.abc import Callable

import pytest
import redis
from cryptography.fernet import Fernet
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash import clock
from flexdash.amazon import errors, transport
from flexdash.amazon.lwa import LoginWithAmazon
from flexdash.models import Store
from flexdash.services.diagnosis import missed
from flexdash.services.diagnosis.checks import FixKind, Outcome
from flexdash.vault import Vault
from tests import factories
from tests.services.test_diagnosis_order_missing import UNKNOWN_ID, Scene, make_scene
from tests.support.diagnoses import fixes, outcome, sentence
from tests.support.pulls import SELLER
from tests.support.recoveries import lift_pace

UNKNOWN_ORDER_ID = "402-0000001-0000001"


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    lift_pace(monkeypatch)
    monkeypatch.setattr(transport, "_FIRST_REST_SECONDS", 0.01)  # how long it waits is what tests/amazon is about


@pytest.fixture
def scene(app: Flask, sandbox: Running) -> Scene:
    return make_scene(sandbox)


def dubai_store(scene: Scene) -> Store:
    """Another store of the asker's, of another account."""
    token = scene.sandbox.control.issue_tokens("A3SBXNOVAHOMAE")["refresh_token"]
    return factories.make_store(
        scene.store.seller,
        name="Dubai Store",
        refresh_token=token,
        amazon_selling_partner_id="A3SBXNOVAHOMAE",
        is_order_sync_on=True,
    )


def test_the_store_whose_account_has_it_is_found(scene: Scene) -> None:
    dubai_store(scene)
    found = scene.why(scene.make(status="CREATED"))
    assert sentence(found).startswith("It is still pending")
    which = next(check for check in found.checks if check.name.startswith("Is a store connected"))
    assert which.finding is not None
    assert which.finding.sentence == f"Amazon has it in the account of Pune Store (account {SELLER}, India)."


def test_stores_that_cannot_be_asked_are_named_with_a_way_to_look_at_each(scene: Scene) -> None:
    factories.make_store(scene.store.seller, "disconnected", name="Delhi Store")
    found = scene.why(UNKNOWN_ID)
    assert sentence(found) == (
        "Amazon knows no such order in the accounts of Pune Store. Amazon could not be asked for Delhi Store: not "
        "connected."
    )
    assert fixes(found) == [FixKind.OTHER_STORE]


def test_a_chosen_store_is_the_only_one_looked_at(scene: Scene) -> None:
    delhi = factories.make_store(scene.store.seller, "disconnected", name="Delhi Store", is_order_sync_on=True)
    assert sentence(scene.why(UNKNOWN_ID, store=delhi)).startswith("Delhi Store is disconnected")
    found = scene.why(UNKNOWN_ID, store=scene.store)
    assert sentence(found).startswith("Amazon knows no shipment with this id for Pune Store")
    assert fixes(found) == [FixKind.OTHER_STORE]


def both_are_sure(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> str:
    return UNKNOWN_ID


def an_order_id(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> str:
    return UNKNOWN_ORDER_ID


def no_answer_for_the_first(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> str:
    scene.sandbox.control.fault("error_503", operation="getShipment", seller_id=SELLER)
    return UNKNOWN_ID


def no_time_for_the_second(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(missed, "ASKED_AT_MOST", 1)
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
        (
            no_time_for_the_second,
            "Amazon knows no such order in the accounts of Pune Store. Not all stores could be asked while you wait: "
            "choose the store.",
            [FixKind.OTHER_STORE],
        ),
    ],
)
def test_an_order_that_no_store_has_names_who_was_asked(scene: Scene, monkeypatch, state, words, offered) -> None:
    dubai_store(scene)
    found = scene.why(state(scene, monkeypatch))
    assert (sentence(found), outcome(found), fixes(found)) == (words, Outcome.FAILED, offered)


def test_a_chosen_store_that_was_never_connected_is_named_as_such(scene: Scene) -> None:
    found = scene.why(UNKNOWN_ID, store=factories.make_store(scene.store.seller, "draft"))
    assert sentence(found) == (
        "The store you chose was never connected to Amazon, so no order can come in. Connect one first."
    )
    assert fixes(found) == [FixKind.CONNECT_STORE]


# Why Amazon gave no answer --------------------------------------------------------------------------------------------


def redis_away(scene: Scene, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    away = redis.Redis.from_url("redis://127.0.0.1:1/0", retry=None)
    monkeypatch.setitem(app.extensions, "flexdash_redis", away)


def faulty(kind: str, **limits) -> Callable[..., None]:
    def put(scene: Scene, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        scene.sandbox.control.fault(kind, **limits)

    return put


def key_lost(scene: Scene, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.change(refresh_token_encrypted=Vault([Fernet.generate_key().decode()]).encrypt("Atzr|of-another-key"))


def token_refused(scene: Scene, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise errors.TokenRefused("Login with Amazon refused the request: invalid_scope", operation="refreshToken")

    monkeypatch.setattr(LoginWithAmazon, "refresh", refuse)


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
        token_refused,
        "Amazon was not asked, for it gave no access token. Login with Amazon refused the request: invalid_scope. Tell "
        "whoever runs FlexDash; reconnecting the store may help.",
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
def test_why_amazon_gave_no_answer_is_said_in_words(scene: Scene, app: Flask, monkeypatch, state, words) -> None:
    state(scene, app, monkeypatch)
    scene.pulled_until(clock.now())
    found = scene.why(UNKNOWN_ID)
    assert (sentence(found), outcome(found)) == (words, Outcome.UNKNOWN)

"""What calls to Amazon leave behind: each is kept, whatever becomes of the work, and so is a new refresh token."""

import httpx
import pytest
from flask import Flask

from flexdash import clock
from flexdash.amazon import client as amazon_client
from flexdash.amazon.records import CallRecord
from flexdash.database import transaction
from flexdash.extensions import db, vault
from flexdash.models import ApiCall, Store, StoreStatus
from flexdash.services.amazon_access import CallLog, amazon_for, store_at_amazon
from tests import factories

LWA_PATH = "/auth/o2/token"


@pytest.fixture
def store(app: Flask) -> Store:
    return factories.make_store(factories.make_seller(factories.make_workspace()), refresh_token="Atzr|old")


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An Amazon that knows no participation and whose token service returns the refresh token in this dict."""
    said = {"refresh_token": "Atzr|old"}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == LWA_PATH:
            return httpx.Response(200, json={"access_token": "Atza|a", "expires_in": 3600, **said})
        return httpx.Response(200, json={"payload": []})

    pool = httpx.Client(transport=httpx.MockTransport(answer))
    monkeypatch.setattr(amazon_client, "shared_pool", lambda: pool)
    return said


def kept_token(store: Store) -> str:
    db.session.rollback()
    return vault.decrypt(db.session.get(Store, store.id, populate_existing=True).refresh_token_encrypted)


def n_calls() -> int:
    db.session.rollback()
    return db.session.scalar(db.select(db.func.count(ApiCall.id)))


def record() -> CallRecord:
    return CallRecord("getShipments", "GET", "/x", 200, 5, "r-1", False, "", "", clock.now(), 1, 0, "", "")


def test_calls_of_work_that_was_rolled_back_are_kept_all_the_same(store: Store) -> None:
    calls = CallLog(store_at_amazon(store.id))
    calls.add(record())

    def be_cut_off() -> None:
        with transaction():
            calls.write()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        be_cut_off()
    assert n_calls() == 0

    calls.flush()
    calls.flush()
    assert n_calls() == 1


def test_a_refresh_token_that_amazon_returns_in_place_of_the_old_one_is_kept(store: Store, amazon) -> None:
    amazon["refresh_token"] = "Atzr|new"
    with amazon_for(store) as client:
        client.sellers.marketplace_participations()
    assert kept_token(store) == "Atzr|new"
    assert n_calls() == 2


def test_the_same_refresh_token_returned_changes_nothing(store: Store, amazon) -> None:
    encrypted = store.refresh_token_encrypted
    with amazon_for(store) as client:
        client.sellers.marketplace_participations()
    db.session.rollback()
    assert db.session.get(Store, store.id, populate_existing=True).refresh_token_encrypted == encrypted


def test_a_late_refresh_token_never_replaces_that_of_a_newer_authorization(store: Store) -> None:
    calls = CallLog(store_at_amazon(store.id))
    calls.add(record())
    calls.take_refresh_token("Atzr|late")
    store.refresh_token_encrypted = vault.encrypt("Atzr|authorized anew")
    db.session.commit()
    calls.flush()
    assert kept_token(store) == "Atzr|authorized anew"


def test_a_late_refresh_token_never_brings_a_disconnected_store_back(store: Store) -> None:
    calls = CallLog(store_at_amazon(store.id))
    calls.add(record())
    calls.take_refresh_token("Atzr|late")
    store.status, store.refresh_token_encrypted = StoreStatus.DISCONNECTED, None
    db.session.commit()
    calls.flush()
    db.session.rollback()
    assert db.session.get(Store, store.id, populate_existing=True).refresh_token_encrypted is None

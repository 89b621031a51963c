"""What recoveries and comparisons with Amazon are tested on: a store of the sandbox's seller, and a merchant."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from flexdash.extensions import db
from flexdash.models import Role, Store
from flexdash.services.actors import Actor
from tests import factories
from tests.support.pulls import make_pulled_store
from tests.support.recoveries import lift_pace


@pytest.fixture
def store(app: Flask, sandbox: Running) -> Store:
    """A store of the sandbox's seller with Order Sync on."""
    sandbox.control.plans({"*": None})
    return make_pulled_store(sandbox, name="Pune Store")


@pytest.fixture
def order_sync_off(store: Store) -> None:
    """Turn the store's Order Sync off."""
    store.is_order_sync_on = False
    db.session.commit()


@pytest.fixture(autouse=True)
def no_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test wait for Amazon's pace."""
    lift_pace(monkeypatch)


@pytest.fixture
def actor(store: Store) -> Actor:
    """A merchant of the store's workspace."""
    return factories.make_actor(factories.make_user(store.seller.workspace, Role.MERCHANT, name="Asha"))

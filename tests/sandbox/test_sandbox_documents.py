"""docs/sandbox.md names everything that can be set, called or broken."""

import dataclasses
import re

import pytest

from amazon_sandbox import create_app
from amazon_sandbox.config import Config
from amazon_sandbox.serving import PROJECT_DIR
from amazon_sandbox.web.control_input import FAULT_FIELDS, ORDER_FIELDS
from amazon_sandbox.world.accounts import ACCOUNTS
from amazon_sandbox.world.faults import KINDS
from amazon_sandbox.world.options import Options


@pytest.fixture(scope="module")
def document():
    return (PROJECT_DIR / "docs" / "sandbox.md").read_text("utf-8")


def names():
    yield from (f"`SANDBOX_{field.name.upper()}`" for field in dataclasses.fields(Config))
    yield from (f"`{kind}`" for kind in KINDS)
    yield from (f"`{name}`" for name in (*ORDER_FIELDS, *FAULT_FIELDS))
    yield from (f"`{field.name}`" for field in dataclasses.fields(Options))
    yield from (account.selling_partner_id for account in ACCOUNTS)


@pytest.mark.parametrize("name", sorted(set(names())))
def test_the_document_names(document, name):
    assert name in document


def test_the_document_names_every_control_call(document):
    app = create_app()
    rules = {
        re.sub("<(shipment|feed|return)_id>", "{id}", rule.rule).replace("/<int:fault_id>", "")
        for rule in app.url_map.iter_rules()
    }
    assert [rule for rule in sorted(rules) if rule.startswith("/control/") and f"{rule}`" not in document] == []

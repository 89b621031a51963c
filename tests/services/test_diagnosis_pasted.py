"""What a person pastes into Help: what can be an id of Amazon's is asked for, and what may name a buyer is not."""

import pytest
from flask import Flask

from amazon_sandbox.serving import Running
from amazon_sandbox.world.generator import shipment_id
from flexdash.extensions import db
from flexdash.models import ApiCall, Role
from flexdash.services.diagnosis import cancellation, order_missing, order_open
from flexdash.services.diagnosis.checks import FixKind, Outcome
from flexdash.services.diagnosis.pasted import read
from tests import factories
from tests.support.diagnoses import AT_WORK, outcome, sentence
from tests.support.pulls import make_pulled_store
from tests.support.recoveries import lift_pace

NAMES = ["Verma", "verma", "VERMA", "Chaudhary", "Anita-Verma", "anita_verma"]
TELEPHONES = ["9876543210", "2025550123", "09876543210", "919876543210", "00919876543210"]


@pytest.mark.parametrize("word", NAMES)
def test_a_name_is_no_id(word) -> None:
    found = read(f' "{word}" ')
    assert found.amazon_id == ""
    assert found.problem == (
        f"“{word}” looks like a word or a name, not like an id of Amazon's, so Amazon was not asked."
    )


@pytest.mark.parametrize("word", TELEPHONES)
def test_a_telephone_number_is_no_id(word) -> None:
    found = read(word)
    assert found.amazon_id == ""
    assert found.problem == (
        f"“{word}” looks like a telephone number, not like an id of Amazon's, so Amazon was not asked."
    )


@pytest.mark.parametrize("amazon_id", ["D1px1063T", "DxTqPbNrs", "402-1234567-7654321", "S01-1234567-7654321"])
def test_what_can_be_an_id_of_amazons_is_taken(amazon_id) -> None:
    assert read(amazon_id).amazon_id == amazon_id


def test_every_shipment_id_of_the_sandbox_is_taken() -> None:
    ids = [shipment_id(n) for n in range(5_000)]
    assert any(not any(sign.isdigit() for sign in one) for one in ids), "some have no digit"
    assert [one for one in ids if read(one).amazon_id != one] == []


@pytest.mark.parametrize("why", [order_missing.why_missing, cancellation.why_not_sent, order_open.why_open])
@pytest.mark.parametrize("word", ["4OO-0000013-0102947", "400000001301O2947"])
def test_an_order_id_with_letters_leads_to_the_one_that_was_meant(app: Flask, why, word) -> None:
    asker = factories.make_actor(factories.make_user(factories.make_workspace(), Role.SUPPORT))
    found = why(asker, word, parts=AT_WORK)
    assert sentence(found) == "Order ids have digits only: did you mean 400-0000013-0102947?"
    assert [(fix.kind, fix.values) for fix in found.cause.finding.fixes] == [
        (FixKind.ASK_INSTEAD, {"q": "400-0000013-0102947"})
    ]


@pytest.mark.parametrize("why", [order_missing.why_missing, cancellation.why_not_sent, order_open.why_open])
@pytest.mark.parametrize("word", ["Verma", "9876543210"])
def test_amazon_is_not_asked_for_a_name_or_a_telephone_number(
    app: Flask, sandbox: Running, monkeypatch: pytest.MonkeyPatch, why, word
) -> None:
    lift_pace(monkeypatch)
    store = make_pulled_store(sandbox)
    asker = factories.make_actor(factories.make_user(store.seller.workspace, Role.SUPPORT))
    found = why(asker, word, parts=AT_WORK)
    assert outcome(found) is Outcome.FAILED
    assert "so Amazon was not asked." in sentence(found)
    assert db.session.scalar(db.select(db.func.count()).select_from(ApiCall)) == 0

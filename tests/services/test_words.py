"""Sentences that are put together from Amazon's words and ours end as sentences do."""

from types import SimpleNamespace

import pytest

from flexdash.amazon.errors import AmazonUnavailable, RequestRefused
from flexdash.models import OrderState
from flexdash.services import hub_verification
from flexdash.services.order_work import attempts
from flexdash.services.words import after_refusals, as_sentence


@pytest.mark.parametrize(
    ("text", "whole"),
    [("It broke", "It broke."), ("It broke.", "It broke."), ("It broke.. ", "It broke."), ("Why?", "Why?")],
)
def test_a_sentence_ends_with_one_mark(text: str, whole: str) -> None:
    assert as_sentence(text) == whole


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Amazon refused it (400 Bad Request): INVALID_SKU", "INVALID_SKU"),
        ("Amazon refused the acknowledgement: Amazon refused the request: InvalidInput: a: b", "InvalidInput: a: b"),
        ("Amazon refused the request", "Amazon refused the request"),
        ("Amazon refused to wait. Look: here", "Amazon refused to wait. Look: here"),
        ("The SKU was refused: INVALID_SKU", "The SKU was refused: INVALID_SKU"),
    ],
)
def test_what_stands_behind_a_refusal_is_found_where_that_was_said(text: str, own: str) -> None:
    assert after_refusals(text) == own


@pytest.mark.parametrize("message", ["A sandbox fault", "A sandbox fault."])
def test_what_amazon_said_of_a_step_ends_with_one_full_stop(monkeypatch, message: str) -> None:
    def failing(error):
        def do(_client, _task):
            raise error

        return do

    task = SimpleNamespace(kind="a step")
    monkeypatch.setitem(attempts._DO, "a step", failing(RequestRefused(message)))
    assert attempts.attempt(None, task).sentence == "Amazon refused: A sandbox fault."
    monkeypatch.setitem(attempts._DO, "a step", failing(AmazonUnavailable(message)))
    assert attempts.attempt(None, task).sentence == "A sandbox fault."
    said = hub_verification._refusal("PNQ1", RequestRefused(message))
    assert said == "Amazon refused PNQ1: A sandbox fault. Compare the id with Seller Central."


def test_every_state_of_an_order_stands_behind_is() -> None:
    assert OrderState.NEW.after_is == "a New Order"
    assert OrderState.ON_HOLD.after_is == "On Hold"

"""Login with Amazon: what is sent, what is read, and what each refusal becomes."""

from urllib.parse import parse_qs

import pytest

from flexdash.amazon import errors
from flexdash.amazon.lwa import LoginWithAmazon
from tests.amazon.stub import GOOD_TOKEN, Give


@pytest.fixture
def login(stub, http, pauses, records):
    return LoginWithAmazon(
        stub.lwa_url,
        "client-id",
        "client-secret",
        http,
        timeout_seconds=2,
        user_agent="FlexDash/1.0 (Language=Python)",
        on_call=records.append,
        sleep=pauses,
    )


def refusal(status, code, words="Words of Amazon"):
    return Give(status, {"error": code, "error_description": words})


def test_a_code_is_exchanged_with_the_same_redirect_uri(login, stub):
    grant = login.exchange_code("the-code", "https://f.example/amazon/callback")
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("Atza|good", "Atzr|seller", 3600)
    (call,) = stub.token_calls
    assert call.method == "POST"
    assert call.headers["content-type"] == "application/x-www-form-urlencoded"
    assert call.headers["user-agent"] == "FlexDash/1.0 (Language=Python)"
    assert parse_qs(call.body.decode()) == {
        "grant_type": ["authorization_code"],
        "code": ["the-code"],
        "redirect_uri": ["https://f.example/amazon/callback"],
        "client_id": ["client-id"],
        "client_secret": ["client-secret"],
    }


def test_a_refresh_sends_the_refresh_token_and_keeps_it_when_amazon_returns_none(login, stub):
    stub.token_answers = [Give(200, {"access_token": "Atza|new", "expires_in": "3600"})]
    grant = login.refresh("Atzr|mine")
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("Atza|new", "Atzr|mine", 3600)
    assert parse_qs(stub.token_calls[0].body.decode())["refresh_token"] == ["Atzr|mine"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "invalid_grant"), errors.AuthorizationRefused),
        (refusal(400, "unauthorized_client"), errors.AuthorizationRefused),
        (refusal(403, "access_denied"), errors.AuthorizationRefused),
        (refusal(401, "invalid_client"), errors.AppCredentialsRefused),
        (refusal(400, "invalid_request"), errors.TokenRefused),
        (refusal(400, "invalid_scope"), errors.TokenRefused),
    ],
)
def test_a_refusal_is_final_after_one_call(login, stub, answer, kind):
    stub.token_answers = [answer]
    with pytest.raises(kind, match="Words of Amazon") as caught:
        login.refresh("Atzr|mine")
    assert caught.value.code == answer.data["error"]
    assert not caught.value.is_retryable
    assert len(stub.token_calls) == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(500, "server_error"), errors.AmazonUnavailable),
        (refusal(400, "temporarily_unavailable"), errors.AmazonUnavailable),
        (Give(503, body=b"<html>busy</html>"), errors.AmazonUnavailable),
        (Give(429, {"error": "slow_down"}), errors.Throttled),
        (Give(200, body=b"<html>hello</html>"), errors.UnreadableAnswer),
        (Give(200, {"access_token": "line\nbreak"}), errors.UnreadableAnswer),
        (Give(403, body=b"<html>gateway</html>"), errors.UnreadableAnswer),
        (Give(302, body=b"", headers={"Location": "https://evil.example/"}), errors.UnreadableAnswer),
        (Give(200, GOOD_TOKEN, cuts=True), errors.AmazonUnavailable),
        (Give(200, body=b"x" * 100_000), errors.AmazonUnavailable),
    ],
)
def test_a_passing_fault_is_tried_three_times(login, stub, pauses, answer, kind):
    stub.token_answers = [answer]
    with pytest.raises(kind) as caught:
        login.refresh("Atzr|mine")
    assert caught.value.is_retryable
    assert len(stub.token_calls) == 3
    assert len(pauses) == 2


def test_a_refresh_succeeds_after_faults(login, stub):
    stub.token_answers = [refusal(503, "server_error"), Give(200, GOOD_TOKEN, cuts=True), Give(200, GOOD_TOKEN)]
    assert login.refresh("Atzr|mine").access_token == "Atza|good"


def test_a_code_is_never_sent_twice_once_amazon_may_have_it(login, stub):
    stub.token_answers = [Give(200, GOOD_TOKEN, cuts=True)]
    with pytest.raises(errors.AmazonUnavailable):
        login.exchange_code("the-code", "https://f.example/cb")
    assert len(stub.token_calls) == 1


def test_a_code_is_sent_again_when_no_connection_was_made(http, pauses):
    unreachable = LoginWithAmazon("http://127.0.0.1:9/auth", "id", "secret", http, timeout_seconds=2, sleep=pauses)
    with pytest.raises(errors.AmazonUnavailable, match="no connection"):
        unreachable.exchange_code("the-code", "https://f.example/cb")
    assert len(pauses) == 2


def test_a_code_without_a_refresh_token_connects_nothing(login, stub):
    stub.token_answers = [Give(200, {"access_token": "Atza|x", "expires_in": 3600})]
    with pytest.raises(errors.UnreadableAnswer, match="no refresh token"):
        login.exchange_code("the-code", "https://f.example/cb")


def test_tokens_secrets_and_codes_appear_in_no_record_error_or_repr(login, stub, records):
    stub.token_answers = [refusal(400, "invalid_grant", "bad code the Atzr|secret-token was refused")]
    with pytest.raises(errors.AuthorizationRefused) as caught:
        login.refresh("Atzr|mine")
    stub.token_answers = [Give(200, GOOD_TOKEN)]
    grant = login.exchange_code("the-code", "https://f.example/cb")
    shown = f"{records} {caught.value} {grant}"
    for secret in ("Atz", "client-secret", "the-code"):
        assert secret not in shown
    assert [record.operation for record in records] == ["refreshToken", "exchangeCode"]
    assert records[0].error_code == "invalid_grant"
    assert records[0].path == "/auth/o2/token"

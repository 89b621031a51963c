"""The token service and what access tokens open."""

import httpx
import pytest

HTTP = httpx.Client(trust_env=False, verify=False)

CALLBACK = "http://127.0.0.1:8000/amazon/callback"
PARTICIPATIONS = "/sellers/v1/marketplaceParticipations"


@pytest.fixture
def ask(sandbox):
    """Asks the token service; the app's credentials are added unless given."""

    def call(as_json=False, **fields):
        told = {"client_id": sandbox.config.client_id, "client_secret": sandbox.config.client_secret, **fields}
        told = {name: value for name, value in told.items() if value is not None}
        return HTTP.post(sandbox.lwa_url, **({"json": told} if as_json else {"data": told}))

    return call


def redeem(ask, code, **more):
    return ask(grant_type="authorization_code", code=code, redirect_uri=CALLBACK, **more)


def participations(sandbox, token):
    return HTTP.get(f"{sandbox.api_url}{PARTICIPATIONS}", headers={"x-amz-access-token": token})


@pytest.mark.parametrize("as_json", [False, True])
def test_a_code_becomes_tokens_that_open_the_api(sandbox, ask, as_json):
    tokens = redeem(ask, sandbox.control.issue_code(CALLBACK), as_json=as_json).json()
    assert tokens["access_token"].startswith("Atza|")
    assert tokens["refresh_token"].startswith("Atzr|")
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 3600)
    assert participations(sandbox, tokens["access_token"]).status_code == 200


def test_a_code_is_good_once_for_five_minutes_and_for_its_redirect_uri(sandbox, ask):
    code = sandbox.control.issue_code(CALLBACK)
    wrong = ask(grant_type="authorization_code", code=code, redirect_uri=CALLBACK + "/other")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert redeem(ask, code).status_code == 200
    again = redeem(ask, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert again.json()["error_description"].endswith("parameter : code")
    late = sandbox.control.issue_code(CALLBACK)
    sandbox.control.clock(advance_seconds=301)
    assert redeem(ask, late).json()["error"] == "invalid_grant"


def test_a_refresh_keeps_the_refresh_token_and_the_old_access_token(sandbox, ask):
    first = sandbox.control.issue_tokens()
    second = ask(grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert second["refresh_token"] == first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert participations(sandbox, first["access_token"]).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "Atzr|none"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "other"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "scope": "everything"}, 400, "invalid_scope"),
        ({"grant_type": "authorization_code", "code": "x", "client_id": None}, 400, "invalid_request"),
    ],
)
def test_faulty_requests_get_oauths_errors(ask, fields, status, error):
    response = ask(**fields)
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.headers["cache-control"] == "no-store"


def test_neither_form_nor_json_is_refused(sandbox):
    response = HTTP.post(sandbox.lwa_url, content="grant_type=x", headers={"Content-Type": "text/plain"})
    assert response.json()["error"] == "invalid_request"


def test_grantless_tokens_open_no_sellers_data(sandbox, ask):
    tokens = ask(grant_type="client_credentials", scope="sellingpartnerapi::notifications").json()
    assert "refresh_token" not in tokens
    assert participations(sandbox, tokens["access_token"]).status_code == 403


@pytest.mark.parametrize(
    ("token", "details"),
    [("", "Access token is missing"), ("Atza|made-up", "is revoked, malformed or invalid")],
)
def test_a_missing_or_made_up_token_is_refused_in_amazons_words(sandbox, token, details):
    response = participations(sandbox, token)
    assert response.status_code == 403
    [error] = response.json()["errors"]
    assert error["code"] == "Unauthorized"
    assert details in error["details"]


def test_an_access_token_expires_and_a_refresh_mends_it(sandbox, ask):
    tokens = sandbox.control.issue_tokens()
    sandbox.control.clock(advance_seconds=3601)
    refused = participations(sandbox, tokens["access_token"])
    assert "has expired" in refused.json()["errors"][0]["details"]
    fresh = ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()
    assert participations(sandbox, fresh["access_token"]).status_code == 200


def test_the_life_of_access_tokens_can_be_shortened(sandbox):
    sandbox.control.options(access_token_seconds=2)
    tokens = sandbox.control.issue_tokens()
    assert tokens["expires_in"] == 2
    sandbox.control.clock(advance_seconds=3)
    assert participations(sandbox, tokens["access_token"]).status_code == 403


def test_revoking_one_seller_ends_its_tokens_and_no_others(sandbox, ask):
    india, uae = sandbox.control.issue_tokens(), sandbox.control.issue_tokens("A3SBXNOVAHOMAE")
    assert sandbox.control.revoke_tokens("A3SBXSUNRISEIN") == 1
    assert participations(sandbox, india["access_token"]).status_code == 403
    assert ask(grant_type="refresh_token", refresh_token=india["refresh_token"]).json()["error"] == "invalid_grant"
    assert participations(sandbox, uae["access_token"]).status_code == 200


def test_revoking_access_tokens_alone_leaves_the_refresh_token(sandbox, ask):
    tokens = sandbox.control.issue_tokens()
    sandbox.control.revoke_tokens("A3SBXSUNRISEIN", only_access_tokens=True)
    assert participations(sandbox, tokens["access_token"]).status_code == 403
    assert ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code == 200


def test_an_authorization_ends_after_365_days(sandbox, ask):
    tokens = sandbox.control.issue_tokens()
    sandbox.control.clock(advance_seconds=364 * 86_400)
    assert ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code == 200
    sandbox.control.clock(advance_seconds=86_401)
    assert ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_token_calls_are_counted_by_grant_type(sandbox, ask):
    tokens = sandbox.control.issue_tokens()
    for _ in range(3):
        ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    stats = sandbox.control.stats()
    assert (stats["n_token_calls"], stats["token_calls"]) == (3, {"refresh_token": 3})


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("revoked_token", 400, "invalid_grant"),
        ("invalid_client", 401, "invalid_client"),
        ("invalid_scope", 400, "invalid_scope"),
        ("error_500", 500, "server_error"),
        ("error_503", 503, "temporarily_unavailable"),
    ],
)
def test_faults_of_the_token_service(sandbox, ask, kind, status, error):
    tokens = sandbox.control.issue_tokens()
    sandbox.control.fault(kind, operation="token", count=1)
    response = ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert ask(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).status_code == 200

"""Login with Amazon's token service: POST /auth/o2/token, form-encoded or JSON."""

import hmac
import json
import uuid

from flask import Blueprint, Response, request

from amazon_sandbox.config import Config
from amazon_sandbox.web import connection, gate
from amazon_sandbox.world.authorizations import REFRESH_FAULT, LwaError, Tokens
from amazon_sandbox.world.faults import TOKEN_OPERATION
from amazon_sandbox.world.world import World

SCOPES = ("sellingpartnerapi::notifications", "sellingpartnerapi::client_credential:rotation")
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
FAULTS = (
    "cut",
    "html_instead_of_json",
    "error_500",
    "error_503",
    "throttle",
    "revoked_token",
    "invalid_client",
    "invalid_scope",
)
SCOPE_FAULT = "The requested scope is invalid, unknown, or malformed"
blueprint = Blueprint("token_service", __name__)


@blueprint.post("/auth/o2/token")
def token() -> Response:
    """Tokens for a code, a refresh token, or the app alone; or one of OAuth's errors as Amazon words it."""
    here = gate.world()
    here.stats.begin(TOKEN_OPERATION)
    outcome = "cut"
    try:
        response = _answer(here, gate.config()) if gate.wait(here, TOKEN_OPERATION) else None
        if response is None:
            return connection.cut(request.environ)
        outcome = str(response.status_code)
        return response
    finally:
        here.stats.end(TOKEN_OPERATION, outcome)


def _answer(here: World, config: Config) -> Response | None:
    fields = _fields()
    here.stats.token_call(fields.get("grant_type", ""))
    fault = here.faults.fires(FAULTS, TOKEN_OPERATION)
    try:
        if fault is not None:
            if fault.kind == "cut":
                return None
            if fault.kind == "html_instead_of_json":
                return Response(gate.HTML, fault.status, mimetype="text/html")
            raise _error_of(fault.kind)
        tokens = _tokens(here, config, fields)
    except LwaError as error:
        return _json(error.status, {"error": error.error, "error_description": error.description})
    if here.faults.fires(("drop_after_effect",), TOKEN_OPERATION):
        return None
    body = {"access_token": tokens.access_token, "token_type": "bearer", "expires_in": tokens.expires_in}
    if tokens.refresh_token:
        body["refresh_token"] = tokens.refresh_token
    return _json(200, body)


def _tokens(here: World, config: Config, fields: dict[str, str]) -> Tokens:
    grant_type = _needed(fields, "grant_type")
    if grant_type not in GRANT_TYPES:
        raise LwaError(
            400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server"
        )
    client_id = _needed(fields, "client_id")
    secret = _needed(fields, "client_secret")
    if client_id != config.client_id or not hmac.compare_digest(secret.encode(), config.client_secret.encode()):
        raise LwaError(401, "invalid_client", "Client authentication failed")
    if grant_type == "client_credentials":
        if _needed(fields, "scope") not in SCOPES:
            raise LwaError(400, "invalid_scope", SCOPE_FAULT)
        return here.authorizations.grantless()
    if grant_type == "refresh_token":
        return here.authorizations.refresh(_needed(fields, "refresh_token"), client_id)
    return here.authorizations.redeem(_needed(fields, "code"), client_id, fields.get("redirect_uri"))


def _fields() -> dict[str, str]:
    """The request's parameters from a form or a JSON object; anything else gives none."""
    if request.mimetype == "application/json":
        try:
            found = json.loads(request.get_data())
        except ValueError:
            return {}
        return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}
    return request.form.to_dict()


def _needed(fields: dict[str, str], name: str) -> str:
    if not fields.get(name):
        raise LwaError(400, "invalid_request", f"The request is missing a required parameter : {name}")
    return fields[name]


def _error_of(kind: str) -> LwaError:
    return {
        "error_500": LwaError(500, "server_error", "The server encountered a fault set in the sandbox"),
        "error_503": LwaError(503, "temporarily_unavailable", "The server is overloaded: a fault set in the sandbox"),
        "throttle": LwaError(429, "temporarily_unavailable", "Too many requests: a fault set in the sandbox"),
        "revoked_token": LwaError(400, "invalid_grant", REFRESH_FAULT),
        "invalid_client": LwaError(401, "invalid_client", "Client authentication failed"),
        "invalid_scope": LwaError(400, "invalid_scope", SCOPE_FAULT),
    }[kind]


def _json(status: int, body: dict[str, str | int]) -> Response:
    response = Response(json.dumps(body), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response

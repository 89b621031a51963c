"""`/healthz`: this web process answers. `/readyz`: the parts it needs are there too. Both are open to everyone."""

from flask import Blueprint, Response, jsonify

from flexdash.blueprints.guard import public
from flexdash.blueprints.health.checks import check_parts

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """Answer 200 as long as the web process can answer at all."""
    return uncached(jsonify(status="up"))


@blueprint.get("/readyz")
@public
def readyz() -> tuple[Response, int]:
    """Answer with each part by name: 200 when all are up, else 503. Says nothing an outsider could use."""
    parts = check_parts()
    is_ready = all(part.is_up for part in parts.values())
    answer = jsonify(
        status="ready" if is_ready else "not ready",
        parts={name: {"is_up": part.is_up, "detail": part.detail} for name, part in parts.items()},
    )
    return uncached(answer), 200 if is_ready else 503


def uncached(response: Response) -> Response:
    """Keep everybody on the way from keeping this answer."""
    response.headers["Cache-Control"] = "no-store"
    return response

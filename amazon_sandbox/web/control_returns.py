"""The controls of returns as JSON calls under /control/."""

import json
from typing import Any

from flask import Blueprint, request

from amazon_sandbox.web import guard
from amazon_sandbox.web.gate import world
from amazon_sandbox.world import odd_returns
from amazon_sandbox.world.errors import ApiError
from amazon_sandbox.world.returns import LINKS, STATUSES, SUB_TYPES, TYPES, ReturnRecord, ReturnRequest

blueprint = Blueprint("control_returns", __name__, url_prefix="/control/returns")
blueprint.before_request(guard.refuse_other_machines)
blueprint.before_request(guard.refuse_other_origins)
FIELDS = (
    "shipment_id",
    "sku_code",
    "units",
    "status",
    "reason",
    "return_type",
    "return_sub_type",
    "location_id",
    "link",
    "updated_minutes_ago",
    "otp",
    "odd",
)


@blueprint.errorhandler(ValueError)
def bad_value(error: ValueError) -> tuple[dict[str, str], int]:
    """400 with what is wrong."""
    return {"error": str(error)}, 400


@blueprint.errorhandler(ApiError)
def refused(error: ApiError) -> tuple[dict[str, str], int]:
    """Amazon's own refusal, in the control calls' form."""
    return {"error": error.details or error.message}, error.status


@blueprint.post("")
def create() -> dict[str, Any]:
    """Creates returns of a shipment, one per line; answers their ids."""
    records = world().returns.create(_request(_body(*FIELDS)))
    return {"count": len(records), "ids": [record.id for record in records]}


@blueprint.get("")
def listing() -> dict[str, Any]:
    """Returns, newest first, filtered by shipment_id, seller_id, status."""
    given = request.args
    found = [
        record
        for record in world().returns.newest_first(given.get("shipment_id"))
        if given.get("status") in (None, record.status) and given.get("seller_id") in (None, record.seller_id)
    ]
    return {"count": len(found), "returns": [_summary(record) for record in found]}


@blueprint.get("/<return_id>")
def one(return_id: str) -> dict[str, Any]:
    """One return: its summary, and the body Amazon would answer."""
    with world().returns.of(None, return_id) as record:
        return {**_summary(record), "body": record.told()}


@blueprint.post("/<return_id>/move")
def move(return_id: str) -> dict[str, Any]:
    """Moves a return on to `status`; `same_time` leaves its time of change, `otp` is the password from then on."""
    body = _body("status", "same_time", "otp")
    return _summary(
        world().returns.move(
            return_id,
            str(body.get("status", "")),
            has_same_time=bool(body.get("same_time")),
            otp=_text(body, "otp"),
        )
    )


def _request(body: dict[str, Any]) -> ReturnRequest:
    units = body.get("units", 0)
    if not isinstance(units, int) or isinstance(units, bool) or not 0 <= units <= 10_000:
        raise ValueError("units must be a whole number from 0 to 10000")
    shipment_id, location_id = _text(body, "shipment_id"), _text(body, "location_id")
    if not shipment_id:
        raise ValueError("shipment_id is required")
    return ReturnRequest(
        shipment_id=shipment_id,
        sku_code=_text(body, "sku_code"),
        n_units=units,
        status=_one_of(body, "status", STATUSES),
        reason=_text(body, "reason"),
        return_type=_one_of(body, "return_type", TYPES),
        return_sub_type=_one_of(body, "return_sub_type", SUB_TYPES),
        location_id=location_id,
        link=_one_of(body, "link", LINKS),
        updated_minutes_ago=float(body.get("updated_minutes_ago", 0)),
        otp=_text(body, "otp"),
        odd=_one_of(body, "odd", odd_returns.KINDS) if body.get("odd") else None,
    )


def _summary(record: ReturnRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "seller_id": record.seller_id,
        "shipment_id": record.shipment_id,
        "location_id": record.location_id,
        "status": record.status,
        "created_ms": record.created_ms,
        "updated_ms": record.updated_ms,
        "odd": record.odd,
    }


def _body(*known: str) -> dict[str, Any]:
    content = request.get_data()
    found = json.loads(content) if content else {}
    if not isinstance(found, dict):
        raise ValueError("the body must be a JSON object")
    if unknown := set(found) - set(known):
        raise ValueError(f"unknown field {min(unknown)!r}; known are {', '.join(known)}")
    return found


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    return value


def _one_of(body: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = body.get(name, choices[0])
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}")
    return value

"""Deformities of a return: what a model change or a fault on Amazon's side could send."""

import json
from collections.abc import Callable
from typing import Any


def _forms(told: dict[str, Any]) -> None:
    told["status"] = "WAITING_FOR_DRONE"
    told["returnType"] = "DRONE"
    told["creationDateTime"] = "2020-06-09 14:00:00Z"
    told["numberOfUnits"] = str(told["numberOfUnits"])
    told["sandboxNovelty"] = {"nested": [1, 2.5, None, True]}
    told["replanningDetails"] = {"previousTrackingInfo": [None, "odd"]}


def _no_status(told: dict[str, Any]) -> None:
    del told["status"]


def _no_id(told: dict[str, Any]) -> None:
    told["id"] = None


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "odd_return_forms": _forms,
    "odd_return_no_status": _no_status,
    "odd_return_no_id": _no_id,
}
KINDS = (*CHANGES, "odd_return_not_a_dict")


def deform(body: bytes, kind: str) -> bytes:
    """The return's JSON text with the deformity in it."""
    if kind == "odd_return_not_a_dict":
        return b'"this is not a return"'
    told = json.loads(body)
    CHANGES[kind](told)
    return json.dumps(told, ensure_ascii=False).encode()

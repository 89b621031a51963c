"""Amazon's published models as judges of requests and answers, for contract tests of both sides.

`Models.load()` reads the Swagger 2 files of `SPAPI_MODELS_DIR` (by default `../shared/spapi-models` beside the
project). Where there are none the test is skipped, or fails when REQUIRE_ALL_TESTS=1.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

PROJECT_DIR = Path(__file__).resolve().parents[2]
WHERE = (
    "Amazon's models are not in {folder}. Amazon publishes them at github.com/amzn/selling-partner-api-models; "
    "set SPAPI_MODELS_DIR to a folder with externalFulfillmentShipments_2024-09-11.json and its neighbours."
)


class ContractBreach(AssertionError):
    """A request or answer that the model does not allow."""


@dataclass(frozen=True)
class Operation:
    """One operation of a model: its parameters by name, its body's schema, and a schema per status."""

    id: str
    method: str
    pattern: re.Pattern[str]
    parameters: dict[str, dict[str, Any]]
    body: dict[str, Any] | None
    is_body_required: bool
    responses: dict[int, dict[str, Any]]
    definitions: dict[str, Any]


class Models:
    """All operations of the models in one folder."""

    def __init__(self, operations: list[Operation]):
        self._operations = operations

    @classmethod
    def load(cls, folder: Path | str | None = None) -> "Models":
        """The models; skips or fails the calling test when there are none."""
        named = folder or os.environ.get("SPAPI_MODELS_DIR")
        path = Path(named) if named else PROJECT_DIR.parent / "shared" / "spapi-models"
        files = sorted(path.glob("*.json")) if path.is_dir() else []
        if not files:
            message = WHERE.format(folder=path)
            if os.environ.get("REQUIRE_ALL_TESTS") == "1":
                pytest.fail(message, pytrace=False)
            pytest.skip(message)
        return cls([operation for file in files for operation in _operations(json.loads(file.read_text("utf-8")))])

    def operation(self, method: str, path: str) -> Operation:
        """The operation of a method and path (without query). ContractBreach when no model has it."""
        for operation in self._operations:
            if operation.method == method.upper() and operation.pattern.fullmatch(path):
                return operation
        raise ContractBreach(f"no model has {method} {path}")

    def check_request(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> str:
        """Checks a request strictly: no unknown parameter or field. `query` maps names to texts or numbers (or to a
        list, for a repeated parameter), `body` is decoded JSON or None. Gives the operation's id."""
        operation = self.operation(method, path)
        _check_query(operation, query or {})
        if body is None and operation.is_body_required:
            raise ContractBreach(f"{operation.id}: the body is required")
        if body is not None:
            if operation.body is None:
                raise ContractBreach(f"{operation.id} takes no body")
            _check(operation, operation.body, body, f"{operation.id} request")
        return operation.id

    def check_response(self, method: str, path: str, status: int, body: Any = None) -> str:
        """Checks an answer strictly: a declared status, no unknown field. `body` is decoded JSON, or None when the
        answer was empty. Gives the operation's id."""
        operation = self.operation(method, path)
        if status not in operation.responses:
            raise ContractBreach(f"{operation.id} declares no status {status}")
        schema = operation.responses[status].get("schema")
        if schema is None:
            if body is not None:
                raise ContractBreach(f"{operation.id} {status} has no body, but one came")
        else:
            _check(operation, schema, body, f"{operation.id} answer {status}")
        return operation.id

    def declared_headers(self, method: str, path: str, status: int) -> set[str]:
        """The names of the headers the model declares for an answer, in lower case."""
        return {name.lower() for name in self.operation(method, path).responses[status].get("headers", {})}


def _operations(model: dict[str, Any]) -> list[Operation]:
    definitions = {name: _strict(schema) for name, schema in model["definitions"].items()}
    found = []
    for path, methods in model["paths"].items():
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        shared = methods.get("parameters", [])
        for method, told in methods.items():
            if method == "parameters":
                continue
            parameters = [*shared, *told.get("parameters", [])]
            body = next((p for p in parameters if p["in"] == "body"), None)
            found.append(
                Operation(
                    id=told["operationId"],
                    method=method.upper(),
                    pattern=pattern,
                    parameters={p["name"]: p for p in parameters if p["in"] == "query"},
                    body=body["schema"] if body else None,
                    is_body_required=bool(body and body.get("required")),
                    responses={int(status): response for status, response in told["responses"].items()},
                    definitions=definitions,
                )
            )
    return found


def _strict(schema: Any) -> Any:
    """The schema with objects closed to fields that the model does not name."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _strict(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _check(operation: Operation, schema: dict[str, Any], value: Any, what: str) -> None:
    whole = {"definitions": operation.definitions, "allOf": [_strict(schema)]}
    problems = sorted(jsonschema.Draft4Validator(whole).iter_errors(value), key=lambda error: list(error.path))
    if problems:
        told = "; ".join(f"at {list(p.absolute_path)}: {p.message[:300]}" for p in problems[:5])
        raise ContractBreach(f"{what}: {told}")


def _check_query(operation: Operation, query: dict[str, Any]) -> None:
    for name in query:
        if name not in operation.parameters:
            raise ContractBreach(f"{operation.id} has no query parameter {name}")
    for name, parameter in operation.parameters.items():
        if name not in query:
            if parameter.get("required"):
                raise ContractBreach(f"{operation.id}: query parameter {name} is required")
            continue
        value = query[name]
        if isinstance(value, (list, tuple)):
            if parameter["type"] != "array":
                raise ContractBreach(f"{operation.id}: query parameter {name} may be given once only")
            value = list(value)
        elif parameter["type"] == "integer":
            if not re.fullmatch(r"-?\d+", str(value)):
                raise ContractBreach(f"{operation.id}: {name}={value!r} is not an integer")
            value = int(value)
        elif parameter["type"] == "array":
            value = str(value).split(",")
        else:
            value = str(value)
        schema = {k: v for k, v in parameter.items() if k not in ("name", "in", "required", "description")}
        _check(operation, schema, value, f"{operation.id} query parameter {name}")

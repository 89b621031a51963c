"""The form of a JSON listings feed and of its report, as Amazon documents them; no model of the API holds them.

https://developer-docs.amazon.com/sp-api/docs/listings-feed-message-schema-v2
"""

import jsonschema

_TEXT = {"type": "string", "minLength": 1}
_ID = {"type": "integer", "minimum": 1, "maximum": 2147483647}
_PATCH = {
    "type": "object",
    "properties": {
        "op": {"enum": ["add", "replace", "merge", "delete"]},
        "path": {"type": "string", "pattern": "^/attributes/[^/]+$"},
        "value": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["op", "path"],
    "additionalProperties": False,
}
_MESSAGE = {
    "type": "object",
    "properties": {
        "messageId": _ID,
        "sku": _TEXT,
        "operationType": {"enum": ["PATCH"]},
        "productType": _TEXT,
        "patches": {"type": "array", "minItems": 1, "items": _PATCH},
    },
    "required": ["messageId", "sku", "operationType", "productType", "patches"],
    "additionalProperties": False,
}
FEED = {
    "type": "object",
    "properties": {
        "header": {
            "type": "object",
            "properties": {"sellerId": _TEXT, "version": {"enum": ["2.0"]}, "issueLocale": _TEXT},
            "required": ["sellerId", "version"],
            "additionalProperties": False,
        },
        "messages": {"type": "array", "minItems": 1, "maxItems": 25_000, "items": _MESSAGE},
    },
    "required": ["header", "messages"],
    "additionalProperties": False,
}
_SUMMARY = ["errors", "warnings", "messagesProcessed", "messagesAccepted", "messagesInvalid"]
_COUNT = {"type": "integer", "minimum": 0}
REPORT = {
    "type": "object",
    "properties": {
        "header": {
            "type": "object",
            "properties": {"sellerId": _TEXT, "version": {"enum": ["2.0"]}, "feedId": _TEXT},
            "required": ["sellerId", "version", "feedId"],
        },
        "issues": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "messageId": _COUNT,
                    "sku": _TEXT,
                    "code": _TEXT,
                    "severity": {"enum": ["ERROR", "WARNING", "INFO"]},
                    "message": _TEXT,
                    "attributeNames": {"type": "array", "items": _TEXT},
                },
                "required": ["messageId", "code", "severity", "message"],
                "additionalProperties": False,
            },
        },
        "summary": {
            "type": "object",
            "properties": dict.fromkeys(_SUMMARY, _COUNT),
            "required": _SUMMARY,
            "additionalProperties": False,
        },
    },
    "required": ["header", "issues", "summary"],
    "additionalProperties": False,
}


def check(content, schema) -> None:
    """Hold decoded JSON against FEED or REPORT; raises jsonschema.ValidationError. No message stands twice."""
    jsonschema.Draft7Validator(schema).validate(content)
    ids = [message["messageId"] for message in content.get("messages", [])]
    assert len(set(ids)) == len(ids)
